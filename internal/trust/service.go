package trust

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern/postern/auth"
)

// A FetchFunc gets what a URL names, for CRLs with GET, for OCSP with POST and a
// body of that content type. It follows no redirect to another scheme than http
// and https, reads at most MaxCRL bytes (more is an error), takes an answer other
// than 200 for an error, and ends with ctx, which has a deadline.
type FetchFunc func(ctx context.Context, method, url, contentType string, body []byte) ([]byte, error)

// Config of a Service.
type Config struct {
	Store Store
	// Fetch gets CRLs and asks OCSP responders; nil = neither can be had.
	Fetch FetchFunc
	// Family tells the family that a listener speaks; nil = "" for all.
	Family func(listener string) string
	// MinRSA is how many bits an RSA key must have at a listener; nil, or fewer
	// than the constant MinRSA, means that.
	MinRSA func(listener string) int
	// Responder tells the OCSP responder that must be asked at a listener, whatever
	// the CAs say; "" = none. nil means none at all.
	Responder func(listener string) string
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Log is told of CRLs that could not be refreshed; nil means silence.
	Log *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Family == nil {
		c.Family = func(string) string { return "" }
	}
	if c.MinRSA == nil {
		c.MinRSA = func(string) int { return MinRSA }
	}
	if c.Responder == nil {
		c.Responder = func(string) string { return "" }
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// A Service knows the CAs and judges certificates by them. It is safe for
// concurrent use.
type Service struct {
	c    Config
	ocsp *responder

	set        atomic.Pointer[set]
	generation atomic.Uint64
	changed    chan struct{} // wakes Run

	mu sync.Mutex // one change at a time: guards that set and store agree
}

// New returns a Service that trusts nobody until Load.
func New(c Config) (*Service, error) {
	if c.Store == nil {
		return nil, errors.New("trust: no store")
	}
	s := &Service{c: c.withDefaults(), ocsp: newResponder(c.Fetch), changed: make(chan struct{}, 1)}
	s.set.Store(newSet(nil))
	return s, nil
}

// Load reads the CAs from the store. It may be called again where somebody else
// has changed them.
func (s *Service) Load(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	records, err := s.c.Store.CAs(ctx)
	if err != nil {
		return fmt.Errorf("trust: load: %w", err)
	}
	all := make([]*authority, 0, len(records))
	for _, r := range records {
		a, err := newAuthority(r)
		if err != nil {
			return err
		}
		all = append(all, a)
	}
	s.replace(newSet(all))
	return nil
}

// replace makes what is now on stable storage count. mu is held.
func (s *Service) replace(n *set) {
	s.set.Store(n)
	s.raise()
	select {
	case s.changed <- struct{}{}:
	default: // Run has not seen the last one yet, and will see both
	}
}

func (s *Service) raise() { s.generation.Add(1) }

// Generation is raised by every change of a CA, a CRL or a certificate of an
// account, after it counts. A verdict is worth keeping with the generation that
// was read before Judge.
func (s *Service) Generation() uint64 { return s.generation.Load() }

func (s *Service) minRSA(listener string) int { return max(MinRSA, s.c.MinRSA(listener)) }

// Add trusts a CA: ErrMalformed, ErrPrivateKey, ErrNotCA, ErrWeakKey, ErrExpired,
// ErrSetting, ErrExists, ErrLimit. The list of one with a CRLURL is fetched first:
// ErrFetch, ErrBadCRL. One whose time has not come may be added.
func (s *Service) Add(ctx context.Context, n NewCA) (CA, error) {
	a, r, err := s.prepare(ctx, n)
	if err != nil {
		return CA{}, fmt.Errorf("trust: add a CA: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.c.Now().UTC()
	if err := s.c.Store.AddCA(ctx, r, MaxCAs, at); err != nil {
		return CA{}, fmt.Errorf("trust: add a CA: %w", err)
	}
	a.ca.Created = at
	s.replace(s.set.Load().with(a))
	return a.ca, nil
}

func (s *Service) prepare(ctx context.Context, n NewCA) (*authority, Record, error) {
	if err := checkNew(n); err != nil {
		return nil, Record{}, err
	}
	c, err := ParseCertificate(n.Text)
	if err == nil {
		err = CheckIssuer(c)
	}
	if err == nil {
		err = checkKey(c, s.minRSA(n.Listener))
	}
	if err == nil && s.c.Now().After(c.NotAfter) {
		err = checkTime(c, s.c.Now())
	}
	if err == nil && !n.AnyUsage && checkExtended(c) != nil {
		err = fmt.Errorf("%w: %s is not for those of clients", ErrNotCA, describe(c))
	}
	if err != nil {
		return nil, Record{}, err
	}
	a := &authority{ca: CA{
		ID: idOf(n.Listener, n.Family, c.Raw), Listener: n.Listener, Family: n.Family, Name: n.Name, Certificate: c,
		CRLURL: n.CRLURL, OCSP: n.OCSP, OCSPURL: n.OCSPURL, AnyUsage: n.AnyUsage,
	}}
	r := Record{
		ID: a.ca.ID, Listener: n.Listener, Family: n.Family, Name: n.Name, DER: c.Raw,
		CRLURL: n.CRLURL, OCSP: n.OCSP, OCSPURL: n.OCSPURL, AnyUsage: n.AnyUsage,
	}
	if n.CRLURL != "" {
		var l *list
		if l, r.CRL, err = s.fetchList(ctx, a); err != nil {
			return nil, Record{}, err
		}
		a = a.withList(l)
	}
	return a, r, nil
}

// Remove trusts it no longer: ErrNotFound.
func (s *Service) Remove(ctx context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.c.Store.RemoveCA(ctx, id, s.c.Now()); err != nil {
		return fmt.Errorf("trust: remove the CA %.40s: %w", id, err)
	}
	s.replace(s.set.Load().without(id))
	return nil
}

// CA returns one of them: ErrNotFound.
func (s *Service) CA(id string) (CA, error) {
	if a := s.set.Load().find(id); a != nil {
		return a.ca, nil
	}
	return CA{}, ErrNotFound
}

// All returns all CAs, the oldest first.
func (s *Service) All() []CA {
	var out []CA
	for _, a := range s.set.Load().all {
		out = append(out, a.ca)
	}
	return out
}

// CAs returns those that count at a listener, the oldest first.
func (s *Service) CAs(listener string) []CA {
	var out []CA
	for _, a := range s.set.Load().all {
		if a.ca.counts(listener, s.c.Family(listener)) {
			out = append(out, a.ca)
		}
	}
	return out
}

// AddAccountCertificate registers one certificate (PEM or DER) for an account:
// ErrMalformed, ErrPrivateKey, ErrNotFound, ErrExists, ErrLimit. Whether it is good
// is judged when it is used.
func (s *Service) AddAccountCertificate(ctx context.Context, accountID string, name auth.AccountName, text []byte) (AccountCertificate, error) {
	c, err := ParseCertificate(text)
	if err != nil {
		return AccountCertificate{}, fmt.Errorf("trust: add a certificate of %s: %w", name, err)
	}
	ac := AccountCertificate{AccountID: accountID, Account: name, Fingerprint: FingerprintOf(c), DER: c.Raw, Created: s.c.Now().UTC()}
	if err := s.c.Store.AddAccountCertificate(ctx, ac, MaxAccountCertificates, ac.Created); err != nil {
		return AccountCertificate{}, fmt.Errorf("trust: add a certificate of %s: %w", name, err)
	}
	s.raise()
	ac.Certificate = c
	return ac, nil
}

// AccountCertificates returns those of an account, the oldest first.
func (s *Service) AccountCertificates(ctx context.Context, accountID string) ([]AccountCertificate, error) {
	all, err := s.c.Store.AccountCertificates(ctx, accountID)
	for i := range all {
		if err == nil {
			all[i].Certificate, err = ParseCertificate(all[i].DER)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("trust: certificates of an account: %w", err)
	}
	return all, nil
}

// RemoveAccountCertificate: ErrNotFound.
func (s *Service) RemoveAccountCertificate(ctx context.Context, accountID string, f Fingerprint) error {
	if err := s.c.Store.RemoveAccountCertificate(ctx, accountID, f, s.c.Now()); err != nil {
		return fmt.Errorf("trust: remove a certificate: %w", err)
	}
	s.raise()
	return nil
}

// AccountByFingerprint tells whose certificate it is: ErrNotFound. The result holds
// as long as Generation and the account's own version stay the same.
func (s *Service) AccountByFingerprint(ctx context.Context, f Fingerprint) (AccountCertificate, error) {
	return s.c.Store.AccountByFingerprint(ctx, f)
}
