//lint:file-ignore SA1008 the letter case that goes out is what is looked at

package redfish_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/redfish"
)

// keeper holds rules, as an administration keeps them.
type keeper struct {
	mu    sync.Mutex
	rules redfish.Rules
	fault error
}

func (k *keeper) now() redfish.Rules {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.rules
}

func (k *keeper) set(_ context.Context, c redfish.SessionChange) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.fault != nil:
		return k.fault
	case c.Version != 0 && c.Version != k.rules.Version:
		return redfish.ErrChanged
	}
	if c.Enabled != nil {
		k.rules.SessionsDisabled = !*c.Enabled
	}
	if c.Idle != nil {
		k.rules.SessionIdle = *c.Idle
	}
	if c.Lifetime != nil {
		k.rules.SessionLifetime = *c.Lifetime
	}
	k.rules.Version++
	return nil
}

func (k *keeper) config(c *redfish.Config) { c.Rules, c.SetSessions = k.now, k.set }

const serviceURI = "/redfish/v1/SessionService"

func TestChangeSessionService(t *testing.T) {
	t.Parallel()
	admin := basic("admin", password)
	for _, tt := range []struct {
		name, body string
		status     int
		key        string // of the first message
		args       []string
		want       redfish.Rules // after a 200
	}{
		{"idle", `{"SessionTimeout":600}`, 200, "", nil, redfish.Rules{SessionIdle: 10 * time.Minute}},
		{"least", `{"SessionTimeout":30}`, 200, "", nil, redfish.Rules{SessionIdle: 30 * time.Second}},
		{"most", `{"SessionTimeout":86400,"@odata.etag":"x"}`, 200, "", nil, redfish.Rules{SessionIdle: 24 * time.Hour}},
		{"too short", `{"SessionTimeout":29}`, 400, "PropertyValueOutOfRange", []string{"29", "SessionTimeout"}, redfish.Rules{}},
		{"too long", `{"SessionTimeout":86401}`, 400, "PropertyValueOutOfRange", []string{"86401", "SessionTimeout"}, redfish.Rules{}},
		{"negative", `{"SessionTimeout":-1}`, 400, "PropertyValueOutOfRange", []string{"-1", "SessionTimeout"}, redfish.Rules{}},
		{"beyond int64", `{"SessionTimeout":99999999999999999999}`, 400, "PropertyValueOutOfRange", nil, redfish.Rules{}},
		{"text", `{"SessionTimeout":"600"}`, 400, "PropertyValueTypeError", []string{"600", "SessionTimeout"}, redfish.Rules{}},
		{"fraction", `{"SessionTimeout":600.5}`, 400, "PropertyValueTypeError", nil, redfish.Rules{}},
		{"exponent", `{"SessionTimeout":6e2}`, 400, "PropertyValueTypeError", nil, redfish.Rules{}},
		{"null", `{"SessionTimeout":null}`, 400, "PropertyValueTypeError", []string{"null", "SessionTimeout"}, redfish.Rules{}},
		{"read only", `{"Sessions":{"@odata.id":"/x"}}`, 400, "PropertyNotWritable", []string{"Sessions"}, redfish.Rules{}},
		{"unknown", `{"BogusProp":1}`, 400, "PropertyUnknown", []string{"BogusProp"}, redfish.Rules{}},
		{"letter case", `{"sessiontimeout":600}`, 400, "PropertyUnknown", []string{"sessiontimeout"}, redfish.Rules{}},
		{"good and bad", `{"SessionTimeout":600,"BogusProp":1}`, 400, "PropertyUnknown", nil, redfish.Rules{}},
		{"annotations", `{"@odata.id":"/redfish/v1/SessionService/"}`, 400, "NoOperation", nil, redfish.Rules{}},
		{"empty", `{}`, 400, "NoOperation", nil, redfish.Rules{}},
		{"array", `[]`, 400, "UnrecognizedRequestBody", nil, redfish.Rules{}},
		{"nothing", ``, 400, "MalformedJSON", nil, redfish.Rules{}},
		{"twice", `{"SessionTimeout":600,"SessionTimeout":60}`, 400, "PropertyDuplicate", nil, redfish.Rules{}},
		{"lifetime", `{"AbsoluteSessionTimeout":3600,"AbsoluteSessionTimeoutEnabled":true}`, 200, "", nil, redfish.Rules{SessionLifetime: time.Hour}},
		{"lifetime of no length", `{"AbsoluteSessionTimeoutEnabled":true}`, 200, "", nil, redfish.Rules{SessionLifetime: 24 * time.Hour}},
		{"lifetime alone", `{"AbsoluteSessionTimeout":3600}`, 400, "PropertyValueConflict", nil, redfish.Rules{}},
		{"disabled", `{"ServiceEnabled":false}`, 200, "", nil, redfish.Rules{SessionsDisabled: true}},
	} {
		k := &keeper{rules: redfish.Rules{Version: 1}}
		f := newFace(t, k.config)
		w := f.ask("PATCH", serviceURI, tt.body, admin, "Content-Type: application/json")
		if w.Code != tt.status {
			t.Errorf("%s: %d %s, want %d", tt.name, w.Code, w.Body, tt.status)
			continue
		}
		if w.Code == 200 {
			tt.want.Version = 2
			if got := k.now(); got != tt.want {
				t.Errorf("%s: rules %+v, want %+v", tt.name, got, tt.want)
			}
			if again := f.ask("GET", serviceURI, "", admin); again.Body.String() != w.Body.String() || again.Header()["ETag"][0] != w.Header()["ETag"][0] {
				t.Errorf("%s: %s, then %s", tt.name, w.Body, again.Body)
			}
			continue
		}
		e := errorBody(t, tt.name, w).Error.ExtendedInfo[0]
		if e.MessageID != "Base.1.22."+tt.key || tt.args != nil && !slices.Equal(e.MessageArgs, tt.args) {
			t.Errorf("%s: %+v", tt.name, e)
		}
		if k.now() != (redfish.Rules{Version: 1}) {
			t.Errorf("%s: rules %+v", tt.name, k.now())
		}
	}
}

func TestSessionServicePreconditions(t *testing.T) {
	t.Parallel()
	k := &keeper{rules: redfish.Rules{SessionLifetime: time.Hour, Version: 1}}
	f := newFace(t, k.config)
	admin := basic("admin", password)
	w := f.ask("GET", serviceURI, "", admin)
	tag := w.Header()["ETag"][0]
	if allow := w.Header().Get("Allow"); allow != "GET, HEAD, PATCH" || !strings.Contains(w.Body.String(), `"AbsoluteSessionTimeout":3600`) {
		t.Errorf("%q %s", allow, w.Body)
	}
	if w := f.ask("GET", serviceURI, "", admin, "If-None-Match: "+tag); w.Code != 304 {
		t.Errorf("If-None-Match: %d", w.Code)
	}
	for _, bad := range []string{`"abc"foobar`, `"zz"`, "W/" + tag, strings.Trim(tag, `"`)} {
		if w := f.ask("PATCH", serviceURI, `{"SessionTimeout":"x"}`, admin, "If-Match: "+bad); w.Code != 412 {
			t.Errorf("%s: %d, want 412", bad, w.Code)
		}
	}
	if w := f.ask("PATCH", serviceURI, `{"SessionTimeout":60}`, admin, "If-Match: "+tag); w.Code != 200 {
		t.Errorf("the tag: %d %s", w.Code, w.Body)
	}
	if w := f.ask("PATCH", serviceURI, `{"SessionTimeout":90}`, admin, "If-Match: "+tag); w.Code != 412 {
		t.Errorf("the tag from before: %d", w.Code)
	}
	if w := f.ask("PATCH", serviceURI, `{"AbsoluteSessionTimeoutEnabled":false}`, admin, "If-Match: *"); w.Code != 200 || k.now().SessionLifetime != 0 {
		t.Errorf("*: %d %+v", w.Code, k.now())
	}
	for _, who := range []string{"oper", "reader"} {
		if w := f.ask("PATCH", serviceURI, `{"SessionTimeout":90}`, basic(who, password), "If-Match: *"); w.Code != 403 {
			t.Errorf("%s: %d, want 403", who, w.Code)
		}
	}
	// Between the check and the change somebody may be faster: what was sent
	// with a tag is for the rules which that tag was of.
	var asked []int64
	f = newFace(t, func(c *redfish.Config) {
		c.Rules = k.now
		c.SetSessions = func(_ context.Context, c redfish.SessionChange) error { asked = append(asked, c.Version); return nil }
	})
	tag = f.ask("GET", serviceURI, "", admin).Header()["ETag"][0]
	for _, match := range []string{"If-Match: " + tag, "If-Match: *", "X-None: 1"} {
		f.ask("PATCH", serviceURI, `{"SessionTimeout":90}`, admin, match)
	}
	if v := k.now().Version; !slices.Equal(asked, []int64{v, 0, 0}) {
		t.Errorf("versions %d, want %d, 0, 0", asked, v)
	}
	f = newFace(t, k.config)
	k.fault = redfish.ErrChanged
	if w := f.ask("PATCH", serviceURI, `{"SessionTimeout":90}`, admin); w.Code != 412 {
		t.Errorf("changed meanwhile: %d, want 412", w.Code)
	}
	g := newFace(t) // where nobody can change them
	if w := g.ask("PATCH", serviceURI, `{"SessionTimeout":90}`, admin); w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("%d %q", w.Code, w.Header().Get("Allow"))
	}
}

func TestDisabledSessions(t *testing.T) {
	t.Parallel()
	k := &keeper{}
	f := newFace(t, k.config)
	token, path := f.login("admin")
	k.rules.SessionsDisabled = true
	asked := len(f.auth.asked())
	w := f.ask("POST", serviceURI+"/Sessions", loginJSON("oper", password))
	if m := errorBody(t, "login", w).Error.ExtendedInfo[0]; w.Code != 503 || m.MessageID != "Base.1.22.ServiceDisabled" || m.MessageArgs[0] != serviceURI {
		t.Errorf("login: %d %+v", w.Code, m)
	}
	if len(f.auth.asked()) != asked {
		t.Error("the password was judged")
	}
	if w := f.ask("GET", path, "", "X-Auth-Token: "+token); w.Code != 200 {
		t.Errorf("a living session: %d", w.Code)
	}
	if w := f.ask("DELETE", path, "", "X-Auth-Token: "+token); w.Code != 503 {
		t.Errorf("ending one: %d, want 503", w.Code)
	}
	f.auth.fault = auth.ErrServiceDisabled // an authority that knows it first
	k.rules.SessionsDisabled = false
	if w := f.ask("POST", serviceURI+"/Sessions", loginJSON("oper", password)); w.Code != 503 {
		t.Errorf("login: %d, want 503", w.Code)
	}
}

func TestBasicModes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		mode    redfish.BasicMode
		good    int
		offered bool
	}{
		{"", 200, true}, {redfish.BasicEnabled, 200, true}, {redfish.BasicUnadvertised, 200, false}, {redfish.BasicDisabled, 401, false},
	} {
		m := newMemory()
		h, err := redfish.New(redfish.Config{
			Authority: m, Listener: listener, Rules: func() redfish.Rules { return redfish.Rules{Basic: tt.mode} },
		})
		if err != nil {
			t.Fatal(err)
		}
		ask := func(user string) *httptest.ResponseRecorder {
			r := httptest.NewRequest("GET", serviceURI, nil)
			r.TLS = &tls.ConnectionState{}
			if user != "" {
				r.SetBasicAuth(user, password)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			return w
		}
		if w := ask("oper"); w.Code != tt.good {
			t.Errorf("%q: %d, want %d", tt.mode, w.Code, tt.good)
		}
		if w := ask(""); w.Code != 401 || (len(w.Header()["WWW-Authenticate"]) == 1) != tt.offered {
			t.Errorf("%q: %d %q", tt.mode, w.Code, w.Header()["WWW-Authenticate"])
		}
		if tt.mode == redfish.BasicDisabled && len(m.asked()) != 0 {
			t.Error("the authority was asked")
		}
	}
}

// cert asks with a client certificate for the account of that common name.
func (f *face) cert(cn, method, target string, headers ...string) *httptest.ResponseRecorder {
	f.t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(""))
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{Subject: pkix.Name{CommonName: cn}}}}
	r.RemoteAddr = "192.0.2.7:4711"
	return f.send(r, headers...)
}

func TestClientCertificates(t *testing.T) {
	t.Parallel()
	k := &keeper{rules: redfish.Rules{Certificates: true}}
	f := newFace(t, k.config)
	token, _ := f.login("oper")
	const uri = "/redfish/v1/Systems"
	for _, tt := range []struct {
		name, cn string
		headers  []string
		want     int
		who      auth.AccountName
	}{
		{"good", "reader", nil, 200, "reader"},
		{"good, empty token", "reader", []string{"X-Auth-Token:"}, 200, "reader"},
		{"unknown", "nobody", nil, 401, ""},
		{"with a token of its own", "oper", []string{"X-Auth-Token: " + token}, 200, "oper"},
		{"with another's token", "reader", []string{"X-Auth-Token: " + token}, 401, ""},
		{"not good, with a token", "nobody", []string{"X-Auth-Token: " + token}, 200, "oper"},
		{"with a bad token", "reader", []string{"X-Auth-Token: nope"}, 401, ""},
		{"with Basic", "reader", []string{basic("admin", password)}, 200, "admin"},
		{"with bad Basic", "reader", []string{basic("admin", "wrong")}, 401, ""},
		{"with another scheme", "reader", []string{"Authorization: Bearer x"}, 401, ""},
	} {
		before := len(f.next)
		w := f.cert(tt.cn, "GET", uri, tt.headers...)
		if w.Code != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, w.Code, tt.want)
		}
		if w.Code != 200 || len(f.next) == before {
			continue
		}
		if p, _ := auth.PrincipalFrom(f.next[len(f.next)-1].Context()); p.Account != tt.who {
			t.Errorf("%s: is %q", tt.name, p.Account)
		}
	}
	if a := f.auth.asked(); a[1].Kind != auth.Certificate || len(a[1].Chain) != 1 || a[1].Listener != listener || !a[1].Source.IsValid() {
		t.Errorf("attempt %+v", a[1])
	}
	if !strings.Contains(f.log.String(), "client certificate refused") {
		t.Errorf("the log: %s", &f.log)
	}
	// The answer is that of somebody without credentials.
	none, refused := f.ask("GET", uri, ""), f.cert("nobody", "GET", uri)
	if none.Body.String() != refused.Body.String() {
		t.Errorf("%s\n%s", none.Body, refused.Body)
	}
	if w := f.cert("admin", "POST", uri, "Sec-Fetch-Site: cross-site"); w.Code != 403 {
		t.Errorf("a foreign page: %d, want 403", w.Code)
	}
	f.auth.fault = auth.ErrUnavailable
	for _, header := range []string{"X-Auth-Token: " + token, "X-None: 1"} {
		if w := f.cert("oper", "GET", uri, header); w.Code != 503 {
			t.Errorf("no judgement to be had: %d, want 503", w.Code)
		}
	}
	f.auth.fault = nil
	k.rules.Certificates = false
	if w := f.cert("admin", "GET", uri); w.Code != 401 {
		t.Errorf("not switched on: %d, want 401", w.Code)
	}
	if w := f.cert("reader", "GET", uri, "X-Auth-Token: "+token); w.Code != 200 {
		t.Errorf("not switched on, with a token: %d", w.Code)
	}
}

func TestMustChangePassword(t *testing.T) {
	t.Parallel()
	const own = "/redfish/v1/AccountService/Accounts/reader"
	f := newFace(t, func(c *redfish.Config) {
		c.Next = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil || int64(len(body)) != r.ContentLength && r.Method == "PATCH" {
				t.Errorf("body %q %v, length %d", body, err, r.ContentLength)
			}
			w.Write(body)
		})
	})
	f.auth.must = map[auth.AccountName]bool{"reader": true}
	w := f.ask("POST", serviceURI+"/Sessions", loginJSON("reader", password))
	var s redfish.Session
	if err := json.Unmarshal(w.Body.Bytes(), &s); err != nil || w.Code != 201 || len(s.ExtendedInfo) != 1 {
		t.Fatalf("login: %d %s", w.Code, w.Body)
	}
	if m := s.ExtendedInfo[0]; m.MessageID != "Base.1.22.PasswordChangeRequired" || !slices.Equal(m.MessageArgs, []string{own}) {
		t.Errorf("login: %+v", m)
	}
	token, session := "X-Auth-Token: "+w.Header().Get("X-Auth-Token"), s.ODataID
	_, other := f.login("admin")
	for _, tt := range []struct {
		method, path, body string
		want               int
	}{
		{"GET", "/redfish/v1/", "", 200},
		{"GET", own, "", 200},
		{"HEAD", own + "/", "", 200},
		{"PATCH", own, `{"Password":"new password"}`, 200},
		{"PATCH", own, `{"@odata.id":"` + own + `","Password":"new password"}`, 200},
		{"PATCH", own, `{"Password":1}`, 200}, // for whoever is behind to refuse
		{"PATCH", own, `{"Password":"x","RoleId":"Administrator"}`, 403},
		{"PATCH", own, `{"Password":"x","Password":"y"}`, 403},
		{"PATCH", own, `{"password":"x"}`, 403},
		{"PATCH", own, `{}`, 403},
		{"PATCH", own, ``, 403},
		{"PATCH", own, `{"Password":"` + strings.Repeat("x", 20<<10) + `"}`, 413},
		{"DELETE", own, "", 403},
		{"POST", own + "/Actions/ManagerAccount.ChangePassword", `{}`, 403},
		{"GET", own + "/Certificates", "", 403},
		{"GET", "/redfish/v1/AccountService/Accounts/admin", "", 403},
		{"PATCH", "/redfish/v1/AccountService/Accounts/admin", `{"Password":"x"}`, 403},
		{"GET", "/redfish/v1/Systems", "", 403},
		{"GET", serviceURI, "", 403},
		{"GET", serviceURI + "/Sessions", "", 403},
		{"GET", session, "", 403},
		{"DELETE", other, "", 403},
		{"DELETE", serviceURI + "/Sessions/none", "", 403},
		{"GET", "/redfish/v1/sessionservice", "", 403},
	} {
		for _, who := range []string{token, basic("reader", password)} {
			w := f.ask(tt.method, tt.path, tt.body, who, "Content-Type: application/json")
			if w.Code != tt.want {
				t.Errorf("%s %s %.40s: %d, want %d", tt.method, tt.path, tt.body, w.Code, tt.want)
			}
			if w.Code == 403 {
				m := errorBody(t, tt.path, w).Error.ExtendedInfo[0]
				if m.MessageID != "Base.1.22.PasswordChangeRequired" || !slices.Equal(m.MessageArgs, []string{own}) {
					t.Errorf("%s %s: %+v", tt.method, tt.path, m)
				}
			}
			if w.Code == 200 && tt.method == "PATCH" && w.Body.String() != tt.body {
				t.Errorf("PATCH %s reached Next as %s", tt.body, w.Body)
			}
		}
	}
	if w := f.ask("DELETE", session, "", token); w.Code != 204 {
		t.Errorf("own session: %d", w.Code)
	}
}

func TestSessionsByPrivilege(t *testing.T) {
	t.Parallel()
	f := newFace(t)
	f.auth.custom = map[auth.Role]auth.Privileges{
		"keeper": auth.MayLogIn | auth.ConfigureManager, "guest": auth.MayLogIn, "self": auth.ConfigureSelf,
	}
	for role := range f.auth.custom {
		f.auth.roles[auth.AccountName(role)] = role
	}
	f.auth.roles["gone"] = "gone"
	_, path := f.login("oper")
	for _, tt := range []struct {
		who                 string
		service, list, read int
		listed              int
		ends                int
	}{
		{"guest", 200, 200, 403, 0, 403},
		{"self", 403, 403, 403, 0, 403},
		{"gone", 403, 403, 403, 0, 403},
		{"reader", 200, 200, 403, 0, 403},
		{"keeper", 200, 200, 200, 1, 204},
	} {
		who := basic(tt.who, password)
		if w := f.ask("GET", serviceURI, "", who); w.Code != tt.service {
			t.Errorf("%s, service: %d, want %d", tt.who, w.Code, tt.service)
		}
		w := f.ask("GET", serviceURI+"/Sessions", "", who)
		var c redfish.SessionCollection
		if w.Code != tt.list || json.Unmarshal(w.Body.Bytes(), &c) != nil || c.Count != tt.listed {
			t.Errorf("%s, list: %d %s", tt.who, w.Code, w.Body)
		}
		if w := f.ask("GET", path, "", who); w.Code != tt.read {
			t.Errorf("%s, read: %d, want %d", tt.who, w.Code, tt.read)
		}
		if w := f.ask("DELETE", path, "", who); w.Code != tt.ends {
			t.Errorf("%s, end: %d, want %d", tt.who, w.Code, tt.ends)
		}
	}
}

// A role that may not even change itself can give its token back.
func TestLogoutWithoutPrivileges(t *testing.T) {
	t.Parallel()
	f := newFace(t)
	f.auth.custom = map[auth.Role]auth.Privileges{"guest": auth.MayLogIn}
	f.auth.roles["guest"] = "guest"
	token, path := f.login("guest")
	_, other := f.login("guest")
	if w := f.ask("DELETE", other, "", "X-Auth-Token: "+token); w.Code != 403 {
		t.Errorf("another session of the account: %d, want 403", w.Code)
	}
	if w := f.ask("DELETE", path, "", "X-Auth-Token: "+token); w.Code != 204 {
		t.Errorf("its own session: %d, want 204", w.Code)
	}
}

func TestProblemsOfTheRules(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err    error
		status int
		key    string
	}{
		{auth.ErrServiceDisabled, 503, "ServiceDisabled"},
		{errors.Join(errors.New("x"), redfish.ErrChanged), 412, "PreconditionFailed"},
		{redfish.NotFound("/x"), 404, "ResourceMissingAtURI"},
		{redfish.NotAllowed("GET"), 405, "OperationNotAllowed"},
		{redfish.BadRequest("PropertyUnknown", "X"), 400, "PropertyUnknown"},
		{redfish.AlreadyExists("ManagerAccount", "UserName", "joe"), 409, "ResourceAlreadyExists"},
		{redfish.PasswordChangeRequired("joe"), 403, "PasswordChangeRequired"},
	} {
		w := httptest.NewRecorder()
		redfish.WriteError(w, httptest.NewRequest("GET", "/x", nil), tt.err)
		if m := errorBody(t, tt.key, w).Error; w.Code != tt.status || m.Code != "Base.1.22."+tt.key {
			t.Errorf("%v: %d %s", tt.err, w.Code, m.Code)
		}
	}
}
