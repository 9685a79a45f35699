package client_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/client"
	"github.com/postern/postern/internal/saved"
	"github.com/postern/postern/internal/sim"
	"github.com/postern/postern/redfish"
)

const (
	password = "Xk7-labSecret.9"
	systems  = "/redfish/v1/Systems"
)

// A bench is a simulated device with clients that share one book, as processes do.
type bench struct {
	*sim.Device
	t       *testing.T
	server  *httptest.Server
	dir     string
	journal *journal

	mu    sync.Mutex // guards clock
	clock time.Time
}

type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) count(event string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Count(j.text.String(), `"event":"`+event+`"`)
}

func start(t *testing.T, cfg sim.Config) *bench {
	t.Helper()
	b := &bench{t: t, journal: &journal{}, dir: filepath.Join(t.TempDir(), "state"), clock: time.Now()}
	cfg.User, cfg.Password, cfg.Journal = "root", auth.NewSecret(password), b.journal
	d, err := sim.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	b.Device = d
	b.server = httptest.NewTLSServer(d.Handler())
	t.Cleanup(b.server.Close)
	return b
}

func (b *bench) now() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.clock
}

func (b *bench) later(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.clock = b.clock.Add(d)
}

// client is what another process would make.
func (b *bench) client() *client.Client {
	b.t.Helper()
	book, err := saved.Open(b.dir)
	if err != nil {
		b.t.Fatal(err)
	}
	return client.New(book, b.now)
}

func (b *bench) target(method auth.Method) client.Target {
	b.t.Helper()
	shared := b.server.Client().Transport.(*http.Transport)
	fresh := shared.Clone()
	fresh.DisableKeepAlives = true
	d, err := redfish.NewDevice(redfish.DeviceConfig{URL: b.server.URL, Base: shared, Fresh: fresh})
	if err != nil {
		b.t.Fatal(err)
	}
	return client.Target{
		Name: "bmc1", URL: b.server.URL, Family: "redfish", Account: "root", Method: method, Device: d, Transport: shared,
		Credential: func(context.Context) (auth.Credential, error) {
			return auth.Credential{Account: "root", Password: auth.NewSecret(password)}, nil
		},
	}
}

func (b *bench) get(c *client.Client, t client.Target) (int, error) {
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, b.server.URL+systems, nil)
	if err != nil {
		return 0, err
	}
	resp, err := c.Do(b.t.Context(), t, r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

func (b *bench) wantGet(c *client.Client, t client.Target) {
	b.t.Helper()
	if status, err := b.get(c, t); status != http.StatusOK || err != nil {
		b.t.Errorf("GET: status %d, %v", status, err)
	}
}

func TestOneLoginForAll(t *testing.T) {
	t.Parallel()
	b := start(t, sim.Config{})
	var all sync.WaitGroup
	for range 50 {
		c, target := b.client(), b.target(auth.MethodAuto)
		all.Go(func() {
			if status, err := b.get(c, target); status != http.StatusOK || err != nil {
				t.Errorf("status %d, %v", status, err)
			}
		})
	}
	all.Wait()
	if n := b.journal.count("login"); n != 1 {
		t.Errorf("%d logins for 50 commands at once, want 1", n)
	}
	if n, err := b.client().Logout(t.Context(), b.target(auth.MethodAuto)); n != 1 || err != nil {
		t.Errorf("logout: %d, %v", n, err)
	}
	if n := b.Stats().Sessions; n != 0 {
		t.Errorf("%d sessions left at the device", n)
	}
	if n, err := b.client().Logout(t.Context(), b.target(auth.MethodAuto)); n != 0 || err != nil {
		t.Errorf("second logout: %d, %v", n, err)
	}
}

// All who find the login dead at once make one new login.
func TestLostLogin(t *testing.T) {
	t.Parallel()
	b := start(t, sim.Config{})
	b.wantGet(b.client(), b.target(auth.MethodSession))
	b.DropSessions()
	var all sync.WaitGroup
	for range 20 {
		c, target := b.client(), b.target(auth.MethodSession)
		all.Go(func() {
			if status, err := b.get(c, target); status != http.StatusOK || err != nil {
				t.Errorf("status %d, %v", status, err)
			}
		})
	}
	all.Wait()
	if n := b.journal.count("login"); n != 2 {
		t.Errorf("%d logins, want 2", n)
	}
}

// A 401 now and then to a login that lives makes no second login.
func TestStrayRefusal(t *testing.T) {
	t.Parallel()
	b := start(t, sim.Config{Faults: []string{"stray-401=3"}})
	c, target := b.client(), b.target(auth.MethodSession)
	for range 9 {
		if _, err := b.get(c, target); err != nil {
			t.Error(err)
		}
	}
	if n, left := b.journal.count("login"), b.Stats().Sessions; n > left {
		t.Errorf("%d logins, %d sessions: a living one was given up", n, left)
	}
}

// A logout that failed is not forgotten: the next command tries again.
func TestOwedLogout(t *testing.T) {
	t.Parallel()
	b := start(t, sim.Config{Faults: []string{"logout-refused"}})
	c, target := b.client(), b.target(auth.MethodSession)
	b.wantGet(c, target)
	_, err := c.Logout(t.Context(), target)
	if owed, ok := errors.AsType[*client.Owed](err); !ok || owed.Location == "" || strings.Contains(err.Error(), password) {
		t.Errorf("got %v, want an *Owed", err)
	}
	b.wantGet(b.client(), target) // with a new login, after one more try
	if n := b.journal.count("login"); n != 2 {
		t.Errorf("%d logins, want 2: one that is ending must not be used", n)
	}
	b.later(25 * time.Hour)
	if n, err := b.client().Logout(t.Context(), target); n != 2 || !errors.As(err, new(*client.Owed)) {
		t.Errorf("a day later: %d, %v; want the old one forgotten and the new one owed", n, err)
	}
	if n, _ := b.client().Logout(t.Context(), target); n != 1 {
		t.Errorf("%d logins are left in the book, want 1", n)
	}
}

func TestRefusedPassword(t *testing.T) {
	t.Parallel()
	b := start(t, sim.Config{})
	target := b.target(auth.MethodAuto)
	target.Credential = func(context.Context) (auth.Credential, error) {
		return auth.Credential{Account: "root", Password: auth.NewSecret("wrong")}, nil
	}
	_, err := b.get(b.client(), target)
	if le, ok := errors.AsType[*auth.LoginError](err); !ok || le.Outcome != auth.Refused {
		t.Errorf("got %v", err)
	}
	if n := b.journal.count("login-refused"); n != 1 {
		t.Errorf("the device refused %d times, want once", n)
	}
}

// A password is used, and not kept.
func TestBasic(t *testing.T) {
	t.Parallel()
	b := start(t, sim.Config{})
	c, target := b.client(), b.target(auth.MethodBasic)
	b.wantGet(c, target)
	b.wantGet(b.client(), target)
	book, err := saved.Open(b.dir)
	if err != nil {
		t.Fatal(err)
	}
	all, err := book.Logins("")
	if err != nil || len(all) != 1 || !all[0].Secret.IsZero() {
		t.Errorf("saved: %d logins, %v", len(all), err)
	}
	if n, err := c.Logout(t.Context(), target); n != 1 || err != nil {
		t.Errorf("logout: %d, %v", n, err)
	}
}

func TestSessions(t *testing.T) {
	t.Parallel()
	b := start(t, sim.Config{})
	c, target := b.client(), b.target(auth.MethodSession)
	person, err := target.Device.Login(t.Context(), auth.Credential{Account: "root", Password: auth.NewSecret(password)}, auth.LoginOptions{})
	if err != nil {
		t.Fatal(err)
	}
	list, err := c.Sessions(t.Context(), target)
	if err != nil || len(list) != 2 || list[0].Ours || !list[1].Ours || list[0].Location != person.Location {
		t.Fatalf("sessions: %+v, %v", list, err)
	}
	if err := c.End(t.Context(), target, "nobody's"); !errors.Is(err, auth.ErrNoSession) {
		t.Errorf("end of what is not there: %v", err)
	}
	if err := c.End(t.Context(), target, list[0].ID); err != nil {
		t.Error(err)
	}
	if err := c.End(t.Context(), target, list[1].ID); err != nil { // one's own
		t.Error(err)
	}
	if n := b.Stats().Sessions; n != 0 {
		t.Errorf("%d sessions left", n)
	}
}
