package authority

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/account"
	"github.com/postern/postern/internal/session"
	"github.com/postern/postern/internal/trust"
)

// A signer has a certificate and its key.
type signer struct {
	*x509.Certificate
	key *ecdsa.PrivateKey
}

// sign makes a certificate, of a CA where by is nil.
func sign(t testing.TB, by *signer, cn string, change func(*x509.Certificate)) *signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(drawn.Add(1)), Subject: pkix.Name{CommonName: cn},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if by == nil {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage, c.ExtKeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign, nil
	}
	if change != nil {
		change(c)
	}
	parent, parentKey := c, key
	if by != nil {
		parent, parentKey = by.Certificate, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), parentKey)
	if err != nil {
		t.Fatal(err)
	}
	out, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &signer{out, key}
}

func (s *signer) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Raw})
}

// A gate is a house whose listener bmc1 takes certificates of the CA.
type gate struct {
	*house
	trust *counted
	ca    *signer
	id    string // of the CA
}

// counted counts the chains that were judged in earnest.
type counted struct {
	*trust.Service
	mu     sync.Mutex
	judged int
}

func (c *counted) Judge(ctx context.Context, listener string, chain []*x509.Certificate) (trust.Verdict, error) {
	c.mu.Lock()
	c.judged++
	c.mu.Unlock()
	return c.Service.Judge(ctx, listener, chain)
}

func newGate(t *testing.T, mapping string) *gate {
	t.Helper()
	g := &gate{trust: &counted{}, ca: sign(t, nil, "CA", nil)}
	g.house = build(t, Config{Trust: g.trust, Host: func(listener string) string { return listener + ".lab.example" }})
	var err error
	if g.trust.Service, err = trust.New(trust.Config{Store: g.store}); err != nil {
		t.Fatal(err)
	}
	ca, err := g.trust.Add(t.Context(), trust.NewCA{Listener: "bmc1", Text: g.ca.pem()})
	if err != nil {
		t.Fatal(err)
	}
	g.id = ca.ID
	g.setRules(t, func(r *session.ListenerRules) { r.Certificates, r.Mapping = true, mapping })
	return g
}

func (g *gate) setRules(t *testing.T, set func(*session.ListenerRules)) {
	t.Helper()
	r := g.sessions.Rules("bmc1")
	set(&r)
	if _, err := g.sessions.SetRules(t.Context(), r); err != nil {
		t.Fatal(err)
	}
}

// show checks what comes of a certificate, and by how many judgements.
func (g *gate) show(t *testing.T, what string, s *signer, want error, judged int) auth.Principal {
	t.Helper()
	g.trust.mu.Lock()
	before := g.trust.judged
	g.trust.mu.Unlock()
	p, err := g.Check(t.Context(), shownBy(s))
	if !errors.Is(err, want) || want == nil && err != nil {
		t.Errorf("%s: got %v, want %v", what, err, want)
	}
	g.trust.mu.Lock()
	defer g.trust.mu.Unlock()
	if got := g.trust.judged - before; got != judged {
		t.Errorf("%s: judged %d times, want %d", what, got, judged)
	}
	return p
}

func shownBy(s *signer) auth.Attempt {
	return auth.Attempt{Kind: auth.Certificate, Listener: "bmc1", Source: here, Chain: []*x509.Certificate{s.Certificate}}
}

func TestCertificate(t *testing.T) {
	t.Parallel()
	g := newGate(t, session.MapCommonName)
	ann := sign(t, g.ca, "ann", nil)
	operator, _ := auth.PredefinedPrivileges(auth.Operator)
	p := g.show(t, "first", ann, nil, 1)
	wantEqual(t, "principal", p, auth.Principal{Account: "ann", AccountID: "1", Role: auth.Operator, Privileges: operator})
	for range 3 {
		g.show(t, "again", ann, nil, 0)
	}
	at := shownBy(ann)
	at.Token = auth.NewSecret(strings.Repeat("t", 32))
	at.NewSessionID = func(name auth.AccountName) string { return string(name) + "-1" }
	s, err := g.Login(t.Context(), at)
	if err != nil || s.Principal.Account != "ann" || s.ID != "ann-1" || s.Kind != auth.Certificate || s.InitialRole != auth.Operator {
		t.Errorf("login: %+v, %v", s, err)
	}
	fingerprint := trust.FingerprintOf(ann.Certificate).String()
	wantEqual(t, "attempts", g.attempts(t), []string{
		"ann accepted certificate " + fingerprint, "ann accepted certificate " + fingerprint})
}

// Where certificates are not taken, it can be told from a bad one.
func TestCertificatesSwitchedOff(t *testing.T) {
	t.Parallel()
	g := newGate(t, session.MapCommonName)
	ann := sign(t, g.ca, "ann", nil)
	g.setRules(t, func(r *session.ListenerRules) { r.Certificates = false })
	g.show(t, "switched off", ann, auth.ErrMethodOff, 0)
	g.show(t, "switched off", ann, auth.ErrBadCredentials, 0)
}

// TestCertificateRefused: what is refused, why, and that the peer is told nothing.
func TestCertificateRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		mapping string
		make    func(t *testing.T, g *gate) *signer
		reason  string
	}{
		"of another CA": {session.MapCommonName, func(t *testing.T, g *gate) *signer {
			return sign(t, sign(t, nil, "other", nil), "ann", nil)
		}, trust.ErrUntrusted.Error()},
		"expired": {session.MapCommonName, func(t *testing.T, g *gate) *signer {
			return sign(t, g.ca, "ann", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
		}, trust.ErrExpired.Error()},
		"of nobody": {session.MapCommonName, func(t *testing.T, g *gate) *signer {
			return sign(t, g.ca, "nobody", nil)
		}, errNobody.Error()},
		"of a name that is none": {session.MapCommonName, func(t *testing.T, g *gate) *signer {
			return sign(t, g.ca, "../ann ", nil)
		}, errNobody.Error()},
		"of a disabled account": {session.MapCommonName, func(t *testing.T, g *gate) *signer {
			return sign(t, g.ca, "out", nil)
		}, errDisabled.Error()},
		"without a UPN": {session.MapUserPrincipalName, func(t *testing.T, g *gate) *signer {
			return sign(t, g.ca, "ann", nil)
		}, trust.ErrNoName.Error()},
		"a UPN of elsewhere": {session.MapUserPrincipalName, func(t *testing.T, g *gate) *signer {
			return sign(t, g.ca, "", withUPN("ann@example"))
		}, errNobody.Error()},
		"not registered": {session.MapWhole, func(t *testing.T, g *gate) *signer {
			return sign(t, g.ca, "ann", nil)
		}, errNobody.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGate(t, c.mapping)
			s := c.make(t, g)
			judged := 1
			if c.mapping == session.MapWhole {
				judged = 0
			}
			g.show(t, "first", s, auth.ErrBadCredentials, judged)
			g.show(t, "second", s, auth.ErrBadCredentials, 0)
			got := g.attempts(t)
			if len(got) != 1 || !strings.Contains(got[0], " refused certificate ") && !strings.HasPrefix(got[0], "refused certificate ") || !strings.Contains(got[0], c.reason) {
				t.Errorf("recorded %q, want one refusal for %q", got, c.reason)
			}
		})
	}
}

// withUPN adds a User Principal Name of less than 100 bytes.
func withUPN(upn string) func(*x509.Certificate) {
	oid, _ := hex.DecodeString("060a2b060104018237140203")
	text := append([]byte{0x0c, byte(len(upn))}, upn...)
	value := append([]byte{0xa0, byte(len(text))}, text...)
	other := append(append([]byte{0xa0, byte(len(oid) + len(value))}, oid...), value...)
	names := append([]byte{0x30, byte(len(other))}, other...)
	return func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: []int{2, 5, 29, 17}, Value: names}}
	}
}

func TestCertificateMappings(t *testing.T) {
	t.Parallel()
	g := newGate(t, session.MapUserPrincipalName)
	byUPN := sign(t, g.ca, "root", withUPN("ann@lab.example"))
	if p := g.show(t, "UPN", byUPN, nil, 1); p.Account != "ann" {
		t.Errorf("the UPN names %q", p.Account)
	}
	g.setRules(t, func(r *session.ListenerRules) { r.Mapping = session.MapCommonName })
	if p := g.show(t, "the same by CN", byUPN, nil, 1); p.Account != "root" {
		t.Errorf("the CN names %q", p.Account)
	}
	g.setRules(t, func(r *session.ListenerRules) { r.Mapping = session.MapWhole })
	own := sign(t, nil, "whatever", func(c *x509.Certificate) { // of itself, and no CA
		c.IsCA, c.KeyUsage, c.ExtKeyUsage = false, x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	})
	g.show(t, "not registered", own, auth.ErrBadCredentials, 0)
	if _, err := g.trust.AddAccountCertificate(t.Context(), "1", "ann", own.pem()); err != nil {
		t.Fatal(err)
	}
	if p := g.show(t, "registered", own, nil, 0); p.Account != "ann" {
		t.Errorf("the whole names %q", p.Account)
	}
	if err := g.trust.RemoveAccountCertificate(t.Context(), "1", trust.FingerprintOf(own.Certificate)); err != nil {
		t.Fatal(err)
	}
	g.show(t, "removed", own, auth.ErrBadCredentials, 0)
}

// TestCertificateChanges: whatever ends a certificate's right, the next request
// feels it.
func TestCertificateChanges(t *testing.T) {
	t.Parallel()
	g := newGate(t, session.MapCommonName)
	ctx := t.Context()
	ann := sign(t, g.ca, "ann", nil)
	change := func(c account.Change) {
		t.Helper()
		if _, err := g.accounts.Change(ctx, "ann", c, ""); err != nil {
			t.Fatal(err)
		}
	}
	no, yes, readOnly := false, true, auth.ReadOnly
	g.show(t, "at first", ann, nil, 1)
	change(account.Change{Role: &readOnly})
	if p := g.show(t, "another role", ann, nil, 1); p.Role != auth.ReadOnly {
		t.Errorf("still has the role %s", p.Role)
	}
	change(account.Change{Enabled: &no})
	g.show(t, "disabled", ann, auth.ErrBadCredentials, 1)
	change(account.Change{Enabled: &yes})
	g.show(t, "enabled", ann, nil, 1)

	g.setRules(t, func(r *session.ListenerRules) { r.Certificates = false })
	g.show(t, "switched off", ann, auth.ErrBadCredentials, 0)
	g.setRules(t, func(r *session.ListenerRules) { r.Certificates = true })
	g.show(t, "switched on", ann, nil, 0)

	crl, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: time.Now().Add(time.Hour),
		RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: ann.SerialNumber, RevocationTime: time.Now()}},
	}, g.ca.Certificate, g.ca.key)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.trust.SetCRL(ctx, g.id, crl); err != nil {
		t.Fatal(err)
	}
	g.show(t, "revoked", ann, auth.ErrBadCredentials, 1)
	if err := g.trust.RemoveCRL(ctx, g.id); err != nil {
		t.Fatal(err)
	}
	g.show(t, "not revoked any more", ann, nil, 1)
	if err := g.trust.Remove(ctx, g.id); err != nil {
		t.Fatal(err)
	}
	g.show(t, "its CA is gone", ann, auth.ErrBadCredentials, 1)
}

// TestCertificateExpires: a judgement stands no longer than the certificate.
func TestCertificateExpires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t, session.MapCommonName)
		ann := sign(t, g.ca, "ann", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(10 * time.Minute) })
		g.show(t, "in its time", ann, nil, 1)
		time.Sleep(11 * time.Minute)
		g.show(t, "later", ann, auth.ErrBadCredentials, 1)
	})
}

// TestRefusalIsRecordedOnceAMinute, and each certificate has its own record.
func TestRefusalIsRecordedOnceAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t, session.MapCommonName)
		bad, other := sign(t, g.ca, "nobody", nil), sign(t, g.ca, "nobody", nil)
		for range 30 {
			g.Check(t.Context(), shownBy(bad))
			time.Sleep(3 * time.Second)
		}
		g.Check(t.Context(), shownBy(other))
		if got := g.attempts(t); len(got) != 3 {
			t.Errorf("90 s of one and one of another are recorded as %q", got)
		}
	})
}

// TestCertificatesAtOnce: a crowd with one certificate costs one judgement and one
// record.
func TestCertificatesAtOnce(t *testing.T) {
	t.Parallel()
	g := newGate(t, session.MapCommonName)
	ann := sign(t, g.ca, "ann", nil)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if _, err := g.Check(t.Context(), shownBy(ann)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if g.trust.judged != 1 {
		t.Errorf("judged %d times", g.trust.judged)
	}
	if got := g.attempts(t); len(got) != 1 {
		t.Errorf("recorded %q", got)
	}
}

// TestIntermediate: a certificate that was refused for want of an intermediate CA
// passes with it, at once.
func TestIntermediate(t *testing.T) {
	t.Parallel()
	g := newGate(t, session.MapCommonName)
	mid := sign(t, g.ca, "mid", func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage, c.ExtKeyUsage = true, true, x509.KeyUsageCertSign, nil
	})
	ann := sign(t, mid, "ann", nil)
	g.show(t, "alone", ann, auth.ErrBadCredentials, 1)
	at := shownBy(ann)
	at.Chain = append(at.Chain, mid.Certificate)
	if _, err := g.Check(t.Context(), at); err != nil {
		t.Errorf("with its issuer: %v", err)
	}
}

func TestNoCertificate(t *testing.T) {
	t.Parallel()
	h := build(t, Config{})
	ca := sign(t, nil, "ann", nil)
	for i, at := range []auth.Attempt{{Kind: auth.Certificate, Listener: "bmc1"}, shownBy(ca)} {
		_, err := h.Check(t.Context(), at)
		wantErr(t, fmt.Sprint("attempt ", i), err, auth.ErrBadCredentials)
	}
}
