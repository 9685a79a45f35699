package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/lease"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// Leases is the part of the suite for lease.Store. open returns a new, empty store.
func Leases(t *testing.T, open func(*testing.T) lease.Store) {
	t.Run("budget under a race", func(t *testing.T) { budgetRace(t, open(t)) })
	t.Run("states", func(t *testing.T) { leaseStates(t, open(t)) })
	t.Run("held row comes back whole", func(t *testing.T) { heldRow(t, open(t)) })
	t.Run("facts", func(t *testing.T) { deviceFacts(t, open(t)) })
	t.Run("one pending login under a race", func(t *testing.T) { reserveRace(t, open(t)) })
	t.Run("what a login leaves behind", func(t *testing.T) { settled(t, open(t)) })
	t.Run("proven secret refused in use", func(t *testing.T) { refusedInUse(t, open(t)) })
}

func row(id string) lease.Row {
	return lease.Row{ID: id, Target: "bmc1", Domain: "https://bmc1", Family: "redfish", URL: "https://bmc1",
		CAPEM: "ca", Pin: "pin", Account: "postern", SecretHash: [32]byte{1, 2, 3}, Idle: time.Minute}
}

func budgetRace(t *testing.T, s lease.Store) {
	ctx := context.Background()
	var (
		all      sync.WaitGroup
		admitted atomic.Int64
	)
	for i := range 20 {
		all.Go(func() {
			switch err := s.IntendLease(ctx, row(fmt.Sprint(i)), 3, noon); {
			case err == nil:
				admitted.Add(1)
			case !errors.Is(err, lease.ErrBudget):
				t.Errorf("got %v, want ErrBudget", err)
			}
		})
	}
	all.Wait()
	if n := admitted.Load(); n != 3 {
		t.Errorf("%d admitted, want 3", n)
	}
}

func leaseStates(t *testing.T, s lease.Store) {
	ctx := context.Background()
	must(t, s.IntendLease(ctx, row("a"), 1, noon))
	if err := s.MoveLease(ctx, "a", []lease.State{lease.Held}, lease.Ending, "", noon); !errors.Is(err, lease.ErrState) {
		t.Errorf("intent to ending: got %v, want ErrState", err)
	}
	must(t, s.HoldLease(ctx, row("a"), noon))
	if err := s.HoldLease(ctx, row("a"), noon); !errors.Is(err, lease.ErrState) {
		t.Errorf("held twice: got %v, want ErrState", err)
	}
	if err := s.IntendLease(ctx, row("b"), 1, noon); !errors.Is(err, lease.ErrBudget) {
		t.Errorf("got %v, want ErrBudget", err)
	}
	must(t, s.MoveLease(ctx, "a", []lease.State{lease.Held, lease.Owed}, lease.Ending, "closed", noon))
	must(t, s.MoveLease(ctx, "a", []lease.State{lease.Ending}, lease.Ended, "closed", noon))
	must(t, s.IntendLease(ctx, row("b"), 1, noon))
	for id, want := range map[string]lease.State{"a": lease.Ended, "b": lease.Intent, "c": ""} {
		if got, err := s.LeaseState(ctx, id); err != nil || got != want {
			t.Errorf("state of %s: got %q, %v, want %q", id, got, err, want)
		}
	}
}

func heldRow(t *testing.T, s lease.Store) {
	ctx := context.Background()
	want := row("a")
	must(t, s.IntendLease(ctx, want, 0, noon))
	want.State, want.Location, want.DeviceID, want.TokenSealed = lease.Held, "/Sessions/1", "1", []byte("box")
	want.DeviceDate, want.Created, want.Updated = noon.Add(time.Hour), noon, noon.Add(time.Second)
	must(t, s.HoldLease(ctx, want, noon.Add(time.Second)))
	must(t, s.TouchLeases(ctx, map[string]time.Time{"a": noon.Add(time.Minute), "unknown": noon}, noon.Add(time.Minute)))
	want.LastUsed = noon.Add(time.Minute)
	rows, err := s.OpenLeases(ctx)
	if err != nil || len(rows) != 1 {
		t.Fatalf("got %v, %v, want one row", rows, err)
	}
	if got := fmt.Sprintf("%+v", rows[0]); got != fmt.Sprintf("%+v", want) {
		t.Errorf("got  %s\nwant %+v", got, want)
	}
}

func deviceFacts(t *testing.T, s lease.Store) {
	ctx := context.Background()
	if f, err := s.Facts(ctx, "https://bmc1"); err != nil || f != (lease.Facts{}) {
		t.Errorf("got %+v, %v, want nothing", f, err)
	}
	must(t, s.IntendLease(ctx, row("a"), 0, noon))
	want := lease.Facts{NoNonce: true, KeepsNonce: true, Idle: time.Hour}
	must(t, s.SetFacts(ctx, "https://bmc1", want, noon))
	if f, err := s.Facts(ctx, "https://bmc1"); err != nil || f != want {
		t.Errorf("got %+v, %v, want %+v", f, err, want)
	}
	if rows, err := s.OpenLeases(ctx); err != nil || rows[0].Idle != time.Hour {
		t.Errorf("got %v, %v, want the idle timeout with the open lease", rows, err)
	}
}

var secret = lease.Key{Domain: "https://bmc1", Account: "postern", SecretHash: [32]byte{7}}

// unproven admits one login at a time, and at most two that were not accepted.
func unproven(h lease.History) error {
	if h.Pending > 0 || h.Refused+h.Unknown >= 2 {
		return errors.New("no")
	}
	return nil
}

func reserveRace(t *testing.T, s lease.Store) {
	ctx := context.Background()
	var (
		all      sync.WaitGroup
		reserved atomic.Int64
	)
	for i := range 20 {
		all.Go(func() {
			if s.ReserveLogin(ctx, fmt.Sprint(i), secret, time.Hour, unproven, noon) == nil {
				reserved.Add(1)
			}
		})
	}
	all.Wait()
	if n := reserved.Load(); n != 1 {
		t.Errorf("%d reserved, want 1", n)
	}
}

func settled(t *testing.T, s lease.Store) {
	ctx := context.Background()
	n := 0
	attempt := func(o auth.Outcome, counts bool) {
		t.Helper()
		n++
		id := fmt.Sprint(n)
		must(t, s.ReserveLogin(ctx, id, secret, time.Hour, func(lease.History) error { return nil }, noon))
		must(t, s.SettleLogin(ctx, id, o, counts, noon))
		if err := s.SettleLogin(ctx, id, o, counts, noon); !errors.Is(err, lease.ErrState) {
			t.Errorf("settled twice: got %v, want ErrState", err)
		}
	}
	want := func(proven bool, refused, unknown, counted int) {
		t.Helper()
		var h lease.History
		no := errors.New("only looking")
		err := s.ReserveLogin(ctx, "look", secret, time.Hour, func(got lease.History) error { h = got; return no }, noon)
		if !errors.Is(err, no) {
			t.Fatalf("got %v, want the error of decide", err)
		}
		if h.Proven != proven || h.Refused != refused || h.Unknown != unknown || len(h.Counted) != counted {
			t.Errorf("got %+v, want proven %v, refused %d, unknown %d, counted %d", h, proven, refused, unknown, counted)
		}
	}
	attempt(auth.NotJudged, false)
	want(false, 0, 0, 0)
	attempt(auth.Unknown, true)
	want(false, 0, 1, 1)
	attempt(auth.Refused, true)
	want(false, 1, 1, 2)
	attempt(auth.Accepted, false)
	want(true, 0, 0, 2)
	attempt(auth.Unknown, true) // a proven secret is not harmed by a lost answer
	want(true, 0, 0, 2)
	attempt(auth.NotJudged, true) // refused for another reason; the device may have counted it
	want(true, 0, 0, 3)
	attempt(auth.Refused, true)
	want(false, 1, 0, 4)
}

func refusedInUse(t *testing.T, s lease.Store) {
	ctx := context.Background()
	must(t, s.ReserveLogin(ctx, "1", secret, time.Hour, unproven, noon))
	must(t, s.SettleLogin(ctx, "1", auth.Accepted, false, noon))
	if ok, err := s.Proven(ctx, secret); err != nil || !ok {
		t.Errorf("got %v, %v, want proven", ok, err)
	}
	for i, want := range []bool{true, false} {
		if was, err := s.RefuseProven(ctx, fmt.Sprintf("r%d", i), secret, noon); err != nil || was != want {
			t.Errorf("refusal %d: got %v, %v, want %v", i, was, err, want)
		}
	}
	if ok, err := s.Proven(ctx, secret); err != nil || ok {
		t.Errorf("got %v, %v, want not proven", ok, err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
