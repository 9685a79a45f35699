package sim

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/redfish"
)

// A clock is a time that only the test moves.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func TestSlots(t *testing.T) {
	t.Parallel()
	r := start(t, Config{Slots: 3})
	var wg sync.WaitGroup
	var mu sync.Mutex
	status := make(map[int]int)
	for range 30 {
		wg.Go(func() {
			p, err := r.try("POST", sessionsPath, loginBody(testUser, testPassword))
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			status[p.status]++
			if p.status == 503 && (p.messages() != "SessionLimitExceeded" || p.header.Get("Retry-After") == "") {
				t.Errorf("full: %s, Retry-After %q", p.messages(), p.header.Get("Retry-After"))
			}
		})
	}
	wg.Wait()
	if status[201] != 3 || status[503] != 27 {
		t.Errorf("answers %v, want 3 times 201 and 27 times 503", status)
	}
	s := r.Stats()
	if s.Sessions != 3 || s.Full != 27 || s.Refused != 27 || s.Logins != 3 {
		t.Errorf("stats %+v", s)
	}
	// Who may not log in does not learn that the device is full.
	if p := r.loginAs(testUser, "wrong"); p.status != 401 {
		t.Errorf("a wrong password at a full device: %d", p.status)
	}
	r.want(204, "DELETE", sessionsPath+"/"+r.auth.Sessions("")[0].ID, "")
	r.login()
}

func TestIdle(t *testing.T) {
	t.Parallel()
	c := newClock()
	r := start(t, Config{Idle: time.Minute, Slots: 2, Now: c.now})
	used, usedPath := r.login()
	unused, unusedPath := r.login()
	c.advance(40 * time.Second)
	if p := r.do("GET", "/redfish/v1/Systems", "", token(used)); p.status != 200 {
		t.Fatalf("before the end: %d", p.status)
	}
	c.advance(40 * time.Second)
	if p := r.do("GET", "/redfish/v1/Systems", "", token(used)); p.status != 200 {
		t.Errorf("a session in use ended: %d", p.status)
	}
	if p := r.do("GET", "/redfish/v1/Systems", "", token(unused)); p.status != 401 {
		t.Errorf("an unused session lives: %d", p.status)
	}
	r.want(404, "GET", unusedPath, "")
	r.want(200, "GET", usedPath, "")
	r.login() // the slot is free
	var expired []line
	for _, l := range r.lines() {
		if l.Event == eventExpired {
			expired = append(expired, l)
		}
	}
	if len(expired) == 0 || expired[0].User != testUser || !strings.HasSuffix(unusedPath, expired[0].Session) {
		t.Errorf("expired: %+v, want %s", expired, unusedPath)
	}
	c.advance(time.Minute)
	r.login() // and so it is where nothing but a login finds the old ones expired
	if p := r.want(200, "GET", "/redfish/v1/SessionService", ""); p.member("SessionTimeout") != "60" {
		t.Errorf("SessionTimeout: %s", p.member("SessionTimeout"))
	}
}

func TestLockout(t *testing.T) {
	t.Parallel()
	c := newClock()
	r := start(t, Config{Lockout: 3, LockoutFor: 10 * time.Minute, Now: c.now})
	wrong := func() { // one of each kind counts the same
		t.Helper()
		if p := r.loginAs(testUser, "wrong"); p.status != 401 || p.messages() != "ResourceAtUriUnauthorized" {
			t.Fatalf("wrong password: %d %s", p.status, p.messages())
		}
	}
	wrong()
	wrong()
	r.login() // the row is broken
	wrong()
	if p := r.do("GET", "/redfish/v1/Systems", "", basicAs(testUser, "wrong")); p.status != 401 {
		t.Fatalf("wrong Basic: %d", p.status)
	}
	r.loginAs("nobody", "wrong") // counts for nobody
	if r.Stats().Locked {
		t.Fatal("locked after two")
	}
	wrong()
	if !r.Stats().Locked {
		t.Fatal("not locked after three")
	}
	first := r.loginAs(testUser, "wrong")
	if p := r.loginAs(testUser, testPassword); p.status != 401 || string(p.body) != string(first.body) {
		t.Errorf("a locked account: %d %s", p.status, p.body)
	}
	if p := r.do("GET", "/redfish/v1/Systems", "", basic); p.status != 401 {
		t.Errorf("Basic with a locked account: %d", p.status)
	}
	c.advance(10 * time.Minute)
	if r.Stats().Locked {
		t.Error("the lock does not end")
	}
	r.login()
}

func TestLockoutForGood(t *testing.T) {
	t.Parallel()
	c := newClock()
	r := start(t, Config{
		Lockout: 1, Now: c.now,
		Accounts: []Account{{Name: "other", Password: auth.NewSecret("other-Pass.1"), Role: auth.Administrator}},
	})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			r.auth.Check(context.Background(), auth.Attempt{Account: testUser, Password: auth.NewSecret("x")})
		})
	}
	wg.Wait()
	c.advance(1000 * time.Hour)
	if p := r.loginAs(testUser, testPassword); p.status != 401 {
		t.Errorf("the lock ended: %d", p.status)
	}
	p := r.do("GET", redfish.AccountURI(testUser), "", basicAs("other", "other-Pass.1"))
	if p.member("Locked") != "true" || p.member("Password") != "null" || p.member("UserName") != `"root"` {
		t.Errorf("account: %s", p.body)
	}
	if p.header.Get("ETag") == "" || p.member("@odata.etag") != string(mustJSON(p.header.Get("ETag"))) {
		t.Errorf("ETag %q, @odata.etag %s", p.header.Get("ETag"), p.member("@odata.etag"))
	}
}

func TestRoles(t *testing.T) {
	t.Parallel()
	r := start(t, Config{Accounts: []Account{
		{Name: "op", Password: auth.NewSecret("op-Pass.1"), Role: auth.Operator},
		{Name: "ro", Password: auth.NewSecret("ro-Pass.1"), Role: auth.ReadOnly},
	}})
	_, adminSession := r.login()
	on := `{"ResetType": "On"}`
	for _, tt := range []struct {
		user, method, path, body string
		want                     int
	}{
		{"ro", "GET", systemPath, "", 200},
		{"ro", "POST", systemPath + "/Actions/ComputerSystem.Reset", on, 403},
		{"ro", "PATCH", systemPath, `{"AssetTag": "x"}`, 403},
		{"op", "POST", systemPath + "/Actions/ComputerSystem.Reset", on, 204},
		{"op", "PATCH", systemPath, `{"AssetTag": "x"}`, 200},
		{"op", "POST", mediaPath + "/Cd/Actions/VirtualMedia.EjectMedia", "{}", 403},
		{"op", "POST", managerPath + "/Actions/Manager.Reset", "{}", 403},
		{"op", "DELETE", adminSession, "", 403},
		{"op", "PATCH", systemPath + "/nowhere", "{}", 404}, // before the privilege
		{"op", "PUT", networkPath, "{}", 405},
	} {
		p := r.do(tt.method, tt.path, tt.body, basicAs(tt.user, tt.user+"-Pass.1"))
		if p.status != tt.want {
			t.Errorf("%s %s %s: %d, want %d: %s", tt.user, tt.method, tt.path, p.status, tt.want, p.body)
		}
	}
}

func TestDropSessions(t *testing.T) {
	t.Parallel()
	r := start(t, Config{})
	tok, _ := r.login()
	r.login()
	r.DropSessions()
	if p := r.do("GET", systemPath, "", token(tok)); p.status != 401 {
		t.Errorf("after the drop: %d", p.status)
	}
	if got, want := r.events(), "login login expired expired call"; got != want {
		t.Errorf("journal: %s, want %s", got, want)
	}
}

func TestContextIsKept(t *testing.T) {
	t.Parallel()
	r := start(t, Config{})
	p := r.do("POST", sessionsPath, `{"UserName":"root","Password":"`+testPassword+`","Context":"postern 42"}`)
	at := strings.Trim(p.member("@odata.id"), `"`)
	if p = r.want(200, "GET", at, ""); p.member("Context") != `"postern 42"` || p.member("UserName") != `"root"` {
		t.Errorf("session: %s", p.body)
	}
}

func TestConfigErrors(t *testing.T) {
	t.Parallel()
	pw := auth.NewSecret(testPassword)
	for name, cfg := range map[string]Config{
		"no user":         {Password: pw},
		"no password":     {User: "root"},
		"same name twice": {User: "root", Password: pw, Accounts: []Account{{Name: "root", Password: pw, Role: auth.ReadOnly}}},
		"no role":         {User: "root", Password: pw, Accounts: []Account{{Name: "x", Password: pw}}},
		"no URI's name":   {User: "ro/ot", Password: pw},
		"negative idle":   {User: "root", Password: pw, Idle: -1},
		"lockout":         {User: "root", Password: pw, Lockout: -1},
		"lockout time":    {User: "root", Password: pw, LockoutFor: -1},
		"unknown fault":   {User: "root", Password: pw, Faults: []string{"fire"}},
		"bad name":        {User: "root", Password: pw, Name: "a\"b"},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		} else if strings.Contains(err.Error(), testPassword) {
			t.Errorf("%s: the error tells the password", name)
		}
	}
}

// The authority alone, without a request around it.
func TestAuthorityErrors(t *testing.T) {
	t.Parallel()
	r := start(t, Config{})
	if _, err := r.auth.Session(Listener, "none"); !errors.Is(err, auth.ErrNoSession) {
		t.Errorf("session: %v", err)
	}
	if err := r.auth.Logout(context.Background(), auth.Principal{Role: auth.Administrator}, "none"); !errors.Is(err, auth.ErrNoSession) {
		t.Errorf("logout: %v", err)
	}
	if _, err := r.auth.Lookup(Listener, ""); !errors.Is(err, auth.ErrNoSession) {
		t.Errorf("lookup: %v", err)
	}
	s, err := r.auth.Login(context.Background(), auth.Attempt{
		Account: testUser, Password: auth.NewSecret(testPassword), Token: auth.NewSecret("t"), SessionID: "mine"})
	if err != nil || s.ID != "mine" {
		t.Errorf("login: %v, %v", s.ID, err)
	}
	if got, err := r.auth.Lookup(Listener, "t"); err != nil || got.ID != "mine" {
		t.Errorf("lookup: %v, %v", got.ID, err)
	}
}

func TestClockOffset(t *testing.T) {
	t.Parallel()
	c := newClock()
	r := start(t, Config{ClockOffset: -48 * time.Hour, Now: c.now})
	_, at := r.login()
	p := r.want(200, "GET", at, "")
	want := c.now().Add(-48 * time.Hour)
	if p.member("CreatedTime") != `"`+want.Format(time.RFC3339)+`"` {
		t.Errorf("CreatedTime %s", p.member("CreatedTime"))
	}
	if got := p.header.Get("Date"); got != want.Format(http.TimeFormat) {
		t.Errorf("Date %s", got)
	}
	if got := r.want(200, "GET", managerPath, "").member("DateTime"); got != `"`+want.Format(time.RFC3339)+`"` {
		t.Errorf("DateTime %s", got)
	}
	if got := r.lines()[0].Time; got != c.now().Format(time.RFC3339Nano) {
		t.Errorf("the journal has the device's time: %s", got)
	}
}
