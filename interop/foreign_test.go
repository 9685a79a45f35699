//go:build integration

package interop

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// An emulator is sushy-tools' emulated BMC, a device nobody here wrote. It has
// no session service and knows Basic alone.
type emulator struct {
	*proc
	endpoint
	pwFile string
}

// emulatedSystems are as many as there are scenes, so that none waits for the
// switching of another one's system.
const emulatedSystems = 12

const emulatorConfig = `
SUSHY_EMULATOR_FAKE_DRIVER = True
SUSHY_EMULATOR_LISTEN_IP = '127.0.0.1'
SUSHY_EMULATOR_LISTEN_PORT = %d
SUSHY_EMULATOR_SSL_CERT = '%s'
SUSHY_EMULATOR_SSL_KEY = '%s'
SUSHY_EMULATOR_AUTH_FILE = '%s'
SUSHY_EMULATOR_STATE_DIR = '%s'
SUSHY_EMULATOR_FAKE_SYSTEMS = [
    {'uuid': '11111111-1111-4111-8111-%%012d' %% n, 'name': 'node%%d' %% n, 'power_state': 'Off',
     'nics': [{'mac': '00:5c:52:31:3a:%%02x' %% n, 'ip': '172.22.0.%%d' %% n}]} for n in range(1, %d)]
`

// emulate starts the emulator.
func (w *world) emulate() *emulator {
	w.t.Helper()
	password, file := w.password("emulator password")
	cert, key := w.selfSigned("emulator")
	// Cost 4: the emulator checks the hash on every request.
	hash := exec.Command(venv(w.t, "python"), "-c",
		`import bcrypt, sys; print("admin:" + bcrypt.hashpw(sys.stdin.read().strip().encode(), bcrypt.gensalt(4)).decode())`)
	hash.Stdin = strings.NewReader(password)
	users, err := hash.Output()
	if err != nil {
		w.t.Fatalf("bcrypt: %v", err)
	}
	port := freePort(w.t)
	w.write(w.path("htpasswd"), string(users))
	w.write(w.path("emu.conf"), fmt.Sprintf(emulatorConfig, port, cert, key, w.path("htpasswd"), w.path("emu-state"), emulatedSystems+1))
	if err := os.Mkdir(w.path("emu-state"), 0o700); err != nil {
		w.t.Fatal(err)
	}
	m := &emulator{pwFile: file, endpoint: endpoint{base: fmt.Sprintf("https://127.0.0.1:%d", port), ca: cert, user: "admin", password: password}}
	m.proc = w.start("emulator", venv(w.t, "sushy-emulator"), "--config", w.path("emu.conf"))
	m.await(m.client(w.t))
	return m
}

// selfSigned makes a certificate for the loopback address.
func (w *world) selfSigned(name string) (cert, key string) {
	w.t.Helper()
	cert, key = w.path(name+".pem"), w.path(name+".key")
	openssl := exec.Command(tool(w.t, "openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert,
		"-days", "7", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost")
	if out, err := openssl.CombinedOutput(); err != nil {
		w.t.Fatalf("openssl: %v: %s", err, out)
	}
	return cert, key
}

// await waits until it is the emulator that answers, and nobody else.
func (m *emulator) await(c *http.Client) {
	m.w.t.Helper()
	for end := time.Now().Add(startLimit); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		a, err := m.call(c, http.MethodGet, "/redfish/v1", nil)
		if err == nil && strings.Contains(string(a.body), "RedvirtService") {
			return
		}
	}
	m.w.t.Fatalf("the emulator does not answer: %s", m.tail())
}

// A device of somebody else, without and with the gateway in front: clients
// that only know sessions work because the gateway has them.
func TestForeignDevice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.emulate()
	name := "sushy-tools " + versions()["sushy-tools"] + " emulator"

	t.Run("direct", func(t *testing.T) {
		const why = "the device has no session service"
		for i, s := range []scene{pyBasic, suBasic, suAuto} {
			e := m.endpoint
			e.system = i
			s.record(t, w, e, name, "direct")
		}
		pySession.expect(t, w, m.endpoint, name, "direct", "InvalidCredentialsError", why)
		aioSession.expect(t, w, m.endpoint, name, "direct", "RedfishAuthenticationError", why)
		suSession.expect(t, w, m.endpoint, name, "direct", "AccessError", why)
		toolSessionScene.expect(t, w, m.endpoint, name, "direct", "exit status 4", why)
		toolDefaultScene.expect(t, w, m.endpoint, name, "direct", "exit status 5", "the device drops plain http")
	})

	const login = "POST /redfish/v1/SessionService"
	before := strings.Count(w.read(m.output), login)
	t.Run("gateway", func(t *testing.T) {
		g := w.gateway(targetConfig{url: m.base, caFile: m.ca, user: m.user, pwFile: m.pwFile}).up(w)
		for i, s := range scenes {
			e := g.endpoint
			e.system = i % emulatedSystems
			s.record(t, w, e, name, "gateway")
		}
		g.stop()
	})
	// DESIGN 6: such a device is never sent a login; it would count one more refusal.
	if after := strings.Count(w.read(m.output), login); after != before {
		t.Errorf("the gateway sent %d logins to a device without a session service", after-before)
	}
}
