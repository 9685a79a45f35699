package hpe_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/sim"
	"github.com/postern/postern/redfish"
)

const (
	admin    = "admin"
	password = "password"

	certAuth = "/redfish/v1/Managers/1/SecurityService/CertificateAuthentication"
	mapping  = "/redfish/v1/AccountService/UserCertificateMapping"
	accounts = "/redfish/v1/AccountService/Accounts"
	licences = "/redfish/v1/Managers/1/LicenseService"
)

// A rig is a simulated iLO behind TLS that asks for certificates.
type rig struct {
	t      *testing.T
	server *httptest.Server
	ahead  atomic.Int64 // of the true time, on the device's clock
}

func newRig(t *testing.T, change func(*sim.Config)) *rig {
	t.Helper()
	r := &rig{t: t}
	profile, err := redfish.FindProfile("ilo")
	if err != nil {
		t.Fatal(err)
	}
	cfg := sim.Config{
		User: admin, Password: auth.NewSecret(password), Slots: -1, Profile: profile,
		Now: func() time.Time { return time.Now().Add(time.Duration(r.ahead.Load())) },
	}
	if change != nil {
		change(&cfg)
	}
	device, err := sim.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.server = httptest.NewUnstartedServer(device.Handler())
	r.server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	r.server.StartTLS()
	t.Cleanup(func() {
		r.server.Close()
		device.Close()
	})
	return r
}

// An answer is a response, read.
type answer struct {
	status int
	header http.Header
	body   string
}

// message is the last part of the first MessageId.
func (a answer) message() string {
	var e struct {
		Error struct {
			Info []struct {
				MessageID string `json:"MessageId"`
			} `json:"@Message.ExtendedInfo"`
		}
	}
	if json.Unmarshal([]byte(a.body), &e) != nil || len(e.Error.Info) == 0 {
		return ""
	}
	id := e.Error.Info[0].MessageID
	return id[strings.LastIndexByte(id, '.')+1:]
}

func (a answer) object(t *testing.T) map[string]any {
	t.Helper()
	var o map[string]any
	if err := json.Unmarshal([]byte(a.body), &o); err != nil {
		t.Fatalf("%q: %v", a.body, err)
	}
	return o
}

// as sends a request with Basic; body is JSON or a value to be it.
func (r *rig) as(user, pass, method, path string, body any, header ...string) answer {
	r.t.Helper()
	return r.send(nil, method, path, body, append(header, "Authorization", basic(user, pass))...)
}

func basic(user, pass string) string {
	req := &http.Request{Header: http.Header{}}
	req.SetBasicAuth(user, pass)
	return req.Header.Get("Authorization")
}

// send sends a request over a connection of its own, with a certificate or none.
func (r *rig) send(cert *tls.Certificate, method, path string, body any, header ...string) answer {
	r.t.Helper()
	var in io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		in = strings.NewReader(b)
	default:
		data, err := json.Marshal(b)
		if err != nil {
			r.t.Fatal(err)
		}
		in = bytes.NewReader(data)
	}
	req, err := http.NewRequest(method, r.server.URL+path, in)
	if err != nil {
		r.t.Fatal(err)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	transport := r.server.Client().Transport.(*http.Transport).Clone()
	defer transport.CloseIdleConnections()
	if cert != nil {
		transport.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil }
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(data)}
}

// want is as for the Administrator, and wants a status.
func (r *rig) want(status int, method, path string, body any, header ...string) answer {
	r.t.Helper()
	a := r.as(admin, password, method, path, body, header...)
	if a.status != status {
		r.t.Fatalf("%s %s: %d, want %d: %s", method, path, a.status, status, a.body)
	}
	return a
}

// refused is want for an error, and wants a message.
func (r *rig) refused(status int, message, method, path string, body any) {
	r.t.Helper()
	if a := r.want(status, method, path, body); a.message() != message {
		r.t.Errorf("%s %s: %s, want %s", method, path, a.body, message)
	}
}

type object = map[string]any

// student makes an account that may do nothing but log in, and returns its URI.
func (r *rig) student() string {
	r.t.Helper()
	r.want(201, "POST", accounts+"/", object{"UserName": "student", "Password": "student-password"})
	return accounts + "/2/"
}

// An issuer signs certificates.
type issuer struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func newKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newIssuer(t *testing.T, name string) issuer {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	return issuer{sign(t, template, template, key.Public(), key), key}
}

func sign(t *testing.T, template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// issue makes a certificate for a user; change may alter what it says.
func (i issuer) issue(t *testing.T, change func(*x509.Certificate)) *tls.Certificate {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(42), Subject: pkix.Name{CommonName: "student"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(100 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true,
	}
	if change != nil {
		change(template)
	}
	cert := sign(t, template, i.cert, key.Public(), i.key)
	return &tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

func pemOf(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
