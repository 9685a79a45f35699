package sim

import (
	"bufio"
	"bytes"
	"fmt"
	"maps"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/redfish"
)

// An exchange is one request and the answer to it, which waits until the faults
// have altered it. It is the http.ResponseWriter of what answers.
type exchange struct {
	device  *Device
	request *http.Request // as the device knows it
	asked   string        // the URI that it was sent to, if that is another
	path    string        // canonical
	kind    kind
	note    *note

	status  int
	header  http.Header
	body    []byte
	touched bool // the body is not the device's any more
}

func (x *exchange) Header() http.Header { return x.header }

// WriteHeader takes the first status, as net/http does.
func (x *exchange) WriteHeader(status int) {
	if x.status == 0 && status >= 200 {
		x.status = status
	}
}

func (x *exchange) Write(b []byte) (int, error) {
	x.WriteHeader(http.StatusOK)
	x.body = append(x.body, b...)
	return len(b), nil
}

// set puts another body in the place of the answer's.
func (x *exchange) set(contentType string, body []byte) {
	x.body, x.touched = body, true
	x.header.Del("ETag")
	if contentType == "" {
		x.header.Del("Content-Type")
		return
	}
	x.header.Set("Content-Type", contentType)
}

// refuse answers with an error.
func (x *exchange) refuse(err error) bool {
	redfish.WriteError(x, x.request, err)
	return true
}

// redirect answers with a redirect.
func (x *exchange) redirect(status int, to string) bool {
	x.header.Set("Location", to)
	x.WriteHeader(status)
	return true
}

// loggedIn reports whether the request brings credentials that are good.
func (x *exchange) loggedIn() bool {
	if token := x.request.Header.Get("X-Auth-Token"); token != "" {
		_, id := x.device.auth.owner(token)
		return id != ""
	}
	user, password, ok := x.request.BasicAuth()
	if !ok {
		return false
	}
	_, err := x.device.auth.Check(x.request.Context(), auth.Attempt{Account: auth.AccountName(user), Password: auth.NewSecret(password)})
	return err == nil
}

// misbehaving lets the faults have their way with a request and its answer.
func (d *Device) misbehaving(a *answerWriter, r *http.Request, k kind, path string) {
	x := &exchange{
		device: d, request: r, asked: a.request.URL.EscapedPath(), path: path, kind: k, note: a.note, header: make(http.Header),
	}
	answered := false
	for _, f := range d.faults.before {
		if answered = f(x); answered {
			break
		}
	}
	if !answered {
		d.route(x, r, k, path)
	}
	x.WriteHeader(http.StatusOK)
	for _, f := range d.faults.after {
		f(x)
	}
	x.leave(a)
}

// leave journals the answer and sends it, in its own way where a fault has one.
func (x *exchange) leave(a *answerWriter) {
	head := x.request.Method == http.MethodHead
	switch {
	case x.status == http.StatusNoContent || x.status == http.StatusNotModified || head && x.touched:
		x.header.Del("Content-Length")
	case !head:
		x.header.Set("Content-Length", strconv.Itoa(len(x.body)))
	}
	if head || x.status == http.StatusNoContent || x.status == http.StatusNotModified {
		x.body = nil
	}
	maps.Copy(a.Header(), x.header)
	x.status = a.record(x.status)
	if x.header = a.Header(); a.dropped {
		return
	}
	for _, f := range x.device.faults.deliver {
		if f(x, a.ResponseWriter) {
			return
		}
	}
	a.ResponseWriter.WriteHeader(x.status)
	a.ResponseWriter.Write(x.body) // an error here is the peer's going away
}

// seize takes the connection away from the web server, to send what that would
// not. Whoever asked for it closes it.
func (x *exchange) seize(w http.ResponseWriter) net.Conn {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // not HTTP/1.1: the connection is closed without a word
	}
	return conn
}

// head is the status line and the header of the answer, as they stand on the wire.
func (x *exchange) head() []byte {
	var b bytes.Buffer
	w := bufio.NewWriter(&b)
	fmt.Fprintf(w, "HTTP/1.1 %d %s\r\n", x.status, http.StatusText(x.status))
	if x.header.Get("Date") == "" {
		x.header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	}
	x.header.Write(w)
	w.WriteString("\r\n")
	w.Flush()
	return b.Bytes()
}
