package sim

import (
	"crypto/tls"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern/postern/auth"
)

func TestParseLatency(t *testing.T) {
	t.Parallel()
	ms := time.Millisecond
	for text, want := range map[string]Latency{
		"":       {},
		"0s":     {},
		"0.1s":   {100 * ms, 100 * ms, 100 * ms, 100 * ms},
		"slow":   {720 * ms, 1000 * ms, 950 * ms, 100 * ms},
		"login=": {}, // replaced below by an error
		"root=0.72s,login=1s,logout=0.95s,other=0.1s": {720 * ms, 1000 * ms, 950 * ms, 100 * ms},
		"login=300ms": {Login: 300 * ms},
	} {
		got, err := ParseLatency(text)
		if text == "login=" {
			if err == nil {
				t.Error("no duration after login= is taken")
			}
			continue
		}
		if err != nil || got != want {
			t.Errorf("%q: %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"1", "fast", "-1s", "11m", "root=1s,", "root=1s,root=2s", "read=1s", "=1s", "root=1s other=1s", "slow=1s"} {
		if got, err := ParseLatency(text); err == nil {
			t.Errorf("%q is taken as %v", text, got)
		}
	}
}

func FuzzParseLatency(f *testing.F) {
	for _, seed := range []string{"", "slow", "0.1s", "root=0.72s,login=1s,logout=0.95s,other=0.1s", "login=", "=,="} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		l, err := ParseLatency(text)
		if err != nil {
			return
		}
		for _, k := range []kind{kindRoot, kindLogin, kindLogout, kindOther} {
			if d := l.of(k); d < 0 || d > maxLatency {
				t.Fatalf("%q: %v", text, d)
			}
		}
		if again, err := ParseLatency(l.String()); err != nil || again != l {
			t.Fatalf("%q: %v comes back as %v, %v", text, l, again, err)
		}
	})
}

// Each kind of request takes its own time, and they wait beside each other.
func TestLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, err := New(Config{User: testUser, Password: auth.NewSecret(testPassword), Latency: Slow, Slots: -1})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		took := make(map[string]time.Duration)
		done := make(chan struct{})
		call := func(method, path, body string) *httptest.ResponseRecorder {
			req := httptest.NewRequest(method, "https://bmc"+path, strings.NewReader(body))
			req.TLS = new(tls.ConnectionState)
			req.SetBasicAuth(testUser, testPassword)
			w := httptest.NewRecorder()
			d.Handler().ServeHTTP(w, req)
			return w
		}
		for range 50 {
			go func() {
				call("POST", sessionsPath, loginBody(testUser, testPassword))
				done <- struct{}{}
			}()
		}
		for range 50 {
			<-done
		}
		took["50 logins"], began = time.Since(began), time.Now()
		call("GET", "/redfish/v1/", "")
		took["root"], began = time.Since(began), time.Now()
		call("GET", "/redfish/v1/Systems", "")
		took["other"], began = time.Since(began), time.Now()
		call("DELETE", sessionsPath+"/"+d.auth.Sessions("")[0].ID, "")
		took["logout"] = time.Since(began)
		for name, want := range map[string]time.Duration{
			"50 logins": Slow.Login, "root": Slow.Root, "other": Slow.Other, "logout": Slow.Logout,
		} {
			if took[name] != want {
				t.Errorf("%s took %v, want %v", name, took[name], want)
			}
		}
		if n := d.Stats().Sessions; n != 49 {
			t.Errorf("%d sessions, want 49", n)
		}
	})
}
