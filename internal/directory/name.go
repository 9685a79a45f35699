package directory

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"
)

// A userName is what somebody typed, by its form; one of the first three is set.
type userName struct {
	dn    *ldap.DN
	upn   string // user@domain
	short string // of DOMAIN\user or alone
	typed string
}

// parseName tells the forms apart. ErrRefused for what is none.
func parseName(s string) (userName, error) {
	if s == "" || len(s) > MaxName || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		return userName{}, fmt.Errorf("%w: no name", ErrRefused)
	}
	n := userName{typed: s}
	if strings.Contains(s, "=") {
		dn, err := ldap.ParseDN(s)
		if err != nil || len(dn.RDNs) == 0 {
			return userName{}, fmt.Errorf("%w: no distinguished name", ErrRefused)
		}
		n.dn = dn
		return n, nil
	}
	if user, domain, ok := strings.Cut(s, "@"); ok && user != "" && domain != "" {
		n.upn = s
		return n, nil
	}
	_, n.short, _ = strings.Cut(s, `\`)
	if !strings.Contains(s, `\`) {
		n.short = s
	}
	if n.short == "" {
		return userName{}, fmt.Errorf("%w: no name", ErrRefused)
	}
	return n, nil
}

// filter matches the entries that a name stands for, people alone.
func (n userName) filter(attributes []string) string {
	value := n.short
	if n.upn != "" {
		attributes, value = []string{"userPrincipalName", "mail"}, n.upn
	}
	var b strings.Builder
	b.WriteString("(|")
	for _, a := range attributes {
		fmt.Fprintf(&b, "(%s=%s)", a, ldap.EscapeFilter(value))
	}
	b.WriteString(")")
	return b.String()
}

// below reports whether a DN lies in one of the trees.
func below(dn *ldap.DN, bases []*ldap.DN) bool {
	for _, b := range bases {
		if b.EqualFold(dn) || b.AncestorOfFold(dn) {
			return true
		}
	}
	return false
}
