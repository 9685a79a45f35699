package trust

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
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
	// MinRSA is how many bits an RSA key must have at a listener; nil, or less
	// than MinRSA, means MinRSA.
	MinRSA func(listener string) int
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Log is told of CRLs that could not be refreshed; nil means silence.
	Log *slog.Logger
}

// A Service knows the CAs and judges certificates by them. It is safe for
// concurrent use.
type Service struct{ c Config }

// New returns a Service that trusts nobody until Load.
func New(c Config) (*Service, error) { return &Service{c}, nil }

// Load reads the CAs from the store. It may be called again where somebody else
// has changed them.
func (s *Service) Load(ctx context.Context) error { return errors.ErrUnsupported }

// Run refreshes CRLs before their time ends, until ctx does.
func (s *Service) Run(ctx context.Context) error { <-ctx.Done(); return nil }

// Generation is raised by every change of a CA, a CRL or a certificate of an account.
func (s *Service) Generation() uint64 { return 0 }

// Add trusts a CA: ErrMalformed, ErrPrivateKey, ErrNotCA, ErrWeakKey, ErrExpired,
// ErrNotYetValid, ErrBadURL, ErrBadMode, ErrExists, ErrLimit; with a CRLURL also
// ErrFetch and what SetCRL refuses with.
func (s *Service) Add(ctx context.Context, n NewCA) (CA, error) { return CA{}, errors.ErrUnsupported }

// Remove trusts it no longer: ErrNotFound.
func (s *Service) Remove(ctx context.Context, id string) error { return errors.ErrUnsupported }

// CA returns one of them: ErrNotFound.
func (s *Service) CA(id string) (CA, error) { return CA{}, ErrNotFound }

// All returns all CAs, the oldest first.
func (s *Service) All() []CA { return nil }

// CAs returns those that count at a listener, the oldest first.
func (s *Service) CAs(listener string) []CA { return nil }

// SetCRL gives a CA its list (PEM or DER), which must be signed by it, within its
// time and not older than the one there: ErrNotFound, ErrBadCRL, ErrOlderCRL.
func (s *Service) SetCRL(ctx context.Context, id string, text []byte) error {
	return errors.ErrUnsupported
}

// RemoveCRL takes the list of a CA away: ErrNotFound.
func (s *Service) RemoveCRL(ctx context.Context, id string) error { return errors.ErrUnsupported }

// Judge says whether a client that sent this chain, its own certificate first,
// may be let in at the listener. Whether it has the key is for the handshake to
// have shown. The errors are the sentinels above ErrNoName, or ctx's.
func (s *Service) Judge(ctx context.Context, listener string, chain []*x509.Certificate) (Verdict, error) {
	return Verdict{}, errors.ErrUnsupported
}

// JudgeLeaf is Judge for a certificate that an account has registered. One that
// is self-signed passes without a CA, by its fingerprint, which the caller must
// have found to be the account's; its time and its key are judged all the same.
func (s *Service) JudgeLeaf(ctx context.Context, listener string, chain []*x509.Certificate) (Verdict, error) {
	return Verdict{}, errors.ErrUnsupported
}

// AddAccountCertificate registers one certificate (PEM or DER) for an account:
// ErrMalformed, ErrPrivateKey, ErrNotFound, ErrExists, ErrLimit.
func (s *Service) AddAccountCertificate(ctx context.Context, accountID string, name auth.AccountName, text []byte) (AccountCertificate, error) {
	return AccountCertificate{}, errors.ErrUnsupported
}

// AccountCertificates returns those of an account, the oldest first.
func (s *Service) AccountCertificates(ctx context.Context, accountID string) ([]AccountCertificate, error) {
	return nil, errors.ErrUnsupported
}

// RemoveAccountCertificate: ErrNotFound.
func (s *Service) RemoveAccountCertificate(ctx context.Context, accountID string, f Fingerprint) error {
	return errors.ErrUnsupported
}

// AccountByFingerprint tells whose certificate it is: ErrNotFound.
func (s *Service) AccountByFingerprint(ctx context.Context, f Fingerprint) (AccountCertificate, error) {
	return AccountCertificate{}, ErrNotFound
}
