package admin_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/account"
	"github.com/postern/postern/internal/admin"
	"github.com/postern/postern/internal/audit"
	"github.com/postern/postern/internal/lease"
	"github.com/postern/postern/internal/policy"
	"github.com/postern/postern/internal/seal"
	"github.com/postern/postern/internal/session"
	"github.com/postern/postern/internal/store"
	"github.com/postern/postern/internal/target"
	"github.com/postern/postern/internal/trust"
)

// outside is the server around the service: what the tests need of one.
type outside struct {
	shows
	applied []string
	refuse  error // of Apply
	checked error // of Check
}

func (o *outside) Apply(_ context.Context, name string) error {
	if o.refuse == nil {
		o.applied = append(o.applied, name)
	}
	return o.refuse
}

func (o *outside) Gateway(name string) string { return "https://gateway/" + name }

func (o *outside) Leases(context.Context) (map[string]admin.Lease, error) {
	return map[string]admin.Lease{"bmc1": {Held: true, Open: 1, Budget: 2}}, nil
}

func (o *outside) Snapshot(context.Context) (admin.Snapshot, error) {
	return admin.Snapshot{Path: "/snapshot", Node: "local", Epoch: 3}, nil
}

// Explain says back what it was asked.
func (o *outside) Explain(_ context.Context, who auth.Principal, t target.Target, q admin.ExplainRequest, uri string) (admin.Explanation, error) {
	return admin.Explanation{Summary: fmt.Sprintf("%s (%s) %s %s at %s", who.Account, who.Privileges, q.Method, uri, t.Name), Lease: &admin.ExplainedLease{}}, nil
}

func (o *outside) Check(context.Context, string) error { return o.checked }

// shows is what the listeners show, of which the tests look at the last change.
type shows struct{ last string }

func (s *shows) ServerCertificate(_ context.Context, listener string) (admin.Certificate, error) {
	return admin.Certificate{Listener: listener, Subject: s.last}, nil
}

func (s *shows) ReplaceServerCertificate(_ context.Context, listener, chain string, key auth.Secret) (admin.Certificate, error) {
	if chain == "" {
		return admin.Certificate{}, &admin.Error{Code: admin.Invalid, Field: "pem", Message: "no certificate"}
	}
	s.last = "replaced " + listener + " " + chain + " " + key.Reveal()
	return admin.Certificate{Listener: listener, Subject: s.last}, nil
}

func (s *shows) ResetServerCertificate(_ context.Context, listener string) error {
	s.last = "reset " + listener
	return nil
}

func (s *shows) CertificateRequest(_ context.Context, listener string, r admin.CSRRequest) (string, error) {
	return "csr " + listener + " " + r.CommonName, nil
}

// desk is a service on a real store, and a client at the other end of HTTP.
type desk struct {
	*admin.Client
	out    *outside
	url    string
	dir    string
	audit  *audit.Log
	forgot int
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{out: &outside{}, dir: t.TempDir()}
	st, err := store.Open(t.Context(), filepath.Join(d.dir, "db"), store.Options{Now: time.Now()})
	check(t, err)
	t.Cleanup(func() { st.Close() })
	key, err := seal.LoadOrCreate(filepath.Join(d.dir, "seal.key"))
	check(t, err)
	chain, err := seal.KeyFile(filepath.Join(d.dir, "audit.key"))
	check(t, err)
	d.audit, err = audit.Open(audit.Config{Dir: filepath.Join(d.dir, "audit"), Key: chain, Epoch: st.Epoch()})
	check(t, err)
	t.Cleanup(func() { d.audit.Close() })
	roles, err := policy.NewRoles(policy.RolesConfig{Store: st})
	check(t, err)
	accounts, err := account.New(account.Config{Store: st, Roles: roles})
	check(t, err)
	sessions, err := session.New(session.Config{Store: st, Audit: d.audit})
	check(t, err)
	check(t, sessions.Load(t.Context()))
	trusted, err := trust.New(trust.Config{Store: st})
	check(t, err)
	check(t, trusted.Load(t.Context()))
	targets, err := target.New(target.Config{Store: st, Key: key})
	check(t, err)
	service, err := admin.New(admin.Config{
		Accounts: accounts, Roles: roles, Trust: trusted, Sessions: sessions, Certificates: d.out,
		Targets: targets, Audit: d.audit, Server: d.out, ForgetFirst: func() { d.forgot++ },
	})
	check(t, err)
	srv := httptest.NewServer(admin.Handler(service, func(context.Context) auth.AccountName { return "uid:7" }, slog.New(slog.DiscardHandler)))
	t.Cleanup(srv.Close)
	d.url = srv.URL
	d.Client = admin.NewClient(func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", strings.TrimPrefix(srv.URL, "http://"))
	})
	t.Cleanup(d.Client.Close)
	return d
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// want checks the code and the text of an error that came over the socket.
func want(t *testing.T, err error, code admin.Code, text string) {
	t.Helper()
	if err == nil || admin.CodeOf(err) != code || !strings.Contains(err.Error(), text) {
		t.Errorf("got %v (%s), want %s with %q", err, admin.CodeOf(err), code, text)
	}
}

// records are the events of the log with account or target and outcome.
func (d *desk) records(t *testing.T) []string {
	t.Helper()
	check(t, d.audit.Append(t.Context(), audit.Record{Event: "test"})) // all notes are written
	var out []string
	for r, err := range audit.Read(filepath.Join(d.dir, "audit"), audit.Filter{Event: "admin"}) {
		check(t, err)
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s%s %s %s", r.Event, r.Target, r.Account, r.Caller, r.Outcome)))
	}
	return out
}

func (d *desk) create(ctx context.Context, name auth.AccountName, role auth.Role, password auth.Secret) error {
	_, err := d.CreateAccount(ctx, admin.NewAccount{Name: name, Role: role, Password: password})
	return err
}

func (d *desk) change(ctx context.Context, name auth.AccountName, c admin.AccountChange) error {
	_, err := d.ChangeAccount(ctx, name, c)
	return err
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	d, ctx := newDesk(t), t.Context()
	good, short := auth.NewSecret("correct-horse"), auth.NewSecret("short")
	check(t, d.create(ctx, "admin", auth.Administrator, good))
	check(t, d.create(ctx, "bob", auth.Operator, good))
	want(t, d.create(ctx, "bob", auth.Operator, good), admin.Exists, `account "bob" exists already`)
	want(t, d.create(ctx, "b b", auth.Operator, good), admin.Invalid, "bad account name")
	want(t, d.create(ctx, "eve", "Boss", good), admin.Invalid, "bad role")
	want(t, d.create(ctx, "eve", auth.Operator, short), admin.Invalid, "bad password")
	want(t, d.create(ctx, "eve", auth.Operator, auth.Secret{}), admin.Invalid, "bad password")
	check(t, d.change(ctx, "bob", admin.AccountChange{Role: new(auth.ReadOnly)}))
	check(t, d.change(ctx, "bob", admin.AccountChange{Enabled: new(false)}))
	list, err := d.Accounts(ctx)
	check(t, err)
	if len(list) != 2 || list[1].Name != "bob" || list[1].Role != auth.ReadOnly || list[1].Enabled || list[1].Version != 3 {
		t.Errorf("accounts: %+v", list)
	}
	want(t, d.change(ctx, "admin", admin.AccountChange{Enabled: new(false)}), admin.Conflict, "last enabled Administrator")
	want(t, d.RemoveAccount(ctx, "admin", 0), admin.Conflict, "last enabled Administrator")
	want(t, d.change(ctx, "bob", admin.AccountChange{Role: new(auth.Role("Boss"))}), admin.Invalid, "bad role")
	want(t, d.change(ctx, "bob", admin.AccountChange{Password: &short}), admin.Invalid, "bad password")
	want(t, d.change(ctx, "bob", admin.AccountChange{Version: 3}), admin.Invalid, "nothing is to be changed")
	want(t, d.change(ctx, "nobody", admin.AccountChange{Password: &good}), admin.NotFound, `no account "nobody"`)
	want(t, d.change(ctx, "bob", admin.AccountChange{Version: 2, Enabled: new(true)}), admin.Conflict, "by somebody else")
	want(t, d.RemoveAccount(ctx, "bob", 2), admin.Conflict, "by somebody else")
	check(t, d.change(ctx, "bob", admin.AccountChange{Version: 3, Password: &good, MustChangePassword: new(true), Enabled: new(true)}))
	if bob, err := d.Account(ctx, "bob"); err != nil || !bob.MustChangePassword || !bob.Enabled || bob.Version != 4 {
		t.Errorf("bob: %+v, %v", bob, err)
	}
	if d.forgot != 0 {
		t.Error("bob's password is not the first one")
	}
	check(t, d.change(ctx, "admin", admin.AccountChange{Password: &good, Unlock: true}))
	if d.forgot != 1 {
		t.Error("the first password was changed and its file stayed")
	}
	check(t, d.RemoveAccount(ctx, "bob", 4))

	got := strings.Join(d.records(t), "\n")
	if wantLog := strings.Join([]string{
		"admin.account.add admin uid:7", "admin.account.add bob uid:7", "admin.account.add bob uid:7", "admin.account.add bob uid:7 not done",
		"admin.account.role bob uid:7", "admin.account.disable bob uid:7", "admin.account.disable admin uid:7", "admin.account.disable admin uid:7 not done",
		"admin.account.remove admin uid:7", "admin.account.remove admin uid:7 not done", "admin.account.enable bob uid:7", "admin.account.enable bob uid:7 not done",
		"admin.account.remove bob uid:7", "admin.account.remove bob uid:7 not done", "admin.account.change bob uid:7",
		"admin.account.change admin uid:7", "admin.account.remove bob uid:7",
	}, "\n"); got != wantLog {
		t.Errorf("audit: got\n%s\nwant\n%s", got, wantLog)
	}
}

// What a family needs to choose its own words comes over the socket too.
func TestErrorsSayWhy(t *testing.T) {
	t.Parallel()
	d, ctx := newDesk(t), t.Context()
	good := auth.NewSecret("correct-horse")
	check(t, d.create(ctx, "admin", auth.Administrator, good))
	_, err := d.SetLoginRules(ctx, admin.LoginRules{MinPassword: 8, MaxPassword: 20, History: 1})
	check(t, err)
	for _, c := range []struct {
		err    error
		field  string
		reason admin.Reason
	}{
		{d.create(ctx, "bob", auth.Operator, auth.NewSecret("short")), "password", admin.PasswordLength},
		{d.create(ctx, "bob", auth.Operator, auth.NewSecret("tab\tinside it")), "password", ""},
		{d.create(ctx, "b b", auth.Operator, good), "name", ""},
		{d.create(ctx, "bob", "Boss", good), "role", ""},
		{d.create(ctx, "admin", auth.Operator, good), "name", ""},
		{d.change(ctx, "admin", admin.AccountChange{Password: &good}), "password", admin.PasswordReused},
		{d.change(ctx, "admin", admin.AccountChange{Role: new(auth.ReadOnly)}), "", admin.LastAdministrator},
		{d.change(ctx, "admin", admin.AccountChange{Version: 9, Unlock: true}), "", admin.Changed},
		{second(d.CreateAccount(ctx, admin.NewAccount{Name: "bob", Role: auth.Operator, Hash: "$1$md5"})), "hash", ""},
		{second(d.SetLoginRules(ctx, admin.LoginRules{MinPassword: 8, MaxPassword: 20, History: 99})), "history", ""},
		{second(d.SetLoginRules(ctx, admin.LoginRules{MinPassword: 8, MaxPassword: 20, Version: 1})), "", admin.Changed},
		{second(d.CreateRole(ctx, admin.Role{Name: "Operator", Privileges: auth.MayLogIn})), "name", ""},
		{second(d.CreateRole(ctx, admin.Role{Name: "boss", Privileges: auth.ConfigureUsers})), "privileges", ""},
		{second(d.ChangeRole(ctx, admin.Role{Name: "Operator", Privileges: auth.MayLogIn})), "", admin.Predefined},
		{second(d.SetListenerRules(ctx, admin.ListenerRules{Listener: "tree", SessionIdle: time.Second})), "session_idle", ""},
		{second(d.SetListenerRules(ctx, admin.ListenerRules{Listener: "tree", SessionIdle: time.Minute, Basic: "Perhaps"})), "basic", ""},
		{second(d.AddCA(ctx, admin.NewCA{PEM: "nonsense"})), "pem", ""},
		{second(d.AddCA(ctx, admin.NewCA{PEM: "nonsense", OCSP: "sometimes"})), "ocsp", ""},
	} {
		e, ok := errors.AsType[*admin.Error](c.err)
		if !ok || e.Field != c.field || e.Reason != c.reason {
			t.Errorf("got %v (field %q, reason %q), want field %q, reason %q", c.err, e.Field, e.Reason, c.field, c.reason)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestRoles(t *testing.T) {
	t.Parallel()
	d, ctx := newDesk(t), t.Context()
	made, err := d.CreateRole(ctx, admin.Role{Name: "auditor", Privileges: auth.MayLogIn})
	check(t, err)
	if made.Version != 1 || made.Predefined || made.Privileges != auth.MayLogIn {
		t.Errorf("made: %+v", made)
	}
	want(t, second(d.CreateRole(ctx, made)), admin.Exists, `role "auditor" exists already`)
	made.Privileges |= auth.ConfigureSelf
	changed, err := d.ChangeRole(ctx, made)
	check(t, err)
	if changed.Version != 2 || !changed.Privileges.Has(auth.ConfigureSelf) {
		t.Errorf("changed: %+v", changed)
	}
	made.Privileges = auth.AllPrivileges
	want(t, second(d.ChangeRole(ctx, made)), admin.Conflict, "by somebody else")
	if list, err := d.Roles(ctx); err != nil || len(list) != 4 || !list[0].Predefined || list[3].Name != "auditor" {
		t.Errorf("roles: %+v, %v", list, err)
	}
	check(t, d.create(ctx, "ann", "auditor", auth.NewSecret("correct-horse")))
	want(t, d.RemoveRole(ctx, "auditor"), admin.Conflict, "accounts have the role")
	want(t, d.RemoveRole(ctx, "ReadOnly"), admin.Conflict, "built in")
	want(t, d.RemoveRole(ctx, "nobody"), admin.NotFound, `no role "nobody"`)
	check(t, d.RemoveAccount(ctx, "ann", 0))
	check(t, d.RemoveRole(ctx, "auditor"))
	want(t, second(d.Role(ctx, "auditor")), admin.NotFound, "no role")
}

func TestListeners(t *testing.T) {
	t.Parallel()
	d, ctx := newDesk(t), t.Context()
	_, err := d.AddTarget(ctx, admin.NewTarget{Name: "bmc1", URL: "https://b", User: "root", Password: auth.NewSecret("pw")})
	check(t, err)
	list, err := d.Listeners(ctx)
	check(t, err)
	if len(list) != 2 || list[0].Listener != "tree" || list[1].Listener != "target:bmc1" || list[1].SessionIdle != 30*time.Minute {
		t.Errorf("listeners: %+v", list)
	}
	r := list[1]
	r.Certificates, r.Mapping, r.Basic = true, admin.MapUserPrincipalName, admin.BasicDisabled
	set, err := d.SetListenerRules(ctx, r)
	check(t, err)
	if got, err := d.ListenerRules(ctx, "target:bmc1"); err != nil || got != set || got.Version == r.Version || got.Mapping != admin.MapUserPrincipalName {
		t.Errorf("got %+v, %v, want %+v", got, err, set)
	}
	want(t, second(d.SetListenerRules(ctx, r)), admin.Conflict, "by somebody else")
	r.Version = 0
	check(t, second(d.SetListenerRules(ctx, r)))
	for _, name := range []string{"", "bmc1", "target:", "target:bmc9", "..", "target:../x"} {
		want(t, second(d.ListenerRules(ctx, name)), admin.NotFound, "no listener")
		want(t, second(d.CAs(ctx, name)), admin.NotFound, "no listener")
		want(t, second(d.ServerCertificate(ctx, name)), admin.NotFound, "no listener")
	}
	check(t, second(d.ReplaceServerCertificate(ctx, "tree", "CHAIN", auth.NewSecret("KEY"))))
	if c, err := d.ServerCertificate(ctx, "tree"); err != nil || c.Subject != "replaced tree CHAIN KEY" {
		t.Errorf("got %+v, %v", c, err)
	}
	want(t, second(d.ReplaceServerCertificate(ctx, "tree", "", auth.Secret{})), admin.Invalid, "no certificate")
	check(t, d.ResetServerCertificate(ctx, "tree"))
	if csr, err := d.CertificateRequest(ctx, "tree", admin.CSRRequest{CommonName: "x"}); err != nil || csr != "csr tree x" {
		t.Errorf("got %q, %v", csr, err)
	}
	// A target that is given the name again begins anew.
	check(t, second(d.AddCA(ctx, admin.NewCA{PEM: newCertificate(t, true), Listener: "target:bmc1"})))
	check(t, second(d.AddCA(ctx, admin.NewCA{PEM: newCertificate(t, true)})))
	check(t, d.RemoveTarget(ctx, "bmc1"))
	want(t, second(d.ListenerRules(ctx, "target:bmc1")), admin.NotFound, "no listener")
	check(t, second(d.AddTarget(ctx, admin.NewTarget{Name: "bmc1", URL: "https://b", User: "root", Password: auth.NewSecret("pw")})))
	if r, err := d.ListenerRules(ctx, "target:bmc1"); err != nil || r.Certificates || r.Mapping != admin.MapCommonName {
		t.Errorf("rules of a new target: %+v, %v", r, err)
	}
	if list, err := d.CAs(ctx, "target:bmc1"); err != nil || len(list) != 1 || d.out.last != "reset target:bmc1" {
		t.Errorf("CAs of a new target: %+v, %v; its certificate: %q", list, err, d.out.last)
	}
	got := strings.Join(d.records(t), "\n")
	for _, event := range []string{"admin.listener.rules  uid:7", "admin.certificate.replace  uid:7", "admin.certificate.replace  uid:7 not done", "admin.certificate.reset", "admin.certificate.request"} {
		if !strings.Contains(got, event) {
			t.Errorf("the audit lacks %q:\n%s", event, got)
		}
	}
}

// newCertificate returns one in PEM, of a CA where ca is set.
func newCertificate(t *testing.T, ca bool) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		BasicConstraintsValid: true, IsCA: ca,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	check(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	d, ctx := newDesk(t), t.Context()
	_, err := d.AddTarget(ctx, admin.NewTarget{Name: "bmc1", URL: "https://b", User: "root", Password: auth.NewSecret("pw")})
	check(t, err)
	everywhere, err := d.AddCA(ctx, admin.NewCA{PEM: newCertificate(t, true), Name: "lab"})
	check(t, err)
	here, err := d.AddCA(ctx, admin.NewCA{PEM: newCertificate(t, true), Listener: "target:bmc1", OCSP: admin.OCSPSoft})
	check(t, err)
	if everywhere.Name != "lab" || everywhere.Subject != "CN=test" || here.Listener != "target:bmc1" || here.OCSP != admin.OCSPSoft {
		t.Errorf("added: %+v, %+v", everywhere, here)
	}
	want(t, second(d.AddCA(ctx, admin.NewCA{PEM: newCertificate(t, false)})), admin.Invalid, "CA")
	want(t, second(d.AddCA(ctx, admin.NewCA{PEM: newCertificate(t, true), Listener: "nowhere"})), admin.NotFound, "no listener")
	for listener, n := range map[string]int{"tree": 1, "target:bmc1": 2} {
		if list, err := d.CAs(ctx, listener); err != nil || len(list) != n {
			t.Errorf("at %s: %d, %v, want %d", listener, len(list), err, n)
		}
	}
	if list, err := d.AllCAs(ctx); err != nil || len(list) != 2 {
		t.Errorf("all: %+v, %v", list, err)
	}
	want(t, d.SetCRL(ctx, here.ID, []byte("nonsense")), admin.Invalid, "revocation list")
	want(t, d.SetCRL(ctx, "nobody", nil), admin.NotFound, "no CA")
	want(t, d.RemoveCA(ctx, "tree", here.ID), admin.NotFound, "no CA")
	check(t, d.RemoveCA(ctx, "target:bmc1", here.ID))
	check(t, d.RemoveCA(ctx, "", everywhere.ID))
	want(t, d.RemoveCA(ctx, "", everywhere.ID), admin.NotFound, "no CA")

	check(t, d.create(ctx, "ann", auth.Operator, auth.NewSecret("correct-horse")))
	own, err := d.AddAccountCertificate(ctx, "ann", newCertificate(t, false))
	check(t, err)
	want(t, second(d.AddAccountCertificate(ctx, "ann", own.PEM)), admin.Exists, "already")
	want(t, second(d.AddAccountCertificate(ctx, "bob", own.PEM)), admin.NotFound, "no account")
	if list, err := d.AccountCertificates(ctx, "ann"); err != nil || len(list) != 1 || list[0] != own {
		t.Errorf("ann's: %+v, %v, want %+v", list, err, own)
	}
	want(t, d.RemoveAccountCertificate(ctx, "ann", "xyz"), admin.NotFound, "no certificate")
	want(t, d.RemoveAccountCertificate(ctx, "ann", ".."), admin.NotFound, "no certificate")
	check(t, d.RemoveAccountCertificate(ctx, "ann", own.ID))
	want(t, d.RemoveAccountCertificate(ctx, "ann", own.ID), admin.NotFound, "no certificate")
}

func TestTargets(t *testing.T) {
	t.Parallel()
	d, ctx := newDesk(t), t.Context()
	n := admin.NewTarget{Name: "bmc1", URL: "https://b", User: "root", Password: auth.NewSecret("pw"), Exclusive: true, LockoutThreshold: 3}
	got, err := d.AddTarget(ctx, n)
	check(t, err)
	if got.Family != "redfish" || got.Auth != auth.MethodAuto || got.Password != "sealed" || got.Trust != "system" ||
		got.Gateway != "https://gateway/bmc1" || got.Origin != "command" || !got.Exclusive || got.Lease == nil || got.Lease.Open != 1 {
		t.Errorf("added: %+v", got)
	}
	if _, err := d.AddTarget(ctx, n); admin.CodeOf(err) != admin.Exists {
		t.Errorf("twice: %v", err)
	}
	for _, bad := range []func(*admin.NewTarget){
		func(n *admin.NewTarget) { n.Name = "B" },
		func(n *admin.NewTarget) { n.URL = "http://b" },
		func(n *admin.NewTarget) { n.User = "" },
		func(n *admin.NewTarget) { n.Password = auth.Secret{} },
		func(n *admin.NewTarget) { n.Auth = "digest" },
	} {
		x := n
		x.Name = "bmc2"
		bad(&x)
		if _, err := d.AddTarget(ctx, x); admin.CodeOf(err) != admin.Invalid {
			t.Errorf("%+v: got %v, want it refused as invalid", x, err)
		}
	}

	pin := "sha256//" + strings.Repeat("A", 43) + "="
	check(t, d.SetPin(ctx, "bmc1", pin))
	check(t, d.SetTargetPassword(ctx, "bmc1", auth.NewSecret("other")))
	if got, err = d.Target(ctx, "bmc1"); err != nil || got.Pin != pin || got.Trust != "pin" {
		t.Errorf("pinned: %+v, %v", got, err)
	}
	want(t, d.SetPin(ctx, "bmc1", "nonsense"), admin.Invalid, "a pin is")
	want(t, d.SetPin(ctx, "bmc9", pin), admin.NotFound, `no target "bmc9"`)
	want(t, d.SetTargetPassword(ctx, "bmc1", auth.Secret{}), admin.Invalid, "empty")

	// What the server cannot serve is not kept.
	d.out.refuse = errors.New("the port is taken")
	n.Name = "bmc2"
	_, err = d.AddTarget(ctx, n)
	want(t, err, admin.Internal, "the port is taken")
	d.out.refuse = nil
	if list, err := d.Targets(ctx); err != nil || len(list) != 1 {
		t.Errorf("targets: %+v, %v", list, err)
	}

	check(t, d.RemoveTarget(ctx, "bmc1"))
	want(t, d.RemoveTarget(ctx, "bmc1"), admin.NotFound, "no target")
	if got := strings.Join(d.out.applied, " "); got != "bmc1 bmc1 bmc1 bmc1" {
		t.Errorf("the server was told of %q, want each change", got)
	}
}

// Names that would lead to another path are nobody's.
func TestNamesOutsidePaths(t *testing.T) {
	t.Parallel()
	d, ctx := newDesk(t), t.Context()
	for _, name := range []string{"", ".", "..", "a/b", "a/check", "a?b", "a%2fb", "../accounts"} {
		text := fmt.Sprintf("no account %q", name)
		want(t, d.change(ctx, auth.AccountName(name), admin.AccountChange{Enabled: new(false)}), admin.NotFound, text)
		want(t, d.RemoveAccount(ctx, auth.AccountName(name), 0), admin.NotFound, text)
		text = fmt.Sprintf("no target %q", name)
		want(t, d.CheckTarget(ctx, name), admin.NotFound, text)
		want(t, d.RemoveTarget(ctx, name), admin.NotFound, text)
		_, err := d.Target(ctx, name)
		want(t, err, admin.NotFound, text)
	}
}

func TestCheckTarget(t *testing.T) {
	t.Parallel()
	d, ctx := newDesk(t), t.Context()
	want(t, d.CheckTarget(ctx, "bmc1"), admin.NotFound, "no target")
	_, err := d.AddTarget(ctx, admin.NewTarget{Name: "bmc1", URL: "https://b", User: "root", Password: auth.NewSecret("pw")})
	check(t, err)
	check(t, d.CheckTarget(ctx, "bmc1"))
	for _, c := range []struct {
		err  error
		code admin.Code
		text string
	}{
		{&lease.Unavailable{Reason: lease.Refused, Err: errors.New("401")}, admin.Refused, "refuses the stored password: 401"},
		{&lease.Unavailable{Reason: lease.Down, Err: errors.New("no route")}, admin.Unavailable, "cannot be reached: no route"},
		{&lease.Unavailable{Reason: lease.Down, Err: &target.PinError{Pinned: "P", Shown: "S"}}, admin.Refused, "pinned P, shown S"},
		{&lease.Unavailable{Reason: lease.Full, Err: errors.New("full")}, admin.Unavailable, "full"},
		{errors.New("odd"), admin.Internal, "odd"},
	} {
		d.out.checked = c.err
		want(t, d.CheckTarget(ctx, "bmc1"), c.code, c.text)
	}
}

func TestNoRecordNoChange(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	check(t, d.audit.Close())
	want(t, d.create(t.Context(), "bob", auth.Operator, auth.NewSecret("correct-horse")), admin.Unavailable, "cannot be recorded")
	if list, err := d.Accounts(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("accounts: %+v, %v, want none", list, err)
	}
}

func TestSocketRefusesNonsense(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{"POST", "/accounts", `{"name":`, 400},
		{"POST", "/accounts", `{"nme":"x"}`, 400},
		{"POST", "/accounts", `[]`, 400},
		{"POST", "/accounts", `{"name":"` + strings.Repeat("x", 5<<20) + `"}`, 400},
		{"PATCH", "/accounts/bob", `{}`, 400},
		{"PATCH", "/accounts/bob", `{"enabled":true,"rôle":"Operator"}`, 400},
		{"POST", "/roles", `{"name":"x","privileges":["Everything"]}`, 400},
		{"PUT", "/cas/x/crl", `{"crl":"not base64!"}`, 400},
		{"PATCH", "/targets/x", `{"pin":"a","password":"b"}`, 400},
		{"PUT", "/accounts", ``, 405},
		{"GET", "/nothing", ``, 404},
	} {
		r, err := http.NewRequest(c.method, d.url+c.path, strings.NewReader(c.body))
		check(t, err)
		resp, err := http.DefaultClient.Do(r)
		check(t, err)
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != c.status {
			t.Errorf("%s %s %.40s: got %d (%s), want %d", c.method, c.path, c.body, resp.StatusCode, body, c.status)
		}
	}
}

func TestClientWithoutServer(t *testing.T) {
	t.Parallel()
	c := admin.NewClient(func(context.Context) (net.Conn, error) { return nil, errors.New("nobody there") })
	_, err := c.Accounts(t.Context())
	want(t, err, admin.Unavailable, "nobody there")
}
