package client_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/client"
	"github.com/postern/postern/internal/saved"
	"github.com/postern/postern/internal/sim"
)

// cutOff is what a process leaves behind that dies in the middle of a login: the
// attempt in the book, and the session at the device.
func (b *bench) cutOff(target client.Target, nonce string) {
	b.t.Helper()
	p, err := b.book().Open(b.t.Context(), target.Family+" "+target.URL+" "+string(target.Account))
	if err != nil {
		b.t.Fatal(err)
	}
	defer p.Close()
	err = p.Note(b.t.Context(), saved.Attempt{URL: target.URL, Family: target.Family, Account: target.Account, Nonce: nonce, Started: b.now()})
	if err != nil {
		b.t.Fatal(err)
	}
	cred, _ := target.Credential(b.t.Context())
	if _, err := target.Device.Login(b.t.Context(), cred, auth.LoginOptions{Nonce: nonce}); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) book() *saved.Book {
	b.t.Helper()
	book, err := saved.Open(b.dir)
	if err != nil {
		b.t.Fatal(err)
	}
	return book
}

func (b *bench) attempts() []saved.Attempt {
	b.t.Helper()
	all, err := b.book().Attempts("")
	if err != nil {
		b.t.Fatal(err)
	}
	return all
}

func TestCutOffLogin(t *testing.T) {
	t.Parallel()
	b := start(t, sim.Config{})
	target := b.target(auth.MethodSession)
	b.cutOff(target, "postern:one")

	// Nobody is logged in: it cannot be looked for, and is not forgotten.
	n, err := b.client().Logout(t.Context(), target)
	if owed, ok := errors.AsType[*client.Owed](err); n != 0 || !ok || owed.Location != "" {
		t.Errorf("logout: %d, %v; want an *Owed", n, err)
	}
	// The next login ends it.
	b.wantGet(b.client(), target)
	if n, left := b.Stats().Sessions, b.attempts(); n != 1 || len(left) != 0 {
		t.Errorf("%d sessions, %d attempts; want the new one alone", n, len(left))
	}
	// So does a logout that has a login at hand.
	b.cutOff(target, "postern:two")
	if n, err := b.client().Logout(t.Context(), target); n != 1 || err != nil {
		t.Errorf("logout: %d, %v", n, err)
	}
	if n, left := b.Stats().Sessions, b.attempts(); n != 0 || len(left) != 0 {
		t.Errorf("%d sessions, %d attempts left", n, len(left))
	}
}

// A person's session with the same text in it is not ended: it is nobody's
// to tell apart.
func TestCutOffLoginTwice(t *testing.T) {
	t.Parallel()
	b := start(t, sim.Config{})
	target := b.target(auth.MethodSession)
	b.cutOff(target, "postern:one")
	cred, _ := target.Credential(t.Context())
	if _, err := target.Device.Login(t.Context(), cred, auth.LoginOptions{Nonce: "postern:one"}); err != nil {
		t.Fatal(err)
	}
	b.wantGet(b.client(), target)
	if n, left := b.Stats().Sessions, b.attempts(); n != 3 || len(left) != 1 {
		t.Errorf("%d sessions, %d attempts; want none ended, and it remembered", n, len(left))
	}
	b.later(25 * time.Hour)
	if _, err := b.client().Logout(t.Context(), target); err != nil || len(b.attempts()) != 0 {
		t.Errorf("a day later: %v, %d attempts; want it forgotten", err, len(b.attempts()))
	}
}

// Who waited for a login that failed fails as it did, and makes no other.
func TestFailsTogether(t *testing.T) {
	t.Parallel()
	b := start(t, sim.Config{Faults: []string{"drop-login-answer=1"}})
	target := b.target(auth.MethodSession)
	waiting := make(chan struct{})
	var second sync.WaitGroup
	credential := target.Credential
	target.Credential = func(ctx context.Context) (auth.Credential, error) {
		other := b.target(auth.MethodSession)
		second.Go(func() {
			c := client.New(b.book(), func() time.Time {
				select {
				case <-waiting:
				default:
					close(waiting) // it has asked, and waits for the page now
				}
				return b.now()
			})
			_, err := b.get(c, other)
			if le, ok := errors.AsType[*auth.LoginError](err); !ok || le.Outcome != auth.Unknown || !strings.Contains(err.Error(), "another command") {
				t.Errorf("the second: %v", err)
			}
		})
		<-waiting
		b.later(time.Second)
		return credential(ctx)
	}
	_, err := b.get(b.client(), target)
	if le, ok := errors.AsType[*auth.LoginError](err); !ok || le.Outcome != auth.Unknown {
		t.Errorf("the first: %v", err)
	}
	second.Wait()
	if n := b.journal.count("login"); n != 1 {
		t.Errorf("%d logins, want 1", n)
	}
	if left := b.attempts(); len(left) != 1 || !left[0].Doubtful() {
		t.Errorf("attempts: %+v; want the one whose answer was lost", left)
	}
}

// A refused password is sent once, by however many commands.
func TestRefusedPasswordIsKeptBack(t *testing.T) {
	t.Parallel()
	for _, method := range []auth.Method{auth.MethodSession, auth.MethodBasic} {
		t.Run(string(method), func(t *testing.T) {
			t.Parallel()
			b := start(t, sim.Config{})
			wrong := b.target(method)
			wrong.Credential = func(context.Context) (auth.Credential, error) {
				return auth.Credential{Account: "root", Password: auth.NewSecret("wrong")}, nil
			}
			if _, err := b.get(b.client(), wrong); err == nil {
				t.Fatal("the wrong password is good")
			}
			for range 2 {
				_, err := b.get(b.client(), wrong)
				if _, ok := errors.AsType[*client.RefusedError](err); !ok || strings.Contains(err.Error(), "wrong") {
					t.Errorf("got %v, want a *RefusedError", err)
				}
			}
			if n := b.journal.count("login-refused"); n != 1 {
				t.Errorf("the device refused %d times, want once", n)
			}
			b.wantGet(b.client(), b.target(method)) // another password
			if n := len(b.attempts()); n != 0 {
				t.Errorf("%d attempts are remembered after a good login", n)
			}
			if _, err := b.client().Logout(t.Context(), b.target(method)); err != nil {
				t.Error(err)
			}
		})
	}
}

// With HTTP Basic the password that is no longer good is sent once, not with
// each call.
func TestBasicPasswordChanges(t *testing.T) {
	t.Parallel()
	b := start(t, sim.Config{})
	b.wantGet(b.client(), b.target(auth.MethodBasic))
	stale := b.target(auth.MethodBasic)
	stale.Credential = func(context.Context) (auth.Credential, error) {
		return auth.Credential{Account: "root", Password: auth.NewSecret("stale")}, nil
	}
	for range 3 {
		if status, err := b.get(b.client(), stale); err == nil {
			t.Errorf("status %d", status)
		}
	}
	// The call, and the look whether it was about that one resource.
	if n := b.journal.count("login-refused"); n > 2 {
		t.Errorf("the device refused %d times", n)
	}
	if _, err := b.client().Logout(t.Context(), stale); err != nil || len(b.attempts()) != 0 {
		t.Errorf("logout: %v, %d attempts", err, len(b.attempts()))
	}
}

// A login that was made in another way than is asked for is not used.
func TestMethodIsKept(t *testing.T) {
	t.Parallel()
	b := start(t, sim.Config{})
	c := b.client()
	b.wantGet(c, b.target(auth.MethodSession))
	l, fresh, err := c.Login(t.Context(), b.target(auth.MethodBasic))
	if err != nil || !fresh || l.Method != auth.MethodBasic {
		t.Errorf("got a login by %s, fresh %v, %v; want a new one by basic", l.Method, fresh, err)
	}
	if n, err := c.Logout(t.Context(), b.target(auth.MethodAuto)); n != 2 || err != nil {
		t.Errorf("logout: %d, %v; want both ended", n, err)
	}
}

// What the command no longer wants is not begun.
func TestCancelledBeforeLogin(t *testing.T) {
	t.Parallel()
	b := start(t, sim.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	target := b.target(auth.MethodSession)
	credential := target.Credential
	target.Credential = func(ctx context.Context) (auth.Credential, error) {
		cancel()
		return credential(ctx)
	}
	if _, _, err := b.client().Login(ctx, target); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if n := b.journal.count("login"); n != 0 || len(b.attempts()) != 0 {
		t.Errorf("%d logins, %d attempts", n, len(b.attempts()))
	}
}

// What is remembered of refusals and doubts has a bound.
func TestAttemptsAreBounded(t *testing.T) {
	t.Parallel()
	b := start(t, sim.Config{})
	for _, secret := range []string{"a", "b", "c", "d", "e", "f"} {
		wrong := b.target(auth.MethodSession)
		wrong.Credential = func(context.Context) (auth.Credential, error) {
			return auth.Credential{Account: "root", Password: auth.NewSecret(secret)}, nil
		}
		b.later(time.Second)
		if _, err := b.get(b.client(), wrong); err == nil {
			t.Fatal("a wrong password is good")
		}
	}
	if n := len(b.attempts()); n != 4 {
		t.Errorf("%d refusals are remembered, want 4", n)
	}
}
