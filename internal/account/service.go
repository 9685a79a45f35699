package account

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/postern/postern/auth"
)

// Config of a Service.
type Config struct {
	Store Store
	// Roles are those that an account may have; nil means the predefined ones.
	Roles Roles
	// Changed is told of every change and deletion, after it is on stable storage
	// and before the method returns: whoever keeps accounts or sessions in memory
	// drops them here. Sessions ended that were made under a Version below
	// a.SessionVersion, except keep. A deleted account comes with Enabled false and
	// both versions raised. Nil where nobody does.
	Changed func(a Account, keep string)
	// HashSlots is how many callers may have password hashes computed at once, 19 MiB
	// and one core each; the others wait. Zero means half of the cores, at least one.
	HashSlots int
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// A Service changes accounts by the rules of this package. It is safe for
// concurrent use.
type Service struct {
	store   Store
	roles   Roles
	changed func(Account, string)
	slots   chan struct{}
	now     func() time.Time
}

// New returns a Service.
func New(c Config) (*Service, error) {
	if c.Store == nil {
		return nil, errors.New("account: no store")
	}
	if c.HashSlots < 0 {
		return nil, errors.New("account: hash slots are negative")
	}
	if c.HashSlots == 0 {
		c.HashSlots = max(1, runtime.NumCPU()/2)
	}
	if c.Changed == nil {
		c.Changed = func(Account, string) {}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Service{store: c.Store, roles: c.Roles, changed: c.Changed, slots: make(chan struct{}, c.HashSlots), now: c.Now}, nil
}

// Get returns one account: ErrNotFound.
func (s *Service) Get(ctx context.Context, name auth.AccountName) (Account, error) {
	return s.store.Account(ctx, name)
}

// List returns all accounts in the order of their names.
func (s *Service) List(ctx context.Context) ([]Account, error) { return s.store.Accounts(ctx) }

// CheckRole returns ErrBadRole unless an account may have the role r.
func (s *Service) CheckRole(r auth.Role) error { return CheckRole(r, s.roles) }

// Rules returns the rules in force.
func (s *Service) Rules(ctx context.Context) (Rules, error) { return s.store.Rules(ctx) }

// SetRules puts r into force where its Version is the one now, or 0, and returns
// it with the next: ErrBadRules, ErrConflict. Passwords that are in use stay.
func (s *Service) SetRules(ctx context.Context, r Rules) (Rules, error) {
	if err := r.Check(); err != nil {
		return Rules{}, fmt.Errorf("account: set rules: %w", err)
	}
	return s.store.SetRules(ctx, r, s.now())
}

// A Draft describes an account to be made.
type Draft struct {
	Name auth.AccountName
	Role auth.Role
	// Password is the account's; or else Hash is a hash of it that was made
	// elsewhere, of a kind that CheckHash takes.
	Password           auth.Secret
	Hash               string
	Disabled           bool
	MustChangePassword bool
}

// Create adds an account: ErrBadName, ErrBadRole, ErrBadPassword, ErrBadHash, ErrExists.
func (s *Service) Create(ctx context.Context, d Draft) (Account, error) {
	if err := errors.Join(CheckName(d.Name), s.CheckRole(d.Role)); err != nil {
		return Account{}, fmt.Errorf("account: create: %w", err)
	}
	hash, err := s.firstHash(ctx, d)
	if err != nil {
		return Account{}, fmt.Errorf("account: create: %w", err)
	}
	at := s.now()
	a := Account{
		ID: rand.Text(), Name: d.Name, Role: d.Role, Hash: hash, Enabled: !d.Disabled, MustChangePassword: d.MustChangePassword,
		Version: 1, SessionVersion: 1, Created: at, Updated: at,
	}
	if err := s.store.CreateAccount(ctx, a, at); err != nil {
		return Account{}, fmt.Errorf("account: create %s: %w", d.Name, err)
	}
	s.changed(a, "")
	return a, nil
}

func (s *Service) firstHash(ctx context.Context, d Draft) (string, error) {
	if d.Hash != "" {
		if !d.Password.IsZero() {
			return "", fmt.Errorf("%w: there is a password besides", ErrBadHash)
		}
		return d.Hash, CheckHash(d.Hash)
	}
	rules, err := s.store.Rules(ctx)
	if err != nil {
		return "", err
	}
	if err := rules.CheckPassword(d.Password); err != nil {
		return "", err
	}
	var hash string
	err = s.inSlot(ctx, func() (err error) {
		hash, err = Hash(d.Password)
		return err
	})
	return hash, err
}

// inSlot waits for a slot and hashes in it: whoever may change a password must not
// take all cores and memory from those who log in.
func (s *Service) inSlot(ctx context.Context, f func() error) error {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
		return f()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Delete removes the account and ends its sessions, where version is 0 or the one
// now: ErrNotFound, ErrConflict, ErrLastAdministrator.
func (s *Service) Delete(ctx context.Context, name auth.AccountName, version int64) error {
	a, err := s.store.DeleteAccount(ctx, name, version, s.now())
	if err != nil {
		return fmt.Errorf("account: remove %s: %w", name, err)
	}
	a.Enabled = false
	a.Version++
	a.SessionVersion = a.Version
	s.changed(a, "")
	return nil
}
