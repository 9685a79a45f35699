package admin

import (
	"context"
	"time"

	"github.com/postern/postern/auth"
)

// The bodies on the socket. A secret is text in them, and nowhere else.

type accountIn struct {
	Name     auth.AccountName `json:"name"`
	Role     auth.Role        `json:"role"`
	Password string           `json:"password"`
}

// An accountPatch changes what is not nil.
type accountPatch struct {
	Password *string    `json:"password,omitempty"`
	Role     *auth.Role `json:"role,omitempty"`
	Enabled  *bool      `json:"enabled,omitempty"`
}

func (p accountPatch) apply(ctx context.Context, api API, name auth.AccountName) error {
	switch {
	case p.Password != nil && p.Role == nil && p.Enabled == nil:
		return api.SetPassword(ctx, name, auth.NewSecret(*p.Password))
	case p.Password == nil && p.Role != nil && p.Enabled == nil:
		return api.SetRole(ctx, name, *p.Role)
	case p.Password == nil && p.Role == nil && p.Enabled != nil:
		return api.SetEnabled(ctx, name, *p.Enabled)
	}
	return fail(Invalid, "", "change one of password, role and enabled at a time")
}

type targetIn struct {
	Name             string           `json:"name"`
	Family           string           `json:"family,omitempty"`
	Profile          string           `json:"profile,omitempty"`
	URL              string           `json:"url"`
	CAPEM            string           `json:"ca_pem,omitempty"`
	Pin              string           `json:"pin,omitempty"`
	User             auth.AccountName `json:"user"`
	Password         string           `json:"password"`
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
		User: t.User, Password: auth.NewSecret(t.Password), Auth: t.Auth, Budget: t.Budget, InFlight: t.InFlight,
		Exclusive: t.Exclusive, LockoutThreshold: t.LockoutThreshold, LockoutWindow: t.LockoutWindow, Address: t.Address,
	}
}

func fromTarget(t NewTarget) targetIn {
	return targetIn{
		Name: t.Name, Family: t.Family, Profile: t.Profile, URL: t.URL, CAPEM: t.CAPEM, Pin: t.Pin,
		User: t.User, Password: t.Password.Reveal(), Auth: t.Auth, Budget: t.Budget, InFlight: t.InFlight,
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
