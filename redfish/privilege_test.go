package redfish

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/postern/postern/auth"
)

// Our rows are those of the published registry, exceptions included, but for
// the exceptions that nothing here asks for.
func TestPrivilegesAreTheRegistrys(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(filepath.Join(publishedData(t), "registries", "Redfish_1.8.0_PrivilegeRegistry.json"))
	if err != nil {
		t.Fatal(err)
	}
	var published PrivilegeRegistry
	if err := json.Unmarshal(raw, &published); err != nil {
		t.Fatal(err)
	}
	row := func(entity string) *PrivilegeMapping {
		for i := range published.Mappings {
			if published.Mappings[i].Entity == entity {
				return &published.Mappings[i]
			}
		}
		return nil
	}
	left := []string{"EthernetInterface", "EthernetInterfaceCollection", "EnvironmentMetrics", "LogService", "LogServiceCollection", "LogEntry", "LogEntryCollection"}
	for _, ours := range PrivilegeMap("/redfish/v1/AccountService/PrivilegeMap").Mappings {
		theirs := row(ours.Entity)
		if theirs == nil {
			t.Errorf("%s is not in the registry", ours.Entity)
			continue
		}
		if !sameOperations(ours.OperationMap, theirs.OperationMap) {
			t.Errorf("%s: %v, want %v", ours.Entity, ours.OperationMap, theirs.OperationMap)
		}
		if slices.Contains(left, ours.Entity) {
			continue
		}
		if !sameOverrides(ours.PropertyOverrides, theirs.PropertyOverrides) || !sameOverrides(ours.SubordinateOverrides, theirs.SubordinateOverrides) {
			t.Errorf("%s: the exceptions differ: %+v", ours.Entity, theirs)
		}
	}
}

// sameOperations compares without regard to the order of what is OR-ed.
func sameOperations(a, b OperationMap) bool {
	sorted := func(m OperationMap) map[string][]string {
		out := map[string][]string{}
		for method, sets := range m {
			for _, s := range sets {
				b, _ := json.Marshal(s)
				out[method] = append(out[method], string(b))
			}
			slices.Sort(out[method])
		}
		return out
	}
	return reflect.DeepEqual(sorted(a), sorted(b))
}

func sameOverrides(a, b []PrivilegeOverride) bool {
	return slices.EqualFunc(a, b, func(x, y PrivilegeOverride) bool {
		return slices.Equal(x.Targets, y.Targets) && sameOperations(x.OperationMap, y.OperationMap)
	})
}

func TestPrivileged(t *testing.T) {
	t.Parallel()
	held := func(p auth.Privileges) auth.Principal { return auth.Principal{Role: "custom", Privileges: p} }
	admin, operator, reader := held(auth.AllPrivileges), held(auth.MayLogIn|auth.ConfigureComponents|auth.ConfigureSelf), held(auth.MayLogIn|auth.ConfigureSelf)
	for _, tt := range []struct {
		name, entity, method string
		who                  auth.Principal
		own                  bool
		props                []string
		want                 bool
	}{
		{"reader reads a role", "Role", "GET", reader, false, nil, true},
		{"reader changes a role", "Role", "PATCH", reader, false, nil, false},
		{"reader, own account", "ManagerAccount", "GET", reader, true, nil, true},
		{"reader, another's", "ManagerAccount", "GET", reader, false, nil, false},
		{"reader, another's tag", "ManagerAccount", "HEAD", reader, false, nil, false},
		{"reader, own password", "ManagerAccount", "PATCH", reader, true, []string{"Password"}, true},
		{"reader, another's password", "ManagerAccount", "PATCH", reader, false, []string{"Password"}, false},
		{"reader, own password and role", "ManagerAccount", "PATCH", reader, true, []string{"Password", "RoleId"}, false},
		{"reader, own account, what is not known", "ManagerAccount", "PATCH", reader, true, nil, false},
		{"users' keeper, any account", "ManagerAccount", "PATCH", held(auth.ConfigureUsers), false, []string{"Password", "RoleId"}, true},
		{"manager reads an account", "ManagerAccount", "GET", held(auth.ConfigureManager), false, nil, true},
		{"manager makes an account", "ManagerAccountCollection", "POST", held(auth.ConfigureManager | auth.MayLogIn), false, nil, false},
		{"reader reads a certificate", "Certificate", "GET", reader, false, nil, false},
		{"operator reads a certificate", "Certificate", "GET", operator, false, nil, false},
		{"operator resets", "ComputerSystem", "POST", operator, false, nil, true},
		{"operator, manager", "Manager", "PATCH", operator, false, nil, false},
		{"reader, own session", "Session", "DELETE", reader, true, nil, true},
		{"reader, another's session", "Session", "DELETE", reader, false, nil, false},
		{"reader, own subscription", "EventDestination", "DELETE", reader, true, nil, true},
		{"reader makes a subscription", "EventDestinationCollection", "POST", reader, false, nil, false},
		{"operator makes a subscription", "EventDestinationCollection", "POST", operator, false, nil, true},
		{"without login", "Role", "GET", held(auth.ConfigureSelf), false, nil, false},
		{"nobody", "Role", "GET", auth.Principal{}, false, nil, false},
		{"a role that is gone", "Role", "GET", auth.Principal{Role: "gone"}, true, nil, false},
		{"a type that is not there", "Toaster", "GET", reader, false, nil, true},
		{"a type that is not there, change", "Toaster", "PATCH", operator, false, nil, false},
		{"administrator", "Toaster", "PATCH", admin, false, nil, true},
	} {
		if got := Privileged(tt.entity, tt.method, tt.who, tt.own, tt.props...); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
	if !Privileged("Role", http.MethodPatch, auth.Principal{Role: auth.Administrator}, false) {
		t.Error("an authority that fills nothing in: the Administrator may not")
	}
}

func TestPrivilegeMapIsInOrder(t *testing.T) {
	t.Parallel()
	reg := PrivilegeMap("/redfish/v1/AccountService/PrivilegeMap")
	if reg.ID != "PrivilegeMap" || !slices.IsSortedFunc(reg.Mappings, func(a, b PrivilegeMapping) int {
		if a.Entity < b.Entity {
			return -1
		}
		return 1
	}) {
		t.Errorf("%+v", reg)
	}
}
