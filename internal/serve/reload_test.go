package serve

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/admin"
	"github.com/postern/postern/internal/config"
	"github.com/postern/postern/internal/policy"
	"github.com/postern/postern/internal/target"
)

// A reloading server reads whatever the test puts into next.
type reloading struct {
	*running
	data   string
	file   string
	hangup chan struct{}
	api    *admin.Client

	mu   sync.Mutex // guards what follows
	next Config
	err  error // of the reading
	even bool  // the next reading is only there to be waited for
}

// says puts what the next reading gets.
func (r *reloading) says(next Config, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next, r.err = next, err
}

// reading is what the server gets.
func (r *reloading) reading() (Config, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.even = !r.even; !r.even {
		return Config{}, errors.New("nothing more to read")
	}
	return r.next, r.err
}

func startReloading(t *testing.T, first Config) *reloading {
	t.Helper()
	dir := t.TempDir()
	r := &reloading{data: filepath.Join(dir, "gw"), file: filepath.Join(dir, "ready.json"), hangup: make(chan struct{}), next: first}
	first.Data, first.ReadyFile, first.Hangup = r.data, r.file, r.hangup
	first.Read = r.reading
	r.running = start(t, func(ctx context.Context, ready func(Ready), log *slog.Logger) error {
		first.Ready, first.Log = ready, log
		return Run(ctx, first)
	})
	r.api = admin.NewClient(func(ctx context.Context) (net.Conn, error) { return DialSocket(ctx, r.data) })
	t.Cleanup(r.api.Close)
	return r
}

// read has the server read its configuration, and waits until it has.
func (r *reloading) read() {
	r.hangup <- struct{}{}
	r.hangup <- struct{}{} // is taken once the first was looked after
}

// get is the status of a read of admin at a target; 0 = nobody listens.
func (r *reloading) call(method, name string) int {
	r.t.Helper()
	t, err := r.api.Target(r.t.Context(), name)
	if err != nil || t.Gateway == "" {
		return 0
	}
	req, _ := http.NewRequest(method, t.Gateway+"/redfish/v1/Systems/1", nil)
	req.SetBasicAuth("admin", r.password())
	resp, err := r.client().Do(req)
	if err != nil {
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

func TestReload(t *testing.T) {
	t.Parallel()
	bmc := startSim(t, nil)
	one := deviceTarget(t, bmc.ready.URLs["https"], bmc.caPEM())
	two := one
	two.Name = "bmc2"
	r := startReloading(t, Config{Targets: []target.Target{one}})
	if got := r.call("GET", "bmc1"); got != 200 {
		t.Fatalf("before: %d", got)
	}
	before, err := r.api.Target(t.Context(), "bmc1")
	if err != nil {
		t.Fatal(err)
	}

	r.says(Config{Targets: []target.Target{one, two}, Rules: []policy.Rule{{Name: "closed", Targets: []string{"bmc1"}}}}, nil)
	r.read()
	if got := r.call("GET", "bmc1"); got != 403 {
		t.Errorf("a rule that was read: %d, want 403\n%s", got, r.log)
	}
	if got := r.call("GET", "bmc2"); got != 200 {
		t.Errorf("a target that was read: %d, want 200\n%s", got, r.log)
	}
	if text, err := os.ReadFile(r.file); err != nil || !strings.Contains(string(text), "bmc2") {
		t.Errorf("the ready file: %s, %v", text, err)
	}
	if l := before.Lease; l == nil || l.Logins != 1 {
		t.Errorf("logins before: %+v", l)
	}
	if after, err := r.api.Target(t.Context(), "bmc1"); err != nil || after.Gateway != before.Gateway || after.Lease.Logins != 1 {
		t.Errorf("a target that is the same: %+v, %v", after, err)
	}

	one.InFlight = 3
	r.says(Config{Targets: []target.Target{one}}, nil)
	r.read()
	if after, err := r.api.Target(t.Context(), "bmc1"); err != nil || after.InFlight != 3 || r.call("GET", "bmc1") != 200 {
		t.Errorf("a target that was changed: %+v, %v", after, err)
	}
	if got := r.call("GET", "bmc2"); got != 0 {
		t.Errorf("a target that is gone: %d", got)
	}
	r.says(Config{Targets: []target.Target{one, two}}, nil) // back while it is still being left
	r.read()
	if got := r.call("GET", "bmc2"); got != 200 {
		t.Errorf("a target that came back: %d\n%s", got, r.log)
	}
}

// Whatever is wrong, nothing of the rest is taken up.
func TestReloadRefuses(t *testing.T) {
	t.Parallel()
	bmc := startSim(t, nil)
	one := deviceTarget(t, bmc.ready.URLs["https"], bmc.caPEM())
	r := startReloading(t, Config{Targets: []target.Target{one}})
	made, err := r.api.AddTarget(t.Context(), admin.NewTarget{Name: "mine", URL: one.URL, CAPEM: one.CAPEM, User: "root", Password: auth.NewSecret(devicePassword)})
	if err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	two, mine := one, one
	two.Name, mine.Name = "bmc2", "mine"
	noFamily, noPlace := two, two
	noFamily.Family, noPlace.Address = "luna", taken.Addr().String()
	closed := []policy.Rule{{Name: "closed"}}
	for _, c := range []struct {
		name string
		next Config
		err  error
		want string
	}{
		{"unreadable", Config{}, errors.New("p.yaml:3:5: unknown key"), "p.yaml:3:5: unknown key"},
		{"bad rule", Config{Targets: []target.Target{one, two}, Rules: []policy.Rule{{}}}, nil, "a rule needs a name"},
		{"name in use", Config{Targets: []target.Target{one, two, mine}}, nil, "it was added by a command"},
		{"unknown family", Config{Targets: []target.Target{one, noFamily}}, nil, "is not served by this build"},
		{"port in use", Config{Targets: []target.Target{one, noPlace}}, nil, "address already in use"},
		{"moved", Config{Targets: []target.Target{one, two}, Listeners: []config.Listener{{Host: "127.0.0.2", Targets: []string{"bmc1"}}}}, nil, "the address of target bmc1 changes"},
		{"tree", Config{Targets: []target.Target{one, two}, Listeners: []config.Listener{{Host: loopback, Tree: true}}}, nil, "that takes a new start"},
		{"certificate", Config{Targets: []target.Target{one, two}, Listeners: []config.Listener{{Host: loopback, All: true, CertFile: "/nothing", KeyFile: "/nothing"}}}, nil, "cert_file"},
		{"metrics", Config{Targets: []target.Target{one, two}, Metrics: "127.0.0.1:1"}, nil, "the address of the metrics changes"},
	} {
		if c.next.Rules == nil {
			c.next.Rules = closed
		}
		r.says(c.next, c.err)
		r.read()
		if got := r.log.String(); !strings.Contains(got, "everything stays as it is") || !strings.Contains(got, c.want) {
			t.Errorf("%s: the log does not say %q:\n%s", c.name, c.want, got)
		}
		if got := r.call("GET", "bmc1"); got != 200 {
			t.Errorf("%s: %d, want 200", c.name, got)
		}
		if _, err := r.api.Target(t.Context(), "bmc2"); admin.CodeOf(err) != admin.NotFound {
			t.Errorf("%s: a target was taken up: %v", c.name, err)
		}
	}
	if got, err := r.api.Target(t.Context(), "mine"); err != nil || got.Gateway != made.Gateway {
		t.Errorf("the other target: %+v, %v", got, err)
	}
}

func TestReloadCertificates(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	a, b, put := issue(t, nil, ecKey(t), nil), issue(t, nil, ecKey(t), nil), issue(t, nil, ecKey(t), nil)
	l := config.Listener{Tree: true, Host: loopback, CertFile: file("cert", a.pem()), KeyFile: file("key", a.keyText(t))}
	r := startReloading(t, Config{Listeners: []config.Listener{l}})
	shown := func(what, want string) {
		t.Helper()
		if c, err := r.api.ServerCertificate(t.Context(), "tree"); err != nil || (want != "") != (c.PEM == want) {
			t.Errorf("%s: got %s, %v", what, c.PEM, err)
		}
	}
	shown("at first", a.pem())
	file("cert", b.pem())
	r.read() // the key does not fit
	shown("half of it", a.pem())
	file("key", b.keyText(t))
	r.read()
	shown("read again", b.pem())
	if _, err := r.api.ReplaceServerCertificate(t.Context(), "tree", put.pem(), put.keyPEM(t)); admin.CodeOf(err) != admin.Conflict {
		t.Errorf("replace: %v", err)
	}
	bare := l
	bare.CertFile, bare.KeyFile, bare.ClientCertificates = "", "", config.CertificatesOn
	r.says(Config{Listeners: []config.Listener{bare}}, nil)
	r.read()
	if c, err := r.api.ServerCertificate(t.Context(), "tree"); err != nil || c.PEM == b.pem() {
		t.Errorf("without: got %+v, %v", c, err)
	}
	if rules, err := r.api.ListenerRules(t.Context(), "tree"); err != nil || !rules.Certificates {
		t.Errorf("client certificates: %+v, %v", rules, err)
	}
	if _, err := r.api.ReplaceServerCertificate(t.Context(), "tree", put.pem(), put.keyPEM(t)); err != nil {
		t.Fatal(err)
	}
	r.says(Config{Listeners: []config.Listener{l}}, nil)
	r.read()
	shown("with again", b.pem())
	r.says(Config{Listeners: []config.Listener{bare}}, nil)
	r.read()
	shown("without, after one was put there", put.pem())
}
