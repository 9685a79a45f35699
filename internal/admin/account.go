package admin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/account"
	"github.com/postern/postern/internal/audit"
)

// shown is what may be shown of an account at the time at.
func shown(a account.Account, at time.Time) Account {
	return Account{
		Name: a.Name, Role: a.Role, Enabled: a.Enabled, Locked: a.IsLocked(at), MustChangePassword: a.MustChangePassword,
		Version: a.Version, Created: a.Created, Updated: a.Updated,
	}
}

// Accounts implements API.
func (s *Service) Accounts(ctx context.Context) ([]Account, error) {
	list, err := s.accounts.List(ctx)
	if err != nil {
		return nil, fault(err)
	}
	out, at := []Account{}, s.now()
	for _, a := range list {
		out = append(out, shown(a, at))
	}
	return out, nil
}

// Account implements API.
func (s *Service) Account(ctx context.Context, name auth.AccountName) (Account, error) {
	a, err := s.accounts.Get(ctx, name)
	if err != nil {
		return Account{}, accountFault(err, name)
	}
	return shown(a, s.now()), nil
}

// CreateAccount implements API.
func (s *Service) CreateAccount(ctx context.Context, n NewAccount) (Account, error) {
	// What can be seen to be wrong is no change to be recorded.
	if err := s.checkNew(ctx, n); err != nil {
		return Account{}, accountFault(err, n.Name)
	}
	var a account.Account
	err := s.recorded(ctx, audit.Record{Event: "admin.account.add", Account: string(n.Name), Detail: newDetail(n)}, func() (err error) {
		a, err = s.accounts.Create(ctx, account.Draft{
			Name: n.Name, Role: n.Role, Password: n.Password, Hash: n.Hash, Disabled: n.Disabled, MustChangePassword: n.MustChangePassword,
		})
		return err
	})
	if err != nil {
		return Account{}, accountFault(err, n.Name)
	}
	return shown(a, s.now()), nil
}

func (s *Service) checkNew(ctx context.Context, n NewAccount) error {
	if err := account.CheckName(n.Name); err != nil {
		return err
	}
	if err := s.accounts.CheckRole(n.Role); err != nil {
		return err
	}
	switch {
	case n.Hash == "":
		return s.checkPassword(ctx, n.Password)
	case !n.Password.IsZero():
		return fail(Invalid, "", "an account has either a password or a hash").about("hash")
	}
	return account.CheckHash(n.Hash)
}

func (s *Service) checkPassword(ctx context.Context, p auth.Secret) error {
	rules, err := s.accounts.Rules(ctx)
	if err != nil {
		return err
	}
	return rules.CheckPassword(p)
}

// newDetail says for the audit what an account begins with.
func newDetail(n NewAccount) string {
	detail := "role " + string(n.Role)
	if n.Hash != "" {
		detail += ", with a hash from elsewhere"
	}
	if n.Disabled {
		detail += ", disabled"
	}
	if n.MustChangePassword {
		detail += ", must change password"
	}
	return detail
}

// ChangeAccount implements API. The first administrator's password file is
// removed once it no longer holds the password.
func (s *Service) ChangeAccount(ctx context.Context, name auth.AccountName, c AccountChange) (Account, error) {
	if err := s.checkChange(ctx, c); err != nil {
		return Account{}, accountFault(err, name)
	}
	by, _ := auth.PrincipalFrom(ctx)
	event, detail := changeRecord(c)
	var a account.Account
	err := s.onAccount(ctx, audit.Record{Event: event, Account: string(name), Detail: detail}, func() (err error) {
		a, err = s.accounts.Change(ctx, name, account.Change{
			Version: c.Version, Password: c.Password, Role: c.Role, Enabled: c.Enabled, MustChangePassword: c.MustChangePassword, Unlock: c.Unlock,
		}, by.SessionID)
		return err
	})
	if err != nil {
		return Account{}, err
	}
	if c.Password != nil && name == account.BootstrapName {
		s.forgetFirst()
	}
	return shown(a, s.now()), nil
}

func (s *Service) checkChange(ctx context.Context, c AccountChange) error {
	if c == (AccountChange{Version: c.Version}) {
		return fail(Invalid, "", "nothing is to be changed")
	}
	if c.Role != nil {
		if err := s.accounts.CheckRole(*c.Role); err != nil {
			return err
		}
	}
	if c.Password != nil {
		return s.checkPassword(ctx, *c.Password)
	}
	return nil
}

// changeRecord is the event and the detail of a change in the audit. One thing
// that changes is an event of its own.
func changeRecord(c AccountChange) (event, detail string) {
	var events, details []string
	add := func(event, detail string) {
		events, details = append(events, event), append(details, detail)
	}
	if c.Password != nil {
		add("password", "password")
	}
	if c.Role != nil {
		add("role", "role "+string(*c.Role))
	}
	if c.Enabled != nil && *c.Enabled {
		add("enable", "enabled")
	}
	if c.Enabled != nil && !*c.Enabled {
		add("disable", "disabled")
	}
	if c.Unlock {
		add("unlock", "unlocked")
	}
	switch must := c.MustChangePassword; {
	case must != nil && *must:
		add("change", "must change password")
	case must != nil && c.Password == nil: // a new password ends that by itself
		add("change", "need not change password")
	}
	if len(events) != 1 {
		return "admin.account.change", strings.Join(details, ", ")
	}
	if events[0] == "role" || events[0] == "change" {
		return "admin.account." + events[0], details[0]
	}
	return "admin.account." + events[0], ""
}

// RemoveAccount implements API.
func (s *Service) RemoveAccount(ctx context.Context, name auth.AccountName, version int64) error {
	err := s.onAccount(ctx, audit.Record{Event: "admin.account.remove", Account: string(name)}, func() error {
		return s.accounts.Delete(ctx, name, version)
	})
	if err == nil && name == account.BootstrapName {
		s.forgetFirst()
	}
	return err
}

// onAccount records a change of an existing account before it is made.
func (s *Service) onAccount(ctx context.Context, r audit.Record, change func() error) error {
	name := auth.AccountName(r.Account)
	if _, err := s.accounts.Get(ctx, name); err != nil {
		return accountFault(err, name)
	}
	return accountFault(s.recorded(ctx, r, change), name)
}

// LoginRules implements API.
func (s *Service) LoginRules(ctx context.Context) (LoginRules, error) {
	r, err := s.accounts.Rules(ctx)
	if err != nil {
		return LoginRules{}, fault(err)
	}
	return loginRules(r), nil
}

func loginRules(r account.Rules) LoginRules {
	return LoginRules{
		MinPassword: r.Min, MaxPassword: r.Max, History: r.History,
		Threshold: r.Threshold, Duration: r.Duration, ResetAfter: r.ResetAfter, Version: r.Version,
	}
}

// SetLoginRules implements API.
func (s *Service) SetLoginRules(ctx context.Context, r LoginRules) (LoginRules, error) {
	rules := account.Rules{
		Min: r.MinPassword, Max: r.MaxPassword, History: r.History,
		Threshold: r.Threshold, Duration: r.Duration, ResetAfter: r.ResetAfter, Version: r.Version,
	}
	if err := rules.Check(); err != nil {
		return LoginRules{}, rulesFault(rules, err)
	}
	err := s.recorded(ctx, audit.Record{Event: "admin.rules", Detail: rulesDetail(r)}, func() (err error) {
		rules, err = s.accounts.SetRules(ctx, rules)
		return err
	})
	if err != nil {
		return LoginRules{}, rulesFault(rules, err)
	}
	return loginRules(rules), nil
}

// rulesFault is fault for the login rules. It names the one that cannot be meant:
// the first without which the default ones would be refused too.
func rulesFault(r account.Rules, err error) error {
	switch {
	case errors.Is(err, account.ErrConflict):
		return fail(Conflict, "read them again", "the login rules were changed by somebody else").because(Changed)
	case !errors.Is(err, account.ErrBadRules):
		return fault(err)
	}
	e := fail(Invalid, "", "%s", sentence(err))
	for _, f := range []struct {
		field string
		set   func(*account.Rules)
	}{
		{"min_password", func(d *account.Rules) { d.Min = r.Min }},
		{"max_password", func(d *account.Rules) { d.Max = r.Max }},
		{"history", func(d *account.Rules) { d.History = r.History }},
		{"lockout_threshold", func(d *account.Rules) { d.Threshold = r.Threshold }},
		{"lockout_duration", func(d *account.Rules) { d.Duration, d.ResetAfter = r.Duration, 0 }},
		{"lockout_reset", func(d *account.Rules) { d.Duration, d.ResetAfter = 0, r.ResetAfter }},
		{"lockout_duration", func(d *account.Rules) { d.Duration, d.ResetAfter = r.Duration, r.ResetAfter }},
	} {
		d := account.DefaultRules()
		if f.set(&d); d.Check() != nil {
			return e.about(f.field)
		}
	}
	return e
}

// rulesDetail says for the audit what the rules are to be.
func rulesDetail(r LoginRules) string {
	return fmt.Sprintf("passwords of %d to %d characters, history %d, lockout after %d for %v, reset after %v",
		r.MinPassword, r.MaxPassword, r.History, r.Threshold, r.Duration, r.ResetAfter)
}
