// Package seal keeps secrets at rest: it seals them with AES-256-GCM under a key
// from a file of its own, bound to the place they were sealed for, and gives
// keyed hashes by which secrets are compared without being stored.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/postern/postern/auth"
)

// KeySize is the length of a key in bytes.
const KeySize = 32

// version is the first byte of a box. It is part of the associated data too.
const version = 1

// ErrOpen is what Open returns for a box that was altered, was sealed with
// another key, or for another place.
var ErrOpen = errors.New("seal: this secret cannot be opened: it was altered, or sealed with another key or for another place")

// A Key seals, opens and hashes. It is safe for concurrent use.
type Key struct {
	aead cipher.AEAD
	hash []byte
}

// New makes a Key of KeySize random bytes.
func New(raw auth.Secret) (*Key, error) {
	master := []byte(raw.Reveal())
	if len(master) != KeySize {
		return nil, fmt.Errorf("seal: a key has %d bytes, this one has %d", KeySize, len(master))
	}
	// One key for each purpose, so that neither use weakens the other.
	sealing, err := hkdf.Key(sha256.New, master, nil, "postern seal 1", KeySize)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	hashing, err := hkdf.Key(sha256.New, master, nil, "postern hash 1", KeySize)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	block, err := aes.NewCipher(sealing)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return &Key{aead: aead, hash: hashing}, nil
}

// Seal encrypts plain. aad names the place it is sealed for, part by part; the
// same parts are needed to open it. A box is a version byte, a random nonce of
// 12 bytes, the ciphertext and a tag of 16 bytes. The zero Secret may be sealed.
func (k *Key) Seal(plain auth.Secret, aad ...string) ([]byte, error) {
	return k.aead.Seal([]byte{version}, nil, []byte(plain.Reveal()), associated(aad)), nil
}

// Open returns what Seal was given, or ErrOpen.
func (k *Key) Open(box []byte, aad ...string) (auth.Secret, error) {
	if len(box) == 0 || box[0] != version {
		return auth.Secret{}, ErrOpen
	}
	plain, err := k.aead.Open(nil, nil, box[1:], associated(aad))
	if err != nil {
		return auth.Secret{}, ErrOpen
	}
	return auth.NewSecret(string(plain)), nil
}

// Hash returns the keyed hash (HMAC-SHA256) of parts. Without the key nobody can
// try passwords against it. ("ab", "c") and ("a", "bc") differ.
func (k *Key) Hash(parts ...string) [sha256.Size]byte {
	h := hmac.New(sha256.New, k.hash)
	h.Write(prefixed(nil, parts))
	return [sha256.Size]byte(h.Sum(nil))
}

// Format writes the type's name for every verb: a key is never printed.
func (k Key) Format(w fmt.State, _ rune) { io.WriteString(w, "seal.Key") }

func associated(parts []string) []byte { return prefixed([]byte{version}, parts) }

// prefixed appends each part with its length before it, so that no two lists of
// parts give the same bytes.
func prefixed(b []byte, parts []string) []byte {
	for _, p := range parts {
		b = binary.BigEndian.AppendUint64(b, uint64(len(p)))
		b = append(b, p...)
	}
	return b
}
