package authority

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/session"
)

// BenchmarkLogin is a login whose password was proven before, synced in the audit
// and in the store; compare BenchmarkLogin of the store.
func BenchmarkLogin(b *testing.B) {
	for _, n := range []int{1, 8, 64, 256} {
		b.Run(fmt.Sprint("at a time/", n), func(b *testing.B) {
			h := build(b, Config{})
			h.unlimited(b)
			h.instant()
			next := make(chan struct{})
			var all sync.WaitGroup
			b.ResetTimer()
			for range n {
				all.Go(func() {
					for range next {
						if _, err := h.Login(context.Background(), attempt("ann", good)); err != nil {
							b.Error(err)
						}
					}
				})
			}
			for range b.N {
				next <- struct{}{}
			}
			close(next)
			all.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "logins/s")
		})
	}
}

// unlimited gives h a table without limits on sessions.
func (h *house) unlimited(b *testing.B) {
	b.Helper()
	t, err := session.New(session.Config{Store: h.store, Audit: h.log, Limits: session.Limits{PerAccount: -1, PerListener: -1}})
	if err != nil {
		b.Fatal(err)
	}
	h.sessions, h.Authority.sessions = t, t
}

func BenchmarkCheck(b *testing.B) {
	h := build(b, Config{})
	ctx := context.Background()
	b.Run("basic", func(b *testing.B) {
		at := attempt("ann", good)
		h.Check(ctx, at)
		b.ReportAllocs()
		b.ResetTimer()
		for b.Loop() {
			if _, err := h.Check(ctx, at); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("token", func(b *testing.B) {
		at := attempt("ann", good)
		if _, err := h.Login(ctx, at); err != nil {
			b.Fatal(err)
		}
		token := at.Token.Reveal()
		b.ReportAllocs()
		for b.Loop() {
			if _, err := h.Lookup("bmc1", token); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkFlood shows what those who are logged in feel of a flood of wrong
// passwords, from many sources so that no limit but that of the slots stops it: the
// worst per cent of callers who come every 2 ms and make a token check, a proven
// password check and 50 µs of other work.
func BenchmarkFlood(b *testing.B) {
	for _, flood := range []bool{false, true} {
		name := map[bool]string{false: "quiet", true: "flood"}[flood]
		b.Run(name, func(b *testing.B) {
			h := build(b, Config{})
			ctx, cancel := context.WithCancel(context.Background())
			at := attempt("ann", good)
			if _, err := h.Login(ctx, at); err != nil {
				b.Fatal(err)
			}
			var all sync.WaitGroup
			var wrongs atomic.Int64
			if flood {
				for range 200 {
					all.Go(func() {
						for ctx.Err() == nil {
							i := wrongs.Add(1)
							bad := attempt(auth.AccountName(fmt.Sprint("nobody", i)), wrong(int(i)))
							h.Check(ctx, bad)
						}
					})
				}
				time.Sleep(100 * time.Millisecond)
			}
			took := make([]time.Duration, 0, b.N)
			for b.Loop() {
				begin := time.Now()
				if _, err := h.Lookup("bmc1", at.Token.Reveal()); err != nil {
					b.Fatal(err)
				}
				if _, err := h.Check(ctx, at); err != nil {
					b.Fatal(err)
				}
				for time.Since(begin) < 50*time.Microsecond {
				}
				took = append(took, time.Since(begin))
				time.Sleep(2 * time.Millisecond)
			}
			cancel()
			all.Wait()
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
		})
	}
}
