package auth

import (
	"crypto/x509"
	"errors"
	"net/netip"
	"time"
)

// Kind is the method of an Attempt.
type Kind int

// The kinds of attempt.
const (
	Password    Kind = iota // account name and password, with or without a one-time code
	Certificate             // the certificate of a TLS client
)

// An Attempt is one try to log in to Postern.
type Attempt struct {
	Kind     Kind
	Account  AccountName
	Password Secret
	Listener string     // name of the listener; a session is valid only where it was made
	Source   netip.Addr // the peer

	// Chain is what the client sent in the TLS handshake, its own certificate
	// first, for an attempt of the kind Certificate. Account is empty then, and
	// whether the client has the key is for the handshake to have shown.
	Chain []*x509.Certificate

	// For an attempt that asks for a session. The family draws token and id in
	// the form its clients expect; a token has at least 122 random bits.
	Token     Secret
	SessionID string // drawn by the core where empty
	// NewSessionID draws the id once it is known whose a certificate is; nil leaves
	// SessionID as it is.
	NewSessionID func(AccountName) string
	Passcode     Secret // the one-time code that came with a password
	Context      string // opaque text of the client, kept with the session
}

// A Session is a caller's login at Postern.
type Session struct {
	ID        string
	Principal Principal
	Listener  string
	Source    netip.Addr
	Context   string
	Kind      Kind // of the attempt that made it
	// InitialRole is the role that the account had at the login; Principal has
	// the one of now.
	InitialRole Role
	Directory   bool // the account is one of a directory's, and none of the listener's own
	Created     time.Time
	LastUsed    time.Time     // coalesced: may lag behind the last request
	Idle        time.Duration // ends when unused for this long
	Expires     time.Time     // ends then in any case; zero: no such end
}

// What a login, a look-up or a call may be refused with.
var (
	// ErrBadCredentials: unknown account, wrong password, locked or disabled
	// account. They look the same on purpose.
	ErrBadCredentials = errors.New("bad credentials")
	// ErrNoSession: the token or session id is unknown, ended or expired.
	ErrNoSession = errors.New("no such session")
	// ErrForbidden: known, but not allowed.
	ErrForbidden = errors.New("forbidden")
	// ErrSessionLimit: the account or the listener has as many sessions as it may have.
	ErrSessionLimit = errors.New("session limit reached")
	// ErrBusy: too many attempts wait for a password check; try again later.
	ErrBusy = errors.New("too many logins are waiting")
	// ErrUnavailable: a part that must work (store, audit) does not.
	ErrUnavailable = errors.New("temporarily unavailable")
	// ErrMethodOff: the kind of attempt is switched off. It comes around
	// ErrBadCredentials.
	ErrMethodOff = errors.New("this way to log in is switched off")
	// ErrNotLicensed: the kind of attempt needs a licence that is not there. It
	// comes around ErrBadCredentials.
	ErrNotLicensed = errors.New("not licensed")
	// ErrPasscodeSent: the password is right; a one-time code is on its way, and
	// must come with it.
	ErrPasscodeSent = errors.New("a one-time code was sent")
	// ErrPasscodeExpired: the one-time code came too late.
	ErrPasscodeExpired = errors.New("the one-time code has expired")
	// ErrServiceDisabled: no new sessions are given, by order of an administrator.
	ErrServiceDisabled = errors.New("the session service is disabled")
)
