package gateway_test

import (
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/sim"
)

// The purpose of it all: callers who would fill a device with one session, and
// lock its account, are served through one login.
func TestSmallDevice(t *testing.T) {
	t.Parallel()
	d, err := sim.New(sim.Config{User: "postern", Password: auth.NewSecret(devicePassword), Slots: 1, Lockout: 1})
	if err != nil {
		t.Fatal(err)
	}
	device := httptest.NewTLSServer(d.Handler())
	defer device.Close()
	s := newStack(t, device, options{inFlight: 8})
	root := s.anonymous("GET", "/redfish/v1/")
	hasSessions(t, root.body)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			list, err := s.do(s.request("GET", "/redfish/v1/Systems", nil))
			if err != nil || list.status != 200 || !strings.Contains(list.body, "Members") {
				t.Errorf("got %d %s, %v", list.status, list.body, err)
			}
		})
	}
	all.Wait()
	if got := d.Stats(); got.Sessions != 1 || got.Logins != 1 || got.Refused != 0 {
		t.Errorf("the device counts %+v", got)
	}
	d.DropSessions()
	s.call("GET", "/redfish/v1/Systems", nil).want(t, 200, "Members")
	s.call("GET", "/redfish/v1/AccountService", nil).want(t, 403, "")
	s.call("GET", "/redfish/v1/Nothing", nil).want(t, 404, "")
	s.noSecrets(root)
}
