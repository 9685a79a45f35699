package metrics

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// A State is how things stand now.
type State struct {
	Targets  []Target
	Leases   []Lease
	Sessions map[string]int // of callers, by listener
}

// A Target is one device.
type Target struct {
	Name              string
	Budget            int
	InFlight, Waiting int  // calls
	Problem           bool // callers get no login there now
}

// A Lease is a login at a device that counts against its budget.
type Lease struct {
	Target string
	State  string // "intent", "held", "ending" or "owed"
	// Orphan: owed, and Postern never learnt its token, because the login's answer
	// was lost. It ends by a listing, or by the device's idle timeout.
	Orphan bool
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("postern_"+name, help, labels, nil)
}

var (
	targetsDesc  = describe("targets", "Devices that are served.")
	budgetDesc   = describe("lease_budget", "Logins that Postern may hold at the device.", "target")
	leasesDesc   = describe("leases", "Logins of Postern that count against the budget, by state.", "target", "state")
	orphansDesc  = describe("leases_orphaned", "Owed logins whose answer was lost, so that Postern has no token to end them with.", "target")
	inFlightDesc = describe("calls_in_flight", "Calls that are at the device.", "target")
	waitingDesc  = describe("calls_waiting", "Calls that wait for a place or a login.", "target")
	problemDesc  = describe("target_problem", "1 while callers get no login at the device.", "target")
	sessionsDesc = describe("sessions", "Sessions of callers.", "listener")
	scrapeDesc   = describe("state_errors", "1 where the state could not be read.")
)

// A stateCollector asks for the state at each scrape.
type stateCollector struct {
	m     *Metrics
	state func() (State, error)
}

// Describe implements prometheus.Collector.
func (c stateCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{targetsDesc, budgetDesc, leasesDesc, orphansDesc, inFlightDesc, waitingDesc, problemDesc, sessionsDesc, scrapeDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c stateCollector) Collect(ch chan<- prometheus.Metric) {
	s, err := c.state()
	failed := 0.0
	if err != nil {
		failed = 1
	}
	ch <- prometheus.MustNewConstMetric(scrapeDesc, prometheus.GaugeValue, failed)
	if err != nil {
		return
	}
	ch <- prometheus.MustNewConstMetric(targetsDesc, prometheus.GaugeValue, float64(len(s.Targets)))
	g := gauges{}
	for _, t := range s.Targets {
		at := c.m.label(t.Name)
		g.add(budgetDesc, t.Budget, at)
		g.add(inFlightDesc, t.InFlight, at)
		g.add(waitingDesc, t.Waiting, at)
		g.add(orphansDesc, 0, at)
		problem := 0
		if t.Problem {
			problem = 1
		}
		g.add(problemDesc, problem, at)
		for _, state := range []string{"held", "owed"} { // always there, so that alerts see a zero
			g.add(leasesDesc, 0, at, state)
		}
	}
	for _, l := range s.Leases {
		at := c.m.label(l.Target)
		g.add(leasesDesc, 1, at, l.State)
		if l.Orphan {
			g.add(orphansDesc, 1, at)
		}
	}
	for name, n := range s.Sessions {
		g.add(sessionsDesc, n, c.m.label(name))
	}
	for k, n := range g {
		ch <- prometheus.MustNewConstMetric(k.desc, prometheus.GaugeValue, float64(n), k.labels()...)
	}
}

// gauges sum up what has the same labels.
type gauges map[gauge]int

type gauge struct {
	desc        *prometheus.Desc
	first, rest string
}

func (g gauges) add(d *prometheus.Desc, n int, labels ...string) {
	k := gauge{desc: d, first: labels[0]}
	if len(labels) > 1 {
		k.rest = labels[1]
	}
	g[k] += n
}

func (k gauge) labels() []string {
	if k.rest == "" {
		return []string{k.first}
	}
	return []string{k.first, k.rest}
}

// word is an outcome as a label.
func word(known map[string]bool, outcome string) string {
	first, _, _ := strings.Cut(outcome, ",")
	if known[first] {
		return first
	}
	return "other"
}

// class is an HTTP status as a label.
func class(status int) string {
	if status < 100 || status > 599 {
		return "none"
	}
	return string(rune('0'+status/100)) + "xx"
}
