package account

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/postern/postern/auth"
)

// An Account is a person or program known to Postern.
type Account struct {
	ID      string // drawn once, never used again, not even after a deletion
	Name    auth.AccountName
	Role    auth.Role
	Hash    string // PHC text of the password hash; not a secret to be printed
	Enabled bool
	Version int64 // 1 at creation, raised by every change
	Created time.Time
	Updated time.Time
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
	// ErrBadRole: the role is not one that an account may have.
	ErrBadRole = errors.New("bad role")
)

// A Store keeps accounts on stable storage: what it acknowledged survives a
// crash. It is safe for concurrent use.
type Store interface {
	// CreateAccount adds a with Version 1 and both times set to at: ErrExists.
	CreateAccount(ctx context.Context, a Account, at time.Time) error
	// Account returns the account of that name: ErrNotFound.
	Account(ctx context.Context, name auth.AccountName) (Account, error)
	// Accounts returns all accounts in the order of their names.
	Accounts(ctx context.Context) ([]Account, error)
	// UpdateAccount stores role, hash and state of a where its Version is still
	// the stored one, and returns it with the next Version. In the same
	// transaction it ends the sessions of the account, except the session with
	// the id keep ("" = none) while the account stays enabled.
	// ErrNotFound, ErrConflict, ErrLastAdministrator.
	UpdateAccount(ctx context.Context, a Account, keep string, at time.Time) (Account, error)
	// DeleteAccount removes the account and its sessions, and returns what was
	// removed: ErrNotFound, ErrLastAdministrator.
	DeleteAccount(ctx context.Context, name auth.AccountName, at time.Time) (Account, error)
}

// IsAdministrator reports whether a may administer Postern now.
func (a Account) IsAdministrator() bool { return a.Enabled && a.Role == auth.Administrator }

// The limits of what is accepted as a name and as a password, in bytes.
const (
	MaxName     = 64  // a name becomes part of URIs and of every audit record
	MinPassword = 8   // NIST SP 800-63B, 5.1.1.2
	MaxPassword = 128 // room for a long sentence; nobody types more
)

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

// CheckPassword returns ErrBadPassword unless p has MinPassword to MaxPassword
// bytes and no control character, which no login form could send.
func CheckPassword(p auth.Secret) error {
	s := p.Reveal()
	if len(s) < MinPassword || len(s) > MaxPassword {
		return fmt.Errorf("%w: it must have %d to %d bytes", ErrBadPassword, MinPassword, MaxPassword)
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return fmt.Errorf("%w: control characters are not allowed", ErrBadPassword)
		}
	}
	if !utf8.ValidString(s) {
		return fmt.Errorf("%w: it must be UTF-8 text", ErrBadPassword)
	}
	return nil
}

// CheckRole returns ErrBadRole unless r is one of the built-in roles.
func CheckRole(r auth.Role) error {
	switch r {
	case auth.Administrator, auth.Operator, auth.ReadOnly:
		return nil
	}
	return fmt.Errorf("%w: %s, %s and %s exist", ErrBadRole, auth.Administrator, auth.Operator, auth.ReadOnly)
}
