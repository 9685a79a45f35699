package directory

import (
	"testing"

	"github.com/go-ldap/ldap/v3"
)

// Whatever is typed as a name, the filter stays one of equalities.
func FuzzName(f *testing.F) {
	for _, s := range []string{"ann", `CORP\ann`, "ann@example.com", "uid=ann,dc=x", "a)(b=*", "*", `\`, "@", "=", "a\x00", "ü\\2a(", "+="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := parseName(s)
		if err != nil || n.dn != nil {
			return
		}
		p, err := ldap.CompileFilter(n.filter([]string{"uid", "cn"}))
		if err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		want := n.short + n.upn
		if len(p.Children) != 2 || p.Tag != ldap.FilterOr {
			t.Fatalf("%q: %d parts", s, len(p.Children))
		}
		for _, c := range p.Children {
			if c.Tag != ldap.FilterEqualityMatch || c.Children[1].Data.String() != want {
				t.Fatalf("%q: %v", s, c)
			}
		}
	})
}
