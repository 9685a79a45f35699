package gateway

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// chunk is the size of the pieces in which bodies pass, in bytes. An answer
// that fits is read whole before the caller sees anything of it: the device's
// connection and place are free before a slow caller reads, and an answer that
// breaks off becomes a proper error.
const chunk = 64 << 10

var chunks = sync.Pool{New: func() any { return new([chunk]byte) }}

// answer passes on the device's answer.
func (x *exchange) answer(resp *http.Response) error {
	x.status = resp.StatusCode
	if resp.StatusCode < 200 || resp.StatusCode > 599 {
		return x.bad(fmt.Sprintf("The device answered with the status %d, which has no meaning here.", resp.StatusCode), nil)
	}
	s := x.g.scrubberFor(x.use.Login())
	if err := x.showHeaders(resp, s); err != nil {
		return err
	}
	src, err := plainBody(resp)
	if err != nil {
		return x.bad("The device compressed its answer in a way that it was not asked for.", err)
	}
	if x.r.Method == http.MethodHead || resp.StatusCode == http.StatusNoContent || resp.StatusCode == http.StatusNotModified {
		x.answered()
		x.show(resp)
		return nil
	}
	b := chunks.Get().(*[chunk]byte)
	defer chunks.Put(b)
	return x.relay(resp, src, relayBuffer{buf: b[:], find: &s.body})
}

// bad is an answer that cannot be passed on.
func (x *exchange) bad(message string, err error) error {
	if x.call.Kind == Effect {
		message += " The call was carried out or refused: look before sending it again."
	}
	x.forgetHeaders()
	return &Error{Status: http.StatusBadGateway, Message: message, Err: err}
}

// showHeaders fills in what the caller sees of the device's header.
func (x *exchange) showHeaders(resp *http.Response, s *scrubber) error {
	h := x.w.Header()
	for _, n := range x.g.response {
		if v := resp.Header[n.key]; len(v) > 0 {
			h[n.wire] = s.values(v)
		}
	}
	if v := resp.Header["Link"]; len(v) > 0 {
		shown := make([]string, len(v))
		for i := range v {
			shown[i] = link(v[i], x.g.device, base(x.r))
		}
		h["Link"] = s.values(shown)
	}
	if v := resp.Header["Location"]; len(v) > 0 {
		return x.showLocation(resp.StatusCode, v, s)
	}
	return nil
}

// showLocation rewrites a Location. A redirect that leaves the device is not
// passed on: the caller's program would follow it with the caller's
// credentials, and Postern never follows one with its own.
func (x *exchange) showLocation(status int, values []string, s *scrubber) error {
	redirect := status >= 300 && status < 400 && status != http.StatusNotModified
	shown, foreign, ok := location(values[0], x.g.device, base(x.r))
	switch {
	case redirect && (len(values) > 1 || !ok):
		return x.bad("The device redirects this call to a place that cannot be read.", nil)
	case redirect && foreign:
		return x.bad("The device redirects this call to another host, which Postern does not follow."+
			" If that is the device's proper address, an administrator can enter it as the target's URL.", nil)
	case ok:
		x.w.Header()["Location"] = s.values([]string{shown})
	}
	return nil
}

// plainBody is the body without the compression that some devices apply unasked
// (HPE iLO: schema and registry files). The length is unknown then.
func plainBody(resp *http.Response) (io.Reader, error) {
	encoding := strings.ToLower(strings.TrimSpace(strings.Join(resp.Header["Content-Encoding"], ",")))
	switch encoding {
	case "", "identity":
		return resp.Body, nil
	case "gzip", "x-gzip":
		resp.ContentLength = -1
		return &gunzip{src: resp.Body}, nil
	}
	return nil, fmt.Errorf("gateway: content encoding %.40q", encoding)
}

// gunzip reads the gzip header when the body is first wanted: a HEAD has none.
type gunzip struct {
	src io.Reader
	z   *gzip.Reader
}

func (g *gunzip) Read(p []byte) (int, error) {
	if g.z == nil {
		z, err := gzip.NewReader(g.src)
		if err != nil {
			return 0, err
		}
		g.z = z
	}
	return g.z.Read(p)
}

// forgetHeaders takes back what showHeaders has set.
func (x *exchange) forgetHeaders() {
	h := x.w.Header()
	for _, n := range x.g.response {
		delete(h, n.wire)
	}
	delete(h, "Link")
	delete(h, "Location")
}

// show sends the header.
func (x *exchange) show(resp *http.Response) {
	h := x.w.Header()
	if resp.ContentLength >= 0 && resp.StatusCode != http.StatusNoContent {
		h["Content-Length"] = []string{strconv.FormatInt(resp.ContentLength, 10)}
	} else {
		delete(h, "Content-Length")
	}
	x.shown = true
	x.w.WriteHeader(resp.StatusCode)
}

// A relayBuffer is the piece of a body that is in hand.
type relayBuffer struct {
	buf  []byte
	n    int // bytes in hand
	find *matcher
}

// fill reads until the buffer is full or the body has ended (io.EOF).
func (b *relayBuffer) fill(src io.Reader) error {
	for b.n < len(b.buf) {
		if err := b.read(src); err != nil {
			return err
		}
	}
	return nil
}

func (b *relayBuffer) read(src io.Reader) error {
	n, err := src.Read(b.buf[b.n:])
	b.n += n
	return err
}

// ready scrubs what is in hand and returns what may go: all but a tail that
// the next bytes could make a secret.
func (b *relayBuffer) ready(last bool) []byte {
	b.find.scrub(b.buf[:b.n])
	if last {
		return b.buf[:b.n]
	}
	return b.buf[:b.n-b.find.tail(b.buf[:b.n])]
}

// keep leaves in hand what did not go.
func (b *relayBuffer) keep(gone int) {
	b.n = copy(b.buf, b.buf[gone:b.n])
}

// relay sends header and body. Bodies of unknown length, event streams above
// all, go out as they come in.
func (x *exchange) relay(resp *http.Response, src io.Reader, b relayBuffer) error {
	watch := time.AfterFunc(deviceStall, func() { resp.Body.Close() }) // wakes a Read that waits
	defer watch.Stop()
	live := resp.ContentLength < 0
	events := isEvents(resp.Header.Get("Content-Type"))
	if events {
		watch.Stop() // silence is part of an event stream
		x.show(resp)
		if err := x.write(nil, true); err != nil {
			return x.gone(err)
		}
	}
	failed := resp.StatusCode >= http.StatusBadRequest
	for first := true; ; first = false {
		var err error
		if live && !(first && failed) {
			err = b.read(src)
		} else {
			err = b.fill(src)
		}
		if first && failed && err != nil && err != io.EOF {
			// The status says enough. observed: iDRAC 8 cuts the body of its
			// errors (check_redfish#90).
			b.n, err = 0, io.EOF
		}
		last := err == io.EOF
		if err != nil && !last {
			return x.cut(err)
		}
		if last {
			x.answered() // before the caller takes its time
		} else if !events {
			watch.Reset(deviceStall)
		}
		if first && !x.shown {
			x.showFirst(resp, &b, last)
		}
		out := b.ready(last)
		if err := x.write(out, live && !last); err != nil {
			return x.gone(err)
		}
		if last {
			return nil
		}
		b.keep(len(out))
	}
}

// showFirst sends the header once the first piece is in hand. A whole error
// body that says nothing to the family's clients is replaced.
func (x *exchange) showFirst(resp *http.Response, b *relayBuffer, last bool) {
	if last {
		resp.ContentLength = int64(b.n)
	}
	if last && resp.StatusCode >= http.StatusBadRequest {
		body, mediaType, ok := x.g.target.Family.ErrorBody(resp.StatusCode, resp.Header.Get("Content-Type"), b.buf[:b.n])
		if ok && len(body) <= len(b.buf) {
			b.n = copy(b.buf, body)
			resp.ContentLength = int64(b.n)
			x.w.Header()["Content-Type"] = []string{mediaType}
		}
	}
	x.show(resp)
}

// write sends a piece to the caller, who may take clientPatience for it.
func (x *exchange) write(p []byte, flush bool) error {
	c := http.NewResponseController(x.w)
	if err := c.SetWriteDeadline(time.Now().Add(clientPatience)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if len(p) > 0 {
		if _, err := x.w.Write(p); err != nil {
			return err
		}
	}
	if flush {
		if err := c.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return err
		}
	}
	return nil
}

// answered is called when the device has said everything: its place is given
// back, and an upload that it did not wait for ends. That comes before the
// first byte of the answer, because net/http may wait for the upload there.
func (x *exchange) answered() {
	x.giveBack()
	if x.body.stream != nil {
		x.body.stream.stop()
	}
}

// cut is a body of the device that broke off.
func (x *exchange) cut(err error) error {
	if x.r.Context().Err() != nil {
		return x.gone(err)
	}
	err = fmt.Errorf("%w: %w", errCutShort, err)
	if x.shown {
		return err
	}
	return x.bad("The device's answer broke off.", err)
}

// gone is a caller who does not take the answer.
func (x *exchange) gone(err error) error {
	x.outcome = outcomeLeft
	return fmt.Errorf("gateway: the caller left: %w", err)
}

// isEvents reports whether a body is a stream of server-sent events.
func isEvents(contentType string) bool {
	mediaType, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.TrimSpace(mediaType), "text/event-stream")
}
