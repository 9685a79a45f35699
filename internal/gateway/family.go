package gateway

import (
	"net/http"

	"github.com/postern/postern/auth"
)

// A Kind says what a call is, before any rule is asked.
type Kind int

// The kinds of call. The zero Kind refuses.
const (
	Refused Kind = iota // can be read in two ways, or is no call of the family: 400
	Denied              // never for callers, whatever the rules say: 403
	Open                // GET or HEAD of a document that needs no credentials
	Ours                // a resource of Postern's own, which the family's Handler serves
	Read                // changes nothing at the device
	Effect              // everything else
)

// A Call is what a family reads out of a request line.
type Call struct {
	Kind Kind
	Path string // canonical: what the rules see; the raw path is what is sent
	// Reach is how many levels below Path the answer may show: 0 the resource
	// alone, more where the query expands it.
	Reach int
	Err   error // why, for Refused and Denied; may be nil
}

// A Family is what the gateway must know of a protocol family for one target's
// profile. All methods are pure and safe for concurrent use.
type Family interface {
	// Classify judges a request line. rawPath is the path as it was sent,
	// undecoded; rawQuery is what follows the question mark.
	Classify(method, rawPath, rawQuery string) Call
	// Attach gives r, a request of the gateway's own, the one header that
	// carries l, and takes away every other that may carry credentials.
	Attach(r *http.Request, l auth.Login)
	// Judge says what an answer means for the login it was asked with.
	Judge(status int, h http.Header) auth.Verdict
	// WriteError answers r with err in the family's form. err is an *Error or
	// one of auth's sentinels, perhaps wrapped. Headers that were set on w
	// before are kept, except those that describe the body.
	WriteError(w http.ResponseWriter, r *http.Request, err error)
	// BodyMembers returns the top-level member names of a body that the rules
	// must see. It refuses whatever two readers could read differently. The
	// error is the family's own. The gateway bounds the size.
	BodyMembers(body []byte) ([]string, error)
	// RequestHeaders lists the headers of a caller that reach the device, in
	// the letter case in which they are sent. Those of one connection, cookies
	// and credentials never do, and Accept-Encoding is always identity.
	RequestHeaders() []string
	// ResponseHeaders lists the headers of a device that reach the caller, in
	// the letter case in which they are sent. Those of one connection, cookies
	// and demands for credentials never do; Location and Link are rewritten, and
	// like the length and encoding of a body need not be listed.
	ResponseHeaders() []string
	// ErrorBody returns the body to show in place of that of an error answer
	// which says nothing to a client of the family (empty, HTML), and its media
	// type. ok is false where the device's own will do.
	ErrorBody(status int, contentType string, body []byte) (shown []byte, mediaType string, ok bool)
	// Document returns what is shown of a device's open document; ok is false
	// where body makes no sense as such.
	Document(path string, body []byte) (shown []byte, ok bool)
	// ServeMinimal answers GET and HEAD of an open document with Postern's own,
	// for a device that does not show its own or is down.
	ServeMinimal(w http.ResponseWriter, r *http.Request)
}
