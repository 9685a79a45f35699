package gateway_test

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/postern/postern/internal/audit"
)

// A hundred calls that the device answers 401 cause one login, and the caller
// sees none of it; effects are sent again too.
func TestStormOfUnauthorized(t *testing.T) {
	t.Parallel()
	var posts atomic.Int64
	b := newBMC(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			posts.Add(1)
			io.Copy(w, r.Body)
		}
	})
	s := newStack(t, b.Server, options{inFlight: 100})
	s.call("GET", systems, nil).want(t, 200, "")
	b.drop()
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			method, body := "GET", ""
			if i%2 == 0 {
				method, body = "POST", `{"ResetType":"On"}`
			}
			a, err := s.do(s.request(method, systems+"/Actions/ComputerSystem.Reset", strings.NewReader(body)))
			if err != nil || a.status != 200 || a.body != body {
				t.Errorf("%s: got %d %q, %v", method, a.status, a.body, err)
			}
		})
	}
	all.Wait()
	if logins, _ := b.counts(); logins != 2 {
		t.Errorf("%d logins, want 2", logins)
	}
	if posts.Load() != 50 {
		t.Errorf("the device carried out %d calls, want 50", posts.Load())
	}
	begins, ends := 0, 0
	for _, rec := range s.records() {
		switch rec.Event {
		case audit.CallBegin:
			begins++
		case audit.CallEnd:
			ends++
		}
	}
	if begins != 50 || ends != 50 {
		t.Errorf("%d begins and %d ends in the audit, want 50 and 50", begins, ends)
	}
}

// A device that refuses a living login now and then is asked again, and the
// caller sees none of it.
func TestStrayUnauthorized(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	b := newBMC(t, func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1)%2 == 1 {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	s := newStack(t, b.Server, options{})
	s.call("GET", systems, nil).want(t, 200, "")
	s.call("POST", systems, strings.NewReader(`{}`)).want(t, 200, "")
	if logins, _ := b.counts(); logins != 1 || calls.Load() != 4 {
		t.Errorf("%d logins and %d calls, want 1 and 4", logins, calls.Load())
	}
}

// A device that answers 401 for one URI, though the login lives, is not logged
// in to again; the caller is never told 401.
func TestForbiddenURI(t *testing.T) {
	t.Parallel()
	b := newBMC(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == systems {
			return
		}
		w.WriteHeader(http.StatusUnauthorized)
	})
	s := newStack(t, b.Server, options{})
	for range 3 {
		a := s.call("GET", "/redfish/v1/Secret", nil)
		a.want(t, 403, "account")
		if a.header.Get("WWW-Authenticate") != "" {
			t.Error("the caller is asked for credentials")
		}
		s.call("GET", systems, nil).want(t, 200, "")
	}
	if logins, _ := b.counts(); logins != 1 {
		t.Errorf("%d logins, want 1", logins)
	}
}

// A device that refuses each login it has just given is told of in a 502. Each
// call is sent twice, and no more.
func TestUnauthorizedForGood(t *testing.T) {
	t.Parallel()
	var b *bmc
	var calls atomic.Int64
	b = newBMC(t, func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		b.drop()
		w.WriteHeader(http.StatusUnauthorized)
	})
	s := newStack(t, b.Server, options{})
	s.call("GET", systems, nil).want(t, 502, "again after a new one")
	s.call("POST", systems, strings.NewReader(`{}`)).want(t, 502, "again after a new one")
	if n := calls.Load(); n < 3 || n > 4 { // the second call may find that its login has ended
		t.Errorf("the device saw %d calls, want 2 for each", n)
	}
	recs := s.records()
	if last := recs[len(recs)-1]; last.Event != audit.CallEnd || last.Outcome != "not done" || last.Status != 502 {
		t.Errorf("record %+v", last)
	}
}

// Whoever calls while the stored password is wrong is told what to do, and the
// device's account is not locked by it.
func TestWrongStoredPassword(t *testing.T) {
	t.Parallel()
	b := newBMC(t, func(http.ResponseWriter, *http.Request) { t.Error("a call reached the device") })
	s := newStack(t, b.Server, options{password: "the wrong password"})
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			a, err := s.do(s.request("GET", systems, nil))
			if err != nil {
				t.Error(err)
				return
			}
			a.want(t, 503, "postern target check bmc1")
			if a.header.Get("WWW-Authenticate") != "" {
				t.Error("the caller is asked for credentials")
			}
		})
	}
	all.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refused != 1 {
		t.Errorf("%d refused logins, want 1", b.refused)
	}
}
