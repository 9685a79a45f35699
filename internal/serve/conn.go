package serve

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

const (
	// maxConns bounds the connections of one listener. An idle one costs about
	// 40 KiB, and a process has some 20,000 files; whoever comes later waits in
	// the kernel until another leaves or is cut off for being slow.
	maxConns = 4096
	// maxPlain bounds what is read of a request that came without TLS.
	maxPlain = 8 << 10
	// tlsHandshake is the first byte of every TLS connection (RFC 8446, 5.1).
	tlsHandshake = 0x16
)

// A listener bounds the number of connections and answers those that speak
// plain HTTP with a redirect to the same place under https.
type listener struct {
	net.Listener
	slots  chan struct{}
	closed chan struct{}
	once   sync.Once
}

func newListener(ln net.Listener, limit int) *listener {
	return &listener{Listener: ln, slots: make(chan struct{}, limit), closed: make(chan struct{})}
}

// Accept waits for a free slot, then for a connection.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &conn{Conn: c, done: func() { <-l.slots }}, nil
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// A conn is read by one goroutine at a time, like every connection under TLS.
type conn struct {
	net.Conn
	done func()
	once sync.Once
	seen bool // the first byte was looked at
}

func (c *conn) Close() error {
	c.once.Do(c.done)
	return c.Conn.Close()
}

// Read looks at the first byte. A plain HTTP request is answered here, within
// the deadlines that the server has set for the handshake; TLS above sees the
// end of the stream. DSP0266 1.8.1, 13.3.2 and 13.3.5.4: redirect to https.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.seen || n == 0 {
		return n, err
	}
	c.seen = true
	if p[0] == tlsHandshake {
		return n, err
	}
	if 'A' <= p[0] && p[0] <= 'Z' { // else no HTTP method either
		c.redirect(p[:n])
	}
	return 0, io.EOF
}

func (c *conn) redirect(first []byte) {
	r := bufio.NewReader(io.LimitReader(io.MultiReader(bytes.NewReader(bytes.Clone(first)), c.Conn), maxPlain))
	req, err := http.ReadRequest(r)
	if err != nil {
		return
	}
	to := url.URL{Scheme: "https", Host: req.Host, Path: req.URL.Path, RawPath: req.URL.RawPath, RawQuery: req.URL.RawQuery}
	if _, err := url.Parse(to.String()); err != nil || req.Host == "" {
		io.WriteString(c.Conn, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		return
	}
	fmt.Fprintf(c.Conn, "HTTP/1.1 308 Permanent Redirect\r\nLocation: %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", to.String())
	c.linger()
}

// linger lets the answer arrive: closing a socket with unread bytes would reset it.
func (c *conn) linger() {
	if t, ok := c.Conn.(*net.TCPConn); ok {
		t.CloseWrite()
	}
	c.Conn.SetReadDeadline(time.Now().Add(time.Second))
	io.CopyN(io.Discard, c.Conn, 64<<10)
}
