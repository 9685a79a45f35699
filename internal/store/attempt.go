package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/lease"
)

// ReserveLogin implements lease.Store.
func (s *Store) ReserveLogin(ctx context.Context, id string, k lease.Key, window time.Duration, decide func(lease.History) error, at time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		if err := s.lockLoginAccount(ctx, tx, k); err != nil {
			return err
		}
		if err := s.settleForgotten(ctx, tx, k, at); err != nil {
			return err
		}
		h, err := s.history(ctx, tx, k, at.Add(-window))
		if err != nil {
			return err
		}
		if err := decide(h); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `
			insert into login_attempt (id, domain, account, secret_hash, outcome, counts, reserved_at, settled_at, node, epoch)
			values (?, ?, ?, ?, 'pending', 0, ?, 0, ?, ?)`,
			id, k.Domain, k.Account, k.SecretHash[:], nanos(at), s.node, s.epoch)
		if err != nil {
			return err
		}
		// Settled attempts older than any window say nothing any more.
		_, err = tx.ExecContext(ctx, `
			delete from login_attempt where domain = ? and account = ? and outcome <> 'pending' and reserved_at < ?`,
			k.Domain, k.Account, nanos(at.Add(-window-24*time.Hour)))
		return err
	})
}

// lockLoginAccount takes the parent row under which attempts are counted.
func (s *Store) lockLoginAccount(ctx context.Context, tx *sql.Tx, k lease.Key) error {
	_, err := tx.ExecContext(ctx, `
		insert into login_account (domain, account, serial) values (?, ?, 1)
		on conflict (domain, account) do update set serial = serial + 1`, k.Domain, k.Account)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `
		insert into login_secret (domain, account, secret_hash, proven, refused, refused_at, unknown)
		values (?, ?, ?, 0, 0, 0, 0) on conflict do nothing`, k.Domain, k.Account, k.SecretHash[:])
	return err
}

// settleForgotten closes what an earlier epoch of this node left pending: a
// crash hid the answer. It counts as failed where the secret was never accepted.
func (s *Store) settleForgotten(ctx context.Context, tx *sql.Tx, k lease.Key, at time.Time) error {
	_, err := tx.ExecContext(ctx, `
		update login_secret set unknown = unknown + (
		    select count(*) from login_attempt a
		    where a.domain = login_secret.domain and a.account = login_secret.account
		      and a.secret_hash = login_secret.secret_hash
		      and a.outcome = 'pending' and a.node = ? and a.epoch < ?)
		where domain = ? and account = ? and proven = 0`, s.node, s.epoch, k.Domain, k.Account)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `
		update login_attempt set outcome = 'unknown', settled_at = ?,
		       counts = 1 - (select proven from login_secret l where l.domain = login_attempt.domain
		                     and l.account = login_attempt.account and l.secret_hash = login_attempt.secret_hash)
		where domain = ? and account = ? and outcome = 'pending' and node = ? and epoch < ?`,
		nanos(at), k.Domain, k.Account, s.node, s.epoch)
	return err
}

func (s *Store) history(ctx context.Context, tx *sql.Tx, k lease.Key, since time.Time) (lease.History, error) {
	var (
		h       lease.History
		refused int64
	)
	err := tx.QueryRowContext(ctx, `
		select proven, refused, refused_at, unknown from login_secret
		where domain = ? and account = ? and secret_hash = ?`, k.Domain, k.Account, k.SecretHash[:]).
		Scan(&h.Proven, &h.Refused, &refused, &h.Unknown)
	if err != nil {
		return h, err
	}
	h.RefusedAt = fromNanos(refused)
	err = tx.QueryRowContext(ctx, `
		select count(*) from login_attempt
		where domain = ? and account = ? and secret_hash = ? and outcome = 'pending'`,
		k.Domain, k.Account, k.SecretHash[:]).Scan(&h.Pending)
	if err != nil {
		return h, err
	}
	// The device counted it between the two times; the later one is on the safe side.
	rows, err := tx.QueryContext(ctx, `
		select max(reserved_at, settled_at) as at from login_attempt
		where domain = ? and account = ? and counts = 1 and max(reserved_at, settled_at) > ? order by at`,
		k.Domain, k.Account, nanos(since))
	if err != nil {
		return h, err
	}
	defer rows.Close()
	for rows.Next() {
		var t int64
		if err := rows.Scan(&t); err != nil {
			return h, err
		}
		h.Counted = append(h.Counted, fromNanos(t))
	}
	return h, rows.Err()
}

// SettleLogin implements lease.Store.
func (s *Store) SettleLogin(ctx context.Context, id string, o auth.Outcome, counts bool, at time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		var (
			k    lease.Key
			hash []byte
		)
		err := tx.QueryRowContext(ctx, `
			select domain, account, secret_hash from login_attempt where id = ? and outcome = 'pending'`, id).
			Scan(&k.Domain, &k.Account, &hash)
		if errors.Is(err, sql.ErrNoRows) {
			return lease.ErrState
		}
		if err != nil {
			return err
		}
		copy(k.SecretHash[:], hash)
		if err := s.lockLoginAccount(ctx, tx, k); err != nil {
			return err
		}
		if o == auth.Unknown { // a lost answer counts only for a secret that was never accepted
			h, err := s.history(ctx, tx, k, at)
			if err != nil {
				return err
			}
			counts = counts && !h.Proven
		}
		_, err = tx.ExecContext(ctx, `update login_attempt set outcome = ?, counts = ?, settled_at = ? where id = ?`,
			o.String(), counts, nanos(at), id)
		if err != nil {
			return err
		}
		return settleSecret(ctx, tx, k, o, counts, at)
	})
}

func settleSecret(ctx context.Context, tx *sql.Tx, k lease.Key, o auth.Outcome, counts bool, at time.Time) error {
	set, args := "", []any{}
	switch {
	case o == auth.Accepted:
		set = "proven = 1, refused = 0, refused_at = 0, unknown = 0"
	case o == auth.Refused:
		set, args = "proven = 0, refused = refused + 1, refused_at = ?", []any{nanos(at)}
	case o == auth.Unknown && counts:
		set = "unknown = unknown + 1"
	default:
		return nil
	}
	_, err := tx.ExecContext(ctx, `update login_secret set `+set+` where domain = ? and account = ? and secret_hash = ?`,
		append(args, k.Domain, k.Account, k.SecretHash[:])...)
	return err
}

// RefuseProven implements lease.Store.
func (s *Store) RefuseProven(ctx context.Context, id string, k lease.Key, at time.Time) (bool, error) {
	proven := false
	err := s.write(ctx, func(tx *sql.Tx) error {
		if err := s.lockLoginAccount(ctx, tx, k); err != nil {
			return err
		}
		h, err := s.history(ctx, tx, k, at)
		if err != nil {
			return err
		}
		proven = h.Proven
		if !proven {
			return nil // one of the calls in flight was the first to see it; it is counted once
		}
		_, err = tx.ExecContext(ctx, `
			insert into login_attempt (id, domain, account, secret_hash, outcome, counts, reserved_at, settled_at, node, epoch)
			values (?, ?, ?, ?, 'refused', 1, ?, ?, ?, ?)`,
			id, k.Domain, k.Account, k.SecretHash[:], nanos(at), nanos(at), s.node, s.epoch)
		if err != nil {
			return err
		}
		return settleSecret(ctx, tx, k, auth.Refused, true, at)
	})
	return proven, err
}

// Proven implements lease.Store.
func (s *Store) Proven(ctx context.Context, k lease.Key) (bool, error) {
	var proven bool
	err := s.r.QueryRowContext(ctx, `
		select proven from login_secret where domain = ? and account = ? and secret_hash = ?`,
		k.Domain, k.Account, k.SecretHash[:]).Scan(&proven)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return proven, err
}
