package hpe

import (
	"github.com/postern/postern/auth"
)

// Privileges are the ten of an iLO account (HPE, "Managing users", table of
// privileges), as a set.
type Privileges uint16

// The privileges, in the order in which `ilorest iloaccounts` numbers them.
const (
	LoginPriv Privileges = 1 << iota
	RemoteConsolePriv
	UserConfigPriv
	ILOConfigPriv
	VirtualMediaPriv
	VirtualPowerAndResetPriv
	HostNICConfigPriv
	HostBIOSConfigPriv
	HostStorageConfigPriv
	SystemRecoveryConfigPriv
)

var privilegeNames = [...]string{
	"LoginPriv", "RemoteConsolePriv", "UserConfigPriv", "iLOConfigPriv", "VirtualMediaPriv", "VirtualPowerAndResetPriv",
	"HostNICConfigPriv", "HostBIOSConfigPriv", "HostStorageConfigPriv", "SystemRecoveryConfigPriv",
}

// What the roles give; SystemRecoveryConfigPriv is given by itself alone.
const (
	readOnlyPrivileges      = LoginPriv
	operatorPrivileges      = LoginPriv | RemoteConsolePriv | VirtualMediaPriv | VirtualPowerAndResetPriv | hostPrivileges
	administratorPrivileges = operatorPrivileges | UserConfigPriv | ILOConfigPriv

	hostPrivileges = HostNICConfigPriv | HostBIOSConfigPriv | HostStorageConfigPriv
)

// Of returns what a role gives on an iLO; of one that is not predefined what
// comes nearest to its standard privileges.
func Of(role auth.Role, standard auth.Privileges) Privileges {
	switch role {
	case auth.Administrator:
		return administratorPrivileges
	case auth.Operator:
		return operatorPrivileges
	case auth.ReadOnly:
		return readOnlyPrivileges
	}
	var p Privileges
	for _, row := range standardTable {
		if standard.Has(row.standard) {
			p |= row.own
		}
	}
	return p
}

// standardTable says which standard privilege lets in what an iLO's own does.
var standardTable = []struct {
	standard auth.Privileges
	own      Privileges
}{
	{auth.MayLogIn, LoginPriv},
	{auth.ConfigureUsers, UserConfigPriv},
	{auth.ConfigureManager, ILOConfigPriv},
	{auth.ConfigureComponents, operatorPrivileges &^ LoginPriv},
}

// Standard returns the privileges in the words of DMTF's model.
func (p Privileges) Standard() auth.Privileges {
	if p&LoginPriv == 0 {
		return 0
	}
	s := auth.ConfigureSelf
	for _, row := range standardTable {
		if p&row.own != 0 {
			s |= row.standard
		}
	}
	return s
}

// Role is the one that an account with these privileges is said to have (HPE,
// "Managing users").
func (p Privileges) Role() auth.Role {
	switch {
	case p&(ILOConfigPriv|UserConfigPriv|SystemRecoveryConfigPriv) != 0:
		return auth.Administrator
	case p&^LoginPriv == 0:
		return auth.ReadOnly
	}
	return auth.Operator
}

// Has reports whether p holds all of q.
func (p Privileges) Has(q Privileges) bool { return p&q == q }

// object is the wire form: each name with whether it is held.
func (p Privileges) object() object {
	o := object{}
	for i, name := range privilegeNames {
		o[name] = p&(1<<i) != 0
	}
	return o
}
