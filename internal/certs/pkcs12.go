package certs

import (
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"

	"software.sslmate.com/src/go-pkcs12"

	"github.com/postern/postern/auth"
)

// The work of a guess at the password of a file written here: the first takes a
// fifth of a second in all its places together, the second is OpenSSL's.
const (
	fileIterations   = 100_000
	legacyIterations = 2048
)

// EncodePKCS12 puts a key, its certificate and those above it into one file that
// OpenSSL since 1.1.1, curl, Java since 12 and Windows since 2019 read: AES-256 and
// SHA-256. legacy writes 3DES and SHA-1 instead, for older ones of these.
func EncodePKCS12(key crypto.Signer, chain []*x509.Certificate, password auth.Secret, legacy bool) (auth.Secret, error) {
	if len(chain) == 0 || !belongs(chain[0].PublicKey, key) {
		return auth.Secret{}, fmt.Errorf("the certificate of the private key %w", ErrNotFound)
	}
	encoder := pkcs12.Modern2023.WithIterations(fileIterations)
	if legacy {
		encoder = pkcs12.LegacyDES.WithIterations(legacyIterations)
	}
	data, err := encoder.Encode(key, chain[0], chain[1:], password.Reveal())
	if err != nil {
		return auth.Secret{}, err
	}
	return auth.NewSecret(string(data)), nil
}

// parsePKCS12 reads a PFX: errOtherForm where it is none. The password is asked for
// unless the empty one opens it.
func parsePKCS12(data []byte, f Ask) ([]Item, error) {
	if !isPKCS12(data) {
		var err error
		if data, err = toDER(data); err != nil || !isPKCS12(data) {
			return nil, errOtherForm
		}
	}
	if err := checkWork(data, 0, maxDepth); err != nil {
		return nil, err
	}
	items, err := openPKCS12(data, "")
	if !errors.Is(err, ErrPassphrase) {
		return items, err
	}
	pass, err := ask(f, "PKCS#12 file")
	if err != nil {
		return nil, err
	}
	return openPKCS12(data, pass.Reveal())
}

// isPKCS12 reports whether data is SEQUENCE { 3, SEQUENCE { OID data or signedData, ... } ... }.
func isPKCS12(data []byte) bool {
	var pfx struct {
		Version  int
		AuthSafe struct {
			Type    asn1.ObjectIdentifier
			Content asn1.RawValue `asn1:"optional"`
		}
		Mac asn1.RawValue `asn1:"optional"`
	}
	rest, err := asn1.Unmarshal(data, &pfx)
	return err == nil && len(rest) == 0 && pfx.Version == 3
}

func openPKCS12(data []byte, password string) ([]Item, error) {
	key, leaf, chain, err := pkcs12.DecodeChain(data, password)
	if err != nil {
		if items, ok := certificatesOnly(data, password); ok {
			return items, nil
		}
		return nil, pkcs12Error(err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("PKCS#12: a private key that cannot sign %w", ErrUnsupported)
	}
	items := []Item{{Key: signer}, {Certificate: leaf}}
	for _, c := range chain {
		items = append(items, Item{Certificate: c})
	}
	return items, nil
}

// certificatesOnly reads a trust store of Java. The library reads no other files
// without a key, such as those of openssl pkcs12 -export -nokeys.
func certificatesOnly(data []byte, password string) ([]Item, bool) {
	all, err := pkcs12.DecodeTrustStore(data, password)
	if err != nil {
		return nil, false
	}
	var items []Item
	for _, c := range all {
		items = append(items, Item{Certificate: c})
	}
	return items, len(items) > 0
}

// pkcs12Error is err in our words.
func pkcs12Error(err error) error {
	const cure = "run openssl pkcs12 -in FILE -out ALL.pem, which can read more"
	_, unknown := errors.AsType[pkcs12.NotImplementedError](err)
	switch {
	case errors.Is(err, pkcs12.ErrIncorrectPassword), errors.Is(err, pkcs12.ErrDecryption):
		return ErrPassphrase
	case unknown:
		return fmt.Errorf("the PKCS#12 file %w: %v: %s", ErrUnsupported, err, cure)
	}
	return fmt.Errorf("the PKCS#12 file %w: %v: %s", ErrMalformed, err, cure)
}
