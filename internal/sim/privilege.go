package sim

import (
	"net/http"
	"path"
	"strings"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/redfish"
)

// mayCall says whether the caller may do what it asks for at the path: Login
// reads, and all else is up to the row that DMTF's privilege registry has for
// the type of the resource there (DSP0266 1.20.0, 13.3.10).
func (d *Device) mayCall(r *http.Request, at string) bool {
	p, known := auth.PrincipalFrom(r.Context())
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return !known || p.Privileges.Has(auth.MayLogIn) // nobody known: an open URI
	}
	return known && redfish.Privileged(d.entity(at), r.Method, p, false)
}

// entity is the type that decides about the path: that of the resource there, or
// of the one that an action or an upload belongs to. What the registry says
// otherwise of resources below others (its SubordinateOverrides: logs of systems
// and chassis, interfaces of managers) is as for those.
func (d *Device) entity(at string) string {
	at, _, _ = strings.Cut(at, "/Actions/")
	typ := d.typeAt(at)
	for typ == "" && within(at, rootPath) {
		at = path.Dir(at)
		typ = d.typeAt(at)
	}
	switch {
	case strings.HasPrefix(typ, "Log") && within(at, rootPath+"/Systems"):
		return "ComputerSystem"
	case strings.HasPrefix(typ, "Log") && within(at, rootPath+"/Chassis"):
		return "Chassis"
	case strings.HasPrefix(typ, "EthernetInterface") && within(at, managersPath):
		return "Manager"
	}
	return typ
}

// typeAt returns the type of the resource at a path, without its version.
func (d *Device) typeAt(at string) string {
	f := d.store.get(at)
	if f == nil || f.media != mediaJSON {
		return ""
	}
	name, _, _ := strings.Cut(typeOf(f.body), ".")
	return name
}
