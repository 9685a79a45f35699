package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/session"
)

var _ session.Store = (*Store)(nil)

// CreateSession implements session.Store. The two parent rows hold the numbers of
// sessions, and are held themselves from here until the commit, so that two logins
// cannot both take the last free place. A trigger counts down.
func (s *Store) CreateSession(ctx context.Context, r session.Record, l session.Limits, at time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `
			update account set sessions = sessions + 1
			where id = ? and version = ? and enabled = 1 and sessions < ?`,
			r.AccountID, r.Version, bound(l.PerAccount))
		if err := expectRow(res, err, errNoPlace); err != nil {
			return s.whyNoPlace(ctx, tx, r, err)
		}
		res, err = tx.ExecContext(ctx, `
			insert into listener (name, sessions) values (?, 1)
			on conflict (name) do update set sessions = sessions + 1 where sessions < ?`,
			r.Listener, bound(l.PerListener))
		if err := expectRow(res, err, auth.ErrSessionLimit); err != nil {
			return fmt.Errorf("listener: %w", err)
		}
		res, err = tx.ExecContext(ctx, `
			insert into session (id, token_hash, account_id, listener, source, context, created_at,
			                     last_used_at, kind, initial_role, node, epoch)
			values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			on conflict do nothing`,
			r.ID, r.Token[:], r.AccountID, r.Listener, addrText(r.Source), r.Context, nanos(r.Created),
			nanos(r.LastUsed), int(r.Kind), string(r.InitialRole), s.node, s.epoch)
		if err := expectRow(res, err, session.ErrExists); err != nil {
			return err
		}
		return s.emit(ctx, tx, "session", r.ID, at)
	})
}

// errNoPlace: the account gives no session, or has too many.
var errNoPlace = errors.New("no place")

// whyNoPlace says which of the two it is.
func (s *Store) whyNoPlace(ctx context.Context, tx *sql.Tx, r session.Record, err error) error {
	if !errors.Is(err, errNoPlace) {
		return err
	}
	var same bool
	err = tx.QueryRowContext(ctx, `select version = ? and enabled from account where id = ?`, r.Version, r.AccountID).Scan(&same)
	switch {
	case err != nil && !errors.Is(err, sql.ErrNoRows):
		return err
	case !same:
		return session.ErrStale
	}
	return fmt.Errorf("account: %w", auth.ErrSessionLimit)
}

// bound is a limit for a comparison.
func bound(limit int) int {
	if limit <= 0 {
		return math.MaxInt
	}
	return limit
}

// DeleteSessions implements session.Store.
func (s *Store) DeleteSessions(ctx context.Context, ids []string, at time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		for _, id := range ids {
			res, err := tx.ExecContext(ctx, `delete from session where id = ?`, id)
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
		for _, t := range touches {
			_, err := tx.ExecContext(ctx, `update session set last_used_at = ?, node = ?, epoch = ? where id = ?`,
				nanos(t.Used), s.node, s.epoch, t.ID)
			if err != nil {
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
		       s.last_used_at, s.kind, s.initial_role, a.name, a.role, a.version, a.must_change_password
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
		r             session.Record
		token         []byte
		source        string
		created, used int64
	)
	err := row.Scan(&r.ID, &token, &r.AccountID, &r.Listener, &source, &r.Context, &created,
		&used, &r.Kind, &r.InitialRole, &r.Account, &r.Role, &r.Version, &r.MustChangePassword)
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
	r.Created, r.LastUsed = fromNanos(created), fromNanos(used)
	return r, nil
}

func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
