//go:build integration

package interop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/redfish"
)

// atOnce is how many commands run at the same time.
const atOnce = 50

// get starts a `postern get` at the device, with the logins that lie in data.
func (w *world) get(n int, e endpoint, pwFile, data string) *proc {
	w.t.Helper()
	return w.start(fmt.Sprintf("get%d", n), binary(w.t), append([]string{"get", e.base, "/redfish/v1/Systems/1"}, w.at(e, pwFile, data)...)...)
}

// at are the flags of a client command.
func (w *world) at(e endpoint, pwFile, data string) []string {
	return []string{"--ca-file", e.ca, "--user", e.user, "--password-file", pwFile, "--data", data}
}

// want waits for commands, which must succeed unless they were killed.
func (w *world) want(all []*proc, killed map[*proc]bool) {
	w.t.Helper()
	for _, p := range all {
		if !p.wait(clientLimit) {
			w.t.Fatalf("%s does not end", p.name)
		}
		if p.err != nil && !killed[p] {
			w.t.Errorf("%s ended with %v: %s", p.name, p.err, p.tail())
		}
	}
}

// client runs a client command and returns its exit status and standard error.
func (w *world) client(args ...string) (status int, said string) {
	w.t.Helper()
	_, err := w.run(args...)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode(), err.Error()
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return 0, ""
}

// Fifty commands at once log in once, and one command ends that.
func TestCommandsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.sim("--slots", "2")
	data := w.path("client")
	var all []*proc
	for n := range atOnce {
		all = append(all, w.get(n, d.endpoint, d.pwFile, data))
	}
	w.want(all, nil)
	if n := len(d.lines("login")); n != 1 {
		t.Errorf("%d logins for %d commands at once, want 1", n, atOnce)
	}
	if status, said := w.client(append([]string{"logout", d.base}, w.at(d.endpoint, d.pwFile, data)...)...); status != 0 {
		t.Errorf("logout: status %d: %s", status, said)
	}
	if left := d.sessions(d.client(t)); len(left) != 0 {
		t.Errorf("sessions are left: %v", left)
	}
}

// A command that is killed in the middle of its login loses no session: the next
// login finds it by what was left with it, and ends it.
func TestCommandKilledInLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.sim("--slots", "3", "--latency", "login=2s")
	data := w.path("client")
	first := w.get(0, d.endpoint, d.pwFile, data)
	for end := time.Now().Add(startLimit); ; time.Sleep(5 * time.Millisecond) {
		text, _ := os.ReadFile(filepath.Join(data, "client", "logins.json"))
		if strings.Contains(string(text), `"nonce"`) {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("no login is written down: %s", first.tail())
		}
	}
	time.Sleep(time.Second) // the device takes two for the login that is on its way now
	first.kill()
	if out, err := w.run("status", "--data", data); err != nil || !strings.Contains(out, "in doubt") {
		t.Errorf("status: %q, %v; want it in doubt", out, err)
	}
	w.endsClean(d, data)
	if n := len(d.lines("login")); n != 2 {
		t.Errorf("%d logins at the device, want the one that was cut off and the next", n)
	}
}

// endsClean uses the device once more and logs out; then no session is left.
func (w *world) endsClean(d *device, data string) {
	w.t.Helper()
	w.want([]*proc{w.get(1000, d.endpoint, d.pwFile, data)}, nil)
	out, err := w.run("status", "--data", data)
	if err != nil || strings.Contains(out, "in doubt") || strings.Count(out, "kept") != 1 {
		w.t.Errorf("status: %q, %v; want one login that is kept", out, err)
	}
	if status, said := w.client(append([]string{"logout", d.base}, w.at(d.endpoint, d.pwFile, data)...)...); status != 0 {
		w.t.Errorf("logout: status %d: %s", status, said)
	}
	if left := d.sessions(d.client(w.t)); len(left) != 0 {
		w.t.Errorf("sessions are left: %v", left)
	}
}

// Random ones of fifty are killed at random times: what they had begun is
// finished by the others.
func TestCommandsKilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.sim("--slots", "6", "--latency", "login=0.1s")
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for round := range 3 {
		data := w.path(fmt.Sprintf("client%d", round))
		var all []*proc
		for n := range atOnce {
			all = append(all, w.get(n, d.endpoint, d.pwFile, data))
		}
		killed := map[*proc]bool{}
		for range 2 {
			p := all[random.IntN(len(all))]
			time.Sleep(time.Duration(random.IntN(300)) * time.Millisecond)
			killed[p] = true
			p.kill()
		}
		w.want(all, killed)
		w.endsClean(d, data)
	}
	if logins, rounds := len(d.lines("login")), 3; logins > rounds*3 {
		t.Errorf("%d logins in %d rounds with two kills in each", logins, rounds)
	}
}

// Our commands at a device of somebody else that knows Basic alone: no login is
// posted, and a refused password goes out once.
func TestCommandsAtForeignDevice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.emulate()
	data := w.path("client")
	at := w.at(m.endpoint, m.pwFile, data)
	out, err := w.run(append([]string{"get", m.base, "/redfish/v1/Systems"}, at...)...)
	var list struct {
		Members []struct {
			Path string `json:"@odata.id"`
		}
	}
	if err != nil || json.Unmarshal([]byte(out), &list) != nil || len(list.Members) != emulatedSystems {
		t.Fatalf("get: %v: %s", err, out)
	}
	if out, err := w.run(append([]string{"login", m.base}, at...)...); err != nil || !strings.HasPrefix(out, "HTTP Basic") {
		t.Errorf("login: %q, %v", out, err)
	}
	if status, said := w.client(append([]string{"post", m.base, list.Members[0].Path + "/Actions/ComputerSystem.Reset", "-d", `{"ResetType": "On"}`}, at...)...); status != 0 {
		t.Errorf("post: status %d: %s", status, said)
	}
	if status, said := w.client(append([]string{"sessions", m.base}, at...)...); status != 1 || !strings.Contains(said, "session") {
		t.Errorf("sessions: status %d: %s; want a sentence", status, said)
	}
	if status, said := w.client(append([]string{"get", m.base, "/redfish/v1/Nowhere"}, at...)...); status != 1 || !strings.Contains(said, "404") {
		t.Errorf("get of what is not there: status %d: %s", status, said)
	}
	curl := `curl -s --cacert $POSTERN_CA_FILE -u $POSTERN_USER:$POSTERN_PASSWORD $POSTERN_URL/redfish/v1/Systems`
	if out, err := w.run(append(append([]string{"exec", m.base}, at...), "--", "sh", "-c", curl)...); err != nil || !strings.Contains(out, "Members") {
		t.Errorf("exec: %v: %s", err, out)
	}

	_, wrong := w.password("wrong password")
	for _, want := range []string{"hint: the password was sent once", "not sent again"} {
		status, said := w.client("get", m.base, "/redfish/v1/Systems", "--ca-file", m.ca, "--user", m.user, "--password-file", wrong, "--data", w.path("other"))
		if status != 3 || !strings.Contains(said, want) {
			t.Errorf("a wrong password: status %d: %s; want %q", status, said, want)
		}
	}
	if status, said := w.client("get", m.base, "/redfish/v1/Systems", "--user", m.user, "--password-file", m.pwFile, "--data", w.path("third")); status != 3 {
		t.Errorf("a certificate of an unknown CA: status %d: %s", status, said)
	}
	if status, said := w.client(append([]string{"logout", m.base}, at...)...); status != 0 {
		t.Errorf("logout: status %d: %s", status, said)
	}

	t.Run("Transport", func(t *testing.T) { transportAt(t, m.endpoint, emulatedSystems) })
	if n := strings.Count(w.read(m.output), "POST /redfish/v1/SessionService"); n != 0 {
		t.Errorf("%d logins were posted to a device without a session service", n)
	}
}

// transportAt reads the systems by a redfish.Transport.
func transportAt(t *testing.T, e endpoint, systems int) {
	base := e.client(t).Transport.(*http.Transport)
	fresh := base.Clone()
	fresh.DisableKeepAlives = true
	tr, err := redfish.NewTransport(redfish.TransportConfig{
		Device: redfish.DeviceConfig{URL: e.base, Base: base, Fresh: fresh},
		Credential: func(context.Context) (auth.Credential, error) {
			return auth.Credential{Account: auth.AccountName(e.user), Password: auth.NewSecret(e.password)}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Transport: tr}
	for range 3 {
		resp, err := c.Get(e.base + "/redfish/v1/Systems")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || strings.Count(string(body), "/redfish/v1/Systems/") != systems {
			t.Errorf("status %d, %v: %s", resp.StatusCode, err, body)
		}
	}
	if err := tr.Close(); err != nil {
		t.Error(err)
	}
}

// static starts sushy-static, a server of somebody else that answers every POST
// 204, without a token.
func (w *world) static() endpoint {
	w.t.Helper()
	root := w.path("mockup")
	for path, text := range map[string]string{
		"": `{"@odata.id": "/redfish/v1", "@odata.type": "#ServiceRoot.v1_5_0.ServiceRoot", "Id": "RootService", "Name": "Static", "RedfishVersion": "1.6.0",
			"Systems": {"@odata.id": "/redfish/v1/Systems"}, "SessionService": {"@odata.id": "/redfish/v1/SessionService"},
			"Links": {"Sessions": {"@odata.id": "/redfish/v1/SessionService/Sessions"}}}`,
		"Systems": `{"@odata.id": "/redfish/v1/Systems", "@odata.type": "#ComputerSystemCollection.ComputerSystemCollection", "Name": "Systems", "Members": []}`,
	} {
		if err := os.MkdirAll(filepath.Join(root, path), 0o700); err != nil {
			w.t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, path, "index.json"), []byte(text), 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
	cert, key := w.selfSigned("static")
	port := freePort(w.t)
	p := w.start("static", venv(w.t, "sushy-static"), "-i", "127.0.0.1", "-p", fmt.Sprint(port), "-m", root, "-c", cert, "-k", key)
	w.spare(p.output) // it prints what is posted
	password, _ := w.password("static password")
	e := endpoint{base: fmt.Sprintf("https://127.0.0.1:%d", port), ca: cert, user: "admin", password: password}
	c := e.client(w.t)
	for end := time.Now().Add(startLimit); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if a, err := e.call(c, http.MethodGet, "/redfish/v1", nil); err == nil && a.status == http.StatusOK {
			c.CloseIdleConnections()
			return e
		}
	}
	w.t.Fatalf("sushy-static does not answer: %s", p.tail())
	return e
}

// A login that is answered with neither a session nor a refusal is told as what
// it is, once, and what may be left of it too.
func TestCommandsAtStatic(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.static()
	data := w.path("client")
	at := w.at(e, w.path("static-password.pw"), data)
	for _, command := range [][]string{{"login", e.base}, {"get", e.base, "/redfish/v1/Systems"}, {"token", e.base}} {
		status, said := w.client(append(command, at...)...)
		if status != 1 || !strings.Contains(said, "status 204 without one usable X-Auth-Token") || !strings.Contains(said, "hint: ") {
			t.Errorf("%v: status %d: %s; want the answer told, and a hint", command, status, said)
		}
	}
	// With Basic, which asks for no session, it can be read.
	if out, err := w.run(append([]string{"get", e.base, "/redfish/v1/Systems", "--auth", "basic"}, at...)...); err != nil || !strings.Contains(out, "Members") {
		t.Errorf("with basic: %q, %v", out, err)
	}
	if status, said := w.client(append([]string{"logout", e.base}, at...)...); status != 1 || !strings.Contains(said, "the device may still hold a session") {
		t.Errorf("logout: status %d: %s; want what may be left told", status, said)
	}
}
