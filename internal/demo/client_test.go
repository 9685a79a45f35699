package demo

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern/postern/auth"
)

// A face is what a device answers; the zero one is a good device with one system.
type face struct {
	loginStatus int
	full        int64 // so many logins are answered that no session is free
	location    string
	systems     string
	system      string
	logins      atomic.Int64
	logouts     atomic.Int64
}

func (f *face) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	or := func(given, usual string) string {
		if given != "" {
			return given
		}
		return usual
	}
	switch r.Method + " " + r.URL.Path {
	case "GET /redfish/v1/":
		fmt.Fprint(w, `{"Systems": {"@odata.id": "/redfish/v1/Systems"}, "Links": {"Sessions": {"@odata.id": "/sessions"}}}`)
	case "POST /sessions":
		if f.logins.Add(1) <= f.full {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("X-Auth-Token", "token")
		w.Header().Set("Location", or(f.location, "/sessions/1"))
		w.WriteHeader(max(f.loginStatus, http.StatusCreated))
	case "GET /redfish/v1/Systems":
		fmt.Fprint(w, or(f.systems, `{"Members": [{"@odata.id": "/redfish/v1/Systems/1"}]}`))
	case "GET /redfish/v1/Systems/1":
		fmt.Fprint(w, or(f.system, `{"PowerState": "On"}`))
	case "DELETE /sessions/1":
		f.logouts.Add(1)
		w.WriteHeader(http.StatusNoContent)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func TestClient(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		face    *face
		dies    bool
		want    end
		logins  int64
		logouts int64
		left    int
	}{
		{"served", &face{}, false, served, 1, 1, 0},
		{"dies", &face{}, true, served, 1, 0, 1},
		{"a place at the third try", &face{full: 2}, false, served, 3, 1, 0},
		{"no place", &face{full: 9}, false, full, 3, 0, 0},
		{"password refused", &face{loginStatus: 401}, false, denied, 1, 0, 0},
		{"login broken", &face{loginStatus: 500}, false, failed, 1, 0, 0},
		{"session elsewhere", &face{location: "https://192.0.2.1/sessions/1"}, false, served, 1, 0, 1},
		{"no systems", &face{systems: `{}`}, false, failed, 1, 0, 1},
		{"not JSON", &face{systems: `<html>`}, false, failed, 1, 0, 1},
		{"system elsewhere", &face{systems: `{"Members": [{"@odata.id": "//192.0.2.1/x"}]}`}, false, failed, 1, 0, 1},
		{"no power state", &face{system: `{}`}, false, failed, 1, 0, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := doorTo(t, c.face)
			y := new(tally)
			got := newClient(d, auth.NewSecret("right"), c.dies, patience{tries: 3, pause: time.Millisecond}, y).run(t.Context())
			if got != c.want {
				t.Errorf("came out %v, want %v", got, c.want)
			}
			if n := c.face.logins.Load(); n != c.logins {
				t.Errorf("%d logins, want %d", n, c.logins)
			}
			if n := c.face.logouts.Load(); n != c.logouts {
				t.Errorf("%d logouts, want %d", n, c.logouts)
			}
			if now := y.now(); now.Left != c.left || now.LoggedIn != 0 {
				t.Errorf("left %d, logged in %d; want %d and 0", now.Left, now.LoggedIn, c.left)
			}
		})
	}
}

func doorTo(t *testing.T, h http.Handler) door {
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // a client that is not pleased with the certificate
	srv.StartTLS()
	t.Cleanup(srv.Close)
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	return door{base: srv.URL, roots: roots, user: "somebody"}
}

// A client sends nothing to a server whose certificate it does not know.
func TestClientVerifies(t *testing.T) {
	t.Parallel()
	f := new(face)
	d := doorTo(t, f)
	d.roots = x509.NewCertPool()
	got := newClient(d, auth.NewSecret("right"), false, patience{tries: 1}, new(tally)).run(t.Context())
	if got != failed || f.logins.Load() != 0 {
		t.Errorf("came out %v after %d logins, want %v and none", got, f.logins.Load(), failed)
	}
}

// Whoever is told "full" until its time is over heard that last; whoever waits
// for an answer then has timed out.
func TestClientRunsOutOfTime(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		h    http.Handler
		want end
	}{
		{"between two tries", &face{full: 9}, full},
		{"in a call", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), timedOut},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second) // well over a handshake under the race detector
		defer cancel()
		d := doorTo(t, c.h)
		if got := newClient(d, auth.NewSecret("right"), false, patience{tries: 2, pause: time.Hour}, new(tally)).run(ctx); got != c.want {
			t.Errorf("%s: came out %v, want %v", c.name, got, c.want)
		}
	}
}

// A client that has not come when the time is over never comes.
func TestArriveTooLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		c := newClient(door{base: "https://192.0.2.1"}, auth.Secret{}, false, patience{}, new(tally))
		if got := arrive(ctx, time.Hour, c); got != timedOut {
			t.Errorf("came out %v, want %v", got, timedOut)
		}
	})
}

func TestTally(t *testing.T) {
	t.Parallel()
	y := &tally{t: Tally{Good: 5, Dead: 3}}
	for e := range ends {
		y.over(e, true)
	}
	y.over(denied, false)
	y.over(served, false)
	y.over(timedOut, false)
	want := Tally{Good: 5, Dead: 3, Served: 1, Full: 1, Denied: 1, TimedOut: 1, Failed: 1, DeadDenied: 1, DeadServed: 1}
	if got := y.now(); got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got := y.now().Refused(); got != 4 {
		t.Errorf("refused %d, want 4", got)
	}
}
