package session

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/netip"
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
		tokens[i] = fmt.Sprintf("%032x", sha256.Sum256([]byte{byte(i), byte(i >> 8), byte(i >> 16)}))[:32]
		a := i % 1000
		table.insert(Record{
			ID: fmt.Sprint(i), Token: sha256.Sum256([]byte(tokens[i])), AccountID: fmt.Sprint(a), Listener: "bmc1",
			Source: netip.MustParseAddr("192.0.2.1"), Created: now, LastUsed: now,
			Account: auth.AccountName(fmt.Sprint("account", a)), Role: auth.Operator, Version: 1,
		})
	}
	return table, tokens
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
	if _, err := table.Lookup("bmc1", tokens[7]); err != nil {
		t.Error(err)
	}
}

func BenchmarkLookup(b *testing.B) {
	for _, n := range []int{100, 20_000, 1_000_000} {
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
				token[i%32] = 'a' + byte(i%26)
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
