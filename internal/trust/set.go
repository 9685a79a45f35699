package trust

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"math/big"
	"slices"
	"sync"
	"time"
)

// An authority is a CA with its list, ready to judge by. It is never changed.
type authority struct {
	ca   CA
	list *list // nil = none
}

// A list is a CRL, ready to be looked at.
type list struct {
	info    CRL
	number  *big.Int            // nil = none
	sum     [sha256.Size]byte   // of its DER form
	revoked map[string]struct{} // serial numbers as big-endian bytes
}

func (l *list) has(serial *big.Int) bool {
	_, ok := l.revoked[string(serial.Bytes())]
	return ok
}

// stale reports whether the time of the list is over.
func (l *list) stale(now time.Time) bool {
	return !l.info.NextUpdate.IsZero() && now.After(l.info.NextUpdate)
}

// wantsList: revocation is known by a list here, so one has to be at hand.
func (a *authority) wantsList() bool { return a.list != nil || a.ca.CRLURL != "" }

// newAuthority reads what a store has kept.
func newAuthority(r Record) (*authority, error) {
	c, err := x509.ParseCertificate(r.DER)
	if err != nil {
		return nil, fmt.Errorf("trust: CA %s: %w: %v", r.ID, ErrMalformed, err)
	}
	if err := CheckIssuer(c); err != nil {
		return nil, fmt.Errorf("trust: CA %s: %w", r.ID, err)
	}
	a := &authority{ca: CA{
		ID: r.ID, Listener: r.Listener, Family: r.Family, Name: r.Name, Certificate: c,
		CRLURL: r.CRLURL, OCSP: r.OCSP, OCSPURL: r.OCSPURL, AnyUsage: r.AnyUsage, Created: r.Created,
	}}
	if r.CRL == nil {
		return a, nil
	}
	l, _, err := newList(r.CRL, c)
	if err != nil {
		return nil, fmt.Errorf("trust: CA %s: %w", r.ID, err)
	}
	return a.withList(l), nil
}

// withList returns a with another list; nil = none.
func (a *authority) withList(l *list) *authority {
	b := *a
	b.list, b.ca.CRL = l, nil
	if l != nil {
		info := l.info
		b.ca.CRL = &info
	}
	return &b
}

// idOf names a CA: the first 80 bits of the SHA-256 of where it counts and what it
// is. Only administrators choose these, so nobody gains by two that are equal.
func idOf(listener, family string, der []byte) string {
	h := sha256.New()
	fmt.Fprintf(h, "%d %s %d %s ", len(listener), listener, len(family), family)
	h.Write(der)
	return hex.EncodeToString(h.Sum(nil)[:10])
}

// A set is all CAs at one moment. It is never changed: a change makes another one.
type set struct {
	all   []*authority // the oldest first
	views sync.Map     // listener -> *view
}

func newSet(all []*authority) *set {
	slices.SortFunc(all, func(a, b *authority) int {
		return cmp.Or(a.ca.Created.Compare(b.ca.Created), cmp.Compare(a.ca.ID, b.ca.ID))
	})
	return &set{all: all}
}

func (s *set) find(id string) *authority {
	for _, a := range s.all {
		if a.ca.ID == id {
			return a
		}
	}
	return nil
}

// with returns a set that has a, in the place of the one with its id if there is one.
func (s *set) with(a *authority) *set { return newSet(append(s.others(a.ca.ID), a)) }

// without returns a set that lacks the CA.
func (s *set) without(id string) *set { return newSet(s.others(id)) }

func (s *set) others(id string) []*authority {
	out := make([]*authority, 0, len(s.all)+1)
	for _, a := range s.all {
		if a.ca.ID != id {
			out = append(out, a)
		}
	}
	return out
}

// counts reports whether the CA counts at a listener that speaks the family.
func (c *CA) counts(listener, family string) bool {
	return (c.Listener == "" || c.Listener == listener) && (c.Family == "" || c.Family == family)
}

// A view is the CAs that count at one listener.
type view struct {
	all  []*authority // those for this listener alone first
	pool *x509.CertPool
	// responder is the OCSP responder that must be asked; "" = as the CAs say.
	responder string
}

// asking is v with a responder that must be asked.
func (v *view) asking(responder string) *view {
	if responder == "" {
		return v
	}
	w := *v
	w.responder = responder
	return &w
}

func (s *set) view(listener, family string) *view {
	if v, ok := s.views.Load(listener); ok {
		return v.(*view)
	}
	v := &view{pool: x509.NewCertPool()}
	for _, a := range s.all {
		if a.ca.counts(listener, family) {
			v.all = append(v.all, a)
			v.pool.AddCert(a.ca.Certificate)
		}
	}
	slices.SortStableFunc(v.all, func(a, b *authority) int {
		return cmp.Or(cmp.Compare(b.ca.Listener, a.ca.Listener), cmp.Compare(b.ca.Family, a.ca.Family))
	})
	s.views.Store(listener, v)
	return v
}

// authority returns what is known of an issuer: the CA with this certificate, else
// one with its name and key, as a renewed or cross-signed one has; nil = nothing.
func (v *view) authority(issuer *x509.Certificate) *authority {
	var same *authority
	for _, a := range v.all {
		c := a.ca.Certificate
		if c.Equal(issuer) {
			return a
		}
		if same == nil && bytes.Equal(c.RawSubject, issuer.RawSubject) &&
			bytes.Equal(c.RawSubjectPublicKeyInfo, issuer.RawSubjectPublicKeyInfo) {
			same = a
		}
	}
	return same
}

// above returns the CA that has issued c, which is one itself; nil = none that counts.
func (v *view) above(c *x509.Certificate) *x509.Certificate {
	if bytes.Equal(c.RawIssuer, c.RawSubject) {
		return nil
	}
	for _, a := range v.all {
		if bytes.Equal(a.ca.Certificate.RawSubject, c.RawIssuer) && c.CheckSignatureFrom(a.ca.Certificate) == nil {
			return a.ca.Certificate
		}
	}
	return nil
}
