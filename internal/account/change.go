package account

import (
	"context"
	"errors"
	"fmt"

	"github.com/postern/postern/auth"
)

// A Change changes what is not nil, all of it or nothing.
type Change struct {
	// Version is the one the change was thought out for; with another one now
	// nothing is done. 0: whatever it is.
	Version            int64
	Password           *auth.Secret // clears MustChangePassword where that is nil here
	Role               *auth.Role
	Enabled            *bool
	MustChangePassword *bool
	Unlock             bool // end a lockout
}

// changeTries bounds the repeats when others change the same account meanwhile.
const changeTries = 10

// Change changes an account and returns it as it is now. A new password, role or
// state ends its sessions, except the one with the id keep ("" = none) while the
// account stays enabled. Where nothing would differ nothing is done.
// ErrNotFound, ErrConflict, ErrBadPassword, ErrBadRole, ErrLastAdministrator.
func (s *Service) Change(ctx context.Context, name auth.AccountName, c Change, keep string) (Account, error) {
	a, err := s.change(ctx, name, c, keep)
	if err != nil {
		return Account{}, fmt.Errorf("account: change %s: %w", name, err)
	}
	return a, nil
}

func (s *Service) change(ctx context.Context, name auth.AccountName, c Change, keep string) (Account, error) {
	if c.Role != nil {
		if err := s.CheckRole(*c.Role); err != nil {
			return Account{}, err
		}
	}
	p := newPassword{want: c.Password}
	if err := s.prepare(ctx, &p); err != nil {
		return Account{}, err
	}
	var err error
	for range changeTries {
		var a Account
		if a, err = s.store.Account(ctx, name); err != nil {
			break
		}
		if c.Version != 0 && c.Version != a.Version {
			return Account{}, ErrConflict
		}
		if err := s.compare(ctx, &p, a); err != nil {
			return Account{}, err
		}
		next := c.apply(a)
		u := Update{Hash: p.hash, Keep: keep, Unlock: c.Unlock && a.Failures > 0}
		if next == a && u.Hash == "" && !u.Unlock {
			return a, nil
		}
		if next, err = s.store.UpdateAccount(ctx, next, u, s.now()); err == nil {
			s.changed(next, keep)
			return next, nil
		}
		if !errors.Is(err, ErrConflict) {
			break
		}
	}
	return Account{}, err
}

// apply returns a with the changes made, apart from its hash.
func (c Change) apply(a Account) Account {
	if c.Password != nil {
		a.MustChangePassword = false
	}
	if c.Role != nil {
		a.Role = *c.Role
	}
	if c.Enabled != nil {
		a.Enabled = *c.Enabled
	}
	if c.MustChangePassword != nil {
		a.MustChangePassword = *c.MustChangePassword
	}
	return a
}

// A newPassword is one on its way to become an account's.
type newPassword struct {
	want    *auth.Secret // nil: there is none
	hash    string
	history int    // former passwords it must differ from, beside the present one; 0 = from none
	against string // the present hash that it was compared with
}

// prepare holds p against the rules and hashes it.
func (s *Service) prepare(ctx context.Context, p *newPassword) error {
	if p.want == nil {
		return nil
	}
	rules, err := s.store.Rules(ctx)
	if err != nil {
		return err
	}
	p.history = rules.History
	if err := rules.CheckPassword(*p.want); err != nil {
		return err
	}
	return s.inSlot(ctx, func() (err error) {
		p.hash, err = Hash(*p.want)
		return err
	})
}

// compare returns ErrPasswordReused where a has or had this password. Another try
// on the same account costs nothing.
func (s *Service) compare(ctx context.Context, p *newPassword, a Account) error {
	if p.want == nil || p.history == 0 || p.against == a.Hash {
		return nil
	}
	former, err := s.store.FormerHashes(ctx, a.ID)
	if err != nil {
		return err
	}
	for _, h := range append([]string{a.Hash}, former[:min(len(former), p.history)]...) {
		err := s.inSlot(ctx, func() error {
			if Verify(h, *p.want) {
				return ErrPasswordReused
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	p.against = a.Hash
	return nil
}
