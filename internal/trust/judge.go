package trust

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// The longest that a verdict stands. A change of the CAs ends it at once anyway
// (Generation); these are for what nobody tells us of.
const (
	acceptedFor = time.Hour
	refusedFor  = 30 * time.Second
)

// maxPaths is how many ways from a leaf to trusted CAs are looked at. More than two
// or three exist only where somebody has made them on purpose.
const maxPaths = 8

// Judge says whether a client that sent this chain, its own certificate first,
// may be let in at the listener. Whether it has the key is for the handshake to
// have shown. The errors are the sentinels from ErrMalformed to
// ErrRevocationUnknown, or ctx's.
//
// Where several trusted CAs stand above the certificate, one good way to any of
// them is enough; but what is revoked on one way is refused on all.
func (s *Service) Judge(ctx context.Context, listener string, chain []*x509.Certificate) (Verdict, error) {
	now := s.c.Now()
	v := Verdict{NextCheck: now.Add(refusedFor)}
	if err := checkSent(chain); err != nil {
		return v, err
	}
	v.Leaf, v.Fingerprint = chain[0], FingerprintOf(chain[0])
	minRSA := s.minRSA(listener)
	if err := cmp.Or(
		checkTime(v.Leaf, now), checkKey(v.Leaf, minRSA), checkSignature(v.Leaf), checkClient(v.Leaf)); err != nil {
		return v, err
	}
	in := s.set.Load().view(listener, s.c.Family(listener)).asking(s.c.Responder(listener))
	paths, err := in.paths(chain, minRSA, now)
	if err != nil {
		return v, err
	}
	err = nil
	for _, p := range paths {
		until, e := s.judgePath(ctx, in, p, minRSA, now)
		switch {
		case errors.Is(e, ErrRevoked), ctx.Err() != nil && e != nil:
			v.Anchor, v.NextCheck = CA{}, now.Add(refusedFor)
			return v, e
		case e != nil && err == nil:
			err = e
		case e == nil && v.Anchor.Certificate == nil:
			v.Anchor, v.NextCheck = in.authority(p[len(p)-1]).ca, until
		}
	}
	if v.Anchor.Certificate != nil {
		return v, nil
	}
	return v, err
}

// JudgeLeaf is Judge for a certificate that an account has registered. One that
// is self-signed passes without a CA, by its fingerprint, which the caller must
// have found to be the account's; its time and its key are judged all the same.
func (s *Service) JudgeLeaf(ctx context.Context, listener string, chain []*x509.Certificate) (Verdict, error) {
	if checkSent(chain) != nil || !selfSigned(chain[0]) {
		return s.Judge(ctx, listener, chain)
	}
	now := s.c.Now()
	v := Verdict{Leaf: chain[0], Fingerprint: FingerprintOf(chain[0]), NextCheck: now.Add(refusedFor)}
	if err := cmp.Or(checkTime(v.Leaf, now), checkKey(v.Leaf, s.minRSA(listener))); err != nil {
		return v, err
	}
	v.NextCheck = earlier(now.Add(acceptedFor), v.Leaf.NotAfter)
	return v, nil
}

func selfSigned(c *x509.Certificate) bool {
	return bytes.Equal(c.RawIssuer, c.RawSubject) && c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}

// paths returns the ways from the leaf to CAs of this view.
func (v *view) paths(sent []*x509.Certificate, minRSA int, now time.Time) ([][]*x509.Certificate, error) {
	between := x509.NewCertPool()
	for _, c := range sent[1:] {
		between.AddCert(c)
	}
	paths, err := withoutKnown(sent[0]).Verify(x509.VerifyOptions{
		Roots: v.pool, Intermediates: between, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}, // judged for each path
	})
	if err != nil {
		return nil, cause(err, sent, minRSA, now)
	}
	return paths[:min(len(paths), maxPaths)], nil
}

// withoutKnown returns c without the critical extensions that crypto/x509 does not
// handle and we do: subject alternative names that are all of a kind it does not
// show, such as a UPN. A certificate with an empty subject must mark them critical
// (RFC 5280, 4.2.1.6).
func withoutKnown(c *x509.Certificate) *x509.Certificate {
	if len(c.UnhandledCriticalExtensions) == 0 {
		return c
	}
	if _, err := UPNs(c); err != nil {
		return c
	}
	d := *c
	d.UnhandledCriticalExtensions = nil
	for _, id := range c.UnhandledCriticalExtensions {
		if !id.Equal(oidSubjectAltName) {
			d.UnhandledCriticalExtensions = append(d.UnhandledCriticalExtensions, id)
		}
	}
	return &d
}

// cause finds our word for why crypto/x509 has found no path.
func cause(err error, sent []*x509.Certificate, minRSA int, now time.Time) error {
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil {
		if e := checkTime(invalid.Cert, now); e != nil {
			return e
		}
	}
	var unknown x509.UnknownAuthorityError
	if errors.As(err, &unknown) { // a weak link is none for crypto/x509
		for _, c := range sent[1:] {
			if bytes.Equal(c.RawIssuer, c.RawSubject) {
				continue // a root that was sent along
			}
			if e := cmp.Or(checkKey(c, minRSA), checkSignature(c)); e != nil {
				return e
			}
		}
		return fmt.Errorf("%w: %s, issued by %.120q", ErrUntrusted, describe(sent[0]), sent[0].Issuer.String())
	}
	return fmt.Errorf("%w: %v", ErrUntrusted, err)
}

// judgePath judges one way from a leaf to a CA, and returns until when that holds.
func (s *Service) judgePath(ctx context.Context, in *view, path []*x509.Certificate, minRSA int, now time.Time) (time.Time, error) {
	top := in.authority(path[len(path)-1])
	if top == nil || len(path) < 2 {
		return time.Time{}, fmt.Errorf("%w: %s", ErrUntrusted, describe(path[0]))
	}
	until := now.Add(acceptedFor)
	for i, c := range path {
		until = earlier(until, c.NotAfter)
		err := checkKey(c, minRSA)
		if err == nil && i > 0 && CheckIssuer(c) != nil {
			err = fmt.Errorf("%w: %v", ErrUntrusted, CheckIssuer(c))
		}
		if err == nil && i < len(path)-1 {
			err = checkSignature(c)
		}
		if err == nil && !top.ca.AnyUsage {
			err = checkExtended(c)
		}
		if err != nil {
			return time.Time{}, err
		}
	}
	for i := 1; i < len(path); i++ {
		t, err := s.revocation(ctx, in, path[i-1], path[i], top, now)
		if err != nil {
			return time.Time{}, err
		}
		until = earlier(until, t)
	}
	// An intermediate that is trusted for itself may have been revoked by a CA
	// that counts here too.
	c := path[len(path)-1]
	for above := in.above(c); above != nil && len(path) < MaxChain; c, above = above, in.above(above) {
		t, err := s.revocation(ctx, in, c, above, top, now)
		if err != nil {
			return time.Time{}, err
		}
		until, path = earlier(until, t), append(path, above)
	}
	return until, nil
}

// revocation says whether issuer has revoked c, and until when that holds (zero:
// for ever). What is known of the issuer decides how that is to be known; for one
// that is only an intermediate of the CA top, top does.
//
// A list or an answer that says revoked always counts, even an old list. An OCSP
// answer that says good is enough; without one a CA with a list needs it to be in
// its time.
func (s *Service) revocation(ctx context.Context, in *view, c, issuer *x509.Certificate, top *authority, now time.Time) (time.Time, error) {
	a, wants := in.authority(issuer), false
	if a == nil {
		a, wants = &authority{ca: CA{OCSP: top.ca.OCSP}}, top.wantsList()
	}
	if a.list != nil && a.list.has(c.SerialNumber) {
		return time.Time{}, fmt.Errorf("%w: %s is in the list of %s", ErrRevoked, describe(c), describe(issuer))
	}
	var until time.Time
	mode, url := a.ca.OCSP, a.ca.OCSPURL
	if in.responder != "" {
		mode, url = OCSPRequired, in.responder
	}
	if mode != OCSPOff {
		status, t, err := s.ocsp.ask(ctx, c, issuer, url, now)
		switch {
		case ctx.Err() != nil:
			return time.Time{}, ctx.Err()
		case status == ocspGood:
			return t, nil
		case status == ocspRevoked:
			return time.Time{}, fmt.Errorf("%w: %s, says the OCSP responder", ErrRevoked, describe(c))
		case status == ocspUnknown:
			return time.Time{}, fmt.Errorf("%w: the OCSP responder does not know %s", ErrRevocationUnknown, describe(c))
		case mode == OCSPRequired:
			return time.Time{}, fmt.Errorf("%w: no OCSP answer for %s: %v", ErrRevocationUnknown, describe(c), err)
		}
		until = t // ask again then
	}
	switch {
	case wants:
		return time.Time{}, fmt.Errorf("%w: %s has no list here: trust it as a CA of its own, with its list",
			ErrRevocationUnknown, describe(issuer))
	case !a.wantsList():
		return until, nil
	case a.list == nil:
		return time.Time{}, fmt.Errorf("%w: the list of %s is not here yet", ErrRevocationUnknown, describe(issuer))
	case a.list.stale(now):
		return time.Time{}, fmt.Errorf("%w: the list of %s ended at %s",
			ErrRevocationUnknown, describe(issuer), a.list.info.NextUpdate.Format(time.RFC3339))
	}
	return earlier(until, a.list.info.NextUpdate), nil
}

// earlier returns the earlier of two times; a zero one is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
