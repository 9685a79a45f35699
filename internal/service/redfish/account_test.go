package redfish

import (
	"context"
	"strings"
	"testing"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/admin"
)

func TestAccount(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	a := g.do("root", "GET", joe, "")
	want := `{"@odata.id":"/redfish/v1/AccountService/Accounts/joe","@odata.type":"#ManagerAccount.v1_14_1.ManagerAccount","Id":"joe","Name":"User Account",` +
		`"UserName":"joe","Password":null,"RoleId":"ReadOnly","Enabled":true,"Locked":false,"PasswordChangeRequired":false,"AccountTypes":["Redfish"],` +
		`"Certificates":{"@odata.id":"/redfish/v1/AccountService/Accounts/joe/Certificates"},"Links":{"Role":{"@odata.id":"/redfish/v1/AccountService/Roles/ReadOnly"}},` +
		`"Actions":{"#ManagerAccount.ChangePassword":{"target":"/redfish/v1/AccountService/Accounts/joe/Actions/ManagerAccount.ChangePassword"}}`
	if got := strings.TrimSuffix(a.Body.String(), "}"); !strings.HasPrefix(got, want) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if n := g.do("root", "GET", accts, "").at("Members@odata.count"); n != 3.0 {
		t.Errorf("root sees %v", n)
	}
	a = g.do("joe", "GET", accts, "")
	if a.at("Members@odata.count") != 1.0 || !strings.Contains(a.Body.String(), joe) {
		t.Errorf("joe sees %s", a.Body)
	}
}

func TestCreateAccount(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, who, path, body string
		status                int
		keys                  string
	}{
		{"good", "root", accts, `{"UserName":"new","Password":"12345678","RoleId":"Operator"}`, 201, ""},
		{"alias", "root", accts + "/Members", `{"UserName":"new","Password":"12345678","RoleId":"Operator"}`, 201, ""},
		{"more", "root", accts, `{"UserName":"new","Password":"12345678","RoleId":"Operator","Enabled":false,"PasswordChangeRequired":true,"Locked":false,"AccountTypes":["Redfish"],"@odata.type":"#x"}`, 201, ""},
		{"nothing", "root", accts, ``, 400, "PropertyMissing PropertyMissing PropertyMissing"},
		{"no role", "root", accts, `{"UserName":"new","Password":"12345678"}`, 400, "PropertyMissing"},
		{"null", "root", accts, `{"UserName":"new","Password":null,"RoleId":"Operator"}`, 400, "PropertyValueTypeError"},
		{"number", "root", accts, `{"UserName":"new","Password":12345678,"RoleId":"Operator"}`, 400, "PropertyValueTypeError"},
		{"no such role", "root", accts, `{"UserName":"new","Password":"12345678","RoleId":"NoSuch"}`, 400, "PropertyValueNotInList"},
		{"name taken", "root", accts, `{"UserName":"joe","Password":"12345678","RoleId":"Operator"}`, 409, "ResourceAlreadyExists"},
		{"bad name", "root", accts, `{"UserName":"a b","Password":"12345678","RoleId":"Operator"}`, 400, "PropertyValueError"},
		{"short password", "root", accts, `{"UserName":"new","Password":"1234567","RoleId":"Operator"}`, 400, "PasswordIncorrectLength"},
		{"unknown", "root", accts, `{"UserName":"new","Password":"12345678","RoleId":"Operator","Bogus":1}`, 400, "PropertyUnknown"},
		{"letter case", "root", accts, `{"username":"new","Password":"12345678","RoleId":"Operator"}`, 400, "PropertyMissing PropertyUnknown"},
		{"twice", "root", accts, `{"UserName":"new","UserName":"b","Password":"12345678","RoleId":"Operator"}`, 400, "PropertyDuplicate"},
		{"other kind", "root", accts, `{"UserName":"new","Password":"12345678","RoleId":"Operator","AccountTypes":["SNMP"]}`, 400, "PropertyValueNotInList"},
		{"locked", "root", accts, `{"UserName":"new","Password":"12345678","RoleId":"Operator","Locked":true}`, 400, "PropertyValueNotInList"},
		{"array", "root", accts, `[]`, 400, "UnrecognizedRequestBody"},
		{"no JSON", "root", accts, `{`, 400, "MalformedJSON"},
		{"too large", "root", accts, `{"UserName":"` + strings.Repeat("x", maxBody) + `"}`, 413, "PayloadTooLarge"},
		{"by an operator", "op", accts, `{"UserName":"new","Password":"12345678","RoleId":"Operator"}`, 403, "InsufficientPrivilege"},
		{"by an operator, alias", "op", accts + "/Members", `{"UserName":"new","Password":"12345678","RoleId":"Operator"}`, 403, "InsufficientPrivilege"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			a := g.do(tt.who, "POST", tt.path, tt.body)
			a.is(t, "create", tt.status, tt.keys)
			if strings.Contains(a.Body.String(), "12345678") {
				t.Errorf("the password is in the answer: %s", a.Body)
			}
			if a.Code == 201 && (a.Header().Get("Location") != accts+"/new" || a.at("@odata.id") != accts+"/new" || a.sent("ETag") == "" || a.at("Password") != nil) {
				t.Errorf("%v %s", a.Header(), a.Body)
			}
			if _, made := g.desk.accounts["new"]; made != (tt.status == 201) {
				t.Errorf("made: %v", made)
			}
		})
	}
	g := newRig(t)
	g.do("root", "POST", accts, "x=1", "Content-Type", "application/x-www-form-urlencoded").is(t, "form", 415, "HeaderInvalid")
	for i := range 17 {
		g.do("root", "POST", accts, `{"UserName":"n`+string(rune('a'+i))+`","Password":"12345678","RoleId":"Operator"}`).is(t, "create", 201, "")
	}
	g.do("root", "POST", accts, `{"UserName":"new","Password":"12345678","RoleId":"Operator"}`).is(t, "full", 400, "CreateLimitReachedForResource")
}

func TestPatchAccount(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, who, path, body string
		status                int
		keys                  string
	}{
		{"role", "root", joe, `{"RoleId":"Operator"}`, 200, ""},
		{"all", "root", joe, `{"RoleId":"Operator","Enabled":false,"PasswordChangeRequired":true,"Password":"87654321","Locked":false}`, 200, ""},
		{"own password", "joe", joe, `{"Password":"87654321"}`, 200, ""},
		{"own password, annotated", "joe", joe, `{"@odata.id":"/x","Password":"87654321"}`, 200, ""},
		{"own password and role", "joe", joe, `{"Password":"87654321","RoleId":"Administrator"}`, 403, "InsufficientPrivilege"},
		{"own password and what nobody knows", "joe", joe, `{"Password":"87654321","Bogus":1}`, 403, "InsufficientPrivilege"},
		{"own flag", "joe", joe, `{"PasswordChangeRequired":false}`, 403, "InsufficientPrivilege"},
		{"somebody else's password", "joe", accts + "/op", `{"Password":"87654321"}`, 403, "InsufficientPrivilege"},
		{"somebody else's, by an operator", "op", joe, `{"Password":"87654321"}`, 403, "InsufficientPrivilege"},
		{"nobody's", "root", accts + "/nobody", `{"Password":"87654321"}`, 404, "ResourceMissingAtURI"},
		{"lock", "root", joe, `{"Locked":true}`, 400, "PropertyValueNotInList"},
		{"no such role", "root", joe, `{"RoleId":"NoSuch"}`, 400, "PropertyValueNotInList"},
		{"bogus", "root", joe, `{"BogusProp":"x"}`, 400, "PropertyUnknown"},
		{"mixed", "root", joe, `{"Password":"87654321","BogusProp":"x"}`, 400, "PropertyUnknown"},
		{"several", "root", joe, `{"UserName":"x","Enabled":"yes","BogusProp":"x"}`, 400, "PropertyValueTypeError PropertyNotWritable PropertyUnknown"},
		{"nothing", "root", joe, `{}`, 400, "NoOperation"},
		{"annotations alone", "root", joe, `{"@odata.id":"` + joe + `/"}`, 400, "NoOperation"},
		{"nothing, own", "joe", joe, `{}`, 400, "NoOperation"},
		{"long password", "root", joe, `{"Password":"` + strings.Repeat("p", 65) + `"}`, 400, "PasswordIncorrectLength"},
		{"the last administrator's role", "root", accts + "/root", `{"RoleId":"ReadOnly"}`, 400, "RestrictedRole"},
		{"the last administrator off", "root", accts + "/root", `{"Enabled":false}`, 400, "RestrictedRole"},
		{"null", "root", joe, `{"RoleId":null}`, 400, "PropertyValueTypeError"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			before := g.desk.accounts
			a := g.do(tt.who, "PATCH", tt.path, tt.body)
			a.is(t, "patch", tt.status, tt.keys)
			if a.Code == 200 && (a.at("@odata.id") != tt.path || a.at("@odata.etag") != a.sent("ETag")) {
				t.Errorf("%v %s", a.Header(), a.Body)
			}
			if tt.status != 200 && (g.desk.passwords["joe"] != "s3cret-joe" || before["joe"] != g.desk.accounts["joe"]) {
				t.Error("something was done")
			}
			if strings.Contains(a.Body.String(), "87654321") {
				t.Errorf("the password is in the answer: %s", a.Body)
			}
		})
	}
}

// A lockout is shown, and ended by writing false.
func TestUnlock(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	tag := g.etag("root", joe)
	a := g.desk.accounts["joe"]
	a.Locked = true
	g.desk.accounts["joe"] = a
	if got := g.do("root", "GET", joe, ""); got.at("Locked") != true || got.sent("ETag") == tag {
		t.Errorf("%s", got.Body)
	}
	if got := g.do("root", "PATCH", joe, `{"Locked":false}`); got.Code != 200 || got.at("Locked") != false {
		t.Errorf("%s", got.Body)
	}
}

func TestAccountPreconditions(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	tag := g.etag("root", joe)
	if again := g.etag("root", joe); again != tag {
		t.Errorf("tag %s, then %s", tag, again)
	}
	for _, match := range []string{`"abc"foobar`, `"rpv-never-issued-etag"`, "W/" + tag} {
		g.do("root", "PATCH", joe, `{"Bogus":1}`, "If-Match", match).is(t, match, 412, "PreconditionFailed")
		g.do("root", "DELETE", joe, "", "If-Match", match).is(t, "delete "+match, 412, "PreconditionFailed")
	}
	g.do("root", "PATCH", accts+"/nobody", `{}`, "If-Match", "*").is(t, "missing", 404, "ResourceMissingAtURI")
	g.do("joe", "PATCH", accts+"/op", `{}`, "If-Match", `"x"`).is(t, "not allowed", 403, "InsufficientPrivilege")
	a := g.do("root", "PATCH", joe, `{"RoleId":"Operator"}`, "If-Match", tag)
	a.is(t, "good tag", 200, "")
	g.do("root", "PATCH", joe, `{"RoleId":"ReadOnly"}`, "If-Match", tag).is(t, "lost update", 412, "PreconditionFailed")
	if now := g.etag("root", joe); now == tag || now != a.sent("ETag") {
		t.Errorf("tag %s, %s before, %v told", now, tag, a.sent("ETag"))
	}
	g.do("root", "PATCH", joe, `{"RoleId":"ReadOnly"}`, "If-Match", "*").is(t, "any", 200, "")
	g.do("root", "DELETE", joe, "", "If-Match", g.etag("root", joe)).is(t, "delete", 204, "")
	g.do("root", "DELETE", joe, "").is(t, "again", 404, "ResourceMissingAtURI")
	g.do("root", "DELETE", accts+"/root", "").is(t, "the last one", 400, "RestrictedRole")
}

// A meddling desk has somebody else's change come between the look at what is
// to be changed and the change.
type meddling struct{ *memory }

func (d meddling) ChangeAccount(ctx context.Context, name auth.AccountName, c admin.AccountChange) (admin.Account, error) {
	d.raise(name)
	return d.memory.ChangeAccount(ctx, name, c)
}

func (d meddling) RemoveAccount(ctx context.Context, name auth.AccountName, version int64) error {
	d.raise(name)
	return d.memory.RemoveAccount(ctx, name, version)
}

func (d meddling) ChangeRole(ctx context.Context, r admin.Role) (admin.Role, error) {
	old := d.roles[r.Name]
	old.Version++
	d.roles[r.Name] = old
	return d.memory.ChangeRole(ctx, r)
}

func (d meddling) raise(name auth.AccountName) {
	a := d.accounts[name]
	a.Version++
	d.accounts[name] = a
}

// Check and change are one step of the desk's where the request names a version.
func TestLostUpdates(t *testing.T) {
	t.Parallel()
	const night = rolesURI + "/Night"
	for _, tt := range []struct {
		method, path, body string
		status             int // without a tag
	}{
		{"PATCH", joe, `{"RoleId":"Operator"}`, 200},
		{"DELETE", joe, ``, 204},
		{"PATCH", night, `{"AssignedPrivileges":["Login","ConfigureSelf"]}`, 200},
	} {
		g := newRig(t)
		g.do("root", "POST", rolesURI, `{"RoleId":"Night","AssignedPrivileges":["Login"]}`).is(t, "create", 201, "")
		g.h.(*Service).cfg.Desk = meddling{g.desk}
		g.do("root", tt.method, tt.path, tt.body, "If-Match", g.etag("root", tt.path)).is(t, tt.method+" "+tt.path, 412, "PreconditionFailed")
		g.do("root", tt.method, tt.path, tt.body, "If-Match", "*").is(t, tt.method+" whatever it is", tt.status, "")
	}
}

func TestChangePassword(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.desk.login.History = 1
	const at = joe + changePasswordAction
	for _, tt := range []struct {
		name, who, body string
		status          int
		keys            string
	}{
		{"wrong", "joe", `{"SessionAccountPassword":"guess","NewPassword":"another-one"}`, 400, "ActionParameterValueError"},
		{"reused", "joe", `{"SessionAccountPassword":"s3cret-joe","NewPassword":"s3cret-joe"}`, 400, "PasswordReuseTooRecent"},
		{"short", "joe", `{"SessionAccountPassword":"s3cret-joe","NewPassword":"x"}`, 400, "PasswordIncorrectLength"},
		{"half", "joe", `{"NewPassword":"another-one"}`, 400, "ActionParameterMissing"},
		{"more", "joe", `{"SessionAccountPassword":"s3cret-joe","NewPassword":"another-one","RoleId":"x"}`, 400, "ActionParameterUnknown"},
		{"number", "joe", `{"SessionAccountPassword":1,"NewPassword":"another-one"}`, 400, "ActionParameterValueTypeError"},
		{"not one's own", "op", `{"SessionAccountPassword":"s3cret-op","NewPassword":"another-one"}`, 403, "InsufficientPrivilege"},
		{"of another, with that one's password", "root", `{"SessionAccountPassword":"s3cret-joe","NewPassword":"another-one"}`, 400, "ActionParameterValueError"},
		{"of another", "root", `{"SessionAccountPassword":"s3cret-root","NewPassword":"another-one"}`, 204, ""},
		{"own", "joe", `{"SessionAccountPassword":"another-one","NewPassword":"a-third-one"}`, 204, ""},
	} {
		a := g.do(tt.who, "POST", at, tt.body)
		a.is(t, tt.name, tt.status, tt.keys)
		if strings.Contains(a.Body.String(), "another-one") {
			t.Errorf("%s: the password is in the answer", tt.name)
		}
	}
	if g.desk.passwords["joe"] != "a-third-one" {
		t.Error("the password was not changed")
	}
}

func TestRoles(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	const night = rolesURI + "/Night"
	for _, tt := range []struct {
		who, method, path, body string
		status                  int
		keys                    string
	}{
		{"op", "POST", rolesURI, `{"RoleId":"Night","AssignedPrivileges":["Login"]}`, 403, "InsufficientPrivilege"},
		{"root", "POST", rolesURI, `{"RoleId":"Night"}`, 400, "PropertyMissing"},
		{"root", "POST", rolesURI, `{"RoleId":"Night","AssignedPrivileges":["Login","Fly"]}`, 400, "PropertyValueNotInList"},
		{"root", "POST", rolesURI, `{"RoleId":"Night","AssignedPrivileges":"Login"}`, 400, "PropertyValueTypeError"},
		{"root", "POST", rolesURI, `{"RoleId":"Night","AssignedPrivileges":[]}`, 400, "PropertyValueError"},
		{"root", "POST", rolesURI, `{"RoleId":"Night","AssignedPrivileges":["Login"],"OemPrivileges":["X"]}`, 400, "PropertyValueNotInList"},
		{"root", "POST", rolesURI, `{"RoleId":"","AssignedPrivileges":["Login"]}`, 400, "PropertyValueError"},
		{"root", "POST", rolesURI + "/Members", `{"RoleId":"Night","AssignedPrivileges":["Login"],"OemPrivileges":[]}`, 201, ""},
		{"root", "POST", rolesURI, `{"RoleId":"Night","AssignedPrivileges":["Login"]}`, 409, "ResourceAlreadyExists"},
		{"root", "POST", rolesURI, `{"RoleId":"Operator","AssignedPrivileges":["Login"]}`, 409, "ResourceAlreadyExists"},
		{"root", "PATCH", night, `{"AssignedPrivileges":["Login","ConfigureSelf"]}`, 200, ""},
		{"root", "PATCH", night, `{"RoleId":"x"}`, 400, "PropertyNotWritable"},
		{"root", "PATCH", night, `{}`, 400, "NoOperation"},
		{"op", "PATCH", night, `{"AssignedPrivileges":["Login"]}`, 403, "InsufficientPrivilege"},
		{"root", "PATCH", rolesURI + "/ReadOnly", `{"AssignedPrivileges":["Login"]}`, 405, "OperationNotAllowed"},
		{"root", "DELETE", rolesURI + "/ReadOnly", ``, 405, "OperationNotAllowed"},
		{"root", "PATCH", rolesURI + "/None", `{"AssignedPrivileges":["Login"]}`, 404, "ResourceMissingAtURI"},
		{"root", "PATCH", joe, `{"RoleId":"Night"}`, 200, ""},
		{"root", "DELETE", night, ``, 409, "ResourceInUse"},
		{"root", "PATCH", joe, `{"RoleId":"ReadOnly"}`, 200, ""},
		{"root", "DELETE", night, ``, 204, ""},
		{"root", "GET", night, ``, 404, "ResourceMissingAtURI"},
	} {
		a := g.do(tt.who, tt.method, tt.path, tt.body)
		a.is(t, tt.who+" "+tt.method+" "+tt.path+" "+tt.body, tt.status, tt.keys)
		switch {
		case a.Code == 201 && a.Header().Get("Location") != night:
			t.Errorf("location %v", a.Header())
		case a.Code == 405 && a.Header().Get("Allow") != "GET, HEAD":
			t.Errorf("allow %v", a.Header())
		}
	}
	a := g.do("joe", "GET", rolesURI+"/Operator", "")
	if a.Header().Get("Allow") != "GET, HEAD" || a.at("IsPredefined") != true ||
		!strings.Contains(a.Body.String(), `"AssignedPrivileges":["Login","ConfigureComponents","ConfigureSelf"]`) {
		t.Errorf("%v %s", a.Header(), a.Body)
	}
}

func TestRolePreconditions(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	const night = rolesURI + "/Night"
	g.do("root", "POST", rolesURI, `{"RoleId":"Night","AssignedPrivileges":["Login"]}`).is(t, "create", 201, "")
	tag := g.etag("root", night)
	g.do("root", "PATCH", night, `{"AssignedPrivileges":["Login","ConfigureUsers"]}`, "If-Match", tag).is(t, "first", 200, "")
	g.do("root", "PATCH", night, `{"AssignedPrivileges":["Login"]}`, "If-Match", tag).is(t, "second", 412, "PreconditionFailed")
	g.do("root", "DELETE", night, "", "If-Match", tag).is(t, "delete", 412, "PreconditionFailed")
	if p := g.desk.roles["Night"].Privileges; p != auth.MayLogIn|auth.ConfigureUsers {
		t.Errorf("%v", p)
	}
}

// A custom role with ConfigureUsers administers accounts, and no roles.
func TestCustomRole(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.do("root", "POST", rolesURI, `{"RoleId":"Clerk","AssignedPrivileges":["Login","ConfigureUsers"]}`).is(t, "create", 201, "")
	if _, err := g.desk.CreateAccount(t.Context(), admin.NewAccount{Name: "clerk", Role: "Clerk", Password: auth.NewSecret("s3cret-clerk")}); err != nil {
		t.Fatal(err)
	}
	g.do("clerk", "PATCH", joe, `{"Enabled":false}`).is(t, "account", 200, "")
	g.do("clerk", "GET", joe, "").is(t, "read", 200, "")
	g.do("clerk", "PATCH", rolesURI+"/Clerk", `{"AssignedPrivileges":["Login"]}`).is(t, "role", 403, "InsufficientPrivilege")
	g.do("clerk", "GET", casURI, "").is(t, "authorities", 403, "InsufficientPrivilege")
}
