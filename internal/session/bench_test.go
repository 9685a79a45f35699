package session

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/audit"
)

// filled is a table that has n sessions of 1,000 accounts in memory. What is
// measured on it reaches neither store nor audit, so it has none.
func filled(t testing.TB, n int) (*Table, []string) {
	t.Helper()
	table, err := New(Config{Store: struct{ Store }{}, Audit: struct{ Audit }{}})
	if err != nil {
		t.Fatal(err)
	}
	tokens := make([]string, n)
	now := time.Now()
	for i := range tokens {
		tokens[i] = tokenOf(i)
		table.insert(numbered(i, now))
	}
	return table, tokens
}

func tokenOf(i int) string {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i)))
	return fmt.Sprintf("%032x", sum[:16])
}

// numbered has texts of the lengths that real ones have, each with memory of its own.
func numbered(i int, now time.Time) Record {
	return Record{
		ID: fmt.Sprintf("%026d", i), Token: sha256.Sum256([]byte(tokenOf(i))), AccountID: fmt.Sprintf("%026d", i%1000), Listener: "bmc1",
		Source: netip.MustParseAddr("2001:db8::1"), Context: fmt.Sprintf("client number %d", i), Created: now, LastUsed: now,
		Account: auth.AccountName(fmt.Sprint("account", i%1000)), Role: auth.Operator, Version: 1,
	}
}

var _ Audit = (*audit.Log)(nil)

func TestLookupDoesNotAllocate(t *testing.T) {
	table, tokens := filled(t, 100)
	for name, token := range map[string]string{
		"known": tokens[7], "unknown": "ffffffffffffffffffffffffffffffff", "longest": string(make([]byte, MaxToken)), "too long": string(make([]byte, MaxToken+1)),
	} {
		n := testing.AllocsPerRun(100, func() { table.Lookup("bmc1", token) })
		if n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	if n := testing.AllocsPerRun(100, func() { table.Rules("bmc1"); table.Rules("unheard of") }); n != 0 {
		t.Errorf("rules: %v allocations", n)
	}
	if _, err := table.Lookup("bmc1", tokens[7]); err != nil {
		t.Error(err)
	}
}

// maxSessionBytes is what a living session may take of the memory, maps and all.
const maxSessionBytes = 1024

// memoryOf is the memory that a session takes among n.
func memoryOf(t testing.TB, n int) float64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	table, _ := filled(t, n)
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(table)
	return float64(after.HeapAlloc-before.HeapAlloc) / float64(n)
}

func TestMemory(t *testing.T) { // not parallel: it looks at the whole heap
	if got := memoryOf(t, 20_000); got > maxSessionBytes {
		t.Errorf("a session takes %.0f bytes, more than %d", got, maxSessionBytes)
	}
}

func BenchmarkMemory(b *testing.B) {
	for b.Loop() {
		b.ReportMetric(memoryOf(b, 1_000_000), "B/session")
	}
}

func BenchmarkLookup(b *testing.B) {
	for _, n := range []int{1_000, 100_000, 1_000_000} {
		table, tokens := filled(b, n)
		b.Run(fmt.Sprint("known/", n), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := table.Lookup("bmc1", tokens[i*7919%n]); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprint("unknown/", n), func(b *testing.B) {
			b.ReportAllocs()
			token := []byte("ffffffffffffffffffffffffffffffff")
			for i := 0; b.Loop(); i++ {
				binary.BigEndian.PutUint64(token, uint64(i))
				if _, err := table.Lookup("bmc1", string(token[:])); err == nil {
					b.Fatal("found")
				}
			}
		})
		b.Run(fmt.Sprint("parallel/", n), func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					table.Lookup("bmc1", tokens[i*7919%n])
				}
			})
		})
	}
}

// BenchmarkReap is what a look through all sessions costs, every FlushInterval.
func BenchmarkReap(b *testing.B) {
	table, _ := filled(b, 1_000_000)
	for b.Loop() {
		if err := table.sweep(context.Background(), time.Now()); err != nil {
			b.Fatal(err)
		}
	}
}
