package session_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/account"
	"github.com/postern/postern/internal/session"
	"github.com/postern/postern/internal/store"
)

// BenchmarkLoad is what 100,000 sessions add to a start.
func BenchmarkLoad(b *testing.B) {
	const sessions, accounts = 100_000, 100
	ctx := context.Background()
	s, err := store.Open(ctx, filepath.Join(b.TempDir(), "db"), store.Options{Now: time.Now()})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	for i := range accounts {
		a := account.Account{ID: fmt.Sprint(i), Name: auth.AccountName(fmt.Sprint("account", i)), Role: auth.Operator, Enabled: true}
		if err := s.CreateAccount(ctx, a, time.Now()); err != nil {
			b.Fatal(err)
		}
	}
	var all sync.WaitGroup
	for i := range accounts {
		all.Go(func() {
			for j := i; j < sessions; j += accounts {
				r := session.Record{
					ID: fmt.Sprintf("%026d", j), Token: sha256.Sum256([]byte(fmt.Sprint(j))), AccountID: fmt.Sprint(i),
					Listener: "bmc1", Context: "script", Created: time.Now(), LastUsed: time.Now(), Version: 1,
				}
				if err := s.CreateSession(ctx, r, session.Limits{}, time.Now()); err != nil {
					b.Error(err)
				}
			}
		})
	}
	all.Wait()
	for b.Loop() {
		table, err := session.New(session.Config{Store: s, Audit: nobody{}})
		if err != nil {
			b.Fatal(err)
		}
		if err := table.Load(ctx); err != nil {
			b.Fatal(err)
		}
		if n := len(table.Sessions("bmc1")); n != sessions {
			b.Fatalf("%d sessions", n)
		}
	}
}

// nobody is an audit that is never asked.
type nobody struct{ session.Audit }
