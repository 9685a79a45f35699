package account_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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

func TestCheckPassword(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"12345678", "with spaces:and ünïcode", strings.Repeat("p", 128)} {
		if err := account.CheckPassword(auth.NewSecret(good)); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "1234567", strings.Repeat("p", 129), "12345678\n", "1234\x005678", "12345678\x7f", "p\xe4ssword"} {
		err := account.CheckPassword(auth.NewSecret(bad))
		if !errors.Is(err, account.ErrBadPassword) {
			t.Errorf("%q: got %v, want ErrBadPassword", bad, err)
		}
		if bad != "" && err != nil && strings.Contains(err.Error(), bad) {
			t.Errorf("the error holds the password: %v", err)
		}
	}
}

// change is what Config.Changed was told.
type change struct {
	Name    auth.AccountName
	Version int64
	Enabled bool
	Keep    string
}

func TestService(t *testing.T) {
	t.Parallel()
	var told []change
	s, err := account.New(account.Config{Store: open(t), Now: func() time.Time { return noon },
		Changed: func(a account.Account, keep string) {
			told = append(told, change{a.Name, a.Version, a.Enabled, keep})
		}})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	password := auth.NewSecret("correct horse")
	if _, err := s.Create(ctx, account.Draft{Name: "root", Role: auth.Administrator, Password: password}); err != nil {
		t.Fatal(err)
	}
	ann, err := s.Create(ctx, account.Draft{Name: "ann", Role: auth.Operator, Password: password})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		name string
		do   func() error
		want error
	}{
		{"taken name", func() error {
			_, err := s.Create(ctx, account.Draft{Name: "ann", Role: auth.Operator, Password: password})
			return err
		}, account.ErrExists},
		{"bad name", func() error {
			_, err := s.Create(ctx, account.Draft{Name: "a/b", Role: auth.Operator, Password: password})
			return err
		}, account.ErrBadName},
		{"bad role", func() error {
			_, err := s.Create(ctx, account.Draft{Name: "bob", Role: "King", Password: password})
			return err
		}, account.ErrBadRole},
		{"short password", func() error {
			_, err := s.Create(ctx, account.Draft{Name: "bob", Role: auth.Operator, Password: auth.NewSecret("short")})
			return err
		}, account.ErrBadPassword},
		{"set short password", func() error { return s.SetPassword(ctx, "ann", auth.NewSecret("short"), "") }, account.ErrBadPassword},
		{"set bad role", func() error { return s.SetRole(ctx, "ann", "King", "") }, account.ErrBadRole},
		{"unknown", func() error { return s.SetRole(ctx, "nobody", auth.ReadOnly, "") }, account.ErrNotFound},
		{"delete unknown", func() error { return s.Delete(ctx, "nobody", 0) }, account.ErrNotFound},
		{"demote last", func() error { return s.SetRole(ctx, "root", auth.ReadOnly, "") }, account.ErrLastAdministrator},
		{"disable last", func() error { return s.SetEnabled(ctx, "root", false) }, account.ErrLastAdministrator},
		{"delete last", func() error { return s.Delete(ctx, "root", 0) }, account.ErrLastAdministrator},
		{"set password", func() error { return s.SetPassword(ctx, "ann", auth.NewSecret("battery staple"), "s1") }, nil},
		{"set role", func() error { return s.SetRole(ctx, "ann", auth.ReadOnly, "") }, nil},
		{"disable", func() error { return s.SetEnabled(ctx, "ann", false) }, nil},
	} {
		if err := step.do(); !errors.Is(err, step.want) {
			t.Errorf("%s: got %v, want %v", step.name, err, step.want)
		}
	}
	got, err := s.Get(ctx, "ann")
	if err != nil {
		t.Fatal(err)
	}
	if !account.Verify(got.Hash, auth.NewSecret("battery staple")) || account.Verify(got.Hash, password) {
		t.Error("the password was not changed")
	}
	if got.ID != ann.ID || got.Role != auth.ReadOnly || got.Enabled || got.Version != 4 {
		t.Errorf("got %+v", got)
	}
	if err := s.Delete(ctx, "ann", 0); err != nil {
		t.Error(err)
	}
	again, err := s.Create(ctx, account.Draft{Name: "ann", Role: auth.Operator, Password: password})
	if err != nil || again.ID == ann.ID {
		t.Errorf("the id of a removed account was used again (%v)", err)
	}
	want := []change{{"root", 1, true, ""}, {"ann", 1, true, ""}, {"ann", 2, true, "s1"}, {"ann", 3, true, ""},
		{"ann", 4, false, ""}, {"ann", 5, false, ""}, {"ann", 1, true, ""}}
	if d := cmp.Diff(want, told); d != "" {
		t.Errorf("changes told (-want +got):\n%s", d)
	}
	if all, err := s.List(ctx); err != nil || len(all) != 2 || all[0].Name != "ann" {
		t.Errorf("got %v, %v", all, err)
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
	if err := account.CheckPassword(saved); err != nil || len(saved.Reveal()) < 20 {
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
