package trust_test

import (
	"context"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/store/storetest"
	"github.com/postern/postern/internal/trust"
)

func TestMemoryStore(t *testing.T) {
	t.Parallel()
	storetest.Trust(t, func(*testing.T) storetest.Trusted {
		var mu sync.Mutex
		accounts := map[string]bool{}
		set := func(there bool) func(string) error {
			return func(name string) error {
				mu.Lock()
				defer mu.Unlock()
				accounts[name] = there
				return nil
			}
		}
		return storetest.Trusted{
			Store: &trust.MemoryStore{Account: func(id string) (auth.AccountName, bool) {
				mu.Lock()
				defer mu.Unlock()
				name := strings.TrimPrefix(id, "id-")
				return auth.AccountName(name), accounts[name]
			}},
			AddAccount: set(true), RemoveAccount: set(false),
		}
	})
}

func TestAddRefuses(t *testing.T) {
	t.Parallel()
	root := newCA(t, "root")
	ca := func(f func(*x509.Certificate)) []byte { return plan{"ca", nil, with(asCA, f)}.issue(t, nil).pem() }
	signer := func(f func(*x509.Certificate)) []byte { return plan{"ca", nil, f}.issue(t, nil).pem() }
	for _, c := range []struct {
		name string
		ca   trust.NewCA
		want error
	}{
		{"good", trust.NewCA{Text: root.pem()}, nil},
		{"an intermediate", trust.NewCA{Text: root.sub(t, "sub").pem()}, nil},
		{"no key usage", trust.NewCA{Text: ca(func(c *x509.Certificate) { c.KeyUsage = 0 })}, nil},
		{"not begun", trust.NewCA{Text: ca(func(c *x509.Certificate) { c.NotBefore = noon.Add(time.Hour) })}, nil},
		{"for servers", trust.NewCA{Text: ca(forServers), AnyUsage: true}, nil},
		{"expired", trust.NewCA{Text: ca(func(c *x509.Certificate) { c.NotAfter = noon.Add(-time.Hour) })}, trust.ErrExpired},
		{"for servers alone", trust.NewCA{Text: ca(forServers)}, trust.ErrNotCA},
		{"a client", trust.NewCA{Text: root.client(t, "a").pem()}, trust.ErrNotCA},
		{"version 1", trust.NewCA{Text: root.issueV1(t, "v1").pem()}, trust.ErrNotCA},
		{"no basic constraints", trust.NewCA{Text: signer(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign })}, trust.ErrNotCA},
		{"no keyCertSign", trust.NewCA{Text: ca(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign })}, trust.ErrNotCA},
		{"unknown critical extension", trust.NewCA{Text: ca(func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: []int{1, 2, 3}, Critical: true, Value: []byte{5, 0}}}
		})}, trust.ErrNotCA},
		{"weak", trust.NewCA{Text: plan{"ca", rsaKey(t, 1024), asCA}.issue(t, nil).pem()}, trust.ErrWeakKey},
		{"weak curve", trust.NewCA{Text: plan{"ca", ecKey(t, elliptic.P224()), asCA}.issue(t, nil).pem()}, trust.ErrWeakKey},
		{"weak for this listener", trust.NewCA{Text: plan{"ca", rsaKey(t, 2048), asCA}.issue(t, nil).pem(), Listener: "strict"}, trust.ErrWeakKey},
		{"nothing", trust.NewCA{}, trust.ErrMalformed},
		{"two", trust.NewCA{Text: append(root.pem(), root.pem()...)}, trust.ErrMalformed},
		{"mode", trust.NewCA{Text: root.pem(), OCSP: "hard"}, trust.ErrSetting},
		{"file", trust.NewCA{Text: root.pem(), CRLURL: "file:///etc/passwd"}, trust.ErrSetting},
		{"no host", trust.NewCA{Text: root.pem(), OCSPURL: "http:///x"}, trust.ErrSetting},
		{"password", trust.NewCA{Text: root.pem(), OCSPURL: "http://a:b@c/"}, trust.ErrSetting},
		{"line feed", trust.NewCA{Text: root.pem(), Name: "a\nb"}, trust.ErrSetting},
		{"long name", trust.NewCA{Text: root.pem(), Name: strings.Repeat("x", 129)}, trust.ErrSetting},
		{"no text", trust.NewCA{Text: root.pem(), Name: "\xff"}, trust.ErrSetting},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, trust.Config{MinRSA: func(l string) int { return map[string]int{"strict": 3072}[l] }})
			before := s.Generation()
			ca, err := s.Add(t.Context(), c.ca)
			wantErr(t, err, c.want)
			if (len(s.All()) == 1) != (c.want == nil) || (s.Generation() > before) != (c.want == nil) {
				t.Errorf("%d CAs, generation %d after %d", len(s.All()), s.Generation(), before)
			}
			if c.want == nil && (ca.ID == "" || ca.Created != noon) {
				t.Errorf("added %+v", ca)
			}
		})
	}
}

func forServers(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }

func TestAddAndRemove(t *testing.T) {
	t.Parallel()
	now := noon
	s := newService(t, trust.Config{Now: func() time.Time { now = now.Add(time.Nanosecond); return now }})
	root, other := newCA(t, "root"), newCA(t, "other")
	one := add(t, s, trust.NewCA{Text: root.pem()})
	two := add(t, s, trust.NewCA{Text: other.Raw, Listener: "bmc1"})
	_, err := s.Add(t.Context(), trust.NewCA{Text: root.pem(), Name: "again"})
	wantErr(t, err, trust.ErrExists)
	three := add(t, s, trust.NewCA{Text: root.pem(), Listener: "bmc2"}) // the same one elsewhere
	ids := func(all []trust.CA) (out []string) {
		for _, ca := range all {
			out = append(out, ca.ID)
		}
		return out
	}
	for _, c := range []struct {
		got  []trust.CA
		want []string
	}{
		{s.All(), []string{one.ID, two.ID, three.ID}},
		{s.CAs("bmc1"), []string{one.ID, two.ID}},
		{s.CAs("bmc2"), []string{one.ID, three.ID}},
		{s.CAs("bmc3"), []string{one.ID}},
	} {
		if got := ids(c.got); fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("got %v, want %v", got, c.want)
		}
	}
	leaf := other.client(t, "a")
	wantJudged(t, s, nil, leaf)
	before := s.Generation()
	must(t, s.Remove(t.Context(), two.ID))
	wantJudged(t, s, trust.ErrUntrusted, leaf)
	if s.Generation() == before {
		t.Error("a removal did not raise the generation")
	}
	wantErr(t, s.Remove(t.Context(), two.ID), trust.ErrNotFound)
	_, err = s.CA(two.ID)
	wantErr(t, err, trust.ErrNotFound)
}

func TestLimitOfCAs(t *testing.T) {
	t.Parallel()
	s := newService(t, trust.Config{})
	root := newCA(t, "root")
	for i := range trust.MaxCAs {
		add(t, s, trust.NewCA{Text: root.pem(), Listener: fmt.Sprint("bmc", i)})
	}
	_, err := s.Add(t.Context(), trust.NewCA{Text: root.pem()})
	wantErr(t, err, trust.ErrLimit)
}

func TestAccountCertificates(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	store := &trust.MemoryStore{Account: func(id string) (auth.AccountName, bool) { return "ann", id == "1" }}
	s := newService(t, trust.Config{Store: store})
	self := plan{"ann", nil, asClient}.issue(t, nil)
	before := s.Generation()
	c, err := s.AddAccountCertificate(ctx, "1", "ann", self.pem())
	must(t, err)
	if c.Fingerprint != trust.FingerprintOf(self.Certificate) || c.Account != "ann" || !c.Certificate.Equal(self.Certificate) || c.Created != noon {
		t.Errorf("added %+v", c)
	}
	if s.Generation() == before {
		t.Error("a certificate did not raise the generation")
	}
	_, err = s.AddAccountCertificate(ctx, "1", "ann", self.Raw)
	wantErr(t, err, trust.ErrExists)
	_, err = s.AddAccountCertificate(ctx, "2", "bob", plan{"bob", nil, nil}.issue(t, nil).pem())
	wantErr(t, err, trust.ErrNotFound)
	_, err = s.AddAccountCertificate(ctx, "1", "ann", append(self.pem(), self.pem()...))
	wantErr(t, err, trust.ErrMalformed)
	all, err := s.AccountCertificates(ctx, "1")
	must(t, err)
	if len(all) != 1 || !all[0].Certificate.Equal(self.Certificate) {
		t.Errorf("got %+v", all)
	}
	own, err := s.AccountByFingerprint(ctx, c.Fingerprint)
	must(t, err)
	if own.AccountID != "1" || own.Account != "ann" {
		t.Errorf("got %+v", own)
	}
	before = s.Generation()
	must(t, s.RemoveAccountCertificate(ctx, "1", c.Fingerprint))
	if s.Generation() == before {
		t.Error("a removal did not raise the generation")
	}
	_, err = s.AccountByFingerprint(ctx, c.Fingerprint)
	wantErr(t, err, trust.ErrNotFound)
}

func TestNewWantsAStore(t *testing.T) {
	t.Parallel()
	if _, err := trust.New(trust.Config{}); err == nil {
		t.Error("a service without a store was made")
	}
}

// A broken store holds what no Add would have let in, or nothing at all.
type broken struct {
	trust.Store
	cas []trust.Record
	err error
}

func (b broken) CAs(context.Context) ([]trust.Record, error) { return b.cas, b.err }

// TestLoadRefuses: a store that somebody else has written to is not believed.
func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	root := newCA(t, "root")
	boom := errors.New("disk on fire")
	for name, c := range map[string]struct {
		store broken
		want  error
	}{
		"failing":     {broken{err: boom}, boom},
		"no CA":       {broken{cas: []trust.Record{{DER: root.client(t, "a").Raw}}}, trust.ErrNotCA},
		"version 1":   {broken{cas: []trust.Record{{DER: root.issueV1(t, "a").Raw}}}, trust.ErrNotCA},
		"garbage":     {broken{cas: []trust.Record{{DER: []byte{1}}}}, trust.ErrMalformed},
		"forged list": {broken{cas: []trust.Record{{DER: root.Raw, CRL: newCA(t, "root").crl(t, 1)}}}, trust.ErrBadCRL},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := trust.New(trust.Config{Store: c.store})
			must(t, err)
			wantErr(t, s.Load(t.Context()), c.want)
		})
	}
}

// TestConcurrentUse is for the race detector.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	root, other := newCA(t, "root"), newCA(t, "other")
	ann := root.client(t, "ann")
	s := trusting(t, root)
	ca := s.All()[0]
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for range 20 {
				_, err := s.Judge(context.Background(), "bmc1", chain(ann))
				if err != nil && !errors.Is(err, trust.ErrRevoked) {
					t.Error(err)
				}
			}
		})
		all.Go(func() {
			added, err := s.Add(context.Background(), trust.NewCA{Text: other.pem(), Listener: fmt.Sprint(i)})
			if err == nil {
				err = s.SetCRL(context.Background(), ca.ID, root.crl(t, int64(i), ann))
			}
			if errors.Is(err, trust.ErrOlderCRL) {
				err = nil
			}
			if err == nil {
				err = s.Remove(context.Background(), added.ID)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}
