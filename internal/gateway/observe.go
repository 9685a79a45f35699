package gateway

import (
	"errors"
	"net/http"
	"time"

	"github.com/postern/postern/internal/lease"
)

// An Observer is told how calls go, by the goroutines that carry them. Its methods
// return at once and are safe for concurrent use.
type Observer interface {
	// Waited is told how long a call waited for a place and a login at the device,
	// whether it got them or not.
	Waited(target string, d time.Duration)
	// Answered is told how long a device took from the sending of a call until the
	// header of its answer.
	Answered(target string, d time.Duration)
	// Refused is told of each call that ended with an error of Postern's own: by a
	// reason of package lease, "rules", "request" (it is wrong in itself), "device"
	// (no answer, or none that could be passed on) or "left" (the caller did not wait).
	Refused(target, reason string)
}

type nobody struct{}

func (nobody) Waited(string, time.Duration)   {}
func (nobody) Answered(string, time.Duration) {}
func (nobody) Refused(string, string)         {}

// reason puts an error in one word.
func (x *exchange) reason(err error) string {
	if u, ok := errors.AsType[*lease.Unavailable](err); ok {
		return string(u.Reason)
	}
	switch {
	case x.outcome == outcomeDenied:
		return "rules"
	case x.outcome == outcomeLeft:
		return "left"
	case x.use == nil || x.status < http.StatusInternalServerError:
		return "request"
	}
	return "device"
}
