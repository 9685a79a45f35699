package certs

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"slices"
	"time"

	"github.com/postern/postern/internal/trust"
)

// A Profile says what a certificate is for.
type Profile string

// The profiles.
const (
	Client Profile = "client" // a login by certificate
	Server Profile = "server" // the other end of the handshake
	CA     Profile = "ca"     // signing the other two; a self-signed one also signs CAs
)

// Profiles are all of them.
var Profiles = []Profile{Client, Server, CA}

// behind is how much earlier than now a certificate begins, since the clocks of
// devices are behind.
const behind = 5 * time.Minute

// NewRequest returns a CSR in DER: ErrName, ErrIssue.
func NewRequest(key crypto.Signer, s Subject, n Names) (*x509.CertificateRequest, error) {
	if err := checkKey(key.Public()); err != nil {
		return nil, err
	}
	subject, err := s.encode()
	if err != nil {
		return nil, err
	}
	exts, err := altName(n)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{RawSubject: subject, ExtraExtensions: exts}, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificateRequest(der)
}

// An Order is what a certificate shall be.
type Order struct {
	Profile Profile
	Days    int       // from now on; 0 = as long as the CA lives, at most DefaultDays
	Names   Names     // in place of those of the request; zero = those of the request
	Now     time.Time // what the time is
}

// DefaultDays is the life of a certificate where nobody says; maxDays keeps it
// below the year 9999, where X.509 ends, by much.
const (
	DefaultDays = 365
	maxDays     = 36500
)

// Sign lets a CA sign a request: ErrIssue where the CA is none or not the key's,
// the request is damaged or asks for what is not known here, or the certificate
// would outlive the CA; ErrName. The subject is the request's. What it wants to be
// used for is not looked at: the order says that.
func Sign(r *x509.CertificateRequest, ca *x509.Certificate, key crypto.Signer, o Order) (*x509.Certificate, error) {
	if err := checkCA(ca, key, o.Now); err != nil {
		return nil, err
	}
	if err := checkKey(r.PublicKey); err != nil { // before it costs time
		return nil, err
	}
	if err := r.CheckSignature(); err != nil {
		return nil, fmt.Errorf("%w: the request's own signature is wrong: %v", ErrIssue, err)
	}
	names := o.Names
	if names.IsZero() {
		var other int
		var err error
		if names, other, err = namesOf(r.DNSNames, r.IPAddresses, r.EmailAddresses, r.URIs, r.Extensions); err != nil {
			return nil, fmt.Errorf("%w: the request: %v", ErrIssue, err)
		}
		if other > 0 {
			return nil, fmt.Errorf("%w: the request has alternative names of a kind that is not known here", ErrIssue)
		}
	}
	t, err := template(r.PublicKey, r.RawSubject, names, o)
	if err != nil {
		return nil, err
	}
	switch {
	case o.Days == 0 && t.NotAfter.After(ca.NotAfter):
		t.NotAfter = ca.NotAfter
	case t.NotAfter.After(ca.NotAfter):
		return nil, fmt.Errorf("%w: %d days are too many, the CA ends on %s", ErrIssue, o.Days, ca.NotAfter.UTC().Format(time.DateOnly))
	}
	if t.IsCA {
		if ca.MaxPathLenZero && ca.MaxPathLen == 0 {
			return nil, fmt.Errorf("%w: this CA may sign no other CA", ErrIssue)
		}
		t.MaxPathLen, t.MaxPathLenZero = 0, true // enough for the one purpose of such a CA: devices and people
	}
	return create(t, ca, r.PublicKey, key)
}

// SelfSigned makes a certificate that nobody vouches for, or a CA.
func SelfSigned(key crypto.Signer, s Subject, o Order) (*x509.Certificate, error) {
	subject, err := s.encode()
	if err != nil {
		return nil, err
	}
	t, err := template(key.Public(), subject, o.Names, o)
	if err != nil {
		return nil, err
	}
	return create(t, t, key.Public(), key)
}

func create(t, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, t, parent, public, key)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrIssue, err)
	}
	return x509.ParseCertificate(der)
}

// checkCA refuses a CA that must not or cannot sign now.
func checkCA(ca *x509.Certificate, key crypto.Signer, now time.Time) error {
	if err := trust.CheckIssuer(ca); err != nil {
		return fmt.Errorf("%w: %w", ErrIssue, err)
	}
	switch {
	case !belongs(ca.PublicKey, key):
		return fmt.Errorf("%w: certificate and private key of the CA do not belong together", ErrIssue)
	case now.After(ca.NotAfter):
		return fmt.Errorf("%w: the CA ended on %s", ErrIssue, ca.NotAfter.UTC().Format(time.DateOnly))
	case now.Before(ca.NotBefore):
		return fmt.Errorf("%w: the CA begins on %s", ErrIssue, ca.NotBefore.UTC().Format(time.DateTime))
	}
	return nil
}

// template is the certificate before it is signed. Its serial number is left to
// crypto/x509: random, positive, 20 octets (RFC 5280, 4.1.2.2).
func template(public crypto.PublicKey, subject []byte, n Names, o Order) (*x509.Certificate, error) {
	if err := checkKey(public); err != nil {
		return nil, err
	}
	exts, err := altName(n)
	if err != nil {
		return nil, err
	}
	days := o.Days
	if days == 0 {
		days = DefaultDays
	}
	if days < 1 || days > maxDays {
		return nil, fmt.Errorf("%w: a certificate lives 1 to %d days, not %d", ErrIssue, maxDays, days)
	}
	id, err := keyID(public)
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		RawSubject: subject, ExtraExtensions: exts, SubjectKeyId: id, BasicConstraintsValid: true,
		NotBefore: o.Now.Add(-behind), NotAfter: o.Now.AddDate(0, 0, days), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	switch o.Profile {
	case Client:
		t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	case Server:
		t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		if len(n.DNS)+len(n.IPs) == 0 {
			return nil, fmt.Errorf("%w: a server's certificate needs a DNS name or an IP address, clients look at nothing else (RFC 9525)", ErrName)
		}
	case CA:
		t.IsCA, t.MaxPathLen = true, -1
		t.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	default:
		return nil, fmt.Errorf("%w: %q is none of %v", ErrIssue, o.Profile, Profiles)
	}
	return t, nil
}

// keyID is a subject key identifier by RFC 7093, 2, method 1.
func keyID(public crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, err
	}
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &info); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(info.Key.Bytes)
	return slices.Clone(sum[:20]), nil
}
