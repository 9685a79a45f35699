// Package store keeps Postern's durable state in one SQLite file, for the Store
// interfaces that the core packages define. One method is one transaction with
// a purpose. The database is never asked for the time: callers pass it in.
//
// The schema is written so that a second implementation on PostgreSQL can pass
// the same suite (storetest): limits lock their parent row before they count,
// and every change leaves a numbered row in the outbox.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"
)

//go:embed migrations/*.sql
var migrations embed.FS

// A Store is safe for concurrent use.
type Store struct {
	path  string
	w     *sql.DB // one connection: the writer
	r     *sql.DB // readers
	node  string
	epoch int64

	group  group   // the writes that wait
	events []event // of the transaction that runs; its goroutine alone touches them
}

// maxReaders bounds the connections that read: each is a file handle with a page
// cache of its own, and a point read takes 20 µs, so few serve many.
const maxReaders = 8

// outboxKept is how many outbox rows outlive a start. Whoever follows the outbox
// and is farther behind reads everything again.
const outboxKept = 10_000

// Options of Open.
type Options struct {
	// Node names this process among others on the same database; "" is "local".
	Node string
	// Now is the start time that is recorded with the new epoch.
	Now time.Time
	// ReadOnly opens an existing file without migrating it and without a new epoch.
	ReadOnly bool
}

// Open opens or creates the database file, brings its schema up to date and
// starts a new epoch of the node. A file that a newer version has written is refused.
func Open(ctx context.Context, path string, o Options) (*Store, error) {
	if o.Node == "" {
		o.Node = "local"
	}
	if err := create(path, o.ReadOnly); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	s := &Store{path: path, node: o.Node}
	var err error
	if s.r, err = open(dsn(path, true)); err != nil {
		return nil, fmt.Errorf("store: open %s: %w", path, err)
	}
	s.r.SetMaxOpenConns(maxReaders)
	s.r.SetMaxIdleConns(maxReaders)
	if o.ReadOnly {
		if err := s.r.PingContext(ctx); err != nil {
			s.r.Close()
			return nil, fmt.Errorf("store: open %s: %w", path, err)
		}
		return s, nil
	}
	if s.w, err = open(dsn(path, false)); err != nil {
		s.r.Close()
		return nil, fmt.Errorf("store: open %s: %w", path, err)
	}
	s.w.SetMaxOpenConns(1)
	if err := s.migrate(ctx); err != nil {
		s.Close()
		return nil, fmt.Errorf("store: migrate %s: %w", path, err)
	}
	if err := s.startEpoch(ctx, o.Now); err != nil {
		s.Close()
		return nil, fmt.Errorf("store: start epoch: %w", err)
	}
	return s, nil
}

// create makes the file itself, so that it never exists with wider rights.
func create(path string, readOnly bool) error {
	if readOnly {
		_, err := os.Stat(path)
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

func dsn(path string, readOnly bool) string {
	q := url.Values{"_pragma": {"busy_timeout(5000)", "foreign_keys(1)"}}
	if readOnly {
		q.Add("_pragma", "query_only(1)")
	} else {
		q["_pragma"] = append(q["_pragma"], "journal_mode(WAL)", "synchronous(FULL)")
		q.Set("_txlock", "immediate")
	}
	return "file:" + (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath() + "?" + q.Encode()
}

// Close closes the database. It is safe to call more than once.
func (s *Store) Close() error {
	var errs []error
	s.group.close()
	if s.w != nil {
		errs = append(errs, s.w.Close())
	}
	return errors.Join(append(errs, s.r.Close())...)
}

// Node and Epoch name this run of this process; every row it writes carries them.
func (s *Store) Node() string { return s.node }

// Epoch is raised by one at every start of the node.
func (s *Store) Epoch() int64 { return s.epoch }

func (s *Store) migrate(ctx context.Context) error {
	names, err := migrations.ReadDir("migrations")
	if err != nil {
		return err
	}
	sort.Slice(names, func(i, j int) bool { return names[i].Name() < names[j].Name() })
	var have int
	if err := s.w.QueryRowContext(ctx, "pragma user_version").Scan(&have); err != nil {
		return err
	}
	last := 0
	for _, n := range names {
		number, _, _ := strings.Cut(n.Name(), "_")
		if last, err = strconv.Atoi(number); err != nil {
			return fmt.Errorf("%s: %w", n.Name(), err)
		}
		if last <= have {
			continue
		}
		text, err := migrations.ReadFile("migrations/" + n.Name())
		if err != nil {
			return err
		}
		err = s.write(ctx, func(tx *sql.Tx) error {
			if _, err := tx.ExecContext(ctx, string(text)); err != nil {
				return err
			}
			_, err := tx.ExecContext(ctx, fmt.Sprintf("pragma user_version = %d", last))
			return err
		})
		if err != nil {
			return fmt.Errorf("%s: %w", n.Name(), err)
		}
	}
	if have > last {
		return fmt.Errorf("the file has schema %d, this program knows %d: use a newer postern", have, last)
	}
	return nil
}

// startEpoch names this run of the node and drops the old end of the outbox.
func (s *Store) startEpoch(ctx context.Context, now time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `
			delete from outbox where seq <= (select value from counter where name = 'outbox') - ?`, outboxKept)
		if err != nil {
			return err
		}
		return tx.QueryRowContext(ctx, `
			insert into node (name, epoch, started_at) values (?, 1, ?)
			on conflict (name) do update set epoch = epoch + 1, started_at = excluded.started_at
			returning epoch`, s.node, nanos(now)).Scan(&s.epoch)
	})
}

// expectRow returns none where the statement succeeded and changed no row.
func expectRow(res sql.Result, err, none error) error {
	if err != nil {
		return err
	}
	n, err := res.RowsAffected()
	if err == nil && n == 0 {
		err = none
	}
	return err
}

// nanos is how a time is stored; the zero time is 0.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func fromNanos(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}
