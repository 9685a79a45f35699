package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/account"
	"github.com/postern/postern/internal/lease"
	"github.com/postern/postern/internal/store"
)

// A snapshot is whole while others write.
func TestSnapshot(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "db"))
	stop := make(chan struct{})
	var writing sync.WaitGroup
	first := make(chan struct{})
	writing.Go(func() {
		for i := 0; ; i++ {
			a := account.Account{ID: strconv.Itoa(i), Name: auth.AccountName("a" + strconv.Itoa(i)), Role: auth.Administrator, Enabled: true}
			if err := s.CreateAccount(t.Context(), a, noon); err != nil {
				t.Error(err)
				return
			}
			if i == 0 {
				close(first)
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	<-first
	copied := filepath.Join(dir, "copy?a#b%.db")
	if err := s.Snapshot(t.Context(), copied); err != nil {
		t.Fatal(err)
	}
	if err := s.Snapshot(t.Context(), copied); !errors.Is(err, os.ErrExist) {
		t.Errorf("over a file: %v", err)
	}
	close(stop)
	writing.Wait()
	if info, err := os.Stat(copied); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info, err)
	}
	c := open(t, copied)
	list, err := c.Accounts(t.Context())
	if err != nil || len(list) == 0 {
		t.Fatalf("%d accounts, %v", len(list), err)
	}
	if c.Epoch() != s.Epoch()+1 {
		t.Errorf("epoch %d after %d", c.Epoch(), s.Epoch())
	}
}

// After a restore no counter is believed.
func TestRestored(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "db")
	s := open(t, path)
	proven := lease.Key{Domain: "https://bmc", Account: "root", SecretHash: [32]byte{1}}
	blocked := lease.Key{Domain: "https://other", Account: "root", SecretHash: [32]byte{2}}
	pending := lease.Key{Domain: "https://third", Account: "root", SecretHash: [32]byte{3}}
	anything := func(lease.History) error { return nil }
	for id, c := range map[string]struct {
		key lease.Key
		out []auth.Outcome
	}{"p": {proven, []auth.Outcome{auth.Accepted}}, "b": {blocked, []auth.Outcome{auth.Refused, auth.Refused}}, "q": {pending, nil}} {
		for i, o := range c.out {
			id := id + strconv.Itoa(i)
			if err := s.ReserveLogin(t.Context(), id, c.key, time.Hour, anything, noon); err != nil {
				t.Fatal(err)
			}
			if err := s.SettleLogin(t.Context(), id, o, o == auth.Refused, noon); err != nil {
				t.Fatal(err)
			}
		}
		if c.out == nil {
			if err := s.ReserveLogin(t.Context(), id, c.key, time.Hour, anything, noon); err != nil {
				t.Fatal(err)
			}
		}
	}
	if ok, err := s.Proven(t.Context(), proven); err != nil || !ok {
		t.Fatalf("proven: %v, %v", ok, err)
	}
	later := noon.Add(time.Minute)
	if err := s.Restored(t.Context(), later); err != nil {
		t.Fatal(err)
	}
	before := s.Epoch()
	s.Close()
	s, err := store.Open(t.Context(), path, store.Options{Now: later})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.Epoch() < before+1000 {
		t.Errorf("epoch %d after %d: the original may have used it", s.Epoch(), before)
	}
	if ok, err := s.Proven(t.Context(), proven); err != nil || ok {
		t.Errorf("still proven: %v, %v", ok, err)
	}
	for name, c := range map[string]struct {
		key     lease.Key
		refused int
	}{"proven": {proven, 1}, "blocked": {blocked, 2}, "pending": {pending, 1}} {
		var h lease.History
		stop := errors.New("only looking")
		err := s.ReserveLogin(t.Context(), "look"+name, c.key, time.Hour, func(x lease.History) error { h = x; return stop }, later)
		if !errors.Is(err, stop) {
			t.Fatal(err)
		}
		if h.Refused != c.refused || !h.RefusedAt.Equal(later) || h.Proven || h.Pending != 0 || len(h.Counted) == 0 {
			t.Errorf("%s: %+v", name, h)
		}
	}
}
