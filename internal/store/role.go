package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/account"
	"github.com/postern/postern/internal/policy"
)

var _ policy.RoleStore = (*Store)(nil)

const roleColumns = `name, privileges, version, created_at, updated_at`

func scanRole(row scanner) (policy.Role, error) {
	var r policy.Role
	var created, updated int64
	err := row.Scan(&r.Name, &r.Privileges, &r.Version, &created, &updated)
	r.Created, r.Updated = fromNanos(created), fromNanos(updated)
	return r, noRow(err, policy.ErrRoleNotFound)
}

// Roles implements policy.RoleStore.
func (s *Store) Roles(ctx context.Context) ([]policy.Role, error) {
	rows, err := s.r.QueryContext(ctx, `select `+roleColumns+` from role order by name`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []policy.Role
	for rows.Next() {
		r, err := scanRole(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

// CreateRole implements policy.RoleStore.
func (s *Store) CreateRole(ctx context.Context, r policy.Role, at time.Time) (policy.Role, error) {
	var out policy.Role
	err := s.write(ctx, func(tx *sql.Tx) error {
		// The parent row first: it locks the number of roles.
		if _, err := tx.ExecContext(ctx, `update counter set value = value + 1 where name = 'roles'`); err != nil {
			return err
		}
		var n int
		if err := tx.QueryRowContext(ctx, `select count(*) from role`).Scan(&n); err != nil {
			return err
		}
		if n >= policy.MaxRoles {
			return policy.ErrTooManyRoles
		}
		var err error
		out, err = scanRole(tx.QueryRowContext(ctx, `
			insert into role (name, privileges, account_serial, version, created_at, updated_at, node, epoch)
			values (?, ?, 0, 1, ?, ?, ?, ?)
			on conflict do nothing
			returning `+roleColumns, r.Name, int64(r.Privileges), nanos(at), nanos(at), s.node, s.epoch))
		if err := exists(err); err != nil {
			return err
		}
		return s.emit(ctx, tx, "role", string(r.Name), at)
	})
	return out, err
}

// exists is what an insert means that found a row in its place.
func exists(err error) error {
	if errors.Is(err, policy.ErrRoleNotFound) {
		return policy.ErrRoleExists
	}
	return err
}

// UpdateRole implements policy.RoleStore.
func (s *Store) UpdateRole(ctx context.Context, r policy.Role, at time.Time) (policy.Role, error) {
	var out policy.Role
	err := s.write(ctx, func(tx *sql.Tx) error {
		var err error
		out, err = scanRole(tx.QueryRowContext(ctx, `
			update role set privileges = ?, version = version + 1, updated_at = ?, node = ?, epoch = ?
			where name = ? and ? in (0, version)
			returning `+roleColumns, int64(r.Privileges), nanos(at), s.node, s.epoch, r.Name, r.Version))
		if err != nil {
			return roleConflict(ctx, tx, r.Name, err)
		}
		return s.emit(ctx, tx, "role", string(r.Name), at)
	})
	return out, err
}

// roleConflict tells a role that has another version from one that is not there.
func roleConflict(ctx context.Context, tx *sql.Tx, name auth.Role, err error) error {
	if !errors.Is(err, policy.ErrRoleNotFound) {
		return err
	}
	if _, err := scanRole(tx.QueryRowContext(ctx, `select `+roleColumns+` from role where name = ?`, name)); err != nil {
		return err
	}
	return policy.ErrRoleConflict
}

// DeleteRole implements policy.RoleStore. The row is deleted before the accounts
// are counted: that locks it against those that would take the role (holdRole).
func (s *Store) DeleteRole(ctx context.Context, name auth.Role, at time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `delete from role where name = ?`, name)
		if err := expectRow(res, err, policy.ErrRoleNotFound); err != nil {
			return err
		}
		var used bool
		if err := tx.QueryRowContext(ctx, `select exists (select 1 from account where role = ?)`, name).Scan(&used); err != nil {
			return err
		}
		if used {
			return policy.ErrRoleInUse
		}
		return s.emit(ctx, tx, "role", string(name), at)
	})
}

// holdRole keeps a custom role from being deleted until the transaction ends.
func holdRole(ctx context.Context, tx *sql.Tx, name auth.Role) error {
	if _, ok := auth.PredefinedPrivileges(name); ok {
		return nil
	}
	res, err := tx.ExecContext(ctx, `update role set account_serial = account_serial + 1 where name = ?`, name)
	return expectRow(res, err, account.ErrBadRole)
}
