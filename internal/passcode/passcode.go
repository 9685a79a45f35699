// Package passcode keeps the one-time codes that people are sent besides their
// password: who has one, until when, and how often somebody was wrong about it.
package passcode

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"time"

	"github.com/postern/postern/auth"
)

const (
	// Life is how long a code is good.
	Life = 5 * time.Minute
	// MaxTries is how many wrong codes end the right one. A code is one of a
	// million, so that MaxTries and MaxCodes leave a guesser who has the password a
	// chance of less than one in 10,000 an hour.
	MaxTries = 3
	// Gap is how long nobody gets a second code: a client that asks twice in a row
	// means one.
	Gap = 30 * time.Second
	// MaxCodes is how many codes a user gets within Window.
	MaxCodes = 10
	// Window is the time that MaxCodes counts in.
	Window = time.Hour

	// maxUsers bounds the users that are remembered; a user has some 300 bytes.
	maxUsers = 10_000
	digits   = 6
)

var (
	// ErrWrong: not the code, used before, or no code was given out.
	ErrWrong = errors.New("passcode: wrong")
	// ErrExpired: the right code, too late.
	ErrExpired = errors.New("passcode: expired")
	// ErrRecent: a code that is still good went out a moment ago.
	ErrRecent = errors.New("passcode: one was sent a moment ago")
	// ErrTooMany: the user had as many codes as one may have for now, or there are
	// too many users.
	ErrTooMany = errors.New("passcode: too many were asked for")
)

// A Book knows the codes by a keyed hash alone. It lives in memory: a restart
// ends all codes. Safe for concurrent use.
type Book struct {
	now func() time.Time
	key [sha256.Size]byte

	mu    sync.Mutex
	users map[string]*entry
}

// An entry is what is known of one user.
type entry struct {
	hash   [sha256.Size]byte
	alive  bool
	issued time.Time
	wrong  int
	sent   []time.Time // within Window, oldest first
}

// New returns an empty book. now is the clock that lives are measured with; nil
// is time.Now.
func New(now func() time.Time) *Book {
	if now == nil {
		now = time.Now
	}
	b := &Book{now: now, users: make(map[string]*entry)}
	rand.Read(b.key[:])
	return b
}

// Issue gives out a new code, which takes the place of an earlier one: six
// digits, the first of them not zero (HPE, "Two-factor authentication": positive
// and non-zero). ErrRecent, ErrTooMany.
func (b *Book) Issue(user string) (auth.Secret, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(900_000))
	if err != nil {
		return auth.Secret{}, fmt.Errorf("passcode: %w", err)
	}
	code := fmt.Sprint(100_000 + n.Int64())
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	e := b.users[user]
	if e == nil {
		if len(b.users) >= maxUsers {
			b.sweep(now)
		}
		if len(b.users) >= maxUsers {
			return auth.Secret{}, ErrTooMany
		}
		e = &entry{}
		b.users[user] = e
	}
	e.forget(now)
	switch {
	case e.alive && now.Sub(e.issued) < Gap:
		return auth.Secret{}, ErrRecent
	case len(e.sent) >= MaxCodes:
		return auth.Secret{}, ErrTooMany
	}
	e.hash, e.alive, e.issued, e.wrong = b.hash(user, code), true, now, 0
	e.sent = append(e.sent, now)
	return auth.NewSecret(code), nil
}

// Withdraw ends a user's code, as one that could not be sent. It stays counted.
func (b *Book) Withdraw(user string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.users[user]; e != nil {
		e.alive = false
	}
}

// Use judges a code and ends it where it is good. ErrWrong, ErrExpired. Whoever
// has no code looks the same as who has another one.
func (b *Book) Use(user string, code auth.Secret) error {
	hash := b.hash(user, code.Reveal())
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.users[user]
	if e == nil {
		e = &entry{}
	}
	same := hmac.Equal(hash[:], e.hash[:])
	late := b.now().Sub(e.issued) >= Life
	switch {
	case !e.alive || !wellFormed(code.Reveal()):
		return ErrWrong // no try at all: no code is of another form
	case same && late:
		e.alive = false
		return ErrExpired
	case same:
		e.alive = false
		return nil
	}
	if e.wrong++; e.wrong >= MaxTries {
		e.alive = false
	}
	return ErrWrong
}

// wellFormed reports whether a text has the form of a code.
func wellFormed(code string) bool {
	if len(code) != digits || code[0] == '0' {
		return false
	}
	for _, c := range []byte(code) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// hash is that of a user's code under the book's own key: the hash of six digits
// alone would give them away.
func (b *Book) hash(user, code string) (sum [sha256.Size]byte) {
	m := hmac.New(sha256.New, b.key[:])
	fmt.Fprintf(m, "%d:%s:%s", len(user), user, code)
	m.Sum(sum[:0])
	return sum
}

// forget drops what Window has left behind.
func (e *entry) forget(now time.Time) {
	for len(e.sent) > 0 && now.Sub(e.sent[0]) >= Window {
		e.sent = e.sent[1:]
	}
}

// sweep drops the users who have nothing to be remembered for; b.mu is held.
func (b *Book) sweep(now time.Time) {
	for user, e := range b.users {
		if e.forget(now); len(e.sent) == 0 {
			delete(b.users, user)
		}
	}
}
