package authority

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/account"
)

// slow makes every hash wait for a value from the channel it returns, and answer it.
func (h *house) slow() chan<- bool {
	answers := make(chan bool)
	h.check.hashes = func(string, auth.Secret) bool {
		h.hashed.Add(1)
		return <-answers
	}
	return answers
}

// instant makes hashing free: only good is right.
func (h *house) instant() {
	h.check.hashes = func(_ string, p auth.Secret) bool {
		h.hashed.Add(1)
		return p.Equal(good)
	}
}

// asked starts a check of ann's password and returns where its error will be.
func (h *house) asked(ctx context.Context, password auth.Secret) <-chan error {
	out := make(chan error, 1)
	go func() {
		_, err := h.Check(ctx, attempt("ann", password))
		out <- err
	}()
	return out
}

func TestFailureLimit(t *testing.T) {
	t.Parallel()
	for _, name := range []auth.AccountName{"ann", "nobody"} { // they look the same
		synctest.Test(t, func(t *testing.T) {
			h := build(t, Config{})
			h.instant()
			try := func(name auth.AccountName, password auth.Secret, source netip.Addr) error {
				at := attempt(name, password)
				at.Source = source
				_, err := h.Check(t.Context(), at)
				return err
			}
			for i := range 25 {
				wantErr(t, "wrong", try(name, wrong(i), here), auth.ErrBadCredentials)
			}
			h.wantHashes(t, "25 different wrong passwords", maxWrong)
			for i := range 5 {
				wantErr(t, "again", try(name, wrong(i), here), auth.ErrBadCredentials)
			}
			wantErr(t, "good, not proven", try(name, good, here), auth.ErrBadCredentials)
			h.wantHashes(t, "beyond the limit", 0)
			try(name, wrong(100), there)
			try("root", wrong(100), here)
			h.wantHashes(t, "another source, another account", 2)
			if name == "ann" {
				wantErr(t, "proven elsewhere", try(name, good, there), nil)
				wantErr(t, "proven", try(name, good, here), nil)
				h.wantHashes(t, "proving", 1)
			}
			time.Sleep(failureWindow)
			wantErr(t, "a minute later", try(name, wrong(200), here), auth.ErrBadCredentials)
			h.wantHashes(t, "a minute later", 1)
		})
	}
}

// TestOneDeadClient: the same wrong password, however often, is hashed once a
// minute and locks nobody out.
func TestOneDeadClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := build(t, Config{})
		h.instant()
		for range 30 {
			time.Sleep(2 * time.Second)
			for range 10 {
				_, err := h.Check(t.Context(), attempt("ann", wrong(1)))
				wantErr(t, "dead client", err, auth.ErrBadCredentials)
			}
		}
		h.wantHashes(t, "300 times the same wrong password", 1)
		mustLogin(t, h, attempt("ann", good))
	})
}

func TestFailureLimitUnderARace(t *testing.T) {
	t.Parallel()
	h := build(t, Config{HashSlots: 4})
	h.instant()
	var all sync.WaitGroup
	for i := range 60 {
		all.Go(func() { h.Check(t.Context(), attempt("ann", wrong(i))) })
	}
	all.Wait()
	h.wantHashes(t, "60 at once", maxWrong)
}

func TestChangeLiftsTheLimit(t *testing.T) {
	t.Parallel()
	h := build(t, Config{})
	h.instant()
	for i := range maxWrong {
		h.Check(t.Context(), attempt("ann", wrong(i)))
		h.Check(t.Context(), attempt("root", wrong(i)))
	}
	wantErr(t, "change", h.change(t.Context(), account.Change{Role: new(auth.ReadOnly)}, ""), nil)
	h.hashed.Store(0)
	_, err := h.Check(t.Context(), attempt("ann", good))
	wantErr(t, "the changed account", err, nil)
	_, err = h.Check(t.Context(), attempt("root", good))
	wantErr(t, "another", err, auth.ErrBadCredentials)
	h.wantHashes(t, "after the change", 1)
}

func TestSingleFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := build(t, Config{})
		answers := h.slow()
		ctx, cancel := context.WithCancel(t.Context())
		leaving := h.asked(ctx, good)
		synctest.Wait()
		var asked []<-chan error
		for range 100 {
			asked = append(asked, h.asked(t.Context(), good))
		}
		synctest.Wait()
		cancel() // ends the first caller's waiting, and nothing else
		wantErr(t, "gone", <-leaving, context.Canceled)
		answers <- true
		for _, c := range asked {
			wantErr(t, "asked", <-c, nil)
		}
		h.wantHashes(t, "100 at once", 1)
	})
}

func TestBusy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := build(t, Config{HashSlots: 2, Queue: 5})
		h.instant()
		mustLogin(t, h, attempt("root", good))
		h.hashed.Store(0)
		answers := h.slow()
		var asked []<-chan error
		for i := range 7 {
			asked = append(asked, h.asked(t.Context(), wrong(i)))
		}
		synctest.Wait()
		_, err := h.Check(t.Context(), attempt("nobody", wrong(7)))
		wantErr(t, "one more", err, auth.ErrBusy)
		_, err = h.Check(t.Context(), attempt("root", good))
		wantErr(t, "proven", err, nil)
		h.wantHashes(t, "two slots", 2)
		for range 7 {
			answers <- false
		}
		for _, c := range asked {
			wantErr(t, "asked", <-c, auth.ErrBadCredentials)
		}
		go func() { answers <- false }()
		_, err = h.Check(t.Context(), attempt("nobody", wrong(7)))
		wantErr(t, "later", err, auth.ErrBadCredentials)
		got := h.attempts(t)
		wantEqual(t, "busy is recorded", got[1], "nobody busy too many checks are waiting")
	})
}

// TestOrphans: a check that nobody waits for any more leaves the queue unhashed.
func TestOrphans(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := build(t, Config{HashSlots: 1, Queue: 2})
		answers := h.slow()
		first := h.asked(t.Context(), wrong(1))
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		left := []<-chan error{h.asked(ctx, wrong(2)), h.asked(ctx, wrong(2)), h.asked(ctx, wrong(3))}
		synctest.Wait()
		cancel()
		for _, c := range left {
			wantErr(t, "left", <-c, context.Canceled)
		}
		synctest.Wait()
		second := h.asked(t.Context(), wrong(2)) // not the flight that was left
		synctest.Wait()
		answers <- false
		answers <- false
		wantErr(t, "first", <-first, auth.ErrBadCredentials)
		wantErr(t, "second", <-second, auth.ErrBadCredentials)
		h.wantHashes(t, "the others left", 2)
		if n := h.check.active; n != 0 {
			t.Errorf("%d flights have not landed", n)
		}
	})
}

// TestChangeDuringFlight: a check that began before an account's change answers
// those who asked before, is not joined later, and is not remembered.
func TestChangeDuringFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := build(t, Config{HashSlots: 2})
		answers := h.slow()
		before := h.asked(t.Context(), good)
		synctest.Wait()
		wantErr(t, "change", h.change(t.Context(), account.Change{Role: new(auth.ReadOnly)}, ""), nil)
		after := h.asked(t.Context(), good)
		synctest.Wait()
		answers <- true
		synctest.Wait()
		answers <- false // the second hash, whoever has it
		got := []error{<-before, <-after}
		if (got[0] == nil) == (got[1] == nil) {
			t.Errorf("got %v: they shared an answer", got)
		}
		h.wantHashes(t, "two flights", 2)
	})
}

// TestStaleProof: the flight's account was read before the change, its answer comes after.
func TestStaleProof(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := build(t, Config{})
		answers := h.slow()
		before := h.asked(t.Context(), good)
		synctest.Wait()
		wantErr(t, "change", h.change(t.Context(), account.Change{Role: new(auth.ReadOnly)}, ""), nil)
		answers <- true
		wantErr(t, "before", <-before, nil)
		go func() { answers <- true }()
		p, err := h.Check(t.Context(), attempt("ann", good))
		if err != nil || p.Role != auth.ReadOnly {
			t.Errorf("got %v, %v, want the new role", p.Role, err)
		}
		h.wantHashes(t, "the old proof", 2)
	})
}

func TestClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := build(t, Config{HashSlots: 1})
		answers := h.slow()
		running, waiting := h.asked(t.Context(), wrong(1)), h.asked(t.Context(), wrong(2))
		synctest.Wait()
		closed := make(chan struct{})
		go func() { h.Close(); close(closed) }()
		synctest.Wait()
		select {
		case <-closed:
			t.Error("Close does not wait for the hash that runs")
		default:
		}
		answers <- false
		<-closed
		got := []error{<-running, <-waiting}
		if !errors.Is(errors.Join(got...), auth.ErrUnavailable) || !errors.Is(errors.Join(got...), auth.ErrBadCredentials) {
			t.Errorf("got %v, want one judged and one given up", got)
		}
		_, err := h.Check(t.Context(), attempt("ann", wrong(3)))
		wantErr(t, "after Close", err, auth.ErrUnavailable)
	})
}

// TestMemoryIsBounded: names and sources that nobody knows cost a bounded memory.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	h := build(t, Config{})
	h.instant()
	h.check.wrong, h.check.failed = newFIFO[digest, wrongSecret](100), newFIFO[digest, *failures](100)
	for i := range 1000 {
		name := auth.AccountName(fmt.Sprint("nobody", i))
		if v := h.check.verify(t.Context(), name, here, good); !errors.Is(v.err, auth.ErrBadCredentials) {
			t.Fatal(v.err)
		}
	}
	k := h.check
	if len(k.wrong.entries) != 100 || len(k.wrong.order) != 100 || len(k.failed.entries) != 100 || len(k.proofs) != 0 || len(k.flights) != 0 {
		t.Errorf("kept %d wrong secrets, %d sources, %d proofs, %d flights", len(k.wrong.entries), len(k.failed.entries), len(k.proofs), len(k.flights))
	}
}

func TestFIFO(t *testing.T) {
	t.Parallel()
	f := newFIFO[int, string](3)
	for i := range 5 {
		f.add(i, fmt.Sprint(i))
	}
	f.add(4, "again")
	for k, want := range []string{"", "", "2", "3", "again"} {
		if got, ok := f.get(k); got != want || ok != (want != "") {
			t.Errorf("%d: got %q, %v, want %q", k, got, ok, want)
		}
	}
	f.drop(func(s string) bool { return s != "3" })
	for i := range 100 {
		f.add(i, "x")
		if len(f.entries) > 3 || len(f.order) != 3 {
			t.Fatalf("%d entries, %d in order", len(f.entries), len(f.order))
		}
	}
}

func TestSourceKey(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"2001:db8::1", "2001:db8::ffff:2", true},
		{"2001:db8::1", "2001:db8:0:1::1", false},
		{"fe80::1%eth0", "fe80::2%eth1", true},
	} {
		same := sourceKey(netip.MustParseAddr(c.a)) == sourceKey(netip.MustParseAddr(c.b))
		if same != c.same {
			t.Errorf("%s and %s are the same source: got %v, want %v", c.a, c.b, same, c.same)
		}
	}
	if sourceKey(netip.Addr{}) == sourceKey(netip.MustParseAddr("0.0.0.0")) {
		t.Error("no address is an address")
	}
}
