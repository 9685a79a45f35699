package redfish

import "time"

// A BasicMode says whether HTTP Basic is taken (AccountService.v1_15_0,
// HTTPBasicAuth).
type BasicMode string

// The modes of HTTP Basic.
const (
	BasicEnabled      BasicMode = "Enabled"      // also what "" means
	BasicUnadvertised BasicMode = "Unadvertised" // taken, but not offered in a 401
	BasicDisabled     BasicMode = "Disabled"
)

// Rules are what may change about a Handler while it runs.
type Rules struct {
	SessionsDisabled bool          // no new sessions are given
	SessionIdle      time.Duration // how long a session may go unused; 0 means 30 minutes
	SessionLifetime  time.Duration // how long it may live at all; 0: for ever
	Basic            BasicMode
	Certificates     bool  // the client certificates of TLS connections are judged
	Version          int64 // rises with every change
}

// A SessionChange changes what is not nil of the rules for sessions.
type SessionChange struct {
	// Version is that of the rules which the change was thought out for:
	// ErrChanged where they have another one. 0: whatever it is.
	Version  int64
	Enabled  *bool
	Idle     *time.Duration
	Lifetime *time.Duration // 0: for ever
}

// rules returns the rules as they are now.
func (h *Handler) rules() Rules {
	var r Rules
	if h.cfg.Rules != nil {
		r = h.cfg.Rules()
	}
	if r.SessionIdle <= 0 {
		r.SessionIdle = defaultIdle
	}
	if r.Basic == "" {
		r.Basic = BasicEnabled
	}
	return r
}
