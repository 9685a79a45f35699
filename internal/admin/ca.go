package admin

import (
	"context"
	"errors"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/audit"
	"github.com/postern/postern/internal/trust"
)

func shownCA(c trust.CA) Certificate {
	d := Describe(c.Certificate)
	d.ID, d.Name, d.Listener = c.ID, c.Name, c.Listener
	d.HasCRL, d.CRLURL, d.OCSP = c.CRL != nil, c.CRLURL, OCSPMode(c.OCSP)
	return d
}

func shownCAs(list []trust.CA) []Certificate {
	out := []Certificate{}
	for _, c := range list {
		out = append(out, shownCA(c))
	}
	return out
}

// AllCAs implements API.
func (s *Service) AllCAs(context.Context) ([]Certificate, error) { return shownCAs(s.trust.All()), nil }

// CAs implements API.
func (s *Service) CAs(ctx context.Context, listener string) ([]Certificate, error) {
	if err := s.checkListener(ctx, listener); err != nil {
		return nil, err
	}
	return shownCAs(s.trust.CAs(listener)), nil
}

// AddCA implements API.
func (s *Service) AddCA(ctx context.Context, n NewCA) (Certificate, error) {
	if n.Listener != "" {
		if err := s.checkListener(ctx, n.Listener); err != nil {
			return Certificate{}, err
		}
	}
	switch n.OCSP {
	case OCSPOff, OCSPSoft, OCSPRequired:
	default:
		return Certificate{}, fail(Invalid, "soft or required", "there is no OCSP mode %q", n.OCSP).about("ocsp")
	}
	var ca trust.CA
	err := s.recorded(ctx, audit.Record{Event: "admin.ca.add", Listener: n.Listener, Detail: n.Name}, func() (err error) {
		ca, err = s.trust.Add(ctx, trust.NewCA{
			Listener: n.Listener, Name: n.Name, Text: []byte(n.PEM), CRLURL: n.CRLURL, OCSP: trust.OCSPMode(n.OCSP),
		})
		return err
	})
	if err != nil {
		return Certificate{}, trustFault(err)
	}
	return shownCA(ca), nil
}

// RemoveCA implements API.
func (s *Service) RemoveCA(ctx context.Context, listener, id string) error {
	ca, err := s.trust.CA(id)
	if err != nil || listener != "" && ca.Listener != "" && ca.Listener != listener {
		return noCA(id)
	}
	return trustFault(s.recorded(ctx, audit.Record{Event: "admin.ca.remove", Listener: ca.Listener, Detail: caDetail(ca)}, func() error {
		return s.trust.Remove(ctx, id)
	}))
}

// SetCRL implements API.
func (s *Service) SetCRL(ctx context.Context, id string, crl []byte) error {
	ca, err := s.trust.CA(id)
	if err != nil {
		return noCA(id)
	}
	return trustFault(s.recorded(ctx, audit.Record{Event: "admin.ca.crl", Listener: ca.Listener, Detail: caDetail(ca)}, func() error {
		return s.trust.SetCRL(ctx, id, crl)
	}))
}

func caDetail(c trust.CA) string { return c.ID + " " + c.Certificate.Subject.String() }

// AccountCertificates implements API.
func (s *Service) AccountCertificates(ctx context.Context, name auth.AccountName) ([]Certificate, error) {
	a, err := s.accounts.Get(ctx, name)
	if err != nil {
		return nil, accountFault(err, name)
	}
	list, err := s.trust.AccountCertificates(ctx, a.ID)
	if err != nil {
		return nil, trustFault(err)
	}
	out := []Certificate{}
	for _, c := range list {
		out = append(out, Describe(c.Certificate))
	}
	return out, nil
}

// AddAccountCertificate implements API.
func (s *Service) AddAccountCertificate(ctx context.Context, name auth.AccountName, pem string) (Certificate, error) {
	a, err := s.accounts.Get(ctx, name)
	if err != nil {
		return Certificate{}, accountFault(err, name)
	}
	var c trust.AccountCertificate
	err = s.recorded(ctx, audit.Record{Event: "admin.account.certificate.add", Account: string(name)}, func() (err error) {
		c, err = s.trust.AddAccountCertificate(ctx, a.ID, a.Name, []byte(pem))
		return err
	})
	if err != nil {
		return Certificate{}, trustFault(err)
	}
	return Describe(c.Certificate), nil
}

// RemoveAccountCertificate implements API.
func (s *Service) RemoveAccountCertificate(ctx context.Context, name auth.AccountName, id string) error {
	a, err := s.accounts.Get(ctx, name)
	if err != nil {
		return accountFault(err, name)
	}
	f, err := trust.ParseFingerprint(id)
	if err != nil {
		return noCertificate(id)
	}
	err = s.recorded(ctx, audit.Record{Event: "admin.account.certificate.remove", Account: string(name), Detail: f.String()}, func() error {
		return s.trust.RemoveAccountCertificate(ctx, a.ID, f)
	})
	if errors.Is(err, trust.ErrNotFound) {
		return noCertificate(id)
	}
	return trustFault(err)
}

func noCA(id string) error {
	return fail(NotFound, "postern ca list shows those there are", "no CA %q", id)
}

func noCertificate(id string) error { return fail(NotFound, "", "no certificate %q", id) }

// trustFault is fault for what was done to certificates and CAs.
func trustFault(err error) error {
	switch {
	case errors.Is(err, trust.ErrNotFound):
		return fail(NotFound, "", "%s", sentence(err))
	case errors.Is(err, trust.ErrExists):
		return fail(Exists, "", "%s", sentence(err)).about("pem")
	case errors.Is(err, trust.ErrLimit):
		return fail(Conflict, "remove one first", "%s", sentence(err)).because(LimitReached)
	case errors.Is(err, trust.ErrOlderCRL):
		return fail(Conflict, "", "%s", sentence(err)).about("crl")
	case errors.Is(err, trust.ErrBadCRL):
		return fail(Invalid, "", "%s", sentence(err)).about("crl")
	case errors.Is(err, trust.ErrSetting):
		return fail(Invalid, "", "%s", sentence(err))
	case errors.Is(err, trust.ErrFetch):
		return fail(Unavailable, "", "%s", sentence(err)).about("crl_url")
	}
	for _, bad := range []error{trust.ErrMalformed, trust.ErrPrivateKey, trust.ErrNotCA, trust.ErrWeakKey, trust.ErrExpired, trust.ErrNotYetValid} {
		if errors.Is(err, bad) {
			return fail(Invalid, "", "%s", sentence(err)).about("pem")
		}
	}
	return fault(err)
}
