package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/account"
	"github.com/postern/postern/internal/session"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func openNew(t testing.TB) *Store {
	t.Helper()
	s, err := Open(context.Background(), filepath.Join(t.TempDir(), "db"), Options{Now: noon})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// together runs writes in one transaction, in their order, behind one that does
// nothing. What a write panics with becomes its error.
func together(t *testing.T, s *Store, writes ...func(*sql.Tx) error) []error {
	t.Helper()
	begun, all := make(chan struct{}), make(chan struct{})
	errs := make([]error, len(writes))
	var wait sync.WaitGroup
	wait.Go(func() {
		_ = s.write(context.Background(), func(*sql.Tx) error { close(begun); <-all; return nil })
	})
	<-begun
	for i, f := range writes {
		wait.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					errs[i] = fmt.Errorf("panic: %v", p)
				}
			}()
			errs[i] = s.write(context.Background(), f)
		})
		s.awaitQueued(i + 1)
	}
	close(all)
	wait.Wait()
	return errs
}

// awaitQueued returns when n writes wait.
func (s *Store) awaitQueued(n int) {
	for {
		s.group.mu.Lock()
		have := len(s.group.queue)
		s.group.mu.Unlock()
		if have >= n {
			return
		}
		time.Sleep(50 * time.Microsecond)
	}
}

// mark leaves a row and an event by which a write is found again.
func (s *Store) mark(tx *sql.Tx, name string) error {
	if _, err := tx.Exec(`insert into node (name, epoch, started_at) values (?, 1, 1)`, name); err != nil {
		return err
	}
	return s.emit(context.Background(), tx, "mark", name, noon)
}

// marks are the rows and the events that are left, the latter with their numbers.
func (s *Store) marks(t *testing.T) (rows, events []string) {
	t.Helper()
	read := func(query string) (out []string) {
		r, err := s.r.Query(query)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for r.Next() {
			var text string
			if err := r.Scan(&text); err != nil {
				t.Fatal(err)
			}
			out = append(out, text)
		}
		return out
	}
	return read(`select name from node where name <> 'local' order by rowid`), read(`select seq || ' ' || key from outbox order by seq`)
}

func TestGroup(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	no := errors.New("no")
	write := func(name string, err error) func(*sql.Tx) error {
		return func(tx *sql.Tx) error { return errors.Join(s.mark(tx, name), err) }
	}
	errs := together(t, s,
		write("a", nil),
		write("b", no),
		func(tx *sql.Tx) error { s.mark(tx, "c"); panic("c") },
		func(tx *sql.Tx) error { _, err := tx.Exec("no sql"); return errors.Join(s.mark(tx, "d"), err) },
		write("e", nil),
		write("a", nil), // sees the first
	)
	for i, want := range []string{"", "no", "panic: c", "syntax error", "", "UNIQUE"} {
		got := fmt.Sprint(errs[i])
		if want == "" && errs[i] != nil || !strings.Contains(got, want) {
			t.Errorf("write %d: got %v, want %q", i, got, want)
		}
	}
	rows, events := s.marks(t)
	if want := []string{"a", "e"}; !slices.Equal(rows, want) {
		t.Errorf("rows %q are left, want %q", rows, want)
	}
	if want := []string{"1 a", "2 e"}; !slices.Equal(events, want) {
		t.Errorf("events %q are left, want %q", events, want)
	}
}

// TestGroupLost: an error that ends the whole transaction, as a full disk does,
// leaves nobody in the belief that his write was stored.
func TestGroupLost(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	errs := together(t, s,
		func(tx *sql.Tx) error { return s.mark(tx, "a") },
		func(tx *sql.Tx) error {
			_, err := tx.Exec("rollback")
			return errors.Join(err, errors.New("disk full"))
		},
	)
	for i, err := range errs {
		if err == nil {
			t.Errorf("write %d: no error", i)
		}
	}
	if rows, events := s.marks(t); len(rows)+len(events) > 0 {
		t.Errorf("rows %q and events %q are left", rows, events)
	}
	if err := s.write(t.Context(), func(tx *sql.Tx) error { return s.mark(tx, "b") }); err != nil {
		t.Errorf("the next write: %v", err)
	}
}

func TestWriteCancelled(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	begun, all := make(chan struct{}), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	running, waiting := make(chan error, 1), make(chan error, 1)
	go func() {
		running <- s.write(ctx, func(tx *sql.Tx) error { close(begun); <-all; return s.mark(tx, "running") })
	}()
	<-begun
	go func() { waiting <- s.write(ctx, func(tx *sql.Tx) error { return s.mark(tx, "waiting") }) }()
	s.awaitQueued(1)
	cancel()
	if err := <-waiting; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before its turn: %v", err)
	}
	close(all)
	if err := <-running; err != nil {
		t.Errorf("cancelled while it ran: %v", err)
	}
	if err := s.write(ctx, func(*sql.Tx) error { t.Error("ran"); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: %v", err)
	}
	if rows, _ := s.marks(t); !slices.Equal(rows, []string{"running"}) {
		t.Errorf("rows %q are left", rows)
	}
}

func TestCloseAwaitsWrites(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	begun, all := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() { done <- s.write(context.Background(), func(*sql.Tx) error { close(begun); <-all; return nil }) }()
	<-begun
	go close(all)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Errorf("the write that ran: %v", err)
	}
	if err := s.write(t.Context(), func(*sql.Tx) error { return nil }); !errors.Is(err, errClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// TestStatementInUse: a statement whose rows are being read is not run again on
// the same connection, but another one with the same text.
func TestStatementInUse(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	const query = `select name from counter order by name`
	err := s.write(t.Context(), func(tx *sql.Tx) error {
		outer, err := tx.Query(query)
		if err != nil {
			return err
		}
		defer outer.Close()
		var pairs int
		for outer.Next() {
			inner, err := tx.Query(query)
			if err != nil {
				return err
			}
			for inner.Next() {
				pairs++
			}
			inner.Close()
		}
		var n int
		if err := tx.QueryRow(`select count(*) from counter`).Scan(&n); err != nil || pairs != n*n {
			t.Errorf("%d pairs of %d rows, %v", pairs, n, err)
		}
		return outer.Err()
	})
	if err != nil {
		t.Error(err)
	}
}

// TestKeptStatementsAreBounded: texts without number fill the statements that are
// kept, and still work.
func TestKeptStatementsAreBounded(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	err := s.write(t.Context(), func(tx *sql.Tx) error {
		for i := range maxKept + 10 {
			var n int
			if err := tx.QueryRow(fmt.Sprint("select ", i)).Scan(&n); err != nil || n != i {
				return fmt.Errorf("got %d, %w, want %d", n, err, i)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.w.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	err = c.Raw(func(dc any) error {
		if n := len(dc.(*conn).kept); n != maxKept {
			t.Errorf("%d statements are kept, want %d", n, maxKept)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// BenchmarkLogin shows what a durable login costs the store, against what the
// same database does with one synced commit for each.
func BenchmarkLogin(b *testing.B) {
	b.Run("one row in each commit", func(b *testing.B) {
		s := openNew(b)
		for b.Loop() {
			tx, err := s.w.Begin()
			if err != nil {
				b.Fatal(err)
			}
			if _, err := tx.Exec(`update counter set value = value + 1 where name = 'outbox'`); err != nil {
				b.Fatal(err)
			}
			if err := tx.Commit(); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
	})
	for _, n := range []int{1, 8, 64, 256} {
		b.Run(fmt.Sprint("logins at a time/", n), func(b *testing.B) { benchmarkLogins(b, n) })
	}
}

func benchmarkLogins(b *testing.B, atATime int) {
	s := openNew(b)
	for i := range 100 {
		a := account.Account{ID: fmt.Sprint(i), Name: auth.AccountName(fmt.Sprint("account", i)), Role: auth.Operator, Enabled: true}
		if err := s.CreateAccount(b.Context(), a, noon); err != nil {
			b.Fatal(err)
		}
	}
	next := make(chan int)
	var wait sync.WaitGroup
	b.ResetTimer()
	for range atATime {
		wait.Go(func() {
			for i := range next {
				if err := s.CreateSession(context.Background(), numbered(i), session.Limits{PerAccount: 1e6, PerListener: 1e6}, noon); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for i := range b.N {
		next <- i
	}
	close(next)
	wait.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "logins/s")
}

func numbered(i int) session.Record {
	r := session.Record{
		ID: fmt.Sprintf("%026x", uint64(i)*0x9e3779b97f4a7c15), AccountID: fmt.Sprint(i % 100), Listener: fmt.Sprint("bmc", i%8),
		Created: noon, LastUsed: noon, Version: 1,
	}
	copy(r.Token[:], fmt.Sprintf("%032x", uint64(i)*0x9e3779b97f4a7c15))
	return r
}
