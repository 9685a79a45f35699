//go:build integration

package interop

import (
	"net/http"
	"testing"
)

const simulator = "postern sim redfish"

// Every client talks to the simulated device itself.
func TestClientsDirect(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.sim("--slots", "16")
	for _, s := range scenes {
		s.record(t, w, d.endpoint, simulator, "direct")
	}
	if left := d.sessions(d.client(t)); len(left) != 0 {
		t.Errorf("the clients left %d sessions at the device: %v", len(left), left)
	}
}

// A session that ends by itself, not by somebody's DELETE.
func TestClientsSessionExpires(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.sim("--slots", "16", "--idle", "2s")
	d.expire = "3"
	for _, s := range []scene{pyRelogin, aioRelogin, suRelogin} {
		s.what += " (after 2 s of idleness)"
		s.record(t, w, d.endpoint, simulator, "direct")
	}
	if got := len(d.lines("expired")); got < 3 {
		t.Errorf("the device's journal tells of %d expired sessions, want 3 at least", got)
	}
}

// Every client talks to the gateway, with an account of Postern, and all of
// them share one login at the device.
func TestClientsGateway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.sim("--slots", "4", "--lockout", "3")
	g := w.gateway(d.target()).up(w)
	for _, s := range scenes {
		s.record(t, w, g.endpoint, simulator, "gateway")
	}
	checkOneLogin(t, d)

	c := d.client(t)
	if held := d.sessions(c); len(held) != 1 {
		t.Errorf("the device lists %d sessions while the gateway runs, want 1: %v", len(held), held)
	}
	g.stop()
	if left := d.sessions(c); len(left) != 0 {
		t.Errorf("the device lists %d sessions after the gateway's end: %v", len(left), left)
	}
	if a, err := d.call(c, http.MethodGet, "/redfish/v1/Systems", nil); err != nil || a.status != http.StatusOK {
		t.Errorf("the device's account is not usable: status %d, %v", a.status, err)
	}
}

// checkOneLogin wants one login, and no refused one, in the device's journal.
func checkOneLogin(t *testing.T, d *device) {
	t.Helper()
	if got := d.lines("login"); len(got) != 1 {
		t.Errorf("the device's journal has %d logins, want 1: %v", len(got), got)
	}
	if got := d.lines("login-refused"); len(got) != 0 {
		t.Errorf("the device's journal has refused logins: %v", got)
	}
}
