package serve

import (
	"crypto/rand"
	"log/slog"
	"net"
	"net/http"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/audit"
)

// audited records the calls that reach the tree, as the gateway does those to a
// device: what may change something before it is made, a read after its answer.
type audited struct {
	next       http.Handler
	audit      *audit.Log
	listener   string
	writeError func(w http.ResponseWriter, r *http.Request, status int, text string)
	log        *slog.Logger
}

func (a *audited) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rec := audit.Record{
		Event: audit.Call, RequestID: auth.RequestID(r.Context()), Listener: a.listener, Source: r.RemoteAddr,
		Method: r.Method, Path: r.URL.EscapedPath(),
	}
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		rec.Source = host
	}
	if p, ok := auth.PrincipalFrom(r.Context()); ok {
		rec.Caller = string(p.Account)
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
	default:
		rec.Event, rec.Ref = audit.CallBegin, rand.Text()
		if err := a.audit.Append(r.Context(), rec); err != nil {
			a.log.LogAttrs(r.Context(), slog.LevelError, "a call cannot be recorded", slog.Any("error", err))
			a.writeError(w, r, http.StatusServiceUnavailable, "The call cannot be recorded, so it is not made.")
			return
		}
		rec.Event = audit.CallEnd
	}
	answer := &recorder{ResponseWriter: w}
	rec.Outcome = audit.OutcomeUnknown // as long as next does not return
	defer func() {
		rec.Status = answer.status
		a.audit.Note(rec)
	}()
	a.next.ServeHTTP(answer, r)
	rec.Outcome = "answered"
}
