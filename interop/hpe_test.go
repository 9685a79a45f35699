//go:build integration

package interop

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// HPE's own clients, at the port and in the versions that protocols depend on:
// the library cannot log out at a port other than 443, and 3.6 and 7.4 differ in
// what they make of the same line.

const iloSimulator = "postern sim ilo"

// ilo starts a simulated iLO, or what else of HPE's kind is, at port 443 of an
// address of its own.
func (w *world) hpe(kind string, flags ...string) *device {
	w.t.Helper()
	password, file := w.password("device password")
	d := &device{journal: w.path("device.journal"), pwFile: file}
	args := []string{
		"sim", kind, "--listen", ownAddress(w.t), "--data", w.path("sim"), "--user", "admin", "--password-file", file,
		"--journal", d.journal, "--slots", "8",
	}
	p, r := w.startReady("sim", append(args, flags...)...)
	d.proc = p
	d.endpoint = endpoint{base: strings.TrimSuffix(r.URLs["https"], ":443"), ca: r.CAFile, user: "admin", password: password}
	return d
}

// ownAddress is port 443 of a loopback address that nobody else has.
func ownAddress(t *testing.T) string {
	t.Helper()
	var err error
	for range 20 {
		var b [3]byte
		rand.Read(b[:])
		host := fmt.Sprintf("127.%d.%d.%d", 1+b[0]%254, b[1], 1+b[2]%254)
		var ln net.Listener
		if ln, err = net.Listen("tcp", net.JoinHostPort(host, "443")); err == nil {
			ln.Close()
			return host + ":443"
		}
		if errors.Is(err, os.ErrPermission) {
			break
		}
	}
	need(t, false, "port 443 of a loopback address: %v (run as root, or set net.ipv4.ip_unprivileged_port_start)", err)
	return ""
}

// An edition is one version of ilorest.
type edition struct {
	client string
	bin    func(*testing.T) string
	old    bool // Debian's 3.6
}

var editions = []edition{
	{"ilorest", func(t *testing.T) string { return venvHPE(t, "ilorest") }, false},
	{"ilorest (Debian)", func(t *testing.T) string {
		need(t, versions()["ilorest (Debian)"] != "", "Debian's package ilorest (run: make setup)")
		return "/usr/bin/ilorest"
	}, true},
}

// venvHPE is the path of a program of HPE's Python environment.
func venvHPE(t testing.TB, program string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("../.venv-hpe/bin", program))
	if err != nil {
		t.Fatal(err)
	}
	_, err = os.Stat(path)
	need(t, err == nil, "%s (run: make setup)", path)
	return path
}

// versionsHPE are those of HPE's clients, as far as they are installed.
func versionsHPE() map[string]string {
	v := map[string]string{}
	const ask = `import importlib.metadata as m, json
print(json.dumps({n: m.version(n) for n in ("ilorest", "python-ilorest-library")}))`
	if out, err := exec.Command("../.venv-hpe/bin/python", "-c", ask).Output(); err == nil {
		json.Unmarshal(out, &v)
	}
	for name, pkg := range map[string]string{"ilorest (Debian)": "ilorest", "python-ilorest-library (Debian)": "python3-ilorest"} {
		if out, err := exec.Command("dpkg-query", "-W", "-f", "${Version}", pkg).Output(); err == nil {
			v[name], _, _ = strings.Cut(strings.ReplaceAll(string(out), "+", "-"), "-") // not how Debian counts
		}
	}
	return v
}

// An ilorest is one user of it, with a home and so a cache of her own.
type ilorest struct {
	t    *testing.T
	bin  string
	home string
	e    endpoint
	old  bool
}

func (ed edition) user(t *testing.T, e endpoint) *ilorest {
	return &ilorest{t: t, bin: ed.bin(t), home: t.TempDir(), e: e, old: ed.old}
}

// try runs one command and returns what it printed and its return code.
func (i *ilorest) try(args ...string) (string, int) {
	i.t.Helper()
	out, err := runClient(i.t, []string{"HOME=" + i.home}, i.bin, append([]string{"--nologo"}, args...)...)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return string(out), exit.ExitCode()
	}
	if err != nil {
		i.t.Fatal(err)
	}
	return string(out), 0
}

// do runs one command that must succeed.
func (i *ilorest) do(args ...string) (string, error) {
	i.t.Helper()
	out, rc := i.try(args...)
	if rc != 0 {
		return out, fmt.Errorf("%s: rc %d: %s", strings.Join(args, " "), rc, tailOf(out))
	}
	return out, nil
}

// all runs commands that must succeed, one after another.
func (i *ilorest) all(lines ...[]string) error {
	i.t.Helper()
	for _, args := range lines {
		if _, err := i.do(args...); err != nil {
			return err
		}
	}
	return nil
}

// prints wants a command to succeed and to print a text.
func (i *ilorest) prints(text string, args ...string) error {
	i.t.Helper()
	out, err := i.do(args...)
	if err == nil && !strings.Contains(out, text) {
		err = fmt.Errorf("%s printed %q, want %q in it", strings.Join(args, " "), tailOf(out), text)
	}
	return err
}

// ends wants a command to end with a return code.
func (i *ilorest) ends(rc int, args ...string) error {
	i.t.Helper()
	if out, got := i.try(args...); got != rc {
		return fmt.Errorf("%s: rc %d, want %d: %s", strings.Join(args, " "), got, rc, tailOf(out))
	}
	return nil
}

func (i *ilorest) login() error {
	i.t.Helper()
	_, err := i.do("login", i.e.host(), "-u", i.e.user, "-p", i.e.password)
	return err
}

func (i *ilorest) logout() error {
	i.t.Helper()
	_, err := i.do("logout")
	return err
}

// line is a scene of one user of one edition.
func (ed edition) line(what string, do func(*ilorest) error) scene {
	return scene{ed.client, what, func(t *testing.T, w *world, e endpoint) error { return do(ed.user(t, e)) }}
}

// An iloBench is what the lines of one edition share: a device that they set up
// step by step, as the page does, and the files that they name.
type iloBench struct {
	t   *testing.T
	w   *world
	d   *device
	ed  edition
	dir string // student.crt, student.key, locked.key, ca.crt, ca.key, MapUserCertBody.json
	c   *http.Client

	admin *ilorest // who is logged in through many lines; nil: nobody
}

// loggedIn has the administrator do something, who logs in where she is not. The
// page logs in for each of its lines; here that would take minutes.
func (b *iloBench) loggedIn(do func(*ilorest) error) func(*ilorest) error {
	return func(fresh *ilorest) error {
		if b.admin == nil {
			admin := *fresh
			b.admin, admin.home = &admin, b.t.TempDir()
			if err := b.admin.login(); err != nil {
				return err
			}
		}
		b.admin.t = fresh.t
		return do(b.admin)
	}
}

// leave logs the administrator out.
func (b *iloBench) leave() {
	if b.admin != nil {
		b.admin.t = b.t
		if err := b.admin.logout(); err != nil {
			b.t.Error(err)
		}
	}
	b.admin = nil
}

const passphrase = "passphrase"

func newILOBench(t *testing.T, w *world, ed edition, d *device) *iloBench {
	b := &iloBench{t: t, w: w, d: d, ed: ed, dir: t.TempDir(), c: d.client(t)}
	ssl := func(args ...string) {
		t.Helper()
		cmd := exec.Command(tool(t, "openssl"), args...)
		cmd.Dir = b.dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("openssl %s: %v: %s", args[0], err, out)
		}
	}
	ssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.crt", "-days", "30", "-subj", "/C=FR/O=Lab/CN=Lab CA",
		"-addext", "keyUsage=critical,keyCertSign,cRLSign")
	ssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", "student.key", "-out", "student.csr", "-subj", "/C=FR/O=Lab/CN=student")
	// As `openssl ca` writes it: a dump of the certificate in front of its PEM.
	ssl("x509", "-req", "-in", "student.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-days", "20", "-out", "student.crt", "-text")
	ssl("pkcs8", "-topk8", "-in", "student.key", "-out", "locked.key", "-passout", "pass:"+passphrase)
	body := map[string]map[string]string{
		"/redfish/v1/AccountService/UserCertificateMapping": {"UserName": "student", "Fingerprint": w.read(b.file("student.crt"))},
	}
	data, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(b.file("MapUserCertBody.json"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *iloBench) file(name string) string { return filepath.Join(b.dir, name) }

// works records a line that does what it should.
func (b *iloBench) works(what string, do func(*ilorest) error) {
	b.ed.line(what, do).record(b.t, b.w, b.d.endpoint, iloSimulator, "direct")
}

// fails records a line that does not, and why.
func (b *iloBench) fails(what string, do func(*ilorest) error, sign, reason string) {
	b.ed.line(what, do).expect(b.t, b.w, b.d.endpoint, iloSimulator, "direct", sign, reason)
}

// TestILOrest runs the iLOrest lines of HPE's page "Redfish authentication and
// sessions", in its order, with both versions.
func TestILOrest(t *testing.T) {
	t.Parallel()
	for _, ed := range editions {
		t.Run(ed.client, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			ed.bin(t)
			b := newILOBench(t, w, ed, w.hpe("ilo"))
			b.licence()
			b.clock()
			b.ownCertificate()
			b.enable()
			b.student()
			b.certificateLogin()
			b.refusals()
			b.leave()
			if left := b.d.sessions(b.c); len(left) != 0 {
				t.Errorf("the client left %d sessions at the device: %v", len(left), left)
			}
		})
	}
}

func (b *iloBench) licence() {
	b.works("`login IP -u USER -p PASSWORD`, `logout`: the session is gone", func(i *ilorest) error {
		if err := i.login(); err != nil {
			return err
		}
		if n := len(b.d.sessions(b.c)); n != 1 {
			return fmt.Errorf("the device has %d sessions after a login, want 1", n)
		}
		if err := i.logout(); err != nil {
			return err
		}
		if n := len(b.d.sessions(b.c)); n != 0 {
			return fmt.Errorf("the device has %d sessions after a logout, want none", n)
		}
		return nil
	})
	show := b.loggedIn(func(i *ilorest) error { return i.prints("License:iLO Advanced\n", "ilolicense") })
	if b.ed.old {
		b.fails("`ilolicense`", show, "rc 3", "3.6 wants a key; the next line shows the licence")
	} else {
		b.works("`ilolicense`", show)
	}
	b.works("`get License --select HpeiLOLicense.`", b.loggedIn(func(i *ilorest) error {
		return i.prints("License=iLO Advanced\n", "get", "License", "--select", "HpeiLOLicense.")
	}))
	b.works("`ilolicense XXXXX-XXXXX-XXXXX-XXXXX-XXXXX`; a text that is no key is refused", b.loggedIn(func(i *ilorest) error {
		rc := 59 // "licence"
		if i.old {
			rc = 63
		}
		return errors.Join(
			i.all([]string{"ilolicense", "XXXXX-XXXXX-XXXXX-XXXXX-XXXXX"}),
			i.ends(rc, "ilolicense", "12345"))
	}))
	b.works("`rawget \"/redfish/v1/Managers/1/LicenseService/?only\"`", b.loggedIn(func(i *ilorest) error {
		return i.prints("SmartCard", "rawget", "/redfish/v1/Managers/1/LicenseService/?only")
	}))
}

func (b *iloBench) clock() {
	b.works("`set StaticNTPServers=[...] --select HpeiLODateTime. --commit`, `get DateTime`", b.loggedIn(func(i *ilorest) error {
		err := i.all([]string{"set", "StaticNTPServers=[ntp1.example,ntp2.example]", "--select", "HpeiLODateTime.", "--commit"})
		return errors.Join(err,
			i.prints("ntp2.example", "get", "StaticNTPServers", "--select", "HpeiLODateTime.", "--refresh"),
			i.prints("DateTime=20", "get", "DateTime", "--select", "HpeiLODateTime."))
	}))
}

// ownCertificate has the device ask for a certificate, and puts it in use.
func (b *iloBench) ownCertificate() {
	what, csr := "`certificate gen_csr`, `getcsr --TLS_CERT`, `import --tls_cert`: what openssl s_client shows then", "gen_csr"
	fetch, put := []string{"getcsr", "--TLS_CERT"}, []string{"import", "--tls_cert"}
	if b.ed.old {
		what, csr = "`certificate csr`, `getcsr`, `tls`: what openssl s_client shows then", "csr"
		fetch, put = []string{"getcsr"}, []string{"tls"}
	}
	b.works(what, func(i *ilorest) error {
		names := []string{"certificate", csr, "Org", "Unit", "ilo.example", "FR", "PACA", "Sophia"}
		if !i.old {
			names = append(names, "True")
		}
		request, signed := b.file("tls.csr"), b.file("tls.crt")
		err := b.loggedIn(func(i *ilorest) error {
			return i.all(names, append(append([]string{"certificate"}, fetch...), "-f", request))
		})(i)
		if err != nil {
			return err
		}
		if _, err := runClient(i.t, nil, tool(i.t, "openssl"), "x509", "-req", "-in", request, "-CA", b.file("ca.crt"), "-CAkey", b.file("ca.key"),
			"-days", "10", "-copy_extensions", "copy", "-out", signed); err != nil {
			return err
		}
		err = b.loggedIn(func(i *ilorest) error {
			if err := i.all(append(append([]string{"certificate"}, put...), signed)); err != nil {
				return err
			}
			if err := b.shows("ilo.example"); err != nil {
				return err
			}
			// The rest trusts the device's own CA again.
			return i.all([]string{"rawdelete", "/redfish/v1/Managers/1/SecurityService/HttpsCert/"})
		})(i)
		if err != nil {
			return err
		}
		b.leave() // the import resets an iLO: the session is gone, or soon will be
		return b.shows("postern")
	})
}

// shows wants a name in the certificate of the device's handshakes.
func (b *iloBench) shows(name string) error {
	out, err := runClient(b.t, nil, tool(b.t, "bash"), "-c", `openssl s_client -connect "$0:443" </dev/null 2>/dev/null | openssl x509 -noout -subject`, b.d.host())
	if err == nil && !strings.Contains(string(out), name) {
		err = fmt.Errorf("the device shows a certificate of %s, want %s", out, name)
	}
	return err
}

func (b *iloBench) enable() {
	b.fails("`select HpeCertAuth.`, `set CertificateLoginEnabled --commit`", b.loggedIn(func(i *ilorest) error {
		return i.all([]string{"select", "HpeCertAuth."}, []string{"set", "CertificateLoginEnabled", "--commit"})
	}), "rc 3", "the line lacks a value: `set CertificateLoginEnabled=True --commit`")
	b.works("`select HpeCertAuth.`, `set CertificateLoginEnabled=True --commit`, `get CertificateLoginEnabled`", b.loggedIn(func(i *ilorest) error {
		if err := i.all([]string{"select", "HpeCertAuth."}, []string{"set", "CertificateLoginEnabled=True", "--commit"}); err != nil {
			return err
		}
		return errors.Join(
			i.prints("CertificateLoginEnabled=True\n", "get", "CertificateLoginEnabled"),
			i.ends(40, "set", "CertificateLoginEnabled=True", "--commit"), // nothing changes
			i.ends(28, "set", "StrictCACModeEnabled=maybe", "--commit"))   // no such value
	}))
}

func (b *iloBench) student() {
	b.works("`iloaccounts add student student PASSWORD --addprivs 1`", b.loggedIn(func(i *ilorest) error {
		password := b.w.secret("student's password", "Pw-"+rand.Text())
		return i.all([]string{"iloaccounts", "add", "student", "student", password, "--addprivs", "1"})
	}))
	b.works("`rawpost MapUserCertBody.json`, with the text dump of `openssl ca` in it", b.loggedIn(func(i *ilorest) error {
		return i.all([]string{"rawpost", b.file("MapUserCertBody.json")})
	}))
	b.works("`iloaccounts deletecert`, `addcert`", b.loggedIn(func(i *ilorest) error {
		return i.all([]string{"iloaccounts", "deletecert", "student"}, []string{"iloaccounts", "addcert", "student", b.file("student.crt")})
	}))
	imported := func(args ...string) func(*ilorest) error {
		return b.loggedIn(func(i *ilorest) error {
			if err := i.all(args); err != nil {
				return err
			}
			var list struct{ Members []member }
			b.d.get(b.c, "/redfish/v1/Managers/1/SecurityService/CertificateAuthentication/CACertificates/", &list)
			if len(list.Members) != 1 {
				return fmt.Errorf("the device trusts %d CAs, want 1", len(list.Members))
			}
			return nil
		})
	}
	ca := imported("certificate", "ca", b.file("ca.crt"))
	if b.ed.old {
		b.works("`certificate ca certfile.crt`", ca)
		return
	}
	b.fails("`certificate ca certfile.crt`", ca, "trusts 0 CAs", "7.4 prints that the word is retired, sends nothing, and ends with 0: `certificate import --ca_cert certfile.crt`")
	b.works("`certificate import --ca_cert certfile.crt`", imported("certificate", "import", "--ca_cert", b.file("ca.crt")))
}

func (b *iloBench) certificateLogin() {
	in := func(key string, more ...string) func(*ilorest) error {
		return func(i *ilorest) error {
			args := append([]string{"login", i.e.host(), "--usercert", b.file("student.crt"), "--userkey", b.file(key)}, more...)
			if _, err := i.do(args...); err != nil {
				return err
			}
			return errors.Join(b.mine(i), i.logout())
		}
	}
	b.works("`login IP --usercert student.crt --userkey student.key`, `list --json --select SessionCollection.`, `logout`", in("student.key"))
	const locked = "`login IP --usercert student.crt --userkey student.key --userpassphrase PASSPHRASE`, the key encrypted"
	if b.ed.old {
		b.works(locked, in("locked.key", "--userpassphrase", passphrase))
	} else {
		b.fails(locked, in("locked.key", "--userpassphrase", passphrase), "rc 31", "7.4 ignores the passphrase: `openssl pkey -in student.key -out plain.key` first")
		b.works("`login IP --usercert student.crt --userkey plain.key`, decrypted with `openssl pkey`", func(i *ilorest) error {
			if _, err := runClient(i.t, nil, tool(i.t, "openssl"), "pkey", "-in", b.file("locked.key"), "-out", b.file("plain.key"), "-passin", "pass:"+passphrase); err != nil {
				return err
			}
			return in("plain.key")(i)
		})
	}
	const proof = "`get --json | jq -r '.Oem.Hpe.Links.MySession'`, the page's proof of a login"
	print := func(i *ilorest) error {
		if err := i.login(); err != nil {
			return err
		}
		return errors.Join(i.prints("/SessionService/Sessions/", "get", "--json"), i.logout())
	}
	if b.ed.old {
		b.fails(proof, print, "rc 24", "nothing is selected: `--nologo list --json --select SessionCollection.`")
	} else {
		b.fails(proof, print, "printed \"\"", "nothing is selected: `--nologo list --json --select SessionCollection.`")
	}
}

// mine wants the client to see its own session, made by a certificate.
func (b *iloBench) mine(i *ilorest) error {
	out, err := i.do("list", "--json", "--select", "SessionCollection.")
	if err != nil {
		return err
	}
	var list struct {
		Oem struct {
			Hpe struct{ Links struct{ MySession member } }
		}
	}
	if err := json.Unmarshal([]byte(out[strings.IndexByte(out, '{'):]), &list); err != nil {
		return fmt.Errorf("list printed %q: %w", out, err)
	}
	var s struct {
		UserName string
		Oem      struct {
			Hpe struct {
				UserTag    string
				Privileges map[string]bool
			}
		}
	}
	b.d.get(b.c, list.Oem.Hpe.Links.MySession.Path, &s)
	h := s.Oem.Hpe
	held := 0
	for _, on := range h.Privileges {
		if on {
			held++
		}
	}
	if s.UserName != "student" || h.UserTag != "Web UI" || held != 1 || !h.Privileges["LoginPriv"] {
		return fmt.Errorf("the session is %+v, want student's by the web page with LoginPriv alone", s)
	}
	return nil
}

func (b *iloBench) refusals() {
	b.works("a wrong password: rc 32", func(i *ilorest) error {
		return i.ends(32, "login", i.e.host(), "-u", i.e.user, "-p", "wrong")
	})
	b.works("a session that the administrator ended: the next command ends with rc 30", func(i *ilorest) error {
		if err := i.login(); err != nil {
			return err
		}
		b.leave()
		for _, s := range b.d.sessions(b.c) {
			if a, err := b.d.call(b.c, http.MethodDelete, s.Path, nil); err != nil || a.status != http.StatusOK {
				return fmt.Errorf("DELETE %s: %d, %v", s.Path, a.status, err)
			}
		}
		return i.ends(30, "get", "License", "--select", "HpeiLOLicense.")
	})
	b.works("a certificate that is mapped to nobody: rc 255", func(i *ilorest) error {
		if err := b.loggedIn(func(i *ilorest) error { return i.all([]string{"iloaccounts", "deletecert", "student"}) })(i); err != nil {
			return err
		}
		return i.ends(255, "login", i.e.host(), "--usercert", b.file("student.crt"), "--userkey", b.file("student.key"))
	})
	b.works("without the licence: `set CertificateLoginEnabled=True` is refused", func(i *ilorest) error {
		rc := 255 // an exception that nobody catches
		if i.old {
			rc = 29 // "privilege"
		}
		return b.loggedIn(func(i *ilorest) error {
			if err := i.all([]string{"set", "CertificateLoginEnabled=False", "--select", "HpeCertAuth.", "--commit"}); err != nil {
				return err
			}
			if a, err := b.d.call(b.c, http.MethodDelete, "/redfish/v1/Managers/1/LicenseService/1/", nil); err != nil || a.status != http.StatusOK {
				return fmt.Errorf("the licence cannot be removed: %d, %v", a.status, err)
			}
			return i.ends(rc, "set", "CertificateLoginEnabled=True", "--select", "HpeCertAuth.", "--commit")
		})(i)
	})
}
