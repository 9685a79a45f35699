package demo

import "time"

// sampleEvery is how often the device is asked for its figures, so that the
// most sessions in use at a time is not missed.
const sampleEvery = 50 * time.Millisecond

// watch calls storm, draws the run meanwhile, and returns what it came to. The
// figures that only the device and what stands before it know come from sample.
func watch(v *view, title string, c crowd, storm func(*tally), sample func(*Figures)) Figures {
	var r Figures
	y := &tally{t: Tally{Good: c.good(), Dead: c.dead()}}
	start := time.Now()
	look := func() {
		r.Tally = y.now()
		r.Took = time.Since(start)
		sample(&r)
		r.MaxLoggedIn = max(r.MaxLoggedIn, r.LoggedIn)
		r.MaxSessions = max(r.MaxSessions, r.Sessions)
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		storm(y)
	}()
	ticker := time.NewTicker(sampleEvery)
	defer ticker.Stop()
	look()
	v.begin(title, r)
	for shown := start; ; {
		look()
		if time.Since(shown) >= v.every() {
			shown = time.Now()
			v.state(r)
		}
		select {
		case <-ticker.C:
		case <-over:
			look()
			return r
		}
	}
}
