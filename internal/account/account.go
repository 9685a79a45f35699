package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/postern/postern/auth"
)

// An Account is a person or program known to Postern.
type Account struct {
	ID      string // drawn once, never used again, not even after a deletion
	Name    auth.AccountName
	Role    auth.Role
	Hash    string // PHC text of the password hash; not a secret to be printed
	Enabled bool
	// MustChangePassword lets the account do nothing but change its password.
	MustChangePassword bool

	// Wrong passwords counted since the last good one, and what they led to. They
	// change without a new Version; see IsLocked.
	Failures    int
	FailedAt    time.Time // the last one
	Locked      bool
	LockedUntil time.Time // zero: until somebody unlocks it

	Version int64 // 1 at creation, raised by every change that somebody asked for
	// SessionVersion is the Version of the last change of password, role or state:
	// sessions made under an earlier one have ended, but for the one that was kept.
	SessionVersion int64
	Created        time.Time
	Updated        time.Time
}

// IsLocked reports whether a lockout stands at the time at.
func (a Account) IsLocked(at time.Time) bool {
	return a.Locked && (a.LockedUntil.IsZero() || at.Before(a.LockedUntil))
}

// What a Store or the Service may refuse with.
var (
	// ErrExists: the name is taken.
	ErrExists = errors.New("account exists already")
	// ErrNotFound: there is no such account.
	ErrNotFound = errors.New("no such account")
	// ErrConflict: somebody else changed the account in between; read it again.
	ErrConflict = errors.New("account was changed by somebody else")
	// ErrLastAdministrator: nobody who could administer would be left.
	ErrLastAdministrator = errors.New("the last enabled Administrator must stay")
	// ErrBadName: the name breaks the rules of CheckName.
	ErrBadName = errors.New("bad account name")
	// ErrBadPassword: the password breaks the rules of CheckPassword.
	ErrBadPassword = errors.New("bad password")
	// ErrPasswordLength and ErrPasswordReused are two kinds of ErrBadPassword.
	ErrPasswordLength = fmt.Errorf("%w length", ErrBadPassword)
	ErrPasswordReused = fmt.Errorf("%w, one that was used before", ErrBadPassword)
	// ErrBadHash: the text is no password hash that Verify understands.
	ErrBadHash = errors.New("bad password hash")
	// ErrBadRules: the rules contradict themselves or leave their limits.
	ErrBadRules = errors.New("bad login rules")
	// ErrBadRole: the role is not one that an account may have.
	ErrBadRole = errors.New("bad role")
)

// A Store keeps accounts on stable storage: what it acknowledged survives a
// crash. It is safe for concurrent use.
type Store interface {
	// CreateAccount adds a with Version and SessionVersion 1, not locked, and both
	// times set to at: ErrExists, ErrBadRole.
	CreateAccount(ctx context.Context, a Account, at time.Time) error
	// Account returns the account of that name: ErrNotFound.
	Account(ctx context.Context, name auth.AccountName) (Account, error)
	// Accounts returns all accounts in the order of their names.
	Accounts(ctx context.Context) ([]Account, error)
	// UpdateAccount stores role, state and MustChangePassword of a, and u.Hash, where
	// the Version of a is still the stored one, and returns the account with the
	// next Version. Where role or state differ from the stored ones, or with a
	// u.Hash, it ends, in the same transaction, the sessions of the account, except
	// u.Keep while the account stays enabled. The former hash is kept for as long as
	// the rules want it; a u.Hash, like u.Unlock, ends a lockout.
	// ErrNotFound, ErrConflict, ErrBadRole, ErrLastAdministrator.
	UpdateAccount(ctx context.Context, a Account, u Update, at time.Time) (Account, error)
	// DeleteAccount removes the account and its sessions, where version is 0 or the
	// stored one, and returns what was removed:
	// ErrNotFound, ErrConflict, ErrLastAdministrator.
	DeleteAccount(ctx context.Context, name auth.AccountName, version int64, at time.Time) (Account, error)

	// ReplaceHash stores another hash of the same password where old is still the
	// stored one. Nothing else changes, no Version and no session: ErrConflict.
	ReplaceHash(ctx context.Context, id, old, hash string, at time.Time) error
	// FormerHashes returns the hashes of former passwords that are kept, the last
	// one first, at most MaxHistory.
	FormerHashes(ctx context.Context, id string) ([]string, error)

	// NoteFailure counts a wrong password, and locks the account where r says so. It
	// returns whether the account is locked now and until when (zero: until somebody
	// unlocks it). Of an account that is locked already, and with a Threshold of 0,
	// nothing is counted. ErrNotFound.
	NoteFailure(ctx context.Context, id string, at time.Time, r Rules) (locked bool, until time.Time, err error)
	// ClearFailures forgets the wrong passwords after a good one. A lockout that
	// stands at the time at goes on.
	ClearFailures(ctx context.Context, id string, at time.Time) error

	// Rules returns the rules in force.
	Rules(ctx context.Context) (Rules, error)
	// SetRules stores r where its Version is still the stored one, and returns it
	// with the next: ErrConflict.
	SetRules(ctx context.Context, r Rules, at time.Time) (Rules, error)
}

// An Update says how UpdateAccount goes about it.
type Update struct {
	Hash   string // of the new password; "" = the password stays, and so does its hash
	Keep   string // id of the session that lives on; "" = none
	Unlock bool   // end a lockout
}

// IsAdministrator reports whether a may administer Postern now.
func (a Account) IsAdministrator() bool { return a.Enabled && a.Role == auth.Administrator }

// MaxName bounds a name, in bytes: it becomes part of URIs and of every audit record.
const MaxName = 64

// CheckName returns ErrBadName unless name has 1 to MaxName letters, digits and
// ". _ @ -", the first of them a letter, a digit or "_". Such a name can stand
// in a path and on a command line as it is.
func CheckName(name auth.AccountName) error {
	if len(name) == 0 || len(name) > MaxName {
		return fmt.Errorf("%w: it must have 1 to %d characters", ErrBadName, MaxName)
	}
	for i := range len(name) {
		c := name[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_':
		case i > 0 && (c == '.' || c == '@' || c == '-'):
		default:
			return fmt.Errorf("%w: letters, digits and \"._@-\" are allowed, the first a letter, a digit or \"_\"", ErrBadName)
		}
	}
	return nil
}

// Roles says which roles an account may have.
type Roles interface{ RoleExists(r auth.Role) bool }

// CheckRole returns ErrBadRole unless r is one of roles; nil stands for the
// predefined ones.
func CheckRole(r auth.Role, roles Roles) error {
	_, ok := auth.PredefinedPrivileges(r)
	if ok || roles != nil && roles.RoleExists(r) {
		return nil
	}
	return fmt.Errorf("%w: there is no role of that name", ErrBadRole)
}
