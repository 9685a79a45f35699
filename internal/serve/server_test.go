package serve

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/admin"
	"github.com/postern/postern/internal/config"
	"github.com/postern/postern/internal/sim"
	"github.com/postern/postern/internal/target"
)

// running is a server or a simulator in this process.
type running struct {
	t     testing.TB
	ready Ready
	stop  context.CancelFunc
	done  chan struct{}
	err   error // once done is closed
	log   *logBuffer
}

// start runs f until the test ends or it is stopped, and waits until it is ready.
func start(t testing.TB, f func(ctx context.Context, ready func(Ready), log *slog.Logger) error) *running {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	r := &running{t: t, stop: stop, done: make(chan struct{}), log: &logBuffer{}}
	ready := make(chan Ready, 1)
	go func() {
		defer close(r.done)
		r.err = f(ctx, func(x Ready) { ready <- x }, slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	}()
	select {
	case r.ready = <-ready:
	case <-r.done:
		t.Fatalf("not ready: %v", r.err)
	}
	t.Cleanup(func() { r.end() })
	return r
}

func (r *running) end() {
	r.stop()
	<-r.done
	if r.err != nil {
		r.t.Errorf("ended with %v\n%s", r.err, r.log)
	}
}

func (r *running) client() *http.Client {
	r.t.Helper()
	data, err := os.ReadFile(r.ready.CAFile)
	if err != nil {
		r.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(data)
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	r.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func (r *running) password() string {
	r.t.Helper()
	data, err := os.ReadFile(r.ready.PasswordFile)
	if err != nil {
		r.t.Fatal(err)
	}
	return strings.TrimSuffix(string(data), "\n")
}

const devicePassword = "the device's own password"

func startSim(t *testing.T, journal io.Writer) *running {
	t.Helper()
	return start(t, func(ctx context.Context, ready func(Ready), log *slog.Logger) error {
		return RunSim(ctx, SimConfig{Data: t.TempDir(), Ready: ready, Log: log, Device: sim.Config{
			User: "root", Password: auth.NewSecret(devicePassword), Journal: journal,
		}})
	})
}

func startServer(t *testing.T, data string, targets ...target.Target) *running {
	t.Helper()
	return start(t, func(ctx context.Context, ready func(Ready), log *slog.Logger) error {
		return Run(ctx, Config{Data: data, Targets: targets, Ready: ready, Log: log})
	})
}

// deviceTarget is the target bmc1 at a device's URL, its password in a file.
func deviceTarget(t *testing.T, url, caPEM string) target.Target {
	t.Helper()
	file := filepath.Join(t.TempDir(), "pw")
	if err := os.WriteFile(file, []byte(devicePassword+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return target.Target{
		Name: "bmc1", Family: "redfish", URL: url, CAPEM: caPEM, Account: "root", Source: "file:" + file, Method: auth.MethodAuto,
	}
}

func (r *running) caPEM() string {
	r.t.Helper()
	data, err := os.ReadFile(r.ready.CAFile)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(data)
}

// An unmodified client logs in to Postern, reads, logs out; the device sees one
// login, which outlives it, and loses it when Postern stops.
func TestGateway(t *testing.T) {
	t.Parallel()
	journal := &logBuffer{}
	bmc := startSim(t, journal)
	gw := startServer(t, filepath.Join(t.TempDir(), "gw"), deviceTarget(t, bmc.ready.URLs["https"], bmc.caPEM()))
	base, c := gw.ready.Targets["bmc1"]["https"], gw.client()
	if base == "" || gw.ready.URLs["https"] != base || gw.ready.User != "admin" || gw.ready.PID != os.Getpid() {
		t.Errorf("ready: %+v", gw.ready)
	}

	body := fmt.Sprintf(`{"UserName":"admin","Password":%q}`, gw.password())
	resp, err := c.Post(base+"/redfish/v1/SessionService/Sessions", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	token, location := resp.Header.Get("X-Auth-Token"), resp.Header.Get("Location")
	if resp.StatusCode != 201 || !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(token) ||
		!strings.HasPrefix(location, base+"/redfish/v1/SessionService/Sessions/") {
		t.Fatalf("login: %d, token %q, location %q", resp.StatusCode, token, location)
	}
	call := func(method, url string, want int) string {
		t.Helper()
		r, err := http.NewRequest(method, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Auth-Token", token)
		resp, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		data, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != want {
			t.Errorf("%s %s: %d, %v, want %d: %s", method, url, resp.StatusCode, err, want, data)
		}
		return string(data)
	}
	if systems := call("GET", base+"/redfish/v1/Systems", 200); !strings.Contains(systems, "/redfish/v1/Systems/1") {
		t.Errorf("systems: %s", systems)
	}
	call("GET", base+"/redfish/v1/Chassis", 200)
	call("DELETE", location, 204)
	call("GET", base+"/redfish/v1/Systems", 401)
	if n := strings.Count(journal.String(), `"event":"login"`); n != 1 {
		t.Errorf("%d logins at the device, want 1:\n%s", n, journal)
	}
	if strings.Contains(journal.String(), `"event":"logout"`) {
		t.Error("the caller's logout reached the device")
	}
	gw.end()
	if n := strings.Count(journal.String(), `"event":"logout"`); n != 1 {
		t.Errorf("%d logouts at the device after the stop, want 1:\n%s", n, journal)
	}
	lines := gw.log.String()
	for _, secret := range []string{gw.password(), devicePassword, token} {
		if strings.Contains(lines, secret) {
			t.Error("a secret is in the log")
		}
	}
	for _, want := range []string{"method=POST path=/redfish/v1/SessionService/Sessions status=201", "method=DELETE", "caller=admin"} {
		if !strings.Contains(lines, want) {
			t.Errorf("the log lacks %q", want)
		}
	}
}

// slowDevice answers its Systems when it is told to.
func slowDevice(t *testing.T) (url, caPEM string, arrived, release chan struct{}) {
	arrived, release = make(chan struct{}), make(chan struct{})
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.URL.Path == "/redfish/v1/":
			io.WriteString(w, `{"@odata.id":"/redfish/v1/","Systems":{"@odata.id":"/redfish/v1/Systems"}}`)
		case r.Header.Get("Authorization") == "":
			w.WriteHeader(401)
		case r.URL.Path == "/redfish/v1/Slow":
			close(arrived)
			<-release
			io.WriteString(w, `{"slow":true}`)
		default:
			io.WriteString(w, `{}`)
		}
	}))
	t.Cleanup(srv.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	return srv.URL, string(ca), arrived, release
}

func TestStopLetsRequestsEnd(t *testing.T) {
	t.Parallel()
	url, ca, arrived, release := slowDevice(t)
	gw := startServer(t, filepath.Join(t.TempDir(), "gw"), deviceTarget(t, url, ca))
	answer := make(chan string, 1)
	go func() {
		r, _ := http.NewRequest("GET", gw.ready.URLs["https"]+"/redfish/v1/Slow", nil)
		r.SetBasicAuth("admin", gw.password())
		resp, err := gw.client().Do(r)
		if err != nil {
			answer <- err.Error()
			return
		}
		defer resp.Body.Close()
		data, _ := io.ReadAll(resp.Body)
		answer <- resp.Status + " " + string(data)
	}()
	select {
	case <-arrived:
	case got := <-answer:
		t.Fatalf("answered before the device did: %s\n%s", got, gw.log)
	}
	gw.stop()
	// The listener closes at once; the request stays.
	for {
		conn, err := net.Dial("tcp", strings.TrimPrefix(gw.ready.URLs["https"], "https://"))
		if err != nil {
			break
		}
		conn.Close()
	}
	select {
	case got := <-answer:
		t.Errorf("cut off: %s", got)
	case <-gw.done:
		t.Error("stopped while a request was under way")
	default:
	}
	close(release)
	if got := <-answer; got != `200 OK {"slow":true}` {
		t.Errorf("got %s", got)
	}
	gw.end()
}

// Targets come and go while the server runs, and come again at once.
func TestTargetsComeAndGo(t *testing.T) {
	t.Parallel()
	bmc := startSim(t, nil)
	data := filepath.Join(t.TempDir(), "gw")
	gw := startServer(t, data)
	if len(gw.ready.Targets) != 0 || len(gw.ready.URLs) != 0 {
		t.Errorf("ready: %+v", gw.ready)
	}
	c := admin.NewClient(func(ctx context.Context) (net.Conn, error) { return DialSocket(ctx, data) })
	defer c.Close()
	get := func(url string) int {
		t.Helper()
		r, _ := http.NewRequest("GET", url+"/redfish/v1/Systems", nil)
		r.SetBasicAuth("admin", gw.password())
		resp, err := gw.client().Do(r)
		if err != nil {
			return 0
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	for range 3 {
		made, err := c.AddTarget(t.Context(), admin.NewTarget{
			Name: "bmc1", URL: bmc.ready.URLs["https"], CAPEM: bmc.caPEM(), User: "root", Password: auth.NewSecret(devicePassword),
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := get(made.Gateway); got != 200 {
			t.Errorf("after add: %d, want 200\n%s", got, gw.log)
		}
		if err := c.RemoveTarget(t.Context(), "bmc1"); err != nil {
			t.Fatal(err)
		}
		if got := get(made.Gateway); got != 0 {
			t.Errorf("after remove: %d, want nothing", got)
		}
	}
	if err := c.CheckTarget(t.Context(), "bmc1"); admin.CodeOf(err) != admin.NotFound {
		t.Errorf("check of a removed target: %v", err)
	}
}

func TestRunRefuses(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "gw")
	dup := deviceTarget(t, "https://192.0.2.1", "")
	gw := startServer(t, data)
	if err := Run(t.Context(), Config{Data: data}); err == nil || !strings.Contains(err.Error(), "in use by postern serve") {
		t.Errorf("second server: %v", err)
	}
	c := admin.NewClient(func(ctx context.Context) (net.Conn, error) { return DialSocket(ctx, data) })
	if _, err := c.AddTarget(t.Context(), admin.NewTarget{
		Name: dup.Name, URL: dup.URL, User: "root", Password: auth.NewSecret("x"),
	}); err != nil {
		t.Fatal(err)
	}
	c.Close()
	gw.end()
	// The same name from the file and from a command.
	err := Run(t.Context(), Config{Data: data, Targets: []target.Target{dup}})
	if err == nil || !strings.Contains(err.Error(), "added by a command") {
		t.Errorf("same name from both sides: %v", err)
	}
	// Told to stop before it is ready: that is no failure.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Run(ctx, Config{Data: filepath.Join(t.TempDir(), "gw2")}); err != nil {
		t.Errorf("stopped at once: %v", err)
	}
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	targets := []target.Target{{Name: "a"}, {Name: "b", Address: "10.0.0.1:7"}, {Name: "c"}}
	for _, c := range []struct {
		name      string
		listeners []config.Listener
		want      map[string]place
	}{
		{"none", nil, map[string]place{"a": {loopback, 0}, "b": {"10.0.0.1", 7}, "c": {loopback, 0}}},
		{"all", []config.Listener{{Host: "::1", All: true}}, map[string]place{"a": {"::1", 0}, "b": {"10.0.0.1", 7}, "c": {"::1", 0}}},
		{"one named", []config.Listener{{Host: "0.0.0.0", All: true}, {Host: "h", Port: 9, Targets: []string{"c", "b"}}},
			map[string]place{"a": {"0.0.0.0", 0}, "b": {"10.0.0.1", 7}, "c": {"h", 9}}},
		{"two behind one port", []config.Listener{{Port: 443, All: true}}, nil},
	} {
		got, err := places(targets, c.listeners)
		if (err == nil) != (c.want != nil) || fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: got %v, %v, want %v", c.name, got, err, c.want)
		}
	}
}

func TestFamilies(t *testing.T) {
	t.Parallel()
	known := Families()
	if len(known) != 1 || known[0].Family != "redfish" || len(known[0].Profiles) == 0 {
		t.Errorf("families: %+v", known)
	}
	good := target.Target{Name: "a", Family: "redfish", URL: "https://b", Account: "u"}
	for _, profile := range []string{"", "generic", "ilo", "rmc", "ilo,location=relative,slash=always"} {
		good.Profile = profile
		if err := CheckTarget(good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []func(*target.Target){
		func(t *target.Target) { t.Family = "hmc" },
		func(t *target.Target) { t.Profile = "nonesuch" },
		func(t *target.Target) { t.Profile = "ilo,location=somewhere" },
		func(t *target.Target) { t.Profile = "ilo,colour=red" },
		func(t *target.Target) { t.URL = "http://b" },
	} {
		x := good
		bad(&x)
		if err := CheckTarget(x); err == nil {
			t.Errorf("passed: %+v", x)
		}
	}
}
