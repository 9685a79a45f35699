package policy_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/account"
	"github.com/postern/postern/internal/policy"
	"github.com/postern/postern/internal/store"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// open returns roles and their store.
func open(t *testing.T, changed func()) (*policy.Roles, *store.Store) {
	t.Helper()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "db"), store.Options{Now: noon})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return roles(t, s, changed), s
}

func roles(t *testing.T, s policy.RoleStore, changed func()) *policy.Roles {
	t.Helper()
	r, err := policy.NewRoles(policy.RolesConfig{Store: s, Changed: changed, Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRoles(t *testing.T) {
	t.Parallel()
	told := 0
	var r *policy.Roles
	r, db := open(t, func() { told++; r.Privileges("Auditor") })
	ctx := t.Context()
	auditor := policy.Role{Name: "Auditor", Privileges: auth.MayLogIn}
	made, err := r.Create(ctx, auditor)
	if err != nil || made.Version != 1 || !made.Created.Equal(noon) || made.Predefined() {
		t.Fatalf("got %+v, %v", made, err)
	}
	more := policy.Role{Name: "Auditor", Privileges: auth.MayLogIn | auth.ConfigureSelf, Version: 1}
	if got, err := r.Update(ctx, more); err != nil || got.Version != 2 || got.Privileges != more.Privileges {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := r.Update(ctx, policy.Role{Name: "Auditor", Privileges: more.Privileges}); err != nil || got.Version != 2 {
		t.Errorf("nothing changed: got %+v, %v", got, err)
	}
	if told != 2 {
		t.Errorf("told of %d changes, want 2", told)
	}
	if err := db.CreateAccount(ctx, account.Account{ID: "1", Name: "ann", Role: "Auditor"}, noon); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ got, want error }{
		"taken":                 {try(r.Create(ctx, auditor)), policy.ErrRoleExists},
		"changed meanwhile":     {try(r.Update(ctx, policy.Role{Name: "Auditor", Privileges: auth.AllPrivileges, Version: 1})), policy.ErrRoleConflict},
		"same, but meanwhile":   {try(r.Update(ctx, more)), policy.ErrRoleConflict},
		"unknown":               {try(r.Update(ctx, policy.Role{Name: "Nobody", Privileges: auth.MayLogIn})), policy.ErrRoleNotFound},
		"predefined":            {try(r.Update(ctx, policy.Role{Name: auth.Operator, Privileges: auth.AllPrivileges})), policy.ErrPredefinedRole},
		"privilege lost":        {try(r.Update(ctx, policy.Role{Name: "Auditor", Privileges: auth.ConfigureSelf})), policy.ErrBadRole},
		"get unknown":           {try(r.Role("Nobody")), policy.ErrRoleNotFound},
		"delete unknown":        {r.Delete(ctx, "Nobody"), policy.ErrRoleNotFound},
		"delete a predefined":   {r.Delete(ctx, auth.ReadOnly), policy.ErrPredefinedRole},
		"delete what is in use": {r.Delete(ctx, "Auditor"), policy.ErrRoleInUse},
	} {
		if !errors.Is(c.got, c.want) {
			t.Errorf("%s: got %v, want %v", name, c.got, c.want)
		}
	}
	for _, r := range []*policy.Roles{r, roles(t, db, nil)} { // now and after a restart
		if p, ok := r.Privileges("Auditor"); !ok || p != more.Privileges {
			t.Errorf("got %s, %v", p, ok)
		}
		if got := fmt.Sprint(names(r.List())); got != "[Administrator Operator ReadOnly Auditor]" {
			t.Errorf("got %s", got)
		}
	}
	if _, err := db.DeleteAccount(ctx, "ann", 0, noon); err != nil {
		t.Fatal(err)
	}
	if err := r.Delete(ctx, "Auditor"); err != nil {
		t.Error(err)
	}
	if p, ok := r.Privileges("Auditor"); ok || p != 0 || r.RoleExists("Auditor") {
		t.Errorf("a role that is gone gives %s", p)
	}
}

func try(_ policy.Role, err error) error { return err }

func names(list []policy.Role) (out []auth.Role) {
	for _, r := range list {
		out = append(out, r.Name)
	}
	return out
}

func TestPredefinedRoles(t *testing.T) {
	t.Parallel()
	r, err := policy.NewRoles(policy.RolesConfig{Store: &store.Store{}}) // nothing was loaded
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range r.List() {
		got, err := r.Role(want.Name)
		p, ok := r.Privileges(want.Name)
		if err != nil || got != want || !ok || p != want.Privileges || !want.Predefined() || want.Version != 0 {
			t.Errorf("%s: got %+v, %v, %s, %v", want.Name, got, err, p, ok)
		}
	}
	if _, err := policy.NewRoles(policy.RolesConfig{}); err == nil {
		t.Error("no store was accepted")
	}
}

func TestCheckRole(t *testing.T) {
	t.Parallel()
	for _, name := range []auth.Role{"x", "Auditor", "a.b_c-d@e", "9", auth.Role(strings.Repeat("n", 64))} {
		if err := policy.CheckRole(policy.Role{Name: name, Privileges: auth.AllPrivileges}); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []auth.Role{"", ".", "..", "-x", "a b", "a/b", "ä", "a\x00", "Operator", "operator", "ADMINISTRATOR",
		auth.Role(strings.Repeat("n", 65))} {
		if err := policy.CheckRole(policy.Role{Name: name, Privileges: auth.AllPrivileges}); !errors.Is(err, policy.ErrBadRole) {
			t.Errorf("%q: got %v, want ErrBadRole", name, err)
		}
	}
	for _, p := range []auth.Privileges{0, auth.ConfigureSelf, auth.MayLogIn | 1<<5, 1<<16 - 1} {
		if err := policy.CheckRole(policy.Role{Name: "x", Privileges: p}); !errors.Is(err, policy.ErrBadRole) {
			t.Errorf("%016b: got %v, want ErrBadRole", p, err)
		}
	}
}

func TestPrivilegesDoNotAllocate(t *testing.T) {
	r, _ := open(t, nil)
	if _, err := r.Create(t.Context(), policy.Role{Name: "Auditor", Privileges: auth.MayLogIn}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []auth.Role{auth.Operator, "Auditor", "Nobody"} {
		if n := testing.AllocsPerRun(100, func() { r.Privileges(name) }); n != 0 {
			t.Errorf("%s: got %v allocations, want 0", name, n)
		}
	}
}

// TestRolesAtOnce: whatever many do at the same time, memory is what the store is.
func TestRolesAtOnce(t *testing.T) {
	t.Parallel()
	r, db := open(t, nil)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			name := auth.Role(fmt.Sprint("r", i%4))
			for _, err := range []error{
				try(r.Create(t.Context(), policy.Role{Name: name, Privileges: auth.MayLogIn})),
				try(r.Update(t.Context(), policy.Role{Name: name, Privileges: auth.MayLogIn | auth.Privileges(1<<(i%4))})),
			} {
				if err != nil && !errors.Is(err, policy.ErrRoleExists) {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	stored, err := db.Roles(t.Context())
	if err != nil || len(stored) != 4 {
		t.Fatalf("got %v, %v", stored, err)
	}
	for _, want := range stored {
		if got, err := r.Role(want.Name); err != nil || got != want {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	}
}

// A failing is a store that cannot be read.
type failing struct{ policy.RoleStore }

func (failing) Roles(context.Context) ([]policy.Role, error) { return nil, errors.New("disk gone") }

func TestRolesCannotBeRead(t *testing.T) {
	t.Parallel()
	r, err := policy.NewRoles(policy.RolesConfig{Store: failing{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Load(t.Context()); err == nil || !strings.Contains(err.Error(), "disk gone") {
		t.Errorf("got %v", err)
	}
}
