package sim

import (
	"net/http"
	"testing"

	"github.com/postern/postern/auth"
)

// Who may do what with a resource is what the registry Redfish_1.8.0 has for its
// type.
func TestMayCall(t *testing.T) {
	t.Parallel()
	m, err := NewMachine(MachineConfig{Name: "node7"})
	if err != nil {
		t.Fatal(err)
	}
	const (
		parts   = auth.MayLogIn | auth.ConfigureComponents
		manager = auth.MayLogIn | auth.ConfigureManager
		users   = auth.MayLogIn | auth.ConfigureUsers
	)
	for _, tt := range []struct {
		name, method, path, body string
		who                      auth.Privileges // who may
	}{
		{"a system's reset", "POST", systemPath + "/Actions/ComputerSystem.Reset", `{"ResetType":"ForceRestart"}`, parts},
		{"a system", "PATCH", systemPath, `{"AssetTag":"x"}`, parts},
		{"a chassis", "PATCH", rootPath + "/Chassis/1", `{"AssetTag":"x"}`, parts},
		{"firmware", "POST", updatePath + "/Actions/UpdateService.SimpleUpdate", `{"ImageURI":"https://192.0.2.1/x.bin"}`, parts},
		{"an upload", "POST", uploadPath, "image", parts},
		{"a manager's reset", "POST", managerPath + "/Actions/Manager.Reset", `{}`, manager},
		{"a manager's protocols", "PATCH", managerPath + "/NetworkProtocol", `{"NTP":{"ProtocolEnabled":true}}`, manager},
		{"a manager's interface", "PATCH", managerPath + "/EthernetInterfaces/1", `{}`, manager},
		{"a manager's log", "POST", managerPath + "/LogServices/Log/Actions/LogService.ClearLog", `{}`, manager},
		{"a system's log", "POST", systemPath + "/LogServices/Log/Actions/LogService.ClearLog", `{}`, parts},
		{"media", "POST", systemPath + "/VirtualMedia/Cd/Actions/VirtualMedia.EjectMedia", `{}`, manager},
	} {
		for _, who := range []auth.Privileges{auth.MayLogIn, users, parts, manager} {
			w := ask(m, who, tt.method, tt.path, tt.body)
			if may := w.Code != http.StatusForbidden; may != (who == tt.who) {
				t.Errorf("%s by %v: status %d: %s", tt.name, who, w.Code, w.Body)
			}
			if w.Code == http.StatusNotFound || w.Code == http.StatusMethodNotAllowed {
				t.Errorf("%s: status %d shows nothing", tt.name, w.Code)
			}
		}
	}
}
