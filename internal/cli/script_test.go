package cli

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"postern": func() { os.Exit(Main("0.0.0-test")) },
	})
}

// TestScript runs testdata/*.txtar. Besides the commands of testscript there are:
//
//	fails STATUS CMD...                 run CMD, which must end with STATUS
//	eventually CMD...                   run CMD until it ends with 0
//	ready FILE                          wait until FILE is there
//	json VAR FILE KEY...                set VAR to a value in a JSON file
//	signal NAME READY                   send SIGNAME to the pid that a ready file names
//	http STATUS METHOD URL CA [USER PASSWORD-FILE]   one request, which must get STATUS
//	mtls STATUS METHOD URL CA FILE      the same with the certificate and key in FILE; STATUS refused: no handshake
//	issue FILE CN [CA]                  make a certificate and its key, in one FILE: a CA's, or one that CA signs
//	revoke FILE CA [CERT]               make a CRL of CA that names CERT
//	read VAR FILE                       set VAR to the first line of a file
//	mode FILE WANT                      the file's mode, in octal
//	envsubst FILE                       replace variables in a file
//	flip FILE                           alter the middle byte of a file
func TestScript(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:           "testdata",
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("GORACE", "atexit_sleep_ms=0") // the race detector's default is a second for each process
			e.Setenv("XDG_STATE_HOME", filepath.Join(e.WorkDir, "state"))
			return os.WriteFile(filepath.Join(e.WorkDir, "device.pw"), []byte("device password\n"), 0o600)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"mtls": requestWith, "issue": issue, "revoke": revoke,
			"fails": fails, "eventually": eventually, "ready": waitReady, "json": jsonValue, "signal": sendSignal,
			"http": request, "read": readLine, "mode": fileMode, "flip": flip, "envsubst": envsubst,
		},
	})
}

func fails(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "fails STATUS CMD...")
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		ts.Fatalf("got %v, want exit status %d", err, want)
	}
	if exit.ExitCode() != want {
		ts.Fatalf("got exit status %d, want %d", exit.ExitCode(), want)
	}
}

func eventually(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 1, "eventually CMD...")
	for end := time.Now().Add(patience); ts.Exec(args[0], args[1:]...) != nil; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			ts.Fatalf("%v still fails after %v", args, patience)
		}
	}
}

// patience is how long a process may take before a test gives up on it.
const patience = 30 * time.Second

func waitReady(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 1, "ready FILE")
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("%s is not there after %v", args[0], patience)
		}
	}
}

func jsonValue(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 3, "json VAR FILE KEY...")
	var v any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[1])), &v))
	for _, key := range args[2:] {
		switch x := v.(type) {
		case map[string]any:
			v = x[key]
		case []any:
			i, err := strconv.Atoi(key)
			ts.Check(err)
			v = x[i]
		default:
			v = nil
		}
	}
	if v == nil {
		ts.Fatalf("no %v in %s", args[2:], ts.ReadFile(args[1]))
	}
	ts.Setenv(args[0], fmt.Sprint(v))
}

func sendSignal(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "signal NAME READY")
	sig, ok := map[string]syscall.Signal{"TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "KILL": syscall.SIGKILL, "HUP": syscall.SIGHUP}[args[0]]
	if !ok {
		ts.Fatalf("no signal %s", args[0])
	}
	var r struct{ PID int }
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[1])), &r))
	ts.Check(syscall.Kill(r.PID, sig))
}

func request(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 4, "http STATUS METHOD URL CA [USER PASSWORD-FILE]")
	r, err := http.NewRequest(args[1], args[2], nil)
	ts.Check(err)
	if len(args) > 4 {
		r.SetBasicAuth(args[4], strings.TrimSuffix(ts.ReadFile(args[5]), "\n"))
	}
	send(ts, args[0], r, &tls.Config{RootCAs: roots(ts, args[3])})
}

func requestWith(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 5, "mtls STATUS METHOD URL CA FILE")
	r, err := http.NewRequest(args[1], args[2], nil)
	ts.Check(err)
	text := []byte(ts.ReadFile(args[4]))
	cert, err := tls.X509KeyPair(text, text)
	ts.Check(err)
	send(ts, args[0], r, &tls.Config{RootCAs: roots(ts, args[3]), Certificates: []tls.Certificate{cert}})
}

func roots(ts *testscript.TestScript, file string) *x509.CertPool {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(ts.ReadFile(file))) {
		ts.Fatalf("no certificate in %s", file)
	}
	return pool
}

// send makes one request, which must get the status, and keeps the answer in the
// file body.
func send(ts *testscript.TestScript, status string, r *http.Request, conf *tls.Config) {
	tr := &http.Transport{TLSClientConfig: conf, DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: tr, Timeout: patience}).Do(r)
	if status == "refused" {
		if err == nil {
			resp.Body.Close()
			ts.Fatalf("got %s, want the handshake refused", resp.Status)
		}
		return
	}
	ts.Check(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	ts.Check(err)
	if strconv.Itoa(resp.StatusCode) != status {
		ts.Fatalf("got %s, want %s: %s", resp.Status, status, body)
	}
	ts.Check(os.WriteFile(ts.MkAbs("body"), body, 0o600))
}

// issue makes a certificate, for a CA, or for clients and servers.
func issue(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "issue FILE CN [CA]")
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: args[1]}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true,
		IsCA: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
	}
	parent, signer := template, key
	if len(args) > 2 {
		template.IsCA, template.KeyUsage = false, x509.KeyUsageDigitalSignature
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
		parent, signer = pair(ts, args[2])
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	ts.Check(err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	text = append(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})...)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), text, 0o600))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
}

func pair(ts *testscript.TestScript, file string) (*x509.Certificate, *ecdsa.PrivateKey) {
	text := []byte(ts.ReadFile(file))
	cert, err := tls.X509KeyPair(text, text)
	ts.Check(err)
	return cert.Leaf, cert.PrivateKey.(*ecdsa.PrivateKey)
}

func revoke(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "revoke FILE CA [CERT]")
	ca, key := pair(ts, args[1])
	list := &x509.RevocationList{Number: big.NewInt(time.Now().UnixNano()), ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: time.Now().Add(time.Hour)}
	if len(args) > 2 {
		cert, _ := pair(ts, args[2])
		list.RevokedCertificateEntries = []x509.RevocationListEntry{{SerialNumber: cert.SerialNumber, RevocationTime: time.Now().Add(-time.Minute)}}
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, ca, key)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), der, 0o600))
}

func readLine(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "read VAR FILE")
	line, _, _ := strings.Cut(ts.ReadFile(args[1]), "\n")
	ts.Setenv(args[0], line)
}

func fileMode(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "mode FILE WANT")
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != args[1] {
		ts.Fatalf("%s: got mode %s, want %s", args[0], got, args[1])
	}
}

func envsubst(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 1, "envsubst FILE")
	text := os.Expand(ts.ReadFile(args[0]), ts.Getenv)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

func flip(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 1, "flip FILE")
	files, err := filepath.Glob(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(files) == 0 {
		ts.Fatalf("no file %s", args[0])
	}
	data, err := os.ReadFile(files[0])
	ts.Check(err)
	data[len(data)/2] ^= 1
	ts.Check(os.WriteFile(files[0], data, 0o600))
}

func need(ts *testscript.TestScript, neg bool, args []string, n int, use string) {
	if neg || len(args) < n {
		ts.Fatalf("usage: %s", use)
	}
}
