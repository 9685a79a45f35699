package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/postern/postern/auth"
)

// A KeyKind names an algorithm and a size.
type KeyKind string

// The kinds of keys. Every TLS stack of today reads P256; devices that ask for
// more than 2048 bits of RSA say so.
const (
	RSA2048 KeyKind = "rsa2048"
	RSA3072 KeyKind = "rsa3072"
	RSA4096 KeyKind = "rsa4096"
	P256    KeyKind = "p256"
	P384    KeyKind = "p384"
	Ed25519 KeyKind = "ed25519"
)

// KeyKinds are all of them.
var KeyKinds = []KeyKind{P256, P384, RSA2048, RSA3072, RSA4096, Ed25519}

// NewKey makes a key: ErrUnsupported where the kind is none.
func NewKey(kind KeyKind) (crypto.Signer, error) {
	switch kind {
	case RSA2048:
		return rsa.GenerateKey(rand.Reader, 2048)
	case RSA3072:
		return rsa.GenerateKey(rand.Reader, 3072)
	case RSA4096:
		return rsa.GenerateKey(rand.Reader, 4096)
	case P256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case P384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case Ed25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return nil, fmt.Errorf("a key of the kind %q %w", kind, ErrUnsupported)
}

// EncodeKey returns a key as PKCS#8 in PEM, encrypted unless the passphrase is
// the zero Secret.
func EncodeKey(key crypto.Signer, passphrase auth.Secret) (auth.Secret, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return auth.Secret{}, err
	}
	kind := "PRIVATE KEY"
	if !passphrase.IsZero() {
		kind = "ENCRYPTED PRIVATE KEY"
		if der, err = encryptKey(der, []byte(passphrase.Reveal())); err != nil {
			return auth.Secret{}, err
		}
	}
	return auth.NewSecret(string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))), nil
}

// DescribeKey says algorithm and size of a public key as people do: "RSA 2048
// bits", "EC P-256", "Ed25519".
func DescribeKey(public crypto.PublicKey) string {
	switch k := public.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d bits", k.N.BitLen())
	case *ecdsa.PublicKey:
		return "EC " + k.Curve.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return "unknown"
}

// keyBits is the size of a public key, 0 where it is of no known kind.
func keyBits(public crypto.PublicKey) int {
	switch k := public.(type) {
	case *rsa.PublicKey:
		return k.N.BitLen()
	case *ecdsa.PublicKey:
		return k.Curve.Params().BitSize
	case ed25519.PublicKey:
		return 256
	}
	return 0
}

// checkKey refuses keys that nobody should certify.
func checkKey(public crypto.PublicKey) error {
	switch k := public.(type) {
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n < MinRSA || n > maxRSA {
			return fmt.Errorf("%w: an RSA key has %d to %d bits, not %d", ErrIssue, MinRSA, maxRSA, n)
		}
	case *ecdsa.PublicKey:
		if n := k.Curve.Params().BitSize; n < MinEC {
			return fmt.Errorf("%w: an EC key has %d bits at least, not %d", ErrIssue, MinEC, n)
		}
	case ed25519.PublicKey:
	default:
		return fmt.Errorf("%w: a key is RSA, EC or Ed25519", ErrIssue)
	}
	return nil
}

// belongs reports whether key is the private one of public.
func belongs(public crypto.PublicKey, key crypto.Signer) bool {
	p, ok := public.(interface{ Equal(crypto.PublicKey) bool })
	return ok && p.Equal(key.Public())
}

// parseKeyDER reads a private key that is not encrypted: PKCS#8, PKCS#1 or SEC 1.
// The errors of crypto/x509 stay inside, they may quote it.
func parseKeyDER(der []byte) (crypto.Signer, error) {
	if len(der) > maxKey {
		return nil, fmt.Errorf("a private key of more than %d bytes %w", maxKey, ErrUnsupported)
	}
	var key any
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		key, err = x509.ParsePKCS1PrivateKey(der)
	}
	if err != nil {
		key, err = x509.ParseECPrivateKey(der)
	}
	if err != nil {
		return nil, fmt.Errorf("a private key %w", ErrMalformed)
	}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		return k, nil
	case *ecdsa.PrivateKey:
		return k, nil
	case ed25519.PrivateKey:
		return k, nil
	}
	return nil, fmt.Errorf("a private key that is neither RSA nor EC nor Ed25519 %w", ErrUnsupported)
}

// parseKeyBlock reads a private key in PEM, encrypted or not.
func parseKeyBlock(b *pem.Block, f Ask) (crypto.Signer, error) {
	switch {
	case b.Type == "OPENSSH PRIVATE KEY":
		return nil, fmt.Errorf("an OpenSSH key %w: copy it, and run ssh-keygen -p -m PKCS8 -f COPY", ErrUnsupported)
	case b.Type == "ENCRYPTED PRIVATE KEY":
		return openKey(b.Bytes, f)
	case b.Headers["DEK-Info"] == "":
		return parseKeyDER(b.Bytes)
	}
	pass, err := ask(f, "private key")
	if err != nil {
		return nil, err
	}
	//lint:ignore SA1019 the form has no integrity, but OpenSSL before 3.0 and -traditional write it
	der, err := x509.DecryptPEMBlock(b, []byte(pass.Reveal()))
	if err != nil {
		if errors.Is(err, x509.IncorrectPasswordError) {
			return nil, ErrPassphrase
		}
		return nil, fmt.Errorf("an encrypted private key %w: %v", ErrMalformed, err)
	}
	key, err := parseKeyDER(der)
	if err != nil { // one wrong passphrase of 256 leaves what looks like a padding
		return nil, ErrPassphrase
	}
	return key, nil
}
