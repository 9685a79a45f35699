package redfish

import (
	"net/http"

	"github.com/postern/postern/auth"
)

// An action is what the Handler does with a request.
type action int

const (
	actRefuse      action = iota // answer with decision.err
	actOpen                      // answer without asking who it is
	actLogin                     // the one POST that carries its credentials in the body
	actToken                     // look decision.token up, then go on
	actBasic                     // check account and password, then go on
	actCertificate               // judge the certificate of the connection, then go on
)

// A decision is all that can be said of a request before anything is asked or
// written.
type decision struct {
	act      action
	path     string // canonical; empty with pathErr
	place    place
	pathErr  error // the path cannot be read one way; told to whoever is known
	err      error // actRefuse
	token    auth.Secret
	account  auth.AccountName
	password auth.Secret
}

// A connection is what the request came over.
type connection struct {
	tls         bool
	certificate bool // the client showed one, and the rules have it judged
}

// errNoCredentials is the 401 of a request that brought nothing usable.
var errNoCredentials = &Problem{Status: http.StatusUnauthorized, Key: keyNoValidSession}

// errPlain: credentials and what they protect travel over TLS only (DSP0266
// 1.8.1, 13.3.2, suggests 404).
var errPlain = general(http.StatusNotFound, "This resource can be reached over https only.", nil)

// decide reads method, path, headers and TLS state, and nothing else. header
// returns all values of one header. It has no side effects, so that another
// data path can use it.
//
// Authentication comes before routing and before any look at the body (DSP0266
// 1.8.1, 13.3; its sole exception is the login). A path that cannot be read
// one way is never open and never the login.
func decide(method, rawPath string, header func(string) []string, on connection) decision {
	d := decision{}
	d.path, d.pathErr = Canonical(rawPath)
	switch {
	case d.pathErr == nil:
		d.place = locate(d.path)
	case AsProblem(d.pathErr).Status == http.StatusRequestURITooLong:
		return refuse(d, d.pathErr) // size limits come first
	}
	if d.pathErr == nil && d.place == placeOpen && readMethod(method) {
		d.act = actOpen
		return d
	}
	if !on.tls {
		return refuse(d, errPlain)
	}
	if method == http.MethodPost && (d.place == placeSessions || d.place == placeMembers) {
		// Whatever credentials the request carries are ignored. observed:
		// redfish 3.4.2 logs in again with the stale token still in its header.
		d.act = actLogin
		return d
	}
	return credentials(d, header, on)
}

func refuse(d decision, err error) decision {
	d.act, d.err = actRefuse, err
	return d
}

// credentials picks what a request is judged by. X-Auth-Token decides alone,
// a bad one is not made good by anything else; an empty one is none (clients
// are known to send a null token), two are never "the first wins". Then an
// Authorization decides alone, and a certificate where there is neither.
func credentials(d decision, header func(string) []string, on connection) decision {
	tokens := header("X-Auth-Token")
	if len(tokens) > 1 {
		return refuse(d, errNoCredentials)
	}
	if len(tokens) == 1 && tokens[0] != "" {
		if !tokenShaped(tokens[0]) {
			return refuse(d, errNoCredentials)
		}
		d.act, d.token = actToken, auth.NewSecret(tokens[0])
		return d
	}
	values := header("Authorization")
	if len(values) == 0 && on.certificate {
		d.act = actCertificate
		return d
	}
	if len(values) != 1 {
		return refuse(d, errNoCredentials)
	}
	var ok bool
	if d.account, d.password, ok = parseBasic(values[0]); !ok {
		return refuse(d, errNoCredentials)
	}
	d.act = actBasic
	return d
}

// readMethod reports whether a method only reads.
func readMethod(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}
