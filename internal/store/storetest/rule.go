package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/postern/postern/internal/account"
)

// Rules is the part of the suite for the login rules and former passwords of
// account.Store.
func Rules(t *testing.T, open func(*testing.T) Core) {
	t.Run("set", func(t *testing.T) { rulesSet(t, open(t)) })
	t.Run("set under a race", func(t *testing.T) { rulesRace(t, open(t)) })
	t.Run("former passwords", func(t *testing.T) { formerPasswords(t, open(t)) })
	t.Run("another hash of the same password", func(t *testing.T) { replaceHash(t, open(t)) })
}

func rulesSet(t *testing.T, s Core) {
	got, err := s.Rules(t.Context())
	must(t, err)
	equal(t, got, account.DefaultRules())
	r := account.Rules{Min: 12, Max: 100, History: 5, Threshold: 7, Duration: time.Hour, ResetAfter: time.Minute, Version: 1}
	got, err = s.SetRules(t.Context(), r, noon)
	must(t, err)
	_, err = s.SetRules(t.Context(), r, noon)
	wantErr(t, err, account.ErrConflict)
	r.Version = 2
	equal(t, got, r)
	r.Version = 0 // whatever it is
	got, err = s.SetRules(t.Context(), r, noon)
	must(t, err)
	r.Version = 3
	equal(t, got, r)
	got, err = s.Rules(t.Context())
	must(t, err)
	equal(t, got, r)
}

func rulesRace(t *testing.T, s Core) {
	won := race(t, 10, account.ErrConflict, func(i int) error {
		_, err := s.SetRules(t.Context(), account.Rules{Min: 8, Max: 20 + i, Version: 1}, noon)
		return err
	})
	if won != 1 {
		t.Errorf("%d changes of the same version succeeded, want 1", won)
	}
}

// keep sets how many former passwords are kept.
func keep(t *testing.T, s Core, n int) {
	t.Helper()
	r := account.DefaultRules()
	r.History, r.Version = n, 0
	_, err := s.SetRules(t.Context(), r, noon)
	must(t, err)
}

func wantFormer(t *testing.T, s Core, a account.Account, want ...string) {
	t.Helper()
	got, err := s.FormerHashes(t.Context(), a.ID)
	must(t, err)
	equal(t, got, want)
}

func formerPasswords(t *testing.T, s Core) {
	all := add(t, s, "root", "ann")
	root, ann := all[0], all[1]
	set := func(a account.Account, hash string) account.Account {
		a, err := s.UpdateAccount(t.Context(), a, account.Update{Hash: hash}, noon)
		must(t, err)
		return a
	}
	ann = set(ann, "$1")
	wantFormer(t, s, ann)
	keep(t, s, 3)
	for i := 2; i <= 6; i++ {
		ann = set(ann, fmt.Sprint("$", i))
	}
	root = set(root, "$a")
	wantFormer(t, s, ann, "$5", "$4", "$3")
	wantFormer(t, s, root, "$hash of root")
	ann.MustChangePassword = true // the password stays
	ann, err := s.UpdateAccount(t.Context(), ann, account.Update{}, noon)
	must(t, err)
	wantFormer(t, s, ann, "$5", "$4", "$3")
	keep(t, s, 2)
	wantFormer(t, s, ann, "$5", "$4")
	keep(t, s, account.MaxHistory)
	for i := range account.MaxHistory + 3 {
		ann = set(ann, fmt.Sprint("$more ", i))
	}
	got, err := s.FormerHashes(t.Context(), ann.ID)
	must(t, err)
	if len(got) != account.MaxHistory || got[0] != "$more 25" || got[23] != "$more 2" {
		t.Errorf("got %d hashes from %q", len(got), got)
	}
	_, err = s.DeleteAccount(t.Context(), "ann", 0, noon)
	must(t, err)
	wantFormer(t, s, ann)
	keep(t, s, 0)
	wantFormer(t, s, root)
}

func replaceHash(t *testing.T, s Core) {
	a := add(t, s, "root", "ann")[1]
	keep(t, s, 3)
	s1 := login(a, "s1")
	must(t, create(s, s1, none))
	must(t, s.ReplaceHash(t.Context(), a.ID, a.Hash, "$better", noon.Add(time.Hour)))
	wantErr(t, s.ReplaceHash(t.Context(), a.ID, a.Hash, "$worse", noon), account.ErrConflict)
	wantErr(t, s.ReplaceHash(t.Context(), "nobody", a.Hash, "$worse", noon), account.ErrConflict)
	old := a
	a.Hash = "$better"
	wantLock(t, s, a)
	wantFormer(t, s, a)
	wantSessions(t, s, s1)
	old.MustChangePassword, a.MustChangePassword = true, true // by somebody who read it before
	got, err := s.UpdateAccount(t.Context(), old, account.Update{}, noon)
	must(t, err)
	a.Version = 2
	equal(t, got, a)
}
