package trust

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

	"golang.org/x/crypto/ocsp"
)

// fuzzCA makes a CA that may sign lists and answers.
func fuzzCA(f *testing.F) (*x509.Certificate, *ecdsa.PrivateKey) {
	f.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0), KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		f.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		f.Fatal(err)
	}
	return c, key
}

func FuzzCRL(f *testing.F) {
	ca, key := fuzzCA(f)
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(7), ThisUpdate: time.Unix(1, 0), NextUpdate: time.Unix(2, 0),
		RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: big.NewInt(300), RevocationTime: time.Unix(1, 0)}},
	}, ca, key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(der)
	f.Add([]byte("-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----"))
	f.Fuzz(func(t *testing.T, text []byte) {
		l, der, err := newList(text, ca)
		if err != nil {
			return
		}
		again, _, err := newList(der, ca)
		if err != nil || again.sum != l.sum || again.info != l.info || !l.has(big.NewInt(300)) {
			t.Errorf("%+v came back as %+v, %v", l.info, again, err)
		}
	})
}

func FuzzOCSP(f *testing.F) {
	ca, key := fuzzCA(f)
	now := time.Now()
	for _, status := range []int{ocsp.Good, ocsp.Revoked, ocsp.Unknown} {
		der, err := ocsp.CreateResponse(ca, ca, ocsp.Response{
			Status: status, SerialNumber: ca.SerialNumber, ThisUpdate: now, NextUpdate: now.Add(time.Hour), Certificate: ca,
		}, key)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(der)
	}
	f.Add(ocsp.TryLaterErrorResponse)
	f.Fuzz(func(t *testing.T, der []byte) {
		status, until, err := parseOCSP(der, ca, ca, now)
		if (err == nil) == (status == ocspNone) || err == nil && !until.After(now) {
			t.Errorf("status %d until %s, %v", status, until, err)
		}
	})
}

func FuzzUPNs(f *testing.F) {
	f.Add([]byte("\x30\x18\xa0\x16\x06\x0a\x2b\x06\x01\x04\x01\x82\x37\x14\x02\x03\xa0\x08\x0c\x06a@b.cd"))
	f.Add([]byte("\x30\x04\x81\x02ab"))
	f.Fuzz(func(t *testing.T, der []byte) {
		names, err := parseUPNs(der)
		if err != nil || len(names) == 0 {
			return
		}
		again, err := parseUPNs(encodeUPNs(t, names))
		if err != nil || !slices.Equal(names, again) {
			t.Errorf("%q came back as %q, %v", names, again, err)
		}
	})
}

func encodeUPNs(t *testing.T, names []string) []byte {
	t.Helper()
	type otherName struct {
		OID  asn1.ObjectIdentifier
		Text string `asn1:"utf8,explicit,tag:0"`
	}
	var inside []byte
	for _, n := range names {
		der, err := asn1.MarshalWithParams(otherName{oidUPN, n}, "tag:0")
		if err != nil {
			t.Fatal(err)
		}
		inside = append(inside, der...)
	}
	der, err := asn1.Marshal(asn1.RawValue{Class: asn1.ClassUniversal, Tag: asn1.TagSequence, IsCompound: true, Bytes: inside})
	if err != nil {
		t.Fatal(err)
	}
	return der
}
