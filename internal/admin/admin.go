// Package admin is what may be administered: accounts, roles, listeners with
// their CAs and certificates, and targets. A Service
// does it; Handler offers a Service on the administration socket of a running
// server, and a Client is the other end, so that a command does the same thing
// in the same words whether a server runs or not.
package admin

import (
	"context"
	"time"

	"github.com/postern/postern/auth"
)

// An API is everything that can be administered. Service and Client are its two
// sides. Errors are an *Error on both. Where something has a version, a change
// that names another one fails with a Conflict; 0 is whatever it is.
type API interface {
	Accounts(ctx context.Context) ([]Account, error)
	Account(ctx context.Context, name auth.AccountName) (Account, error)
	CreateAccount(ctx context.Context, a NewAccount) (Account, error)
	// ChangeAccount ends the sessions of the account where password, role or
	// state change, but for the one that the principal in ctx asks with.
	ChangeAccount(ctx context.Context, name auth.AccountName, c AccountChange) (Account, error)
	RemoveAccount(ctx context.Context, name auth.AccountName, version int64) error

	AccountCertificates(ctx context.Context, name auth.AccountName) ([]Certificate, error)
	AddAccountCertificate(ctx context.Context, name auth.AccountName, pem string) (Certificate, error)
	RemoveAccountCertificate(ctx context.Context, name auth.AccountName, id string) error

	LoginRules(ctx context.Context) (LoginRules, error)
	SetLoginRules(ctx context.Context, r LoginRules) (LoginRules, error)

	Roles(ctx context.Context) ([]Role, error)
	Role(ctx context.Context, name auth.Role) (Role, error)
	CreateRole(ctx context.Context, r Role) (Role, error)
	ChangeRole(ctx context.Context, r Role) (Role, error)
	RemoveRole(ctx context.Context, name auth.Role) error

	// Listeners returns the rules of all listeners: "tree", and "target:NAME" for
	// each target.
	Listeners(ctx context.Context) ([]ListenerRules, error)
	ListenerRules(ctx context.Context, listener string) (ListenerRules, error)
	SetListenerRules(ctx context.Context, r ListenerRules) (ListenerRules, error)

	// AllCAs returns the CAs of all listeners, CAs those that count at one.
	AllCAs(ctx context.Context) ([]Certificate, error)
	CAs(ctx context.Context, listener string) ([]Certificate, error)
	AddCA(ctx context.Context, ca NewCA) (Certificate, error)
	// RemoveCA removes one that counts at a listener; "" = at any.
	RemoveCA(ctx context.Context, listener, id string) error
	// SetCRL imports a list of what the CA has revoked, in PEM or DER.
	SetCRL(ctx context.Context, id string, crl []byte) error

	ServerCertificate(ctx context.Context, listener string) (Certificate, error)
	ReplaceServerCertificate(ctx context.Context, listener, chain string, key auth.Secret) (Certificate, error)
	// ResetServerCertificate goes back to one of Postern's own CA.
	ResetServerCertificate(ctx context.Context, listener string) error
	CertificateRequest(ctx context.Context, listener string, r CSRRequest) (string, error)

	Targets(ctx context.Context) ([]Target, error)
	Target(ctx context.Context, name string) (Target, error)
	// AddTarget returns the target as it is served, URL included where a server runs.
	AddTarget(ctx context.Context, t NewTarget) (Target, error)
	// SetPin accepts a device's certificate by its pin; a CA that was stored for
	// the target no longer counts.
	SetPin(ctx context.Context, name, pin string) error
	// SetTargetPassword replaces the sealed password of a target.
	SetTargetPassword(ctx context.Context, name string, password auth.Secret) error
	RemoveTarget(ctx context.Context, name string) error
	// CheckTarget spends one login at the device, even where the failed-login
	// allowance is used up: nil = the device accepted the stored credential.
	CheckTarget(ctx context.Context, name string) error

	// Explain tells what would become of a call of an account, and why. Nothing is
	// sent anywhere.
	Explain(ctx context.Context, q ExplainRequest) (Explanation, error)

	// Snapshot makes a copy of the database, for a backup, while the server goes on.
	// Whoever asks removes it.
	Snapshot(ctx context.Context) (Snapshot, error)
}

// A Snapshot is a copy of the database as it was at one moment.
type Snapshot struct {
	Path  string    `json:"path"` // of the file, for its owner alone
	Node  string    `json:"node"`
	Epoch int64     `json:"epoch"`
	Time  time.Time `json:"time"`
}

// An Account is what may be shown of one.
type Account struct {
	Name    auth.AccountName `json:"name"`
	Role    auth.Role        `json:"role"`
	Enabled bool             `json:"enabled"`
	// Locked: after too many wrong passwords, until it is unlocked or its time is over.
	Locked bool `json:"locked,omitempty"`
	// MustChangePassword: the account may do nothing else.
	MustChangePassword bool `json:"must_change_password,omitempty"`
	// Version is raised by each change, but not by logins.
	Version int64     `json:"version"`
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
}

// A Target is what may be shown of one.
type Target struct {
	Name    string `json:"name"`
	Family  string `json:"family"`
	Profile string `json:"profile,omitempty"`
	URL     string `json:"url"`               // the device's
	Gateway string `json:"gateway,omitempty"` // ours; "" while no server runs
	// Trust is how the device's certificate is judged: "pin", "ca" or "system".
	Trust     string           `json:"trust"`
	Pin       string           `json:"pin,omitempty"`
	User      auth.AccountName `json:"user"`
	Password  string           `json:"password"` // where it is: "sealed", "file:PATH", "env:NAME" or "command:LINE"
	Auth      auth.Method      `json:"auth"`
	Budget    int              `json:"budget,omitempty"` // 0 = the profile's value
	InFlight  int              `json:"in_flight,omitempty"`
	Exclusive bool             `json:"exclusive,omitempty"`
	Address   string           `json:"address,omitempty"` // to listen on; "" = loopback
	Origin    string           `json:"origin"`            // "file" or "command"
	Lease     *Lease           `json:"lease,omitempty"`   // nil while no server runs
}

// A Lease is the state of a target's logins.
type Lease struct {
	Held     bool   `json:"held"`
	Method   string `json:"method,omitempty"` // how it was logged in: "session" or "basic"
	Open     int    `json:"open"`             // device sessions that count against the budget
	Owed     int    `json:"owed"`             // of these, to be ended still
	Budget   int    `json:"budget"`
	InFlight int    `json:"in_flight"`
	Waiting  int    `json:"waiting"`
	Logins   int    `json:"logins"` // since the server started
	Problem  string `json:"problem,omitempty"`
}

// A NewTarget describes a target to be added.
type NewTarget struct {
	Name, Family, Profile, URL string
	CAPEM, Pin                 string
	User                       auth.AccountName
	// Certificate is a chain in PEM that is shown in the place of a password, and
	// Password then its private key in PEM.
	Certificate      string
	Password         auth.Secret // kept sealed
	Auth             auth.Method
	Budget, InFlight int
	Exclusive        bool
	LockoutThreshold int
	LockoutWindow    time.Duration
	Address          string
}
