package passcode_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/passcode"
)

type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func newBook() (*passcode.Book, *clock) {
	c := &clock{time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	return passcode.New(c.now), c
}

func issue(t *testing.T, b *passcode.Book, user string) auth.Secret {
	t.Helper()
	code, err := b.Issue(user)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// other is a code of the right form that is not this one.
func other(code auth.Secret) auth.Secret {
	if code.Reveal() == "111111" {
		return auth.NewSecret("222222")
	}
	return auth.NewSecret("111111")
}

func want(t *testing.T, got, want error) {
	t.Helper()
	if !errors.Is(got, want) || want == nil && got != nil {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestCodeIsUsedOnce(t *testing.T) {
	t.Parallel()
	b, _ := newBook()
	code := issue(t, b, "ann")
	want(t, b.Use("bob", code), passcode.ErrWrong)
	want(t, b.Use("ann", code), nil)
	want(t, b.Use("ann", code), passcode.ErrWrong)
}

func TestCodesHaveSixDigits(t *testing.T) {
	t.Parallel()
	b, _ := newBook()
	seen := map[string]bool{}
	for i := range 500 {
		code := issue(t, b, fmt.Sprint(i)).Reveal()
		if len(code) != 6 || strings.Trim(code, "0123456789") != "" || code[0] == '0' {
			t.Fatalf("code %q", code)
		}
		seen[code] = true
	}
	if len(seen) < 490 {
		t.Errorf("%d of 500 codes differ", len(seen))
	}
}

func TestCodeExpires(t *testing.T) {
	t.Parallel()
	b, c := newBook()
	code := issue(t, b, "ann")
	c.at = c.at.Add(passcode.Life - 1)
	want(t, b.Use("ann", other(code)), passcode.ErrWrong)
	c.at = c.at.Add(1)
	want(t, b.Use("ann", other(code)), passcode.ErrWrong)
	want(t, b.Use("ann", code), passcode.ErrExpired)
	want(t, b.Use("ann", code), passcode.ErrWrong)
}

func TestWrongTriesEndACode(t *testing.T) {
	t.Parallel()
	b, _ := newBook()
	code := issue(t, b, "ann")
	for _, bad := range []string{"", "0", "000000", "12345", "1234567", "12345a", "１２３４５６", "012345"} {
		want(t, b.Use("ann", auth.NewSecret(bad)), passcode.ErrWrong) // not counted
	}
	for range passcode.MaxTries {
		want(t, b.Use("ann", other(code)), passcode.ErrWrong)
	}
	want(t, b.Use("ann", code), passcode.ErrWrong)
	if _, err := b.Issue("ann"); err != nil {
		t.Errorf("a new one after the old one was ended: %v", err)
	}
}

func TestMailsAreLimited(t *testing.T) {
	t.Parallel()
	b, c := newBook()
	first := issue(t, b, "ann")
	_, err := b.Issue("ann")
	want(t, err, passcode.ErrRecent)
	issue(t, b, "bob") // is another one
	c.at = c.at.Add(passcode.Gap)
	second := issue(t, b, "ann")
	if first.Equal(second) {
		issue(t, b, "carl") // one in a million: the old code is the new one
	} else {
		want(t, b.Use("ann", first), passcode.ErrWrong)
		want(t, b.Use("ann", second), nil)
	}
	for range passcode.MaxCodes - 2 {
		c.at = c.at.Add(passcode.Gap)
		issue(t, b, "ann")
	}
	c.at = c.at.Add(passcode.Gap)
	_, err = b.Issue("ann")
	want(t, err, passcode.ErrTooMany)
	c.at = c.at.Add(passcode.Window)
	issue(t, b, "ann")
}

func TestWithdraw(t *testing.T) {
	t.Parallel()
	b, _ := newBook()
	b.Withdraw("nobody")
	code := issue(t, b, "ann")
	b.Withdraw("ann")
	want(t, b.Use("ann", code), passcode.ErrWrong)
	issue(t, b, "ann") // at once: nothing went out
}

func TestUsersAreBounded(t *testing.T) {
	t.Parallel()
	b, c := newBook()
	var err error
	for i := 0; i <= 10_000 && err == nil; i++ {
		_, err = b.Issue(fmt.Sprint(i))
	}
	want(t, err, passcode.ErrTooMany)
	c.at = c.at.Add(passcode.Window)
	issue(t, b, "late")
}
