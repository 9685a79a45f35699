package auth_test

import (
	"testing"

	"github.com/postern/postern/auth"
)

func TestPrivilegeNames(t *testing.T) {
	t.Parallel()
	if got, want := auth.AllPrivileges.String(), "Login, ConfigureManager, ConfigureUsers, ConfigureComponents, ConfigureSelf"; got != want {
		t.Errorf("all privileges are %q, want %q", got, want)
	}
	for _, name := range auth.AllPrivileges.Names() {
		p, ok := auth.ParsePrivilege(name)
		if !ok || p.String() != name {
			t.Errorf("ParsePrivilege(%q) = %v, %v", name, p, ok)
		}
	}
	if p, ok := auth.ParsePrivilege("login"); ok {
		t.Errorf("ParsePrivilege took a name in another case, as %v", p)
	}
}

func TestPredefinedPrivileges(t *testing.T) {
	t.Parallel()
	operator, _ := auth.PredefinedPrivileges(auth.Operator)
	if !operator.Has(auth.ConfigureComponents|auth.MayLogIn) || operator.Has(auth.ConfigureUsers) {
		t.Errorf("an Operator has %v", operator)
	}
	if p, ok := auth.PredefinedPrivileges("janitor"); ok {
		t.Errorf("a role that is not built in has %v", p)
	}
}
