package hpe_test

import (
	"crypto/tls"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/postern/postern/internal/sim"
	"github.com/postern/postern/redfish"
)

func TestRoot(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]string{"ilo5": "iLO 5", "ilo": "iLO 6", "ilo7": "iLO 7"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(cfg *sim.Config) {
				p, err := redfish.FindProfile(name)
				if err != nil {
					t.Fatal(err)
				}
				cfg.Profile = p
			})
			for _, path := range []string{"/redfish/v1", "/redfish/v1/", "//redfish//v1/"} {
				a := r.send(nil, "GET", path, nil)
				if a.status != 200 || a.header.Get("Allow") == "" || !strings.Contains(a.header.Get("Link"), "ServiceRoot") {
					t.Fatalf("%s: %d, %v", path, a.status, a.header)
				}
				root := a.object(t)
				manager := root["Oem"].(object)["Hpe"].(object)["Manager"].([]any)[0].(object)
				if manager["ManagerType"] != kind || manager["ManagerFirmwareVersion"] == "" {
					t.Errorf("%s: the manager is %v", path, manager)
				}
				for _, member := range []string{"Links", "JsonSchemas", "Registries", "Systems", "SessionService", "AccountService", "Managers"} {
					if root[member] == nil {
						t.Errorf("%s: no %s", path, member)
					}
				}
			}
			if v := r.want(200, "GET", "/redfish/v1/Managers/1/", nil).object(t)["FirmwareVersion"].(string); !strings.HasPrefix(v, kind+" v") {
				t.Errorf("the firmware is %s", v)
			}
		})
	}
}

// TestDirectory: what it lists is there, of that type and with that tag.
func TestDirectory(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	entries := r.want(200, "GET", "/redfish/v1/ResourceDirectory/", nil).object(t)["Instances"].([]any)
	types := map[string]bool{}
	for _, e := range entries {
		e := e.(object)
		uri, typ := e["@odata.id"].(string), e["@odata.type"].(string)
		a := r.want(200, "GET", uri, nil)
		if got := a.object(t)["@odata.type"]; got != typ && !strings.Contains(typ, "Session") {
			t.Errorf("%s is of type %v, want %s", uri, got, typ)
		}
		if got := a.header.Get("ETag"); got != e["ETag"] && !strings.Contains(typ, "Session") {
			t.Errorf("%s has the tag %s, want %v", uri, got, e["ETag"])
		}
		for _, m := range e["HttpMethods"].([]any) {
			if !strings.Contains(a.header.Get("Allow"), m.(string)) {
				t.Errorf("%s takes %s, want %v too", uri, a.header.Get("Allow"), m)
			}
		}
		types[strings.SplitN(typ, ".", 2)[0]] = true
	}
	for _, typ := range []string{
		"SessionCollection", "SessionService", "AccountService", "ManagerAccountCollection", "Manager", "HpeiLOLicenseCollection", "HpeiLOLicense",
		"HpeSecurityService", "HpeCertAuth", "HpeHttpsCert", "HpeiLODateTime", "ManagerNetworkProtocol", "HpeiLOAccountCertificateMapCollection",
	} {
		if !types["#"+typ] {
			t.Errorf("no %s is listed", typ)
		}
	}
}

// TestSchemas: what `set` of HPE's clients goes through.
func TestSchemas(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	files := r.want(200, "GET", "/redfish/v1/JsonSchemas/?$expand=.", nil).object(t)["Members"].([]any)
	if len(files) < 15 {
		t.Errorf("%d schemas", len(files))
	}
	for _, f := range files {
		at := f.(object)["Location"].([]any)[0].(object)["Uri"].(string)
		s := r.want(200, "GET", at, nil).object(t)
		if s["title"] != f.(object)["Schema"] || s["@odata.type"] != nil || s["type"] != "object" {
			t.Errorf("%s: title %v, want %v", at, s["title"], f.(object)["Schema"])
		}
	}
	a := r.want(200, "GET", certAuth+"/", nil)
	at, _, _ := strings.Cut(strings.TrimPrefix(a.header.Get("Link"), "<"), ">")
	properties := r.want(200, "GET", at, nil).object(t)["properties"].(object)
	for name, readonly := range map[string]bool{"CertificateLoginEnabled": false, "OCSPUri": false, "CRLSerial": true, "CACertificates": true} {
		if got := properties[name].(object)["readonly"]; got != readonly {
			t.Errorf("%s: readonly is %v, want %v", name, got, readonly)
		}
	}
	r.want(404, "GET", "/redfish/v1/SchemaStore/en/Nothing.json/", nil)
	for _, f := range r.want(200, "GET", "/redfish/v1/Registries/?$expand=.", nil).object(t)["Members"].([]any) {
		at := f.(object)["Location"].([]any)[0].(object)["Uri"].(string)
		if m := r.want(200, "GET", at, nil).object(t)["Messages"].(object); len(m) < 10 {
			t.Errorf("%s has %d messages", at, len(m))
		}
	}
}

// TestClock: what passes by itself changes no tag.
func TestClock(t *testing.T) {
	t.Parallel()
	const uri = "/redfish/v1/Managers/1/DateTime/"
	r := newRig(t, nil)
	before := r.want(200, "GET", uri, nil)
	r.ahead.Store(int64(36 * time.Hour))
	after := r.want(200, "GET", uri, nil)
	if before.object(t)["DateTime"] == after.object(t)["DateTime"] || before.header.Get("ETag") != after.header.Get("ETag") {
		t.Errorf("the clock went from %v to %v, the tag from %s to %s", before.object(t)["DateTime"], after.object(t)["DateTime"],
			before.header.Get("ETag"), after.header.Get("ETag"))
	}
	if tag := after.header.Get("ETag"); !strings.HasPrefix(tag, `W/"`) || after.object(t)["@odata.etag"] != tag {
		t.Errorf("the tag is %s, in the body %v", tag, after.object(t)["@odata.etag"])
	}
	a := r.want(200, "PATCH", uri, object{"StaticNTPServers": []string{"a.example", "b.example"}}, "If-Match", before.header.Get("ETag"))
	if a.message() != "ResetRequired" {
		t.Errorf("got %s", a.body)
	}
	r.want(412, "PATCH", uri, object{"TimeZone": object{"Index": 3}}, "If-Match", before.header.Get("ETag"))
	r.want(200, "PATCH", uri, object{"TimeZone": object{"Index": 3}})
	got := r.want(200, "GET", uri, nil).object(t)
	if got["TimeZone"].(object)["UtcOffset"] != "+05:30" || got["ConfigurationSettings"] != "SomePendingReset" || got["StaticNTPServers"].([]any)[1] != "b.example" {
		t.Errorf("got %v", got)
	}
	if at := r.want(200, "GET", "/redfish/v1/Managers/1/", nil).object(t)["DateTime"].(string); !strings.HasSuffix(at, "+05:30") {
		t.Errorf("the manager's time is %s", at)
	}
	r.refused(400, "PropertyValueOutOfRange", "PATCH", uri, object{"TimeZone": object{"Index": 99}})
	r.refused(400, "PropertyNotWritable", "PATCH", uri, object{"DateTime": "2030-01-01T00:00:00Z"})
	r.refused(400, "PropertyValueTypeError", "PATCH", uri, object{"StaticNTPServers": "a.example"})
}

func TestLicence(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(cfg *sim.Config) { cfg.NoLicence = true })
	only := licences + "/?only"
	if l := r.want(200, "GET", only, nil).object(t); l["License"] != "iLO Standard" || l["LicenseFeatures"].(object)["SmartCard"] != false {
		t.Errorf("without one: %v", l)
	}
	for _, key := range []string{"", "AAAAA", "AAAAA-BBBBB-CCCCC-DDDDD-EEEE", "AAAAA-BBBBB-CCCCC-DDDDD-EEEE!", "AAAAA-BBBBB-CCCCC-DDDDD-EEEEE-FFFFF"} {
		r.refused(400, "InvalidLicenseKey", "POST", licences+"/", object{"LicenseKey": key})
	}
	r.refused(400, "PropertyMissing", "POST", licences+"/", object{})
	r.want(201, "POST", licences+"/", object{"LicenseKey": "xxxxx-xxxxx-xxxxx-xxxxx-abc12"})
	l := r.want(200, "GET", only, nil).object(t)
	if l["License"] != "iLO Advanced" || l["LicenseKey"] != "XXXXX-XXXXX-XXXXX-XXXXX-ABC12" || l["LicenseFeatures"].(object)["SmartCard"] != true {
		t.Errorf("with one: %v", l)
	}
	r.want(200, "DELETE", licences+"/1/", nil)
	r.refused(400, "CannotRemoveLicense", "DELETE", licences+"/1/", nil)

	r = newRig(t, func(cfg *sim.Config) { cfg.Faults = []string{"bad-licence"} })
	r.refused(400, "InvalidLicenseKey", "POST", licences+"/", object{"LicenseKey": "AAAAA-BBBBB-CCCCC-DDDDD-EEEEE"})
}

// TestReset: the sessions that were there end with the reset, not before.
func TestReset(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	a := r.send(nil, "POST", "/redfish/v1/SessionService/Sessions/", object{"UserName": admin, "Password": password})
	token := a.header.Get("X-Auth-Token")
	get := func() int { return r.send(nil, "GET", "/redfish/v1/Systems/", nil, "X-Auth-Token", token).status }
	r.want(200, "PATCH", "/redfish/v1/Managers/1/DateTime/", object{"PropagateTimeToHost": true})
	r.want(200, "POST", "/redfish/v1/Managers/1/Actions/Manager.Reset/", object{"ResetType": "ForceRestart"})
	if got := get(); got != 200 {
		t.Errorf("right after: %d, want 200", got)
	}
	r.ahead.Store(int64(10 * time.Second))
	if got := get(); got != 401 {
		t.Errorf("after the reset: %d, want 401", got)
	}
	if got := r.want(200, "GET", "/redfish/v1/Managers/1/DateTime/", nil).object(t)["ConfigurationSettings"]; got != "Current" {
		t.Errorf("after the reset: %v", got)
	}
	r.refused(400, "ActionParameterValueNotInList", "POST", "/redfish/v1/Managers/1/Actions/Manager.Reset/", object{"ResetType": "Explode"})
}

func TestSettings(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	manager, security, network := "/redfish/v1/Managers/1/", "/redfish/v1/Managers/1/SecurityService/", "/redfish/v1/Managers/1/NetworkProtocol/"
	idle := func(n int) object { return object{"Oem": object{"Hpe": object{"IdleConnectionTimeoutMinutes": n}}} }
	r.want(200, "PATCH", manager, idle(15))
	if n := r.want(200, "GET", "/redfish/v1/SessionService/", nil).object(t)["SessionTimeout"]; n != 900.0 {
		t.Errorf("the session timeout is %v", n)
	}
	r.refused(400, "PropertyValueOutOfRange", "PATCH", manager, idle(17))
	r.refused(400, "NoOperation", "PATCH", manager, object{"Oem": object{"Hpe": object{}}})
	r.want(200, "PATCH", security, object{"LoginSecurityBanner": object{"IsEnabled": true, "SecurityMessage": "Keep out."}})
	if m := r.send(nil, "GET", "/redfish/v1/", nil).object(t)["Oem"].(object)["Hpe"].(object)["Sessions"].(object)["SecurityMessage"]; m != "Keep out." {
		t.Errorf("the banner is %v", m)
	}
	r.refused(400, "PropertyNotWritable", "PATCH", security, object{"SecurityState": "FIPS"})
	r.want(200, "PATCH", network, object{"HostName": "ilo-lab"})
	if n := r.want(200, "GET", network, nil).object(t)["HostName"]; n != "ilo-lab" {
		t.Errorf("the host is called %v", n)
	}
	r.refused(400, "PropertyValueError", "PATCH", network, object{"HostName": ""})
	for path, allow := range map[string]string{manager: "GET, HEAD, PATCH", security: "GET, HEAD, PATCH", licences + "/": "GET, HEAD, POST", certAuth + "/": "GET, HEAD, PATCH"} {
		if got := r.want(405, "PUT", path, object{}).header.Get("Allow"); got != allow {
			t.Errorf("PUT %s: Allow is %q, want %q", path, got, allow)
		}
	}
	// Nobody has told this device of the certificate of its handshakes.
	r.want(200, "GET", security+"HttpsCert/", nil)
	r.want(404, "DELETE", security+"HttpsCert/", nil)
}

// TestAnonymous: all but the open resources want a login.
func TestAnonymous(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	for path, status := range map[string]int{
		"/redfish": 200, "/redfish/v1/odata": 200, "/redfish/v1/$metadata": 200,
		"/redfish/v1/ResourceDirectory/": 401, "/redfish/v1/JsonSchemas/": 401, accounts + "/": 401, certAuth + "/": 401, "/redfish/v1/nothing": 401,
	} {
		if a := r.send(nil, "GET", path, nil); a.status != status {
			t.Errorf("%s: %d, want %d", path, a.status, status)
		}
	}
	if a := r.send(&tls.Certificate{}, http.MethodGet, page, nil); a.status != 401 {
		t.Errorf("the page: %d, want 401", a.status)
	}
}
