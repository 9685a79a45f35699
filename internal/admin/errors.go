package admin

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/account"
)

// A Code says what kind of error one is; it crosses the socket.
type Code string

// The codes.
const (
	Invalid     Code = "invalid"     // the input is wrong; nothing was done
	NotFound    Code = "not found"   // no such account, role, certificate, listener or target
	Exists      Code = "exists"      // the name, or the certificate, is there already
	Conflict    Code = "conflict"    // against a rule that stands, or against what somebody else did
	Refused     Code = "refused"     // the device refused the credential or showed another certificate
	Unavailable Code = "unavailable" // the device, or the server, cannot do it now
	Internal    Code = "internal"    // everything else
)

// A Reason says more of an error to whoever must word it for a protocol.
type Reason string

// The reasons.
const (
	PasswordLength    Reason = "password length"    // Invalid: too short or too long
	PasswordReused    Reason = "password reused"    // Invalid: one that the account had before
	Changed           Reason = "changed"            // Conflict: somebody else changed it, the version is another
	LastAdministrator Reason = "last administrator" // Conflict: nobody could administer any more
	RoleInUse         Reason = "role in use"        // Conflict: accounts have the role
	Predefined        Reason = "predefined"         // Conflict: a built-in role stays as it is
	LimitReached      Reason = "limit reached"      // Conflict: there are as many as there may be
	Fixed             Reason = "fixed"              // Conflict: the configuration file says so
)

// An Error is what every method of an API fails with.
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"message"` // one sentence, lower case, no secret
	Hint    string `json:"hint,omitempty"`
	// Field is what of the input is wrong, by the name that it has in the JSON
	// of this package ("password", "role", "pem", ...); "" = no single one.
	Field  string `json:"field,omitempty"`
	Reason Reason `json:"reason,omitempty"`
}

func (e *Error) Error() string { return e.Message }

// CodeOf returns the code of an error of an API; Internal for any other.
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return Internal
}

// httpStatus is for whoever reads the socket with curl.
func (c Code) httpStatus() int {
	switch c {
	case Invalid:
		return http.StatusBadRequest
	case NotFound:
		return http.StatusNotFound
	case Exists, Conflict:
		return http.StatusConflict
	case Refused:
		return http.StatusForbidden
	case Unavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// about names the field that an error is about.
func (e *Error) about(field string) *Error {
	e.Field = field
	return e
}

// because gives the reason of an error.
func (e *Error) because(r Reason) *Error {
	e.Reason = r
	return e
}

func fail(c Code, hint, format string, a ...any) *Error {
	return &Error{Code: c, Message: fmt.Sprintf(format, a...), Hint: hint}
}

// fault is the one place where an error of the parts below becomes an Error.
func fault(err error) error {
	if _, ok := errors.AsType[*Error](err); ok || err == nil {
		return err
	}
	code := Internal
	switch {
	case errors.Is(err, auth.ErrUnavailable):
		code = Unavailable
	}
	return &Error{Code: code, Message: err.Error()}
}

// sentence is an error without the words that say which package it went through.
func sentence(err error) string {
	text := err.Error()
	for {
		head, rest, ok := strings.Cut(text, ": ")
		if !ok {
			return text
		}
		switch head {
		case "account", "policy", "session", "trust", "create", "set rules", "add role", "change role":
			text = rest
		default:
			return text
		}
	}
}

// accountFault is fault for what was done to one account.
func accountFault(err error, name auth.AccountName) error {
	switch {
	case errors.Is(err, account.ErrNotFound):
		return fail(NotFound, "postern account list shows those there are", "no account %q", name)
	case errors.Is(err, account.ErrExists):
		return fail(Exists, "", "account %q exists already", name).about("name")
	case errors.Is(err, account.ErrConflict):
		return fail(Conflict, "read it again", "account %q was changed by somebody else", name).because(Changed)
	case errors.Is(err, account.ErrLastAdministrator):
		return fail(Conflict, "make another account Administrator first", "account %q is the last enabled Administrator", name).because(LastAdministrator)
	case errors.Is(err, account.ErrPasswordLength):
		return fail(Invalid, "", "%s", sentence(err)).about("password").because(PasswordLength)
	case errors.Is(err, account.ErrPasswordReused):
		return fail(Invalid, "", "account %q had this password before", name).about("password").because(PasswordReused)
	case errors.Is(err, account.ErrBadPassword):
		return fail(Invalid, "", "%s", sentence(err)).about("password")
	case errors.Is(err, account.ErrBadHash):
		return fail(Invalid, "argon2id, bcrypt or sha512crypt", "%s", sentence(err)).about("hash")
	case errors.Is(err, account.ErrBadRole):
		return fail(Invalid, "postern role list shows those there are", "%s", sentence(err)).about("role")
	case errors.Is(err, account.ErrBadName):
		return fail(Invalid, "", "%s", sentence(err)).about("name")
	}
	return fault(err)
}
