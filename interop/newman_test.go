//go:build integration

package interop

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// versionNewman is that of the installed newman; "" = there is none.
func versionNewman() string {
	var p struct{ Version string }
	if data, err := os.ReadFile("../.newman/node_modules/newman/package.json"); err == nil {
		json.Unmarshal(data, &p)
	}
	return p.Version
}

var newmanToken = regexp.MustCompile(`token=([0-9a-f]{32})`)

// newmanSession runs the Postman collection of newman/: it logs in, keeps token
// and Location in variables, reads with them, and deletes the session.
func newmanSession(t *testing.T, w *world, e endpoint) error {
	collection, err := filepath.Abs("newman/session.postman_collection.json")
	if err != nil {
		return err
	}
	bin, err := filepath.Abs("../.newman/node_modules/.bin/newman")
	if err != nil {
		return err
	}
	values := []map[string]string{{"key": "base", "value": e.base}, {"key": "user", "value": e.user}, {"key": "password", "value": e.password}}
	env, err := json.Marshal(map[string]any{"name": "device", "values": values})
	if err != nil {
		return err
	}
	file := filepath.Join(t.TempDir(), "device.postman_environment.json")
	if err := os.WriteFile(file, env, 0o600); err != nil {
		return err
	}
	out, err := runClient(t, nil, bin, "run", collection, "--environment", file, "--ssl-extra-ca-certs", e.ca, "--color", "off")
	if err != nil {
		return err
	}
	found := newmanToken.FindSubmatch(out)
	if found == nil {
		return fmt.Errorf("newman printed no token: %s", tailOf(string(out)))
	}
	w.secret("token of newman", string(found[1]))
	return nil
}

// TestNewman runs Postman's collection, direct and through the gateway.
func TestNewman(t *testing.T) {
	t.Parallel()
	need(t, versionNewman() != "", "Postman's newman in .newman (run: make setup)")
	s := scene{"newman", "a Postman collection: log in, keep token and Location in variables, read with them, DELETE the session", newmanSession}
	for name, start := range map[string]func(*world) *device{
		simulator:    func(w *world) *device { return w.sim() },
		iloSimulator: func(w *world) *device { return w.hpe("ilo") },
		rmcSimulator: func(w *world) *device { return w.hpe("rmc") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			d := start(w)
			s.record(t, w, d.endpoint, name, "direct")
			s.record(t, w, w.gateway(d.target()).up(w).endpoint, name, "gateway")
			if lines := d.lines("login"); len(lines) != 2 {
				t.Errorf("the device's journal has %d logins, want one of newman and one of the gateway", len(lines))
			}
		})
	}
}
