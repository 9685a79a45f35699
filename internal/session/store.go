package session

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/netip"
	"time"

	"github.com/postern/postern/auth"
)

// A Record is a session as a Store keeps it.
type Record struct {
	ID        string
	Token     [sha256.Size]byte // SHA-256 of the token
	AccountID string
	Listener  string
	Source    netip.Addr // the zero Addr where there was none
	Context   string
	Kind      auth.Kind // of the attempt
	Created   time.Time
	LastUsed  time.Time // may lag behind, see Touch
	// InitialRole is what Role was at the login.
	InitialRole auth.Role

	// Of the account, at the time of the read. CreateSession takes the version as
	// the one the password was checked against.
	Account            auth.AccountName
	Role               auth.Role
	MustChangePassword bool
	Version            int64
}

// Limits bound how many sessions there may be. Zero means no bound.
type Limits struct {
	PerAccount  int // on all listeners together
	PerListener int
}

// A Touch says when a session was last used.
type Touch struct {
	ID   string
	Used time.Time
}

// What a Store may refuse with, besides auth.ErrSessionLimit.
var (
	// ErrStale: the account was changed, disabled or removed since its password was checked.
	ErrStale = errors.New("account was changed during the login")
	// ErrExists: the id or the token is in use.
	ErrExists = errors.New("session id or token in use")
)

// A Store keeps sessions on stable storage: what it acknowledged survives a
// crash. It is safe for concurrent use.
type Store interface {
	RuleStore

	// CreateSession adds r, if its account is enabled and still has r.Version and
	// neither account nor listener has as many sessions as l allows, all decided in
	// the transaction that adds it: auth.ErrSessionLimit, ErrStale, ErrExists.
	CreateSession(ctx context.Context, r Record, l Limits, at time.Time) error
	// DeleteSessions ends the sessions with these ids. Unknown ids are no error.
	DeleteSessions(ctx context.Context, ids []string, at time.Time) error
	// Sessions returns all sessions, the expired ones too.
	Sessions(ctx context.Context) ([]Record, error)
	// TouchSessions stores the times of last use. It never brings back a session
	// that has ended.
	TouchSessions(ctx context.Context, touches []Touch, at time.Time) error
}
