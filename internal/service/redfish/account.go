package redfish

import (
	"net/http"
	"slices"
	"strings"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/admin"
	rf "github.com/postern/postern/redfish"
)

// A manager account (ManagerAccount.v1_14_1). Password is null in every answer.
type managerAccount struct {
	heading
	UserName               string          `json:"UserName"`
	Password               *string         `json:"Password"`
	RoleID                 string          `json:"RoleId"`
	Enabled                bool            `json:"Enabled"`
	Locked                 bool            `json:"Locked"`
	PasswordChangeRequired bool            `json:"PasswordChangeRequired"`
	AccountTypes           []string        `json:"AccountTypes"`
	Certificates           *rf.Ref         `json:"Certificates,omitempty"`
	Links                  *accountLinks   `json:"Links,omitempty"`
	Actions                *accountActions `json:"Actions,omitempty"`
}

type accountLinks struct {
	Role rf.Ref
}

type accountActions struct {
	ChangePassword action `json:"#ManagerAccount.ChangePassword"`
}

// resource is the wire form of an account. What only a whole service has is
// left out where there is but the account itself.
func (s *Service) resource(a admin.Account) managerAccount {
	uri := rf.AccountURI(a.Name)
	m := managerAccount{
		heading:  heading{ODataID: uri, ODataType: accountType, ID: string(a.Name), Name: "User Account"},
		UserName: string(a.Name), RoleID: string(a.Role), Enabled: a.Enabled, Locked: a.Locked,
		PasswordChangeRequired: a.MustChangePassword, AccountTypes: []string{"Redfish"},
	}
	if s.alone {
		return m
	}
	m.Certificates = &rf.Ref{ID: uri + "/Certificates"}
	m.Links = &accountLinks{Role: rf.Ref{ID: rolesURI + "/" + string(a.Role)}}
	if s.cfg.Verify != nil {
		m.Actions = &accountActions{ChangePassword: action{Target: uri + changePasswordAction}}
	}
	return m
}

// accounts lists those that the caller may read, which is its own for many.
func (s *Service) accounts(c *call) error {
	all, err := s.cfg.Desk.Accounts(c.r.Context())
	if err != nil {
		return fault(err, c.path)
	}
	list := newCollection(accountsURI, accountCollectionType, "Accounts", nil)
	for _, a := range all {
		if rf.Privileged("ManagerAccount", http.MethodGet, c.by, a.Name == c.by.Account) {
			list.Members = append(list.Members, rf.Ref{ID: rf.AccountURI(a.Name)})
		}
	}
	list.Count = len(list.Members)
	return c.show(list)
}

func (s *Service) account(c *call) error {
	a, err := s.cfg.Desk.Account(c.r.Context(), c.name())
	if err != nil {
		return fault(err, c.path)
	}
	return c.show(s.resource(a))
}

func (s *Service) createAccount(c *call) error {
	b, err := c.body()
	if err != nil {
		return err
	}
	b.Require("UserName", "Password", "RoleId")
	n := admin.NewAccount{Name: auth.AccountName(deref(b.String("UserName"))), Role: auth.Role(deref(b.String("RoleId")))}
	if p := b.Secret("Password"); p != nil {
		n.Password = *p
	}
	if on := b.Bool("Enabled"); on != nil {
		n.Disabled = !*on
	}
	n.MustChangePassword = deref(b.Bool("PasswordChangeRequired"))
	onlyRedfish(b)
	unlocked(b)
	if err := b.Err(); err != nil {
		return err
	}
	a, err := s.cfg.Desk.CreateAccount(c.r.Context(), n)
	switch {
	case admin.CodeOf(err) == admin.Exists:
		return rf.AlreadyExists("ManagerAccount", "UserName", string(n.Name))
	case err != nil:
		return accountFault(err, c.path, n.Role)
	}
	return c.created(rf.AccountURI(a.Name), s.resource(a))
}

// onlyRedfish takes the one kind of account there is.
func onlyRedfish(b *rf.Body) {
	for _, t := range b.Strings("AccountTypes", 16) {
		if t != "Redfish" {
			b.Fail("PropertyValueNotInList", "AccountTypes", t, "AccountTypes")
		}
	}
}

// unlocked takes Locked, which nobody but the service sets to true.
func unlocked(b *rf.Body) bool {
	locked := b.Bool("Locked")
	if locked != nil && *locked {
		b.Fail("PropertyValueNotInList", "Locked", "true", "Locked")
	}
	return locked != nil && !*locked
}

// patchAccount changes an account. Without the privilege to change accounts,
// and where there is but one's own, only the password may be in the body: with
// anything else in it nothing is done.
func (s *Service) patchAccount(c *call) error {
	a, err := s.cfg.Desk.Account(c.r.Context(), c.name())
	if err != nil {
		return fault(err, c.path)
	}
	exact, err := c.match(s.resource(a))
	if err != nil {
		return err
	}
	b, err := c.body()
	if err != nil {
		return err
	}
	if !s.mayChange(c, b.Names()) {
		return auth.ErrForbidden
	}
	change := readChange(b)
	if err := b.Err(); err != nil {
		return err
	}
	if exact {
		change.Version = a.Version
	}
	a, err = s.cfg.Desk.ChangeAccount(c.r.Context(), c.name(), change)
	if err != nil {
		return accountFault(err, c.path, deref(change.Role))
	}
	return c.changed(s.resource(a))
}

// mayChange is asked once it is known that the caller may change the password.
func (s *Service) mayChange(c *call, properties []string) bool {
	only := !slices.ContainsFunc(properties, func(name string) bool { return name != "Password" })
	return only || !s.alone && rf.Privileged("ManagerAccount", http.MethodPatch, c.by, c.own())
}

func readChange(b *rf.Body) admin.AccountChange {
	change := admin.AccountChange{
		Password: b.Secret("Password"), Enabled: b.Bool("Enabled"),
		MustChangePassword: b.Bool("PasswordChangeRequired"), Unlock: unlocked(b),
	}
	if r := b.String("RoleId"); r != nil {
		role := auth.Role(*r)
		change.Role = &role
	}
	onlyRedfish(b)
	b.ReadOnly("Id", "Name", "UserName", "Certificates", "Links", "Actions")
	return change
}

func (s *Service) removeAccount(c *call) error {
	a, err := s.cfg.Desk.Account(c.r.Context(), c.name())
	if err != nil {
		return fault(err, c.path)
	}
	exact, err := c.match(s.resource(a))
	if err != nil {
		return err
	}
	version := int64(0)
	if exact {
		version = a.Version
	}
	if err := s.cfg.Desk.RemoveAccount(c.r.Context(), c.name(), version); err != nil {
		return accountFault(err, c.path, a.Role)
	}
	return c.done()
}

// changePassword is the action that asks for a password besides the new one:
// that of the account whose session or credentials carry the request.
func (s *Service) changePassword(c *call) error {
	const name = "ManagerAccount.ChangePassword"
	b, err := rf.ReadAction(c.w, c.r, maxBody, name)
	if err != nil {
		return err
	}
	b.Require("SessionAccountPassword", "NewPassword")
	old, password := b.Secret("SessionAccountPassword"), b.Secret("NewPassword")
	if err := b.Err(); err != nil {
		return err
	}
	try := auth.Attempt{Kind: auth.Password, Account: c.by.Account, Password: *old, Listener: s.cfg.Listener, Source: source(c.r)}
	if _, err := s.cfg.Verify.Check(c.r.Context(), try); err != nil {
		return wrongPassword(err, name)
	}
	_, err = s.cfg.Desk.ChangeAccount(c.r.Context(), c.name(), admin.AccountChange{Password: password})
	if err != nil {
		return fault(err, strings.TrimSuffix(c.path, changePasswordAction))
	}
	return c.done()
}

// accountFault is fault where a role may be what is wrong.
func accountFault(err error, uri string, role auth.Role) error {
	if e := asAdmin(err); e != nil && e.Field == "role" && (e.Code == admin.Invalid || e.Code == admin.NotFound) {
		return related(&rf.Problem{Status: http.StatusBadRequest, Key: "PropertyValueNotInList", Args: []string{string(role), "RoleId"}, Err: e}, "RoleId")
	}
	return fault(err, uri)
}

func deref[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}
