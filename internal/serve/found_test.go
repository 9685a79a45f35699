package serve

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/admin"
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

// Somebody with a certificate logs in at the face of an iLO as at the iLO itself.
func TestCertificateLoginAtTheFaceOfAnILO(t *testing.T) {
	t.Parallel()
	bmc := start(t, func(ctx context.Context, ready func(Ready), log *slog.Logger) error {
		return RunSim(ctx, SimConfig{Data: t.TempDir(), Ready: ready, Log: log, Profile: "ilo", Device: sim.Config{
			User: "root", Password: auth.NewSecret(devicePassword),
		}})
	})
	data := filepath.Join(t.TempDir(), "gw")
	gw := startServer(t, data, deviceTarget(t, bmc.ready.URLs["https"], bmc.caPEM()))
	api := admin.NewClient(func(ctx context.Context) (net.Conn, error) { return DialSocket(ctx, data) })
	t.Cleanup(api.Close)
	ca := issue(t, nil, ecKey(t), func(c *x509.Certificate) { c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign })
	mine := issue(t, &ca, ecKey(t), func(c *x509.Certificate) {
		c.Subject.CommonName, c.ExtKeyUsage = "ann", []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	})
	if _, err := api.CreateAccount(t.Context(), admin.NewAccount{Name: "ann", Role: auth.ReadOnly, Password: auth.NewSecret("correct-horse")}); err != nil {
		t.Fatal(err)
	}
	if _, err := api.AddCA(t.Context(), admin.NewCA{PEM: ca.pem()}); err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(gw.caPEM()))
	fresh := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}
	d, err := redfish.NewDevice(redfish.DeviceConfig{URL: gw.ready.Targets["bmc1"]["https"], Base: fresh, Fresh: fresh})
	if err != nil {
		t.Fatal(err)
	}
	c := auth.Credential{Certificate: auth.NewClientCertificate(tls.Certificate{Certificate: [][]byte{mine.cert.Raw}, PrivateKey: mine.key})}
	_, err = d.Login(t.Context(), c, auth.LoginOptions{})
	if le, ok := errors.AsType[*auth.LoginError](err); !ok || le.Outcome != auth.Refused || le.Status != 403 {
		t.Fatalf("switched off: %v", err)
	}
	r, err := api.ListenerRules(t.Context(), "target:bmc1")
	if err != nil {
		t.Fatal(err)
	}
	r.Certificates = true
	if _, err := api.SetListenerRules(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	l, err := d.Login(t.Context(), c, auth.LoginOptions{})
	if err != nil || l.Account != "ann" || !strings.HasPrefix(l.ID, "ann00000000") {
		t.Fatalf("login %+v, %v", l, err)
	}
	own, err := d.Own(t.Context(), l)
	if err != nil || !own.Privileges["LoginPriv"] || own.Privileges["VirtualMediaPriv"] {
		t.Errorf("own session %+v, %v", own, err)
	}
	if err := d.Logout(t.Context(), l); err != nil {
		t.Error(err)
	}
}
