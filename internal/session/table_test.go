package session_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/account"
	"github.com/postern/postern/internal/audit"
	"github.com/postern/postern/internal/session"
	"github.com/postern/postern/internal/store"
)

// A room is a table on a real store and a real audit, with one account.
type room struct {
	*session.Table
	dir   string
	store *store.Store
	log   *audit.Log
	ann   account.Account
}

// enter opens what dir holds. It is closed at the end of the test, or by leave.
func enter(t testing.TB, dir string, c session.Config) *room {
	t.Helper()
	ctx := context.Background()
	s, err := store.Open(ctx, filepath.Join(dir, "db"), store.Options{Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	log, err := audit.Open(audit.Config{Dir: filepath.Join(dir, "audit"), Key: auth.NewSecret(strings.Repeat("k", audit.KeySize)), Epoch: s.Epoch()})
	if err != nil {
		t.Fatal(err)
	}
	c.Store, c.Audit = s, log
	table, err := session.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := table.Load(ctx); err != nil {
		t.Fatal(err)
	}
	r := &room{Table: table, dir: dir, store: s, log: log}
	if r.ann, err = s.Account(ctx, "ann"); errors.Is(err, account.ErrNotFound) {
		a := account.Account{ID: "1", Name: "ann", Role: auth.Administrator, Enabled: true}
		if err = s.CreateAccount(ctx, a, time.Now()); err == nil {
			r.ann, err = s.Account(ctx, "ann")
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.leave)
	return r
}

func (r *room) leave() {
	r.log.Close()
	r.store.Close()
}

// reopen leaves without a flush, as a crash would, and enters again.
func (r *room) reopen(t *testing.T, c session.Config) *room {
	t.Helper()
	r.leave()
	return enter(t, r.dir, c)
}

func (r *room) start(id string) session.Start {
	return session.Start{
		Principal: auth.Principal{Account: r.ann.Name, AccountID: r.ann.ID, Role: r.ann.Role},
		Version:   r.ann.Version, Token: token(id), ID: id, Listener: "bmc1",
		Source: netip.MustParseAddr("192.0.2.1"), Context: "script",
	}
}

func (r *room) mustCreate(t *testing.T, id string) auth.Session {
	t.Helper()
	s, err := r.Create(t.Context(), r.start(id))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func token(id string) auth.Secret { return auth.NewSecret("token-of-" + id + "-0123456789abcdef") }

func (r *room) lookup(id string) error {
	_, err := r.Lookup("bmc1", token(id).Reveal())
	return err
}

// rows are the ids of the sessions in the store.
func (r *room) rows(t *testing.T) []string {
	t.Helper()
	all, err := r.store.Sessions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, s := range all {
		ids = append(ids, s.ID)
	}
	slices.Sort(ids)
	return ids
}

// events are the audit's records of sessions, "event ref outcome".
func (r *room) events(t *testing.T) []string {
	t.Helper()
	var out []string
	for rec, err := range audit.Read(filepath.Join(r.dir, "audit"), audit.Filter{Event: "session."}) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, strings.TrimSpace(rec.Event+" "+rec.Ref+" "+rec.Outcome))
	}
	return out
}

func (r *room) wantEvents(t *testing.T, want ...string) {
	t.Helper()
	wantEqual(t, "events", r.events(t), want)
}

func wantEqual(t *testing.T, what string, got, want any, opts ...cmp.Option) {
	t.Helper()
	opts = append(opts, cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Addr{}))
	if d := cmp.Diff(want, got, opts...); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func wantErr(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func TestLife(t *testing.T) {
	t.Parallel()
	r := enter(t, t.TempDir(), session.Config{})
	made := r.mustCreate(t, "s1")
	drawn := r.start("")
	second, err := r.Create(t.Context(), drawn)
	if err != nil || second.ID == "" {
		t.Fatalf("got %v, %v, want an id", second.ID, err)
	}
	got, err := r.Lookup("bmc1", token("s1").Reveal())
	if err != nil || !got.LastUsed.After(made.LastUsed) {
		t.Errorf("got %v, last used %v, want after %v", err, got.LastUsed, made.LastUsed)
	}
	got.LastUsed = made.LastUsed
	wantEqual(t, "session", got, made)
	if made.Principal.SessionID != "s1" || made.Principal.Role != auth.Administrator || made.Idle != 30*time.Minute || !made.Expires.IsZero() {
		t.Errorf("got %+v", made)
	}
	if all := r.Sessions("bmc1"); len(all) != 2 || all[0].ID != "s1" || all[1].ID != second.ID {
		t.Errorf("listed %v", all)
	}
	for _, wrong := range []struct{ listener, token string }{
		{"bmc2", token("s1").Reveal()}, {"bmc1", ""}, {"bmc1", "s1"}, {"bmc1", token("s1").Reveal() + "0"},
		{"", token("s1").Reveal()}, {"bmc1", strings.Repeat("x", 257)}, {"bmc1", strings.Repeat("x", 1<<20)},
	} {
		_, err := r.Lookup(wrong.listener, wrong.token)
		wantErr(t, fmt.Sprintf("%.30q at %s", wrong.token, wrong.listener), err, auth.ErrNoSession)
	}
	if _, err := r.Session("bmc2", "s1"); !errors.Is(err, auth.ErrNoSession) || len(r.Sessions("bmc2")) != 0 {
		t.Errorf("the other listener sees it: %v", err)
	}
	if s, err := r.Session("bmc1", "s1"); err != nil || s.Context != "script" {
		t.Errorf("got %v, %v", s, err)
	}

	_, err = r.Create(t.Context(), r.start("s1"))
	wantErr(t, "same id", err, session.ErrExists)
	if err := r.End(t.Context(), "s1", auth.Principal{Account: "root"}); err != nil {
		t.Error(err)
	}
	wantErr(t, "look-up after the end", r.lookup("s1"), auth.ErrNoSession)
	wantErr(t, "second end", r.End(t.Context(), "s1", auth.Principal{}), auth.ErrNoSession)
	wantEqual(t, "rows", r.rows(t), []string{second.ID})
	r.wantEvents(t, "session.start s1", "session.start "+second.ID, "session.start s1", "session.end s1 logout")
}

func TestRefusedStarts(t *testing.T) {
	t.Parallel()
	r := enter(t, t.TempDir(), session.Config{})
	for name, edit := range map[string]func(*session.Start){
		"no token":     func(s *session.Start) { s.Token = auth.Secret{} },
		"long token":   func(s *session.Start) { s.Token = auth.NewSecret(strings.Repeat("x", 257)) },
		"long context": func(s *session.Start) { s.Context = strings.Repeat("x", 1025) },
		"old version":  func(s *session.Start) { s.Version-- },
		"no account":   func(s *session.Start) { s.Principal.AccountID = "2" },
	} {
		s := r.start("s1")
		edit(&s)
		if _, err := r.Create(t.Context(), s); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Create(gone, r.start("s1")); !errors.Is(err, context.Canceled) {
		t.Errorf("caller gone: got %v", err)
	}
	if len(r.Sessions("bmc1")) != 0 || len(r.rows(t)) != 0 {
		t.Error("a refused start left something behind")
	}
}

// TestTokenIsNotStored looks for the token in every file.
func TestTokenIsNotStored(t *testing.T) {
	t.Parallel()
	r := enter(t, t.TempDir(), session.Config{})
	r.mustCreate(t, "s1")
	r.leave()
	err := filepath.WalkDir(r.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte(token("s1").Reveal())) {
			t.Errorf("%s holds the token", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestLookupWithoutStore: once loaded, the check of a token needs nothing but memory.
func TestLookupWithoutStore(t *testing.T) {
	t.Parallel()
	r := enter(t, t.TempDir(), session.Config{})
	r.mustCreate(t, "s1")
	r = r.reopen(t, session.Config{})
	r.leave()
	if err := r.lookup("s1"); err != nil {
		t.Error(err)
	}
	wantErr(t, "unknown", r.lookup("s2"), auth.ErrNoSession)
	_, err := r.Create(t.Context(), r.start("s2"))
	wantErr(t, "create", err, auth.ErrUnavailable)
	wantErr(t, "end", r.End(t.Context(), "s1", auth.Principal{}), auth.ErrUnavailable)
	if err := r.lookup("s1"); err != nil {
		t.Error("a session that could not be ended is gone")
	}
	if err := r.Flush(t.Context()); err == nil {
		t.Error("a flush succeeded without a store")
	}
}

// TestStoreFails: nothing is acknowledged, and the audit says so.
func TestStoreFails(t *testing.T) {
	t.Parallel()
	r := enter(t, t.TempDir(), session.Config{})
	r.mustCreate(t, "s1")
	r.store.Close()
	_, err := r.Create(t.Context(), r.start("s2"))
	wantErr(t, "create", err, auth.ErrUnavailable)
	wantErr(t, "look-up of what was not made", r.lookup("s2"), auth.ErrNoSession)
	wantErr(t, "end", r.End(t.Context(), "s1", auth.Principal{}), auth.ErrUnavailable)
	wantErr(t, "look-up of what was not ended", r.lookup("s1"), nil)
	for range 2 {
		if err := r.Flush(t.Context()); err == nil {
			t.Error("a flush succeeded without a store")
		}
	}
	r.wantEvents(t, "session.start s1", "session.start s2", "session.end s1 logout", "session.end s1 not done")
}

// TestAuditFails: what cannot be recorded does not happen.
func TestAuditFails(t *testing.T) {
	t.Parallel()
	r := enter(t, t.TempDir(), session.Config{})
	r.mustCreate(t, "s1")
	r.log.Close()
	_, err := r.Create(t.Context(), r.start("s2"))
	wantErr(t, "create", err, auth.ErrUnavailable)
	wantErr(t, "end", r.End(t.Context(), "s1", auth.Principal{}), auth.ErrUnavailable)
	wantErr(t, "look-up", r.lookup("s1"), nil)
	wantEqual(t, "rows", r.rows(t), []string{"s1"})
}

func TestLimits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := enter(t, t.TempDir(), session.Config{Idle: time.Minute, Limits: session.Limits{PerAccount: 2, PerListener: 3}})
		r.mustCreate(t, "s1")
		r.mustCreate(t, "s2")
		wantErr(t, "room", r.Room(r.ann.ID, "bmc1"), auth.ErrSessionLimit)
		_, err := r.Create(t.Context(), r.start("s3"))
		wantErr(t, "create", err, auth.ErrSessionLimit)
		wantErr(t, "room elsewhere", r.Room("2", "bmc2"), nil)
		time.Sleep(time.Minute) // both have expired; nobody has flushed
		r.mustCreate(t, "s3")
		wantErr(t, "room after expiry", r.Room(r.ann.ID, "bmc1"), nil)
		wantEqual(t, "rows", r.rows(t), []string{"s3"})
	})
}
