package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/serve"
	"github.com/postern/postern/internal/sim"
)

// shortCrowd is what is shown, smaller and at a quicker device.
func shortCrowd(cfg Config) Config {
	const ms = time.Millisecond
	cfg.crowd = crowd{clients: 40, ramp: 40 * ms, job: 90 * ms, limit: 30 * time.Second, patience: patience{tries: 3, pause: 20 * ms}}
	cfg.latency = sim.Latency{Root: 14 * ms, Login: 20 * ms, Logout: 19 * ms, Other: 2 * ms}
	return cfg
}

func TestDemoOnce(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	dir := t.TempDir()
	r, err := Run(t.Context(), shortCrowd(Config{Data: dir, Once: true, Screen: Screen{Out: &out}}))
	if err != nil {
		t.Fatal(err)
	}
	if d := r.Direct; d.Served+d.Refused() != d.Good || d.Good != 36 || d.MaxSessions > d.Slots || d.Logins == 0 {
		t.Errorf("straight at the BMC: %+v", d)
	}
	p := r.Postern
	if !r.Kept || p.Served != 36 || p.DeadDenied != 4 || p.Leaked != 0 || p.LockedAccounts != 0 || p.LoginsRefused != 0 {
		t.Errorf("through Postern: %+v", p)
	}
	if p.Logins != 1 || p.Sessions != 1 || p.MaxSessions != 1 || p.Left == 0 {
		t.Errorf("through Postern: %d logins, %d sessions (%d), %d clients died; want 1, 1 (1) and some", p.Logins, p.Sessions, p.MaxSessions, p.Left)
	}
	for _, want := range []string{directTitle, posternTitle, "served, of 36 with a right password", "Postern has logged out: 0 sessions left at the BMC.\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the screen does not say %q:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "stays up") {
		t.Error("it says that it stays up")
	}

	// The same directory again: another BMC, the account is there already.
	if r, err = Run(t.Context(), shortCrowd(Config{Data: dir, Once: true, Screen: Screen{Out: io.Discard}})); err != nil || !r.Kept {
		t.Errorf("again: %+v, %v", r.Postern, err)
	}
}

// A stayer looks at the demo when it has said all it has to say, then ends it.
type stayer struct {
	screen bytes.Buffer
	look   func(screen string)
}

func (s *stayer) Write(p []byte) (int, error) {
	n, err := s.screen.Write(p)
	if bytes.Contains(p, []byte("Ctrl-C ends it.")) {
		s.look(s.screen.String())
	}
	return n, err
}

func TestDemoStaysUp(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	readyFile := filepath.Join(dir, "ready.json")
	ctx, cancel := context.WithCancel(t.Context())
	out := &stayer{}
	out.look = func(screen string) {
		defer cancel()
		var ready serve.Ready
		if err := json.Unmarshal(read(t, readyFile), &ready); err != nil {
			t.Errorf("ready file: %v", err)
			return
		}
		host := regexp.MustCompile(`export bmc_ip=(\S+)`).FindStringSubmatch(screen)
		if host == nil || "https://"+host[1] != ready.URLs["https"] {
			t.Errorf("the screen names %q, the ready file %q", host, ready.URLs["https"])
		}
		password := strings.TrimSpace(string(read(t, ready.PasswordFile)))
		if strings.Contains(screen, password) {
			t.Error("the password is on the screen")
		}
		loginWithFile(t, ready, regexp.MustCompile(`'@(\S+)'`).FindStringSubmatch(screen)[1])
	}
	r, err := Run(ctx, shortCrowd(Config{Data: dir, ReadyFile: readyFile, Screen: Screen{Out: out, Live: true}}))
	if err != nil || !r.Kept {
		t.Errorf("%+v, %v", r, err)
	}
	if ctx.Err() == nil {
		t.Errorf("it did not stay up:\n%s", out.screen.String())
	}
	if !strings.HasSuffix(out.screen.String(), "\nPostern has logged out: 0 sessions left at the BMC.\n") {
		t.Errorf("it ends with %q", out.screen.String()[max(0, out.screen.Len()-80):])
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
	}
	return data
}

// loginWithFile sends the file as it is, as the page's curl line does.
func loginWithFile(t *testing.T, ready serve.Ready, file string) {
	t.Helper()
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%s: %v, %v; want mode 0600", file, info, err)
	}
	_, roots, err := readCA(ready.CAFile)
	if err != nil {
		t.Error(err)
		return
	}
	c := newClient(door{base: ready.URLs["https"], roots: roots}, auth.Secret{}, false, patience{tries: 1}, new(tally))
	a, err := c.call(t.Context(), http.MethodPost, "/redfish/v1/SessionService/Sessions/", "", read(t, file))
	if err != nil || a.status != http.StatusCreated {
		t.Errorf("login with %s: status %d, %v", file, a.status, err)
	}
}

// Whoever ends the demo early gets neither a result nor an error.
func TestDemoEndsEarly(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, err := Run(ctx, shortCrowd(Config{Data: t.TempDir(), Screen: Screen{Out: io.Discard, Live: true}}))
	if err != nil || r.Kept || r.Direct.Served != 0 {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestKept(t *testing.T) {
	t.Parallel()
	good := Figures{Tally: Tally{Good: 3, Served: 3}}
	for _, c := range []struct {
		name   string
		change func(*Figures)
		want   string // in the sentence
	}{
		{"kept", func(*Figures) {}, "through 0 logins"},
		{"somebody refused", func(f *Figures) { f.Served = 2 }, "1 client with a right password not served"},
		{"a dead password let in", func(f *Figures) { f.DeadServed = 2 }, "2 clients with a dead password served"},
		{"leaked", func(f *Figures) { f.Leaked = 1 }, "1 session leaked"},
		{"locked", func(f *Figures) { f.LockedAccounts = 1 }, "1 account locked"},
	} {
		f := good
		c.change(&f)
		if f.Kept() != (c.name == "kept") {
			t.Errorf("%s: kept %v", c.name, f.Kept())
		}
		if got := (style{}).judgement(Result{Postern: f, Kept: f.Kept()}); !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q in it", c.name, got, c.want)
		}
	}
}

func TestFiguresJSON(t *testing.T) {
	t.Parallel()
	got, err := json.Marshal(directFigures)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"served":9`, `"refused":171`, `"device_sessions_max":4`, `"device_logins":9`, `"sessions_leaked":1`, `"locked_accounts":1`, `"seconds":5.12`} {
		if !strings.Contains(string(got), want) {
			t.Errorf("%s is not in %s", want, got)
		}
	}
}
