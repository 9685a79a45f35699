package admin

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
)

// Describe returns what may be shown of a certificate: everything that it says
// itself. The id is its fingerprint.
func Describe(c *x509.Certificate) Certificate {
	sum := sha256.Sum256(c.Raw)
	fingerprint := hex.EncodeToString(sum[:])
	return Certificate{
		ID: fingerprint, Fingerprint: fingerprint,
		PEM:     string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})),
		Subject: c.Subject.String(), Issuer: c.Issuer.String(),
		NotBefore: c.NotBefore, NotAfter: c.NotAfter,
	}
}
