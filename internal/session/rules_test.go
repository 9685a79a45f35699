package session_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/session"
)

// change changes the rules of a listener.
func (r *room) change(t *testing.T, listener string, set func(*session.ListenerRules)) {
	t.Helper()
	rules := r.Rules(listener)
	set(&rules)
	got, err := r.SetRules(t.Context(), rules)
	if err != nil {
		t.Fatal(err)
	}
	if got.Version != rules.Version+1 || r.Rules(listener) != got {
		t.Errorf("stored %+v, in force %+v", got, r.Rules(listener))
	}
}

// TestRulesOfLivingSessions: a timeout counts from its change on, for those at the
// listener alone, and through a restart.
func TestRulesOfLivingSessions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := enter(t, t.TempDir(), session.Config{})
		for _, id := range []string{"s1", "s2", "s3"} {
			r.mustCreate(t, id)
		}
		elsewhere := r.start("s4")
		elsewhere.Listener = "bmc2"
		if _, err := r.Create(t.Context(), elsewhere); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		wantErr(t, "by the default", r.lookup("s1"), nil)
		r.change(t, "bmc1", func(r *session.ListenerRules) { r.Idle = 4 * time.Minute })
		wantErr(t, "used a moment ago", r.lookup("s1"), nil)
		wantErr(t, "unused for longer than is allowed now", r.lookup("s2"), auth.ErrNoSession)
		r.change(t, "bmc1", func(r *session.ListenerRules) { r.Idle = time.Hour })
		wantErr(t, "over by the rules before", r.lookup("s2"), auth.ErrNoSession)

		r.change(t, "bmc1", func(r *session.ListenerRules) { r.Lifetime = 20 * time.Minute })
		s, err := r.Session("bmc1", "s1")
		if err != nil || s.Idle != time.Hour || !s.Expires.Equal(s.Created.Add(20*time.Minute)) {
			t.Errorf("got %+v, %v", s, err)
		}
		if err := r.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		r = r.reopen(t, session.Config{})
		time.Sleep(14 * time.Minute)
		wantErr(t, "within the lifetime", r.lookup("s1"), nil)
		time.Sleep(time.Minute)
		wantErr(t, "beyond it", r.lookup("s1"), auth.ErrNoSession)
		if _, err := r.Session("bmc2", "s4"); err != nil {
			t.Errorf("at another listener: %v", err)
		}
	})
}

func TestRulesAreChecked(t *testing.T) {
	t.Parallel()
	r := enter(t, t.TempDir(), session.Config{Idle: time.Minute, Lifetime: time.Hour})
	want := session.DefaultRules("bmc1")
	want.Idle, want.Lifetime = time.Minute, time.Hour
	if got := r.Rules("bmc1"); got != want {
		t.Errorf("at first %+v, want %+v", got, want)
	}
	for name, set := range map[string]func(*session.ListenerRules){
		"no listener":       func(r *session.ListenerRules) { r.Listener = "" },
		"idle too short":    func(r *session.ListenerRules) { r.Idle = session.MinIdle - 1 },
		"idle too long":     func(r *session.ListenerRules) { r.Idle = session.MaxIdle + 1 },
		"lifetime negative": func(r *session.ListenerRules) { r.Lifetime = -1 },
		"lifetime too long": func(r *session.ListenerRules) { r.Lifetime = session.MaxLifetime + 1 },
		"basic":             func(r *session.ListenerRules) { r.Basic = "enabled" },
		"mapping":           func(r *session.ListenerRules) { r.Mapping = "" },
		"strict alone":      func(r *session.ListenerRules) { r.Strict = true },
	} {
		bad := want
		set(&bad)
		if _, err := r.SetRules(t.Context(), bad); !errors.Is(err, session.ErrBadRules) {
			t.Errorf("%s: %v", name, err)
		}
	}
	r.change(t, "bmc1", func(r *session.ListenerRules) { r.Basic = session.BasicDisabled })
	_, err := r.SetRules(t.Context(), want)
	wantErr(t, "thought out for the rules before", err, session.ErrConflict)
	r.store.Close()
	_, err = r.SetRules(t.Context(), r.Rules("bmc1"))
	wantErr(t, "no store", err, auth.ErrUnavailable)
	if got := r.Rules("bmc1"); got.Basic != session.BasicDisabled {
		t.Errorf("in force after errors: %+v", got)
	}
}
