package hpe

import (
	"slices"

	rf "github.com/postern/postern/redfish"
)

const (
	accountServiceType    = "#AccountService.v1_5_0.AccountService"
	oemAccountServiceType = "#HpeiLOAccountService.v2_3_0.HpeiLOAccountService"
)

// What the rules about wrong passwords can be set to (HPE, resource definitions
// of iLO 5 and 6: HpeiLOAccountService).
var (
	failureDelays   = []int{2, 5, 10, 30}
	failuresBefore  = []int{0, 1, 3, 5}
	failureLoggings = []int{0, 1, 2, 3, 5}
)

func (s *Service) accountService(c *call) (any, error) {
	set, err := s.settings(c)
	if err != nil {
		return nil, err
	}
	rules, err := s.cfg.Desk.LoginRules(c.r.Context())
	if err != nil {
		return nil, fault(err, c.path)
	}
	listener, err := s.cfg.Desk.ListenerRules(c.r.Context(), s.cfg.Listener)
	if err != nil {
		return nil, fault(err, c.path)
	}
	directory := func(on bool) object {
		return object{"ServiceEnabled": on, "ServiceAddresses": []string{}, "RemoteRoleMapping": []object{}}
	}
	o := object{
		"Description": "iLO User Accounts", "Accounts": ref(accountsURI + "/"), "Roles": ref(rolesURI + "/"),
		"ActiveDirectory": directory(false), "LDAP": set.LDAP.view(set.Directory), "LocalAccountAuth": "Enabled",
		"MinPasswordLength": rules.MinPassword,
		"Oem": oem(oemAccountServiceType, object{
			"AuthFailureDelayTimeSeconds": set.FailureDelay, "AuthFailuresBeforeDelay": set.FailuresBefore, "AuthFailureLoggingThreshold": set.FailureLogging,
			"DefaultPassword": nil, "DefaultUserName": nil, "EnforcePasswordComplexity": set.ComplexityRule, "MinPasswordLength": rules.MinPassword,
			"DirectorySettings": object{"LdapAuthenticationMode": mode(set.Directory), "LdapCaCertificateLoaded": false, "LdapServerPort": 636},
			"KerberosSettings":  object{"KDCServerPort": 88, "KerberosRealm": ""},
			"TwoFactorAuth":     enabled(set.TwoFactor),
			"Links":             object{"UserCertificateMapping": ref(mappingURI + "/")},
		}),
	}
	if s.cfg.Generation > 5 {
		o["HTTPBasicAuth"] = string(listener.Basic)
	}
	return resource(accountServiceURI+"/", accountServiceType, "AccountService", "Account Service", o), nil
}

func enabled(on bool) string {
	if on {
		return "Enabled"
	}
	return "Disabled"
}

// A ruling is what a PATCH of the account service asks for.
type ruling struct {
	least                  *int64
	delay, before, logging *int64
	complexity, directory  *bool
	twoFactor, mode        *string
	ldap                   *ldapChange
}

func readRuling(b *rf.Body) ruling {
	r := ruling{least: b.Int("MinPasswordLength", 0, maxName)}
	if l := b.Object("LDAP"); l != nil {
		r.directory = l.Bool("ServiceEnabled")
		r.ldap = readLDAP(l)
	}
	if o := b.Object("Oem"); o != nil {
		if h := o.Object("Hpe"); h != nil {
			if n := h.Int("MinPasswordLength", 0, maxName); n != nil {
				r.least = n
			}
			r.delay = choice(h, "AuthFailureDelayTimeSeconds", failureDelays)
			r.before = choice(h, "AuthFailuresBeforeDelay", failuresBefore)
			r.logging = choice(h, "AuthFailureLoggingThreshold", failureLoggings)
			r.complexity = h.Bool("EnforcePasswordComplexity")
			r.twoFactor = h.OneOf("TwoFactorAuth", enabled(true), enabled(false))
			if d := h.Object("DirectorySettings"); d != nil {
				r.mode = d.OneOf("LdapAuthenticationMode", mode(true), mode(false))
				d.ReadOnly("LdapCaCertificateLoaded", "LdapServerPort")
			}
		}
	}
	if v := b.String("LocalAccountAuth"); v == nil || *v != enabled(true) { // ilorest 7.4 sends it along with the LDAP settings
		b.ReadOnly("LocalAccountAuth")
	}
	b.ReadOnly("Id", "Name", "Description", "Accounts", "Roles")
	return r
}

// choice returns a member that is one of a few numbers.
func choice(b *rf.Body, name string, of []int) *int64 {
	n := b.Int(name, int64(slices.Min(of)), int64(slices.Max(of)))
	if n != nil && !slices.Contains(of, int(*n)) {
		b.Fail("PropertyValueNotInList", name, "", name)
		return nil
	}
	return n
}

func (s *Service) patchAccountService(c *call) error {
	if err := c.match(); err != nil {
		return err
	}
	b, err := c.body()
	if err != nil {
		return err
	}
	r := readRuling(b)
	if err := b.Err(); err != nil {
		return err
	}
	if _, err := s.change(c, r.apply); err != nil {
		return err
	}
	if r.least != nil {
		rules, err := s.cfg.Desk.LoginRules(c.r.Context())
		if err != nil {
			return fault(err, c.path)
		}
		rules.MinPassword = int(*r.least)
		if _, err := s.cfg.Desk.SetLoginRules(c.r.Context(), rules); err != nil {
			return fault(err, c.path)
		}
	}
	return c.done("Success")
}

// apply changes the settings. Passcodes need a directory whose users have an
// address, and mail to send them by.
func (r ruling) apply(set *Settings) error {
	if r.mode != nil {
		set.Directory = *r.mode == mode(true)
	}
	replace(&set.Directory, r.directory)
	if err := r.ldap.apply(&set.LDAP); err != nil {
		return err
	}
	if !set.Directory && r.twoFactor == nil { // there is nobody left to have a passcode
		set.TwoFactor = false
	}
	if r.twoFactor != nil {
		set.TwoFactor = *r.twoFactor == enabled(true)
	}
	if set.TwoFactor && (!set.PasscodeMail || !set.Directory) {
		return bad(own+"PropertyValueIncompatible", enabled(true), "TwoFactorAuth")
	}
	for at, n := range map[*int]*int64{&set.FailureDelay: r.delay, &set.FailuresBefore: r.before, &set.FailureLogging: r.logging} {
		if n != nil {
			*at = int(*n)
		}
	}
	replace(&set.ComplexityRule, r.complexity)
	return nil
}
