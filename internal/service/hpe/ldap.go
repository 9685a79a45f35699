package hpe

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/directory"
	rf "github.com/postern/postern/redfish"
)

// LDAP says which directory knows people besides the accounts. Its slices are
// replaced, never changed.
type LDAP struct {
	// Servers are HOST[:PORT] or ldaps://HOST[:PORT], with TLS from the start, or
	// ldap://HOST[:PORT], with StartTLS.
	Servers       []string
	BindName      string
	BindPassword  auth.Secret
	Bases         []string // distinguished names that users are below
	NameAttribute string   // of a short name; "": the usual ones
	Groups        []Group
}

// A Group of a directory gives its members a role; the first that fits counts.
type Group struct {
	DN   string
	Role auth.Role
}

// Ready reports whether there is enough to ask a directory.
func (l LDAP) Ready() bool { return len(l.Servers) > 0 && len(l.Bases) > 0 }

// Config is what the settings are to a directory, but for its Roots.
func (l LDAP) Config() directory.Config {
	c := directory.Config{BindName: l.BindName, BindPassword: l.BindPassword, Bases: l.Bases}
	for _, s := range l.Servers {
		if !strings.Contains(s, "://") {
			s = "ldaps://" + s
		}
		c.Servers = append(c.Servers, s)
	}
	if l.NameAttribute != "" {
		c.NameAttributes = []string{l.NameAttribute}
	}
	for _, g := range l.Groups {
		c.Groups = append(c.Groups, g.DN)
	}
	return c
}

// Role is that of a user in some of the groups. Where no groups are set, anybody
// may read; where some are, whoever is in none has no role.
func (l LDAP) Role(in []string) (role auth.Role, ok bool) {
	if len(l.Groups) == 0 {
		return auth.ReadOnly, true
	}
	i := slices.IndexFunc(l.Groups, func(g Group) bool { return slices.Contains(in, g.DN) })
	if i < 0 {
		return "", false
	}
	return l.Groups[i].Role, true
}

// mode is how the manager finds people in a directory: by its own settings.
func mode(on bool) string {
	if on {
		return "DefaultSchema"
	}
	return "Disabled"
}

func (l LDAP) view(on bool) object {
	groups := []object{}
	for _, g := range l.Groups {
		groups = append(groups, object{"RemoteGroup": g.DN, "LocalRole": string(g.Role)})
	}
	return object{
		"ServiceEnabled": on, "ServiceAddresses": listed(l.Servers), "RemoteRoleMapping": groups,
		"Authentication": object{"AuthenticationType": "UsernameAndPassword", "Username": l.BindName, "Password": nil},
		"LDAPService": object{"SearchSettings": object{
			"BaseDistinguishedNames": listed(l.Bases), "UsernameAttribute": cmp.Or(l.NameAttribute, "uid"),
		}},
	}
}

func listed(texts []string) []string {
	if texts == nil {
		return []string{}
	}
	return texts
}

// An ldapChange is what a PATCH asks for; what is nil stays.
type ldapChange struct {
	servers, bases  []string
	name, attribute *string
	password        *auth.Secret
	groups          []Group
}

func readLDAP(b *rf.Body) *ldapChange {
	c := &ldapChange{servers: b.Strings("ServiceAddresses", directory.MaxServers)}
	if a := b.Object("Authentication"); a != nil {
		c.name, c.password = a.String("Username"), a.Secret("Password")
		a.OneOf("AuthenticationType", "UsernameAndPassword")
	}
	if s := b.Object("LDAPService"); s != nil {
		if s := s.Object("SearchSettings"); s != nil {
			c.bases, c.attribute = s.Strings("BaseDistinguishedNames", directory.MaxBases), s.String("UsernameAttribute")
		}
	}
	groups := b.Objects("RemoteRoleMapping", directory.MaxGroups)
	if groups != nil {
		c.groups = []Group{}
	}
	for _, g := range groups {
		dn, role := g.String("RemoteGroup"), g.OneOf("LocalRole", string(auth.Administrator), string(auth.Operator), string(auth.ReadOnly))
		g.Require("RemoteGroup", "LocalRole")
		if dn != nil && role != nil {
			c.groups = append(c.groups, Group{*dn, auth.Role(*role)})
		}
	}
	return c
}

// apply changes the settings to ones that a directory can be asked with, once
// they are complete.
func (c *ldapChange) apply(l *LDAP) error {
	if c == nil {
		return nil
	}
	replace(&l.BindName, c.name)
	replace(&l.BindPassword, c.password)
	replace(&l.NameAttribute, c.attribute)
	if l.BindName == "" {
		l.BindPassword = auth.Secret{}
	}
	if c.servers != nil { // clients empty the first of the list
		l.Servers = slices.DeleteFunc(c.servers, func(s string) bool { return s == "" })
	}
	if c.bases != nil {
		l.Bases = slices.DeleteFunc(c.bases, func(s string) bool { return s == "" })
	}
	if c.groups != nil {
		l.Groups = c.groups
	}
	if !l.Ready() {
		return nil
	}
	if _, err := directory.New(l.Config()); errors.Is(err, directory.ErrConfig) {
		return bad(own+"PropertyValueIncompatible", "LDAP", "LDAP")
	}
	return nil
}
