package hpe

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/postern/postern/auth"
)

func TestPrivileges(t *testing.T) {
	t.Parallel()
	for _, r := range []auth.Role{auth.Administrator, auth.Operator, auth.ReadOnly} {
		standard, _ := auth.PredefinedPrivileges(r)
		if p := OfRole(r); p.Role() != r || p.Standard() != standard || p.Has(SystemRecoveryConfigPriv) {
			t.Errorf("%s: %b is %s with %v", r, p, p.Role(), p.Standard())
		}
	}
	if p := Privileges(0); p.Standard() != 0 || p.Role() != auth.ReadOnly {
		t.Errorf("none: %v, %s", p.Standard(), p.Role())
	}
	if AllPrivileges != 1<<len(privileges)-1 {
		t.Errorf("AllPrivileges is %b", AllPrivileges)
	}
}

func TestSpaced(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"CN=host,O=Example":   "CN = host, O = Example",
		`CN=host\,two,O=A\=B`: `CN = host\,two, O = A\=B`,
		"CN=a+OU=b,O=c":       "CN = a, OU = b, O = c",
		"":                    " = ",
	} {
		if got := spaced(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// pkcs7Of is what `openssl crl2pkcs7 -nocrl` makes of certificates.
func pkcs7Of(t testing.TB, ders ...[]byte) []byte {
	t.Helper()
	tagged := func(tag int, parts ...[]byte) asn1.RawValue {
		return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, IsCompound: true, Bytes: slices.Concat(parts...)}
	}
	signed, err := asn1.Marshal(struct {
		Version int
		Digests []asn1.ObjectIdentifier `asn1:"set"`
		Content struct{ Type asn1.ObjectIdentifier }
		Certs   asn1.RawValue
		Signers []asn1.ObjectIdentifier `asn1:"set"`
	}{1, nil, struct{ Type asn1.ObjectIdentifier }{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}}, tagged(0, ders...), nil})
	if err != nil {
		t.Fatal(err)
	}
	out, err := asn1.Marshal(struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue
	}{oidSignedData, tagged(0, signed)})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func aCertificate(t testing.TB) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "x"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestReadPKCS7(t *testing.T) {
	t.Parallel()
	a, b := aCertificate(t), aCertificate(t)
	got, err := readPKCS7(pkcs7Of(t, a, b))
	if err != nil || len(got) != 2 || !slices.Equal(got[0], a) || !slices.Equal(got[1], b) {
		t.Errorf("%d certificates, %v", len(got), err)
	}
	for name, der := range map[string][]byte{
		"empty": nil, "a certificate": a, "none in it": pkcs7Of(t), "cut": pkcs7Of(t, a)[:100],
		"too many": pkcs7Of(t, slices.Repeat([][]byte{a}, maxPKCS7+1)...), "something behind": append(pkcs7Of(t, a), 0),
	} {
		if got, err := readPKCS7(der); err == nil {
			t.Errorf("%s: %d certificates", name, len(got))
		}
	}
}

func FuzzReadPKCS7(f *testing.F) {
	f.Add(pkcs7Of(f, aCertificate(f)))
	f.Add([]byte{0x30, 0x80, 0, 0})
	f.Fuzz(func(t *testing.T, der []byte) {
		all, err := readPKCS7(der)
		if err == nil && (len(all) == 0 || len(all) > maxPKCS7) {
			t.Errorf("%d certificates", len(all))
		}
		for _, c := range all {
			if len(c) > len(der) {
				t.Error("a certificate is larger than what it was in")
			}
		}
	})
}
