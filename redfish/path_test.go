package redfish

import (
	"net/http"
	"strings"
	"testing"
)

func TestCanonical(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ raw, want string }{
		{"/redfish/v1/", "/redfish/v1/"},
		{"/redfish/v1", "/redfish/v1/"},
		{"/redfish", "/redfish"},
		{"/redfish/", "/redfish"},
		{"/", "/"},
		{"/redfish/v1/Systems/", "/redfish/v1/Systems"},
		{"/redfish/v1/systems", "/redfish/v1/systems"},
		{"/redfish/v1/%53ystems/%7e1%2d%2E%5fx", "/redfish/v1/Systems/~1-._x"},
		{"/redfish/v1/$metadata", "/redfish/v1/$metadata"},
		{"/redfish/v1/%24metadata", "/redfish/v1/$metadata"},
		{"/redfish/v1/Sessions/a%5bb%5D", "/redfish/v1/Sessions/a%5Bb%5D"},
		{"/redfish/v1/Sessions/a[b]", "/redfish/v1/Sessions/a%5Bb%5D"},
		{"/redfish/v1/a%20b", "/redfish/v1/a%20b"},
		{"/redfish/v1/J%C3%B6rg", "/redfish/v1/J%C3%B6rg"},
		{"/redfish/v1/J\u00f6rg", "/redfish/v1/J%C3%B6rg"},
		{"/redfish/v1/Systems/1/Actions/ComputerSystem.Reset", "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset"},
		{"/redfish/v1/...", "/redfish/v1/..."},
		{"/redfish/v1/a:b@c,d'(e)!*+=&", "/redfish/v1/a:b@c,d'(e)!*+=&"},
	} {
		got, err := Canonical(tt.raw)
		if err != nil || got != tt.want {
			t.Errorf("%s: %q %v, want %q", tt.raw, got, err, tt.want)
		}
		if again, err := Canonical(got); err != nil || again != got {
			t.Errorf("%s: canonical form %s becomes %s %v", tt.raw, got, again, err)
		}
	}
	for _, raw := range []string{
		"", "redfish", "*", "//", "/redfish//v1", "//redfish", "/a//", "/.", "/..", "/a/./b", "/a/../b", "/%2e", "/a/%2E%2e/b",
		"/a%2fb", "/a%2Fb", `/a\b`, "/a%5cb", "/a;b", "/a%3bb", "/a?b", "/a%3fb", "/a#b", "/a%23b", "/a%25b", "/a%252eb",
		"/a%", "/a%4", "/a%zz", "/a%00", "/a\x00", "/a\n", "/a%0d", "/a\x7f", "/%ff", "/\xff", "/%c0%ae", "/a%e2%80%8b", "/a%C2%85",
	} {
		if got, err := Canonical(raw); err == nil || AsProblem(err).Status != 400 {
			t.Errorf("%q: %q %v, want 400", raw, got, err)
		}
	}
	if _, err := Canonical("/" + strings.Repeat("a", maxPath)); err == nil || AsProblem(err).Status != http.StatusRequestURITooLong {
		t.Errorf("a long path: %v", err)
	}
}

func TestSpelling(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/redfish/v1/sessionservice":                   "/redfish/v1/SessionService",
		"/redfish/v1/SESSIONSERVICE/Sessions/x":        "/redfish/v1/SessionService/Sessions/x",
		"/redfish/v1/SessionService/sessions/X":        "/redfish/v1/SessionService/Sessions/X",
		"/redfish/v1/sessionservice/sessions/X":        "/redfish/v1/SessionService/Sessions/X",
		"/REDFISH/v1":                                  "/redfish/v1",
		"/redfish/v1/$METADATA":                        "/redfish/v1/$metadata",
		"/redfish/v1/Systems":                          "",
		"/redfish/v1/SessionService":                   "",
		"/redfish/v1/SessionServices":                  "",
		"/redfish/v1/sessionService/Sessions/Members/": "/redfish/v1/SessionService/Sessions/Members/",
		"/redfish/v1/SessionService/Sessions/Members":  "",
	} {
		if got := spelling(path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

func TestClassify(t *testing.T) {
	t.Parallel()
	const v1 = "/redfish/v1/"
	for _, tt := range []struct {
		method, path, query string
		kind                Kind
		canonical           string
		reach               int
		status              int // of Err
	}{
		{"GET", "/redfish", "", KindOpen, "/redfish", 0, 0},
		{"GET", "/redfish/v1", "", KindOpen, v1, 0, 0},
		{"HEAD", v1, "", KindOpen, v1, 0, 0},
		{"OPTIONS", v1, "", KindOpen, v1, 0, 0},
		{"GET", v1 + "$metadata", "", KindOpen, v1 + "$metadata", 0, 0},
		{"GET", v1 + "odata/", "", KindOpen, v1 + "odata", 0, 0},
		{"GET", v1, "rpvunknown", KindOpen, v1, 0, 0},
		{"GET", v1, "$expand=.", KindRefused, v1, 0, 501},
		{"GET", v1, "$select=Name", KindRefused, v1, 0, 501},
		{"GET", v1, "expand=*", KindRefused, v1, 0, 501},
		{"GET", v1, "only", KindRefused, v1, 0, 400},
		{"POST", v1, "", KindRefused, v1, 0, 405},
		{"DELETE", "/redfish/v1", "", KindRefused, v1, 0, 405},

		{"GET", v1 + "SessionService", "", KindOurs, v1 + "SessionService", 0, 0},
		{"PATCH", v1 + "SessionService/", "", KindOurs, v1 + "SessionService", 0, 0},
		{"POST", v1 + "SessionService/Sessions/Members", "$expand=*", KindOurs, v1 + "SessionService/Sessions/Members", 0, 0},
		{"DELETE", v1 + "SessionService/Sessions/1", "", KindOurs, v1 + "SessionService/Sessions/1", 0, 0},
		{"GET", v1 + "SessionService/x/y", "", KindOurs, v1 + "SessionService/x/y", 0, 0},
		{"GET", v1 + "sessionservice", "", KindRefused, v1 + "sessionservice", 0, 404},
		{"POST", v1 + "Sessionservice/Sessions", "", KindRefused, v1 + "Sessionservice/Sessions", 0, 404},

		{"GET", v1 + "AccountService", "", KindDenied, v1 + "AccountService", 0, 403},
		{"GET", v1 + "%41ccountService/Accounts/1", "", KindDenied, v1 + "AccountService/Accounts/1", 0, 403},
		{"PATCH", v1 + "accountSERVICE/Accounts/1/", "", KindDenied, v1 + "accountSERVICE/Accounts/1", 0, 403},
		{"GET", v1 + "CertificateService", "", KindDenied, v1 + "CertificateService", 0, 403},
		{"POST", v1 + "certificateservice/Actions/x", "", KindDenied, v1 + "certificateservice/Actions/x", 0, 403},
		{"GET", v1 + "Managers/1/RemoteAccountService", "", KindDenied, v1 + "Managers/1/RemoteAccountService", 0, 403},
		{"GET", v1 + "managers/BMC/remoteaccountservice/Accounts", "", KindDenied, v1 + "managers/BMC/remoteaccountservice/Accounts", 0, 403},
		{"GET", v1 + "Managers/iDRAC.Embedded.1/Accounts/2", "", KindDenied, v1 + "Managers/iDRAC.Embedded.1/Accounts/2", 0, 403},
		{"POST", v1 + "Sessions", "", KindDenied, v1 + "Sessions", 0, 403},
		{"DELETE", v1 + "sessions/1", "", KindDenied, v1 + "sessions/1", 0, 403},
		{"GET", v1 + "AccountServices", "", KindRead, v1 + "AccountServices", 0, 0},

		{"GET", v1 + "Systems", "", KindRead, v1 + "Systems", 0, 0},
		{"HEAD", v1 + "Systems/1/", "", KindRead, v1 + "Systems/1", 0, 0},
		{"OPTIONS", v1 + "Systems/1", "", KindRead, v1 + "Systems/1", 0, 0},
		{"POST", v1 + "Systems/1/Actions/ComputerSystem.Reset", "", KindEffect, v1 + "Systems/1/Actions/ComputerSystem.Reset", 0, 0},
		{"PATCH", v1 + "Systems/1", "", KindEffect, v1 + "Systems/1", 0, 0},
		{"PUT", v1 + "Systems/1", "", KindEffect, v1 + "Systems/1", 0, 0},
		{"DELETE", v1 + "EventService/Subscriptions/1", "", KindEffect, v1 + "EventService/Subscriptions/1", 0, 0},
		{"TRACE", v1 + "Systems", "", KindRefused, v1 + "Systems", 0, 501},
		{"CONNECT", v1 + "Systems", "", KindRefused, v1 + "Systems", 0, 501},
		{"get", v1 + "Systems", "", KindRefused, v1 + "Systems", 0, 501},

		{"GET", "/", "", KindRefused, "/", 0, 404},
		{"GET", "/rest/v1/AccountService", "", KindRefused, "/rest/v1/AccountService", 0, 404},
		{"POST", "/sysmgmt/2015/bmc/session", "", KindRefused, "/sysmgmt/2015/bmc/session", 0, 404},
		{"GET", "/redfish/v2/Systems", "", KindRefused, "/redfish/v2/Systems", 0, 404},
		{"GET", "/REDFISH/v1/Systems", "", KindRefused, "/REDFISH/v1/Systems", 0, 404},
		{"GET", v1 + "Systems/../AccountService", "", KindRefused, "", 0, 400},
		{"GET", v1 + "Systems%2f..%2fAccountService", "", KindRefused, "", 0, 400},

		{"GET", v1 + "Systems", "$expand=.", KindRead, v1 + "Systems", 1, 0},
		{"GET", v1 + "Systems", "$expand=.($levels=3)", KindRead, v1 + "Systems", 3, 0},
		{"GET", v1 + "Systems", "%24expand=.%28%24levels%3D6%29", KindRead, v1 + "Systems", 6, 0},
		{"GET", v1 + "Systems", "only", KindRead, v1 + "Systems", 1, 0},
		{"GET", v1 + "Systems", "$filter=Id%20eq%20'1'", KindRead, v1 + "Systems", 1, 0},
		{"GET", v1 + "Systems/1", "$select=Name,Id&page=2", KindRead, v1 + "Systems/1", 0, 0},
		{"GET", v1 + "Systems", "$top=1&$skip=2&$skiptoken=x", KindRead, v1 + "Systems", 0, 0},
		{"GET", v1 + "Systems", "$expand=*", KindRefused, v1 + "Systems", 0, 501},
		{"GET", v1 + "Systems", "$expand=~", KindRefused, v1 + "Systems", 0, 501},
		{"GET", v1 + "Systems", "$expand=", KindRefused, v1 + "Systems", 0, 501},
		{"GET", v1 + "Systems", "$expand=.($levels=7)", KindRefused, v1 + "Systems", 0, 501},
		{"GET", v1 + "Systems", "$expand=.($levels=0)", KindRefused, v1 + "Systems", 0, 501},
		{"GET", v1 + "Systems", "$expand=.($levels=-1)", KindRefused, v1 + "Systems", 0, 501},
		{"GET", v1 + "Systems", "$expand=.($levels=03)", KindRefused, v1 + "Systems", 0, 501},
		{"GET", v1 + "Systems", "$expand=.($levels=3", KindRefused, v1 + "Systems", 0, 501},
		{"GET", v1 + "Systems", "$expand=.,*", KindRefused, v1 + "Systems", 0, 501},
		{"GET", v1 + "Systems", "$expand=.&$expand=*", KindRefused, v1 + "Systems", 0, 400},
		{"GET", v1 + "Systems", "$expand=.&%24expand=.", KindRefused, v1 + "Systems", 0, 400},
		{"GET", v1 + "Systems", "$expand=.&$EXPAND=*", KindRefused, v1 + "Systems", 0, 400},
		{"GET", v1 + "Systems", "expand=*", KindRefused, v1 + "Systems", 0, 501},
		{"GET", v1 + "Systems", "a=b;$expand=*", KindRefused, v1 + "Systems", 0, 400},
		{"GET", v1 + "Systems", "%2524expand=*", KindRefused, v1 + "Systems", 0, 400},
		{"GET", v1 + "Systems", "+$expand=*", KindRefused, v1 + "Systems", 0, 400},
		{"GET", v1 + "Systems", "$format=xml", KindRefused, v1 + "Systems", 0, 501},
		{"GET", v1 + "Systems", "only=x", KindRefused, v1 + "Systems", 0, 400},
		{"GET", v1 + "Systems", "%zz", KindRefused, v1 + "Systems", 0, 400},
		{"GET", v1 + "Systems", "=", KindRead, v1 + "Systems", 0, 0},
		{"POST", v1 + "Systems", "$expand=.", KindRefused, v1 + "Systems", 0, 400},
		{"POST", v1 + "UpdateService/upload", "image=a", KindEffect, v1 + "UpdateService/upload", 0, 0},
		// One level of Managers shows them; two show what is below them.
		{"GET", v1 + "Managers", "$expand=.", KindRead, v1 + "Managers", 1, 0},
		{"GET", v1 + "Managers", "$expand=.($levels=2)", KindRefused, v1 + "Managers", 0, 501},
		{"GET", v1 + "Managers/1", "$expand=.", KindRefused, v1 + "Managers/1", 0, 501},
		{"GET", v1 + "managers/1", "$expand=.", KindRefused, v1 + "managers/1", 0, 501},
		{"GET", v1 + "Managers/1/LogServices", "$expand=.($levels=2)", KindRead, v1 + "Managers/1/LogServices", 2, 0},
		{"GET", v1 + "Systems", strings.Repeat("a&", 65), KindRefused, v1 + "Systems", 0, 400},
		{"GET", v1 + "Systems", strings.Repeat("a", 5000), KindRefused, v1 + "Systems", 0, 414},
	} {
		c := Generic().Classify(tt.method, tt.path, tt.query)
		status := 0
		if c.Err != nil {
			status = AsProblem(c.Err).Status
		}
		if c.Kind != tt.kind || c.Path != tt.canonical || c.Reach != tt.reach || status != tt.status {
			t.Errorf("%s %s?%s: %+v (status %d), want kind %d %s reach %d status %d",
				tt.method, tt.path, tt.query, c, status, tt.kind, tt.canonical, tt.reach, tt.status)
		}
	}
}
