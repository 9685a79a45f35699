package sim

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/admin"
	"github.com/postern/postern/internal/trust"
)

// ServerCertificates is where the certificate that a device shows in its
// handshakes can be read and replaced; the methods are those of the service's
// Desk, and so are their errors.
type ServerCertificates interface {
	ServerCertificate(ctx context.Context, listener string) (admin.Certificate, error)
	ReplaceServerCertificate(ctx context.Context, listener, chain string, key auth.Secret) (admin.Certificate, error)
	CertificateRequest(ctx context.Context, listener string, r admin.CSRRequest) (string, error)
}

// trustIn makes the part that judges certificates, with the CAs of the Config.
func (a *authority) trustIn(cfg Config) (err error) {
	if a.trust, err = trust.New(trust.Config{Store: trustStore{a}, Now: cfg.clock, Log: cfg.Log}); err != nil {
		return err
	}
	for i, text := range cfg.ClientCAs {
		if _, err := a.trust.Add(context.Background(), trust.NewCA{Listener: listener, Text: []byte(text)}); err != nil {
			return fmt.Errorf("sim: client CA %d: %w", i+1, err)
		}
	}
	a.rules.Certificates = len(cfg.ClientCAs) > 0
	return nil
}

// certified returns the account that a client's certificate names, if it is a
// good one. It is judged at every request, so that whatever changes counts at once.
func (a *authority) certified(ctx context.Context, chain []*x509.Certificate) (auth.Principal, error) {
	if len(chain) == 0 {
		return auth.Principal{}, auth.ErrBadCredentials
	}
	a.mu.Lock()
	mapping := a.rules.Mapping
	a.mu.Unlock()
	name, err := a.named(ctx, mapping, chain)
	if err != nil {
		return auth.Principal{}, errors.Join(auth.ErrBadCredentials, err)
	}
	noteFrom(ctx).user = string(name)
	a.mu.Lock()
	defer a.mu.Unlock()
	k := a.find(name)
	if k == nil || k.disabled {
		return auth.Principal{}, auth.ErrBadCredentials
	}
	if a.unlock(k); k.locked {
		return auth.Principal{}, auth.ErrBadCredentials
	}
	return a.principal(k, ""), nil
}

// named judges a chain and returns the name of the account that it is for.
func (a *authority) named(ctx context.Context, mapping admin.Mapping, chain []*x509.Certificate) (auth.AccountName, error) {
	if mapping == admin.MapWhole {
		own, err := a.trust.AccountByFingerprint(ctx, trust.FingerprintOf(chain[0]))
		if err != nil {
			return "", err
		}
		_, err = a.trust.JudgeLeaf(ctx, listener, chain)
		return own.Account, err
	}
	if _, err := a.trust.Judge(ctx, listener, chain); err != nil {
		return "", err
	}
	if mapping == admin.MapCommonName {
		cn, err := trust.CommonName(chain[0])
		return auth.AccountName(cn), err
	}
	upn, err := trust.UPN(chain[0])
	return auth.AccountName(trust.UPNUser(upn, a.host)), err
}

// CAs returns the authorities whose certificates are let in.
func (d *desk) CAs(context.Context, string) ([]admin.Certificate, error) {
	all := []admin.Certificate{}
	for _, ca := range d.trust.CAs(listener) {
		all = append(all, describeCA(ca))
	}
	return all, nil
}

func describeCA(ca trust.CA) admin.Certificate {
	c := admin.Describe(ca.Certificate)
	c.ID, c.Name, c.Listener, c.CRLURL, c.OCSP = ca.ID, ca.Name, ca.Listener, ca.CRLURL, admin.OCSPMode(ca.OCSP)
	c.HasCRL = ca.CRL != nil
	return c
}

// AddCA lets in the certificates of one more. A device fetches no CRLs and asks
// no OCSP responders.
func (d *desk) AddCA(ctx context.Context, n admin.NewCA) (admin.Certificate, error) {
	if n.CRLURL != "" || n.OCSP != admin.OCSPOff {
		return admin.Certificate{}, refuse(admin.Invalid, "crl_url", "", "a simulated device asks nobody about revocation")
	}
	ca, err := d.trust.Add(ctx, trust.NewCA{Listener: listener, Name: n.Name, Text: []byte(n.PEM)})
	if err != nil {
		return admin.Certificate{}, certificateFault(err)
	}
	return describeCA(ca), nil
}

// RemoveCA lets in the certificates of one less.
func (d *desk) RemoveCA(ctx context.Context, _, id string) error {
	return certificateFault(d.trust.Remove(ctx, id))
}

// AccountCertificates returns those by which an account is known.
func (d *desk) AccountCertificates(ctx context.Context, name auth.AccountName) ([]admin.Certificate, error) {
	id, err := d.accountID(name)
	if err != nil {
		return nil, err
	}
	own, err := d.trust.AccountCertificates(ctx, id)
	if err != nil {
		return nil, certificateFault(err)
	}
	all := []admin.Certificate{}
	for _, c := range own {
		all = append(all, admin.Describe(c.Certificate))
	}
	return all, nil
}

// AddAccountCertificate makes an account known by one more.
func (d *desk) AddAccountCertificate(ctx context.Context, name auth.AccountName, pem string) (admin.Certificate, error) {
	id, err := d.accountID(name)
	if err != nil {
		return admin.Certificate{}, err
	}
	c, err := d.trust.AddAccountCertificate(ctx, id, name, []byte(pem))
	if err != nil {
		return admin.Certificate{}, certificateFault(err)
	}
	return admin.Describe(c.Certificate), nil
}

// RemoveAccountCertificate makes an account known by one less.
func (d *desk) RemoveAccountCertificate(ctx context.Context, name auth.AccountName, id string) error {
	owner, err := d.accountID(name)
	if err != nil {
		return err
	}
	f, err := trust.ParseFingerprint(id)
	if err != nil {
		return certificateFault(trust.ErrNotFound)
	}
	return certificateFault(d.trust.RemoveAccountCertificate(ctx, owner, f))
}

func (d *desk) accountID(name auth.AccountName) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if k := d.find(name); k != nil {
		return k.id, nil
	}
	return "", noAccount(name)
}

// certificateFault words what the certificates were refused with.
func certificateFault(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, trust.ErrNotFound):
		return refuse(admin.NotFound, "", "", "%v", err)
	case errors.Is(err, trust.ErrExists):
		return refuse(admin.Exists, "pem", "", "%v", err)
	case errors.Is(err, trust.ErrLimit):
		return refuse(admin.Conflict, "", admin.LimitReached, "%v", err)
	}
	return refuse(admin.Invalid, "pem", "", "%v", err)
}

// A trustStore keeps the CAs and the certificates of accounts in the authority,
// the latter with their accounts: they go when those do.
type trustStore struct{ *authority }

var _ trust.Store = trustStore{}

// AddCA is trust.Store's.
func (s trustStore) AddCA(_ context.Context, r trust.Record, limit int, at time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.caAt(r.ID) >= 0:
		return trust.ErrExists
	case limit > 0 && len(s.cas) >= limit:
		return trust.ErrLimit
	}
	r.Created = at
	s.cas = append(s.cas, r)
	return nil
}

// caAt returns the place of a CA, or -1; a.mu is held.
func (a *authority) caAt(id string) int {
	return slices.IndexFunc(a.cas, func(r trust.Record) bool { return r.ID == id })
}

// CAs is trust.Store's.
func (s trustStore) CAs(context.Context) ([]trust.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.cas), nil
}

// RemoveCA is trust.Store's.
func (s trustStore) RemoveCA(_ context.Context, id string, _ time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.caAt(id)
	if i < 0 {
		return trust.ErrNotFound
	}
	s.cas = slices.Delete(s.cas, i, i+1)
	return nil
}

// SetCRL is trust.Store's.
func (s trustStore) SetCRL(_ context.Context, id string, crl []byte, _ time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.caAt(id)
	if i < 0 {
		return trust.ErrNotFound
	}
	s.cas[i].CRL = crl
	return nil
}

// AddAccountCertificate is trust.Store's.
func (s trustStore) AddAccountCertificate(_ context.Context, c trust.AccountCertificate, limit int, at time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.byAccountID(c.AccountID)
	switch {
	case k == nil:
		return trust.ErrNotFound
	case s.holder(c.Fingerprint) != nil:
		return trust.ErrExists
	case limit > 0 && len(k.certs) >= limit:
		return trust.ErrLimit
	}
	c.Created = at
	k.certs = append(k.certs, c)
	return nil
}

// byAccountID returns the account with that id; a.mu is held.
func (a *authority) byAccountID(id string) *known {
	for _, k := range a.accounts {
		if k.id == id {
			return k
		}
	}
	return nil
}

// holder returns whose certificate it is; a.mu is held.
func (a *authority) holder(f trust.Fingerprint) *known {
	for _, k := range a.accounts {
		if k.certAt(f) >= 0 {
			return k
		}
	}
	return nil
}

func (k *known) certAt(f trust.Fingerprint) int {
	return slices.IndexFunc(k.certs, func(c trust.AccountCertificate) bool { return c.Fingerprint == f })
}

// AccountCertificates is trust.Store's.
func (s trustStore) AccountCertificates(_ context.Context, accountID string) ([]trust.AccountCertificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.byAccountID(accountID); k != nil {
		return slices.Clone(k.certs), nil
	}
	return nil, nil
}

// AccountByFingerprint is trust.Store's.
func (s trustStore) AccountByFingerprint(_ context.Context, f trust.Fingerprint) (trust.AccountCertificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.holder(f)
	if k == nil {
		return trust.AccountCertificate{}, trust.ErrNotFound
	}
	return k.certs[k.certAt(f)], nil
}

// RemoveAccountCertificate is trust.Store's.
func (s trustStore) RemoveAccountCertificate(_ context.Context, accountID string, f trust.Fingerprint, _ time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.byAccountID(accountID)
	if k == nil || k.certAt(f) < 0 {
		return trust.ErrNotFound
	}
	i := k.certAt(f)
	k.certs = slices.Delete(k.certs, i, i+1)
	return nil
}
