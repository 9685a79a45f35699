//lint:file-ignore SA1008 the letter case that goes out is what is looked at

package redfish_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"maps"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/redfish"
)

// The two 401s are HPE's own, "Redfish authentication and sessions"; the line
// break in the second's message is typography there.
func TestHPENoValidSession(t *testing.T) {
	t.Parallel()
	for profile, want := range map[string]string{
		"ilo":  `{"error":{"code":"iLO.0.10.ExtendedInfo","message":"See @Message.ExtendedInfo for more information.","@Message.ExtendedInfo":[{"MessageId":"Base.1.12.NoValidSession"}]}}`,
		"ilo5": `{"error":{"code":"iLO.0.10.ExtendedInfo","message":"See @Message.ExtendedInfo for more information.","@Message.ExtendedInfo":[{"MessageId":"Base.1.4.NoValidSession"}]}}`,
		"rmc": `{"error":{"code":"Base.1.8.GeneralError","message":"A general error has occurred. See Resolution for information on how to resolve the error.","@Message.ExtendedInfo":[` +
			`{"@odata.type":"#Message.v1_1_0.Message","MessageId":"Base.1.8.NoValidSession","Message":"There is no valid session established with the implementation.","MessageArgs":[],` +
			`"Severity":"Critical","MessageSeverity":"Critical","Resolution":"Establish a session before attempting any operations."}]}}`,
	} {
		f := newHPE(t, profile)
		for _, path := range []string{"/redfish/v1/Systems/", "/redfish/v1/systems", "/redfish/v1/Nothing/"} {
			if w := f.get("GET", path, ""); w.Code != 401 || w.Body.String() != want {
				t.Errorf("%s %s: %d %s\nwant %s", profile, path, w.Code, w.Body, want)
			}
		}
	}
}

func TestHPELoginHeaders(t *testing.T) {
	t.Parallel()
	// The seed's sample, but for Content-* and Connection, which are HTTP's, and
	// Date, which is the server's.
	sample := []string{"Cache-Control", "ETag", "Link", "Location", "OData-Version", "X-Auth-Token", "X-Frame-Options"}
	old := []string{"Server", "X_HP-CHRP-Service-Version"}
	for _, tt := range []struct {
		settings []string
		want     []string
	}{
		{nil, sample},
		{[]string{"old-headers=on"}, append(slices.Clone(sample), old...)},
	} {
		f := newHPE(t, "ilo", tt.settings...)
		w := f.login("admin", "/redfish/v1/SessionService/Sessions/")
		var got []string
		for _, name := range slices.Sorted(maps.Keys(w.Header())) {
			if !strings.HasPrefix(name, "Content-") {
				got = append(got, name)
			}
		}
		slices.Sort(tt.want)
		if w.Code != 201 || !slices.Equal(got, tt.want) {
			t.Errorf("%v: %d with %q, want %q", tt.settings, w.Code, got, tt.want)
		}
		h := w.Header()
		for name, pattern := range map[string]string{
			"ETag":         `^W/"[0-9A-F]{8}"$`,
			"Link":         `^</redfish/v1/SessionService/Sessions/admin0000000063bc4f87[0-9a-f]{1,8}/>; rel=self$`,
			"Location":     `^https://bmc\.example:8443/redfish/v1/SessionService/Sessions/admin0000000063bc4f87[0-9a-f]{1,8}/$`,
			"X-Auth-Token": `^[0-9a-f]{32}$`, "Content-Type": `^application/json; charset=utf-8$`,
			"X-Frame-Options": "^sameorigin$", "Cache-Control": "^no-cache$", "OData-Version": `^4\.0$`,
		} {
			if len(h[name]) != 1 || !regexp.MustCompile(pattern).MatchString(h[name][0]) {
				t.Errorf("%s: %q, want %s", name, h[name], pattern)
			}
		}
	}
}

func TestHPELocation(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		profile, setting, where, want string
	}{
		{"ilo", "slash=as-asked", "/redfish/v1/SessionService/Sessions", `^https://bmc\.example:8443/redfish/v1/SessionService/Sessions/admin[0-9a-f]+$`},
		{"ilo", "slash=always", "/redfish/v1/SessionService/Sessions", `^https://bmc\.example:8443/redfish/v1/SessionService/Sessions/admin[0-9a-f]+/$`},
		{"ilo", "location=relative", "/redfish/v1/SessionService/Sessions/", `^/redfish/v1/SessionService/Sessions/admin[0-9a-f]+/$`},
		{"ilo", "slash=as-asked", "/redfish/v1/Sessions/", `^https://bmc\.example:8443/redfish/v1/SessionService/Sessions/admin[0-9a-f]+/$`},
		{"ilo", "slash=as-asked", "/REDFISH/V1/sessionservice//sessions", `^https://bmc\.example:8443/redfish/v1/SessionService/Sessions/admin[0-9a-f]+$`},
		{"ilo", "slash=as-asked", "/rest/v1/Sessions", `^https://bmc\.example:8443/redfish/v1/SessionService/Sessions/admin[0-9a-f]+$`},
		{"rmc", "slash=never", "/redfish/v1/SessionService/Sessions/", `^https://bmc\.example:8443/redfish/v1/SessionService/Sessions/admin[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}$`},
	} {
		f := newHPE(t, tt.profile, tt.setting)
		w := f.login("admin", tt.where)
		if at := w.Header().Get("Location"); w.Code != 201 || !regexp.MustCompile(tt.want).MatchString(at) {
			t.Errorf("%s %s %s: %d %q, want %s", tt.profile, tt.setting, tt.where, w.Code, at, tt.want)
		}
	}
}

// at is the path of a session that a login gave.
func at(w *httptest.ResponseRecorder) string {
	_, path, _ := strings.Cut(w.Header().Get("Location"), ":8443")
	return path
}

func TestHPESession(t *testing.T) {
	t.Parallel()
	f := newHPE(t, "ilo")
	w := f.login("oper", "/redfish/v1/SessionService/Sessions/")
	own := strings.TrimSuffix(at(w), "/")
	id := own[strings.LastIndexByte(own, '/')+1:]
	got := f.get("GET", own, "")
	want := `{"@odata.context":"/redfish/v1/$metadata#Session.Session","@odata.etag":"` + strings.ReplaceAll(got.Header()["ETag"][0], `"`, `\"`) + `","@odata.id":"` + own + `",` +
		`"@odata.type":"#Session.v1_0_0.Session","Description":"Manager User Session","Id":"` + id + `","Name":"User Session","Oem":{"Hpe":{` +
		`"@odata.context":"/redfish/v1/$metadata#HpeiLOSession.HpeiLOSession","@odata.type":"#HpeiLOSession.v2_1_0.HpeiLOSession",` +
		`"AccessTime":"2026-11-21T17:00:01Z","LoginTime":"2026-11-21T17:00:01Z","MySession":true,"Privileges":{"HostBIOSConfigPriv":true,"HostNICConfigPriv":true,` +
		`"HostStorageConfigPriv":true,"LoginPriv":true,"RemoteConsolePriv":true,"SystemRecoveryConfigPriv":false,"UserConfigPriv":false,"VirtualMediaPriv":true,` +
		`"VirtualPowerAndResetPriv":true,"iLOConfigPriv":false},"UserExpires":"2026-11-21T17:30:01Z","UserIP":"192.0.2.7","UserTag":"REST","UserType":"Local"}},"UserName":"oper"}`
	if got.Code != 200 || got.Body.String() != want {
		t.Errorf("session %d\n%s\nwant\n%s", got.Code, got.Body, want)
	}
	if got.Header().Get("Link") != "</redfish/v1/SchemaStore/en/Session.json/>; rel=describedby" || got.Header().Get("Allow") != "GET, HEAD, DELETE" {
		t.Errorf("headers of a session: %v", got.Header())
	}
	if w := f.get("GET", own, "", "If-None-Match: "+got.Header()["ETag"][0]); w.Code != 304 {
		t.Errorf("If-None-Match: %d", w.Code)
	}
	if w := f.get("DELETE", own+"/", ""); w.Code != 200 || !strings.Contains(w.Body.String(), `[{"MessageId":"Base.1.12.SessionTerminated"}]`) {
		t.Errorf("DELETE: %d %s", w.Code, w.Body)
	}
	if w := f.get("DELETE", own, ""); w.Code != 401 {
		t.Errorf("with the token of an ended session: %d", w.Code)
	}
}

func TestHPESessionCollection(t *testing.T) {
	t.Parallel()
	f := newHPE(t, "ilo")
	student := at(f.login("reader", "/redfish/v1/SessionService/Sessions/"))
	theirs := f.token
	f.token = ""
	own := at(f.login("admin", "/redfish/v1/SessionService/Sessions/"))
	want := `"@odata.id":"/redfish/v1/SessionService/Sessions/","@odata.type":"#SessionCollection.SessionCollection","Description":"Manager User Sessions","Name":"Sessions",` +
		`"Oem":{"Hpe":{"@odata.context":"/redfish/v1/$metadata#HpeiLOSessionsSummary.HpeiLOSessionsSummary","@odata.type":"#HpeiLOSessionsSummary.v2_0_0.HpeiLOSessionsSummary",` +
		`"Links":{"MySession":{"@odata.id":"` + own + `"}}}},"Members":[{"@odata.id":"` + student + `"},{"@odata.id":"` + own + `"}],"Members@odata.count":2`
	if w := f.get("GET", "/redfish/v1/SessionService/Sessions/", ""); w.Code != 200 || !strings.Contains(w.Body.String(), want) {
		t.Errorf("collection\n%s\nwants\n%s", w.Body, want)
	}
	mine := f.token
	f.token = theirs
	if w := f.get("DELETE", own, ""); w.Code != 403 || !strings.Contains(w.Body.String(), `"Base.1.12.InsufficientPrivilege"`) {
		t.Errorf("a reader ends the administrator's session: %d %s", w.Code, w.Body)
	}
	f.token = mine
	if w := f.get("DELETE", student, ""); w.Code != 200 {
		t.Errorf("the administrator ends the reader's session: %d %s", w.Code, w.Body)
	}
	f.token = theirs
	if w := f.get("GET", "/redfish/v1/Systems/", ""); w.Code != 401 {
		t.Errorf("the reader's token after that: %d", w.Code)
	}
	f.token = ""
	if w := f.get("GET", "/redfish/v1/SessionService/Sessions/", "", basic("admin", password)); w.Code != 200 || strings.Contains(w.Body.String(), "MySession") {
		t.Errorf("with HTTP Basic: %d %s", w.Code, w.Body)
	}
}

func TestRMCSession(t *testing.T) {
	t.Parallel()
	f := newHPE(t, "rmc")
	own := at(f.login("admin", "/redfish/v1/SessionService/Sessions"))
	id := own[strings.LastIndexByte(own, '/')+1:]
	w := f.get("GET", own+"/", "")
	want := `{"@odata.etag":"` + strings.ReplaceAll(w.Header()["ETag"][0], `"`, `\"`) + `","@odata.id":"` + own + `","@odata.type":"#Session.v1_2_1.Session","Id":"` + id +
		`","Name":"User Session ` + id + `","Oem":{"Hpe":{"@odata.type":"#HpeSession.v1_0_0.HpeSession","InitialRole":"Administrator"}},"UserName":"admin"}`
	if w.Code != 200 || w.Body.String() != want || !regexp.MustCompile(`^"[0-9a-f]{32}"$`).MatchString(w.Header()["ETag"][0]) {
		t.Errorf("session %v\n%s\nwant\n%s", w.Header(), w.Body, want)
	}
	f.token = ""
	refused := f.get("POST", "/redfish/v1/SessionService/Sessions", `{"UserName":"admin","Password":"wrong"}`)
	if refused.Code != 401 || !strings.Contains(refused.Body.String(), `"MessageId":"Base.1.8.ResourceAtUriUnauthorized"`) {
		t.Errorf("refused login: %d %s", refused.Code, refused.Body)
	}
}

func TestHPERefusedLogin(t *testing.T) {
	t.Parallel()
	const refused = `{"error":{"code":"iLO.0.10.ExtendedInfo","message":"See @Message.ExtendedInfo for more information.","@Message.ExtendedInfo":[{"MessageId":"iLO.2.18.UnauthorizedLoginAttempt"}]}}`
	for _, tt := range []struct {
		name, body string
		status     int
		want       string
	}{
		{"wrong password", `{"UserName":"admin","Password":"wrong"}`, 400, refused},
		{"nobody", `{"UserName":"nobody","Password":"wrong"}`, 400, refused},
		{"nulls, as ilorest 3.6 sends with --sessionid", `{"UserName": null, "Password": null}`, 400, refused},
		{"nothing", `{}`, 400, `EmptyJSON`},
		{"no password", `{"UserName":"admin"}`, 400, `{"MessageId":"Base.1.12.PropertyMissing","MessageArgs":["Password"]}`},
		{"a number for a code", `{"UserName":"admin","Password":"x","Token":123456}`, 400, `{"MessageId":"Base.1.12.PropertyValueTypeError","MessageArgs":["***","Token"]}`},
		{"no JSON", `{`, 400, `{"MessageId":"Base.1.12.MalformedJSON"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newHPE(t, "ilo").get("POST", "/redfish/v1/SessionService/Sessions/", tt.body)
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) || w.Header().Get("X-Auth-Token") != "" {
				t.Errorf("%d %s, want %d with %s", w.Code, w.Body, tt.status, tt.want)
			}
		})
	}
}

func TestHPEPasscode(t *testing.T) {
	t.Parallel()
	f := newHPE(t, "ilo")
	for fault, want := range map[error]string{
		auth.ErrPasscodeSent:    `[{"MessageId":"Base.1.12.OneTimePasscodeSent","MessageArgs":["configured mail"]}]`,
		auth.ErrPasscodeExpired: `[{"MessageId":"iLO.2.18.TokenExpired"}]`,
	} {
		f.auth.fault = fault
		w := f.get("POST", "/redfish/v1/SessionService/Sessions/", `{"UserName":"admin","Password":"x","Token":"123456"}`)
		if w.Code != 400 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%v: %d %s", fault, w.Code, w.Body)
		}
	}
	if a := f.auth.asked(); a[0].Passcode.Reveal() != "123456" {
		t.Error("the code did not reach the authority")
	}
}

// HPE's clients search the answer of a good login for the names of refusals.
func TestHPEMisreadNames(t *testing.T) {
	t.Parallel()
	f := newHPE(t, "ilo")
	f.auth.roles["TokenExpired1"] = auth.ReadOnly
	w := f.login("TokenExpired1", "/redfish/v1/SessionService/Sessions/")
	if w.Code != 201 || strings.Contains(w.Body.String(), "TokenExpired") || strings.Contains(fmt.Sprint(w.Header()), "TokenExpired") {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}

func TestHPECertificateLogin(t *testing.T) {
	t.Parallel()
	cert := func(name string) []*x509.Certificate {
		return []*x509.Certificate{{Subject: pkix.Name{CommonName: name}}}
	}
	ask := func(f *hpeFace, method, path string, chain []*x509.Certificate) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, nil)
		r.TLS, r.Host = &tls.ConnectionState{PeerCertificates: chain}, "bmc.example:8443"
		w := httptest.NewRecorder()
		f.h.ServeHTTP(w, r)
		return w
	}
	for _, tt := range []struct {
		name, method string
		chain        []*x509.Certificate
		fault        error
		status       int
		want         string
	}{
		{"good", "GET", cert("reader"), nil, 200, "Logged in"},
		{"none", "GET", nil, nil, 401, `[{"MessageId":"iLO.2.18.UnauthorizedLoginAttempt"}]`},
		{"nobody's", "GET", cert("nobody"), nil, 401, `"iLO.2.18.UnauthorizedLoginAttempt"`},
		{"no licence", "GET", cert("reader"), fmt.Errorf("%w: %w", auth.ErrBadCredentials, auth.ErrNotLicensed), 403, `"iLO.2.18.LicenseKeyRequired"`},
		{"switched off", "GET", cert("reader"), fmt.Errorf("%w: %w", auth.ErrBadCredentials, auth.ErrMethodOff), 403, `"Base.1.12.InsufficientPrivilege"`},
		{"full", "GET", cert("reader"), auth.ErrSessionLimit, 503, `"Base.1.12.SessionLimitExceeded"`},
		{"HEAD", "HEAD", cert("reader"), nil, 200, ""},
		{"HEAD without", "HEAD", nil, nil, 401, ""},
		{"POST", "POST", cert("reader"), nil, 405, `"Base.1.12.OperationNotAllowed"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newHPE(t, "ilo")
			f.auth.fault = tt.fault
			w := ask(f, tt.method, "/html/login_cert.html", tt.chain)
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) {
				t.Errorf("%d %s, want %d with %s", w.Code, w.Body, tt.status, tt.want)
			}
			made := tt.name == "good"
			if (w.Header().Get("X-Auth-Token") != "") != made || (w.Header().Get("Location") != "") != made || (f.auth.count() == 1) != made {
				t.Errorf("%v and %d sessions", w.Header(), f.auth.count())
			}
			if !made {
				return
			}
			f.token = w.Header().Get("X-Auth-Token")
			s := f.get("GET", at(w), "")
			if s.Code != 200 || !strings.Contains(s.Body.String(), `"UserTag":"Web UI"`) || !strings.Contains(s.Body.String(), `"Id":"reader0000000063bc4f87`) {
				t.Errorf("session: %d %s", s.Code, s.Body)
			}
		})
	}
	t.Run("no use elsewhere", func(t *testing.T) {
		t.Parallel()
		if w := ask(newHPE(t, "ilo"), "GET", "/redfish/v1/Systems/", cert("admin")); w.Code != 401 {
			t.Errorf("%d", w.Code)
		}
	})
	t.Run("not of the RMC", func(t *testing.T) {
		t.Parallel()
		if w := ask(newHPE(t, "rmc"), "GET", "/html/login_cert.html", cert("admin")); w.Code == 200 && w.Header().Get("X-Auth-Token") != "" {
			t.Errorf("%d", w.Code)
		}
	})
}

// What of a session depends on who looks, and on the rules.
func TestHPESessionOfOthers(t *testing.T) {
	t.Parallel()
	f := newHPE(t, "ilo")
	theirs := at(f.login("reader", "/redfish/v1/SessionService/Sessions/"))
	first := f.get("GET", theirs, "")
	f.login("admin", "/redfish/v1/SessionService/Sessions/")
	f.auth.sessions[0].Expires = f.auth.sessions[0].Created.Add(10 * time.Minute)
	w := f.get("GET", theirs, "")
	if w.Code != 200 || !strings.Contains(w.Body.String(), `"MySession":false`) || !strings.Contains(first.Body.String(), `"MySession":true`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if !strings.Contains(w.Body.String(), `"UserExpires":"2026-11-21T17:10:01Z"`) {
		t.Errorf("expires after its lifetime: %s", w.Body)
	}
	if first.Header()["ETag"][0] != w.Header()["ETag"][0] {
		t.Error("two tags of one session")
	}
}

func TestHPECertificateAndPasswordToBeChanged(t *testing.T) {
	t.Parallel()
	f := newHPE(t, "ilo")
	f.auth.must = map[auth.AccountName]bool{"reader": true}
	r := httptest.NewRequest("GET", "/html/login_cert.html", nil)
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{Subject: pkix.Name{CommonName: "reader"}}}}
	w := httptest.NewRecorder()
	f.h.ServeHTTP(w, r)
	if w.Code == 200 || w.Header().Get("X-Auth-Token") != "" || f.auth.count() != 0 {
		t.Errorf("%d %v, %d sessions", w.Code, w.Header(), f.auth.count())
	}
}

// The account that must change its password is where the service has it.
func TestHPEAccountURI(t *testing.T) {
	t.Parallel()
	f := newFace(t, func(c *redfish.Config) {
		c.Profile, _ = redfish.FindProfile("ilo")
		c.AccountURI = func(auth.Principal) string { return "/redfish/v1/AccountService/Accounts/7" }
	})
	f.auth.must = map[auth.AccountName]bool{"oper": true}
	h := &hpeFace{face: f}
	for path, want := range map[string]int{"/redfish/v1/AccountService/Accounts/7/": 200, "/redfish/v1/AccountService/Accounts/oper/": 403} {
		w := h.get("GET", path, "", basic("oper", password))
		if w.Code != want || want == 403 && !strings.Contains(w.Body.String(), `["/redfish/v1/AccountService/Accounts/7/"]`) {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}
