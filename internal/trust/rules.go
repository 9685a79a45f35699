package trust

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"net/url"
	"slices"
	"time"
	"unicode/utf8"
)

// maxRSA is the longest RSA key that is worked with, as in crypto/tls: the time of
// a signature check grows with its square.
const maxRSA = 8192

// checkSent bounds what a peer has sent before any of it costs time.
func checkSent(chain []*x509.Certificate) error {
	if len(chain) == 0 || len(chain) > MaxChain {
		return fmt.Errorf("%w: %d certificates were sent, 1 to %d may be", ErrMalformed, len(chain), MaxChain)
	}
	size := 0
	for _, c := range chain {
		if c == nil || len(c.Raw) == 0 {
			return fmt.Errorf("%w: an empty one", ErrMalformed)
		}
		if key, ok := c.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() > maxRSA {
			return fmt.Errorf("%w: an RSA key of %d bits", ErrMalformed, key.N.BitLen())
		}
		size += len(c.Raw)
	}
	if size > MaxChainBytes {
		return fmt.Errorf("%w: %d bytes were sent, at most %d may be", ErrMalformed, size, MaxChainBytes)
	}
	return nil
}

func checkTime(c *x509.Certificate, now time.Time) error {
	if now.Before(c.NotBefore) {
		return fmt.Errorf("%w: %s begins at %s", ErrNotYetValid, describe(c), c.NotBefore.Format(time.RFC3339))
	}
	if now.After(c.NotAfter) {
		return fmt.Errorf("%w: %s ended at %s", ErrExpired, describe(c), c.NotAfter.Format(time.RFC3339))
	}
	return nil
}

// checkKey refuses a key that is too short. An Ed25519 key has one length.
func checkKey(c *x509.Certificate, minRSA int) error {
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		if n := key.N.BitLen(); n < minRSA {
			return fmt.Errorf("%w: %s has an RSA key of %d bits, at least %d are wanted", ErrWeakKey, describe(c), n, minRSA)
		}
	case *ecdsa.PublicKey:
		if n := key.Curve.Params().BitSize; n < MinEC {
			return fmt.Errorf("%w: %s has an EC key of %d bits, at least %d are wanted", ErrWeakKey, describe(c), n, MinEC)
		}
	case ed25519.PublicKey:
	default:
		return fmt.Errorf("%w: %s has a key of a kind that is not used for TLS", ErrWeakKey, describe(c))
	}
	return nil
}

// checkSignature refuses a signature over a hash for which somebody can make two
// texts. That of a trust anchor is not looked at: nothing depends on it.
func checkSignature(c *x509.Certificate) error {
	if weakAlgorithm(c.SignatureAlgorithm) {
		return fmt.Errorf("%w: %s is signed with %s", ErrWeakKey, describe(c), c.SignatureAlgorithm)
	}
	return nil
}

func weakAlgorithm(a x509.SignatureAlgorithm) bool {
	switch a {
	case x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.DSAWithSHA1, x509.DSAWithSHA256:
		return true
	}
	return false
}

// checkClient refuses a leaf that is an issuer, or that may not sign a handshake.
func checkClient(c *x509.Certificate) error {
	if c.IsCA {
		return fmt.Errorf("%w: %s is that of a CA", ErrUsage, describe(c))
	}
	if c.KeyUsage != 0 && c.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageKeyAgreement) == 0 {
		return fmt.Errorf("%w: the key usage of %s has neither digitalSignature nor keyAgreement", ErrUsage, describe(c))
	}
	return nil
}

// checkExtended refuses a certificate whose extended key usage lacks clientAuth.
// One without that extension is for anything.
func checkExtended(c *x509.Certificate) error {
	if len(c.ExtKeyUsage) == 0 && len(c.UnknownExtKeyUsage) == 0 ||
		slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageClientAuth) || slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny) {
		return nil
	}
	return fmt.Errorf("%w: the extended key usage of %s lacks clientAuth", ErrUsage, describe(c))
}

// CheckIssuer refuses what may not issue certificates, with ErrNotCA. One of X.509 v1 says
// nothing of it, so it never may: it would make every owner of such a certificate
// an issuer.
func CheckIssuer(c *x509.Certificate) error {
	switch {
	case c.Version < 3:
		return fmt.Errorf("%w: %s is X.509 v%d, only a v3 certificate can say that it is one", ErrNotCA, describe(c), c.Version)
	case !c.BasicConstraintsValid || !c.IsCA:
		return fmt.Errorf("%w: the basic constraints of %s do not say so", ErrNotCA, describe(c))
	case c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageCertSign == 0:
		return fmt.Errorf("%w: the key usage of %s lacks keyCertSign", ErrNotCA, describe(c))
	case len(c.UnhandledCriticalExtensions) > 0:
		return fmt.Errorf("%w: %s has the critical extension %s, which is not known here",
			ErrNotCA, describe(c), c.UnhandledCriticalExtensions[0])
	}
	return nil
}

// checkNew judges all of n but its certificate.
func checkNew(n NewCA) error {
	for i, text := range []string{n.Listener, n.Family, n.Name} {
		if len(text) > maxNameLen || !utf8.ValidString(text) || slices.ContainsFunc([]rune(text), isControl) {
			return fmt.Errorf("%w: the %s must be text of at most %d bytes",
				ErrSetting, []string{"listener", "family", "name"}[i], maxNameLen)
		}
	}
	switch n.OCSP {
	case OCSPOff, OCSPSoft, OCSPRequired:
	default:
		return fmt.Errorf("%w: an OCSP mode is %q, %q or empty", ErrSetting, OCSPSoft, OCSPRequired)
	}
	for _, u := range []string{n.CRLURL, n.OCSPURL} {
		if u != "" && !isWebURL(u) {
			return fmt.Errorf("%w: CRLs and OCSP responders have an http or https URL, without a password", ErrSetting)
		}
	}
	return nil
}

func isControl(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }

func isWebURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && len(s) <= maxURL && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil
}
