package sim

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/account"
	"github.com/postern/postern/internal/admin"
	"github.com/postern/postern/internal/service/hpe"
	"github.com/postern/postern/redfish"
)

// maxAccounts is how many a device keeps; BMCs have 9 to 60.
const maxAccounts = 100

// An Account is somebody whom a device knows.
type Account struct {
	Name     auth.AccountName
	Password auth.Secret
	Role     auth.Role
	// MustChangePassword lets the account do nothing but change its password.
	MustChangePassword bool
}

// A known is an Account with what the device remembers of it.
type known struct {
	Account
	id       string // never used again; "" for one of the directory
	outside  bool   // one of the directory, and not in the list of accounts
	disabled bool
	former   []auth.Secret   // passwords, the last one first
	called   string          // on an iLO: what the account is called; "" = its name
	ten      *hpe.Privileges // on an iLO: in the place of the role's; nil = those
	version  int64
	created  time.Time
	updated  time.Time

	// Wrong passwords in a row, and what they led to. No version counts them.
	failed   int
	failedAt time.Time
	locked   bool
	until    time.Time // when the lock ends; zero: it does not
}

// view is what may be shown of an account; a.mu is held.
func (a *authority) view(k *known) admin.Account {
	a.unlock(k)
	return admin.Account{
		Name: k.Name, Role: k.Role, Enabled: !k.disabled, Locked: k.locked, MustChangePassword: k.MustChangePassword,
		Version: k.version, Created: k.created, Updated: k.updated,
	}
}

// find returns the account of that name, nil for none; a.mu is held.
func (a *authority) find(name auth.AccountName) *known {
	i := slices.IndexFunc(a.accounts, func(k *known) bool { return k.Name == name })
	if i < 0 {
		return nil
	}
	return a.accounts[i]
}

// add enters an account that was checked; a.mu is held, or nobody else knows a.
func (a *authority) add(n Account, disabled bool) *known {
	a.lastID++
	now := a.now()
	k := &known{Account: n, id: strconv.Itoa(a.lastID), disabled: disabled, version: 1, created: now, updated: now}
	a.accounts = append(a.accounts, k)
	return k
}

// Accounts returns all of them, in the order in which they were made.
func (d *desk) Accounts(context.Context) ([]admin.Account, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := make([]admin.Account, 0, len(d.accounts))
	for _, k := range d.accounts {
		all = append(all, d.view(k))
	}
	return all, nil
}

// Account returns one of them.
func (d *desk) Account(_ context.Context, name auth.AccountName) (admin.Account, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if k := d.find(name); k != nil {
		return d.view(k), nil
	}
	return admin.Account{}, noAccount(name)
}

// CreateAccount adds an account. Hashes are not taken: a device has no use for them.
func (d *desk) CreateAccount(_ context.Context, n admin.NewAccount) (admin.Account, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := account.CheckName(n.Name); err != nil {
		return admin.Account{}, refuse(admin.Invalid, "name", "", "%v", err)
	}
	switch {
	case d.find(n.Name) != nil:
		return admin.Account{}, refuse(admin.Exists, "name", "", "account %q exists already", n.Name)
	case n.Hash != "":
		return admin.Account{}, refuse(admin.Invalid, "hash", "", "a simulated device takes no password hashes")
	case len(d.accounts) >= maxAccounts:
		return admin.Account{}, refuse(admin.Conflict, "", admin.LimitReached, "there are %d accounts already", maxAccounts)
	}
	if err := cmp.Or(d.checkRole(n.Role), d.checkPassword(nil, n.Password)); err != nil {
		return admin.Account{}, err
	}
	k := d.add(Account{n.Name, n.Password, n.Role, n.MustChangePassword}, n.Disabled)
	d.tell(eventResourceAdded, n.Name)
	return d.view(k), nil
}

// ChangeAccount changes all of it or nothing. A change of password, role or
// state ends the sessions of the account, but for the one that asked.
func (d *desk) ChangeAccount(ctx context.Context, name auth.AccountName, c admin.AccountChange) (admin.Account, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	k := d.find(name)
	if k == nil {
		return admin.Account{}, noAccount(name)
	}
	if err := d.checkChange(k, c); err != nil {
		return admin.Account{}, err
	}
	ends := c.Password != nil || c.Role != nil && *c.Role != k.Role || c.Enabled != nil && *c.Enabled == k.disabled
	if c.Password != nil {
		k.former = slices.Insert(k.former, 0, k.Password)
		k.former = k.former[:min(len(k.former), account.MaxHistory)]
		k.Password, k.MustChangePassword = *c.Password, false
	}
	if c.Role != nil {
		k.Role, k.ten = *c.Role, nil
	}
	if c.Enabled != nil {
		k.disabled = !*c.Enabled
	}
	if c.MustChangePassword != nil {
		k.MustChangePassword = *c.MustChangePassword
	}
	if c.Unlock || c.Password != nil {
		k.failed, k.locked, k.until = 0, false, time.Time{}
	}
	k.version++
	k.updated = d.now()
	if ends {
		d.endOf(ctx, k)
	}
	d.tell(eventResourceUpdated, name)
	return d.view(k), nil
}

// checkChange returns why a change cannot be made; a.mu is held.
func (d *desk) checkChange(k *known, c admin.AccountChange) error {
	if c.Version != 0 && c.Version != k.version {
		return refuse(admin.Conflict, "", admin.Changed, "account %q was changed by somebody else", k.Name)
	}
	if c.Role != nil {
		if err := d.checkRole(*c.Role); err != nil {
			return err
		}
	}
	if c.Password != nil {
		if err := d.checkPassword(k, *c.Password); err != nil {
			return err
		}
	}
	demoted := c.Role != nil && *c.Role != auth.Administrator || c.Enabled != nil && !*c.Enabled
	if demoted && d.isLast(k) {
		return lastAdministrator(k.Name)
	}
	return nil
}

// RemoveAccount removes an account and ends its sessions.
func (d *desk) RemoveAccount(_ context.Context, name auth.AccountName, version int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	k := d.find(name)
	switch {
	case k == nil:
		return noAccount(name)
	case version != 0 && version != k.version:
		return refuse(admin.Conflict, "", admin.Changed, "account %q was changed by somebody else", name)
	case d.isLast(k):
		return lastAdministrator(name)
	}
	d.accounts = slices.DeleteFunc(d.accounts, func(o *known) bool { return o == k })
	for _, s := range d.sessionsOf(k) { // the one that asks, too
		d.lose(s)
	}
	d.tell(eventResourceRemoved, name)
	return nil
}

// isLast reports whether nobody could administer without k; a.mu is held.
func (a *authority) isLast(k *known) bool {
	if k.Role != auth.Administrator || k.disabled {
		return false
	}
	return !slices.ContainsFunc(a.accounts, func(o *known) bool {
		return o != k && o.Role == auth.Administrator && !o.disabled
	})
}

// checkPassword holds a new password against the rules; k is nil for a new
// account. a.mu is held.
func (a *authority) checkPassword(k *known, p auth.Secret) error {
	err := a.logins.CheckPassword(p)
	if err == nil && k != nil && a.logins.History > 0 {
		if p.Equal(k.Password) || slices.ContainsFunc(k.former[:min(len(k.former), a.logins.History)], p.Equal) {
			err = account.ErrPasswordReused
		}
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, account.ErrPasswordLength):
		return refuse(admin.Invalid, "password", admin.PasswordLength, "%v", err)
	case errors.Is(err, account.ErrPasswordReused):
		return refuse(admin.Invalid, "password", admin.PasswordReused, "%v", err)
	}
	return refuse(admin.Invalid, "password", "", "%v", err)
}

// endOf ends the sessions of an account, but for the one that asks; a.mu is held.
func (a *authority) endOf(ctx context.Context, k *known) {
	by, _ := auth.PrincipalFrom(ctx)
	for _, s := range a.sessionsOf(k) {
		if by.SessionID == "" || s.ID != by.SessionID {
			a.lose(s)
		}
	}
}

func (a *authority) sessionsOf(k *known) []*session {
	var all []*session
	for _, s := range a.byID {
		if s.owner == k {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(x, y *session) int { return cmp.Compare(x.ID, y.ID) }) // for the journal
	return all
}

func noAccount(name auth.AccountName) error {
	return refuse(admin.NotFound, "", "", "no account %q", name)
}

func lastAdministrator(name auth.AccountName) error {
	return refuse(admin.Conflict, "", admin.LastAdministrator, "account %q is the last enabled Administrator", name)
}

// tell says what became of an account; a.mu is held.
func (a *authority) tell(event string, name auth.AccountName) {
	a.changed(event, redfish.AccountURI(name), "ManagerAccount")
}
