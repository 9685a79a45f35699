package auth_test

import (
	"encoding/json"
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

func TestPrivilegesAsJSON(t *testing.T) {
	t.Parallel()
	for _, p := range []auth.Privileges{0, auth.MayLogIn, auth.AllPrivileges} {
		data, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		got := auth.ConfigureSelf
		if err := json.Unmarshal(data, &got); err != nil || got != p {
			t.Errorf("%s became %v, %v, want %v", data, got, err, p)
		}
	}
	var p auth.Privileges
	for _, bad := range []string{`["login"]`, `[1]`, `3`, `{}`} {
		if err := json.Unmarshal([]byte(bad), &p); err == nil {
			t.Errorf("%s was taken as %v", bad, p)
		}
	}
}
