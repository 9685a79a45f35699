package client_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
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
	heard, ended := make(chan struct{}, 1), make(chan error, 1)
	go func() {
		ended <- c.Listen(t.Context(), target, "", func(client.Notification) error {
			select {
			case heard <- struct{}{}:
			default:
			}
			return nil
		})
	}()
	for open := false; !open; {
		b.testEvent(c, target)
		select {
		case <-heard:
			open = true
		case err := <-ended:
			t.Fatalf("the stream is not open: %v", err)
		default:
		}
	}
	b.DropSessions()
	b.server.CloseClientConnections()
	err := <-ended
	if le, ok := errors.AsType[*auth.LoginError](err); !ok || le.Outcome != auth.Refused {
		t.Errorf("got %v, want the refusal", err)
	}
	if n := b.journal.count("login-refused"); n != 1 {
		t.Errorf("the device refused %d times, want once", n)
	}
}

// testEvent asks the device for an event.
func (b *bench) testEvent(c *client.Client, target client.Target) {
	b.t.Helper()
	const action = "/redfish/v1/EventService/Actions/EventService.SubmitTestEvent"
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, b.server.URL+action, strings.NewReader(`{"MessageId": "ResourceEvent.1.0.ResourceChanged"}`))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := c.Do(b.t.Context(), target, r)
	if err != nil {
		b.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode >= 300 {
		b.t.Fatalf("SubmitTestEvent: status %d", resp.StatusCode)
	}
}
