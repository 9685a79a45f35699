package account

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/postern/postern/auth"
)

// Config of a Service.
type Config struct {
	Store Store
	// Changed is told of every change and deletion, after it is on stable storage
	// and before the method returns: whoever keeps accounts or sessions in memory
	// drops them here. A deleted account comes with Enabled false and a raised
	// Version. keep is the id of the session that lives on. Nil where nobody does.
	Changed func(a Account, keep string)
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// A Service changes accounts by the rules of this package. It is safe for
// concurrent use.
type Service struct {
	store   Store
	changed func(Account, string)
	now     func() time.Time
}

// New returns a Service.
func New(c Config) (*Service, error) {
	if c.Store == nil {
		return nil, errors.New("account: no store")
	}
	if c.Changed == nil {
		c.Changed = func(Account, string) {}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Service{store: c.Store, changed: c.Changed, now: c.Now}, nil
}

// Get returns one account: ErrNotFound.
func (s *Service) Get(ctx context.Context, name auth.AccountName) (Account, error) {
	return s.store.Account(ctx, name)
}

// List returns all accounts in the order of their names.
func (s *Service) List(ctx context.Context) ([]Account, error) { return s.store.Accounts(ctx) }

// Create adds an enabled account: ErrBadName, ErrBadRole, ErrBadPassword, ErrExists.
func (s *Service) Create(ctx context.Context, name auth.AccountName, role auth.Role, password auth.Secret) (Account, error) {
	if err := errors.Join(CheckName(name), CheckRole(role), CheckPassword(password)); err != nil {
		return Account{}, fmt.Errorf("account: create: %w", err)
	}
	hash, err := Hash(password)
	if err != nil {
		return Account{}, err
	}
	at := s.now()
	a := Account{ID: rand.Text(), Name: name, Role: role, Hash: hash, Enabled: true, Version: 1, Created: at, Updated: at}
	if err := s.store.CreateAccount(ctx, a, at); err != nil {
		return Account{}, fmt.Errorf("account: create %s: %w", name, err)
	}
	s.changed(a, "")
	return a, nil
}

// SetPassword changes the password and ends the sessions of the account except
// keep ("" = none): ErrBadPassword, ErrNotFound.
func (s *Service) SetPassword(ctx context.Context, name auth.AccountName, password auth.Secret, keep string) error {
	if err := CheckPassword(password); err != nil {
		return fmt.Errorf("account: change %s: %w", name, err)
	}
	hash, err := Hash(password)
	if err != nil {
		return err
	}
	return s.change(ctx, name, keep, func(a *Account) { a.Hash = hash })
}

// SetRole changes the role and ends the sessions of the account except keep:
// ErrBadRole, ErrNotFound, ErrLastAdministrator.
func (s *Service) SetRole(ctx context.Context, name auth.AccountName, role auth.Role, keep string) error {
	if err := CheckRole(role); err != nil {
		return fmt.Errorf("account: change %s: %w", name, err)
	}
	return s.change(ctx, name, keep, func(a *Account) { a.Role = role })
}

// SetEnabled lets the account log in or not. Its sessions end:
// ErrNotFound, ErrLastAdministrator.
func (s *Service) SetEnabled(ctx context.Context, name auth.AccountName, enabled bool) error {
	return s.change(ctx, name, "", func(a *Account) { a.Enabled = enabled })
}

// Delete removes the account and ends its sessions: ErrNotFound, ErrLastAdministrator.
func (s *Service) Delete(ctx context.Context, name auth.AccountName) error {
	a, err := s.store.DeleteAccount(ctx, name, s.now())
	if err != nil {
		return fmt.Errorf("account: remove %s: %w", name, err)
	}
	a.Enabled = false
	a.Version++
	s.changed(a, "")
	return nil
}

// changeTries bounds the repeats when others change the same account meanwhile.
const changeTries = 10

func (s *Service) change(ctx context.Context, name auth.AccountName, keep string, set func(*Account)) error {
	var err error
	for range changeTries {
		var a Account
		if a, err = s.store.Account(ctx, name); err != nil {
			break
		}
		set(&a)
		if a, err = s.store.UpdateAccount(ctx, a, keep, s.now()); err == nil {
			s.changed(a, keep)
			return nil
		}
		if !errors.Is(err, ErrConflict) {
			break
		}
	}
	return fmt.Errorf("account: change %s: %w", name, err)
}
