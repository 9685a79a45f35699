package admin

import (
	"context"
	"crypto/tls"
	"errors"
	"slices"
	"strings"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/audit"
	"github.com/postern/postern/internal/lease"
	"github.com/postern/postern/internal/target"
)

// Targets implements API.
func (s *Service) Targets(ctx context.Context) ([]Target, error) {
	list, err := s.targets.List(ctx)
	if err != nil {
		return nil, fault(err)
	}
	leases, err := s.server.Leases(ctx)
	if err != nil {
		return nil, fault(err)
	}
	out := []Target{}
	for _, t := range list {
		out = append(out, s.show(t, leases))
	}
	slices.SortFunc(out, func(a, b Target) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// Target implements API.
func (s *Service) Target(ctx context.Context, name string) (Target, error) {
	t, err := s.targets.Get(ctx, name)
	if err != nil {
		return Target{}, targetFault(err, name)
	}
	leases, err := s.server.Leases(ctx)
	if err != nil {
		return Target{}, fault(err)
	}
	return s.show(t, leases), nil
}

func (s *Service) show(t target.Target, leases map[string]Lease) Target {
	out := Target{
		Name: t.Name, Family: t.Family, Profile: t.Profile, URL: t.URL, Gateway: s.server.Gateway(t.Name),
		Trust: "system", Pin: t.Pin, User: t.Account, Password: t.Source, Auth: t.Method, Budget: t.Budget,
		InFlight: t.InFlight, Exclusive: t.Exclusive, Address: t.Address, Origin: t.Origin,
	}
	switch {
	case t.Pin != "":
		out.Trust = "pin"
	case t.CAPEM != "":
		out.Trust = "ca"
	}
	if out.Password == "" {
		out.Password = "sealed"
	}
	if l, ok := leases[t.Name]; ok {
		out.Lease = &l
	}
	return out
}

// AddTarget implements API. A target that cannot be served, because its address
// is taken for instance, is not kept.
func (s *Service) AddTarget(ctx context.Context, n NewTarget) (Target, error) {
	t := target.Target{
		Name: n.Name, Family: n.Family, Profile: n.Profile, URL: n.URL, CAPEM: n.CAPEM, Pin: n.Pin, Account: n.User,
		Certificate: n.Certificate, Method: n.Auth, Budget: n.Budget, InFlight: n.InFlight, Exclusive: n.Exclusive,
		LockoutThreshold: n.LockoutThreshold, LockoutWindow: n.LockoutWindow, Address: n.Address,
	}
	if t.Family == "" {
		t.Family = "redfish"
	}
	if t.Method == "" {
		t.Method = auth.MethodAuto
	}
	if err := target.Validate(t); err != nil {
		return Target{}, fail(Invalid, "", "%v", err)
	}
	if n.Password.IsZero() {
		return Target{}, fail(Invalid, "", "target %q has no password", n.Name)
	}
	if n.Certificate != "" {
		if _, err := target.ClientCertificate([]byte(n.Certificate), n.Password); err != nil {
			return Target{}, fail(Invalid, "", "target %q: %v", n.Name, err)
		}
	}
	if _, err := s.targets.Get(ctx, n.Name); err == nil {
		return Target{}, targetFault(target.ErrExists, n.Name)
	}
	r := audit.Record{Event: "admin.target.add", Target: t.Name, Account: string(t.Account), Detail: t.URL}
	err := s.recorded(ctx, r, func() error {
		if _, err := s.targets.Add(ctx, t, n.Password); err != nil {
			return err
		}
		if err := s.server.Apply(ctx, t.Name); err != nil {
			return errors.Join(err, s.targets.Remove(context.WithoutCancel(ctx), t.Name))
		}
		return nil
	})
	if err != nil {
		return Target{}, targetFault(err, t.Name)
	}
	return s.Target(ctx, t.Name)
}

// SetPin implements API.
func (s *Service) SetPin(ctx context.Context, name, pin string) error {
	pin, err := target.ParsePin(pin)
	if err != nil {
		return fail(Invalid, "", "%v", err)
	}
	return s.onTarget(ctx, audit.Record{Event: "admin.target.pin", Target: name, Detail: pin}, func(target.Target) error {
		_, err := s.targets.SetPin(ctx, name, pin)
		return err
	})
}

// SetTargetPassword implements API.
func (s *Service) SetTargetPassword(ctx context.Context, name string, password auth.Secret) error {
	if password.IsZero() {
		return fail(Invalid, "", "the password is empty")
	}
	return s.onTarget(ctx, audit.Record{Event: "admin.target.password", Target: name}, func(t target.Target) error {
		if t.Certificate != "" {
			return fail(Invalid, "", "target %q logs in with a client certificate, not with a password: remove it and add it again", name)
		}
		t.Source = "" // a reference gives way
		_, err := s.targets.Update(ctx, t, password)
		return err
	})
}

// RemoveTarget implements API. What was set for its listener goes with it: another
// target that is given the name later begins anew.
func (s *Service) RemoveTarget(ctx context.Context, name string) error {
	err := s.onTarget(ctx, audit.Record{Event: "admin.target.remove", Target: name}, func(target.Target) error {
		return s.targets.Remove(ctx, name)
	})
	if err == nil {
		s.forgetListener(context.WithoutCancel(ctx), TargetListener(name))
	}
	return err
}

// onTarget records a change of a target, makes it, and has the server take it up.
func (s *Service) onTarget(ctx context.Context, r audit.Record, change func(target.Target) error) error {
	t, err := s.targets.Get(ctx, r.Target)
	if err != nil {
		return targetFault(err, r.Target)
	}
	if t.Origin == target.OriginFile {
		return targetFault(target.ErrFromFile, t.Name)
	}
	return targetFault(s.recorded(ctx, r, func() error {
		if err := change(t); err != nil {
			return err
		}
		return s.server.Apply(ctx, t.Name)
	}), t.Name)
}

// CheckTarget implements API. The login itself is recorded by the lease.
func (s *Service) CheckTarget(ctx context.Context, name string) error {
	if _, err := s.targets.Get(ctx, name); err != nil {
		return targetFault(err, name)
	}
	return checkFault(s.server.Check(ctx, name), name)
}

// targetFault is fault for what was done to one target.
func targetFault(err error, name string) error {
	switch {
	case errors.Is(err, target.ErrNotFound):
		return fail(NotFound, "postern target list shows those there are", "no target %q", name)
	case errors.Is(err, target.ErrExists):
		return fail(Exists, "", "target %q exists already", name)
	case errors.Is(err, target.ErrFromFile):
		return fail(Conflict, "change the configuration, and have the server read it again (SIGHUP) or start it again", "target %q comes from the server's configuration", name)
	}
	return fault(err)
}

// checkFault puts in words why a login at a device did not work.
func checkFault(err error, name string) error {
	u, ok := errors.AsType[*lease.Unavailable](err)
	if !ok {
		return fault(err)
	}
	if pin, ok := errors.AsType[*target.PinError](err); ok {
		return fail(Refused, "look at it, and accept it, with postern target pin "+name,
			"the certificate of target %q is not the pinned one: pinned %s, shown %s; nothing was sent", name, pin.Pinned, pin.Shown)
	}
	if bad, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return fail(Refused, "look at it, and accept it, with postern target pin "+name,
			"the certificate of target %q does not verify, so nothing was sent: %v", name, bad.Err)
	}
	switch u.Reason {
	case lease.Refused:
		return fail(Refused, "correct it with postern target passwd "+name+", or at its source",
			"the device of target %q refuses the stored password: %v", name, u.Err)
	case lease.Down:
		return fail(Unavailable, "", "the device of target %q cannot be reached: %v", name, u.Err)
	}
	return fail(Unavailable, "", "target %q: %v", name, u.Err)
}
