package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/admin"
	"github.com/postern/postern/redfish"
)

const (
	accountService = rootPath + "/AccountService"
	accounts       = accountService + "/Accounts"
	roles          = accountService + "/Roles"
)

// newAccount makes an account with the password NAME-Pass.1 and returns its URI.
func (r *rig) newAccount(name, role string) string {
	r.t.Helper()
	r.want(201, "POST", accounts, fmt.Sprintf(`{"UserName":%q,"Password":"%s-Pass.1","RoleId":%q}`, name, name, role))
	return redfish.AccountURI(auth.AccountName(name))
}

func (r *rig) loginToken(user, password string) string {
	r.t.Helper()
	p := r.loginAs(user, password)
	if p.status != 201 {
		r.t.Fatalf("login of %s: %d %s", user, p.status, p.body)
	}
	return p.header.Get("X-Auth-Token")
}

func TestAccountLife(t *testing.T) {
	t.Parallel()
	r := start(t, Config{Slots: 10})
	joe := r.newAccount("joe", "Operator")
	first, second := r.loginToken("joe", "joe-Pass.1"), r.loginToken("joe", "joe-Pass.1")
	alive := func(tok string) bool { return r.do("GET", systemPath, "", token(tok)).status == 200 }

	// A new password ends the other sessions of the account.
	if p := r.do("PATCH", joe, `{"Password":"joe-Pass.2"}`, token(first)); p.status != 200 {
		t.Fatalf("own password: %d %s", p.status, p.body)
	}
	if !alive(first) || alive(second) {
		t.Errorf("after a new password: the session that asked lives: %v, another: %v", alive(first), alive(second))
	}
	if p := r.loginAs("joe", "joe-Pass.1"); p.status != 401 {
		t.Errorf("the old password: %d", p.status)
	}
	// So does another role, and the next request knows the privileges of it.
	second = r.loginToken("joe", "joe-Pass.2")
	r.want(200, "PATCH", joe, `{"RoleId":"ReadOnly"}`)
	if alive(first) || alive(second) {
		t.Error("a session outlived the change of the role")
	}
	first = r.loginToken("joe", "joe-Pass.2")
	if p := r.do("PATCH", systemPath, `{"AssetTag":"x"}`, token(first)); p.status != 403 {
		t.Errorf("a ReadOnly writes: %d", p.status)
	}
	r.want(200, "PATCH", joe, `{"Enabled":false}`)
	if alive(first) || r.loginAs("joe", "joe-Pass.2").status != 401 || r.do("GET", systemPath, "", basicAs("joe", "joe-Pass.2")).status != 401 {
		t.Error("a disabled account is let in")
	}
	r.want(200, "PATCH", joe, `{"Enabled":true}`)
	first = r.loginToken("joe", "joe-Pass.2")
	r.want(204, "DELETE", joe, "")
	if alive(first) {
		t.Error("a session outlived its account")
	}
	r.want(404, "GET", joe, "")
	if p := r.want(200, "GET", accounts, ""); p.member("Members@odata.count") != "1" {
		t.Errorf("accounts: %s", p.body)
	}
}

func TestAccountEvents(t *testing.T) {
	t.Parallel()
	r := start(t, Config{})
	r.want(201, "POST", roles, `{"RoleId":"Smith","AssignedPrivileges":["Login"]}`)
	joe := r.newAccount("joe", "Smith")
	r.want(200, "PATCH", joe, `{"Enabled":false}`)
	r.want(204, "DELETE", joe, "")
	var got []string
	r.Device.events.mu.Lock()
	defer r.Device.events.mu.Unlock()
	for _, e := range r.Device.events.ring {
		if within(e.origin, accountService) {
			got = append(got, e.kind+" "+e.origin+" "+e.resource)
		}
	}
	want := []string{
		"ResourceAdded " + roles + "/Smith Role", "ResourceAdded " + joe + " ManagerAccount",
		"ResourceUpdated " + joe + " ManagerAccount", "ResourceRemoved " + joe + " ManagerAccount",
	}
	if !slices.Equal(got, want) {
		t.Errorf("events %q, want %q", got, want)
	}
}

func TestAccountRefusals(t *testing.T) {
	t.Parallel()
	r := start(t, Config{})
	joe, root := r.newAccount("joe", "Operator"), redfish.AccountURI(testUser)
	r.want(200, "PATCH", accountService, `{"EnforcePasswordHistoryCount":1}`)
	r.want(200, "PATCH", joe, `{"Password":"joe-Pass.2"}`)
	for _, tt := range []struct {
		name, method, path, body string
		status                   int
		message                  string
		opts                     []option
	}{
		{"name taken", "POST", accounts, `{"UserName":"joe","Password":"long enough","RoleId":"Operator"}`, 409, "ResourceAlreadyExists", nil},
		{"bad name", "POST", accounts, `{"UserName":"j/e","Password":"long enough","RoleId":"Operator"}`, 400, "PropertyValueError", nil},
		{"unknown role", "POST", accounts, `{"UserName":"ann","Password":"long enough","RoleId":"King"}`, 400, "PropertyValueNotInList", nil},
		{"short password", "POST", accounts, `{"UserName":"ann","Password":"short","RoleId":"Operator"}`, 400, "PasswordIncorrectLength", nil},
		{"the same password", "PATCH", joe, `{"Password":"joe-Pass.2"}`, 400, "PasswordReuseTooRecent", nil},
		{"a former password", "PATCH", joe, `{"Password":"joe-Pass.1"}`, 400, "PasswordReuseTooRecent", nil},
		{"stale tag", "PATCH", joe, `{"RoleId":"ReadOnly"}`, 412, "PreconditionFailed", []option{header("If-Match", `"stale"`)}},
		{"last administrator removed", "DELETE", root, "", 400, "RestrictedRole", nil},
		{"last administrator demoted", "PATCH", root, `{"RoleId":"ReadOnly"}`, 400, "RestrictedRole", nil},
		{"predefined role", "PATCH", roles + "/ReadOnly", `{"AssignedPrivileges":["Login"]}`, 405, "OperationNotAllowed", nil},
		{"no such account", "DELETE", accounts + "/nobody", "", 404, "ResourceMissingAtURI", nil},
		{"no such role", "DELETE", roles + "/nobody", "", 404, "ResourceMissingAtURI", nil},
	} {
		p := r.do(tt.method, tt.path, tt.body, append([]option{basic}, tt.opts...)...)
		if p.status != tt.status || p.messages() != tt.message {
			t.Errorf("%s: %d %s, want %d %s: %s", tt.name, p.status, p.messages(), tt.status, tt.message, p.body)
		}
	}
}

// Of changes that were thought out for the same state one is made.
func TestAccountRace(t *testing.T) {
	t.Parallel()
	r := start(t, Config{})
	joe := r.newAccount("joe", "Operator")
	tag := r.want(200, "GET", joe, "").header.Get("ETag")
	var wg sync.WaitGroup
	var mu sync.Mutex
	status := make(map[int]int)
	for range 8 {
		wg.Go(func() {
			p, err := r.try("PATCH", joe, `{"RoleId":"ReadOnly"}`, basic, header("If-Match", tag))
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			status[p.status]++
		})
	}
	wg.Wait()
	if status[200] != 1 || status[412] != 7 {
		t.Errorf("answers %v, want 200 once and 412 seven times", status)
	}
}

func TestCustomRole(t *testing.T) {
	t.Parallel()
	r := start(t, Config{})
	r.want(201, "POST", roles, `{"RoleId":"Smith","AssignedPrivileges":["Login","ConfigureComponents"]}`)
	r.newAccount("joe", "Smith")
	patch := func() int {
		return r.do("PATCH", systemPath, `{"AssetTag":"x"}`, basicAs("joe", "joe-Pass.1")).status
	}
	if got := patch(); got != 200 {
		t.Errorf("with ConfigureComponents: %d", got)
	}
	if p := r.do("DELETE", roles+"/Smith", "", basic); p.status/100 != 4 {
		t.Errorf("a role in use was removed: %d", p.status)
	}
	r.want(200, "PATCH", roles+"/Smith", `{"AssignedPrivileges":["Login"]}`)
	if got := patch(); got != 403 {
		t.Errorf("after the privilege was taken away: %d", got)
	}
	if p := r.do("PATCH", roles+"/Smith", `{"AssignedPrivileges":["ConfigureSelf"]}`, basic); p.status != 400 {
		t.Errorf("a role without Login: %d", p.status)
	}
	r.want(204, "DELETE", redfish.AccountURI("joe"), "")
	r.want(204, "DELETE", roles+"/Smith", "")
}

func TestMustChangePassword(t *testing.T) {
	t.Parallel()
	r := start(t, Config{MustChangePassword: true, User: testUser, Password: auth.NewSecret(testPassword)})
	p := r.loginAs(testUser, testPassword)
	if p.status != 201 || !strings.Contains(string(p.body), "PasswordChangeRequired") {
		t.Fatalf("login: %d %s", p.status, p.body)
	}
	tok := token(p.header.Get("X-Auth-Token"))
	if p := r.do("GET", systemPath, "", tok); p.status != 403 || p.messages() != "PasswordChangeRequired" {
		t.Errorf("before the change: %d %s", p.status, p.body)
	}
	own := redfish.AccountURI(testUser)
	if p := r.do("GET", own, "", basic); p.status != 200 || p.member("PasswordChangeRequired") != "true" {
		t.Errorf("own account by Basic: %d %s", p.status, p.body)
	}
	if p := r.do("PATCH", own, `{"Password":"another One.2"}`, tok); p.status != 200 || p.member("PasswordChangeRequired") != "false" {
		t.Errorf("change: %d %s", p.status, p.body)
	}
	if p := r.do("GET", systemPath, "", tok); p.status != 200 {
		t.Errorf("after the change: %d", p.status)
	}
}

func TestLockoutByRules(t *testing.T) {
	t.Parallel()
	c := newClock()
	r := start(t, Config{Now: c.now})
	r.want(200, "PATCH", accountService, `{"AccountLockoutThreshold":2,"AccountLockoutDuration":600,"AccountLockoutCounterResetAfter":60}`)
	joe := r.newAccount("joe", "ReadOnly")
	locked := func() string { t.Helper(); return r.want(200, "GET", joe, "").member("Locked") }
	r.loginAs("joe", "wrong")
	c.advance(time.Minute)
	r.loginAs("joe", "wrong")
	if locked() != "false" {
		t.Error("locked by two that are not in one window")
	}
	r.loginAs("joe", "wrong")
	if locked() != "true" || r.loginAs("joe", "joe-Pass.1").status != 401 {
		t.Error("not locked")
	}
	r.want(200, "PATCH", joe, `{"Locked":false}`)
	if locked() != "false" || r.loginAs("joe", "joe-Pass.1").status != 201 {
		t.Error("not unlocked")
	}
}

func TestSessionRules(t *testing.T) {
	t.Parallel()
	c := newClock()
	r := start(t, Config{Now: c.now, Slots: 10})
	tok, _ := r.login()
	r.want(200, "PATCH", servicePath, `{"SessionTimeout":60}`)
	c.advance(time.Minute)
	if p := r.do("GET", systemPath, "", token(tok)); p.status != 401 {
		t.Errorf("a session outlived the timeout that was set after its login: %d", p.status)
	}
	r.want(200, "PATCH", servicePath, `{"AbsoluteSessionTimeout":100,"AbsoluteSessionTimeoutEnabled":true}`)
	tok, at := r.login()
	if got, want := r.want(200, "GET", at, "").member("ExpirationTime"), c.now().Add(100*time.Second).Format(time.RFC3339); got != `"`+want+`"` {
		t.Errorf("ExpirationTime %s, want %s", got, want)
	}
	for range 2 {
		c.advance(49 * time.Second)
		if p := r.do("GET", systemPath, "", token(tok)); p.status != 200 {
			t.Errorf("before its end: %d", p.status)
		}
	}
	c.advance(2 * time.Second)
	if p := r.do("GET", systemPath, "", token(tok)); p.status != 401 {
		t.Errorf("after its end: %d", p.status)
	}
	tok, _ = r.login()
	r.want(200, "PATCH", servicePath, `{"ServiceEnabled":false}`)
	if p := r.loginAs(testUser, testPassword); p.status != 503 && p.status != 403 {
		t.Errorf("a login at a disabled session service: %d", p.status)
	}
	if _, err := r.auth.Login(t.Context(), auth.Attempt{Account: testUser, Password: auth.NewSecret(testPassword)}); !errors.Is(err, auth.ErrServiceDisabled) {
		t.Errorf("the authority: %v", err)
	}
	if p := r.do("GET", systemPath, "", token(tok)); p.status != 200 {
		t.Errorf("a session that lived already: %d", p.status)
	}
	// A timeout below what may be set stands in nobody's way.
	short := start(t, Config{Idle: time.Second, Now: c.now})
	short.want(200, "PATCH", accountService, `{"HTTPBasicAuth":"Unadvertised"}`)
	short.want(400, "PATCH", servicePath, `{"SessionTimeout":2}`)
}

// What the service does not show is refused at the desk all the same.
func TestDesk(t *testing.T) {
	t.Parallel()
	r := start(t, Config{})
	d, ctx := newDesk(r.auth, nil), context.Background()
	for name, f := range map[string]struct {
		do   func() error
		want admin.Code
	}{
		"hash":            {func() error { _, err := d.CreateAccount(ctx, admin.NewAccount{Name: "x", Hash: "$6$x"}); return err }, admin.Invalid},
		"removed version": {func() error { return d.RemoveAccount(ctx, testUser, 99) }, admin.Conflict},
		"role exists":     {func() error { _, err := d.CreateRole(ctx, admin.Role{Name: auth.Operator, Privileges: 1}); return err }, admin.Exists},
		"role name":       {func() error { _, err := d.CreateRole(ctx, admin.Role{Name: "a b", Privileges: 1}); return err }, admin.Invalid},
		"predefined":      {func() error { return d.RemoveRole(ctx, auth.Operator) }, admin.Conflict},
		"change it":       {func() error { _, err := d.ChangeRole(ctx, admin.Role{Name: auth.Operator, Privileges: 1}); return err }, admin.Conflict},
		"login rules": {func() error {
			_, err := d.SetLoginRules(ctx, admin.LoginRules{MinPassword: 9, MaxPassword: 8})
			return err
		}, admin.Invalid},
		"idle": {func() error { _, err := d.SetListenerRules(ctx, admin.ListenerRules{SessionIdle: 1}); return err }, admin.Invalid},
		"basic": {func() error {
			_, err := d.SetListenerRules(ctx, admin.ListenerRules{SessionIdle: time.Hour})
			return err
		}, admin.Invalid},
		"mapping": {func() error {
			_, err := d.SetListenerRules(ctx, admin.ListenerRules{SessionIdle: time.Hour, Basic: admin.BasicEnabled})
			return err
		}, admin.Invalid},
		"crl":         {func() error { _, err := d.AddCA(ctx, admin.NewCA{CRLURL: "http://x"}); return err }, admin.Invalid},
		"no CA":       {func() error { return d.RemoveCA(ctx, Listener, "x") }, admin.NotFound},
		"no account":  {func() error { _, err := d.AccountCertificates(ctx, "nobody"); return err }, admin.NotFound},
		"certificate": {func() error { return d.RemoveAccountCertificate(ctx, testUser, "x") }, admin.NotFound},
		"server":      {func() error { _, err := d.ServerCertificate(ctx, Listener); return err }, admin.NotFound},
		"replace":     {func() error { _, err := d.ReplaceServerCertificate(ctx, Listener, "", auth.Secret{}); return err }, admin.NotFound},
		"CSR":         {func() error { _, err := d.CertificateRequest(ctx, Listener, admin.CSRRequest{}); return err }, admin.NotFound},
	} {
		if err := f.do(); err == nil || admin.CodeOf(err) != f.want {
			t.Errorf("%s: %v, want %s", name, err, f.want)
		}
	}
	if _, err := d.CreateRole(ctx, admin.Role{Name: "Smith", Privileges: auth.MayLogIn}); err != nil {
		t.Fatal(err)
	}
	for name, do := range map[string]func() error{ // thought out for another state
		"account": func() error { _, err := d.ChangeAccount(ctx, testUser, admin.AccountChange{Version: 99}); return err },
		"role": func() error {
			_, err := d.ChangeRole(ctx, admin.Role{Name: "Smith", Privileges: 1, Version: 99})
			return err
		},
		"login rules": func() error {
			_, err := d.SetLoginRules(ctx, admin.LoginRules{MinPassword: 8, MaxPassword: 9, Version: 99})
			return err
		},
		"listener rules": func() error { _, err := d.SetListenerRules(ctx, admin.ListenerRules{Version: 99}); return err },
	} {
		if e, ok := errors.AsType[*admin.Error](do()); !ok || e.Reason != admin.Changed {
			t.Errorf("%s: %v, want a conflict", name, e)
		}
	}
	if err := d.setSessions(ctx, redfish.SessionChange{Version: 99}); !errors.Is(err, redfish.ErrChanged) {
		t.Errorf("sessions: %v", err)
	}
	if err := d.RemoveRole(ctx, "Smith"); err != nil {
		t.Error(err)
	}
	for n := range maxRoles {
		if _, err := d.CreateRole(ctx, admin.Role{Name: auth.Role(fmt.Sprint("r", n)), Privileges: auth.MayLogIn}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.CreateRole(ctx, admin.Role{Name: "more", Privileges: auth.MayLogIn}); admin.CodeOf(err) != admin.Conflict {
		t.Errorf("one role too many: %v", err)
	}
	for n := range maxAccounts - 1 {
		if _, err := d.CreateAccount(ctx, admin.NewAccount{Name: auth.AccountName(fmt.Sprint("u", n)), Role: "r1", Password: auth.NewSecret("long enough")}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.CreateAccount(ctx, admin.NewAccount{Name: "more", Role: "r1", Password: auth.NewSecret("long enough")}); admin.CodeOf(err) != admin.Conflict {
		t.Errorf("one account too many: %v", err)
	}
}
