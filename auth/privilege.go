package auth

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Privileges are what a role gives, as a set. The names are those of DMTF's
// privilege model (DSP0266 1.20.0, 13.3.10); the families map theirs to them.
type Privileges uint16

// The privileges.
const (
	MayLogIn            Privileges = 1 << iota // log in and read
	ConfigureManager                           // change what manages
	ConfigureUsers                             // change accounts
	ConfigureComponents                        // change what is managed
	ConfigureSelf                              // change one's own account and sessions
)

// AllPrivileges are the Administrator's.
const AllPrivileges = MayLogIn | ConfigureManager | ConfigureUsers | ConfigureComponents | ConfigureSelf

var privilegeNames = [...]string{"Login", "ConfigureManager", "ConfigureUsers", "ConfigureComponents", "ConfigureSelf"}

// Has reports whether p holds all of q.
func (p Privileges) Has(q Privileges) bool { return p&q == q }

// Names returns the names of the privileges in p, in the order of the constants.
func (p Privileges) Names() []string {
	names := []string{}
	for i, name := range privilegeNames {
		if p&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

func (p Privileges) String() string { return strings.Join(p.Names(), ", ") }

// MarshalJSON writes the names.
func (p Privileges) MarshalJSON() ([]byte, error) { return json.Marshal(p.Names()) }

// UnmarshalJSON reads names, each of which must be one.
func (p *Privileges) UnmarshalJSON(data []byte) error {
	var names []string
	if err := json.Unmarshal(data, &names); err != nil {
		return err
	}
	*p = 0
	for _, name := range names {
		q, ok := ParsePrivilege(name)
		if !ok {
			return fmt.Errorf("unknown privilege %q", name)
		}
		*p |= q
	}
	return nil
}

// ParsePrivilege returns the privilege of a name, which counts letter by letter.
func ParsePrivilege(name string) (Privileges, bool) {
	for i, n := range privilegeNames {
		if n == name {
			return 1 << i, true
		}
	}
	return 0, false
}

// PredefinedPrivileges returns the privileges of a built-in role, and whether r
// is one (DSP0266 1.20.0, 13.3.10).
func PredefinedPrivileges(r Role) (Privileges, bool) {
	switch r {
	case Administrator:
		return AllPrivileges, true
	case Operator:
		return MayLogIn | ConfigureComponents | ConfigureSelf, true
	case ReadOnly:
		return MayLogIn | ConfigureSelf, true
	}
	return 0, false
}
