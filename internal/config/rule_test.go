package config

import (
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/policy"
)

const rules = `rules:
  - name: night shift
    effect: allow
    roles: [Operator, night]
    targets: "lab-*"
    methods: POST
    paths:
      - /redfish/v1/Systems/*/Actions/ComputerSystem.Reset
      - /redfish/v1/Chassis/*/Actions/Chassis.Reset
  - name: boot order is ours
    effect: deny
    methods: [PATCH, PUT]
    paths: /redfish/v1/Systems/*
    members: Boot
  - {name: components, effect: allow, privileges: [Login, ConfigureComponents], methods: [PATCH], members: [AssetTag]}
metrics: {address: "127.0.0.1:9477"}
`

func TestRules(t *testing.T) {
	t.Parallel()
	f, err := Parse("p.yaml", []byte(rules), known)
	if err != nil {
		t.Fatal(err)
	}
	night := policy.Rule{Name: "night shift", Allow: true, Roles: []auth.Role{"Operator", "night"}, Targets: []string{"lab-*"}, Methods: []string{"POST"}}
	systems, chassis := night, night
	systems.Path, chassis.Path = "/redfish/v1/Systems/*/Actions/ComputerSystem.Reset", "/redfish/v1/Chassis/*/Actions/Chassis.Reset"
	want := []policy.Rule{
		systems, chassis,
		{Name: "boot order is ours", Methods: []string{"PATCH", "PUT"}, Path: "/redfish/v1/Systems/*", Members: []string{"Boot"}},
		{Name: "components", Allow: true, Privileges: auth.MayLogIn | auth.ConfigureComponents, Methods: []string{"PATCH"}, Members: []string{"AssetTag"}},
	}
	if !reflect.DeepEqual(f.Rules, want) {
		t.Errorf("got  %+v\nwant %+v", f.Rules, want)
	}
	if _, err := policy.New(f.Rules); err != nil {
		t.Error(err)
	}
	if f.Metrics != "127.0.0.1:9477" {
		t.Errorf("metrics at %q", f.Metrics)
	}
}

func TestRuleErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, in, want, hint string }{
		{"no name", "rules: [{effect: allow}]", "p.yaml:1:10: a rule needs a name", "audit"},
		{"control character", "rules: [{name: \"a\\e[2J\", effect: allow}]", "p.yaml:1:16: a rule needs a name", ""},
		{"no effect", "rules: [{name: a}]", `p.yaml:1:10: unknown effect "" of rule "a"`, "allow or deny"},
		{"unknown effect", "rules:\n- name: a\n  effect: permit\n", `p.yaml:3:11: unknown effect "permit" of rule "a"`, "allow or deny"},
		{"unknown key", "rules:\n- name: a\n  effect: deny\n  path: /a\n", `p.yaml:4:3: unknown key "path"`, ""},
		{"twice", "rules: [{name: a, effect: deny}, {name: a, effect: allow}]", `p.yaml:1:41: rule "a" is there twice`, ""},
		{"empty list", "rules: [{name: a, effect: allow, roles: []}]", `roles of rule "a" is empty`, "leave it out"},
		{"nothing", "rules:\n- name: a\n  effect: allow\n  targets:\n", `p.yaml:4:12: targets of rule "a" is empty`, "leave it out"},
		{"empty word", "rules: [{name: a, effect: allow, targets: ['']}]", `targets of rule "a" is empty`, ""},
		{"empty path", "rules: [{name: a, effect: allow, paths: ''}]", `paths of rule "a" is empty`, ""},
		{"privilege", "rules: [{name: a, effect: allow, privileges: [Fly]}]", `unknown privilege "Fly"`, "ConfigureManager"},
		{"small method", "rules: [{name: a, effect: allow, methods: get}]", `p.yaml:1:43: unknown method "get"`, "GET"},
		{"relative path", "rules: [{name: a, effect: allow, paths: redfish}]", `path "redfish" must begin with a slash`, "segment"},
		{"dots", "rules: [{name: a, effect: allow, paths: [/a, /a/../b]}]", `path "/a/../b" holds the segment ".."`, ""},
		{"deep", "rules: [{name: a, effect: allow, paths: /**/a/**/b/**}]", `has more than 2 times **`, ""},
		{"members without method", "rules: [{name: a, effect: allow, members: [X]}]", `allows members of a body for methods that have none`, "PATCH"},
		{"members of a delete", "rules: [{name: a, effect: allow, methods: [PATCH, DELETE], members: [X]}]", `allows members of a body for methods that have none`, ""},
		{"not a list", "rules: {name: a}", `p.yaml:1:`, ""},
		{"metrics without address", "metrics: {}", `is not an address to listen on`, "127.0.0.1"},
		{"metrics null", "metrics:\n", `metrics without address`, "127.0.0.1"},
		{"metrics for all", "metrics: {address: ':9477'}", `metrics at ":9477" can be read from other machines`, "this machine"},
		{"metrics elsewhere", "metrics: {address: '10.0.0.1:9477'}", `can be read from other machines`, ""},
		{"too many", "rules:\n- {name: a, effect: deny, paths: [" + strings.Repeat("/a,", policy.MaxRules) + "/b]}", `1001 rules, each path counted, are more than 1000`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse("p.yaml", []byte(c.in), known)
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Line == 0 {
				t.Fatalf("got error %v, want an *Error with its line", err)
			}
			if !strings.Contains(e.Error(), c.want) || !strings.Contains(e.Hint, c.hint) {
				t.Errorf("got  %s (hint %q)\nwant %s (hint %q)", e, e.Hint, c.want, c.hint)
			}
		})
	}
}

// The examples of docs/gateway.md are what the reader takes.
func TestDocumentedRules(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../docs/gateway.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, block := range strings.Split(string(data), "```yaml\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		if !strings.HasPrefix(block, "rules:") {
			continue
		}
		f, err := Parse("docs/gateway.md", []byte(block), known)
		if err != nil {
			t.Error(err)
			continue
		}
		if _, err := policy.New(f.Rules); err != nil {
			t.Error(err)
		}
		n += len(f.Rules)
	}
	if n == 0 {
		t.Error("no rules are documented")
	}
}
