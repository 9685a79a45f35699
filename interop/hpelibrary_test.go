//go:build integration

package interop

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

const rmcSimulator = "postern sim rmc"

// A library is one version of HPE's Python library.
type library struct {
	client string
	python func(*testing.T) string
	old    bool
}

var libraries = []library{
	{"python-ilorest-library", func(t *testing.T) string { return venvHPE(t, "python") }, false},
	{"python-ilorest-library (Debian)", func(t *testing.T) string {
		need(t, versions()["python-ilorest-library (Debian)"] != "", "Debian's package python3-ilorest (run: make setup)")
		return "/usr/bin/python3"
	}, true},
}

// script is a scene of hpe_library.py.
func (l library) script(name, what string, env ...string) scene {
	return scene{l.client, what, func(t *testing.T, w *world, e endpoint) error {
		path, err := filepath.Abs("clients/hpe_library.py")
		if err != nil {
			return err
		}
		env := append([]string{"POSTERN_BASE=" + e.base, "POSTERN_USER=" + e.user, "POSTERN_PASSWORD=" + e.password}, env...)
		out, err := runClient(t, env, l.python(t), path, name)
		if err != nil {
			return err
		}
		var facts struct{ Token string }
		if err := json.Unmarshal(out, &facts); err != nil {
			return fmt.Errorf("hpe_library.py %s printed %q: %w", name, out, err)
		}
		w.secret("token of "+l.client, facts.Token)
		return nil
	}}
}

// TestHPELibrary runs the Python scripts of HPE's page with HPE's library, in
// both versions.
func TestHPELibrary(t *testing.T) {
	t.Parallel()
	for _, l := range libraries {
		t.Run(l.client, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			l.python(t)
			d := w.hpe("ilo")
			b := newILOBench(t, w, edition{client: l.client}, d)
			b.prepare()
			run := func(s scene) { s.record(t, w, d.endpoint, iloSimulator, "direct") }
			files := func(key string, more ...string) []string {
				return append([]string{"HPE_CERT=" + b.file("student.crt"), "HPE_KEY=" + b.file(key)}, more...)
			}
			run(l.script("basic", "the page's script for Basic, `RESPONSE` corrected to `response`"))
			run(l.script("session", "the page's script for a session"))
			run(l.script("certificate", "the page's script for a certificate, the key in the clear", files("student.key")...))
			locked := l.script("certificate", "the page's script for a certificate, the key encrypted", files("locked.key", "HPE_PASSPHRASE="+passphrase)...)
			trusting := l.script("certificate", "the same with `ca_cert_data[\"ca_certs\"]`, the device's CA", files("student.key", "HPE_TRUST="+d.ca)...)
			wrong := l.script("certificate", "the same with `ca_cert_data[\"ca_certs\"]`, a CA that is not the device's", files("student.key", "HPE_TRUST="+b.file("ca.crt"))...)
			run(trusting)
			if l.old {
				run(locked)
				wrong.what += ": it verifies nothing"
				run(wrong)
			} else {
				locked.expect(t, w, d.endpoint, iloSimulator, "direct", "RetriesExhaustedError", "7.4 takes the passphrase of the user's key as the keyword `key_password` alone")
				run(l.script("passphrase", "the same, the passphrase as the keyword `key_password`", files("locked.key", "HPE_PASSPHRASE="+passphrase)...))
				wrong.expect(t, w, d.endpoint, iloSimulator, "direct", "RetriesExhaustedError", "the device's certificate is verified, and this is not its CA")
			}
			if left := d.sessions(b.c); len(left) != 0 {
				t.Errorf("the client left %d sessions at the device: %v", len(left), left)
			}
			r := newWorld(t)
			rmc := r.hpe("rmc")
			l.script("basic", "the page's script for Basic, `RESPONSE` corrected to `response`").record(t, r, rmc.endpoint, rmcSimulator, "direct")
			l.script("session", "the page's script for a session").record(t, r, rmc.endpoint, rmcSimulator, "direct")
		})
	}
}

// prepare does over Redfish what the page's nine steps do.
func (b *iloBench) prepare() {
	b.t.Helper()
	post := func(method, path string, body any, want int) {
		b.t.Helper()
		a, err := b.d.call(b.c, method, path, body)
		if err != nil || a.status != want {
			b.t.Fatalf("%s %s: %d, %v: %s", method, path, a.status, err, a.body)
		}
	}
	password, _ := b.w.password("student password")
	text := func(name string) string {
		data, err := os.ReadFile(b.file(name))
		if err != nil {
			b.t.Fatal(err)
		}
		return string(data)
	}
	type object = map[string]any
	post(http.MethodPost, "/redfish/v1/AccountService/Accounts/", object{"UserName": "student", "Password": password,
		"Oem": object{"Hpe": object{"LoginName": "student", "Privileges": object{"LoginPriv": true}}}}, http.StatusCreated)
	post(http.MethodPatch, "/redfish/v1/Managers/1/SecurityService/CertificateAuthentication/", object{"CertificateLoginEnabled": true}, http.StatusOK)
	post(http.MethodPost, "/redfish/v1/AccountService/UserCertificateMapping", object{"UserName": "student", "Fingerprint": text("student.crt")}, http.StatusCreated)
	post(http.MethodPost, "/redfish/v1/Managers/1/SecurityService/CertificateAuthentication/Actions/HpeCertAuth.ImportCACertificate/",
		object{"Certificate": text("ca.crt")}, http.StatusOK)
}

// TestHPEOthers has the clients of everybody else talk to HPE's devices.
func TestHPEOthers(t *testing.T) {
	t.Parallel()
	for kind, device := range map[string]string{"ilo": iloSimulator, "rmc": rmcSimulator} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			d := w.hpe(kind)
			for _, s := range []scene{
				pySession, pyBasic,
				{"curl", "HPE's page, \"Redfish authentication and sessions\": 401, Basic, TokenAndUrl in both forms, use, list, DELETE", seedLines},
			} {
				s.record(t, w, d.endpoint, device, "direct")
			}
			if kind == "rmc" {
				pyWrong.record(t, w, d.endpoint, device, "direct")
				rmcILOrest(t, w, d)
			} else {
				pyWrong.expect(t, w, d.endpoint, device, "direct", "SessionCreationError", "an iLO refuses a password with 400, in which the library sees no wrong password")
			}
			if left := d.sessions(d.client(t)); len(left) != 0 {
				t.Errorf("the clients left %d sessions at the device: %v", len(left), left)
			}
		})
	}
}

// rmcILOrest: only 3.6 takes a device without HPE's part in its root.
func rmcILOrest(t *testing.T, w *world, d *device) {
	const what = "login, list, logout"
	for _, ed := range editions {
		s := ed.line(what, func(i *ilorest) error {
			if err := i.login(); err != nil {
				return err
			}
			if err := i.prints("Partition0", "list", "--json", "--select", "ComputerSystem."); err != nil {
				return err
			}
			return i.logout()
		})
		if ed.old {
			s.record(t, w, d.endpoint, rmcSimulator, "direct")
		} else {
			s.expect(t, w, d.endpoint, rmcSimulator, "direct", "rc 149", "7.4 wants to find the generation of an iLO in the root, and an RMC has none")
		}
	}
}
