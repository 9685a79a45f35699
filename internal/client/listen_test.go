package client_test

import (
	"context"
	"errors"
	"runtime"
	"testing"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/client"
	"github.com/postern/postern/internal/sim"
)

// A stream that is lost is not asked for again and again with a password that the
// device has refused.
func TestListenEndsWithRefusal(t *testing.T) {
	t.Parallel()
	b := start(t, sim.Config{})
	target := b.target(auth.MethodSession)
	given := 0
	target.Credential = func(context.Context) (auth.Credential, error) {
		secret := password
		if given++; given > 1 {
			secret = "changed"
		}
		return auth.Credential{Account: "root", Password: auth.NewSecret(secret)}, nil
	}
	target.Says = func([]byte) string { return "" }
	c := b.client()
	if _, _, err := c.Login(t.Context(), target); err != nil {
		t.Fatal(err)
	}
	opened := make(chan error, 1)
	go func() {
		opened <- c.Listen(t.Context(), target, "", func(client.Notification) error { return nil })
	}()
	for b.journal.count("call") < 2 { // the look for the stream, and its opening
		select {
		case err := <-opened:
			t.Fatalf("the stream is not open: %v", err)
		case <-t.Context().Done():
			t.Fatal("the stream is not open")
		default:
			runtime.Gosched()
		}
	}
	b.DropSessions()
	b.server.CloseClientConnections()
	err := <-opened
	if le, ok := errors.AsType[*auth.LoginError](err); !ok || le.Outcome != auth.Refused {
		t.Errorf("got %v, want the refusal", err)
	}
	if n := b.journal.count("login-refused"); n != 1 {
		t.Errorf("the device refused %d times, want once", n)
	}
}
