package trust

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
)

// ParseCertificate reads exactly one certificate, PEM with or without text around
// it, or DER: ErrMalformed, ErrPrivateKey.
func ParseCertificate(text []byte) (*x509.Certificate, error) {
	all, err := ParseCertificates(text)
	if err != nil {
		return nil, err
	}
	if len(all) != 1 {
		return nil, fmt.Errorf("%w: there are %d certificates, one is wanted", ErrMalformed, len(all))
	}
	return all[0], nil
}

// ParseCertificates reads 1 to MaxChain certificates, PEM with or without text
// around them, or a single one in DER: ErrMalformed, ErrPrivateKey.
func ParseCertificates(text []byte) ([]*x509.Certificate, error) {
	if len(text) > MaxText {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrMalformed, MaxText)
	}
	ders, err := blocks(text, ErrMalformed, "CERTIFICATE", "X509 CERTIFICATE")
	if err != nil {
		return nil, err
	}
	if len(ders) > MaxChain {
		return nil, fmt.Errorf("%w: there are %d certificates, at most %d may be", ErrMalformed, len(ders), MaxChain)
	}
	var out []*x509.Certificate
	for _, der := range ders {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("%w: %v", ErrMalformed, err)
		}
		out = append(out, c)
	}
	return out, nil
}

// parseCRL reads one list, PEM or DER: ErrBadCRL, ErrPrivateKey.
func parseCRL(text []byte) (*x509.RevocationList, error) {
	if len(text) > MaxCRL {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrBadCRL, MaxCRL)
	}
	ders, err := blocks(text, ErrBadCRL, "X509 CRL", "CRL")
	if err != nil {
		return nil, err
	}
	if len(ders) != 1 {
		return nil, fmt.Errorf("%w: there are %d lists, one is wanted", ErrBadCRL, len(ders))
	}
	list, err := x509.ParseRevocationList(ders[0])
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrBadCRL, err)
	}
	return list, nil
}

// blocks returns the DER of all PEM blocks, which must be of one of the types; or
// text itself where it is DER. bad is what anything else is.
func blocks(text []byte, bad error, types ...string) ([][]byte, error) {
	if holdsKey(text) {
		return nil, ErrPrivateKey
	}
	const begin = "-----BEGIN "
	wanted := bytes.Count(text, []byte(begin))
	if wanted == 0 {
		if len(text) == 0 || text[0] != 0x30 { // ASN.1 SEQUENCE
			return nil, fmt.Errorf("%w: neither PEM nor DER", bad)
		}
		return [][]byte{text}, nil
	}
	var out [][]byte
	for rest := text; ; {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			break
		}
		if !isOneOf(b.Type, types) {
			return nil, fmt.Errorf("%w: a PEM block %.40q", bad, b.Type)
		}
		out = append(out, b.Bytes)
	}
	if len(out) != wanted { // pem.Decode steps over a block that it cannot read
		return nil, fmt.Errorf("%w: a PEM block is damaged", bad)
	}
	return out, nil
}

func isOneOf(s string, list []string) bool {
	for _, l := range list {
		if s == l {
			return true
		}
	}
	return false
}

// holdsKey reports whether the text has a PEM private key of any kind, damaged or
// not, or is one in DER.
func holdsKey(text []byte) bool {
	if bytes.Contains(text, []byte("PRIVATE KEY-----")) {
		return true
	}
	if len(text) == 0 || text[0] != 0x30 {
		return false
	}
	_, pkcs8 := x509.ParsePKCS8PrivateKey(text)
	_, pkcs1 := x509.ParsePKCS1PrivateKey(text)
	_, ec := x509.ParseECPrivateKey(text)
	return pkcs8 == nil || pkcs1 == nil || ec == nil
}

// describe names a certificate in an error: its subject, bounded, since a peer wrote it.
func describe(c *x509.Certificate) string {
	const most = 120
	s := c.Subject.String()
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return fmt.Sprintf("%q", s)
}
