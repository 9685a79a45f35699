package saved

import (
	"encoding/json"
	"errors"
	"fmt"
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
		Version int     `json:"version"`
		Logins  []entry `json:"logins"`
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
	}
)

func decode(data []byte) ([]Login, error) {
	var f file
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, errors.New("the file of saved logins is damaged") // the cause may quote a token
	}
	switch {
	case f.Version > version:
		return nil, fmt.Errorf("%w: form %d, this one knows %d", ErrNewer, f.Version, version)
	case f.Version < 1:
		return nil, errors.New("the file of saved logins says no version")
	}
	var out []Login
	for _, e := range f.Logins {
		out = append(out, Login{
			Login: auth.Login{
				Method: e.Method, Account: e.Account, Secret: auth.NewSecret(e.Token),
				Location: e.Location, ID: e.ID, Idle: e.Idle,
			},
			Key: e.Key, URL: e.URL, Family: e.Family, Created: e.Created, Ending: e.Ending,
		})
	}
	return out, nil
}

func encode(logins []Login) ([]byte, error) {
	f := file{Version: version, Logins: []entry{}}
	for _, l := range logins {
		f.Logins = append(f.Logins, entry{
			Key: l.Key, URL: l.URL, Family: l.Family, Method: l.Method, Account: l.Account, Token: l.Secret.Reveal(),
			Location: l.Location, ID: l.ID, Idle: l.Idle, Created: l.Created, Ending: l.Ending,
		})
	}
	return json.MarshalIndent(f, "", "  ")
}

// same reports whether a and b are the same session.
func same(a, b Login) bool {
	return a.URL == b.URL && a.Location == b.Location && a.Secret.Equal(b.Secret)
}
