package gateway_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/gateway"
	"github.com/postern/postern/internal/policy"
	"github.com/postern/postern/redfish"
)

// What Explain says is what happens.
func TestExplainTellsTheTruth(t *testing.T) {
	t.Parallel()
	rules := []policy.Rule{
		{Name: "no bios", Roles: []auth.Role{auth.Operator}, Path: "/redfish/v1/Systems/*/Bios"},
		{Name: "tags", Allow: true, Roles: []auth.Role{auth.ReadOnly}, Methods: []string{"PATCH"}, Path: "/redfish/v1/Systems/*", Members: []string{"AssetTag"}},
	}
	b := newBMC(t, func(http.ResponseWriter, *http.Request) {})
	s := newStack(t, b.Server, options{rules: rules})
	p, err := policy.New(rules)
	if err != nil {
		t.Fatal(err)
	}
	roles := map[auth.AccountName]auth.Role{"admin": auth.Administrator, "op": auth.Operator, "reader": auth.ReadOnly}
	for _, c := range []struct{ method, uri, body string }{
		{"GET", systems, ""}, {"HEAD", systems, ""}, {"DELETE", systems, ""}, {"OPTIONS", systems, ""}, {"TRACE", systems, ""},
		{"GET", systems + "/Bios", ""}, {"GET", systems + "/bios", ""}, {"GET", systems + "/Bios/", ""}, {"GET", systems + "?$expand=.", ""}, {"GET", systems + "?only", ""},
		{"POST", systems + "/Actions/ComputerSystem.Reset", "{}"}, {"POST", systems + "/Actions/computersystem.reset", "{}"},
		{"PATCH", systems, `{"Boot":{}}`}, {"PATCH", systems, `{"AssetTag":"x"}`}, {"PATCH", systems, `{"AssetTag":"x","Boot":{}}`},
		{"PATCH", systems, `{"AssetTag":"x","assettag":"y"}`}, {"PATCH", systems, `[]`}, {"PATCH", systems, `{"Boot":`},
		{"GET", "/redfish/v1/AccountService", ""}, {"GET", "/redfish/v1/accountservice", ""}, {"GET", "/redfish/v1/Systems/%2e%2e/AccountService", ""},
		{"GET", "/rest/v1/Systems", ""}, {"GET", "/redfish/v1//Systems", ""}, {"GET", "/redfish/v1/Systems/..;/AccountService", ""},
		{"GET", "/redfish/v1/%53ystems", ""}, {"GET", "/redfish/v1/Systems%2f1", ""},
	} {
		for name, role := range roles {
			privileges, _ := auth.PredefinedPrivileges(role)
			q := gateway.Question{
				Family: redfishFamily{redfish.Generic(), nil}, Policy: p, Target: "bmc1", Method: c.method, URI: c.uri,
				Who: auth.Principal{Account: name, Role: role, Privileges: privileges},
			}
			if c.body != "" {
				q.Body = []byte(c.body)
			}
			v, err := gateway.Explain(q)
			if err != nil {
				t.Errorf("%s %s: %v", c.method, c.uri, err)
				continue
			}
			r := s.request(c.method, "", strings.NewReader(c.body))
			r.URL.Opaque = "//" + r.URL.Host + c.uri // as it stands
			if path, query, ok := strings.Cut(c.uri, "?"); ok {
				r.URL.Opaque, r.URL.RawQuery = "//"+r.URL.Host+path, query
			}
			r.SetBasicAuth(string(name), callerPassword)
			if c.body == "" {
				r.Body, r.ContentLength = io.NopCloser(strings.NewReader("")), 0
			}
			a, err := s.do(r)
			if err != nil {
				t.Fatal(err)
			}
			if v.Allow != (a.status < 400) {
				t.Errorf("%s of %s %s %s: explained as allowed %v (%+v), the answer was %d", name, c.method, c.uri, c.body, v.Allow, v.Call, a.status)
			}
			if rules := v.Kind == gateway.Read || v.Kind == gateway.Effect; rules && !v.Allow && v.BodyErr == nil && a.status != 403 {
				t.Errorf("%s of %s %s %s: denied by rule %s, the answer was %d", name, c.method, c.uri, c.body, v.Reason.Rule, a.status)
			}
		}
	}
}

func TestExplainNoRequestLine(t *testing.T) {
	t.Parallel()
	p, err := policy.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range [][2]string{{"GET", ""}, {"GET", "redfish"}, {"G ET", "/"}, {"GET", "/ HTTP/1.1\r\nX: y"}, {"", "/"}, {"GET", "/%zz"}} {
		q := gateway.Question{Family: redfishFamily{redfish.Generic(), nil}, Policy: p, Method: c[0], URI: c[1]}
		if v, err := gateway.Explain(q); err == nil {
			t.Errorf("%q: got %+v", c, v)
		}
	}
}
