package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postern/postern/internal/audit"
	"github.com/postern/postern/internal/policy"
)

const systems = "/redfish/v1/Systems/1"

func TestRead(t *testing.T) {
	t.Parallel()
	const body = `{"@odata.id": "/redfish/v1/Systems/1",  "Name":"x"}`
	b := newBMC(t, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h["ETag"] = []string{`"17"`}
		h["OData-Version"] = []string{"4.0"}
		h.Set("Content-Type", "application/json")
		h.Set("Set-Cookie", "sid=1")
		h.Set("X-Auth-Token", "device-token-0")
		h.Set("WWW-Authenticate", "Basic")
		h.Set("Strict-Transport-Security", "max-age=1")
		h.Set("X-Vendor", "x")
		h.Set("Server", "x")
		h.Set("Connection", "close")
		h.Set("Link", "<https://"+r.Host+"/redfish/v1/X.json>; rel=describedby")
		io.WriteString(w, body)
	})
	s := newStack(t, b.Server, options{})
	r := s.request("GET", systems+"?$select=Name", nil)
	r.Header.Set("If-None-Match", `"16"`)
	r.Header["OData-Version"] = []string{"4.0"}
	r.Header.Set("User-Agent", "test/1")
	for _, secretOrHop := range []string{"Cookie", "Forwarded", "X-Forwarded-For", "X-Http-Method-Override", "Te", "Proxy-Authorization", "Origin"} {
		r.Header.Set(secretOrHop, "trailers")
	}
	a, err := s.do(r)
	if err != nil {
		t.Fatal(err)
	}
	if a.status != 200 || a.body != body {
		t.Fatalf("got %d %q", a.status, a.body)
	}
	for name, want := range map[string]string{
		"Etag": `"17"`, "Odata-Version": "4.0", "Content-Type": "application/json",
		"Link":       "<" + s.front.URL + "/redfish/v1/X.json>; rel=describedby",
		"Set-Cookie": "", "X-Auth-Token": "", "Www-Authenticate": "", "X-Vendor": "", "Server": "", "Connection": "",
		"Content-Length": fmt.Sprint(len(body)),
	} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if got := a.header.Values("Strict-Transport-Security"); len(got) != 1 || got[0] == "max-age=1" {
		t.Errorf("Strict-Transport-Security %q is the device's", got)
	}
	got := b.last(t, systems)
	for name, want := range map[string]string{
		"If-None-Match": `"16"`, "Odata-Version": "4.0", "Accept-Encoding": "identity", "Authorization": "",
		"Cookie": "", "Forwarded": "", "X-Forwarded-For": "", "X-Http-Method-Override": "", "Te": "", "Origin": "",
	} {
		if v := got.Header.Get(name); v != want {
			t.Errorf("the device sees %s: %q, want %q", name, v, want)
		}
	}
	if len(got.Header.Values("X-Auth-Token")) != 1 || got.RequestURI != systems+"?$select=Name" || "https://"+got.Host != b.URL {
		t.Errorf("the device sees %s on %s with %d tokens", got.RequestURI, got.Host, len(got.Header.Values("X-Auth-Token")))
	}
	recs := s.records()
	if len(recs) != 1 || recs[0].Event != audit.Call || recs[0].Path != systems+"?$select=Name" || recs[0].Status != 200 ||
		recs[0].Caller != "admin" || recs[0].Account != "postern" || recs[0].Outcome != "answered" || recs[0].RequestID == "" {
		t.Errorf("records %+v", recs)
	}
	s.noSecrets(a)
}

// What goes out are the bytes that were judged, whatever they are.
func TestRawPathIsKept(t *testing.T) {
	t.Parallel()
	b := newBMC(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.RequestURI) })
	s := newStack(t, b.Server, options{})
	for _, uri := range []string{
		"/redfish/v1/Systems/1/", "/redfish/v1/Chassis/a%5B1%5D", "/redfish/v1/Chassis/%61", "/redfish/v1/Chassis/a:b@c(d)'",
		"/redfish/v1/Systems?$filter=Name%20eq%20'x'", "/redfish/v1/Systems?",
	} {
		r := s.request("GET", "/x", nil)
		r.URL.Opaque = uri
		a, err := s.do(r)
		if err != nil {
			t.Fatal(err)
		}
		if a.body != uri {
			t.Errorf("%s: the device sees %s (%d)", uri, a.body, a.status)
		}
	}
	for _, uri := range []string{
		"/redfish/v1//Systems", "/redfish/v1/Systems/../AccountService", "/redfish/v1/Systems/%2e%2e/x", "/redfish/v1/a%2Fb", "/redfish/v1/a\"b",
		"/redfish/v1/Systems;x", "/redfish/v1/Systems?a#b", "/redfish/v1/Systems?a\x80",
	} {
		r := s.request("GET", "/x", nil)
		r.URL.Opaque = uri
		a, err := s.do(r)
		if err != nil {
			t.Fatal(err)
		}
		if a.status != 400 {
			t.Errorf("%s: got %d %s, want 400", uri, a.status, a.body)
		}
	}
}

func TestDenied(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	b := newBMC(t, func(http.ResponseWriter, *http.Request) { calls.Add(1) })
	s := newStack(t, b.Server, options{})
	s.call("GET", "/redfish/v1/AccountService/Accounts", nil).want(t, 403, "")
	r := s.request("POST", systems+"/Actions/ComputerSystem.Reset", strings.NewReader(`{}`))
	r.SetBasicAuth("reader", callerPassword)
	a, err := s.do(r)
	if err != nil {
		t.Fatal(err)
	}
	a.want(t, 403, "reader")
	if logins, _ := b.counts(); calls.Load() != 0 || logins != 0 {
		t.Errorf("%d calls and %d logins reached the device", calls.Load(), logins)
	}
	for _, rec := range s.records() {
		if rec.Outcome != "denied" || rec.Event != audit.Call || rec.Status != 403 {
			t.Errorf("record %+v", rec)
		}
	}
}

// A query that shows what lies below is judged with it.
func TestReach(t *testing.T) {
	t.Parallel()
	b := newBMC(t, func(http.ResponseWriter, *http.Request) {})
	s := newStack(t, b.Server, options{rules: []policy.Rule{{Name: "no bios", Path: "/redfish/v1/Systems/*/Bios"}}})
	s.call("GET", systems, nil).want(t, 200, "")
	s.call("GET", systems+"/Bios", nil).want(t, 403, "rules")
	s.call("GET", systems+"?$expand=.", nil).want(t, 403, "rules")
	s.call("GET", "/redfish/v1/Systems?$expand=.", nil).want(t, 200, "")
}

// An effect is on stable storage before the device sees it, and closed after.
func TestEffectIsRecordedFirst(t *testing.T) {
	t.Parallel()
	var s *stack
	var before []audit.Record
	b := newBMC(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			for rec := range audit.Read(s.auditDir(), audit.Filter{}) {
				if rec.Event == audit.CallBegin {
					before = append(before, rec)
				}
			}
		}
		w.Header().Set("Location", "https://the-device-calls-itself-so/redfish/v1/TaskService/Tasks/1")
		w.WriteHeader(http.StatusAccepted)
	})
	s = newStack(t, b.Server, options{})
	a := s.call("POST", systems+"/Actions/ComputerSystem.Reset", strings.NewReader(`{"ResetType":"On"}`))
	a.want(t, 202, "")
	if got := a.header.Get("Location"); got != s.front.URL+"/redfish/v1/TaskService/Tasks/1" {
		t.Errorf("Location %q", got)
	}
	if len(before) != 1 {
		t.Fatalf("%d records before the call reached the device, want 1", len(before))
	}
	recs := s.records()
	if len(recs) != 2 || recs[1].Event != audit.CallEnd || recs[1].Ref != before[0].Ref || recs[1].Status != 202 || recs[1].Outcome != "answered" {
		t.Errorf("records %+v", recs)
	}
}

func TestNothingUnrecorded(t *testing.T) {
	t.Parallel()
	var effects atomic.Int64
	b := newBMC(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			effects.Add(1)
		}
	})
	s := newStack(t, b.Server, options{})
	s.call("GET", systems, nil).want(t, 200, "")
	s.closeAudit()
	a := s.call("DELETE", systems+"/x", nil)
	a.want(t, 503, "record")
	if a.header.Get("Retry-After") == "" || effects.Load() != 0 {
		t.Errorf("Retry-After %q; %d effects reached the device", a.header.Get("Retry-After"), effects.Load())
	}
}

// A caller who leaves ends a read at the device, and not the login.
func TestCallerLeaves(t *testing.T) {
	t.Parallel()
	arrived, ended := make(chan struct{}), make(chan struct{})
	b := newBMC(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != systems+"/slow" {
			return
		}
		close(arrived)
		<-r.Context().Done()
		close(ended)
	})
	s := newStack(t, b.Server, options{})
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-arrived
		cancel()
	}()
	if _, err := s.do(s.request("GET", systems+"/slow", nil).WithContext(ctx)); err == nil {
		t.Error("an answer for a caller who left")
	}
	<-ended
	s.call("GET", systems, nil).want(t, 200, "")
	if logins, _ := b.counts(); logins != 1 {
		t.Errorf("%d logins, want 1", logins)
	}
}

// An effect goes on when its caller leaves, so that the record can tell how it ended.
func TestEffectOutlivesItsCaller(t *testing.T) {
	t.Parallel()
	arrived, noticed := make(chan struct{}), make(chan struct{})
	b := newBMC(t, func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-noticed
		w.WriteHeader(http.StatusNoContent)
	})
	s := newStack(t, b.Server, options{front: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			context.AfterFunc(r.Context(), func() { close(noticed) })
			next.ServeHTTP(w, r)
		})
	}})
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-arrived
		cancel()
	}()
	if _, err := s.do(s.request("POST", systems, strings.NewReader(`{}`)).WithContext(ctx)); err == nil {
		t.Error("an answer for a caller who left")
	}
	s.front.Close() // returns when the handler has
	recs := s.records()
	if last := recs[len(recs)-1]; last.Event != audit.CallEnd || last.Status != 204 {
		t.Errorf("record %+v", last)
	}
}

func TestHead(t *testing.T) {
	t.Parallel()
	b := newBMC(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1234")
		if r.URL.Path == systems {
			return
		}
		w.WriteHeader(404)
	})
	s := newStack(t, b.Server, options{})
	a := s.call("HEAD", systems, nil)
	if a.status != 200 || a.header.Get("Content-Length") != "1234" || b.last(t, systems).Method != "HEAD" {
		t.Errorf("got %d, length %q", a.status, a.header.Get("Content-Length"))
	}
	if a := s.call("HEAD", systems+"/x", nil); a.status != 404 {
		t.Errorf("got %d, want 404", a.status)
	}
}

// The body of a GET means nothing and goes no farther.
func TestBodyOfGet(t *testing.T) {
	t.Parallel()
	b := newBMC(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%d bytes, type %q", len(body), r.Header.Get("Content-Type"))
	})
	s := newStack(t, b.Server, options{})
	r := s.request("GET", systems, strings.NewReader(`{}`))
	r.Header.Set("Content-Type", "application/json")
	a, err := s.do(r)
	if err != nil {
		t.Fatal(err)
	}
	a.want(t, 200, `0 bytes, type ""`)
}

// Events pass as they come, one by one, and the headers before the first.
func TestEventStream(t *testing.T) {
	t.Parallel()
	next := make(chan string)
	b := newBMC(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(200)
		w.(http.Flusher).Flush()
		for event := range next {
			fmt.Fprintf(w, "data: %s\n\n", event)
			w.(http.Flusher).Flush()
		}
	})
	s := newStack(t, b.Server, options{})
	resp, err := s.client.Do(s.request("GET", "/redfish/v1/EventService/SSE", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	buf := make([]byte, 100)
	for _, event := range []string{"one", "two", "device-token-0"} { // the last begins like the token
		next <- event
		want := "data: " + event + "\n\n"
		if _, err := io.ReadFull(resp.Body, buf[:len(want)]); err != nil || string(buf[:len(want)]) != want {
			t.Fatalf("got %q, %v", buf[:len(want)], err)
		}
	}
	close(next)
	if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) != 0 {
		t.Errorf("then %q, %v", rest, err)
	}
}

func TestBudgetOfPlaces(t *testing.T) {
	t.Parallel()
	var now, most atomic.Int64
	b := newBMC(t, func(http.ResponseWriter, *http.Request) {
		n := now.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		time.Sleep(time.Millisecond)
		now.Add(-1)
	})
	s := newStack(t, b.Server, options{inFlight: 3})
	var all sync.WaitGroup
	for range 40 {
		all.Go(func() {
			if a, err := s.do(s.request("GET", systems, nil)); err != nil || a.status != 200 {
				t.Errorf("got %d, %v", a.status, err)
			}
		})
	}
	all.Wait()
	if most.Load() > 3 {
		t.Errorf("%d calls at a time at the device, want at most 3", most.Load())
	}
}
