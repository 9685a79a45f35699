package certs_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/certs"
	"github.com/postern/postern/internal/trust"
)

// passphrase is that of every file in testdata.
const passphrase = "test pass é"

func answer(s string) certs.Ask {
	return func(string) (auth.Secret, error) { return auth.NewSecret(s), nil }
}

func load(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func parse(t testing.TB, data []byte) certs.File {
	t.Helper()
	f, err := certs.Parse(data, answer(passphrase))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// student is the key of every file, and the certificate of every one with one.
func student(t testing.TB) (crypto.Signer, *x509.Certificate) {
	t.Helper()
	key, err := parse(t, load(t, "plain-sec1.key")).Key()
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(load(t, "student.der"))
	if err != nil {
		t.Fatal(err)
	}
	return key, c
}

func TestParseKey(t *testing.T) {
	t.Parallel()
	want, _ := student(t)
	for _, name := range []string{
		"plain-pkcs8.key", "plain-pkcs8.der", "dek-aes256.key", "dek-des3.key",
		"pbes2-aes256.key", "pbes2-aes256.der", "pbes2-des3.key", "pbes2-sha512.key", "pbes2-scrypt.key",
		"pbes1-sha1-3des.key", "pbes1-md5-des.key", "pbes1-sha1-des.key",
		"modern.p12", "des3.p12", "rc2.p12", "empty.p12",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := load(t, name)
			got, err := parse(t, data).Key()
			if err != nil {
				t.Fatal(err)
			}
			if !got.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(want.Public()) {
				t.Errorf("another key than that of plain-sec1.key")
			}
			if strings.HasPrefix(name, "plain-") || name == "empty.p12" {
				return
			}
			if _, err := certs.Parse(data, answer("wrong")); !errors.Is(err, certs.ErrPassphrase) {
				t.Errorf("wrong passphrase: got %v, want ErrPassphrase", err)
			}
			if _, err := certs.Parse(data, nil); !errors.Is(err, certs.ErrNoPassphrase) {
				t.Errorf("nobody to ask: got %v, want ErrNoPassphrase", err)
			}
		})
	}
}

func TestParseKeyUnsupported(t *testing.T) {
	t.Parallel()
	for name, data := range map[string][]byte{
		"RC2":     load(t, "pbes1-sha1-rc2.key"),
		"OpenSSH": []byte("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"),
	} {
		_, err := certs.Parse(data, answer(passphrase))
		if !errors.Is(err, certs.ErrUnsupported) || !strings.Contains(err.Error(), "run ") {
			t.Errorf("%s: got %v, want ErrUnsupported with what to run", name, err)
		}
	}
}

func TestParseCertificate(t *testing.T) {
	t.Parallel()
	_, want := student(t)
	text := load(t, "student.pem")
	for name, data := range map[string][]byte{
		"PEM":                   text,
		"DER":                   load(t, "student.der"),
		"openssl ca with CR-LF": load(t, "student-dump-crlf.pem"),
		"openssl's trusted":     load(t, "student-trusted.pem"),
		"PKCS#12":               load(t, "modern.p12"),
		"PKCS#7":                load(t, "chain.p7b"),
		"PKCS#7 in DER":         load(t, "chain.der.p7b"),
		"CMS in BER":            load(t, "streamed.ber.p7"),
		"no final newline":      bytes.TrimSpace(text),
		"byte order mark":       append([]byte("\xEF\xBB\xBF"), text...),
		"PowerShell's UTF-16":   utf16le(text),
		"a line of sed":         []byte(strings.ReplaceAll(strings.TrimSpace(string(text)), "\n", `\n`)),
		"a line of awk":         []byte(certs.JSONLine(text)),
		"a line with CR-LF":     []byte(strings.ReplaceAll(string(text), "\n", `\r\n`)),
		"a JSON body":           []byte(`{"UserName": "student", "Fingerprint": "` + certs.JSONLine(text) + `"}`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all, err := parse(t, data).Certificates()
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(all, want.Equal) {
				t.Errorf("the certificate is not among the %d there", len(all))
			}
		})
	}
}

func TestParseTrustStore(t *testing.T) {
	t.Parallel()
	_, want := student(t)
	f, err := certs.Parse(load(t, "trust.p12"), answer("changeit"))
	if err != nil {
		t.Fatal(err)
	}
	if all, err := f.Certificates(); err != nil || len(all) != 1 || !all[0].Equal(want) {
		t.Errorf("got %d certificates, %v", len(all), err)
	}
}

func utf16le(text []byte) []byte {
	out := []byte{0xFF, 0xFE}
	for _, b := range text {
		out = append(out, b, 0)
	}
	return out
}

func TestParseMalformed(t *testing.T) {
	t.Parallel()
	text := string(load(t, "student.pem"))
	for _, test := range []struct {
		name string
		data []byte
		want error
		says string
	}{
		{"empty", nil, certs.ErrMalformed, "empty"},
		{"text", []byte("hello"), certs.ErrMalformed, "neither PEM nor DER"},
		{"web page", []byte("<!DOCTYPE html><title>403</title>"), certs.ErrMalformed, "web page"},
		{"java key store", []byte("\xFE\xED\xFE\xED\x00\x00\x00\x02"), certs.ErrMalformed, "keytool"},
		{"damaged base64", []byte(strings.Replace(text, "M", "!", 1)), certs.ErrMalformed, "damaged"},
		{"cut", []byte(text[:len(text)/2]), certs.ErrMalformed, "damaged"},
		{"DER cut", load(t, "student.der")[:200], certs.ErrMalformed, "certificate"},
		{"public key", []byte("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"), certs.ErrUnsupported, "PUBLIC KEY"},
		{"parameters", []byte("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"), certs.ErrMalformed, "parameters"},
		{"PKCS#12 without a key", load(t, "nokeys.p12"), certs.ErrMalformed, "openssl pkcs12"},
		{"large", make([]byte, certs.MaxFile+1), certs.ErrUnsupported, "bytes"},
		{"many", bytes.Repeat([]byte(text), 501), certs.ErrUnsupported, "500"},
	} {
		_, err := certs.Parse(test.data, answer(passphrase))
		if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: got %v, want %v that says %q", test.name, err, test.want, test.says)
		}
	}
}

func TestErrorsHideKeys(t *testing.T) {
	t.Parallel()
	block, _ := pem.Decode(load(t, "plain-sec1.key"))
	block.Bytes[len(block.Bytes)/2] ^= 0xFF
	block.Bytes = block.Bytes[:len(block.Bytes)-3]
	text := pem.EncodeToMemory(block)
	_, err := certs.Parse(text, nil)
	if !errors.Is(err, certs.ErrMalformed) {
		t.Fatalf("got %v, want ErrMalformed", err)
	}
	if len(err.Error()) > 40 {
		t.Errorf("the error says too much: %v", err)
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	for _, kind := range certs.KeyKinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			if testing.Short() && kind == certs.RSA4096 {
				t.Skip("takes seconds")
			}
			key, err := certs.NewKey(kind)
			if err != nil {
				t.Fatal(err)
			}
			for _, pass := range []auth.Secret{{}, auth.NewSecret(passphrase)} {
				text, err := certs.EncodeKey(key, pass)
				if err != nil {
					t.Fatal(err)
				}
				got, err := parse(t, []byte(text.Reveal())).Key()
				if err != nil {
					t.Fatal(err)
				}
				if !got.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(key.Public()) {
					t.Error("another key came back")
				}
			}
			if d := (certs.Item{Key: key}).Describe(time.Now()); d.Kind != "key" || d.PEM != "" || d.Key == "unknown" {
				t.Errorf("described as %+v", d)
			}
		})
	}
	if _, err := certs.NewKey("rsa1024"); !errors.Is(err, certs.ErrUnsupported) {
		t.Errorf("rsa1024: got %v, want ErrUnsupported", err)
	}
}

func TestPKCS12(t *testing.T) {
	t.Parallel()
	key, leaf := student(t)
	ca, err := parse(t, load(t, "ca.pem")).Certificates()
	if err != nil {
		t.Fatal(err)
	}
	for name, legacy := range map[string]bool{"modern": false, "legacy": true} {
		data, err := certs.EncodePKCS12(key, []*x509.Certificate{leaf, ca[0]}, auth.NewSecret(passphrase), legacy)
		if err != nil {
			t.Fatal(err)
		}
		f := parse(t, []byte(data.Reveal()))
		all, _ := f.Certificates()
		if _, err := f.Key(); err != nil || f.Form != "PKCS#12" || len(all) != 2 || !all[0].Equal(leaf) || !all[1].Equal(ca[0]) {
			t.Errorf("%s: got %s with %d certificates, %v", name, f.Form, len(all), err)
		}
	}
	if _, err := certs.EncodePKCS12(key, ca, auth.NewSecret("x"), false); !errors.Is(err, certs.ErrNotFound) {
		t.Errorf("a stranger's certificate: got %v, want ErrNotFound", err)
	}
}

func TestPair(t *testing.T) {
	t.Parallel()
	key, leaf := student(t)
	ca, _ := parse(t, load(t, "ca.pem")).Certificates()
	got, err := certs.Pair([]*x509.Certificate{ca[0], leaf}, key)
	if err != nil || len(got) != 2 || !got[0].Equal(leaf) || !got[1].Equal(ca[0]) {
		t.Errorf("got %d certificates, %v; want the leaf first", len(got), err)
	}
	if _, err := certs.Pair(ca, key); !errors.Is(err, certs.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	_, leaf := student(t)
	d := certs.Item{Certificate: leaf}.Describe(leaf.NotBefore.Add(time.Hour))
	fingerprint, err := trust.ParseFingerprint(d.Fingerprint)
	if err != nil || fingerprint != trust.FingerprintOf(leaf) {
		t.Errorf("fingerprint %s, %v", d.Fingerprint, err)
	}
	want := certs.Description{
		Kind: "certificate", Version: 3, Subject: d.Subject, Issuer: "CN=Test CA,O=Example,C=FR", Serial: "1000",
		Names: []string{"DNS:student.example.com", "IP:192.0.2.1", "email:student@example.com", "UPN:student@example.com"},
		Key:   "EC P-256", Signature: "ECDSA-SHA256", NotBefore: d.NotBefore, NotAfter: d.NotAfter, Role: "leaf",
		Uses: []string{"clientAuth"}, Fingerprint: d.Fingerprint, PEM: string(load(t, "student.pem")),
	}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if !strings.HasPrefix(d.Subject, "emailAddress=student@example.com,") {
		t.Errorf("subject %s", d.Subject)
	}
	if d := (certs.Item{Certificate: leaf}).Describe(leaf.NotAfter.Add(time.Hour)); len(d.Notes) != 1 || !strings.Contains(d.Notes[0], "expired") {
		t.Errorf("after its end: notes %q", d.Notes)
	}
}
