// Package policy decides who may do what on which target: an ordered list of
// rules, of which the first that fits decides, and no where none does. It knows
// no family; the built-in rules name paths, but only as data.
package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/postern/postern/auth"
)

// A Rule allows or denies calls. It fits a call that every one of its fields
// fits; an empty field fits all.
//
// Where a device may read a name in more ways than one, doubt goes against the
// caller: an allowing rule takes methods, paths and members letter by letter,
// a denying rule takes them in any case.
type Rule struct {
	Name  string // told in the decision, and from there in the audit
	Allow bool
	Roles []auth.Role
	// Privileges fit who holds all of these.
	Privileges auth.Privileges
	Targets    []string // names; '*' stands for any text
	Methods    []string

	// Path is a pattern on the canonical path, segment by segment: in a segment
	// '*' stands for any text, and the segment ** for any number of segments,
	// none included. A slash at the end makes no difference.
	Path string

	// Members are names of top-level members of the body. An allowing rule fits
	// when the body holds no others, annotations (@odata.…) apart; a denying
	// rule when the body holds one of them. Such a rule fits no GET, HEAD or
	// OPTIONS, whose body means nothing.
	Members []string

	custom bool // fits only roles that are not predefined
}

// MaxRules bounds a policy's own rules: each call is held against them one after
// another, and a thousand cost it less than 100 µs.
const MaxRules = 1000

// Check says what is wrong with a rule.
func (r Rule) Check() error {
	_, err := compile(r)
	return err
}

// A Call is what a decision is made on.
type Call struct {
	Principal auth.Principal
	Target    string
	Method    string
	Path      string // canonical: no empty and no dot segments

	// Reach is how many levels below Path the answer may show. A denial of
	// anything in there denies the call; an allowance must hold for all of it.
	Reach int

	// Body has the names of the top-level members of the body, each true. Nil:
	// it was not read. No two names may be equal in any case.
	Body map[string]bool
}

// A Decision is the answer to a Call.
type Decision struct {
	Allow bool
	Rule  string // the name of the rule that decided; NoRule where none fits

	// NeedsBody: the rule depends on the body, which was not read. Allow is
	// false; decide again with Body set.
	NeedsBody bool
}

// NoRule is the Rule of a Decision where no rule fits.
const NoRule = "default"

// maxDeep bounds the ** in one pattern: each multiplies the work of a match by
// the number of segments.
const maxDeep = 2

// A Policy is a list of rules. It does not change, and is safe for concurrent use.
type Policy struct {
	rules []compiled
	own   int // so many of them come first
}

type compiled struct {
	Rule
	path []string // segments of the pattern; nil fits all
}

// New makes a Policy of own rules and, after them, the built-in ones.
func New(own []Rule) (*Policy, error) {
	if len(own) > MaxRules {
		return nil, fmt.Errorf("policy: %d rules are more than %d", len(own), MaxRules)
	}
	p := &Policy{own: len(own)}
	for _, r := range slices.Concat(own, builtin) {
		c, err := compile(r)
		if err != nil {
			return nil, fmt.Errorf("policy: rule %q: %w", r.Name, err)
		}
		p.rules = append(p.rules, c)
	}
	return p, nil
}

func compile(r Rule) (compiled, error) {
	if r.Name == "" {
		return compiled{}, fmt.Errorf("a rule needs a name")
	}
	r.Roles, r.Targets, r.Methods, r.Members = slices.Clone(r.Roles), slices.Clone(r.Targets), slices.Clone(r.Methods), slices.Clone(r.Members)
	for _, m := range r.Methods {
		if m == "" || m != strings.ToUpper(m) {
			return compiled{}, fmt.Errorf("method %q must be written in capitals", m)
		}
	}
	c := compiled{Rule: r}
	if r.Path == "" {
		return c, nil
	}
	if !strings.HasPrefix(r.Path, "/") {
		return compiled{}, fmt.Errorf("path %q must begin with a slash", r.Path)
	}
	c.path = strings.Split(strings.TrimSuffix(r.Path[1:], "/"), "/")
	deep := 0
	for _, s := range c.path {
		switch {
		case s == "**":
			deep++
		case s == "." || s == "..", s == "" && len(c.path) > 1:
			return compiled{}, fmt.Errorf("path %q holds the segment %q, which no canonical path has", r.Path, s)
		case strings.Contains(s, "**"):
			return compiled{}, fmt.Errorf("path %q: ** must be a segment of its own", r.Path)
		}
	}
	if deep > maxDeep {
		return compiled{}, fmt.Errorf("path %q has more than %d times **", r.Path, maxDeep)
	}
	return c, nil
}

// Decide is pure. It neither allocates nor depends on anything but c and the rules.
// A principal without a role and a path that is not canonical are denied.
func (p *Policy) Decide(c Call) Decision {
	if c.Principal.Role == "" || !canonical(c.Path) {
		return Decision{Rule: NoRule}
	}
	for i := range p.rules {
		r := &p.rules[i]
		if !r.fits(&c) {
			continue
		}
		if len(r.Members) > 0 {
			if bodyless(c.Method) {
				continue
			}
			if c.Body == nil {
				return Decision{Rule: r.Name, NeedsBody: true}
			}
			if !r.fitsBody(c.Body) {
				continue
			}
		}
		return Decision{Allow: r.Allow, Rule: r.Name}
	}
	return Decision{Rule: NoRule}
}

// fits looks at everything but the body.
func (r *compiled) fits(c *Call) bool {
	fold := !r.Allow
	return (len(r.Roles) == 0 || slices.Contains(r.Roles, c.Principal.Role)) &&
		c.Principal.Privileges.Has(r.Privileges) &&
		!(r.custom && predefined(c.Principal.Role)) &&
		(len(r.Methods) == 0 || contains(r.Methods, c.Method, fold)) &&
		(len(r.Targets) == 0 || anyGlob(r.Targets, c.Target)) &&
		(r.path == nil || r.fitsPath(strings.TrimSuffix(c.Path[1:], "/"), c.Reach))
}

// fitsPath takes doubt about what lies in reach against the caller.
func (r *compiled) fitsPath(path string, reach int) bool {
	switch {
	case reach <= 0:
		return matchPath(r.path, path, !r.Allow)
	case r.Allow:
		return r.path[len(r.path)-1] == "**" && matchPath(r.path, path, false)
	}
	return matchBelow(r.path, path, path == "", reach)
}

func (r *compiled) fitsBody(body map[string]bool) bool {
	for name := range body {
		known := contains(r.Members, name, !r.Allow)
		if !r.Allow && known {
			return true
		}
		if r.Allow && !known && !strings.HasPrefix(name, "@odata.") {
			return false
		}
	}
	return r.Allow
}

func bodyless(method string) bool {
	return method == "GET" || method == "HEAD" || method == "OPTIONS"
}

func contains(list []string, s string, fold bool) bool {
	for _, x := range list {
		if x == s || fold && strings.EqualFold(x, s) {
			return true
		}
	}
	return false
}

func anyGlob(patterns []string, s string) bool {
	for _, p := range patterns {
		if glob(p, s, false) {
			return true
		}
	}
	return false
}
