package authority

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/account"
	"github.com/postern/postern/internal/session"
	"github.com/postern/postern/internal/trust"
)

// The limits of what is remembered and done about client certificates.
const (
	keptCertificates = 10_000      // good ones, and as many bad ones: some 15 MB in all
	maxHearings      = 1_000       // judgements at a time: one may wait for a responder
	recordAgain      = time.Minute // the same refusal is recorded once in that time
)

// A shown is a certificate that somebody showed at a listener: the fingerprint of a
// good one; of a bad one the hash of all that was sent with it, since it may lack
// but an intermediate CA.
type shown struct {
	sum      trust.Fingerprint
	listener string
	mapping  string
}

// A judgement is what came of a certificate, for as long as it stands.
type judgement struct {
	v          verdict
	generation uint64 // of Trust
	until      time.Time
	recorded   time.Time // zero: not yet; guarded by certificates.mu
}

// A hearing is one judgement in the making, for all who wait for it.
type hearing struct {
	done chan struct{} // closed when j is set
	j    *judgement
}

// certificates answers whose a client certificate is. A good one costs a hash of
// it and a look into a map for as long as its judgement stands. Wrong passwords do
// not lock it out: who has the key has not guessed it.
type certificates struct {
	trust    Trust
	accounts account.Store
	rules    func(listener string) session.ListenerRules
	host     func(listener string) string
	now      func() time.Time
	stop     context.Context // ends at close
	cancel   context.CancelFunc
	running  sync.WaitGroup

	mu       sync.Mutex // guards what follows
	era      uint64     // raised when an account changes: what was read before counts no more
	good     *fifo[shown, *judgement]
	bad      *fifo[shown, *judgement]
	hearings map[shown]*hearing
}

func newCertificates(c Config) *certificates {
	s := &certificates{
		trust: c.Trust, accounts: c.Accounts, rules: c.Sessions.Rules, host: c.Host, now: c.Now,
		good: newFIFO[shown, *judgement](keptCertificates), bad: newFIFO[shown, *judgement](keptCertificates),
		hearings: make(map[shown]*hearing),
	}
	s.stop, s.cancel = context.WithCancel(context.Background())
	return s
}

func (s *certificates) close() {
	s.mu.Lock()
	s.cancel() // under mu: no hearing begins after it
	s.mu.Unlock()
	s.running.Wait()
}

// verify returns a verdict that is cached where it was given, and recorded, before.
func (s *certificates) verify(ctx context.Context, at auth.Attempt) verdict {
	rules := s.rules(at.Listener)
	switch {
	case ctx.Err() != nil:
		return verdict{err: ctx.Err(), reason: "caller gone"}
	case s.trust == nil || !rules.Certificates: // nobody is asked for one then
		return verdict{err: fmt.Errorf("%w: %w", auth.ErrBadCredentials, auth.ErrMethodOff), reason: "client certificates are not taken here"}
	case len(at.Chain) == 0:
		return verdict{err: auth.ErrBadCredentials, reason: "no certificate"}
	}
	leaf := shown{trust.FingerprintOf(at.Chain[0]), at.Listener, rules.Mapping}
	if v, ok := s.known(s.good, leaf); ok {
		return v
	}
	all := shown{sumOf(at.Chain), at.Listener, rules.Mapping}
	if v, ok := s.known(s.bad, all); ok {
		return v
	}
	h, v := s.hear(leaf, all, at)
	if h == nil {
		return v
	}
	select {
	case <-h.done:
		return s.answer(h.j)
	case <-ctx.Done():
		return verdict{err: ctx.Err(), reason: "caller gone"}
	}
}

// known returns the verdict on what was shown before, while it stands.
func (s *certificates) known(in *fifo[shown, *judgement], c shown) (verdict, bool) {
	s.mu.Lock()
	j, ok := in.get(c)
	s.mu.Unlock()
	if !ok || j.generation != s.trust.Generation() || !s.now().Before(j.until) {
		return verdict{}, false
	}
	return s.answer(j), true
}

// answer gives the verdict to one who asked. It is for the first of them to record
// it, and a refusal again when some time has passed.
func (s *certificates) answer(j *judgement) verdict {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, now := j.v, s.now()
	v.cached = !j.recorded.IsZero() && (v.err == nil || now.Sub(j.recorded) < recordAgain)
	if !v.cached {
		j.recorded = now
	}
	return v
}

// sumOf is a hash of all certificates of a chain.
func sumOf(chain []*x509.Certificate) (sum trust.Fingerprint) {
	h := sha256.New()
	for _, c := range chain {
		h.Write(c.Raw) // DER tells its own length
	}
	h.Sum(sum[:0])
	return sum
}

// hear begins a hearing or joins one, or else returns a verdict.
func (s *certificates) hear(leaf, all shown, at auth.Attempt) (*hearing, verdict) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.hearings[all]; h != nil {
		return h, verdict{}
	}
	if s.stop.Err() != nil {
		return nil, verdict{err: auth.ErrUnavailable, reason: "shutting down"}
	}
	if len(s.hearings) >= maxHearings {
		return nil, verdict{err: auth.ErrBusy, reason: "too many certificates are being judged"}
	}
	h := &hearing{done: make(chan struct{})}
	s.hearings[all] = h
	era := s.era
	s.running.Go(func() {
		j := s.judge(at.Listener, leaf.mapping, at.Chain)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.hearings[all] == h {
			delete(s.hearings, all)
		}
		h.j = j
		close(h.done)
		switch {
		case s.era != era: // the account may have changed since it was read
		case j.v.err == nil:
			s.good.add(leaf, j)
		case errors.Is(j.v.err, auth.ErrBadCredentials):
			s.bad.add(all, j)
		}
	})
	return h, verdict{}
}

// judge says whose the certificate is.
func (s *certificates) judge(listener, mapping string, chain []*x509.Certificate) *judgement {
	j := &judgement{generation: s.trust.Generation()}
	v, name, err := s.judged(listener, mapping, chain)
	j.until = v.NextCheck
	fingerprint := trust.FingerprintOf(chain[0])
	if err == nil {
		j.v.account, err = s.accountOf(name)
	}
	j.v.name, j.v.reason = name, "certificate "+fingerprint.String()
	if err == nil {
		return j
	}
	j.v.reason += ": " + err.Error()
	j.v.err = fmt.Errorf("authority: %w: certificate %s: %w", auth.ErrBadCredentials, fingerprint, err)
	if !isRefusal(err) {
		j.v.err = fmt.Errorf("authority: %w: judge certificate %s: %w", auth.ErrUnavailable, fingerprint, err)
	}
	return j
}

var (
	errNobody   = errors.New("it names no account")
	errDisabled = errors.New("its account is disabled")
)

// isRefusal tells a bad certificate from a failure of ours.
func isRefusal(err error) bool {
	return slices.ContainsFunc([]error{
		errNobody, errDisabled, trust.ErrMalformed, trust.ErrUntrusted, trust.ErrExpired, trust.ErrNotYetValid, trust.ErrRevoked,
		trust.ErrWeakKey, trust.ErrUsage, trust.ErrRevocationUnknown, trust.ErrNoName,
	}, func(refusal error) bool { return errors.Is(err, refusal) })
}

// judged judges the certificate itself, and returns the name of its account.
func (s *certificates) judged(listener, mapping string, chain []*x509.Certificate) (trust.Verdict, auth.AccountName, error) {
	if mapping == session.MapWhole {
		return s.judgedWhole(listener, chain)
	}
	v, err := s.trust.Judge(s.stop, listener, chain)
	if err != nil {
		return v, "", err
	}
	if mapping == session.MapCommonName {
		cn, err := trust.CommonName(chain[0])
		return v, auth.AccountName(cn), err
	}
	upn, err := trust.UPN(chain[0])
	if err != nil {
		return v, "", err
	}
	return v, auth.AccountName(trust.UPNUser(upn, s.host(listener))), nil
}

// judgedWhole takes the certificate for the account that has registered it.
func (s *certificates) judgedWhole(listener string, chain []*x509.Certificate) (trust.Verdict, auth.AccountName, error) {
	c, err := s.trust.AccountByFingerprint(s.stop, trust.FingerprintOf(chain[0]))
	if errors.Is(err, trust.ErrNotFound) {
		return trust.Verdict{NextCheck: s.now().Add(wrongFor)}, "", errNobody
	}
	if err != nil {
		return trust.Verdict{}, "", err
	}
	v, err := s.trust.JudgeLeaf(s.stop, listener, chain)
	return v, c.Account, err
}

func (s *certificates) accountOf(name auth.AccountName) (account.Account, error) {
	if account.CheckName(name) != nil {
		return account.Account{}, errNobody
	}
	a, err := s.accounts.Account(s.stop, name)
	switch {
	case errors.Is(err, account.ErrNotFound):
		return account.Account{}, errNobody
	case err != nil:
		return account.Account{}, err
	case !a.Enabled:
		return account.Account{}, errDisabled
	}
	return a, nil
}

// forget drops what was judged about an account, and all refusals: they may have
// been for want of it. A hearing that goes on is not remembered, and nobody joins it.
func (s *certificates) forget(name auth.AccountName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.era++
	clear(s.hearings)
	s.good.drop(func(j *judgement) bool { return j.v.account.Name == name })
	s.bad.drop(func(*judgement) bool { return true })
}
