package redfish

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/admin"
	rf "github.com/postern/postern/redfish"
)

// Check is a Verifier over the same accounts.
func (m *memory) Check(_ context.Context, a auth.Attempt) (auth.Principal, error) {
	defer m.lock()()
	if p, ok := m.passwords[a.Account]; !ok || p != a.Password.Reveal() {
		return auth.Principal{}, auth.ErrBadCredentials
	}
	return auth.Principal{Account: a.Account}, nil
}

// A rig is a service with its desk.
type rig struct {
	t    *testing.T
	desk *memory
	h    http.Handler
}

func newRig(t *testing.T) *rig {
	t.Helper()
	m := newMemory(t)
	s, err := New(Config{
		Desk: m, Listener: "auth", Manager: "/redfish/v1/Managers/1", Verify: m,
		Types:      func() []string { return []string{"Manager.v1_24_0", "ManagerCollection", "Role.v1_3_3"} },
		Registries: []string{"TaskEvent.1.0.3"},
		Root: func() []byte {
			return []byte(`{"@odata.id":"/x","Id":"Box","UUID":"u","Managers":{"@odata.id":"/redfish/v1/Managers"},"AccountService":{"@odata.id":"/y"},` +
				`"Links":{"ManagerProvidingService":{"@odata.id":"/redfish/v1/Managers/1"},"Sessions":{"@odata.id":"/z"}}}`)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &rig{t, m, s}
}

// An answer is a response with its body, as far as that is JSON.
type answer struct {
	*httptest.ResponseRecorder
	body map[string]any
}

// do sends one request of an account, "" for nobody. head are names and values
// of headers, by turns.
func (g *rig) do(who, method, path, body string, head ...string) answer {
	g.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i < len(head); i += 2 {
		r.Header.Set(head[i], head[i+1])
	}
	if who != "" {
		a, err := g.desk.Account(r.Context(), auth.AccountName(who))
		if err != nil {
			g.t.Fatal(err)
		}
		role, err := g.desk.Role(r.Context(), a.Role)
		if err != nil {
			g.t.Fatal(err)
		}
		r = r.WithContext(auth.WithPrincipal(r.Context(), auth.Principal{Account: a.Name, Role: a.Role, Privileges: role.Privileges}))
	}
	w := httptest.NewRecorder()
	g.h.ServeHTTP(w, r)
	out := answer{ResponseRecorder: w}
	json.Unmarshal(w.Body.Bytes(), &out.body)
	return out
}

// at returns the value at a path of members, nil where there is none.
func (a answer) at(path string) any {
	var v any = a.body
	for name := range strings.SplitSeq(path, "/") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[name]
	}
	return v
}

// sent is a header by its name letter for letter, which counts for some clients.
func (a answer) sent(name string) string {
	return strings.Join(a.Header()[name], ", ")
}

// keys are the last segments of the message ids, in order.
func (a answer) keys() string {
	list, _ := a.at("error/@Message.ExtendedInfo").([]any)
	var keys []string
	for _, e := range list {
		id, _ := e.(map[string]any)["MessageId"].(string)
		keys = append(keys, id[strings.LastIndexByte(id, '.')+1:])
	}
	return strings.Join(keys, " ")
}

// is checks status and messages.
func (a answer) is(t *testing.T, what string, status int, keys string) {
	t.Helper()
	if a.Code != status || a.keys() != keys {
		t.Errorf("%s: %d %q, want %d %q: %s", what, a.Code, a.keys(), status, keys, a.Body)
	}
	if a.Code >= 400 && a.Header().Get("Location") != "" {
		t.Errorf("%s: an error with a Location", what)
	}
}

// etag reads the tag of a resource.
func (g *rig) etag(who, path string) string {
	g.t.Helper()
	a := g.do(who, "GET", path, "")
	if a.Code != 200 {
		g.t.Fatalf("GET %s: %d %s", path, a.Code, a.Body)
	}
	return a.sent("ETag")
}

const (
	root  = "/redfish/v1/"
	joe   = "/redfish/v1/AccountService/Accounts/joe"
	accts = "/redfish/v1/AccountService/Accounts"
)

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	if _, err := New(Config{}); err == nil {
		t.Error("no desk")
	}
	for _, manager := range []string{"/redfish/v1/Managers", "/redfish/v1/Managers/", "/redfish/v1/Managers/1/2", "1"} {
		if _, err := New(Config{Desk: newMemory(t), Manager: manager}); err == nil {
			t.Errorf("manager %q", manager)
		}
	}
	if _, err := NewOwnAccount(Config{}); err == nil {
		t.Error("own account without a desk")
	}
}

// Everything that the root leads to answers, with all that a GET must have.
func TestCrawl(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.do("root", "POST", accts+"/joe/Certificates", certBody(newPEM(t, "joe"))).is(t, "add", 201, "")
	g.do("root", "POST", casURI, certBody(newPEM(t, "ca"))).is(t, "add", 201, "")
	seen := map[string]bool{}
	var walk func(v any)
	visit := func(uri string) {
		if seen[uri] || !g.h.(*Service).Owns(strings.TrimSuffix(uri, "/")) && uri != root {
			return
		}
		seen[uri] = true
		a := g.do("root", "GET", uri, "")
		h := a.Header()
		if a.Code != 200 || h.Get("Allow") == "" || h.Get("Content-Type") != "application/json" || h.Get("Cache-Control") == "" || a.sent("OData-Version") != "4.0" {
			t.Fatalf("%s: %d %v", uri, a.Code, h)
		}
		if a.at("@odata.id") != uri || a.at("@odata.etag") != a.sent("ETag") || a.at("Name") == "" {
			t.Errorf("%s: %s", uri, a.Body)
		}
		typ := strings.Split(a.at("@odata.type").(string), ".")
		if want := "/" + strings.Join(typ[:len(typ)-1], ".")[1:] + ".json>; rel=describedby"; !strings.Contains(h.Get("Link"), want) {
			t.Errorf("%s: link %s, type %s", uri, h.Get("Link"), typ)
		}
		if id, ok := a.at("Id").(string); ok && uri != root && id != uri[strings.LastIndexByte(uri, '/')+1:] {
			t.Errorf("%s: id %s", uri, id)
		}
		head := g.do("root", "HEAD", uri, "")
		if head.Code != 200 || head.Body.Len() != 0 || head.sent("ETag") != a.sent("ETag") {
			t.Errorf("HEAD %s: %d %v", uri, head.Code, head.Header())
		}
		g.do("root", "GET", uri, "", "If-None-Match", a.sent("ETag")).is(t, uri+" again", 304, "")
		g.do("root", "GET", uri, "", "Accept", "text/html").is(t, uri+" as HTML", 406, "HeaderInvalid")
		walk(a.body)
	}
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if uri, ok := v["@odata.id"].(string); ok && len(v) == 1 {
				visit(uri)
			}
			for _, e := range v {
				walk(e)
			}
		case []any:
			for _, e := range v {
				walk(e)
			}
		}
	}
	visit(root)
	for _, uri := range []string{accts + "/joe/Certificates/2", casURI + "/3", "/redfish/v1/Managers/1/NetworkProtocol/HTTPS/Certificates/1",
		rolesURI + "/Operator", registriesURI + "/Base.1.22", registriesURI + "/TaskEvent.1.0", schemasURI + "/Manager.v1_24_0", privilegeMapURI} {
		if !seen[uri] && uri != "/redfish/v1/Managers/1/NetworkProtocol/HTTPS/Certificates/1" {
			t.Errorf("%s was not found", uri)
		}
	}
	if len(seen) < 35 {
		t.Errorf("only %d resources", len(seen))
	}
}

func TestOpenDocuments(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	if a := g.do("", "GET", "/redfish", ""); strings.TrimSpace(a.Body.String()) != `{"v1":"/redfish/v1/"}` {
		t.Errorf("/redfish: %s", a.Body)
	}
	for _, path := range []string{"/redfish/v1", root} {
		a := g.do("", "GET", path, "")
		if a.at("@odata.id") != root || a.at("Id") != "Box" || a.at("UUID") != "u" || a.at("Managers/@odata.id") != "/redfish/v1/Managers" ||
			a.at("AccountService/@odata.id") != accountServiceURI || a.at("Links/Sessions/@odata.id") != sessionsURI ||
			a.at("Links/ManagerProvidingService/@odata.id") != "/redfish/v1/Managers/1" {
			t.Errorf("%s: %s", path, a.Body)
		}
		for _, method := range []string{"PATCH", "POST", "DELETE", "FAKEMETHODFORTEST"} {
			a := g.do("root", method, path, "{}")
			a.is(t, method+" "+path, 405, "OperationNotAllowed")
			if a.Header().Get("Allow") != "GET, HEAD" {
				t.Errorf("allow %s", a.Header().Get("Allow"))
			}
		}
	}
	a := g.do("", "GET", "/redfish/v1/odata", "")
	if a.at("@odata.context") != "/redfish/v1/$metadata" || !strings.Contains(a.Body.String(), `"url":"/redfish/v1/Managers"`) {
		t.Errorf("odata: %s", a.Body)
	}
	a = g.do("", "GET", "/redfish/v1/$metadata", "")
	if a.Header().Get("Content-Type") != "application/xml" || !strings.Contains(a.Body.String(), `"Manager.v1_24_0"`) ||
		strings.Count(a.Body.String(), `"Role.v1_3_3"`) != 1 {
		t.Errorf("metadata: %v %s", a.Header(), a.Body)
	}
	a = g.do("", "GET", "/redfish/v1/openapi.yaml", "")
	if a.Header().Get("Content-Type") != "application/yaml" || !strings.Contains(a.Body.String(), `  "/redfish/v1/AccountService/Accounts/{AccountsId}":`) ||
		!strings.Contains(a.Body.String(), `  "/redfish/v1/":`) {
		t.Errorf("openapi: %v %s", a.Header(), a.Body)
	}
	if a := g.do("", "HEAD", "/redfish/v1/openapi.yaml", ""); a.Body.Len() != 0 || a.Header().Get("Content-Length") == "0" {
		t.Errorf("HEAD openapi: %v", a.Header())
	}
}

// A root that is no JSON object leaves ours.
func TestRootBehindIsBroken(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.h.(*Service).cfg.Root = func() []byte { return []byte(`[`) }
	if a := g.do("", "GET", root, ""); a.Code != 200 || a.at("Id") != "RootService" {
		t.Errorf("%d %s", a.Code, a.Body)
	}
}

func TestRouting(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	for _, tt := range []struct {
		who, method, path string
		status            int
		keys, allow       string
	}{
		{"root", "GET", "/redfish/v1/Nothing", 404, "ResourceMissingAtURI", ""},
		{"root", "GET", accts + "/", 200, "", "GET, HEAD, POST"},
		{"root", "GET", accts + "/Members", 404, "ResourceMissingAtURI", ""},
		{"root", "DELETE", accts + "/Members", 404, "ResourceMissingAtURI", ""},
		{"root", "POST", accts + "/joe/Members", 404, "ResourceMissingAtURI", ""},
		{"root", "OPTIONS", accts + "/joe", 204, "", "GET, HEAD, PATCH, DELETE"},
		{"root", "GET", accts + "/joe/Members", 404, "ResourceMissingAtURI", ""},
		{"root", "GET", accts + "/nobody", 404, "ResourceMissingAtURI", ""},
		{"joe", "GET", accts + "/nobody", 403, "InsufficientPrivilege", ""},
		{"joe", "GET", accts + "/op", 403, "InsufficientPrivilege", ""},
		{"joe", "HEAD", accts + "/op", 403, "", ""},
		{"", "GET", accts, 403, "InsufficientPrivilege", ""},
		{"root", "GET", accts + "/joe" + changePasswordAction, 405, "OperationNotAllowed", "POST"},
		{"root", "PUT", accts, 405, "OperationNotAllowed", "GET, HEAD, POST"},
		{"root", "PATCH", accts, 405, "OperationNotAllowed", "GET, HEAD, POST"},
		{"joe", "GET", casURI, 403, "InsufficientPrivilege", ""},
		{"op", "GET", accts + "/op/Certificates", 403, "InsufficientPrivilege", ""},
		{"joe", "GET", certificateServiceURI, 200, "", "GET, HEAD"},
		{"root", "GET", registriesURI + "/No.1.0", 404, "ResourceMissingAtURI", ""},
		{"root", "GET", schemasURI + "/No.v1_0_0", 404, "ResourceMissingAtURI", ""},
		{"root", "GET", "/redfish/v1//AccountService", 400, "GeneralError", ""},
		{"root", "GET", accts + "/joe/Certificates/9", 404, "ResourceMissingAtURI", ""},
	} {
		a := g.do(tt.who, tt.method, tt.path, "")
		what := tt.who + " " + tt.method + " " + tt.path
		a.is(t, what, tt.status, tt.keys)
		if tt.allow != "" && a.Header().Get("Allow") != tt.allow {
			t.Errorf("%s: allow %q, want %q", what, a.Header().Get("Allow"), tt.allow)
		}
	}
}

// Without a manager there is no server certificate and no action about one.
func TestNoManagerNoServerCertificate(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	s, err := New(Config{Desk: m})
	if err != nil {
		t.Fatal(err)
	}
	g := &rig{t, m, s}
	if a := g.do("root", "GET", certificateServiceURI, ""); a.at("Actions") != nil {
		t.Errorf("%s", a.Body)
	}
	g.do("root", "POST", replaceURI, "{}").is(t, "replace", 404, "ResourceMissingAtURI")
	g.do("root", "POST", accts+"/joe"+changePasswordAction, "{}").is(t, "change password", 404, "ResourceMissingAtURI")
	if a := g.do("root", "GET", accts+"/joe", ""); a.at("Actions") != nil {
		t.Errorf("%s", a.Body)
	}
	if a := g.do("root", "GET", locationsURI, ""); a.at("Links/Certificates@odata.count") != 0.0 {
		t.Errorf("%s", a.Body)
	}
}

func TestDeskFails(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err    error
		status int
		keys   string
	}{
		{&admin.Error{Code: admin.Unavailable, Message: "the store is away"}, 503, "ServiceTemporarilyUnavailable"},
		{&admin.Error{Code: admin.Internal, Message: "secret of the house"}, 500, "InternalError"},
		{errors.New("secret of the house"), 500, "InternalError"},
		{&admin.Error{Code: admin.Refused, Message: "not you"}, 403, "InsufficientPrivilege"},
		{auth.ErrUnavailable, 503, "ServiceTemporarilyUnavailable"},
	} {
		g := newRig(t)
		g.desk.fail = tt.err
		r := httptest.NewRequest("GET", accts, nil)
		r = r.WithContext(auth.WithPrincipal(r.Context(), auth.Principal{Account: "root", Role: auth.Administrator, Privileges: auth.AllPrivileges}))
		w := httptest.NewRecorder()
		g.h.ServeHTTP(w, r)
		out := answer{ResponseRecorder: w}
		json.Unmarshal(w.Body.Bytes(), &out.body)
		out.is(t, tt.err.Error(), tt.status, tt.keys)
		if strings.Contains(w.Body.String(), "secret of the house") {
			t.Errorf("%s", w.Body)
		}
	}
}

// On the face of a device there is nothing but one's own account.
func TestOwnAccount(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	s, err := NewOwnAccount(Config{Desk: m, Next: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusTeapot)
	})})
	if err != nil {
		t.Fatal(err)
	}
	g := &rig{t, m, s}
	for _, tt := range []struct {
		who, method, path, body string
		status                  int
		keys                    string
	}{
		{"joe", "GET", joe, "", 200, ""},
		{"root", "GET", joe, "", 418, ""},
		{"root", "GET", accts, "", 418, ""},
		{"joe", "GET", root, "", 418, ""},
		{"", "GET", joe, "", 418, ""},
		{"joe", "DELETE", joe, "", 405, "OperationNotAllowed"},
		{"joe", "PATCH", joe, `{"Password":"another-one"}`, 200, ""},
		{"root", "PATCH", accts + "/root", `{"Enabled":true}`, 403, "InsufficientPrivilege"},
		{"root", "PATCH", accts + "/root", `{"Password":"another-one"}`, 200, ""},
	} {
		g.do(tt.who, tt.method, tt.path, tt.body).is(t, tt.who+" "+tt.method+" "+tt.path, tt.status, tt.keys)
	}
	if a := g.do("joe", "GET", joe, ""); a.at("Links") != nil || a.at("Certificates") != nil || a.at("Password") != nil || a.at("UserName") != "joe" {
		t.Errorf("%s", a.Body)
	}
	if m.passwords["joe"] != "another-one" {
		t.Error("the password is the old one")
	}
}

func certBody(text string) string {
	return string(rf.Encode(map[string]string{"CertificateString": text, "CertificateType": "PEM"}))
}

// No body of a request makes any of the resources fail or panic.
func FuzzBodies(f *testing.F) {
	for _, body := range []string{
		`{"UserName":"a","Password":"12345678","RoleId":"Operator","AccountTypes":["Redfish"],"Locked":false}`,
		`{"RoleId":"x","AssignedPrivileges":["Login",null,{}],"OemPrivileges":[]}`,
		`{"CertificateString":"x","CertificateType":"PEM","CertificateUri":{"@odata.id":"` + serverURI + `"},"CertificateCollection":{"@odata.id":"/"}}`,
		`{"MinPasswordLength":1e9,"AccountLockoutDuration":-1,"MultiFactorAuth":{"ClientCertificate":{"Enabled":1,"Certificates":[]}}}`,
		`{"SessionAccountPassword":"s3cret-root","NewPassword":""}`, `{"@odata.id":1}`, `[`, `null`, ``,
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		g := newRig(t)
		for _, to := range []string{
			"POST " + accts, "PATCH " + joe, "POST " + joe + changePasswordAction, "POST " + joe + "/Certificates", "POST " + rolesURI,
			"PATCH " + rolesURI + "/Operator", "PATCH " + accountServiceURI, "POST " + casURI, "POST " + generateCSRURI, "POST " + replaceURI,
		} {
			method, path, _ := strings.Cut(to, " ")
			if a := g.do("root", method, path, body); a.Code >= 500 {
				t.Errorf("%s %q: %d %s", to, body, a.Code, a.Body)
			}
		}
	})
}
