package policy

import "github.com/postern/postern/auth"

var reads = []string{"GET", "HEAD", "OPTIONS"}

// builtin are the rules that are tried after a policy's own. What a gateway never
// passes on (the device's accounts, its sessions) is no matter of rules.
var builtin = []Rule{
	{Name: "administrator", Allow: true, Roles: []auth.Role{auth.Administrator}},
	{Name: "read", Allow: true, Roles: []auth.Role{auth.Operator, auth.ReadOnly}, Methods: reads},

	// Operators reset things ...
	operator("reset", "POST", "/redfish/v1/Systems/*/Actions/*.Reset"),
	operator("reset", "POST", "/redfish/v1/Chassis/*/Actions/*.Reset"),
	operator("reset", "POST", "/redfish/v1/Managers/*/Actions/*.Reset"),
	// ... choose what is booted ...
	operator("boot override", "PATCH", "/redfish/v1/Systems/*", "Boot"),
	// ... and put media in (by action since VirtualMedia.v1_2_0, by PATCH before).
	operator("virtual media", "POST", "/redfish/v1/**/VirtualMedia/*/Actions/VirtualMedia.InsertMedia"),
	operator("virtual media", "POST", "/redfish/v1/**/VirtualMedia/*/Actions/VirtualMedia.EjectMedia"),
	operator("virtual media", "PATCH", "/redfish/v1/**/VirtualMedia/*", "Image", "Inserted", "WriteProtected",
		"UserName", "Password", "TransferProtocolType", "TransferMethod", "MediaTypes"),
}

func operator(name, method, path string, members ...string) Rule {
	return Rule{Name: name, Allow: true, Roles: []auth.Role{auth.Operator}, Methods: []string{method}, Path: path, Members: members}
}
