package sim

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/redfish"
)

const (
	mediaStream = "text/event-stream"
	// streamBeat is how often a quiet stream carries a comment, which shows
	// that the other side is still there.
	streamBeat = 15 * time.Second
	// streamWait is how long a listener may take to read what it is sent.
	streamWait = 30 * time.Second
)

// stream answers with events as they happen, for as long as the client listens
// (DSP0266 1.20.0, 13.5.4: server-sent events). While it is open it is a
// subscription, and ends with it. The end of the session that opened it does
// not end it (observed: Redfish-Protocol-Validator 1.3.2 checks that).
func (d *Device) stream(w http.ResponseWriter, r *http.Request, path string) error {
	switch {
	case !accepts(r, mediaStream) && !strings.Contains(r.Header.Get("Accept"), "text/*"):
		return &redfish.Problem{Status: http.StatusNotAcceptable, Key: "HeaderInvalid", Args: []string{"Accept"}}
	case !flushes(w): // somebody collects the answer, which never ends
		return &redfish.Problem{Status: http.StatusBadRequest, Key: "QueryNotSupportedOnResource"}
	case !d.events.settings().enabled:
		return eventsDisabled()
	}
	s := &subscription{wake: make(chan struct{}, 1)}
	if p, ok := auth.PrincipalFrom(r.Context()); ok {
		s.owner = p.Account
	}
	body := func() []byte {
		s.context = "SSE " + s.id
		return putValue(putValue(s.body(), "SSE", "SubscriptionType"), "https://"+r.RemoteAddr+"/", "Destination")
	}
	if err := d.events.add(s, body, missedBy(r)); err != nil {
		return err
	}
	defer d.events.remove(s)
	d.events.resourceEvent(eventResourceAdded, s.path, "")
	h := w.Header()
	h.Set("Content-Type", mediaStream)
	setHeader(w, "OData-Version", "4.0")
	w.WriteHeader(http.StatusOK)
	d.events.flow(w, r, s)
	return nil
}

// flow writes events until the client or the subscription is gone.
func (e *events) flow(w http.ResponseWriter, r *http.Request, s *subscription) {
	gone := noteFrom(r.Context()).gone
	beat := time.NewTicker(streamBeat)
	defer beat.Stop()
	out := &streamWriter{w: w, c: http.NewResponseController(w)}
	for out.flush() {
		select {
		case <-s.wake:
			for ev := e.next(s); ev != nil && out.event(ev.id, e.payload(s, ev)); {
				ev = e.next(s)
			}
		case <-beat.C:
			out.print(":\n\n")
		case <-s.done:
			return
		case <-gone:
			return
		case <-r.Context().Done():
			return
		}
	}
}

// A streamWriter writes to a client that may have stopped reading.
type streamWriter struct {
	w   io.Writer
	c   *http.ResponseController
	err error
}

// event writes one; data is on one line. It reports whether the client is there.
func (o *streamWriter) event(id int, data []byte) bool {
	return o.print("id: " + strconv.Itoa(id) + "\ndata: " + string(data) + "\n\n")
}

func (o *streamWriter) print(text string) bool {
	if o.err == nil {
		o.c.SetWriteDeadline(time.Now().Add(streamWait)) // where there is a connection to have one
		_, o.err = fmt.Fprint(o.w, text)
	}
	return o.err == nil
}

func (o *streamWriter) flush() bool {
	if o.err == nil {
		o.err = o.c.Flush()
	}
	return o.err == nil
}

// missedBy says which past events a client asks for that has been here before:
// those after the last one that it had.
func missedBy(r *http.Request) func(*event) bool {
	last, err := strconv.Atoi(r.Header.Get("Last-Event-ID"))
	if err != nil {
		return nil
	}
	return func(ev *event) bool { return ev.id > last }
}

// flushes reports whether what is written to w can be sent on at once.
func flushes(w http.ResponseWriter) bool {
	for {
		switch v := w.(type) {
		case http.Flusher, interface{ FlushError() error }:
			return true
		case interface{ Unwrap() http.ResponseWriter }:
			w = v.Unwrap()
		default:
			return false
		}
	}
}
