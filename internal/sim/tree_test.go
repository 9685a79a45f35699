package sim

import (
	"encoding/json"
	"strings"
	"testing"
)

// crawl reads everything that can be reached from the root, and calls f with it.
func crawl(r *rig, f func(path string, p reply)) {
	r.t.Helper()
	todo, seen := []string{rootPath}, map[string]bool{rootPath: true}
	for len(todo) > 0 {
		path := todo[0]
		todo = todo[1:]
		p := r.want(200, "GET", path, "")
		f(path, p)
		var v any
		if err := json.Unmarshal(p.body, &v); err != nil {
			r.t.Fatalf("%s: %v", path, err)
		}
		for _, uri := range links(v) {
			if at := strings.TrimSuffix(uri, "/"); !seen[at] {
				seen[at] = true
				todo = append(todo, at)
			}
		}
	}
}

func links(v any) (uris []string) {
	switch v := v.(type) {
	case map[string]any:
		for k, m := range v {
			if s, ok := m.(string); ok && (k == "@odata.id" || k == "DataSourceUri") {
				uris = append(uris, s)
			}
			uris = append(uris, links(m)...)
		}
	case []any:
		for _, m := range v {
			uris = append(uris, links(m)...)
		}
	}
	return uris
}

// Every resource of the built-in tree is reachable, and in the form that the
// validators ask for.
func TestTreeForm(t *testing.T) {
	t.Parallel()
	r := start(t, Config{})
	seen := make(map[string]bool)
	crawl(r, func(path string, p reply) {
		seen[path] = true
		if id := strings.Trim(p.member("@odata.id"), `"`); strings.TrimSuffix(id, "/") != path || path != rootPath && id != path {
			t.Errorf("%s: @odata.id is %s", path, id)
		}
		if id := strings.Trim(p.member("Id"), `"`); id != "" && id != path[strings.LastIndexByte(path, '/')+1:] && path != rootPath {
			t.Errorf("%s: Id is %s", path, id)
		}
		if !strings.HasPrefix(p.member("@odata.type"), `"#`) || p.member("Name") == "" {
			t.Errorf("%s: @odata.type %s, Name %s", path, p.member("@odata.type"), p.member("Name"))
		}
		typ := strings.TrimPrefix(strings.Trim(p.member("@odata.type"), `"`), "#")
		if link := p.header.Get("Link"); link != "<http://redfish.dmtf.org/schemas/v1/"+typ[:strings.LastIndexByte(typ, '.')]+".json>; rel=describedby" {
			t.Errorf("%s: Link %s for %s", path, link, typ)
		}
		for _, name := range []string{"Allow", "ETag", "Cache-Control"} {
			if p.header.Get(name) == "" {
				t.Errorf("%s: no %s", path, name)
			}
		}
		if p.header.Get("OData-Version") != "4.0" || p.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %v", path, p.header)
		}
		allow := p.header.Get("Allow")
		if body := string(p.body); r.store.get(path) != nil && strings.Contains(allow, "PATCH") != (writable[path] != nil) {
			t.Errorf("%s: Allow %s: %s", path, allow, body)
		}
		actionsOf(r, path, p)
		head := r.want(200, "HEAD", path, "")
		if len(head.body) != 0 || head.header.Get("Content-Type") != "application/json" {
			t.Errorf("HEAD %s: %d bytes, %v", path, len(head.body), head.header)
		}
	})
	for path, f := range r.store.tree.files {
		if f.media == mediaJSON && path != versionsPath && path != odataPath && !seen[path] {
			t.Errorf("%s: nothing leads there", path)
		}
	}
	for path := range writable {
		if !seen[path] {
			t.Errorf("%s is writable and not there", path)
		}
	}
}

// actionsOf checks that what a resource offers is where it says.
func actionsOf(r *rig, path string, p reply) {
	r.t.Helper()
	var v struct {
		Actions map[string]struct {
			Target string `json:"target"`
		}
	}
	json.Unmarshal(p.body, &v)
	for name, a := range v.Actions {
		if want := path + "/Actions/" + strings.TrimPrefix(name, "#"); a.Target != want {
			r.t.Errorf("%s: target %s, want %s", path, a.Target, want)
		}
		got := r.want(405, "GET", a.Target, "")
		if got.header.Get("Allow") != "POST" {
			r.t.Errorf("%s: Allow %s", a.Target, got.header.Get("Allow"))
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	r := start(t, Config{})
	reset := systemPath + "/Actions/ComputerSystem.Reset"
	for _, tt := range []struct {
		method, path, body string
		status             int
		messages           string
		opts               []option
	}{
		{"GET", "/redfish/v1/Nowhere", "", 404, "ResourceMissingAtURI", nil},
		{"POST", "/redfish/v1/", "{}", 405, "OperationNotAllowed", nil},
		{"PATCH", "/redfish/v1/", "{}", 405, "OperationNotAllowed", nil},
		{"DELETE", systemPath, "", 405, "OperationNotAllowed", nil},
		{"FAKE", systemPath, "", 405, "OperationNotAllowed", nil},
		{"GET", systemPath, "", 406, "HeaderInvalid", []option{header("Accept", "text/html")}},
		{"GET", systemPath, "", 412, "HeaderInvalid", []option{header("OData-Version", "4.1")}},
		{"GET", systemPath + "?$count=true", "", 501, "QueryParameterUnsupported", nil},
		{"GET", systemPath + "?only", "", 400, "QueryNotSupportedOnResource", nil},
		{"GET", rootPath + "/Systems?only=x", "", 400, "QueryParameterValueError", nil},
		{"GET", rootPath + "/Systems?$expand=x", "", 400, "QueryParameterValueFormatError", nil},
		{"GET", rootPath + "/Systems?%zz", "", 400, "GeneralError", nil},

		{"PATCH", systemPath, "", 400, "MalformedJSON", nil},
		{"PATCH", systemPath, "{", 400, "MalformedJSON", nil},
		{"PATCH", systemPath, "[]", 400, "UnrecognizedRequestBody", nil},
		{"PATCH", systemPath, `{"AssetTag":"a","AssetTag":"b"}`, 400, "PropertyDuplicate", nil},
		{"PATCH", systemPath, "{}", 415, "HeaderInvalid", []option{header("Content-Type", "text/plain")}},
		{"PATCH", systemPath, `{"AssetTag":"` + strings.Repeat("x", maxBody) + `"}`, 413, "PayloadTooLarge", nil},
		{"PATCH", systemPath, "{}", 400, "NoOperation", nil},
		{"PATCH", systemPath, `{"@odata.id":"/redfish/v1/Systems/1/"}`, 400, "NoOperation", nil},
		{"PATCH", systemPath, `{"BogusProp":1}`, 400, "PropertyUnknown", nil},
		{"PATCH", systemPath, `{"assettag":"x"}`, 400, "PropertyUnknown", nil},
		{"PATCH", systemPath, `{"SerialNumber":"x"}`, 400, "PropertyNotWritable", nil},
		{"PATCH", systemPath, `{"Boot":"x"}`, 400, "PropertyNotWritable", nil},
		{"PATCH", systemPath, `{"AssetTag":1}`, 400, "PropertyValueTypeError", nil},
		{"PATCH", systemPath, `{"AssetTag":null}`, 400, "PropertyValueTypeError", nil},
		{"PATCH", systemPath, `{"AssetTag":"` + strings.Repeat("x", maxText) + `"}`, 400, "PropertyValueError", nil},
		{"PATCH", systemPath, `{"LocationIndicatorActive":"x"}`, 400, "PropertyValueTypeError", nil},
		{"PATCH", systemPath, `{"Boot":{"BootSourceOverrideTarget":"Floppy"}}`, 400, "PropertyValueNotInList", nil},
		{"PATCH", systemPath, `{"Boot":{"Nothing":"x","BootSourceOverrideMode":"Red"},"AssetTag":1}`, 400, "PropertyUnknown PropertyValueNotInList PropertyValueTypeError", nil},
		{"PATCH", systemPath, `{"BogusProp":1}`, 412, "PreconditionFailed", []option{header("If-Match", `"other"`)}},
		{"PATCH", networkPath, `{"NTP":{"NTPServers":"x"}}`, 400, "PropertyValueTypeError", nil},
		{"PATCH", networkPath, `{"NTP":{"NTPServers":[1]}}`, 400, "PropertyValueTypeError", nil},
		{"PATCH", networkPath, `{"NTP":{"NTPServers":["1","2","3","4","5","6","7","8","9"]}}`, 400, "PropertyValueError", nil},

		{"POST", reset, "{}", 400, "ActionParameterMissing", nil},
		{"POST", reset, "", 400, "ActionParameterMissing", nil},
		{"POST", reset, `{"ResetType":"Explode"}`, 400, "ActionParameterValueNotInList", nil},
		{"POST", reset, `{"ResetType":1}`, 400, "ActionParameterValueTypeError", nil},
		{"POST", reset, `{"ResetType":"On","Force":true}`, 400, "ActionParameterUnknown", nil},
		{"POST", reset, `"On"`, 400, "UnrecognizedRequestBody", nil},
		{"POST", systemPath + "/Actions/ComputerSystem.Explode", "{}", 404, "ResourceMissingAtURI", nil},
		{"POST", mediaPath + "/Cd/Actions/VirtualMedia.InsertMedia", `{"Image":"x","TransferMethod":"Carry"}`, 400, "ActionParameterValueNotInList", nil},
	} {
		p := r.do(tt.method, tt.path, tt.body, append([]option{basic}, tt.opts...)...)
		if p.status != tt.status || p.messages() != tt.messages {
			t.Errorf("%s %s %.60s: %d %s, want %d %s", tt.method, tt.path, tt.body, p.status, p.messages(), tt.status, tt.messages)
		}
		if p.status == 405 && p.header.Get("Allow") == "" {
			t.Errorf("%s %s: 405 without Allow", tt.method, tt.path)
		}
	}
	p := r.want(400, "POST", mediaPath+"/Cd/Actions/VirtualMedia.InsertMedia", `{"Image":"x","Password":12345}`)
	if strings.Contains(string(p.body), "12345") {
		t.Errorf("the error shows a password: %s", p.body)
	}
	if p = r.want(200, "GET", systemPath, ""); p.member("AssetTag") != `""` {
		t.Errorf("a refused PATCH left %s", p.member("AssetTag"))
	}
}
