package gateway

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"
)

const (
	// openKeep is how long an open document is kept.
	openKeep = 10 * time.Second
	// openPause is how long a device is left alone after it did not give a
	// document: whoever asks needs no credentials, and must not be able to keep
	// a device busy.
	openPause = time.Second
	// openWait bounds one fetch. Roots of slow BMCs take a second or so.
	openWait = 10 * time.Second
	// maxOpen bounds a document, in bytes. $metadata of a rich service has 100 KiB.
	maxOpen = 4 << 20
	// maxOpenDocs bounds how many are kept. Redfish has five.
	maxOpenDocs = 16
)

// openDocs are the open documents of the device, by canonical path.
type openDocs struct {
	mu   sync.Mutex // guards what follows
	docs map[string]*openDoc
}

// openDoc is one document: fetched, being fetched, or not to be had.
type openDoc struct {
	done chan struct{} // closed when the rest is set
	// header and body are nil where the device did not give the document.
	header  http.Header
	body    []byte
	expires time.Time
}

// serveOpen answers with the device's document, or with Postern's own.
func (g *Gateway) serveOpen(w http.ResponseWriter, r *http.Request) {
	raw, ok := rawPath(r)
	call := g.target.Family.Classify(r.Method, raw, r.URL.RawQuery)
	if !ok || call.Kind != Open {
		err := call.Err
		if err == nil {
			err = &Error{Status: http.StatusNotFound, Message: "There is no such document."}
		}
		g.target.Family.WriteError(w, r, err)
		return
	}
	d := g.openDoc(r.Context(), call.Path)
	if d == nil || d.body == nil {
		g.target.Family.ServeMinimal(w, r)
		return
	}
	h := w.Header()
	for k, v := range d.header {
		h[k] = v
	}
	if v := h["Link"]; len(v) > 0 {
		shown := make([]string, len(v))
		for i := range v {
			shown[i] = link(v[i], g.device, base(r))
		}
		h["Link"] = shown
	}
	h["Content-Length"] = []string{strconv.Itoa(len(d.body))}
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(clientPatience))
	_, _ = w.Write(d.body) // an error is a caller who left
}

// openDoc returns the document from the cache or the device. Callers at the
// same time share one fetch. nil: the caller left.
func (g *Gateway) openDoc(ctx context.Context, path string) *openDoc {
	now := g.now()
	o := &g.open
	o.mu.Lock()
	d := o.docs[path]
	if d == nil || !d.expires.IsZero() && !now.Before(d.expires) {
		if d = o.begin(path); d != nil {
			o.mu.Unlock()
			g.fetchOpen(ctx, path, d)
			return d
		}
	}
	o.mu.Unlock()
	if d == nil {
		return nil
	}
	select {
	case <-d.done:
		return d
	case <-ctx.Done():
		return nil
	}
}

// begin makes place for a document. o.mu is held.
func (o *openDocs) begin(path string) *openDoc {
	if o.docs == nil {
		o.docs = map[string]*openDoc{}
	}
	if o.docs[path] == nil && len(o.docs) >= maxOpenDocs {
		return nil
	}
	d := &openDoc{done: make(chan struct{})}
	o.docs[path] = d
	return d
}

// fetchOpen gets the document from the device. Others wait for it, so the
// caller's leaving does not end it.
func (g *Gateway) fetchOpen(ctx context.Context, path string, d *openDoc) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), openWait)
	defer cancel()
	header, body, err := g.getOpen(ctx, path)
	keep := openKeep
	if err != nil {
		keep = openPause
		g.log.LogAttrs(ctx, slog.LevelDebug, "open document not to be had",
			slog.String("target", g.target.Name), slog.String("path", path), slog.Any("err", err))
	}
	g.open.mu.Lock()
	d.header, d.body, d.expires = header, body, g.now().Add(keep)
	g.open.mu.Unlock()
	close(d.done)
}

// getOpen asks the device, without credentials.
func (g *Gateway) getOpen(ctx context.Context, path string) (http.Header, []byte, error) {
	u := *g.target.URL
	u.Path, u.RawPath = path, ""
	req := (&http.Request{
		Method: http.MethodGet, URL: &u, Host: u.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Accept-Encoding": identity, "Accept": {"*/*"}, "User-Agent": nil},
	}).WithContext(ctx)
	resp, err := g.target.Transport.RoundTrip(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		_, _ = io.CopyN(io.Discard, resp.Body, maxDrain)
		return nil, nil, fmt.Errorf("gateway: the device answers %d to those without credentials", resp.StatusCode)
	}
	src, err := plainBody(resp)
	if err != nil {
		return nil, nil, err
	}
	body, err := io.ReadAll(io.LimitReader(src, maxOpen+1))
	if err != nil {
		return nil, nil, err
	}
	if len(body) > maxOpen {
		return nil, nil, fmt.Errorf("gateway: the open document has more than %d bytes", maxOpen)
	}
	shown, ok := g.target.Family.Document(path, body)
	if !ok {
		return nil, nil, fmt.Errorf("gateway: the open document of the device makes no sense")
	}
	return g.openHeader(resp.Header, bytes.Equal(shown, body)), shown, nil
}

// openHeader is what is kept of the header. A document that was changed is not
// the one that the device's ETag names.
func (g *Gateway) openHeader(from http.Header, same bool) http.Header {
	h := http.Header{}
	copyHeaders(h, from, g.response)
	if v := from["Link"]; len(v) > 0 {
		h["Link"] = v
	}
	if !same {
		for _, n := range g.response {
			if n.key == "Etag" || n.key == "Last-Modified" {
				delete(h, n.wire)
			}
		}
	}
	return h
}
