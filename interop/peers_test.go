//go:build integration

package interop

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// binaryEnv names a binary that was built already.
const binaryEnv = "POSTERN_BINARY"

// binary builds bin/postern, once for all tests, unless one is named.
func binary(t testing.TB) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var build = sync.OnceValues(func() (string, error) {
	if path := os.Getenv(binaryEnv); path != "" {
		return path, nil
	}
	path, err := filepath.Abs("../bin/postern")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-trimpath", "-o", path, "../cmd/postern")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build bin/postern: %w: %s", err, out)
	}
	return path, nil
})

// venv is the path of a program of the Python environment.
func venv(t testing.TB, program string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("../.venv/bin", program))
	if err != nil {
		t.Fatal(err)
	}
	_, err = os.Stat(path)
	need(t, err == nil, "%s (run: make setup)", path)
	return path
}

// tool is the path of a program of the machine.
func tool(t testing.TB, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	need(t, err == nil, "the program %s (run: make setup)", program)
	return path
}

// A device is a simulated one.
type device struct {
	*proc
	endpoint
	journal string
	pwFile  string
}

// sim starts a simulated Redfish device.
func (w *world) sim(flags ...string) *device {
	w.t.Helper()
	password, file := w.password("device password")
	d := &device{journal: w.path("device.journal"), pwFile: file}
	args := []string{"sim", "redfish", "--data", w.path("sim"), "--user", "root", "--password-file", file, "--journal", d.journal}
	p, r := w.startReady("sim", append(args, flags...)...)
	d.proc = p
	d.endpoint = endpoint{base: r.URLs["https"], ca: r.CAFile, user: "root", password: password}
	return d
}

// A line is one of the device's journal.
type line struct {
	Time    time.Time `json:"time"`
	Event   string    `json:"event"`
	Method  string    `json:"method"`
	Path    string    `json:"path"`
	Status  int       `json:"status"`
	User    string    `json:"user"`
	Session string    `json:"session"`
	Peer    string    `json:"peer"`
}

// lines are what the journal holds by now, of the given events, or of all.
func (d *device) lines(events ...string) []line {
	d.w.t.Helper()
	var out []line
	s := bufio.NewScanner(bytes.NewReader([]byte(d.w.read(d.journal))))
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		var l line
		if err := json.Unmarshal(s.Bytes(), &l); err != nil {
			d.w.t.Fatalf("journal line %q: %v", s.Bytes(), err)
		}
		if len(events) == 0 || slices.Contains(events, l.Event) {
			out = append(out, l)
		}
	}
	return out
}

// A member is a session as the device lists it.
type member struct {
	ID   string `json:"Id"`
	Path string `json:"@odata.id"`
	User string `json:"UserName"`
}

// sessions lists the device's sessions by its own API.
func (d *device) sessions(c *http.Client) []member {
	d.w.t.Helper()
	var list struct {
		Members []member
	}
	d.get(c, "/redfish/v1/SessionService/Sessions", &list)
	for i := range list.Members {
		d.get(c, list.Members[i].Path, &list.Members[i])
	}
	return list.Members
}

func (d *device) get(c *http.Client, path string, into any) {
	d.w.t.Helper()
	a, err := d.call(c, "GET", path, nil)
	if err != nil {
		d.w.t.Fatal(err)
	}
	if a.status != http.StatusOK {
		d.w.t.Fatalf("the device answered GET %s with %d: %s", path, a.status, a.body)
	}
	if err := json.Unmarshal(a.body, into); err != nil {
		d.w.t.Fatalf("GET %s: %v", path, err)
	}
}

// drop ends sessions of the device by its own API, as its administrator
// would, except the one with the id given.
func (d *device) drop(c *http.Client, except string) {
	d.w.t.Helper()
	for _, m := range d.sessions(c) {
		if m.ID == except {
			continue
		}
		if a, err := d.call(c, "DELETE", m.Path, nil); err != nil || a.status >= 300 && a.status != http.StatusNotFound {
			d.w.t.Fatalf("the device answered DELETE %s with %d, %v", m.Path, a.status, err)
		}
	}
}

// login opens a session at the device, as a person would.
func (e endpoint) login(t testing.TB, c *http.Client) (token, location string) {
	t.Helper()
	a, err := e.call(c, "POST", "/redfish/v1/SessionService/Sessions", map[string]string{"UserName": e.user, "Password": e.password})
	if err != nil || a.status != http.StatusCreated {
		t.Fatalf("login: status %d, %v: %s", a.status, err, a.body)
	}
	return a.header.Get("X-Auth-Token"), a.header.Get("Location")
}

// A gateway is a running `postern serve` with one target, bmc1.
type gateway struct {
	*proc
	endpoint
	data   string
	config string
	bin    string // "" = bin/postern
}

// A targetConfig is the only target of a gateway.
type targetConfig struct {
	url, caFile, pin string
	user, pwFile     string
	more             []string // further lines of YAML
}

func (d *device) target(more ...string) targetConfig {
	return targetConfig{url: d.base, caFile: d.ca, user: d.user, pwFile: d.pwFile, more: more}
}

// gateway writes a configuration; up starts it.
func (w *world) gateway(c targetConfig) *gateway {
	w.t.Helper()
	g := &gateway{data: w.path("gateway"), config: w.path("postern.yaml")}
	g.write(w, c)
	return g
}

func (g *gateway) write(w *world, c targetConfig) {
	lines := []string{"targets:", "  - name: bmc1", "    url: " + c.url, "    user: " + c.user, "    password_file: " + c.pwFile}
	if c.caFile != "" {
		lines = append(lines, "    ca_file: "+c.caFile)
	}
	if c.pin != "" {
		lines = append(lines, "    pin: "+c.pin)
	}
	for _, m := range c.more {
		lines = append(lines, "    "+m)
	}
	if err := os.WriteFile(g.config, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// up starts the gateway, again after a stop or a crash.
func (g *gateway) up(w *world) *gateway {
	w.t.Helper()
	bin := g.bin
	if bin == "" {
		bin = binary(w.t)
	}
	p, r := w.startReadyBin("serve", bin, "serve", "--config", g.config, "--data", g.data)
	g.proc = p
	g.endpoint = endpoint{base: r.Targets["bmc1"]["https"], ca: r.CAFile, user: r.User,
		password: strings.TrimSuffix(w.read(r.PasswordFile), "\n")}
	return g
}

// restart is a stop and a start.
func (g *gateway) restart(w *world) {
	w.t.Helper()
	g.stop()
	g.up(w)
}

// A server is `postern serve` without targets: an authentication server.
type server struct {
	*proc
	endpoint
	data string
}

// server starts one with no configuration at all.
func (w *world) server() *server {
	w.t.Helper()
	s := &server{data: w.path("server")}
	p, r := w.startReady("server", "serve", "--data", s.data)
	s.proc = p
	s.endpoint = endpoint{base: r.URLs["https"], ca: r.CAFile, user: r.User,
		password: strings.TrimSuffix(w.read(r.PasswordFile), "\n")}
	return s
}
