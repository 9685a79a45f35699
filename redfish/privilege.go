package redfish

import (
	"net/http"

	"github.com/postern/postern/auth"
)

// Privileged reports whether p may call method on a resource of the type
// entity ("ManagerAccount"), which is p's own or not. props are the properties
// that the call changes and no others, where it is a PATCH and that is known:
// some may be changed with less.
func Privileged(entity, method string, p auth.Principal, own bool, props ...string) bool {
	held := privileges(p)
	if method == http.MethodGet || method == http.MethodHead {
		return held.Has(auth.MayLogIn)
	}
	return held.Has(auth.ConfigureManager)
}

// privileges returns what p holds. An authority that does not fill them in
// means those of the predefined role.
func privileges(p auth.Principal) auth.Privileges {
	if p.Privileges == 0 {
		p.Privileges, _ = auth.PredefinedPrivileges(p.Role)
	}
	return p.Privileges
}

// PrivilegeMap is a PrivilegeRegistry resource at uri, with the rows of the
// table that Privileged decides by.
func PrivilegeMap(uri string) any { return Ref{uri} }
