package hpe_test

import (
	"strings"
	"testing"
)

// privileges wants an account to have these of the ten and no others.
func (r *rig) privileges(at, role string, names ...string) {
	r.t.Helper()
	a := r.want(200, "GET", at, nil).object(r.t)
	held := a["Oem"].(object)["Hpe"].(object)["Privileges"].(object)
	for name, on := range held {
		wanted := false
		for _, n := range names {
			wanted = wanted || n == name
		}
		if on != wanted {
			r.t.Errorf("%s is %v, want %v", name, on, wanted)
		}
	}
	if len(held) != 10 || a["RoleId"] != role {
		r.t.Errorf("%d privileges and the role %v, want 10 and %s", len(held), a["RoleId"], role)
	}
}

func own(privileges object) object {
	return object{"Hpe": object{"LoginName": "A student", "Privileges": privileges}}
}

func TestAccountPrivileges(t *testing.T) {
	t.Parallel()
	operator := []string{"LoginPriv", "RemoteConsolePriv", "VirtualMediaPriv", "VirtualPowerAndResetPriv", "HostNICConfigPriv", "HostBIOSConfigPriv", "HostStorageConfigPriv"}
	administrator := append([]string{"UserConfigPriv", "iLOConfigPriv"}, operator...)
	for _, c := range []struct {
		name string
		more object
		role string
		held []string
	}{
		{"nothing said", object{}, "ReadOnly", []string{"LoginPriv"}},
		{"a role", object{"RoleId": "Operator"}, "Operator", operator},
		{"the highest role", object{"RoleId": "Administrator"}, "Administrator", administrator},
		{"privileges", object{"Oem": own(object{"LoginPriv": true, "VirtualMediaPriv": true})}, "Operator", []string{"LoginPriv", "VirtualMediaPriv"}},
		{"a role and a privilege more", object{"RoleId": "ReadOnly", "Oem": own(object{"UserConfigPriv": true})}, "Administrator", []string{"LoginPriv", "UserConfigPriv"}},
		{"a role and a privilege less", object{"RoleId": "Operator", "Oem": own(object{"VirtualMediaPriv": false})}, "Operator",
			[]string{"LoginPriv", "RemoteConsolePriv", "VirtualPowerAndResetPriv", "HostNICConfigPriv", "HostBIOSConfigPriv", "HostStorageConfigPriv"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil)
			body := object{"UserName": "student", "Password": "student-password"}
			for k, v := range c.more {
				body[k] = v
			}
			a := r.want(201, "POST", accounts+"/", body)
			if at := a.header.Get("Location"); at != r.server.URL+accounts+"/2/" || a.message() != "Created" {
				t.Errorf("got %q and %s", at, a.message())
			}
			r.privileges(accounts+"/2/", c.role, c.held...)
		})
	}
}

func TestAccountChanges(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	at := r.student()
	if a := r.want(200, "PATCH", at, object{"Oem": own(object{"RemoteConsolePriv": true})}); a.message() != "AccountModified" {
		t.Errorf("got %s", a.body)
	}
	r.privileges(at, "Operator", "LoginPriv", "RemoteConsolePriv")
	r.want(200, "PATCH", at, object{"RoleId": "ReadOnly"})
	r.privileges(at, "ReadOnly", "LoginPriv")
	if name := r.want(200, "GET", at, nil).object(t)["Oem"].(object)["Hpe"].(object)["LoginName"]; name != "A student" {
		t.Errorf("the account is called %v", name)
	}
	// Whoever may only log in changes the own password, and nothing else.
	if a := r.as("student", "student-password", "PATCH", at, object{"Password": "another-password"}); a.status != 200 {
		t.Errorf("own password: %d: %s", a.status, a.body)
	}
	for _, c := range []struct {
		method, path string
		body         any
	}{
		{"PATCH", at, object{"RoleId": "Administrator"}},
		{"PATCH", at, object{"Password": "third-password", "Oem": own(object{"UserConfigPriv": true})}},
		{"GET", accounts + "/1/", nil},
		{"DELETE", at, nil},
		{"POST", accounts + "/", object{"UserName": "other", "Password": "other-password"}},
		{"PATCH", certAuth + "/", object{"CertificateLoginEnabled": true}},
		{"POST", licences + "/", object{"LicenseKey": "AAAAA-BBBBB-CCCCC-DDDDD-EEEEE"}},
	} {
		if a := r.as("student", "another-password", c.method, c.path, c.body); a.status != 403 || a.message() != "InsufficientPrivilege" {
			t.Errorf("%s %s: %d %s, want 403", c.method, c.path, a.status, a.message())
		}
	}
	if n := r.as("student", "another-password", "GET", accounts+"/", nil).object(t)["Members@odata.count"]; n != 1.0 {
		t.Errorf("%v accounts are listed, want the own one", n)
	}
	r.want(200, "DELETE", at, nil)
	r.want(404, "GET", at, nil)
	r.refused(400, "RestrictedRole", "DELETE", accounts+"/1/", nil)
}

func TestAccountInput(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	at := r.student()
	r.want(200, "PATCH", "/redfish/v1/AccountService/", object{"Oem": object{"Hpe": object{"EnforcePasswordComplexity": true, "MinPasswordLength": 10}}})
	good := "Student-Password-1"
	for _, c := range []struct {
		name, message string
		body          object
	}{
		{"there already", "UserAlreadyExist", object{"UserName": "student", "Password": good}},
		{"short", "InvalidPasswordLength", object{"UserName": "a", "Password": "Short-1"}},
		{"long", "InvalidPasswordLength", object{"UserName": "a", "Password": strings.Repeat("Aa1-", 10)}},
		{"of two kinds", "InvalidPasswordComplexity", object{"UserName": "a", "Password": "only-small-letters"}},
		{"no password", "PropertyMissing", object{"UserName": "a"}},
		{"no name", "PropertyValueError", object{"UserName": "", "Password": good}},
		{"a long name", "PropertyValueError", object{"UserName": strings.Repeat("a", 40), "Password": good}},
		{"a name that clients misread", "PropertyValueError", object{"UserName": "UnauthorizedLogin", "Password": good}},
		{"a name that nobody can type", "PropertyValueError", object{"UserName": "a\x00b", "Password": good}},
		{"an unknown privilege", "PropertyUnknown", object{"UserName": "a", "Password": good, "Oem": own(object{"RootPriv": true})}},
		{"a privilege of another type", "PropertyValueTypeError", object{"UserName": "a", "Password": good, "Oem": own(object{"LoginPriv": "yes"})}},
		{"an unknown role", "PropertyValueNotInList", object{"UserName": "a", "Password": good, "RoleId": "root"}},
		{"an unknown property", "PropertyUnknown", object{"UserName": "a", "Password": good, "Shell": "/bin/sh"}},
	} {
		if a := r.want(400, "POST", accounts+"/", c.body); a.message() != c.message {
			t.Errorf("%s: %s, want %s", c.name, a.body, c.message)
		}
	}
	r.refused(400, "PropertyNotWritable", "PATCH", at, object{"UserName": "other"})
	r.refused(400, "PropertyNotWritable", "PATCH", at, object{"Id": "7"})
	if n := r.want(200, "GET", accounts+"/", nil).object(t)["Members@odata.count"]; n != 2.0 {
		t.Errorf("%v accounts, want 2", n)
	}
	// Only who has the privilege to recover the system can give it.
	r.want(201, "POST", accounts+"/", object{"UserName": "manager", "Password": good, "RoleId": "Administrator"})
	recover := object{"UserName": "b", "Password": good, "Oem": own(object{"SystemRecoveryConfigPriv": true})}
	if a := r.as("manager", good, "POST", accounts+"/", recover); a.status != 403 {
		t.Errorf("without SystemRecoveryConfigPriv: %d, want 403", a.status)
	}
	r.want(201, "POST", accounts+"/", recover)
}

func TestAccountService(t *testing.T) {
	t.Parallel()
	const uri = "/redfish/v1/AccountService/"
	hpe := func(o object) object { return object{"Oem": object{"Hpe": o}} }
	r := newRig(t, nil)
	r.want(200, "PATCH", uri, hpe(object{"AuthFailureDelayTimeSeconds": 30, "AuthFailuresBeforeDelay": 0, "AuthFailureLoggingThreshold": 5}))
	got := r.want(200, "GET", uri, nil).object(t)["Oem"].(object)["Hpe"].(object)
	if got["AuthFailureDelayTimeSeconds"] != 30.0 || got["AuthFailuresBeforeDelay"] != 0.0 || got["AuthFailureLoggingThreshold"] != 5.0 {
		t.Errorf("got %v", got)
	}
	r.refused(400, "PropertyValueNotInList", "PATCH", uri, hpe(object{"AuthFailureDelayTimeSeconds": 3}))
	r.refused(400, "PropertyValueOutOfRange", "PATCH", uri, hpe(object{"AuthFailureDelayTimeSeconds": 60}))
	r.refused(400, "PropertyNotWritable", "PATCH", uri, object{"LocalAccountAuth": "Disabled"})
	// Passcodes need mail and a directory.
	r.refused(400, "PropertyValueIncompatible", "PATCH", uri, hpe(object{"TwoFactorAuth": "Enabled"}))
	network := "/redfish/v1/Managers/1/NetworkProtocol/"
	r.want(200, "PATCH", network, hpe(object{"SMTPForTFAEnabled": true, "AlertMailSenderDomain": "example.com", "AlertMailSMTPServer": "mail.example", "AlertMailSMTPPort": 25}))
	r.refused(400, "PropertyValueIncompatible", "PATCH", uri, hpe(object{"TwoFactorAuth": "Enabled"}))
	r.want(200, "PATCH", uri, object{"LDAP": object{"ServiceEnabled": true}})
	r.want(200, "PATCH", uri, hpe(object{"TwoFactorAuth": "Enabled"}))
	r.want(200, "PATCH", network, hpe(object{"SMTPForTFAEnabled": false}))
	if got := r.want(200, "GET", uri, nil).object(t)["Oem"].(object)["Hpe"].(object)["TwoFactorAuth"]; got != "Disabled" {
		t.Errorf("without mail: TwoFactorAuth is %v", got)
	}
}
