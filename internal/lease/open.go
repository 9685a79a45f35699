package lease

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/audit"
)

// openOptions of one login.
type openOptions struct {
	forced bool // a person spends the attempt
	above  int  // so many above the budget, so that owed leases cannot lock the sweep out
}

// nonce is the text that is left with a session at the device.
func nonce(id string) string { return "postern:" + id }

// open logs in at the device. The error is an *Unavailable.
func (m *Manager) open(ctx context.Context, t Target, opt openOptions) (*live, error) {
	cred, err := t.Credential(ctx)
	if err != nil {
		return nil, &Unavailable{Reason: Broken, Err: err}
	}
	facts, err := m.store.Facts(ctx, t.URL)
	if err != nil {
		return nil, &Unavailable{Reason: Broken, Err: err}
	}
	l, err := m.login(ctx, t, cred, facts, opt)
	var le *auth.LoginError
	if errors.As(err, &le) && le.NonceFault && !facts.NoNonce {
		facts.NoNonce = true
		if err := m.store.SetFacts(ctx, t.URL, facts, m.now()); err != nil {
			return nil, &Unavailable{Reason: Broken, Err: err}
		}
		l, err = m.login(ctx, t, cred, facts, opt)
	}
	if err != nil {
		u := unavailable(t, err)
		m.log.WarnContext(ctx, "device login failed", "target", t.Name, "reason", string(u.Reason), "err", err)
		return nil, u
	}
	m.learnIdle(t, l, facts)
	return l, nil
}

// login is one login: reserve, announce, intend, send, and keep what came back.
func (m *Manager) login(ctx context.Context, t Target, cred auth.Credential, facts Facts, opt openOptions) (*live, error) {
	k := m.key(t, cred)
	row := Row{
		ID: rand.Text(), Target: t.Name, Domain: t.URL, Family: t.Family, URL: t.URL, CAPEM: t.CAPEM, Pin: t.Pin,
		Account: cred.Account, SecretHash: k.SecretHash, State: Intent, Idle: facts.Idle, Created: m.now(),
	}
	if err := m.reserve(ctx, row.ID, t, k, opt.forced); err != nil {
		return nil, err
	}
	m.claim(row.ID)
	defer m.unclaim(row.ID)
	if err := m.intend(ctx, row, t, opt); err != nil {
		m.settle(ctx, row.ID, verdictOf(err))
		return nil, err
	}
	login, err := t.Device.Login(ctx, cred, auth.LoginOptions{Method: t.Method, Nonce: nonce(row.ID), NoNonce: facts.NoNonce})
	if err != nil {
		return nil, m.loginFailed(ctx, row, t, err)
	}
	return m.loggedIn(ctx, t, row, k, login)
}

// intend announces the login and commits its row; nothing was sent yet. Where it
// is known that HTTP Basic opens nothing, the row says so before: it needs no
// place, and no crash can leave it owed.
func (m *Manager) intend(ctx context.Context, row Row, t Target, opt openOptions) error {
	if err := m.audit.Append(ctx, record("lease.login", row)); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	budget := t.budget() + opt.above
	if t.Method == auth.MethodBasic {
		budget = 0
	}
	if err := m.store.IntendLease(ctx, row, budget, m.now()); err != nil {
		m.ended("lease.login", row, "not done")
		return err
	}
	if t.Method != auth.MethodBasic {
		return nil
	}
	err := m.store.MoveLease(ctx, row.ID, []State{Intent}, Ended, whyBasic, m.now())
	if err != nil {
		m.ended("lease.login", row, "not done")
	}
	return err
}

// opensNothing is why a login has no session to end.
var opensNothing = map[auth.Method]string{auth.MethodBasic: whyBasic, auth.MethodCertificate: whyCertificate}

// loggedIn keeps what the device gave, before it is used for anything.
func (m *Manager) loggedIn(ctx context.Context, t Target, row Row, k Key, login auth.Login) (*live, error) {
	l := &live{login: login, key: k, device: t.Device}
	l.used.Store(m.now().UnixNano())
	if login.Method.PerCall() { // the device opened nothing
		m.settle(ctx, row.ID, verdictOf(nil))
		if t.Method != auth.MethodBasic { // it turned out so
			if err := m.store.MoveLease(ctx, row.ID, []State{Intent}, Ended, opensNothing[login.Method], m.now()); err != nil {
				m.log.ErrorContext(ctx, "a login that opened nothing stays counted", "target", t.Name, "lease", row.ID, "err", err)
			}
		}
		m.ended("lease.login", row, "accepted, "+opensNothing[login.Method])
		return l, nil
	}
	row.State, row.Location, row.DeviceID, row.DeviceDate = Held, login.Location, login.ID, login.DeviceDate
	if login.Idle > 0 {
		row.Idle = login.Idle
	}
	var err error
	if row.TokenSealed, err = m.seal.Seal(login.Secret, row.ID, row.URL, row.Pin); err == nil {
		err = m.store.HoldLease(ctx, row, m.now())
	}
	// A crash before this is met by the row: a held one tells that its secret was accepted.
	m.settle(ctx, row.ID, verdictOf(nil))
	if err != nil {
		m.ended("lease.login", row, whyNotKept)
		m.endUnkept(ctx, row, t.Device, login)
		return nil, err
	}
	l.row = row
	l.idle.Store(int64(row.Idle))
	m.ended("lease.login", row, auth.Accepted.String())
	return l, nil
}

// loginFailed settles the attempt and the row of a login that gave nothing.
func (m *Manager) loginFailed(ctx context.Context, row Row, t Target, err error) error {
	to, why := Ended, "the login was not accepted"
	var le *auth.LoginError
	if errors.As(err, &le) && mayHaveOpened(le) {
		to, why = Owed, whyLoginLost
	}
	m.settle(ctx, row.ID, verdictOf(err))
	var serr error
	if t.Method != auth.MethodBasic {
		serr = m.store.MoveLease(ctx, row.ID, []State{Intent}, to, why, m.now())
	}
	if to == Owed || serr != nil {
		m.wakeSweep()
	}
	outcome := auth.NotJudged.String()
	if le != nil {
		outcome = le.Outcome.String()
	}
	m.ended("lease.login", row, outcome)
	return errors.Join(err, serr)
}

// mayHaveOpened reports whether the device may hold a session all the same: no
// answer was read, or one that a broken or overtaken service gives.
func mayHaveOpened(le *auth.LoginError) bool {
	switch le.Status {
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusGatewayTimeout:
		return !le.Full
	}
	return le.Outcome == auth.Unknown
}

// learnIdle asks a device for its idle timeout the first time we log in there.
func (m *Manager) learnIdle(t Target, l *live, facts Facts) {
	if l.login.Method != auth.MethodSession {
		return
	}
	learned := facts
	learned.KeepsNonce = facts.KeepsNonce || l.login.KeepsNonce
	if l.login.Idle > 0 {
		learned.Idle = l.login.Idle
	}
	if learned.Idle > 0 && learned == facts {
		return
	}
	m.wg.Go(func() {
		ctx := context.Background()
		if learned.Idle == 0 {
			idle, err := t.Device.Idle(ctx, l.login)
			if err != nil {
				return // unknown stays unknown; the default is used
			}
			learned.Idle = idle
		}
		l.idle.Store(int64(learned.Idle))
		if err := m.store.SetFacts(ctx, t.URL, learned, m.now()); err != nil {
			m.log.Warn("device facts not kept", "target", t.Name, "err", err)
		}
	})
}

// revive makes a usable lease of a held row.
func (m *Manager) revive(r Row, d Device, domain string) (*live, error) {
	token, err := m.seal.Open(r.TokenSealed, r.ID, r.URL, r.Pin)
	if err != nil {
		return nil, err
	}
	l := &live{row: r, device: d, login: auth.Login{
		Method: auth.MethodSession, Account: r.Account, Secret: token, Location: r.Location, ID: r.DeviceID, Idle: r.Idle,
	}, key: Key{Domain: domain, Account: r.Account, SecretHash: r.SecretHash}}
	l.used.Store(r.LastUsed.UnixNano())
	l.idle.Store(int64(r.Idle))
	return l, nil
}

// unavailable says what a failed login means for the callers.
func unavailable(t Target, err error) *Unavailable {
	var (
		u  *Unavailable
		b  *Blocked
		le *auth.LoginError
	)
	switch {
	case errors.As(err, &u):
		return u
	case errors.As(err, &b):
		return &Unavailable{Reason: Refused, Err: b}
	case errors.Is(err, errAttemptPending), errors.Is(err, ErrBudget):
		return &Unavailable{Reason: Full, Err: err}
	case !errors.As(err, &le):
		return &Unavailable{Reason: Broken, Err: err}
	case le.Outcome == auth.Refused:
		return &Unavailable{Reason: Refused, Err: &Blocked{Account: t.Account, Refused: 1}}
	case le.Full:
		return &Unavailable{Reason: Full, RetryAfter: le.RetryAfter, Err: le}
	case le.Outcome == auth.Unknown, le.Status == http.StatusTooManyRequests, le.Status >= 500:
		return &Unavailable{Reason: Busy, RetryAfter: le.RetryAfter, Err: le}
	}
	return &Unavailable{Reason: Down, RetryAfter: le.RetryAfter, Err: le}
}

// record names a lease in the audit.
func record(event string, r Row) audit.Record {
	return audit.Record{Event: event, Ref: r.ID, Target: r.Target, Account: string(r.Account), Path: r.Location}
}

// ended notes what became of an announced step. It follows the commit, so a
// crash before it is told apart by the row.
func (m *Manager) ended(event string, r Row, outcome string) {
	rec := record(event+".end", r)
	rec.Outcome = outcome
	m.audit.Note(rec)
}

// surelyExpired reports whether the device has ended what r stands for by its
// own idle timeout, since nobody but us could have used it.
func surelyExpired(r Row, now time.Time) bool {
	idle := r.Idle
	if idle <= 0 {
		idle = longestIdle
	}
	last := r.Updated
	if r.LastUsed.After(last) {
		last = r.LastUsed
	}
	return now.After(last.Add(idle + touchEvery + expiryMargin))
}
