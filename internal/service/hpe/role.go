package hpe

import (
	"strings"

	"github.com/postern/postern/auth"
	rf "github.com/postern/postern/redfish"
)

const (
	rolesType = "#RoleCollection.RoleCollection"
	roleType  = "#Role.v1_2_0.Role"
)

// predefinedRoles are all there are.
var predefinedRoles = []auth.Role{auth.Administrator, auth.Operator, auth.ReadOnly}

func (s *Service) roles(*call) (any, error) {
	var uris []string
	for _, r := range predefinedRoles {
		uris = append(uris, rolesURI+"/"+string(r)+"/")
	}
	return list(rolesURI+"/", rolesType, "Roles", "iLO Roles Collection", uris), nil
}

func (s *Service) role(c *call) (any, error) {
	for _, r := range predefinedRoles {
		if !strings.EqualFold(string(r), c.id[0]) {
			continue
		}
		standard, _ := auth.PredefinedPrivileges(r)
		own := []string{}
		for i, row := range privileges {
			if Of(standard).Has(1 << i) {
				own = append(own, row.name)
			}
		}
		return resource(rolesURI+"/"+string(r)+"/", roleType, string(r), "User Role", object{
			"Description": "iLO User Role", "RoleId": string(r), "IsPredefined": true,
			"AssignedPrivileges": standard.Names(), "OemPrivileges": own,
		}), nil
	}
	return nil, rf.NotFound(c.uri())
}
