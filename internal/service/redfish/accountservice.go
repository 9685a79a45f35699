package redfish

import (
	"fmt"
	"time"

	"github.com/postern/postern/internal/admin"
	rf "github.com/postern/postern/redfish"
)

// Bounds of what the rules may be set to here, as far as the desk has none of
// its own.
const (
	maxLength  = 1 << 16                // of a password, characters
	maxCount   = 1 << 16                // of wrong passwords, of former ones
	maxSeconds = 366 * 24 * int64(3600) // of a lockout: a year
	minLockout = 30 * time.Second       // where it is switched on and nobody says how long
)

// The account service (AccountService.v1_18_1).
type accountService struct {
	heading
	Status                            rf.Status
	ServiceEnabled                    bool
	AuthFailureLoggingThreshold       int
	MinPasswordLength                 int
	MaxPasswordLength                 int
	EnforcePasswordHistoryCount       int
	PasswordGuidanceMessage           string
	AccountLockoutThreshold           int
	AccountLockoutDuration            *int64
	AccountLockoutCounterResetAfter   int64
	AccountLockoutCounterResetEnabled bool
	HTTPBasicAuth                     string
	LocalAccountAuth                  string
	SupportedAccountTypes             []string
	RequireChangePasswordAction       bool
	MultiFactorAuth                   multiFactorAuth
	Accounts                          rf.Ref
	Roles                             rf.Ref
	PrivilegeMap                      rf.Ref
}

type multiFactorAuth struct {
	ClientCertificate clientCertificate
}

type clientCertificate struct {
	Enabled                         bool
	RespondToUnauthenticatedClients bool
	CertificateMappingAttribute     string
	Certificates                    rf.Ref
}

// rules are what the account service shows.
type rules struct {
	login    admin.LoginRules
	listener admin.ListenerRules
}

func (s *Service) rules(c *call) (rules, error) {
	login, err := s.cfg.Desk.LoginRules(c.r.Context())
	if err != nil {
		return rules{}, fault(err, c.path)
	}
	listener, err := s.cfg.Desk.ListenerRules(c.r.Context(), s.cfg.Listener)
	if err != nil {
		return rules{}, fault(err, c.path)
	}
	return rules{login, listener}, nil
}

// resource is the wire form. A lockout that lasts until somebody unlocks the
// account is Redfish's AccountLockoutCounterResetEnabled=false, under which the
// duration says nothing.
func (r rules) resource() accountService {
	out := accountService{
		heading: heading{ODataID: accountServiceURI, ODataType: accountServiceType, ID: "AccountService", Name: "Account Service"},
		Status:  healthy, ServiceEnabled: true,
		AuthFailureLoggingThreshold: 1, // each one is recorded
		MinPasswordLength:           r.login.MinPassword, MaxPasswordLength: r.login.MaxPassword,
		EnforcePasswordHistoryCount:     r.login.History,
		PasswordGuidanceMessage:         guidance(r.login),
		AccountLockoutThreshold:         r.login.Threshold,
		AccountLockoutCounterResetAfter: seconds(r.login.ResetAfter), AccountLockoutCounterResetEnabled: r.login.Duration > 0,
		HTTPBasicAuth: string(r.listener.Basic), LocalAccountAuth: "Enabled", SupportedAccountTypes: []string{"Redfish"},
		MultiFactorAuth: multiFactorAuth{clientCertificate{
			Enabled: r.listener.Certificates, RespondToUnauthenticatedClients: !r.listener.CertificateStrict,
			CertificateMappingAttribute: string(r.listener.Mapping), Certificates: rf.Ref{ID: casURI},
		}},
		Accounts: rf.Ref{ID: accountsURI}, Roles: rf.Ref{ID: rolesURI}, PrivilegeMap: rf.Ref{ID: privilegeMapURI},
	}
	if r.login.Duration > 0 {
		n := seconds(r.login.Duration)
		out.AccountLockoutDuration = &n
	}
	return out
}

func guidance(r admin.LoginRules) string {
	text := fmt.Sprintf("A password has %d to %d characters.", r.MinPassword, r.MaxPassword)
	if r.History > 0 {
		text += fmt.Sprintf(" It is none of the last %d.", r.History)
	}
	return text
}

func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

func (s *Service) accountService(c *call) error {
	r, err := s.rules(c)
	if err != nil {
		return err
	}
	return c.show(r.resource())
}

// maxRaces bounds how often a change is tried again that somebody else's came
// before, where the request named no version.
const maxRaces = 5

// patchAccountService changes the rules. Those for passwords and those of the
// listener are two things to the desk: what the body says is judged before
// either is changed, and with a tag neither is where that does not fit. Only
// another change in the same moment can still leave the one without the other,
// and its answer then is the error.
func (s *Service) patchAccountService(c *call) error {
	old, err := s.rules(c)
	if err != nil {
		return err
	}
	exact, err := c.match(old.resource())
	if err != nil {
		return err
	}
	b, err := c.body()
	if err != nil {
		return err
	}
	changed := readRules(b, old, c.showsCertificate())
	if err := b.Err(); err != nil {
		return err
	}
	for try := 0; ; try++ {
		changed, err = s.setRules(c, old, changed)
		if err == nil {
			return c.changed(changed.resource())
		}
		if exact || try == maxRaces || reason(err) != admin.Changed {
			return fault(err, c.path)
		}
		if old, err = s.rules(c); err != nil {
			return err
		}
		changed = readRules(b, old, c.showsCertificate())
		if err := b.Err(); err != nil {
			return err
		}
	}
}

// setRules changes what differs.
func (s *Service) setRules(c *call, old, changed rules) (rules, error) {
	var err error
	if changed.login != old.login {
		if changed.login, err = s.cfg.Desk.SetLoginRules(c.r.Context(), changed.login); err != nil {
			return changed, err
		}
	}
	if changed.listener != old.listener {
		if changed.listener, err = s.cfg.Desk.SetListenerRules(c.r.Context(), changed.listener); err != nil {
			return changed, err
		}
	}
	return changed, nil
}

func reason(err error) admin.Reason {
	if e := asAdmin(err); e != nil {
		return e.Reason
	}
	return ""
}

// showsCertificate reports whether the client showed one in the handshake.
func (c *call) showsCertificate() bool { return c.r.TLS != nil && len(c.r.TLS.PeerCertificates) > 0 }

// readRules returns the rules as the body wants them.
func readRules(b *rf.Body, r rules, certified bool) rules {
	number(b, "MinPasswordLength", &r.login.MinPassword, maxLength)
	number(b, "MaxPasswordLength", &r.login.MaxPassword, maxLength)
	number(b, "EnforcePasswordHistoryCount", &r.login.History, maxCount)
	number(b, "AccountLockoutThreshold", &r.login.Threshold, maxCount)
	if r.login.MinPassword > r.login.MaxPassword {
		name, other := "MinPasswordLength", "MaxPasswordLength"
		if !b.Has(name) {
			name, other = other, name
		}
		b.Fail("PropertyValueConflict", name, name, other)
	}
	readLockout(b, &r.login)
	if mode := b.OneOf("HTTPBasicAuth", string(admin.BasicEnabled), string(admin.BasicUnadvertised), string(admin.BasicDisabled)); mode != nil {
		r.listener.Basic = admin.BasicMode(*mode)
	}
	if mfa := b.Object("MultiFactorAuth"); mfa != nil {
		if cc := mfa.Object("ClientCertificate"); cc != nil {
			readClientCertificate(cc, &r.listener, certified)
		}
	}
	b.ReadOnly("Id", "Name", "Status", "ServiceEnabled", "AuthFailureLoggingThreshold", "PasswordGuidanceMessage",
		"LocalAccountAuth", "SupportedAccountTypes", "RequireChangePasswordAction", "Accounts", "Roles", "PrivilegeMap")
	return r
}

func number(b *rf.Body, name string, n *int, most int64) {
	if v := b.Int(name, 0, most); v != nil {
		*n = int(*v)
	}
}

// readLockout reads how long a lockout lasts. A duration of 0 would mean that
// there is none, which is what a threshold of 0 says.
func readLockout(b *rf.Body, r *admin.LoginRules) {
	if n := b.Int("AccountLockoutCounterResetAfter", 1, maxSeconds); n != nil {
		r.ResetAfter = time.Duration(*n) * time.Second
	}
	if n := b.Int("AccountLockoutDuration", 1, maxSeconds); n != nil {
		r.Duration = time.Duration(*n) * time.Second
	}
	if on := b.Bool("AccountLockoutCounterResetEnabled"); on != nil {
		switch {
		case !*on:
			r.Duration = 0
		case r.Duration == 0:
			r.Duration = max(r.ResetAfter, minLockout)
		}
	}
	if r.Duration > 0 && r.Duration < r.ResetAfter {
		name, other := "AccountLockoutDuration", "AccountLockoutCounterResetAfter"
		if !b.Has(name) {
			name, other = other, name
		}
		b.Fail("PropertyValueConflict", name, name, other)
	}
}

// readClientCertificate reads the rules for client certificates. Whoever shows
// none may not shut out all who show none: it would be shut out itself
// (observed: bmcweb has the same rule).
func readClientCertificate(b *rf.Body, r *admin.ListenerRules, certified bool) {
	if on := b.Bool("Enabled"); on != nil {
		r.Certificates = *on
	}
	if m := b.OneOf("CertificateMappingAttribute", string(admin.MapWhole), string(admin.MapCommonName), string(admin.MapUserPrincipalName)); m != nil {
		r.Mapping = admin.Mapping(*m)
	}
	if all := b.Bool("RespondToUnauthenticatedClients"); all != nil {
		r.CertificateStrict = !*all
	}
	if r.Certificates && r.CertificateStrict && !certified {
		const name = "RespondToUnauthenticatedClients"
		b.Fail("PropertyValueResourceConflict", name, name, "false", accountServiceURI)
	}
	b.ReadOnly("Certificates")
}
