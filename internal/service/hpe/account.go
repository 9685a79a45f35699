package hpe

import (
	"cmp"
	"strings"
	"unicode"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/admin"
	rf "github.com/postern/postern/redfish"
)

const (
	accountsType = "#ManagerAccountCollection.ManagerAccountCollection"
	accountType  = "#ManagerAccount.v1_3_0.ManagerAccount"
	oemAccount   = "#HpeiLOAccount.v2_2_0.HpeiLOAccount"
)

// maxName bounds names and passwords, in characters (observed: ilorest 7.4,
// iloaccounts).
const maxName = 39

// leaky are texts that HPE's clients search the answer of a login for, names in
// it included; an account called so could never log in (observed: ilorest 7.4).
var leaky = []string{"OneTimePasscodeSent", "UnauthorizedLogin", "TokenExpired"}

func (s *Service) accounts(c *call) (any, error) {
	people, err := s.people(c)
	if err != nil {
		return nil, err
	}
	held, err := s.privileges(c)
	if err != nil {
		return nil, err
	}
	var uris []string
	for _, p := range people {
		if held.Has(UserConfigPriv) || p.Name == c.by.Account {
			uris = append(uris, accountsURI+"/"+p.ID+"/")
		}
	}
	return list(accountsURI+"/", accountsType, "Accounts", "iLO User Accounts", uris), nil
}

func (s *Service) account(c *call) (any, error) {
	p, err := s.person(c, c.id[0])
	if err != nil {
		return nil, err
	}
	if err := s.mayTouch(c, p); err != nil {
		return nil, err
	}
	return resource(accountsURI+"/"+p.ID+"/", accountType, p.ID, "User Account", object{
		"Description": "iLO User Account", "UserName": string(p.Name), "Password": nil, "RoleId": string(p.Privileges.Role()),
		"PasswordChangeRequired": p.MustChangePassword, "Enabled": p.Enabled,
		"Links": object{"Role": ref(rolesURI + "/" + string(p.Privileges.Role()) + "/")},
		"Oem": oem(oemAccount, object{
			"LoginName": p.LoginName, "Privileges": p.Privileges.Wire(), "ServiceAccount": false,
		}),
	}), nil
}

// mayTouch lets in who administers accounts, and whose account it is.
func (s *Service) mayTouch(c *call, p Person) error {
	if p.Name == c.by.Account && c.by.Account != "" {
		return nil
	}
	return s.may(c, UserConfigPriv)
}

// A wish is what a body says of an account.
type wish struct {
	name, loginName *string
	password        *auth.Secret
	role            *string
	enabled, must   *bool
	set, clear      Privileges // of the ten
}

// readWish reads the properties of an account.
func readWish(b *rf.Body) wish {
	w := wish{
		password: b.Secret("Password"), role: b.OneOf("RoleId", string(auth.Administrator), string(auth.Operator), string(auth.ReadOnly)),
		enabled: b.Bool("Enabled"), must: b.Bool("PasswordChangeRequired"), name: b.String("UserName"),
	}
	if o := b.Object("Oem"); o != nil {
		if h := o.Object("Hpe"); h != nil {
			w.loginName = h.String("LoginName")
			h.Bool("ServiceAccount")
			if p := h.Object("Privileges"); p != nil {
				w.set, w.clear = readPrivileges(p)
			}
		}
	}
	for name, v := range map[string]*string{"UserName": w.name, "LoginName": w.loginName} {
		if v != nil && !goodName(*v) {
			b.Fail("PropertyValueError", name, name)
		}
	}
	b.ReadOnly("Id", "Name", "Description", "Links")
	return w
}

func readPrivileges(b *rf.Body) (set, clear Privileges) {
	for i, row := range privileges {
		if on := b.Bool(row.name); on != nil {
			if *on {
				set |= 1 << i
			} else {
				clear |= 1 << i
			}
		}
	}
	return set, clear
}

func goodName(name string) bool {
	for _, text := range leaky {
		if strings.Contains(name, text) {
			return false
		}
	}
	n := len([]rune(name))
	return n > 0 && n <= maxName && !strings.ContainsFunc(name, unicode.IsControl)
}

// privileges applies a wish to what an account has: the role first, then each
// privilege by itself (HPE, "Managing users").
func (w wish) privileges(has Privileges) Privileges {
	if w.role != nil {
		has = OfRole(auth.Role(*w.role))
	}
	return has&^w.clear | w.set
}

func (s *Service) createAccount(c *call) error {
	b, err := c.body()
	if err != nil {
		return err
	}
	b.Require("UserName", "Password")
	w := readWish(b)
	if err := b.Err(); err != nil {
		return err
	}
	if err := s.checkPassword(c, *w.password); err != nil {
		return err
	}
	grants := w.privileges(0)
	if w.role == nil && w.set == 0 {
		grants = LoginPriv
	}
	if err := s.mayGrant(c, grants); err != nil {
		return err
	}
	name := auth.AccountName(*w.name)
	_, err = s.cfg.Desk.CreateAccount(c.r.Context(), admin.NewAccount{
		Name: name, Role: grants.Role(), Password: *w.password,
		Disabled: w.enabled != nil && !*w.enabled, MustChangePassword: deref(w.must),
	})
	if err != nil {
		return s.accountFault(c, err)
	}
	if err := s.cfg.Office.SetPerson(c.r.Context(), name, PersonChange{LoginName: new(cmp.Or(deref(w.loginName), *w.name)), Privileges: &grants}); err != nil {
		return fault(err, c.path)
	}
	p, err := s.named(c, name)
	if err != nil {
		return err
	}
	return c.created(accountsURI + "/" + p.ID + "/")
}

// mayGrant: who lacks the privilege to recover the system cannot give it.
func (s *Service) mayGrant(c *call, grants Privileges) error {
	if !grants.Has(SystemRecoveryConfigPriv) {
		return nil
	}
	return s.may(c, SystemRecoveryConfigPriv)
}

func (s *Service) patchAccount(c *call) error {
	p, err := s.person(c, c.id[0])
	if err != nil {
		return err
	}
	if err := s.mayTouch(c, p); err != nil {
		return err
	}
	if err := c.match(); err != nil {
		return err
	}
	b, err := c.body()
	if err != nil {
		return err
	}
	w := readWish(b)
	if err := b.Err(); err != nil {
		return err
	}
	if onlyPassword := len(b.Names()) == 1 && b.Has("Password"); !onlyPassword {
		if err := s.may(c, UserConfigPriv); err != nil {
			return err
		}
	}
	if w.name != nil && *w.name != string(p.Name) {
		return bad("PropertyNotWritable", "UserName")
	}
	if w.password != nil {
		if err := s.checkPassword(c, *w.password); err != nil {
			return err
		}
	}
	grants := w.privileges(p.Privileges)
	if grants&^p.Privileges != 0 {
		if err := s.mayGrant(c, grants&^p.Privileges); err != nil {
			return err
		}
	}
	return s.changeAccount(c, p, w, grants)
}

func (s *Service) changeAccount(c *call, p Person, w wish, grants Privileges) error {
	change := admin.AccountChange{Password: w.password, Enabled: w.enabled, MustChangePassword: w.must}
	if role := grants.Role(); role != p.Role {
		change.Role = &role
	}
	if change != (admin.AccountChange{}) {
		if _, err := s.cfg.Desk.ChangeAccount(c.r.Context(), p.Name, change); err != nil {
			return s.accountFault(c, err)
		}
	}
	more := PersonChange{LoginName: w.loginName}
	if grants != p.Privileges {
		more.Privileges = &grants
	}
	if more != (PersonChange{}) {
		if err := s.cfg.Office.SetPerson(c.r.Context(), p.Name, more); err != nil {
			return fault(err, c.path)
		}
	}
	return c.done("AccountModified")
}

func (s *Service) removeAccount(c *call) error {
	p, err := s.person(c, c.id[0])
	if err != nil {
		return err
	}
	if err := cmp.Or(s.may(c, UserConfigPriv), c.match()); err != nil {
		return err
	}
	if err := s.cfg.Desk.RemoveAccount(c.r.Context(), p.Name, 0); err != nil {
		return s.accountFault(c, err)
	}
	return c.done("Success")
}

// checkPassword holds a new password against what an iLO asks of one besides the
// rules of the desk.
func (s *Service) checkPassword(c *call, password auth.Secret) error {
	rules, err := s.cfg.Desk.LoginRules(c.r.Context())
	if err != nil {
		return fault(err, c.path)
	}
	set, err := s.settings(c)
	if err != nil {
		return err
	}
	text := password.Reveal()
	if n := len([]rune(text)); n < rules.MinPassword || n > maxName {
		return passwordLength(rules.MinPassword)
	}
	if set.ComplexityRule && kinds(text) < 3 {
		return bad(own + "InvalidPasswordComplexity")
	}
	return nil
}

// kinds counts which of capital letters, small letters, digits and others a text has.
func kinds(text string) int {
	var upper, lower, digit, other int
	for _, r := range text {
		switch {
		case unicode.IsUpper(r):
			upper = 1
		case unicode.IsLower(r):
			lower = 1
		case unicode.IsDigit(r):
			digit = 1
		default:
			other = 1
		}
	}
	return upper + lower + digit + other
}
