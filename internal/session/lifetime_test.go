package session_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/session"
)

func TestTimeouts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		idle, lifetime, step time.Duration
		uses                 int // that succeed
	}{
		"used in time":        {10 * time.Minute, 0, 10*time.Minute - 1, 50},
		"idle at the instant": {10 * time.Minute, 0, 10 * time.Minute, 0},
		"lifetime wins":       {10 * time.Minute, time.Hour, 9 * time.Minute, 6},
		"idle wins":           {10 * time.Minute, time.Hour, 11 * time.Minute, 0},
		"lifetime alone":      {48 * time.Hour, time.Hour, 20 * time.Minute, 2},
		"default idle":        {0, 0, 29 * time.Minute, 50},
		"default idle over":   {0, 0, 31 * time.Minute, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := enter(t, t.TempDir(), session.Config{Idle: c.idle, Lifetime: c.lifetime})
				r.mustCreate(t, "s1")
				uses := 0
				for range 50 {
					time.Sleep(c.step)
					if r.lookup("s1") != nil {
						break
					}
					uses++
				}
				if uses != c.uses {
					t.Errorf("used %d times, want %d", uses, c.uses)
				}
				if uses < 50 && (len(r.Sessions("bmc1")) != 0 || r.End(t.Context(), "s1", auth.Principal{}) == nil) {
					t.Error("an expired session is listed or can be ended")
				}
			})
		})
	}
}

// TestRunEnds: what has expired is recorded and its row deleted, in this order.
func TestRunEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := enter(t, t.TempDir(), session.Config{Idle: time.Minute, Lifetime: 3 * time.Minute})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx) }()
		r.mustCreate(t, "idle")
		r.mustCreate(t, "used")
		for range 5 {
			time.Sleep(45 * time.Second)
			r.lookup("used")
		}
		synctest.Wait()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		wantEqual(t, "rows", r.rows(t), []string{})
		r.wantEvents(t, "session.start idle", "session.start used", "session.end idle idle timeout", "session.end used lifetime over")
	})
}

// TestLossBound: after a crash a session may end FlushInterval too early, and
// not more; after an orderly end not at all.
func TestLossBound(t *testing.T) {
	t.Parallel()
	for _, orderly := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := enter(t, t.TempDir(), session.Config{Idle: 10 * time.Minute})
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- r.Run(ctx) }()
			r.mustCreate(t, "s1")
			time.Sleep(session.FlushInterval - time.Second)
			used := time.Now()
			r.lookup("s1")
			time.Sleep(session.FlushInterval)
			synctest.Wait()
			lost := used
			if last := time.Now(); last.After(used) {
				r.lookup("s1") // not flushed when the crash comes
				used = last
			}
			if orderly {
				lost = used
				cancel()
				<-done
			}
			r2 := r.reopen(t, session.Config{})
			cancel()
			got, err := r2.Session("bmc1", "s1")
			if err != nil || !got.LastUsed.Equal(lost) {
				t.Errorf("orderly %v: last used %v, %v, want %v", orderly, got.LastUsed, err, lost)
			}
			if used.Sub(lost) > session.FlushInterval {
				t.Errorf("lost %v", used.Sub(lost))
			}
		})
	}
}

// TestNotResurrected: nothing that ended comes back, whatever was in flight.
func TestNotResurrected(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := session.Config{Idle: time.Minute}
		r := enter(t, t.TempDir(), c)
		for _, id := range []string{"ended", "expired", "alive"} {
			r.mustCreate(t, id)
		}
		time.Sleep(30 * time.Second)
		r.lookup("ended")
		r.lookup("alive")
		if err := r.End(t.Context(), "ended", auth.Principal{}); err != nil {
			t.Fatal(err)
		}
		if err := r.Flush(t.Context()); err != nil { // would touch "ended"
			t.Fatal(err)
		}
		time.Sleep(40 * time.Second)
		r = r.reopen(t, c)
		wantErr(t, "ended", r.lookup("ended"), auth.ErrNoSession)
		wantErr(t, "expired", r.lookup("expired"), auth.ErrNoSession)
		wantErr(t, "alive", r.lookup("alive"), nil)
		if !r.Known("expired") || r.Known("ended") {
			t.Error("Known does not tell what the store had")
		}
		if err := r.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "rows", r.rows(t), []string{"alive"})
	})
}

func TestClockSetBack(t *testing.T) {
	t.Parallel()
	var offset atomic.Int64
	base := time.Now()
	c := session.Config{Idle: time.Minute, Now: func() time.Time { return base.Add(time.Duration(offset.Load())) }}
	r := enter(t, t.TempDir(), c)
	r.mustCreate(t, "s1")
	r.mustCreate(t, "s2")
	offset.Store(int64(-24 * time.Hour))
	if err := r.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	offset.Add(int64(time.Minute))
	wantErr(t, "running", r.lookup("s1"), auth.ErrNoSession)
	offset.Store(int64(-48 * time.Hour))
	r = r.reopen(t, c)
	offset.Add(int64(time.Minute))
	wantErr(t, "after a start", r.lookup("s2"), auth.ErrNoSession)
}
