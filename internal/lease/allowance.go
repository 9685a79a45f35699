package lease

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/postern/postern/auth"
)

const (
	// maxRefused is how many refused logins a device may see for one account
	// and secret until one is accepted, and for one account in a lockout window.
	maxRefused = 2
	// defaultWindow is the lockout window of a device that does not tell one.
	defaultWindow = 30 * time.Minute
)

// A Blocked error says that Postern does not try a secret any more, so that the
// device does not lock the account. It ends when the secret changes, at Until,
// or when a person spends an attempt (Manager.Check).
type Blocked struct {
	Account auth.AccountName
	Refused int       // how often the device refused or may have refused
	Until   time.Time // zero: only a change of the secret, or a person, ends it
}

func (b *Blocked) Error() string {
	if b.Refused == 0 {
		return fmt.Sprintf("the device locks an account after one wrong password, and the password stored for account %q was never accepted there", b.Account)
	}
	s := fmt.Sprintf("the device refused the password or certificate stored for account %q; it is not tried again, so that the account is not locked", b.Account)
	if !b.Until.IsZero() {
		s += ", before " + b.Until.UTC().Format(time.RFC3339)
	}
	return s
}

// errAttemptPending: one login with this secret is under way already.
var errAttemptPending = errors.New("a login with this password is under way")

// limits of one account at one device.
type limits struct {
	threshold int           // wrong passwords that lock the account; 0 = unknown
	window    time.Duration // the lockout window; 0 = unknown
}

func (l limits) perWindow() int {
	if l.threshold > 0 {
		return min(maxRefused, l.threshold-1)
	}
	return maxRefused
}

func (l limits) windowOr() time.Duration {
	if l.window > 0 {
		return l.window
	}
	return defaultWindow
}

// allow decides on one login from what is known. A proven secret is always
// allowed, one login at a time. A secret that was refused once is tried again
// only after a whole window, so that a second, corrected secret still has an
// attempt left in this one.
func (l limits) allow(account auth.AccountName, h History, now time.Time) error {
	switch {
	case h.Pending > 0:
		return errAttemptPending
	case h.Proven:
		return nil
	case h.Refused+h.Unknown >= maxRefused:
		return &Blocked{Account: account, Refused: h.Refused + h.Unknown}
	case h.Refused > 0 && now.Before(h.RefusedAt.Add(l.windowOr())):
		return &Blocked{Account: account, Refused: h.Refused, Until: h.RefusedAt.Add(l.windowOr())}
	case len(h.Counted) >= l.perWindow():
		b := &Blocked{Account: account, Refused: len(h.Counted)}
		if n := len(h.Counted) - l.perWindow(); n < len(h.Counted) {
			b.Until = h.Counted[n].Add(l.windowOr())
		}
		return b
	}
	return nil
}

// A verdict is what became of a reserved login.
type verdict struct {
	outcome auth.Outcome
	counts  bool // the device may have counted it as a failed login
}

// reserve takes one login out of the allowance, durably, before it is sent. The
// attempt has the id of the lease that the login is for.
// forced skips the allowance: a person spends the attempt.
func (m *Manager) reserve(ctx context.Context, id string, t Target, k Key, forced bool) error {
	m.settleLate(ctx)
	l := limits{threshold: t.LockoutThreshold, window: t.LockoutWindow}
	if t.Method == auth.MethodCertificate {
		l.threshold = 0 // devices count wrong passwords
	}
	decide := func(h History) error {
		if forced {
			return nil
		}
		return l.allow(k.Account, h, m.now())
	}
	return m.store.ReserveLogin(ctx, id, k, l.windowOr(), decide, m.now())
}

// verdictOf judges the error of a login; nil is an acceptance. A login that was
// refused because of the nonce said nothing about the secret, but the device may
// have counted it. A lost answer counts only while the secret is not proven, which
// is the store's to know.
func verdictOf(err error) verdict {
	var le *auth.LoginError
	switch {
	case err == nil:
		return verdict{outcome: auth.Accepted}
	case !errors.As(err, &le):
		return verdict{outcome: auth.NotJudged}
	case le.NonceFault:
		return verdict{auth.NotJudged, true}
	}
	return verdict{le.Outcome, le.Outcome == auth.Refused || le.Outcome == auth.Unknown}
}

// settle records what became of the attempt id. What the store does not take now
// is kept for the next reservation: an attempt that stayed pending would forbid
// every other with its secret.
func (m *Manager) settle(ctx context.Context, id string, v verdict) {
	err := m.store.SettleLogin(ctx, id, v.outcome, v.counts, m.now())
	if err == nil || errors.Is(err, ErrState) {
		return
	}
	m.log.ErrorContext(ctx, "the outcome of a device login is not recorded yet", "lease", id, "err", err)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.unsettled[id] = v
}

// settleLate records what the store did not take before.
func (m *Manager) settleLate(ctx context.Context) {
	m.mu.Lock()
	late := m.unsettled
	m.unsettled = map[string]verdict{}
	m.mu.Unlock()
	for id, v := range late {
		m.settle(ctx, id, v)
	}
}

// key names the secret of a credential without holding it.
func (m *Manager) key(t Target, c auth.Credential) Key {
	return Key{
		Domain:     t.lockoutDomain(),
		Account:    c.Account,
		SecretHash: m.seal.Hash("device password", t.lockoutDomain(), string(c.Account), secretOf(c)),
	}
}

// secretOf names what a credential proves itself with: the password, or the
// certificate, which no device counts against the account, but which is not to be
// shown again and again where it is refused.
func secretOf(c auth.Credential) string {
	if cert := c.Certificate.Reveal(); cert != nil && len(cert.Certificate) > 0 && c.Password.IsZero() {
		return "certificate:" + string(cert.Certificate[0])
	}
	return c.Password.Reveal()
}
