package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/postern/postern/internal/lease"
)

var _ lease.Store = (*Store)(nil)

// OpenLeases implements lease.Store.
func (s *Store) OpenLeases(ctx context.Context) ([]lease.Row, error) {
	rows, err := s.r.QueryContext(ctx, `
		select id, target, domain, family, url, ca_pem, pin, account, secret_hash, state, reason,
		       location, device_id, token_sealed, idle, device_date, created_at, last_used_at, updated_at
		from lease where state <> 'ended' order by created_at, id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []lease.Row
	for rows.Next() {
		var (
			r                            lease.Row
			hash                         []byte
			date, created, used, updated int64
		)
		err := rows.Scan(&r.ID, &r.Target, &r.Domain, &r.Family, &r.URL, &r.CAPEM, &r.Pin, &r.Account, &hash,
			&r.State, &r.Reason, &r.Location, &r.DeviceID, &r.TokenSealed, &r.Idle, &date, &created, &used, &updated)
		if err != nil {
			return nil, err
		}
		copy(r.SecretHash[:], hash)
		r.DeviceDate, r.Created = fromNanos(date), fromNanos(created)
		r.LastUsed, r.Updated = fromNanos(used), fromNanos(updated)
		out = append(out, r)
	}
	return out, rows.Err()
}

// IntendLease implements lease.Store.
func (s *Store) IntendLease(ctx context.Context, r lease.Row, budget int, at time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `
			insert into lease_budget (domain, serial) values (?, 1)
			on conflict (domain) do update set serial = serial + 1`, r.Domain)
		if err != nil {
			return err
		}
		var open int
		err = tx.QueryRowContext(ctx,
			`select count(*) from lease where domain = ? and state <> 'ended'`, r.Domain).Scan(&open)
		if err != nil {
			return err
		}
		if budget > 0 && open >= budget {
			return lease.ErrBudget
		}
		_, err = tx.ExecContext(ctx, `
			insert into lease (id, target, domain, family, url, ca_pem, pin, account, secret_hash, state, reason,
			                   location, device_id, token_sealed, idle, device_date, created_at, last_used_at,
			                   updated_at, node, epoch)
			values (?, ?, ?, ?, ?, ?, ?, ?, ?, 'intent', '', '', '', null, ?, 0, ?, ?, ?, ?, ?)`,
			r.ID, r.Target, r.Domain, r.Family, r.URL, r.CAPEM, r.Pin, r.Account, r.SecretHash[:], int64(r.Idle),
			nanos(at), nanos(at), nanos(at), s.node, s.epoch)
		if err != nil {
			return err
		}
		return s.emit(ctx, tx, "lease", r.ID, at)
	})
}

// HoldLease implements lease.Store.
func (s *Store) HoldLease(ctx context.Context, r lease.Row, at time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `
			update lease set state = 'held', location = ?, device_id = ?, token_sealed = ?, idle = ?,
			       device_date = ?, last_used_at = ?, updated_at = ?, node = ?, epoch = ?
			where id = ? and state = 'intent'`,
			r.Location, r.DeviceID, r.TokenSealed, int64(r.Idle), nanos(r.DeviceDate),
			nanos(at), nanos(at), s.node, s.epoch, r.ID)
		if err := expectRow(res, err, lease.ErrState); err != nil {
			return err
		}
		return s.emit(ctx, tx, "lease", r.ID, at)
	})
}

// MoveLease implements lease.Store.
func (s *Store) MoveLease(ctx context.Context, id string, from []lease.State, to lease.State, reason string, at time.Time) error {
	marks := strings.TrimSuffix(strings.Repeat("?, ", len(from)), ", ")
	args := []any{string(to), reason, nanos(at), s.node, s.epoch, id}
	for _, f := range from {
		args = append(args, string(f))
	}
	return s.write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `
			update lease set state = ?, reason = ?, updated_at = ?, node = ?, epoch = ?
			where id = ? and state in (`+marks+`)`, args...)
		if err := expectRow(res, err, lease.ErrState); err != nil {
			return err
		}
		if to == lease.Ended { // a token that ends with its lease is not kept
			if _, err := tx.ExecContext(ctx, `update lease set token_sealed = null where id = ?`, id); err != nil {
				return err
			}
		}
		return s.emit(ctx, tx, "lease", id, at)
	})
}

// LeaseState implements lease.Store.
func (s *Store) LeaseState(ctx context.Context, id string) (lease.State, error) {
	var state lease.State
	err := s.r.QueryRowContext(ctx, `select state from lease where id = ?`, id).Scan(&state)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return state, err
}

// TouchLeases implements lease.Store.
func (s *Store) TouchLeases(ctx context.Context, used map[string]time.Time, at time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		for id, t := range used {
			_, err := tx.ExecContext(ctx,
				`update lease set last_used_at = max(last_used_at, ?) where id = ?`, nanos(t), id)
			if err != nil {
				return err
			}
		}
		// Ended rows are history that the audit tells better; a day of them helps a person who looks.
		_, err := tx.ExecContext(ctx,
			`delete from lease where state = 'ended' and updated_at < ?`, nanos(at.Add(-24*time.Hour)))
		return err
	})
}

// Facts implements lease.Store.
func (s *Store) Facts(ctx context.Context, url string) (lease.Facts, error) {
	var f lease.Facts
	err := s.r.QueryRowContext(ctx,
		`select no_nonce, keeps_nonce, idle from device_fact where url = ?`, url).Scan(&f.NoNonce, &f.KeepsNonce, &f.Idle)
	if errors.Is(err, sql.ErrNoRows) {
		return lease.Facts{}, nil
	}
	return f, err
}

// SetFacts implements lease.Store.
func (s *Store) SetFacts(ctx context.Context, url string, f lease.Facts, at time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `
			insert into device_fact (url, no_nonce, keeps_nonce, idle, updated_at) values (?, ?, ?, ?, ?)
			on conflict (url) do update set no_nonce = excluded.no_nonce, keeps_nonce = excluded.keeps_nonce,
			       idle = excluded.idle, updated_at = excluded.updated_at`,
			url, f.NoNonce, f.KeepsNonce, int64(f.Idle), nanos(at))
		if err != nil {
			return err
		}
		if f.Idle > 0 {
			_, err = tx.ExecContext(ctx,
				`update lease set idle = ? where url = ? and state <> 'ended'`, int64(f.Idle), url)
			if err != nil {
				return err
			}
		}
		return s.emit(ctx, tx, "device", url, at)
	})
}
