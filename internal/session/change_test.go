package session_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/account"
	"github.com/postern/postern/internal/session"
)

func TestAccountChange(t *testing.T) {
	t.Parallel()
	r := enter(t, t.TempDir(), session.Config{})
	r.mustCreate(t, "kept")
	r.mustCreate(t, "ended")
	bob := account.Account{ID: "2", Name: "bob", Role: auth.Administrator, Enabled: true}
	if err := r.store.CreateAccount(t.Context(), bob, time.Now()); err != nil {
		t.Fatal(err)
	}
	s := r.start("other")
	s.Principal, s.Version = auth.Principal{Account: "bob", AccountID: "2", Role: auth.Administrator}, 1
	if _, err := r.Create(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	change := func(keep string, set func(*account.Account)) {
		t.Helper()
		set(&r.ann)
		var err error
		if r.ann, err = r.store.UpdateAccount(t.Context(), r.ann, account.Update{Keep: keep}, time.Now()); err != nil {
			t.Fatal(err)
		}
		r.Refresh(r.ann, keep)
	}
	change("kept", func(a *account.Account) { a.Role = auth.ReadOnly })
	wantErr(t, "kept", r.lookup("kept"), nil)
	wantErr(t, "ended", r.lookup("ended"), auth.ErrNoSession)
	wantErr(t, "other", r.lookup("other"), nil)
	if got, err := r.Session("bmc1", "kept"); err != nil || got.Principal.Role != auth.ReadOnly {
		t.Errorf("got role %s, %v, want the new one", got.Principal.Role, err)
	}
	r.mustCreate(t, "new")
	r.Refresh(r.ann, "") // told twice, and late: what was made after the change stays
	wantErr(t, "new", r.lookup("new"), nil)
	change("new", func(a *account.Account) { a.Enabled = false })
	wantErr(t, "kept, disabled", r.lookup("kept"), auth.ErrNoSession)
	wantErr(t, "new, disabled", r.lookup("new"), auth.ErrNoSession)
	if err := r.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "rows", r.rows(t), []string{"other"})
	wantEqual(t, "ends", r.events(t)[4:], []string{"session.end ended account changed",
		"session.end kept account changed", "session.end new account changed"}, cmpopts.SortSlices(strings.Compare))
}

// TestCreateRacesChange: memory and store agree when logins, logouts and changes
// of the account meet.
func TestCreateRacesChange(t *testing.T) {
	t.Parallel()
	r := enter(t, t.TempDir(), session.Config{})
	accounts, err := account.New(account.Config{Store: r.store, Changed: r.Refresh})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.store.CreateAccount(t.Context(), account.Account{ID: "2", Name: "root", Role: auth.Administrator, Enabled: true}, time.Now()); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	var made atomic.Int64
	for g := range 8 {
		all.Go(func() {
			for i := range 10 {
				a, err := r.store.Account(t.Context(), "ann")
				if err != nil {
					t.Error(err)
				}
				s := r.start(fmt.Sprint(g, "-", i))
				s.Version, s.Principal.Role = a.Version, a.Role
				switch _, err := r.Create(t.Context(), s); {
				case err == nil:
					made.Add(1)
				case !errors.Is(err, session.ErrStale):
					t.Error(err)
				}
				if i%3 == 0 {
					r.End(t.Context(), s.ID, auth.Principal{})
				}
			}
		})
	}
	roles := []auth.Role{auth.Operator, auth.ReadOnly}
	all.Go(func() {
		for i := range 10 {
			if _, err := accounts.Change(t.Context(), "ann", account.Change{Role: &roles[i%2]}, fmt.Sprint(i, "-1")); err != nil {
				t.Error(err)
			}
		}
	})
	all.Wait()
	var inMemory []string
	for _, s := range r.Sessions("bmc1") {
		inMemory = append(inMemory, s.ID)
		if s.Principal.Role != auth.ReadOnly {
			t.Errorf("%s has the role %s", s.ID, s.Principal.Role)
		}
	}
	slices.Sort(inMemory)
	wantEqual(t, "memory against store", inMemory, r.rows(t))
	t.Logf("%d made, %d left", made.Load(), len(inMemory))
}

// A meddler is a store in which the account changes right behind the commit of a
// session, before the table knows of either.
type meddler struct {
	session.Store
	after func()
}

func (m meddler) CreateSession(ctx context.Context, r session.Record, l session.Limits, at time.Time) error {
	err := m.Store.CreateSession(ctx, r, l, at)
	m.after()
	return err
}

// TestChangeBetweenCommitAndIndex: the change has ended the session in the store,
// so it must not come to life in memory.
func TestChangeBetweenCommitAndIndex(t *testing.T) {
	t.Parallel()
	r := enter(t, t.TempDir(), session.Config{})
	refreshed := make(chan struct{})
	var table *session.Table
	table, err := session.New(session.Config{Audit: r.log, Store: meddler{r.store, func() {
		a, err := r.store.UpdateAccount(t.Context(), r.ann, account.Update{Hash: "$new"}, time.Now())
		if err != nil {
			t.Error(err)
		}
		go func() {
			table.Refresh(a, "")
			close(refreshed)
		}()
		select {
		case <-refreshed: // too early: the session is not in the index yet
		case <-time.After(20 * time.Millisecond):
		}
	}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := table.Create(t.Context(), r.start("s1")); err != nil {
		t.Fatal(err)
	}
	<-refreshed
	_, err = table.Lookup("bmc1", token("s1").Reveal())
	wantErr(t, "a session that ended while it was made", err, auth.ErrNoSession)
	wantEqual(t, "rows", r.rows(t), []string{})
}

func TestEndOnce(t *testing.T) {
	t.Parallel()
	r := enter(t, t.TempDir(), session.Config{})
	r.mustCreate(t, "s1")
	var all sync.WaitGroup
	var ended atomic.Int64
	for range 20 {
		all.Go(func() {
			switch err := r.End(t.Context(), "s1", auth.Principal{}); {
			case err == nil:
				ended.Add(1)
			case !errors.Is(err, auth.ErrNoSession):
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := ended.Load(); n != 1 {
		t.Errorf("ended %d times", n)
	}
	r.wantEvents(t, "session.start s1", "session.end s1 logout")
}
