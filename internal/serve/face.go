package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// The limits of a connection. There is none on the time of a whole request:
// uploads and event streams take as long as they take.
const (
	readHeaderTimeout = 10 * time.Second // the handshake too
	idleTimeout       = 120 * time.Second
	// maxHeader is what request line and headers may have together; net/http
	// adds 4096 bytes to the number it is given.
	maxHeader      = 8 << 10
	netHTTPAdds    = 4096
	maxHeaderBytes = maxHeader - netHTTPAdds
	// silentTime is how long a stop waits for the first request of a connection
	// that was opened ahead of need, as many clients do.
	silentTime = 500 * time.Millisecond
)

// A face is one listener with the handler behind it, which can be exchanged
// while it runs.
type face struct {
	name    string // of the target
	url     string // as callers reach it, no trailing slash
	ln      net.Listener
	srv     *http.Server
	handler atomic.Pointer[http.Handler]
	done    chan struct{} // closed when Serve has returned

	mu     sync.Mutex // guards silent
	silent map[net.Conn]bool
}

// newFace takes over ln. Nothing is served before start.
func newFace(name, host string, ln net.Listener, conf *tls.Config, logger *slog.Logger) *face {
	f := &face{
		name: name, ln: ln, url: baseURL(host, ln.Addr().(*net.TCPAddr).Port),
		done: make(chan struct{}), silent: map[net.Conn]bool{},
	}
	f.srv = &http.Server{
		Handler:           http.HandlerFunc(f.serve),
		TLSConfig:         conf,
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		Protocols:         new(http.Protocols),
		ConnState:         f.watch,
		ErrorLog:          log.New(errorLog{logger}, "", 0),
		// "OPTIONS *" is answered like every other request, not by net/http.
		DisableGeneralOptionsHandler: true,
	}
	f.srv.Protocols.SetHTTP1(true)
	return f
}

// serve does what net/http leaves to its handlers of HTTP itself.
func (f *face) serve(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor != 1 { // the preface of HTTP/2 is passed on
		w.Header().Set("Connection", "close")
		http.Error(w, "505 HTTP Version Not Supported", http.StatusHTTPVersionNotSupported)
		return
	}
	// Where a length came beside the chunks, which net/http does not tell, the
	// connection has to end: somebody between may have read another request in
	// what follows (RFC 9112, 6.1).
	if len(r.TransferEncoding) > 0 {
		w.Header().Set("Connection", "close")
	}
	(*f.handler.Load()).ServeHTTP(w, r)
}

// set exchanges the handler. Requests under way keep the one they have.
func (f *face) set(h http.Handler) { f.handler.Store(&h) }

// start serves until shutdown.
func (f *face) start(failed func(error)) {
	go func() {
		defer close(f.done)
		err := f.srv.ServeTLS(newListener(f.ln, maxConns), "", "")
		if !errors.Is(err, http.ErrServerClosed) {
			failed(fmt.Errorf("listener of %s: %w", f.name, err))
		}
	}()
}

// watch keeps the connections that have not brought a request yet.
func (f *face) watch(c net.Conn, state http.ConnState) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if state == http.StateNew {
		f.silent[c] = true
	} else {
		delete(f.silent, c)
	}
}

func (f *face) closeSilent() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.silent {
		c.Close()
	}
}

// shutdown stops listening, lets requests end until ctx does, and cuts off the rest.
// http.Server.Shutdown alone would wait 5 seconds for a silent connection.
func (f *face) shutdown(ctx context.Context) {
	silence := time.AfterFunc(silentTime, f.closeSilent)
	defer silence.Stop()
	if err := f.srv.Shutdown(ctx); err != nil {
		f.srv.Close()
	}
	<-f.done
}

// unlisten stops listening and closes idle connections, and waits for nothing.
func (f *face) unlisten() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	f.srv.Shutdown(ctx) // always the context's error
}

// abandon closes a face that was never started.
func (f *face) abandon() { f.ln.Close() }

// baseURL is how a caller on this machine reaches host:port.
func baseURL(host string, port int) string {
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "https://" + net.JoinHostPort(host, strconv.Itoa(port))
}

// hostNames is what the certificate must name for a listener on host.
func hostNames(host string) []string {
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		return nil
	}
	return []string{host}
}
