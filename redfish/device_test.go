package redfish_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/redfish"
)

const (
	root116 = `{"RedfishVersion":"1.16.0","SessionService":{"@odata.id":"/redfish/v1/SessionService"},
		"Links":{"Sessions":{"@odata.id":"/redfish/v1/SessionService/Sessions"}},"Systems":{"@odata.id":"/redfish/v1/Systems"}}`
	rootOld       = `{"RedfishVersion":"1.6.0","Links":{"Sessions":{"@odata.id":"/redfish/v1/SessionService/Sessions"}}}`
	rootNoSession = `{"Systems":{"@odata.id":"/redfish/v1/Systems"},"Chassis":{"@odata.id":"/redfish/v1/Chassis"}}`

	postSessions = "POST /redfish/v1/SessionService/Sessions"
	getRoot      = "GET /redfish/v1/"
)

// bmc is a device: a web server that does what a test says, by "METHOD path".
type bmc struct {
	*httptest.Server
	conns atomic.Int32

	mu   sync.Mutex // guards what follows
	seen []string   // "METHOD path"
	reqs []*http.Request
	body []string
}

// answers maps "METHOD path" to an http.HandlerFunc, a status, or a body that
// goes out with 200. Anything else is 404.
type answers map[string]any

func newBMC(t *testing.T, a answers) *bmc {
	t.Helper()
	b := &bmc{}
	b.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		key := r.Method + " " + r.RequestURI
		b.mu.Lock()
		b.seen = append(b.seen, key)
		b.reqs = append(b.reqs, r)
		b.body = append(b.body, string(body))
		b.mu.Unlock()
		switch v := a[key].(type) {
		case func(http.ResponseWriter, *http.Request):
			v(w, r)
		case int:
			w.WriteHeader(v)
		case string:
			io.WriteString(w, v)
		default:
			w.WriteHeader(404)
		}
	}))
	b.Config.ErrorLog = quiet
	b.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			b.conns.Add(1)
		}
	}
	b.StartTLS()
	t.Cleanup(b.Close)
	return b
}

func (b *bmc) device(t *testing.T, change ...func(*redfish.DeviceConfig)) *redfish.Device {
	t.Helper()
	shared := b.Client().Transport.(*http.Transport)
	fresh := shared.Clone()
	fresh.DisableKeepAlives = true
	cfg := redfish.DeviceConfig{URL: b.URL, Base: shared, Fresh: fresh}
	for _, c := range change {
		c(&cfg)
	}
	d, err := redfish.NewDevice(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (b *bmc) requests() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.seen)
}

// sent returns the nth request and its body.
func (b *bmc) sent(n int) (*http.Request, string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.reqs[n], b.body[n]
}

func (b *bmc) count(key string) int {
	n := 0
	for _, s := range b.requests() {
		if s == key {
			n++
		}
	}
	return n
}

var credential = auth.Credential{Account: "postern", Password: auth.NewSecret(password)}

// made answers a login with what real ones have.
func made(location, body string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Auth-Token", "device-token-1")
		if location != "" {
			w.Header().Set("Location", location)
		}
		w.WriteHeader(201)
		io.WriteString(w, body)
	}
}

func says(status int, body string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

func messageID(id string) string {
	return `{"error":{"code":"Base.1.8.GeneralError","message":"See ExtendedInfo.","@Message.ExtendedInfo":[{"MessageId":"` + id + `"}]}}`
}

// loginError checks the shape that every failed login has.
func loginError(t *testing.T, err error) *auth.LoginError {
	t.Helper()
	var le *auth.LoginError
	if !errors.As(err, &le) {
		t.Fatalf("error %v is no LoginError", err)
	}
	if le.Err == nil || le.Outcome == auth.Accepted {
		t.Errorf("login error %+v", le)
	}
	if strings.Contains(err.Error(), password) {
		t.Errorf("the error shows the password: %v", err)
	}
	return le
}

func TestDeviceLogin(t *testing.T) {
	t.Parallel()
	b := newBMC(t, answers{getRoot: root116, postSessions: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", "Sat, 21 Nov 2026 17:00:00 GMT")
		made("/redfish/v1/SessionService/Sessions/7", `{"Id":"7","Context":"n-1"}`)(w, r)
	}})
	l, err := b.device(t).Login(t.Context(), credential, auth.LoginOptions{Method: auth.MethodAuto, Nonce: "n-1"})
	if err != nil {
		t.Fatal(err)
	}
	if l.Method != auth.MethodSession || l.Account != "postern" || l.Secret.Reveal() != "device-token-1" ||
		l.Location != "/redfish/v1/SessionService/Sessions/7" || l.ID != "7" || !l.KeepsNonce ||
		!l.DeviceDate.Equal(time.Date(2026, 11, 21, 17, 0, 0, 0, time.UTC)) {
		t.Errorf("login %+v", l)
	}
	if got := b.requests(); !slices.Equal(got, []string{getRoot, postSessions}) {
		t.Errorf("requests %q", got)
	}
	want := `{"UserName":"postern","Password":"` + password + `","Context":"n-1"}`
	if _, body := b.sent(1); body != want {
		t.Errorf("body %s, want %s", body, want)
	}
	for i, want := range []http.Header{
		{"Accept": {"application/json"}, "Accept-Encoding": {"identity"}, "Odata-Version": {"4.0"}, "User-Agent": {"postern"}},
		{"Accept": {"application/json"}, "Accept-Encoding": {"identity"}, "Odata-Version": {"4.0"}, "User-Agent": {"postern"},
			"Content-Type": {"application/json"}, "Content-Length": {fmt.Sprint(len(want))}, "Connection": {"close"}},
	} {
		if r, _ := b.sent(i); fmt.Sprint(r.Header) != fmt.Sprint(want) {
			t.Errorf("headers of %s: %v, want %v", r.URL, r.Header, want)
		}
	}
}

func TestDeviceLoginOutcomes(t *testing.T) {
	t.Parallel()
	limit := messageID("Base.1.8.SessionLimitExceeded")
	for _, tt := range []struct {
		name    string
		answer  any
		outcome auth.Outcome
		full    bool
		status  int
	}{
		{"400", 400, auth.Refused, false, 400},
		{"401", 401, auth.Refused, false, 401},
		{"403", 403, auth.Refused, false, 403},
		{"404", 404, auth.NotJudged, false, 404},
		{"405", 405, auth.NotJudged, false, 405},
		{"415", 415, auth.NotJudged, false, 415},
		{"429", 429, auth.NotJudged, false, 429},
		{"500", 500, auth.NotJudged, false, 500},
		{"501", 501, auth.NotJudged, false, 501},
		{"503", 503, auth.NotJudged, false, 503},
		{"402", 402, auth.Unknown, false, 402},
		{"406", 406, auth.Unknown, false, 406},
		{"409", 409, auth.Unknown, false, 409},
		{"302", 302, auth.Unknown, false, 302},
		{"200 without token", 200, auth.Unknown, false, 200},
		{"201 without token", says(201, `{"Id":"1","@odata.id":"/redfish/v1/SessionService/Sessions/1"}`), auth.Unknown, false, 201},
		{"204 without token", 204, auth.Unknown, false, 204},
		{"two tokens", func(w http.ResponseWriter, r *http.Request) {
			w.Header()["X-Auth-Token"] = []string{"a", "b"}
			w.WriteHeader(201)
		}, auth.Unknown, false, 201},
		{"token with a blank", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Auth-Token", "a b")
			w.WriteHeader(201)
		}, auth.Unknown, false, 201},
		{"token without end", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Auth-Token", strings.Repeat("a", 5000))
			w.WriteHeader(201)
		}, auth.Unknown, false, 201},
		{"full", says(503, limit), auth.NotJudged, true, 503},
		{"full, iDRAC", says(503, messageID("IDRAC.2.8.RAC0218")), auth.NotJudged, true, 503},
		{"full, iDRAC without registry", says(503, messageID("RAC0218")), auth.NotJudged, true, 503},
		{"full, as code", says(503, `{"error":{"code":"iLO.2.1.SessionLimitExceeded","message":""}}`), auth.NotJudged, true, 503},
		{"full with 400", says(400, limit), auth.NotJudged, true, 400},
		{"full with 403", says(403, messageID("Base.1.0.CreateLimitReachedForResource")), auth.NotJudged, true, 403},
		{"full with one message, no array", says(503, `{"error":{"@Message.ExtendedInfo":{"MessageId":"Base.1.0.SessionLimitExceeded"}}}`), auth.NotJudged, true, 503},
		{"401 stays refused", says(401, limit), auth.Refused, false, 401},
		{"503, something else", says(503, messageID("Base.1.8.ServiceTemporarilyUnavailable")), auth.NotJudged, false, 503},
		{"HTML", says(500, "<html>no</html>"), auth.NotJudged, false, 500},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBMC(t, answers{getRoot: root116, postSessions: tt.answer})
			_, err := b.device(t).Login(t.Context(), credential, auth.LoginOptions{Method: auth.MethodSession})
			le := loginError(t, err)
			if le.Outcome != tt.outcome || le.Full != tt.full || le.Status != tt.status || !le.Sent || le.NonceFault {
				t.Errorf("%+v, want %v full %v", le, tt.outcome, tt.full)
			}
			if n := b.count(postSessions); n != 1 {
				t.Errorf("%d logins were sent", n)
			}
		})
	}
}

func TestDeviceRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 17, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"7": 7 * time.Second, "0": 0, "-5": 0, "x": 0, "": 0, "99999999999999": time.Hour, "999999999999999999999": 0,
		"Sat, 21 Nov 2026 17:00:30 GMT": 30 * time.Second, "Sat, 21 Nov 2020 17:00:30 GMT": 0, "Sat, 21 Nov 2036 17:00:30 GMT": time.Hour,
	} {
		b := newBMC(t, answers{getRoot: root116, postSessions: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", value)
			w.WriteHeader(503)
		}})
		d := b.device(t, func(c *redfish.DeviceConfig) { c.Now = func() time.Time { return now } })
		_, err := d.Login(t.Context(), credential, auth.LoginOptions{})
		if le := loginError(t, err); le.RetryAfter != want {
			t.Errorf("%q: %v, want %v", value, le.RetryAfter, want)
		}
	}
}

func TestDeviceNonce(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		root  string
		opts  auth.LoginOptions
		keeps bool // the profile
		sent  bool
	}{
		{"new root", root116, auth.LoginOptions{Nonce: "n"}, false, true},
		{"old root", rootOld, auth.LoginOptions{Nonce: "n"}, false, false},
		{"old root, profile knows", rootOld, auth.LoginOptions{Nonce: "n"}, true, true},
		{"refused before", root116, auth.LoginOptions{Nonce: "n", NoNonce: true}, false, false},
		{"none", root116, auth.LoginOptions{}, false, false},
		{"odd version", `{"RedfishVersion":"newest","Links":{"Sessions":{"@odata.id":"/redfish/v1/SessionService/Sessions"}}}`, auth.LoginOptions{Nonce: "n"}, false, false},
		{"1.9 is older than 1.16", `{"RedfishVersion":"1.9.1","Links":{"Sessions":{"@odata.id":"/redfish/v1/SessionService/Sessions"}}}`, auth.LoginOptions{Nonce: "n"}, false, false},
		{"no version", rootOld[:1] + `"a":1,"Links":{"Sessions":{"@odata.id":"/redfish/v1/SessionService/Sessions"}}}`, auth.LoginOptions{Nonce: "n"}, false, false},
	} {
		b := newBMC(t, answers{getRoot: tt.root, postSessions: says(400, messageID("Base.1.8.PropertyUnknown"))})
		d := b.device(t, func(c *redfish.DeviceConfig) { c.Profile.KeepsContext = tt.keeps })
		_, err := d.Login(t.Context(), credential, tt.opts)
		le := loginError(t, err)
		_, body := b.sent(1)
		if sent := strings.Contains(body, "Context"); sent != tt.sent || le.NonceFault != tt.sent || le.Outcome != auth.Refused {
			t.Errorf("%s: sent %v, %+v", tt.name, sent, le)
		}
	}
	for body, want := range map[string]bool{
		`{"error":{"@Message.ExtendedInfo":[{"MessageId":"X.1.1.Y","MessageArgs":["Context"]}]}}`:                            true,
		`{"error":{"@Message.ExtendedInfo":[{"MessageId":"X.1.1.Y","RelatedProperties":["#/Context"]}]}}`:                    true,
		`{"error":{"@Message.ExtendedInfo":[{"MessageId":"X.1.1.Y","Message":"The property Context is not known."}]}}`:       true,
		`{"error":{"message":"unexpected Context"}}`:                                                                         true,
		`{"error":{"@Message.ExtendedInfo":[{"MessageId":"Base.1.8.PropertyValueFormatError","MessageArgs":["Password"]}]}}`: false,
		`<html>Context</html>`: false,
	} {
		b := newBMC(t, answers{getRoot: root116, postSessions: says(400, body)})
		_, err := b.device(t).Login(t.Context(), credential, auth.LoginOptions{Nonce: "n"})
		if le := loginError(t, err); le.NonceFault != want {
			t.Errorf("%s: %+v", body, le)
		}
	}
}

func TestDeviceLocations(t *testing.T) {
	t.Parallel()
	const own = "/redfish/v1/SessionService/Sessions/7"
	for _, tt := range []struct{ location, body, want string }{
		{own, "", own},
		{own + "/", "", own + "/"},
		{"https://bmc.internal.example" + own, "", own},
		{"http://10.0.0.9:8080" + own, "", own},
		{"//other.example" + own, "", own},
		{"SessionService/Sessions/7", "", own},
		{"redfish/v1/SessionService/Sessions/7", "", own},
		{"/redfish/v1/Sessions/a%5b1%5D", "", "/redfish/v1/Sessions/a%5b1%5D"},
		{"/redfish/v1/Sessions/a[1]", "", "/redfish/v1/Sessions/a[1]"},
		{`/redfish/v1/Sessions/a"1"`, "", `/redfish/v1/Sessions/a"1"`},
		{own + "#x", "", own},
		{"", `{"@odata.id":"` + own + `","Id":"7"}`, own},
		{"", `{"@odata.id":"https://x` + own + `"}`, own},
		// What no session can be: the next source is asked.
		{"/redfish/v1/Systems/1", `{"@odata.id":"` + own + `"}`, own},
		{"/redfish/v1/SessionService/Sessions", `{"@odata.id":"` + own + `"}`, own},
		{"/redfish/v1/SessionService/Sessions/", `{"@odata.id":"` + own + `"}`, own},
		{"/redfish/v1/SessionService/Sessions/Members", `{"@odata.id":"` + own + `"}`, own},
		{"/redfish/v1/SessionService", `{"@odata.id":"` + own + `"}`, own},
		{"/redfish/v1/SessionService/Sessions/../../Systems/1", `{"@odata.id":"` + own + `"}`, own},
		{"https://evil.example", `{"@odata.id":"` + own + `"}`, own},
		{"/" + strings.Repeat("Sessions/", 400) + "1", `{"@odata.id":"` + own + `"}`, own},
		{"/redfish/v1/Sessions/%zz", `{"@odata.id":"` + own + `"}`, own},
		{"", "", ""}, {"", "{", ""}, {"", `{"@odata.id":7}`, ""}, {"", `[]`, ""},
	} {
		b := newBMC(t, answers{getRoot: root116, postSessions: made(tt.location, tt.body)})
		d := b.device(t)
		l, err := d.Login(t.Context(), credential, auth.LoginOptions{})
		if err != nil || l.Location != tt.want {
			t.Errorf("%.80q %s: %q %v, want %q", tt.location, tt.body, l.Location, err, tt.want)
			continue
		}
		if tt.want == "" {
			continue
		}
		// The bytes come back as they were told.
		if err := d.Logout(t.Context(), l); err != nil {
			t.Errorf("%q: logout: %v", tt.want, err)
		}
		if b.count("DELETE "+tt.want) != 1 {
			t.Errorf("%q: requests %q", tt.want, b.requests())
		}
	}
}

func TestDeviceFindsItsSession(t *testing.T) {
	t.Parallel()
	b := newBMC(t, answers{
		getRoot: root116, postSessions: made("", ""),
		"GET /redfish/v1/SessionService/Sessions": `{"Members":[{"@odata.id":"/redfish/v1/SessionService/Sessions/1"},
			{"@odata.id":"/redfish/v1/SessionService/Sessions/2"},{"@odata.id":"/redfish/v1/SessionService/Sessions/3"}]}`,
		"GET /redfish/v1/SessionService/Sessions/1": `{"Id":"1","UserName":"postern","Context":"somebody's"}`,
		"GET /redfish/v1/SessionService/Sessions/3": `{"Id":"3","UserName":"postern","Context":"n-1"}`,
	})
	l, err := b.device(t).Login(t.Context(), credential, auth.LoginOptions{Nonce: "n-1"})
	if err != nil || l.Location != "/redfish/v1/SessionService/Sessions/3" || l.ID != "3" || !l.KeepsNonce {
		t.Errorf("%+v %v", l, err)
	}
}

func TestDeviceAuto(t *testing.T) {
	t.Parallel()
	basicOK := func(w http.ResponseWriter, r *http.Request) {
		if user, pass, _ := r.BasicAuth(); user != "postern" || pass != password || r.Header.Get("X-Auth-Token") != "" {
			w.WriteHeader(401)
		}
	}
	const systems = "GET /redfish/v1/Systems"
	for _, tt := range []struct {
		name     string
		method   auth.Method
		answers  answers
		want     auth.Method // "" = refused
		requests []string
	}{
		{"sessions", "", answers{getRoot: root116, postSessions: made("", "")}, auth.MethodSession, []string{getRoot, postSessions}},
		{"no session service: no login POST", auth.MethodAuto, answers{getRoot: rootNoSession, systems: basicOK}, auth.MethodBasic, []string{getRoot, systems}},
		{"404 on the login POST", auth.MethodAuto, answers{getRoot: root116, postSessions: 404, systems: basicOK}, auth.MethodBasic, []string{getRoot, postSessions, systems}},
		{"405 on the login POST", auth.MethodAuto, answers{getRoot: root116, postSessions: 405, systems: basicOK}, auth.MethodBasic, []string{getRoot, postSessions, systems}},
		{"501 on the login POST", auth.MethodAuto, answers{getRoot: root116, postSessions: 501, systems: basicOK}, auth.MethodBasic, []string{getRoot, postSessions, systems}},
		{"401 on the login POST", auth.MethodAuto, answers{getRoot: root116, postSessions: 401, systems: basicOK}, "", []string{getRoot, postSessions}},
		{"403 on the login POST", auth.MethodAuto, answers{getRoot: root116, postSessions: 403, systems: basicOK}, "", []string{getRoot, postSessions}},
		{"500 on the login POST", auth.MethodAuto, answers{getRoot: root116, postSessions: 500, systems: basicOK}, "", []string{getRoot, postSessions}},
		{"sessions wanted, 404", auth.MethodSession, answers{getRoot: root116, postSessions: 404, systems: basicOK}, "", []string{getRoot, postSessions}},
		{"sessions wanted, not named", auth.MethodSession, answers{getRoot: rootNoSession}, "", []string{getRoot, postSessions, "POST /redfish/v1/Sessions"}},
		{"Basic wanted", auth.MethodBasic, answers{getRoot: root116, systems: basicOK}, auth.MethodBasic, []string{getRoot, systems}},
		{"service without Links", auth.MethodAuto, answers{getRoot: `{"SessionService":{"@odata.id":"/redfish/v1/SessionService/"}}`, postSessions: made("", "")}, auth.MethodSession, []string{getRoot, postSessions}},
		{"root wants credentials, old iDRAC", auth.MethodAuto, answers{getRoot: 401, postSessions: 405, "POST /redfish/v1/Sessions": made("", "")}, auth.MethodSession, []string{getRoot, postSessions, "POST /redfish/v1/Sessions"}},
		{"root wants credentials, Basic", auth.MethodBasic, answers{getRoot: func(w http.ResponseWriter, r *http.Request) {
			basicOK(w, r)
		}}, auth.MethodBasic, []string{getRoot, getRoot}},
		{"root is no JSON", auth.MethodAuto, answers{getRoot: `{"@odata.etag":"W/"1"","x":1}`, postSessions: made("", "")}, auth.MethodSession, []string{getRoot, postSessions}},
		{"root with a slash less", auth.MethodAuto, answers{getRoot: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/redfish/v1", http.StatusMovedPermanently)
		}, "GET /redfish/v1": root116, postSessions: made("", "")}, auth.MethodSession, []string{getRoot, "GET /redfish/v1", postSessions}},
		{"root with a byte order mark", auth.MethodAuto, answers{getRoot: "\xEF\xBB\xBF" + rootNoSession, systems: basicOK}, auth.MethodBasic, []string{getRoot, systems}},
		{"first link is not there", auth.MethodAuto, answers{getRoot: rootNoSession, "GET /redfish/v1/Chassis": basicOK}, auth.MethodBasic, []string{getRoot, systems, "GET /redfish/v1/Chassis"}},
		{"Basic refused", auth.MethodAuto, answers{getRoot: rootNoSession, systems: 401, "GET /redfish/v1/Chassis": basicOK}, "", []string{getRoot, systems}},
		{"a root that leads away", auth.MethodAuto, answers{getRoot: `{"Links":{"Sessions":{"@odata.id":"https://evil.example/redfish/v1/SessionService/Sessions"}}}`,
			postSessions: made("", "")}, auth.MethodSession, []string{getRoot, postSessions}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBMC(t, tt.answers)
			l, err := b.device(t).Login(t.Context(), credential, auth.LoginOptions{Method: tt.method})
			if l.Method != tt.want || (err == nil) != (tt.want != "") {
				t.Errorf("%+v %v, want %q", l, err, tt.want)
			}
			if err != nil {
				loginError(t, err)
			}
			if got := b.requests(); !slices.Equal(got, tt.requests) {
				t.Errorf("requests %q, want %q", got, tt.requests)
			}
		})
	}
}

// A root that is not ready costs no login.
func TestDeviceRootNotReady(t *testing.T) {
	t.Parallel()
	for _, status := range []int{404, 429, 500, 503, 302, 204} {
		b := newBMC(t, answers{getRoot: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "9")
			w.Header().Set("Location", "https://elsewhere.example/")
			w.WriteHeader(status)
		}, postSessions: made("", "")})
		_, err := b.device(t).Login(t.Context(), credential, auth.LoginOptions{})
		le := loginError(t, err)
		if le.Outcome != auth.NotJudged || le.Sent || le.Status != status || le.RetryAfter != 9*time.Second || len(b.requests()) != 1 {
			t.Errorf("%d: %+v, requests %q", status, le, b.requests())
		}
	}
}

func TestDeviceRedirects(t *testing.T) {
	t.Parallel()
	to := func(location string, status int) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", strings.Replace(location, "SELF", "https://"+r.Host, 1))
			w.WriteHeader(status)
		}
	}
	const path, slash = "/redfish/v1/SessionService/Sessions", postSessions + "/"
	for _, tt := range []struct {
		location string
		status   int
		followed bool
	}{
		{path + "/", 301, true}, {path + "/", 307, true}, {path + "/", 308, true}, {"SELF" + path + "/", 308, true},
		{"https://evil.example" + path + "/", 307, false}, {"http://127.0.0.1" + path + "/", 307, false},
		{path, 307, false}, {"/login", 302, false}, {path + "//", 307, false}, {"", 307, false},
	} {
		b := newBMC(t, answers{getRoot: root116, postSessions: to(tt.location, tt.status), slash: made(path+"/1", "")})
		l, err := b.device(t).Login(t.Context(), credential, auth.LoginOptions{})
		if tt.followed != (err == nil) || tt.followed != (b.count(slash) == 1) || tt.followed && l.Location != path+"/1" {
			t.Errorf("%d to %q: %+v %v, requests %q", tt.status, tt.location, l, err, b.requests())
		}
		if err != nil && loginError(t, err).Outcome != auth.Unknown {
			t.Errorf("%d to %q: %v", tt.status, tt.location, err)
		}
		if tt.followed {
			_, first := b.sent(1)
			if _, second := b.sent(2); first != second {
				t.Errorf("bodies differ: %q %q", first, second)
			}
		}
	}
	// Once is enough.
	b := newBMC(t, answers{getRoot: root116, postSessions: to(path+"/", 307), slash: to(path+"//", 307)})
	_, err := b.device(t).Login(t.Context(), credential, auth.LoginOptions{})
	if le := loginError(t, err); le.Outcome != auth.Unknown || len(b.requests()) != 3 {
		t.Errorf("%v, requests %q", err, b.requests())
	}
}

func TestDeviceCancelDoesNotCut(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	b := newBMC(t, answers{getRoot: root116,
		postSessions: func(w http.ResponseWriter, r *http.Request) {
			cancel()
			made("/redfish/v1/SessionService/Sessions/1", "")(w, r)
		},
		"DELETE /redfish/v1/SessionService/Sessions/1": 204,
	})
	d := b.device(t)
	l, err := d.Login(ctx, credential, auth.LoginOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if ctx.Err() == nil {
		t.Fatal("not cancelled")
	}
	if err := d.Logout(ctx, l); err != nil {
		t.Error(err)
	}
	if err := d.Touch(ctx, l); !errors.Is(err, context.Canceled) {
		t.Errorf("touch: %v", err)
	}
}

func TestDeviceAttach(t *testing.T) {
	t.Parallel()
	d, err := redfish.NewDevice(redfish.DeviceConfig{URL: "https://bmc.example"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		login auth.Login
		want  string
	}{
		{auth.Login{Method: auth.MethodSession, Secret: auth.NewSecret("t-1")}, "map[Accept:[x] X-Auth-Token:[t-1]]"},
		{redfish.BasicLogin(auth.Credential{Account: "jörg", Password: auth.NewSecret("pässwörd")}), "map[Accept:[x] Authorization:[Basic asO2cmc6cMOkc3N3w7ZyZA==]]"},
		{auth.Login{}, "map[Accept:[x]]"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header = http.Header{"Accept": {"x"}, "Authorization": {"a"}, "X-Auth-Token": {"b"}, "x-auth-token": {"c"}, "Cookie": {"d"}}
		d.Attach(r, tt.login)
		if got := fmt.Sprint(r.Header); got != tt.want {
			t.Errorf("%v, want %v", got, tt.want)
		}
	}
	r := &http.Request{}
	d.Attach(r, auth.Login{Method: auth.MethodSession, Secret: auth.NewSecret("t")})
	if r.Header.Get("X-Auth-Token") != "t" {
		t.Error("a request without headers")
	}
	for status, want := range map[int]auth.Verdict{200: auth.LoginGood, 401: auth.LoginUnauthorized, 403: auth.LoginGood, 404: auth.LoginGood, 500: auth.LoginGood} {
		if got := d.Judge(status, nil); got != want {
			t.Errorf("judge %d: %v", status, got)
		}
	}
}

func TestDeviceTouchAndEnd(t *testing.T) {
	t.Parallel()
	const own = "/redfish/v1/SessionService/Sessions/1"
	session := auth.Login{Method: auth.MethodSession, Secret: auth.NewSecret("t"), Location: own}
	type verdict string
	const (
		fine    verdict = "nil"
		noSess  verdict = "ErrNoSession"
		unknown verdict = "other"
	)
	of := func(err error) verdict {
		switch {
		case err == nil:
			return fine
		case errors.Is(err, auth.ErrNoSession):
			return noSess
		}
		return unknown
	}
	for _, tt := range []struct {
		status             int
		touch, logout, end verdict
	}{
		{200, fine, fine, fine}, {202, fine, fine, fine}, {204, fine, fine, fine},
		{401, noSess, noSess, noSess}, {404, noSess, fine, fine}, {410, noSess, fine, fine},
		{400, unknown, unknown, unknown}, {403, unknown, unknown, unknown}, {405, unknown, unknown, unknown},
		{307, unknown, unknown, unknown}, {500, unknown, unknown, unknown}, {503, unknown, unknown, unknown},
	} {
		b := newBMC(t, answers{"GET " + own: tt.status, "DELETE " + own: tt.status})
		d := b.device(t)
		for name, got := range map[string]struct{ got, want verdict }{
			"touch":  {of(d.Touch(t.Context(), session)), tt.touch},
			"logout": {of(d.Logout(t.Context(), session)), tt.logout},
			"end":    {of(d.End(t.Context(), session, own)), tt.end},
		} {
			if got.got != got.want {
				t.Errorf("%d: %s: %s, want %s", tt.status, name, got.got, got.want)
			}
		}
		want := 3
		if tt.status == http.StatusUnauthorized {
			want++ // a logout asks whether it is true
		}
		if n := len(b.requests()); n != want {
			t.Errorf("%d: requests %q", tt.status, b.requests())
		}
		if r, body := b.sent(1); r.Header.Get("X-Auth-Token") != "t" || r.Header.Get("Content-Type") != "" || body != "" {
			t.Errorf("DELETE: %v %q", r.Header, body)
		}
	}
	d := newBMC(t, answers{}).device(t)
	if err := d.Logout(t.Context(), redfish.BasicLogin(credential)); err != nil {
		t.Errorf("logout of Basic: %v", err)
	}
	for _, location := range []string{"", "/redfish/v1/Systems/1", "/redfish/v1/SessionService/Sessions", "https://x/redfish/v1/Sessions/1", "Sessions/1", "/redfish/v1/Sessions/a b"} {
		if err := d.End(t.Context(), session, location); err == nil {
			t.Errorf("end %q: no error", location)
		}
	}
	if err := d.Logout(t.Context(), auth.Login{Method: auth.MethodSession, Secret: auth.NewSecret("t")}); err == nil {
		t.Error("logout without a location: no error")
	}
}

// A location that was told with a slash and is known without.
func TestDeviceLogoutWithoutSlash(t *testing.T) {
	t.Parallel()
	const own = "/redfish/v1/SessionService/Sessions/1"
	l := auth.Login{Method: auth.MethodSession, Secret: auth.NewSecret("t"), Location: own + "/"}
	for _, status := range []int{404, 405} {
		b := newBMC(t, answers{"DELETE " + own + "/": status, "DELETE " + own: 204})
		if err := b.device(t).Logout(t.Context(), l); err != nil || !slices.Equal(b.requests(), []string{"DELETE " + own + "/", "DELETE " + own}) {
			t.Errorf("%d: %v %q", status, err, b.requests())
		}
	}
}

func TestDeviceTouchBasic(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]string{200: "<nil>", 401: "no such session", 404: "status 404", 403: "status 403"} {
		b := newBMC(t, answers{getRoot: rootNoSession, "GET /redfish/v1/Systems": status})
		err := b.device(t).Touch(t.Context(), redfish.BasicLogin(credential))
		if !strings.Contains(fmt.Sprint(err), want) || errors.Is(err, auth.ErrNoSession) != (status == 401) {
			t.Errorf("%d: %v", status, err)
		}
	}
}

func TestDeviceIdle(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]time.Duration{
		`{"SessionTimeout":1800}`: 30 * time.Minute, `{"SessionTimeout":300.0}`: 5 * time.Minute, `{}`: 0, `{"SessionTimeout":"300"}`: 0,
		`{"SessionTimeout":-1}`: 0, `{"SessionTimeout":1e300}`: 0, `{"SessionTimeout":null}`: 0, `{"sessiontimeout":300}`: 0,
	} {
		b := newBMC(t, answers{getRoot: root116, "GET /redfish/v1/SessionService": body})
		if got, err := b.device(t).Idle(t.Context(), auth.Login{}); got != want || err != nil {
			t.Errorf("%s: %v %v, want %v", body, got, err, want)
		}
	}
	b := newBMC(t, answers{getRoot: root116, "GET /redfish/v1/SessionService": 401})
	if _, err := b.device(t).Idle(t.Context(), auth.Login{}); !errors.Is(err, auth.ErrNoSession) {
		t.Errorf("401: %v", err)
	}
	b = newBMC(t, answers{getRoot: 401, "GET /redfish/v1/SessionService": "[]"})
	if _, err := b.device(t).Idle(t.Context(), auth.Login{}); err == nil {
		t.Error("garbage: no error")
	}
}

func TestDeviceList(t *testing.T) {
	t.Parallel()
	const c = "/redfish/v1/SessionService/Sessions"
	get := "GET " + c
	member := func(n int) string { return fmt.Sprintf(`{"@odata.id":"%s/%d"}`, c, n) }
	many := func(n int) string {
		all := make([]string, n)
		for i := range all {
			all[i] = fmt.Sprintf(`{"@odata.id":"%s/%d","UserName":"u"}`, c, i)
		}
		return `{"Members":[` + strings.Join(all, ",") + `]}`
	}
	for _, tt := range []struct {
		name    string
		answers answers
		want    []auth.Listed // nil = an error
	}{
		{"none", answers{get: `{"Members":[],"Members@odata.count":0}`}, []auth.Listed{}},
		{"references", answers{get: `{"Members":[` + member(1) + `,` + member(2) + `]}`,
			get + "/1": `{"@odata.id":"` + c + `/1","Id":"1","UserName":"postern","Context":"n","ClientOriginIPAddress":"192.0.2.7","CreatedTime":"2026-11-21T17:00:00Z","Password":null}`,
			get + "/2": `{"UserName":"root","Context":null,"CreatedTime":"yesterday"}`},
			[]auth.Listed{
				{Location: c + "/1", ID: "1", Account: "postern", Context: "n", Source: "192.0.2.7", Created: time.Date(2026, 11, 21, 17, 0, 0, 0, time.UTC)},
				{Location: c + "/2", ID: "2", Account: "root"},
			}},
		{"one ended meanwhile", answers{get: `{"Members":[` + member(1) + `,` + member(2) + `]}`, get + "/2": `{"Id":"2","UserName":"root"}`},
			[]auth.Listed{{Location: c + "/2", ID: "2", Account: "root"}}},
		{"expanded", answers{get: `{"Members":[{"@odata.id":"` + c + `/1","Id":"1","UserName":"root"}]}`}, []auth.Listed{{Location: c + "/1", ID: "1", Account: "root"}}},
		{"pages", answers{get: `{"Members":[{"@odata.id":"` + c + `/1","UserName":"a"}],"Members@odata.nextLink":"` + c + `?$skip=1"}`,
			get + "?$skip=1": `{"Members":[{"@odata.id":"` + c + `/2","UserName":"b"}]}`},
			[]auth.Listed{{Location: c + "/1", ID: "1", Account: "a"}, {Location: c + "/2", ID: "2", Account: "b"}}},
		{"too many on two pages", answers{get: many(200)[:len(many(200))-1] + `,"Members@odata.nextLink":"` + c + `?p=2"}`, get + "?p=2": many(200)}, nil},
		{"a page for ever", answers{get: `{"Members":[],"Members@odata.nextLink":"` + c + `"}`}, nil},
		{"a page elsewhere", answers{get: `{"Members":[],"Members@odata.nextLink":"/../x"}`}, nil},
		{"a page that is not there", answers{get: `{"Members":[],"Members@odata.nextLink":"` + c + `?p=2"}`}, nil},
		{"too many", answers{get: many(257)}, nil},
		{"member fails", answers{get: `{"Members":[` + member(1) + `]}`, get + "/1": 500}, nil},
		{"member is garbage", answers{get: `{"Members":[` + member(1) + `]}`, get + "/1": "<html>"}, nil},
		{"member without id", answers{get: `{"Members":[{}]}`}, nil},
		{"member is no object", answers{get: `{"Members":["x"]}`}, nil},
		{"no Members", answers{get: `{"Members@odata.count":1}`}, nil},
		{"Members is an object", answers{get: `{"Members":{}}`}, nil},
		{"Members twice", answers{get: `{"Members":[],"members":[]}`}, nil},
		{"an array", answers{get: `[]`}, nil},
		{"forbidden", answers{get: 403}, nil},
		{"not there", answers{}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.answers[getRoot] = root116
			b := newBMC(t, tt.answers)
			got, err := b.device(t).List(t.Context(), auth.Login{Method: auth.MethodSession, Secret: auth.NewSecret("t")})
			if (err == nil) != (tt.want != nil) || !slices.Equal(got, tt.want) && len(tt.want) > 0 {
				t.Errorf("%+v %v, want %+v", got, err, tt.want)
			}
			if n := len(b.requests()); n > 70 {
				t.Errorf("%d requests", n)
			}
		})
	}
	got, err := newBMC(t, answers{getRoot: root116, get: many(256)}).device(t).List(t.Context(), auth.Login{})
	if err != nil || len(got) != 256 {
		t.Errorf("256 sessions: %d %v", len(got), err)
	}
	if _, err := newBMC(t, answers{getRoot: root116, get: 401}).device(t).List(t.Context(), auth.Login{}); !errors.Is(err, auth.ErrNoSession) {
		t.Errorf("401: %v", err)
	}
	// A root that tells nothing: the login's own location does, then the defaults.
	b := newBMC(t, answers{getRoot: 401, "GET /redfish/v1/Sessions": `{"Members":[]}`})
	if _, err := b.device(t).List(t.Context(), auth.Login{Method: auth.MethodSession, Location: "/redfish/v1/Sessions/5"}); err != nil || b.count("GET /redfish/v1/Sessions") != 1 || len(b.requests()) != 2 {
		t.Errorf("%v %q", err, b.requests())
	}
	if _, err := b.device(t).List(t.Context(), redfish.BasicLogin(credential)); err != nil {
		t.Errorf("old iDRAC with Basic: %v", err)
	}
}

func TestNewDeviceRefuses(t *testing.T) {
	t.Parallel()
	for _, u := range []string{"", "bmc.example", "ftp://x", "https://", "https://u:p@x", "https://x/redfish", "https://x?a", "https://x#a", "https://x:y", "://"} {
		if _, err := redfish.NewDevice(redfish.DeviceConfig{URL: u}); err == nil {
			t.Errorf("%q: no error", u)
		}
	}
	if _, err := redfish.NewDevice(redfish.DeviceConfig{URL: "https://[::1]:8443/"}); err != nil {
		t.Error(err)
	}
}

// silent is a device that takes requests and never answers.
type silent struct{}

func (silent) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// Each request has its own deadline, whoever waits.
func TestDeviceDeadlines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, err := redfish.NewDevice(redfish.DeviceConfig{URL: "https://bmc.example", Base: silent{}, Fresh: silent{}})
		if err != nil {
			t.Fatal(err)
		}
		l := auth.Login{Method: auth.MethodSession, Secret: auth.NewSecret("t"), Location: "/redfish/v1/Sessions/1"}
		for name, call := range map[string]struct {
			do   func() error
			want time.Duration
		}{
			"login":  {func() error { _, err := d.Login(t.Context(), credential, auth.LoginOptions{}); return err }, 30 * time.Second},
			"logout": {func() error { return d.Logout(t.Context(), l) }, 15 * time.Second},
			"touch":  {func() error { return d.Touch(t.Context(), l) }, time.Minute},
			"list":   {func() error { _, err := d.List(t.Context(), l); return err }, 30 * time.Second},
		} {
			start := time.Now()
			if err := call.do(); err == nil || time.Since(start) != call.want {
				t.Errorf("%s: %v after %v, want %v", name, err, time.Since(start), call.want)
			}
		}
	})
}
