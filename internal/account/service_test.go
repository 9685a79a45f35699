package account_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/account"
	"github.com/postern/postern/internal/store"
)

var (
	horse  = auth.NewSecret("correct horse")
	staple = auth.NewSecret("battery staple")
)

// horseHash is made once: each costs 40 ms.
var horseHash = sync.OnceValue(func() string {
	h, err := account.Hash(horse)
	if err != nil {
		panic(err)
	}
	return h
})

// change is what Config.Changed was told.
type change struct {
	Name       auth.AccountName
	Version    int64
	EndsBefore int64
	Enabled    bool
	Keep       string
}

// A desk is a Service, what it tells, and the store below.
type desk struct {
	*account.Service
	store *store.Store

	mu   sync.Mutex // guards told
	told []change
}

// Night is a role of our own that an account may have.
type night struct{}

func (night) RoleExists(r auth.Role) bool { return r == "Night" }

// enter returns a Service with an administrator "root" and an operator "ann",
// both with the password horse.
func enter(t *testing.T) *desk {
	t.Helper()
	d := &desk{store: open(t)}
	var err error
	d.Service, err = account.New(account.Config{Store: d.store, Roles: night{}, Now: func() time.Time { return noon },
		Changed: func(a account.Account, keep string) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.told = append(d.told, change{a.Name, a.Version, a.SessionVersion, a.Enabled, keep})
		}})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []account.Draft{{Name: "root", Role: auth.Administrator, Hash: horseHash()}, {Name: "ann", Role: auth.Operator, Hash: horseHash()}} {
		if _, err := d.Create(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	d.told = nil
	return d
}

func (d *desk) wantTold(t *testing.T, want ...change) {
	t.Helper()
	if diff := cmp.Diff(want, d.told); diff != "" {
		t.Errorf("changes told (-want +got):\n%s", diff)
	}
}

// try makes a change that must end as want says.
func (d *desk) try(t *testing.T, step string, name auth.AccountName, c account.Change, keep string, want error) account.Account {
	t.Helper()
	a, err := d.Change(t.Context(), name, c, keep)
	if !errors.Is(err, want) {
		t.Errorf("%s: got %v, want %v", step, err, want)
	}
	if err == nil {
		stored, err := d.Get(t.Context(), name)
		if diff := cmp.Diff(stored, a); err != nil || diff != "" {
			t.Errorf("%s: %v, stored and returned (-stored +returned):\n%s", step, err, diff)
		}
	}
	return a
}

func role(r auth.Role) account.Change  { return account.Change{Role: &r} }
func enabled(b bool) account.Change    { return account.Change{Enabled: &b} }
func mustChange(b bool) account.Change { return account.Change{MustChangePassword: &b} }
func password(p string) account.Change { s := auth.NewSecret(p); return account.Change{Password: &s} }
func (d *desk) rules(t *testing.T, r account.Rules) {
	t.Helper()
	r.Min, r.Max, r.Version = 8, 128, 0
	if _, err := d.SetRules(t.Context(), r); err != nil {
		t.Fatal(err)
	}
}

func TestCreate(t *testing.T) {
	t.Parallel()
	d := enter(t)
	const hash = "$6$rounds=1000$roundstoolow$kUMsbe306n21p9R.FRkW3IGn.S9NPN0x50YhH1xhLsPuWGsUSklZt58jaTfF4ZEQpyUNGc0dqbpBYYBaHHrsX."
	for _, c := range []struct {
		name  string
		draft account.Draft
		want  error
	}{
		{"taken name", account.Draft{Name: "ann", Role: auth.Operator, Password: horse}, account.ErrExists},
		{"bad name", account.Draft{Name: "a/b", Role: auth.Operator, Password: horse}, account.ErrBadName},
		{"no such role", account.Draft{Name: "bob", Role: "King", Password: horse}, account.ErrBadRole},
		{"no role", account.Draft{Name: "bob", Password: horse}, account.ErrBadRole},
		{"role that is gone meanwhile", account.Draft{Name: "bob", Role: "Night", Password: horse}, account.ErrBadRole},
		{"no password", account.Draft{Name: "bob", Role: auth.Operator}, account.ErrPasswordLength},
		{"short password", account.Draft{Name: "bob", Role: auth.Operator, Password: auth.NewSecret("short")}, account.ErrPasswordLength},
		{"bad hash", account.Draft{Name: "bob", Role: auth.Operator, Hash: "$1$x$y"}, account.ErrBadHash},
		{"hash and password", account.Draft{Name: "bob", Role: auth.Operator, Hash: hash, Password: horse}, account.ErrBadHash},
	} {
		if _, err := d.Create(t.Context(), c.draft); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
	got, err := d.Create(t.Context(), account.Draft{Name: "bob", Role: auth.ReadOnly, Hash: hash, Disabled: true, MustChangePassword: true})
	if err != nil {
		t.Fatal(err)
	}
	want := account.Account{
		ID: got.ID, Name: "bob", Role: auth.ReadOnly, Hash: hash, MustChangePassword: true,
		Version: 1, SessionVersion: 1, Created: noon, Updated: noon,
	}
	if got != want || len(got.ID) < 20 {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if stored, err := d.Get(t.Context(), "bob"); err != nil || stored != want {
		t.Errorf("stored: got %+v, %v", stored, err)
	}
	d.wantTold(t, change{"bob", 1, 1, false, ""})
}

func TestChange(t *testing.T) {
	t.Parallel()
	d := enter(t)
	old := account.Change{Version: 1}
	d.try(t, "short password", "ann", password("short"), "", account.ErrPasswordLength)
	d.try(t, "no such role", "ann", role("King"), "", account.ErrBadRole)
	d.try(t, "unknown", "nobody", role(auth.ReadOnly), "", account.ErrNotFound)
	d.try(t, "demote last", "root", role(auth.ReadOnly), "", account.ErrLastAdministrator)
	d.try(t, "disable last", "root", enabled(false), "", account.ErrLastAdministrator)
	d.wantTold(t)

	d.try(t, "password", "ann", password("battery staple"), "s1", nil)
	d.try(t, "meanwhile", "ann", old, "", account.ErrConflict)
	d.try(t, "role", "ann", role(auth.ReadOnly), "", nil)
	d.try(t, "nothing", "ann", account.Change{Version: 3}, "", nil)
	d.try(t, "the same", "ann", role(auth.ReadOnly), "", nil)
	d.try(t, "must change", "ann", mustChange(true), "s2", nil)
	d.try(t, "disable", "ann", enabled(false), "", nil)
	a := d.try(t, "everything", "ann", account.Change{
		Version: 5, Password: &horse, Role: new(auth.Operator), Enabled: new(true), MustChangePassword: new(true), Unlock: true}, "s3", nil)
	if a.Version != 6 || a.Role != auth.Operator || !a.Enabled || !a.MustChangePassword || !account.Verify(a.Hash, horse) || account.Verify(a.Hash, staple) {
		t.Errorf("got %+v", a)
	}
	if a := d.try(t, "own password", "ann", password("battery staple"), "", nil); a.MustChangePassword {
		t.Error("the password was changed, and must be changed")
	}
	if err := d.Delete(t.Context(), "ann", 6); !errors.Is(err, account.ErrConflict) {
		t.Errorf("delete: got %v, want ErrConflict", err)
	}
	if err := d.Delete(t.Context(), "ann", 7); err != nil {
		t.Error(err)
	}
	again, err := d.Create(t.Context(), account.Draft{Name: "ann", Role: auth.Operator, Password: horse})
	if err != nil || again.ID == a.ID {
		t.Errorf("the id of a removed account was used again (%v)", err)
	}
	d.wantTold(t,
		change{"ann", 2, 2, true, "s1"}, change{"ann", 3, 3, true, ""}, change{"ann", 4, 3, true, "s2"}, change{"ann", 5, 5, false, ""},
		change{"ann", 6, 6, true, "s3"}, change{"ann", 7, 7, true, ""}, change{"ann", 8, 8, false, ""}, change{"ann", 1, 1, true, ""})
}

// TestChangeIsWhole: one part that is refused keeps back the others.
func TestChangeIsWhole(t *testing.T) {
	t.Parallel()
	d := enter(t)
	before, err := d.Get(t.Context(), "root")
	if err != nil {
		t.Fatal(err)
	}
	c := password("battery staple")
	c.Role = new(auth.ReadOnly)
	d.try(t, "password and last role", "root", c, "", account.ErrLastAdministrator)
	c.Role = new(auth.Role("King"))
	d.try(t, "password and bad role", "root", c, "", account.ErrBadRole)
	c = password("short")
	c.MustChangePassword = new(true)
	d.try(t, "short password and more", "root", c, "", account.ErrPasswordLength)
	if after, err := d.Get(t.Context(), "root"); err != nil || after != before {
		t.Errorf("got %+v, %v, want %+v", after, err, before)
	}
	d.wantTold(t)
}

func TestUnlock(t *testing.T) {
	t.Parallel()
	d := enter(t)
	ann, err := d.Get(t.Context(), "ann")
	if err != nil {
		t.Fatal(err)
	}
	d.try(t, "not locked", "ann", account.Change{Unlock: true}, "", nil)
	if locked, _, err := d.store.NoteFailure(t.Context(), ann.ID, noon, account.Rules{Threshold: 1}); err != nil || !locked {
		t.Fatalf("got %v, %v", locked, err)
	}
	if a := d.try(t, "nothing", "ann", account.Change{}, "", nil); !a.IsLocked(noon) || a.Version != 1 {
		t.Errorf("got %+v", a)
	}
	if a := d.try(t, "unlock", "ann", account.Change{Unlock: true}, "", nil); a.IsLocked(noon) || a.Failures != 0 || a.Version != 2 {
		t.Errorf("got %+v", a)
	}
	d.wantTold(t, change{"ann", 2, 1, true, ""}) // no session ends
}

func TestHistory(t *testing.T) {
	t.Parallel()
	d := enter(t)
	d.try(t, "no history: the same again", "ann", password("correct horse"), "", nil)
	d.rules(t, account.Rules{History: 2})
	d.try(t, "the present one", "ann", password("correct horse"), "", account.ErrPasswordReused)
	d.try(t, "a new one", "ann", password("password 1"), "", nil)
	d.try(t, "another", "ann", password("password 2"), "", nil)
	d.try(t, "the last but one", "ann", password("correct horse"), "", account.ErrPasswordReused)
	d.try(t, "the last", "ann", password("password 1"), "", account.ErrPasswordReused)
	d.try(t, "one more", "ann", password("password 3"), "", nil)
	d.try(t, "out of the history", "ann", password("correct horse"), "", nil)
	d.try(t, "as others may", "root", password("password 1"), "", nil)
	if _, err := d.Change(t.Context(), "ann", password("correct horse"), ""); !errors.Is(err, account.ErrBadPassword) || errors.Is(err, account.ErrPasswordLength) {
		t.Errorf("got %v", err)
	}
	d.rules(t, account.Rules{History: 0})
	d.try(t, "no history any more", "ann", password("correct horse"), "", nil)
}

// TestHistoryOfImports: a hash from elsewhere is remembered like one of ours.
func TestHistoryOfImports(t *testing.T) {
	t.Parallel()
	d := enter(t)
	d.rules(t, account.Rules{History: 1})
	const hash = "$2b$04$JwYznhaWO0zslNGeD.460eQ46CN6efb7tkOUI6RqLseRl/bPdNE/2"
	if _, err := d.Create(t.Context(), account.Draft{Name: "bob", Role: auth.Operator, Hash: hash}); err != nil {
		t.Fatal(err)
	}
	d.try(t, "the imported one", "bob", password("pässwörd"), "", account.ErrPasswordReused)
	d.try(t, "another", "bob", password("password 1"), "", nil)
	d.try(t, "the imported one later", "bob", password("pässwörd"), "", account.ErrPasswordReused)
}

func TestSetRules(t *testing.T) {
	t.Parallel()
	d := enter(t)
	if _, err := d.SetRules(t.Context(), account.Rules{Min: 1, Max: 2}); !errors.Is(err, account.ErrBadRules) {
		t.Errorf("got %v, want ErrBadRules", err)
	}
	want := account.Rules{Min: 12, Max: 100, Threshold: 3, Version: 1}
	got, err := d.SetRules(t.Context(), want)
	want.Version = 2
	if err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := d.Rules(t.Context()); err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := d.SetRules(t.Context(), account.DefaultRules()); !errors.Is(err, account.ErrConflict) {
		t.Errorf("got %v, want ErrConflict", err)
	}
	d.try(t, "too short now", "ann", password("elevenchars"), "", account.ErrPasswordLength)
	d.try(t, "long enough", "ann", password("twelve chars"), "", nil)
	if _, err := d.Create(t.Context(), account.Draft{Name: "bob", Role: auth.Operator, Password: auth.NewSecret("elevenchars")}); !errors.Is(err, account.ErrPasswordLength) {
		t.Errorf("got %v, want ErrPasswordLength", err)
	}
}

// TestHashingWaits: who cannot get a slot waits for as long as the caller does.
func TestHashingWaits(t *testing.T) {
	t.Parallel()
	if _, err := account.New(account.Config{Store: open(t), HashSlots: -1}); err == nil {
		t.Error("-1 slots were accepted")
	}
	s, err := account.New(account.Config{Store: open(t), HashSlots: 1})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range 3 {
		all.Go(func() {
			if _, err := s.Create(t.Context(), account.Draft{Name: auth.AccountName(fmt.Sprint("a", i)), Role: auth.ReadOnly, Password: horse}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Change(gone, "a0", password("battery staple"), ""); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

// TestChangesAtOnce: of many changes without a version each is made; of many with
// the same version one is.
func TestChangesAtOnce(t *testing.T) {
	t.Parallel()
	d := enter(t)
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			if _, err := d.Create(t.Context(), account.Draft{Name: auth.AccountName(fmt.Sprint("a", i)), Role: auth.ReadOnly, Hash: horseHash()}); err != nil {
				t.Error(err)
			}
			for _, c := range []account.Change{mustChange(i%2 == 0), enabled(i%2 == 0)} {
				if _, err := d.Change(t.Context(), "ann", c, ""); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	ann, err := d.Get(t.Context(), "ann")
	if err != nil {
		t.Fatal(err)
	}
	won := make(chan bool, 6)
	for i := range 6 {
		all.Go(func() {
			c := role([]auth.Role{auth.ReadOnly, auth.Administrator}[i%2])
			c.Version = ann.Version
			_, err := d.Change(t.Context(), "ann", c, "")
			if err == nil {
				won <- true
			} else if !errors.Is(err, account.ErrConflict) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if len(won) != 1 {
		t.Errorf("%d changes of one version were made, want 1", len(won))
	}
	if list, err := d.List(t.Context()); err != nil || len(list) != 8 || list[0].Name != "a0" {
		t.Errorf("got %v, %v", list, err)
	}
}
