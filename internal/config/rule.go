package config

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/policy"
)

// maxRuleName bounds the name of a rule, in bytes: it stands in every record of a
// call that the rule decided.
const maxRuleName = 64

// methods are those that a device may be called with.
var methods = []string{"GET", "HEAD", "OPTIONS", "POST", "PATCH", "PUT", "DELETE"}

// withBody are those whose body has members that a rule may be about. Without
// that limit, a rule for some members would allow every DELETE.
var withBody = []string{"POST", "PATCH", "PUT"}

// rules makes those of the policy, one for each path.
func (d *document) rules() ([]policy.Rule, error) {
	var out []policy.Rule
	named := map[string]bool{}
	for i := range d.raw.Rules {
		r, err := d.rule(i)
		if err != nil {
			return nil, err
		}
		if named[r.Name] {
			return nil, d.fail(fmt.Sprintf("rule %q is there twice", r.Name), "the audit tells rules apart by their names", "rules", i, "name")
		}
		named[r.Name] = true
		paths := d.raw.Rules[i].Paths
		if len(paths) == 0 {
			paths = words{""}
		}
		for _, p := range paths {
			r := r
			r.Path = p
			if err := r.Check(); err != nil {
				return nil, d.fail(err.Error(), "segment by segment: * is any text in one, ** any number of them", "rules", i, "paths")
			}
			out = append(out, r)
		}
	}
	if len(out) > policy.MaxRules {
		return nil, d.fail(fmt.Sprintf("%d rules, each path counted, are more than %d", len(out), policy.MaxRules), "", "rules")
	}
	return out, nil
}

// rule is rule i without its paths.
func (d *document) rule(i int) (policy.Rule, error) {
	raw := d.raw.Rules[i]
	fail := func(key, msg, hint string) (policy.Rule, error) {
		return policy.Rule{}, d.fail(msg, hint, "rules", i, key)
	}
	if strings.TrimSpace(raw.Name) == "" || len(raw.Name) > maxRuleName || strings.ContainsFunc(raw.Name, unprintable) {
		return fail("name", fmt.Sprintf("a rule needs a name of 1 to %d characters", maxRuleName), "the audit names the rule that decided")
	}
	r := policy.Rule{Name: raw.Name, Targets: raw.Targets, Methods: raw.Methods, Members: raw.Members}
	switch raw.Effect {
	case "allow":
		r.Allow = true
	case "deny":
	default:
		return fail("effect", fmt.Sprintf("unknown effect %q of rule %q", raw.Effect, raw.Name), "allow or deny")
	}
	// A list that lost its last element would fit everybody and everything.
	for _, l := range []struct {
		key  string
		list words
	}{{"roles", raw.Roles}, {"privileges", raw.Privileges}, {"targets", raw.Targets}, {"methods", raw.Methods}, {"paths", raw.Paths}, {"members", raw.Members}} {
		if d.has("rules", i, l.key) && len(l.list) == 0 || slices.Contains(l.list, "") {
			return fail(l.key, fmt.Sprintf("%s of rule %q is empty", l.key, raw.Name), "leave it out where it is to make no difference")
		}
	}
	for _, name := range raw.Roles {
		r.Roles = append(r.Roles, auth.Role(name))
	}
	for _, name := range raw.Privileges {
		p, ok := auth.ParsePrivilege(name)
		if !ok {
			return fail("privileges", fmt.Sprintf("unknown privilege %q", name), strings.Join(auth.AllPrivileges.Names(), ", "))
		}
		r.Privileges |= p
	}
	for _, m := range raw.Methods {
		if !slices.Contains(methods, m) {
			return fail("methods", fmt.Sprintf("unknown method %q", m), strings.Join(methods, ", "))
		}
	}
	for _, m := range methodsOr(raw.Methods) {
		if r.Allow && len(r.Members) > 0 && !slices.Contains(withBody, m) {
			return fail("members", fmt.Sprintf("rule %q allows members of a body for methods that have none", raw.Name), "methods: some of "+strings.Join(withBody, ", "))
		}
	}
	return r, nil
}

// methodsOr are the methods of a rule, all where it names none.
func methodsOr(list []string) []string {
	if len(list) == 0 {
		return methods
	}
	return list
}

func unprintable(c rune) bool { return !strconv.IsPrint(c) }

// metrics is the address for metrics: on this machine alone, since whoever can
// reach it needs no credentials.
func (d *document) metrics() (string, error) {
	if d.raw.Metrics == nil {
		if d.has("metrics") {
			return "", d.fail("metrics without address", "metrics: {address: 127.0.0.1:9477}", "metrics")
		}
		return "", nil
	}
	address, err := MetricsAddress(d.raw.Metrics.Address)
	if err != nil {
		return "", d.fail(err.Error(), "an address of this machine alone, for instance 127.0.0.1:9477", "metrics", "address")
	}
	return address, nil
}

// MetricsAddress reads HOST or HOST:PORT of the loopback interface, and returns it
// as HOST:PORT; port 0 is "none given".
func MetricsAddress(s string) (string, error) {
	host, port, err := SplitAddress(s)
	if err != nil {
		return "", err
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return "", fmt.Errorf("metrics at %q can be read from other machines", s)
	}
	return net.JoinHostPort(host, strconv.Itoa(port)), nil
}

// has reports whether the file has something under path, be it empty.
func (d *document) has(path ...any) bool {
	node := d.root
	for _, step := range path {
		if node = child(node, step); node == nil {
			return false
		}
	}
	return node != nil
}
