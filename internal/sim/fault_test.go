package sim

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

// values of the faults that cannot do without one.
var values = map[string]string{
	"location": "rootless", "login-status": "204", "login-full-status": "400", "login-full-message": "idrac", "early-expiry": "2s",
	"restart": "3", "session-timeout": "86400", "stray-401": "3", "drop-login-answer": "1", "drop-logout-answer": "1",
	"error-body": "html", "slow-body": "1ms", "reset-answer": "2", "certificate-changes": "3",
}

func TestFaultTable(t *testing.T) {
	t.Parallel()
	docs, err := os.ReadFile("../../docs/simulator.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range Faults() {
		if f.Name == "" || f.Text == "" || strings.HasSuffix(f.Text, ".") {
			t.Errorf("%+v: needs a name and a clause", f)
		}
		if !regexp.MustCompile("(?m)^\\| `" + f.Name + "[`=\\[]").Match(docs) {
			t.Errorf("%s is not in docs/simulator.md", f.Name)
		}
		_, needs := values[f.Name]
		if optional := f.Value == "" || strings.HasPrefix(f.Value, "["); needs == optional {
			t.Errorf("%s: the value is %q, and the test has %q", f.Name, f.Value, values[f.Name])
		}
		if needs {
			if _, err := parseFaults([]string{f.Name}); err == nil {
				t.Errorf("%s is taken without a value", f.Name)
			}
		}
		item := strings.TrimSuffix(f.Name+"="+values[f.Name], "=")
		if _, err := parseFaults([]string{item}); err != nil {
			t.Errorf("%s: %v", item, err)
		}
	}
	for _, item := range []string{"login-full-status=503", "logout-refused=405", "no-token=body", "login-redirect=301", "login-refused=404"} {
		if _, err := parseFaults([]string{item}); err != nil {
			t.Errorf("%s: %v", item, err)
		}
	}
	bad := []string{
		"", "fire", "no-location=1", "login-full-status=200", "logout-refused=200", "logout-refused=x", "early-expiry=0s", "early-expiry=soon",
		"stray-401=0", "drop-login-answer=-1", "location=moon", "login-status=201", "no-token=head", "login-redirect=303", "slow-body=24h",
	}
	for _, item := range bad {
		if _, err := parseFaults([]string{item}); err == nil {
			t.Errorf("%q is taken", item)
		}
	}
	if _, err := parseFaults([]string{"id-reuse", "id-reuse"}); err == nil {
		t.Error("a fault is taken twice")
	}
}

func TestFaultNoLocation(t *testing.T) {
	t.Parallel()
	r := start(t, Config{Faults: []string{"no-location"}})
	p := r.loginAs(testUser, testPassword)
	if p.status != 201 || p.header.Get("Location") != "" || p.header.Get("X-Auth-Token") == "" {
		t.Errorf("%d, Location %q", p.status, p.header.Get("Location"))
	}
	if plain := start(t, Config{}).loginAs(testUser, testPassword); !strings.HasPrefix(plain.header.Get("Location"), "https://127.0.0.1:") {
		t.Errorf("without the fault: %q", plain.header.Get("Location"))
	}
}

func TestFaultLoginFullStatus(t *testing.T) {
	t.Parallel()
	for _, status := range []string{"400", "403", "503"} {
		r := start(t, Config{Slots: 1, Faults: []string{"login-full-status=" + status}})
		r.login()
		p := r.loginAs(testUser, testPassword)
		if got := http.StatusText(p.status); !strings.HasPrefix(status, "503") && p.header.Get("Retry-After") != "" {
			t.Errorf("%s %s: Retry-After %q", status, got, p.header.Get("Retry-After"))
		}
		if p.messages() != "SessionLimitExceeded" {
			t.Errorf("%s: %s", status, p.body)
		}
		lines := r.lines()
		last := lines[len(lines)-1]
		if last.Event != eventLoginRefused || last.Status != p.status || r.Stats().Full != 1 {
			t.Errorf("%s: %+v", status, last)
		}
		if p = r.loginAs(testUser, "wrong"); p.status != 401 {
			t.Errorf("%s: a wrong password gets %d", status, p.status)
		}
	}
}

func TestFaultLogoutRefused(t *testing.T) {
	t.Parallel()
	for fault, want := range map[string]int{"logout-refused": 503, "logout-refused=405": 405} {
		r := start(t, Config{Faults: []string{fault}})
		tok, at := r.login()
		if p := r.do("DELETE", at, "", token(tok)); p.status != want {
			t.Errorf("%s: %d", fault, p.status)
		}
		if p := r.do("GET", at, "", token(tok)); p.status != 200 {
			t.Errorf("%s: the session is gone: %d", fault, p.status)
		}
		if got := r.events(); got != "login call call" {
			t.Errorf("%s: journal %s", fault, got)
		}
	}
}

func TestFaultEarlyExpiry(t *testing.T) {
	t.Parallel()
	c := newClock()
	r := start(t, Config{Now: c.now, Faults: []string{"early-expiry=5s"}})
	tok, _ := r.login()
	for range 4 {
		c.advance(time.Second)
		if p := r.do("GET", systemPath, "", token(tok)); p.status != 200 {
			t.Fatalf("early: %d", p.status)
		}
	}
	c.advance(time.Second)
	if p := r.do("GET", systemPath, "", token(tok)); p.status != 401 {
		t.Errorf("after 5 s: %d", p.status)
	}
	if p := r.want(200, "GET", servicePath, ""); p.member("SessionTimeout") != "1800" {
		t.Errorf("the device does not lie: %s", p.body)
	}
}

func TestFaultStray401(t *testing.T) {
	t.Parallel()
	r := start(t, Config{Faults: []string{"stray-401=3"}})
	tok, _ := r.login()
	var got []int
	for range 6 {
		got = append(got, r.do("GET", systemPath, "", token(tok)).status)
		r.want(200, "GET", systemPath, "") // Basic calls are not hit
	}
	for i, status := range got {
		if want := map[bool]int{true: 401, false: 200}[i%3 == 2]; status != want {
			t.Errorf("call %d: %d, want %d", i+1, status, want)
		}
	}
}

func TestFaultNoSessions(t *testing.T) {
	t.Parallel()
	r := start(t, Config{Faults: []string{"no-sessions"}})
	root := r.do("GET", "/redfish/v1/", "")
	if root.status != 200 || root.member("SessionService") != "" || root.member("Links", "Sessions") != "" || root.member("Systems") == "" {
		t.Errorf("root: %s", root.body)
	}
	if p := r.loginAs(testUser, testPassword); p.status != 401 || p.header.Get("WWW-Authenticate") == "" {
		t.Errorf("login without Basic: %d", p.status)
	}
	r.want(404, "POST", sessionsPath, loginBody(testUser, testPassword))
	r.want(404, "GET", servicePath, "")
	r.want(200, "GET", systemPath, "")
	if p := r.do("GET", sessionsPath, "", basicAs(testUser, "wrong")); p.status != 401 {
		t.Errorf("wrong Basic: %d", p.status)
	}
	if p := r.do("GET", systemPath, "", token("00000000000000000000000000000000")); p.status != 401 {
		t.Errorf("a token: %d", p.status)
	}
	if got, want := r.events(), "call login-refused login-refused call call login-refused call"; got != want {
		t.Errorf("journal: %s, want %s", got, want)
	}
}

func TestFaultIDReuse(t *testing.T) {
	t.Parallel()
	r := start(t, Config{Faults: []string{"id-reuse"}})
	tok, first := r.login()
	_, second := r.login()
	r.do("DELETE", first, "", token(tok))
	_, third := r.login()
	if first != sessionsPath+"/1" || second != sessionsPath+"/2" || third != first {
		t.Errorf("%s, %s, %s", first, second, third)
	}
	plain := start(t, Config{})
	if _, a := plain.login(); len(a) < len(sessionsPath)+10 {
		t.Errorf("without the fault: %s", a)
	}
}

func TestFaultLoginHTMLError(t *testing.T) {
	t.Parallel()
	r := start(t, Config{Faults: []string{"login-html-error"}})
	p := r.loginAs(testUser, testPassword)
	if p.status != 500 || p.header.Get("Content-Type") != "text/html" || r.Stats().Sessions != 0 {
		t.Errorf("%d %s", p.status, p.body)
	}
	r.want(200, "GET", systemPath, "")
	if l := r.lines()[0]; l.Event != eventLoginRefused || l.Status != 500 {
		t.Errorf("journal: %+v", l)
	}
}

func TestFaultDropLoginAnswer(t *testing.T) {
	t.Parallel()
	r := start(t, Config{Faults: []string{"drop-login-answer=2"}})
	r.login()
	p, err := r.try("POST", sessionsPath, loginBody(testUser, testPassword))
	if err == nil {
		t.Errorf("answered: %d", p.status)
	}
	if n := r.Stats().Sessions; n != 2 {
		t.Errorf("%d sessions, want 2", n)
	}
	r.login()
	if got := r.events(); got != "login login login" {
		t.Errorf("journal: %s", got)
	}
}

// A login is finished although its client has gone, however it went, and its
// slot is taken.
func TestLoginOutlivesItsClient(t *testing.T) {
	t.Parallel()
	for name, hangUp := range map[string]func(*net.TCPConn){
		"closed": func(*net.TCPConn) {},
		"reset":  func(c *net.TCPConn) { c.SetLinger(0) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			journal := make(chan string, 1)
			r := start(t, Config{Latency: Latency{Login: 50 * time.Millisecond}, Journal: writerFunc(func(b []byte) { journal <- string(b) })})
			tcp, err := net.Dial("tcp", strings.TrimPrefix(r.url, "https://"))
			if err != nil {
				t.Fatal(err)
			}
			conn := tls.Client(tcp, &tls.Config{InsecureSkipVerify: true})
			body := loginBody(testUser, testPassword)
			_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: bmc\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
				sessionsPath, len(body), body)
			if err != nil {
				t.Fatal(err)
			}
			hangUp(tcp.(*net.TCPConn))
			tcp.Close()
			if l := <-journal; !strings.Contains(l, `"event":"login"`) {
				t.Errorf("journal: %s", l)
			}
			if n := r.Stats().Sessions; n != 1 {
				t.Errorf("%d sessions, want 1", n)
			}
		})
	}
}

type writerFunc func([]byte)

func (f writerFunc) Write(b []byte) (int, error) { f(b); return len(b), nil }

// FuzzParseFaults: what is taken is a fault that there is, with a value in its bounds.
func FuzzParseFaults(f *testing.F) {
	for _, seed := range []string{"no-location", "stray-401=3", "early-expiry=1s", "logout-refused=405", "=", "login-full-status=400"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, item string) {
		got, err := parseFaults([]string{item})
		if err != nil {
			return
		}
		if reflect.DeepEqual(got, faults{}) {
			t.Fatalf("%q is taken and does nothing", item)
		}
		if got.stray < 0 || got.dropLoginEvery < 0 || got.earlyExpiry < 0 || got.fullStatus > 599 || got.logoutRefused > 599 {
			t.Fatalf("%q: %+v", item, got)
		}
	})
}
