package authority

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/account"
	"github.com/postern/postern/internal/audit"
	"github.com/postern/postern/internal/session"
	"github.com/postern/postern/internal/store"
)

// A house is an authority on the real core, with the accounts root (an
// Administrator), ann (an Operator) and out (disabled), whose password is theirs.
type house struct {
	*Authority
	dir      string
	store    *store.Store
	log      *audit.Log
	sessions *session.Table
	accounts *account.Service
	hashed   atomic.Int64 // password hashes computed
}

var (
	good  = auth.NewSecret("correct horse battery")
	here  = netip.MustParseAddr("192.0.2.1")
	there = netip.MustParseAddr("192.0.2.2")
)

func build(t testing.TB, c Config) *house {
	t.Helper()
	return buildIn(t, t.TempDir(), c)
}

func buildIn(t testing.TB, dir string, c Config) *house {
	t.Helper()
	h := &house{dir: dir}
	var err error
	check := func() {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx := context.Background()
	h.store, err = store.Open(ctx, filepath.Join(dir, "db"), store.Options{Now: time.Now()})
	check()
	h.log, err = audit.Open(audit.Config{Dir: filepath.Join(dir, "audit"), Key: auditKey, Epoch: h.store.Epoch()})
	check()
	h.sessions, err = session.New(session.Config{Store: h.store, Audit: h.log, Limits: session.Limits{PerAccount: 20}})
	check()
	check()
	err = h.sessions.Load(ctx)
	check()
	c.Accounts, c.Sessions, c.Audit = h.store, h.sessions, h.log
	h.Authority, err = New(c)
	check()
	h.accounts, err = account.New(account.Config{Store: h.store, Changed: h.Invalidate})
	check()
	verify := h.check.hashes
	h.check.hashes = func(hash string, p auth.Secret) bool {
		h.hashed.Add(1)
		return verify(hash, p)
	}
	if all, _ := h.store.Accounts(ctx); len(all) == 0 {
		hash, herr := account.Hash(good)
		err = herr
		check()
		for i, name := range []auth.AccountName{"root", "ann", "out"} {
			a := account.Account{ID: fmt.Sprint(i), Name: name, Role: auth.Operator, Hash: hash, Enabled: name != "out"}
			if i == 0 {
				a.Role = auth.Administrator
			}
			err = h.store.CreateAccount(ctx, a, time.Now())
			check()
		}
	}
	t.Cleanup(h.leave)
	return h
}

var auditKey = auth.NewSecret(strings.Repeat("k", audit.KeySize))

func (h *house) leave() {
	h.Close()
	h.log.Close()
	h.store.Close()
}

// change makes a change of ann's account.
func (h *house) change(ctx context.Context, c account.Change, keep string) error {
	_, err := h.accounts.Change(ctx, "ann", c, keep)
	return err
}

var drawn atomic.Int64

func attempt(name auth.AccountName, password auth.Secret) auth.Attempt {
	return auth.Attempt{Account: name, Password: password, Listener: "bmc1", Source: here,
		Token: auth.NewSecret(fmt.Sprintf("%032d", drawn.Add(1)))}
}

func wrong(i int) auth.Secret { return auth.NewSecret(fmt.Sprint("wrong password ", i)) }

// wantHashes checks how many hashes were computed since the last call.
func (h *house) wantHashes(t *testing.T, what string, want int64) {
	t.Helper()
	if got := h.hashed.Swap(0); got != want {
		t.Errorf("%s: %d hashes, want %d", what, got, want)
	}
}

// attempts are the audit's records of attempts, "account outcome detail", once
// all of them are on disk.
func (h *house) attempts(t *testing.T) []string {
	t.Helper()
	h.leave()
	var out []string
	for r, err := range audit.Read(filepath.Join(h.dir, "audit"), audit.Filter{Event: audit.Attempt}) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, strings.TrimSpace(r.Caller+" "+r.Outcome+" "+r.Detail))
	}
	return out
}

func wantErr(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func wantEqual(t *testing.T, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Addr{})); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func mustLogin(t *testing.T, h *house, at auth.Attempt) auth.Session {
	t.Helper()
	s, err := h.Login(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLogin(t *testing.T) {
	t.Parallel()
	h := build(t, Config{})
	at := attempt("ann", good)
	at.SessionID, at.Context = "s1", "script"
	ctx := auth.WithRequestID(t.Context(), "r1")
	s, err := h.Login(ctx, at)
	if err != nil {
		t.Fatal(err)
	}
	operator, _ := auth.PredefinedPrivileges(auth.Operator)
	want := auth.Session{ID: "s1", Principal: auth.Principal{Account: "ann", AccountID: "1", Role: auth.Operator, SessionID: "s1", Privileges: operator},
		Listener: "bmc1", Source: here, Context: "script", InitialRole: auth.Operator, Created: s.Created, LastUsed: s.LastUsed, Idle: 30 * time.Minute}
	wantEqual(t, "session", s, want)
	found, err := h.Lookup("bmc1", at.Token.Reveal())
	found.LastUsed = s.LastUsed
	if err != nil {
		t.Error(err)
	}
	wantEqual(t, "looked up", found, want)
	second := mustLogin(t, h, attempt("ann", good))
	if second.ID == "" || second.ID == s.ID {
		t.Errorf("got the id %q", second.ID)
	}
	if all := h.Sessions("bmc1"); len(all) != 2 {
		t.Errorf("listed %v", all)
	}
	p, err := h.Check(ctx, attempt("ann", good))
	wantErr(t, "basic", err, nil)
	wantEqual(t, "principal", p, auth.Principal{Account: "ann", AccountID: "1", Role: auth.Operator, Privileges: operator})
	h.wantHashes(t, "four times the same password", 1)

	again := attempt("ann", good)
	again.SessionID = "s1"
	_, err = h.Login(ctx, again)
	wantErr(t, "id in use", err, auth.ErrUnavailable)
	again.Kind = 99
	_, err = h.Login(ctx, again)
	wantErr(t, "unknown kind", err, auth.ErrBadCredentials)
	wantEqual(t, "attempts", h.attempts(t), []string{"ann accepted", "ann accepted",
		"ann failed session id or token in use", "ann refused unknown kind of attempt"})
}

// TestLooksTheSame: whatever is wrong with a name or a password, it costs one hash
// the first time and none the second, and gives one error.
func TestLooksTheSame(t *testing.T) {
	t.Parallel()
	h := build(t, Config{})
	long := auth.NewSecret(good.Reveal() + strings.Repeat("x", account.MaxPassword))
	for _, c := range []struct {
		name     auth.AccountName
		password auth.Secret
		reason   string
	}{
		{"ann", wrong(1), "wrong password"},
		{"ann", auth.Secret{}, "wrong password"},
		{"ann", long, "wrong password"},
		{"out", good, "account disabled"},
		{"out", wrong(1), "account disabled"},
		{"nobody", good, "unknown account"},
		{"Ann", good, "unknown account"},
		{"", good, "unknown account"},
		{"../ann", good, "unknown account"},
		{auth.AccountName(strings.Repeat("n", 100)), good, "unknown account"},
	} {
		for i, hashes := range []int64{1, 0} {
			var err error
			if i == 0 {
				_, err = h.Login(t.Context(), attempt(c.name, c.password))
			} else {
				_, err = h.Check(t.Context(), attempt(c.name, c.password))
			}
			if err != auth.ErrBadCredentials { // the very same: nothing to tell them apart by
				t.Errorf("%s, %s: got %v", c.name, c.reason, err)
			}
			h.wantHashes(t, c.reason, hashes)
		}
	}
	got := h.attempts(t)
	wantEqual(t, "first and last attempts", []string{got[0], got[1], got[len(got)-2]}, []string{"ann refused wrong password",
		"ann refused the same wrong password again", strings.Repeat("n", 64) + "... refused unknown account"})
}

func TestSessionLimit(t *testing.T) {
	t.Parallel()
	h := build(t, Config{})
	for range 20 {
		mustLogin(t, h, attempt("ann", good))
	}
	_, err := h.Login(t.Context(), attempt("ann", good))
	wantErr(t, "one more", err, auth.ErrSessionLimit)
	mustLogin(t, h, attempt("root", good))
	got := h.attempts(t)
	wantEqual(t, "last attempts", got[20:], []string{"ann refused session limit", "root accepted"})
}

func TestLogout(t *testing.T) {
	t.Parallel()
	h := build(t, Config{})
	ann, ann2 := mustLogin(t, h, attempt("ann", good)), mustLogin(t, h, attempt("ann", good))
	root, root2 := mustLogin(t, h, attempt("root", good)), mustLogin(t, h, attempt("root", good))
	elsewhere := attempt("ann", good)
	elsewhere.Listener = "bmc2"
	other := mustLogin(t, h, elsewhere)
	for _, c := range []struct {
		by   auth.Principal
		id   string
		want error
	}{
		{ann.Principal, root.ID, auth.ErrForbidden},
		{ann.Principal, "nothing", auth.ErrNoSession},
		{ann.Principal, ann2.ID, nil},
		{ann.Principal, ann2.ID, auth.ErrNoSession},
		{ann.Principal, ann.ID, nil},
		{root.Principal, other.ID, nil},
		{root.Principal, root2.ID, nil},
		{root.Principal, root.ID, nil},
	} {
		wantErr(t, fmt.Sprintf("%s ends %s", c.by.Account, c.id), h.Logout(t.Context(), c.by, c.id), c.want)
	}
	if rows, err := h.store.Sessions(t.Context()); err != nil || len(rows) != 0 {
		t.Errorf("%d rows left, %v", len(rows), err)
	}
}

func TestAccountChanges(t *testing.T) {
	t.Parallel()
	h := build(t, Config{})
	ctx := t.Context()
	next := auth.NewSecret("another password")
	kept, ended := mustLogin(t, h, attempt("ann", good)), mustLogin(t, h, attempt("ann", good))
	_, err := h.Check(ctx, attempt("ann", next))
	wantErr(t, "the new password before the change", err, auth.ErrBadCredentials)
	wantErr(t, "change", h.change(ctx, account.Change{Password: &next}, kept.ID), nil)
	h.hashed.Store(0)

	_, err = h.Check(ctx, attempt("ann", good))
	wantErr(t, "the old password", err, auth.ErrBadCredentials)
	_, err = h.Check(ctx, attempt("ann", next))
	wantErr(t, "the new password, refused a moment ago", err, nil)
	h.wantHashes(t, "after the change", 2)
	_, err = h.Session("bmc1", kept.ID)
	wantErr(t, "kept", err, nil)
	_, err = h.Session("bmc1", ended.ID)
	wantErr(t, "ended", err, auth.ErrNoSession)

	wantErr(t, "role", h.change(ctx, account.Change{Role: new(auth.ReadOnly)}, kept.ID), nil)
	s, err := h.Session("bmc1", kept.ID)
	if err != nil || s.Principal.Role != auth.ReadOnly {
		t.Errorf("got %v, %v", s.Principal.Role, err)
	}
	p, err := h.Check(ctx, attempt("ann", next))
	if err != nil || p.Role != auth.ReadOnly {
		t.Errorf("basic: got %v, %v", p.Role, err)
	}
	wantErr(t, "disable", h.change(ctx, account.Change{Enabled: new(false)}, ""), nil)
	_, err = h.Check(ctx, attempt("ann", next))
	wantErr(t, "disabled", err, auth.ErrBadCredentials)
	_, err = h.Session("bmc1", kept.ID)
	wantErr(t, "kept, disabled", err, auth.ErrNoSession)
	wantErr(t, "enable", h.change(ctx, account.Change{Enabled: new(true)}, ""), nil)
	mustLogin(t, h, attempt("ann", next))
	wantErr(t, "delete", h.accounts.Delete(ctx, "ann", 0), nil)
	_, err = h.Check(ctx, attempt("ann", next))
	wantErr(t, "deleted", err, auth.ErrBadCredentials)
	if all := h.Sessions("bmc1"); len(all) != 0 {
		t.Errorf("left %v", all)
	}
}

// TestChangedBehindTheBack: even where nobody calls Invalidate, no session is made
// with a password that is not the account's any more.
func TestChangedBehindTheBack(t *testing.T) {
	t.Parallel()
	h := build(t, Config{})
	mustLogin(t, h, attempt("ann", good))
	a, err := h.store.Account(t.Context(), "ann")
	if err != nil {
		t.Fatal(err)
	}
	a.Role = auth.ReadOnly
	if a, err = h.store.UpdateAccount(t.Context(), a, account.Update{}, time.Now()); err != nil {
		t.Fatal(err)
	}
	if s := mustLogin(t, h, attempt("ann", good)); s.Principal.Role != auth.ReadOnly {
		t.Errorf("got the old role %s", s.Principal.Role)
	}
	hash, err := account.Hash(auth.NewSecret("another password"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err = h.store.UpdateAccount(t.Context(), a, account.Update{Hash: hash}, time.Now()); err != nil {
		t.Fatal(err)
	}
	_, err = h.Login(t.Context(), attempt("ann", good))
	wantErr(t, "old password", err, auth.ErrBadCredentials)
}

func TestAuditFails(t *testing.T) {
	t.Parallel()
	h := build(t, Config{})
	s := mustLogin(t, h, attempt("ann", good))
	h.log.Close()
	_, err := h.Login(t.Context(), attempt("ann", good))
	wantErr(t, "good login", err, auth.ErrUnavailable)
	_, err = h.Login(t.Context(), attempt("ann", wrong(1)))
	wantErr(t, "bad login", err, auth.ErrUnavailable)
	_, err = h.Check(t.Context(), attempt("root", good))
	wantErr(t, "basic", err, auth.ErrUnavailable)
	wantErr(t, "logout", h.Logout(t.Context(), s.Principal, s.ID), auth.ErrUnavailable)
	if rows, err := h.store.Sessions(t.Context()); err != nil || len(rows) != 1 {
		t.Errorf("%d rows, %v, want the one from before", len(rows), err)
	}
}

// TestNoSecrets looks for the secrets in use in every file.
func TestNoSecrets(t *testing.T) {
	t.Parallel()
	h := build(t, Config{})
	at, bad := attempt("ann", good), attempt("ann", wrong(1))
	mustLogin(t, h, at)
	h.Login(t.Context(), bad)
	h.leave()
	err := filepath.WalkDir(h.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		for _, s := range []auth.Secret{good, at.Token, bad.Password, bad.Token} {
			if bytes.Contains(b, []byte(s.Reveal())) {
				t.Errorf("%s holds a secret", path)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestRecover: what a crash hid of an attempt is recorded at the next start.
func TestRecover(t *testing.T) {
	t.Parallel()
	h := build(t, Config{})
	stored := mustLogin(t, h, attempt("ann", good))
	over := mustLogin(t, h, attempt("ann", good))
	wantErr(t, "logout", h.Logout(t.Context(), over.Principal, over.ID), nil)
	start := func(id string) audit.Record {
		return audit.Record{Event: audit.SessionStart, Ref: id, Caller: "ann", Listener: "bmc1"}
	}
	pending := []audit.Record{{Event: audit.LeaseLogin, Ref: "l1"}, start(stored.ID), start("s9")}
	wantErr(t, "recover", h.Recover(t.Context(), pending), nil)
	got := h.attempts(t)
	wantEqual(t, "attempts", got[2:], []string{"ann accepted recorded at the next start",
		"ann not done Postern ended before the session was stored"})
}
