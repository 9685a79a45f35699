package redfish

import (
	"net/http"
	"strings"

	rf "github.com/postern/postern/redfish"
)

// membersSuffix is what a collection's Members are reached by; a POST there is
// one to the collection (DSP0266 1.20.0, 7.9).
const membersSuffix = "/Members"

// A route is one resource, or all resources of one kind.
type route struct {
	pattern []string // the segments of the path; "{}" stands for any one
	entity  string   // of the privilege registry
	open    bool     // for everybody
	ownOnly bool     // there only for the account in the path

	get, post, patch, remove func(*call) error
}

// allRoutes are the resources of a whole service.
func (s *Service) allRoutes() []route {
	rts := []route{
		{pattern: split(versionsURI), open: true, get: s.versions},
		{pattern: split(rootURI), open: true, get: s.root},
		{pattern: split(odataURI), open: true, get: s.odata},
		{pattern: split(metadataURI), open: true, get: s.metadata},
		{pattern: split(openAPIURI), open: true, get: s.openAPI},

		{pattern: split(accountServiceURI), entity: "AccountService", get: s.accountService, patch: s.patchAccountService},
		{pattern: split(privilegeMapURI), entity: "PrivilegeRegistry", get: s.privilegeMap},

		{pattern: split(accountsURI), entity: "ManagerAccountCollection", get: s.accounts, post: s.createAccount},
		{pattern: split(accountsURI + "/{}"), entity: "ManagerAccount", get: s.account, patch: s.patchAccount, remove: s.removeAccount},
		{pattern: split(accountsURI + "/{}/Certificates"), entity: "CertificateCollection", get: s.accountCertificates, post: s.addAccountCertificate},
		{pattern: split(accountsURI + "/{}/Certificates/{}"), entity: "Certificate", get: s.accountCertificate, remove: s.removeAccountCertificate},

		{pattern: split(rolesURI), entity: "RoleCollection", get: s.roles, post: s.createRole},
		{pattern: split(rolesURI + "/{}"), entity: "Role", get: s.role, patch: s.patchRole, remove: s.removeRole},

		{pattern: split(casURI), entity: "CertificateCollection", get: s.authorities, post: s.addCA},
		{pattern: split(casURI + "/{}"), entity: "Certificate", get: s.ca, remove: s.removeCA},

		{pattern: split(certificateServiceURI), entity: "CertificateService", get: s.certificateService},
		{pattern: split(locationsURI), entity: "CertificateLocations", get: s.certificateLocations},

		{pattern: split(registriesURI), entity: "MessageRegistryFileCollection", get: s.registries},
		{pattern: split(registriesURI + "/{}"), entity: "MessageRegistryFile", get: s.registry},
		{pattern: split(schemasURI), entity: "JsonSchemaFileCollection", get: s.schemas},
		{pattern: split(schemasURI + "/{}"), entity: "JsonSchemaFile", get: s.schema},
	}
	if s.cfg.Verify != nil {
		rts = append(rts, route{pattern: split(accountsURI + "/{}" + changePasswordAction), entity: "ManagerAccount", post: s.changePassword})
	}
	if s.cfg.Manager != "" {
		rts = append(rts,
			route{pattern: split(s.serverCertificatesURI()), entity: "CertificateCollection", get: s.serverCertificates},
			route{pattern: split(s.serverCertificateURI()), entity: "Certificate", get: s.serverCertificate},
			route{pattern: split(generateCSRURI), entity: "CertificateService", post: s.generateCSR},
			route{pattern: split(replaceURI), entity: "CertificateService", post: s.replaceCertificate})
	}
	return rts
}

func split(path string) []string {
	return strings.Split(strings.Trim(path, "/"), "/")
}

// find returns the route that a request at a canonical path is for, nil for
// none, the path of its resource, and the segments that stand for "{}". To all
// but POST the Members of a collection are what else may have that name.
func (s *Service) find(method, path string) (rt *route, at string, ids []string) {
	if list, ok := strings.CutSuffix(path, membersSuffix); ok && method == http.MethodPost {
		if rt, ids := s.match(split(list)); rt != nil && rt.post != nil && rt.get != nil {
			return rt, list, ids
		}
	}
	rt, ids = s.match(split(path))
	return rt, path, ids
}

// match prefers what comes first; no two patterns of the table fit one path.
func (s *Service) match(segments []string) (*route, []string) {
	for i := range s.routes {
		if ids, ok := fits(s.routes[i].pattern, segments); ok {
			return &s.routes[i], ids
		}
	}
	return nil, nil
}

func fits(pattern, segments []string) (ids []string, ok bool) {
	if len(pattern) != len(segments) {
		return nil, false
	}
	for i, p := range pattern {
		switch {
		case p == "{}":
			ids = append(ids, segments[i])
		case p != segments[i]:
			return nil, false
		}
	}
	return ids, true
}

func (rt *route) method(name string) func(*call) error {
	switch name {
	case http.MethodGet, http.MethodHead:
		return rt.get
	case http.MethodPost:
		return rt.post
	case http.MethodPatch:
		return rt.patch
	case http.MethodDelete:
		return rt.remove
	}
	return nil
}

// methods in the order in which Allow lists them.
var methods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPatch, http.MethodDelete}

func (rt *route) allow() string {
	var list []string
	for _, m := range methods {
		if rt.method(m) != nil {
			list = append(list, m)
		}
	}
	return strings.Join(list, ", ")
}

// may applies the privilege registry. On one's own account a PATCH, and the
// action that does the same, may be about the password alone, which needs less;
// whether it is, the handlers see in the body.
func (c *call) may(rt *route) bool {
	if rt.entity == "ManagerAccount" && (c.r.Method == http.MethodPatch || rt.get == nil) {
		return rf.Privileged(rt.entity, http.MethodPatch, c.by, c.own(), "Password")
	}
	return rf.Privileged(rt.entity, c.r.Method, c.by, rt.entity == "ManagerAccount" && c.own())
}
