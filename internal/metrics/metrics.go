// Package metrics counts what happens, and tells it to Prometheus with the state at
// each question, beside the health of the server. Nothing in it is a secret: labels
// are names of targets and listeners, and words of this package.
package metrics

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/postern/postern/internal/audit"
)

// maxNames bounds the targets and listeners, of which a target has one, that have
// series of their own; what happens at further ones is counted together, as Others.
// Each target has about fifty series.
const maxNames = 4000

// Others is the label of what is beyond those that have their own.
const Others = "(others)"

// buckets reach from an answer of our own to a BMC that takes the longest it may.
var buckets = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

// Metrics is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry

	calls, refusals, logins, logouts, attempts *prometheus.CounterVec
	waited, answered                           *prometheus.HistogramVec
	appended                                   prometheus.Histogram
	unrecorded                                 prometheus.Counter

	mu    sync.Mutex // guards names
	names map[string]bool
}

// New makes Metrics; state is asked at each scrape.
func New(state func() (State, error)) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), names: map[string]bool{}}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "postern_" + name, Help: help}, labels)
		m.registry.MustRegister(c)
		return c
	}
	histogram := func(name, help string, labels ...string) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "postern_" + name, Help: help, Buckets: buckets}, labels)
		m.registry.MustRegister(h)
		return h
	}
	m.calls = counter("calls_total", "Calls of callers, by what became of them.", "target", "outcome", "code")
	m.refusals = counter("refusals_total", "Calls that Postern itself answered with an error, by the reason.", "target", "reason")
	m.logins = counter("device_logins_total", "Logins at devices, by what became of them.", "target", "outcome")
	m.logouts = counter("device_logouts_total", "Logouts at devices, by what became of them.", "target", "outcome")
	m.attempts = counter("logins_total", "Attempts to log in to Postern, by what became of them.", "listener", "outcome")
	m.waited = histogram("wait_seconds", "Time that calls waited for a place and a login at the device.", "target")
	m.answered = histogram("device_seconds", "Time from sending a call until the header of the device's answer.", "target")
	m.appended = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "postern_audit_append_seconds", Help: "Time until a record that somebody waits for was on stable storage.", Buckets: buckets,
	})
	m.unrecorded = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "postern_audit_failures_total", Help: "Records that could not be put on stable storage in time.",
	})
	m.registry.MustRegister(m.appended, m.unrecorded, stateCollector{m, state},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// label is that of a target or a listener.
func (m *Metrics) label(name string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.names[name]:
		return name
	case len(m.names) >= maxNames:
		return Others
	}
	m.names[name] = true
	return name
}

// Forget drops the series of a target that was removed, and of its listener.
func (m *Metrics) Forget(name, listener string) {
	m.mu.Lock()
	delete(m.names, name)
	delete(m.names, listener)
	m.mu.Unlock()
	m.attempts.DeletePartialMatch(prometheus.Labels{"listener": listener})
	for _, v := range []interface {
		DeletePartialMatch(prometheus.Labels) int
	}{m.calls, m.refusals, m.logins, m.logouts, m.waited, m.answered} {
		v.DeletePartialMatch(prometheus.Labels{"target": name})
	}
}

// Waited is told how long a call waited for a place and a login.
func (m *Metrics) Waited(target string, d time.Duration) {
	m.waited.WithLabelValues(m.label(target)).Observe(d.Seconds())
}

// Answered is told how long a device took to begin its answer.
func (m *Metrics) Answered(target string, d time.Duration) {
	m.answered.WithLabelValues(m.label(target)).Observe(d.Seconds())
}

// Refused is told of an error of Postern's own. reason is one of a few words.
func (m *Metrics) Refused(target, reason string) {
	m.refusals.WithLabelValues(m.label(target), reason).Inc()
}

// Appended is told how long the record took that somebody waited for.
func (m *Metrics) Appended(took time.Duration, err error) {
	m.appended.Observe(took.Seconds())
	if err != nil {
		m.unrecorded.Inc()
	}
}

// Recorded is told of every record, and counts what it is about.
func (m *Metrics) Recorded(r audit.Record) {
	switch r.Event {
	case audit.Call, audit.CallEnd:
		at := r.Target
		if at == "" {
			at = r.Listener // of the tree
		}
		m.calls.WithLabelValues(m.label(at), word(callOutcomes, r.Outcome), class(r.Status)).Inc()
	case audit.LeaseLoginEnd:
		m.logins.WithLabelValues(m.label(r.Target), word(loginOutcomes, r.Outcome)).Inc()
	case audit.LeaseLogoutEnd:
		m.logouts.WithLabelValues(m.label(r.Target), word(logoutOutcomes, r.Outcome)).Inc()
	case audit.Attempt:
		m.attempts.WithLabelValues(m.label(r.Listener), word(attemptOutcomes, r.Outcome)).Inc()
	}
}

// The outcomes that have a label of their own; the audit's words, but without what
// stands behind a comma. Any other is "other".
var (
	callOutcomes    = words("answered", "denied", "refused", "failed", "unknown", "not done", "answer cut short", "caller left")
	loginOutcomes   = words("accepted", "refused", "unknown", "not judged", "not done", "not kept")
	logoutOutcomes  = words("ended", "owed", "not done")
	attemptOutcomes = words("accepted", "refused", "busy", "abandoned", "failed", "not done")
)

func words(list ...string) map[string]bool {
	set := map[string]bool{}
	for _, w := range list {
		set[w] = true
	}
	return set
}
