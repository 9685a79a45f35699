package policy

import (
	"strings"
	"testing"

	"github.com/postern/postern/auth"
)

func mustNew(t testing.TB, own ...Rule) *Policy {
	t.Helper()
	p, err := New(own)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// ask decides a call written as "Role METHOD /path {Member,Member}"; the role
// "Custom:Manager+Users" is a custom one with these privileges and Login.
func ask(t testing.TB, p *Policy, target, call string) Decision {
	t.Helper()
	f := strings.Fields(call)
	c := Call{Principal: auth.Principal{Account: "ann", Role: auth.Role(f[0])}, Target: target, Method: f[1], Path: f[2]}
	if names, ok := strings.CutPrefix(f[0], "Custom:"); ok {
		c.Principal.Role, c.Principal.Privileges = "Custom", auth.MayLogIn
		for _, n := range strings.Split(names, "+") {
			p, ok := map[string]auth.Privileges{"Login": 0, "Manager": auth.ConfigureManager, "Users": auth.ConfigureUsers,
				"Components": auth.ConfigureComponents, "Self": auth.ConfigureSelf, "All": auth.AllPrivileges}[n]
			if !ok {
				t.Fatalf("no privilege %q", n)
			}
			c.Principal.Privileges |= p
		}
	}
	if f[0] == "none" {
		c.Principal.Role = ""
	}
	if len(f) > 3 {
		c.Body = map[string]bool{}
		if names := strings.Trim(f[3], "{}"); names != "" {
			for _, n := range strings.Split(names, ",") {
				c.Body[n] = true
			}
		}
	}
	return p.Decide(c)
}

const v1 = "/redfish/v1"

func TestBuiltin(t *testing.T) {
	t.Parallel()
	p := mustNew(t)
	for _, c := range []struct {
		call string
		want Decision
	}{
		{"Administrator GET /redfish/v1/", Decision{Allow: true, Rule: "administrator"}},
		{"Administrator DELETE /redfish/v1/Systems/1", Decision{Allow: true, Rule: "administrator"}},
		{"Administrator PATCH /redfish/v1/Managers/1/NetworkProtocol", Decision{Allow: true, Rule: "administrator"}},

		{"Operator GET /", Decision{Allow: true, Rule: "read"}},
		{"Operator GET /redfish/v1/", Decision{Allow: true, Rule: "read"}},
		{"Operator HEAD /redfish/v1/Systems/1/LogServices/SEL/Entries/7", Decision{Allow: true, Rule: "read"}},
		{"Operator POST /redfish/v1/Systems/1/Actions/ComputerSystem.Reset", Decision{Allow: true, Rule: "reset"}},
		{"Operator POST /redfish/v1/Chassis/1/Actions/Chassis.Reset", Decision{Allow: true, Rule: "reset"}},
		{"Operator POST /redfish/v1/Managers/bmc/Actions/Manager.Reset", Decision{Allow: true, Rule: "reset"}},
		{"Operator PATCH /redfish/v1/Systems/1", Decision{Rule: "boot override", NeedsBody: true}},
		{"Operator PATCH /redfish/v1/Systems/1 {Boot}", Decision{Allow: true, Rule: "boot override"}},
		{"Operator PATCH /redfish/v1/Systems/1 {}", Decision{Allow: true, Rule: "boot override"}},
		{"Operator PATCH /redfish/v1/Systems/1 {Boot,@odata.etag,@odata.id}", Decision{Allow: true, Rule: "boot override"}},
		{"Operator POST /redfish/v1/Managers/1/VirtualMedia/2/Actions/VirtualMedia.InsertMedia", Decision{Allow: true, Rule: "virtual media"}},
		{"Operator POST /redfish/v1/Systems/1/VirtualMedia/2/Actions/VirtualMedia.EjectMedia", Decision{Allow: true, Rule: "virtual media"}},
		{"Operator PATCH /redfish/v1/Managers/1/VirtualMedia/2 {Image,Inserted,WriteProtected}", Decision{Allow: true, Rule: "virtual media"}},

		{"ReadOnly GET /redfish/v1/Chassis", Decision{Allow: true, Rule: "read"}},
		{"ReadOnly HEAD /redfish/v1/Chassis", Decision{Allow: true, Rule: "read"}},
		{"ReadOnly OPTIONS /redfish/v1/Systems/1", Decision{Allow: true, Rule: "read"}},

		// What none of them may do.
		{"ReadOnly POST /redfish/v1/Systems/1/Actions/ComputerSystem.Reset", Decision{Rule: NoRule}},
		{"ReadOnly PATCH /redfish/v1/Systems/1 {Boot}", Decision{Rule: NoRule}},
		{"Operator PATCH /redfish/v1/Systems/1 {Boot,AssetTag}", Decision{Rule: NoRule}},
		{"Operator PATCH /redfish/v1/Systems/1 {boot}", Decision{Rule: NoRule}},
		{"Operator PATCH /redfish/v1/Systems/1 {Boot,odata.etag}", Decision{Rule: NoRule}},
		{"Operator PATCH /redfish/v1/Systems/1 {Boot,AssetTag@odata.type}", Decision{Rule: NoRule}},
		{"Operator PATCH /redfish/v1/Systems/1/Bios {Boot}", Decision{Rule: NoRule}},
		{"Operator PATCH /redfish/v1/Systems {Boot}", Decision{Rule: NoRule}},
		{"Operator PUT /redfish/v1/Systems/1 {Boot}", Decision{Rule: NoRule}},
		{"Operator PATCH /redfish/v1/Managers/1/VirtualMedia/2 {Image,Oem}", Decision{Rule: NoRule}},
		{"Operator PATCH /redfish/v1/Managers/1/VirtualMedia/2/Certificates {Image}", Decision{Rule: NoRule}},
		{"Operator POST /redfish/v1/Managers/1/Actions/Manager.ResetToDefaults", Decision{Rule: NoRule}},
		{"Operator POST /redfish/v1/Systems/1/Bios/Actions/Bios.ResetBios", Decision{Rule: NoRule}},
		{"Operator POST /redfish/v1/Systems/1/Actions/Oem/Vendor.Reset", Decision{Rule: NoRule}},
		{"Operator POST /redfish/v1/Systems/Actions/ComputerSystem.Reset", Decision{Rule: NoRule}},
		{"Operator POST /redfish/v1/AccountService/Accounts", Decision{Rule: NoRule}},
		{"Operator POST /redfish/v1/UpdateService/Actions/UpdateService.SimpleUpdate", Decision{Rule: NoRule}},
		{"Operator POST /x/redfish/v1/Systems/1/Actions/ComputerSystem.Reset", Decision{Rule: NoRule}},
		{"Operator DELETE /redfish/v1/Systems/1/LogServices/SEL/Entries/7", Decision{Rule: NoRule}},
		{"Guest GET /redfish/v1/", Decision{Rule: NoRule}},
		{"administrator GET /redfish/v1/", Decision{Rule: NoRule}},
		{"none GET /redfish/v1/", Decision{Rule: NoRule}},

		// Ways around, for a path or method that somebody else reads otherwise.
		{"Operator get /redfish/v1/", Decision{Rule: NoRule}},
		{"Operator post /redfish/v1/Systems/1/Actions/ComputerSystem.Reset", Decision{Rule: NoRule}},
		{"Operator POST /redfish/v1/systems/1/actions/computersystem.reset", Decision{Rule: NoRule}},
		{"Operator POST /redfish/v1/AccountService/../Systems/1/Actions/ComputerSystem.Reset", Decision{Rule: NoRule}},
		{"Operator POST /redfish/v1/Systems/../Actions/AccountService.Reset", Decision{Rule: NoRule}},
		{"Operator POST /redfish/v1/Systems//Actions/ComputerSystem.Reset", Decision{Rule: NoRule}},
		{"Operator POST /redfish/v1/Systems/1/Actions/x;y.Reset", Decision{Rule: NoRule}},
		{"Operator POST /redfish/v1/UpdateService?/VirtualMedia/1/Actions/VirtualMedia.EjectMedia", Decision{Rule: NoRule}},
		{"Operator POST /redfish/v1/Systems/1%2f..%2fx/Actions/Manager.ResetToDefaults", Decision{Rule: NoRule}},
		{"Administrator GET /redfish/v1/../v1", Decision{Rule: NoRule}},
		{"Administrator GET /redfish/v1//", Decision{Rule: NoRule}},
		{"Administrator GET //", Decision{Rule: NoRule}},
		{"Administrator GET /.", Decision{Rule: NoRule}},
		{"Administrator GET redfish/v1", Decision{Rule: NoRule}},
		{`Administrator GET /redfish\v1`, Decision{Rule: NoRule}},
	} {
		if got := ask(t, p, "bmc1", c.call); got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.call, got, c.want)
		}
	}
}

func TestCustomRoles(t *testing.T) {
	t.Parallel()
	p := mustNew(t)
	for _, c := range []struct {
		call string
		want Decision
	}{
		{"Custom:Login GET /redfish/v1/Systems/1", Decision{Allow: true, Rule: "read"}},
		{"Custom:Login OPTIONS /redfish/v1/AccountService", Decision{Allow: true, Rule: "read"}},
		{"Custom:Login POST /redfish/v1/Systems/1/Actions/ComputerSystem.Reset", Decision{Rule: "components"}},
		{"Custom:Login POST /redfish/v1/Managers/1/Actions/Manager.Reset", Decision{Rule: NoRule}},
		{"Custom:Self PATCH /redfish/v1/Systems/1 {Boot}", Decision{Rule: "components"}},
		{"Custom:Login PURGE /redfish/v1/Systems/1", Decision{Rule: "components"}},

		{"Custom:Components POST /redfish/v1/Systems/1/Actions/ComputerSystem.Reset", Decision{Allow: true, Rule: "components"}},
		{"Custom:Components PATCH /redfish/v1/Systems/1", Decision{Allow: true, Rule: "components"}}, // whatever the body holds
		{"Custom:Components DELETE /redfish/v1/Chassis/1/Memory/2", Decision{Allow: true, Rule: "components"}},
		{"Custom:Components POST /redfish/v1/Systems", Decision{Allow: true, Rule: "components"}},
		{"Custom:Components PUT /redfish/v1/Fabrics/a/Zones/b", Decision{Allow: true, Rule: "components"}},
		{"Custom:Components POST /redfish/v1/Storage/1/Volumes", Decision{Allow: true, Rule: "components"}},
		{"Custom:Components PATCH /redfish/v1/PowerEquipment/RackPDUs/1", Decision{Allow: true, Rule: "components"}},
		{"Custom:Components PATCH /redfish/v1/PowerEquipment", Decision{Rule: NoRule}},
		{"Custom:Components POST /redfish/v1/UpdateService/Actions/UpdateService.SimpleUpdate", Decision{Allow: true, Rule: "components"}},
		{"Custom:Components POST /redfish/v1/Systems/1/Certificates", Decision{Allow: true, Rule: "components"}},
		{"Custom:Components POST /redfish/v1/Chassis/1/NetworkAdapters/2/Certificates", Decision{Rule: "certificates"}},
		{"Custom:Components PATCH /redfish/v1/Chassis/1/Thermal", Decision{Rule: "control"}},
		{"Custom:Components POST /redfish/v1/Managers/1/Actions/Manager.Reset", Decision{Allow: true, Rule: "reset"}},
		{"Custom:Components POST /redfish/v1/Managers/1/VirtualMedia/2/Actions/VirtualMedia.InsertMedia", Decision{Allow: true, Rule: "virtual media"}},
		{"Custom:Components PATCH /redfish/v1/Managers/1/VirtualMedia/2", Decision{Rule: "virtual media", NeedsBody: true}},
		{"Custom:Components PATCH /redfish/v1/Managers/1/VirtualMedia/2 {Image}", Decision{Allow: true, Rule: "virtual media"}},
		{"Custom:Components PATCH /redfish/v1/Managers/1/VirtualMedia/2 {Oem}", Decision{Rule: NoRule}},
		{"Custom:Components PATCH /redfish/v1/Managers/1", Decision{Rule: NoRule}},
		{"Custom:Components post /redfish/v1/Systems", Decision{Rule: "components"}},

		{"Custom:Manager PATCH /redfish/v1/Managers/1/NetworkProtocol", Decision{Allow: true, Rule: "manager"}},
		{"Custom:Manager POST /redfish/v1/EventService/Subscriptions", Decision{Allow: true, Rule: "manager"}},
		{"Custom:Manager PATCH /redfish/v1/Chassis/1/Thermal", Decision{Allow: true, Rule: "control"}},
		{"Custom:Manager PATCH /redfish/v1/PowerEquipment", Decision{Allow: true, Rule: "manager"}},
		{"Custom:Manager PATCH /redfish/v1/Systems/1 {Boot}", Decision{Rule: "components"}},
		{"Custom:Manager PATCH /redfish/v1/SYSTEMS/1", Decision{Rule: "components"}}, // a device may ignore case
		{"Custom:Manager TRACE /redfish/v1/Managers/1", Decision{Rule: NoRule}},

		{"Custom:Users PATCH /redfish/v1/Managers/1", Decision{Rule: NoRule}}, // the device's accounts are out of reach

		{"Custom:All PATCH /redfish/v1/Systems/1", Decision{Allow: true, Rule: "components"}},
		{"Custom:All PATCH /redfish/v1/Managers/1", Decision{Allow: true, Rule: "manager"}},
	} {
		if got := ask(t, p, "bmc1", c.call); got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.call, got, c.want)
		}
	}
}

// What the predefined roles may do does not come from privileges: Operators have
// ConfigureComponents, and no more than their rules.
func TestPredefinedRolesGoByName(t *testing.T) {
	t.Parallel()
	p := mustNew(t)
	operator, _ := auth.PredefinedPrivileges(auth.Operator)
	for role, privileges := range map[auth.Role]auth.Privileges{auth.Operator: operator, auth.ReadOnly: auth.AllPrivileges, "Gone": 0} {
		c := Call{Principal: auth.Principal{Role: role, Privileges: privileges}, Method: "DELETE", Path: v1 + "/Systems/1/Storage/2"}
		if d := p.Decide(c); d.Allow {
			t.Errorf("%s: got %+v", role, d)
		}
	}
}

func TestRulesByPrivilege(t *testing.T) {
	t.Parallel()
	p := mustNew(t, Rule{Name: "logs", Allow: true, Privileges: auth.ConfigureComponents | auth.ConfigureSelf, Path: "/redfish/v1/Managers/*/LogServices/**"})
	for call, want := range map[string]string{
		"Custom:Components+Self POST /redfish/v1/Managers/1/LogServices/L/Actions/LogService.ClearLog": "logs",
		"Custom:Components POST /redfish/v1/Managers/1/LogServices/L/Actions/LogService.ClearLog":      NoRule,
		"Operator POST /redfish/v1/Managers/1/LogServices/L/Actions/LogService.ClearLog":               NoRule, // nobody filled its privileges
	} {
		if got := ask(t, p, "bmc1", call); got.Rule != want {
			t.Errorf("%s: got %+v, want %s", call, got, want)
		}
	}
}

func TestOwnRulesComeFirst(t *testing.T) {
	t.Parallel()
	p := mustNew(t,
		Rule{Name: "no bios", Path: "/redfish/v1/Systems/*/Bios/**"},
		Rule{Name: "no tag", Methods: []string{"PATCH"}, Path: "/redfish/v1/Systems/*", Members: []string{"AssetTag"}},
		Rule{Name: "no oem", Members: []string{"Oem"}},
		Rule{Name: "lab", Allow: true, Roles: []auth.Role{"Guest", auth.ReadOnly}, Targets: []string{"lab-*", "spare"}},
		Rule{Name: "fans", Allow: true, Roles: []auth.Role{auth.Operator}, Methods: []string{"PATCH"}, Path: "/redfish/v1/Chassis/*/Fans/Fan*"},
	)
	for _, c := range []struct {
		target, call string
		want         Decision
	}{
		{"bmc1", "Administrator GET /redfish/v1/Systems/1/Bios", Decision{Rule: "no bios"}},
		{"bmc1", "Administrator GET /redfish/v1/Systems/1/Bios/Settings", Decision{Rule: "no bios"}},
		{"bmc1", "Administrator GET /redfish/v1/Systems/1/BiosX", Decision{Allow: true, Rule: "administrator"}},
		// A device may ignore case, so a denial does.
		{"bmc1", "Administrator get /Redfish/V1/systems/1/BIOS", Decision{Rule: "no bios"}},
		{"bmc1", "Administrator PATCH /redfish/v1/Systems/1", Decision{Rule: "no tag", NeedsBody: true}},
		{"bmc1", "Administrator patch /redfish/v1/SYSTEMS/1 {Boot,assettag}", Decision{Rule: "no tag"}},
		{"bmc1", "Administrator PATCH /redfish/v1/Systems/1 {Boot,HostName}", Decision{Allow: true, Rule: "administrator"}},
		{"bmc1", "Administrator PATCH /redfish/v1/Systems/1 {}", Decision{Allow: true, Rule: "administrator"}},
		{"bmc1", "Operator PATCH /redfish/v1/Systems/1 {Boot,AssetTag}", Decision{Rule: "no tag"}},
		{"bmc1", "Operator PATCH /redfish/v1/Systems/1 {Boot}", Decision{Allow: true, Rule: "boot override"}},
		{"bmc1", "Operator GET /redfish/v1/", Decision{Allow: true, Rule: "read"}},
		{"bmc1", "Administrator POST /redfish/v1/x {OEM}", Decision{Rule: "no oem"}},
		{"bmc1", "Administrator POST /redfish/v1/x", Decision{Rule: "no oem", NeedsBody: true}},
		{"lab-7", "ReadOnly DELETE /redfish/v1/x {}", Decision{Allow: true, Rule: "lab"}},
		{"spare", "Guest GET /redfish/v1/", Decision{Allow: true, Rule: "lab"}},
		{"spare2", "Guest GET /redfish/v1/", Decision{Rule: NoRule}},
		{"my-lab-7", "Guest GET /redfish/v1/", Decision{Rule: NoRule}},
		{"bmc1", "Operator PATCH /redfish/v1/Chassis/1/Fans/Fan3 {Speed}", Decision{Allow: true, Rule: "fans"}},
		{"bmc1", "Operator PATCH /redfish/v1/Chassis/1/Fans/fan3 {Speed}", Decision{Rule: NoRule}},
	} {
		if got := ask(t, p, c.target, c.call); got != c.want {
			t.Errorf("%s %s: got %+v, want %+v", c.target, c.call, got, c.want)
		}
	}
}

// What an answer shows from below its path is judged with it.
func TestReach(t *testing.T) {
	t.Parallel()
	p := mustNew(t,
		Rule{Name: "no bios", Path: "/redfish/v1/Systems/*/Bios/**"},
		Rule{Name: "no keys", Path: "/redfish/v1/**/Keys"},
		Rule{Name: "one chassis", Allow: true, Roles: []auth.Role{"Guest"}, Path: "/redfish/v1/Chassis/*"},
		Rule{Name: "managers", Allow: true, Roles: []auth.Role{"Guest"}, Path: "/redfish/v1/Managers/**"},
	)
	for _, c := range []struct {
		role  auth.Role
		path  string
		reach int
		want  string
	}{
		{auth.Administrator, "/redfish/v1/Systems/1", 0, "administrator"},
		{auth.Administrator, "/redfish/v1/Systems/1", 1, "no bios"},
		{auth.Administrator, "/redfish/v1/Systems", 1, "no keys"}, // of a member named Keys
		{auth.Administrator, "/redfish/v1/Systems", 2, "no bios"},
		{auth.Administrator, "/REDFISH/v1/systems", 2, "no bios"},
		{auth.Administrator, "/redfish/v1/Systems/1/Bios/Settings", 1, "no bios"},
		{auth.Administrator, "/redfish/v1/", 1, "no keys"},
		{auth.Administrator, "/redfish/v1/", 3, "no bios"},
		{auth.Administrator, "/", 2, "administrator"},
		{auth.Administrator, "/", 3, "no keys"},
		{auth.Administrator, "/x", 9, "administrator"},
		{"Guest", "/redfish/v1/Chassis/1", 0, "one chassis"},
		{"Guest", "/redfish/v1/Managers/1", 0, "managers"},
	} {
		d := p.Decide(Call{Principal: auth.Principal{Role: c.role}, Method: "GET", Path: c.path, Reach: c.reach})
		if d.Rule != c.want || d.Allow != (c.want != "no bios" && c.want != "no keys") {
			t.Errorf("%s and %d below: got %+v, want %s", c.path, c.reach, d, c.want)
		}
	}
	// An allowance must hold for all that is shown.
	p = mustNew(t,
		Rule{Name: "one chassis", Allow: true, Path: "/redfish/v1/Chassis/*"},
		Rule{Name: "managers", Allow: true, Path: "/redfish/v1/Managers/**"})
	for path, want := range map[string]bool{"/redfish/v1/Chassis/1": false, "/redfish/v1/Managers": true, "/redfish/v1/Managers/1": true, "/redfish/v1/": false} {
		if d := p.Decide(Call{Principal: auth.Principal{Role: "Guest"}, Method: "GET", Path: path, Reach: 1}); d.Allow != want {
			t.Errorf("%s and one level below: got %+v, want %v", path, d, want)
		}
	}
}

// A denying rule fits what lies in reach exactly when it fits a path there.
func FuzzReach(f *testing.F) {
	f.Add("/a/*/b", "/a", "/x/b")
	f.Add("/**/b/**", "/a", "/x")
	f.Add("/**/b/**/c", "/a/b", "/x/c")
	f.Fuzz(func(t *testing.T, pattern, path, below string) {
		p, err := New([]Rule{{Name: "own", Path: pattern}})
		if err != nil || !canonical(path) || !canonical(path+below) || len(below) < 2 || below[0] != '/' || strings.HasSuffix(path, "/") || strings.HasSuffix(below, "/") {
			return
		}
		who := auth.Principal{Role: auth.Administrator}
		there := p.Decide(Call{Principal: who, Method: "GET", Path: path + below})
		reach := p.Decide(Call{Principal: who, Method: "GET", Path: path, Reach: strings.Count(below, "/")})
		if !there.Allow && reach.Allow {
			t.Errorf("%q denies %q, but not %q with what is below", pattern, path+below, path)
		}
	})
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rule Rule
		want string
	}{
		{Rule{}, "needs a name"},
		{Rule{Name: "x", Methods: []string{"get"}}, "capitals"},
		{Rule{Name: "x", Path: "redfish"}, "begin with a slash"},
		{Rule{Name: "x", Path: "/a//b"}, "no canonical path"},
		{Rule{Name: "x", Path: "/a/../b"}, "no canonical path"},
		{Rule{Name: "x", Path: "/a**/b"}, "segment of its own"},
		{Rule{Name: "x", Path: "/**/a/**/b/**"}, "more than 2"},
	} {
		if _, err := New([]Rule{c.rule}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: got %v, want %q", c.rule, err, c.want)
		}
	}
}

func TestPolicyDoesNotChange(t *testing.T) {
	t.Parallel()
	r := Rule{Name: "x", Allow: true, Roles: []auth.Role{"Guest"}, Methods: []string{"GET"}}
	p := mustNew(t, r)
	r.Methods[0], r.Roles[0] = "DELETE", "Other"
	if got := ask(t, p, "bmc1", "Guest GET /"); !got.Allow {
		t.Error("a change of the caller's slice changed the policy")
	}
}

func TestMatchPath(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, path string
		want          bool
	}{
		{"/", "/", true},
		{"/", "/a", false},
		{"/*", "/", false},
		{"/*", "/a", true},
		{"/**", "/", true},
		{"/**", "/a/b", true},
		{"/a/**", "/a", true},
		{"/a/**", "/a/", true},
		{"/a/**", "/ab", false},
		{"/a/", "/a", true},
		{"/a", "/a/", true},
		{"/a/*", "/a/b/c", false},
		{"/**/b", "/b", true},
		{"/**/b", "/a/a/b", true},
		{"/**/b", "/a/b/c", false},
		{"/**/a/**/b", "/x/a/b", true},
		{"/**/a/**/b", "/a/x/y/b", true},
		{"/**/a/**/b", "/b/a", false},
		{"/**/**", "/", true},
		{"/a/**/**", "/a", true},
		{"/a/**/b", "/a", false},
		{"/*.Reset", "/X.Reset", true},
		{"/*.Reset", "/X.ResetToDefaults", false},
		{"/*a*b*", "/xaybz", true},
		{"/*a*b*", "/xbya", false},
		{"/a*", "/a/b", false},
	} {
		p := mustNew(t, Rule{Name: "own", Allow: true, Path: c.pattern})
		if got := ask(t, p, "bmc1", "Guest POST "+c.path).Allow; got != c.want {
			t.Errorf("%s on %s: got %v, want %v", c.pattern, c.path, got, c.want)
		}
	}
}

// Whatever the path, an operator, a reader and whoever may only log in get nothing but what the built-in
// rules say, and deciding ends.
func FuzzDecide(f *testing.F) {
	p := mustNew(f, Rule{Name: "deep", Path: "/**/secret*x*y/**"})
	f.Add("POST", v1+"/Systems/1/Actions/ComputerSystem.Reset")
	f.Add("POST", v1+"/a/VirtualMedia/1/Actions/VirtualMedia.EjectMedia")
	f.Add("GET", "/a/secretxy/")
	f.Fuzz(func(t *testing.T, method, path string) {
		d := p.Decide(Call{Principal: auth.Principal{Role: auth.Operator}, Method: method, Path: path})
		if d.Allow && method != "GET" && method != "HEAD" &&
			!(method == "POST" && (strings.HasSuffix(strings.TrimSuffix(path, "/"), ".Reset") || strings.Contains(path, "/VirtualMedia/"))) {
			t.Errorf("%s %q is allowed by %q", method, path, d.Rule)
		}
		d = p.Decide(Call{Principal: auth.Principal{Role: auth.ReadOnly}, Method: method, Path: path})
		if d.Allow && method != "GET" && method != "HEAD" {
			t.Errorf("%s %q is allowed to a reader", method, path)
		}
		d = p.Decide(Call{Principal: auth.Principal{Role: "Custom", Privileges: auth.MayLogIn | auth.ConfigureSelf}, Method: method, Path: path})
		if d.Allow && method != "GET" && method != "HEAD" && method != "OPTIONS" {
			t.Errorf("%s %q is allowed to a custom role without privileges", method, path)
		}
	})
}

func TestDecideDoesNotAllocate(t *testing.T) {
	p := mustNew(t)
	c := Call{Principal: auth.Principal{Role: auth.Operator}, Target: "bmc1", Method: "POST",
		Path: v1 + "/Managers/1/VirtualMedia/2/Actions/VirtualMedia.EjectMedia"}
	if n := testing.AllocsPerRun(100, func() { p.Decide(c) }); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

func BenchmarkDecide(b *testing.B) {
	p := mustNew(b)
	c := Call{Principal: auth.Principal{Role: auth.Operator}, Target: "bmc1", Method: "POST",
		Path: v1 + "/Managers/1/VirtualMedia/2/Actions/VirtualMedia.EjectMedia"}
	b.ReportAllocs()
	for b.Loop() {
		p.Decide(c)
	}
}
