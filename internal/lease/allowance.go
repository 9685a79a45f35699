package lease

import (
	"context"
	"crypto/rand"
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
	s := fmt.Sprintf("the device refused the password stored for account %q; it is not tried again, so that the account is not locked", b.Account)
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

// An attempt is one reserved login.
type attempt struct {
	store Store
	now   func() time.Time
	id    string
}

// reserve takes one login out of the allowance, durably, before it is sent.
// forced skips the allowance: a person spends the attempt.
func (m *Manager) reserve(ctx context.Context, t Target, k Key, forced bool) (*attempt, error) {
	l := limits{threshold: t.LockoutThreshold, window: t.LockoutWindow}
	decide := func(h History) error {
		if forced {
			return nil
		}
		return l.allow(k.Account, h, m.now())
	}
	id := rand.Text()
	if err := m.store.ReserveLogin(ctx, id, k, l.windowOr(), decide, m.now()); err != nil {
		return nil, err
	}
	return &attempt{store: m.store, now: m.now, id: id}, nil
}

// settle records the outcome of the attempt. A login that was refused because
// of the nonce said nothing about the secret, but the device may have counted it.
func (a *attempt) settle(ctx context.Context, err error) error {
	var le *auth.LoginError
	switch {
	case err == nil:
		return a.store.SettleLogin(ctx, a.id, auth.Accepted, false, a.now())
	case !errors.As(err, &le):
		return a.store.SettleLogin(ctx, a.id, auth.NotJudged, false, a.now())
	case le.NonceFault:
		return a.store.SettleLogin(ctx, a.id, auth.NotJudged, true, a.now())
	}
	counts := le.Outcome == auth.Refused
	if le.Outcome == auth.Unknown {
		counts = true // the store counts it only while the secret is not proven
	}
	return a.store.SettleLogin(ctx, a.id, le.Outcome, counts, a.now())
}

// key names the secret of a credential without holding it.
func (m *Manager) key(t Target, c auth.Credential) Key {
	return Key{
		Domain:     t.lockoutDomain(),
		Account:    c.Account,
		SecretHash: m.seal.Hash("device password", t.lockoutDomain(), string(c.Account), c.Password.Reveal()),
	}
}
