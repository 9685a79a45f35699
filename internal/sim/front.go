package sim

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/redfish"
)

// A kind of request, for the latency and the journal.
type kind int

const (
	kindOther kind = iota
	kindRoot
	kindLogin
	kindLogout
)

func kindOf(method, path string) kind {
	reads := method == http.MethodGet || method == http.MethodHead
	switch {
	case reads && path == rootPath+"/":
		return kindRoot
	case method == http.MethodPost && (path == sessionsPath || path == sessionsPath+"/Members"),
		method == http.MethodGet && path == certificatePage:
		return kindLogin
	case method == http.MethodDelete && within(path, sessionsPath):
		return kindLogout
	}
	return kindOther
}

func (l Latency) of(k kind) time.Duration {
	switch k {
	case kindRoot:
		return l.Root
	case kindLogin:
		return l.Login
	case kindLogout:
		return l.Logout
	}
	return l.Other
}

// answer is the outermost handler: it takes the device's time, lets the rest
// decide, and journals before anything leaves.
//
// Like a BMC it finishes what it was asked to do: neither the wait nor the work
// ends when the client hangs up. The session of a login that nobody waits for
// any more is made all the same, and takes its slot until it expires.
func (d *Device) answer(w http.ResponseWriter, r *http.Request) {
	inside := d.inward(r)
	path, err := d.cfg.Profile.Path(inside.URL.EscapedPath())
	if err != nil {
		path = ""
	}
	k := kindOf(r.Method, path)
	time.Sleep(d.cfg.Latency.of(k))
	n := &note{gone: r.Context().Done()}
	if k != kindLogin {
		n.user, n.session = d.auth.owner(r.Header.Get("X-Auth-Token"))
	}
	a := &answerWriter{ResponseWriter: w, device: d, request: r, kind: k, note: n}
	inside = inside.WithContext(withNote(context.WithoutCancel(r.Context()), n))
	if d.faults.holds() && path != streamPath { // a stream is never whole
		d.misbehaving(a, inside, k, path)
	} else {
		d.route(a, inside, k, path)
	}
	a.finish()
}

// inward returns the request with the URI that it has inside the device.
func (d *Device) inward(r *http.Request) *http.Request {
	uri := r.URL.EscapedPath()
	for _, f := range d.faults.inward {
		uri = f(uri)
	}
	if uri == r.URL.EscapedPath() {
		return r
	}
	inside := *r
	inside.URL = &url.URL{Scheme: r.URL.Scheme, Host: r.URL.Host, RawQuery: r.URL.RawQuery, ForceQuery: r.URL.ForceQuery}
	plain, err := url.PathUnescape(uri)
	if err != nil {
		return r
	}
	inside.URL.Path, inside.URL.RawPath = plain, uri
	return &inside
}

// route lets the faults answer that take the place of a part of the device.
func (d *Device) route(w http.ResponseWriter, r *http.Request, k kind, path string) {
	switch {
	case d.faults.noSessions && (path == servicePath || within(path, servicePath)):
		d.basicOnly(w, r, path)
	case d.faults.loginHTML && k == kindLogin:
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusInternalServerError)
		io.WriteString(w, htmlPage(http.StatusInternalServerError))
	case d.cfg.isILO() && !d.admits(r, path):
		d.shutOut(w, r)
	default:
		d.inner.ServeHTTP(w, r)
	}
}

// basicOnly answers below the session service that is not there. observed:
// sushy-tools checks Basic before it routes, so a login POST without it gets
// 401 even if the password in its body is right, and 404 with it.
func (d *Device) basicOnly(w http.ResponseWriter, r *http.Request, path string) {
	err := error(auth.ErrNoSession)
	if user, password, ok := r.BasicAuth(); ok && r.Header.Get("X-Auth-Token") == "" {
		_, err = d.auth.Check(r.Context(), auth.Attempt{Account: auth.AccountName(user), Password: auth.NewSecret(password)})
	}
	if err != nil {
		setHeader(w, "WWW-Authenticate", `Basic realm="`+d.cfg.Name+`"`)
	} else {
		err = missing(path)
	}
	redfish.WriteError(w, r, err)
}

// An answerWriter sees an answer before it leaves.
type answerWriter struct {
	http.ResponseWriter
	device  *Device
	request *http.Request
	kind    kind
	note    *note
	wrote   bool
	dropped bool // the answer does not leave
}

// WriteHeader journals the request, then sends the header, or not.
func (a *answerWriter) WriteHeader(status int) {
	if a.wrote || status < 200 {
		a.ResponseWriter.WriteHeader(status)
		return
	}
	if status = a.record(status); !a.dropped {
		a.ResponseWriter.WriteHeader(status)
	}
}

// record journals the request, and returns the status that its answer leaves with.
func (a *answerWriter) record(status int) int {
	a.wrote = true
	d := a.device
	if d.cfg.ClockOffset != 0 {
		a.Header().Set("Date", d.cfg.clock().UTC().Format(http.TimeFormat))
	}
	status = a.misbehave(status)
	event := a.event(status)
	d.count(event, a.note)
	d.journal.write(line{
		Event: event, Method: a.request.Method, Path: a.request.URL.EscapedPath(), Status: status,
		User: a.note.user, Session: a.note.session, Peer: a.request.RemoteAddr,
	})
	return status
}

// misbehave applies the faults that show in the head of an answer.
func (a *answerWriter) misbehave(status int) int {
	f := a.device.faults
	switch {
	case a.note.event == eventLogin:
		if f.noLocation {
			a.Header().Del("Location")
		}
		made := a.device.logins.Add(1)
		a.dropped = f.dropLoginEvery > 0 && made%int64(f.dropLoginEvery) == 0
	case a.note.event == eventLogout:
		ended := a.device.logouts.Add(1)
		a.dropped = f.dropLogoutEvery > 0 && ended%int64(f.dropLogoutEvery) == 0
	case a.note.full && f.fullStatus != 0 && f.fullStatus != status:
		a.Header().Del("Retry-After")
		return f.fullStatus
	case a.note.logoutRefused:
		a.Header().Del("Retry-After")
		return f.logoutRefused
	}
	return status
}

// event says what the journal calls the request.
func (a *answerWriter) event(status int) string {
	switch {
	case a.note.event != "":
		return a.note.event
	case a.kind == kindLogin, status == http.StatusUnauthorized && isBasic(a.request.Header):
		return eventLoginRefused
	}
	return eventCall
}

// isBasic reports whether a request is judged by HTTP Basic: a token goes first.
func isBasic(h http.Header) bool {
	scheme, _, _ := strings.Cut(h.Get("Authorization"), " ")
	return h.Get("X-Auth-Token") == "" && strings.EqualFold(scheme, "Basic")
}

// Write sends a part of the body, or not.
func (a *answerWriter) Write(b []byte) (int, error) {
	if !a.wrote {
		a.WriteHeader(http.StatusOK)
	}
	if a.dropped {
		return len(b), nil
	}
	return a.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach what is below.
func (a *answerWriter) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// finish ends an answer without a body, and cuts a dropped one.
func (a *answerWriter) finish() {
	if !a.wrote {
		a.WriteHeader(http.StatusOK)
	}
	if a.dropped {
		panic(http.ErrAbortHandler) // closes the connection without a word
	}
}

func (d *Device) count(event string, n *note) {
	switch event {
	case eventLogin: // counted already
	case eventLoginRefused:
		d.refused.Add(1)
		if n.full {
			d.full.Add(1)
		}
	default:
		d.calls.Add(1)
	}
}
