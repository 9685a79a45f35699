package certs

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/md5"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"hash"

	"golang.org/x/crypto/scrypt"
)

// An encryptedKey is an EncryptedPrivateKeyInfo (RFC 5958, 3).
type encryptedKey struct {
	Algorithm pkix.AlgorithmIdentifier
	Data      []byte
}

// Parameters of the schemes (RFC 8018, appendix A; RFC 7914, 7).
type (
	pbeParams struct {
		Salt       []byte
		Iterations int
	}
	pbes2Params struct {
		KDF    pkix.AlgorithmIdentifier
		Cipher pkix.AlgorithmIdentifier
	}
	pbkdf2Params struct {
		Salt       []byte
		Iterations int
		KeyLength  int                      `asn1:"optional"` // the JDK writes it
		PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
	}
	scryptParams struct {
		Salt      []byte
		N, R, P   int
		KeyLength int `asn1:"optional"`
	}
)

// What encrypts keys, by RFC 8018, RFC 7914, RFC 7292 and RFC 3565.
var (
	oidPBES2       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidScrypt      = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11591, 4, 11}
	oidMD5DES      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 3}
	oidSHA1DES     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 10}
	oidSHA1DES3    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 3}
	oidAES256CBC   = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}
	oidHMACSHA256  = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}
	nullParameters = asn1.NullRawValue
)

// prfs are the hashes of PBKDF2's HMAC, ciphers those of PBES2.
var (
	prfs = map[string]func() hash.Hash{
		"":                       sha1.New, // the default
		"1.2.840.113549.2.7":     sha1.New,
		"1.2.840.113549.2.8":     sha256.New224,
		oidHMACSHA256.String():   sha256.New,
		"1.2.840.113549.2.10":    sha512.New384,
		"1.2.840.113549.2.11":    sha512.New,
		"1.2.840.113549.2.13":    sha512.New512_256,
		"2.16.840.1.101.3.4.2.1": sha256.New, // observed: some write the hash for its HMAC
	}
	ciphers = map[string]struct {
		keyLen int
		make   func(key []byte) (cipher.Block, error)
	}{
		"1.2.840.113549.3.7":      {24, des.NewTripleDESCipher},
		"2.16.840.1.101.3.4.1.2":  {16, aes.NewCipher},
		"2.16.840.1.101.3.4.1.22": {24, aes.NewCipher},
		oidAES256CBC.String():     {32, aes.NewCipher},
	}
)

// keyIterations is the work of a guess at a passphrase of a key written here:
// OWASP's figure of 2023 for PBKDF2 with SHA-256, about a fifth of a second.
const keyIterations = 600_000

// encryptKey returns an EncryptedPrivateKeyInfo: PBES2 with PBKDF2, HMAC-SHA-256
// and AES-256, which OpenSSL since 1.0, the JDK since 8 and Go's libraries read.
func encryptKey(der, pass []byte) ([]byte, error) {
	salt, iv := make([]byte, 16), make([]byte, aes.BlockSize)
	rand.Read(salt) // never fails
	rand.Read(iv)
	key, err := pbkdf2.Key(sha256.New, string(pass), salt, keyIterations, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	pad := aes.BlockSize - len(der)%aes.BlockSize
	data := append(bytes.Clone(der), bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(data, data)

	kdf, err := asn1.Marshal(pbkdf2Params{Salt: salt, Iterations: keyIterations,
		PRF: pkix.AlgorithmIdentifier{Algorithm: oidHMACSHA256, Parameters: nullParameters}})
	if err != nil {
		return nil, err
	}
	ivDER, err := asn1.Marshal(iv)
	if err != nil {
		return nil, err
	}
	params, err := asn1.Marshal(pbes2Params{
		KDF:    pkix.AlgorithmIdentifier{Algorithm: oidPBKDF2, Parameters: asn1.RawValue{FullBytes: kdf}},
		Cipher: pkix.AlgorithmIdentifier{Algorithm: oidAES256CBC, Parameters: asn1.RawValue{FullBytes: ivDER}},
	})
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(encryptedKey{
		Algorithm: pkix.AlgorithmIdentifier{Algorithm: oidPBES2, Parameters: asn1.RawValue{FullBytes: params}},
		Data:      data,
	})
}

// isEncryptedKey reports whether der has the form of an EncryptedPrivateKeyInfo.
func isEncryptedKey(der []byte) bool {
	var e encryptedKey
	rest, err := asn1.Unmarshal(der, &e)
	return err == nil && len(rest) == 0
}

// openKey reads an EncryptedPrivateKeyInfo.
func openKey(der []byte, f Ask) (crypto.Signer, error) {
	var e encryptedKey
	if rest, err := asn1.Unmarshal(der, &e); err != nil || len(rest) != 0 {
		return nil, fmt.Errorf("an encrypted private key %w", ErrMalformed)
	}
	s, err := schemeOf(e.Algorithm)
	if err != nil {
		return nil, err
	}
	pass, err := ask(f, "private key")
	if err != nil {
		return nil, err
	}
	plain, err := s.open([]byte(pass.Reveal()), e.Data)
	if err != nil {
		return nil, err
	}
	key, err := parseKeyDER(plain)
	if err != nil { // one wrong passphrase of 256 leaves what looks like a padding
		return nil, ErrPassphrase
	}
	return key, nil
}

// A scheme turns a passphrase into a cipher and its initialization vector; it has
// been checked to be no more work than may be.
type scheme func(pass []byte) (cipher.Block, []byte, error)

func (s scheme) open(pass, data []byte) ([]byte, error) {
	block, iv, err := s(pass)
	if err != nil {
		return nil, err
	}
	n := block.BlockSize()
	if len(data) == 0 || len(data)%n != 0 || len(iv) != n {
		return nil, fmt.Errorf("an encrypted private key %w", ErrMalformed)
	}
	plain := make([]byte, len(data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, data)
	pad := int(plain[len(plain)-1])
	if pad == 0 || pad > n || !bytes.Equal(plain[len(plain)-pad:], bytes.Repeat([]byte{byte(pad)}, pad)) {
		return nil, ErrPassphrase
	}
	return plain[:len(plain)-pad], nil
}

func schemeOf(a pkix.AlgorithmIdentifier) (scheme, error) {
	if a.Algorithm.Equal(oidPBES2) {
		return pbes2(a.Parameters.FullBytes)
	}
	var derive func(p pbeParams, pass []byte) (cipher.Block, []byte, error)
	switch {
	case a.Algorithm.Equal(oidMD5DES):
		derive = pbes1(md5.New)
	case a.Algorithm.Equal(oidSHA1DES):
		derive = pbes1(sha1.New)
	case a.Algorithm.Equal(oidSHA1DES3):
		derive = pkcs12DES3
	default:
		return nil, fmt.Errorf("a private key encrypted with %v %w: run openssl pkcs8 -topk8 -in KEY -out NEWKEY (with -provider legacy -provider default for RC2 and RC4)",
			a.Algorithm, ErrUnsupported)
	}
	var p pbeParams
	if err := params(a.Parameters.FullBytes, &p); err != nil {
		return nil, err
	}
	if err := checkIterations(p.Iterations); err != nil {
		return nil, err
	}
	return func(pass []byte) (cipher.Block, []byte, error) { return derive(p, pass) }, nil
}

func params(der []byte, out any) error {
	if rest, err := asn1.Unmarshal(der, out); err != nil || len(rest) != 0 {
		return fmt.Errorf("the encryption of a private key %w", ErrMalformed)
	}
	return nil
}

func checkIterations(n int) error {
	if n < 1 || n > maxIterations {
		return fmt.Errorf("a file that asks for %d iterations of a passphrase's hash %w: 1 to %d may be", n, ErrUnsupported, maxIterations)
	}
	return nil
}

func pbes2(der []byte) (scheme, error) {
	var p pbes2Params
	if err := params(der, &p); err != nil {
		return nil, err
	}
	c, ok := ciphers[p.Cipher.Algorithm.String()]
	if !ok {
		return nil, fmt.Errorf("a private key encrypted with the cipher %v %w: run openssl pkcs8 -topk8 -in KEY -out NEWKEY", p.Cipher.Algorithm, ErrUnsupported)
	}
	var iv []byte
	if err := params(p.Cipher.Parameters.FullBytes, &iv); err != nil {
		return nil, err
	}
	derive, err := kdf(p.KDF, c.keyLen)
	if err != nil {
		return nil, err
	}
	return func(pass []byte) (cipher.Block, []byte, error) {
		key, err := derive(pass)
		if err != nil {
			return nil, nil, fmt.Errorf("a passphrase's hash %w: %v", ErrUnsupported, err)
		}
		block, err := c.make(key)
		return block, iv, err
	}, nil
}

// kdf returns what makes a key of a passphrase.
func kdf(a pkix.AlgorithmIdentifier, keyLen int) (func(pass []byte) ([]byte, error), error) {
	switch {
	case a.Algorithm.Equal(oidPBKDF2):
		var p pbkdf2Params
		if err := params(a.Parameters.FullBytes, &p); err != nil {
			return nil, err
		}
		prf, ok := prfs[p.PRF.Algorithm.String()]
		if !ok {
			return nil, fmt.Errorf("a passphrase's hash %v %w", p.PRF.Algorithm, ErrUnsupported)
		}
		return func(pass []byte) ([]byte, error) {
			return pbkdf2.Key(prf, string(pass), p.Salt, p.Iterations, keyLen)
		}, checkIterations(p.Iterations)
	case a.Algorithm.Equal(oidScrypt):
		var p scryptParams
		if err := params(a.Parameters.FullBytes, &p); err != nil {
			return nil, err
		}
		return func(pass []byte) ([]byte, error) {
			return scrypt.Key(pass, p.Salt, p.N, p.R, p.P, keyLen)
		}, checkScrypt(p)
	}
	return nil, fmt.Errorf("a passphrase's hash %v %w", a.Algorithm, ErrUnsupported)
}

// checkScrypt bounds memory, 128 N r bytes, and time, which is p times that.
func checkScrypt(p scryptParams) error {
	const most = maxScrypt / 128
	if p.N < 2 || p.R < 1 || p.P < 1 || p.N > most || p.R > most/p.N || p.P > 16 {
		return fmt.Errorf("scrypt with N=%d r=%d p=%d %w", p.N, p.R, p.P, ErrUnsupported)
	}
	return nil
}

// pbes1 is RFC 8018, 6.1: what OpenSSL before 1.1 wrote. DES with its 56 bits is
// no protection, but the key behind it may still be in use.
func pbes1(h func() hash.Hash) func(p pbeParams, pass []byte) (cipher.Block, []byte, error) {
	return func(p pbeParams, pass []byte) (cipher.Block, []byte, error) {
		d := append(bytes.Clone(pass), p.Salt...)
		for range p.Iterations {
			sum := h()
			sum.Write(d)
			d = sum.Sum(d[:0])
		}
		block, err := des.NewCipher(d[:8])
		return block, d[8:16], err
	}
}
