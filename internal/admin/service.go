package admin

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/account"
	"github.com/postern/postern/internal/audit"
	"github.com/postern/postern/internal/policy"
	"github.com/postern/postern/internal/session"
	"github.com/postern/postern/internal/target"
	"github.com/postern/postern/internal/trust"
)

// A Server is what runs on the state that is administered: a real one, or the
// little that a command does without one.
type Server interface {
	// Apply makes the server serve the target as the store now has it, or no
	// longer. An error means that nothing changed.
	Apply(ctx context.Context, name string) error
	// Gateway is our URL of a target; "" = it is not served.
	Gateway(name string) string
	// Leases are the states of the targets' logins, by name; nil = not known.
	Leases(ctx context.Context) (map[string]Lease, error)
	// Check spends one login at the device. Its error is one of package lease.
	Check(ctx context.Context, name string) error
	// Explain decides a call of who at t and says why; uri is what is asked for
	// there. It fills in what the rules and the family know, and a Lease, empty,
	// where the call would take one.
	Explain(ctx context.Context, who auth.Principal, t target.Target, q ExplainRequest, uri string) (Explanation, error)
	// Snapshot makes a copy of the database in the data directory.
	Snapshot(ctx context.Context) (Snapshot, error)
}

// Config of a Service.
type Config struct {
	Accounts     *account.Service
	Roles        *policy.Roles
	Trust        *trust.Service
	Sessions     *session.Table // for the rules of the listeners
	Certificates Certificates
	Targets      *target.Service
	Audit        *audit.Log
	Server       Server
	// ForgetFirst is called when the password of the first administrator is no
	// longer the one that was drawn at the first start; nil = nobody cares.
	ForgetFirst func()
	Now         func() time.Time // nil = time.Now
	Log         *slog.Logger     // nil = silence
}

// A Service is safe for concurrent use.
type Service struct {
	accounts     *account.Service
	roles        *policy.Roles
	trust        *trust.Service
	sessions     *session.Table
	certificates Certificates
	targets      *target.Service
	audit        *audit.Log
	server       Server
	forgetFirst  func()
	now          func() time.Time
	log          *slog.Logger
}

var _ API = (*Service)(nil)

// New checks c.
func New(c Config) (*Service, error) {
	if c.Accounts == nil || c.Roles == nil || c.Trust == nil || c.Sessions == nil || c.Certificates == nil ||
		c.Targets == nil || c.Audit == nil || c.Server == nil {
		return nil, errors.New("admin: accounts, roles, trust, sessions, certificates, targets, audit and server are needed")
	}
	if c.ForgetFirst == nil {
		c.ForgetFirst = func() {}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Service{
		accounts: c.Accounts, roles: c.Roles, trust: c.Trust, sessions: c.Sessions, certificates: c.Certificates,
		targets: c.Targets, audit: c.Audit, server: c.Server, forgetFirst: c.ForgetFirst, now: c.Now, log: c.Log,
	}, nil
}

// recorded has r on stable storage, then makes the change. A change that then
// fails leaves a second record that says so.
func (s *Service) recorded(ctx context.Context, r audit.Record, change func() error) error {
	r.Ref = rand.Text()
	r.RequestID = auth.RequestID(ctx)
	if p, ok := auth.PrincipalFrom(ctx); ok {
		r.Caller = string(p.Account)
	}
	if err := s.audit.Append(ctx, r); err != nil {
		return fail(Unavailable, "", "the change cannot be recorded, so it is not made: %v", err)
	}
	err := change()
	if err != nil {
		r.Outcome, r.Detail = audit.OutcomeNotDone, err.Error()
		s.audit.Note(r)
	}
	return err
}

// Snapshot implements API.
func (s *Service) Snapshot(ctx context.Context) (Snapshot, error) {
	var made Snapshot
	err := s.recorded(ctx, audit.Record{Event: "admin.backup"}, func() (err error) {
		made, err = s.server.Snapshot(ctx)
		return err
	})
	return made, fault(err)
}
