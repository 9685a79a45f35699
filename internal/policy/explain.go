package policy

import (
	"slices"
	"strings"
)

// An Explanation is a Decision with its reasons, for a person.
type Explanation struct {
	Decision
	// Decided is the rule that decided; its name is empty where none fits.
	Decided Rule
	// Own: it is one of the policy's own rules, not a built-in one.
	Own bool
	// Place is where it stands among these, from 1.
	Place int
	// Near are rules that would have allowed the call but for one thing, where no
	// rule fits: at most maxNear, the first ones.
	Near []NearMiss
}

// A NearMiss is an allowing rule that a call misses by one thing.
type NearMiss struct {
	Rule Rule
	Own  bool
	Miss string // "role", "privileges", "target", "method", "path" or "members"
}

// maxNear bounds the near misses: the first few show the way, the rest repeats them.
const maxNear = 3

// Explain is Decide with the reasons.
func (p *Policy) Explain(c Call) Explanation {
	e := Explanation{Decision: p.Decide(c)}
	if c.Principal.Role == "" || !canonical(c.Path) {
		return e
	}
	decided := e.NeedsBody || p.decided(&c)
	for i := range p.rules {
		r := &p.rules[i]
		misses := r.misses(&c)
		switch {
		case decided && r.decides(&c):
			e.Decided, e.Own, e.Place = r.Rule, i < p.own, i+1
			if !e.Own {
				e.Place -= p.own
			}
			return e
		case !decided && r.Allow && len(misses) == 1 && len(e.Near) < maxNear && r.telling(i < p.own, &c):
			e.Near = append(e.Near, NearMiss{Rule: r.Rule, Own: i < p.own, Miss: misses[0]})
		}
	}
	return e
}

// decided reports whether any rule fits; a rule may be called NoRule.
func (p *Policy) decided(c *Call) bool {
	return slices.ContainsFunc(p.rules, func(r compiled) bool { return r.decides(c) })
}

// telling reports whether a near miss of r says anything: that an Administrator may
// do it goes without saying.
func (r *compiled) telling(own bool, c *Call) bool {
	return own || r.path != nil && !(r.custom && predefined(c.Principal.Role))
}

// decides reports whether Decide stops at r.
func (r *compiled) decides(c *Call) bool {
	if !r.fits(c) {
		return false
	}
	return len(r.Members) == 0 || !bodyless(c.Method) && (c.Body == nil || r.fitsBody(c.Body))
}

// misses are the things by which c does not fit r.
func (r *compiled) misses(c *Call) (out []string) {
	fold := !r.Allow
	for _, m := range []struct {
		what string
		fits bool
	}{
		{"role", len(r.Roles) == 0 || slices.Contains(r.Roles, c.Principal.Role)},
		{"privileges", c.Principal.Privileges.Has(r.Privileges)},
		{"target", len(r.Targets) == 0 || anyGlob(r.Targets, c.Target)},
		{"method", len(r.Methods) == 0 || contains(r.Methods, c.Method, fold)},
		{"path", r.path == nil || r.fitsPath(strings.TrimSuffix(c.Path[1:], "/"), c.Reach)},
		{"members", len(r.Members) == 0 || !bodyless(c.Method) && (c.Body == nil || r.fitsBody(c.Body))},
	} {
		if !m.fits {
			out = append(out, m.what)
		}
	}
	return out
}

// String says in one line what a rule is about: "allow Operator POST /a/* on bmc-*".
func (r Rule) String() string {
	var b strings.Builder
	b.WriteString("deny")
	if r.Allow {
		b.Reset()
		b.WriteString("allow")
	}
	part := func(before string, list []string) {
		if len(list) > 0 {
			b.WriteString(before + strings.Join(list, ", "))
		}
	}
	var roles []string
	for _, name := range r.Roles {
		roles = append(roles, string(name))
	}
	part(" ", roles)
	if r.Privileges != 0 {
		part(" with ", r.Privileges.Names())
	}
	part(" ", r.Methods)
	if r.Path != "" {
		part(" ", []string{r.Path})
	}
	if len(r.Members) > 0 {
		b.WriteString(" with members " + strings.Join(r.Members, ", "))
		if r.Allow {
			b.WriteString(" and no others")
		}
	}
	part(" on ", r.Targets)
	return b.String()
}
