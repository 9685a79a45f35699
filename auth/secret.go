package auth

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
)

const redacted = "REDACTED"

// A Secret is a password, token, key or code. Whatever prints, logs or
// marshals it shows REDACTED; only Reveal gives the value.
//
// The value sits behind a pointer, because fmt prints the strings inside
// unexported fields of an enclosing struct without asking any method.
// The zero Secret is "no secret".
type Secret struct{ v *string }

// NewSecret wraps s. An empty s gives the zero Secret.
func NewSecret(s string) Secret {
	if s == "" {
		return Secret{}
	}
	return Secret{v: &s}
}

// Reveal returns the value, for the one place that puts it on a wire or into a hash.
func (s Secret) Reveal() string {
	if s.v == nil {
		return ""
	}
	return *s.v
}

// IsZero reports whether there is no secret.
func (s Secret) IsZero() bool { return s.v == nil }

// Equal compares in time that depends on the lengths alone.
func (s Secret) Equal(t Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(t.Reveal())) == 1
}

// String returns REDACTED.
func (s Secret) String() string { return redacted }

// Format writes REDACTED for every verb.
func (s Secret) Format(w fmt.State, _ rune) { io.WriteString(w, redacted) }

// LogValue returns REDACTED.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON writes "REDACTED".
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(redacted) }

// MarshalText writes REDACTED.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
