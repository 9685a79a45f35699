package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/account"
	"github.com/postern/postern/internal/policy"
)

// A RoleCore is what roles are tested on: accounts have them.
type RoleCore interface {
	Core
	policy.RoleStore
}

// Roles is the part of the suite for policy.RoleStore.
func Roles(t *testing.T, open func(*testing.T) RoleCore) {
	t.Run("create and change", func(t *testing.T) { roleCreate(t, open(t)) })
	t.Run("in use", func(t *testing.T) { roleInUse(t, open(t)) })
	t.Run("change under a race", func(t *testing.T) { roleRace(t, open(t)) })
	t.Run("delete races an account", func(t *testing.T) { roleRacesAccount(t, open(t)) })
	t.Run("limit under a race", func(t *testing.T) { roleLimitRace(t, open(t)) })
}

func addRole(t *testing.T, s RoleCore, name auth.Role) policy.Role {
	t.Helper()
	r, err := s.CreateRole(t.Context(), policy.Role{Name: name, Privileges: auth.MayLogIn}, noon)
	must(t, err)
	equal(t, r, policy.Role{Name: name, Privileges: auth.MayLogIn, Version: 1, Created: noon, Updated: noon})
	return r
}

func roleCreate(t *testing.T, s RoleCore) {
	b, a := addRole(t, s, "b"), addRole(t, s, "a")
	_, err := s.CreateRole(t.Context(), b, noon)
	wantErr(t, err, policy.ErrRoleExists)
	old := b
	b.Privileges = auth.AllPrivileges
	b, err = s.UpdateRole(t.Context(), b, noon.Add(time.Hour))
	must(t, err)
	equal(t, b, policy.Role{Name: "b", Privileges: auth.AllPrivileges, Version: 2, Created: noon, Updated: noon.Add(time.Hour)})
	_, err = s.UpdateRole(t.Context(), old, noon)
	wantErr(t, err, policy.ErrRoleConflict)
	old.Version = 0 // whatever it is
	b, err = s.UpdateRole(t.Context(), old, noon)
	must(t, err)
	old.Name = "nobody"
	_, err = s.UpdateRole(t.Context(), old, noon)
	wantErr(t, err, policy.ErrRoleNotFound)
	all, err := s.Roles(t.Context())
	must(t, err)
	equal(t, all, []policy.Role{a, b})
	must(t, s.DeleteRole(t.Context(), "a", noon))
	wantErr(t, s.DeleteRole(t.Context(), "a", noon), policy.ErrRoleNotFound)
	addRole(t, s, "a")
}

func roleInUse(t *testing.T, s RoleCore) {
	root := add(t, s, "root")[0]
	ann := person("ann", "own")
	wantErr(t, s.CreateAccount(t.Context(), ann, noon), account.ErrBadRole)
	addRole(t, s, "own")
	must(t, s.CreateAccount(t.Context(), ann, noon))
	wantErr(t, s.DeleteRole(t.Context(), "own", noon), policy.ErrRoleInUse)
	all, err := s.Roles(t.Context())
	must(t, err)
	if len(all) != 1 {
		t.Errorf("got %v", all)
	}
	ann = created(ann)
	ann.Role = auth.ReadOnly
	ann, err = s.UpdateAccount(t.Context(), ann, account.Update{}, noon)
	must(t, err)
	must(t, s.DeleteRole(t.Context(), "own", noon))
	ann.Role = "own"
	_, err = s.UpdateAccount(t.Context(), ann, account.Update{}, noon)
	wantErr(t, err, account.ErrBadRole)
	wantLock(t, s, root)
}

func roleRace(t *testing.T, s RoleCore) {
	r := addRole(t, s, "own")
	won := race(t, 10, policy.ErrRoleConflict, func(int) error {
		_, err := s.UpdateRole(t.Context(), r, noon)
		return err
	})
	if won != 1 {
		t.Errorf("%d changes of the same version succeeded, want 1", won)
	}
}

// roleRacesAccount: nobody ends up with a role that is gone.
func roleRacesAccount(t *testing.T, s RoleCore) {
	for i := range 10 {
		role := auth.Role(fmt.Sprint("r", i))
		addRole(t, s, role)
		a := person(fmt.Sprint("a", i), role)
		race(t, 2, errLost, func(which int) error {
			if which == 0 {
				return lost(s.CreateAccount(t.Context(), a, noon), account.ErrBadRole)
			}
			return lost(s.DeleteRole(t.Context(), role, noon), policy.ErrRoleInUse)
		})
	}
	accounts, err := s.Accounts(t.Context())
	must(t, err)
	roles, err := s.Roles(t.Context())
	must(t, err)
	if len(accounts) != len(roles) {
		t.Errorf("%d accounts with %d roles: %v %v", len(accounts), len(roles), accounts, roles)
	}
}

var errLost = errors.New("lost")

// lost is errLost for the error that a loser of a race gets.
func lost(err, as error) error {
	if errors.Is(err, as) {
		return errLost
	}
	return err
}

func roleLimitRace(t *testing.T, s RoleCore) {
	for i := range policy.MaxRoles - 3 {
		addRole(t, s, auth.Role(fmt.Sprint("r", i)))
	}
	won := race(t, 10, policy.ErrTooManyRoles, func(i int) error {
		_, err := s.CreateRole(t.Context(), policy.Role{Name: auth.Role(fmt.Sprint("more", i)), Privileges: auth.MayLogIn}, noon)
		return err
	})
	if won != 3 {
		t.Errorf("%d roles were admitted, want 3", won)
	}
}
