package redfish

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"testing"
	"time"

	"github.com/postern/postern/internal/admin"
)

func TestAccountService(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	a := g.do("joe", "GET", accountServiceURI, "")
	for path, want := range map[string]any{
		"MinPasswordLength": 8.0, "MaxPasswordLength": 64.0, "AccountLockoutThreshold": 0.0, "AccountLockoutDuration": 300.0,
		"AccountLockoutCounterResetAfter": 300.0, "AccountLockoutCounterResetEnabled": true, "EnforcePasswordHistoryCount": 0.0,
		"HTTPBasicAuth": "Enabled", "LocalAccountAuth": "Enabled", "ServiceEnabled": true, "Status/State": "Enabled",
		"MultiFactorAuth/ClientCertificate/Enabled": false, "MultiFactorAuth/ClientCertificate/RespondToUnauthenticatedClients": true,
		"MultiFactorAuth/ClientCertificate/CertificateMappingAttribute": "CommonName",
		"MultiFactorAuth/ClientCertificate/Certificates/@odata.id":      casURI,
		"PrivilegeMap/@odata.id": privilegeMapURI, "Accounts/@odata.id": accountsURI, "Roles/@odata.id": rolesURI,
	} {
		if got := a.at(path); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
}

func TestPatchAccountService(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, who, body string
		status          int
		keys            string
		shown           map[string]any
	}{
		{"lengths", "root", `{"MinPasswordLength":10,"MaxPasswordLength":100}`, 200, "", map[string]any{"MinPasswordLength": 10.0, "MaxPasswordLength": 100.0}},
		{"lockout", "root", `{"AccountLockoutThreshold":3,"AccountLockoutDuration":60,"AccountLockoutCounterResetAfter":30}`, 200, "",
			map[string]any{"AccountLockoutThreshold": 3.0, "AccountLockoutDuration": 60.0, "AccountLockoutCounterResetAfter": 30.0}},
		{"until unlocked", "root", `{"AccountLockoutCounterResetEnabled":false}`, 200, "",
			map[string]any{"AccountLockoutCounterResetEnabled": false, "AccountLockoutDuration": nil}},
		{"basic", "root", `{"HTTPBasicAuth":"Unadvertised"}`, 200, "", map[string]any{"HTTPBasicAuth": "Unadvertised"}},
		{"certificates", "root", `{"MultiFactorAuth":{"ClientCertificate":{"Enabled":true,"CertificateMappingAttribute":"Whole"}}}`, 200, "",
			map[string]any{"MultiFactorAuth/ClientCertificate/Enabled": true, "MultiFactorAuth/ClientCertificate/CertificateMappingAttribute": "Whole"}},
		{"both kinds", "root", `{"HTTPBasicAuth":"Disabled","EnforcePasswordHistoryCount":3}`, 200, "",
			map[string]any{"HTTPBasicAuth": "Disabled", "EnforcePasswordHistoryCount": 3.0}},
		{"shut out", "root", `{"MultiFactorAuth":{"ClientCertificate":{"Enabled":true,"RespondToUnauthenticatedClients":false}}}`, 400, "PropertyValueResourceConflict", nil},
		{"longest below shortest", "root", `{"MaxPasswordLength":7}`, 400, "PropertyValueConflict", nil},
		{"shortest above longest", "root", `{"MinPasswordLength":65}`, 400, "PropertyValueConflict", nil},
		{"lockout too short", "root", `{"AccountLockoutDuration":299}`, 400, "PropertyValueConflict", nil},
		{"count too long", "root", `{"AccountLockoutCounterResetAfter":301}`, 400, "PropertyValueConflict", nil},
		{"no lockout", "root", `{"AccountLockoutDuration":0}`, 400, "PropertyValueOutOfRange", nil},
		{"negative", "root", `{"AccountLockoutThreshold":-1}`, 400, "PropertyValueOutOfRange", nil},
		{"text", "root", `{"MinPasswordLength":"8"}`, 400, "PropertyValueTypeError", nil},
		{"fraction", "root", `{"MinPasswordLength":8.5}`, 400, "PropertyValueTypeError", nil},
		{"null", "root", `{"HTTPBasicAuth":null}`, 400, "PropertyValueTypeError", nil},
		{"the desk's bound", "root", `{"MaxPasswordLength":129}`, 400, "PropertyValueError", nil},
		{"no such mode", "root", `{"HTTPBasicAuth":"Maybe"}`, 400, "PropertyValueNotInList", nil},
		{"no such mapping", "root", `{"MultiFactorAuth":{"ClientCertificate":{"CertificateMappingAttribute":"x"}}}`, 400, "PropertyValueNotInList", nil},
		{"read only", "root", `{"Accounts":{},"ServiceEnabled":false}`, 400, "PropertyNotWritable PropertyNotWritable", nil},
		{"read only, deep", "root", `{"MultiFactorAuth":{"ClientCertificate":{"Certificates":{}}}}`, 400, "PropertyNotWritable", nil},
		{"unknown", "root", `{"Bogus":1,"MinPasswordLength":9}`, 400, "PropertyUnknown", nil},
		{"unknown, deep", "root", `{"MultiFactorAuth":{"SecurID":{"Enabled":true}}}`, 400, "PropertyUnknown", nil},
		{"nothing", "root", `{}`, 400, "NoOperation", nil},
		{"not allowed", "op", `{"MinPasswordLength":9}`, 403, "InsufficientPrivilege", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			login, listener := g.desk.login, g.desk.listener
			tag := g.etag("root", accountServiceURI)
			a := g.do(tt.who, "PATCH", accountServiceURI, tt.body, "If-Match", tag)
			a.is(t, tt.body, tt.status, tt.keys)
			for path, want := range tt.shown {
				if got := a.at(path); got != want {
					t.Errorf("%s: %v, want %v", path, got, want)
				}
			}
			if tt.status != 200 && (g.desk.login != login || g.desk.listener != listener) {
				t.Error("something was changed")
			}
			if tt.status == 200 {
				g.do(tt.who, "PATCH", accountServiceURI, tt.body, "If-Match", tag).is(t, "old tag", 412, "PreconditionFailed")
			}
		})
	}
}

// A lockout without an end gets one when it is switched on again.
func TestLockoutComesBack(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.desk.login.Duration, g.desk.login.ResetAfter = 0, 10*time.Second
	a := g.do("root", "PATCH", accountServiceURI, `{"AccountLockoutCounterResetEnabled":true}`)
	if a.Code != 200 || a.at("AccountLockoutDuration") != 30.0 || g.desk.login.Duration != minLockout {
		t.Errorf("%d %s", a.Code, a.Body)
	}
}

// Whoever shows a certificate may shut out those who show none.
func TestStrictNeedsACertificate(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	inner := g.h
	g.h = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{}}}
		inner.ServeHTTP(w, r)
	})
	g.do("root", "PATCH", accountServiceURI, `{"MultiFactorAuth":{"ClientCertificate":{"Enabled":true,"RespondToUnauthenticatedClients":false}}}`).is(t, "strict", 200, "")
	if !g.desk.listener.CertificateStrict {
		t.Error("not strict")
	}
}

// A racing desk sees somebody else's change before each of ours, for a while.
type racing struct {
	*memory
	left int
}

func (d *racing) SetLoginRules(ctx context.Context, r admin.LoginRules) (admin.LoginRules, error) {
	if d.left > 0 {
		d.left--
		d.login.History++
		d.login.Version++
	}
	return d.memory.SetLoginRules(ctx, r)
}

func TestRulesRace(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		left   int
		match  string
		status int
	}{{3, "", 200}, {100, "", 412}, {1, "tag", 412}} {
		g := newRig(t)
		g.h.(*Service).cfg.Desk = &racing{memory: g.desk, left: tt.left}
		var head []string
		if tt.match != "" {
			head = []string{"If-Match", g.etag("root", accountServiceURI)}
		}
		a := g.do("root", "PATCH", accountServiceURI, `{"MinPasswordLength":9}`, head...)
		if a.Code != tt.status || (a.Code == 200) != (g.desk.login.MinPassword == 9) {
			t.Errorf("%+v: %d %s", tt, a.Code, a.Body)
		}
		if a.Code == 200 && g.desk.login.History != tt.left {
			t.Errorf("somebody else's change is lost: %+v", g.desk.login)
		}
	}
}
