package sim

import (
	"strings"
	"testing"
)

func TestLicenses(t *testing.T) {
	t.Parallel()
	r := start(t, Config{})
	t.Cleanup(r.Close)
	// observed: redfish_utilities 3.5.2, rf_licenses.py
	p := r.want(201, "POST", licensesPath, `{"LicenseString":"c2VjcmV0"}`)
	at := p.header.Get("Location")
	if strings.Contains(string(p.body), "c2VjcmV0") || p.member("LicenseString") != "null" || p.member("Removable") != "true" {
		t.Errorf("installed: %s", p.body)
	}
	r.want(204, "POST", licenseServicePath+"/Actions/LicenseService.Install", `{"LicenseFileURI":"https://x/y.lic"}`)
	if p = r.want(200, "GET", licensesPath, ""); p.member("Members@odata.count") != "3" {
		t.Errorf("licenses: %s", p.body)
	}
	r.want(204, "DELETE", at, "")
	r.want(404, "GET", at, "")
	r.want(405, "DELETE", licensesPath+"/BuiltIn", "")
	for _, tt := range []struct{ name, path, body, want string }{
		{"nothing", licensesPath, `{}`, "PropertyMissing"},
		{"not base64", licensesPath, `{"LicenseString":"%"}`, "PropertyValueError"},
		{"unknown", licensesPath, `{"LicenseString":"QQ==","X":1}`, "PropertyUnknown"},
		{"no file", licenseServicePath + "/Actions/LicenseService.Install", `{}`, "ActionParameterMissing"},
		{"password in it", licenseServicePath + "/Actions/LicenseService.Install", `{"LicenseFileURI":"https://u:p@x/y"}`, "ActionParameterValueError"},
	} {
		if got := r.want(400, "POST", tt.path, tt.body).messages(); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	for range maxLicenses - 1 {
		r.want(201, "POST", licensesPath+"/Members", `{"LicenseString":"QQ=="}`)
	}
	if p = r.want(400, "POST", licensesPath, `{"LicenseString":"QQ=="}`); p.messages() != "CreateLimitReachedForResource" {
		t.Errorf("one too many: %s", p.body)
	}
}
