// Package keyring keeps device passwords in the desktop's keyring: the Secret
// Service on Linux and the BSDs, the Keychain on macOS.
package keyring

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"github.com/zalando/go-keyring"

	"github.com/postern/postern/auth"
)

var (
	// ErrNotFound: the keyring has no password for the device and the account.
	ErrNotFound = errors.New("the keyring has no such password")
	// ErrNone: there is no keyring, or it does not answer.
	ErrNone = errors.New("no desktop keyring answers here")
)

const (
	service = "postern"
	// patience is how long the keyring may take: a person may have to unlock it.
	patience = 60 * time.Second
	// maxSecret bounds what is read, in bytes, as for every other source.
	maxSecret = 4096
)

// name is what a password is found by. The device is part of it, so that none is
// sent to another.
func name(device string, account auth.AccountName) string { return string(account) + " at " + device }

// Get returns the password of an account at a device. Errors: ErrNotFound,
// ErrNone with the cause.
func Get(device string, account auth.AccountName) (auth.Secret, error) {
	var text string
	err := ask(func() (err error) {
		text, err = keyring.Get(service, name(device, account))
		return err
	})
	switch {
	case err != nil:
		return auth.Secret{}, err
	case text == "" || len(text) > maxSecret:
		return auth.Secret{}, fmt.Errorf("%w: what is there is no password", ErrNotFound)
	}
	return auth.NewSecret(text), nil
}

// Set keeps the password, in the place of the one that is there. Error: ErrNone.
func Set(device string, account auth.AccountName, password auth.Secret) error {
	return ask(func() error { return keyring.Set(service, name(device, account), password.Reveal()) })
}

// Delete removes the password. Errors: ErrNotFound, ErrNone.
func Delete(device string, account auth.AccountName) error {
	return ask(func() error { return keyring.Delete(service, name(device, account)) })
}

// ask calls f, which cannot be cancelled, and waits for patience at most.
func ask(f func() error) error {
	if !reachable() {
		return ErrNone
	}
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		if errors.Is(err, keyring.ErrNotFound) {
			return ErrNotFound
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrNone, err)
		}
		return nil
	case <-time.After(patience):
		return fmt.Errorf("%w within %v", ErrNone, patience)
	}
}

// reachable reports whether there may be a keyring. Without a session bus the
// library would start one, which nobody asked for.
func reachable() bool {
	if runtime.GOOS == "darwin" || runtime.GOOS == "windows" || os.Getenv("DBUS_SESSION_BUS_ADDRESS") != "" {
		return true
	}
	_, err := os.Stat(filepath.Join("/run/user", strconv.Itoa(os.Getuid()), "bus"))
	return err == nil
}
