package gateway

import (
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/audit"
)

// Outcomes of a call in the audit.
const (
	outcomeUnknown  = audit.OutcomeUnknown // sent, but no answer came: it may have been carried out
	outcomeNotDone  = audit.OutcomeNotDone // on record, but not carried out
	outcomeAnswered = "answered"           // the device's answer went to the caller
	outcomeDenied   = "denied"             // by the rules
	outcomeRefused  = "refused"            // by Postern, before anything was sent
	outcomeCut      = "answer cut short"
	outcomeLeft     = "caller left"
	outcomeFailed   = "failed" // sent, and no answer that could be passed on
)

// record begins a record of this call.
func (x *exchange) record(event string) audit.Record {
	rec := audit.Record{
		Event: event, Ref: x.ref, RequestID: auth.RequestID(x.r.Context()), Listener: x.g.listener,
		Source: source(x.r), Caller: string(x.who.Account), Target: x.g.target.Name,
		Method: x.r.Method, Path: x.path, Status: x.status,
	}
	if x.use != nil {
		rec.Account = string(x.use.Login().Account)
	}
	return rec
}

// source is the caller's address without the port.
func source(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// announcement is what the record says of a call before it is sent.
func (x *exchange) announcement() string {
	s := "rule " + x.rule
	switch {
	case x.body.stream == nil:
		return s
	case x.body.stream.announced < 0:
		return s + "; upload of unknown length"
	}
	return fmt.Sprintf("%s; upload of %d bytes", s, x.body.stream.announced)
}

// finish answers where nobody has, and records how the call ended.
func (x *exchange) finish(err error) {
	if x.outcome == "" {
		x.outcome = x.outcomeOf(err)
	}
	if err != nil && !x.shown {
		x.refuse(err)
	}
	x.note()
	if err == nil {
		return
	}
	x.g.watch.Refused(x.g.target.Name, x.reason(err))
	x.complain(err)
	if x.shown {
		panic(http.ErrAbortHandler) // the caller must not take a part for the whole
	}
}

// refuse answers with an error in the family's form.
func (x *exchange) refuse(err error) {
	if x.outcome == outcomeLeft {
		x.status = statusLeft
		return
	}
	w := &statusWriter{ResponseWriter: x.w}
	x.g.target.Family.WriteError(w, x.r, err)
	x.status = w.status
}

// statusWriter remembers the status.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (x *exchange) outcomeOf(err error) string {
	switch {
	case err == nil:
		return outcomeAnswered
	case errors.Is(err, errCutShort):
		return outcomeCut
	case x.use == nil:
		return outcomeRefused
	}
	return outcomeFailed
}

// note writes the record of the call's end.
func (x *exchange) note() {
	event := audit.Call
	if x.ref != "" {
		event = audit.CallEnd
	}
	rec := x.record(event)
	rec.Outcome = x.outcome
	if x.body.stream != nil && x.ref != "" {
		rec.Detail = x.body.stream.passed().String()
	}
	x.g.audit.Note(rec)
}

// String is what the audit says of an upload.
func (p passed) String() string {
	s := fmt.Sprintf("upload: %d bytes, sha256 %s", p.bytes, hex.EncodeToString(p.sum))
	if !p.whole {
		s += ", not whole"
	}
	return s
}

// complain logs what an administrator may have to look after: what Postern or
// the device failed at. Refusals are in the audit.
func (x *exchange) complain(err error) {
	if x.outcome == outcomeLeft || x.status < http.StatusInternalServerError && x.outcome != outcomeCut {
		return
	}
	x.g.log.LogAttrs(x.r.Context(), slog.LevelWarn, "call failed",
		slog.String("target", x.g.target.Name), slog.String("method", x.r.Method), slog.String("path", x.call.Path),
		slog.Int("status", x.status), slog.String("outcome", x.outcome),
		slog.String("request_id", auth.RequestID(x.r.Context())), slog.Any("err", err))
}
