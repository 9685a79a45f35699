package redfish

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/postern/postern/auth"
)

// retryBusy is what callers are told to wait when no better figure is known:
// long enough to let a queue of password checks drain.
const retryBusy = 5 * time.Second

// retryFull is what callers are told to wait when the session table is full.
const retryFull = 30 * time.Second

// A Problem is an error that knows its answer. It is what WriteError makes of
// every error, and what a handler behind this one may return to it.
type Problem struct {
	Status     int           // HTTP status
	Key        string        // of the Base registry; unknown or empty: GeneralError
	Args       []string      // arguments of the message
	Related    []string      // JSON pointers to the members in question: "#/Password"
	Text       string        // a sentence for the person; in the place of GeneralError's text, behind that of others
	Allow      string        // for 405
	RetryAfter time.Duration // 0: none; rounded up to whole seconds
	More       []Problem     // further messages of the same answer
	Err        error         // the cause, for logs; never shown
}

// Error describes the problem for logs.
func (p *Problem) Error() string {
	text := p.Text
	if text == "" {
		text = p.message().Message
	}
	if p.Err != nil {
		return fmt.Sprintf("%d %s: %v", p.Status, text, p.Err)
	}
	return fmt.Sprintf("%d %s", p.Status, text)
}

func (p *Problem) Unwrap() error { return p.Err }

// message returns the generic wire form of the problem's own message.
func (p *Problem) message() Message { return p.messageIn(&generic) }

func (p *Problem) messageIn(e *envelope) Message {
	m := newMessage(e, p.Key, p.Args, p.Related)
	switch {
	case p.Text == "":
	case strings.HasSuffix(m.MessageID, "."+keyGeneralError):
		m.Message = p.Text
	default:
		// Message may say more than the registry does; most clients show
		// nothing else.
		m.Message += "  " + p.Text
	}
	return m
}

// AsProblem returns the answer for err. This is the one place where errors of
// the authority and of the parts behind it become Redfish errors; whatever is
// not known here is a bare InternalError.
func AsProblem(err error) *Problem {
	var p *Problem
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, auth.ErrPasscodeSent):
		return &Problem{Status: http.StatusBadRequest, Key: keyOneTimePasscodeSent, Args: []string{"configured mail"}, Err: err}
	case errors.Is(err, auth.ErrPasscodeExpired):
		return &Problem{Status: http.StatusBadRequest, Key: keyTokenExpired, Err: err}
	case errors.Is(err, auth.ErrBadCredentials), errors.Is(err, auth.ErrNoSession):
		return &Problem{Status: http.StatusUnauthorized, Key: keyNoValidSession, Err: err}
	case errors.Is(err, auth.ErrForbidden):
		return &Problem{Status: http.StatusForbidden, Key: keyInsufficientPrivilege, Err: err}
	case errors.Is(err, auth.ErrServiceDisabled):
		return &Problem{Status: http.StatusServiceUnavailable, Key: keyServiceDisabled, Args: []string{sessionServiceURI}, Err: err}
	case errors.Is(err, ErrChanged):
		return &Problem{Status: http.StatusPreconditionFailed, Key: keyPreconditionFailed, Err: err}
	case errors.Is(err, auth.ErrSessionLimit):
		return &Problem{Status: http.StatusServiceUnavailable, Key: keySessionLimitExceeded, RetryAfter: retryFull, Err: err}
	case errors.Is(err, auth.ErrBusy), errors.Is(err, auth.ErrUnavailable):
		return unavailable(retryBusy, "", err)
	case errors.As(err, &tooLarge):
		return &Problem{Status: http.StatusRequestEntityTooLarge, Key: keyPayloadTooLarge, Err: err}
	}
	return &Problem{Status: http.StatusInternalServerError, Key: keyInternalError, Err: err}
}

// WriteError answers a request with err. It sets every header of the answer;
// headers that the caller set before stay.
func WriteError(w http.ResponseWriter, r *http.Request, err error) {
	p := faceOf(r).profile.translate(AsProblem(err))
	h := w.Header()
	if p.Allow != "" {
		h.Set("Allow", p.Allow)
	}
	if p.RetryAfter > 0 {
		h.Set("Retry-After", seconds(p.RetryAfter))
	}
	delHeader(h, "ETag")
	delHeader(h, "Location") // a failed POST must not carry one
	writeJSON(w, r, p.Status, faceOf(r).profile.errorBody(p))
}

// writeJSON answers with v. The body of a HEAD is left out, its length told.
func writeJSON(w http.ResponseWriter, r *http.Request, status int, v any) {
	writeBody(w, r, status, "application/json", encode(v))
}

func writeBody(w http.ResponseWriter, r *http.Request, status int, contentType string, body []byte) {
	h := w.Header()
	commonHeaders(h)
	h.Set("Content-Type", faceOf(r).contentType(contentType))
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		w.Write(body) // an error here is the peer's going away
	}
}

// encode marshals v without HTML escapes. Our own types always marshal.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return []byte("{}")
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// seconds rounds up, so that nobody comes back too early.
func seconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}

func unavailable(retry time.Duration, text string, err error) *Problem {
	retry = max(retry, time.Second)
	return &Problem{
		Status: http.StatusServiceUnavailable, Key: keyServiceTemporarilyUnavail,
		Args: []string{seconds(retry)}, RetryAfter: retry, Text: text, Err: err,
	}
}

func general(status int, text string, err error) *Problem {
	return &Problem{Status: status, Key: keyGeneralError, Text: text, Err: err}
}

// Refuse returns a Problem with a sentence for the person and the message that
// fits the status. retry is told with 503 (at least a second) and, when it is
// not zero, with others. err is the cause, for logs only.
func Refuse(status int, text string, retry time.Duration, err error) error {
	p := general(status, text, err)
	p.RetryAfter = retry
	switch status {
	case http.StatusServiceUnavailable:
		p = unavailable(retry, text, err)
	case http.StatusForbidden:
		p.Key = keyInsufficientPrivilege
	case http.StatusRequestEntityTooLarge:
		p.Key = keyPayloadTooLarge
	}
	return p
}

// Forbidden refuses because the rules do not allow the call.
func Forbidden(reason string, err error) error {
	return Refuse(http.StatusForbidden, reason, 0, err)
}

// Ambiguous refuses because the request can be read in two ways.
func Ambiguous(reason string) error {
	return general(http.StatusBadRequest, "The request can be read in two ways: "+reason+".", nil)
}

// ErrChanged says that something has changed since the caller read it.
var ErrChanged = errors.New("redfish: changed since it was read")

// NotFound is the 404 of a URI that leads to nothing.
func NotFound(uri string) *Problem {
	return &Problem{Status: http.StatusNotFound, Key: keyResourceMissingAtURI, Args: []string{uri}}
}

// NotAllowed is the 405 of a URI that takes the methods of allow: "GET, HEAD".
func NotAllowed(allow string) *Problem {
	return &Problem{Status: http.StatusMethodNotAllowed, Key: keyOperationNotAllowed, Allow: allow}
}

// BadRequest is a 400 with a message of the Base registry and its arguments.
func BadRequest(key string, args ...string) *Problem {
	return &Problem{Status: http.StatusBadRequest, Key: key, Args: args}
}

// AlreadyExists is the 409 of something that cannot be made a second time: its
// type, and the property that must be unique.
func AlreadyExists(kind, property, value string) *Problem {
	return &Problem{
		Status: http.StatusConflict, Key: keyResourceAlreadyExists, Args: []string{kind, property, value},
		Related: []string{"#/" + property},
	}
}

// PasswordChangeRequired is the 403 for an account that may do nothing but
// change its password.
func PasswordChangeRequired(account auth.AccountName) *Problem {
	return mustChange(AccountURI(account))
}

func mustChange(uri string) *Problem {
	return &Problem{Status: http.StatusForbidden, Key: keyPasswordChangeRequired, Args: []string{uri}}
}
