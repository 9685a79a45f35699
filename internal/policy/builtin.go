package policy

import (
	"slices"

	"github.com/postern/postern/auth"
)

var (
	reads  = []string{"GET", "HEAD", "OPTIONS"}
	writes = []string{"POST", "PATCH", "PUT", "DELETE"}
)

// builtin are the rules that are tried after a policy's own. What a gateway never
// passes on (the device's accounts, its sessions) is no matter of rules.
var builtin = slices.Concat(
	[]Rule{
		{Name: "administrator", Allow: true, Roles: []auth.Role{auth.Administrator}},
		{Name: "read", Allow: true, Roles: []auth.Role{auth.Operator, auth.ReadOnly}, Methods: reads},
	},
	operating(Rule{Allow: true, Roles: []auth.Role{auth.Operator}}),
	customRules(),
)

// operating are the rules for what an Operator does, each made of what r says of
// who it is for.
func operating(r Rule) []Rule {
	rule := func(name, method, path string, members ...string) Rule {
		r := r
		r.Name, r.Methods, r.Path, r.Members = name, []string{method}, path, members
		return r
	}
	return []Rule{
		// Operators reset things ...
		rule("reset", "POST", "/redfish/v1/Systems/*/Actions/*.Reset"),
		rule("reset", "POST", "/redfish/v1/Chassis/*/Actions/*.Reset"),
		rule("reset", "POST", "/redfish/v1/Managers/*/Actions/*.Reset"),
		// ... choose what is booted ...
		rule("boot override", "PATCH", "/redfish/v1/Systems/*", "Boot"),
		// ... and put media in (by action since VirtualMedia.v1_2_0, by PATCH before).
		rule("virtual media", "POST", "/redfish/v1/**/VirtualMedia/*/Actions/VirtualMedia.InsertMedia"),
		rule("virtual media", "POST", "/redfish/v1/**/VirtualMedia/*/Actions/VirtualMedia.EjectMedia"),
		rule("virtual media", "PATCH", "/redfish/v1/**/VirtualMedia/*", "Image", "Inserted", "WriteProtected",
			"UserName", "Password", "TransferProtocolType", "TransferMethod", "MediaTypes"),
	}
}

// customRules give a custom role what its privileges mean: Login reads, each of
// the others writes in its areas, ConfigureComponents does what an Operator does,
// and ConfigureManager writes wherever no area is.
func customRules() []Rule {
	rules := []Rule{{Name: "read", Allow: true, Privileges: auth.MayLogIn, Methods: reads, custom: true}}
	for _, a := range areas {
		for _, path := range a.paths {
			rules = append(rules,
				Rule{Name: a.name, Allow: true, Privileges: a.needs, Methods: writes, Path: path, custom: true},
				Rule{Name: a.name, Path: path, custom: true})
		}
	}
	rules = append(rules, operating(Rule{Allow: true, Privileges: auth.ConfigureComponents, custom: true})...)
	return append(rules, Rule{Name: "manager", Allow: true, Privileges: auth.ConfigureManager, Methods: writes, custom: true})
}

// An area is a part of a device's resources in which one privilege alone writes.
type area struct {
	name  string
	needs auth.Privileges
	paths []string
}

// areas follow the DMTF's operation-to-privilege registry (Redfish_1.8.0), the
// narrower ones first: the first that a path is in decides.
var areas = []area{
	{"control", auth.ConfigureManager, []string{
		"/redfish/v1/Chassis/*/Power/**",
		"/redfish/v1/Chassis/*/PowerSubsystem/**",
		"/redfish/v1/Chassis/*/Thermal/**",
		"/redfish/v1/Chassis/*/ThermalSubsystem/**",
		"/redfish/v1/Chassis/*/Controls/**",
		"/redfish/v1/Chassis/*/EnvironmentMetrics/**",
		"/redfish/v1/Chassis/*/TrustedComponents/**",
		"/redfish/v1/Facilities/*/PowerDomains/**",
	}},
	{"certificates", auth.ConfigureManager, []string{ // those of a system are among its components
		"/redfish/v1/Chassis/**/Certificates/**",
		"/redfish/v1/Fabrics/**/Certificates/**",
		"/redfish/v1/Storage/**/Certificates/**",
		"/redfish/v1/UpdateService/**/Certificates/**",
	}},
	{"components", auth.ConfigureComponents, []string{
		"/redfish/v1/Systems/**",
		"/redfish/v1/Chassis/**",
		"/redfish/v1/Fabrics/**",
		"/redfish/v1/Storage/**",
		"/redfish/v1/Cables/**",
		"/redfish/v1/Facilities/**",
		"/redfish/v1/PowerEquipment/*/**", // without the resource above: that is the manager's
		"/redfish/v1/ThermalEquipment/*/**",
		"/redfish/v1/AutomationNodes/**",
		"/redfish/v1/ResourceBlocks/**",
		"/redfish/v1/CompositionService/ResourceBlocks/**",
		"/redfish/v1/CompositionService/ResourceZones/**",
		"/redfish/v1/UpdateService/**",
	}},
}
