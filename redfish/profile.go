package redfish

import (
	"context"
	"fmt"
	"net/http"
	"strings"
)

// A Profile is a vendor's flavour of Redfish, as data. It serves both sides:
// a face that callers see, and a device behind it. The zero Profile is the
// generic one.
//
// The exported fields are settings: whoever has a Profile may change them, or
// does so by name with With.
type Profile struct {
	Name string // "" means "generic"

	// RelativeLocation makes a face answer a login with a rooted Location.
	// The default is an absolute one, from the Host that the client typed.
	RelativeLocation bool

	// Slash says how a face ends the URIs in its answers.
	Slash Slash

	// OldHeaders adds the headers that iLO firmware of old sent with each answer:
	// Server and X_HP-CHRP-Service-Version.
	OldHeaders bool

	// NonePort makes a face take /none:PORT/redfish/v1/... for /redfish/v1/...
	// observed: python-ilorest-library 3.6 to 7.4, which sends such a path to end
	// its session at a port other than 443.
	NonePort bool

	// SessionLimit is how many sessions of ours such a device bears where
	// nobody said otherwise; 0 means 2.
	SessionLimit int

	// OpensSession says that a call with HTTP Basic makes a session at the
	// device, so that Basic is no free way to look at it.
	OpensSession bool

	// KeepsContext says that the device takes Session.Context at a login
	// although its root does not show a version that would.
	KeepsContext bool

	// Generation is that of an iLO: 5, 6 or 7; 0 for what is none.
	Generation int

	flavour *flavour // what is fixed; nil: generic
}

// Slash says how the URIs of resources end in a face's answers.
type Slash string

// The ways to end a URI.
const (
	SlashAsWritten Slash = ""         // as the resource has them
	SlashNever     Slash = "never"    // without a slash
	SlashAlways    Slash = "always"   // with a slash
	SlashAsAsked   Slash = "as-asked" // as the request's URI (iLO 5 1.40 and later, iLO 6)
)

// profiles is the whole list.
var profiles = []Profile{
	{Name: "generic"},
	ilo("ilo", 6), ilo("ilo5", 5), ilo("ilo7", 7),
	rmc(),
}

// Generic is the profile of DMTF's documents.
func Generic() Profile { return profiles[0] }

// FindProfile returns the profile of that name; "" is the generic one. Changes to
// its settings may follow the name, as With has them: "ilo,location=relative".
func FindProfile(name string) (Profile, error) {
	if name == "" {
		return Generic(), nil
	}
	parts := strings.Split(name, ",")
	for _, p := range profiles {
		if p.Name == parts[0] {
			return p.With(parts[1:]...)
		}
	}
	return Profile{}, fmt.Errorf("redfish: no profile %q", parts[0])
}

// CertificatePage is the path that a client certificate logs in at, for a session;
// "" where it goes with each call.
func (p Profile) CertificatePage() string {
	if p.flavour == nil {
		return ""
	}
	return p.flavour.certificatePage
}

// Profiles returns the names of all profiles.
func Profiles() []string {
	var names []string
	for _, p := range profiles {
		names = append(names, p.Name)
	}
	return names
}

// settings are what With can change, by name and value.
var settings = map[string]map[string]func(*Profile){
	"location": {
		"absolute": func(p *Profile) { p.RelativeLocation = false },
		"relative": func(p *Profile) { p.RelativeLocation = true },
	},
	"slash": {
		string(SlashNever):   func(p *Profile) { p.Slash = SlashNever },
		string(SlashAlways):  func(p *Profile) { p.Slash = SlashAlways },
		string(SlashAsAsked): func(p *Profile) { p.Slash = SlashAsAsked },
	},
	"old-headers": {
		"off": func(p *Profile) { p.OldHeaders = false },
		"on":  func(p *Profile) { p.OldHeaders = true },
	},
	"none-port": {
		"off": func(p *Profile) { p.NonePort = false },
		"on":  func(p *Profile) { p.NonePort = true },
	},
}

// With returns p with settings changed: "location=absolute|relative",
// "slash=never|always|as-asked", "old-headers=on|off", "none-port=on|off".
func (p Profile) With(changes ...string) (Profile, error) {
	for _, c := range changes {
		name, value, _ := strings.Cut(c, "=")
		values, ok := settings[name]
		if !ok {
			return p, fmt.Errorf("redfish: a profile has no setting %q: there are %s", name, strings.Join(sorted(settings), ", "))
		}
		set, ok := values[value]
		if !ok {
			return p, fmt.Errorf("redfish: %s cannot be %q: it is %s", name, value, strings.Join(sorted(values), ", "))
		}
		set(&p)
	}
	return p, nil
}

// BasicOpensSession reports whether a call with HTTP Basic makes a session at
// the device.
func (p Profile) BasicOpensSession() bool { return p.OpensSession }

// Budget is how many sessions of ours such a device bears.
func (p Profile) Budget() int {
	if p.SessionLimit > 0 {
		return p.SessionLimit
	}
	return 2
}

// A flavour is what is fixed about a profile that is not generic. One Handler
// and one set of functions serve all profiles: what differs is here.
type flavour struct {
	envelope envelope

	// headers are on every answer.
	headers [][2]string
	// loginHeaders are what an answer to a login has of headers; nil: no matter.
	loginHeaders []string
	// contentType is that of JSON.
	contentType string
	// schemaLink is the Link of a resource whose schema has this name.
	schemaLink func(schema string) string
	// tag makes an entity tag in the device's form of what a resource is known by.
	tag func(sum []byte) string
	// misread are texts for which clients search the answer to a login, one that
	// let them in too: no account name may bring them in.
	misread []string

	// sessionID makes a session's id of a name that may stand in a path.
	sessionID func(name string, unix int64) string
	// session and collection are the wire form of the session resources, with the
	// generic tag of what does not change from one look to the next.
	session    func(sessionView) (body any, tag string)
	collection func(collectionView) any // nil: the generic one
	// ended is the message of a 200 to the DELETE of a session; "" is a 204.
	ended string

	// foldsCase: the letter case of the fixed segments of a path does not matter,
	// nor how many slashes are between them.
	foldsCase bool
	// oldPaths are the prefixes in whose place /redfish/v1 stands, which a reader
	// is redirected to.
	oldPaths []string
	// certificatePage is the path that a GET with a client certificate logs in at.
	// Where there is one, certificates are of no use anywhere else.
	certificatePage string
	// changes: what was changed or made is told by a message, not shown.
	changes bool
	// query says which parameters count.
	query queryForm

	// denied are resources that administer the device's accounts and certificates
	// besides those that all devices have; see the variable of that name.
	denied [][]string
}

// A queryForm says how a face takes query parameters.
type queryForm struct {
	lenient  bool     // what is not known, or does not fit the resource, is passed over
	ignored  []string // parameters that are not known here
	features protocolFeatures
}

// A face is how one request is answered.
type face struct {
	profile Profile
	slash   bool   // the request's path ended in one
	moved   string // where its reader is sent, from an old path; "" elsewhere
}

type faceKey struct{}

// faceOf returns what a Handler in front has noted about a request; the zero
// face, which is generic, where there is none.
func faceOf(r *http.Request) face {
	f, _ := r.Context().Value(faceKey{}).(*face)
	if f == nil {
		return face{}
	}
	return *f
}

// ProfileOf returns the profile that a request is to be answered in: that of the
// Handler in front.
func ProfileOf(ctx context.Context) Profile {
	if f, ok := ctx.Value(faceKey{}).(*face); ok {
		return f.profile
	}
	return Generic()
}

func withFace(r *http.Request, f face) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), faceKey{}, &f))
}
