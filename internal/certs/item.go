package certs

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"

	"github.com/postern/postern/internal/trust"
)

// An Item is one thing in a file: exactly one field is set.
type Item struct {
	Certificate *x509.Certificate
	Request     *x509.CertificateRequest
	Key         crypto.Signer
	CRL         *x509.RevocationList
}

// A File is what one file holds, in its order.
type File struct {
	Form  string // "PEM", "DER", "PKCS#7" or "PKCS#12"
	Items []Item
}

// Certificates are the certificates in their order; ErrNotFound where there is none.
func (f File) Certificates() ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for _, i := range f.Items {
		if i.Certificate != nil {
			out = append(out, i.Certificate)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("a certificate %w", ErrNotFound)
	}
	return out, nil
}

// Key is the private key: ErrNotFound where there is none or several.
func (f File) Key() (crypto.Signer, error) {
	var out crypto.Signer
	for _, i := range f.Items {
		switch {
		case i.Key == nil:
		case out != nil:
			return nil, fmt.Errorf("one private key %w: it has several", ErrNotFound)
		default:
			out = i.Key
		}
	}
	if out == nil {
		return nil, fmt.Errorf("a private key %w", ErrNotFound)
	}
	return out, nil
}

// Request is the first CSR: ErrNotFound where there is none.
func (f File) Request() (*x509.CertificateRequest, error) {
	for _, i := range f.Items {
		if i.Request != nil {
			return i.Request, nil
		}
	}
	return nil, fmt.Errorf("a certificate signing request %w", ErrNotFound)
}

// PEM is all of it but the private keys.
func (f File) PEM() []byte {
	var b bytes.Buffer
	for _, i := range f.Items {
		b.Write(i.PEM())
	}
	return b.Bytes()
}

// PEM is the item; nothing for a private key.
func (i Item) PEM() []byte {
	switch {
	case i.Certificate != nil:
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.Certificate.Raw})
	case i.Request != nil:
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: i.Request.Raw})
	case i.CRL != nil:
		return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: i.CRL.Raw})
	}
	return nil
}

// JSONLine writes PEM as it stands in a JSON string, without the quotes: one line
// with \n for each end of a line, as HPE's page makes it with sed or awk.
func JSONLine(pem []byte) string { return strings.ReplaceAll(string(pem), "\n", `\n`) }

// Pair puts the certificate of the key first and the ones above it behind it, in
// the order of a handshake: ErrNotFound where none belongs to the key. Those that
// are not above it are left out.
func Pair(all []*x509.Certificate, key crypto.Signer) ([]*x509.Certificate, error) {
	at := slices.IndexFunc(all, func(c *x509.Certificate) bool { return belongs(c.PublicKey, key) })
	if at < 0 {
		return nil, fmt.Errorf("the certificate of the private key %w: another key's is there", ErrNotFound)
	}
	chain := []*x509.Certificate{all[at]}
	for top := all[at]; !selfIssued(top) && len(chain) < trust.MaxChain; {
		up := slices.IndexFunc(all, func(c *x509.Certificate) bool {
			return bytes.Equal(c.RawSubject, top.RawIssuer) && !slices.Contains(chain, c) && top.CheckSignatureFrom(c) == nil
		})
		if up < 0 {
			break
		}
		top = all[up]
		chain = append(chain, top)
	}
	return chain, nil
}

func selfIssued(c *x509.Certificate) bool { return bytes.Equal(c.RawSubject, c.RawIssuer) }
