package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/postern/postern/internal/session"
)

// ListenerRules implements session.RuleStore.
func (s *Store) ListenerRules(ctx context.Context) ([]session.ListenerRules, error) {
	rows, err := s.r.QueryContext(ctx, `
		select listener, sessions_disabled, idle, lifetime, basic, certificates, mapping, strict, version
		from listener_rule order by listener`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []session.ListenerRules
	for rows.Next() {
		var r session.ListenerRules
		err := rows.Scan(&r.Listener, &r.SessionsDisabled, &r.Idle, &r.Lifetime, &r.Basic,
			&r.Certificates, &r.Mapping, &r.Strict, &r.Version)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

// SetListenerRules implements session.RuleStore. A row of version 1, which an error
// takes back, stands for the rules that nobody has set yet.
func (s *Store) SetListenerRules(ctx context.Context, r session.ListenerRules, at time.Time) (session.ListenerRules, error) {
	err := s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `
			insert into listener_rule (listener, sessions_disabled, idle, lifetime, basic, certificates, mapping,
			                           strict, version, updated_at, node, epoch)
			values (?, 0, 0, 0, '', 0, '', 0, 1, 0, '', 0) on conflict do nothing`, r.Listener)
		if err != nil {
			return err
		}
		res, err := tx.ExecContext(ctx, `
			update listener_rule set sessions_disabled = ?, idle = ?, lifetime = ?, basic = ?, certificates = ?,
			       mapping = ?, strict = ?, version = version + 1, updated_at = ?, node = ?, epoch = ?
			where listener = ? and version = ?`,
			r.SessionsDisabled, int64(r.Idle), int64(r.Lifetime), r.Basic, r.Certificates,
			r.Mapping, r.Strict, nanos(at), s.node, s.epoch, r.Listener, r.Version)
		if err := expectRow(res, err, session.ErrConflict); err != nil {
			return err
		}
		return s.emit(ctx, tx, "listener", r.Listener, at)
	})
	if err != nil {
		return session.ListenerRules{}, err
	}
	r.Version++
	return r, nil
}
