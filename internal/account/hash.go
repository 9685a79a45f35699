package account

import (
	"crypto/rand"
	"fmt"
	"strings"

	"github.com/postern/postern/auth"
)

// What Hash uses: the second choice of OWASP's Password Storage Cheat Sheet,
// 38 ms on one core of the machine it was measured on.
const (
	hashMemory  = 19 * 1024 // KiB, held while one check runs
	hashTime    = 2
	hashThreads = 1
	saltLength  = 16
	keyLength   = 32
)

// fake is a well-formed hash that no password matches in practice: its key is
// not the result of any known input. Unknown accounts are checked against it.
var fake = phc{memory: hashMemory, time: hashTime, threads: hashThreads,
	salt: make([]byte, saltLength), key: make([]byte, keyLength)}

// FakeHash is the text of a hash that belongs to nobody. Verify works as long on
// it as on the hash of an account and answers false.
func FakeHash() string { return fake.String() }

// Hash returns the argon2id hash of password with a fresh salt, in PHC text.
// It asks no policy; see Rules.CheckPassword. It holds 19 MiB while it works.
func Hash(password auth.Secret) (string, error) {
	p := phc{memory: hashMemory, time: hashTime, threads: hashThreads, salt: make([]byte, saltLength)}
	if _, err := rand.Read(p.salt); err != nil {
		return "", fmt.Errorf("account: hash: %w", err)
	}
	p.key = p.derive(password.Reveal(), keyLength)
	return p.String(), nil
}

// Verify reports whether password is the one that hash was made from; CheckHash
// names the kinds of hash. A text that is none costs the same work as a hash of
// our own and matches nothing. One from elsewhere that does not match costs that
// work besides its own, so that a cheap one does not give its account away.
func Verify(hash string, password auth.Secret) bool {
	s := password.Reveal()
	h, err := parse(hash)
	if len(s) > MaxPassword {
		s, err = s[:MaxPassword], ErrBadHash // as much work as for the longest
	}
	if err != nil {
		fake.matches(s)
		return false
	}
	ok := h.matches(s)
	if _, ours := h.(phc); !ok && !ours {
		fake.matches(s)
	}
	return ok
}

// CheckHash returns ErrBadHash unless hash is one of those that Verify
// understands: argon2id in PHC form, version 19, at most 256 MiB, 10 passes and 8
// lanes; bcrypt ($2a$, $2b$, $2y$) with a cost of 4 to 14; sha512crypt ($6$) with
// 1,000 to 1,000,000 rounds. The error tells no part of it.
func CheckHash(hash string) error {
	_, err := parse(hash)
	return err
}

// NeedsRehash reports whether hash is of another kind, or made with other
// parameters, than what Hash returns now.
func NeedsRehash(hash string) bool {
	h, err := parse(hash)
	p, ours := h.(phc)
	return err != nil || !ours || p.memory != hashMemory || p.time != hashTime || p.threads != hashThreads || len(p.key) != keyLength
}

// A hashed password is one of which the hash is known. matches takes at most
// MaxPassword bytes.
type hashed interface{ matches(password string) bool }

// maxHash bounds the text of a hash; the longest that is accepted has 230 bytes.
const maxHash = 512

func parse(hash string) (hashed, error) {
	switch {
	case len(hash) > maxHash:
	case strings.HasPrefix(hash, "$argon2id$"):
		return parsePHC(hash)
	case strings.HasPrefix(hash, "$2"):
		return parseBcrypt(hash)
	case strings.HasPrefix(hash, "$6$"):
		return parseSHA512Crypt(hash)
	}
	return nil, fmt.Errorf("%w: it is neither argon2id in PHC form nor bcrypt nor sha512crypt", ErrBadHash)
}
