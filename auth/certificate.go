package auth

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
)

// A ClientCertificate is a certificate chain with its private key. Like a Secret
// it shows REDACTED to whatever prints, logs or marshals it. The zero
// ClientCertificate is none.
type ClientCertificate struct{ c *tls.Certificate }

// NewClientCertificate wraps a chain in DER, its own certificate first, and the
// key: any crypto.Signer. The caller does not change them afterwards.
func NewClientCertificate(c tls.Certificate) ClientCertificate { return ClientCertificate{&c} }

// Reveal returns the chain and the key, for the TLS handshake; nil for none.
func (c ClientCertificate) Reveal() *tls.Certificate { return c.c }

// IsZero reports whether there is none.
func (c ClientCertificate) IsZero() bool { return c.c == nil }

// String returns REDACTED.
func (c ClientCertificate) String() string { return redacted }

// Format writes REDACTED for every verb.
func (c ClientCertificate) Format(w fmt.State, _ rune) { io.WriteString(w, redacted) }

// LogValue returns REDACTED.
func (c ClientCertificate) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON writes "REDACTED".
func (c ClientCertificate) MarshalJSON() ([]byte, error) { return json.Marshal(redacted) }
