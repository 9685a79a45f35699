package lease

import (
	"context"
	"errors"
	"time"

	"github.com/postern/postern/auth"
)

// State of a lease row.
type State string

// The states. Every state but Ended counts against the device's budget.
const (
	Intent State = "intent" // a login is about to be sent, or its answer was not seen
	Held   State = "held"   // the device gave a session; its token is sealed in the row
	Ending State = "ending" // a logout is about to be sent
	Owed   State = "owed"   // the device may hold a session of ours that is to be ended
	Ended  State = "ended"  // the device holds nothing of this row
)

// A Row is one lease on stable storage. URL, CA and pin are the row's own, so
// that it can be ended after its target was changed or removed.
type Row struct {
	ID          string // also the nonce left with the session at the device
	Target      string
	Domain      string // whose budget it counts against
	Family      string
	URL         string
	CAPEM       string
	Pin         string
	Account     auth.AccountName
	SecretHash  [32]byte
	State       State
	Reason      string
	Location    string
	DeviceID    string
	TokenSealed []byte
	Idle        time.Duration // the device's idle timeout; 0 = unknown
	DeviceDate  time.Time
	Created     time.Time
	LastUsed    time.Time // coalesced: may lag behind by touchEvery
	Updated     time.Time
}

// Facts are what was learned from a device, kept by its URL.
type Facts struct {
	NoNonce    bool          // refuses a login that carries a nonce
	KeepsNonce bool          // shows a session's nonce to those who list
	Idle       time.Duration // 0 = unknown
}

// A Key names a password whose failures are counted.
type Key struct {
	Domain     string // lockout domain: the device, or a directory shared by many
	Account    auth.AccountName
	SecretHash [32]byte
}

// History is what is known of a Key and its account when a login is reserved.
type History struct {
	Proven    bool        // the device accepted this secret and has not refused it since
	Refused   int         // refusals of this secret since it was last accepted
	RefusedAt time.Time   // the last of them
	Unknown   int         // lost answers for this secret since then, while it was not proven
	Pending   int         // logins with this secret that this epoch has under way
	Counted   []time.Time // attempts with any secret of the account inside the window that the device may have counted as failed
}

// What a Store method may refuse with.
var (
	// ErrBudget: the device has as many leases as it may have.
	ErrBudget = errors.New("lease budget is used up")
	// ErrState: the row is not in the state that the step starts from.
	ErrState = errors.New("lease is in another state")
)

// Store keeps leases and the failed-login allowance. Each method is one
// transaction that is on stable storage when it returns nil.
type Store interface {
	// OpenLeases returns the rows that are not ended, oldest first.
	OpenLeases(ctx context.Context) ([]Row, error)
	// IntendLease inserts r as an intent if its domain has fewer than budget
	// rows that are not ended, else ErrBudget. Two callers never pass the
	// budget together. A budget of 0 means no limit.
	IntendLease(ctx context.Context, r Row, budget int, at time.Time) error
	// HoldLease makes the intent r.ID held, with what the device gave.
	// ErrState if it is not an intent.
	HoldLease(ctx context.Context, r Row, at time.Time) error
	// MoveLease takes a row from one of the states to another. ErrState if it
	// is in none of them.
	MoveLease(ctx context.Context, id string, from []State, to State, reason string, at time.Time) error
	// LeaseState returns the state of a row, "" if there is none.
	LeaseState(ctx context.Context, id string) (State, error)
	// TouchLeases records when leases were last used. Unknown ids are ignored.
	TouchLeases(ctx context.Context, used map[string]time.Time, at time.Time) error

	// Facts returns what is known of the device; the zero Facts if nothing.
	Facts(ctx context.Context, url string) (Facts, error)
	// SetFacts keeps f, and the idle timeout with the device's open leases too.
	SetFacts(ctx context.Context, url string, f Facts, at time.Time) error

	// ReserveLogin inserts a pending attempt id if decide accepts what is known
	// of k. Attempts that an earlier epoch left pending are settled as unknown
	// first. decide must be pure; its error is returned as it is.
	ReserveLogin(ctx context.Context, id string, k Key, window time.Duration, decide func(History) error, at time.Time) error
	// SettleLogin records what became of a pending attempt. counts says that
	// the device may have counted it as a failed login.
	SettleLogin(ctx context.Context, id string, o auth.Outcome, counts bool, at time.Time) error
	// RefuseProven records a refusal of a proven secret that was in use
	// without a reservation (HTTP Basic). It reports whether it was proven.
	RefuseProven(ctx context.Context, id string, k Key, at time.Time) (bool, error)
	// Proven reports whether the device accepted the secret last.
	Proven(ctx context.Context, k Key) (bool, error)
}
