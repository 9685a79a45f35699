package sim

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestWatch(t *testing.T) {
	t.Parallel()
	const accounts = rootPath + "/AccountService/Accounts"
	for _, tt := range []struct {
		name, method, path string
		status             int
		location           string
		kind, origin       string // of the event, "" for none
	}{
		{"made", "POST", accounts, 201, accounts + "/joe", eventResourceAdded, accounts + "/joe"},
		{"changed", "PATCH", accounts + "/joe", 200, "", eventResourceUpdated, accounts + "/joe"},
		{"password", "POST", accounts + "/joe/Actions/ManagerAccount.ChangePassword", 204, "", eventResourceUpdated, accounts + "/joe"},
		{"removed", "DELETE", accounts + "/joe/", 204, "", eventResourceRemoved, accounts + "/joe"},
		{"refused", "DELETE", accounts + "/joe", 403, "", "", ""},
		{"read", "GET", accounts + "/joe", 200, "", "", ""},
		{"something else", "POST", rootPath + "/SessionService/Sessions", 201, "/x", "", ""},
	} {
		m, err := NewMachine(MachineConfig{})
		if err != nil {
			t.Fatal(err)
		}
		h := m.Watch(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if tt.location != "" {
				w.Header().Set("Location", tt.location)
			}
			w.WriteHeader(tt.status)
		}))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(tt.method, tt.path, nil))
		got := occurrence{}
		if ring := m.device.events.ring; len(ring) > 0 {
			got = ring[0].occurrence
		}
		if w.Code != tt.status || got.kind != tt.kind || got.origin != tt.origin {
			t.Errorf("%s: status %d, %s of %s", tt.name, w.Code, got.kind, got.origin)
		}
		if tt.kind != "" && got.resource != "ManagerAccount" {
			t.Errorf("%s: type %s", tt.name, got.resource)
		}
	}
}
