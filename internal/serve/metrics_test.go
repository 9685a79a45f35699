package serve

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/postern/postern/internal/target"
)

// What is told fits what happened, and holds no secret.
func TestMetricsOfServer(t *testing.T) {
	t.Parallel()
	bmc := startSim(t, nil)
	gw := start(t, func(ctx context.Context, ready func(Ready), log *slog.Logger) error {
		return Run(ctx, Config{
			Data: filepath.Join(t.TempDir(), "gw"), Targets: []target.Target{deviceTarget(t, bmc.ready.URLs["https"], bmc.caPEM())},
			Metrics: "127.0.0.1:0", Ready: ready, Log: log,
		})
	})
	told := gw.ready.URLs["metrics"]
	if !strings.HasPrefix(told, "http://127.0.0.1:") {
		t.Fatalf("metrics at %q", told)
	}
	base := gw.ready.Targets["bmc1"]["https"]
	if gw.ready.URLs["https"] != base {
		t.Errorf("urls: %+v", gw.ready.URLs)
	}
	const wrong = "a wrong password that is planted"
	call := func(method, path, password string) (token string) {
		t.Helper()
		body := ""
		if method == "POST" {
			body = `{"UserName":"admin","Password":"` + password + `"}`
		}
		req, _ := http.NewRequest(method, base+path, strings.NewReader(body))
		if method == "POST" {
			req.Header.Set("Content-Type", "application/json")
		} else {
			req.SetBasicAuth("admin", password)
		}
		resp, err := gw.client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		io.Copy(io.Discard, resp.Body)
		return resp.Header.Get("X-Auth-Token")
	}
	get := func(path string) (int, string) {
		t.Helper()
		resp, err := http.Get(told + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	call("GET", "/redfish/v1/Systems/1", gw.password())
	call("GET", "/redfish/v1/AccountService", gw.password()) // denied
	call("GET", "/redfish/v1/Systems/1", wrong)
	token := call("POST", "/redfish/v1/SessionService/Sessions", gw.password())
	_, text := get("/metrics")
	for _, line := range []string{
		`postern_calls_total{code="2xx",outcome="answered",target="bmc1"} 1`,
		`postern_calls_total{code="4xx",outcome="denied",target="bmc1"} 1`,
		`postern_refusals_total{reason="rules",target="bmc1"} 1`,
		`postern_device_logins_total{outcome="accepted",target="bmc1"} 1`,
		`postern_logins_total{listener="target:bmc1",outcome="refused"} 1`,
		`postern_wait_seconds_count{target="bmc1"} 1`,
		`postern_device_seconds_count{target="bmc1"} 1`,
		`postern_leases{state="held",target="bmc1"} 1`,
		`postern_leases{state="owed",target="bmc1"} 0`,
		`postern_lease_budget{target="bmc1"} 2`,
		`postern_sessions{listener="target:bmc1"} 1`,
		`postern_targets 1`,
	} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("no line %q", line)
		}
	}
	if t.Failed() {
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "postern_") && !strings.Contains(line, "_bucket{") {
				t.Log(strings.TrimSpace(line))
			}
		}
	}
	for _, secret := range []string{devicePassword, gw.password(), wrong, token, "admin"} {
		if secret == "" || strings.Contains(text, secret) {
			t.Errorf("the metrics hold %q", secret)
		}
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if code, text := get(path); code != 200 || text != "ok\n" {
			t.Errorf("%s: %d %q", path, code, text)
		}
	}
	gw.end()
	if resp, err := http.Get(told + "/healthz"); err == nil {
		resp.Body.Close()
		t.Error("still told after the end")
	}
}

// Without the setting nobody listens, and where others could listen in, nobody either.
func TestMetricsAreLocal(t *testing.T) {
	t.Parallel()
	gw := startServer(t, filepath.Join(t.TempDir(), "gw"))
	if at := gw.ready.URLs["metrics"]; at != "" {
		t.Errorf("unasked at %s", at)
	}
	err := Run(t.Context(), Config{Data: filepath.Join(t.TempDir(), "gw"), Metrics: "0.0.0.0:0"})
	if err == nil || !strings.Contains(err.Error(), "could be read from other machines") {
		t.Errorf("for everybody: %v", err)
	}
}

// A target that is removed takes its series along.
func TestMetricsForget(t *testing.T) {
	t.Parallel()
	bmc := startSim(t, nil)
	one := deviceTarget(t, bmc.ready.URLs["https"], bmc.caPEM())
	r := startReloading(t, Config{Targets: []target.Target{one}, Metrics: "127.0.0.1:0"})
	if got := r.call("GET", "bmc1"); got != 200 {
		t.Fatal(got)
	}
	r.says(Config{Metrics: "127.0.0.1:0"}, nil)
	r.read()
	r.says(Config{Metrics: "127.0.0.1:0", Targets: []target.Target{one}}, nil) // waits until the target is left
	r.read()
	resp, err := http.Get(r.running.ready.URLs["metrics"] + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || strings.Contains(string(text), `outcome="answered",target="bmc1"`) {
		t.Errorf("still there: %v\n%s", err, text)
	}
}
