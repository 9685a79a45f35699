package trust_test

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/postern/postern/internal/trust"
)

const ocspURL = "http://ocsp.example/"

func withOCSP(c *x509.Certificate) { c.OCSPServer = []string{"ldap://no", ocspURL} }

func asResponder(c *x509.Certificate) {
	c.KeyUsage = x509.KeyUsageDigitalSignature
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}
}

// An oracle is an OCSP responder.
type oracle struct {
	answer func(*ocsp.Request) []byte
	asked  atomic.Int32
}

func (o *oracle) fetch(_ context.Context, method, url, contentType string, body []byte) ([]byte, error) {
	o.asked.Add(1)
	if method != "POST" || url != ocspURL || contentType != "application/ocsp-request" {
		return nil, errors.New("not asked as agreed")
	}
	request, err := ocsp.ParseRequest(body)
	if err != nil {
		return nil, err
	}
	if der := o.answer(request); der != nil {
		return der, nil
	}
	return nil, errors.New("connection refused")
}

// says makes answers of this status, signed by signer for issuer. With embed the
// answer has this certificate in it.
func says(t testing.TB, status int, issuer *entity, key crypto.Signer, embed *entity, change func(*ocsp.Response)) func(*ocsp.Request) []byte {
	return func(r *ocsp.Request) []byte {
		resp := ocsp.Response{Status: status, SerialNumber: r.SerialNumber, ThisUpdate: noon, NextUpdate: noon.Add(30 * time.Minute), RevokedAt: noon}
		by := issuer.Certificate
		if embed != nil {
			resp.Certificate, by = embed.Certificate, embed.Certificate
		}
		if change != nil {
			change(&resp)
		}
		der, err := ocsp.CreateResponse(issuer.Certificate, by, resp, key)
		if err != nil {
			t.Error(err)
		}
		return der
	}
}

func TestOCSP(t *testing.T) {
	t.Parallel()
	root, other := newCA(t, "root"), newCA(t, "other")
	leaf := plan{"a", nil, with(asClient, withOCSP)}.issue(t, root)
	responder := plan{"responder", nil, asResponder}.issue(t, root)
	foreign := plan{"responder", nil, asResponder}.issue(t, other)
	impostor := plan{"responder", nil, asResponder}.issue(t, newCA(t, "root"))
	expired := plan{"responder", nil, with(asResponder, func(c *x509.Certificate) { c.NotAfter = noon.Add(-time.Second) })}.issue(t, root)
	weak := plan{"responder", rsaKey(t, 1024), asResponder}.issue(t, root)
	at := func(from, to time.Duration) func(*ocsp.Response) {
		return func(r *ocsp.Response) {
			r.ThisUpdate, r.NextUpdate = noon.Add(from), noon.Add(to)
			if to == 0 {
				r.NextUpdate = time.Time{}
			}
		}
	}
	own := func(status int, change func(*ocsp.Response)) func(*ocsp.Request) []byte {
		return says(t, status, root, root.key, nil, change)
	}
	by := func(e *entity) func(*ocsp.Request) []byte { return says(t, ocsp.Good, root, e.key, e, nil) }
	silent := func(*ocsp.Request) []byte { return nil }
	pass, none := error(nil), trust.ErrRevocationUnknown

	for _, c := range []struct {
		name           string
		answer         func(*ocsp.Request) []byte
		soft, required error
	}{
		{"good", own(ocsp.Good, nil), pass, pass},
		{"revoked", own(ocsp.Revoked, nil), trust.ErrRevoked, trust.ErrRevoked},
		{"unknown", own(ocsp.Unknown, nil), none, none},
		{"silent", silent, pass, none},
		{"try later", func(*ocsp.Request) []byte { return ocsp.TryLaterErrorResponse }, pass, none},
		{"garbage", func(*ocsp.Request) []byte { return []byte("<html>") }, pass, none},
		{"too long", func(r *ocsp.Request) []byte { return make([]byte, trust.MaxOCSP+1) }, pass, none},
		{"ended", own(ocsp.Revoked, at(-2*time.Hour, -time.Second)), pass, none},
		{"of the future", own(ocsp.Good, at(time.Hour, 2*time.Hour)), pass, none},
		{"without an end", own(ocsp.Good, at(-time.Hour, 0)), pass, pass},
		{"old and without an end", own(ocsp.Good, at(-25*time.Hour, 0)), pass, none},
		{"signed with SHA-1", own(ocsp.Good, func(r *ocsp.Response) { r.SignatureAlgorithm = x509.ECDSAWithSHA1 }), pass, none},
		{"by another CA", says(t, ocsp.Good, root, other.key, nil, nil), pass, none},
		{"about one of another CA", says(t, ocsp.Good, other, root.key, nil, nil), pass, none},
		{"about another certificate", own(ocsp.Good, func(r *ocsp.Response) { r.SerialNumber = root.SerialNumber }), pass, none},
		{"hashed with SHA-256", own(ocsp.Good, func(r *ocsp.Response) { r.IssuerHash = crypto.SHA256 }), pass, pass},
		{"with the CA's certificate in it", by(root), pass, pass},
		{"by a responder", by(responder), pass, pass},
		{"by a responder of another CA", by(foreign), pass, none},
		{"by a responder of a CA of that name", by(impostor), pass, none},
		{"by an expired responder", by(expired), pass, none},
		{"by a weak responder", by(weak), pass, none},
		{"by a client", by(root.client(t, "x")), pass, none},
		{"by the certificate itself", by(leaf), pass, none},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for mode, want := range map[trust.OCSPMode]error{trust.OCSPOff: nil, trust.OCSPSoft: c.soft, trust.OCSPRequired: c.required} {
				o := &oracle{answer: c.answer}
				s := newService(t, trust.Config{Fetch: o.fetch})
				add(t, s, trust.NewCA{Text: root.pem(), OCSP: mode})
				wantJudged(t, s, want, leaf)
				if asked := o.asked.Load() > 0; asked != (mode != trust.OCSPOff) {
					t.Errorf("mode %q: asked is %v", mode, asked)
				}
			}
		})
	}
}

// TestSwappedResponder: a responder that serves two CAs with one key signs for each
// of them; its certificate in the answer is not signed and proves nothing of which.
func TestSwappedResponder(t *testing.T) {
	t.Parallel()
	root, other := newCA(t, "root"), newCA(t, "other")
	leaf := plan{"a", nil, with(asClient, withOCSP)}.issue(t, root)
	responder := plan{"responder", nil, asResponder}.issue(t, root)
	o := &oracle{answer: says(t, ocsp.Good, other, responder.key, responder, nil)}
	s := newService(t, trust.Config{Fetch: o.fetch})
	add(t, s, trust.NewCA{Text: root.pem(), OCSP: trust.OCSPRequired})
	wantJudged(t, s, trust.ErrRevocationUnknown, leaf)
}

func TestOCSPWhereToAsk(t *testing.T) {
	t.Parallel()
	root := newCA(t, "root")
	o := &oracle{answer: says(t, ocsp.Good, root, root.key, nil, nil)}
	s := newService(t, trust.Config{Fetch: o.fetch})
	ca := add(t, s, trust.NewCA{Text: root.pem(), OCSP: trust.OCSPRequired})
	wantJudged(t, s, trust.ErrRevocationUnknown, root.client(t, "names none"))
	must(t, s.Remove(t.Context(), ca.ID))
	add(t, s, trust.NewCA{Text: root.pem(), OCSP: trust.OCSPRequired, OCSPURL: ocspURL})
	wantJudged(t, s, nil, root.client(t, "names none"))
	none := newService(t, trust.Config{})
	add(t, none, trust.NewCA{Text: root.pem(), OCSP: trust.OCSPRequired, OCSPURL: ocspURL})
	wantJudged(t, none, trust.ErrRevocationUnknown, root.client(t, "nobody can ask"))
}

// TestOCSPOfALink: an intermediate that nobody has added is judged as the CA above it
// says, and its own certificate too.
func TestOCSPOfALink(t *testing.T) {
	t.Parallel()
	root := newCA(t, "root")
	sub := plan{"sub", nil, asCA}.issue(t, root)
	leaf := plan{"a", nil, with(asClient, withOCSP)}.issue(t, sub)
	o := &oracle{answer: says(t, ocsp.Good, sub, sub.key, nil, nil)}
	s := newService(t, trust.Config{Fetch: o.fetch})
	ca := add(t, s, trust.NewCA{Text: root.pem(), OCSP: trust.OCSPSoft})
	wantJudged(t, s, nil, leaf, sub)
	if o.asked.Load() != 1 {
		t.Errorf("asked %d times for the leaf of an intermediate", o.asked.Load())
	}
	must(t, s.SetCRL(t.Context(), ca.ID, root.crl(t, 1, sub)))
	wantJudged(t, s, trust.ErrRevoked, leaf, sub)
}

// TestSoftIsAskedAgain: a verdict for want of an answer does not stand long.
func TestSoftIsAskedAgain(t *testing.T) {
	t.Parallel()
	root := newCA(t, "root")
	s := newService(t, trust.Config{})
	add(t, s, trust.NewCA{Text: root.pem(), OCSP: trust.OCSPSoft})
	if v := wantJudged(t, s, nil, root.client(t, "a")); !v.NextCheck.Equal(noon.Add(time.Minute)) {
		t.Errorf("next check at %s", v.NextCheck)
	}
}

// TestOCSPAndCRL: an answer makes up for a list that has ended, nothing for one
// that says revoked.
func TestOCSPAndCRL(t *testing.T) {
	t.Parallel()
	root := newCA(t, "root")
	long := func(c *x509.Certificate) { c.NotAfter = noon.Add(96 * time.Hour) }
	root = plan{"root", root.key, with(asCA, long)}.issue(t, nil)
	ann := plan{"a", nil, with(asClient, withOCSP, long)}.issue(t, root)
	bob := plan{"b", nil, with(asClient, withOCSP, long)}.issue(t, root)
	now := noon
	o := &oracle{answer: says(t, ocsp.Good, root, root.key, nil, func(r *ocsp.Response) { r.NextUpdate = noon.Add(72 * time.Hour) })}
	s := newService(t, trust.Config{Fetch: o.fetch, Now: func() time.Time { return now }})
	ca := add(t, s, trust.NewCA{Text: root.pem(), OCSP: trust.OCSPSoft})
	must(t, s.SetCRL(t.Context(), ca.ID, root.crl(t, 1, ann)))
	wantJudged(t, s, trust.ErrRevoked, ann)
	wantJudged(t, s, nil, bob)
	now = noon.Add(25 * time.Hour)
	wantJudged(t, s, nil, bob)
	o.answer = func(*ocsp.Request) []byte { return nil }
	now = noon.Add(73 * time.Hour)
	wantJudged(t, s, trust.ErrRevocationUnknown, bob) // soft is not softer than the list
}

// TestOCSPIsKept: one question for all who wait, none until the answer's end, and a
// pause where there was none.
func TestOCSPIsKept(t *testing.T) {
	t.Parallel()
	root := newCA(t, "root")
	leaf := plan{"a", nil, with(asClient, withOCSP)}.issue(t, root)
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		release := make(chan struct{})
		good := says(t, ocsp.Good, root, root.key, nil, nil)
		var down atomic.Bool
		o := &oracle{answer: func(r *ocsp.Request) []byte {
			<-release
			if down.Load() {
				return nil
			}
			return good(r)
		}}
		s := newService(t, trust.Config{Fetch: o.fetch, Now: func() time.Time { return noon.Add(time.Since(start)) }})
		add(t, s, trust.NewCA{Text: root.pem(), OCSP: trust.OCSPRequired})
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() { wantJudged(t, s, nil, leaf) })
		}
		impatient, cancel := context.WithCancel(t.Context())
		synctest.Wait()
		all.Go(func() {
			_, err := s.Judge(impatient, "bmc1", chain(leaf))
			wantErr(t, err, context.Canceled)
		})
		synctest.Wait()
		cancel()
		synctest.Wait()
		close(release)
		all.Wait()
		if v := wantJudged(t, s, nil, leaf); !v.NextCheck.Equal(noon.Add(30 * time.Minute)) {
			t.Errorf("next check at %s, not at the answer's end", v.NextCheck)
		}
		asked := func(want int32) {
			t.Helper()
			if got := o.asked.Load(); got != want {
				t.Errorf("asked %d times, want %d", got, want)
			}
		}
		asked(1)
		down.Store(true)
		time.Sleep(30 * time.Minute)
		for range 3 {
			wantJudged(t, s, trust.ErrRevocationUnknown, leaf)
		}
		asked(2)
		time.Sleep(time.Minute)
		wantJudged(t, s, trust.ErrRevocationUnknown, leaf)
		asked(3)
	})
}

// TestCausesAreToldWithoutHarm: what a peer wrote into its certificate reaches a
// log bounded and quoted.
func TestCausesAreToldWithoutHarm(t *testing.T) {
	t.Parallel()
	leaf := plan{"a\nb\x1b[31m" + strings.Repeat("x", 5000), nil, asClient}.issue(t, nil)
	_, err := trusting(t).Judge(t.Context(), "bmc1", chain(leaf))
	wantErr(t, err, trust.ErrUntrusted)
	if text := err.Error(); len(text) > 500 || strings.ContainsAny(text, "\n\x1b") {
		t.Errorf("the error has %d bytes: %.600q", len(text), text)
	}
}
