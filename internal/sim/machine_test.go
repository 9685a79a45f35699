package sim

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/postern/postern/auth"
)

// ask sends one request to a machine, as whoever holds the privileges.
func ask(m *Machine, who auth.Privileges, method, path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if who != 0 {
		r = r.WithContext(auth.WithPrincipal(r.Context(), auth.Principal{Account: "joe", Privileges: who}))
	}
	w := httptest.NewRecorder()
	m.ServeHTTP(w, r)
	return w
}

func TestMachine(t *testing.T) {
	t.Parallel()
	m, err := NewMachine(MachineConfig{Name: "node7"})
	if err != nil {
		t.Fatal(err)
	}
	operator, _ := auth.PredefinedPrivileges(auth.Operator)
	reset := systemPath + "/Actions/ComputerSystem.Reset"
	for _, tt := range []struct {
		name, method, path, body string
		who                      auth.Privileges
		want                     int
	}{
		{"open document", "GET", "/redfish/v1/", "", 0, 200},
		{"read", "GET", systemPath, "", auth.MayLogIn, 200},
		{"read without Login", "GET", systemPath, "", auth.ConfigureSelf, 403},
		{"write by nobody", "PATCH", systemPath, `{"AssetTag":"x"}`, 0, 403},
		{"write by a reader", "PATCH", systemPath, `{"AssetTag":"x"}`, auth.MayLogIn, 403},
		{"reset by an operator", "POST", reset, `{"ResetType":"ForceOff"}`, operator, 204},
		{"manager by an operator", "POST", managerPath + "/Actions/Manager.Reset", `{}`, operator, 403},
		{"manager by an administrator", "POST", managerPath + "/Actions/Manager.Reset", `{}`, auth.AllPrivileges, 204},
	} {
		if w := ask(m, tt.who, tt.method, tt.path, tt.body); w.Code != tt.want {
			t.Errorf("%s: status %d, want %d: %s", tt.name, w.Code, tt.want, w.Body)
		}
	}
	if w := ask(m, auth.MayLogIn, http.MethodGet, systemPath, ""); !strings.Contains(w.Body.String(), `"PowerState": "Off"`) {
		t.Errorf("after the reset: %s", w.Body)
	}
	if got := m.Manager(); got != managerPath {
		t.Errorf("manager %q", got)
	}
	if !slices.Contains(m.Types(), "ComputerSystem.v1_27_0") {
		t.Errorf("types %v", m.Types())
	}
	if !strings.Contains(string(m.Root()), `"Systems"`) {
		t.Errorf("root %s", m.Root())
	}
}
