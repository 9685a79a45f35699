package sim

import (
	"context"
	"errors"
	"time"

	"github.com/postern/postern/internal/account"
	"github.com/postern/postern/internal/admin"
	"github.com/postern/postern/redfish"
)

// What a session timeout may be set to (SessionService.v1_2_0).
const (
	minIdle     = 30 * time.Second
	maxIdle     = 24 * time.Hour
	maxLifetime = 365 * 24 * time.Hour
)

// LoginRules returns the rules for passwords and the lockout.
func (d *desk) LoginRules(context.Context) (admin.LoginRules, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.logins
	return admin.LoginRules{
		MinPassword: r.Min, MaxPassword: r.Max, History: r.History,
		Threshold: r.Threshold, Duration: r.Duration, ResetAfter: r.ResetAfter, Version: r.Version,
	}, nil
}

// SetLoginRules puts others in force, from the next attempt on.
func (d *desk) SetLoginRules(ctx context.Context, r admin.LoginRules) (admin.LoginRules, error) {
	next := account.Rules{
		Min: r.MinPassword, Max: r.MaxPassword, History: r.History,
		Threshold: r.Threshold, Duration: r.Duration, ResetAfter: r.ResetAfter,
	}
	if err := next.Check(); err != nil {
		return admin.LoginRules{}, refuse(admin.Invalid, "", "", "%v", err)
	}
	d.mu.Lock()
	if r.Version != 0 && r.Version != d.logins.Version {
		d.mu.Unlock()
		return admin.LoginRules{}, refuse(admin.Conflict, "", admin.Changed, "the rules were changed by somebody else")
	}
	next.Version = d.logins.Version + 1
	d.logins = next
	d.mu.Unlock()
	return d.LoginRules(ctx)
}

// ListenerRules returns the rules for sessions, HTTP Basic and certificates.
func (d *desk) ListenerRules(context.Context, string) (admin.ListenerRules, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rules, nil
}

// SetListenerRules puts others in force, for living sessions too.
func (d *desk) SetListenerRules(_ context.Context, r admin.ListenerRules) (admin.ListenerRules, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if r.Version != 0 && r.Version != d.rules.Version {
		return admin.ListenerRules{}, refuse(admin.Conflict, "", admin.Changed, "the rules were changed by somebody else")
	}
	if err := checkListener(r, d.rules); err != nil {
		return admin.ListenerRules{}, err
	}
	r.Listener, r.Version = Listener, d.rules.Version+1
	d.rules = r
	return r, nil
}

// checkListener refuses rules that cannot be meant. A timeout that is there
// already stays what it is: a device may be switched on with a shorter one.
func checkListener(r, before admin.ListenerRules) error {
	switch {
	case r.SessionIdle != before.SessionIdle && (r.SessionIdle < minIdle || r.SessionIdle > maxIdle):
		return refuse(admin.Invalid, "session_idle", "", "a session may go unused for %v to %v", minIdle, maxIdle)
	case r.SessionLifetime != 0 && (r.SessionLifetime < minIdle || r.SessionLifetime > maxLifetime):
		return refuse(admin.Invalid, "session_lifetime", "", "a session may live for %v to %v", minIdle, maxLifetime)
	case r.Basic != admin.BasicEnabled && r.Basic != admin.BasicUnadvertised && r.Basic != admin.BasicDisabled:
		return refuse(admin.Invalid, "basic", "", "HTTP Basic cannot be %q", r.Basic)
	case r.Mapping != admin.MapWhole && r.Mapping != admin.MapCommonName && r.Mapping != admin.MapUserPrincipalName:
		return refuse(admin.Invalid, "mapping", "", "a certificate cannot be mapped by %q", r.Mapping)
	}
	return nil
}

// handlerRules are the rules in the words of the handler.
func (a *authority) handlerRules() redfish.Rules {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.rules
	return redfish.Rules{
		SessionsDisabled: r.SessionsDisabled, SessionIdle: r.SessionIdle, SessionLifetime: r.SessionLifetime,
		Basic: redfish.BasicMode(r.Basic), Certificates: r.Certificates, Version: r.Version,
	}
}

// setSessions changes the rules for sessions.
func (d *desk) setSessions(ctx context.Context, c redfish.SessionChange) error {
	r, err := d.ListenerRules(ctx, Listener)
	if err != nil {
		return err
	}
	if c.Version != 0 && c.Version != r.Version {
		return redfish.ErrChanged
	}
	if c.Enabled != nil {
		r.SessionsDisabled = !*c.Enabled
	}
	if c.Idle != nil {
		r.SessionIdle = *c.Idle
	}
	if c.Lifetime != nil {
		r.SessionLifetime = *c.Lifetime
	}
	_, err = d.SetListenerRules(ctx, r)
	if e, ok := errors.AsType[*admin.Error](err); ok && e.Reason == admin.Changed {
		return redfish.ErrChanged
	}
	return err
}
