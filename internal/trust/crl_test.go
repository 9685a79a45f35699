package trust_test

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern/postern/internal/trust"
)

func TestCRL(t *testing.T) {
	t.Parallel()
	root := newCA(t, "root")
	ann, bob := root.client(t, "ann"), root.client(t, "bob")
	s := newService(t, trust.Config{})
	ca := add(t, s, trust.NewCA{Text: root.pem()})
	wantJudged(t, s, nil, ann)
	before := s.Generation()
	must(t, s.SetCRL(t.Context(), ca.ID, root.crl(t, 1, ann)))
	wantJudged(t, s, trust.ErrRevoked, ann)
	wantJudged(t, s, nil, bob)
	if s.Generation() == before {
		t.Error("a new list did not raise the generation")
	}
	ca, err := s.CA(ca.ID)
	must(t, err)
	if ca.CRL == nil || ca.CRL.Number != "1" || ca.CRL.Revoked != 1 || !ca.CRL.NextUpdate.Equal(noon.Add(24*time.Hour)) {
		t.Errorf("the list is shown as %+v", ca.CRL)
	}
	must(t, s.SetCRL(t.Context(), ca.ID, pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: root.crl(t, 2, ann, bob)})))
	wantJudged(t, s, trust.ErrRevoked, bob)
	must(t, s.RemoveCRL(t.Context(), ca.ID))
	wantJudged(t, s, nil, ann)
	wantErr(t, s.RemoveCRL(t.Context(), "nobody"), trust.ErrNotFound)
	wantErr(t, s.SetCRL(t.Context(), "nobody", root.crl(t, 1)), trust.ErrNotFound)
}

func TestCRLRefused(t *testing.T) {
	t.Parallel()
	root, other := newCA(t, "root"), newCA(t, "other")
	twin := newCA(t, "root") // with the name and another key
	noSign := plan{"root", root.key, func(c *x509.Certificate) {
		asCA(c)
		c.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	}}.issue(t, nil)
	at := func(from, to time.Duration) *x509.RevocationList {
		return &x509.RevocationList{Number: big.NewInt(9), ThisUpdate: noon.Add(from), NextUpdate: noon.Add(to)}
	}
	critical := at(0, time.Hour)
	critical.ExtraExtensions = []pkix.Extension{{Id: []int{2, 5, 29, 27}, Critical: true, Value: []byte{2, 1, 1}}} // a delta
	sha1 := at(0, time.Hour)
	sha1.SignatureAlgorithm = x509.ECDSAWithSHA1
	damaged := root.crl(t, 9)
	damaged[len(damaged)-1] ^= 1
	key, err := x509.MarshalPKCS8PrivateKey(root.key)
	must(t, err)
	sameNumber := at(time.Minute, time.Hour)
	sameNumber.Number = big.NewInt(5)

	for _, c := range []struct {
		name string
		text []byte
		want error
	}{
		{"newer", root.crl(t, 6), nil},
		{"the same number, made later", root.crlOf(t, sameNumber), nil},
		{"of the same key in another certificate", noSign.crl(t, 6), nil},
		{"older", root.crl(t, 4), trust.ErrOlderCRL},
		{"of another CA", other.crl(t, 6), trust.ErrBadCRL},
		{"of another key", twin.crl(t, 6), trust.ErrBadCRL},
		{"of the same key by another name", plan{"else", root.key, asCA}.issue(t, nil).crl(t, 6), trust.ErrBadCRL},
		{"damaged", damaged, trust.ErrBadCRL},
		{"ended", root.crlOf(t, at(-2*time.Hour, -time.Hour)), trust.ErrBadCRL},
		{"of the future", root.crlOf(t, at(time.Hour, 2*time.Hour)), trust.ErrBadCRL},
		{"a little ahead", root.crlOf(t, at(time.Minute, 2*time.Hour)), nil},
		{"a part", root.crlOf(t, critical), trust.ErrBadCRL},
		{"signed with SHA-1", root.crlOf(t, sha1), trust.ErrBadCRL},
		{"a certificate", root.pem(), trust.ErrBadCRL},
		{"a certificate in DER", root.Raw, trust.ErrBadCRL},
		{"empty", nil, trust.ErrBadCRL},
		{"no list at all", []byte("hello"), trust.ErrBadCRL},
		{"a key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), trust.ErrPrivateKey},
		{"a key in DER", key, trust.ErrPrivateKey},
		{"too long", make([]byte, trust.MaxCRL+1), trust.ErrBadCRL},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, trust.Config{})
			ca := add(t, s, trust.NewCA{Text: root.pem()})
			ann := root.client(t, "ann")
			must(t, s.SetCRL(t.Context(), ca.ID, root.crl(t, 5, ann)))
			err := s.SetCRL(t.Context(), ca.ID, c.text)
			if c.want == nil {
				must(t, err)
				return
			}
			wantErr(t, err, c.want)
			wantJudged(t, s, trust.ErrRevoked, ann) // the old one still counts
		})
	}
}

// TestCRLOfALink: each link below a CA with a list needs one, and a stale or
// missing one refuses.
func TestCRLOfALink(t *testing.T) {
	t.Parallel()
	root := newCA(t, "root")
	sub := root.sub(t, "sub")
	leaf := sub.client(t, "a")
	s := newService(t, trust.Config{})
	top := add(t, s, trust.NewCA{Text: root.pem()})
	wantJudged(t, s, nil, leaf, sub)
	must(t, s.SetCRL(t.Context(), top.ID, root.crl(t, 1)))
	wantJudged(t, s, trust.ErrRevocationUnknown, leaf, sub)

	middle := add(t, s, trust.NewCA{Text: sub.pem()})
	wantJudged(t, s, nil, leaf) // by its own right, without a list
	must(t, s.SetCRL(t.Context(), middle.ID, sub.crl(t, 1)))
	v := wantJudged(t, s, nil, leaf, sub)
	if v.Anchor.ID != middle.ID {
		t.Errorf("anchor is %+v", v.Anchor)
	}
	must(t, s.SetCRL(t.Context(), middle.ID, sub.crl(t, 2, leaf)))
	wantJudged(t, s, trust.ErrRevoked, leaf, sub)
	must(t, s.SetCRL(t.Context(), middle.ID, sub.crl(t, 3)))

	must(t, s.SetCRL(t.Context(), top.ID, root.crl(t, 2, sub)))
	wantJudged(t, s, trust.ErrRevoked, leaf) // though sub is trusted for itself
	wantJudged(t, s, trust.ErrRevoked, leaf, sub)
}

func TestStaleCRL(t *testing.T) {
	t.Parallel()
	root := newCA(t, "root")
	now := noon
	s := newService(t, trust.Config{Now: func() time.Time { return now }})
	ca := add(t, s, trust.NewCA{Text: root.pem()})
	ann, bob := root.client(t, "ann"), root.client(t, "bob")
	short := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: noon, NextUpdate: noon.Add(40 * time.Minute)}
	must(t, s.SetCRL(t.Context(), ca.ID, root.crlOf(t, short, ann)))
	if v := wantJudged(t, s, nil, bob); !v.NextCheck.Equal(short.NextUpdate) {
		t.Errorf("next check at %s, not at the end of the list", v.NextCheck)
	}
	now = noon.Add(time.Hour + time.Second)
	wantJudged(t, s, trust.ErrRevocationUnknown, bob)
	wantJudged(t, s, trust.ErrRevoked, ann) // that stays known
}

// TestRevokedOnOneWay: a second certificate of the same CA without a list does not
// bring back what the first one's list has revoked.
func TestRevokedOnOneWay(t *testing.T) {
	t.Parallel()
	root := newCA(t, "root")
	renewed := plan{"root", root.key, asCA}.issue(t, nil)
	ann := root.client(t, "ann")
	for _, order := range [][]*entity{{root, renewed}, {renewed, root}} {
		s := newService(t, trust.Config{})
		for _, e := range order {
			ca := add(t, s, trust.NewCA{Text: e.pem()})
			if e == root {
				must(t, s.SetCRL(t.Context(), ca.ID, root.crl(t, 1, ann)))
			}
		}
		wantJudged(t, s, trust.ErrRevoked, ann)
		wantJudged(t, s, nil, root.client(t, "bob"))
	}
}

// TestListOfANamesake: the list of a CA says nothing of what another one of that name
// has issued.
func TestListOfANamesake(t *testing.T) {
	t.Parallel()
	root := newCA(t, "root")
	sub, namesake := root.sub(t, "sub"), newCA(t, "sub")
	leaf := sub.client(t, "a")
	s := trusting(t, root)
	ca := add(t, s, trust.NewCA{Text: namesake.pem()})
	must(t, s.SetCRL(t.Context(), ca.ID, namesake.crl(t, 1, leaf)))
	wantJudged(t, s, nil, leaf, sub)
}

// TestCRLSurvives: what was stored counts after a start.
func TestCRLSurvives(t *testing.T) {
	t.Parallel()
	store := new(trust.MemoryStore)
	root := newCA(t, "root")
	ann := root.client(t, "ann")
	first := newService(t, trust.Config{Store: store})
	ca := add(t, first, trust.NewCA{Text: root.pem(), Name: "Lab", Listener: "bmc1", OCSP: trust.OCSPSoft})
	must(t, first.SetCRL(t.Context(), ca.ID, root.crl(t, 1, ann)))
	second := newService(t, trust.Config{Store: store})
	wantJudged(t, second, trust.ErrRevoked, ann)
	want, err := first.CA(ca.ID)
	must(t, err)
	got, err := second.CA(ca.ID)
	must(t, err)
	if *got.CRL != *want.CRL || !got.Certificate.Equal(want.Certificate) || got.Created != want.Created ||
		got.Name != "Lab" || got.Listener != "bmc1" || got.OCSP != trust.OCSPSoft {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// A shelf answers each URL with what lies there.
type shelf struct {
	asked atomic.Int32
	mu    sync.Mutex // guards texts
	texts map[string][]byte
}

// put lays something there; nil takes it away.
func (f *shelf) put(url string, text []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.texts[url] = text
}

func (f *shelf) fetch(ctx context.Context, method, url, contentType string, body []byte) ([]byte, error) {
	f.asked.Add(1)
	if _, ok := ctx.Deadline(); !ok || method != "GET" || contentType != "" || body != nil {
		return nil, errors.New("not asked as agreed")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if text := f.texts[url]; text != nil {
		return text, nil
	}
	return nil, errors.New("connection refused")
}

func TestCRLByURL(t *testing.T) {
	t.Parallel()
	root := newCA(t, "root")
	ann := root.client(t, "ann")
	f := &shelf{texts: map[string][]byte{"http://ca/good": root.crl(t, 1, ann), "http://ca/bad": root.pem()}}
	s := newService(t, trust.Config{Fetch: f.fetch})
	for url, want := range map[string]error{"http://ca/gone": trust.ErrFetch, "http://ca/bad": trust.ErrBadCRL} {
		_, err := s.Add(t.Context(), trust.NewCA{Text: root.pem(), CRLURL: url})
		wantErr(t, err, want)
	}
	if len(s.All()) != 0 {
		t.Errorf("CAs without their list were added: %v", s.All())
	}
	ca := add(t, s, trust.NewCA{Text: root.pem(), CRLURL: "http://ca/good"})
	wantJudged(t, s, trust.ErrRevoked, ann)
	f.put("http://ca/good", root.crl(t, 2))
	must(t, s.FetchCRL(t.Context(), ca.ID))
	wantJudged(t, s, nil, ann)
	before := s.Generation()
	must(t, s.FetchCRL(t.Context(), ca.ID))
	if s.Generation() != before {
		t.Error("the same list again raised the generation")
	}
	wantErr(t, s.FetchCRL(t.Context(), "nobody"), trust.ErrNotFound)
	must(t, s.RemoveCRL(t.Context(), ca.ID))
	wantJudged(t, s, trust.ErrRevocationUnknown, ann) // one with a URL needs its list
	_, err := newService(t, trust.Config{}).Add(t.Context(), trust.NewCA{Text: root.pem(), CRLURL: "http://ca/good"})
	wantErr(t, err, trust.ErrFetch)
}

// TestRun: the list is fetched again before its time ends, also after a failure and
// after a start, and a stranger's silence is bearable.
func TestRun(t *testing.T) {
	t.Parallel()
	root := newCA(t, "root")
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		now := func() time.Time { return noon.Add(time.Since(start)) }
		list := func(number int64) []byte {
			return root.crlOf(t, &x509.RevocationList{Number: big.NewInt(number), ThisUpdate: now(), NextUpdate: now().Add(4 * time.Hour)})
		}
		f := &shelf{texts: map[string][]byte{"http://ca/crl": list(1)}}
		s := newService(t, trust.Config{Fetch: f.fetch, Now: now})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		ca := add(t, s, trust.NewCA{Text: root.pem(), CRLURL: "http://ca/crl"})
		asked := func(want int32) {
			t.Helper()
			synctest.Wait()
			if got := f.asked.Load(); got != want {
				t.Errorf("after %s it was asked %d times, want %d", time.Since(start), got, want)
			}
		}
		asked(1) // by Add
		f.put("http://ca/crl", list(2))
		time.Sleep(2*time.Hour + time.Minute)
		asked(2) // after half of its time
		f.put("http://ca/crl", nil)
		time.Sleep(time.Hour - 30*time.Second)
		asked(3)
		time.Sleep(3 * time.Minute)
		asked(5) // after one minute and two more
		f.put("http://ca/crl", list(3))
		time.Sleep(4 * time.Minute)
		asked(6)
		if ca, err := s.CA(ca.ID); err != nil || ca.CRL.Number != "3" {
			t.Errorf("list %v, %v", ca.CRL, err)
		}
		must(t, s.Remove(ctx, ca.ID))
		time.Sleep(24 * time.Hour)
		asked(6)
		cancel()
		must(t, <-done)
	})
}
