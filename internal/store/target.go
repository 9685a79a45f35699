package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/postern/postern/internal/target"
)

var _ target.Store = (*Store)(nil)

const targetColumns = `name, family, profile, url, ca_pem, pin, account, certificate, secret_sealed, secret_source, method, budget,
	in_flight, exclusive, lockout_threshold, lockout_window, address, origin, created_at, updated_at`

func scanTarget(row scanner) (target.Target, error) {
	var t target.Target
	var created, updated int64
	err := row.Scan(&t.Name, &t.Family, &t.Profile, &t.URL, &t.CAPEM, &t.Pin, &t.Account, &t.Certificate, &t.Sealed, &t.Source,
		&t.Method, &t.Budget, &t.InFlight, &t.Exclusive, &t.LockoutThreshold, &t.LockoutWindow, &t.Address,
		&t.Origin, &created, &updated)
	if errors.Is(err, sql.ErrNoRows) {
		return target.Target{}, target.ErrNotFound
	}
	t.Created, t.Updated = fromNanos(created), fromNanos(updated)
	return t, err
}

// CreateTarget implements target.Store.
func (s *Store) CreateTarget(ctx context.Context, t target.Target, at time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error { return s.insertTarget(ctx, tx, t, at) })
}

func (s *Store) insertTarget(ctx context.Context, tx *sql.Tx, t target.Target, at time.Time) error {
	res, err := tx.ExecContext(ctx, `
		insert into target (name, family, profile, url, ca_pem, pin, account, certificate, secret_sealed, secret_source, method,
		                    budget, in_flight, exclusive, lockout_threshold, lockout_window, address, origin,
		                    created_at, updated_at, node, epoch)
		values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		on conflict do nothing`,
		t.Name, t.Family, t.Profile, t.URL, t.CAPEM, t.Pin, t.Account, t.Certificate, sealed(t), t.Source, t.Method,
		t.Budget, t.InFlight, t.Exclusive, t.LockoutThreshold, int64(t.LockoutWindow), t.Address, t.Origin,
		nanos(at), nanos(at), s.node, s.epoch)
	if err := expectRow(res, err, target.ErrExists); err != nil {
		return err
	}
	return s.emit(ctx, tx, "target", t.Name, at)
}

// sealed is null where the secret is a reference.
func sealed(t target.Target) any {
	if len(t.Sealed) == 0 {
		return nil
	}
	return t.Sealed
}

// Target implements target.Store.
func (s *Store) Target(ctx context.Context, name string) (target.Target, error) {
	return scanTarget(s.r.QueryRowContext(ctx, `select `+targetColumns+` from target where name = ?`, name))
}

// Targets implements target.Store.
func (s *Store) Targets(ctx context.Context) ([]target.Target, error) {
	rows, err := s.r.QueryContext(ctx, `select `+targetColumns+` from target order by name`)
	if err != nil {
		return nil, err
	}
	return scanTargets(rows)
}

func scanTargets(rows *sql.Rows) ([]target.Target, error) {
	defer rows.Close()
	var out []target.Target
	for rows.Next() {
		t, err := scanTarget(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, rows.Err()
}

// UpdateTarget implements target.Store.
func (s *Store) UpdateTarget(ctx context.Context, t target.Target, at time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		if err := commandTarget(ctx, tx, t.Name); err != nil {
			return err
		}
		return s.changeTarget(ctx, tx, t, at)
	})
}

func (s *Store) changeTarget(ctx context.Context, tx *sql.Tx, t target.Target, at time.Time) error {
	res, err := tx.ExecContext(ctx, `
		update target set family = ?, profile = ?, url = ?, ca_pem = ?, pin = ?, account = ?, certificate = ?,
		       secret_sealed = ?,
		       secret_source = ?, method = ?, budget = ?, in_flight = ?, exclusive = ?, lockout_threshold = ?,
		       lockout_window = ?, address = ?, updated_at = ?, node = ?, epoch = ?
		where name = ?`,
		t.Family, t.Profile, t.URL, t.CAPEM, t.Pin, t.Account, t.Certificate, sealed(t), t.Source, t.Method, t.Budget, t.InFlight,
		t.Exclusive, t.LockoutThreshold, int64(t.LockoutWindow), t.Address, nanos(at), s.node, s.epoch, t.Name)
	if err := expectRow(res, err, target.ErrNotFound); err != nil {
		return err
	}
	return s.emit(ctx, tx, "target", t.Name, at)
}

// DeleteTarget implements target.Store.
func (s *Store) DeleteTarget(ctx context.Context, name string, at time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		if err := commandTarget(ctx, tx, name); err != nil {
			return err
		}
		return s.deleteTarget(ctx, tx, name, at)
	})
}

func (s *Store) deleteTarget(ctx context.Context, tx *sql.Tx, name string, at time.Time) error {
	res, err := tx.ExecContext(ctx, `delete from target where name = ?`, name)
	if err := expectRow(res, err, target.ErrNotFound); err != nil {
		return err
	}
	return s.emit(ctx, tx, "target", name, at)
}

// commandTarget says why a command may not change the target of this name.
func commandTarget(ctx context.Context, tx *sql.Tx, name string) error {
	t, err := scanTarget(tx.QueryRowContext(ctx, `select `+targetColumns+` from target where name = ?`, name))
	if err == nil && t.Origin == target.OriginFile {
		err = target.ErrFromFile
	}
	return err
}

// ReplaceFileTargets implements target.Store.
func (s *Store) ReplaceFileTargets(ctx context.Context, list []target.Target, at time.Time) (target.Changes, error) {
	var c target.Changes
	err := s.write(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, `select `+targetColumns+` from target order by name`)
		if err != nil {
			return err
		}
		present, err := scanTargets(rows)
		if err != nil {
			return err
		}
		old := make(map[string]target.Target, len(present))
		for _, t := range present {
			old[t.Name] = t
		}
		for _, t := range list {
			if err := s.fileTarget(ctx, tx, t, old, &c, at); err != nil {
				return fmt.Errorf("target %q: %w", t.Name, err)
			}
			delete(old, t.Name)
		}
		for _, t := range present {
			if _, gone := old[t.Name]; !gone || t.Origin != target.OriginFile {
				continue
			}
			if err := s.deleteTarget(ctx, tx, t.Name, at); err != nil {
				return err
			}
			c.Removed = append(c.Removed, t.Name)
		}
		return nil
	})
	if err != nil {
		return target.Changes{}, err
	}
	slices.Sort(c.Added)
	slices.Sort(c.Changed)
	return c, nil
}

// fileTarget adds or changes one target of the file.
func (s *Store) fileTarget(ctx context.Context, tx *sql.Tx, t target.Target, old map[string]target.Target, c *target.Changes, at time.Time) error {
	was, ok := old[t.Name]
	if !ok {
		c.Added = append(c.Added, t.Name)
		return s.insertTarget(ctx, tx, t, at)
	}
	if was.Origin != target.OriginFile {
		return target.ErrExists
	}
	t.Created, t.Updated = was.Created, was.Updated
	if reflect.DeepEqual(t, was) {
		return nil
	}
	c.Changed = append(c.Changed, t.Name)
	return s.changeTarget(ctx, tx, t, at)
}
