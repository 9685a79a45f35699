package store_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/account"
	"github.com/postern/postern/internal/policy"
)

// TestAccountsOfTheFirstSchema: what an earlier version stored goes on as it was.
func TestAccountsOfTheFirstSchema(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "db")
	first, err := os.ReadFile("migrations/0001_first.sql")
	if err != nil {
		t.Fatal(err)
	}
	run(t, path, string(first))
	run(t, path, `pragma user_version = 1`)
	run(t, path, `insert into account (id, name, role, password_hash, enabled, version, session_serial, created_at, updated_at, node, epoch)
		values ('1', 'admin', 'Administrator', '$hash', 1, 7, 3, 5, 6, 'local', 1)`)
	s := open(t, path)
	got, err := s.Account(t.Context(), "admin")
	want := account.Account{
		ID: "1", Name: "admin", Role: auth.Administrator, Hash: "$hash", Enabled: true, Version: 7, SessionVersion: 7,
		Created: time.Unix(0, 5).UTC(), Updated: time.Unix(0, 6).UTC(),
	}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

// TestOutboxOfAccounts: what others must know leaves a row; a wrong password that
// locks nothing does not.
func TestOutboxOfAccounts(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "db")
	s := open(t, path)
	a := account.Account{ID: "1", Name: "ann", Role: auth.Operator, Hash: "$1"}
	if err := s.CreateAccount(t.Context(), a, noon); err != nil {
		t.Fatal(err)
	}
	two := account.Rules{Min: 8, Max: 20, Threshold: 2, Version: 1}
	own := policy.Role{Name: "own", Privileges: auth.MayLogIn}
	for name, do := range []func() error{
		func() error { _, _, err := s.NoteFailure(t.Context(), "1", noon, two); return err },
		func() error { return s.ClearFailures(t.Context(), "1", noon) },
		func() error { _, _, err := s.NoteFailure(t.Context(), "1", noon, two); return err },
		func() error { _, _, err := s.NoteFailure(t.Context(), "1", noon, two); return err }, // row 2
		func() error { _, _, err := s.NoteFailure(t.Context(), "1", noon, two); return err },
		func() error { return s.ReplaceHash(t.Context(), "1", "$1", "$2", noon) },   // row 3
		func() error { _, err := s.SetRules(t.Context(), two, noon); return err },   // row 4
		func() error { _, err := s.CreateRole(t.Context(), own, noon); return err }, // row 5
		func() error { _, err := s.UpdateRole(t.Context(), own, noon); return err }, // row 6
		func() error { return s.DeleteRole(t.Context(), "own", noon) },              // row 7
	} {
		if err := do(); err != nil {
			t.Fatalf("step %d: %v", name, err)
		}
	}
	s.Close()
	const rows = `select group_concat(kind || ' ' || key, ', ') from (select * from outbox order by seq)`
	const want = "account ann, account ann, account ann, rule login, role own, role own, role own"
	if got := query(t, path, rows); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
