package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/account"
	"github.com/postern/postern/internal/store"
	"github.com/postern/postern/internal/store/storetest"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func open(t testing.TB, path string) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), path, store.Options{Now: noon})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestSuite(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) storetest.Store { return open(t, filepath.Join(t.TempDir(), "db")) })
}

func TestOpenAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a b?c#d%.db") // what a path may hold and a URI may not
	first := open(t, path)
	admin := account.Account{ID: "1", Name: "admin", Role: auth.Administrator, Enabled: true}
	if err := first.CreateAccount(t.Context(), admin, noon); err != nil {
		t.Fatal(err)
	}
	first.Close()
	second := open(t, path)
	if first.Epoch() != 1 || second.Epoch() != 2 || second.Node() != "local" {
		t.Errorf("epochs %d and %d of node %s, want 1 and 2 of local", first.Epoch(), second.Epoch(), second.Node())
	}
	if _, err := second.Account(t.Context(), "admin"); err != nil {
		t.Error(err)
	}
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", fi.Mode(), err)
	}
}

func TestReadOnly(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "db")
	if _, err := store.Open(t.Context(), path, store.Options{ReadOnly: true}); err == nil {
		t.Fatal("a file that does not exist was opened")
	}
	open(t, path).Close()
	s, err := store.Open(t.Context(), path, store.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Accounts(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "db")
	open(t, path).Close()
	run(t, path, "pragma user_version = 999")
	s, err := store.Open(t.Context(), path, store.Options{Now: noon})
	if err == nil {
		s.Close()
		t.Fatal("a file of a newer version was opened")
	}
	if !strings.Contains(err.Error(), "999") {
		t.Errorf("got %v, want both versions named", err)
	}
}

// TestOutbox: every change leaves a row, numbered without gaps, and a start drops
// the old end.
func TestOutbox(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "db")
	s := open(t, path)
	a := account.Account{ID: "1", Name: "admin", Role: auth.Administrator, Enabled: true}
	if err := s.CreateAccount(t.Context(), a, noon); err != nil {
		t.Fatal(err)
	}
	a.Version = 1
	if _, err := s.UpdateAccount(t.Context(), a, account.Update{}, noon); err != nil {
		t.Fatal(err)
	}
	if _, err := s.DeleteAccount(t.Context(), "admin", 0, noon); err == nil {
		t.Fatal("the last administrator was removed")
	}
	s.Close()
	const rows = `select group_concat(seq || ' ' || kind || ' ' || key, ', ') from (select * from outbox order by seq)`
	if got, want := query(t, path, rows), "1 account admin, 2 account admin"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	run(t, path, `with recursive n(i) as (select 3 union all select i + 1 from n where i < 10500)
		insert into outbox (seq, kind, key, at, node, epoch) select i, 'account', 'x', 0, 'local', 1 from n`)
	run(t, path, `update counter set value = 10500 where name = 'outbox'`)
	open(t, path).Close()
	if got, want := query(t, path, `select count(*) || ' from ' || min(seq) from outbox`), "10000 from 501"; got != want {
		t.Errorf("after a start: got %s, want %s", got, want)
	}
}

func run(t *testing.T, path, text string) {
	t.Helper()
	db := raw(t, path)
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), text); err != nil {
		t.Fatal(err)
	}
}

func query(t *testing.T, path, text string) string {
	t.Helper()
	db := raw(t, path)
	defer db.Close()
	var out string
	if err := db.QueryRowContext(t.Context(), text).Scan(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

func raw(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func BenchmarkCreateAccount(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "db"))
	for i := 0; b.Loop(); i++ {
		a := account.Account{ID: fmt.Sprint(i), Name: auth.AccountName(fmt.Sprint("a", i)), Role: auth.Operator, Enabled: true}
		if err := s.CreateAccount(b.Context(), a, noon); err != nil {
			b.Fatal(err)
		}
	}
}
