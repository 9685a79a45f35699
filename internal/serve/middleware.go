package serve

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/authority"
)

// A front stands before every handler: it numbers requests, survives their
// panics, refuses those meant for another name, and writes one log line each.
type front struct {
	next http.Handler
	// writeError answers in the family's form, with a sentence for the caller;
	// "" is an internal error.
	writeError func(w http.ResponseWriter, r *http.Request, status int, text string)
	target     string
	log        *slog.Logger
	now        func() time.Time
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := f.now()
	id := rand.Text()
	rec := &recorder{ResponseWriter: w}
	who := new(auth.Principal)
	r = r.WithContext(withCaller(auth.WithRequestID(r.Context(), id), who))
	h := w.Header()
	h["X-Request-Id"] = []string{id}
	h["Strict-Transport-Security"] = []string{"max-age=31536000"}
	defer func() {
		v := recover()
		if v != nil && v != http.ErrAbortHandler {
			f.log.LogAttrs(r.Context(), slog.LevelError, "panic in a handler",
				slog.Any("panic", v), slog.String("stack", string(debug.Stack())))
			v = f.sorry(rec, r)
		}
		f.line(r, rec, *who, f.now().Sub(start), v != nil)
		if v != nil {
			panic(v) // ErrAbortHandler: the server closes the connection
		}
	}()
	if misdirected(r) {
		f.writeError(rec, r, http.StatusMisdirectedRequest, "The Host of the request is not the name that the connection was opened for.")
		return
	}
	f.next.ServeHTTP(rec, r)
}

// sorry answers 500 after a panic where no answer has begun; otherwise it asks
// for the connection to be cut, so that a part is not taken for the whole.
func (f *front) sorry(rec *recorder, r *http.Request) any {
	if rec.status != 0 {
		return http.ErrAbortHandler
	}
	f.writeError(rec, r, http.StatusInternalServerError, "")
	return nil
}

func (f *front) line(r *http.Request, rec *recorder, who auth.Principal, took time.Duration, cut bool) {
	status := rec.status
	if status == 0 {
		status = http.StatusOK
	}
	msg := "request"
	if cut {
		msg = "request, its answer cut off"
	}
	f.log.LogAttrs(r.Context(), slog.LevelInfo, msg,
		slog.String("target", f.target),
		slog.String("method", r.Method),
		slog.String("path", r.URL.EscapedPath()), // without the query, which may hold secrets
		slog.Int("status", status),
		slog.Int64("bytes", rec.bytes),
		slog.Duration("took", took),
		slog.String("caller", string(who.Account)),
		slog.String("source", r.RemoteAddr))
}

// misdirected reports whether a name was asked for in the handshake and another
// in the request (RFC 9110, 7.4). Addresses are not compared: they have no SNI.
func misdirected(r *http.Request) bool {
	if r.TLS == nil || r.TLS.ServerName == "" {
		return false
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(host, ".")
	if net.ParseIP(strings.Trim(host, "[]")) != nil {
		return false
	}
	return !strings.EqualFold(host, strings.TrimSuffix(r.TLS.ServerName, "."))
}

// A recorder remembers what was answered.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (r *recorder) WriteHeader(status int) {
	if status >= 200 && r.status == 0 { // 1xx may come before
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(p)
	r.bytes += int64(n)
	return n, err
}

// Unwrap gives http.ResponseController the server's own writer.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// errorLog takes the server's own complaints, which are about single
// connections (handshakes, resets): worth a line only to whoever looks for it.
type errorLog struct{ log *slog.Logger }

func (e errorLog) Write(p []byte) (int, error) {
	e.log.Debug("connection", slog.String("error", strings.TrimSpace(string(p))))
	return len(p), nil
}

type callerKey struct{}

// withCaller makes room in ctx for the principal that a handler further in
// will find out, so that the line of the request can name it.
func withCaller(ctx context.Context, p *auth.Principal) context.Context {
	return context.WithValue(ctx, callerKey{}, p)
}

func note(ctx context.Context, p auth.Principal) {
	if slot, ok := ctx.Value(callerKey{}).(*auth.Principal); ok {
		*slot = p
	}
}

// noteCaller tells the front who was let through to next.
func noteCaller(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p, ok := auth.PrincipalFrom(r.Context()); ok {
			note(r.Context(), p)
		}
		next.ServeHTTP(w, r)
	})
}

// noting is the authority as a face sees it: it also tells the front who logs
// in and out, which no handler behind the face gets to know.
type noting struct{ *authority.Authority }

func (n noting) Login(ctx context.Context, a auth.Attempt) (auth.Session, error) {
	s, err := n.Authority.Login(ctx, a)
	if err == nil {
		note(ctx, s.Principal)
	}
	return s, err
}

func (n noting) Check(ctx context.Context, a auth.Attempt) (auth.Principal, error) {
	p, err := n.Authority.Check(ctx, a)
	if err == nil {
		note(ctx, p)
	}
	return p, err
}

func (n noting) Logout(ctx context.Context, by auth.Principal, id string) error {
	note(ctx, by)
	return n.Authority.Logout(ctx, by, id)
}
