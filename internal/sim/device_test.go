package sim

import (
	"net/http"
	"strings"
	"testing"
)

func TestSessionLife(t *testing.T) {
	t.Parallel()
	r := start(t, Config{})
	if p := r.do("GET", "/redfish/v1/Systems/1", ""); p.status != 401 || p.header.Get("WWW-Authenticate") != `Basic realm="bmc"` {
		t.Errorf("without credentials: %d, %q", p.status, p.header.Get("WWW-Authenticate"))
	}
	tok, path := r.login()
	if p := r.do("GET", "/redfish/v1/Systems/1", "", token(tok)); p.status != 200 || p.member("PowerState") != `"On"` {
		t.Errorf("with a token: %d, %s", p.status, p.body)
	}
	if p := r.do("GET", sessionsPath, "", token(tok)); p.member("Members@odata.count") != "1" {
		t.Errorf("sessions: %s", p.body)
	}
	if p := r.do("DELETE", path, "", token(tok)); p.status != http.StatusNoContent {
		t.Errorf("logout: %d", p.status)
	}
	if p := r.do("GET", "/redfish/v1/Systems/1", "", token(tok)); p.status != 401 {
		t.Errorf("after logout: %d", p.status)
	}
	r.want(200, "GET", "/redfish/v1/Systems/1", "")
	if p := r.want(200, "GET", sessionsPath, ""); p.member("Members@odata.count") != "0" {
		t.Errorf("a Basic call is listed: %s", p.body)
	}
	if got, want := r.events(), "call login call call logout call call call"; got != want {
		t.Errorf("journal: %s, want %s", got, want)
	}
	s := r.Stats()
	if s.Sessions != 0 || s.Logins != 1 || s.Refused != 0 || s.Calls != 7 || s.Slots != DefaultSlots || s.Locked {
		t.Errorf("stats: %+v", s)
	}
}

func TestOpenDocuments(t *testing.T) {
	t.Parallel()
	r := start(t, Config{})
	for path, want := range map[string]string{
		"/redfish":              `{"v1":"/redfish/v1/"}`,
		"/redfish/v1/":          `"Product":"Postern simulated BMC"`,
		"/redfish/v1":           `"Sessions":{`,
		"/redfish/v1/odata":     `{"name":"Systems","kind":"Singleton","url":"/redfish/v1/Systems"}`,
		"/redfish/v1/$metadata": `<edmx:Include Namespace="ComputerSystem.v1_27_0"/>`,
	} {
		p := r.do("GET", path, "")
		if p.status != 200 || !strings.Contains(string(p.body), want) {
			t.Errorf("GET %s: %d %s", path, p.status, p.body)
		}
		if p.header.Get("OData-Version") != "4.0" || p.header.Get("Allow") != "GET, HEAD" {
			t.Errorf("GET %s: header %v", path, p.header)
		}
	}
}
