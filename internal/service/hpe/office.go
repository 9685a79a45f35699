package hpe

import (
	"context"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/admin"
	service "github.com/postern/postern/internal/service/redfish"
)

// A Desk is that of the generic service: accounts, rules and certificates.
type Desk = service.Desk

// An Office keeps what an iLO has and a Desk does not know. Errors are an
// *admin.Error; all methods may be called concurrently.
type Office interface {
	// People returns all accounts, in the order of their numbers.
	People(ctx context.Context) ([]Person, error)
	// SetPerson changes what is not nil of an account.
	SetPerson(ctx context.Context, name auth.AccountName, c PersonChange) error

	Settings(ctx context.Context) (Settings, error)
	// ChangeSettings has change work on the settings as they are, and keeps what
	// it leaves, unless it returns an error, which then is the result. change must
	// not wait.
	ChangeSettings(ctx context.Context, change func(*Settings) error) (Settings, error)

	// ImportCRL fetches a certificate revocation list and gives it to the CA whose
	// it is. RemoveCRLs forgets all lists.
	ImportCRL(ctx context.Context, uri string) error
	RemoveCRLs(ctx context.Context) error
	// CRLs tells of the lists that are there.
	CRLs(ctx context.Context) ([]CRL, error)

	// ResetServerCertificate has the listener show its first certificate again.
	ResetServerCertificate(ctx context.Context, listener string) error
	// Restart ends every session once the answer to the request of ctx is written,
	// as a reset of the manager does.
	Restart(ctx context.Context)

	// FailureDelay is how long the answer to the next wrong password from an
	// address would wait.
	FailureDelay(source netip.Addr) time.Duration
	// Clock is the device's time.
	Clock() time.Time
}

// A Person is an account with what an iLO knows of it besides.
type Person struct {
	admin.Account
	ID         string // a decimal number: clients sort by it
	LoginName  string // what the account is called; not what one logs in with
	Privileges Privileges
}

// A PersonChange changes what is not nil.
type PersonChange struct {
	LoginName  *string
	Privileges *Privileges
}

// A CRL is what is shown of a revocation list.
type CRL struct {
	Issuer string
	Number string
}

// Settings are what can be set besides accounts and certificates.
type Settings struct {
	Licence Licence `json:"licence"`

	CertificateLogin  bool   `json:"certificate_login"`
	StrictCertificate bool   `json:"strict_certificate"` // nobody comes in without a good one
	NameMapping       string `json:"name_mapping"`
	OCSPURI           string `json:"ocsp_uri"`

	CSR string `json:"csr"` // the last one that was asked for, in PEM

	Banner         bool   `json:"banner"`
	BannerText     string `json:"banner_text"`
	NTPServers     [2]string
	NTPByDHCP      bool // the servers come from DHCP and cannot be set
	TimeZone       int  // the index of the list
	PropagateTime  bool
	PendingReset   bool // a setting waits for a reset of the manager
	HostName       string
	IdleMinutes    int // what the session timeout is said to be; 0 = as it is
	AlertSender    string
	AlertServer    string
	AlertPort      int
	PasscodeMail   bool // SMTPForTFAEnabled
	TwoFactor      bool
	Directory      bool // LDAP.ServiceEnabled
	LDAP           LDAP // of what directory
	ComplexityRule bool
	FailureDelay   int // seconds
	FailuresBefore int
	FailureLogging int
}

// FirstSettings are those of a device as it comes, with a licence or without.
func FirstSettings(advanced bool, at time.Time) Settings {
	s := Settings{
		NameMapping: nameMappings[0], AlertPort: 25,
		FailureDelay: 10, FailuresBefore: 1, FailureLogging: 3,
	}
	if advanced {
		s.Licence = Licence{Key: "POSTE-RNSIM-ULATE-DLICE-NCE01", Installed: at}
	}
	return s
}

// nameMappings are the ways to find a directory user by a certificate, the
// default first (iLO 5 user guide, CAC/Smartcard).
var nameMappings = []string{"SANUPN", "SubjectCN", "SubjectDN", "SANRFC822"}

// A Licence is the key that somebody installed; the zero one is none.
type Licence struct {
	Key       string    `json:"key"`
	Installed time.Time `json:"installed"`
}

// Advanced reports whether there is a licence for what needs one, certificate
// login among it.
func (l Licence) Advanced() bool { return l.Key != "" }

// keyPattern is the form of a key. Which keys are good is HPE's secret: any of
// the form is taken.
var keyPattern = regexp.MustCompile(`^(?:[A-Za-z0-9]{5}-){4}[A-Za-z0-9]{5}$`)

// GoodKey reports whether a text has the form of a licence key.
func GoodKey(key string) bool { return keyPattern.MatchString(key) }

// masked shows the last group of a key alone.
func (l Licence) masked() string {
	return strings.Repeat("XXXXX-", 4) + strings.ToUpper(l.Key[strings.LastIndexByte(l.Key, '-')+1:])
}
