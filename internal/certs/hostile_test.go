package certs_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/postern/postern/internal/certs"
)

func TestWeakKeys(t *testing.T) {
	t.Parallel()
	ca, caKey := newCA(t, 0)
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	client := certs.Order{Profile: certs.Client, Now: now}
	x := certs.Subject{CommonName: "x"}
	if _, err := certs.NewRequest(short, x, certs.Names{}); !errors.Is(err, certs.ErrIssue) {
		t.Errorf("request for RSA-1024: got %v, want ErrIssue", err)
	}
	if _, err := certs.SelfSigned(p224, x, client); !errors.Is(err, certs.ErrIssue) {
		t.Errorf("P-224 signs itself: got %v, want ErrIssue", err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "x"}}, short)
	if err != nil {
		t.Fatal(err)
	}
	r, err := x509.ParseCertificateRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := certs.Sign(r, ca, caKey, client); !errors.Is(err, certs.ErrIssue) {
		t.Errorf("sign RSA-1024: got %v, want ErrIssue", err)
	}
	if d := (certs.Item{Request: r}).Describe(now); len(d.Notes) != 1 || !strings.Contains(d.Notes[0], "too short") {
		t.Errorf("RSA-1024: notes %q", d.Notes)
	}
}

// Checking a signature by such a key would take minutes.
func TestHugeKeys(t *testing.T) {
	t.Parallel()
	r := &x509.CertificateRequest{PublicKey: &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 100_000), E: 3}}
	if d := (certs.Item{Request: r}).Describe(now); len(d.Notes) != 1 || !strings.Contains(d.Notes[0], "too large") {
		t.Errorf("notes %q", d.Notes)
	}
	ca, caKey := newCA(t, 0)
	if _, err := certs.Sign(r, ca, caKey, certs.Order{Profile: certs.Client, Now: now}); !errors.Is(err, certs.ErrIssue) || !strings.Contains(err.Error(), "bits") {
		t.Errorf("got %v, want ErrIssue for its size", err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: make([]byte, 20<<10)})
	if _, err := certs.Parse(text, nil); !errors.Is(err, certs.ErrUnsupported) {
		t.Errorf("a private key of 20 KiB: got %v, want ErrUnsupported", err)
	}
}

// A CA does not sign names that it cannot show.
func TestSignUnknownNames(t *testing.T) {
	t.Parallel()
	ca, caKey := newCA(t, 0)
	value, err := asn1.Marshal([]asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: 8, Bytes: []byte{0x2A, 3}}}) // registeredID 1.2.3
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject:         pkix.Name{CommonName: "x"},
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: value}},
	}, newKey(t, certs.P256))
	if err != nil {
		t.Fatal(err)
	}
	r, err := x509.ParseCertificateRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := certs.Sign(r, ca, caKey, certs.Order{Profile: certs.Client, Now: now}); !errors.Is(err, certs.ErrIssue) {
		t.Errorf("got %v, want ErrIssue", err)
	}
	if d := (certs.Item{Request: r}).Describe(now); len(d.Notes) != 1 || !strings.Contains(d.Notes[0], "not shown") {
		t.Errorf("notes %q", d.Notes)
	}
}

// Nothing that a stranger wrote moves the cursor of who looks at it.
func TestTerminal(t *testing.T) {
	t.Parallel()
	const trick = "a\x1b[2J\nb\u202e"
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject:        pkix.Name{CommonName: trick},
		EmailAddresses: []string{"a\x1b[2J@b"},
	}, newKey(t, certs.P256))
	if err != nil {
		t.Fatal(err)
	}
	r, err := x509.ParseCertificateRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	d := certs.Item{Request: r}.Describe(now)
	rows, err := certs.Table(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range append(d.Names, d.Subject, fmt.Sprint(rows)) {
		if strings.ContainsAny(s, "\x1b\n\u202e") {
			t.Errorf("%q reaches the terminal", s)
		}
	}
	if want := `CN=a\1B[2J\0Ab\E2\80\AE`; d.Subject != want {
		t.Errorf("subject %s, want %s", d.Subject, want)
	}
}

// An IPv4 address is one, however it is written.
func TestMappedAddress(t *testing.T) {
	t.Parallel()
	r := request(t, newKey(t, certs.P256), certs.Subject{CommonName: "x"}, certs.Names{IPs: []string{"::ffff:192.0.2.1"}})
	if len(r.IPAddresses) != 1 || len(r.IPAddresses[0]) != 4 {
		t.Errorf("got %x", r.IPAddresses)
	}
}

// A certificate that names itself as its issuer, and many of one name, end the
// search for the ones above.
func TestPairEnds(t *testing.T) {
	t.Parallel()
	key := newKey(t, certs.P256)
	s := certs.Subject{CommonName: "x"}
	var all []*x509.Certificate
	for range 15 {
		c, err := certs.SelfSigned(key, s, certs.Order{Profile: certs.CA, Now: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	if got, err := certs.Pair(all, key); err != nil || len(got) != 1 {
		t.Errorf("got %d certificates, %v, want 1", len(got), err)
	}
}
