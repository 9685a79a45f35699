package trust

import (
	"context"
	"crypto/x509"
	"errors"
	"time"

	"github.com/postern/postern/auth"
)

// Why a certificate is refused. Each error says in a sentence what is wrong with
// which certificate; that is for the log and for administrators, the peer learns
// none of it.
var (
	// ErrMalformed: no certificate, too many or too large ones, or none that can be read.
	ErrMalformed = errors.New("malformed certificate")
	// ErrUntrusted: no CA that counts at the listener has issued it.
	ErrUntrusted = errors.New("certificate of no trusted CA")
	// ErrExpired: it, or a CA above it, is past its end.
	ErrExpired = errors.New("certificate has expired")
	// ErrNotYetValid: its time, or that of a CA above it, has not come.
	ErrNotYetValid = errors.New("certificate is not valid yet")
	// ErrRevoked: a CRL or an OCSP answer says so.
	ErrRevoked = errors.New("certificate is revoked")
	// ErrWeakKey: a key is too short, or a signature of a kind that can be forged.
	ErrWeakKey = errors.New("certificate is too weak")
	// ErrUsage: it is not meant for a TLS client.
	ErrUsage = errors.New("certificate is not for a client")
	// ErrRevocationUnknown: revocation must be known here, and is not.
	ErrRevocationUnknown = errors.New("revocation of the certificate is not known")
	// ErrNoName: it is good, but has no name of the kind asked for, or several.
	ErrNoName = errors.New("certificate does not name one account")
)

// Why something is not taken over.
var (
	// ErrPrivateKey: the text holds a private key, which nobody should hand out.
	ErrPrivateKey = errors.New("this holds a private key: send the certificate alone")
	// ErrNotCA: the certificate may not issue others.
	ErrNotCA = errors.New("not the certificate of a CA")
	// ErrBadCRL: the list is not readable, not of that CA, or out of its time.
	ErrBadCRL = errors.New("bad certificate revocation list")
	// ErrOlderCRL: a newer list is there.
	ErrOlderCRL = errors.New("the certificate revocation list is older than the one there")
	// ErrSetting: a name, URL or OCSP mode that cannot be one.
	ErrSetting = errors.New("bad setting of a CA")
	// ErrFetch: what a URL names could not be had.
	ErrFetch = errors.New("cannot be fetched")
	// ErrExists: it is there already; a certificate belongs to one account alone.
	ErrExists = errors.New("certificate is there already")
	// ErrNotFound: there is no such CA, certificate or account.
	ErrNotFound = errors.New("no such certificate")
	// ErrLimit: as many are there as there may be.
	ErrLimit = errors.New("too many certificates")
)

// The limits of what is kept and read.
const (
	MaxCAs                 = 200      // of all listeners together; each Judge may look at all of them
	MaxAccountCertificates = 20       // of one account: a few devices, old and new
	MaxChain               = 10       // certificates that a peer may send; real chains have 1 to 4
	MaxChainBytes          = 64 << 10 // of these together; crypto/tls has the same bound in sum
	MaxText                = 64 << 10 // bytes of a certificate or chain to be read
	MaxCRL                 = 1 << 20  // bytes of a CRL, hence at most 52,000 entries
	MaxOCSP                = 64 << 10 // bytes of an OCSP answer; real ones have 0.5 to 3 KiB
	MinRSA                 = 2048     // bits of an RSA key where the listener asks for no more
	MinEC                  = 256      // bits of the curve of an EC key
	maxNameLen             = 128      // bytes of what a CA is called
	maxURL                 = 2048     // bytes
)

// OCSPMode says what a missing answer of a certificate's OCSP responder means.
type OCSPMode string

// The modes. An answer that says revoked, or that the responder does not know
// the certificate, refuses it in both of the last two.
const (
	OCSPOff      OCSPMode = ""         // nobody is asked
	OCSPSoft     OCSPMode = "soft"     // no answer: not revoked
	OCSPRequired OCSPMode = "required" // no answer: refused
)

// A NewCA is an authority to be trusted.
type NewCA struct {
	Listener string // where it counts; "" = at every listener of the family
	Family   string // "" = of every family
	Name     string // what it is called, at most 128 bytes of text
	// Text is one certificate, PEM with or without text around it, or DER. It
	// need not be self-signed: an intermediate CA may be trusted for itself.
	Text []byte
	// CRLURL is where the CA's list is fetched, now and before each end of its
	// time; "" = nowhere.
	CRLURL string
	OCSP   OCSPMode
	// OCSPURL is asked instead of the responder that a certificate names; "" =
	// that one.
	OCSPURL string
	// AnyUsage lets in certificates whose extended key usage lacks clientAuth,
	// as some CAs issue for servers alone.
	AnyUsage bool
}

// A CA is a trusted authority, at one listener or several. Where it has a CRL or
// a CRLURL, a certificate of its passes only while the list is within its time,
// or while an OCSP answer says that it is good.
type CA struct {
	ID          string // 20 hex digits, the same for the same certificate, listener and family
	Listener    string
	Family      string
	Name        string
	Certificate *x509.Certificate // shared: not to be changed
	CRL         *CRL              // nil = none is here
	CRLURL      string
	OCSP        OCSPMode
	OCSPURL     string
	AnyUsage    bool
	Created     time.Time
}

// A CRL is what may be told of a CA's certificate revocation list.
type CRL struct {
	Number     string    // decimal; "" = it has none
	ThisUpdate time.Time // when it was made
	NextUpdate time.Time // its end; zero = none
	Revoked    int       // entries
}

// An AccountCertificate belongs to one account, and no other one may have it.
type AccountCertificate struct {
	AccountID   string
	Account     auth.AccountName // the account's present name
	Fingerprint Fingerprint
	DER         []byte
	Certificate *x509.Certificate // nil where a Store gives it out
	Created     time.Time
}

// A Verdict is what Judge found.
type Verdict struct {
	Anchor      CA // the CA that the chain led to; zero for one that passed by its fingerprint
	Leaf        *x509.Certificate
	Fingerprint Fingerprint
	// NextCheck is when the certificate must be judged again; until then the
	// verdict stands as long as Generation stays the same. It is set for a
	// refusal too.
	NextCheck time.Time
}

// A Store keeps CAs and the certificates of accounts on stable storage. It is
// safe for concurrent use.
type Store interface {
	// AddCA adds r with Created set to at. ErrExists where the id is there,
	// ErrLimit where limit of them are there (0 = no limit).
	AddCA(ctx context.Context, r Record, limit int, at time.Time) error
	// CAs returns all of them in the order of Created, then ID.
	CAs(ctx context.Context) ([]Record, error)
	// RemoveCA: ErrNotFound.
	RemoveCA(ctx context.Context, id string, at time.Time) error
	// SetCRL replaces the CA's list by crl (DER); nil takes it away: ErrNotFound.
	SetCRL(ctx context.Context, id string, crl []byte, at time.Time) error

	// AddAccountCertificate adds c with Created set to at. ErrNotFound where there
	// is no such account, ErrExists where any account has the certificate,
	// ErrLimit where the account has limit of them (0 = no limit).
	AddAccountCertificate(ctx context.Context, c AccountCertificate, limit int, at time.Time) error
	// AccountCertificates returns those of the account in the order of Created,
	// then Fingerprint; none where there is no such account.
	AccountCertificates(ctx context.Context, accountID string) ([]AccountCertificate, error)
	// AccountByFingerprint returns the certificate, and with it whose it is: ErrNotFound.
	AccountByFingerprint(ctx context.Context, f Fingerprint) (AccountCertificate, error)
	// RemoveAccountCertificate: ErrNotFound where the account has no such one.
	RemoveAccountCertificate(ctx context.Context, accountID string, f Fingerprint, at time.Time) error
}

// A Record is a CA as a Store keeps it.
type Record struct {
	ID, Listener, Family, Name string
	DER                        []byte
	CRL                        []byte // DER; nil = none
	CRLURL                     string
	OCSP                       OCSPMode
	OCSPURL                    string
	AnyUsage                   bool
	Created                    time.Time
}
