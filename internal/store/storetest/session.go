package storetest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/account"
	"github.com/postern/postern/internal/session"
)

// Sessions is the part of the suite for session.Store. open returns a new, empty store.
func Sessions(t *testing.T, open func(*testing.T) Core) {
	t.Run("create and read", func(t *testing.T) { sessionCreate(t, open(t)) })
	t.Run("id and token are unique", func(t *testing.T) { sessionUnique(t, open(t)) })
	t.Run("stale account", func(t *testing.T) { sessionStale(t, open(t)) })
	t.Run("limits", func(t *testing.T) { sessionLimits(t, open(t)) })
	t.Run("ended sessions give their places back", func(t *testing.T) { endedGivePlaces(t, open(t)) })
	t.Run("account limit under a race", func(t *testing.T) { accountLimitRace(t, open(t)) })
	t.Run("listener limit under a race", func(t *testing.T) { listenerLimitRace(t, open(t)) })
	t.Run("delete", func(t *testing.T) { sessionDelete(t, open(t)) })
	t.Run("touch", func(t *testing.T) { sessionTouch(t, open(t)) })
	t.Run("account change ends them", func(t *testing.T) { accountChangeEnds(t, open(t)) })
	t.Run("login races account change", func(t *testing.T) { loginRacesChange(t, open(t)) })
	t.Run("rules of a listener", func(t *testing.T) { listenerRules(t, open(t)) })
	t.Run("rules under a race", func(t *testing.T) { listenerRulesRace(t, open(t)) })
}

// none is no limit at all.
var none session.Limits

func login(a account.Account, id string) session.Record {
	return session.Record{
		ID: id, Token: sha256.Sum256([]byte("token of " + id)), AccountID: a.ID, Listener: "bmc1",
		Source: netip.MustParseAddr("2001:db8::1"), Context: "a script", Created: noon, LastUsed: noon.Add(time.Second),
		Account: a.Name, Role: a.Role, Version: a.Version, Kind: auth.Certificate, InitialRole: auth.Operator,
	}
}

func create(s Core, r session.Record, l session.Limits) error {
	return s.CreateSession(context.Background(), r, l, noon)
}

func wantSessions(t *testing.T, s Core, want ...session.Record) {
	t.Helper()
	got, err := s.Sessions(t.Context())
	must(t, err)
	slices.SortFunc(got, func(a, b session.Record) int { return strings.Compare(a.ID, b.ID) })
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Addr{})); d != "" {
		t.Errorf("sessions are not as wanted (-want +got):\n%s", d)
	}
}

func sessionCreate(t *testing.T, s Core) {
	a := add(t, s, "root", "ann")
	first, second := login(a[0], "s1"), login(a[1], "s2")
	second.Source, second.Context, second.Kind, second.InitialRole = netip.Addr{}, "", auth.Password, ""
	must(t, create(s, first, none))
	must(t, create(s, second, none))
	wantSessions(t, s, first, second)
}

func sessionUnique(t *testing.T, s Core) {
	a := add(t, s, "root")[0]
	first := login(a, "s1")
	must(t, create(s, first, none))
	sameID, sameToken := login(a, "s1"), login(a, "s2")
	sameID.Token[0]++
	sameToken.Token = first.Token
	wantErr(t, create(s, sameID, none), session.ErrExists)
	wantErr(t, create(s, sameToken, none), session.ErrExists)
	wantSessions(t, s, first)
}

func sessionStale(t *testing.T, s Core) {
	a := add(t, s, "root", "ann", "out")
	older, unknown := login(a[1], "s1"), login(a[1], "s2")
	older.Version--
	unknown.AccountID = "nobody"
	wantErr(t, create(s, older, none), session.ErrStale)
	wantErr(t, create(s, unknown, none), session.ErrStale)
	a[2].Enabled = false
	out, err := s.UpdateAccount(t.Context(), a[2], account.Update{}, noon)
	must(t, err)
	wantErr(t, create(s, login(out, "s3"), none), session.ErrStale)
	wantSessions(t, s)
}

func sessionLimits(t *testing.T, s Core) {
	a := add(t, s, "root", "ann")
	two := session.Limits{PerAccount: 2, PerListener: 3}
	must(t, create(s, login(a[0], "s1"), two))
	other := login(a[0], "s2")
	other.Listener = "bmc2" // the account's limit is over all listeners
	must(t, create(s, other, two))
	wantErr(t, create(s, login(a[0], "s3"), two), auth.ErrSessionLimit)
	must(t, create(s, login(a[1], "s4"), two))
	must(t, create(s, login(a[1], "s5"), two))
	third := login(a[1], "s6")
	wantErr(t, create(s, third, session.Limits{PerAccount: 9, PerListener: 3}), auth.ErrSessionLimit)
	must(t, s.DeleteSessions(t.Context(), []string{"s1"}, noon))
	must(t, create(s, third, session.Limits{PerAccount: 9, PerListener: 3}))
	must(t, create(s, login(a[1], "s7"), none))
}

// endedGivePlaces: however a session ends, its place is free again, once.
func endedGivePlaces(t *testing.T, s Core) {
	a := add(t, s, "root", "ann", "bob")
	two := session.Limits{PerAccount: 2, PerListener: 4}
	for _, id := range []string{"r1", "a1", "b1", "b2"} {
		owner := map[byte]account.Account{'r': a[0], 'a': a[1], 'b': a[2]}[id[0]]
		must(t, create(s, login(owner, id), two))
	}
	wantErr(t, create(s, login(a[1], "a2"), two), auth.ErrSessionLimit)
	must(t, s.DeleteSessions(t.Context(), []string{"b1", "b1"}, noon))
	wantErr(t, create(s, login(a[0], "r1"), two), session.ErrExists) // takes no place
	must(t, create(s, login(a[1], "a2"), two))
	wantErr(t, create(s, login(a[2], "b3"), two), auth.ErrSessionLimit)

	ann := a[1]
	ann, err := s.UpdateAccount(t.Context(), ann, account.Update{Hash: "$new", Keep: "a2"}, noon)
	must(t, err)
	must(t, create(s, login(a[2], "b3"), two))
	_, err = s.DeleteAccount(t.Context(), "bob", 0, noon)
	must(t, err)
	must(t, create(s, login(ann, "a3"), two))
	wantErr(t, create(s, login(ann, "a4"), two), auth.ErrSessionLimit) // its own two
	must(t, create(s, login(a[0], "r2"), two))
	wantErr(t, create(s, login(a[0], "r3"), session.Limits{PerListener: 4}), auth.ErrSessionLimit)
}

func accountLimitRace(t *testing.T, s Core) {
	a := add(t, s, "root")[0]
	won := race(t, 24, auth.ErrSessionLimit, func(i int) error {
		r := login(a, fmt.Sprint("s", i))
		r.Listener = fmt.Sprint("bmc", i%3)
		return create(s, r, session.Limits{PerAccount: 7, PerListener: 20})
	})
	if got, err := s.Sessions(t.Context()); won != 7 || len(got) != 7 || err != nil {
		t.Errorf("%d logins admitted, %d sessions, %v; want 7", won, len(got), err)
	}
}

func listenerLimitRace(t *testing.T, s Core) {
	a := add(t, s, "a", "b", "c", "d")
	won := race(t, 24, auth.ErrSessionLimit, func(i int) error {
		return create(s, login(a[i%4], fmt.Sprint("s", i)), session.Limits{PerAccount: 20, PerListener: 5})
	})
	if got, err := s.Sessions(t.Context()); won != 5 || len(got) != 5 || err != nil {
		t.Errorf("%d logins admitted, %d sessions, %v; want 5", won, len(got), err)
	}
}

func sessionDelete(t *testing.T, s Core) {
	a := add(t, s, "root")[0]
	for _, id := range []string{"s1", "s2", "s3"} {
		must(t, create(s, login(a, id), none))
	}
	must(t, s.DeleteSessions(t.Context(), []string{"s1", "unknown", "s3"}, noon))
	must(t, s.DeleteSessions(t.Context(), []string{"s1"}, noon))
	must(t, s.DeleteSessions(t.Context(), nil, noon))
	wantSessions(t, s, login(a, "s2"))
	must(t, create(s, login(a, "s1"), none)) // the id is free again
}

func sessionTouch(t *testing.T, s Core) {
	a := add(t, s, "root")[0]
	one, two := login(a, "s1"), login(a, "s2")
	must(t, create(s, one, none))
	must(t, create(s, two, none))
	must(t, s.DeleteSessions(t.Context(), []string{"s2"}, noon))
	one.LastUsed = noon.Add(time.Minute)
	must(t, s.TouchSessions(t.Context(), []session.Touch{{ID: "s1", Used: one.LastUsed}, {ID: "s2", Used: noon}}, noon))
	wantSessions(t, s, one) // a touch brings nothing back
}

func accountChangeEnds(t *testing.T, s Core) {
	a := add(t, s, "root", "ann")
	other, kept, ended := login(a[0], "s1"), login(a[1], "s2"), login(a[1], "s3")
	for _, r := range []session.Record{other, kept, ended} {
		must(t, create(s, r, none))
	}
	ann := a[1]
	ann.Role = auth.ReadOnly
	ann, err := s.UpdateAccount(t.Context(), ann, account.Update{Keep: "s2"}, noon)
	must(t, err)
	kept.Role, kept.Version = ann.Role, ann.Version
	wantSessions(t, s, other, kept)

	ann, err = s.UpdateAccount(t.Context(), ann, account.Update{Hash: "$new", Keep: "s1"}, noon) // not a session of this account
	must(t, err)
	wantSessions(t, s, other)

	must(t, create(s, login(ann, "s4"), none))
	ann.Enabled = false
	_, err = s.UpdateAccount(t.Context(), ann, account.Update{Keep: "s4"}, noon) // nothing is kept of a disabled account
	must(t, err)
	wantSessions(t, s, other)
}

// loginRacesChange: whichever comes first, no session made with the old password
// is left after the change.
func loginRacesChange(t *testing.T, s Core) {
	ann := add(t, s, "root", "ann")[1]
	race(t, 20, session.ErrStale, func(i int) error {
		if i == 10 {
			_, err := s.UpdateAccount(t.Context(), ann, account.Update{Hash: "$new"}, noon)
			return err
		}
		return create(s, login(ann, fmt.Sprint("s", i)), none)
	})
	wantSessions(t, s)
}

func listenerRules(t *testing.T, s Core) {
	ctx := t.Context()
	want := func(want ...session.ListenerRules) {
		t.Helper()
		got, err := s.ListenerRules(ctx)
		must(t, err)
		if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
			t.Errorf("rules are not as wanted (-want +got):\n%s", d)
		}
	}
	want()
	full := session.ListenerRules{
		Listener: "bmc2", SessionsDisabled: true, Idle: time.Hour, Lifetime: 24 * time.Hour, Basic: session.BasicUnadvertised,
		Certificates: true, Mapping: session.MapUserPrincipalName, Strict: true, Version: 1,
	}
	plain := session.DefaultRules("bmc1")
	wrong := plain
	wrong.Version = 7
	_, err := s.SetListenerRules(ctx, wrong, noon)
	wantErr(t, err, session.ErrConflict)
	want() // nothing is left of it
	for _, r := range []*session.ListenerRules{&full, &plain, &full} {
		version := r.Version
		*r, err = s.SetListenerRules(ctx, *r, noon)
		must(t, err)
		if r.Version != version+1 {
			t.Errorf("version %d after %d", r.Version, version)
		}
	}
	want(plain, full)
	old := full
	old.Version, old.Strict = 2, false
	_, err = s.SetListenerRules(ctx, old, noon)
	wantErr(t, err, session.ErrConflict)
	want(plain, full)
}

func listenerRulesRace(t *testing.T, s Core) {
	won := race(t, 10, session.ErrConflict, func(i int) error {
		r := session.DefaultRules("bmc1")
		r.Idle = time.Duration(i+1) * time.Minute
		_, err := s.SetListenerRules(context.Background(), r, noon)
		return err
	})
	if won != 1 {
		t.Errorf("%d set the first rules, want 1", won)
	}
}
