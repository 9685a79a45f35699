package serve

import (
	"slices"
	"strings"

	"github.com/postern/postern/internal/policy"
	"github.com/postern/postern/internal/target"
)

// warnOfRules tells of own rules that fit nobody and nothing because of a name:
// most likely it is misspelt, and a rule that denies does not.
func (c *core) warnOfRules(targets []target.Target, rules []policy.Rule) {
	for _, r := range rules {
		for _, role := range r.Roles {
			if !c.roles.RoleExists(role) {
				c.log.Warn("a rule names a role that is not there", "rule", r.Name, "role", string(role))
			}
		}
		for _, name := range r.Targets {
			if !strings.Contains(name, "*") && !slices.ContainsFunc(targets, func(t target.Target) bool { return t.Name == name }) {
				c.log.Warn("a rule names a target that is not there", "rule", r.Name, "target", name)
			}
		}
	}
}
