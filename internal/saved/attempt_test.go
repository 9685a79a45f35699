package saved_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/saved"
)

func TestAttempts(t *testing.T) {
	t.Parallel()
	b, dir := open(t)
	p := page(t, b, "bmc1 oper")
	at := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	refused := saved.Attempt{
		URL: "https://bmc.example", Family: "redfish", Account: "oper", Nonce: "one", Started: at, Ended: at.Add(time.Second),
		Outcome: auth.Refused, Status: 401, Says: "no", Refused: saved.MarkOf(auth.NewSecret("hunter2-wrong")),
	}
	if err := errors.Join(p.Note(t.Context(), refused), p.Note(t.Context(), saved.Attempt{Nonce: "two", Started: at}), p.Close()); err != nil {
		t.Fatal(err)
	}
	again, err := saved.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	got, err := again.Attempts("bmc1 oper")
	if err != nil || len(got) != 2 {
		t.Fatalf("got %d attempts, %v; want 2", len(got), err)
	}
	a := got[0]
	if a.Doubtful() || !a.Refused.Is(auth.NewSecret("hunter2-wrong")) || a.Refused.Is(auth.NewSecret("hunter2-right")) ||
		a.Outcome != auth.Refused || a.Status != 401 || !a.Ended.Equal(refused.Ended) {
		t.Errorf("got %+v, want the refused one", a)
	}
	if !got[1].Doubtful() || got[1].Refused.Is(auth.Secret{}) {
		t.Errorf("got %+v, want one that was cut off", got[1])
	}
	if data, err := os.ReadFile(filepath.Join(dir, "logins.json")); err != nil || strings.Contains(string(data), "hunter2") {
		t.Errorf("the file holds the refused password, or %v", err)
	}

	p = page(t, again, "bmc1 oper")
	l := login(1)
	l.Nonce = "two"
	if err := errors.Join(p.Save(t.Context(), l), p.Drop(t.Context(), "nobody's"), p.Close()); err != nil {
		t.Fatal(err)
	}
	if got, err := again.Attempts(""); err != nil || len(got) != 1 || got[0].Nonce != "one" {
		t.Errorf("got %+v, %v; want the login in the place of its attempt", got, err)
	}
	if got, err := again.Logins(""); err != nil || len(got) != 1 || got[0].Nonce != "two" {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := again.Attempts("bmc2 oper"); err != nil || len(got) != 0 {
		t.Errorf("another key: %+v, %v", got, err)
	}
}
