package hpe_test

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/postern/postern/internal/sim"
)

const page = "/html/login_cert.html"

// ready sets up what a login with cert needs, and returns the student's account.
func (r *rig) ready(ca issuer, cert *tls.Certificate) string {
	r.t.Helper()
	at := r.student()
	r.want(200, "PATCH", certAuth+"/", object{"CertificateLoginEnabled": true})
	r.want(200, "POST", certAuth+"/Actions/HpeCertAuth.ImportCACertificate/", object{"Action": "HpeCertAuth.ImportCACertificate", "Certificate": pemOf(ca.cert.Raw)})
	r.want(201, "POST", mapping, object{"UserName": "student", "Fingerprint": pemOf(cert.Certificate[0])})
	return at
}

func TestCertificateLogin(t *testing.T) {
	t.Parallel()
	ca := newIssuer(t, "Lab CA")
	cert := ca.issue(t, nil)
	r := newRig(t, nil)
	r.ready(ca, cert)
	a := r.send(cert, "GET", page, nil)
	token, at := a.header.Get("X-Auth-Token"), a.header.Get("Location")
	if a.status != 200 || len(token) != 32 || !strings.HasPrefix(at, r.server.URL+"/redfish/v1/SessionService/Sessions/student0") {
		t.Fatalf("%d, token %q at %q", a.status, token, at)
	}
	s := r.send(nil, "GET", strings.TrimPrefix(at, r.server.URL), nil, "X-Auth-Token", token).object(t)
	own := s["Oem"].(object)["Hpe"].(object)
	held := own["Privileges"].(object)
	if own["UserTag"] != "Web UI" || own["MySession"] != true || held["LoginPriv"] != true || held["iLOConfigPriv"] != false || s["UserName"] != "student" {
		t.Errorf("got %v", s)
	}
	if a := r.send(cert, "GET", "/redfish/v1/Systems/", nil); a.status != 401 {
		t.Errorf("a certificate without a token: %d, want 401", a.status)
	}
	if a := r.send(cert, "HEAD", page, nil); a.status != 200 || a.header.Get("X-Auth-Token") != "" {
		t.Errorf("HEAD: %d with token %q", a.status, a.header.Get("X-Auth-Token"))
	}
	if a := r.send(cert, "POST", page, "{}"); a.status != 405 || a.header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d, %q", a.status, a.header.Get("Allow"))
	}
}

// TestCertificateRefused: each cause by itself. Whoever is refused gets no token.
func TestCertificateRefused(t *testing.T) {
	t.Parallel()
	ca, other := newIssuer(t, "Lab CA"), newIssuer(t, "Other CA")
	list := func(t *testing.T) []byte {
		der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
			Number: big.NewInt(7), ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: time.Now().Add(time.Hour),
			RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: big.NewInt(42), RevocationTime: time.Now().Add(-time.Minute)}},
		}, ca.cert, ca.key)
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})
	}
	for _, c := range []struct {
		name    string
		from    issuer
		change  func(*x509.Certificate)
		spoil   func(r *rig, account string)
		status  int
		message string
	}{
		{"no licence", ca, nil, func(r *rig, _ string) { r.want(200, "DELETE", licences+"/1/", nil) }, 403, "LicenseKeyRequired"},
		{"switched off", ca, nil, func(r *rig, _ string) { r.want(200, "PATCH", certAuth+"/", object{"CertificateLoginEnabled": false}) }, 403, "InsufficientPrivilege"},
		{"of another CA", other, nil, nil, 401, "UnauthorizedLoginAttempt"},
		{"expired by the device's clock", ca, nil, func(r *rig, _ string) { r.ahead.Store(int64(200 * time.Hour)) }, 401, "UnauthorizedLoginAttempt"},
		{"not valid yet by the device's clock", ca, nil, func(r *rig, _ string) { r.ahead.Store(-int64(2 * time.Hour)) }, 401, "UnauthorizedLoginAttempt"},
		{"for servers alone", ca, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }, nil, 401, "UnauthorizedLoginAttempt"},
		{"mapped to nobody", ca, nil, func(r *rig, _ string) { r.want(200, "DELETE", mapping+"/2", nil) }, 401, "UnauthorizedLoginAttempt"},
		{"account removed", ca, nil, func(r *rig, at string) { r.want(200, "DELETE", at, nil) }, 401, "UnauthorizedLoginAttempt"},
		{"account disabled", ca, nil, func(r *rig, at string) { r.want(200, "PATCH", at, object{"Enabled": false}) }, 401, "UnauthorizedLoginAttempt"},
		{"account without LoginPriv", ca, nil, func(r *rig, at string) {
			r.want(200, "PATCH", at, object{"Oem": object{"Hpe": object{"Privileges": object{"LoginPriv": false}}}})
		}, 401, "UnauthorizedLoginAttempt"},
		{"a password to be changed first", ca, nil, func(r *rig, at string) { r.want(200, "PATCH", at, object{"PasswordChangeRequired": true}) }, 401, "UnauthorizedLoginAttempt"},
		{"revoked", ca, nil, func(r *rig, _ string) {
			r.want(200, "POST", certAuth+"/Actions/HpeCertAuth.ImportCRL/", object{"Action": "HpeCertAuth.ImportCRL", "ImportUri": "http://crl.example/lab.crl"})
		}, 401, "UnauthorizedLoginAttempt"},
		{"CA removed", ca, nil, func(r *rig, _ string) {
			cas := r.want(200, "GET", certAuth+"/CACertificates/", nil).object(r.t)["Members"].([]any)
			r.want(200, "DELETE", cas[0].(object)["@odata.id"].(string), nil)
		}, 401, "UnauthorizedLoginAttempt"},
		{"an OCSP responder that does not answer", ca, nil, func(r *rig, _ string) {
			r.want(200, "PATCH", certAuth+"/", object{"OCSPUri": "http://ocsp.example/"})
		}, 401, "UnauthorizedLoginAttempt"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			crl := list(t)
			r := newRig(t, func(cfg *sim.Config) {
				cfg.Fetch = func(_ context.Context, _, url, _ string, _ []byte) ([]byte, error) {
					if url == "http://crl.example/lab.crl" {
						return crl, nil
					}
					return nil, errors.New("no route to host")
				}
			})
			cert := c.from.issue(t, c.change)
			account := r.ready(ca, cert)
			if c.spoil != nil {
				c.spoil(r, account)
			}
			a := r.send(cert, "GET", page, nil)
			if a.status != c.status || a.message() != c.message || a.header.Get("X-Auth-Token") != "" || a.header.Get("Location") != "" {
				t.Errorf("%d %s with token %q, want %d %s: %s", a.status, a.message(), a.header.Get("X-Auth-Token"), c.status, c.message, a.body)
			}
		})
	}
}

func TestSelfSigned(t *testing.T) {
	t.Parallel()
	self := newIssuer(t, "student") // as `openssl req -x509` makes it: a CA
	cert := &tls.Certificate{Certificate: [][]byte{self.cert.Raw}, PrivateKey: self.key}
	r := newRig(t, nil)
	r.ready(newIssuer(t, "Lab CA"), cert)
	if a := r.send(cert, "GET", page, nil); a.status != 200 {
		t.Errorf("self-signed and mapped: %d, want 200: %s", a.status, a.body)
	}
	r.want(200, "POST", certAuth+"/Actions/HpeCertAuth.ImportCACertificate/", object{"Certificate": pemOf(self.cert.Raw)})
	if a := r.send(cert, "GET", page, nil); a.status != 401 {
		t.Errorf("a CA's own certificate: %d, want 401", a.status)
	}
}

func TestStrict(t *testing.T) {
	t.Parallel()
	ca := newIssuer(t, "Lab CA")
	cert := ca.issue(t, nil)
	r := newRig(t, nil)
	r.ready(ca, cert)
	r.want(200, "PATCH", certAuth+"/", object{"StrictCACModeEnabled": true})
	r.want(401, "GET", "/redfish/v1/Systems/", nil)
	if a := r.send(nil, "GET", "/redfish/v1/", nil); a.status != 200 {
		t.Errorf("the root: %d, want 200", a.status)
	}
	if a := r.send(nil, "POST", "/redfish/v1/SessionService/Sessions/", object{"UserName": admin, "Password": password}); a.status != 401 || a.message() != "NoValidSession" {
		t.Errorf("a login without a certificate: %d %s", a.status, a.body)
	}
	if a := r.send(cert, "GET", "/redfish/v1/Systems/", nil, "Authorization", basic(admin, password)); a.status != 200 {
		t.Errorf("with a certificate: %d, want 200", a.status)
	}
}

func TestCertAuthInput(t *testing.T) {
	t.Parallel()
	ca := newIssuer(t, "Lab CA")
	leaf := ca.issue(t, nil)
	r := newRig(t, func(cfg *sim.Config) {
		cfg.Fetch = func(_ context.Context, _, url, _ string, _ []byte) ([]byte, error) { return []byte("no list"), nil }
	})
	importCA, importCRL := certAuth+"/Actions/HpeCertAuth.ImportCACertificate/", certAuth+"/Actions/HpeCertAuth.ImportCRL/"
	r.refused(400, "PropertyValueTypeError", "PATCH", certAuth+"/", object{"CertificateLoginEnabled": "true"})
	r.refused(400, "PropertyNotWritable", "PATCH", certAuth+"/", object{"CRLSerial": "1"})
	r.refused(400, "PropertyUnknown", "PATCH", certAuth+"/", object{"Certificates": true})
	r.refused(400, "PropertyValueNotInList", "PATCH", certAuth+"/", object{"LDAPCertificateNameMapping": "CN"})
	r.refused(400, "PropertyValueError", "PATCH", certAuth+"/", object{"OCSPUri": "file:///etc/passwd"})
	r.refused(400, "ImportCertificateFailed", "POST", importCA, object{"Certificate": pemOf(leaf.Certificate[0])})
	r.refused(400, "ImportCertificateFailed", "POST", importCA, object{"Certificate": "MIID....."})
	r.refused(400, "ActionParameterValueError", "POST", importCA, object{"Action": "HpeCertAuth.ImportCRL", "Certificate": pemOf(ca.cert.Raw)})
	r.refused(400, "ActionParameterMissing", "POST", importCA, object{})
	r.want(200, "POST", importCA, object{"Certificate": pemOf(ca.cert.Raw)})
	r.want(200, "POST", importCA, object{"Certificate": pemOf(ca.cert.Raw)}) // the same again
	r.refused(400, "ImportCertificateFailed", "POST", importCRL, object{"ImportUri": "http://crl.example/"})
	r.refused(400, "ActionParameterValueError", "POST", importCRL, object{"ImportUri": "ftp://crl.example/"})
	r.want(200, "POST", certAuth+"/Actions/HpeCertAuth.DeleteCRL/", nil)
	if n := r.want(200, "GET", certAuth+"/CACertificates/", nil).object(t)["Members@odata.count"]; n != 1.0 {
		t.Errorf("%v CAs, want 1", n)
	}
	r.want(200, "DELETE", licences+"/1/", nil)
	r.refused(403, "LicenseKeyRequired", "PATCH", certAuth+"/", object{"CertificateLoginEnabled": true})
}
