package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/postern/postern/internal/lease"
	"github.com/postern/postern/internal/target"
)

// An Error is an answer of Postern's own to a call that it did not, or could
// not, carry through.
type Error struct {
	Status     int           // HTTP status of the answer
	Message    string        // sentences for the caller: what happened, and what to do
	RetryAfter time.Duration // when trying again makes sense; 0 = not told
	Err        error         // the cause, for the log; never holds a secret
}

func (e *Error) Error() string {
	if e.Err == nil {
		return "gateway: " + e.Message
	}
	return fmt.Sprintf("gateway: %s: %v", e.Message, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// errCutShort marks a body of the device that ended before its end.
var errCutShort = errors.New("the answer broke off")

// noLogin puts in words why there is no login at the device.
func (x *exchange) noLogin(err error) error {
	var u *lease.Unavailable
	if !errors.As(err, &u) {
		return x.left(err)
	}
	if x.ref != "" {
		x.outcome = outcomeNotDone
	}
	return leaseError(u, x.g.target.Name)
}

func leaseError(u *lease.Unavailable, name string) *Error {
	e := &Error{Status: http.StatusServiceUnavailable, RetryAfter: max(u.RetryAfter, time.Second), Err: u}
	switch u.Reason {
	case lease.Full:
		e.Message = "Every session and place that the device has for Postern is taken. Try again later."
	case lease.Busy:
		e.Message = "The device does not let Postern log in, though not because of the password: it answers with an error, or not at all. Try again later."
	case lease.Refused:
		e.Message = "The device refused the password that Postern has for it, and it is not tried again, so that the account is not locked." +
			" An administrator can correct it, or try it once more with 'postern target check " + name + "'."
	case lease.Down:
		down := transportError(u.Err, name, false, false)
		down.RetryAfter, down.Err = e.RetryAfter, u
		return down
	case lease.NoTarget:
		e.Status, e.RetryAfter = http.StatusNotFound, 0
		e.Message = "There is no such target any more."
	case lease.Draining:
		e.Message = "Postern is shutting down. Try again later."
	default:
		e.Message = "Postern cannot use its own store, audit or credentials. Try again later; an administrator finds the reason in the log."
	}
	return e
}

// transportError puts a failed exchange in the words of the caller. sent is
// whether any of the request may have reached the device.
func transportError(err error, name string, effect, sent bool) *Error {
	e := &Error{Status: http.StatusBadGateway, Err: err}
	switch {
	case isCertificate(err):
		e.Message = "The certificate of the device is not the one that is trusted, so nothing was sent to it." +
			" An administrator can look at it, and accept it, with 'postern target pin " + name + "'."
		return e
	case isTimeout(err):
		e.Status = http.StatusGatewayTimeout
		e.Message = "The device did not answer in time."
	case errors.Is(err, syscall.ECONNREFUSED):
		e.Message = "The device refuses the connection."
	case isDNS(err):
		e.Message = "The name of the device cannot be resolved."
	case !sent:
		e.Message = "The device cannot be reached."
	default:
		e.Message = "The connection to the device broke before it answered."
	}
	switch {
	case effect && sent: // no word of when to send it again
		e.Message += " The call may have been carried out: look before sending it again."
		return e
	case effect:
		e.Message += " Nothing was sent: try again later."
	default:
		e.Message += " Try again later."
	}
	e.RetryAfter = tryLater
	return e
}

// tryLater is what callers of a device that does not answer are told to wait.
const tryLater = 5 * time.Second

func isCertificate(err error) bool {
	var (
		verify *tls.CertificateVerificationError
		pin    *target.PinError
	)
	return errors.As(err, &verify) || errors.As(err, &pin)
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) ||
		errors.As(err, &n) && n.Timeout()
}

// isDial reports whether there was no connection to send anything on.
func isDial(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

func isDNS(err error) bool {
	var d *net.DNSError
	return errors.As(err, &d)
}
