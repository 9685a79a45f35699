package gateway_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postern/postern/redfish"
)

// anonymous asks without credentials.
func (s *stack) anonymous(method, path string) answer {
	s.t.Helper()
	r := s.request(method, path, nil)
	r.Header.Del("Authorization")
	a, err := s.do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

// hasSessions looks for what a client needs to log in.
func hasSessions(t *testing.T, body string) {
	t.Helper()
	var root redfish.ServiceRoot
	if err := json.Unmarshal([]byte(body), &root); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	if root.SessionService.ID != "/redfish/v1/SessionService" || root.Links.Sessions.ID != "/redfish/v1/SessionService/Sessions" {
		t.Errorf("no sessions in %s", body)
	}
}

func TestOpenDocuments(t *testing.T) {
	t.Parallel()
	var clock atomic.Int64
	clock.Store(time.Now().UnixNano())
	b := newBMC(t, nil)
	b.root = func(w http.ResponseWriter, r *http.Request) {
		if len(r.Header.Values("Authorization"))+len(r.Header.Values("X-Auth-Token")) > 0 {
			t.Error("credentials for an open document")
		}
		switch r.URL.Path {
		case "/redfish/v1/":
			w.Header()["ETag"] = []string{`"1"`}
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
			w.Header().Set("Set-Cookie", "x=y")
			w.Header().Set("Link", "<https://"+r.Host+"/x>; rel=a")
			io.WriteString(w, `{"Name":"Mine","Systems":{"@odata.id":"/redfish/v1/Systems"}}`)
		case "/redfish/v1/$metadata":
			w.Header().Set("Content-Type", "application/xml")
			w.Header()["ETag"] = []string{`"2"`}
			io.WriteString(w, "<x/>")
		default:
			w.WriteHeader(http.StatusUnauthorized)
		}
	}
	s := newStack(t, b.Server, options{now: func() time.Time { return time.Unix(0, clock.Load()) }})
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			a := s.anonymous("GET", "/redfish/v1/")
			hasSessions(t, a.body)
			if !strings.Contains(a.body, `"Name":"Mine"`) || !strings.Contains(a.body, `"Systems"`) {
				t.Errorf("got %s", a.body)
			}
		})
	}
	all.Wait()
	if _, open := b.counts(); open != 1 {
		t.Errorf("%d fetches for 50 callers at once, want 1", open)
	}
	a := s.anonymous("GET", "/redfish/v1")
	if a.status != 200 || a.header.Get("Etag") != "" || a.header.Get("Set-Cookie") != "" || a.header.Get("Content-Type") != "application/json; charset=utf-8" ||
		a.header.Get("Link") != "<"+s.front.URL+"/x>; rel=a" {
		t.Errorf("got %d %v", a.status, a.header)
	}
	head := s.anonymous("HEAD", "/redfish/v1/")
	if head.status != 200 || head.header.Get("Content-Length") != fmt.Sprint(len(a.body)) || head.body != "" {
		t.Errorf("HEAD: got %d, %v", head.status, head.header)
	}
	if _, open := b.counts(); open != 1 {
		t.Errorf("%d fetches, want 1", open)
	}
	clock.Add(int64(10 * time.Second))
	s.anonymous("GET", "/redfish/v1/").want(t, 200, "Mine")
	if _, open := b.counts(); open != 2 {
		t.Errorf("%d fetches after ten seconds, want 2", open)
	}

	meta := s.anonymous("GET", "/redfish/v1/$metadata")
	if meta.body != "<x/>" || meta.header.Get("Etag") != `"2"` || meta.header.Get("Content-Type") != "application/xml" {
		t.Errorf("got %q %v", meta.body, meta.header)
	}
	// The device wants credentials for these: ours are shown.
	if a := s.anonymous("GET", "/redfish"); a.body != `{"v1":"/redfish/v1/"}` {
		t.Errorf("got %d %s", a.status, a.body)
	}
	s.anonymous("GET", "/redfish/v1/odata").want(t, 200, "SessionService")
	s.anonymous("GET", "/redfish/v1/openapi.yaml").want(t, 404, "")
	// What is not open is not, whatever the device thinks.
	s.anonymous("GET", systems).want(t, 401, "NoValidSession")
	if logins, _ := b.counts(); logins != 0 {
		t.Errorf("%d logins for people without credentials", logins)
	}
}

func TestMinimalRoot(t *testing.T) {
	t.Parallel()
	for name, device := range map[string]http.HandlerFunc{
		"wants credentials": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) },
		"broken":            func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"hangs up":          raw(""),
		"redirects": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://evil.example/", http.StatusFound)
		},
		"not JSON":  func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"@odata.etag":"W/"1""}`) },
		"no object": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `[]`) },
		"cut off":   raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}"),
		"endless":   endless("HTTP/1.1 200 OK\r\n\r\n", strings.Repeat(" ", 1000)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBMC(t, nil)
			b.root = device
			s := newStack(t, b.Server, options{})
			for range 5 {
				a := s.anonymous("GET", "/redfish/v1/")
				a.want(t, 200, "")
				hasSessions(t, a.body)
			}
			if _, open := b.counts(); open > 2 {
				t.Errorf("the device was asked %d times within a moment", open)
			}
		})
	}
}

// A document that is too long is not shown in part.
func TestOpenDocumentTooLong(t *testing.T) {
	t.Parallel()
	b := newBMC(t, nil)
	b.root = func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 4<<20+1)) }
	s := newStack(t, b.Server, options{})
	s.anonymous("GET", "/redfish/v1/openapi.yaml").want(t, 404, "")
}

// A device that is down comes back: nothing of its absence is kept for long.
func TestDeviceComesBack(t *testing.T) {
	t.Parallel()
	var clock atomic.Int64
	var up atomic.Bool
	b := newBMC(t, nil)
	b.root = func(w http.ResponseWriter, _ *http.Request) {
		if !up.Load() {
			w.WriteHeader(503)
			return
		}
		io.WriteString(w, `{"Name":"Mine"}`)
	}
	s := newStack(t, b.Server, options{now: func() time.Time { return time.Unix(0, clock.Load()) }})
	s.anonymous("GET", "/redfish/v1/").want(t, 200, "Postern")
	up.Store(true)
	clock.Add(int64(time.Second))
	s.anonymous("GET", "/redfish/v1/").want(t, 200, "Mine")
}
