package serve

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/sim"
	"github.com/postern/postern/redfish"
)

// A target has the face of the device behind it, from the first answer on where
// the device shows what it is without a login, and else from the first login on.
func TestFaceOfWhatIsBehind(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		device, profile string // "" = to be found out
		first           string // in the body of the first 401
		later           string // in that of one after a login
	}{
		{"ilo", "", "Base.1.12.NoValidSession", "Base.1.12.NoValidSession"},
		{"ilo", "ilo5", "Base.1.4.NoValidSession", "Base.1.4.NoValidSession"},
		{"ilo", "generic", "Base.1.22.NoValidSession", "Base.1.22.NoValidSession"},
		{"rmc", "", "Base.1.22.NoValidSession", "Base.1.8.NoValidSession"},
		{"generic", "", "Base.1.22.NoValidSession", "Base.1.22.NoValidSession"},
	} {
		t.Run(tt.device+" as "+tt.profile, func(t *testing.T) {
			t.Parallel()
			bmc := start(t, func(ctx context.Context, ready func(Ready), log *slog.Logger) error {
				return RunSim(ctx, SimConfig{Data: t.TempDir(), Ready: ready, Log: log, Profile: tt.device, Device: sim.Config{
					User: "root", Password: auth.NewSecret(devicePassword),
				}})
			})
			at := deviceTarget(t, bmc.ready.URLs["https"], bmc.caPEM())
			at.Profile = tt.profile
			gw := startServer(t, filepath.Join(t.TempDir(), "gw"), at)
			base, c := gw.ready.Targets["bmc1"]["https"], gw.client()
			ask := func(path string, known bool) (int, string) {
				t.Helper()
				r, err := http.NewRequest(http.MethodGet, base+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				if known {
					r.SetBasicAuth("admin", gw.password())
				}
				resp, err := c.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				body, err := io.ReadAll(resp.Body)
				if err != nil {
					t.Fatal(err)
				}
				return resp.StatusCode, string(body)
			}
			if status, body := ask("/redfish/v1/Systems/", false); status != 401 || !strings.Contains(body, tt.first) {
				t.Errorf("first 401: %d %s", status, body)
			}
			lower := 200
			if tt.device == "generic" {
				lower = 404
			}
			if status, body := ask("/redfish/v1/Systems", true); status != 200 {
				t.Errorf("Systems: %d %s", status, body)
			}
			if status, body := ask("/redfish/v1/systems/", true); status != lower && tt.profile != "generic" {
				t.Errorf("systems in lower case: %d %s, want %d", status, body, lower)
			}
			if status, body := ask("/redfish/v1/Systems/", false); status != 401 || !strings.Contains(body, tt.later) {
				t.Errorf("later 401: %d %s", status, body)
			}
		})
	}
}

// A session of Postern's at the face of an iLO is one of an iLO.
func TestSessionAtTheFaceOfAnILO(t *testing.T) {
	t.Parallel()
	bmc := start(t, func(ctx context.Context, ready func(Ready), log *slog.Logger) error {
		return RunSim(ctx, SimConfig{Data: t.TempDir(), Ready: ready, Log: log, Profile: "ilo", Device: sim.Config{
			User: "root", Password: auth.NewSecret(devicePassword),
		}})
	})
	gw := startServer(t, filepath.Join(t.TempDir(), "gw"), deviceTarget(t, bmc.ready.URLs["https"], bmc.caPEM()))
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(gw.caPEM()))
	fresh := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}
	found := ""
	d, err := redfish.NewDevice(redfish.DeviceConfig{
		URL: gw.ready.Targets["bmc1"]["https"], Base: fresh, Fresh: fresh, Found: func(p redfish.Profile) { found = p.Name },
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err := d.Login(t.Context(), auth.Credential{Account: "admin", Password: auth.NewSecret(gw.password())}, auth.LoginOptions{})
	if err != nil || found != "ilo" {
		t.Fatalf("login at what was found to be %q: %v", found, err)
	}
	own, err := d.Own(t.Context(), l)
	if err != nil || own.Account != "admin" || !own.Privileges["iLOConfigPriv"] || own.Expires.IsZero() {
		t.Errorf("own session %+v, %v", own, err)
	}
	l.Location = ""
	if again, err := d.Own(t.Context(), l); err != nil || again.ID != own.ID || fmt.Sprint(again.Privileges) != fmt.Sprint(own.Privileges) {
		t.Errorf("through MySession: %+v, %v", again, err)
	}
	l.Location = own.Location
	if err := d.Logout(t.Context(), l); err != nil {
		t.Error(err)
	}
}
