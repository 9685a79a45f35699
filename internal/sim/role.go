package sim

import (
	"cmp"
	"context"
	"slices"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/account"
	"github.com/postern/postern/internal/admin"
)

// maxRoles bounds the roles that are not predefined.
const maxRoles = 100

// privilegesOf returns what a role gives now; a role that is gone gives
// nothing. a.mu is held.
func (a *authority) privilegesOf(r auth.Role) auth.Privileges {
	if p, ok := auth.PredefinedPrivileges(r); ok {
		return p
	}
	return a.roles[r].Privileges
}

// role returns one role; a.mu is held.
func (a *authority) role(name auth.Role) (admin.Role, error) {
	if p, ok := auth.PredefinedPrivileges(name); ok {
		return admin.Role{Name: name, Predefined: true, Privileges: p}, nil
	}
	if r, ok := a.roles[name]; ok {
		return r, nil
	}
	return admin.Role{}, refuse(admin.NotFound, "", "", "no role %q", name)
}

// checkRole refuses a role that an account cannot have; a.mu is held.
func (a *authority) checkRole(name auth.Role) error {
	if _, err := a.role(name); err != nil {
		return refuse(admin.Invalid, "role", "", "there is no role %q", name)
	}
	return nil
}

// Roles returns all of them, the predefined ones first, then by name.
func (d *desk) Roles(context.Context) ([]admin.Role, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []admin.Role
	for _, r := range d.roles {
		all = append(all, r)
	}
	slices.SortFunc(all, func(x, y admin.Role) int { return cmp.Compare(x.Name, y.Name) })
	for i, name := range []auth.Role{auth.Administrator, auth.Operator, auth.ReadOnly} {
		r, _ := d.role(name)
		all = slices.Insert(all, i, r)
	}
	return all, nil
}

// Role returns one of them.
func (d *desk) Role(_ context.Context, name auth.Role) (admin.Role, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.role(name)
}

// CreateRole adds a role.
func (d *desk) CreateRole(_ context.Context, r admin.Role) (admin.Role, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := account.CheckName(auth.AccountName(r.Name)); err != nil {
		return admin.Role{}, refuse(admin.Invalid, "name", "", "%q cannot be the name of a role", r.Name)
	}
	if _, err := d.role(r.Name); err == nil {
		return admin.Role{}, refuse(admin.Exists, "name", "", "role %q exists already", r.Name)
	}
	if len(d.roles) >= maxRoles {
		return admin.Role{}, refuse(admin.Conflict, "", admin.LimitReached, "there are %d roles already", maxRoles)
	}
	return d.putRole(r, eventResourceAdded, 1)
}

// ChangeRole gives a role other privileges, from the next request on.
func (d *desk) ChangeRole(_ context.Context, r admin.Role) (admin.Role, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	old, err := d.role(r.Name)
	switch {
	case err != nil:
		return admin.Role{}, err
	case old.Predefined:
		return admin.Role{}, predefined(r.Name)
	case r.Version != 0 && r.Version != old.Version:
		return admin.Role{}, refuse(admin.Conflict, "", admin.Changed, "role %q was changed by somebody else", r.Name)
	}
	return d.putRole(r, eventResourceUpdated, old.Version+1)
}

// putRole enters a role under a version, and tells it as an event; a.mu is held.
func (d *desk) putRole(r admin.Role, event string, version int64) (admin.Role, error) {
	if !r.Privileges.Has(auth.MayLogIn) || !auth.AllPrivileges.Has(r.Privileges) {
		return admin.Role{}, refuse(admin.Invalid, "privileges", "", "a role needs the privilege Login")
	}
	r.Predefined, r.Version = false, version
	d.roles[r.Name] = r
	d.changed(event, roleURI(r.Name), "Role")
	return r, nil
}

// RemoveRole removes a role that no account has.
func (d *desk) RemoveRole(_ context.Context, name auth.Role) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	r, err := d.role(name)
	switch {
	case err != nil:
		return err
	case r.Predefined:
		return predefined(name)
	case slices.ContainsFunc(d.accounts, func(k *known) bool { return k.Role == name }):
		return refuse(admin.Conflict, "", admin.RoleInUse, "accounts have the role %q", name)
	}
	delete(d.roles, name)
	d.changed(eventResourceRemoved, roleURI(name), "Role")
	return nil
}

func roleURI(name auth.Role) string { return rootPath + "/AccountService/Roles/" + string(name) }

func predefined(name auth.Role) error {
	return refuse(admin.Conflict, "", admin.Predefined, "role %q is a predefined one", name)
}
