package account

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/postern/postern/auth"
)

// BootstrapName is the name of the first administrator.
const BootstrapName auth.AccountName = "admin"

// Bootstrap makes the first administrator where no account exists at all, with a
// random password, and reports whether it did. save gets the password before the
// account is on stable storage, so that a crash in between leaves no account
// whose password nobody has; an error of save stops Bootstrap.
func Bootstrap(ctx context.Context, s Store, at time.Time, save func(auth.AccountName, auth.Secret) error) (bool, error) {
	have, err := s.Accounts(ctx)
	if err != nil {
		return false, fmt.Errorf("account: first administrator: %w", err)
	}
	if len(have) > 0 {
		return false, nil
	}
	password := RandomPassword()
	hash, err := Hash(password)
	if err != nil {
		return false, err
	}
	if err := save(BootstrapName, password); err != nil {
		return false, fmt.Errorf("account: save the first administrator's password: %w", err)
	}
	a := Account{ID: rand.Text(), Name: BootstrapName, Role: auth.Administrator, Hash: hash, Enabled: true}
	if err := s.CreateAccount(ctx, a, at); err != nil {
		return false, fmt.Errorf("account: first administrator: %w", err)
	}
	return true, nil
}

// readable leaves out the letters and digits that are taken for one another.
const readable = "abcdefghjkmnpqrstuvwxyz23456789"

// randomLength gives 118 bits from 31 letters.
const randomLength = 24

// RandomPassword returns a password of 24 letters and digits that can be read aloud.
func RandomPassword() auth.Secret {
	out := make([]byte, 0, randomLength)
	var b [64]byte
	for len(out) < randomLength {
		rand.Read(b[:]) // never fails
		for _, c := range b {
			c &= 31 // 31 letters: the value 31 is drawn again
			if int(c) < len(readable) && len(out) < randomLength {
				out = append(out, readable[c])
			}
		}
	}
	return auth.NewSecret(string(out))
}
