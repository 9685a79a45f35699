package store

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"time"
)

// restoredAhead is by how much a restore raises the epoch: more starts than the
// server can have made since the copy, so that no epoch is used twice.
const restoredAhead = 1000

// Snapshot writes a copy of the whole database, as it is at one moment, to path,
// which must not be there, while reads and writes go on. It is readable for its
// owner alone, and on stable storage when Snapshot returns.
func (s *Store) Snapshot(ctx context.Context, path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600) // SQLite takes an empty file, and would make one for everybody
	if err != nil {
		return fmt.Errorf("store: snapshot: %w", err)
	}
	defer f.Close()
	if err = s.vacuumInto(ctx, path); err == nil {
		err = f.Sync()
	}
	if err != nil {
		os.Remove(path)
		return fmt.Errorf("store: snapshot: %w", err)
	}
	return nil
}

// vacuumInto uses a connection of its own: those that read may not, and the one
// that writes has other things to do.
func (s *Store) vacuumInto(ctx context.Context, path string) error {
	db, err := open(dsn(s.path, false))
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.ExecContext(ctx, `vacuum into ?`, path)
	return err
}

// Restored is called once on a database that was brought back from a copy, before
// anything uses it. What happened since the copy is not known:
//
//   - The epoch is raised far beyond those that were used since.
//   - Devices may have refused logins since. No secret counts as proven; each is
//     as if it had been refused once, now: tried again after a lockout window, and
//     not after a second refusal.
//   - Sessions of callers may have been ended since, so all are.
func (s *Store) Restored(ctx context.Context, at time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		for _, change := range []struct {
			query string
			args  []any
		}{
			{`update node set epoch = epoch + ?`, []any{restoredAhead}},
			{`update login_attempt set outcome = 'unknown', counts = 1, settled_at = ? where outcome = 'pending'`, []any{nanos(at)}},
			{`insert into login_attempt (id, domain, account, secret_hash, outcome, counts, reserved_at, settled_at, node, epoch)
			  select lower(hex(randomblob(16))), domain, account, secret_hash, 'unknown', 1, ?, ?, ?, ? from login_secret`,
				[]any{nanos(at), nanos(at), s.node, s.epoch}},
			{`update login_secret set proven = 0, refused = max(refused, 1), refused_at = ?`, []any{nanos(at)}},
			{`delete from session`, nil},
		} {
			if _, err := tx.ExecContext(ctx, change.query, change.args...); err != nil {
				return err
			}
		}
		return s.emit(ctx, tx, "restore", s.node, at)
	})
}
