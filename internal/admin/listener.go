package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/audit"
	"github.com/postern/postern/internal/session"
)

// Certificates keep what listeners show in their handshakes. Errors are an *Error.
type Certificates interface {
	ServerCertificate(ctx context.Context, listener string) (Certificate, error)
	ReplaceServerCertificate(ctx context.Context, listener, chain string, key auth.Secret) (Certificate, error)
	ResetServerCertificate(ctx context.Context, listener string) error
	CertificateRequest(ctx context.Context, listener string, r CSRRequest) (string, error)
}

// TreeListener is the name of the listener of an authentication server.
const TreeListener = "tree"

// targetPrefix begins the name of the listener of a target.
const targetPrefix = "target:"

// TargetListener is the name of the listener of a target.
func TargetListener(target string) string { return targetPrefix + target }

func shownListener(r session.ListenerRules) ListenerRules {
	return ListenerRules{
		Listener: r.Listener, SessionsDisabled: r.SessionsDisabled, SessionIdle: r.Idle, SessionLifetime: r.Lifetime,
		Basic: BasicMode(r.Basic), Certificates: r.Certificates, Mapping: Mapping(r.Mapping), CertificateStrict: r.Strict, Version: r.Version,
	}
}

// Listeners implements API.
func (s *Service) Listeners(ctx context.Context) ([]ListenerRules, error) {
	list, err := s.targets.List(ctx)
	if err != nil {
		return nil, fault(err)
	}
	out := []ListenerRules{shownListener(s.sessions.Rules(TreeListener))}
	for _, t := range list {
		out = append(out, shownListener(s.sessions.Rules(TargetListener(t.Name))))
	}
	return out, nil
}

// checkListener returns an error unless there is a listener of that name.
func (s *Service) checkListener(ctx context.Context, name string) error {
	if name == TreeListener {
		return nil
	}
	target, ok := strings.CutPrefix(name, targetPrefix)
	if !ok {
		return noListener(name)
	}
	if _, err := s.targets.Get(ctx, target); err != nil {
		return listenerFault(targetFault(err, target), name)
	}
	return nil
}

// forgetListener drops the rules, the CAs and the certificate of a listener that
// is gone. What cannot be dropped is logged: the target is removed all the same.
func (s *Service) forgetListener(ctx context.Context, name string) {
	var errs []error
	if now := s.sessions.Rules(name); now.Version > 1 {
		rules := session.DefaultRules(name)
		rules.Version = now.Version
		_, err := s.sessions.SetRules(ctx, rules)
		errs = append(errs, err)
	}
	for _, ca := range s.trust.CAs(name) {
		if ca.Listener == name {
			errs = append(errs, s.RemoveCA(ctx, name, ca.ID))
		}
	}
	err := s.certificates.ResetServerCertificate(ctx, name)
	if e, ok := errors.AsType[*Error](err); !ok || e.Reason != Fixed { // what the configuration gives is not kept
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		s.log.LogAttrs(ctx, slog.LevelWarn, "something that was set for a removed listener is left", slog.String("listener", name), slog.Any("error", err))
	}
}

func noListener(name string) error {
	return fail(NotFound, "postern listener list shows those there are", "no listener %q", name)
}

// listenerFault is fault for what was done to one listener.
func listenerFault(err error, name string) error {
	switch {
	case err != nil && CodeOf(err) == NotFound:
		return noListener(name)
	case errors.Is(err, session.ErrConflict):
		return fail(Conflict, "read them again", "the rules of listener %q were changed by somebody else", name).because(Changed)
	}
	return fault(err)
}

// ListenerRules implements API.
func (s *Service) ListenerRules(ctx context.Context, listener string) (ListenerRules, error) {
	if err := s.checkListener(ctx, listener); err != nil {
		return ListenerRules{}, err
	}
	return shownListener(s.sessions.Rules(listener)), nil
}

// SetListenerRules implements API.
func (s *Service) SetListenerRules(ctx context.Context, r ListenerRules) (ListenerRules, error) {
	if err := s.checkListener(ctx, r.Listener); err != nil {
		return ListenerRules{}, err
	}
	rules := session.ListenerRules{
		Listener: r.Listener, SessionsDisabled: r.SessionsDisabled, Idle: r.SessionIdle, Lifetime: r.SessionLifetime,
		Basic: string(r.Basic), Certificates: r.Certificates, Mapping: string(r.Mapping), Strict: r.CertificateStrict, Version: r.Version,
	}
	if rules.Version == 0 {
		rules.Version = s.sessions.Rules(r.Listener).Version
	}
	if err := rules.Check(); err != nil {
		return ListenerRules{}, listenerRulesFault(rules, err)
	}
	err := s.recorded(ctx, audit.Record{Event: "admin.listener.rules", Listener: r.Listener, Detail: listenerDetail(r)}, func() (err error) {
		rules, err = s.sessions.SetRules(ctx, rules)
		return err
	})
	if err != nil {
		return ListenerRules{}, listenerFault(err, r.Listener)
	}
	return shownListener(rules), nil
}

// listenerRulesFault names the rule that cannot be meant: the first one without
// which the default rules would be refused too.
func listenerRulesFault(r session.ListenerRules, err error) error {
	e := fail(Invalid, "", "%s", sentence(err))
	for _, f := range []struct {
		field string
		set   func(*session.ListenerRules)
	}{
		{"session_idle", func(d *session.ListenerRules) { d.Idle = r.Idle }},
		{"session_lifetime", func(d *session.ListenerRules) { d.Lifetime = r.Lifetime }},
		{"basic", func(d *session.ListenerRules) { d.Basic = r.Basic }},
		{"mapping", func(d *session.ListenerRules) { d.Mapping = r.Mapping }},
		{"certificate_strict", func(d *session.ListenerRules) { d.Certificates, d.Strict = r.Certificates, r.Strict }},
	} {
		d := session.DefaultRules(r.Listener)
		if f.set(&d); d.Check() != nil {
			return e.about(f.field)
		}
	}
	return e
}

func listenerDetail(r ListenerRules) string {
	detail := fmt.Sprintf("idle %v, lifetime %v, basic %s", r.SessionIdle, r.SessionLifetime, r.Basic)
	if r.SessionsDisabled {
		detail += ", no new sessions"
	}
	if r.Certificates {
		detail += ", certificates by " + string(r.Mapping)
	}
	if r.CertificateStrict {
		detail += ", strict"
	}
	return detail
}

// ServerCertificate implements API.
func (s *Service) ServerCertificate(ctx context.Context, listener string) (Certificate, error) {
	if err := s.checkListener(ctx, listener); err != nil {
		return Certificate{}, err
	}
	c, err := s.certificates.ServerCertificate(ctx, listener)
	return c, fault(err)
}

// ReplaceServerCertificate implements API.
func (s *Service) ReplaceServerCertificate(ctx context.Context, listener, chain string, key auth.Secret) (c Certificate, err error) {
	err = s.onCertificate(ctx, audit.Record{Event: "admin.certificate.replace", Listener: listener}, func() error {
		c, err = s.certificates.ReplaceServerCertificate(ctx, listener, chain, key)
		return err
	})
	return c, err
}

// ResetServerCertificate implements API.
func (s *Service) ResetServerCertificate(ctx context.Context, listener string) error {
	return s.onCertificate(ctx, audit.Record{Event: "admin.certificate.reset", Listener: listener}, func() error {
		return s.certificates.ResetServerCertificate(ctx, listener)
	})
}

// CertificateRequest implements API.
func (s *Service) CertificateRequest(ctx context.Context, listener string, r CSRRequest) (csr string, err error) {
	err = s.onCertificate(ctx, audit.Record{Event: "admin.certificate.request", Listener: listener}, func() error {
		csr, err = s.certificates.CertificateRequest(ctx, listener, r)
		return err
	})
	return csr, err
}

func (s *Service) onCertificate(ctx context.Context, r audit.Record, change func() error) error {
	if err := s.checkListener(ctx, r.Listener); err != nil {
		return err
	}
	return fault(s.recorded(ctx, r, change))
}
