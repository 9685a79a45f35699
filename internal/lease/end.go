package lease

import (
	"context"
	"errors"

	"github.com/postern/postern/auth"
)

// end logs a lease out: announce, commit, send, and keep what came of it. The
// caller has made sure that nobody is handed the lease any more.
func (m *Manager) end(l *live, why string) {
	if l.row.ID == "" || !m.claim(l.row.ID) {
		return
	}
	defer m.unclaim(l.row.ID)
	if !m.logout(context.Background(), l.row, l.device, l.login, why) {
		m.wakeSweep()
	}
}

// logout ends the session of r with its own token. The caller has claimed r.
//
// A token that is refused at the logout although the device knows it a moment
// later is sent once more: it is our own, so no other session can be hit.
func (m *Manager) logout(ctx context.Context, r Row, d Device, login auth.Login, why string) bool {
	return m.finish(ctx, r, why, func() error {
		err := d.Logout(ctx, login)
		if errors.Is(err, auth.ErrNoSession) && why != whyDead && d.Touch(ctx, login) == nil {
			err = d.Logout(ctx, login)
		}
		return err
	})
}

// endUnkept ends a session whose token could not be committed. What the store or
// the audit does not take now either is left to the sweep, with the token in memory.
func (m *Manager) endUnkept(ctx context.Context, r Row, d Device, login auth.Login) {
	if m.logout(ctx, r, d, login, whyNotKept) {
		return
	}
	m.mu.Lock()
	m.unkept[r.ID] = login
	m.mu.Unlock()
	m.wakeSweep()
}

// unkeptLogin returns the login of a row whose token is in memory alone.
func (m *Manager) unkeptLogin(id string) (auth.Login, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	login, ok := m.unkept[id]
	return login, ok
}

// finish runs the last wire action of a row: send ends the session. It reports
// whether the row is ended; what is not surely ended stays owed, and the sweep
// goes on with it in its own time. What was begun is carried through.
func (m *Manager) finish(ctx context.Context, r Row, why string, send func() error) bool {
	ctx = context.WithoutCancel(ctx)
	m.settleLate(ctx) // while the row still tells what was accepted
	rec := record("lease.logout", r)
	rec.Detail = why
	err := m.audit.Append(ctx, rec)
	if err == nil {
		err = m.store.MoveLease(ctx, r.ID, []State{Intent, Held, Owed, Ending}, Ending, why, m.now())
	}
	if err != nil {
		m.log.ErrorContext(ctx, "logout put off", "target", r.Target, "lease", r.ID, "err", err)
		return false
	}
	err = send()
	to, reason := Ended, why
	switch {
	case errors.Is(err, auth.ErrNoSession):
		to, reason = Owed, whyUnsure
	case err != nil:
		to, reason = Owed, whyFailed
		m.log.WarnContext(ctx, "logout failed", "target", r.Target, "lease", r.ID, "err", err)
	}
	if err := m.store.MoveLease(ctx, r.ID, []State{Ending}, to, reason, m.now()); err != nil {
		m.log.ErrorContext(ctx, "logout not recorded", "target", r.Target, "lease", r.ID, "err", err)
	}
	m.ended("lease.logout", r, string(to))
	if to == Ended {
		m.forget(r.ID)
	}
	return to == Ended
}

// forget drops the token of a row that is ended.
func (m *Manager) forget(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.unkept, id)
}
