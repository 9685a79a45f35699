package admin_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
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
	"github.com/postern/postern/internal/seal"
	"github.com/postern/postern/internal/store"
	"github.com/postern/postern/internal/target"
)

// outside is the server around the service: what the tests need of one.
type outside struct {
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

func (o *outside) Check(context.Context, string) error { return o.checked }

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
	accounts, err := account.New(account.Config{Store: st})
	check(t, err)
	targets, err := target.New(target.Config{Store: st, Key: key})
	check(t, err)
	service, err := admin.New(admin.Config{
		Accounts: accounts, Targets: targets, Audit: d.audit, Server: d.out, ForgetFirst: func() { d.forgot++ },
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

func TestAccounts(t *testing.T) {
	t.Parallel()
	d, ctx := newDesk(t), t.Context()
	good := auth.NewSecret("correct-horse")
	check(t, d.CreateAccount(ctx, "admin", auth.Administrator, good))
	check(t, d.CreateAccount(ctx, "bob", auth.Operator, good))
	want(t, d.CreateAccount(ctx, "bob", auth.Operator, good), admin.Exists, `account "bob" exists already`)
	want(t, d.CreateAccount(ctx, "b b", auth.Operator, good), admin.Invalid, "bad account name")
	want(t, d.CreateAccount(ctx, "eve", "Boss", good), admin.Invalid, "bad role")
	want(t, d.CreateAccount(ctx, "eve", auth.Operator, auth.NewSecret("short")), admin.Invalid, "bad password")
	check(t, d.SetRole(ctx, "bob", auth.ReadOnly))
	check(t, d.SetEnabled(ctx, "bob", false))
	list, err := d.Accounts(ctx)
	check(t, err)
	if len(list) != 2 || list[1].Name != "bob" || list[1].Role != auth.ReadOnly || list[1].Enabled {
		t.Errorf("accounts: %+v", list)
	}
	want(t, d.SetEnabled(ctx, "admin", false), admin.Conflict, "last enabled Administrator")
	want(t, d.RemoveAccount(ctx, "admin"), admin.Conflict, "last enabled Administrator")
	want(t, d.SetRole(ctx, "bob", "Boss"), admin.Invalid, "bad role")
	want(t, d.SetPassword(ctx, "bob", auth.NewSecret("short")), admin.Invalid, "bad password")
	want(t, d.SetPassword(ctx, "nobody", good), admin.NotFound, `no account "nobody"`)
	check(t, d.SetPassword(ctx, "bob", good))
	if d.forgot != 0 {
		t.Error("bob's password is not the first one")
	}
	check(t, d.SetPassword(ctx, "admin", good))
	if d.forgot != 1 {
		t.Error("the first password was changed and its file stayed")
	}
	check(t, d.RemoveAccount(ctx, "bob"))

	got := strings.Join(d.records(t), "\n")
	if wantLog := strings.Join([]string{
		"admin.account.add admin uid:7", "admin.account.add bob uid:7", "admin.account.add bob uid:7", "admin.account.add bob uid:7 not done",
		"admin.account.role bob uid:7", "admin.account.disable bob uid:7", "admin.account.disable admin uid:7", "admin.account.disable admin uid:7 not done",
		"admin.account.remove admin uid:7", "admin.account.remove admin uid:7 not done", "admin.account.password bob uid:7",
		"admin.account.password admin uid:7", "admin.account.remove bob uid:7",
	}, "\n"); got != wantLog {
		t.Errorf("audit: got\n%s\nwant\n%s", got, wantLog)
	}
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
		want(t, d.SetEnabled(ctx, auth.AccountName(name), false), admin.NotFound, text)
		want(t, d.RemoveAccount(ctx, auth.AccountName(name)), admin.NotFound, text)
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
	want(t, d.CreateAccount(t.Context(), "bob", auth.Operator, auth.NewSecret("correct-horse")), admin.Unavailable, "cannot be recorded")
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
		{"PATCH", "/accounts/bob", `{"enabled":true,"role":"Operator"}`, 400},
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
