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
	m.logout(context.Background(), l.row, l.device, l.login, why)
}

// logout ends the session of r with its own token. The caller has claimed r.
func (m *Manager) logout(ctx context.Context, r Row, d Device, login auth.Login, why string) {
	send := func() error { return d.Logout(ctx, login) }
	m.finish(ctx, r, why, send)
}

// finish runs the last wire action of a row: send ends the session. What is
// not surely ended stays owed, and the sweep goes on with it.
func (m *Manager) finish(ctx context.Context, r Row, why string, send func() error) {
	rec := record("lease.logout", r)
	rec.Detail = why
	err := m.audit.Append(ctx, rec)
	if err == nil {
		err = m.store.MoveLease(ctx, r.ID, []State{Held, Owed, Ending}, Ending, why, m.now())
	}
	if err != nil {
		m.log.ErrorContext(ctx, "logout put off", "target", r.Target, "lease", r.ID, "err", err)
		m.wakeSweep()
		return
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
	if to == Owed {
		m.wakeSweep()
	}
}
