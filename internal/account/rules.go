package account

import (
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/postern/postern/auth"
)

// What Rules may ask for.
const (
	MinPassword   = 8   // characters; NIST SP 800-63B, 5.1.1.2
	maxCharacters = 128 // room for a long sentence; nobody types more
	MaxHistory    = 24  // former passwords: each costs a new password one hash, 40 ms
	MaxThreshold  = 1000
	MaxLockout    = 365 * 24 * time.Hour
)

// MaxPassword is the length in bytes beyond which nothing is a password, by
// whatever rules: that of the most characters that may be allowed, in UTF-8.
const MaxPassword = maxCharacters * utf8.UTFMax

// Rules are the rules for the passwords of all accounts.
type Rules struct {
	Min, Max int // length in characters
	History  int // former passwords that may not come back; 0 = even the present one may

	// Threshold is how many wrong passwords lock an account; 0 = none. They are
	// counted until a good one, or until none came for ResetAfter (0 = for ever).
	Threshold  int
	Duration   time.Duration // of a lockout; 0 = until somebody unlocks the account
	ResetAfter time.Duration

	Version int64 // 1 at the beginning, raised by every change
}

// DefaultRules are those of a new store. No number of wrong passwords locks an
// account; the durations are for the time when somebody sets a Threshold.
func DefaultRules() Rules {
	return Rules{Min: MinPassword, Max: maxCharacters, Duration: 5 * time.Minute, ResetAfter: 5 * time.Minute, Version: 1}
}

// Check returns ErrBadRules for rules that cannot be meant.
func (r Rules) Check() error {
	switch {
	case r.Min < MinPassword || r.Max > maxCharacters || r.Min > r.Max:
		return fmt.Errorf("%w: passwords may be asked to have between %d and %d characters", ErrBadRules, MinPassword, maxCharacters)
	case r.History < 0 || r.History > MaxHistory:
		return fmt.Errorf("%w: 0 to %d former passwords can be kept", ErrBadRules, MaxHistory)
	case r.Threshold < 0 || r.Threshold > MaxThreshold:
		return fmt.Errorf("%w: 0 to %d wrong passwords can lock an account", ErrBadRules, MaxThreshold)
	case r.Duration < 0 || r.Duration > MaxLockout || r.ResetAfter < 0 || r.ResetAfter > MaxLockout:
		return fmt.Errorf("%w: a lockout lasts at most a year, and so does the count", ErrBadRules)
	case r.Duration > 0 && r.ResetAfter > r.Duration: // AccountService.v1_0_0, AccountLockoutDuration
		return fmt.Errorf("%w: a lockout must not be shorter than the time after which the count begins anew", ErrBadRules)
	}
	return nil
}

// CheckPassword returns ErrPasswordLength or ErrBadPassword unless p is UTF-8 text
// of an allowed length without control characters, which no login form could send.
func (r Rules) CheckPassword(p auth.Secret) error {
	s := p.Reveal()
	if len(s) > MaxPassword {
		return r.badLength()
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return fmt.Errorf("%w: control characters are not allowed", ErrBadPassword)
		}
	}
	if !utf8.ValidString(s) {
		return fmt.Errorf("%w: it must be UTF-8 text", ErrBadPassword)
	}
	if n := utf8.RuneCountInString(s); n < r.Min || n > r.Max {
		return r.badLength()
	}
	return nil
}

func (r Rules) badLength() error {
	return fmt.Errorf("%w: it must have %d to %d characters", ErrPasswordLength, r.Min, r.Max)
}
