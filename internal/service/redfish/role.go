package redfish

import (
	"errors"
	"net/http"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/admin"
	rf "github.com/postern/postern/redfish"
)

// maxPrivileges bounds the privileges in a request; there are five kinds.
const maxPrivileges = 64

// A role (Role.v1_3_3).
type role struct {
	heading
	RoleID             string   `json:"RoleId"`
	IsPredefined       bool     `json:"IsPredefined"`
	AssignedPrivileges []string `json:"AssignedPrivileges"`
}

func roleResource(r admin.Role) role {
	return role{
		heading: heading{ODataID: rolesURI + "/" + string(r.Name), ODataType: roleType, ID: string(r.Name), Name: string(r.Name) + " Role"},
		RoleID:  string(r.Name), IsPredefined: r.Predefined, AssignedPrivileges: r.Privileges.Names(),
	}
}

func (s *Service) roles(c *call) error {
	all, err := s.cfg.Desk.Roles(c.r.Context())
	if err != nil {
		return fault(err, c.path)
	}
	var ids []string
	for _, r := range all {
		ids = append(ids, string(r.Name))
	}
	return c.show(newCollection(rolesURI, roleCollectionType, "Roles", ids))
}

func (s *Service) role(c *call) error {
	r, err := s.cfg.Desk.Role(c.r.Context(), auth.Role(c.id[0]))
	if err != nil {
		return fault(err, c.path)
	}
	if r.Predefined {
		c.allow = readOnly
	}
	return c.show(roleResource(r))
}

// readOnly is what may be done with a predefined role.
const readOnly = "GET, HEAD"

func (s *Service) createRole(c *call) error {
	b, err := c.body()
	if err != nil {
		return err
	}
	b.Require("RoleId", "AssignedPrivileges")
	r := admin.Role{Name: auth.Role(deref(b.String("RoleId"))), Privileges: readPrivileges(b)}
	if err := b.Err(); err != nil {
		return err
	}
	made, err := s.cfg.Desk.CreateRole(c.r.Context(), r)
	if e := asAdmin(err); e != nil {
		switch {
		case e.Code == admin.Exists, e.Reason == admin.Predefined:
			return rf.AlreadyExists("Role", "RoleId", string(r.Name))
		case e.Code == admin.Invalid && e.Field == "name":
			return related(problem(http.StatusBadRequest, "PropertyValueError", e, "RoleId"), "RoleId")
		}
	}
	if err != nil {
		return fault(err, c.path)
	}
	return c.created(rolesURI+"/"+string(made.Name), roleResource(made))
}

// readPrivileges reads the privileges of a role; of the OEM's there are none.
func readPrivileges(b *rf.Body) auth.Privileges {
	var all auth.Privileges
	for _, name := range b.Strings("AssignedPrivileges", maxPrivileges) {
		p, ok := auth.ParsePrivilege(name)
		if !ok {
			b.Fail("PropertyValueNotInList", "AssignedPrivileges", short(name), "AssignedPrivileges")
		}
		all |= p
	}
	for _, name := range b.Strings("OemPrivileges", maxPrivileges) {
		b.Fail("PropertyValueNotInList", "OemPrivileges", short(name), "OemPrivileges")
	}
	return all
}

// changeable returns a role that is to be changed or removed, and whether the
// request names its version.
func (s *Service) changeable(c *call) (r admin.Role, exact bool, err error) {
	r, err = s.cfg.Desk.Role(c.r.Context(), auth.Role(c.id[0]))
	if err != nil {
		return r, false, fault(err, c.path)
	}
	if r.Predefined {
		return r, false, rf.NotAllowed(readOnly)
	}
	exact, err = c.match(roleResource(r))
	return r, exact, err
}

func (s *Service) patchRole(c *call) error {
	r, exact, err := s.changeable(c)
	if err != nil {
		return err
	}
	b, err := c.body()
	if err != nil {
		return err
	}
	wants := admin.Role{Name: r.Name, Privileges: r.Privileges}
	if p := readPrivileges(b); b.Has("AssignedPrivileges") {
		wants.Privileges = p
	}
	b.ReadOnly("Id", "Name", "RoleId", "IsPredefined")
	if err := b.Err(); err != nil {
		return err
	}
	if exact {
		wants.Version = r.Version
	}
	r, err = s.cfg.Desk.ChangeRole(c.r.Context(), wants)
	if err != nil {
		return fault(err, c.path)
	}
	return c.changed(roleResource(r))
}

func (s *Service) removeRole(c *call) error {
	r, _, err := s.changeable(c)
	if err != nil {
		return err
	}
	if err := s.cfg.Desk.RemoveRole(c.r.Context(), r.Name); err != nil {
		return fault(err, c.path)
	}
	return c.done()
}

func asAdmin(err error) *admin.Error {
	e, _ := errors.AsType[*admin.Error](err)
	return e
}
