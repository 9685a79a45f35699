//go:build integration

package interop

import (
	"net/http"
	"sync"
	"testing"
	"time"
)

// Promise 2: a wrong stored password does not lock the device's account,
// whatever the number of callers and restarts; corrected, it is used at once.
func TestCrashWrongPassword(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.sim("--lockout", "3")
	c := d.target()
	right := d.password
	c.pwFile = w.path("stored.pw")
	w.write(c.pwFile, w.secret("wrong password", right+"-wrong")+"\n")
	g := w.gateway(c)
	for start := range 6 {
		if start > 0 {
			g.restart(w)
		} else {
			g.up(w)
		}
		storm(t, g, 200)
	}
	refused := d.lines("login-refused")
	if len(refused) < 1 || len(refused) > 2 {
		t.Errorf("the device refused %d logins, want 1 or 2: %v", len(refused), refused)
	}

	w.write(c.pwFile, right+"\n")
	corrected := time.Now()
	caller := g.client(t)
	for {
		a, err := g.call(caller, "GET", systems, nil)
		if err == nil && a.status == http.StatusOK {
			break
		}
		if time.Since(corrected) > 2*time.Second {
			t.Fatalf("a caller %v after the correction: status %d, %v: %s", time.Since(corrected), a.status, err, a.body)
		}
		time.Sleep(50 * time.Millisecond)
	}
	if got := len(d.lines("login-refused")); got != len(refused) {
		t.Errorf("the device refused %d logins more after the correction", got-len(refused))
	}
}

// storm lets so many callers come at once. None of them can be served, and
// each is told so as a fault behind the gateway, not of its own credentials.
func storm(t *testing.T, g *gateway, callers int) {
	t.Helper()
	c := g.client(t)
	var all sync.WaitGroup
	var mu sync.Mutex
	got := map[int]int{}
	for range callers {
		all.Go(func() {
			a, err := g.call(c, "GET", systems, nil)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			got[a.status]++
		})
	}
	all.Wait()
	if got[http.StatusBadGateway]+got[http.StatusServiceUnavailable] != callers {
		t.Errorf("callers got %v, want 502 or 503", got)
	}
}
