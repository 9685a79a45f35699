package demo

import (
	"encoding/json"
	"time"
)

// Figures are what one run of the crowd came to, as the clients and the device
// counted it.
type Figures struct {
	Tally

	MaxLoggedIn    int           `json:"clients_logged_in_max"`
	Slots          int           `json:"device_slots"`
	Sessions       int           `json:"device_sessions"`
	MaxSessions    int           `json:"device_sessions_max"`
	Logins         int           `json:"device_logins"`
	LoginsRefused  int           `json:"device_logins_refused"`
	Leaked         int           `json:"sessions_leaked"` // of which nobody is left who would end them
	LockedAccounts int           `json:"locked_accounts"`
	Took           time.Duration `json:"-"`
}

// Kept reports whether all that Postern promises was true in r: every client
// with a right password served and no other, nothing leaked, nothing locked.
func (r Figures) Kept() bool {
	return r.Served == r.Good && r.DeadServed == 0 && r.Leaked == 0 && r.LockedAccounts == 0
}

// MarshalJSON adds what is computed, and the time in seconds.
func (r Figures) MarshalJSON() ([]byte, error) {
	type plain Figures
	return json.Marshal(struct {
		plain
		Refused int     `json:"refused"`
		Seconds float64 `json:"seconds"`
	}{plain(r), r.Refused(), r.Took.Seconds()})
}

// A Result is the two runs beside each other.
type Result struct {
	Direct  Figures `json:"direct"`
	Postern Figures `json:"postern"`
	Kept    bool    `json:"kept"`
}
