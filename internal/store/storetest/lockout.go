package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/postern/postern/internal/account"
)

// Lockouts is the part of the suite for what account.Store knows of wrong passwords.
func Lockouts(t *testing.T, open func(*testing.T) Core) {
	t.Run("failures lock", func(t *testing.T) { failuresLock(t, open(t)) })
	t.Run("lockout without end", func(t *testing.T) { lockoutWithoutEnd(t, open(t)) })
	t.Run("failures are forgotten", func(t *testing.T) { failuresForgotten(t, open(t)) })
	t.Run("failures are no change", func(t *testing.T) { failuresAreNoChange(t, open(t)) })
	t.Run("changes that unlock", func(t *testing.T) { changesUnlock(t, open(t)) })
	t.Run("failures under a race", func(t *testing.T) { failuresRace(t, open(t)) })
}

// three wrong passwords, each at most a minute after the one before, lock for five.
var three = account.Rules{Threshold: 3, Duration: 5 * time.Minute, ResetAfter: time.Minute}

// fail counts a failure and checks what comes of it; until < 0 means no lockout.
func fail(t *testing.T, s Core, a account.Account, r account.Rules, after, until time.Duration) {
	t.Helper()
	locked, end, err := s.NoteFailure(t.Context(), a.ID, noon.Add(after), r)
	must(t, err)
	if locked != (until >= 0) || until >= 0 && !end.Equal(noon.Add(until)) || until < 0 && !end.IsZero() {
		t.Errorf("failure after %v: got %v until %v", after, locked, end)
	}
}

// wantLock checks the part of an account that failures change, and that nothing
// else of it did.
func wantLock(t *testing.T, s Core, a account.Account) {
	t.Helper()
	got, err := s.Account(t.Context(), a.Name)
	must(t, err)
	equal(t, got, a)
}

func failuresLock(t *testing.T, s Core) {
	a := add(t, s, "ann")[0]
	fail(t, s, a, three, 0, -1)
	fail(t, s, a, three, 10*time.Second, -1)
	a.Failures, a.FailedAt = 2, noon.Add(10*time.Second)
	wantLock(t, s, a)
	fail(t, s, a, three, 20*time.Second, 5*time.Minute+20*time.Second)
	fail(t, s, a, three, 30*time.Second, 5*time.Minute+20*time.Second) // not longer by another try
	a.Failures, a.FailedAt, a.Locked, a.LockedUntil = 3, noon.Add(20*time.Second), true, noon.Add(5*time.Minute+20*time.Second)
	wantLock(t, s, a)
	if !a.IsLocked(noon.Add(30*time.Second)) || a.IsLocked(a.LockedUntil) {
		t.Error("a lockout ends at its end, not before")
	}
	fail(t, s, a, three, 6*time.Minute, -1) // over: counted anew
	a.Failures, a.FailedAt, a.Locked, a.LockedUntil = 1, noon.Add(6*time.Minute), false, time.Time{}
	wantLock(t, s, a)

	fail(t, s, a, account.Rules{Threshold: 1, Duration: time.Second}, 6*time.Minute, 6*time.Minute+time.Second)
	_, _, err := s.NoteFailure(t.Context(), "nobody", noon, three)
	wantErr(t, err, account.ErrNotFound)
	wantErr(t, s.ClearFailures(t.Context(), "nobody", noon), nil)
}

func lockoutWithoutEnd(t *testing.T, s Core) {
	a := add(t, s, "ann")[0]
	r := account.Rules{Threshold: 2} // failures count for ever, and so does the lockout
	fail(t, s, a, r, 0, -1)
	locked, until, err := s.NoteFailure(t.Context(), a.ID, noon.Add(1000*time.Hour), r)
	must(t, err)
	if !locked || !until.IsZero() {
		t.Errorf("got %v until %v", locked, until)
	}
	a.Failures, a.FailedAt, a.Locked = 2, noon.Add(1000*time.Hour), true
	wantLock(t, s, a)
	must(t, s.ClearFailures(t.Context(), a.ID, noon.Add(5000*time.Hour)))
	wantLock(t, s, a)
	if !a.IsLocked(noon.Add(9000 * time.Hour)) {
		t.Error("the lockout has ended by itself")
	}
}

func failuresForgotten(t *testing.T, s Core) {
	all := add(t, s, "ann", "bob")
	a := all[0]
	fail(t, s, a, three, 0, -1)
	fail(t, s, a, three, time.Second, -1)
	fail(t, s, all[1], three, time.Second, -1)
	must(t, s.ClearFailures(t.Context(), a.ID, noon.Add(2*time.Second)))
	wantLock(t, s, a)
	all[1].Failures, all[1].FailedAt = 1, noon.Add(time.Second)
	wantLock(t, s, all[1])
	fail(t, s, a, three, 3*time.Second, -1)
	fail(t, s, a, three, 4*time.Second, -1)
	fail(t, s, a, three, 65*time.Second, -1) // more than a minute after the last
	a.Failures, a.FailedAt = 1, noon.Add(65*time.Second)
	wantLock(t, s, a)

	fail(t, s, a, account.Rules{}, 66*time.Second, -1) // no threshold, no count
	wantLock(t, s, a)

	fail(t, s, a, three, 67*time.Second, -1)
	fail(t, s, a, three, 68*time.Second, 5*time.Minute+68*time.Second)
	a.Failures, a.FailedAt, a.Locked, a.LockedUntil = 3, noon.Add(68*time.Second), true, noon.Add(5*time.Minute+68*time.Second)
	must(t, s.ClearFailures(t.Context(), a.ID, noon.Add(69*time.Second))) // by a password that is known from before
	wantLock(t, s, a)
	must(t, s.ClearFailures(t.Context(), a.ID, a.LockedUntil))
	a.Failures, a.FailedAt, a.Locked, a.LockedUntil = 0, time.Time{}, false, time.Time{}
	wantLock(t, s, a)
}

// failuresAreNoChange: whoever thought out a change does not notice them, and they
// end no session.
func failuresAreNoChange(t *testing.T, s Core) {
	a := add(t, s, "root", "ann")[1]
	one, two := login(a, "s1"), login(a, "s2")
	must(t, create(s, one, none))
	fail(t, s, a, three, 0, -1)
	must(t, create(s, two, none))
	must(t, s.ClearFailures(t.Context(), a.ID, noon))
	fail(t, s, a, account.Rules{Threshold: 1, Duration: time.Hour}, 0, time.Hour)
	wantSessions(t, s, one, two)
	a.MustChangePassword = true
	a, err := s.UpdateAccount(t.Context(), a, account.Update{}, noon) // keeps the lockout
	must(t, err)
	if a.Version != 2 || !a.Locked || a.Failures != 1 {
		t.Errorf("got %+v", a)
	}
	one.Version, two.Version = 2, 2
	one.MustChangePassword, two.MustChangePassword = true, true
	wantSessions(t, s, one, two)
}

func changesUnlock(t *testing.T, s Core) {
	for name, change := range map[string]func(*account.Account) account.Update{
		"unlocked":     func(*account.Account) account.Update { return account.Update{Unlock: true} },
		"new password": func(*account.Account) account.Update { return account.Update{Hash: "$new"} },
		"other":        func(a *account.Account) account.Update { a.MustChangePassword = true; return account.Update{} },
	} {
		a := person(name, "ReadOnly")
		must(t, s.CreateAccount(t.Context(), a, noon))
		a = created(a)
		fail(t, s, a, account.Rules{Threshold: 1, Duration: time.Hour}, 0, time.Hour)
		u := change(&a)
		got, err := s.UpdateAccount(t.Context(), a, u, noon)
		must(t, err)
		if stays := name == "other"; got.Locked != stays || got.LockedUntil.IsZero() == stays || (got.Failures == 1) != stays || got.FailedAt.IsZero() == stays {
			t.Errorf("%s: got %+v", name, got)
		}
		wantLock(t, s, got)
	}
}

// failuresRace: no failure is lost, and only one of many locks.
func failuresRace(t *testing.T, s Core) {
	a := add(t, s, "ann")[0]
	r := account.Rules{Threshold: 15, Duration: time.Hour, ResetAfter: time.Hour}
	locked := race(t, 20, errOpen, func(int) error {
		yes, until, err := s.NoteFailure(t.Context(), a.ID, noon, r)
		if err == nil && yes && !until.Equal(noon.Add(time.Hour)) {
			t.Errorf("locked until %v", until)
		}
		if err == nil && !yes {
			return errOpen
		}
		return err
	})
	if locked != 6 { // the fifteenth, and the five behind it
		t.Errorf("%d failures found the account locked, want 6", locked)
	}
	a.Failures, a.FailedAt, a.Locked, a.LockedUntil = 15, noon, true, noon.Add(time.Hour)
	wantLock(t, s, a)
}

var errOpen = errors.New("not locked")
