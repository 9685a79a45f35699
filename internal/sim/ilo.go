package sim

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/admin"
	"github.com/postern/postern/internal/directory"
	"github.com/postern/postern/internal/passcode"
	"github.com/postern/postern/internal/service/hpe"
	"github.com/postern/postern/internal/trust"
	"github.com/postern/postern/redfish"
)

// The names of the profiles whose devices have more than the generic one.
const (
	profileILO = "ilo" // and ilo5, ilo7
	profileRMC = "rmc"
)

// isILO reports whether the device is an iLO.
func (c *Config) isILO() bool { return c.Profile.Generation != 0 }

// An ilo is what an iLO has besides accounts and sessions; a.mu guards it.
type ilo struct {
	is       bool // the device is one; not changed
	settings hpe.Settings
	reset    time.Time       // when somebody asked for a reset that has not begun; zero: nobody
	fetch    trust.FetchFunc // not changed

	failed map[string]int // wrong passwords in a row, by account and by source

	directory *directory.Directory // as the settings have it; nil: none that can be asked
	codes     *passcode.Book       // not changed, and so are the CAs
	peopleCAs *x509.CertPool
	mailCAs   *x509.CertPool
}

func newILO(cfg Config, f *faults, now time.Time) ilo {
	set := hpe.FirstSettings(!cfg.NoLicence, now)
	set.NTPByDHCP = f.timeByDHCP
	return ilo{
		is: true, settings: set, fetch: cfg.Fetch, failed: make(map[string]int),
		codes: passcode.New(cfg.clock), peopleCAs: cfg.DirectoryRoots, mailCAs: cfg.MailRoots,
	}
}

// maxFailed bounds the accounts and sources that are remembered for a wrong
// password; beyond it all are forgotten.
const maxFailed = 1000

// delay says how long the answer to a login or Basic call waits, and counts it:
// of wrong passwords in a row, by account or from one address, the first few are
// answered at once, the next ones later. a.mu is held.
func (a *authority) delay(try auth.Attempt, good bool) time.Duration {
	if !a.ilo.is || try.Kind != auth.Password {
		return 0
	}
	keys := []string{"account " + string(try.Account), "source " + try.Source.String()}
	if good {
		for _, key := range keys {
			delete(a.ilo.failed, key)
		}
		return 0
	}
	if len(a.ilo.failed) >= maxFailed {
		clear(a.ilo.failed)
	}
	most := 0
	for _, key := range keys {
		a.ilo.failed[key]++
		most = max(most, a.ilo.failed[key])
	}
	return a.delayAfter(most - 1)
}

// delayAfter is how long the answer to a wrong password waits after so many.
func (a *authority) delayAfter(before int) time.Duration {
	set := a.ilo.settings
	if before < set.FailuresBefore {
		return 0
	}
	return time.Duration(set.FailureDelay) * time.Second
}

// FailureDelay is how long the next wrong password from an address waits.
func (o office) FailureDelay(source netip.Addr) time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.delayAfter(o.ilo.failed["source "+source.String()])
}

// certificatePage is where a client with a certificate logs in to an iLO.
const certificatePage = "/html/login_cert.html"

// An office is where the iLO's own resources keep what they show. It adds no
// state to that of the authority. Safe for concurrent use.
type office struct{ *desk }

var _ hpe.Office = office{}

// hpePrivileges are what a session shows of its account's privileges.
func (a *authority) hpePrivileges(p auth.Principal) redfish.HPEPrivileges {
	a.mu.Lock()
	defer a.mu.Unlock()
	if k := a.find(p.Account); k != nil && k.id == p.AccountID {
		return a.ownPrivileges(k).Wire()
	}
	return redfish.HPEPrivilegesOf(p.Privileges)
}

// People returns all accounts, by number.
func (o office) People(context.Context) ([]hpe.Person, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := make([]hpe.Person, 0, len(o.accounts))
	for _, k := range o.accounts {
		all = append(all, hpe.Person{
			Account: o.view(k), ID: k.id, LoginName: cmp.Or(k.called, string(k.Name)), Privileges: o.ownPrivileges(k),
		})
	}
	slices.SortFunc(all, func(x, y hpe.Person) int { return cmp.Compare(number(x.ID), number(y.ID)) })
	return all, nil
}

// number is that of an account; the ids here are numbers.
func number(id string) int {
	n, err := strconv.Atoi(id)
	if err != nil {
		return 0
	}
	return n
}

// ownPrivileges are the ten of an account: those of its role, or others that
// somebody gave it one by one. a.mu is held.
func (a *authority) ownPrivileges(k *known) hpe.Privileges {
	if k.ten != nil {
		return *k.ten
	}
	return hpe.Of(a.privilegesOf(k.Role))
}

// SetPerson changes what an iLO knows of an account besides.
func (o office) SetPerson(ctx context.Context, name auth.AccountName, c hpe.PersonChange) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	k := o.find(name)
	if k == nil {
		return noAccount(name)
	}
	if c.LoginName != nil {
		k.called = *c.LoginName
	}
	if c.Privileges != nil {
		k.ten = new(*c.Privileges)
	}
	k.version++
	k.updated = o.now()
	o.tell(eventResourceUpdated, name)
	return nil
}

// Settings returns them as they are.
func (o office) Settings(context.Context) (hpe.Settings, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.ilo.settings, nil
}

// ChangeSettings changes all of them or nothing.
func (o office) ChangeSettings(_ context.Context, change func(*hpe.Settings) error) (hpe.Settings, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	next := o.ilo.settings
	if err := change(&next); err != nil {
		return hpe.Settings{}, err
	}
	o.ilo.settings = next
	o.useDirectory()
	return next, nil
}

// ImportCRL fetches a list and gives it to the CA that has signed it.
func (o office) ImportCRL(ctx context.Context, uri string) error {
	if o.ilo.fetch == nil {
		return refuse(admin.Invalid, "crl", "", "the device reaches no network")
	}
	ctx, cancel := context.WithTimeout(ctx, crlTime)
	defer cancel()
	text, err := o.ilo.fetch(ctx, "GET", uri, "", nil)
	if err != nil {
		return refuse(admin.Invalid, "crl", "", "the revocation list cannot be fetched: %v", err)
	}
	err = trust.ErrUntrusted
	for _, ca := range o.trust.CAs(Listener) {
		if err = o.trust.SetCRL(ctx, ca.ID, text); err == nil {
			return nil
		}
	}
	return refuse(admin.Invalid, "crl", "", "the revocation list is of none of the CAs: %v", err)
}

// crlTime bounds the fetching of a revocation list, for which a client waits.
const crlTime = 10 * time.Second

// RemoveCRLs forgets all lists.
func (o office) RemoveCRLs(ctx context.Context) error {
	for _, ca := range o.trust.CAs(Listener) {
		if ca.CRL == nil {
			continue
		}
		if err := o.trust.RemoveCRL(ctx, ca.ID); err != nil && !errors.Is(err, trust.ErrNotFound) {
			return err
		}
	}
	return nil
}

// CRLs tells of the lists that are there.
func (o office) CRLs(context.Context) ([]hpe.CRL, error) {
	var all []hpe.CRL
	for _, ca := range o.trust.CAs(Listener) {
		if ca.CRL != nil {
			all = append(all, hpe.CRL{Issuer: ca.Certificate.Subject.String(), Number: ca.CRL.Number})
		}
	}
	return all, nil
}

// A resetter is ServerCertificates that can go back to the first one.
type resetter interface {
	ResetServerCertificate(ctx context.Context, listener string) error
}

// ResetServerCertificate has the device show its first certificate again.
func (o office) ResetServerCertificate(ctx context.Context, listener string) error {
	if r, ok := o.ServerCertificates.(resetter); ok {
		return r.ResetServerCertificate(ctx, listener)
	}
	return errNoCertificates
}

// resetAfter is how long after it was asked for a reset of the manager begins, so
// that whoever asked can read what the answer means (observed: ilorest 7.4 asks
// for the registries then). Who logs in in between stays.
const resetAfter = 5 * time.Second

// Restart ends every session there is, that of the request, too, when the reset
// begins.
func (o office) Restart(context.Context) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ilo.reset = o.now()
}

// restart begins the reset that is due, if one is; a.mu is held.
func (a *authority) restart() {
	if asked := a.ilo.reset; !asked.IsZero() && a.now().Sub(asked) >= resetAfter {
		a.ilo.reset = time.Time{}
		a.expireList(a.byAge, func(s *session) bool { return !s.Created.After(asked) })
	}
}

// Clock is the device's.
func (o office) Clock() time.Time { return o.now() }

// byCertificate is Check for a client certificate.
func (a *authority) byCertificate(ctx context.Context, try auth.Attempt) (auth.Principal, error) {
	if !a.ilo.is {
		return a.certified(ctx, try.Chain)
	}
	k, err := a.certificateLogin(ctx, try)
	if err != nil {
		return auth.Principal{}, fmt.Errorf("sim: %w: %w", auth.ErrBadCredentials, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.principal(k, ""), nil
}

// certificateLogin finds the account that a certificate is mapped to. The checks
// come in the order of the dossier: what the peer lacks is told last.
func (a *authority) certificateLogin(ctx context.Context, try auth.Attempt) (*known, error) {
	if len(try.Chain) == 0 {
		return nil, errors.New("no certificate came with the handshake")
	}
	a.mu.Lock()
	set := a.ilo.settings
	a.mu.Unlock()
	switch {
	case !set.Licence.Advanced():
		return nil, auth.ErrNotLicensed
	case !set.CertificateLogin:
		return nil, auth.ErrMethodOff
	}
	leaf := try.Chain[0]
	fingerprint := trust.FingerprintOf(leaf)
	if err := a.judge(ctx, try); err != nil {
		return nil, fmt.Errorf("certificate %s: %w", fingerprint, err)
	}
	own, err := a.trust.AccountByFingerprint(ctx, fingerprint)
	if err != nil {
		return nil, fmt.Errorf("certificate %s is mapped to nobody: %w", fingerprint, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	k := a.find(own.Account)
	switch {
	case k == nil:
		return nil, fmt.Errorf("certificate %s: no account %q", fingerprint, own.Account)
	case k.disabled:
		return nil, fmt.Errorf("certificate %s: account %q is disabled", fingerprint, k.Name)
	case !a.ownPrivileges(k).Has(hpe.LoginPriv):
		return nil, fmt.Errorf("certificate %s: account %q may not log in", fingerprint, k.Name)
	case k.MustChangePassword:
		return nil, fmt.Errorf("certificate %s: account %q must change its password first", fingerprint, k.Name)
	}
	return k, nil
}

// judge judges a certificate, whoever it is mapped to. One that is self-signed
// passes without a CA where it is mapped; that of a CA itself never does.
func (a *authority) judge(ctx context.Context, try auth.Attempt) error {
	leaf := try.Chain[0]
	for _, ca := range a.trust.CAs(Listener) {
		if ca.Certificate.Equal(leaf) {
			return fmt.Errorf("%w: it is a CA's own", trust.ErrUsage)
		}
	}
	if _, err := a.trust.AccountByFingerprint(ctx, trust.FingerprintOf(leaf)); err != nil {
		_, err := a.trust.Judge(ctx, Listener, try.Chain)
		return err
	}
	_, err := a.trust.JudgeLeaf(ctx, Listener, try.Chain)
	return err
}

// hpeConfig is that of the service in front of an iLO's tree.
func (d *Device) hpeConfig(desk *desk, next http.Handler) hpe.Config {
	behind := children(d.root())
	delete(behind, "LicenseService") // an iLO has one of its own
	return hpe.Config{
		Desk: desk, Office: office{desk}, Listener: Listener, Generation: d.cfg.Profile.Generation,
		Name: d.cfg.Name, UUID: d.uuid("manager"), Types: d.store.tree.wholeTypes(), Children: behind,
		RefuseLicences: d.faults.badLicence, Next: next, Log: d.cfg.Log,
	}
}

// responder is the OCSP responder that somebody has set; "" for none.
func (a *authority) responder(string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ilo.settings.OCSPURI
}

// admits reports whether a request is to be answered where nobody comes in
// without a good certificate. The root is: HPE's clients read it before they
// show theirs (observed: ilorest 7.4).
func (d *Device) admits(r *http.Request, path string) bool {
	d.auth.mu.Lock()
	set := d.auth.ilo.settings
	d.auth.mu.Unlock()
	if !set.CertificateLogin || !set.StrictCertificate || path == rootPath+"/" || path == versionsPath {
		return true
	}
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return false
	}
	return d.auth.judge(r.Context(), auth.Attempt{Kind: auth.Certificate, Chain: r.TLS.PeerCertificates}) == nil
}

// shutOut answers whoever shows no good certificate where nobody comes in
// without one.
func (d *Device) shutOut(w http.ResponseWriter, r *http.Request) {
	d.cfg.Log.LogAttrs(r.Context(), slog.LevelInfo, "request without a good client certificate refused", slog.String("peer", r.RemoteAddr))
	d.cfg.Profile.Refuse(w, r, auth.ErrNoSession)
}
