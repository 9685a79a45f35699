package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/account"
	"github.com/postern/postern/internal/trust"
)

// Trusted is what trust.Store is tested on: a certificate goes with its account.
type Trusted struct {
	trust.Store
	// AddAccount and RemoveAccount make and remove the account whose id is "id-"
	// and its name; the first one added is an administrator and stays.
	AddAccount    func(name string) error
	RemoveAccount func(name string) error
}

// TrustedCore is s with the accounts that it keeps.
func TrustedCore(s interface {
	account.Store
	trust.Store
}) Trusted {
	role := auth.Administrator
	return Trusted{
		Store: s,
		AddAccount: func(name string) error {
			a := person(name, role)
			role = auth.ReadOnly
			return s.CreateAccount(context.Background(), a, noon)
		},
		RemoveAccount: func(name string) error {
			_, err := s.DeleteAccount(context.Background(), auth.AccountName(name), 0, noon)
			return err
		},
	}
}

// Trust is the part of the suite for trust.Store. open returns a new, empty store.
func Trust(t *testing.T, open func(*testing.T) Trusted) {
	t.Run("a CA comes back whole", func(t *testing.T) { caWhole(t, open(t)) })
	t.Run("order and removal of CAs", func(t *testing.T) { caOrder(t, open(t)) })
	t.Run("limit of CAs under a race", func(t *testing.T) { caRace(t, open(t)) })
	t.Run("CRL", func(t *testing.T) { caList(t, open(t)) })
	t.Run("certificates of accounts", func(t *testing.T) { accountCertificates(t, open(t)) })
	t.Run("a certificate has one account", func(t *testing.T) { oneAccount(t, open(t)) })
	t.Run("certificate limit under a race", func(t *testing.T) { accountCertificateRace(t, open(t)) })
	t.Run("certificates go with their account", func(t *testing.T) { certificatesGo(t, open(t)) })
}

func caRecord(id string) trust.Record {
	return trust.Record{
		ID: id, Listener: "bmc1", Family: "redfish", Name: "Lab \u00e9", DER: []byte{0x30, 0}, CRL: []byte{0x30, 1},
		CRLURL: "http://ca/crl", OCSP: trust.OCSPSoft, OCSPURL: "http://ca/ocsp", AnyUsage: true,
	}
}

func wantCAs(t *testing.T, s Trusted, want ...trust.Record) {
	t.Helper()
	got, err := s.CAs(t.Context())
	must(t, err)
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("CAs are not as wanted (-want +got):\n%s", d)
	}
}

func caAt(r trust.Record, at time.Time) trust.Record {
	r.Created = at
	return r
}

func caWhole(t *testing.T, s Trusted) {
	full, bare := caRecord("a"), trust.Record{ID: "b", DER: []byte{1}}
	must(t, s.AddCA(t.Context(), full, 0, noon))
	must(t, s.AddCA(t.Context(), bare, 0, noon))
	wantCAs(t, s, caAt(full, noon), caAt(bare, noon))
	other := bare
	other.ID, other.Listener = "a", "bmc2"
	wantErr(t, s.AddCA(t.Context(), other, 0, noon), trust.ErrExists)
	wantErr(t, s.AddCA(t.Context(), other, 1, noon), trust.ErrExists)
	wantErr(t, s.AddCA(t.Context(), trust.Record{ID: "c", DER: []byte{1}}, 2, noon), trust.ErrLimit)
	wantCAs(t, s, caAt(full, noon), caAt(bare, noon))
}

func caOrder(t *testing.T, s Trusted) {
	later := noon.Add(time.Nanosecond)
	must(t, s.AddCA(t.Context(), caRecord("a"), 0, later))
	must(t, s.AddCA(t.Context(), caRecord("c"), 0, noon))
	must(t, s.AddCA(t.Context(), caRecord("b"), 0, noon))
	wantCAs(t, s, caAt(caRecord("b"), noon), caAt(caRecord("c"), noon), caAt(caRecord("a"), later))
	must(t, s.RemoveCA(t.Context(), "c", later))
	wantErr(t, s.RemoveCA(t.Context(), "c", later), trust.ErrNotFound)
	wantCAs(t, s, caAt(caRecord("b"), noon), caAt(caRecord("a"), later))
	must(t, s.AddCA(t.Context(), caRecord("c"), 3, later))
}

func caRace(t *testing.T, s Trusted) {
	won := race(t, 20, trust.ErrLimit, func(i int) error {
		return s.AddCA(context.Background(), caRecord(fmt.Sprint("ca", i)), 6, noon)
	})
	if got, err := s.CAs(t.Context()); won != 6 || len(got) != 6 || err != nil {
		t.Errorf("%d were added, %d are there, %v; want 6", won, len(got), err)
	}
}

func caList(t *testing.T, s Trusted) {
	r := caRecord("a")
	must(t, s.AddCA(t.Context(), r, 0, noon))
	r = caAt(r, noon)
	for _, crl := range [][]byte{{0x30, 2}, nil, {0x30, 3}} {
		must(t, s.SetCRL(t.Context(), "a", crl, noon.Add(time.Hour)))
		r.CRL = crl
		wantCAs(t, s, r)
	}
	wantErr(t, s.SetCRL(t.Context(), "b", nil, noon), trust.ErrNotFound)
}

// identity is a certificate of the account with this name, told apart by i.
func identity(name string, i byte) trust.AccountCertificate {
	return trust.AccountCertificate{
		AccountID: "id-" + name, Account: auth.AccountName(name), Fingerprint: trust.Fingerprint{0: i, 31: 7}, DER: []byte{0x30, i},
	}
}

func identityAt(c trust.AccountCertificate, at time.Time) trust.AccountCertificate {
	c.Created = at
	return c
}

func wantCertificates(t *testing.T, s Trusted, name string, want ...trust.AccountCertificate) {
	t.Helper()
	got, err := s.AccountCertificates(t.Context(), "id-"+name)
	must(t, err)
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("certificates of %s are not as wanted (-want +got):\n%s", name, d)
	}
}

func addAccounts(t *testing.T, s Trusted, names ...string) {
	t.Helper()
	for _, n := range names {
		must(t, s.AddAccount(n))
	}
}

func accountCertificates(t *testing.T, s Trusted) {
	addAccounts(t, s, "root", "ann", "bob")
	later := noon.Add(time.Second)
	must(t, s.AddAccountCertificate(t.Context(), identity("ann", 1), 0, later))
	must(t, s.AddAccountCertificate(t.Context(), identity("ann", 3), 0, noon))
	must(t, s.AddAccountCertificate(t.Context(), identity("ann", 2), 0, noon))
	must(t, s.AddAccountCertificate(t.Context(), identity("bob", 4), 1, noon))
	wantCertificates(t, s, "ann", identityAt(identity("ann", 2), noon), identityAt(identity("ann", 3), noon), identityAt(identity("ann", 1), later))
	wantCertificates(t, s, "root")
	wantCertificates(t, s, "nobody")
	got, err := s.AccountByFingerprint(t.Context(), identity("bob", 4).Fingerprint)
	must(t, err)
	if d := cmp.Diff(identityAt(identity("bob", 4), noon), got); d != "" {
		t.Errorf("not as wanted (-want +got):\n%s", d)
	}
	_, err = s.AccountByFingerprint(t.Context(), identity("bob", 5).Fingerprint)
	wantErr(t, err, trust.ErrNotFound)

	wantErr(t, s.RemoveAccountCertificate(t.Context(), "id-ann", identity("bob", 4).Fingerprint, noon), trust.ErrNotFound)
	must(t, s.RemoveAccountCertificate(t.Context(), "id-bob", identity("bob", 4).Fingerprint, noon))
	wantErr(t, s.RemoveAccountCertificate(t.Context(), "id-bob", identity("bob", 4).Fingerprint, noon), trust.ErrNotFound)
	wantCertificates(t, s, "bob")
}

func oneAccount(t *testing.T, s Trusted) {
	addAccounts(t, s, "root", "ann", "bob")
	must(t, s.AddAccountCertificate(t.Context(), identity("ann", 1), 0, noon))
	wantErr(t, s.AddAccountCertificate(t.Context(), identity("ann", 1), 0, noon), trust.ErrExists)
	wantErr(t, s.AddAccountCertificate(t.Context(), identity("bob", 1), 0, noon), trust.ErrExists)
	wantErr(t, s.AddAccountCertificate(t.Context(), identity("nobody", 2), 0, noon), trust.ErrNotFound)
	won := race(t, 10, trust.ErrExists, func(i int) error {
		return s.AddAccountCertificate(context.Background(), identity([]string{"ann", "bob"}[i%2], 2), 0, noon)
	})
	if won != 1 {
		t.Errorf("%d registered one certificate, want 1", won)
	}
}

func accountCertificateRace(t *testing.T, s Trusted) {
	addAccounts(t, s, "root", "ann")
	won := race(t, 20, trust.ErrLimit, func(i int) error {
		return s.AddAccountCertificate(context.Background(), identity("ann", byte(i)), 5, noon)
	})
	if got, err := s.AccountCertificates(t.Context(), "id-ann"); won != 5 || len(got) != 5 || err != nil {
		t.Errorf("%d were added, %d are there, %v; want 5", won, len(got), err)
	}
}

func certificatesGo(t *testing.T, s Trusted) {
	addAccounts(t, s, "root", "ann", "bob")
	must(t, s.AddAccountCertificate(t.Context(), identity("ann", 1), 0, noon))
	must(t, s.RemoveAccount("ann"))
	_, err := s.AccountByFingerprint(t.Context(), identity("ann", 1).Fingerprint)
	wantErr(t, err, trust.ErrNotFound)
	wantCertificates(t, s, "ann")
	must(t, s.AddAccountCertificate(t.Context(), identity("bob", 1), 0, noon)) // it is free again
}
