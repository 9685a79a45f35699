package sim

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"

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
	if a.trust, err = trust.New(trust.Config{
		Store: &trust.MemoryStore{Account: a.nameOf}, Fetch: cfg.Fetch, Responder: a.responder, Now: cfg.clock, Log: cfg.Log,
	}); err != nil {
		return err
	}
	for i, text := range cfg.ClientCAs {
		if _, err := a.trust.Add(context.Background(), trust.NewCA{Listener: Listener, Text: []byte(text)}); err != nil {
			return fmt.Errorf("sim: client CA %d: %w", i+1, err)
		}
	}
	a.rules.Certificates = len(cfg.ClientCAs) > 0
	return nil
}

// AsksForCertificates reports whether clients are to be asked for certificates
// in the next handshake, and whether one without a good one is to fail.
func (d *Device) AsksForCertificates() (ask, strict bool) {
	d.auth.mu.Lock()
	defer d.auth.mu.Unlock()
	if d.cfg.isILO() { // there is but the one port, and what a certificate is worth is found out later
		return true, false
	}
	return d.auth.rules.Certificates, d.auth.rules.CertificateStrict
}

// JudgeCertificate returns why a client that shows this chain, its own
// certificate first, is not let in.
func (d *Device) JudgeCertificate(ctx context.Context, chain []*x509.Certificate) error {
	_, err := d.auth.certified(ctx, chain)
	return err
}

// certified returns the account that a client's certificate names, if it is a
// good one. It is judged at every request, so that whatever changes counts at once.
func (a *authority) certified(ctx context.Context, chain []*x509.Certificate) (auth.Principal, error) {
	if len(chain) == 0 {
		return auth.Principal{}, fmt.Errorf("sim: %w: %w", auth.ErrBadCredentials, trust.ErrMalformed)
	}
	p, err := a.holder(ctx, chain)
	if err != nil {
		return auth.Principal{}, fmt.Errorf("sim: %w: certificate %s: %w", auth.ErrBadCredentials, trust.FingerprintOf(chain[0]), err)
	}
	return p, nil
}

var (
	errNobody   = errors.New("it names no account")
	errDisabled = errors.New("its account is disabled")
	errLocked   = errors.New("its account is locked")
)

// holder returns the account that a good chain is for.
func (a *authority) holder(ctx context.Context, chain []*x509.Certificate) (auth.Principal, error) {
	a.mu.Lock()
	mapping := a.rules.Mapping
	a.mu.Unlock()
	name, err := a.named(ctx, mapping, chain)
	if err != nil {
		return auth.Principal{}, err
	}
	noteFrom(ctx).user = string(name)
	a.mu.Lock()
	defer a.mu.Unlock()
	k := a.find(name)
	if k == nil {
		return auth.Principal{}, errNobody
	}
	if k.disabled {
		return auth.Principal{}, errDisabled
	}
	if a.unlock(k); k.locked {
		return auth.Principal{}, errLocked
	}
	return a.principal(k, ""), nil
}

// named judges a chain and returns the name of the account that it is for.
func (a *authority) named(ctx context.Context, mapping admin.Mapping, chain []*x509.Certificate) (auth.AccountName, error) {
	if mapping == admin.MapWhole {
		own, err := a.trust.AccountByFingerprint(ctx, trust.FingerprintOf(chain[0]))
		if errors.Is(err, trust.ErrNotFound) {
			return "", errNobody
		}
		if err != nil {
			return "", err
		}
		_, err = a.trust.JudgeLeaf(ctx, Listener, chain)
		return own.Account, err
	}
	if _, err := a.trust.Judge(ctx, Listener, chain); err != nil {
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
	for _, ca := range d.trust.CAs(Listener) {
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
	ca, err := d.trust.Add(ctx, trust.NewCA{Listener: Listener, Name: n.Name, Text: []byte(n.PEM)})
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

// nameOf returns the name of the account with that id, if it is there.
func (a *authority) nameOf(id string) (auth.AccountName, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, k := range a.accounts {
		if k.id == id {
			return k.Name, true
		}
	}
	return "", false
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
