package admin

import (
	"context"
	"time"

	"github.com/postern/postern/auth"
)

// The bodies on the socket. A secret is text in them, and nowhere else.

type accountIn struct {
	Name               auth.AccountName `json:"name"`
	Role               auth.Role        `json:"role"`
	Password           string           `json:"password,omitempty"`
	Hash               string           `json:"hash,omitempty"`
	Disabled           bool             `json:"disabled,omitempty"`
	MustChangePassword bool             `json:"must_change_password,omitempty"`
}

func (a accountIn) account() NewAccount {
	return NewAccount{
		Name: a.Name, Role: a.Role, Password: auth.NewSecret(a.Password), Hash: a.Hash,
		Disabled: a.Disabled, MustChangePassword: a.MustChangePassword,
	}
}

func fromAccount(a NewAccount) accountIn {
	return accountIn{a.Name, a.Role, a.Password.Reveal(), a.Hash, a.Disabled, a.MustChangePassword}
}

// An accountPatch changes what is not nil.
type accountPatch struct {
	Version            int64      `json:"version,omitempty"`
	Password           *string    `json:"password,omitempty"`
	Role               *auth.Role `json:"role,omitempty"`
	Enabled            *bool      `json:"enabled,omitempty"`
	MustChangePassword *bool      `json:"must_change_password,omitempty"`
	Unlock             bool       `json:"unlock,omitempty"`
}

func (p accountPatch) change() AccountChange {
	c := AccountChange{Version: p.Version, Role: p.Role, Enabled: p.Enabled, MustChangePassword: p.MustChangePassword, Unlock: p.Unlock}
	if p.Password != nil {
		c.Password = new(auth.NewSecret(*p.Password))
	}
	return c
}

func fromChange(c AccountChange) accountPatch {
	p := accountPatch{Version: c.Version, Role: c.Role, Enabled: c.Enabled, MustChangePassword: c.MustChangePassword, Unlock: c.Unlock}
	if c.Password != nil {
		p.Password = new(c.Password.Reveal())
	}
	return p
}

// A removal names what is to be removed as far as the path does not.
type removal struct {
	Version  int64  `json:"version,omitempty"`
	Listener string `json:"listener,omitempty"`
}

type pemIn struct {
	PEM string `json:"pem"`
	Key string `json:"key,omitempty"`
}

type crlIn struct {
	CRL []byte `json:"crl"` // Base64 on the wire
}

type csrOut struct {
	CSR string `json:"csr"`
}

type targetIn struct {
	Name             string           `json:"name"`
	Family           string           `json:"family,omitempty"`
	Profile          string           `json:"profile,omitempty"`
	URL              string           `json:"url"`
	CAPEM            string           `json:"ca_pem,omitempty"`
	Pin              string           `json:"pin,omitempty"`
	User             auth.AccountName `json:"user"`
	Certificate      string           `json:"certificate,omitempty"`
	Password         string           `json:"password"` // or the certificate's key
	Auth             auth.Method      `json:"auth,omitempty"`
	Budget           int              `json:"budget,omitempty"`
	InFlight         int              `json:"in_flight,omitempty"`
	Exclusive        bool             `json:"exclusive,omitempty"`
	LockoutThreshold int              `json:"lockout_threshold,omitempty"`
	LockoutWindow    time.Duration    `json:"lockout_window,omitempty"` // nanoseconds
	Address          string           `json:"address,omitempty"`
}

func (t targetIn) target() NewTarget {
	return NewTarget{
		Name: t.Name, Family: t.Family, Profile: t.Profile, URL: t.URL, CAPEM: t.CAPEM, Pin: t.Pin,
		User: t.User, Certificate: t.Certificate, Password: auth.NewSecret(t.Password), Auth: t.Auth, Budget: t.Budget, InFlight: t.InFlight,
		Exclusive: t.Exclusive, LockoutThreshold: t.LockoutThreshold, LockoutWindow: t.LockoutWindow, Address: t.Address,
	}
}

func fromTarget(t NewTarget) targetIn {
	return targetIn{
		Name: t.Name, Family: t.Family, Profile: t.Profile, URL: t.URL, CAPEM: t.CAPEM, Pin: t.Pin,
		User: t.User, Certificate: t.Certificate, Password: t.Password.Reveal(), Auth: t.Auth, Budget: t.Budget, InFlight: t.InFlight,
		Exclusive: t.Exclusive, LockoutThreshold: t.LockoutThreshold, LockoutWindow: t.LockoutWindow, Address: t.Address,
	}
}

// A targetPatch changes what is not nil.
type targetPatch struct {
	Pin      *string `json:"pin,omitempty"`
	Password *string `json:"password,omitempty"`
}

func (p targetPatch) apply(ctx context.Context, api API, name string) error {
	switch {
	case p.Pin != nil && p.Password == nil:
		return api.SetPin(ctx, name, *p.Pin)
	case p.Pin == nil && p.Password != nil:
		return api.SetTargetPassword(ctx, name, auth.NewSecret(*p.Password))
	}
	return fail(Invalid, "", "change one of pin and password at a time")
}
