package lease

import (
	"errors"
	"fmt"
	"time"
)

// Reason why no login could be had.
type Reason string

// The reasons.
const (
	Full     Reason = "full"     // the budget, the queue or the device's own table is full: try again later
	Busy     Reason = "busy"     // the device answers logins with errors that say nothing of the secret, or loses the answers
	Refused  Reason = "refused"  // the device refused the stored secret; it is not tried again
	Down     Reason = "down"     // the device does not answer, or not in its protocol
	Draining Reason = "draining" // this server is shutting down, or the target is being removed
	Broken   Reason = "broken"   // our own store, audit or credential source fails
	NoTarget Reason = "no target"
)

// Unavailable is the error of Acquire.
type Unavailable struct {
	Reason     Reason
	RetryAfter time.Duration // when to try again; 0 = not before something changes
	Err        error
}

func (u *Unavailable) Error() string { return fmt.Sprintf("no device login (%s): %v", u.Reason, u.Err) }

func (u *Unavailable) Unwrap() error { return u.Err }

// ErrAlive is what Use.Unauthorized returns when the login lives: the device's
// 401 was about the resource, or passing.
var ErrAlive = errors.New("the device login lives")

// Why a lease is owed or ended, as the row keeps it.
const (
	whyLoginCut    = "a crash hid the answer to the login"
	whyLoginLost   = "the answer to the login was lost"
	whyLogoutCut   = "a crash hid the answer to the logout"
	whyChanged     = "the target was changed or removed"
	whyFailed      = "the logout failed"
	whyDead        = "judged dead"
	whyNotKept     = "not kept"
	whyBasic       = "HTTP Basic"
	whyCertificate = "client certificate"
	// whyUnsure: the device refused our own token at the logout. That is the
	// normal answer for a session that is gone, and some devices give it now
	// and then for one that lives: a listing decides, no second logout.
	whyUnsure = "the device refused the token at the logout"
)
