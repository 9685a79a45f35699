package hpe

import (
	"github.com/postern/postern/auth"
	rf "github.com/postern/postern/redfish"
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

	AllPrivileges = 1<<iota - 1
)

// privileges are their names, and where they stand in the wire form.
var privileges = [...]struct {
	name string
	in   func(*rf.HPEPrivileges) *bool
}{
	{"LoginPriv", func(w *rf.HPEPrivileges) *bool { return &w.LoginPriv }},
	{"RemoteConsolePriv", func(w *rf.HPEPrivileges) *bool { return &w.RemoteConsolePriv }},
	{"UserConfigPriv", func(w *rf.HPEPrivileges) *bool { return &w.UserConfigPriv }},
	{"iLOConfigPriv", func(w *rf.HPEPrivileges) *bool { return &w.ILOConfigPriv }},
	{"VirtualMediaPriv", func(w *rf.HPEPrivileges) *bool { return &w.VirtualMediaPriv }},
	{"VirtualPowerAndResetPriv", func(w *rf.HPEPrivileges) *bool { return &w.VirtualPowerAndResetPriv }},
	{"HostNICConfigPriv", func(w *rf.HPEPrivileges) *bool { return &w.HostNICConfigPriv }},
	{"HostBIOSConfigPriv", func(w *rf.HPEPrivileges) *bool { return &w.HostBIOSConfigPriv }},
	{"HostStorageConfigPriv", func(w *rf.HPEPrivileges) *bool { return &w.HostStorageConfigPriv }},
	{"SystemRecoveryConfigPriv", func(w *rf.HPEPrivileges) *bool { return &w.SystemRecoveryConfigPriv }},
}

// Of returns what standard privileges are on an iLO.
func Of(standard auth.Privileges) Privileges {
	w := rf.HPEPrivilegesOf(standard)
	var p Privileges
	for i, row := range privileges {
		if *row.in(&w) {
			p |= 1 << i
		}
	}
	return p
}

// OfRole returns what a predefined role gives; nothing for another one.
func OfRole(r auth.Role) Privileges {
	standard, _ := auth.PredefinedPrivileges(r)
	return Of(standard)
}

// Wire returns their wire form.
func (p Privileges) Wire() rf.HPEPrivileges {
	var w rf.HPEPrivileges
	for i, row := range privileges {
		*row.in(&w) = p.Has(1 << i)
	}
	return w
}

// Standard returns the privileges in the words of DMTF's model.
func (p Privileges) Standard() auth.Privileges { return p.Wire().Privileges() }

// Role is the one that an account with these privileges is said to have.
func (p Privileges) Role() auth.Role { return p.Wire().Role() }

// Has reports whether p holds all of q.
func (p Privileges) Has(q Privileges) bool { return p&q == q }
