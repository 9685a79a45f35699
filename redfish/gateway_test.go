package redfish

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestAddSessions(t *testing.T) {
	t.Parallel()
	const (
		service = `"SessionService":{"@odata.id":"/redfish/v1/SessionService"}`
		links   = `"Links":{"Sessions":{"@odata.id":"/redfish/v1/SessionService/Sessions"}}`
	)
	for _, tt := range []struct{ name, root, want string }{
		{"has both", `{ "a":1, ` + service + ",\n" + links + ` }`, ""},
		{"has both, slashes", `{"SessionService":{"@odata.id":"/redfish/v1/SessionService/"},"Links":{"Sessions":{"@odata.id":"/redfish/v1/SessionService/Sessions/"}}}`, ""},
		{"has none", `{"a":1.0}`, `{"a":1.0,` + service + `,` + links + `}`},
		{"empty", `{}`, `{` + service + `,` + links + `}`},
		{"empty, spaced", "{\n}\n", "{\n" + service + "," + links + "}\n"},
		{"no service", `{` + links + `,"b" : [ ] }`, `{` + links + `,"b" : [ ],` + service + ` }`},
		{"no links", `{` + service + `}`, `{` + service + `,` + links + `}`},
		{"links without sessions", `{"Links":{ "x" : {"@odata.id":"/x"} },` + service + `}`,
			`{"Links":{ "x" : {"@odata.id":"/x"},"Sessions":{"@odata.id":"/redfish/v1/SessionService/Sessions"} },` + service + `}`},
		{"others named", `{"Links":{"Sessions":{"@odata.id":"/redfish/v1/Sessions"},"y":1},"SessionService":{"@odata.id":"/x"},"z":2}`,
			`{"Links":{"Sessions":{"@odata.id":"/redfish/v1/SessionService/Sessions"},"y":1},` + service + `,"z":2}`},
		{"null and wrong types", `{"Links":null,"SessionService":[]}`, `{` + links + `,` + service + `}`},
		{"Sessions null", `{"Links":{"Sessions":null},` + service + `}`, `{` + links + `,` + service + `}`},
		{"escaped name", `{"S\u0065ssionService":{"@odata.id":"/x"},` + links + `}`, `{"S\u0065ssionService":{"@odata.id":"/redfish/v1/SessionService"},` + links + `}`},
		{"escaped value", `{"SessionService":{"@odata.id":"\/redfish\/v1\/SessionService"},` + links + `}`, ""},
		{"text outside ASCII", `{"Name":"Größe <&>",` + links + `}`, `{"Name":"Größe <&>",` + links + `,` + service + `}`},
	} {
		want := tt.want
		if want == "" {
			want = tt.root
		}
		root := []byte(tt.root)
		got, changed, err := AddSessions(root)
		if err != nil || string(got) != want || changed != (tt.want != "") || string(root) != tt.root {
			t.Errorf("%s:\n%s %v %v, want\n%s", tt.name, got, changed, err, want)
		}
		if again, changed, err := AddSessions(got); err != nil || changed || string(again) != string(got) {
			t.Errorf("%s: a second time: %s %v %v", tt.name, again, changed, err)
		}
	}
	for _, root := range []string{``, `[]`, `null`, `{"a":1,"a":2}`, `{"Links":{"a":1,"A":2}}`, `{"Links":{"sessions":1}}`, `{"sessionservice":1,"SessionService":1}`, `{"SessionServiCe":{}}`, "<html>"} {
		if got, changed, err := AddSessions([]byte(root)); err == nil || changed || string(got) != root {
			t.Errorf("%s: %s %v %v", root, got, changed, err)
		}
	}
}

// Published service roots name their sessions where we do.
func TestAddSessionsToMockups(t *testing.T) {
	t.Parallel()
	dir := publishedData(t)
	roots, err := filepath.Glob(filepath.Join(dir, "mockups", "*", "index.json"))
	if err != nil || len(roots) == 0 {
		t.Fatalf("no mockups in %s: %v", dir, err)
	}
	for _, name := range roots {
		root, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := AddSessions(root)
		if err != nil || !json.Valid(got) {
			t.Errorf("%s: %v", name, err)
		}
		o, err := decodeObject(got)
		if err != nil || viewRoot(o, Profile{}).collections()[0] != sessionsURI {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDocument(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		path, body, want string
		ok               bool
	}{
		{"/redfish", `{"v1":"/redfish/v1/"}`, `{"v1":"/redfish/v1/"}`, true},
		{"/redfish", `<html>`, "", false},
		{"/redfish/v1/", `{}`, `{"SessionService":{"@odata.id":"/redfish/v1/SessionService"},"Links":{"Sessions":{"@odata.id":"/redfish/v1/SessionService/Sessions"}}}`, true},
		{"/redfish/v1/", `{"a":1,"a":1}`, "", false},
		{"/redfish/v1/odata", `{"value":[]}`, `{"value":[]}`, true},
		{"/redfish/v1/odata", `[]`, "", false},
		{"/redfish/v1/$metadata", " \n<?xml?>", " \n<?xml?>", true},
		{"/redfish/v1/$metadata", "{}", "", false},
		{"/redfish/v1/openapi.yaml", "openapi: 3.0.1", "openapi: 3.0.1", true},
		{"/redfish/v1/openapi.yaml", "", "", false},
	} {
		got, ok := Generic().Document(tt.path, []byte(tt.body))
		if ok != tt.ok || ok && string(got) != tt.want {
			t.Errorf("%s %s: %s %v", tt.path, tt.body, got, ok)
		}
	}
}

func TestErrorBody(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status      int
		contentType string
		body        string
		replaced    bool
	}{
		{200, "text/html", "<html>", false},
		{400, "application/json", `{"error":{}}`, false},
		{400, "application/json;charset=utf-8", ` {"x":1}`, false},
		{400, "application/problem+json", `{"x":1}`, false},
		{401, "application/json", ``, true},
		{404, "", ``, true},
		{404, "", `{"error":{}}`, true},
		{404, "text/html", `<html>`, true},
		{500, "application/json", `[]`, true},
		{500, "application/json", `{"cut`, true},
		{503, "text/plain", `busy`, true},
		{599, "text/plain", ``, true},
		{400, "application/json; =;", `{"x":1}`, true},
	} {
		got, mediaType, ok := Generic().ErrorBody(tt.status, tt.contentType, []byte(tt.body))
		if ok != tt.replaced {
			t.Errorf("%d %q %s: %v", tt.status, tt.contentType, tt.body, ok)
		}
		if !ok {
			continue
		}
		var e Error
		if json.Unmarshal(got, &e) != nil || mediaType != "application/json" || e.Error.Code != "Base.1.22.GeneralError" ||
			!strings.HasPrefix(e.Error.Message, "The device answered ") {
			t.Errorf("%d: %s", tt.status, got)
		}
	}
}

// No header that carries credentials, or lets a device judge another request
// than the one that was judged, is on a list.
func TestHeaderLists(t *testing.T) {
	t.Parallel()
	p := Generic()
	for _, name := range []string{
		"Authorization", "X-Auth-Token", "Cookie", "Set-Cookie", "Proxy-Authorization", "WWW-Authenticate", "X-HTTP-Method-Override",
		"X-HTTP-Method", "X-Method-Override", "X-Requested-With", "X-Forwarded-For", "X-Forwarded-Host", "Forwarded", "X-Original-URL",
		"X-Rewrite-URL", "Connection", "Transfer-Encoding", "Upgrade", "TE", "Trailer", "Host", "Content-Length", "Expect",
		"Accept-Encoding", "Origin", "Referer", "Strict-Transport-Security", "Server",
	} {
		same := func(s string) bool { return strings.EqualFold(s, name) }
		if slices.ContainsFunc(p.RequestHeaders(), same) || slices.ContainsFunc(p.ResponseHeaders(), same) {
			t.Errorf("%s is on a list", name)
		}
	}
	p.ResponseHeaders()[0] = "X-Auth-Token"
	if p.ResponseHeaders()[0] == "X-Auth-Token" {
		t.Error("the list can be changed from outside")
	}
}

func TestProfiles(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "generic"} {
		if p, err := FindProfile(name); err != nil || p.Name != "generic" || p.Budget() != 2 || p.BasicOpensSession() {
			t.Errorf("%q: %+v %v", name, p, err)
		}
	}
	if _, err := FindProfile("nosuch"); err == nil {
		t.Error("a profile that is not there")
	}
	if p := (Profile{SessionLimit: 5, OpensSession: true}); p.Budget() != 5 || !p.BasicOpensSession() {
		t.Errorf("%+v", p)
	}
}

func TestRedirectPath(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ location, base, want string }{
		{"/a/", "https://x", "/a/"}, {"https://x/a/", "https://x", "/a/"}, {"https://X:443/a", "https://x", "/a"}, {"//x/a", "https://x", "/a"},
		{"http://x/a", "https://x", ""}, {"https://y/a", "https://x", ""}, {"https://u@x/a", "https://x", ""}, {"https://x:8443/a", "https://x", ""},
		{"https:///a", "https://x", ""}, {"https://[::1]/a", "https://[::1]:443", "/a"}, {"https://[::1]:8443/a", "https://[::1]", ""}, {"", "https://x", ""},
		{"https://x", "https://x", ""},
	} {
		if got := redirectPath(http.Header{"Location": {tt.location}}, tt.base); got != tt.want {
			t.Errorf("%q at %s: %q, want %q", tt.location, tt.base, got, tt.want)
		}
	}
}
