package trust_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/postern/postern/internal/trust"
)

func TestCommonName(t *testing.T) {
	t.Parallel()
	names := func(cn ...string) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			c.Subject = pkix.Name{Organization: []string{"Lab"}}
			for _, n := range cn {
				c.Subject.ExtraNames = append(c.Subject.ExtraNames, pkix.AttributeTypeAndValue{Type: []int{2, 5, 4, 3}, Value: n})
			}
		}
	}
	for _, c := range []struct {
		name string
		cn   []string
		want string
	}{
		{"one", []string{"operator1"}, "operator1"},
		{"a trailing blank stays", []string{"operator1 "}, "operator1 "},
		{"case stays", []string{"Operator1"}, "Operator1"},
		{"none", nil, ""},
		{"empty", []string{""}, ""},
		{"two", []string{"operator1", "admin"}, ""},
		{"the same twice", []string{"operator1", "operator1"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := trust.CommonName(plan{"", nil, names(c.cn...)}.issue(t, nil).Certificate)
			if got != c.want || (err != nil) != (c.want == "") || err != nil && !errors.Is(err, trust.ErrNoName) {
				t.Errorf("got %q, %v, want %q", got, err, c.want)
			}
		})
	}
}

func TestUPN(t *testing.T) {
	t.Parallel()
	vector := hex.EncodeToString(upnVector(t))
	one := vector[4:]
	email := "8113" + hex.EncodeToString([]byte("student@example.com"))
	for _, c := range []struct {
		name string
		san  string // hex; "" = no extension
		want string
	}{
		{"the vector", vector, "operator1@lab.example.net"},
		{"after an address", "3040" + email + one, "operator1@lab.example.net"},
		{"another kind of otherName first", "3033" + "a006" + "06022a03" + "a000" + one, "operator1@lab.example.net"},
		{"no extension", "", ""},
		{"addresses alone", "3015" + email, ""},
		{"two", "3056" + one + one, ""},
		{"an IA5String", strings.Replace(vector, "a01b0c19", "a01b1619", 1), ""},
		{"not UTF-8", strings.Replace(vector, "6f70", "ffff", 1), ""},
		{"two texts", "3018a016060a2b060104018237140203a0080c02616f0c02616f", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			leaf := plan{"a", nil, func(x *x509.Certificate) {
				if c.san == "" {
					return
				}
				der, err := hex.DecodeString(c.san)
				must(t, err)
				x.ExtraExtensions = []pkix.Extension{{Id: []int{2, 5, 29, 17}, Value: der}}
			}}.issue(t, nil)
			got, err := trust.UPN(leaf.Certificate)
			if got != c.want || (err != nil) != (c.want == "") || err != nil && !errors.Is(err, trust.ErrNoName) {
				t.Errorf("got %q, %v, want %q", got, err, c.want)
			}
		})
	}
}

func TestUPNUser(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ upn, host, want string }{
		{"operator1@lab.example.net", "bmc7.lab.example.net", "operator1"},
		{"operator1@LAB.Example.NET", "bmc7.lab.example.net", "operator1"},
		{"operator1@lab.example.net", "BMC7.Lab.Example.net", "operator1"},
		{"operator1@lab.example.net", "lab.example.net", ""},
		{"operator1@bmc7.lab.example.net", "lab.example.net", ""},
		{"operator1@bmc7.lab.example.net", "bmc7.lab.example.net", ""},
		{"operator1@net", "bmc7.lab.example.net", ""},
		{"operator1@example.net", "bmc7.lab.example.net", ""},
		{"operator1@example.org", "bmc7.lab.example.net", ""},
		{"operator1@b.example.net", "bmc7.lab.example.net", ""},
		{"operator1", "bmc7", ""},
		{"operator1@", "bmc7", ""},
		{"operator1@", "bmc7.", ""},
		{"operator1@bmc7", "bmc7", ""},
		{"operator1@bmc7.bmc7", "bmc7", ""},
		{"@bmc7", "bmc7", ""},
		{"@example.net", "bmc7.example.net", ""},
		{"a@b@bmc7", "bmc7", ""},
		{"a@b@example.net", "bmc7.example.net", ""},
		{"operator1@example.net.", "bmc7.example.net", ""},
		{"operator1@example.net.", "bmc7.example.net.", ""},
		{"operator1@.example.net", "bmc7..example.net", ""},
		{"operator1@\u212aeys.net", "bmc7.keys.net", ""}, // the Kelvin sign
		{"operator1@0.0.7", "10.0.0.7", ""},
		{"operator1@lab", "", ""},
		{"", "", ""},
	} {
		if got := trust.UPNUser(c.upn, c.host); got != c.want {
			t.Errorf("%q at %q: got %q, want %q", c.upn, c.host, got, c.want)
		}
	}
}

func TestFingerprint(t *testing.T) {
	t.Parallel()
	const plain = "e4b3007010d46bc845976553a19fe040c51b912ed4ff4d2a62fd683e1631c45a"
	colons := "E4:B3:00:70:10:D4:6B:C8:45:97:65:53:A1:9F:E0:40:C5:1B:91:2E:D4:FF:4D:2A:62:FD:68:3E:16:31:C4:5A"
	for _, s := range []string{plain, strings.ToUpper(plain), colons, strings.ToLower(colons)} {
		f, err := trust.ParseFingerprint(s)
		if err != nil || f.String() != plain {
			t.Errorf("%q: got %s, %v", s, f, err)
		}
	}
	for _, s := range []string{"", plain[1:], plain + "0", plain + "00", "x" + plain[1:], colons[1:], colons + ":",
		strings.Replace(colons, "E4:B3", "E4B:3", 1), strings.ReplaceAll(colons, ":", " "), plain[:40]} {
		_, err := trust.ParseFingerprint(s)
		wantErr(t, err, trust.ErrMalformed)
	}
}
