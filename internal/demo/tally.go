package demo

import "sync"

// A Tally is what became of the clients of one run. The good ones are those
// whose password is right.
type Tally struct {
	Good int `json:"good_clients"`
	Dead int `json:"dead_passwords"` // clients that come with one

	Served   int `json:"served"`
	Full     int `json:"no_free_session"` // refused because of that, as the next ones
	Denied   int `json:"account_locked"`
	TimedOut int `json:"timed_out"`
	Failed   int `json:"failed"`

	DeadDenied int `json:"dead_passwords_refused"`
	DeadServed int `json:"dead_passwords_served"`
	LoggedIn   int `json:"-"`                   // clients with a session, now
	Left       int `json:"left_without_logout"` // clients that died holding one
}

// Refused counts the good clients that came for nothing. While a run goes on,
// those that still try are neither served nor refused.
func (t Tally) Refused() int { return t.Full + t.Denied + t.TimedOut + t.Failed }

// A tally is filled by all clients at once.
type tally struct {
	mu sync.Mutex // guards t
	t  Tally
}

func (y *tally) now() Tally {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.t
}

func (y *tally) loggedIn() { y.change(func(t *Tally) { t.LoggedIn++ }) }

func (y *tally) loggedOut() { y.change(func(t *Tally) { t.LoggedIn-- }) }

func (y *tally) leftBehind() { y.change(func(t *Tally) { t.LoggedIn--; t.Left++ }) }

func (y *tally) change(f func(*Tally)) {
	y.mu.Lock()
	defer y.mu.Unlock()
	f(&y.t)
}

// over enters how a client came out.
func (y *tally) over(e end, good bool) {
	y.change(func(t *Tally) {
		switch {
		case !good && e == denied:
			t.DeadDenied++
		case !good && e == served:
			t.DeadServed++
		case !good: // its time was over before it was judged
		case e == served:
			t.Served++
		case e == full:
			t.Full++
		case e == denied:
			t.Denied++
		case e == timedOut:
			t.TimedOut++
		default:
			t.Failed++
		}
	})
}
