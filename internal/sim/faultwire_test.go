package sim

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/postern/postern/auth"
)

func misbehave(t *testing.T, list ...string) *rig {
	t.Helper()
	return start(t, Config{Faults: list, Accounts: []Account{{Name: "reader", Password: auth.NewSecret("pw-reader-1"), Role: auth.ReadOnly}}})
}

func TestLocationAs(t *testing.T) {
	t.Parallel()
	const path = sessionsPath + "/1"
	for form, want := range map[string]string{
		"host": "https://bmc.example" + path, "port": "https://127.0.0.1:1" + path, "ipv6": "https://[2001:db8::1]:443" + path,
		"http": "http://127.0.0.1:8443" + path, "rootless": "SessionService/Sessions/1", "redfish": "redfish/v1/SessionService/Sessions/1",
		"slash": "https://127.0.0.1:8443" + path + "/", "fragment": "https://127.0.0.1:8443" + path + "#/Token",
		"collection": "https://127.0.0.1:8443" + sessionsPath,
	} {
		if got := locationAs(form, "https://127.0.0.1:8443"+path); got != want {
			t.Errorf("%s: %s, want %s", form, got, want)
		}
	}
}

func TestFaultLoginAnswers(t *testing.T) {
	t.Parallel()
	for fault, check := range map[string]func(p reply) bool{
		"no-session-uri":   func(p reply) bool { return p.header.Get("Location")+p.member("Id")+p.member("@odata.id") == "" },
		"login-status=202": func(p reply) bool { return p.status == 202 && p.member("Id") != "" },
		"login-status=204": func(p reply) bool { return p.status == 204 && len(p.body) == 0 && p.header.Get("Location") != "" },
		"login-no-body":    func(p reply) bool { return p.status == 201 && len(p.body) == 0 && p.header.Get("X-Auth-Token") != "" },
		"no-token": func(p reply) bool {
			return p.status == 201 && len(p.header.Values("X-Auth-Token")) == 0 && p.member("Token") == ""
		},
		"no-token=body":  func(p reply) bool { return len(p.header.Values("X-Auth-Token")) == 0 && len(p.member("Token")) == 34 },
		"two-tokens":     func(p reply) bool { return len(p.header.Values("X-Auth-Token")) == 2 },
		"wrong-types":    func(p reply) bool { return p.member("Id") == "4711" && p.status == 201 },
		"hostile-names":  func(p reply) bool { return strings.Contains(p.member("Id"), `\u001b[2J`) },
		"absurd-headers": func(p reply) bool { return len(p.header.Get("X-Long")) > 40000 && p.status == 201 },
	} {
		r := misbehave(t, fault)
		p := r.loginAs(testUser, testPassword)
		if !check(p) || r.Stats().Sessions != 1 || r.events() != "login" {
			t.Errorf("%s: %d %v %s, journal %s", fault, p.status, p.header, p.body, r.events())
		}
		if l := r.lines()[0]; l.Status != p.status {
			t.Errorf("%s: the journal has %d for %d", fault, l.Status, p.status)
		}
	}
}

func TestFaultLoginRefusals(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		fault  string
		status int
		says   string
		opts   []option
		body   string
	}{
		{"login-refused", 405, "OperationNotAllowed", nil, ""},
		{"login-refused=429", 429, "ServiceTemporarilyUnavailable", nil, ""},
		{"login-strict", 415, "HeaderInvalid", []option{basic}, ""},
		{"login-strict", 401, "NoValidSession", []option{token("old")}, ""},
		{"login-strict", 400, "PropertyUnknown", nil, `{"UserName":"root","Password":"` + testPassword + `","Context":"x"}`},
		{"login-strict", 201, "", nil, ""},
		{"login-redirect=301", 301, "", nil, ""},
		{"login-redirect-away", 308, "", nil, ""},
		{"login-redirect-loop", 308, "", nil, ""},
	} {
		r := misbehave(t, tt.fault)
		r.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		body := tt.body
		if body == "" {
			body = loginBody(testUser, testPassword)
		}
		p := r.do("POST", sessionsPath, body, tt.opts...)
		if p.status != tt.status || p.messages() != tt.says {
			t.Errorf("%s: %d %s, want %d %s", tt.fault, p.status, p.messages(), tt.status, tt.says)
		}
		if made := r.Stats().Sessions == 1; made != (p.status == 201) {
			t.Errorf("%s: a session was made: %v", tt.fault, made)
		}
		if tt.fault == "login-redirect=301" {
			if p = r.do("POST", p.header.Get("Location"), body); p.status != 201 {
				t.Errorf("with the slash: %d", p.status)
			}
		}
	}
}

func TestFaultFullMessages(t *testing.T) {
	t.Parallel()
	for whose, want := range map[string]struct {
		status int
		says   string
	}{
		"dmtf": {503, "SessionLimitExceeded"}, "limit": {400, "CreateLimitReachedForResource"}, "idrac": {503, "RAC0218"},
		"ilo": {400, "SessionLimitExceeded"}, "html": {503, ""}, "none": {503, ""},
	} {
		r := start(t, Config{Slots: 1, Faults: []string{"login-full-message=" + whose}})
		r.login()
		p := r.loginAs(testUser, testPassword)
		if p.status != want.status || p.messages() != want.says || json.Valid(p.body) == (want.says == "") {
			t.Errorf("%s: %d %s", whose, p.status, p.body)
		}
		if p = r.loginAs(testUser, "wrong"); p.status != 401 {
			t.Errorf("%s: a wrong password gets %d", whose, p.status)
		}
	}
}

func TestFaultSessionsElsewhere(t *testing.T) {
	t.Parallel()
	r := misbehave(t, "old-sessions")
	if p := r.loginAs(testUser, testPassword); p.status != 405 {
		t.Errorf("where they should be: %d", p.status)
	}
	p := r.do("POST", oldSessionsPath, loginBody(testUser, testPassword))
	at := strings.Trim(p.member("@odata.id"), `"`)
	if p.status != 201 || !strings.HasPrefix(at, oldSessionsPath+"/") || !strings.HasSuffix(p.header.Get("Location"), at) {
		t.Errorf("%d %v %s", p.status, p.header, p.body)
	}
	if root := r.do("GET", "/redfish/v1/", ""); root.member("Links", "Sessions", "@odata.id") != `"`+oldSessionsPath+`"` {
		t.Errorf("root: %s", root.body)
	}
	if p := r.do("DELETE", at, "", token(p.header.Get("X-Auth-Token"))); p.status != 204 || r.Stats().Sessions != 0 {
		t.Errorf("logout: %d", p.status)
	}

	for fault, known := range map[string]string{"location=brackets": "/%5B", "location=slash": "", "hostile-names": "%1B%5B2J%0A"} {
		r := misbehave(t, fault)
		p := r.loginAs(testUser, testPassword)
		tok, told := token(p.header.Get("X-Auth-Token")), strings.TrimPrefix(p.header.Get("Location"), r.url)
		plain, known := sessionsPath+"/"+r.auth.Sessions("")[0].ID, strings.Contains(told, known)
		wrong, right := plain, told
		if fault == "location=slash" {
			wrong, right = right, wrong
		}
		if p := r.do("DELETE", wrong, "", tok); p.status != 404 || !known {
			t.Errorf("%s: %s gets %d", fault, wrong, p.status)
		}
		if p := r.do("GET", right, "", tok); p.status != 200 {
			t.Errorf("%s: %s gets %d", fault, right, p.status)
		}
		if p := r.do("DELETE", right, "", tok); p.status != 204 || r.Stats().Sessions != 0 {
			t.Errorf("%s: %s gets %d", fault, right, p.status)
		}
	}
}

func TestFaultLives(t *testing.T) {
	t.Parallel()
	r := misbehave(t, "restart=3", "expired-403")
	tok, _ := r.login()
	var got []int
	for range 4 {
		got = append(got, r.do("GET", systemPath, "", token(tok)).status)
	}
	if got[0] != 200 || got[1] != 200 || got[2] != 403 || got[3] != 403 {
		t.Errorf("restart: %v", got)
	}
	if p := r.do("GET", systemPath, ""); p.status != 401 {
		t.Errorf("without a token: %d", p.status)
	}

	r = misbehave(t, "forbidden-401", "session-timeout=soon", "if-match-required")
	if p := r.do("PATCH", systemPath, `{"AssetTag":"x"}`, basicAs("reader", "pw-reader-1"), header("If-Match", "*")); p.status != 401 {
		t.Errorf("a call that is not allowed: %d", p.status)
	}
	r.want(428, "PATCH", systemPath, `{"AssetTag":"x"}`)
	if p := r.want(200, "GET", servicePath, ""); p.member("SessionTimeout") != `"soon"` {
		t.Errorf("SessionTimeout: %s", p.body)
	}
	if p := misbehave(t, "session-timeout=86400").want(200, "GET", servicePath, ""); p.member("SessionTimeout") != "86400" {
		t.Errorf("SessionTimeout: %s", p.body)
	}

	r = start(t, Config{Slots: 1, Faults: []string{"evicts"}})
	first, _ := r.login()
	r.login()
	if p := r.do("GET", systemPath, "", token(first)); p.status != 401 || r.events() != "login expired login call" {
		t.Errorf("the evicted one: %d, journal %s", p.status, r.events())
	}
}

func TestFaultLogouts(t *testing.T) {
	t.Parallel()
	for fault, want := range map[string]int{"logout-status": 401, "logout-status=400": 400, "logout-strict": 204} {
		r := misbehave(t, fault)
		tok, at := r.login()
		if fault == "logout-strict" {
			if p := r.do("DELETE", at, "", token(tok), header("Content-Type", "application/json")); p.status != 400 {
				t.Errorf("%s: with a Content-Type: %d", fault, p.status)
			}
		}
		if p := r.do("DELETE", at, "", token(tok)); p.status != want || r.Stats().Sessions != 0 || !strings.HasSuffix(r.events(), "logout") {
			t.Errorf("%s: %d, %d sessions, journal %s", fault, p.status, r.Stats().Sessions, r.events())
		}
	}
	r := misbehave(t, "drop-logout-answer=1")
	tok, at := r.login()
	if p, err := r.try("DELETE", at, "", token(tok)); err == nil || r.Stats().Sessions != 0 {
		t.Errorf("answered %d, %d sessions", p.status, r.Stats().Sessions)
	}
}

func TestFaultAnswers(t *testing.T) {
	t.Parallel()
	const root = rootPath + "/"
	r := misbehave(t, "root-wants-login", "root-broken")
	tok, _ := r.login()
	if p := r.do("GET", root, ""); p.status != 401 || p.header.Get("WWW-Authenticate") == "" || p.messages() != "NoValidSession" {
		t.Errorf("root: %d %s", p.status, p.body)
	}
	for _, o := range []option{basic, token(tok)} {
		if p := r.do("GET", root, "", o); p.status != 200 || json.Valid(p.body) || !strings.Contains(string(p.body), "SessionService") {
			t.Errorf("root with a login: %d %s", p.status, p.body)
		}
		if p := r.do("HEAD", root, "", o); p.status != 200 || len(p.body) != 0 {
			t.Errorf("HEAD: %d %s", p.status, p.body)
		}
	}
	for fault, check := range map[string]func(reply, error) bool{
		"error-body=html": func(p reply, err error) bool { return p.status == 401 && strings.Contains(string(p.body), "<html>") },
		"error-body=none": func(p reply, err error) bool { return p.status == 401 && len(p.body) == 0 && err == nil },
		"error-body=cut":  func(p reply, err error) bool { return p.status == 401 && err == io.ErrUnexpectedEOF },
		"hostile-errors":  func(p reply, err error) bool { return strings.Contains(string(p.body), `\u001b`) && json.Valid(p.body) },
		"hostile-headers": func(p reply, err error) bool { return err != nil && strings.Contains(err.Error(), "X-Hostile") },
		"endless-headers": func(p reply, err error) bool { return err != nil },
		"reset-answer=1":  func(p reply, err error) bool { return err != nil },
		"slow-body=1ms":   func(p reply, err error) bool { return p.messages() == "NoValidSession" },
		"redirect-loop":   func(p reply, err error) bool { return p.status == 307 && p.header.Get("Location") == systemPath },
		"redirect-away":   func(p reply, err error) bool { return p.header.Get("Location") == "https://bmc.example"+systemPath },
		"stale-keep-alive": func(p reply, err error) bool {
			return p.status == 401 && p.header.Get("Keep-Alive") != "" && p.messages() == "NoValidSession"
		},
	} {
		r := misbehave(t, fault)
		r.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		if p, err := r.try("GET", systemPath, ""); !check(p, err) || r.events() != "call" {
			t.Errorf("%s: %d %v %s, %v; journal %s", fault, p.status, p.header, p.body, err, r.events())
		}
	}
}

// The stream of events is not held back by what wants whole answers.
func TestFaultsLeaveStreams(t *testing.T) {
	t.Parallel()
	r := misbehave(t, "slow-body=1m", "absurd-headers", "endless-body", "error-body=html")
	defer r.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+streamPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	basic(req)
	req.Header.Set("Accept", "text/event-stream")
	resp, err := r.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") || resp.Header.Get("X-Long") != "" {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
}

// What one fault does to an answer the next finds, in the order they were given.
func TestFaultsTogether(t *testing.T) {
	t.Parallel()
	r := misbehave(t, "old-sessions", "location=rootless", "login-status=202", "wrong-types", "stale-keep-alive")
	p := r.do("POST", oldSessionsPath, loginBody(testUser, testPassword))
	if p.status != 202 || !strings.HasPrefix(p.header.Get("Location"), "Sessions/") || p.member("Id") != "4711" || p.header.Get("Keep-Alive") == "" {
		t.Errorf("%d %v %s", p.status, p.header, p.body)
	}
}
