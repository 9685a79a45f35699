package serve

import (
	"cmp"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"net"
	"strings"
	"unicode/utf8"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/admin"
	"github.com/postern/postern/internal/config"
)

// The limits of a request: RFC 5280, appendix A.1, gives 64 to most names of a
// subject and 128 to the city and the state; a listener has few names.
const (
	maxSubject  = 64
	maxPlace    = 128
	maxCSRNames = 100
)

// CertificateRequest makes a key for a listener, keeps it sealed, and returns a
// CSR for it in PEM. A key of an earlier one is forgotten.
func (c *Certificates) CertificateRequest(_ context.Context, listener string, r admin.CSRRequest) (string, error) {
	c.mu.Lock()
	fixed, name := c.fixed[listener], c.names[listener]
	c.mu.Unlock()
	if fixed {
		return "", errFixed(listener)
	}
	r.CommonName = cmp.Or(r.CommonName, name, "localhost")
	template, err := csrTemplate(r)
	if err != nil {
		return "", err
	}
	c.making.Lock()
	defer c.making.Unlock()
	key, err := newKey(r.KeyKind, r.KeyBits)
	if err != nil {
		return "", err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		return "", err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: keyPEM, Bytes: pkcs8})
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.write(listener, ".csr", nil, "", auth.NewSecret(string(text))); err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})), nil
}

// csrTemplate checks r.
func csrTemplate(r admin.CSRRequest) (*x509.CertificateRequest, error) {
	for _, f := range []struct {
		field, text string
		most        int
	}{
		{"common_name", r.CommonName, maxSubject}, {"organization", r.Organization, maxSubject},
		{"organizational_unit", r.OrganizationalUnit, maxSubject}, {"city", r.City, maxPlace}, {"state", r.State, maxPlace},
		{"email", r.Email, maxPlace},
	} {
		if !utf8.ValidString(f.text) || utf8.RuneCountInString(f.text) > f.most || strings.ContainsFunc(f.text, func(r rune) bool { return r < ' ' }) {
			return nil, badChain(f.field, "%s is no text of at most %d characters", f.field, f.most)
		}
	}
	if r.Country != "" && (len(r.Country) != 2 || strings.ToUpper(r.Country) != r.Country || r.Country[0] < 'A' || r.Country[1] > 'Z' || r.Country[0] > 'Z' || r.Country[1] < 'A') {
		return nil, badChain("country", "a country has two capital letters (ISO 3166)")
	}
	one := func(s string) []string {
		if s == "" {
			return nil
		}
		return []string{s}
	}
	t := &x509.CertificateRequest{Subject: pkix.Name{
		CommonName: r.CommonName, Organization: one(r.Organization), OrganizationalUnit: one(r.OrganizationalUnit),
		Locality: one(r.City), Province: one(r.State), Country: one(r.Country),
	}, EmailAddresses: one(r.Email)}
	names := r.Names
	if len(names) == 0 && (config.IsHost(r.CommonName) || net.ParseIP(r.CommonName) != nil) {
		names = []string{r.CommonName} // clients look at these names alone (RFC 9525)
	}
	if len(names) > maxCSRNames {
		return nil, badChain("names", "more than %d names", maxCSRNames)
	}
	for _, n := range names {
		ip := net.ParseIP(n)
		switch {
		case ip != nil:
			t.IPAddresses = append(t.IPAddresses, ip)
		case config.IsHost(n):
			t.DNSNames = append(t.DNSNames, n)
		default:
			return nil, badChain("names", "%q is neither a host name nor an address", n)
		}
	}
	return t, nil
}

func newKey(kind string, bits int) (crypto.Signer, error) {
	switch kind {
	case "", "EC":
		switch bits {
		case 0, 256:
			return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		case 384:
			return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
		}
		return nil, badChain("key_bits", "an EC key has 256 or 384 bits, not %d", bits)
	case "RSA":
		switch bits {
		case 0:
			return rsa.GenerateKey(rand.Reader, 3072)
		case 2048, 3072, 4096:
			return rsa.GenerateKey(rand.Reader, bits)
		}
		return nil, badChain("key_bits", "an RSA key has 2048, 3072 or 4096 bits, not %d", bits)
	}
	return nil, badChain("key_kind", "a key is EC or RSA, not %q", kind)
}
