package client_test

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/client"
	"github.com/postern/postern/internal/saved"
	"github.com/postern/postern/internal/sim"
	"github.com/postern/postern/redfish"
)

// A hostile is one simulated device that misbehaves, and the ways to it.
type hostile struct {
	*bench
	elsewhere atomic.Int32 // connections asked for to any other address
	shared    *http.Transport
	fresh     http.RoundTripper
}

// patience is what a client waits for a login or a logout: long where the
// simulator means to answer.
const (
	patience   = 10 * time.Second
	impatience = 200 * time.Millisecond
)

func newHostile(t *testing.T, cfg sim.Config, wait time.Duration) *hostile {
	t.Helper()
	h := &hostile{bench: &bench{t: t, journal: &journal{}, dir: filepath.Join(t.TempDir(), "state"), clock: time.Now()}}
	cfg.User, cfg.Password, cfg.Journal, cfg.Now = "root", auth.NewSecret(password), h.journal, h.now
	var err error
	if h.Device, err = sim.New(cfg); err != nil {
		t.Fatal(err)
	}
	h.server = httptest.NewUnstartedServer(h.Device.Handler())
	h.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	if h.server.TLS, err = h.TLSConfig(&tls.Config{NextProtos: []string{"http/1.1"}}); err != nil {
		t.Fatal(err)
	}
	h.server.StartTLS()
	t.Cleanup(h.server.Close)
	h.shared = h.server.Client().Transport.(*http.Transport)
	device := strings.TrimPrefix(h.server.URL, "https://")
	h.shared.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if addr != device {
			h.elsewhere.Add(1)
			return nil, fmt.Errorf("%s is not the device", addr)
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	alone := h.shared.Clone()
	alone.DisableKeepAlives = true
	h.fresh = impatient{alone, wait}
	return h
}

// impatient gives up after a while.
type impatient struct {
	next http.RoundTripper
	wait time.Duration
}

func (i impatient) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(r.Context(), i.wait)
	resp, err := i.next.RoundTrip(r.WithContext(ctx))
	if err != nil {
		cancel()
		return nil, err
	}
	resp.Body = &cancelled{resp.Body, cancel}
	return resp, nil
}

type cancelled struct {
	io.ReadCloser
	cancel func()
}

func (c *cancelled) Close() error { defer c.cancel(); return c.ReadCloser.Close() }

func (h *hostile) deviceConfig() redfish.DeviceConfig {
	return redfish.DeviceConfig{URL: h.server.URL, Base: h.shared, Fresh: h.fresh}
}

func credential(context.Context) (auth.Credential, error) {
	return auth.Credential{Account: "root", Password: auth.NewSecret(password)}, nil
}

// A way is one of the two by which programs reach a device.
type way struct {
	do    func(*http.Request) (*http.Response, error)
	close func() error
}

func (h *hostile) transport() way {
	t, err := redfish.NewTransport(redfish.TransportConfig{Device: h.deviceConfig(), Credential: credential})
	if err != nil {
		h.t.Fatal(err)
	}
	return way{(&http.Client{Transport: t}).Do, t.Close}
}

func (h *hostile) command() way {
	book, err := saved.Open(h.dir)
	if err != nil {
		h.t.Fatal(err)
	}
	d, err := redfish.NewDevice(h.deviceConfig())
	if err != nil {
		h.t.Fatal(err)
	}
	t := client.Target{
		Name: "bmc1", URL: h.server.URL, Family: "redfish", Account: "root", Method: auth.MethodAuto,
		Device: d, Transport: h.shared, Credential: credential, Says: redfish.Said,
	}
	c := client.New(book, h.now)
	return way{
		func(r *http.Request) (*http.Response, error) { return c.Do(r.Context(), t, r) },
		func() error { _, err := c.Logout(h.t.Context(), t); return err },
	}
}

// What may be read of an answer here, in bytes.
const enough = 1 << 20

// get returns the status of an answer, or the error.
func (h *hostile) get(w way) (int, error) {
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, h.server.URL+systems, nil)
	if err != nil {
		return 0, err
	}
	resp, err := w.do(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, enough))
	return resp.StatusCode, err
}

// What a fault makes of some reads and the end of the login.
type outcome struct {
	reads string // of each read its status, or ! for an error; one stands for all
	says  string // what an error of a read must hold
	close string // what the error at the end must hold; "" = there is none
	left  int    // sessions at the device after that; those of others apart
}

var (
	works  = outcome{reads: "200"}
	basics = works // by HTTP Basic: no session at all
)

// refusals are the answers to logins that say no to a password.
func fails(says string) outcome { return outcome{reads: "!", says: says} }

// A trial is faults with what becomes of them on the two ways.
type trial struct {
	faults             string
	cfg                sim.Config
	transport, command outcome
	// refused is how many logins the device may answer with 400, 401 or 403.
	refused int
	full    bool          // somebody else's session has taken the only slot
	guest   bool          // somebody else has a session
	times   int           // how often is read; 0 = 4
	pause   time.Duration // before each read but the first, by the device's clock
}

func both(faults string, o outcome) trial { return trial{faults: faults, transport: o, command: o} }

// each makes a trial of every fault, with one outcome.
func each(o outcome, faults ...string) (all []trial) {
	for _, f := range faults {
		all = append(all, both(f, o))
	}
	return all
}

const (
	unanswered = "the device answered no login with this password"
	mayBeLeft  = "session may be left at the device"
	mayHold    = "the device may still hold"
)

func trials() (all []trial) {
	add := func(t ...trial) { all = append(all, t...) }

	// A session is found and ended, however the device tells of it.
	add(each(works, "", "no-location", "no-session-uri", "location=host", "location=port", "location=ipv6", "location=http",
		"location=rootless", "location=redfish", "location=slash", "location=brackets", "location=fragment", "location=collection",
		"location=collection login-no-body", "login-status=200", "login-status=202", "login-status=204", "login-no-body",
		"login-no-body no-location", "hostile-names", "wrong-types", "old-sessions", "root-wants-login", "root-broken",
		"session-timeout=soon", "session-timeout=-5", "session-timeout=1e99", "id-reuse restart=4", "forbidden-401",
		"login-redirect=301", "login-redirect=302", "login-redirect=307", "login-redirect=308",
		"logout-strict", "logout-status", "absurd-headers", "absurd-headers restart=4", "slow-body=1ms", "endless-body",
		"stale-keep-alive", "restart=4", "stray-401=3", "stray-401=4", "error-body=html restart=4", "error-body=none restart=4",
		"error-body=cut restart=4", "hostile-errors restart=4", "if-match-required", "drop-logout-answer=2")...)
	add(trial{faults: "old-sessions root-wants-login", transport: works, command: works})
	// What is refused here is the text that is left with a session. A Transport
	// remembers that, a command cannot.
	add(trial{faults: "login-strict", transport: works, command: works, refused: 1})
	add(trial{faults: "login-strict restart=4", transport: works, command: works, refused: 2})
	add(trial{faults: "early-expiry=30s", transport: works, command: works, pause: time.Minute})
	add(trial{faults: "evicts", full: true, transport: works, command: works})
	add(each(basics, "no-sessions", "login-refused", "login-refused=404", "login-refused=501")...)

	// There is no way in. What there is to say is said, and a password that was
	// refused is not sent again.
	for _, f := range []string{"login-refused=400", "login-refused=401", "login-refused=403", "error-body=cut login-refused=401",
		"error-body=none login-refused=403", "hostile-errors login-refused=400"} {
		t := both(f, fails("the device refused this password"))
		t.refused, t.times = 1, 2 // a refused password is known by a slow hash
		add(t)
	}
	add(each(fails("status 429 Too Many Requests: The service is temporarily unavailable"), "login-refused=429")...)
	add(each(fails("status 503 Service Unavailable"), "login-refused=503")...)
	add(each(fails("status 500 Internal Server Error"), "login-refused=500", "login-html-error")...)
	add(each(fails("status 415 Unsupported Media Type"), "login-refused=415")...)
	add(both("login-redirect-away", outcome{reads: "!", says: `redirects the login to "https://bmc.example/redfish`}))
	add(both("login-redirect-away=307", outcome{reads: "!", says: `redirects the login to "https://bmc.example/redfish`}))
	add(both("login-redirect-loop", outcome{reads: "!", says: `redirects the login to "/redfish`}))
	add(both("certificate-changes=1", fails("failed to verify certificate")))
	for _, f := range []string{"", "login-full-status=400", "login-full-status=403", "login-full-message=dmtf", "login-full-message=limit",
		"login-full-message=idrac", "login-full-message=ilo", "login-full-message=idrac login-full-status=400"} {
		t := both(f, fails("")) // the words are the device's
		t.full, t.refused = true, 8
		add(t)
	}
	for _, f := range []string{"login-full-message=html", "login-full-message=none"} {
		t := both(f, fails("status 503 Service Unavailable"))
		t.full = true
		add(t)
	}

	// The device makes a session, and nobody learns its token. No more than two
	// are made so by a program; a command remembers them.
	for f, says := range map[string]string{
		"no-token": "without one usable X-Auth-Token", "no-token=body": "without one usable X-Auth-Token",
		"no-token login-status=204": "status 204 without one usable", "two-tokens": "without one usable X-Auth-Token",
		"drop-login-answer=1": "sent, and no answer came", "hostile-headers": "sent, and no answer came",
	} {
		add(trial{
			faults: f, cfg: sim.Config{Slots: -1},
			transport: outcome{reads: "!", says: says, close: mayBeLeft, left: 2},
			command:   outcome{reads: "!", says: says, close: mayHold, left: 4},
		})
	}
	add(trial{
		faults: "", cfg: sim.Config{Latency: sim.Latency{Login: 2 * impatience}},
		transport: outcome{reads: "!", says: "sent, and no answer came", close: mayBeLeft, left: -1},
		command:   outcome{reads: "!", says: "sent, and no answer came", close: mayHold, left: -1},
	})
	// Where a later login works, the ones before are ended with it.
	lost := both("drop-login-answer=2", outcome{reads: "! 200 200 200", says: "sent, and no answer came"})
	lost.guest = true
	add(lost)

	// A logout that does not work is owed, and said.
	for f, left := range map[string]int{
		"logout-refused": 1, "logout-refused=400": 1, "logout-refused=401": 1, "logout-refused=403": 1, "logout-refused=405": 1,
		"logout-status=400": 0, "logout-status=500": 0, "logout-hangs": 0, "drop-logout-answer=1": 0,
	} {
		add(trial{faults: f, transport: outcome{reads: "200", close: "redfish: end session: ", left: left}, command: outcome{reads: "200", close: mayHold, left: left}})
	}
	add(both("logout-refused=404", outcome{reads: "200", left: 1})) // it is believed
	add(trial{faults: "wrong-types no-location",
		transport: outcome{reads: "200", close: "never told where it is", left: 1}, command: outcome{reads: "200", close: mayHold, left: 1}})
	add(trial{faults: "certificate-changes=4",
		transport: outcome{reads: "200 200 ! !", says: "failed to verify certificate", close: "failed to verify certificate", left: 1},
		command:   outcome{reads: "200 200 ! !", says: "failed to verify certificate", close: "failed to verify certificate", left: 1}})

	// The answers to calls are the caller's.
	add(both("restart=1", outcome{reads: "401"}))
	add(trial{faults: "expired-403 restart=4",
		transport: outcome{reads: "200 200 200 403", close: "status 403 Forbidden"}, command: outcome{reads: "200 200 200 403", close: mayHold}})
	add(both("reset-answer=2", outcome{reads: "200 ! 200 !", says: "connection reset by peer"}))
	add(both("reset-answer=1", outcome{reads: "!", says: "connection reset by peer"}))
	endless := both("endless-headers", fails("headers"))
	endless.times = 1 // 10 MiB each
	add(endless)
	add(trial{faults: "redirect-loop", transport: fails("stopped after 10 redirects"), command: outcome{reads: "307"}})
	add(trial{faults: "redirect-away", transport: fails("not the device that this transport logs in to"), command: outcome{reads: "307"}})
	return all
}

// ofAnILO are the faults of resources that no client command asks for.
var ofAnILO = []string{"bad-licence", "time-by-dhcp"}

// Every fault, on both ways: what it comes to, that no session is left where
// that can be, that no password is sent twice, and nothing to anybody else.
func TestFaults(t *testing.T) {
	t.Parallel()
	tried := map[string]bool{}
	for _, c := range trials() {
		for _, f := range strings.Fields(c.faults) {
			name, _, _ := strings.Cut(f, "=")
			tried[name] = true
		}
		name := strings.NewReplacer(" ", "+").Replace(c.faults)
		switch {
		case c.full:
			name = "full+" + name
		case c.cfg.Latency.Login > 0:
			name = "slow login"
		case name == "":
			name = "none"
		}
		t.Run("transport/"+name, func(t *testing.T) { t.Parallel(); c.run(t, c.transport, (*hostile).transport) })
		t.Run("command/"+name, func(t *testing.T) { t.Parallel(); c.run(t, c.command, (*hostile).command) })
	}
	for _, f := range sim.Faults() {
		if !tried[f.Name] && !slices.Contains(ofAnILO, f.Name) {
			t.Errorf("%s is not tried", f.Name)
		}
	}
}

// longest is how long one trial may take, on a machine that is busy.
const longest = 20 * time.Second

func (c trial) run(t *testing.T, want outcome, way func(*hostile) way) {
	cfg := c.cfg
	cfg.Faults = strings.Fields(c.faults)
	if c.full {
		cfg.Slots = 1
	}
	wait := patience
	if cfg.Latency.Login > 0 || c.faults == "logout-hangs" {
		wait = impatience
	}
	h := newHostile(t, cfg, wait)
	others := 0
	if c.full || c.guest {
		h.occupy()
		if !strings.Contains(c.faults, "evicts") {
			others = 1
		}
	}
	begin := time.Now()
	w := way(h)
	var reads, said []string
	times := cmp.Or(c.times, 4)
	for n := range times {
		if n > 0 {
			h.later(c.pause)
		}
		status, err := h.get(w)
		if err != nil {
			reads, said = append(reads, "!"), append(said, err.Error())
			h.fit(err)
			continue
		}
		reads = append(reads, fmt.Sprint(status))
	}
	if got, all := strings.Join(reads, " "), strings.Join(slices.Repeat([]string{want.reads}, times), " "); got != want.reads && got != all {
		t.Errorf("reads: %s %q, want %s", got, said, want.reads)
	}
	if len(said) > 0 && !strings.Contains(strings.Join(said, "\n"), want.says) {
		t.Errorf("errors %q, want one to hold %q", said, want.says)
	}
	err := w.close()
	h.fit(err)
	if (err == nil) != (want.close == "") || err != nil && !strings.Contains(err.Error(), want.close) {
		t.Errorf("the end: %v, want %q", err, want.close)
	}
	if took := time.Since(begin); took > longest {
		t.Errorf("it took %v", took)
	}
	if left := h.Stats().Sessions - others; want.left >= 0 && left != want.left {
		t.Errorf("%d sessions are left, want %d", left, want.left)
	}
	if n := h.journal.refusals(); n > max(c.refused, 0) {
		t.Errorf("the device refused %d logins", n)
	}
	if n := h.elsewhere.Load(); n != 0 {
		t.Errorf("%d connections to others", n)
	}
}

// fit checks that an error is fit to be shown.
func (h *hostile) fit(err error) {
	h.t.Helper()
	if err == nil {
		return
	}
	text := err.Error()
	if strings.Contains(text, password) || len(text) > 1500 ||
		strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) && r != '\n' }) {
		h.t.Errorf("not to be shown: %q", text)
	}
}

// refusals counts the logins that were answered with a no to the password.
func (j *journal) refusals() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(refusal.FindAllString(j.text.String(), -1))
}

var refusal = regexp.MustCompile(`"event":"login-refused".*"status":40[013],`)

func (h *hostile) occupy() {
	h.t.Helper()
	body := `{"UserName":"root","Password":"` + password + `"}`
	resp, err := h.server.Client().Post(h.server.URL+"/redfish/v1/SessionService/Sessions", "application/json", strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	resp.Body.Close()
}
