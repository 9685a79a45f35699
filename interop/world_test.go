//go:build integration

package interop

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// How long a start or a stop may take before the test gives up on it. DESIGN 8
// gives SIGTERM 8 seconds in all.
const (
	startLimit = 30 * time.Second
	stopLimit  = 15 * time.Second
)

// A world is what one test runs: processes on free loopback ports, files in
// one folder, and the secrets that must not be found in any output of ours.
type world struct {
	t       *testing.T
	dir     string
	mu      sync.Mutex // guards what follows
	procs   []*proc
	secrets map[string]string // value -> what it is
	spared  map[string]bool   // files that hold a secret because they have to
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), secrets: map[string]string{}, spared: map[string]bool{}}
	t.Cleanup(func() {
		w.stopAll()
		w.hunt()
		if t.Failed() {
			w.tails()
		}
	})
	return w
}

// path names a file of the world.
func (w *world) path(elem ...string) string {
	return filepath.Join(append([]string{w.dir}, elem...)...)
}

// secret tells the world of a value that must stay secret.
func (w *world) secret(what, value string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if value != "" {
		w.secrets[value] = what
	}
	return value
}

// password makes a new password that no policy minds and leaves it in a file.
func (w *world) password(what string) (value, file string) {
	w.t.Helper()
	value = w.secret(what, "Pw-"+rand.Text())
	file = w.path(strings.ReplaceAll(what, " ", "-") + ".pw")
	w.write(file, value+"\n")
	return value, file
}

// write makes or replaces a file that holds a secret.
func (w *world) write(file, text string) {
	w.t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.spare(file)
}

// spare excepts a file from the hunt.
func (w *world) spare(file string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.spared[file] = true
}

// proc is a started process. Its output is kept in a file.
type proc struct {
	w      *world
	name   string
	cmd    *exec.Cmd
	output string // path
	done   chan struct{}
	err    error // how it ended; valid when done is closed
}

// start runs a program until the test ends or it is stopped.
func (w *world) start(name, bin string, args ...string) *proc {
	w.t.Helper()
	w.mu.Lock()
	output := filepath.Join(w.dir, fmt.Sprintf("%s-%d.out", name, len(w.procs)))
	w.mu.Unlock()
	f, err := os.Create(output)
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close()
	p := &proc{w: w, name: name, cmd: exec.Command(bin, args...), output: output, done: make(chan struct{})}
	p.cmd.Dir = w.dir
	p.cmd.Env = cleanEnv()
	p.cmd.Stdout, p.cmd.Stderr = f, f
	if err := p.cmd.Start(); err != nil {
		w.t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	w.mu.Lock()
	w.procs = append(w.procs, p)
	w.mu.Unlock()
	return p
}

func (p *proc) signal(s syscall.Signal) {
	select {
	case <-p.done:
	default:
		p.cmd.Process.Signal(s)
	}
}

// wait waits for the end of the process and reports whether it came in time.
func (p *proc) wait(limit time.Duration) bool {
	select {
	case <-p.done:
		return true
	case <-time.After(limit):
		return false
	}
}

// kill ends the process as a crash would.
func (p *proc) kill() {
	p.w.t.Helper()
	p.signal(syscall.SIGKILL)
	if !p.wait(stopLimit) {
		p.w.t.Fatalf("%s outlived SIGKILL", p.name)
	}
}

// stop asks the process to end and wants a clean end in time.
func (p *proc) stop() {
	p.w.t.Helper()
	p.signal(syscall.SIGTERM)
	if !p.wait(stopLimit) {
		p.kill()
		p.w.t.Errorf("%s did not end within %v of SIGTERM", p.name, stopLimit)
		return
	}
	if p.err != nil {
		p.w.t.Errorf("%s ended with %v after SIGTERM: %s", p.name, p.err, p.tail())
	}
}

func (p *proc) tail() string {
	const keep = 4000
	data, _ := os.ReadFile(p.output)
	return string(data[max(0, len(data)-keep):])
}

func (w *world) stopAll() {
	w.mu.Lock()
	procs := w.procs
	w.mu.Unlock()
	// The last started first: gateways before their devices.
	for i := len(procs) - 1; i >= 0; i-- {
		p := procs[i]
		select {
		case <-p.done:
			continue
		default:
		}
		p.signal(syscall.SIGTERM)
		if !p.wait(stopLimit) {
			w.t.Errorf("%s did not end within %v of SIGTERM", p.name, stopLimit)
			p.kill()
		}
	}
}

func (w *world) tails() {
	last := map[string]*proc{}
	for _, p := range w.procs {
		last[p.name] = p
	}
	for name, p := range last {
		w.t.Logf("---- the end of what the last %s said:\n%s", name, p.tail())
	}
}

// cleanEnv is the little of the environment that a process gets: nothing that
// changes which certificates it trusts or where it connects.
func cleanEnv(more ...string) []string {
	env := []string{"PYTHONDONTWRITEBYTECODE=1", "PYTHONUNBUFFERED=1"}
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "LANG"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return append(env, more...)
}

// ready is the object that a long-running command writes when it can be used.
type ready struct {
	PID          int                          `json:"pid"`
	URLs         map[string]string            `json:"urls"`
	CAFile       string                       `json:"ca_file"`
	User         string                       `json:"user"`
	PasswordFile string                       `json:"password_file"`
	Targets      map[string]map[string]string `json:"targets"`
}

// startReady starts bin/postern with a ready file and waits for that.
func (w *world) startReady(name string, args ...string) (*proc, ready) {
	w.t.Helper()
	return w.startReadyBin(name, binary(w.t), args...)
}

func (w *world) startReadyBin(name, bin string, args ...string) (*proc, ready) {
	w.t.Helper()
	file := w.path(name + ".ready")
	if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
		w.t.Fatal(err)
	}
	p := w.start(name, bin, append(args, "--log-level", "debug", "--ready-file", file)...)
	end := time.Now().Add(startLimit)
	for {
		if data, err := os.ReadFile(file); err == nil {
			var r ready
			if err := json.Unmarshal(data, &r); err != nil {
				w.t.Fatalf("%s: ready file %q: %v", name, data, err)
			}
			if r.PasswordFile != "" {
				w.spare(r.PasswordFile)
				w.secret(name+" password", strings.TrimSuffix(w.read(r.PasswordFile), "\n"))
			}
			return p, r
		}
		select {
		case <-p.done:
			w.t.Fatalf("%s ended before it was ready (%v): %s", name, p.err, p.tail())
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(end) {
			w.t.Fatalf("%s is not ready after %v: %s", name, startLimit, p.tail())
		}
	}
}

func (w *world) read(file string) string {
	w.t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(data)
}

// run runs bin/postern to its end and returns what it wrote to standard output.
func (w *world) run(args ...string) (string, error) {
	cmd := exec.Command(binary(w.t), args...)
	cmd.Env, cmd.Dir = cleanEnv(), w.dir
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if err != nil {
		err = fmt.Errorf("postern %s: %w: %s", strings.Join(args, " "), err, errs.String())
	}
	return out.String(), err
}

// An endpoint is where a client goes, and who it says it is.
type endpoint struct {
	base     string // no trailing slash
	ca       string // path
	user     string
	password string

	system int    // the member of Systems to reset
	expire string // seconds after which sessions end by themselves; "" = they have to be ended
}

func (e endpoint) host() string { return strings.TrimPrefix(e.base, "https://") }

// client is a plain HTTP client that trusts the endpoint's CA alone.
func (e endpoint) client(t testing.TB) *http.Client {
	t.Helper()
	data, err := os.ReadFile(e.ca)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		t.Fatalf("%s holds no certificate", e.ca)
	}
	tr := &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: pool},
		MaxIdleConnsPerHost: 256,
		DisableCompression:  true,
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 60 * time.Second}
}

// An answer is a response, read.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// call sends one request with Basic credentials.
func (e endpoint) call(c *http.Client, method, path string, body any) (answer, error) {
	var in io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return answer{}, err
		}
		in = bytes.NewReader(data)
	}
	r, err := http.NewRequest(method, e.base+path, in)
	if err != nil {
		return answer{}, err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	r.SetBasicAuth(e.user, e.password)
	return send(c, r)
}

func send(c *http.Client, r *http.Request) (answer, error) {
	resp, err := c.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, data}, err
}

// freePort is a loopback port that nobody listened on a moment ago.
func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
