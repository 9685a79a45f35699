package sim

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"

	"github.com/postern/postern/redfish"
)

// withoutSessions cuts what leads to the session service out of the service
// root, for the fault no-sessions.
func withoutSessions(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, err := redfish.Canonical(r.URL.EscapedPath())
		if err != nil || strings.TrimSuffix(path, "/") != rootPath {
			next.ServeHTTP(w, r)
			return
		}
		held := &heldAnswer{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(held, r)
		body := held.body.Bytes()
		w.Header().Del("Content-Length") // of a HEAD: nobody has counted
		if len(body) > 0 {
			body = cut(cut(body, "SessionService"), "Sessions")
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		}
		w.WriteHeader(held.status)
		w.Write(body) // an error here is the peer's going away
	})
}

// A heldAnswer waits to be changed. What a service root takes is small.
type heldAnswer struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (h *heldAnswer) WriteHeader(status int)      { h.status = status }
func (h *heldAnswer) Write(b []byte) (int, error) { return h.body.Write(b) }
