package redfish

import (
	"strings"
	"testing"

	"github.com/postern/postern/internal/admin"
	rf "github.com/postern/postern/redfish"
)

const (
	keyPEM    = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n-----BEGIN EC PRIVATE KEY-----\nc2VjcmV0\n-----END EC PRIVATE KEY-----\n"
	serverURI = "/redfish/v1/Managers/1/NetworkProtocol/HTTPS/Certificates/1"
)

func TestServerCertificate(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	a := g.do("root", "GET", serverURI, "")
	for path, want := range map[string]any{
		"@odata.id": serverURI, "Id": "1", "CertificateType": "PEM", "CertificateString": g.desk.server.PEM,
		"Subject/CommonName": "bmc.example", "Subject/Organization": "Lab", "Subject/DisplayString": "CN=bmc.example,O=Lab",
		"Issuer/CommonName": "bmc.example", "ValidNotBefore": "1970-01-01T00:00:00Z", "SerialNumber": "AB:CD",
		"FingerprintHashAlgorithm": "TPM_ALG_SHA256", "SignatureAlgorithm": "ecdsa-with-SHA256",
	} {
		if got := a.at(path); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
	for _, part := range []string{`"AlternativeNames":["bmc.example","127.0.0.1"]`, `"KeyUsage":["DigitalSignature","ServerAuthentication"]`, `"CertificateUsageTypes":["Web"]`} {
		if !strings.Contains(a.Body.String(), part) {
			t.Errorf("no %s in %s", part, a.Body)
		}
	}
	if f, _ := a.at("Fingerprint").(string); len(f) != 95 || strings.ToUpper(f) != f {
		t.Errorf("fingerprint %q", f)
	}
	g.desk.server = admin.Certificate{}
	g.do("root", "GET", serverURI, "").is(t, "without TLS", 404, "ResourceMissingAtURI")
	if n := g.do("root", "GET", "/redfish/v1/Managers/1/NetworkProtocol/HTTPS/Certificates", "").at("Members@odata.count"); n != 0.0 {
		t.Errorf("%v", n)
	}
}

func TestReplaceServerCertificate(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	fresh, other := newPEM(t, "new.example"), newPEM(t, "other.example")
	body := func(uri, kind, text string) string {
		return string(rf.Encode(map[string]any{"CertificateUri": rf.Ref{ID: uri}, "CertificateType": kind, "CertificateString": text}))
	}
	for _, tt := range []struct {
		name, who, body string
		status          int
		keys            string
	}{
		{"not allowed", "op", body(serverURI, "PEM", fresh), 403, "InsufficientPrivilege"},
		{"nothing", "root", `{}`, 400, "ActionParameterMissing ActionParameterMissing ActionParameterMissing"},
		{"another URI", "root", body(casURI+"/1", "PEM", fresh), 400, "ActionParameterValueNotInList"},
		{"another kind", "root", body(serverURI, "PKCS7", fresh), 400, "ActionParameterValueNotInList"},
		{"no certificate", "root", body(serverURI, "PEM", "hello"), 400, "ActionParameterValueError"},
		{"a key alone", "root", body(serverURI, "PEM", keyPEM), 400, "ActionParameterValueError"},
		{"no reference", "root", `{"CertificateUri":"x","CertificateType":"PEM","CertificateString":"x"}`, 400, "ActionParameterValueTypeError"},
		{"good", "root", body(serverURI+"/", "PEM", fresh), 204, ""},
	} {
		a := g.do(tt.who, "POST", replaceURI, tt.body)
		a.is(t, tt.name, tt.status, tt.keys)
		if strings.Contains(a.Body.String(), "c2VjcmV0") {
			t.Errorf("%s: the key is in the answer", tt.name)
		}
	}
	if g.desk.server.PEM != fresh || g.desk.key != "" {
		t.Errorf("%+v", g.desk.server)
	}
	a := g.do("root", "POST", replaceURI, body(serverURI, "PEMchain", keyPEM+other+fresh))
	a.is(t, "with a key", 204, "")
	if a.Header().Get("Location") != serverURI || g.desk.server.PEM != other+fresh || !strings.Contains(g.desk.key, "PRIVATE KEY") || strings.Contains(g.desk.key, "PARAMETERS") {
		t.Errorf("%v key %q", a.Header(), g.desk.key)
	}
	if typ := g.do("root", "GET", serverURI, "").at("CertificateType"); typ != "PEMchain" {
		t.Errorf("type %v", typ)
	}
}

func TestGenerateCSR(t *testing.T) {
	t.Parallel()
	const to = `"CertificateCollection":{"@odata.id":"/redfish/v1/Managers/1/NetworkProtocol/HTTPS/Certificates"}`
	for _, tt := range []struct {
		name, who, body string
		status          int
		keys            string
		want            admin.CSRRequest
	}{
		{"as little as possible", "root", `{` + to + `}`, 200, "", admin.CSRRequest{}},
		{"all", "root", `{` + to + `,"CommonName":"a","Organization":"b","OrganizationalUnit":"c","City":"d","State":"e","Country":"FR","Email":"f@g",
			"AlternativeNames":["h"],"KeyPairAlgorithm":"TPM_ALG_RSA","KeyBitLength":3072,"KeyUsage":["KeyEncipherment"]}`, 200, "",
			admin.CSRRequest{CommonName: "a", Organization: "b", OrganizationalUnit: "c", City: "d", State: "e", Country: "FR", Email: "f@g", KeyKind: "RSA", KeyBits: 3072}},
		{"curve", "root", `{` + to + `,"KeyPairAlgorithm":"TPM_ALG_ECDSA","KeyCurveId":"TPM_ECC_NIST_P384"}`, 200, "", admin.CSRRequest{KeyKind: "EC", KeyBits: 384}},
		{"curve alone", "root", `{` + to + `,"KeyCurveId":"secp384r1"}`, 200, "", admin.CSRRequest{KeyKind: "EC", KeyBits: 384}},
		{"bits alone", "root", `{` + to + `,"KeyBitLength":4096}`, 200, "", admin.CSRRequest{KeyKind: "RSA", KeyBits: 4096}},
		{"the desk's bound", "root", `{` + to + `,"KeyBitLength":512}`, 400, "ActionParameterValueError", admin.CSRRequest{}},
		{"no destination", "root", `{}`, 400, "ActionParameterMissing", admin.CSRRequest{}},
		{"another destination", "root", `{"CertificateCollection":{"@odata.id":"/x"}}`, 400, "ActionParameterValueNotInList", admin.CSRRequest{}},
		{"no such algorithm", "root", `{` + to + `,"KeyPairAlgorithm":"TPM_ALG_SM2"}`, 400, "ActionParameterValueNotInList", admin.CSRRequest{}},
		{"a curve for RSA", "root", `{` + to + `,"KeyPairAlgorithm":"TPM_ALG_RSA","KeyCurveId":"TPM_ECC_NIST_P256"}`, 400, "ActionParameterValueNotInList", admin.CSRRequest{}},
		{"another use", "root", `{` + to + `,"KeyUsage":["KeyCertSign"]}`, 400, "ActionParameterValueNotInList", admin.CSRRequest{}},
		{"unknown", "root", `{` + to + `,"ChallengePassword":"x"}`, 400, "ActionParameterUnknown", admin.CSRRequest{}},
		{"not allowed", "op", `{` + to + `}`, 403, "InsufficientPrivilege", admin.CSRRequest{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			a := g.do(tt.who, "POST", generateCSRURI, tt.body)
			a.is(t, tt.body, tt.status, tt.keys)
			got := g.desk.csr
			if got.Names = nil; tt.status == 200 && (got.CommonName != tt.want.CommonName || got.Country != tt.want.Country || got.Email != tt.want.Email ||
				got.KeyKind != tt.want.KeyKind || got.KeyBits != tt.want.KeyBits) {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
			if text, _ := a.at("CSRString").(string); tt.status == 200 && (!strings.HasPrefix(text, "-----BEGIN CERTIFICATE REQUEST") || a.at("CertificateCollection/@odata.id") == nil) {
				t.Errorf("%s", a.Body)
			}
		})
	}
}

func TestTrustedCertificates(t *testing.T) {
	t.Parallel()
	for _, list := range []string{casURI, accts + "/joe/Certificates"} {
		g := newRig(t)
		good := certBody(newPEM(t, "first"))
		for _, tt := range []struct {
			name, who, method, path, body string
			status                        int
			keys                          string
		}{
			{"not allowed", "op", "POST", list, good, 403, "InsufficientPrivilege"},
			{"nothing", "root", "POST", list, `{}`, 400, "PropertyMissing PropertyMissing"},
			{"another kind", "root", "POST", list, strings.Replace(good, `"PEM"`, `"PKCS7"`, 1), 400, "PropertyValueNotInList"},
			{"no certificate", "root", "POST", list, certBody("hello"), 400, "PropertyValueError"},
			{"a key", "root", "POST", list, certBody(keyPEM), 400, "PropertyValueError"},
			{"a key in a list", "root", "POST", list, `{"CertificateString":["c2VjcmV0"],"CertificateType":"PEM"}`, 400, "PropertyValueTypeError"},
			{"unknown", "root", "POST", list, strings.Replace(good, "{", `{"Bogus":1,`, 1), 400, "PropertyUnknown"},
			{"good", "root", "POST", list, good, 201, ""},
			{"again", "root", "POST", list + "/Members", good, 409, "ResourceAlreadyExists"},
			{"patch", "root", "PATCH", list + "/2", `{}`, 405, "OperationNotAllowed"},
			{"read", "root", "GET", list + "/2", ``, 200, ""},
			{"read, not allowed", "joe", "GET", list + "/2", ``, 403, "InsufficientPrivilege"},
			{"remove, not allowed", "op", "DELETE", list + "/2", ``, 403, "InsufficientPrivilege"},
			{"remove another", "root", "DELETE", list + "/7", ``, 404, "ResourceMissingAtURI"},
			{"remove", "root", "DELETE", list + "/2", ``, 204, ""},
			{"removed", "root", "GET", list + "/2", ``, 404, "ResourceMissingAtURI"},
		} {
			a := g.do(tt.who, tt.method, tt.path, tt.body)
			a.is(t, list+" "+tt.name, tt.status, tt.keys)
			if a.Code == 201 && (a.Header().Get("Location") != list+"/2" || a.at("@odata.id") != list+"/2") {
				t.Errorf("%v %s", a.Header(), a.Body)
			}
			if strings.Contains(a.Body.String(), "c2VjcmV0") {
				t.Errorf("%s: the key is in the answer", tt.name)
			}
		}
		again := g.do("root", "POST", list, good)
		again.is(t, "once more", 201, "")
		at := again.Header().Get("Location")
		g.do("root", "DELETE", at, "", "If-Match", `"x"`).is(t, "tag", 412, "PreconditionFailed")
		g.do("root", "DELETE", at, "", "If-Match", again.sent("ETag")).is(t, "good tag", 204, "")
	}
	g := newRig(t)
	g.do("root", "POST", accts+"/nobody/Certificates", certBody(newPEM(t, "x"))).is(t, "of nobody", 404, "ResourceMissingAtURI")
}

func TestCertificateLocations(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.do("root", "POST", casURI, certBody(newPEM(t, "ca"))).is(t, "add", 201, "")
	g.do("root", "POST", accts+"/joe/Certificates", certBody(newPEM(t, "joe"))).is(t, "add", 201, "")
	a := g.do("root", "GET", locationsURI, "")
	for _, uri := range []string{serverURI, casURI + "/2", accts + "/joe/Certificates/3"} {
		if !strings.Contains(a.Body.String(), `{"@odata.id":"`+uri+`"}`) {
			t.Errorf("no %s in %s", uri, a.Body)
		}
	}
	if a.at("Links/Certificates@odata.count") != 3.0 {
		t.Errorf("%s", a.Body)
	}
	g.do("op", "GET", locationsURI, "").is(t, "not allowed", 403, "InsufficientPrivilege")
}

// No PEM text makes the split panic, lose a certificate or show a key.
func FuzzSplitPEM(f *testing.F) {
	f.Add(keyPEM + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
	f.Add("-----BEGIN CERTIFICATE-----\n")
	f.Add("no PEM")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		chain, key := splitPEM(text)
		again, more := splitPEM(chain)
		if key.Reveal() != "" && (again != chain || more.Reveal() != "") {
			t.Errorf("%q: then %q", chain, again)
		}
		if key.Reveal() != "" && strings.Contains(chain, "PRIVATE KEY-----\n") {
			t.Errorf("a key in %q", chain)
		}
	})
}
