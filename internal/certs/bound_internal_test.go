package certs

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/postern/postern/auth"
)

// A file must not make its reader work for hours before it knows the passphrase.
func TestBounds(t *testing.T) {
	t.Parallel()
	asked := func(string) (auth.Secret, error) {
		t.Error("asked for the passphrase of a file that asks for too much work")
		return auth.NewSecret("x"), nil
	}
	der := func(v any) []byte {
		b, err := asn1.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	type algorithm struct {
		OID    asn1.ObjectIdentifier
		Params asn1.RawValue
	}
	raw := func(v any) asn1.RawValue { return asn1.RawValue{FullBytes: der(v)} }
	salt, many := make([]byte, 8), maxIterations+1
	aes := algorithm{oidAES256CBC, raw(make([]byte, 16))}
	key := func(a algorithm) []byte {
		return der(struct {
			A    algorithm
			Data []byte
		}{a, make([]byte, 16)})
	}
	scrypt := func(n, r, p int) []byte {
		return key(algorithm{oidPBES2, raw([]algorithm{{oidScrypt, raw(scryptParams{Salt: salt, N: n, R: r, P: p})}, aes})})
	}
	pbkdf2 := func(n int) []byte {
		return key(algorithm{oidPBES2, raw([]algorithm{{oidPBKDF2, raw(struct {
			S []byte
			N int
		}{salt, n})}, aes})})
	}
	data := asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	pfx := der(struct {
		Version  int
		AuthSafe struct {
			OID     asn1.ObjectIdentifier
			Content []byte `asn1:"explicit,tag:0"`
		}
		Mac struct {
			Digest algorithmAndDigest
			Salt   []byte
			N      int
		}
	}{3, struct {
		OID     asn1.ObjectIdentifier
		Content []byte `asn1:"explicit,tag:0"`
	}{data, nil}, struct {
		Digest algorithmAndDigest
		Salt   []byte
		N      int
	}{algorithmAndDigest{OID: []asn1.ObjectIdentifier{{1, 3, 14, 3, 2, 26}}}, salt, many}})
	for name, file := range map[string][]byte{
		"PBKDF2":            pbkdf2(many),
		"PBKDF2 negative":   pbkdf2(-1),
		"PBES1":             key(algorithm{oidSHA1DES3, raw(pbeParams{salt, many})}),
		"scrypt's memory":   scrypt(1<<20, 1024, 1),
		"scrypt's overflow": scrypt(1<<62, 1<<62, 1),
		"scrypt's time":     scrypt(1<<14, 8, 1<<20),
		"PKCS#12":           pfx,
	} {
		if _, err := Parse(file, asked); !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: got %v, want ErrUnsupported", name, err)
		}
	}
	// What is malformed inside must not panic: a cipher's block mode does for lengths.
	bad := algorithm{oidPBES2, raw([]algorithm{{oidPBKDF2, raw(pbeParams{salt, 1})}, {oidAES256CBC, raw(make([]byte, 5))}})}
	if _, err := Parse(key(bad), func(string) (auth.Secret, error) { return auth.NewSecret("x"), nil }); !errors.Is(err, ErrMalformed) {
		t.Errorf("an initialization vector of 5 bytes: got %v, want ErrMalformed", err)
	}
}

type algorithmAndDigest struct {
	OID    []asn1.ObjectIdentifier
	Digest []byte
}

func TestToDER(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, ber, want string }{
		{"DER", "\x30\x03\x02\x01\x05", "\x30\x03\x02\x01\x05"},
		{"indefinite", "\x30\x80\x02\x01\x05\x00\x00", "\x30\x03\x02\x01\x05"},
		{"nested", "\x30\x80\x30\x80\x02\x01\x05\x00\x00\x02\x01\x06\x00\x00", "\x30\x08\x30\x03\x02\x01\x05\x02\x01\x06"},
		{"long length", "\x30\x81\x03\x02\x01\x05", "\x30\x03\x02\x01\x05"},
		{"pieces", "\x24\x80\x04\x01a\x04\x02bc\x00\x00", "\x04\x03abc"},
		{"pieces of pieces", "\x24\x80\x24\x06\x04\x01a\x04\x01b\x04\x01c\x00\x00", "\x04\x03abc"},
		{"implicit pieces", "\x30\x80\x06\x01\x2a\x30\x00\xa0\x80\x04\x01a\x04\x01b\x00\x00\x00\x00", "\x30\x09\x06\x01\x2a\x30\x00\x80\x02ab"},
		{"explicit one", "\x30\x80\x06\x01\x2a\xa0\x80\x04\x01a\x00\x00\x00\x00", "\x30\x08\x06\x01\x2a\xa0\x03\x04\x01a"},
		{"no end", "\x30\x80\x02\x01\x05", ""},
		{"primitive without length", "\x04\x80\x00\x00", ""},
		{"deep", strings.Repeat("\x30\x80", maxDepth+1) + strings.Repeat("\x00\x00", maxDepth+1), ""},
		{"trailing", "\x30\x00\x00", ""},
		{"cut", "\x30\x05\x02", ""},
		{"length of five bytes", "\x30\x85\x00\x00\x00\x00\x00", ""},
		{"empty", "", ""},
	} {
		got, err := toDER([]byte(test.ber))
		if string(got) != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%s: got %x, %v, want %x", test.name, got, err, test.want)
		}
	}
}

// One wrong passphrase of 256 leaves what looks like a padding, and is as wrong as
// the others.
func TestPadding(t *testing.T) {
	t.Parallel()
	p, err := asn1.Marshal(pbeParams{make([]byte, 8), 1})
	if err != nil {
		t.Fatal(err)
	}
	file, err := asn1.Marshal(encryptedKey{
		Algorithm: pkix.AlgorithmIdentifier{Algorithm: oidMD5DES, Parameters: asn1.RawValue{FullBytes: p}}, Data: make([]byte, 64),
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3000 {
		_, err := Parse(file, func(string) (auth.Secret, error) { return auth.NewSecret(strconv.Itoa(i)), nil })
		if !errors.Is(err, ErrPassphrase) {
			t.Fatalf("passphrase %d: got %v, want ErrPassphrase", i, err)
		}
	}
}
