package target

import (
	"strings"
	"testing"
	"time"

	"github.com/postern/postern/auth"
)

func valid() Target {
	return Target{Name: "bmc1", Family: "redfish", URL: "https://10.0.0.7", Account: "postern", Source: "env:PW"}
}

func TestCanonicalURL(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want, err string }{
		{"https://10.0.0.7", "https://10.0.0.7", ""},
		{"https://10.0.0.7/", "https://10.0.0.7", ""},
		{"HTTPS://BMC1.Example:443/", "https://bmc1.example", ""},
		{"https://bmc1:08443", "https://bmc1:8443", ""},
		{"https://[2001:DB8::1]", "https://[2001:db8::1]", ""},
		{"https://[2001:db8:0:0::1]:8443/", "https://[2001:db8::1]:8443", ""},
		{"https://[fe80::1%25eth0]:8443", "https://[fe80::1%25eth0]:8443", ""},
		{"https://bmc_1", "https://bmc_1", ""},

		{"", "", "must begin with https://"},
		{"10.0.0.7", "", "must begin with https://"},
		{"http://10.0.0.7", "", "must begin with https://"},
		{"https:10.0.0.7", "", "cannot be read"},
		{"https://", "", "neither a host name nor an address"},
		{"https://:443", "", "neither a host name nor an address"},
		{"https://user:pa55word@bmc1", "", "a user or a password"},
		{"https://user@bmc1", "", "a user or a password"},
		{"https://bmc1/redfish", "", "more than a host"},
		{"https://bmc1//", "", "more than a host"},
		{"https://bmc1?", "", "more than a host"},
		{"https://bmc1?a", "", "more than a host"},
		{"https://bmc1#", "", "more than a host"},
		{"https://bmc1:", "", "no port"},
		{"https://bmc1:0", "", "not a port"},
		{"https://bmc1:65536", "", "not a port"},
		{"https://bmc1:x", "", "cannot be read"},
		{"https://bmc 1", "", "cannot be read"},
		{"https://-bmc", "", "neither a host name nor an address"},
		{"https://*.bmc", "", "neither a host name nor an address"},
		{"https://b\u00fccher", "", "neither a host name nor an address"},
		{"https://bmc1\n", "", "cannot be printed"},
		{"https://" + strings.Repeat("a", 2000), "", "longer than"},
	} {
		got, err := CanonicalURL(c.in)
		if got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%q: got %q, %v; want %q, %q", c.in, got, err, c.want, c.err)
		}
		if err != nil && strings.Contains(err.Error(), "pa55word") {
			t.Errorf("%q: the error shows the password", c.in)
		}
	}
}

func FuzzCanonicalURL(f *testing.F) {
	f.Add("https://[fe80::1%25eth0]:8443/")
	f.Add("https://BMC.example.:443")
	f.Fuzz(func(t *testing.T, s string) {
		once, err := CanonicalURL(s)
		if err != nil {
			return
		}
		twice, err := CanonicalURL(once)
		if err != nil || once != twice {
			t.Errorf("%q gives %q, and that %q, %v", s, once, twice, err)
		}
	})
}

func TestValidate(t *testing.T) {
	t.Parallel()
	ca := newCA(t)
	for _, c := range []struct {
		name string
		edit func(*Target)
		want string
	}{
		{"as it is", func(t *Target) {}, ""},
		{"longest name", func(t *Target) { t.Name = strings.Repeat("a", 63) }, ""},
		{"pin in hex", func(t *Target) { t.Pin = strings.Repeat("AB", 32) }, ""},
		{"CA", func(t *Target) { t.CAPEM = ca.pem }, ""},
		{"two CAs with text between", func(t *Target) { t.CAPEM = "# one\n" + ca.pem + "# two\n" + ca.pem }, ""},
		{"account with a colon, no Basic", func(t *Target) { t.Account = "a:b" }, ""},
		{"sealed", func(t *Target) { t.Source, t.Sealed = "", []byte("box") }, ""},
		{"file", func(t *Target) { t.Source = "file:/etc/pw:x" }, ""},
		{"command", func(t *Target) { t.Source = "command:pass show bmc1" }, ""},

		{"no name", func(t *Target) { t.Name = "" }, "a name has"},
		{"capital", func(t *Target) { t.Name = "Bmc1" }, "a name has"},
		{"dash first", func(t *Target) { t.Name = "-bmc1" }, "a name has"},
		{"dot", func(t *Target) { t.Name = "bmc.1" }, "a name has"},
		{"long name", func(t *Target) { t.Name = strings.Repeat("a", 64) }, "a name has"},
		{"newline", func(t *Target) { t.Name = "bmc1\n" }, "a name has"},
		{"family", func(t *Target) { t.Family = "Redfish 2" }, "not a family"},
		{"profile", func(t *Target) { t.Profile = "../x" }, "not a profile"},
		{"setting", func(t *Target) { t.Profile = "ilo,../x" }, "not a profile"},
		{"url", func(t *Target) { t.URL = "http://x" }, "https://"},
		{"pin", func(t *Target) { t.Pin = "sha256//AAAA" }, "a pin is"},
		{"pin and CA", func(t *Target) { t.Pin, t.CAPEM = strings.Repeat("AB", 32), ca.pem }, "exclude each other"},
		{"CA without PEM", func(t *Target) { t.CAPEM = "hello" }, "no PEM certificate"},
		{"CA with a key", func(t *Target) { t.CAPEM = ca.pem + ca.keyPEM }, "certificates only"},
		{"broken CA", func(t *Target) { t.CAPEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" }, "certificate 1 of the CA file"},
		{"huge CA", func(t *Target) { t.CAPEM = strings.Repeat("x", maxCAPEM+1) }, "larger than"},
		{"no account", func(t *Target) { t.Account = "" }, "name of an account"},
		{"account with a newline", func(t *Target) { t.Account = "a\r\nb" }, "cannot be printed"},
		{"account that is no text", func(t *Target) { t.Account = "a\xff" }, "cannot be printed"},
		{"long account", func(t *Target) { t.Account = auth.AccountName(strings.Repeat("a", 2000)) }, "longer than"},
		{"colon in Basic", func(t *Target) { t.Account, t.Method = "a:b", auth.MethodBasic }, "colon"},
		{"method", func(t *Target) { t.Method = "digest" }, "none of auto"},
		{"two passwords", func(t *Target) { t.Sealed = []byte("box") }, "exclude each other"},
		{"source", func(t *Target) { t.Source = "pa55word" }, "a password source is"},
		{"relative file", func(t *Target) { t.Source = "file:pw" }, "not absolute"},
		{"env", func(t *Target) { t.Source = "env:A=B" }, "environment variable"},
		{"empty command", func(t *Target) { t.Source = "command:  " }, "empty"},
		{"NUL in a file name", func(t *Target) { t.Source = "file:/a\x00" }, "cannot be printed"},
		{"budget", func(t *Target) { t.Budget = -1 }, "budget of -1"},
		{"in flight", func(t *Target) { t.InFlight = 1e6 }, "in flight of 1000000"},
		{"threshold", func(t *Target) { t.LockoutThreshold = -3 }, "threshold of -3"},
		{"window", func(t *Target) { t.LockoutWindow = -time.Second }, "window of -1s"},
		{"address", func(t *Target) { t.Address = "a\nb" }, "cannot be printed"},
	} {
		x := valid()
		c.edit(&x)
		err := Validate(x)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "pa55word") {
			t.Errorf("%s: the error shows the password", c.name)
		}
	}
}

func TestParsePin(t *testing.T) {
	t.Parallel()
	const (
		b64 = "sha256//AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
		hex = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
	)
	colons := "00"
	for i := 2; i < len(hex); i += 2 {
		colons += ":" + hex[i:i+2]
	}
	for _, in := range []string{b64, hex, strings.ToUpper(hex), colons, strings.ToUpper(colons), "sha256:" + hex, "SHA256:" + colons} {
		if got, err := ParsePin(in); got != b64 || err != nil {
			t.Errorf("%q: got %q, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "sha256//", b64[:len(b64)-1], b64 + "=", b64 + "\n", "sha256/" + b64[8:], hex[2:], hex + "00", hex[:63] + "g",
		colons + ":", ":" + colons, strings.Replace(colons, ":", "", 1), strings.Replace(colons, ":", "::", 1), "sha1:" + hex, " " + hex} {
		if got, err := ParsePin(in); err == nil {
			t.Errorf("%q: got %q, want an error", in, got)
		}
	}
}

func FuzzParsePin(f *testing.F) {
	f.Add("sha256//AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
	f.Add("00:" + strings.Repeat("ff:", 30) + "01")
	f.Fuzz(func(t *testing.T, s string) {
		pin, err := ParsePin(s)
		if err != nil {
			return
		}
		if again, err := ParsePin(pin); again != pin || err != nil {
			t.Errorf("%q gives %q, and that %q, %v", s, pin, again, err)
		}
	})
}
