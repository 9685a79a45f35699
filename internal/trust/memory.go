package trust

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/postern/postern/auth"
)

// A MemoryStore is a Store that forgets all when it ends, for a simulated device.
// It passes the suite of every other Store. The zero MemoryStore is empty.
type MemoryStore struct {
	// Account tells whether the account with an id is still there, and what it is
	// called. It is set before the first use; nil = every one is, by its id. It is
	// called with the store locked, so whoever holds a lock that it takes must not
	// call the store.
	Account func(id string) (auth.AccountName, bool)

	mu    sync.Mutex // guards what follows
	cas   []Record   // in order
	certs []AccountCertificate
}

var _ Store = (*MemoryStore)(nil)

// AddCA implements Store.
func (m *MemoryStore) AddCA(_ context.Context, r Record, limit int, at time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.find(r.ID) >= 0 {
		return ErrExists
	}
	if limit > 0 && len(m.cas) >= limit {
		return ErrLimit
	}
	r.Created, r.DER, r.CRL = at, bytes.Clone(r.DER), bytes.Clone(r.CRL)
	m.cas = append(m.cas, r)
	slices.SortFunc(m.cas, func(a, b Record) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	return nil
}

func (m *MemoryStore) find(id string) int {
	return slices.IndexFunc(m.cas, func(r Record) bool { return r.ID == id })
}

// CAs implements Store.
func (m *MemoryStore) CAs(context.Context) ([]Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.cas), nil
}

// RemoveCA implements Store.
func (m *MemoryStore) RemoveCA(_ context.Context, id string, _ time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := m.find(id)
	if i < 0 {
		return ErrNotFound
	}
	m.cas = slices.Delete(m.cas, i, i+1)
	return nil
}

// SetCRL implements Store.
func (m *MemoryStore) SetCRL(_ context.Context, id string, crl []byte, _ time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := m.find(id)
	if i < 0 {
		return ErrNotFound
	}
	m.cas[i].CRL = bytes.Clone(crl)
	return nil
}

// present drops the certificates of accounts that are no more. mu is held.
func (m *MemoryStore) present() []AccountCertificate {
	m.certs = slices.DeleteFunc(m.certs, func(c AccountCertificate) bool {
		_, ok := m.name(c.AccountID)
		return !ok
	})
	for i := range m.certs {
		m.certs[i].Account, _ = m.name(m.certs[i].AccountID)
	}
	return m.certs
}

func (m *MemoryStore) name(id string) (auth.AccountName, bool) {
	if m.Account == nil {
		return auth.AccountName(id), true
	}
	return m.Account(id)
}

// AddAccountCertificate implements Store.
func (m *MemoryStore) AddAccountCertificate(_ context.Context, c AccountCertificate, limit int, at time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.name(c.AccountID); !ok {
		return ErrNotFound
	}
	n := 0
	for _, p := range m.present() {
		if p.Fingerprint == c.Fingerprint {
			return ErrExists
		}
		if p.AccountID == c.AccountID {
			n++
		}
	}
	if limit > 0 && n >= limit {
		return ErrLimit
	}
	c.Created, c.DER, c.Certificate = at, bytes.Clone(c.DER), nil
	m.certs = append(m.certs, c)
	slices.SortFunc(m.certs, func(a, b AccountCertificate) int {
		return cmp.Or(a.Created.Compare(b.Created), bytes.Compare(a.Fingerprint[:], b.Fingerprint[:]))
	})
	return nil
}

// AccountCertificates implements Store.
func (m *MemoryStore) AccountCertificates(_ context.Context, accountID string) ([]AccountCertificate, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []AccountCertificate
	for _, c := range m.present() {
		if c.AccountID == accountID {
			out = append(out, c)
		}
	}
	return out, nil
}

// AccountByFingerprint implements Store.
func (m *MemoryStore) AccountByFingerprint(_ context.Context, f Fingerprint) (AccountCertificate, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.present() {
		if c.Fingerprint == f {
			return c, nil
		}
	}
	return AccountCertificate{}, ErrNotFound
}

// RemoveAccountCertificate implements Store.
func (m *MemoryStore) RemoveAccountCertificate(_ context.Context, accountID string, f Fingerprint, _ time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.IndexFunc(m.present(), func(c AccountCertificate) bool {
		return c.AccountID == accountID && c.Fingerprint == f
	})
	if i < 0 {
		return ErrNotFound
	}
	m.certs = slices.Delete(m.certs, i, i+1)
	return nil
}
