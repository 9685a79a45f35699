package sim

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/trust"
	"github.com/postern/postern/redfish"
)

const authorities = accountService + "/MultiFactorAuth/ClientCertificate/Certificates"

// A pair is a certificate with its key.
type pair struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// issue makes a certificate for cn, by itself where by is nil.
func issue(t *testing.T, cn string, by *pair) *pair { return issueFor(t, cn, by, time.Hour) }

// issueFor makes one that ends in a while.
func issueFor(t *testing.T, cn string, by *pair, life time.Duration) *pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: cn},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(life),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	return sign(t, template, parent, key, signer)
}

func issueCA(t *testing.T, cn string) *pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: cn},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true,
	}
	return sign(t, template, template, key, key)
}

func sign(t *testing.T, template, parent *x509.Certificate, key, signer *ecdsa.PrivateKey) *pair {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &pair{cert, key}
}

func (p *pair) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.cert.Raw}))
}

// with returns the rig with a client that shows the certificate.
func (r *rig) with(p *pair) *rig {
	r.t.Helper()
	tr := r.client.Transport.(*http.Transport).Clone()
	tr.TLSClientConfig.Certificates = []tls.Certificate{{Certificate: [][]byte{p.cert.Raw}, PrivateKey: p.key}}
	r.t.Cleanup(tr.CloseIdleConnections)
	out := *r
	out.client = &http.Client{Transport: tr}
	return &out
}

func TestClientCertificate(t *testing.T) {
	t.Parallel()
	ca := issueCA(t, "Lab CA")
	r := start(t, Config{ClientCAs: []string{ca.pem()}})
	r.newAccount("joe", "ReadOnly")
	joe := r.with(issue(t, "joe", ca))
	get := func(r *rig, opts ...option) int { t.Helper(); return r.do("GET", systemPath, "", opts...).status }

	if got := get(joe); got != 200 {
		t.Fatalf("a good certificate: %d", got)
	}
	if p := joe.do("PATCH", systemPath, `{"AssetTag":"x"}`); p.status != 403 {
		t.Errorf("what the account may not: %d", p.status)
	}
	for name, other := range map[string]*pair{
		"of nobody":       issue(t, "nobody", ca),
		"of another CA":   issue(t, "joe", issueCA(t, "Other CA")),
		"of no CA":        issue(t, "joe", nil),
		"not for clients": issueCA(t, "joe"),
	} {
		if got := get(r.with(other)); got != 401 {
			t.Errorf("a certificate %s: %d", name, got)
		}
	}
	// A token decides alone, and somebody else's with a good certificate is refused.
	tok, _ := r.login()
	if got := get(joe, token("wrong")); got != 401 {
		t.Errorf("a bad token with a good certificate: %d", got)
	}
	if got := get(joe, token(tok)); got != 401 {
		t.Errorf("the token of one with the certificate of another: %d", got)
	}
	last := r.lines()[len(r.lines())-1]
	get(joe)
	if l := r.lines()[len(r.lines())-1]; l.Event != eventCall || l.User != "joe" || l.Session != "" || l.Status != 200 {
		t.Errorf("journal: %+v after %+v", l, last)
	}
	if s := r.Stats(); s.Sessions != 1 {
		t.Errorf("a certificate took a session: %+v", s)
	}
	// What is changed counts for the next request.
	r.want(200, "PATCH", redfish.AccountURI("joe"), `{"Enabled":false}`)
	if got := get(joe); got != 401 {
		t.Errorf("a disabled account: %d", got)
	}
	r.want(200, "PATCH", redfish.AccountURI("joe"), `{"Enabled":true}`)
	r.want(200, "PATCH", accountService, `{"AccountLockoutThreshold":1}`)
	r.loginAs("joe", "wrong")
	if got := get(joe); got != 401 {
		t.Errorf("a locked account: %d", got)
	}
	r.want(200, "PATCH", redfish.AccountURI("joe"), `{"Locked":false}`)
	if got := get(joe); got != 200 {
		t.Errorf("an unlocked account: %d", got)
	}
	list := r.want(200, "GET", authorities, "")
	r.want(204, "DELETE", strings.Trim(list.member("Members", "0", "@odata.id"), `"`), "")
	if got := get(joe); got != 401 {
		t.Errorf("after its CA was removed: %d", got)
	}
}

// A handshake that wants a good certificate judges its account too, and a refusal
// says of which certificate it is, and why.
func TestJudgeCertificate(t *testing.T) {
	t.Parallel()
	ca := issueCA(t, "Lab CA")
	r := start(t, Config{ClientCAs: []string{ca.pem()}})
	r.newAccount("joe", "ReadOnly")
	r.want(200, "PATCH", r.newAccount("idle", "ReadOnly"), `{"Enabled":false}`)
	for name, c := range map[string]struct {
		shown *pair
		cause string // "" = a good one
	}{
		"good":                {issue(t, "joe", ca), ""},
		"of nobody":           {issue(t, "nobody", ca), "it names no account"},
		"of no name at all":   {issue(t, "", ca), "does not name one account"},
		"of a disabled one":   {issue(t, "idle", ca), "its account is disabled"},
		"of another CA":       {issue(t, "joe", issueCA(t, "Other CA")), "no trusted CA"},
		"with an odd account": {issue(t, "jo e", ca), "it names no account"},
	} {
		err := r.JudgeCertificate(t.Context(), []*x509.Certificate{c.shown.cert})
		if c.cause == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		sum := trust.FingerprintOf(c.shown.cert).String()
		if !errors.Is(err, auth.ErrBadCredentials) || !strings.Contains(err.Error(), c.cause) || !strings.Contains(err.Error(), sum) {
			t.Errorf("%s: got %v, want %q of %s", name, err, c.cause, sum)
		}
	}
}

func TestCertificateOfAccount(t *testing.T) {
	t.Parallel()
	r := start(t, Config{})
	self := issue(t, "whoever", nil)
	joe := r.with(self)
	if ask, strict := r.AsksForCertificates(); ask || strict {
		t.Errorf("asks %v, strict %v, though nobody said so", ask, strict)
	}
	if p := joe.do("GET", systemPath, ""); p.status != 401 {
		t.Errorf("certificates are taken though nobody said so: %d", p.status)
	}
	r.want(200, "PATCH", accountService, `{"MultiFactorAuth":{"ClientCertificate":{"Enabled":true,"CertificateMappingAttribute":"Whole"}}}`)
	account := r.newAccount("joe", "ReadOnly")
	body := fmt.Sprintf(`{"CertificateString":%q,"CertificateType":"PEM"}`, self.pem())
	p := r.want(201, "POST", account+"/Certificates", body)
	if got := joe.do("GET", systemPath, ""); got.status != 200 {
		t.Fatalf("a registered certificate: %d %s", got.status, got.body)
	}
	if again := r.do("POST", redfish.AccountURI(testUser)+"/Certificates", body, basic); again.status/100 != 4 {
		t.Errorf("one certificate for two accounts: %d", again.status)
	}
	old := issueFor(t, "whoever", nil, -time.Minute)
	r.want(201, "POST", account+"/Certificates", fmt.Sprintf(`{"CertificateString":%q,"CertificateType":"PEM"}`, old.pem()))
	if got := r.with(old).do("GET", systemPath, ""); got.status != 401 {
		t.Errorf("a registered certificate that has expired: %d", got.status)
	}
	r.want(204, "DELETE", strings.Trim(p.member("@odata.id"), `"`), "")
	if got := joe.do("GET", systemPath, ""); got.status != 401 {
		t.Errorf("after it was taken away: %d", got.status)
	}
	r.want(201, "POST", account+"/Certificates", body)
	r.want(204, "DELETE", account, "")
	r.newAccount("joe", "Operator")
	if got := joe.do("GET", systemPath, ""); got.status != 401 {
		t.Errorf("a new account has the certificate of its forerunner: %d", got.status)
	}
	if ask, strict := r.AsksForCertificates(); !ask || strict {
		t.Errorf("asks %v, strict %v", ask, strict)
	}
	if err := r.JudgeCertificate(t.Context(), nil); err == nil {
		t.Error("no certificate is a good one")
	}
}

func TestBadClientCA(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"nonsense": "x", "no CA": issue(t, "joe", nil).pem()} {
		_, err := New(Config{User: testUser, Password: auth.NewSecret(testPassword), ClientCAs: []string{text}})
		if err == nil || !strings.Contains(err.Error(), "client CA 1") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
