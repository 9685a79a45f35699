package trust_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"math/big"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postern/postern/internal/trust"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// An entity has a certificate and its key.
type entity struct {
	*x509.Certificate
	key crypto.Signer
}

func (e *entity) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: e.Raw})
}

var serial atomic.Int64

func ecKey(t testing.TB, c elliptic.Curve) crypto.Signer {
	t.Helper()
	k, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func rsaKey(t testing.TB, bits int) crypto.Signer {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// A plan is a certificate to be made; change may set everything but key and serial.
type plan struct {
	name   string
	key    crypto.Signer // nil = a new P-256 key
	change func(*x509.Certificate)
}

// issue makes a certificate; by == nil makes it self-signed.
func (p plan) issue(t testing.TB, by *entity) *entity {
	t.Helper()
	key := p.key
	if key == nil {
		key = ecKey(t, elliptic.P256())
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(serial.Add(1)), Subject: pkix.Name{Organization: []string{"Lab"}, CommonName: p.name},
		NotBefore: noon.Add(-24 * time.Hour), NotAfter: noon.Add(24 * time.Hour),
	}
	if p.change != nil {
		p.change(c)
	}
	parent, signer := c, key
	if by != nil {
		parent, signer = by.Certificate, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	return parsed(t, der, key)
}

func parsed(t testing.TB, der []byte, key crypto.Signer) *entity {
	t.Helper()
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &entity{c, key}
}

func asCA(c *x509.Certificate) {
	c.IsCA, c.BasicConstraintsValid = true, true
	c.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
}

func asClient(c *x509.Certificate) {
	c.KeyUsage = x509.KeyUsageDigitalSignature
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
}

// with is several changes in one.
func with(all ...func(*x509.Certificate)) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		for _, f := range all {
			f(c)
		}
	}
}

func newCA(t testing.TB, name string) *entity { return plan{name, nil, asCA}.issue(t, nil) }

func (e *entity) sub(t testing.TB, name string) *entity { return plan{name, nil, asCA}.issue(t, e) }

func (e *entity) client(t testing.TB, name string) *entity {
	return plan{name, nil, asClient}.issue(t, e)
}

// issueV1 makes an X.509 v1 certificate, which crypto/x509 does not.
func (e *entity) issueV1(t testing.TB, name string) *entity {
	t.Helper()
	key := ecKey(t, elliptic.P256())
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	subject, err := asn1.Marshal(pkix.Name{CommonName: name}.ToRDNSequence())
	if err != nil {
		t.Fatal(err)
	}
	algorithm := pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}} // ecdsa-with-SHA256
	tbs, err := asn1.Marshal(struct {
		Serial    *big.Int
		Algorithm pkix.AlgorithmIdentifier
		Issuer    asn1.RawValue
		Validity  struct{ NotBefore, NotAfter time.Time }
		Subject   asn1.RawValue
		Key       asn1.RawValue
	}{
		big.NewInt(serial.Add(1)), algorithm, asn1.RawValue{FullBytes: e.RawSubject},
		struct{ NotBefore, NotAfter time.Time }{noon.Add(-time.Hour), noon.Add(time.Hour)},
		asn1.RawValue{FullBytes: subject}, asn1.RawValue{FullBytes: spki},
	})
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(tbs)
	sig, err := e.key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	der, err := asn1.Marshal(struct {
		TBS       asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}{asn1.RawValue{FullBytes: tbs}, algorithm, asn1.BitString{Bytes: sig, BitLength: 8 * len(sig)}})
	if err != nil {
		t.Fatal(err)
	}
	v1 := parsed(t, der, key)
	if v1.Version != 1 {
		t.Fatalf("made version %d, want 1", v1.Version)
	}
	return v1
}

// crl makes the list of e with this number, from noon on for a day.
func (e *entity) crl(t testing.TB, number int64, revoked ...*entity) []byte {
	t.Helper()
	return e.crlOf(t, &x509.RevocationList{Number: big.NewInt(number), ThisUpdate: noon, NextUpdate: noon.Add(24 * time.Hour)}, revoked...)
}

func (e *entity) crlOf(t testing.TB, l *x509.RevocationList, revoked ...*entity) []byte {
	t.Helper()
	for _, r := range revoked {
		l.RevokedCertificateEntries = append(l.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: r.SerialNumber, RevocationTime: noon.Add(-time.Hour)})
	}
	der, err := x509.CreateRevocationList(rand.Reader, l, e.Certificate, e.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func chain(all ...*entity) []*x509.Certificate {
	var out []*x509.Certificate
	for _, e := range all {
		out = append(out, e.Certificate)
	}
	return out
}

// newService has a store in memory and its clock at noon where c has none.
func newService(t testing.TB, c trust.Config) *trust.Service {
	t.Helper()
	if c.Store == nil {
		c.Store = new(trust.MemoryStore)
	}
	if c.Now == nil {
		c.Now = func() time.Time { return noon }
	}
	s, err := trust.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// trusting returns a service that trusts these CAs at every listener.
func trusting(t testing.TB, cas ...*entity) *trust.Service {
	t.Helper()
	s := newService(t, trust.Config{})
	for _, ca := range cas {
		add(t, s, trust.NewCA{Text: ca.pem()})
	}
	return s
}

func add(t testing.TB, s *trust.Service, n trust.NewCA) trust.CA {
	t.Helper()
	ca, err := s.Add(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}

// wantJudged: want == nil is a good one.
func wantJudged(t testing.TB, s *trust.Service, want error, sent ...*entity) trust.Verdict {
	t.Helper()
	v, err := s.Judge(t.Context(), "bmc1", chain(sent...))
	if !errors.Is(err, want) || want == nil && err != nil {
		t.Errorf("got %v, want %v", err, want)
	}
	return v
}
