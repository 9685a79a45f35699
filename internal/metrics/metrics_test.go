package metrics

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/postern/postern/internal/audit"
)

// scrape is what Prometheus gets.
func scrape(t *testing.T, h http.Handler, path, host string) (int, string) {
	t.Helper()
	r := httptest.NewRequest("GET", path, nil)
	r.Host = host
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	body, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, string(body)
}

func want(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("no line %q", line)
		}
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	state := State{
		Targets: []Target{{Name: "bmc1", Budget: 2, InFlight: 3, Waiting: 4, Problem: true}, {Name: "bmc2", Budget: 5}},
		Leases: []Lease{
			{Target: "bmc1", State: "held"}, {Target: "bmc1", State: "owed", Orphan: true}, {Target: "bmc1", State: "owed"}, {Target: "gone", State: "owed"},
		},
		Sessions: map[string]int{"target:bmc1": 7},
	}
	m := New(func() (State, error) { return state, nil })
	m.Recorded(audit.Record{Event: audit.Call, Target: "bmc1", Outcome: "answered", Status: 204})
	m.Recorded(audit.Record{Event: audit.CallEnd, Target: "bmc1", Outcome: "answered", Status: 204})
	m.Recorded(audit.Record{Event: audit.CallBegin, Target: "bmc1"})
	m.Recorded(audit.Record{Event: audit.Call, Listener: "tree", Outcome: "strange", Status: 9999})
	m.Recorded(audit.Record{Event: audit.LeaseLoginEnd, Target: "bmc1", Outcome: "accepted, HTTP Basic"})
	m.Recorded(audit.Record{Event: audit.LeaseLoginEnd, Target: "bmc1", Outcome: "cut by a crash, now owed"})
	m.Recorded(audit.Record{Event: audit.LeaseLogoutEnd, Target: "bmc1", Outcome: "ended"})
	m.Recorded(audit.Record{Event: audit.Attempt, Listener: "target:bmc1", Caller: "a secret typed as a name", Outcome: "refused"})
	m.Refused("bmc1", "full")
	m.Waited("bmc1", 20*time.Millisecond)
	m.Answered("bmc1", 2*time.Second)
	m.Appended(time.Millisecond, nil)
	m.Appended(time.Millisecond, errors.New("disk full"))
	code, text := scrape(t, m.Handler(nil), "/metrics", "127.0.0.1:9477")
	if code != 200 {
		t.Fatal(code, text)
	}
	want(t, text,
		`postern_calls_total{code="2xx",outcome="answered",target="bmc1"} 2`,
		`postern_calls_total{code="none",outcome="other",target="tree"} 1`,
		`postern_device_logins_total{outcome="accepted",target="bmc1"} 1`,
		`postern_device_logins_total{outcome="other",target="bmc1"} 1`,
		`postern_device_logouts_total{outcome="ended",target="bmc1"} 1`,
		`postern_logins_total{listener="target:bmc1",outcome="refused"} 1`,
		`postern_refusals_total{reason="full",target="bmc1"} 1`,
		`postern_wait_seconds_count{target="bmc1"} 1`,
		`postern_device_seconds_bucket{target="bmc1",le="1"} 0`,
		`postern_device_seconds_bucket{target="bmc1",le="2.5"} 1`,
		`postern_audit_append_seconds_count 2`,
		`postern_audit_failures_total 1`,
		`postern_targets 2`,
		`postern_lease_budget{target="bmc1"} 2`,
		`postern_leases{state="held",target="bmc1"} 1`,
		`postern_leases{state="owed",target="bmc1"} 2`,
		`postern_leases{state="owed",target="bmc2"} 0`,
		`postern_leases{state="owed",target="gone"} 1`,
		`postern_leases_orphaned{target="bmc1"} 1`,
		`postern_leases_orphaned{target="bmc2"} 0`,
		`postern_calls_in_flight{target="bmc1"} 3`,
		`postern_calls_waiting{target="bmc1"} 4`,
		`postern_target_problem{target="bmc1"} 1`,
		`postern_target_problem{target="bmc2"} 0`,
		`postern_sessions{listener="target:bmc1"} 7`,
		`postern_state_errors 0`,
	)
	if strings.Contains(text, "secret") {
		t.Error("a name of a caller is a label")
	}
	state.Targets, state.Leases, state.Sessions = nil, nil, nil
	m.Forget("bmc1", "target:bmc1")
	if _, text := scrape(t, m.Handler(nil), "/metrics", "localhost"); strings.Contains(text, "bmc1") {
		t.Errorf("a target that was removed:\n%s", text)
	}
}

// However many targets there are, there are so many series.
func TestBoundedNames(t *testing.T) {
	t.Parallel()
	var s State
	for i := range maxNames + 10 {
		s.Targets = append(s.Targets, Target{Name: fmt.Sprintf("t%05d", i), Budget: 1})
	}
	m := New(func() (State, error) { return s, nil })
	_, text := scrape(t, m.Handler(nil), "/metrics", "[::1]:9477")
	want(t, text, `postern_lease_budget{target="(others)"} 10`, `postern_lease_budget{target="t00000"} 1`)
	if n := strings.Count(text, "\npostern_lease_budget{"); n != maxNames+1 {
		t.Errorf("%d series, want %d", n, maxNames+1)
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	var ready, state error
	m := New(func() (State, error) { return State{}, state })
	h := m.Handler(func() error { return ready })
	for _, c := range []struct {
		path, host string
		want       int
	}{
		{"/healthz", "localhost:1", 200}, {"/readyz", "127.0.0.1", 200}, {"/", "localhost", 404}, {"/debug/pprof/", "localhost", 404},
		{"/metrics", "rebound.example", 403}, {"/healthz", "10.0.0.1:9477", 403}, {"/metrics", "", 403},
	} {
		if got, text := scrape(t, h, c.path, c.host); got != c.want {
			t.Errorf("%s of %q: %d %s, want %d", c.path, c.host, got, text, c.want)
		}
	}
	ready, state = errors.New("starting or stopping"), errors.New("no store")
	if got, text := scrape(t, h, "/readyz", "localhost"); got != 503 || text != "starting or stopping\n" {
		t.Errorf("not ready: %d %q", got, text)
	}
	if got, _ := scrape(t, h, "/healthz", "localhost"); got != 200 {
		t.Errorf("not ready, but healthy: %d", got)
	}
	if got, text := scrape(t, h, "/metrics", "localhost"); got != 200 || !strings.Contains(text, "\npostern_state_errors 1\n") {
		t.Errorf("without its state: %d", got)
	}
}
