package sim

import (
	"net/http"
	"strings"

	"github.com/postern/postern/redfish"
)

// watched are the collections whose members others serve and the machine's
// listeners hear of, with the members' type.
var watched = map[string]string{
	rootPath + "/AccountService/Accounts": "ManagerAccount",
	rootPath + "/AccountService/Roles":    "Role",
}

// Watch returns a handler that passes everything on to next, and tells the
// machine's listeners which accounts and roles were made, changed and removed
// by it. It is for a server that administers them in front of the machine.
func (m *Machine) Watch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		collection := watchedCollection(r)
		if collection == "" {
			next.ServeHTTP(w, r)
			return
		}
		s := &statusWriter{ResponseWriter: w}
		next.ServeHTTP(s, r)
		if s.status/100 == 2 {
			m.device.events.resourceEvent(changeOf(r, w.Header()), changedURI(r, w.Header()), watched[collection])
		}
	})
}

// watchedCollection is the one that a request may change something in, or "".
func watchedCollection(r *http.Request) string {
	switch r.Method {
	case http.MethodPost, http.MethodPatch, http.MethodPut, http.MethodDelete:
	default:
		return ""
	}
	path, err := redfish.Canonical(r.URL.EscapedPath())
	if err != nil {
		return ""
	}
	for at := range watched {
		if path == at || within(path, at) {
			return at
		}
	}
	return ""
}

func changeOf(r *http.Request, answer http.Header) string {
	switch {
	case r.Method == http.MethodDelete:
		return eventResourceRemoved
	case r.Method == http.MethodPost && answer.Get("Location") != "":
		return eventResourceAdded
	}
	return eventResourceUpdated
}

func changedURI(r *http.Request, answer http.Header) string {
	if at := answer.Get("Location"); at != "" {
		return at
	}
	at, _, _ := strings.Cut(strings.TrimSuffix(r.URL.EscapedPath(), "/"), "/Actions/")
	return at
}

// A statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader sends the header. An informational one is not the answer's.
func (s *statusWriter) WriteHeader(status int) {
	if s.status == 0 && status >= 200 {
		s.status = status
	}
	s.ResponseWriter.WriteHeader(status)
}

// Write sends a part of the body.
func (s *statusWriter) Write(b []byte) (int, error) {
	if s.status == 0 {
		s.status = http.StatusOK
	}
	return s.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach what is below.
func (s *statusWriter) Unwrap() http.ResponseWriter { return s.ResponseWriter }
