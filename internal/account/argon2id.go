package account

import (
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// What is accepted of an argon2id hash, so that an imported one cannot ask for the
// whole memory or an hour of work.
const (
	maxMemory  = 256 * 1024 // KiB
	maxTime    = 10
	maxThreads = 8
	minMemory  = 8  // KiB for each lane; RFC 9106, 3.1
	maxBytes   = 64 // of salt and of key
)

// phc is an argon2id hash in its parts.
type phc struct {
	memory  uint32 // KiB
	time    uint32
	threads uint8
	salt    []byte
	key     []byte
}

func (p phc) derive(password string, n int) []byte {
	return argon2.IDKey([]byte(password), p.salt, p.time, p.memory, p.threads, uint32(n))
}

func (p phc) matches(password string) bool {
	return subtle.ConstantTimeCompare(p.derive(password, len(p.key)), p.key) == 1
}

// String writes p as $argon2id$v=19$m=19456,t=2,p=1$SALT$KEY.
func (p phc) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.memory, p.time, p.threads,
		base64.RawStdEncoding.EncodeToString(p.salt), base64.RawStdEncoding.EncodeToString(p.key))
}

// parsePHC reads the form that String writes.
func parsePHC(s string) (hashed, error) {
	bad := fmt.Errorf("%w: not a complete argon2id hash in PHC form, or with parameters beyond the limits", ErrBadHash)
	f := strings.Split(s, "$")
	if len(f) != 6 || f[0] != "" || f[1] != "argon2id" || f[2] != "v="+strconv.Itoa(argon2.Version) {
		return nil, bad
	}
	n := strings.Split(f[3], ",")
	if len(n) != 3 {
		return nil, bad
	}
	memory, ok1 := number(n[0], "m=", 1, maxMemory)
	passes, ok2 := number(n[1], "t=", 1, maxTime)
	threads, ok3 := number(n[2], "p=", 1, maxThreads)
	salt, ok4 := field(f[4])
	key, ok5 := field(f[5])
	if !(ok1 && ok2 && ok3 && ok4 && ok5) || memory < minMemory*threads {
		return nil, bad
	}
	return phc{memory: memory, time: passes, threads: uint8(threads), salt: salt, key: key}, nil
}

// number reads a decimal number without leading zeros.
func number(s, prefix string, least, most uint64) (uint32, bool) {
	digits, ok := strings.CutPrefix(s, prefix)
	n, err := strconv.ParseUint(digits, 10, 32)
	return uint32(n), ok && err == nil && n >= least && n <= most && strconv.FormatUint(n, 10) == digits
}

func field(s string) ([]byte, bool) {
	b, err := base64.RawStdEncoding.Strict().DecodeString(s)
	ok := err == nil && len(b) >= 8 && len(b) <= maxBytes && base64.RawStdEncoding.EncodeToString(b) == s
	return b, ok
}
