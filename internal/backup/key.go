package backup

import (
	"errors"
	"fmt"
	"io"

	"filippo.io/age"

	"github.com/postern/postern/auth"
)

const (
	// maxKeyFile bounds a file of recipients or identities, in bytes.
	maxKeyFile = 1 << 20
	// maxWork bounds what a backup may ask for its passphrase to be tried: 2^20
	// rounds of scrypt take 1 GiB of memory. Ours asks for 2^18.
	maxWork = 20
)

// ErrKey: the passphrase or the identities are not those that the backup is for.
var ErrKey = errors.New("the backup does not open with this passphrase or identity")

// A Lock is who a backup is encrypted for.
type Lock struct{ recipients []age.Recipient }

// A Key opens backups.
type Key struct{ identities []age.Identity }

// LockWith encrypts with a passphrase.
func LockWith(passphrase auth.Secret) (Lock, error) { return lockWith(passphrase, 0) }

// lockWith is LockWith with another work factor than age's; 0 = age's.
func lockWith(passphrase auth.Secret, work int) (Lock, error) {
	r, err := age.NewScryptRecipient(passphrase.Reveal())
	if err != nil {
		return Lock{}, fmt.Errorf("backup: passphrase: %w", err)
	}
	if work > 0 {
		r.SetWorkFactor(work)
	}
	return Lock{[]age.Recipient{r}}, nil
}

// KeyWith opens with a passphrase.
func KeyWith(passphrase auth.Secret) (Key, error) {
	i, err := age.NewScryptIdentity(passphrase.Reveal())
	if err != nil {
		return Key{}, fmt.Errorf("backup: passphrase: %w", err)
	}
	i.SetMaxWorkFactor(maxWork)
	return Key{[]age.Identity{i}}, nil
}

// Recipients encrypts for all that r names, one age recipient a line.
func Recipients(r io.Reader) (Lock, error) {
	list, err := age.ParseRecipients(io.LimitReader(r, maxKeyFile))
	if err != nil {
		return Lock{}, fmt.Errorf("backup: recipients: %w", err)
	}
	return Lock{list}, nil
}

// Identities opens with any that r holds, as age-keygen writes them.
func Identities(r io.Reader) (Key, error) {
	list, err := age.ParseIdentities(io.LimitReader(r, maxKeyFile))
	if err != nil {
		return Key{}, errors.New("backup: the file holds no age identity") // the text of the error may hold a part of one
	}
	return Key{list}, nil
}
