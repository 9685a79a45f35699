package account

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"

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

// What parse accepts of a stored hash, so that a damaged row cannot ask for the
// whole memory or an hour of work.
const (
	maxHash    = 512         // bytes of PHC text
	maxMemory  = 1024 * 1024 // KiB
	maxTime    = 64
	maxThreads = 16
	maxBytes   = 64 // of salt and of key
)

// fake is a well-formed hash that no password matches in practice: its key is
// not the result of any known input. Unknown accounts are checked against it.
var fake = phc{memory: hashMemory, time: hashTime, threads: hashThreads,
	salt: make([]byte, saltLength), key: make([]byte, keyLength)}

// FakeHash is the text of a hash that belongs to nobody. Verify works as long on
// it as on the hash of an account and answers false.
func FakeHash() string { return fake.String() }

// Hash returns the argon2id hash of password with a fresh salt, in PHC text.
// It asks no policy; see CheckPassword. It holds 19 MiB while it works.
func Hash(password auth.Secret) (string, error) {
	p := phc{memory: hashMemory, time: hashTime, threads: hashThreads, salt: make([]byte, saltLength)}
	if _, err := rand.Read(p.salt); err != nil {
		return "", fmt.Errorf("account: hash: %w", err)
	}
	p.key = p.derive(password, keyLength)
	return p.String(), nil
}

// Verify reports whether password is the one that hash was made from. A text
// that is no hash costs the same work as a real one and matches nothing.
func Verify(hash string, password auth.Secret) bool {
	p, err := parse(hash)
	if err != nil {
		p = fake
	}
	same := subtle.ConstantTimeCompare(p.derive(password, len(p.key)), p.key) == 1
	return same && err == nil
}

// phc is an argon2id hash in its parts.
type phc struct {
	memory  uint32 // KiB
	time    uint32
	threads uint8
	salt    []byte
	key     []byte
}

func (p phc) derive(password auth.Secret, n int) []byte {
	return argon2.IDKey([]byte(password.Reveal()), p.salt, p.time, p.memory, p.threads, uint32(n))
}

// String writes p as $argon2id$v=19$m=19456,t=2,p=1$SALT$KEY.
func (p phc) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.memory, p.time, p.threads,
		base64.RawStdEncoding.EncodeToString(p.salt), base64.RawStdEncoding.EncodeToString(p.key))
}

var errHash = errors.New("account: not an argon2id hash in PHC form")

// parse reads the form that String writes.
func parse(s string) (phc, error) {
	if len(s) > maxHash {
		return phc{}, errHash
	}
	f := strings.Split(s, "$")
	if len(f) != 6 || f[0] != "" || f[1] != "argon2id" || f[2] != "v="+strconv.Itoa(argon2.Version) {
		return phc{}, errHash
	}
	n := strings.Split(f[3], ",")
	if len(n) != 3 {
		return phc{}, errHash
	}
	memory, ok1 := number(n[0], "m=", maxMemory)
	passes, ok2 := number(n[1], "t=", maxTime)
	threads, ok3 := number(n[2], "p=", maxThreads)
	salt, ok4 := field(f[4])
	key, ok5 := field(f[5])
	if !(ok1 && ok2 && ok3 && ok4 && ok5) {
		return phc{}, errHash
	}
	return phc{memory: memory, time: passes, threads: uint8(threads), salt: salt, key: key}, nil
}

func number(s, prefix string, limit uint64) (uint32, bool) {
	digits, ok := strings.CutPrefix(s, prefix)
	n, err := strconv.ParseUint(digits, 10, 32)
	return uint32(n), ok && err == nil && n >= 1 && n <= limit && strconv.FormatUint(n, 10) == digits
}

func field(s string) ([]byte, bool) {
	b, err := base64.RawStdEncoding.Strict().DecodeString(s)
	ok := err == nil && len(b) >= 8 && len(b) <= maxBytes && base64.RawStdEncoding.EncodeToString(b) == s
	return b, ok
}

// CheckHash returns ErrBadHash unless Verify understands the text.
func CheckHash(hash string) error {
	if _, err := parse(hash); err != nil {
		return ErrBadHash
	}
	return nil
}

// NeedsRehash reports whether hash is of another kind, or made with other
// parameters, than what Hash returns now.
func NeedsRehash(hash string) bool {
	p, err := parse(hash)
	return err != nil || p.memory != hashMemory || p.time != hashTime || p.threads != hashThreads || len(p.key) != keyLength
}
