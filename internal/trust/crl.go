package trust

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"time"
)

// clockSkew is how far the clock of a CA may be ahead of ours.
const clockSkew = 5 * time.Minute

// newList reads the CRL (PEM or DER) of a CA and checks that it is one. It returns
// the DER form too: ErrBadCRL, ErrPrivateKey.
func newList(text []byte, issuer *x509.Certificate) (*list, []byte, error) {
	c, err := parseCRL(text)
	if err != nil {
		return nil, nil, err
	}
	if string(c.RawIssuer) != string(issuer.RawSubject) {
		return nil, nil, fmt.Errorf("%w: it is of another CA than %s", ErrBadCRL, describe(issuer))
	}
	if weakAlgorithm(c.SignatureAlgorithm) {
		return nil, nil, fmt.Errorf("%w: it is signed with %s", ErrBadCRL, c.SignatureAlgorithm)
	}
	if err := c.CheckSignatureFrom(issuer); err != nil {
		return nil, nil, fmt.Errorf("%w: it is not signed by %s: %v", ErrBadCRL, describe(issuer), err)
	}
	// RFC 5280, 5.2: a list with a critical extension that is not understood says
	// nothing of any certificate. The usual ones make it a part of the whole: a
	// delta, or a list for some certificates or some reasons only.
	for _, e := range c.Extensions {
		if e.Critical {
			return nil, nil, fmt.Errorf("%w: it has the critical extension %s, so it is not the whole list", ErrBadCRL, e.Id)
		}
	}
	l := &list{
		info:   CRL{ThisUpdate: c.ThisUpdate, NextUpdate: c.NextUpdate, Revoked: len(c.RevokedCertificateEntries)},
		number: c.Number, sum: sha256.Sum256(c.Raw),
		revoked: make(map[string]struct{}, len(c.RevokedCertificateEntries)),
	}
	if c.Number != nil {
		l.info.Number = c.Number.String()
	}
	for _, e := range c.RevokedCertificateEntries {
		l.revoked[string(e.SerialNumber.Bytes())] = struct{}{}
	}
	return l, c.Raw, nil
}

// checkNow refuses a list that is not in its time.
func (l *list) checkNow(now time.Time) error {
	if l.info.ThisUpdate.After(now.Add(clockSkew)) {
		return fmt.Errorf("%w: it begins at %s", ErrBadCRL, l.info.ThisUpdate.Format(time.RFC3339))
	}
	if l.stale(now) {
		return fmt.Errorf("%w: it ended at %s", ErrBadCRL, l.info.NextUpdate.Format(time.RFC3339))
	}
	return nil
}

// olderThan compares the numbers of two lists of one CA, and where one has none
// their times.
func (l *list) olderThan(m *list) bool {
	if l.number != nil && m.number != nil {
		return l.number.Cmp(m.number) < 0
	}
	return l.info.ThisUpdate.Before(m.info.ThisUpdate)
}
