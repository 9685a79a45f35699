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

const accountColumns = `id, name, role, password_hash, enabled, must_change_password, failures, failed_at, locked,
	locked_until, version, session_version, created_at, updated_at`

// scanner is what *sql.Row and *sql.Rows have in common.
type scanner interface{ Scan(dest ...any) error }

func scanAccount(row scanner) (account.Account, error) {
	var a account.Account
	var failed, until, created, updated int64
	err := row.Scan(&a.ID, &a.Name, &a.Role, &a.Hash, &a.Enabled, &a.MustChangePassword, &a.Failures, &failed, &a.Locked,
		&until, &a.Version, &a.SessionVersion, &created, &updated)
	if errors.Is(err, sql.ErrNoRows) {
		return account.Account{}, account.ErrNotFound
	}
	a.FailedAt, a.LockedUntil = fromNanos(failed), fromNanos(until)
	a.Created, a.Updated = fromNanos(created), fromNanos(updated)
	return a, err
}

// CreateAccount implements account.Store.
func (s *Store) CreateAccount(ctx context.Context, a account.Account, at time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		if err := holdRole(ctx, tx, a.Role); err != nil {
			return err
		}
		res, err := tx.ExecContext(ctx, `
			insert into account (id, name, role, password_hash, enabled, must_change_password, version, session_version,
			                     sessions, created_at, updated_at, node, epoch)
			values (?, ?, ?, ?, ?, ?, 1, 1, 0, ?, ?, ?, ?)
			on conflict do nothing`,
			a.ID, a.Name, a.Role, a.Hash, a.Enabled, a.MustChangePassword, nanos(at), nanos(at), s.node, s.epoch)
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
func (s *Store) UpdateAccount(ctx context.Context, a account.Account, u account.Update, at time.Time) (account.Account, error) {
	var out account.Account
	err := s.write(ctx, func(tx *sql.Tx) error {
		if err := lockAdministrators(ctx, tx); err != nil {
			return err
		}
		old, err := scanAccount(tx.QueryRowContext(ctx, `select `+accountColumns+` from account where id = ?`, a.ID))
		if err != nil {
			return err
		}
		if old.Version != a.Version {
			return account.ErrConflict
		}
		if out, err = s.changeAccount(ctx, tx, old, a, u, at); err != nil {
			return err
		}
		if old.IsAdministrator() && !out.IsAdministrator() {
			if err := anAdministratorIsLeft(ctx, tx); err != nil {
				return err
			}
		}
		if out.SessionVersion == out.Version {
			_, err = tx.ExecContext(ctx, `delete from session where account_id = ? and (id <> ? or not ?)`, a.ID, u.Keep, a.Enabled)
			if err != nil {
				return err
			}
		}
		return s.emit(ctx, tx, "account", string(old.Name), at)
	})
	if err != nil {
		return account.Account{}, err
	}
	return out, nil
}

// changeAccount makes a of old.
func (s *Store) changeAccount(ctx context.Context, tx *sql.Tx, old, a account.Account, u account.Update, at time.Time) (account.Account, error) {
	if a.Role != old.Role {
		if err := holdRole(ctx, tx, a.Role); err != nil {
			return a, err
		}
	}
	hash, unlock := old.Hash, u.Unlock
	if u.Hash != "" {
		hash, unlock = u.Hash, true // what was counted was about another password
		if err := keepFormer(ctx, tx, old); err != nil {
			return a, err
		}
	}
	endSessions := a.Role != old.Role || u.Hash != "" || a.Enabled != old.Enabled
	return scanAccount(tx.QueryRowContext(ctx, `
		update account set role = ?, password_hash = ?, enabled = ?, must_change_password = ?,
		       failures = case when ? then 0 else failures end, failed_at = case when ? then 0 else failed_at end,
		       locked = case when ? then 0 else locked end, locked_until = case when ? then 0 else locked_until end,
		       version = version + 1, session_version = case when ? then version + 1 else session_version end,
		       updated_at = ?, node = ?, epoch = ?
		where id = ?
		returning `+accountColumns,
		a.Role, hash, a.Enabled, a.MustChangePassword, unlock, unlock, unlock, unlock, endSessions,
		nanos(at), s.node, s.epoch, a.ID))
}

// DeleteAccount implements account.Store.
func (s *Store) DeleteAccount(ctx context.Context, name auth.AccountName, version int64, at time.Time) (account.Account, error) {
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
		if version != 0 && version != a.Version {
			return account.ErrConflict
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
