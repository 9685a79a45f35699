package account_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/account"
	"github.com/postern/postern/internal/store"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func open(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "db"), store.Options{Now: noon})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestCheckName(t *testing.T) {
	t.Parallel()
	for _, good := range []auth.AccountName{"a", "admin", "Ann.B", "x@example.org", "_svc-1", "9", auth.AccountName(strings.Repeat("n", 64))} {
		if err := account.CheckName(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []auth.AccountName{"", ".", "..", "-x", "@x", "a b", "a/b", "a%41", "a:b", "ä", "a\x00", "a\n",
		auth.AccountName(strings.Repeat("n", 65))} {
		if err := account.CheckName(bad); !errors.Is(err, account.ErrBadName) {
			t.Errorf("%q: got %v, want ErrBadName", bad, err)
		}
	}
}

func TestBootstrap(t *testing.T) {
	t.Parallel()
	s := open(t)
	var saved auth.Secret
	save := func(name auth.AccountName, p auth.Secret) error {
		if all, err := s.Accounts(t.Context()); err != nil || len(all) != 0 || name != account.BootstrapName {
			t.Errorf("the account %s was there before its password was saved (%v, %v)", name, all, err)
		}
		saved = p
		return nil
	}
	full := errors.New("disk full")
	if _, err := account.Bootstrap(t.Context(), s, noon, func(auth.AccountName, auth.Secret) error { return full }); !errors.Is(err, full) {
		t.Errorf("got %v, want the error of save", err)
	}
	if made, err := account.Bootstrap(t.Context(), s, noon, save); !made || err != nil {
		t.Fatalf("got %v, %v", made, err)
	}
	a, err := s.Account(t.Context(), "admin")
	if err != nil || !a.IsAdministrator() || !account.Verify(a.Hash, saved) {
		t.Errorf("got %v, %v", a.Name, err)
	}
	if err := account.DefaultRules().CheckPassword(saved); err != nil || len(saved.Reveal()) < 20 {
		t.Errorf("a password of %d bytes, %v", len(saved.Reveal()), err)
	}
	if made, err := account.Bootstrap(t.Context(), s, noon, save); made || err != nil {
		t.Errorf("second time: got %v, %v", made, err)
	}
}

func TestRandomPassword(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	letters := map[rune]int{}
	for range 1000 {
		p := account.RandomPassword().Reveal()
		if seen[p] || len(p) != 24 {
			t.Fatalf("%q was drawn twice or has a wrong length", p)
		}
		seen[p] = true
		for _, c := range p {
			letters[c]++
		}
	}
	if len(letters) != 31 {
		t.Errorf("%d different letters, want 31", len(letters))
	}
	for c, n := range letters {
		if n < 500 || n > 1100 || strings.ContainsRune("ilo01", c) { // 774 expected
			t.Errorf("%q was drawn %d times", c, n)
		}
	}
}
