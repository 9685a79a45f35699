package saved_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/saved"
)

func open(t *testing.T) (*saved.Book, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "state")
	b, err := saved.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return b, dir
}

func page(t *testing.T, b *saved.Book, key string) *saved.Page {
	t.Helper()
	p, err := b.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func login(n int) saved.Login {
	return saved.Login{
		Login: auth.Login{
			Method: auth.MethodSession, Account: "oper", Secret: auth.NewSecret(fmt.Sprintf("token-%d", n)),
			Location: fmt.Sprintf("/redfish/v1/SessionService/Sessions/%d", n), ID: fmt.Sprint(n), Idle: time.Minute,
		},
		URL: "https://bmc.example", Family: "redfish", Created: time.Date(2026, 11, 25, 12, 0, n, 0, time.UTC),
	}
}

func TestBook(t *testing.T) {
	t.Parallel()
	b, dir := open(t)
	p := page(t, b, "bmc1 oper")
	for n := range 3 {
		if err := p.Save(t.Context(), login(n)); err != nil {
			t.Fatal(err)
		}
	}
	ending := login(1)
	ending.Ending = ending.Created.Add(time.Hour)
	if err := errors.Join(p.Save(t.Context(), ending), p.Forget(t.Context(), login(0)), p.Close()); err != nil {
		t.Fatal(err)
	}
	other := page(t, b, "bmc2 oper")
	if err := errors.Join(other.Save(t.Context(), login(0)), other.Close()); err != nil {
		t.Fatal(err)
	}

	again, err := saved.Open(dir) // what another process finds
	if err != nil {
		t.Fatal(err)
	}
	got, err := again.Logins("bmc1 oper")
	if err != nil || len(got) != 2 {
		t.Fatalf("got %d logins, %v; want 2", len(got), err)
	}
	if l := got[0]; !l.Ending.Equal(ending.Ending) || l.Secret.Reveal() != "token-1" || l.Location != ending.Location || l.Idle != time.Minute || !l.Created.Equal(ending.Created) {
		t.Errorf("the first is %+v, want the ending one", l)
	}
	if !got[1].Ending.IsZero() {
		t.Error("the second is ending too")
	}
	if all, err := again.Logins(""); err != nil || len(all) != 3 {
		t.Errorf("all: %d, %v; want 3", len(all), err)
	}
	info, err := os.Stat(filepath.Join(dir, "logins.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v, %v", info.Mode(), err)
	}
}

// Whoever holds the page of a key holds it alone, and others' pages are free.
func TestPageIsExclusive(t *testing.T) {
	t.Parallel()
	b, _ := open(t)
	const callers = 20
	var made atomic.Int32
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			p, err := b.Open(t.Context(), "bmc1")
			if err != nil {
				t.Error(err)
				return
			}
			defer p.Close()
			if have, err := p.Logins(); err != nil || len(have) > 0 {
				return
			}
			made.Add(1)
			if err := p.Save(t.Context(), login(1)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := made.Load(); n != 1 {
		t.Errorf("%d of %d callers logged in, want 1", n, callers)
	}

	p := page(t, b, "bmc1")
	defer p.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Open(ctx, "bmc1"); !errors.Is(err, context.Canceled) {
		t.Errorf("a page that is held: %v", err)
	}
	if err := page(t, b, "bmc2").Close(); err != nil {
		t.Errorf("the page of another key: %v", err)
	}
}

// Two pages write into one file; neither loses what the other wrote.
func TestPagesShareTheFile(t *testing.T) {
	t.Parallel()
	b, _ := open(t)
	var all sync.WaitGroup
	for n := range 20 {
		all.Go(func() {
			p, err := b.Open(t.Context(), fmt.Sprint("bmc", n))
			if err != nil {
				t.Error(err)
				return
			}
			defer p.Close()
			if err := p.Save(t.Context(), login(n)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got, err := b.Logins(""); err != nil || len(got) != 20 {
		t.Errorf("%d logins, %v; want 20", len(got), err)
	}
}

func TestBookRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		want string
	}{
		"newer":      {`{"version": 2, "logins": [{"token": "planted-secret"}]}`, "newer version"},
		"damaged":    {`{"version": 1, "logins": [{"token": "planted-secret"}`, "damaged"},
		"wrong type": {`{"version": 1, "logins": [{"token": "planted-secret", "idle": "planted-secret"}]}`, "damaged"},
		"no version": {`{}`, "no version"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, dir := open(t)
			path := filepath.Join(dir, "logins.json")
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			p := page(t, b, "bmc1")
			defer p.Close()
			err := p.Save(t.Context(), login(1))
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "planted-secret") {
				t.Errorf("got %v, want it to say %q", err, c.want)
			}
			if after, _ := os.ReadFile(path); string(after) != c.text {
				t.Errorf("the file was changed to %q", after)
			}
		})
	}

	b, dir := open(t)
	p := page(t, b, "bmc1")
	if err := errors.Join(p.Save(t.Context(), login(1)), p.Close(), os.Chmod(filepath.Join(dir, "logins.json"), 0o644)); err != nil {
		t.Fatal(err)
	}
	if _, err := saved.Open(dir); err == nil || !strings.Contains(err.Error(), "open to other users") {
		t.Errorf("a file that others can read: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"version":1,"logins":[{"key":"bmc1","url":"https://bmc","token":"t","location":"/x"}]}`))
	f.Add([]byte(`{"version":9}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := filepath.Join(t.TempDir(), "state")
		b, err := saved.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "logins.json"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		before, err := b.Logins("")
		if err != nil {
			return
		}
		p := page(t, b, "fuzz")
		defer p.Close()
		if err := p.Save(t.Context(), login(1)); err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if after, err := b.Logins(""); err != nil || len(after) < len(before) {
			t.Errorf("%d logins after %d, %v", len(after), len(before), err)
		}
	})
}

// What another process writes is seen, whatever was read before.
func TestBookSeesOthers(t *testing.T) {
	t.Parallel()
	b, dir := open(t)
	other, err := saved.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 5 {
		for _, writer := range []*saved.Book{b, other} {
			p := page(t, writer, "bmc1")
			if err := errors.Join(p.Save(t.Context(), login(0)), p.Forget(t.Context(), login(0)), p.Save(t.Context(), login(n)), p.Close()); err != nil {
				t.Fatal(err)
			}
			for who, reader := range map[string]*saved.Book{"who wrote": writer, "one": b, "the other": other} {
				if got, err := reader.Logins("bmc1"); err != nil || len(got) == 0 || got[len(got)-1].Location != login(n).Location {
					t.Errorf("%d: %s finds %v, %v", n, who, got, err)
				}
			}
		}
	}
	if err := os.Remove(filepath.Join(dir, "logins.json")); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Logins(""); err != nil || len(got) != 0 {
		t.Errorf("the file is gone: %d logins, %v", len(got), err)
	}
	// Somebody edits it by hand.
	p := page(t, b, "bmc1")
	if err := errors.Join(p.Save(t.Context(), login(1)), p.Close()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "logins.json")
	if err := os.WriteFile(path, []byte(`{"version":1,"logins":[]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Logins(""); err != nil || len(got) != 0 {
		t.Errorf("edited by hand: %d logins, %v", len(got), err)
	}
}
