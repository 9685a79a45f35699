//go:build integration

package interop

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A bench is a folder where openssl and postern cert work on the same files.
type bench struct {
	t   *testing.T
	dir string
	env []string
}

const (
	keyPass  = "key pass é"
	filePass = "file-pass" // in ASCII: Java takes no other
)

func newBench(t *testing.T) bench {
	tool(t, "openssl")
	return bench{t: t, dir: t.TempDir(), env: cleanEnv("KEY_PASS="+keyPass, "FILE_PASS="+filePass, "LC_ALL=C.UTF-8")}
}

// try runs a program in the folder; the last line of its complaints is in the error.
func (b bench) try(bin string, args ...string) (string, error) {
	cmd := exec.Command(bin, args...)
	cmd.Dir, cmd.Env = b.dir, b.env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (b bench) run(bin string, args ...string) string {
	b.t.Helper()
	out, err := b.try(bin, args...)
	if err != nil {
		b.t.Fatalf("%s %s: %v: %s", filepath.Base(bin), strings.Join(args, " "), err, tailOf(out))
	}
	return out
}

func (b bench) openssl(args ...string) string { b.t.Helper(); return b.run("openssl", args...) }

func (b bench) postern(args ...string) string {
	b.t.Helper()
	return b.run(binary(b.t), append([]string{"cert"}, args...)...)
}

func (b bench) write(file, text string) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, file), []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func (b bench) read(file string) string {
	b.t.Helper()
	data, err := os.ReadFile(filepath.Join(b.dir, file))
	if err != nil {
		b.t.Fatal(err)
	}
	return string(data)
}

// script runs one of clients/, with more variables.
func (b bench) script(name string, env ...string) {
	b.t.Helper()
	text, err := os.ReadFile(filepath.Join("clients", name))
	if err != nil {
		b.t.Fatal(err)
	}
	b.write(name, string(text))
	b.env = append(b.env, env...) // of this copy of b
	b.run(tool(b.t, "bash"), name)
}

type seen struct {
	Form  string
	Items []struct {
		Kind, Subject, Issuer, Serial, Key, Role, SHA256 string
		Version                                          int
		Uses, Notes, Names                               []string
	}
}

// inspect is what postern cert inspect tells of a file.
func (b bench) inspect(file string, flags ...string) seen {
	b.t.Helper()
	out := b.postern(append([]string{"inspect", "-o", "json", file}, flags...)...)
	var files []seen
	if err := json.Unmarshal([]byte(out), &files); err != nil || len(files) != 1 {
		b.t.Fatalf("inspect %s: %v: %s", file, err, out)
	}
	return files[0]
}

// fingerprint is what openssl tells of a certificate.
func (b bench) fingerprint(file string) string {
	b.t.Helper()
	_, hex, _ := strings.Cut(b.openssl("x509", "-in", file, "-noout", "-fingerprint", "-sha256"), "=")
	return strings.TrimSpace(hex)
}

// Symphony's four lines, with a CA of ours whose key is encrypted by us, and each
// of their files read by us; then the same by us, read by OpenSSL.
func TestCertSymphony(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.env = append(b.env, "PASSWORD=secret1", "CA_PASSWORD=ca-pass")
	b.postern("self-signed", "ca-key.pem", "--new-key", "rsa4096", "--passphrase-env", "CA_PASSWORD", "--for", "ca", "--cn", "Bots CA", "--days", "3000", "--out", "ca.pem")
	b.script("seed-symphony.sh", "USERNAME=demo-bot1", "CA_CERT=ca.pem", "CA_KEY=ca-key.pem", "OUTPUT_PASSWORD="+filePass)
	if got := b.inspect("admin-key.pem", "--passphrase-env", "PASSWORD"); got.Items[0].Key != "RSA 4096 bits" {
		t.Errorf("line 1: %+v", got)
	}
	if got := b.inspect("admin-req.pem"); got.Items[0].Subject != "C=US,OU=NOT FOR PRODUCTION USE,O=Symphony Communications LLC,CN=demo-bot1" {
		t.Errorf("line 2: %+v", got)
	}
	third := b.inspect("admin-cert.pem").Items[0]
	if third.Version != 1 || third.Serial != "01" || third.Issuer != "CN=Bots CA" || third.SHA256 != b.fingerprint("admin-cert.pem") || len(third.Notes) != 1 {
		t.Errorf("line 3: %+v", third)
	}
	if got := b.inspect("admin.p12", "--passphrase-env", "FILE_PASS"); got.Form != "PKCS#12" || len(got.Items) != 2 || got.Items[1].SHA256 != third.SHA256 {
		t.Errorf("line 4: %+v", got)
	}

	b.postern("csr", "bot.key", "--new-key", "rsa4096", "--passphrase-env", "PASSWORD", "--cn", "demo-bot1", "--organization", "Symphony Communications LLC",
		"--department", "NOT FOR PRODUCTION USE", "--country", "US", "--out", "bot.csr")
	b.postern("sign", "bot.csr", "--ca", "ca.pem", "--ca-key", "ca-key.pem", "--passphrase-env", "CA_PASSWORD", "--days", "2922", "--out", "bot.pem")
	b.postern("p12", "bot.p12", "--cert", "bot.pem", "--key", "bot.key", "--passphrase-env", "PASSWORD", "--password-env", "FILE_PASS")
	b.openssl("rsa", "-in", "bot.key", "-passin", "env:PASSWORD", "-check", "-noout")
	b.openssl("verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", "ca.pem", "bot.pem")
	if out := b.openssl("pkcs12", "-in", "bot.p12", "-passin", "env:FILE_PASS", "-nodes", "-info"); !strings.Contains(out, "PBES2") || !strings.Contains(out, "sha256") {
		t.Errorf("bot.p12: %s", out)
	}
}

// HPE's lines for the certificate of a user: the request that openssl asks the
// parts of, and what openssl ca writes, text above the PEM.
func TestCertHPE(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.postern("self-signed", "ca.key", "--new-key", "p256", "--for", "ca", "--cn", "Lab CA", "--out", "ca.pem")
	b.write("student.cnf", "[ca]\ndefault_ca=lab\n[lab]\ndatabase=index\nserial=serial\nnew_certs_dir=.\ncertificate=ca.pem\nprivate_key=ca.key\ndefault_md=sha256\ndefault_days=30\n"+
		"[policy_anything]\ncountryName=optional\nstateOrProvinceName=optional\nlocalityName=optional\norganizationName=optional\norganizationalUnitName=optional\ncommonName=supplied\nemailAddress=optional\n")
	b.write("index", "")
	b.write("serial", "1000\n")
	b.write("answers", "FR\n\nSophia\nExample\nLab\nstudent\nstudent@example.com\n\n\n")
	b.write("yes", "y\ny\n")
	b.script("seed-hpe-certificate.sh")
	text := b.read("student.crt")
	if !strings.HasPrefix(text, "Certificate:\n    Data:") {
		t.Fatalf("openssl ca wrote no text above the PEM: %.60q", text)
	}
	want := b.fingerprint("student.crt")
	b.write("crlf.crt", strings.ReplaceAll(text, "\n", "\r\n"))
	for _, file := range []string{"student.crt", "crlf.crt"} {
		got := b.inspect(file).Items
		if len(got) != 1 || got[0].SHA256 != want || got[0].Issuer != "CN=Lab CA" || !strings.Contains(got[0].Subject, "CN=student") {
			t.Errorf("%s: %+v, want the fingerprint %s", file, got, want)
		}
	}
	b.postern("sign", "student.csr", "--ca", "ca.pem", "--ca-key", "ca.key", "--out", "ours.pem")
	b.openssl("verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", "ca.pem", "ours.pem")
	checkLines(t, b, want)
}

// checkLines compares the seed's sed and awk with --json-line, on a file with LF and
// on one with CR-LF.
func checkLines(t *testing.T, b bench, want string) {
	t.Helper()
	b.openssl("x509", "-in", "student.crt", "-out", "plain.crt")
	ours := strings.TrimSuffix(b.postern("inspect", "--json-line", "student.crt"), "\n")
	lf := b.read("plain.crt")
	for _, file := range []struct{ name, text, end string }{
		{"LF", lf, "-----END CERTIFICATE-----\n"},
		{"CR-LF", strings.ReplaceAll(lf, "\n", "\r\n"), "-----END CERTIFICATE-----\r\n"}, // sed never sees the last end of a line
	} {
		b.write("certfile.crt", file.text)
		b.script("seed-hpe-line.sh")
		sed, awk := b.read("sed.txt"), b.read("awk.txt")
		t.Logf("%s: sed %q... %q, awk %q... %q", file.name, sed[:60], sed[len(sed)-40:], awk[:60], awk[len(awk)-40:])
		if awk != ours {
			t.Errorf("%s: awk's line is not that of --json-line:\n%q\n%q", file.name, awk, ours)
		}
		if strings.TrimRight(sed, "\r\n") != strings.TrimSuffix(ours, `\n`) || !strings.HasSuffix(sed, file.end) {
			t.Errorf("%s: sed's line is not that of --json-line:\n%q\n%q", file.name, sed, ours)
		}
		for _, line := range []string{"sed.txt", "awk.txt"} {
			if got := b.inspect(line).Items; len(got) != 1 || got[0].SHA256 != want {
				t.Errorf("%s: %s: read as %+v, want %s", file.name, line, got, want)
			}
		}
	}
	var body struct{ Fingerprint string }
	if err := json.Unmarshal([]byte(`{"Fingerprint": "`+ours+`"}`), &body); err != nil || body.Fingerprint != lf {
		t.Errorf("in a JSON string: %v, %q", err, body.Fingerprint)
	}
}

// Every key that we make is read by OpenSSL, and the other way round in every form.
func TestCertKeys(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for kind, algorithm := range map[string][]string{
		"p256": {"EC", "ec_paramgen_curve:P-256"}, "p384": {"EC", "ec_paramgen_curve:P-384"},
		"rsa2048": {"RSA", "rsa_keygen_bits:2048"}, "rsa3072": {"RSA", "rsa_keygen_bits:3072"}, "ed25519": {"ED25519", ""},
	} {
		b.postern("key", "--kind", kind, kind+".key")
		b.postern("key", "--kind", kind, "--passphrase-env", "KEY_PASS", kind+".enc")
		b.openssl("pkey", "-in", kind+".key", "-check", "-noout")
		b.openssl("pkey", "-in", kind+".enc", "-passin", "env:KEY_PASS", "-check", "-noout")

		args := []string{"genpkey", "-algorithm", algorithm[0], "-out", "theirs." + kind}
		if algorithm[1] != "" {
			args = append(args, "-pkeyopt", algorithm[1])
		}
		b.openssl(args...)
		want := b.inspect("theirs." + kind).Items[0].Key
		forms := map[string][]string{
			"der":     {"pkey", "-outform", "DER"},
			"aes":     {"pkey", "-aes256", "-passout", "env:KEY_PASS"},
			"scrypt":  {"pkcs8", "-topk8", "-scrypt", "-passout", "env:KEY_PASS"},
			"des3":    {"pkcs8", "-topk8", "-v2", "des3", "-passout", "env:KEY_PASS"},
			"sha512":  {"pkcs8", "-topk8", "-v2prf", "hmacWithSHA512", "-passout", "env:KEY_PASS"},
			"pbes1":   {"pkcs8", "-topk8", "-v1", "PBE-SHA1-3DES", "-passout", "env:KEY_PASS"},
			"dek":     {"pkey", "-traditional", "-aes128", "-passout", "env:KEY_PASS"},
			"dekdes3": {"pkey", "-traditional", "-des3", "-passout", "env:KEY_PASS"},
		}
		for form, args := range forms {
			if kind == "ed25519" && strings.HasPrefix(form, "dek") { // has no such form
				continue
			}
			file := kind + "." + form
			b.openssl(append(args, "-in", "theirs."+kind, "-out", file)...)
			if got := b.inspect(file, "--passphrase-env", "KEY_PASS").Items[0].Key; got != want {
				t.Errorf("%s: read as %s, want %s", file, got, want)
			}
		}
	}
}

// Requests, certificates and PKCS#12 files of ours as OpenSSL, curl and Java see them.
func TestCertFiles(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.postern("self-signed", "ca.key", "--new-key", "p384", "--for", "ca", "--cn", "Lab CA", "--country", "FR", "--out", "ca.pem")
	b.postern("csr", "a.key", "--new-key", "rsa2048", "--cn", "student", "--organization", "Example", "--email", "student@example.com",
		"--upn", "student@example.com", "--san-email", "student@example.com", "--dns", "a.example", "--ip", "192.0.2.1,2001:db8::1", "--uri", "urn:x:y", "--out", "a.csr")
	names := []string{"DNS:a.example", "IP Address:192.0.2.1", "IP Address:2001:DB8:0:0:0:0:0:1", "URI:urn:x:y", "email:student@example.com", "UPN:"}
	request := b.openssl("req", "-in", "a.csr", "-verify", "-noout", "-text")
	b.postern("sign", "a.csr", "--ca", "ca.pem", "--ca-key", "ca.key", "--out", "a.pem")
	out := b.openssl("x509", "-in", "a.pem", "-noout", "-text")
	for _, part := range append(names, "Version: 3", "Issuer: C = FR, CN = Lab CA", "emailAddress = student@example.com", "TLS Web Client Authentication", "CA:FALSE") {
		if !strings.Contains(out, part) {
			t.Errorf("a.pem lacks %q: %s", part, out)
		}
	}
	for _, part := range names {
		if !strings.Contains(request, part) {
			t.Errorf("a.csr lacks %q: %s", part, request)
		}
	}
	b.openssl("verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", "ca.pem", "a.pem")

	for name, flags := range map[string][]string{"modern": nil, "legacy": {"--legacy"}} {
		file := name + ".p12"
		b.postern(append([]string{"p12", file, "--cert", "a.pem", "--key", "a.key", "--chain", "ca.pem", "--password-env", "FILE_PASS"}, flags...)...)
		out := b.openssl("pkcs12", "-in", file, "-passin", "env:FILE_PASS", "-nodes")
		if strings.Count(out, "BEGIN CERTIFICATE") != 2 || strings.Count(out, "BEGIN PRIVATE KEY") != 1 {
			t.Errorf("%s: %s", file, out)
		}
	}
	// And what OpenSSL packs, in old forms and new ones.
	for name, args := range map[string][]string{
		"new":    nil,
		"3des":   {"-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1"},
		"sha512": {"-macalg", "sha512", "-iter", "100000", "-name", "student"},
		"rc2":    {"-legacy"},
	} {
		file := "theirs-" + name + ".p12"
		b.openssl(append([]string{"pkcs12", "-export", "-in", "a.pem", "-inkey", "a.key", "-certfile", "ca.pem", "-out", file, "-passout", "env:FILE_PASS"}, args...)...)
		b.postern("p12", file, "--unpack", name+".pem", "--password-env", "FILE_PASS")
		if got := b.inspect(name + ".pem").Items; len(got) != 3 || got[0].SHA256 != b.fingerprint("a.pem") || got[2].Kind != "key" {
			t.Errorf("%s: %+v", file, got)
		}
	}
	b.openssl("crl2pkcs7", "-nocrl", "-certfile", "a.pem", "-certfile", "ca.pem", "-outform", "DER", "-out", "a.p7b")
	if got := b.inspect("a.p7b"); got.Form != "PKCS#7" || len(got.Items) != 2 {
		t.Errorf("a.p7b: %+v", got)
	}
	b.openssl("x509", "-in", "a.pem", "-outform", "DER", "-out", "a.cer")
	b.write("a.again", b.postern("inspect", "--pem", "a.cer"))
	if b.read("a.again") != b.read("a.pem") {
		t.Error("a.cer gives another PEM")
	}
}

// Java's keytool lists what we pack, and we read what it packs.
func TestCertJava(t *testing.T) {
	t.Parallel()
	keytool, err := exec.LookPath("keytool")
	need(t, err == nil, "Java's keytool (Debian: default-jre-headless)")
	b := newBench(t)
	b.postern("self-signed", "a.key", "--new-key", "rsa2048", "--cn", "student", "--out", "a.pem")
	for name, flags := range map[string][]string{"modern": nil, "legacy": {"--legacy"}} {
		b.postern(append([]string{"p12", name + ".p12", "--cert", "a.pem", "--key", "a.key", "--password-env", "FILE_PASS"}, flags...)...)
		if out := b.run(keytool, "-list", "-keystore", name+".p12", "-storepass:env", "FILE_PASS"); !strings.Contains(out, "PrivateKeyEntry") {
			t.Errorf("%s.p12: %s", name, out)
		}
	}
	b.run(keytool, "-genkeypair", "-alias", "bot", "-keyalg", "RSA", "-dname", "CN=bot", "-keystore", "java.p12", "-storetype", "PKCS12", "-storepass:env", "FILE_PASS")
	if got := b.inspect("java.p12", "--passphrase-env", "FILE_PASS").Items; len(got) != 2 || got[1].Subject != "CN=bot" {
		t.Errorf("java.p12: %+v", got)
	}
	b.run(keytool, "-importcert", "-noprompt", "-alias", "ca", "-file", "a.pem", "-keystore", "trust.p12", "-storetype", "PKCS12", "-storepass:env", "FILE_PASS")
	if got := b.inspect("trust.p12", "--passphrase-env", "FILE_PASS").Items; len(got) != 1 || got[0].SHA256 != b.fingerprint("a.pem") {
		t.Errorf("trust.p12: %+v", got)
	}
}

// What we make is a login: curl with the PKCS#12 file, and with the PEM and its
// encrypted key.
func TestCertLogin(t *testing.T) {
	t.Parallel()
	curl := tool(t, "curl")
	b := newBench(t)
	b.postern("self-signed", "ca.key", "--new-key", "p256", "--for", "ca", "--cn", "Lab CA", "--out", "ca.pem")
	b.postern("csr", "root.key", "--new-key", "rsa2048", "--passphrase-env", "FILE_PASS", "--cn", "root", "--out", "root.csr")
	b.postern("sign", "root.csr", "--ca", "ca.pem", "--ca-key", "ca.key", "--out", "root.pem")
	for name, flags := range map[string][]string{"root": nil, "legacy": {"--legacy"}} {
		b.postern(append([]string{"p12", name + ".p12", "--cert", "root.pem", "--key", "root.key", "--passphrase-env", "FILE_PASS", "--password-env", "FILE_PASS"}, flags...)...)
	}
	d := newWorld(t).sim("--client-ca", filepath.Join(b.dir, "ca.pem"))
	for want, ways := range map[string][][]string{
		"200": {
			{"--cert-type", "P12", "--cert", "root.p12:" + filePass},
			{"--cert-type", "P12", "--cert", "legacy.p12:" + filePass},
			{"--cert", "root.pem:" + filePass, "--key", "root.key"},
		},
		"401": {nil},
	} {
		for _, way := range ways {
			args := append([]string{"--silent", "--show-error", "--output", "answer", "--write-out", "%{http_code}", "--cacert", d.ca}, way...)
			if got := b.run(curl, append(args, d.base+systems)...); got != want {
				t.Errorf("curl %v: got status %s, want %s", way, got, want)
			}
		}
	}
}
