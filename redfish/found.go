package redfish

import (
	"strconv"
	"strings"
)

// hpeOem returns the part of a resource that is HPE's own, empty where there is
// none.
func hpeOem(o object) object { return o.sub("Oem").sub("Hpe") }

// foundIn returns the profile of the device that a service root is of, as far as
// the root shows it: "" for no profile of ours.
func foundIn(root object) string {
	oem, product := hpeOem(root), ""
	if managers, err := objects(orEmpty(oem.get("Manager")), maxManagers); err == nil && len(managers) > 0 {
		product = managers[0].text("ManagerType")
	}
	if product == "" { // observed: iLO 7 hides type and version from who is not known
		product = oem.sub("Moniker").text("PRODGEN")
	}
	generation, ok := strings.CutPrefix(product, "iLO ")
	if !ok {
		return ""
	}
	n, err := strconv.Atoi(generation)
	if err != nil {
		return ""
	}
	for _, p := range profiles {
		if p.Generation == n {
			return p.Name
		}
	}
	if n > newest().Generation {
		return newest().Name // the nearest that is known
	}
	return ""
}

// maxManagers is how many managers of a root are looked at; an iLO has one.
const maxManagers = 16

func newest() (p Profile) {
	for _, q := range profiles {
		if q.Generation > p.Generation {
			p = q
		}
	}
	return p
}

// isOldILO reports whether a root is that of an iLO 4 or older, whose interface
// has other names for everything.
func isOldILO(root object) bool {
	return root.sub("Oem").get("Hp") != nil && root.sub("SessionService").get("@odata.id") == nil &&
		root.sub("Links").sub("Sessions").get("@odata.id") == nil
}

func orEmpty(raw []byte) []byte {
	if raw == nil {
		return []byte("[]")
	}
	return raw
}

// isRMC reports whether a session resource is of an RMC, which shows what it is
// nowhere before the login.
func isRMC(session object) bool {
	return strings.HasPrefix(hpeOem(session).text("@odata.type"), "#HpeSession.")
}

// FoundIn returns the profile of the device whose service root, or answer to a
// login, body is; ok is false where nothing shows it. A caller that knows a
// device without its profile asks this of what passes by.
func FoundIn(body []byte) (p Profile, ok bool) {
	o, err := decodeObject(body)
	if err != nil {
		return Profile{}, false
	}
	name := foundIn(o)
	if name == "" && isRMC(o) {
		name = "rmc"
	}
	if name == "" {
		return Profile{}, false
	}
	p, err = FindProfile(name)
	return p, err == nil
}

// found tells of the profile, where the device was configured without one.
func (d *Device) found(name string) {
	if d.tell == nil || d.profile.Name != "" || name == "" {
		return
	}
	if p, err := FindProfile(name); err == nil {
		d.tell(p)
	}
}
