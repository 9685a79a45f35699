package serve

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/postern/postern/auth"
)

// parseServer checks that chain and key, both PEM, can be a server's now.
func parseServer(chain string, key auth.Secret, now time.Time) (*tls.Certificate, error) {
	cert, err := keyPair(chain, key)
	if err != nil {
		return nil, err
	}
	leaf := cert.Leaf
	switch {
	case now.After(leaf.NotAfter):
		return nil, badChain("pem", "the certificate expired on %s", leaf.NotAfter.UTC().Format(time.DateOnly))
	case now.Before(leaf.NotBefore):
		return nil, badChain("pem", "the certificate is not valid before %s", leaf.NotBefore.UTC().Format(time.DateTime))
	case len(leaf.ExtKeyUsage)+len(leaf.UnknownExtKeyUsage) > 0 &&
		!slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageServerAuth) && !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageAny):
		return nil, badChain("pem", "the certificate is not for servers")
	case leaf.KeyUsage != 0 && leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		return nil, badChain("pem", "the certificate's key may not sign, which a handshake needs") // RFC 8446, 4.4.2.2
	}
	return cert, nil
}

// keyPair joins a chain and its key.
func keyPair(chain string, key auth.Secret) (*tls.Certificate, error) {
	signer, err := parseKey(key)
	if err != nil {
		return nil, err
	}
	cert := &tls.Certificate{PrivateKey: signer}
	for rest := []byte(chain); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != certPEM || len(cert.Certificate) == maxChainCerts {
			return nil, badChain("pem", "that is no chain of at most %d certificates", maxChainCerts)
		}
		parsed, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, badChain("pem", "a certificate of the chain cannot be read: %v", err)
		}
		if cert.Leaf == nil {
			cert.Leaf = parsed
		}
		cert.Certificate = append(cert.Certificate, block.Bytes)
	}
	if cert.Leaf == nil {
		return nil, badChain("pem", "the text holds no certificate in PEM")
	}
	public, ok := cert.Leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(signer.Public()) {
		return nil, badChain("pem", "the first certificate and the private key do not belong together")
	}
	return cert, nil
}

// parseKey reads a private key in PEM: PKCS#8, PKCS#1 or SEC 1.
func parseKey(key auth.Secret) (crypto.Signer, error) {
	var block *pem.Block
	for rest := []byte(key.Reveal()); ; { // others may stand before it: a certificate, EC parameters
		if block, rest = pem.Decode(rest); block == nil || strings.HasSuffix(block.Type, keyPEM) {
			break
		}
	}
	if block == nil {
		return nil, badChain("key", "there is no private key in PEM")
	}
	if block.Headers["DEK-Info"] != "" || block.Type == "ENCRYPTED PRIVATE KEY" {
		return nil, badChain("key", "the private key is encrypted")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		if rsaKey, rsaErr := x509.ParsePKCS1PrivateKey(block.Bytes); rsaErr == nil {
			parsed, err = rsaKey, nil
		} else if ecKey, ecErr := x509.ParseECPrivateKey(block.Bytes); ecErr == nil {
			parsed, err = ecKey, nil
		}
	}
	if err != nil {
		return nil, badChain("key", "the private key cannot be read") // the error could quote it
	}
	signer, err := strong(parsed)
	if err != nil {
		return nil, badChain("key", "%v", err)
	}
	return signer, nil
}

// strong refuses keys that no client should take.
func strong(key any) (crypto.Signer, error) {
	switch k := key.(type) {
	case *rsa.PrivateKey:
		if n := k.N.BitLen(); n < minServerRSA || n > maxServerRSA {
			return nil, errors.New("an RSA key must have 2048 to 8192 bits")
		}
		return k, nil
	case *ecdsa.PrivateKey:
		if k.Curve.Params().BitSize < 256 {
			return nil, errors.New("an EC key must have at least 256 bits")
		}
		return k, nil
	case ed25519.PrivateKey:
		return k, nil
	}
	return nil, errors.New("the private key is neither RSA nor EC nor Ed25519")
}
