package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/postern/postern/internal/account"
)

// NoteFailure implements account.Store. A count alone leaves no outbox row: every
// node counts in the row of the account itself, and whoever guesses passwords must
// not fill the outbox. Where there is nothing to count as much is written, so that
// the time it takes tells nobody which accounts there are, or are locked.
func (s *Store) NoteFailure(ctx context.Context, id string, at time.Time, r account.Rules) (locked bool, until time.Time, err error) {
	if r.Threshold == 0 {
		return false, time.Time{}, nil
	}
	known := true
	err = s.write(ctx, func(tx *sql.Tx) error {
		n, err := countFailure(ctx, tx, id, at, r.ResetAfter)
		if errors.Is(err, sql.ErrNoRows) {
			a, err := scanAccount(tx.QueryRowContext(ctx, `select `+accountColumns+` from account where id = ?`, id))
			if known = !errors.Is(err, account.ErrNotFound); known && err != nil {
				return err
			}
			locked, until = a.Locked, a.LockedUntil
			_, err = tx.ExecContext(ctx, `update counter set value = value + 1 where name = 'uncounted failures'`)
			return err
		}
		if err != nil || n < r.Threshold {
			return err
		}
		locked = true
		if r.Duration > 0 {
			until = at.Add(r.Duration).UTC()
		}
		return s.lock(ctx, tx, id, until, at)
	})
	if err == nil && !known {
		err = account.ErrNotFound
	}
	return locked, until, err
}

// countFailure returns the number of failures with this one; sql.ErrNoRows where
// the account is locked or gone. An expired lockout begins the count anew.
func countFailure(ctx context.Context, tx *sql.Tx, id string, at time.Time, resetAfter time.Duration) (int, error) {
	since := int64(0)
	if resetAfter > 0 {
		since = nanos(at.Add(-resetAfter))
	}
	var n int
	err := tx.QueryRowContext(ctx, `
		update account set failures = case when locked = 1 or failed_at < ? then 1 else failures + 1 end,
		       failed_at = ?, locked = 0, locked_until = 0
		where id = ? and (locked = 0 or locked_until <> 0 and locked_until <= ?)
		returning failures`, since, nanos(at), id, nanos(at)).Scan(&n)
	return n, err
}

func (s *Store) lock(ctx context.Context, tx *sql.Tx, id string, until, at time.Time) error {
	var name string
	err := tx.QueryRowContext(ctx, `
		update account set locked = 1, locked_until = ?, node = ?, epoch = ? where id = ? returning name`,
		nanos(until), s.node, s.epoch, id).Scan(&name)
	if err != nil {
		return err
	}
	return s.emit(ctx, tx, "account", name, at)
}

// ClearFailures implements account.Store.
func (s *Store) ClearFailures(ctx context.Context, id string, at time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `
			update account set failures = 0, failed_at = 0, locked = 0, locked_until = 0
			where id = ? and failures <> 0 and (locked = 0 or locked_until <> 0 and locked_until <= ?)`,
			id, nanos(at))
		return err
	})
}

// ReplaceHash implements account.Store.
func (s *Store) ReplaceHash(ctx context.Context, id, old, hash string, at time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		var name string
		err := tx.QueryRowContext(ctx, `
			update account set password_hash = ?, node = ?, epoch = ? where id = ? and password_hash = ? returning name`,
			hash, s.node, s.epoch, id, old).Scan(&name)
		if err := noRow(err, account.ErrConflict); err != nil {
			return err
		}
		return s.emit(ctx, tx, "account", name, at)
	})
}

// noRow returns none where a statement that returns a row had none to return.
func noRow(err, none error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return none
	}
	return err
}
