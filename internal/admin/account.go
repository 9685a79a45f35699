package admin

import (
	"context"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/account"
	"github.com/postern/postern/internal/audit"
)

// Accounts implements API.
func (s *Service) Accounts(ctx context.Context) ([]Account, error) {
	list, err := s.accounts.List(ctx)
	if err != nil {
		return nil, fault(err)
	}
	out := []Account{}
	for _, a := range list {
		out = append(out, Account{Name: a.Name, Role: a.Role, Enabled: a.Enabled, Created: a.Created, Updated: a.Updated})
	}
	return out, nil
}

// CreateAccount implements API.
func (s *Service) CreateAccount(ctx context.Context, name auth.AccountName, role auth.Role, password auth.Secret) error {
	for _, err := range []error{account.CheckName(name), s.accounts.CheckRole(role), account.CheckPassword(password)} {
		if err != nil {
			return fail(Invalid, "", "%v", err)
		}
	}
	return s.onAccount(ctx, audit.Record{Event: "admin.account.add", Account: string(name), Detail: "role " + string(role)}, func() error {
		_, err := s.accounts.Create(ctx, account.Draft{Name: name, Role: role, Password: password})
		return err
	})
}

// SetPassword implements API. The first administrator's password file is
// removed once it no longer holds the password.
func (s *Service) SetPassword(ctx context.Context, name auth.AccountName, password auth.Secret) error {
	if err := account.CheckPassword(password); err != nil {
		return fail(Invalid, "", "%v", err)
	}
	err := s.onAccount(ctx, audit.Record{Event: "admin.account.password", Account: string(name)}, func() error {
		return s.accounts.SetPassword(ctx, name, password, "")
	})
	if err == nil && name == account.BootstrapName {
		s.forgetFirst()
	}
	return err
}

// SetRole implements API.
func (s *Service) SetRole(ctx context.Context, name auth.AccountName, role auth.Role) error {
	if err := s.accounts.CheckRole(role); err != nil {
		return fail(Invalid, "", "%v", err)
	}
	return s.onAccount(ctx, audit.Record{Event: "admin.account.role", Account: string(name), Detail: "role " + string(role)}, func() error {
		return s.accounts.SetRole(ctx, name, role, "")
	})
}

// SetEnabled implements API.
func (s *Service) SetEnabled(ctx context.Context, name auth.AccountName, enabled bool) error {
	event := "admin.account.disable"
	if enabled {
		event = "admin.account.enable"
	}
	return s.onAccount(ctx, audit.Record{Event: event, Account: string(name)}, func() error {
		return s.accounts.SetEnabled(ctx, name, enabled)
	})
}

// RemoveAccount implements API.
func (s *Service) RemoveAccount(ctx context.Context, name auth.AccountName) error {
	err := s.onAccount(ctx, audit.Record{Event: "admin.account.remove", Account: string(name)}, func() error {
		return s.accounts.Delete(ctx, name, 0)
	})
	if err == nil && name == account.BootstrapName {
		s.forgetFirst()
	}
	return err
}

// onAccount records a change of an existing account, or of a new one, before it
// is made.
func (s *Service) onAccount(ctx context.Context, r audit.Record, change func() error) error {
	name := auth.AccountName(r.Account)
	if _, err := s.accounts.Get(ctx, name); err != nil && r.Event != "admin.account.add" {
		return accountFault(err, name)
	}
	return accountFault(s.recorded(ctx, r, change), name)
}
