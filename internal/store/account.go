package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/account"
)

var _ account.Store = (*Store)(nil)

const accountColumns = `id, name, role, password_hash, enabled, version, created_at, updated_at`

// scanner is what *sql.Row and *sql.Rows have in common.
type scanner interface{ Scan(dest ...any) error }

func scanAccount(row scanner) (account.Account, error) {
	var a account.Account
	var created, updated int64
	err := row.Scan(&a.ID, &a.Name, &a.Role, &a.Hash, &a.Enabled, &a.Version, &created, &updated)
	if errors.Is(err, sql.ErrNoRows) {
		return account.Account{}, account.ErrNotFound
	}
	a.Created, a.Updated = fromNanos(created), fromNanos(updated)
	return a, err
}

// CreateAccount implements account.Store.
func (s *Store) CreateAccount(ctx context.Context, a account.Account, at time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `
			insert into account (id, name, role, password_hash, enabled, version, session_serial,
			                     created_at, updated_at, node, epoch)
			values (?, ?, ?, ?, ?, 1, 0, ?, ?, ?, ?)
			on conflict do nothing`,
			a.ID, a.Name, a.Role, a.Hash, a.Enabled, nanos(at), nanos(at), s.node, s.epoch)
		if err := expectRow(res, err, account.ErrExists); err != nil {
			return err
		}
		return s.emit(ctx, tx, "account", string(a.Name), at)
	})
}

// Account implements account.Store.
func (s *Store) Account(ctx context.Context, name auth.AccountName) (account.Account, error) {
	return scanAccount(s.r.QueryRowContext(ctx, `select `+accountColumns+` from account where name = ?`, name))
}

// Accounts implements account.Store.
func (s *Store) Accounts(ctx context.Context) ([]account.Account, error) {
	rows, err := s.r.QueryContext(ctx, `select `+accountColumns+` from account order by name`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []account.Account
	for rows.Next() {
		a, err := scanAccount(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, rows.Err()
}

// UpdateAccount implements account.Store.
func (s *Store) UpdateAccount(ctx context.Context, a account.Account, keep string, at time.Time) (account.Account, error) {
	err := s.write(ctx, func(tx *sql.Tx) error {
		if err := lockAdministrators(ctx, tx); err != nil {
			return err
		}
		old, err := scanAccount(tx.QueryRowContext(ctx, `select `+accountColumns+` from account where id = ?`, a.ID))
		if err != nil {
			return err
		}
		res, err := tx.ExecContext(ctx, `
			update account set role = ?, password_hash = ?, enabled = ?, version = version + 1,
			                   updated_at = ?, node = ?, epoch = ?
			where id = ? and version = ?`,
			a.Role, a.Hash, a.Enabled, nanos(at), s.node, s.epoch, a.ID, a.Version)
		if err := expectRow(res, err, account.ErrConflict); err != nil {
			return err
		}
		if old.IsAdministrator() && !a.IsAdministrator() {
			if err := anAdministratorIsLeft(ctx, tx); err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, `delete from session where account_id = ? and (id <> ? or not ?)`, a.ID, keep, a.Enabled)
		if err != nil {
			return err
		}
		return s.emit(ctx, tx, "account", string(old.Name), at)
	})
	if err != nil {
		return account.Account{}, err
	}
	a.Version++
	a.Updated = at
	return a, nil
}

// DeleteAccount implements account.Store.
func (s *Store) DeleteAccount(ctx context.Context, name auth.AccountName, at time.Time) (account.Account, error) {
	var a account.Account
	err := s.write(ctx, func(tx *sql.Tx) error {
		if err := lockAdministrators(ctx, tx); err != nil {
			return err
		}
		var err error
		a, err = scanAccount(tx.QueryRowContext(ctx, // its sessions go with it: on delete cascade
			`delete from account where name = ? returning `+accountColumns, name))
		if err != nil {
			return err
		}
		if a.IsAdministrator() {
			if err := anAdministratorIsLeft(ctx, tx); err != nil {
				return err
			}
		}
		return s.emit(ctx, tx, "account", string(name), at)
	})
	if err != nil {
		return account.Account{}, err
	}
	return a, nil
}

// lockAdministrators takes the row that guards the number of administrators: two
// transactions that each remove one of the last two must not run side by side.
func lockAdministrators(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, `update counter set value = value + 1 where name = 'administrators'`)
	return err
}

func anAdministratorIsLeft(ctx context.Context, tx *sql.Tx) error {
	var left int
	err := tx.QueryRowContext(ctx,
		`select count(*) from account where enabled = 1 and role = ?`, auth.Administrator).Scan(&left)
	if err == nil && left == 0 {
		err = account.ErrLastAdministrator
	}
	return err
}
