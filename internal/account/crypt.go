package account

import (
	"crypto/sha512"
	"crypto/subtle"
	"fmt"
	"hash"
	"strconv"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// crypt64 are the digits of crypt(3), in which both kinds below are written,
// though bcrypt orders them otherwise.
const crypt64 = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// The limits of a bcrypt hash.
const (
	bcryptLength   = 60 // $2b$12$, 22 digits of salt, 31 of key
	minBcryptCost  = 4
	maxBcryptCost  = 14 // one second of work for each check
	bcryptPassword = 72 // bytes; what is longer, bcrypt would cut off
)

type bcrypted string

// parseBcrypt knows $2a$, $2b$ and $2y$, which are one for passwords of at most 72
// bytes; $2x$ marks hashes of a broken implementation.
func parseBcrypt(s string) (hashed, error) {
	if len(s) != bcryptLength || !strings.Contains("aby", s[2:3]) || s[3] != '$' || s[6] != '$' || strings.Trim(s[7:], crypt64) != "" {
		return nil, fmt.Errorf("%w: not a complete bcrypt hash", ErrBadHash)
	}
	cost, err := strconv.ParseUint(s[4:6], 10, 8) // takes no sign
	if err != nil || cost < minBcryptCost || cost > maxBcryptCost {
		return nil, fmt.Errorf("%w: the cost of a bcrypt hash must be %d to %d", ErrBadHash, minBcryptCost, maxBcryptCost)
	}
	return bcrypted(s), nil
}

func (h bcrypted) matches(password string) bool {
	if len(password) > bcryptPassword {
		return false
	}
	return bcrypt.CompareHashAndPassword([]byte(h), []byte(password)) == nil
}

// The limits of a sha512crypt hash. The format goes to 999,999,999 rounds; a
// million are half a second.
const (
	cryptRounds    = 5000 // where the text names none
	minCryptRounds = 1000
	maxCryptRounds = 1_000_000
	maxCryptSalt   = 16
	cryptDigits    = 86
)

// sha512crypted is a hash of the kind "Unix crypt using SHA-256 and SHA-512" (U.
// Drepper, version 0.6 of 2016-08-31), whose steps the comments below number.
type sha512crypted struct {
	rounds uint32
	salt   string
	digits string
}

// parseSHA512Crypt reads $6$SALT$DIGITS and $6$rounds=N$SALT$DIGITS.
func parseSHA512Crypt(s string) (hashed, error) {
	h := sha512crypted{rounds: cryptRounds}
	f := strings.Split(strings.TrimPrefix(s, "$6$"), "$")
	if len(f) == 3 {
		n, ok := number(f[0], "rounds=", minCryptRounds, maxCryptRounds)
		if !ok {
			return nil, fmt.Errorf("%w: the rounds of a sha512crypt hash must be %d to %d", ErrBadHash, minCryptRounds, maxCryptRounds)
		}
		h.rounds, f = n, f[1:]
	}
	if len(f) != 2 || len(f[0]) > maxCryptSalt || !printable(f[0]) || len(f[1]) != cryptDigits || strings.Trim(f[1], crypt64) != "" {
		return nil, fmt.Errorf("%w: not a complete sha512crypt hash", ErrBadHash)
	}
	h.salt, h.digits = f[0], f[1]
	return h, nil
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' || s[i] == ':' {
			return false
		}
	}
	return true
}

func (h sha512crypted) matches(password string) bool {
	return subtle.ConstantTimeCompare(cryptText(h.sum(password)), []byte(h.digits)) == 1
}

func (h sha512crypted) sum(password string) []byte {
	key, salt := []byte(password), []byte(h.salt)
	d := sha512.New()
	a := mixed(d, key, salt) // steps 1 to 12
	d.Reset()
	for range len(key) { // 13 to 15
		d.Write(key)
	}
	p := stretch(d.Sum(nil), len(key)) // 16
	d.Reset()
	for range 16 + int(a[0]) { // 17 to 19
		d.Write(salt)
	}
	s := stretch(d.Sum(nil), len(salt)) // 20
	for i := range h.rounds {           // 21
		first, last := a, p
		if i%2 == 1 {
			first, last = p, a
		}
		d.Reset()
		d.Write(first)
		if i%3 != 0 {
			d.Write(s)
		}
		if i%7 != 0 {
			d.Write(p)
		}
		d.Write(last)
		a = d.Sum(a[:0])
	}
	return a
}

// mixed is the digest A of the steps 1 to 12.
func mixed(d hash.Hash, key, salt []byte) []byte {
	for _, part := range [][]byte{key, salt, key} {
		d.Write(part)
	}
	b := d.Sum(nil)
	d.Reset()
	d.Write(key)
	d.Write(salt)
	d.Write(stretch(b, len(key)))
	for n := len(key); n > 0; n >>= 1 {
		if n&1 != 0 {
			d.Write(b)
		} else {
			d.Write(key)
		}
	}
	return d.Sum(nil)
}

// stretch repeats b up to n bytes.
func stretch(b []byte, n int) []byte {
	out := make([]byte, 0, n+len(b))
	for len(out) < n {
		out = append(out, b...)
	}
	return out[:n]
}

// cryptText writes a digest of 64 bytes (step 22): 21 times three bytes that lie a
// third of it apart, and the last byte alone.
func cryptText(sum []byte) []byte {
	out := make([]byte, 0, cryptDigits)
	a, b, c := 0, 21, 42
	for range 21 {
		out = appendDigits(out, uint(sum[a])<<16|uint(sum[b])<<8|uint(sum[c]), 4)
		a, b, c = b+1, c+1, a+1
	}
	return appendDigits(out, uint(sum[63]), 2)
}

func appendDigits(out []byte, v uint, n int) []byte {
	for range n {
		out = append(out, crypt64[v&63])
		v >>= 6
	}
	return out
}
