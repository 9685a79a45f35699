package admin

import (
	"time"

	"github.com/postern/postern/auth"
)

// A NewAccount describes an account to be made.
type NewAccount struct {
	Name auth.AccountName
	Role auth.Role
	// Password is the account's; or else Hash is a hash of it that was made
	// elsewhere: argon2id in PHC form, bcrypt ($2a$, $2b$, $2y$) or sha512crypt ($6$).
	Password auth.Secret
	Hash     string
	Disabled bool
	// MustChangePassword lets the account do nothing but change its password.
	MustChangePassword bool
}

// An AccountChange changes what is not nil, all of it or nothing.
type AccountChange struct {
	// Version is the one the change was thought out for; another one now is a
	// Conflict. 0: whatever it is.
	Version            int64
	Password           *auth.Secret
	Role               *auth.Role
	Enabled            *bool
	MustChangePassword *bool
	Unlock             bool // end a lockout
}

// A Role is a name for privileges.
type Role struct {
	Name       auth.Role       `json:"name"`
	Predefined bool            `json:"predefined,omitempty"` // cannot be changed
	Privileges auth.Privileges `json:"privileges"`
	Version    int64           `json:"version,omitempty"` // 0 for the predefined ones
}

// LoginRules are the rules for the passwords of all accounts.
type LoginRules struct {
	MinPassword int `json:"min_password"` // characters
	MaxPassword int `json:"max_password"`
	History     int `json:"history"` // former passwords that may not come back; 0 = any may
	// Threshold is how many different wrong passwords within ResetAfter lock an
	// account; 0 = none. A password that was good before passes all the same.
	Threshold  int           `json:"lockout_threshold"`
	Duration   time.Duration `json:"lockout_duration"` // 0 = until somebody unlocks it
	ResetAfter time.Duration `json:"lockout_reset"`
	Version    int64         `json:"version"`
}

// A BasicMode says whether HTTP Basic is taken.
type BasicMode string

// The modes of AccountService.HTTPBasicAuth (AccountService.v1_15_0).
const (
	BasicEnabled      BasicMode = "Enabled"
	BasicUnadvertised BasicMode = "Unadvertised" // taken, but not offered in a 401
	BasicDisabled     BasicMode = "Disabled"
)

// A Mapping says how a client certificate names its account.
type Mapping string

// The mappings of ClientCertificate.CertificateMappingAttribute
// (AccountService.v1_12_0).
const (
	MapWhole             Mapping = "Whole"             // one of the account's own certificates
	MapCommonName        Mapping = "CommonName"        // the subject's CN
	MapUserPrincipalName Mapping = "UserPrincipalName" // the otherName of that kind
)

// ListenerRules are the rules of one listener for who comes in.
type ListenerRules struct {
	Listener string `json:"listener"`

	SessionsDisabled bool          `json:"sessions_disabled,omitempty"` // no new ones
	SessionIdle      time.Duration `json:"session_idle"`
	SessionLifetime  time.Duration `json:"session_lifetime,omitempty"` // 0 = no such end

	Basic BasicMode `json:"basic"`

	Certificates      bool    `json:"certificates"` // client certificates are asked for and judged
	Mapping           Mapping `json:"mapping"`
	CertificateStrict bool    `json:"certificate_strict,omitempty"` // no handshake without a good one

	Version int64 `json:"version"`
}

// A Certificate is what may be shown of one.
type Certificate struct {
	ID          string    `json:"id"`
	Name        string    `json:"name,omitempty"`     // what somebody called it
	Listener    string    `json:"listener,omitempty"` // where it counts
	PEM         string    `json:"pem"`
	Subject     string    `json:"subject"`
	Issuer      string    `json:"issuer"`
	Fingerprint string    `json:"fingerprint"` // SHA-256 of the DER form, lower-case hex
	NotBefore   time.Time `json:"not_before"`
	NotAfter    time.Time `json:"not_after"`

	// Of a CA: how revocation is known. HasCRL: a list was imported.
	HasCRL bool     `json:"has_crl,omitempty"`
	CRLURL string   `json:"crl_url,omitempty"` // fetched from there
	OCSP   OCSPMode `json:"ocsp,omitempty"`
}

// An OCSPMode says what a missing answer of a certificate's OCSP responder means.
type OCSPMode string

// The modes.
const (
	OCSPOff      OCSPMode = ""         // nobody is asked
	OCSPSoft     OCSPMode = "soft"     // no answer: not revoked
	OCSPRequired OCSPMode = "required" // no answer: refused
)

// A NewCA is an authority whose certificates are to be let in at a listener.
type NewCA struct {
	Listener string   `json:"listener,omitempty"` // "" = every listener
	Name     string   `json:"name,omitempty"`
	PEM      string   `json:"pem"`
	CRLURL   string   `json:"crl_url,omitempty"`
	OCSP     OCSPMode `json:"ocsp,omitempty"`
}

// A CSRRequest describes the certificate that the server is to ask for.
type CSRRequest struct {
	CommonName         string   `json:"common_name"` // "" = the listener's first name
	Organization       string   `json:"organization,omitempty"`
	OrganizationalUnit string   `json:"organizational_unit,omitempty"`
	City               string   `json:"city,omitempty"`
	State              string   `json:"state,omitempty"`
	Country            string   `json:"country,omitempty"` // two letters
	Email              string   `json:"email,omitempty"`
	Names              []string `json:"names,omitempty"` // DNS names and addresses
	KeyKind            string   `json:"key_kind"`        // "EC" (P-256, P-384) or "RSA"; "" = EC
	KeyBits            int      `json:"key_bits"`        // 0 = 256 for EC, 3072 for RSA
}
