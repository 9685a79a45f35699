package gateway

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"sync"
	"time"
)

// Limits of request bodies, in bytes.
const (
	// maxJudged: a body that the rules look into. The biggest Redfish action or
	// PATCH body in the field is a BIOS attribute list of some 100 KiB.
	maxJudged = 1 << 20
	// maxHeld: a body that is held, so that it can be sent again after the
	// device has refused the login; a larger one streams.
	maxHeld = 64 << 10
)

// clientPatience is how long a caller may take for one piece of a body, 64 KiB
// or less, in either direction. A slow line moves that in a second or two.
const clientPatience = 30 * time.Second

// A payload is the body of a call on its way to the device: nothing, held
// bytes, or a stream.
type payload struct {
	held   []byte
	stream *stream
	done   bool // nothing is left to read from the caller
}

func (p *payload) repeatable() bool { return p.stream == nil }

// attach puts the body into an outgoing request.
func (p *payload) attach(r *http.Request) {
	switch {
	case p.stream != nil:
		r.Body, r.ContentLength = p.stream, p.stream.announced
	case len(p.held) > 0:
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(p.held)), int64(len(p.held))
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(p.held)), nil }
	}
}

// judgedBody reads a body that the rules must see, and the names of its members.
func (x *exchange) judgedBody() ([]byte, []string, error) {
	if x.r.Header.Get("Content-Encoding") != "" {
		return nil, nil, &Error{Status: http.StatusUnsupportedMediaType,
			Message: "The rules must see the body of this call: send it without Content-Encoding."}
	}
	if x.r.ContentLength > maxJudged {
		return nil, nil, errTooLarge
	}
	body, err := readHeld(x.w, x.r, maxJudged)
	if err != nil {
		return nil, nil, err
	}
	names, err := x.g.target.Family.BodyMembers(body)
	return body, names, err
}

var errTooLarge = &Error{Status: http.StatusRequestEntityTooLarge,
	Message: fmt.Sprintf("The rules must see the body of this call, and look at no more than %d bytes.", maxJudged)}

// readHeld reads a body of at most limit bytes.
func readHeld(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Now().Add(clientPatience))
	defer c.SetReadDeadline(time.Time{})
	var (
		body []byte
		err  error
	)
	if n := r.ContentLength; n >= 0 {
		body = make([]byte, n)
		_, err = io.ReadFull(r.Body, body)
	} else {
		body, err = io.ReadAll(io.LimitReader(r.Body, limit+1))
	}
	switch {
	case err != nil:
		return nil, clientError(err)
	case int64(len(body)) > limit:
		return nil, errTooLarge
	}
	return body, nil
}

// clientError is a body that did not come through.
func clientError(err error) *Error {
	if isTimeout(err) {
		return &Error{Status: http.StatusRequestTimeout, Message: "The body did not arrive in time.", Err: err}
	}
	return &Error{Status: http.StatusBadRequest, Message: "The body ended before its announced length.", Err: err}
}

// stream is a body that passes through. The transport reads it in a goroutine
// of its own, which may outlive the exchange.
type stream struct {
	announced int64 // bytes; -1 = not told
	control   *http.ResponseController

	mu     sync.Mutex // above what is read while the transport still sends
	body   io.Reader
	sum    hash.Hash
	bytes  int64
	err    error // how reading ended; io.EOF = whole
	closed bool
	stall  *time.Timer // ends the exchange when the device takes nothing
}

func newStream(w http.ResponseWriter, r *http.Request) *stream {
	return &stream{announced: r.ContentLength, control: http.NewResponseController(w), body: r.Body, sum: sha256.New()}
}

// watch makes the stream call end when no piece of it was asked for in a long
// time. It comes before the first Read.
func (s *stream) watch(end func()) { s.stall = time.AfterFunc(deviceStall+clientPatience, end) }

var errStreamClosed = errors.New("gateway: the upload was given up")

// Read passes on what the caller sends. One piece may take clientPatience.
func (s *stream) Read(p []byte) (int, error) {
	s.mu.Lock()
	closed := s.closed
	if !closed {
		s.stall.Reset(deviceStall + clientPatience)
		_ = s.control.SetReadDeadline(time.Now().Add(clientPatience))
	}
	s.mu.Unlock()
	if closed {
		return 0, errStreamClosed
	}
	n, err := s.body.Read(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sum.Write(p[:n])
	s.bytes += int64(n)
	if err != nil && s.err == nil {
		s.err = err
		if !s.closed {
			// The server watches the connection from here on, and would take a
			// deadline that passes for a caller who left.
			_ = s.control.SetReadDeadline(time.Time{})
		}
	}
	return n, err
}

// Close does nothing: the server owns the body.
func (s *stream) Close() error { return nil }

// stop ends an upload that the device did not wait for: a Read that waits for
// the caller returns, and none begins.
func (s *stream) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	if s.stall != nil {
		s.stall.Stop()
	}
	if s.err == nil {
		_ = s.control.SetReadDeadline(time.Unix(1, 0))
	}
}

// A passed part is what has gone through a stream.
type passed struct {
	bytes int64
	sum   []byte
	whole bool
	err   error // the caller's side failed
}

func (s *stream) passed() passed {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := passed{bytes: s.bytes, sum: s.sum.Sum(nil), whole: errors.Is(s.err, io.EOF) || s.bytes == s.announced}
	if !p.whole && !s.closed {
		p.err = s.err
	}
	return p
}
