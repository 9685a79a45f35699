package trust_test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/postern/postern/internal/trust"
)

func TestParseCertificate(t *testing.T) {
	t.Parallel()
	self := plan{"ann", nil, asClient}.issue(t, nil)
	text := string(self.pem())
	crlf := strings.ReplaceAll(text, "\n", "\r\n")
	key, err := x509.MarshalPKCS8PrivateKey(self.key)
	must(t, err)
	keyPEM := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
	for _, c := range []struct {
		name string
		text string
		want error
	}{
		{"PEM", text, nil},
		{"no final line feed", strings.TrimSuffix(text, "\n"), nil},
		{"more line feeds", text + "\n\n", nil},
		{"CR-LF", crlf, nil},
		{"CR-LF and no end", strings.TrimSuffix(crlf, "\r\n"), nil},
		{"a dump before it", "Certificate:\n    Data:\n        Version: 3 (0x2)\n" + text, nil},
		{"text behind it", text + "that was it\n", nil},
		{"the older word", strings.ReplaceAll(text, " CERTIFICATE-", " X509 CERTIFICATE-"), nil},
		{"DER", string(self.Raw), nil},
		{"two", text + text, trust.ErrMalformed},
		{"DER and more", string(self.Raw) + "x", trust.ErrMalformed},
		{"truncated", text[:len(text)-60], trust.ErrMalformed},
		{"dots inside", text[:100] + "...\n" + text[200:], trust.ErrMalformed},
		{"one good and one truncated", text + text[:200], trust.ErrMalformed},
		{"escaped twice", strings.ReplaceAll(text, "\n", `\n`), trust.ErrMalformed},
		{"one line", strings.ReplaceAll(text, "\n", ""), trust.ErrMalformed},
		{"Base64 alone", base64.StdEncoding.EncodeToString(self.Raw), trust.ErrMalformed},
		{"empty", "", trust.ErrMalformed},
		{"blank", "\n\n", trust.ErrMalformed},
		{"another block", "-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY-----\n", trust.ErrMalformed},
		{"no certificate inside", "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", trust.ErrMalformed},
		{"too long", text + strings.Repeat("\n", trust.MaxText), trust.ErrMalformed},
		{"with its key", text + keyPEM, trust.ErrPrivateKey},
		{"behind its key", keyPEM + text, trust.ErrPrivateKey},
		{"a damaged key", text + "-----BEGIN RSA PRIVATE KEY-----\nxx", trust.ErrPrivateKey},
		{"a key in DER", string(key), trust.ErrPrivateKey},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := trust.ParseCertificate([]byte(c.text))
			wantErr(t, err, c.want)
			if c.want == nil && (err != nil || !got.Equal(self.Certificate)) {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

// TestOneByteChanged: a certificate with another signature is another one.
func TestOneByteChanged(t *testing.T) {
	t.Parallel()
	root := newCA(t, "root")
	self := root.client(t, "ann")
	der := bytes.Clone(self.Raw)
	der[len(der)-1] ^= 1
	changed, err := trust.ParseCertificate(der)
	must(t, err)
	if trust.FingerprintOf(changed) == trust.FingerprintOf(self.Certificate) {
		t.Error("the fingerprint is the same")
	}
	wantJudged(t, trusting(t, root), trust.ErrUntrusted, &entity{changed, nil})
}

func TestParseCertificates(t *testing.T) {
	t.Parallel()
	root := newCA(t, "root")
	sub := root.sub(t, "sub")
	all, err := trust.ParseCertificates(append(sub.pem(), root.pem()...))
	must(t, err)
	if len(all) != 2 || !all[0].Equal(sub.Certificate) || !all[1].Equal(root.Certificate) {
		t.Errorf("got %d certificates", len(all))
	}
	_, err = trust.ParseCertificates(bytes.Repeat(root.pem(), trust.MaxChain+1))
	wantErr(t, err, trust.ErrMalformed)
}

func FuzzParseCertificates(f *testing.F) {
	root := newCA(f, "root")
	f.Add(root.pem())
	f.Add(root.Raw)
	f.Add(append(root.pem(), root.sub(f, "sub").pem()...))
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----"))
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := trust.ParseCertificates(text)
		if err != nil {
			return
		}
		var again []byte
		for _, c := range all {
			again = append(again, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
			trust.CommonName(c)
			trust.UPN(c)
		}
		if len(again) > trust.MaxText {
			return
		}
		same, err := trust.ParseCertificates(again)
		if err != nil || len(same) != len(all) {
			t.Fatalf("%d certificates came back as %d, %v", len(all), len(same), err)
		}
		for i := range all {
			if !all[i].Equal(same[i]) {
				t.Errorf("certificate %d came back as another one", i)
			}
		}
	})
}

func FuzzUPNUser(f *testing.F) {
	f.Add("operator1@lab.example.net", "bmc7.lab.example.net")
	f.Add("a@b", "c.b")
	f.Fuzz(func(t *testing.T, upn, host string) {
		user := trust.UPNUser(upn, host)
		if user == "" {
			return
		}
		_, parent, _ := strings.Cut(host, ".")
		if !strings.EqualFold(upn, user+"@"+parent) || strings.Contains(user, "@") || !strings.Contains(host, ".") {
			t.Errorf("%q at %q is %q", upn, host, user)
		}
	})
}

func FuzzParseFingerprint(f *testing.F) {
	f.Add(strings.Repeat("a0", 32))
	f.Add(strings.Repeat("A0:", 31) + "00")
	f.Fuzz(func(t *testing.T, s string) {
		got, err := trust.ParseFingerprint(s)
		if err == nil && !strings.EqualFold(got.String(), strings.ReplaceAll(s, ":", "")) {
			t.Errorf("%q is %s", s, got)
		}
	})
}
