//lint:file-ignore SA1008 the letter case that goes out is what is looked at

package redfish_test

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/redfish"
)

// face is a Handler with what stands behind it.
type face struct {
	t    *testing.T
	auth *memory
	h    *redfish.Handler
	next []*http.Request // what reached Next
	log  bytes.Buffer
}

func newFace(t *testing.T, change ...func(*redfish.Config)) *face {
	t.Helper()
	f := &face{t: t, auth: newMemory()}
	cfg := redfish.Config{
		Authority: f.auth, Listener: listener, Log: slog.New(slog.NewTextHandler(&f.log, nil)),
		Next: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			f.next = append(f.next, r)
			io.WriteString(w, "next")
		}),
	}
	for _, c := range change {
		c(&cfg)
	}
	var err error
	if f.h, err = redfish.New(cfg); err != nil {
		t.Fatal(err)
	}
	return f
}

// ask sends one request over what counts as TLS. Headers are "Name: value".
func (f *face) ask(method, target, body string, headers ...string) *httptest.ResponseRecorder {
	f.t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.TLS = &tls.ConnectionState{}
	r.Host = "bmc.example:8443"
	r.RemoteAddr = "192.0.2.7:4711"
	return f.send(r, headers...)
}

func (f *face) send(r *http.Request, headers ...string) *httptest.ResponseRecorder {
	f.t.Helper()
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ":")
		r.Header.Add(name, strings.TrimSpace(value))
	}
	w := httptest.NewRecorder()
	f.h.ServeHTTP(w, r)
	f.check(r, w)
	return w
}

// check holds every answer against what all must have.
func (f *face) check(r *http.Request, w *httptest.ResponseRecorder) {
	f.t.Helper()
	h := w.Result().Header
	what := fmt.Sprintf("%s %s: %d", r.Method, r.RequestURI, w.Code)
	if h.Get("X-Request-Id") == "" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cache-Control") == "" {
		f.t.Errorf("%s: headers of every answer: %v", what, h)
	}
	if (h.Get("Strict-Transport-Security") != "") != (r.TLS != nil) {
		f.t.Errorf("%s: Strict-Transport-Security %q", what, h.Get("Strict-Transport-Security"))
	}
	if h.Get("Set-Cookie") != "" {
		f.t.Errorf("%s: a cookie", what)
	}
	for name := range h { // OData-Version, not Odata-Version
		if slices.Contains([]string{"Etag", "Odata-Version", "Www-Authenticate"}, name) {
			f.t.Errorf("%s: header %s in Go's letter case", what, name)
		}
	}
	if (w.Code == 401) != (len(h["WWW-Authenticate"]) == 1) {
		f.t.Errorf("%s: WWW-Authenticate %q", what, h["WWW-Authenticate"])
	}
	if (w.Code == 405) && h.Get("Allow") == "" {
		f.t.Errorf("%s: no Allow", what)
	}
	if w.Code >= 300 && w.Code < 400 && w.Code != 304 {
		f.t.Errorf("%s: a redirect", what)
	}
	if strings.Contains(w.Body.String(), password) || strings.Contains(f.log.String(), password) {
		f.t.Errorf("%s: the password is shown", what)
	}
	if r.Method == http.MethodHead && w.Body.Len() > 0 {
		f.t.Errorf("%s: HEAD with a body", what)
	}
	if w.Code >= 400 {
		if h.Get("Location") != "" || len(h["ETag"]) > 0 {
			f.t.Errorf("%s: an error with Location or ETag", what)
		}
		if r.Method != http.MethodHead {
			errorBody(f.t, what, w)
		}
	}
}

// errorBody reads an error answer and holds it against DSP0266 1.8.1, 8.6.
func errorBody(t *testing.T, what string, w *httptest.ResponseRecorder) redfish.Error {
	t.Helper()
	var e redfish.Error
	if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil {
		t.Fatalf("%s: body %q: %v", what, w.Body, err)
	}
	if got := w.Header().Get("Content-Type"); got != "application/json" {
		t.Errorf("%s: content type %q", what, got)
	}
	if e.Error.Code == "" || e.Error.Message == "" || len(e.Error.ExtendedInfo) == 0 {
		t.Errorf("%s: error body %s", what, w.Body)
	}
	for _, m := range e.Error.ExtendedInfo {
		if m.Severity == "" || m.Severity != m.MessageSeverity || m.MessageArgs == nil || strings.Contains(m.Message, "%1") ||
			!regexp.MustCompile(`^Base\.1\.22\.[A-Z][A-Za-z]+$`).MatchString(m.MessageID) {
			t.Errorf("%s: message %+v", what, m)
		}
	}
	return e
}

func (f *face) login(user string) (token, path string) {
	f.t.Helper()
	w := f.ask("POST", "/redfish/v1/SessionService/Sessions", loginJSON(user, password), "Content-Type: application/json")
	if w.Code != 201 {
		f.t.Fatalf("login of %s: %d %s", user, w.Code, w.Body)
	}
	return w.Header().Get("X-Auth-Token"), strings.TrimPrefix(w.Header().Get("Location"), "https://bmc.example:8443")
}

func loginJSON(user, password string) string {
	b, _ := json.Marshal(map[string]string{"UserName": user, "Password": password})
	return string(b)
}

func basic(user, password string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	const sessions = "/redfish/v1/SessionService/Sessions"
	f := newFace(t)
	token, own := f.login("admin")
	_, foreign := f.login("oper")
	reader, _ := f.login("reader")
	admin, readOnly := "X-Auth-Token: "+token, "X-Auth-Token: "+reader
	good := loginJSON("admin", password)
	ctype := "Content-Type: application/json"

	// Each is answered before anything behind is asked.
	for _, tt := range []struct {
		name         string
		method, path string
		body         string
		headers      []string
		status       int
		key          string // last segment of the first MessageId
		args         []string
	}{
		{"protected, no credentials", "GET", "/redfish/v1/Systems", "", nil, 401, "NoValidSession", []string{}},
		{"protected with a slash", "GET", "/redfish/v1/Systems/", "", nil, 401, "NoValidSession", []string{}},
		{"unknown URI, no credentials", "GET", "/redfish/v1/NoSuch", "", nil, 401, "NoValidSession", nil},
		{"outside, no credentials", "GET", "/", "", nil, 401, "NoValidSession", nil},
		{"bogus token", "GET", sessions, "", []string{"X-Auth-Token: 0123456789abcdef0123456789abcdef"}, 401, "NoValidSession", nil},
		{"bogus token beside good Basic", "GET", sessions, "", []string{"X-Auth-Token: x", basic("admin", password)}, 401, "NoValidSession", nil},
		{"two tokens, one good", "GET", sessions, "", []string{admin, "X-Auth-Token: x"}, 401, "NoValidSession", nil},
		{"two good tokens", "GET", sessions, "", []string{admin, admin}, 401, "NoValidSession", nil},
		{"two tokens beside good Basic", "GET", sessions, "", []string{admin, "X-Auth-Token:", basic("admin", password)}, 401, "NoValidSession", nil},
		{"joined tokens", "GET", sessions, "", []string{admin + ", " + token}, 401, "NoValidSession", nil},
		{"token with a blank", "GET", sessions, "", []string{"X-Auth-Token: a b"}, 401, "NoValidSession", nil},
		{"token not ASCII", "GET", sessions, "", []string{"X-Auth-Token: ä"}, 401, "NoValidSession", nil},
		{"long token", "GET", sessions, "", []string{"X-Auth-Token: " + strings.Repeat("a", 4000)}, 401, "NoValidSession", nil},
		{"empty token, no Basic", "GET", sessions, "", []string{"X-Auth-Token:"}, 401, "NoValidSession", nil},
		{"wrong Basic", "GET", sessions, "", []string{basic("admin", "nope")}, 401, "NoValidSession", nil},
		{"Basic without password", "GET", sessions, "", []string{"Authorization: Basic YWRtaW46"}, 401, "NoValidSession", nil},
		{"Basic without colon", "GET", sessions, "", []string{"Authorization: Basic YWRtaW4="}, 401, "NoValidSession", nil},
		{"Basic without user", "GET", sessions, "", []string{basic("", password)}, 401, "NoValidSession", nil},
		{"broken Base64", "GET", sessions, "", []string{"Authorization: Basic %%%"}, 401, "NoValidSession", nil},
		{"Bearer", "GET", sessions, "", []string{"Authorization: Bearer abc"}, 401, "NoValidSession", nil},
		{"Digest", "GET", sessions, "", []string{`Authorization: Digest username="admin"`}, 401, "NoValidSession", nil},
		{"two Authorization", "GET", sessions, "", []string{basic("admin", password), basic("admin", password)}, 401, "NoValidSession", nil},
		{"token in a cookie", "GET", sessions, "", []string{"Cookie: X-Auth-Token=" + token}, 401, "NoValidSession", nil},
		{"If-None-Match is no oracle", "GET", own, "", []string{"If-None-Match: *"}, 401, "NoValidSession", nil},
		{"OData-Version is no oracle", "GET", own, "", []string{"OData-Version: 4.1"}, 401, "NoValidSession", nil},

		{"stale token on login", "POST", sessions, good, []string{ctype, "X-Auth-Token: dead"}, 201, "", nil},
		{"bad Basic on login", "POST", sessions, good, []string{ctype, basic("x", "y"), "Cookie: a=b"}, 201, "", nil},
		{"login with slash", "POST", sessions + "/", good, []string{ctype}, 201, "", nil},
		{"login on Members", "POST", sessions + "/Members", good, []string{ctype}, 201, "", nil},
		{"login on Members with slash", "POST", sessions + "/Members/", good, []string{ctype}, 201, "", nil},
		{"login with an encoded letter", "POST", "/redfish/v1/%53essionService/Sessions", good, []string{ctype}, 201, "", nil},
		{"login with charset", "POST", sessions, good, []string{"Content-Type: application/json;charset=UTF-8"}, 201, "", nil},
		{"login without content type", "POST", sessions, good, nil, 201, "", nil},
		{"login as Python spells it", "POST", sessions, `{"UserName": "admin", "Password": "` + password + `"}`, []string{ctype, "OData-Version: 4.0"}, 201, "", nil},
		{"login, escaped", "POST", sessions, `{"UserName":"j\u00f6rg","Password":"` + password + `"}`, []string{ctype}, 201, "", nil},
		{"login, raw UTF-8", "POST", sessions, loginJSON("jörg", password), []string{ctype}, 201, "", nil},
		{"login, unknown members", "POST", sessions, `{"Oem":{},"SessionType":"Redfish","@odata.type":"x",` + good[1:], []string{ctype}, 201, "", nil},
		{"login, Token null", "POST", sessions, `{"Token":null,` + good[1:], []string{ctype}, 201, "", nil},

		{"login, wrong password", "POST", sessions, loginJSON("admin", "nope"), []string{ctype}, 401, "ResourceAtUriUnauthorized", []string{sessions, "Invalid username or password"}},
		{"login, unknown user", "POST", sessions, loginJSON("nobody", password), []string{ctype}, 401, "ResourceAtUriUnauthorized", nil},
		{"login, empty password", "POST", sessions, loginJSON("admin", ""), []string{ctype}, 401, "ResourceAtUriUnauthorized", nil},
		{"login, user in another case", "POST", sessions, loginJSON("Admin", password), []string{ctype}, 401, "ResourceAtUriUnauthorized", nil},
		{"login, body empty", "POST", sessions, "", []string{ctype}, 400, "MalformedJSON", nil},
		{"login, {}", "POST", sessions, "{}", []string{ctype}, 400, "EmptyJSON", nil},
		{"login, []", "POST", sessions, "[]", []string{ctype}, 400, "UnrecognizedRequestBody", nil},
		{"login, string", "POST", sessions, `"x"`, []string{ctype}, 400, "UnrecognizedRequestBody", nil},
		{"login, null", "POST", sessions, `null`, []string{ctype}, 400, "UnrecognizedRequestBody", nil},
		{"login, cut", "POST", sessions, good[:20], []string{ctype}, 400, "MalformedJSON", nil},
		{"login, two values", "POST", sessions, good + good, []string{ctype}, 400, "MalformedJSON", nil},
		{"login, not UTF-8", "POST", sessions, "{\"UserName\":\"\xff\",\"Password\":\"x\"}", []string{ctype}, 400, "MalformedJSON", nil},
		{"login, half a surrogate", "POST", sessions, `{"UserName":"\ud800","Password":"x"}`, []string{ctype}, 400, "MalformedJSON", nil},
		{"login, deep", "POST", sessions, `{"a":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + "}", []string{ctype}, 400, "MalformedJSON", nil},
		{"login, no Password", "POST", sessions, `{"UserName":"admin"}`, []string{ctype}, 400, "PropertyMissing", []string{"Password"}},
		{"login, names in another case", "POST", sessions, `{"username":"admin","password":"` + password + `"}`, []string{ctype}, 400, "PropertyMissing", []string{"UserName"}},
		{"login, Password null", "POST", sessions, `{"UserName":"admin","Password":null}`, []string{ctype}, 400, "PropertyValueTypeError", []string{"***", "Password"}},
		{"login, Password a number", "POST", sessions, `{"UserName":"admin","Password":8675309}`, []string{ctype}, 400, "PropertyValueTypeError", []string{"***", "Password"}},
		{"login, Context an object", "POST", sessions, `{"Context":{},` + good[1:], []string{ctype}, 400, "PropertyValueTypeError", []string{"***", "Context"}},
		{"login, Context long", "POST", sessions, `{"Context":"` + strings.Repeat("c", 1025) + `",` + good[1:], []string{ctype}, 400, "PropertyValueError", []string{"Context"}},
		{"login, member twice", "POST", sessions, `{"Password":"x",` + good[1:], []string{ctype}, 400, "PropertyDuplicate", []string{"Password"}},
		{"login, member twice in another case", "POST", sessions, `{"Password":"x","UserName":"admin","pASSWORD":"y"}`, []string{ctype}, 400, "PropertyDuplicate", []string{"pASSWORD"}},
		{"login, member twice below", "POST", sessions, `{"Oem":{"a":1,"A":2},` + good[1:], []string{ctype}, 400, "PropertyDuplicate", []string{"A"}},
		{"login, text/plain", "POST", sessions, good, []string{"Content-Type: text/plain"}, 415, "HeaderInvalid", []string{"Content-Type"}},
		{"login, a form", "POST", sessions, good, []string{"Content-Type: application/x-www-form-urlencoded"}, 415, "HeaderInvalid", nil},
		{"login, other charset", "POST", sessions, good, []string{"Content-Type: application/json; charset=latin1"}, 415, "HeaderInvalid", nil},
		{"login, compressed", "POST", sessions, good, []string{ctype, "Content-Encoding: gzip"}, 415, "HeaderInvalid", nil},
		{"login, large", "POST", sessions, `{"a":"` + strings.Repeat("x", 1<<20) + `"}`, []string{ctype}, 413, "PayloadTooLarge", nil},
		{"login, OData-Version 4.1", "POST", sessions, good, []string{ctype, "OData-Version: 4.1"}, 412, "HeaderInvalid", []string{"OData-Version"}},
		{"login, Accept xml", "POST", sessions, good, []string{ctype, "Accept: application/xml"}, 406, "HeaderInvalid", []string{"Accept"}},
		{"login with a query", "POST", sessions + "?$expand=.", good, []string{ctype}, 400, "QueryNotSupportedOnOperation", nil},
		{"login by GET", "GET", sessions, "", nil, 401, "NoValidSession", nil},
		{"login by PUT", "PUT", sessions, good, []string{ctype}, 401, "NoValidSession", nil},
		{"login in another case", "POST", "/redfish/v1/sessionservice/sessions", good, []string{ctype}, 401, "NoValidSession", nil},
		{"login around the corner", "POST", "/redfish/v1/SessionService//Sessions", good, []string{ctype}, 401, "NoValidSession", nil},

		{"unknown, valid token", "GET", "/redfish/v1/SessionService/NoSuch", "", []string{admin}, 404, "ResourceMissingAtURI", []string{"/redfish/v1/SessionService/NoSuch"}},
		{"below a session", "GET", own + "/x", "", []string{admin}, 404, "ResourceMissingAtURI", nil},
		{"Members", "GET", sessions + "/Members", "", []string{admin}, 404, "ResourceMissingAtURI", nil},
		{"Members by PATCH", "PATCH", sessions + "/Members", "{}", []string{admin}, 405, "OperationNotAllowed", nil},
		{"another case", "GET", "/redfish/v1/sessionService/Sessions", "", []string{admin}, 404, "ResourceMissingAtURI", nil},
		{"collection by PUT", "PUT", sessions, good, []string{admin}, 405, "OperationNotAllowed", nil},
		{"collection by DELETE", "DELETE", sessions, "", []string{admin}, 405, "OperationNotAllowed", nil},
		{"collection by PATCH", "PATCH", sessions, "{}", []string{admin}, 405, "OperationNotAllowed", nil},
		{"session by PATCH", "PATCH", own, "{}", []string{admin}, 405, "OperationNotAllowed", nil},
		{"session by POST", "POST", own, "{}", []string{admin}, 405, "OperationNotAllowed", nil},
		{"service by PATCH", "PATCH", "/redfish/v1/SessionService", "{}", []string{admin}, 405, "OperationNotAllowed", nil},
		{"an unknown method", "FAKEMETHODFORTEST", sessions, "", []string{admin}, 405, "OperationNotAllowed", nil},
		{"root by PATCH", "PATCH", "/redfish/v1/", "{}", []string{admin}, 405, "OperationNotAllowed", nil},
		{"root by POST", "POST", "/redfish/v1/", "{}", []string{admin}, 405, "OperationNotAllowed", nil},
		{"root by DELETE", "DELETE", "/redfish/v1", "", []string{admin}, 405, "OperationNotAllowed", nil},
		{"root by an unknown method", "FAKEMETHODFORTEST", "/redfish/v1/", "", []string{admin}, 405, "OperationNotAllowed", nil},
		{"root by DELETE, unknown", "DELETE", "/redfish/v1/", "", nil, 401, "NoValidSession", nil},
		{"OData-Version 4.1", "GET", sessions, "", []string{admin, "OData-Version: 4.1"}, 412, "HeaderInvalid", []string{"OData-Version"}},
		{"OData-Version 4.1 for next", "GET", "/redfish/v1/Systems", "", []string{admin, "OData-Version: 4.1"}, 412, "HeaderInvalid", nil},
		{"OData-Version 4.1 on the root", "GET", "/redfish/v1/", "", []string{"OData-Version: 4.1"}, 412, "HeaderInvalid", nil},
		{"Accept html", "GET", sessions, "", []string{admin, "Accept: text/html"}, 406, "HeaderInvalid", []string{"Accept"}},
		{"Accept xml", "GET", sessions, "", []string{admin, "Accept: application/xml"}, 406, "HeaderInvalid", nil},
		{"Accept refuses json", "GET", sessions, "", []string{admin, "Accept: application/json;q=0"}, 406, "HeaderInvalid", nil},
		{"Accept html on the root", "GET", "/redfish/v1/", "", []string{"Accept: text/html"}, 406, "HeaderInvalid", nil},
		{"method before Accept", "PATCH", sessions, "", []string{admin, "Accept: text/html"}, 405, "OperationNotAllowed", nil},
		{"Accept before query", "GET", sessions + "?$x", "", []string{admin, "Accept: text/html"}, 406, "HeaderInvalid", nil},
		{"?$foo", "GET", sessions + "?$foo", "", []string{admin}, 501, "QueryParameterUnsupported", []string{"$foo"}},
		{"?%24foo", "GET", sessions + "?%24foo=1", "", []string{admin}, 501, "QueryParameterUnsupported", []string{"$foo"}},
		{"?$foo on the root", "GET", "/redfish/v1/?$rpvunknown", "", nil, 501, "QueryParameterUnsupported", nil},
		{"?only=x", "GET", sessions + "?only=foo", "", []string{admin}, 400, "QueryParameterValueError", []string{"only"}},
		{"?excerpt=x on the root", "GET", "/redfish/v1/?excerpt=foo", "", nil, 400, "QueryParameterValueError", nil},
		{"?only on a session", "GET", own + "?only", "", []string{admin}, 400, "QueryNotSupportedOnResource", nil},
		{"a query on DELETE", "DELETE", own + "?only", "", []string{admin}, 400, "QueryNotSupportedOnOperation", nil},
		{"a broken query", "GET", sessions + "?a=%zz", "", []string{admin}, 400, "GeneralError", nil},
		{"foreign session, DELETE", "DELETE", foreign, "", []string{readOnly}, 403, "InsufficientPrivilege", nil},
		{"foreign session, GET", "GET", foreign, "", []string{readOnly}, 403, "InsufficientPrivilege", nil},
		{"unknown session", "DELETE", sessions + "/nope", "", []string{admin}, 404, "ResourceMissingAtURI", []string{sessions + "/nope"}},
		{"If-Match garbage", "DELETE", own, "", []string{admin, `If-Match: "etag"foobar`}, 412, "PreconditionFailed", nil},
		{"9 KiB header", "GET", "/redfish/v1/", "", []string{"X-Pad: " + strings.Repeat("x", 9<<10)}, 431, "GeneralError", nil},
		{"long URI", "GET", "/redfish/v1/" + strings.Repeat("x", 5000), "", nil, 414, "GeneralError", nil},
	} {
		w := f.ask(tt.method, tt.path, tt.body, tt.headers...)
		if w.Code != tt.status {
			t.Errorf("%s: status %d, want %d: %s", tt.name, w.Code, tt.status, w.Body)
			continue
		}
		if tt.key == "" {
			continue
		}
		m := errorBody(t, tt.name, w).Error.ExtendedInfo[0]
		if m.MessageID != "Base.1.22."+tt.key || tt.args != nil && !slices.Equal(m.MessageArgs, tt.args) {
			t.Errorf("%s: %s %q, want %s %q", tt.name, m.MessageID, m.MessageArgs, tt.key, tt.args)
		}
		if strings.Contains(w.Body.String(), "8675309") {
			t.Errorf("%s: a password is echoed: %s", tt.name, w.Body)
		}
	}
	if len(f.next) != 0 {
		t.Errorf("%d bad requests reached Next", len(f.next))
	}
}

// Paths that may be read as something else, in particular as an open URI or
// the login, are never that: 401 without credentials, 400 with them.
func TestAmbiguousPaths(t *testing.T) {
	t.Parallel()
	f := newFace(t)
	token, _ := f.login("admin")
	for _, path := range []string{
		"/redfish/v1/../v1/", "/redfish/v1/./", "/redfish/v1/Systems/..", "/redfish/v1/%2e%2e/v1/", "/redfish/v1/.%2E/",
		"//redfish/v1/", "/redfish//v1/", "/redfish/v1//", "/redfish/v1/Systems//", "/redfish/v1/Systems%2F1",
		"/redfish/v1/%2f", "/redfish%2fv1/", "/redfish/v1/a%5Cb", "/redfish/v1/a%5cb", "/redfish/v1/%00", "/redfish/v1/a%0Ab",
		"/redfish/v1/a%7F", "/redfish/v1/a;b", "/redfish/v1/a%3Bb", "/redfish/v1/;/Systems", "/redfish/v1/%252e%252e/",
		"/redfish/v1/a%3Fb", "/redfish/v1/a%23b", "/redfish/v1/%C0%AE%C0%AE/", "/redfish/v1/%ff", "/redfish/v1/a%E2%80%8Bb",
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "OPTIONS"} {
			if w := f.ask(method, path, "{}"); w.Code != 401 {
				t.Errorf("%s %s without credentials: %d, want 401", method, path, w.Code)
			}
			if w := f.ask(method, path, "{}", "X-Auth-Token: "+token); w.Code != 400 {
				t.Errorf("%s %s with a token: %d, want 400", method, path, w.Code)
			}
		}
	}
	// What net/http itself lets through, or a caller builds by hand.
	for _, raw := range []string{`/redfish/v1/a\b`, "/redfish/v1/a\x01b", "redfish/v1/", "*", ""} {
		r := httptest.NewRequest("GET", "/", nil)
		r.TLS, r.URL.Path, r.URL.RawPath = &tls.ConnectionState{}, raw, ""
		if w := f.send(r, "X-Auth-Token: "+token); w.Code != 400 {
			t.Errorf("GET %q with a token: %d, want 400", raw, w.Code)
		}
	}
	if len(f.next) != 0 {
		t.Errorf("%d ambiguous requests reached Next", len(f.next))
	}
}

func TestOpenURIs(t *testing.T) {
	t.Parallel()
	f := newFace(t)
	for _, tt := range []struct{ path, contentType, contains string }{
		{"/redfish", "application/json", `{"v1":"/redfish/v1/"}`},
		{"/redfish/", "application/json", `{"v1":"/redfish/v1/"}`},
		{"/redfish/v1", "application/json", `"@odata.id":"/redfish/v1/"`},
		{"/redfish/v1/", "application/json", `"Links":{"Sessions":{"@odata.id":"/redfish/v1/SessionService/Sessions"}}`},
		{"/redfish/v1/?rpvunknown", "application/json", `"RedfishVersion"`},
		{"/redfish/v1/odata", "application/json", `"@odata.context":"/redfish/v1/$metadata"`},
		{"/redfish/v1/$metadata", "application/xml", "EntityContainer"},
		{"/redfish/v1/%24metadata", "application/xml", "EntityContainer"},
	} {
		for _, extra := range [][]string{
			nil, {"X-Auth-Token: stale"}, {"Authorization: Bearer x"}, {"OData-Version: 4.0"},
			{"Accept: */*"}, {"Accept: application/*"}, {"Accept: application/json"}, {"Accept: application/json;charset=utf-8"},
		} {
			w := f.ask("GET", tt.path, "{}", extra...) // a body on GET is ignored
			if w.Code != 200 || w.Header().Get("Content-Type") != tt.contentType || !strings.Contains(w.Body.String(), tt.contains) {
				t.Errorf("GET %s %q: %d %s %s", tt.path, extra, w.Code, w.Header(), w.Body)
			}
			if got := w.Header().Get("Allow"); got != "GET, HEAD" {
				t.Errorf("GET %s: Allow %q", tt.path, got)
			}
			if got := w.Header()["OData-Version"]; len(got) != 1 || got[0] != "4.0" {
				t.Errorf("GET %s: OData-Version %q", tt.path, got)
			}
		}
		get, head := f.ask("GET", tt.path, ""), f.ask("HEAD", tt.path, "")
		get.Header().Del("X-Request-Id")
		head.Header().Del("X-Request-Id")
		if head.Code != 200 || fmt.Sprint(get.Header()) != fmt.Sprint(head.Header()) {
			t.Errorf("HEAD %s: %d %v, GET has %v", tt.path, head.Code, head.Header(), get.Header())
		}
		if w := f.ask("OPTIONS", tt.path, ""); w.Code != 204 || w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("OPTIONS %s: %d %v", tt.path, w.Code, w.Header())
		}
	}
	w := f.ask("GET", "/redfish/v1/", "")
	if link := w.Header().Get("Link"); link != "<http://redfish.dmtf.org/schemas/v1/ServiceRoot.v1_20_0.json>; rel=describedby" {
		t.Errorf("Link of the root: %q", link)
	}
	if w := f.ask("GET", "/redfish/v1/openapi.yaml", "", "Accept: application/yaml"); w.Code != 404 {
		t.Errorf("openapi.yaml: %d, want 404", w.Code)
	}
	if len(f.auth.asked()) != 0 {
		t.Error("an open URI asked the authority")
	}
	if w := f.ask("GET", "/redfish/v1/", "", "If-None-Match: "+f.ask("GET", "/redfish/v1", "").Header()["ETag"][0]); w.Code != 304 || w.Body.Len() > 0 {
		t.Errorf("root with its own ETag: %d %q", w.Code, w.Body)
	}
}

func TestMetadataHasItsContainerInTheFirstSchema(t *testing.T) {
	t.Parallel()
	w := newFace(t).ask("GET", "/redfish/v1/$metadata", "")
	var doc struct {
		DataServices struct {
			Schema []struct {
				EntityContainer *struct{} `xml:"EntityContainer"`
			} `xml:"Schema"`
		} `xml:"DataServices"`
	}
	if err := xml.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.DataServices.Schema) == 0 || doc.DataServices.Schema[0].EntityContainer == nil {
		t.Errorf("no EntityContainer in the first Schema: %s", w.Body)
	}
}

func TestLoginAnswer(t *testing.T) {
	t.Parallel()
	f := newFace(t)
	r := httptest.NewRequest("POST", "/redfish/v1/SessionService/Sessions/", strings.NewReader(
		`{"UserName":"admin","Password":"`+password+`","Context":"nonce-1"}`))
	r.TLS, r.Host, r.RemoteAddr = &tls.ConnectionState{}, "bmc.example:8443", "[fe80::7%eth0]:4711"
	w := f.send(r, "Content-Type: application/json", "X-Auth-Token: stale")
	if w.Code != 201 {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	h := w.Header()
	if !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(h.Get("X-Auth-Token")) {
		t.Errorf("token %q", h.Get("X-Auth-Token"))
	}
	if got, want := h.Get("Location"), "https://bmc.example:8443/redfish/v1/SessionService/Sessions/s1"; got != want {
		t.Errorf("Location %q, want %q", got, want)
	}
	if h.Get("Cache-Control") != "no-store" {
		t.Errorf("Cache-Control %q", h.Get("Cache-Control"))
	}
	want := `{"@odata.id":"/redfish/v1/SessionService/Sessions/s1","@odata.type":"#Session.v1_8_0.Session","Id":"s1",` +
		`"Name":"User Session","UserName":"admin","Password":null,"SessionType":"Redfish","ClientOriginIPAddress":"fe80::7",` +
		`"Context":"nonce-1","CreatedTime":"2026-11-21T17:00:01Z","Roles":["Administrator"]}`
	if w.Body.String() != want {
		t.Errorf("body\n%s, want\n%s", w.Body, want)
	}
	a := f.auth.asked()[0]
	if a.Listener != listener || a.Source.String() != "fe80::7" || a.Context != "nonce-1" || a.Token.Reveal() != h.Get("X-Auth-Token") {
		t.Errorf("attempt %+v", a)
	}
	// The seed's recipe sorts the token before the URL.
	if h.Get("X-Auth-Token") > h.Get("Location") {
		t.Error("the token sorts behind the Location")
	}
}

func TestRelativeLocation(t *testing.T) {
	t.Parallel()
	f := newFace(t, func(c *redfish.Config) { c.Profile.RelativeLocation = true })
	w := f.ask("POST", "/redfish/v1/SessionService/Sessions", loginJSON("admin", password))
	if got := w.Header().Get("Location"); got != "/redfish/v1/SessionService/Sessions/s1" {
		t.Errorf("Location %q", got)
	}
}

func TestRefusedLoginsLookTheSame(t *testing.T) {
	t.Parallel()
	f := newFace(t)
	var first string
	for _, user := range []string{"admin", "nobody"} {
		w := f.ask("POST", "/redfish/v1/SessionService/Sessions", loginJSON(user, "wrong"))
		w.Header().Del("X-Request-Id")
		if all := fmt.Sprint(w.Code, w.Header(), w.Body); first == "" {
			first = all
		} else if all != first {
			t.Errorf("refusals differ:\n%s\n%s", first, all)
		}
	}
}

// What nobody can have as a password is nobody's wrong password.
func TestEmptyCredentialsCountForNobody(t *testing.T) {
	t.Parallel()
	f := newFace(t)
	for _, body := range []string{loginJSON("admin", ""), loginJSON("", password), loginJSON("", "")} {
		if w := f.ask("POST", "/redfish/v1/SessionService/Sessions", body); w.Code != 401 {
			t.Errorf("%s: %d", body, w.Code)
		}
	}
	if n := len(f.auth.asked()); n != 0 {
		t.Errorf("the authority was asked %d times", n)
	}
}

func TestSessionLife(t *testing.T) {
	t.Parallel()
	f := newFace(t)
	token, path := f.login("admin")
	own := "X-Auth-Token: " + token

	w := f.ask("GET", path, "", own)
	tag := w.Header()["ETag"]
	if w.Code != 200 || len(tag) != 1 || !regexp.MustCompile(`^"[\x21\x23-\x7e]+"$`).MatchString(tag[0]) {
		t.Fatalf("GET: %d, ETag %q", w.Code, tag)
	}
	if w.Header().Get("Allow") != "GET, HEAD, DELETE" || w.Header().Get("Link") != "<http://redfish.dmtf.org/schemas/v1/Session.v1_8_0.json>; rel=describedby" {
		t.Errorf("GET: %v", w.Header())
	}
	if strings.Contains(w.Body.String(), token) {
		t.Errorf("the resource shows the token: %s", w.Body)
	}
	if w := f.ask("GET", path, "", own, "If-None-Match: "+tag[0]); w.Code != 304 {
		t.Errorf("If-None-Match: %d", w.Code)
	}
	if w := f.ask("HEAD", path+"/", "", own); w.Code != 200 || w.Header().Get("Content-Length") == "0" {
		t.Errorf("HEAD: %d %v", w.Code, w.Header())
	}
	if w := f.ask("OPTIONS", path, "", own); w.Code != 204 || w.Header().Get("Allow") != "GET, HEAD, DELETE" {
		t.Errorf("OPTIONS: %d %v", w.Code, w.Header())
	}
	w = f.ask("DELETE", path, "", own, "If-Match: "+tag[0])
	if w.Code != 204 || w.Body.Len() > 0 || len(w.Header()["OData-Version"]) != 1 {
		t.Fatalf("DELETE: %d %v %s", w.Code, w.Header(), w.Body)
	}
	if w := f.ask("DELETE", path, "", own); w.Code != 401 {
		t.Errorf("second DELETE: %d, want 401", w.Code)
	}
	// The Python library logs in again with the dead token still in its header.
	if w := f.ask("POST", "/redfish/v1/SessionService/Sessions", loginJSON("admin", password), own); w.Code != 201 {
		t.Errorf("login with the dead token: %d", w.Code)
	}
	if w := f.ask("GET", path, "", basic("admin", password)); w.Code != 404 {
		t.Errorf("GET of the ended session: %d, want 404", w.Code)
	}
}

func TestWhoSeesWhichSessions(t *testing.T) {
	t.Parallel()
	f := newFace(t)
	_, a := f.login("admin")
	oper, o := f.login("oper")
	_, o2 := f.login("oper")
	for _, tt := range []struct {
		who  string
		want []string
	}{
		{basic("admin", password), []string{a, o, o2}},
		{"X-Auth-Token: " + oper, []string{o, o2}},
		{basic("oper", password), []string{o, o2}},
		{basic("reader", password), []string{}},
	} {
		w := f.ask("GET", "/redfish/v1/SessionService/Sessions", "", tt.who)
		var c redfish.SessionCollection
		if err := json.Unmarshal(w.Body.Bytes(), &c); err != nil {
			t.Fatalf("%s: %v", w.Body, err)
		}
		got := []string{}
		for _, m := range c.Members {
			got = append(got, m.ID)
		}
		if !slices.Equal(got, tt.want) || c.Count != len(tt.want) || w.Header().Get("Allow") != "GET, HEAD, POST" {
			t.Errorf("%s: %q count %d, want %q", tt.who, got, c.Count, tt.want)
		}
		if !strings.Contains(w.Body.String(), `"Members":[`) {
			t.Errorf("Members is no array: %s", w.Body)
		}
	}
	// An administrator ends another's session, others their own only.
	if w := f.ask("DELETE", o2, "", basic("admin", password)); w.Code != 204 {
		t.Errorf("admin: %d", w.Code)
	}
	if w := f.ask("DELETE", a, "", "X-Auth-Token: "+oper); w.Code != 403 {
		t.Errorf("operator: %d, want 403", w.Code)
	}
	if w := f.ask("DELETE", o, "", basic("oper", password)); w.Code != 204 {
		t.Errorf("own session with Basic: %d", w.Code)
	}
	// only: one member is shown itself.
	if w := f.ask("GET", "/redfish/v1/SessionService/Sessions?only", "", basic("admin", password)); !strings.Contains(w.Body.String(), `"UserName":"admin"`) {
		t.Errorf("only: %s", w.Body)
	}
}

func TestSessionOfAnotherListener(t *testing.T) {
	t.Parallel()
	f := newFace(t)
	token, path := f.login("admin")
	cfg := redfish.Config{Authority: f.auth, Listener: "bmc2"}
	other, err := redfish.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	f.h = other
	if w := f.ask("GET", "/redfish/v1/SessionService", "", "X-Auth-Token: "+token); w.Code != 401 {
		t.Errorf("token at another listener: %d, want 401", w.Code)
	}
	if w := f.ask("GET", path, "", basic("admin", password)); w.Code != 404 {
		t.Errorf("session at another listener: %d, want 404", w.Code)
	}
	if w := f.ask("GET", "/redfish/v1/Systems", "", basic("admin", password)); w.Code != 404 {
		t.Errorf("without Next: %d, want 404", w.Code)
	}
}

func TestSessionService(t *testing.T) {
	t.Parallel()
	f := newFace(t, func(c *redfish.Config) {
		c.Rules = func() redfish.Rules { return redfish.Rules{SessionIdle: 10 * time.Minute} }
	})
	w := f.ask("GET", "/redfish/v1/SessionService/", "", basic("reader", password))
	var s redfish.SessionService
	if err := json.Unmarshal(w.Body.Bytes(), &s); err != nil || s.SessionTimeout != 600 || !s.ServiceEnabled ||
		s.Sessions.ID != "/redfish/v1/SessionService/Sessions" || w.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}

func TestWhatNextSees(t *testing.T) {
	t.Parallel()
	f := newFace(t)
	token, _ := f.login("oper")
	for _, tt := range []struct {
		who     []string
		session string
	}{
		{[]string{"X-Auth-Token: " + token, basic("admin", "wrong")}, "s1"},
		{[]string{"X-Auth-Token:", basic("oper", password)}, ""},
	} {
		w := f.ask("PATCH", "/redfish/v1/Systems/1/?a=b", `{"x":1}`, append(tt.who, "Cookie: a=b", "If-Match: *", "X-Http-Method-Override: DELETE")...)
		if w.Code != 200 || w.Body.String() != "next" {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		r := f.next[len(f.next)-1]
		p, ok := auth.PrincipalFrom(r.Context())
		if !ok || p.Account != "oper" || p.Role != auth.Operator || p.SessionID != tt.session {
			t.Errorf("principal %+v", p)
		}
		if id := auth.RequestID(r.Context()); id == "" || id != w.Header().Get("X-Request-Id") {
			t.Errorf("request id %q, shown %q", id, w.Header().Get("X-Request-Id"))
		}
		for _, name := range []string{"X-Auth-Token", "Authorization", "Cookie"} {
			if r.Header.Get(name) != "" {
				t.Errorf("Next sees %s", name)
			}
		}
		if r.Header.Get("If-Match") != "*" || r.URL.Path != "/redfish/v1/Systems/1/" || r.URL.RawQuery != "a=b" {
			t.Errorf("Next sees %v %v", r.URL, r.Header)
		}
	}
}

func TestRequestIDFromInFront(t *testing.T) {
	t.Parallel()
	f := newFace(t)
	r := httptest.NewRequest("GET", "/redfish/v1/", nil)
	r = r.WithContext(auth.WithRequestID(r.Context(), "from-in-front"))
	if w := f.send(r); w.Header().Get("X-Request-Id") != "from-in-front" {
		t.Errorf("X-Request-Id %q", w.Header().Get("X-Request-Id"))
	}
}

func TestPlainHTTP(t *testing.T) {
	t.Parallel()
	f := newFace(t)
	plain := func(method, path string) *httptest.ResponseRecorder {
		return f.send(httptest.NewRequest(method, path, strings.NewReader(loginJSON("admin", password))), basic("admin", password))
	}
	if w := plain("GET", "/redfish/v1/"); w.Code != 200 {
		t.Errorf("root: %d", w.Code)
	}
	for _, path := range []string{"/redfish/v1/SessionService/Sessions", "/redfish/v1/Systems", "/redfish/v1//"} {
		for _, method := range []string{"GET", "POST"} {
			if w := plain(method, path); w.Code != 404 {
				t.Errorf("%s %s: %d, want 404", method, path, w.Code)
			}
		}
	}
	if len(f.auth.asked()) != 0 || f.auth.count() != 0 {
		t.Error("the authority was asked over plain http")
	}
	g := newFace(t, func(c *redfish.Config) { c.BehindTLS = true })
	r := httptest.NewRequest("POST", "/redfish/v1/SessionService/Sessions", strings.NewReader(loginJSON("admin", password)))
	if w := g.send(r); w.Code != 201 || !strings.HasPrefix(w.Header().Get("Location"), "https://example.com/") {
		t.Errorf("behind TLS: %d %v", w.Code, w.Header())
	}
}

// The request that a foreign page makes a browser send carries the browser's
// Basic credentials.
func TestForeignPages(t *testing.T) {
	t.Parallel()
	f := newFace(t)
	reset := "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset"
	if w := f.ask("POST", reset, "{}", basic("admin", password), "Sec-Fetch-Site: cross-site"); w.Code != 403 {
		t.Errorf("cross-site POST: %d, want 403", w.Code)
	}
	if w := f.ask("POST", reset, "{}", basic("admin", password), "Origin: https://evil.example"); w.Code != 403 {
		t.Errorf("POST of a foreign origin: %d, want 403", w.Code)
	}
	if w := f.ask("GET", "/redfish/v1/Systems", "", basic("admin", password), "Sec-Fetch-Site: cross-site"); w.Code != 200 {
		t.Errorf("cross-site GET: %d", w.Code)
	}
	if w := f.ask("POST", reset, "{}", basic("admin", password)); w.Code != 200 {
		t.Errorf("a program's POST: %d", w.Code)
	}
}

func TestAuthorityErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err    error
		status int
		key    string
		retry  string
	}{
		{auth.ErrSessionLimit, 503, "SessionLimitExceeded", "30"},
		{auth.ErrBusy, 503, "ServiceTemporarilyUnavailable", "5"},
		{fmt.Errorf("audit: %w", auth.ErrUnavailable), 503, "ServiceTemporarilyUnavailable", "5"},
		{auth.ErrForbidden, 403, "InsufficientPrivilege", ""},
		{errors.New("disk on fire"), 500, "InternalError", ""},
	} {
		f := newFace(t)
		f.auth.fault = tt.err
		for _, w := range []*httptest.ResponseRecorder{
			f.ask("POST", "/redfish/v1/SessionService/Sessions", loginJSON("admin", password)),
			f.ask("GET", "/redfish/v1/Systems", "", basic("admin", password)),
		} {
			key := errorBody(t, tt.key, w).Error.ExtendedInfo[0].MessageID
			if w.Code != tt.status || key != "Base.1.22."+tt.key || w.Header().Get("Retry-After") != tt.retry {
				t.Errorf("%v: %d %s Retry-After %q", tt.err, w.Code, key, w.Header().Get("Retry-After"))
			}
			if strings.Contains(w.Body.String(), "fire") {
				t.Errorf("the cause is shown: %s", w.Body)
			}
		}
		if tt.status == 500 && !strings.Contains(f.log.String(), "disk on fire") {
			t.Errorf("the cause is not logged: %s", f.log.String())
		}
	}
}

// A large login body is refused on its announced length, and a chunked one
// when the limit is passed: not much more than that is ever read.
func TestLargeBodyIsNotRead(t *testing.T) {
	t.Parallel()
	f := newFace(t)
	for _, length := range []int64{1 << 30, -1} {
		body := &counter{}
		r := httptest.NewRequest("POST", "/redfish/v1/SessionService/Sessions", body)
		r.TLS, r.ContentLength = &tls.ConnectionState{}, length
		most := 64 << 10
		if length > 0 {
			most = 0
		}
		w := f.send(r, "Content-Type: application/json")
		if w.Code != 413 || body.n > most || w.Header().Get("Connection") != "close" {
			t.Errorf("length %d: status %d, %d bytes read, %v", length, w.Code, body.n, w.Header())
		}
	}
}

// counter is a body without an end.
type counter struct{ n int }

func (c *counter) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	c.n += len(p)
	return len(p), nil
}

func TestBodyThatBreaksOff(t *testing.T) {
	t.Parallel()
	f := newFace(t)
	r := httptest.NewRequest("POST", "/redfish/v1/SessionService/Sessions", io.MultiReader(strings.NewReader(`{"UserName":`), broken{}))
	r.TLS = &tls.ConnectionState{}
	if w := f.send(r); w.Code != 400 {
		t.Errorf("status %d, want 400", w.Code)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("connection reset by peer") }

func TestWriteErrorKeepsNothingOfASuccess(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	w.Header()["ETag"] = []string{`"a"`}
	w.Header().Set("Etag", `"a"`)
	w.Header().Set("Location", "/x")
	w.Header().Set("Allow", "GET")
	redfish.WriteError(w, httptest.NewRequest("GET", "/", nil), auth.ErrForbidden)
	h := w.Result().Header
	if h.Get("Location") != "" || h.Get("Etag") != "" || len(h["ETag"]) > 0 || h.Get("Allow") != "GET" || w.Code != 403 {
		t.Errorf("%d %v", w.Code, h)
	}
}

func TestServeMinimal(t *testing.T) {
	t.Parallel()
	for path, status := range map[string]int{"/redfish/v1": 200, "/redfish": 200, "/redfish/v1/openapi.yaml": 404, "/redfish/v1/..": 400} {
		w := httptest.NewRecorder()
		redfish.Generic().ServeMinimal(w, httptest.NewRequest("GET", path, nil))
		if w.Code != status {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]redfish.Config{
		"no authority": {},
		"realm":        {Authority: newMemory(), Realm: `a"b`},
	} {
		if _, err := redfish.New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
