package storetest

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/account"
)

// Accounts is the part of the suite for account.Store. open returns a new, empty store.
func Accounts(t *testing.T, open func(*testing.T) Core) {
	t.Run("create and read", func(t *testing.T) { accountCreate(t, open(t)) })
	t.Run("names are compared exactly", func(t *testing.T) { accountNames(t, open(t)) })
	t.Run("update", func(t *testing.T) { accountUpdate(t, open(t)) })
	t.Run("what ends sessions", func(t *testing.T) { accountEndsSessions(t, open(t)) })
	t.Run("update under a race", func(t *testing.T) { accountUpdateRace(t, open(t)) })
	t.Run("delete", func(t *testing.T) { accountDelete(t, open(t)) })
	t.Run("last administrator", func(t *testing.T) { lastAdministrator(t, open(t)) })
	t.Run("last administrator under a race", func(t *testing.T) { lastAdministratorRace(t, open(t)) })
}

func person(name string, role auth.Role) account.Account {
	return account.Account{ID: "id-" + name, Name: auth.AccountName(name), Role: role, Hash: "$hash of " + name, Enabled: true}
}

// created is a as the store gives it back after CreateAccount at noon.
func created(a account.Account) account.Account {
	a.Version, a.SessionVersion, a.Created, a.Updated = 1, 1, noon, noon
	return a
}

// add creates accounts, the first of them an administrator, and returns them.
func add(t *testing.T, s Core, names ...string) []account.Account {
	t.Helper()
	var out []account.Account
	for i, n := range names {
		role := auth.Operator
		if i == 0 {
			role = auth.Administrator
		}
		a := person(n, role)
		must(t, s.CreateAccount(t.Context(), a, noon))
		out = append(out, created(a))
	}
	return out
}

func accountCreate(t *testing.T, s Core) {
	want := add(t, s, "root", "ann", "Bob")
	got, err := s.Account(t.Context(), "ann")
	must(t, err)
	equal(t, got, want[1])
	bound := person("must", auth.ReadOnly)
	bound.MustChangePassword, bound.Enabled = true, false
	must(t, s.CreateAccount(t.Context(), bound, noon))
	all, err := s.Accounts(t.Context())
	must(t, err)
	equal(t, all, []account.Account{want[2], want[1], created(bound), want[0]})
	again := person("ann", auth.ReadOnly)
	again.ID = "another"
	wantErr(t, s.CreateAccount(t.Context(), again, noon), account.ErrExists)
	got, err = s.Account(t.Context(), "ann")
	must(t, err)
	equal(t, got, want[1])
}

func accountNames(t *testing.T, s Core) {
	add(t, s, "ann")
	for _, name := range []auth.AccountName{"Ann", "ann ", "an", "", "ann\x00", "a%"} {
		_, err := s.Account(t.Context(), name)
		wantErr(t, err, account.ErrNotFound)
	}
}

func accountUpdate(t *testing.T, s Core) {
	a := add(t, s, "root", "ann")[1]
	old := a
	a.Role, a.Hash, a.Enabled = auth.ReadOnly, "not this way", false
	later := noon.Add(time.Hour)
	got, err := s.UpdateAccount(t.Context(), a, account.Update{Hash: "$other"}, later)
	must(t, err)
	a.Hash = "$other"
	a.Version, a.SessionVersion, a.Updated = 2, 2, later
	equal(t, got, a)
	got, err = s.Account(t.Context(), "ann")
	must(t, err)
	equal(t, got, a)
	_, err = s.UpdateAccount(t.Context(), old, account.Update{}, later)
	wantErr(t, err, account.ErrConflict)
	a.ID = "nobody"
	_, err = s.UpdateAccount(t.Context(), a, account.Update{}, later)
	wantErr(t, err, account.ErrNotFound)
}

func accountEndsSessions(t *testing.T, s Core) {
	a := add(t, s, "root", "ann")[1]
	s1 := login(a, "s1")
	must(t, create(s, s1, none))
	for name, change := range map[string]func(a *account.Account){
		"nothing":          func(*account.Account) {},
		"must change":      func(a *account.Account) { a.MustChangePassword = true },
		"must change not":  func(a *account.Account) { a.MustChangePassword = false },
		"what is not kept": func(a *account.Account) { a.Hash, a.Failures, a.Locked = "$new", 3, true },
	} {
		next := a
		change(&next)
		got, err := s.UpdateAccount(t.Context(), next, account.Update{}, noon)
		must(t, err)
		if got.Version != a.Version+1 || got.SessionVersion != 1 || got.MustChangePassword != next.MustChangePassword || got.Failures != 0 || got.Locked || got.Hash != "$hash of ann" {
			t.Errorf("%s: got %+v", name, got)
		}
		a, s1.Version, s1.MustChangePassword = got, got.Version, got.MustChangePassword
		wantSessions(t, s, s1)
	}
	a.Enabled = false
	got, err := s.UpdateAccount(t.Context(), a, account.Update{}, noon)
	must(t, err)
	if got.SessionVersion != got.Version {
		t.Errorf("got %+v", got)
	}
	wantSessions(t, s)
}

func accountUpdateRace(t *testing.T, s Core) {
	a := add(t, s, "root", "ann")[1]
	won := race(t, 10, account.ErrConflict, func(int) error {
		_, err := s.UpdateAccount(t.Context(), a, account.Update{}, noon)
		return err
	})
	if won != 1 {
		t.Errorf("%d updates of the same version succeeded, want 1", won)
	}
}

func accountDelete(t *testing.T, s Core) {
	a := add(t, s, "root", "ann")[1]
	must(t, create(s, login(a, "s1"), none))
	_, err := s.DeleteAccount(t.Context(), "ann", 2, noon)
	wantErr(t, err, account.ErrConflict)
	wantLock(t, s, a)
	wantSessions(t, s, login(a, "s1"))
	got, err := s.DeleteAccount(t.Context(), "ann", 0, noon)
	must(t, err)
	equal(t, got, a)
	_, err = s.Account(t.Context(), "ann")
	wantErr(t, err, account.ErrNotFound)
	wantSessions(t, s)
	_, err = s.DeleteAccount(t.Context(), "ann", 0, noon)
	wantErr(t, err, account.ErrNotFound)
	_, err = s.UpdateAccount(t.Context(), a, account.Update{}, noon)
	wantErr(t, err, account.ErrNotFound)
}

func lastAdministrator(t *testing.T, s Core) {
	all := add(t, s, "root", "ann")
	root := all[0]
	for name, change := range map[string]func(*account.Account){
		"demoted":  func(a *account.Account) { a.Role = auth.Operator },
		"disabled": func(a *account.Account) { a.Enabled = false },
	} {
		a := root
		change(&a)
		if _, err := s.UpdateAccount(t.Context(), a, account.Update{}, noon); !errors.Is(err, account.ErrLastAdministrator) {
			t.Errorf("%s: got %v, want ErrLastAdministrator", name, err)
		}
	}
	_, err := s.DeleteAccount(t.Context(), "root", 0, noon)
	wantErr(t, err, account.ErrLastAdministrator)
	got, err := s.Account(t.Context(), "root")
	must(t, err)
	equal(t, got, root)

	second := person("second", auth.Administrator)
	second.Enabled = false
	must(t, s.CreateAccount(t.Context(), second, noon))
	_, err = s.DeleteAccount(t.Context(), "root", 0, noon)
	wantErr(t, err, account.ErrLastAdministrator) // a disabled one does not count
	second = created(second)
	second.Enabled = true
	_, err = s.UpdateAccount(t.Context(), second, account.Update{}, noon)
	must(t, err)
	_, err = s.DeleteAccount(t.Context(), "root", 0, noon)
	must(t, err)
}

// lastAdministratorRace lets administrators remove themselves all at once.
func lastAdministratorRace(t *testing.T, s Core) {
	all := []account.Account{}
	for _, n := range []string{"a", "b", "c", "d", "e", "f"} {
		a := person(n, auth.Administrator)
		must(t, s.CreateAccount(t.Context(), a, noon))
		all = append(all, created(a))
	}
	gone := race(t, len(all), account.ErrLastAdministrator, func(i int) error {
		if i%2 == 0 {
			_, err := s.DeleteAccount(t.Context(), all[i].Name, 0, noon)
			return err
		}
		a := all[i]
		a.Enabled = false
		_, err := s.UpdateAccount(t.Context(), a, account.Update{}, noon)
		return err
	})
	if gone != len(all)-1 {
		t.Errorf("%d of %d administrators removed, want all but one", gone, len(all))
	}
}

// race calls f n times at once and returns how often it succeeded. Any error but
// lost fails the test.
func race(t *testing.T, n int, lost error, f func(i int) error) int {
	t.Helper()
	var (
		all sync.WaitGroup
		won atomic.Int64
	)
	start := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-start
			switch err := f(i); {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, lost):
				t.Errorf("got %v, want %v", err, lost)
			}
		})
	}
	close(start)
	all.Wait()
	return int(won.Load())
}

func equal(t *testing.T, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("got is not as wanted (-want +got):\n%s", d)
	}
}

func wantErr(t *testing.T, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("got error %v, want %v", got, want)
	}
}
