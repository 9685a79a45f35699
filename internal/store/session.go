package store

import (
	"context"
	"database/sql"
	"fmt"
	"net/netip"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/session"
)

var _ session.Store = (*Store)(nil)

// CreateSession implements session.Store. The two parent rows are written before
// the children are counted: that locks them until the commit, so that two logins
// cannot both see the last free place.
func (s *Store) CreateSession(ctx context.Context, r session.Record, l session.Limits, at time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `
			update account set session_serial = session_serial + 1
			where id = ? and version = ? and enabled = 1`, r.AccountID, r.Version)
		if err := expectRow(res, err, session.ErrStale); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `
			insert into listener (name, session_serial) values (?, 1)
			on conflict (name) do update set session_serial = session_serial + 1`, r.Listener)
		if err != nil {
			return err
		}
		err = checkLimit(ctx, tx, l.PerAccount, `select count(*) from session where account_id = ?`, r.AccountID)
		if err != nil {
			return fmt.Errorf("account: %w", err)
		}
		err = checkLimit(ctx, tx, l.PerListener, `select count(*) from session where listener = ?`, r.Listener)
		if err != nil {
			return fmt.Errorf("listener: %w", err)
		}
		res, err = tx.ExecContext(ctx, `
			insert into session (id, token_hash, account_id, listener, source, context, created_at,
			                     last_used_at, idle, expires_at, node, epoch)
			values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			on conflict do nothing`,
			r.ID, r.Token[:], r.AccountID, r.Listener, addrText(r.Source), r.Context, nanos(r.Created),
			nanos(r.LastUsed), int64(r.Idle), nanos(r.Expires), s.node, s.epoch)
		if err := expectRow(res, err, session.ErrExists); err != nil {
			return err
		}
		return s.emit(ctx, tx, "session", r.ID, at)
	})
}

func checkLimit(ctx context.Context, tx *sql.Tx, limit int, query string, arg any) error {
	if limit <= 0 {
		return nil
	}
	var n int
	err := tx.QueryRowContext(ctx, query, arg).Scan(&n)
	if err == nil && n >= limit {
		err = auth.ErrSessionLimit
	}
	return err
}

// DeleteSessions implements session.Store.
func (s *Store) DeleteSessions(ctx context.Context, ids []string, at time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		del, err := tx.PrepareContext(ctx, `delete from session where id = ?`)
		if err != nil {
			return err
		}
		defer del.Close()
		for _, id := range ids {
			res, err := del.ExecContext(ctx, id)
			if err != nil {
				return err
			}
			if n, err := res.RowsAffected(); err != nil || n == 0 {
				if err != nil {
					return err
				}
				continue
			}
			if err := s.emit(ctx, tx, "session", id, at); err != nil {
				return err
			}
		}
		return nil
	})
}

// TouchSessions implements session.Store. One outbox row stands for all of them.
func (s *Store) TouchSessions(ctx context.Context, touches []session.Touch, at time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		set, err := tx.PrepareContext(ctx,
			`update session set last_used_at = ?, node = ?, epoch = ? where id = ?`)
		if err != nil {
			return err
		}
		defer set.Close()
		for _, t := range touches {
			if _, err := set.ExecContext(ctx, nanos(t.Used), s.node, s.epoch, t.ID); err != nil {
				return err
			}
		}
		return s.emit(ctx, tx, "session.touch", s.node, at)
	})
}

// Sessions implements session.Store.
func (s *Store) Sessions(ctx context.Context) ([]session.Record, error) {
	rows, err := s.r.QueryContext(ctx, `
		select s.id, s.token_hash, s.account_id, s.listener, s.source, s.context, s.created_at,
		       s.last_used_at, s.idle, s.expires_at, a.name, a.role, a.version
		from session s join account a on a.id = s.account_id
		order by s.created_at, s.id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []session.Record
	for rows.Next() {
		r, err := scanSession(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

func scanSession(row scanner) (session.Record, error) {
	var (
		r                      session.Record
		token                  []byte
		source                 string
		created, used, expires int64
	)
	err := row.Scan(&r.ID, &token, &r.AccountID, &r.Listener, &source, &r.Context, &created,
		&used, &r.Idle, &expires, &r.Account, &r.Role, &r.Version)
	if err != nil {
		return session.Record{}, err
	}
	if len(token) != len(r.Token) {
		return session.Record{}, fmt.Errorf("store: session %s: token hash of %d bytes", r.ID, len(token))
	}
	copy(r.Token[:], token)
	if source != "" {
		if r.Source, err = netip.ParseAddr(source); err != nil {
			return session.Record{}, fmt.Errorf("store: session %s: %w", r.ID, err)
		}
	}
	r.Created, r.LastUsed, r.Expires = fromNanos(created), fromNanos(used), fromNanos(expires)
	return r, nil
}

func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
