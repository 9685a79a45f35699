package policy

import (
	"strings"
	"testing"

	"github.com/postern/postern/auth"
)

func TestExplain(t *testing.T) {
	t.Parallel()
	p := mustNew(t,
		Rule{Name: "no lab writes", Targets: []string{"lab-*"}, Methods: []string{"POST", "PATCH"}, Path: "/redfish/v1/**"},
		Rule{Name: "tags", Allow: true, Roles: []auth.Role{auth.ReadOnly}, Methods: []string{"PATCH"}, Path: "/redfish/v1/Systems/*", Members: []string{"AssetTag"}},
		Rule{Name: NoRule, Roles: []auth.Role{auth.ReadOnly}, Path: "/redfish/v1/secret"},
	)
	for _, c := range []struct {
		target, call string
		want         string // decision, rule, own, place
		near         string
	}{
		{"bmc", "Administrator DELETE /redfish/v1/Systems/1", "allow administrator built-in 1", ""},
		{"bmc", "Operator GET /redfish/v1/Systems/1", "allow read built-in 2", ""},
		{"lab-1", "Administrator PATCH /redfish/v1/Systems/1", "deny no lab writes own 1", ""},
		{"bmc", "ReadOnly PATCH /redfish/v1/Systems/1", "body tags own 2", ""},
		{"bmc", "ReadOnly PATCH /redfish/v1/Systems/1 {AssetTag}", "allow tags own 2", ""},
		{"bmc", "ReadOnly PATCH /redfish/v1/Systems/1 {Boot}", "deny default", "tags:members boot override:role"},
		{"bmc", "ReadOnly GET /redfish/v1/secret", "deny default own 3", ""},
		{"bmc", "Operator PATCH /redfish/v1/Systems/1 {AssetTag}", "deny default", "tags:role boot override:members"},
		{"bmc", "ReadOnly POST /redfish/v1/Systems/1/Actions/ComputerSystem.Reset", "deny default", "reset:role"},
		{"bmc", "Operator DELETE /redfish/v1/Systems/1", "deny default", "boot override:method"},
		{"bmc", "none GET /redfish/v1", "deny default", ""},
		{"bmc", "Operator GET /a//b", "deny default", ""},
	} {
		var e Explanation
		d := ask(t, p, c.target, c.call)
		f := strings.Fields(c.call)
		call := Call{Principal: auth.Principal{Account: "ann", Role: auth.Role(f[0])}, Target: c.target, Method: f[1], Path: f[2]}
		if f[0] == "none" {
			call.Principal.Role = ""
		}
		if len(f) > 3 {
			call.Body = map[string]bool{strings.Trim(f[3], "{}"): true}
		}
		e = p.Explain(call)
		if e.Decision != d {
			t.Errorf("%s: Explain decides %+v, Decide %+v", c.call, e.Decision, d)
		}
		got := map[bool]string{true: "allow", false: "deny"}[e.Allow]
		if e.NeedsBody {
			got = "body"
		}
		got += " " + e.Rule
		if e.Decided.Name != "" {
			got += map[bool]string{true: " own ", false: " built-in "}[e.Own] + string(rune('0'+e.Place))
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", c.call, got, c.want)
		}
		var near []string
		for _, n := range e.Near {
			near = append(near, n.Rule.Name+":"+n.Miss)
		}
		if got := strings.Join(near, " "); got != c.near {
			t.Errorf("%s: near %q, want %q", c.call, got, c.near)
		}
	}
}

func TestRuleString(t *testing.T) {
	t.Parallel()
	for want, r := range map[string]Rule{
		"deny":           {},
		"allow Operator": {Allow: true, Roles: []auth.Role{auth.Operator}},
		"allow with Login GET, HEAD /a/* on bmc-*":           {Allow: true, Privileges: auth.MayLogIn, Methods: []string{"GET", "HEAD"}, Path: "/a/*", Targets: []string{"bmc-*"}},
		"allow PATCH with members Boot, Tag and no others":   {Allow: true, Methods: []string{"PATCH"}, Members: []string{"Boot", "Tag"}},
		"deny Operator, night /redfish/** with members Boot": {Roles: []auth.Role{"Operator", "night"}, Path: "/redfish/**", Members: []string{"Boot"}},
	} {
		if got := r.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestLive(t *testing.T) {
	t.Parallel()
	var l Live
	l.Set(mustNew(t))
	c := Call{Principal: auth.Principal{Role: auth.Administrator}, Method: "GET", Path: "/redfish/v1"}
	if d := l.Decide(c); !d.Allow {
		t.Errorf("before: %+v", d)
	}
	l.Set(mustNew(t, Rule{Name: "closed"}))
	if d := l.Decide(c); d.Allow || d.Rule != "closed" {
		t.Errorf("after: %+v", d)
	}
}

func TestTooManyRules(t *testing.T) {
	t.Parallel()
	list := make([]Rule, MaxRules+1)
	for i := range list {
		list[i].Name = "x"
	}
	if _, err := New(list); err == nil {
		t.Error("more rules than may be are taken")
	}
}
