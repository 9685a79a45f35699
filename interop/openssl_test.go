//go:build integration

package interop

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// openssl runs the program in the folder and returns what it printed.
func openssl(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command(tool(t, "openssl"), args...)
	cmd.Env, cmd.Dir = cleanEnv(), dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("openssl %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// The kinds of keys that are made here.
var (
	rsaKey = []string{"-newkey", "rsa:2048"}
	ecKey  = []string{"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"}
)

// A credential is a certificate with its key, both files in PEM.
type credential struct{ cert, key string }

// fingerprint is what logs and audit call the certificate.
func (c credential) fingerprint(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(c.cert)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	if block == nil {
		t.Fatalf("%s holds no PEM", c.cert)
	}
	sum := sha256.Sum256(block.Bytes)
	return hex.EncodeToString(sum[:])
}

// An authority is a CA as people run one: a folder for `openssl ca`.
type authority struct {
	t   *testing.T
	dir string
	credential
}

// authorityConfig is what `openssl ca` is told; the sections at the end are the
// kinds of certificates.
const authorityConfig = `[ca]
default_ca = lab
[lab]
database = index.txt
serial = serial
crlnumber = crlnumber
new_certs_dir = .
certificate = ca.pem
private_key = ca.key
default_md = sha256
default_days = 30
default_crl_days = 7
policy = names
unique_subject = no
[names]
organizationName = optional
commonName = supplied
[client]
basicConstraints = CA:FALSE
keyUsage = digitalSignature, keyAgreement
extendedKeyUsage = clientAuth
[server]
basicConstraints = CA:FALSE
extendedKeyUsage = serverAuth
[upn]
basicConstraints = CA:FALSE
extendedKeyUsage = clientAuth
subjectAltName = otherName:1.3.6.1.4.1.311.20.2.3;UTF8:student@lab.example.net
[ocsp]
basicConstraints = CA:FALSE
extendedKeyUsage = clientAuth
authorityInfoAccess = OCSP;URI:%s
`

// newAuthority makes a CA with the key. responder is the address that its
// certificates of the kind ocsp name.
func newAuthority(t *testing.T, name string, key []string, responder string) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.credential = credential{filepath.Join(a.dir, "ca.pem"), filepath.Join(a.dir, "ca.key")}
	for file, text := range map[string]string{
		"ca.cnf": fmt.Sprintf(authorityConfig, responder), "index.txt": "", "serial": "1000\n", "crlnumber": "01\n",
	} {
		if err := os.WriteFile(filepath.Join(a.dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	openssl(t, a.dir, append([]string{"req", "-x509", "-nodes", "-keyout", "ca.key", "-out", "ca.pem",
		"-subj", "/O=Lab/CN=" + name, "-days", "30"}, key...)...)
	return a
}

// request makes a key and a signing request.
func (a *authority) request(file, subject string, key []string) {
	a.t.Helper()
	openssl(a.t, a.dir, append([]string{"req", "-new", "-nodes", "-keyout", file + ".key", "-out", file + ".csr",
		"-subj", subject}, key...)...)
}

func (a *authority) made(file string) credential {
	return credential{filepath.Join(a.dir, file+".pem"), filepath.Join(a.dir, file+".key")}
}

// plain signs as most recipes do, with `openssl x509 -req` and not one extension.
func (a *authority) plain(file, cn string, key []string) credential {
	a.t.Helper()
	a.request(file, "/O=Lab/CN="+cn, key)
	openssl(a.t, a.dir, "x509", "-req", "-in", file+".csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
		"-out", file+".pem", "-days", "30")
	return a.made(file)
}

// issue signs with `openssl ca`, which keeps a list of what it has signed.
func (a *authority) issue(file, cn, kind string, more ...string) credential {
	a.t.Helper()
	a.request(file, "/O=Lab/CN="+cn, ecKey)
	return a.sign(file, kind, more...)
}

func (a *authority) sign(file, kind string, more ...string) credential {
	a.t.Helper()
	openssl(a.t, a.dir, append([]string{"ca", "-batch", "-config", "ca.cnf", "-notext", "-extensions", kind,
		"-in", file + ".csr", "-out", file + ".pem"}, more...)...)
	return a.made(file)
}

// viaV1 makes a certificate of an intermediate CA that is X.509 v1, and so may
// not be one; its file holds both.
func (a *authority) viaV1(file, cn string) credential {
	a.t.Helper()
	a.plain("v1", "Intermediate", ecKey)
	a.request(file, "/O=Lab/CN="+cn, ecKey)
	openssl(a.t, a.dir, "x509", "-req", "-in", file+".csr", "-CA", "v1.pem", "-CAkey", "v1.key", "-CAcreateserial",
		"-out", file+".leaf", "-days", "30")
	var both []byte
	for _, part := range []string{file + ".leaf", "v1.pem"} {
		text, err := os.ReadFile(filepath.Join(a.dir, part))
		if err != nil {
			a.t.Fatal(err)
		}
		both = append(both, text...)
	}
	c := a.made(file)
	if err := os.WriteFile(c.cert, both, 0o600); err != nil {
		a.t.Fatal(err)
	}
	return c
}

// revoke revokes what issue has made.
func (a *authority) revoke(c credential) {
	a.t.Helper()
	openssl(a.t, a.dir, "ca", "-config", "ca.cnf", "-revoke", c.cert)
}

// list is the present list of what is revoked.
func (a *authority) list() string {
	a.t.Helper()
	openssl(a.t, a.dir, "ca", "-config", "ca.cnf", "-gencrl", "-out", "crl.pem")
	return filepath.Join(a.dir, "crl.pem")
}

// An ocspServer answers OCSP with what `openssl ocsp` says, on the loopback
// interface alone, where that program cannot listen.
type ocspServer struct {
	*httptest.Server
	authority *authority // set before the first question
}

func newOCSPServer(t *testing.T) *ocspServer {
	t.Helper()
	program, o := tool(t, "openssl"), &ocspServer{}
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		question, _ := io.ReadAll(io.LimitReader(r.Body, 64<<10))
		answer, err := o.answer(program, question)
		if err != nil {
			http.Error(w, fmt.Sprint(err), http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/ocsp-response")
		w.Write(answer)
	}))
	t.Cleanup(o.Close)
	return o
}

func (o *ocspServer) answer(program string, question []byte) ([]byte, error) {
	dir, err := os.MkdirTemp(o.authority.dir, "ocsp-")
	if err != nil {
		return nil, err
	}
	ask, say := filepath.Join(dir, "ask.der"), filepath.Join(dir, "say.der")
	if err := os.WriteFile(ask, question, 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command(program, "ocsp", "-index", "index.txt", "-CA", "ca.pem", "-rsigner", "ca.pem", "-rkey", "ca.key",
		"-reqin", ask, "-respout", say, "-ndays", "1")
	cmd.Env, cmd.Dir = cleanEnv(), o.authority.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("openssl ocsp: %w: %s", err, out)
	}
	return os.ReadFile(say)
}

// leafOf is the first certificate of a PEM text.
func leafOf(t *testing.T, text string) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		t.Fatalf("no PEM in %q", text)
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

// pythonWith runs a script of clients/ against the endpoint, with more in its
// environment.
func pythonWith(t *testing.T, e endpoint, more []string, file string, args ...string) ([]byte, error) {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("clients", file))
	if err != nil {
		return nil, err
	}
	env := append([]string{"POSTERN_BASE=" + e.base, "POSTERN_USER=" + e.user, "POSTERN_PASSWORD=" + e.password, "POSTERN_CA=" + e.ca}, more...)
	return runClient(t, env, venv(t, "python"), append([]string{path}, args...)...)
}
