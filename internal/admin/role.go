package admin

import (
	"context"
	"errors"
	"fmt"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/audit"
	"github.com/postern/postern/internal/policy"
)

func shownRole(r policy.Role) Role {
	return Role{Name: r.Name, Predefined: r.Predefined(), Privileges: r.Privileges, Version: r.Version}
}

// Roles implements API.
func (s *Service) Roles(context.Context) ([]Role, error) {
	var out []Role
	for _, r := range s.roles.List() {
		out = append(out, shownRole(r))
	}
	return out, nil
}

// Role implements API.
func (s *Service) Role(_ context.Context, name auth.Role) (Role, error) {
	r, err := s.roles.Role(name)
	if err != nil {
		return Role{}, roleFault(err, name)
	}
	return shownRole(r), nil
}

// CreateRole implements API.
func (s *Service) CreateRole(ctx context.Context, r Role) (Role, error) {
	role := policy.Role{Name: r.Name, Privileges: r.Privileges}
	if err := policy.CheckRole(role); err != nil {
		return Role{}, roleFault(err, r.Name)
	}
	err := s.recorded(ctx, audit.Record{Event: "admin.role.add", Detail: roleDetail(r)}, func() (err error) {
		role, err = s.roles.Create(ctx, role)
		return err
	})
	if err != nil {
		return Role{}, roleFault(err, r.Name)
	}
	return shownRole(role), nil
}

// ChangeRole implements API.
func (s *Service) ChangeRole(ctx context.Context, r Role) (Role, error) {
	role, err := s.roles.Role(r.Name)
	if err != nil {
		return Role{}, roleFault(err, r.Name)
	}
	role.Privileges, role.Version = r.Privileges, r.Version
	if !role.Predefined() {
		if err := policy.CheckRole(role); err != nil {
			return Role{}, roleFault(err, r.Name)
		}
	}
	err = s.recorded(ctx, audit.Record{Event: "admin.role.change", Detail: roleDetail(r)}, func() (err error) {
		role, err = s.roles.Update(ctx, role)
		return err
	})
	if err != nil {
		return Role{}, roleFault(err, r.Name)
	}
	return shownRole(role), nil
}

// RemoveRole implements API.
func (s *Service) RemoveRole(ctx context.Context, name auth.Role) error {
	if _, err := s.roles.Role(name); err != nil {
		return roleFault(err, name)
	}
	return roleFault(s.recorded(ctx, audit.Record{Event: "admin.role.remove", Detail: "role " + string(name)}, func() error {
		return s.roles.Delete(ctx, name)
	}), name)
}

func roleDetail(r Role) string { return fmt.Sprintf("role %s: %s", r.Name, r.Privileges) }

func noRole(name auth.Role) error {
	return fail(NotFound, "postern role list shows those there are", "no role %q", name)
}

// roleFault is fault for what was done to one role.
func roleFault(err error, name auth.Role) error {
	switch {
	case errors.Is(err, policy.ErrRoleExists):
		return fail(Exists, "", "role %q exists already", name).about("name")
	case errors.Is(err, policy.ErrRoleNotFound):
		return noRole(name)
	case errors.Is(err, policy.ErrRoleConflict):
		return fail(Conflict, "read it again", "role %q was changed by somebody else", name).because(Changed)
	case errors.Is(err, policy.ErrRoleInUse):
		return fail(Conflict, "give these accounts another role first", "accounts have the role %q", name).because(RoleInUse)
	case errors.Is(err, policy.ErrPredefinedRole):
		return fail(Conflict, "add a role of your own", "role %q is built in and stays as it is", name).because(Predefined)
	case errors.Is(err, policy.ErrTooManyRoles):
		return fail(Conflict, "remove one first", "there are %d roles, as many as there may be", policy.MaxRoles).because(LimitReached)
	case errors.Is(err, policy.ErrBadRole):
		field := "privileges"
		if policy.CheckRole(policy.Role{Name: name, Privileges: auth.AllPrivileges}) != nil {
			field = "name"
		}
		return fail(Invalid, "", "%s", sentence(err)).about(field)
	}
	return fault(err)
}
