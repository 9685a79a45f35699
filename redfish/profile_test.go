//lint:file-ignore SA1008 the letter case that goes out is what is looked at

package redfish_test

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/postern/postern/redfish"
)

// hpeFace is a face with a profile, in front of resources that know nothing of it.
type hpeFace struct {
	*face
	token string
}

// clock is what the session ids of the tests are drawn by.
var clock = time.Unix(0x63bc4f87, 0)

func newHPE(t *testing.T, profile string, settings ...string) *hpeFace {
	t.Helper()
	p, err := redfish.FindProfile(profile)
	if err != nil {
		t.Fatal(err)
	}
	if p, err = p.With(settings...); err != nil {
		t.Fatal(err)
	}
	f := &hpeFace{}
	next := http.HandlerFunc(f.resources)
	f.face = newFace(t, func(c *redfish.Config) {
		c.Profile, c.Now = p, func() time.Time { return clock }
		c.Rules = func() redfish.Rules { return redfish.Rules{Certificates: true} }
		c.Next = redfish.Query(next)
		c.Open = c.Next
	})
	return f
}

const license = "/redfish/v1/Managers/1/LicenseService"

// resources are those of a small device, with a slash nowhere.
func (f *hpeFace) resources(w http.ResponseWriter, r *http.Request) {
	f.next = append(f.next, r)
	path, err := redfish.Canonical(r.URL.EscapedPath())
	if err != nil {
		redfish.WriteError(w, r, err)
		return
	}
	bodies := map[string]string{
		"/redfish/v1/":                           `{"@odata.id":"/redfish/v1","@odata.type":"#ServiceRoot.v1_13_0.ServiceRoot","Links":{"Sessions":{"@odata.id":"/redfish/v1/SessionService/Sessions"}}}`,
		"/redfish/v1/Systems":                    `{"@odata.id":"/redfish/v1/Systems","@odata.type":"#ComputerSystemCollection.ComputerSystemCollection","Members":[],"Members@odata.count":0}`,
		license:                                  `{"@odata.id":"` + license + `","@odata.type":"#HpeiLOLicenseCollection.HpeiLOLicenseCollection","Members":[{"@odata.id":"` + license + `/1"}],"Members@odata.count":1}`,
		license + "/1":                           `{"@odata.id":"` + license + `/1","@odata.type":"#HpeiLOLicense.v2_3_0.HpeiLOLicense","License":"iLO Advanced","Links":{"Manager":{"@odata.id":"/redfish/v1/Managers/1"}}}`,
		"/redfish/v1/Managers/1/NetworkProtocol": `{"@odata.type":"#ManagerNetworkProtocol.v1_0_0.ManagerNetworkProtocol"}`,
	}
	body, there := bodies[path]
	tagged, tag := redfish.Tagged([]byte(body))
	switch {
	case !there:
		redfish.WriteError(w, r, redfish.NotFound(path))
	case r.Method == http.MethodPatch:
		if err := redfish.CheckMatch(r, tag); err != nil {
			redfish.WriteError(w, r, err)
			return
		}
		redfish.WriteResource(w, r, http.StatusOK, tagged, tag)
	case r.Method == http.MethodPost:
		w.Header().Set("Location", license+"/1")
		redfish.WriteResource(w, r, http.StatusCreated, tagged, tag)
	case r.Method == http.MethodDelete:
		redfish.WriteDone(w, r)
	default:
		redfish.ServeResource(w, r, "GET, HEAD, PATCH", tagged, tag)
	}
}

// get asks without the checks that hold for the generic face.
func (f *hpeFace) get(method, target, body string, headers ...string) *httptest.ResponseRecorder {
	f.t.Helper()
	r := httptest.NewRequest(method, "/", strings.NewReader(body))
	r.RequestURI = target
	path, query, _ := strings.Cut(target, "?")
	r.URL.Path, r.URL.RawQuery = path, query
	r.TLS, r.Host, r.RemoteAddr = &tls.ConnectionState{}, "bmc.example:8443", "192.0.2.7:4711"
	if f.token != "" {
		r.Header.Set("X-Auth-Token", f.token)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ":")
		r.Header.Set(name, strings.TrimSpace(value))
	}
	w := httptest.NewRecorder()
	f.h.ServeHTTP(w, r)
	return w
}

func (f *hpeFace) login(name, where string) *httptest.ResponseRecorder {
	f.t.Helper()
	w := f.get("POST", where, fmt.Sprintf(`{"UserName": %q, "Password": %q}`, name, password))
	f.token = w.Header().Get("X-Auth-Token")
	return w
}

func TestHPEPaths(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, profile, setting, path string
		status                       int
		want                         string
	}{
		{"lower case", "ilo", "", "/redfish/v1/systems/", 200, `"@odata.id":"/redfish/v1/Systems/"`},
		{"without slash", "ilo", "", "/redfish/v1/Systems", 200, `"@odata.id":"/redfish/v1/Systems"`},
		{"double slashes", "ilo", "", "//redfish//v1//Systems/", 200, `"@odata.id":"/redfish/v1/Systems/"`},
		{"root without slash", "ilo", "", "/redfish/v1", 200, `{"@odata.id":"/redfish/v1/SessionService/Sessions"}`},
		{"root with slash", "ilo", "", "/redfish/v1/", 200, `{"@odata.id":"/redfish/v1/SessionService/Sessions/"}`},
		{"double slashes at the root", "ilo", "", "//redfish/v1/", 200, `"@odata.id":"/redfish/v1/"`},
		{"none", "ilo", "", "/none:8443/redfish/v1/Systems/", 200, `"@odata.id":"/redfish/v1/Systems/"`},
		{"None and a port", "ilo", "", "/None:8443/:8443/redfish/v1/Systems/", 200, `"@odata.id":"/redfish/v1/Systems/"`},
		{"none switched off", "ilo", "none-port=off", "/none:8443/redfish/v1/Systems/", 404, `ResourceMissingAtURI`},
		{"lower case at an RMC", "rmc", "", "/redfish/v1/systems/", 200, `"@odata.id":"/redfish/v1/Systems"`},
		{"root of an RMC", "rmc", "", "/redfish/v1/", 200, `"@odata.id":"/redfish/v1"`},
		{"dot segments", "ilo", "", "/redfish/v1/../v1/Systems", 400, ""},
		{"old path of an RMC", "rmc", "", "/rest/v1", 404, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var settings []string
			if tt.setting != "" {
				settings = append(settings, tt.setting)
			}
			f := newHPE(t, tt.profile, settings...)
			f.login("admin", "/redfish/v1/SessionService/Sessions/")
			if w := f.get("GET", tt.path, ""); w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) {
				t.Errorf("%d %s, want %d with %s", w.Code, w.Body, tt.status, tt.want)
			}
		})
	}
	t.Run("old paths", func(t *testing.T) {
		t.Parallel()
		f := newHPE(t, "ilo")
		for path, want := range map[string]string{
			"/rest/v1": "https://bmc.example:8443/redfish/v1/", "/rest/v1/systems/?only": "https://bmc.example:8443/redfish/v1/Systems/?only",
		} {
			if w := f.get("GET", path, ""); w.Code != 308 || w.Header().Get("Location") != want {
				t.Errorf("%s: %d %q", path, w.Code, w.Header().Get("Location"))
			}
		}
	})
	t.Run("what is forwarded is what was judged", func(t *testing.T) {
		t.Parallel()
		f := newHPE(t, "ilo")
		f.login("admin", "/redfish/v1/SessionService/Sessions/")
		f.get("GET", "//redfish/v1/managers/1/networkprotocol/?x=1", "")
		r := f.next[len(f.next)-1]
		if r.RequestURI != "/redfish/v1/Managers/1/NetworkProtocol/?x=1" || r.URL.EscapedPath() != "/redfish/v1/Managers/1/NetworkProtocol/" {
			t.Errorf("forwarded %q, %q", r.RequestURI, r.URL)
		}
	})
}

func TestHPEQuery(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ query, want, not string }{
		{"only", `"License":"iLO Advanced"`, ""},
		{"only=", `"License":"iLO Advanced"`, ""},
		{"$expand=.", `"Members":[{"@odata.id":"/redfish/v1/Managers/1/LicenseService/1/"`, `@odata.etag":"\"`},
		{"$expand=*", `"License":"iLO Advanced"`, `"FirmwareVersion"`},
		{"$expand=.($levels=3)", `"License":"iLO Advanced"`, ""},
		{"$select=Members", `"Members"`, "count\":2"},
		{"$filter=License%20eq%20'x'", `"Members":[]`, ""},
		{"$top=0&$nonsense=7&what", `"Members@odata.count":1`, ""},
	} {
		t.Run(tt.query, func(t *testing.T) {
			t.Parallel()
			f := newHPE(t, "ilo")
			f.login("admin", "/redfish/v1/SessionService/Sessions/")
			w := f.get("GET", license+"/?"+tt.query, "")
			if w.Code != 200 || !strings.Contains(w.Body.String(), tt.want) || tt.not != "" && strings.Contains(w.Body.String(), tt.not) {
				t.Errorf("%d %s, want %s", w.Code, w.Body, tt.want)
			}
		})
	}
	f := newHPE(t, "ilo")
	f.login("admin", "/redfish/v1/SessionService/Sessions/")
	for _, path := range []string{"/redfish/v1/Systems/?only", license + "/1/?only", "/redfish/v1/SessionService/?only", "/redfish/v1/?$expand=."} {
		if w := f.get("GET", path, ""); w.Code != 200 {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

func TestHPEChanges(t *testing.T) {
	t.Parallel()
	f := newHPE(t, "ilo")
	f.login("admin", "/redfish/v1/SessionService/Sessions/")
	seen := f.get("GET", license+"/1/", "")
	tag := seen.Header()["ETag"][0]
	if !strings.Contains(seen.Body.String(), `"@odata.etag":"`+strings.ReplaceAll(tag, `"`, `\"`)+`"`) {
		t.Errorf("%s is not the tag in %s", tag, seen.Body)
	}
	if w := f.get("PATCH", license+"/1/", "{}", "If-Match: "+tag); w.Code != 200 || !strings.Contains(w.Body.String(), `[{"MessageId":"Base.1.12.Success"}]`) {
		t.Errorf("PATCH: %d %s", w.Code, w.Body)
	}
	if w := f.get("PATCH", license+"/1/", "{}", `If-Match: W/"00000000"`); w.Code != 412 || !strings.Contains(w.Body.String(), `"Base.1.12.PreconditionFailed"`) {
		t.Errorf("stale PATCH: %d %s", w.Code, w.Body)
	}
	w := f.get("POST", license+"/", "{}")
	if w.Code != 201 || !strings.Contains(w.Body.String(), `"Base.1.12.Created"`) || w.Header().Get("Location") != "https://bmc.example:8443"+license+"/1/" {
		t.Errorf("POST: %d %q %s", w.Code, w.Header().Get("Location"), w.Body)
	}
	if w := f.get("DELETE", license+"/1/", ""); w.Code != 200 || !strings.Contains(w.Body.String(), `"Base.1.12.Success"`) {
		t.Errorf("DELETE: %d %s", w.Code, w.Body)
	}
}

func TestHPEClassify(t *testing.T) {
	t.Parallel()
	ilo, _ := redfish.FindProfile("ilo")
	rmc, _ := redfish.FindProfile("rmc")
	for _, tt := range []struct {
		p                   redfish.Profile
		method, path, query string
		kind                redfish.Kind
		canonical           string
	}{
		{ilo, "GET", "/html/login_cert.html", "", redfish.KindOurs, "/html/login_cert.html"},
		{rmc, "GET", "/html/login_cert.html", "", redfish.KindRefused, ""},
		{redfish.Generic(), "GET", "/html/login_cert.html", "", redfish.KindRefused, ""},
		{ilo, "GET", "/redfish/v1/systems/1/", "", redfish.KindRead, "/redfish/v1/Systems/1"},
		{ilo, "POST", "/redfish/v1/Sessions/", "", redfish.KindOurs, "/redfish/v1/SessionService/Sessions"},
		{ilo, "GET", "/redfish/v1/managers/1/securityservice/", "", redfish.KindDenied, "/redfish/v1/Managers/1/SecurityService"},
		{ilo, "GET", "/redfish/v1/accountservice/usercertificatemapping/", "", redfish.KindDenied, "/redfish/v1/AccountService/UserCertificateMapping"},
		{ilo, "GET", "/redfish/v1/Managers/1/LicenseService/", "only=", redfish.KindRead, "/redfish/v1/Managers/1/LicenseService"},
		{ilo, "GET", "/redfish/v1/JsonSchemas/", "$expand=.", redfish.KindRead, "/redfish/v1/JsonSchemas"},
		{ilo, "GET", "/redfish/v1/Managers/1/", "$expand=.", redfish.KindRefused, "/redfish/v1/Managers/1"},
		{ilo, "GET", "/rest/v1/", "", redfish.KindOpen, "/redfish/v1/"},
	} {
		c := tt.p.Classify(tt.method, tt.path, tt.query)
		if c.Kind != tt.kind || tt.canonical != "" && c.Path != tt.canonical {
			t.Errorf("%s %s %s?%s is %v at %q, want %v at %q", tt.p.Name, tt.method, tt.path, tt.query, c.Kind, c.Path, tt.kind, tt.canonical)
		}
	}
}

func TestProfileSettings(t *testing.T) {
	t.Parallel()
	p, err := redfish.FindProfile("ilo")
	if err != nil || p.Generation != 6 {
		t.Fatalf("ilo is %+v, %v", p, err)
	}
	q, err := p.With("location=relative", "slash=always", "old-headers=on", "none-port=off")
	if err != nil || !q.RelativeLocation || q.Slash != redfish.SlashAlways || !q.OldHeaders || q.NonePort {
		t.Errorf("changed: %+v, %v", q, err)
	}
	for _, bad := range []string{"", "slash", "slash=maybe", "colour=red"} {
		if _, err := p.With(bad); err == nil {
			t.Errorf("With(%q) was taken", bad)
		}
	}
}

func TestRegistryMessages(t *testing.T) {
	t.Parallel()
	base, ilo := redfish.RegistryMessages("Base"), redfish.RegistryMessages("iLO")
	if base["ResourceMissingAtURI"].Args != 1 || ilo["InvalidPasswordLength"].Args != 2 || ilo["NoValidSession"].Message != "" {
		t.Errorf("Base %+v, iLO %+v", base["ResourceMissingAtURI"], ilo["InvalidPasswordLength"])
	}
	p, _ := redfish.FindProfile("ilo")
	if p.RegistryVersion("Base") != "Base.1.12" || p.RegistryVersion("iLO") != "iLO.2.18" {
		t.Errorf("%s, %s", p.RegistryVersion("Base"), p.RegistryVersion("iLO"))
	}
}

// Names that people chose are not read as segments that have a right spelling.
func TestHPEKeepsNames(t *testing.T) {
	t.Parallel()
	ilo, err := redfish.FindProfile("ilo")
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/redfish/v1/accountservice/accounts/systems":         "/redfish/v1/AccountService/Accounts/systems",
		"/redfish/v1/SessionService/sessions/MEMBERS":         "/redfish/v1/SessionService/Sessions/Members",
		"/redfish/v1/sessions/managers00000000ff":             "/redfish/v1/SessionService/Sessions/managers00000000ff",
		"/redfish/v1/AccountService/roles/bios":               "/redfish/v1/AccountService/Roles/bios",
		"/redfish/v1/systems/1/BIOS/settings/":                "/redfish/v1/Systems/1/Bios/Settings",
		"/redfish/v1/SessionService/Sessions/sessions/":       "/redfish/v1/SessionService/Sessions/sessions",
		"/redfish/v1/Managers/1/LOGSERVICES/iel/ENTRIES/12/":  "/redfish/v1/Managers/1/LogServices/IEL/Entries/12",
		"/redfish/v1/systems/1/actions/COMPUTERSYSTEM.reset/": "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset",
		"/none:65535/redfish/v1/Systems":                      "/redfish/v1/Systems",
		"/redfish/v1/none:1/redfish/v1/Systems":               "/redfish/v1/none:1/redfish/v1/Systems",
	} {
		if got, err := ilo.Path(path); err != nil || got != want {
			t.Errorf("%s is read as %s, %v, want %s", path, got, err, want)
		}
	}
}

func TestHPEExpandLosesTags(t *testing.T) {
	t.Parallel()
	f := newHPE(t, "ilo")
	f.login("admin", "/redfish/v1/SessionService/Sessions/")
	w := f.get("GET", license+"/?$expand=.", "")
	if n := strings.Count(w.Body.String(), "@odata.etag"); n != 1 || !strings.Contains(w.Body.String(), "iLO Advanced") {
		t.Errorf("%d tags in %s", n, w.Body)
	}
}
