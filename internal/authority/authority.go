package authority

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/account"
	"github.com/postern/postern/internal/audit"
	"github.com/postern/postern/internal/session"
	"github.com/postern/postern/internal/trust"
)

// Audit is where attempts are recorded. Append returns when the record is on stable
// storage; Note only queues.
type Audit interface {
	Append(ctx context.Context, r audit.Record) error
	Note(r audit.Record)
}

// Trust judges client certificates and knows whose they are.
type Trust interface {
	Judge(ctx context.Context, listener string, chain []*x509.Certificate) (trust.Verdict, error)
	JudgeLeaf(ctx context.Context, listener string, chain []*x509.Certificate) (trust.Verdict, error)
	AccountByFingerprint(ctx context.Context, f trust.Fingerprint) (trust.AccountCertificate, error)
	Generation() uint64
}

// Roles knows what a role gives now, without I/O: false for one that is not there.
type Roles interface {
	Privileges(r auth.Role) (auth.Privileges, bool)
}

// DefaultQueue is how many password checks may wait for a slot.
const DefaultQueue = 1_000

// Config of an Authority.
type Config struct {
	Accounts account.Store
	Sessions *session.Table // loaded
	Audit    Audit
	// Trust is who judges client certificates; nil means that none is good.
	Trust Trust
	// Roles gives roles their privileges; nil means the predefined ones alone.
	Roles Roles
	// Host is the name of a listener that a User Principal Name must be of
	// (trust.UPNUser); nil means that no such name is anybody's.
	Host func(listener string) string
	// HashSlots is how many password hashes may be computed at once, 19 MiB and one
	// core each; zero means half of the cores, at least one.
	HashSlots int
	// Queue is how many checks may wait for a slot before auth.ErrBusy; zero means DefaultQueue.
	Queue int
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// predefined are the roles that are built in.
type predefined struct{}

func (predefined) Privileges(r auth.Role) (auth.Privileges, bool) {
	return auth.PredefinedPrivileges(r)
}

func (c Config) withDefaults() Config {
	if c.Roles == nil {
		c.Roles = predefined{}
	}
	if c.Host == nil {
		c.Host = func(string) string { return "" }
	}
	if c.HashSlots == 0 {
		c.HashSlots = max(1, runtime.NumCPU()/2)
	}
	if c.Queue == 0 {
		c.Queue = DefaultQueue
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// An Authority is safe for concurrent use.
type Authority struct {
	sessions *session.Table
	audit    Audit
	roles    Roles
	check    *checker
	certs    *certificates
}

// New returns an Authority. Whoever changes accounts must call its Invalidate
// (account.Config.Changed).
func New(c Config) (*Authority, error) {
	if c.Accounts == nil || c.Sessions == nil || c.Audit == nil {
		return nil, errors.New("authority: no accounts, no sessions or no audit")
	}
	if c.HashSlots < 0 || c.Queue < 0 {
		return nil, errors.New("authority: hash slots or queue is negative")
	}
	c = c.withDefaults()
	return &Authority{
		sessions: c.Sessions, audit: c.Audit, roles: c.Roles, check: newChecker(c), certs: newCertificates(c),
	}, nil
}

// Close gives up the password checks that wait and returns when none runs, nor any
// judgement of a certificate. Attempts after it get auth.ErrUnavailable.
func (a *Authority) Close() {
	a.check.close()
	a.certs.close()
}

// loginTries: an account may change between the check of its password and the
// commit of its session; then the password is checked again against the new one.
const loginTries = 3

// Login makes a session of an attempt, in this order: the session's start is
// synced in the audit, the session is committed, what came of the attempt is noted
// (Recover does that after a crash), the answer is given. A refused attempt is
// synced in the audit before its answer. A cancelled ctx ends the caller's wait for
// the password check, and nothing after it.
// Errors: auth.ErrBadCredentials (around the cause, for a certificate),
// auth.ErrServiceDisabled, auth.ErrSessionLimit, auth.ErrBusy, auth.ErrUnavailable,
// and ctx's own.
func (a *Authority) Login(ctx context.Context, at auth.Attempt) (auth.Session, error) {
	if at.SessionID == "" {
		at.SessionID = rand.Text()
	}
	for range loginTries - 1 {
		s, name, err := a.login(ctx, at)
		if !errors.Is(err, session.ErrStale) {
			return s, err
		}
		a.forget(name)
	}
	s, _, err := a.login(ctx, at)
	return s, err
}

// login also returns the name of the account, as far as it is known.
func (a *Authority) login(ctx context.Context, at auth.Attempt) (auth.Session, auth.AccountName, error) {
	if a.sessions.Rules(at.Listener).SessionsDisabled {
		return auth.Session{}, at.Account, a.refuse(ctx, at, verdict{err: auth.ErrServiceDisabled, reason: "no sessions are given"})
	}
	v := a.verify(ctx, at)
	if at.Kind == auth.Certificate {
		at.Account = v.name
		if at.NewSessionID != nil {
			at.SessionID = at.NewSessionID(v.name)
		}
	}
	if v.err == nil {
		if v.err = a.sessions.Room(v.account.ID, at.Listener); v.err != nil {
			v.reason = "session limit"
		}
	}
	if v.err != nil {
		return auth.Session{}, at.Account, a.refuse(ctx, at, v)
	}
	s, err := a.sessions.Create(ctx, session.Start{
		Principal: v.principal(),
		Version:   v.account.Version,
		Token:     at.Token,
		ID:        at.SessionID,
		Listener:  at.Listener,
		Source:    at.Source,
		Context:   at.Context,
		Kind:      at.Kind,
	})
	if err != nil {
		a.audit.Note(attemptRecord(ctx, at, outcome(err), err.Error()))
		return auth.Session{}, at.Account, wireError(err)
	}
	a.audit.Note(attemptRecord(ctx, at, accepted, v.reason))
	return a.live(s), at.Account, nil
}

// wireError keeps the errors that Login promises.
func wireError(err error) error {
	if errors.Is(err, session.ErrExists) || errors.Is(err, session.ErrStale) {
		return fmt.Errorf("authority: login: %w: %w", auth.ErrUnavailable, err)
	}
	return err
}

// Recover closes the attempts of the last epoch whose session's start was recorded
// and whose outcome was not: pending is what the audit found open (audit.Log.Pending).
// Call it once at start, after the sessions are loaded.
func (a *Authority) Recover(ctx context.Context, pending []audit.Record) error {
	for _, r := range pending {
		if r.Event != audit.SessionStart {
			continue
		}
		r.Event, r.Outcome, r.Detail = audit.Attempt, audit.OutcomeNotDone, "Postern ended before the session was stored"
		if a.sessions.Known(r.Ref) {
			r.Outcome, r.Detail = accepted, "recorded at the next start"
		}
		if err := a.audit.Append(ctx, r); err != nil {
			return fmt.Errorf("authority: recover: %w", err)
		}
	}
	return nil
}

// refuse records a refused attempt before it is answered.
func (a *Authority) refuse(ctx context.Context, at auth.Attempt, v verdict) error {
	at.SessionID = "" // there is none
	if err := a.append(ctx, attemptRecord(ctx, at, outcome(v.err), v.reason)); err != nil {
		return err
	}
	return v.err
}

func (a *Authority) append(ctx context.Context, r audit.Record) error {
	if err := a.audit.Append(context.WithoutCancel(ctx), r); err != nil {
		return fmt.Errorf("authority: %w: audit: %w", auth.ErrUnavailable, err)
	}
	return nil
}

// Check answers an attempt that asks for no session, as HTTP Basic and a client
// certificate make with each request. A password or certificate that was proven
// before is no attempt of its own: the record of the call names the account. The
// same refusal of a certificate is recorded once a minute. Errors as of Login,
// without auth.ErrServiceDisabled and auth.ErrSessionLimit.
func (a *Authority) Check(ctx context.Context, at auth.Attempt) (auth.Principal, error) {
	at.SessionID = ""
	v := a.verify(ctx, at)
	if at.Kind == auth.Certificate {
		at.Account = v.name
	}
	switch {
	case v.err != nil && v.cached:
		return auth.Principal{}, v.err
	case v.err != nil:
		return auth.Principal{}, a.refuse(ctx, at, v)
	case !v.cached:
		if err := a.append(ctx, attemptRecord(ctx, at, accepted, v.reason)); err != nil {
			return auth.Principal{}, err
		}
	}
	return v.principal(), nil
}

func (a *Authority) verify(ctx context.Context, at auth.Attempt) (v verdict) {
	switch at.Kind {
	case auth.Password:
		v = a.check.verify(ctx, at.Account, at.Source, at.Password)
	case auth.Certificate:
		v = a.certs.verify(ctx, at)
	default:
		return verdict{err: auth.ErrBadCredentials, reason: "unknown kind of attempt"}
	}
	if v.err != nil {
		return v
	}
	v.privileges, _ = a.roles.Privileges(v.account.Role)
	if !v.privileges.Has(auth.MayLogIn) {
		return verdict{err: auth.ErrBadCredentials, name: v.name, reason: "the role may not log in"}
	}
	return v
}

// live gives the principal of s what its role gives now.
func (a *Authority) live(s auth.Session) auth.Session {
	s.Principal.Privileges, _ = a.roles.Privileges(s.Principal.Role)
	return s
}

// Lookup returns the session of a token, with what its account and role are now:
// auth.ErrNoSession. It does no I/O and does not allocate.
func (a *Authority) Lookup(listener, token string) (auth.Session, error) {
	s, err := a.sessions.Lookup(listener, token)
	if err != nil {
		return s, err
	}
	return a.live(s), nil
}

// Sessions returns the living sessions of a listener, the oldest first.
func (a *Authority) Sessions(listener string) []auth.Session {
	all := a.sessions.Sessions(listener)
	for i := range all {
		all[i] = a.live(all[i])
	}
	return all
}

// Session returns one living session of a listener: auth.ErrNoSession.
func (a *Authority) Session(listener, id string) (auth.Session, error) {
	s, err := a.sessions.Session(listener, id)
	if err != nil {
		return s, err
	}
	return a.live(s), nil
}

// Logout ends a session of by's own, or any where by's role has ConfigureManager
// (DMTF privilege registry, Redfish_1.8.0, Session). When it returns nil no crash
// brings the session back. Errors: auth.ErrNoSession, auth.ErrForbidden,
// auth.ErrUnavailable.
func (a *Authority) Logout(ctx context.Context, by auth.Principal, id string) error {
	s, err := a.sessions.Get(id)
	if err != nil {
		return err
	}
	privileges, _ := a.roles.Privileges(by.Role)
	if s.Principal.AccountID != by.AccountID && !privileges.Has(auth.ConfigureManager) {
		return auth.ErrForbidden
	}
	return a.sessions.End(ctx, id, by)
}

// Invalidate is told of every change, creation and deletion of an account, after it
// is on stable storage: what was known of its passwords and certificates is forgotten
// and its sessions are dropped, except keep. It has the form of account.Config.Changed.
func (a *Authority) Invalidate(acc account.Account, keep string) {
	a.forget(acc.Name)
	a.sessions.Refresh(acc, keep)
}

func (a *Authority) forget(name auth.AccountName) {
	a.check.forget(name)
	a.certs.forget(name)
}

// maxAudited bounds the name in a record of an attempt: no account has a longer one.
const maxAudited = account.MaxName

func attemptRecord(ctx context.Context, at auth.Attempt, outcome, reason string) audit.Record {
	name := string(at.Account)
	if len(name) > maxAudited {
		name = name[:maxAudited] + "..."
	}
	return audit.Record{
		Event: audit.Attempt, Ref: at.SessionID, Caller: name, Listener: at.Listener,
		Source: sourceText(at.Source), Outcome: outcome, Detail: reason, RequestID: auth.RequestID(ctx),
	}
}

func sourceText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

const accepted = "accepted"

func outcome(err error) string {
	switch {
	case errors.Is(err, auth.ErrBadCredentials), errors.Is(err, auth.ErrSessionLimit), errors.Is(err, auth.ErrServiceDisabled):
		return "refused"
	case errors.Is(err, auth.ErrBusy):
		return "busy"
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return "abandoned"
	}
	return "failed"
}
