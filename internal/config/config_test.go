package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

var known = []Known{{Family: "redfish", Profiles: []string{"generic", "ilo"}}}

// The example of the documentation, with the comments it has there.
const example = `targets:
  - name: bmc1
    family: redfish          # redfish | hmc | luna | symphony
    profile: ilo             # left out: found out from the device
    url: https://10.0.0.7
    ca_file: bmc-ca.pem      # or pin: sha256//...
    user: postern
    password_file: bmc1.pw   # or password_env, password_command
    auth: auto
    budget: 3
    exclusive: true          # nobody else uses this device account
listeners:                   # left out: loopback, one port for each target
  - {family: redfish, address: "0.0.0.0:443", next: targets, names: "*.bmc.example"}
`

func TestLoadExample(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "postern.yaml")
	write(t, path, example)
	ca := newCA(t)
	write(t, filepath.Join(dir, "bmc-ca.pem"), ca)
	f, err := Load(path, known)
	if err != nil {
		t.Fatal(err)
	}
	want := &File{
		Targets: []Target{{
			Name: "bmc1", Family: "redfish", Profile: "ilo", URL: "https://10.0.0.7", CAPEM: ca, User: "postern",
			Source: "file:" + filepath.Join(dir, "bmc1.pw"), Auth: "auto", Budget: 3, Exclusive: true,
		}},
		Listeners: []Listener{{Family: "redfish", Host: "0.0.0.0", Port: 443, All: true, Names: []string{"*.bmc.example"}}},
	}
	if !reflect.DeepEqual(f, want) {
		t.Errorf("got  %+v\nwant %+v", f, want)
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	f, err := Parse("/etc/p.yaml", []byte("targets: [{name: a, url: 'https://b/', user: u, password_env: PW, lockout_window: 10m}]"), known)
	if err != nil {
		t.Fatal(err)
	}
	want := Target{Name: "a", Family: "redfish", URL: "https://b", User: "u", Source: "env:PW", Auth: "auto", LockoutWindow: 10 * time.Minute}
	if !reflect.DeepEqual(f.Targets[0], want) {
		t.Errorf("got %+v, want %+v", f.Targets[0], want)
	}
	for _, empty := range []string{"", "# nothing\n", "---\n", "targets: []\n", "targets:\n"} {
		if f, err := Parse("p.yaml", []byte(empty), known); err != nil || len(f.Targets) != 0 {
			t.Errorf("Parse(%q) = %+v, %v, want no targets and no error", empty, f, err)
		}
	}
}

func TestTreeListener(t *testing.T) {
	t.Parallel()
	f, err := Parse("/etc/p.yaml", []byte("listeners: [{address: ':8443', next: tree, client_certificates: on, cert_file: c.pem, key_file: /k.pem}]"), known)
	want := Listener{Family: "redfish", Port: 8443, Tree: true, ClientCertificates: CertificatesOn, CertFile: "/etc/c.pem", KeyFile: "/k.pem"}
	if err != nil || !reflect.DeepEqual(f.Listeners, []Listener{want}) {
		t.Errorf("got %+v, %v, want %+v", f, err, want)
	}
}

// A text that looks like something else stays as it is written.
func TestPlainText(t *testing.T) {
	t.Parallel()
	for _, user := range []string{"007", "0x10", "1_0", "1e3", "1.50", "true", ".inf", ".nan", "0b1", "+1", "'007'", "&u 007"} {
		f, err := Parse("p.yaml", []byte("targets: [{name: 10, url: 'https://b', password_env: PW, user: "+user+"}]"), known)
		want := strings.Trim(strings.TrimPrefix(user, "&u "), "'")
		if err != nil || f.Targets[0].User != want || f.Targets[0].Name != "10" {
			t.Errorf("user: %s: got %+v, %v, want %q", user, f, err, want)
		}
	}
	f, err := Parse("p.yaml", []byte(strings.Replace(one, "name: a", "name: 08", 1)+"listeners: [{address: 127.0.0.1, next: [08], names: [10]}]"), known)
	if err != nil || f.Listeners[0].Targets[0] != "08" || f.Listeners[0].Names[0] != "10" {
		t.Errorf("listener: got %+v, %v", f, err)
	}
}

// one is a target that is right, so that each case below shows one fault.
const one = `targets:
- name: a
  url: https://b
  user: u
  password_env: PW
`

func TestErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, in, want, hint string
	}{
		{"unknown key", one + "  usr: x\n", `p.yaml:6:3: unknown key "usr"`, "docs/configuration.md"},
		{"unknown section", "target: []\n", `p.yaml:1:1: unknown key "target"`, ""},
		{"a secret in the file", one + "  password: hunter2\n", `p.yaml:6:3: unknown key "password"`, "never stands in the file"},
		{"wrong type", one + "  budget: many\n", `p.yaml:6:11: want a whole number`, ""},
		{"fraction", one + "  budget: 3.5\n", `p.yaml:6:11: want a whole number`, ""},
		{"exponent", one + "  budget: 1e1\n", `p.yaml:6:11: want a whole number`, ""},
		{"huge", one + "  budget: 18446744073709551615\n", `p.yaml:6:11: the number 18446744073709551615 is too large`, ""},
		{"tag", "targets: !!binary abc\n", `p.yaml:1:10: tags are not understood`, "leave it out"},
		{"port as host", one + "listeners: [{address: 8443, next: a}]", `p.yaml:6:23: "8443" is not an address to listen on`, "HOST:PORT"},
		{"wrong bool", one + "  exclusive: 3\n", `p.yaml:6:14: want true or false`, ""},
		{"not a list", "targets: {a: b}\n", `p.yaml:1:10: want a list, found keys and values`, ""},
		{"not a mapping", "- a\n", `p.yaml:1:1: want keys and values, found a list`, ""},
		{"broken", "targets: [\n", `p.yaml:1:10: `, ""},
		{"twice", one + "  user: v\n", `p.yaml:6:3: mapping key "user" already defined at [4:3]`, ""},
		{"two documents", "targets: []\n---\ntargets: []\n", `p.yaml:3:1: a second document in one file`, "---"},
		{"no name", "targets:\n- url: https://b\n", `p.yaml:2:3: target name "" is not a name`, "bmc1"},
		{"bad name", "targets: [{name: A}]", `p.yaml:1:18: target name "A" is not a name`, "bmc1"},
		{"same name", one + "- {name: a, url: https://c, user: u, password_env: P}\n", `p.yaml:6:10: target "a" is described twice`, ""},
		{"family", "targets: [{name: a, family: hmc}]", `p.yaml:1:29: family "hmc" is not served by this build`, "families: redfish"},
		{"profile", "targets: [{name: a, profile: drac}]", `p.yaml:1:30: unknown profile "drac" of family redfish`, "generic, ilo"},
		{"no url", "targets: [{name: a}]", `p.yaml:1:12: a target without url`, "https://10.0.0.7"},
		{"http", "targets: [{name: a, url: http://b}]", `p.yaml:1:26: the URL must begin with https://, not "http://"`, ""},
		{"path", "targets: [{name: a, url: https://b/redfish}]", `p.yaml:1:26: the URL "https://b/redfish" has more than a host and a port`, ""},
		{"user in the url", "targets: [{name: a, url: 'https://x:y@b'}]", `p.yaml:1:26: the URL holds a user or a password`, ""},
		{"ca and pin", "targets: [{name: a, url: https://b, ca_file: c, pin: d}]", `p.yaml:1:54: ca_file and pin exclude each other`, ""},
		{"bad pin", "targets: [{name: a, url: https://b, pin: abc}]", `p.yaml:1:42: a pin is sha256//`, "shows the pin"},
		{"no user", "targets: [{name: a, url: https://b}]", `p.yaml:1:12: target "a" has no user`, ""},
		{"no password", "targets: [{name: a, url: https://b, user: u}]", `p.yaml:1:18: target "a" has no password`, "password_file"},
		{"two passwords", one + "  password_file: f\n", `target "a" has more than one password`, "exactly one"},
		{"bad variable", "targets: [{name: a, url: https://b, user: u, password_env: 'A=B'}]", `"A=B" is not the name of an environment variable`, ""},
		{"empty command", "targets: [{name: a, url: https://b, user: u, password_command: ' '}]", `password_command is empty`, ""},
		{"auth", one + "  auth: digest\n", `p.yaml:6:9: unknown auth "digest"`, "auto, session, basic or certificate"},
		{"certificate without files", one + "  auth: certificate\n", `p.yaml:6:9: target "a" has no certificate to log in with`, "cert_file"},
		{"certificate and password", one + "  cert_file: c\n  key_file: k\n", `p.yaml:6:14: target "a" has a certificate and a password`, "in the place of a password"},
		{"certificate without key", "targets: [{name: a, url: https://b, user: u, cert_file: c}]", `cert_file without key_file`, "go together"},
		{"key without certificate", "targets: [{name: a, url: https://b, user: u, key_file: k}]", `key_file without cert_file`, "go together"},
		{"certificate by session", "targets: [{name: a, url: https://b, user: u, cert_file: c, key_file: k, auth: session}]", `auth "session" logs in with a password`, "auto or certificate"},
		{"budget", one + "  budget: -1\n", `p.yaml:6:11: budget is -1`, ""},
		{"window", one + "  lockout_window: soon\n", `p.yaml:6:19: "soon" is not a duration`, "30m"},
		{"two trees", "listeners: [{address: a, next: tree}, {address: b, next: tree}]", `p.yaml:1:58: two listeners for the tree`, ""},
		{"tree and more", one + "listeners: [{address: a, next: [tree, a]}]", `next: "tree" is not a target of this file`, "tree"},
		{"client certificates", "listeners: [{address: a, next: tree, client_certificates: maybe}]", `p.yaml:1:59: unknown client_certificates "maybe"`, "off, on or required"},
		{"certificate without key", "listeners: [{address: a, next: tree, cert_file: c.pem}]", `p.yaml:1:23: cert_file and key_file belong together`, "both"},
		{"listener address", one + "listeners: [{address: 'a b', next: targets}]", `p.yaml:6:23: "a b" is not an address to listen on`, "HOST:PORT"},
		{"listener port", one + "listeners: [{address: 'a:99999', next: targets}]", `is not an address to listen on`, ""},
		{"listener without next", one + "listeners: [{address: a}]", `p.yaml:6:14: a listener without next`, ""},
		{"listener to nowhere", one + "listeners: [{address: a, next: b}]", `p.yaml:6:32: next: "b" is not a target of this file`, ""},
		{"listener name", one + "listeners: [{address: a, next: a, names: 'x y'}]", `"x y" is not a host name`, ""},
		{"listener family", one + "listeners: [{family: luna, address: a, next: a}]", `p.yaml:6:22: family "luna" is not served by this build`, ""},
		{"one port for two", one + "- {name: c, url: https://c, user: u, password_env: P}\nlisteners: [{address: '0.0.0.0:443', next: targets}]",
			`p.yaml:7:23: 2 targets behind one port`, "a port for each target"},
		{"two listeners for one", one + "listeners: [{address: a, next: a}, {address: b, next: a}]", `target "a" has two listeners`, ""},
		{"two for all", one + "listeners: [{address: a, next: targets}, {address: b, next: targets}]", `two listeners for all targets`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse("p.yaml", []byte(c.in), known)
			e, ok := errors.AsType[*Error](err)
			if !ok {
				t.Fatalf("got error %v, want an *Error", err)
			}
			if !strings.Contains(e.Error(), c.want) || !strings.Contains(e.Hint, c.hint) {
				t.Errorf("got  %s (hint %q)\nwant %s (hint %q)", e, e.Hint, c.want, c.hint)
			}
			if strings.Contains(e.Error(), "\n") {
				t.Errorf("more than one line: %q", e.Error())
			}
		})
	}
}

func TestLoadErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "p.yaml")
	if _, err := Load(path, known); err == nil || err.Error() != path+": no such file or directory" {
		t.Errorf("missing file: got %v", err)
	}
	write(t, path, strings.Replace(one, "  user: u\n", "  user: u\n  ca_file: no.pem\n", 1))
	if _, err := Load(path, known); err == nil || err.Error() != path+":5:12: ca_file no.pem: no such file or directory" {
		t.Errorf("missing CA file: got %v", err)
	}
}

func TestLoadBadCA(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "p.yaml")
	write(t, path, strings.Replace(one, "  user: u\n", "  user: u\n  ca_file: bad.pem\n", 1))
	write(t, filepath.Join(dir, "bad.pem"), "no certificate")
	if _, err := Load(path, known); err == nil || err.Error() != path+":5:12: ca_file bad.pem: the CA file holds no PEM certificate" {
		t.Errorf("got %v", err)
	}
}

func newCA(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func TestSplitAddress(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]struct {
		host string
		port int
		ok   bool
	}{
		"127.0.0.1":      {"127.0.0.1", 0, true},
		"127.0.0.1:0":    {"127.0.0.1", 0, true},
		"127.0.0.1:8443": {"127.0.0.1", 8443, true},
		":8443":          {"", 8443, true},
		"[::1]:8443":     {"::1", 8443, true},
		"::1":            {"::1", 0, true},
		"[::1]":          {"::1", 0, true},
		"localhost":      {"localhost", 0, true},
		"":               {"", 0, false},
		"a:b":            {"", 0, false},
		"a:-1":           {"", 0, false},
		"*.a":            {"", 0, false},
		"8443":           {"", 0, false},
		"https://a":      {"", 0, false},
	} {
		host, port, err := SplitAddress(in)
		if (err == nil) != want.ok || host != want.host || port != want.port {
			t.Errorf("SplitAddress(%q) = %q, %d, %v, want %+v", in, host, port, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(example))
	f.Add([]byte(one))
	f.Add([]byte("a: &a [*a, *a]\ntargets: *a\n"))
	f.Add([]byte("targets: [{<<: {name: a}}]"))
	f.Add([]byte("targets: !!binary abc"))
	f.Add([]byte("!!map targets: !x [!!str {a: b}]"))
	f.Add([]byte("\xff\xfe: |\n  x"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse("p.yaml", data, known)
		if err != nil {
			if _, ok := errors.AsType[*Error](err); !ok || strings.Contains(err.Error(), "\n") {
				t.Fatalf("not one sentence with its place: %q", err)
			}
			return
		}
		for _, target := range file.Targets {
			if target.Source == "" || !strings.HasPrefix(target.URL, "https://") {
				t.Fatalf("passed unchecked: %+v", target)
			}
		}
	})
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
