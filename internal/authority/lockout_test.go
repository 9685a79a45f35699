package authority

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/account"
)

// lockAfter makes n wrong passwords lock an account for five minutes.
func (h *house) lockAfter(t *testing.T, n int) {
	t.Helper()
	r, err := h.store.Rules(t.Context())
	if err == nil {
		r.Threshold, r.Duration, r.ResetAfter = n, 5*time.Minute, 5*time.Minute
		_, err = h.store.SetRules(t.Context(), r, time.Now())
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (h *house) try(t *testing.T, name auth.AccountName, password auth.Secret) error {
	t.Helper()
	at := attempt(name, password)
	at.Source = there // other than mustLogin's
	_, err := h.Check(t.Context(), at)
	return err
}

func (h *house) account(t *testing.T, name auth.AccountName) account.Account {
	t.Helper()
	a, err := h.store.Account(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestLockout: a locked account refuses the right password like a wrong one, but
// for whoever proved it before, and living sessions go on.
func TestLockout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := build(t, Config{})
		h.instant()
		h.lockAfter(t, 3)
		for i := range 3 {
			wantErr(t, "wrong", h.try(t, "ann", wrong(i)), auth.ErrBadCredentials)
			wantErr(t, "unknown account", h.try(t, "nobody", wrong(i)), auth.ErrBadCredentials)
		}
		if a := h.account(t, "ann"); !a.IsLocked(time.Now()) {
			t.Fatalf("not locked: %+v", a)
		}
		h.hashed.Store(0)
		if err := h.try(t, "ann", good); err != auth.ErrBadCredentials { // the very same
			t.Errorf("right password while locked: %v", err)
		}
		h.wantHashes(t, "while locked", 1)
		time.Sleep(5 * time.Minute)
		wantErr(t, "when it is over", h.try(t, "ann", good), nil)
		if a := h.account(t, "ann"); a.Locked || a.Failures != 0 {
			t.Errorf("a good password left %d failures, locked %v", a.Failures, a.Locked)
		}
		for i := range 3 {
			wantErr(t, "wrong", h.try(t, "ann", wrong(10+i)), auth.ErrBadCredentials)
		}
		wantErr(t, "proven, while locked", h.try(t, "ann", good), nil)
		mustLogin(t, h, attempt("ann", good))

		_, err := h.accounts.Change(t.Context(), "ann", account.Change{Unlock: true}, "")
		wantErr(t, "unlock", err, nil)
		wantErr(t, "another source, after it", h.try(t, "ann", wrong(20)), auth.ErrBadCredentials)
		wantErr(t, "right password", h.try(t, "ann", good), nil)
		got := strings.Join(h.attempts(t), "\n")
		for _, want := range []string{"ann refused wrong password, which locks the account", "ann refused account locked"} {
			if !strings.Contains(got, want) {
				t.Errorf("no record %q in\n%s", want, got)
			}
		}
	})
}

// TestLockoutIsDurable: a restart neither ends a lockout nor forgets the count.
func TestLockoutIsDurable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := buildIn(t, dir, Config{})
	h.lockAfter(t, 2)
	h.try(t, "ann", wrong(1))
	h.try(t, "root", wrong(1))
	h.try(t, "ann", wrong(2))
	h.leave()
	h = buildIn(t, dir, Config{})
	wantErr(t, "locked before the restart", h.try(t, "ann", good), auth.ErrBadCredentials)
	h.try(t, "root", wrong(2))
	wantErr(t, "one failure before and one after", h.try(t, "root", good), auth.ErrBadCredentials)
}

// TestSameSecretCountsOnce: one dead client with an old password locks nobody out,
// however long it goes on.
func TestSameSecretCountsOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := build(t, Config{})
		h.instant()
		h.lockAfter(t, 3)
		for range 60 {
			time.Sleep(59 * time.Second) // within ResetAfter of the one before
			wantErr(t, "dead client", h.try(t, "ann", wrong(1)), auth.ErrBadCredentials)
			if a := h.account(t, "ann"); a.Failures > 1 || a.Locked {
				t.Fatalf("%d failures, locked %v", a.Failures, a.Locked)
			}
		}
		wantErr(t, "its owner", h.try(t, "ann", good), nil)
	})
}

// TestImportedHash is replaced by one of ours when its password is used.
func TestImportedHash(t *testing.T) {
	t.Parallel()
	h := build(t, Config{})
	old, err := bcrypt.GenerateFromPassword([]byte(good.Reveal()), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.accounts.Create(t.Context(), account.Draft{Name: "old", Role: auth.ReadOnly, Hash: string(old)})
	wantErr(t, "create", err, nil)
	before := h.account(t, "old")
	wantErr(t, "wrong", h.try(t, "old", wrong(1)), auth.ErrBadCredentials)
	if now := h.account(t, "old"); now.Hash != string(old) {
		t.Errorf("a wrong password replaced the hash by %s", now.Hash)
	}
	s := mustLogin(t, h, attempt("old", good))
	now := h.account(t, "old")
	if account.NeedsRehash(now.Hash) || now.Version != before.Version {
		t.Errorf("hash %.10s..., version %d after %d", now.Hash, now.Version, before.Version)
	}
	wantErr(t, "cached", h.try(t, "old", good), nil)
	h.check.forget("old")
	wantErr(t, "with the new hash", h.try(t, "old", good), nil)
	if _, err := h.Session("bmc1", s.ID); err != nil {
		t.Errorf("the session of the first login: %v", err)
	}
}

func TestMustChangePassword(t *testing.T) {
	t.Parallel()
	h := build(t, Config{})
	must := true
	s := mustLogin(t, h, attempt("ann", good))
	_, err := h.accounts.Change(t.Context(), "ann", account.Change{MustChangePassword: &must}, "")
	wantErr(t, "change", err, nil)
	if got, err := h.Session("bmc1", s.ID); err != nil || !got.Principal.MustChangePassword {
		t.Errorf("living session: %+v, %v", got.Principal, err)
	}
	if got := mustLogin(t, h, attempt("ann", good)); !got.Principal.MustChangePassword {
		t.Errorf("login: %+v", got.Principal)
	}
	if p, err := h.Check(t.Context(), attempt("ann", good)); err != nil || !p.MustChangePassword {
		t.Errorf("basic: %+v, %v", p, err)
	}
	next := auth.NewSecret("another password")
	_, err = h.accounts.Change(t.Context(), "ann", account.Change{Password: &next}, s.ID)
	wantErr(t, "new password", err, nil)
	if got, err := h.Session("bmc1", s.ID); err != nil || got.Principal.MustChangePassword {
		t.Errorf("after the change: %+v, %v", got.Principal, err)
	}
}

// table is the Roles of a test.
type table map[auth.Role]auth.Privileges

func (r table) Privileges(name auth.Role) (auth.Privileges, bool) {
	p, ok := r[name]
	return p, ok
}

// TestPrivilegesAreLive: what a role gives counts from the next request on.
func TestPrivilegesAreLive(t *testing.T) {
	t.Parallel()
	roles := table{auth.Administrator: auth.AllPrivileges, auth.Operator: auth.MayLogIn | auth.ConfigureSelf}
	h := build(t, Config{Roles: roles})
	at := attempt("ann", good)
	s, other := mustLogin(t, h, at), mustLogin(t, h, attempt("root", good))
	want := func(what string, p auth.Privileges) {
		t.Helper()
		found, err := h.Lookup("bmc1", at.Token.Reveal())
		if err != nil || found.Principal.Privileges != p {
			t.Errorf("%s: token gives %v, %v", what, found.Principal.Privileges, err)
		}
		listed, err := h.Session("bmc1", s.ID)
		if err != nil || listed.Principal.Privileges != p || h.Sessions("bmc1")[0].Principal.Privileges != p {
			t.Errorf("%s: session gives %v, %v", what, listed.Principal.Privileges, err)
		}
		got, err := h.Check(t.Context(), attempt("ann", good))
		if p.Has(auth.MayLogIn) && (err != nil || got.Privileges != p) || !p.Has(auth.MayLogIn) && !errors.Is(err, auth.ErrBadCredentials) {
			t.Errorf("%s: basic gives %v, %v", what, got.Privileges, err)
		}
	}
	want("as it was", auth.MayLogIn|auth.ConfigureSelf)
	wantErr(t, "somebody else's session", h.Logout(t.Context(), s.Principal, other.ID), auth.ErrForbidden)
	roles[auth.Operator] |= auth.ConfigureManager
	want("more", auth.MayLogIn|auth.ConfigureSelf|auth.ConfigureManager)
	wantErr(t, "somebody else's session", h.Logout(t.Context(), s.Principal, other.ID), nil)
	delete(roles, auth.Operator)
	want("a role that is gone", 0)
	_, err := h.Login(t.Context(), attempt("ann", good))
	wantErr(t, "login", err, auth.ErrBadCredentials)
}

func TestSessionsDisabled(t *testing.T) {
	t.Parallel()
	h := build(t, Config{})
	s := mustLogin(t, h, attempt("ann", good))
	r := h.sessions.Rules("bmc1")
	r.SessionsDisabled = true
	_, err := h.sessions.SetRules(t.Context(), r)
	wantErr(t, "set rules", err, nil)
	_, err = h.Login(t.Context(), attempt("ann", good))
	wantErr(t, "login", err, auth.ErrServiceDisabled)
	_, err = h.Session("bmc1", s.ID)
	wantErr(t, "the living session", err, nil)
	wantErr(t, "basic", h.try(t, "ann", good), nil)
	at := attempt("ann", good)
	at.Listener = "bmc2"
	mustLogin(t, h, at)
	if got := h.attempts(t); got[1] != "ann refused no sessions are given" {
		t.Errorf("recorded %q", got)
	}
}
