package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/postern/postern/internal/account"
)

// Rules implements account.Store.
func (s *Store) Rules(ctx context.Context) (account.Rules, error) {
	var r account.Rules
	err := s.r.QueryRowContext(ctx, `
		select min_password, max_password, history, threshold, duration, reset_after, version
		from login_rule where id = 1`).
		Scan(&r.Min, &r.Max, &r.History, &r.Threshold, &r.Duration, &r.ResetAfter, &r.Version)
	return r, err
}

// SetRules implements account.Store. What is kept of former passwords and is more
// than the new rules want goes.
func (s *Store) SetRules(ctx context.Context, r account.Rules, at time.Time) (account.Rules, error) {
	out := r
	err := s.write(ctx, func(tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, `
			update login_rule set min_password = ?, max_password = ?, history = ?, threshold = ?, duration = ?,
			       reset_after = ?, version = version + 1, updated_at = ?, node = ?, epoch = ?
			where id = 1 and ? in (0, version)
			returning version`,
			r.Min, r.Max, r.History, r.Threshold, int64(r.Duration), int64(r.ResetAfter), nanos(at), s.node, s.epoch, r.Version).
			Scan(&out.Version)
		if err := noRow(err, account.ErrConflict); err != nil {
			return err
		}
		if err := trimFormer(ctx, tx, r.History); err != nil {
			return err
		}
		return s.emit(ctx, tx, "rule", "login", at)
	})
	if err != nil {
		return account.Rules{}, err
	}
	return out, nil
}

// trimFormer keeps the last few former passwords of every account.
func trimFormer(ctx context.Context, tx *sql.Tx, keep int) error {
	_, err := tx.ExecContext(ctx, `
		delete from former_password where (
		    select count(*) from former_password n
		    where n.account_id = former_password.account_id and n.serial > former_password.serial) >= ?`, keep)
	return err
}

// keepFormer keeps the hash that an account is about to lose, as the rules want.
func keepFormer(ctx context.Context, tx *sql.Tx, old account.Account) error {
	_, err := tx.ExecContext(ctx, `
		insert into former_password (account_id, serial, password_hash)
		select ?, ?, ? from login_rule where id = 1 and history > 0`, old.ID, old.Version, old.Hash)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `
		delete from former_password where account_id = ? and serial not in (
		    select serial from former_password where account_id = ? order by serial desc
		    limit (select history from login_rule where id = 1))`, old.ID, old.ID)
	return err
}

// FormerHashes implements account.Store.
func (s *Store) FormerHashes(ctx context.Context, id string) ([]string, error) {
	rows, err := s.r.QueryContext(ctx, `
		select password_hash from former_password where account_id = ? order by serial desc limit ?`, id, account.MaxHistory)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var h string
		if err := rows.Scan(&h); err != nil {
			return nil, err
		}
		out = append(out, h)
	}
	return out, rows.Err()
}
