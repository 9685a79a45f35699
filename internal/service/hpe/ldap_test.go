package hpe_test

import (
	"testing"
)

// TestLDAP sets a directory in the forms of HPE's clients.
func TestLDAP(t *testing.T) {
	t.Parallel()
	const uri = "/redfish/v1/AccountService/"
	ldap := func(o object) object { return object{"LDAP": o} }
	search := func(bases ...string) object {
		return object{"LDAPService": object{"SearchSettings": object{"BaseDistinguishedNames": bases}}}
	}
	r := newRig(t, nil)
	// As `ilorest directory ldap` sends it.
	r.want(200, "PATCH", uri, object{
		"LDAP": object{
			"ServiceEnabled": true, "ServiceAddresses": []string{"ldap.example.com:636"},
			"Authentication":    object{"Username": "cn=reader,dc=example,dc=com", "Password": "directory-secret"},
			"LDAPService":       object{"SearchSettings": object{"BaseDistinguishedNames": []string{"dc=example,dc=com"}}},
			"RemoteRoleMapping": []object{{"LocalRole": "Administrator", "RemoteGroup": "cn=admins,dc=example,dc=com"}},
		},
		"LocalAccountAuth": "Enabled",
		"Oem":              object{"Hpe": object{"DirectorySettings": object{"LdapAuthenticationMode": "DefaultSchema"}}},
	})
	got := r.want(200, "GET", uri, nil).object(t)
	shown := got["LDAP"].(object)
	if shown["Authentication"].(object)["Password"] != nil || shown["Authentication"].(object)["Username"] != "cn=reader,dc=example,dc=com" {
		t.Errorf("Authentication is %v", shown["Authentication"])
	}
	if m := shown["RemoteRoleMapping"].([]any); len(m) != 1 || m[0].(object)["LocalRole"] != "Administrator" {
		t.Errorf("RemoteRoleMapping is %v", m)
	}
	if got["Oem"].(object)["Hpe"].(object)["DirectorySettings"].(object)["LdapAuthenticationMode"] != "DefaultSchema" {
		t.Error("the mode is not shown")
	}
	for name, c := range map[string]struct {
		message string
		body    object
	}{
		"address":         {"PropertyValueIncompatible", ldap(object{"ServiceAddresses": []string{"http://ldap.example.com"}})},
		"base":            {"PropertyValueIncompatible", ldap(search("example.com"))},
		"group":           {"PropertyValueIncompatible", ldap(object{"RemoteRoleMapping": []object{{"LocalRole": "Operator", "RemoteGroup": "admins"}}})},
		"password alone":  {"PropertyValueIncompatible", ldap(object{"Authentication": object{"Username": "x", "Password": ""}})},
		"role":            {"PropertyValueNotInList", ldap(object{"RemoteRoleMapping": []object{{"LocalRole": "root", "RemoteGroup": "cn=a"}}})},
		"no group":        {"PropertyMissing", ldap(object{"RemoteRoleMapping": []object{{"LocalRole": "Operator"}}})},
		"mapping of text": {"PropertyValueTypeError", ldap(object{"RemoteRoleMapping": []string{"Operator"}})},
		"one mapping":     {"PropertyValueTypeError", ldap(object{"RemoteRoleMapping": object{}})},
		"four servers":    {"ArraySizeTooLong", ldap(object{"ServiceAddresses": []string{"a", "b", "c", "d"}})},
		"mode":            {"PropertyValueNotInList", object{"Oem": object{"Hpe": object{"DirectorySettings": object{"LdapAuthenticationMode": "ExtendedSchema"}}}}},
	} {
		t.Log(name)
		r.refused(400, c.message, "PATCH", uri, c.body)
	}
	if after := r.want(200, "GET", uri, nil).object(t)["LDAP"].(object); len(after["ServiceAddresses"].([]any)) != 1 {
		t.Errorf("refused changes were kept: %v", after)
	}
	// The directory goes, and with it its passcodes.
	r.want(200, "PATCH", "/redfish/v1/Managers/1/NetworkProtocol/", object{"Oem": object{"Hpe": object{"SMTPForTFAEnabled": true}}})
	r.want(200, "PATCH", uri, object{"Oem": object{"Hpe": object{"TwoFactorAuth": "Enabled"}}})
	r.want(200, "PATCH", uri, ldap(object{"ServiceEnabled": false, "ServiceAddresses": []string{""}}))
	after := r.want(200, "GET", uri, nil).object(t)
	if after["Oem"].(object)["Hpe"].(object)["TwoFactorAuth"] != "Disabled" || len(after["LDAP"].(object)["ServiceAddresses"].([]any)) != 0 {
		t.Errorf("without the directory: %v", after)
	}
}
