package saved

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/postern/postern/auth"
)

// A Login is one session at a device, and what is needed to use and end it.
type Login struct {
	auth.Login
	Key     string // what it was made for; see Book.Open
	URL     string // of the device
	Family  string
	Created time.Time
	// Ending is when somebody first wanted it to end: nobody may use it any more.
	// Zero: it is in use.
	Ending time.Time
	Nonce  string // of the attempt that it came from; the device may show it
}

// An Attempt is a login that was begun and gave none. It is written down before
// it is sent, so that one that was cut off is not forgotten: the device may have
// made a session of it.
type Attempt struct {
	Key     string
	URL     string // of the device
	Family  string
	Account auth.AccountName
	Nonce   string // left with the session where the device keeps such a text
	Basic   bool   // by HTTP Basic alone, of which no session comes
	Started time.Time

	// Ended is when it failed; zero: it was cut off, or is under way.
	Ended   time.Time
	Outcome auth.Outcome // these four once it has ended
	Full    bool
	Status  int
	Says    string // what went wrong; no secret

	// Refused knows the password again, where it was refused.
	Refused Mark
}

// Doubtful reports whether the device may have a session of the attempt.
func (a Attempt) Doubtful() bool {
	made := a.Status == 0 || a.Status/100 == 2 // a redirect makes no session
	return !a.Basic && (a.Ended.IsZero() || a.Outcome == auth.Unknown && made)
}

// A Mark knows a password again and does not tell it: a hash that is slow on
// purpose. Whoever reads the file has the tokens in it, and a password that is
// wrong; the hash is against his guessing the right one from it.
type Mark struct{ salt, hash []byte }

// Rounds of PBKDF2-HMAC-SHA-256, some 40 ms: every command that meets a refusal
// spends them while others wait for it.
const markRounds = 100_000

// MarkOf makes the mark of a password. It takes a part of a second.
func MarkOf(password auth.Secret) Mark {
	m := Mark{salt: make([]byte, 16)}
	rand.Read(m.salt)
	m.hash = m.of(password)
	return m
}

func (m Mark) of(password auth.Secret) []byte {
	hash, err := pbkdf2.Key(sha256.New, password.Reveal(), m.salt, markRounds, sha256.Size)
	if err != nil {
		panic(err) // only lengths that FIPS 140 forbids
	}
	return hash
}

// Is reports whether m is the mark of password. It takes as long as MarkOf.
func (m Mark) Is(password auth.Secret) bool {
	return len(m.hash) == sha256.Size && subtle.ConstantTimeCompare(m.hash, m.of(password)) == 1
}

// content is all that the file holds.
type content struct {
	logins   []Login
	attempts []Attempt
}

// drop takes attempts out. No attempt has an empty nonce.
func (c *content) drop(key string, nonces ...string) {
	c.attempts = slices.DeleteFunc(c.attempts, func(a Attempt) bool { return a.Key == key && slices.Contains(nonces, a.Nonce) })
}

// Version of the file's form. A file with a higher one is not touched.
const version = 1

// maxFile bounds the file in bytes: a login takes less than a kilobyte.
const maxFile = 16 << 20

// ErrNewer: the file was written by a later version of the program.
var ErrNewer = errors.New("the saved logins were written by a newer version")

// The form of the file.
type (
	file struct {
		Version  int       `json:"version"`
		Logins   []entry   `json:"logins"`
		Attempts []attempt `json:"attempts,omitempty"`
	}
	attempt struct {
		Key     string           `json:"key"`
		URL     string           `json:"url"`
		Family  string           `json:"family"`
		Account auth.AccountName `json:"account"`
		Nonce   string           `json:"nonce"`
		Basic   bool             `json:"basic,omitempty"`
		Started time.Time        `json:"started"`
		Ended   time.Time        `json:"ended,omitzero"`
		Outcome auth.Outcome     `json:"outcome,omitempty"`
		Full    bool             `json:"full,omitempty"`
		Status  int              `json:"status,omitempty"`
		Says    string           `json:"says,omitempty"`
		Salt    []byte           `json:"salt,omitempty"`
		Hash    []byte           `json:"hash,omitempty"`
	}
	entry struct {
		Key      string           `json:"key"`
		URL      string           `json:"url"`
		Family   string           `json:"family"`
		Method   auth.Method      `json:"method"`
		Account  auth.AccountName `json:"account"`
		Token    string           `json:"token"`
		Location string           `json:"location"`
		ID       string           `json:"id,omitempty"`
		Idle     time.Duration    `json:"idle,omitempty"` // nanoseconds
		Created  time.Time        `json:"created"`
		Ending   time.Time        `json:"ending,omitzero"`
		Nonce    string           `json:"nonce,omitempty"`
		Keeps    bool             `json:"keeps_nonce,omitempty"`
	}
)

func decode(data []byte) (content, error) {
	var f file
	if err := json.Unmarshal(data, &f); err != nil {
		return content{}, errors.New("the file of saved logins is damaged") // the cause may quote a token
	}
	switch {
	case f.Version > version:
		return content{}, fmt.Errorf("%w: form %d, this one knows %d", ErrNewer, f.Version, version)
	case f.Version < 1:
		return content{}, errors.New("the file of saved logins says no version")
	}
	var out content
	for _, e := range f.Logins {
		out.logins = append(out.logins, Login{
			Login: auth.Login{
				Method: e.Method, Account: e.Account, Secret: auth.NewSecret(e.Token),
				Location: e.Location, ID: e.ID, Idle: e.Idle, KeepsNonce: e.Keeps,
			},
			Key: e.Key, URL: e.URL, Family: e.Family, Created: e.Created, Ending: e.Ending, Nonce: e.Nonce,
		})
	}
	for _, a := range f.Attempts {
		out.attempts = append(out.attempts, Attempt{
			Key: a.Key, URL: a.URL, Family: a.Family, Account: a.Account, Nonce: a.Nonce, Basic: a.Basic, Started: a.Started,
			Ended: a.Ended, Outcome: a.Outcome, Full: a.Full, Status: a.Status, Says: a.Says, Refused: Mark{a.Salt, a.Hash},
		})
	}
	return out, nil
}

func encode(c content) ([]byte, error) {
	f := file{Version: version, Logins: []entry{}}
	for _, l := range c.logins {
		f.Logins = append(f.Logins, entry{
			Key: l.Key, URL: l.URL, Family: l.Family, Method: l.Method, Account: l.Account, Token: l.Secret.Reveal(),
			Location: l.Location, ID: l.ID, Idle: l.Idle, Created: l.Created, Ending: l.Ending,
			Nonce: l.Nonce, Keeps: l.KeepsNonce,
		})
	}
	for _, a := range c.attempts {
		f.Attempts = append(f.Attempts, attempt{
			Key: a.Key, URL: a.URL, Family: a.Family, Account: a.Account, Nonce: a.Nonce, Basic: a.Basic, Started: a.Started,
			Ended: a.Ended, Outcome: a.Outcome, Full: a.Full, Status: a.Status, Says: a.Says, Salt: a.Refused.salt, Hash: a.Refused.hash,
		})
	}
	return json.Marshal(f)
}

// same reports whether a and b are the same session.
func same(a, b Login) bool {
	return a.URL == b.URL && a.Location == b.Location && a.Secret.Equal(b.Secret)
}
