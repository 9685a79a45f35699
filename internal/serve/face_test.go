package serve

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern/postern/auth"
)

// logBuffer is written by the server's goroutines.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

type testFace struct {
	*face
	client *http.Client
	pool   *x509.CertPool
	log    *logBuffer
}

func (f *testFace) addr() string { return strings.TrimPrefix(f.url, "https://") }

func startFace(t *testing.T, h http.Handler) *testFace {
	t.Helper()
	dir := openDir(t)
	id, err := OpenIdentity(dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	id.SetNames([]string{"bmc1.example"})
	ln, err := listenTCP("127.0.0.1", 0)
	if err != nil {
		t.Fatal(err)
	}
	buf := &logBuffer{}
	logger := slog.New(slog.NewTextHandler(buf, &slog.HandlerOptions{Level: slog.LevelDebug}))
	f := newFace("bmc1", "127.0.0.1", ln, id.TLSConfig(), logger)
	f.set(&front{next: h, target: "bmc1", log: logger, now: time.Now,
		writeError: func(w http.ResponseWriter, _ *http.Request, status int, text string) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"error":%q}`, text)
		}})
	f.start(func(err error) { t.Error(err) })
	pem, err := os.ReadFile(id.CAFile())
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		f.shutdown(ctx)
	})
	return &testFace{face: f, client: &http.Client{Transport: tr}, pool: pool, log: buf}
}

var hello = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })

func TestFaceServesHTTP1OverTLS(t *testing.T) {
	t.Parallel()
	f := startFace(t, hello)
	resp, err := f.client.Get(f.url + "/redfish/v1/?token=not-for-the-log")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if string(body) != "hello" || resp.Proto != "HTTP/1.1" || resp.TLS.NegotiatedProtocol != "http/1.1" {
		t.Errorf("got %q over %s (%s)", body, resp.Proto, resp.TLS.NegotiatedProtocol)
	}
	if resp.Header.Get("X-Request-Id") == "" || resp.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("headers: %v", resp.Header)
	}
	line := f.log.String()
	for _, want := range []string{"msg=request", "target=bmc1", "method=GET", "path=/redfish/v1/ ", "status=200", "bytes=5", "source=127.0.0.1:"} {
		if !strings.Contains(line, want) {
			t.Errorf("log %q lacks %q", line, want)
		}
	}
	if strings.Contains(line, "not-for-the-log") {
		t.Errorf("the query is in the log: %q", line)
	}
	if _, err := tls.Dial("tcp", f.addr(), &tls.Config{RootCAs: f.pool, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}); err == nil {
		t.Error("TLS 1.1 was accepted")
	}
}

func TestFaceNamesTheCaller(t *testing.T) {
	t.Parallel()
	inner := noteCaller(hello)
	f := startFace(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inner.ServeHTTP(w, r.WithContext(auth.WithPrincipal(r.Context(), auth.Principal{Account: "alice"})))
	}))
	resp, err := f.client.Get(f.url)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if line := f.log.String(); !strings.Contains(line, "caller=alice") {
		t.Errorf("log %q does not name the caller", line)
	}
}

func TestFaceLimitsHeaders(t *testing.T) {
	t.Parallel()
	f := startFace(t, hello)
	for n, want := range map[int]int{7 << 10: 200, 9 << 10: 431} {
		r, _ := http.NewRequest("GET", f.url, nil)
		r.Header.Set("X-Pad", strings.Repeat("x", n))
		resp, err := f.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("header of %d bytes: got %d, want %d", n, resp.StatusCode, want)
		}
	}
}

// What net/http leaves to its handlers of HTTP itself.
func TestFaceFraming(t *testing.T) {
	t.Parallel()
	f := startFace(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, "hello "+r.URL.Path)
	}))
	const next = "GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
	for _, tt := range []struct{ name, send, want string }{
		{"length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}" + next, "200 200"},
		{"chunks", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + next, "200"},
		{"both", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + next, "200"},
		{"preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505"},
	} {
		c, err := tls.Dial("tcp", f.addr(), &tls.Config{RootCAs: f.pool})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		io.WriteString(c, tt.send)
		var got []string
		for r := bufio.NewReader(c); ; {
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				break // the connection has ended
			}
			io.Copy(io.Discard, resp.Body)
			got = append(got, strings.Fields(resp.Status)[0])
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: got %v, want %s and the end", tt.name, got, tt.want)
		}
	}
}

func TestFaceMisdirected(t *testing.T) {
	t.Parallel()
	f := startFace(t, hello)
	for _, c := range []struct {
		sni, host string
		want      int
	}{
		{"bmc1.example", "bmc1.example", 200},
		{"bmc1.example", "BMC1.example.:8443", 200},
		{"bmc1.example", "localhost", 421},
		{"bmc1.example", "127.0.0.1:1", 200},
		{"bmc1.example", "[::1]", 200},
		{"", "anything.example", 200},
	} {
		cfg := &tls.Config{RootCAs: f.pool, ServerName: c.sni}
		if c.sni == "" {
			cfg.ServerName = "127.0.0.1" // an address is verified, and not sent
		}
		conn, err := tls.Dial("tcp", f.addr(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", c.host)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		if resp.StatusCode != c.want {
			t.Errorf("SNI %q, Host %q: got %d, want %d", c.sni, c.host, resp.StatusCode, c.want)
		}
	}
}

func TestFaceSurvivesPanics(t *testing.T) {
	t.Parallel()
	f := startFace(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/late" {
			io.WriteString(w, "a part")
			http.NewResponseController(w).Flush()
		}
		panic("an unexpected thing")
	}))
	resp, err := f.client.Get(f.url + "/early")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.StatusCode != 500 || string(body) != `{"error":""}` {
		t.Errorf("got %d %q, want 500 and our error", resp.StatusCode, body)
	}
	resp, err = f.client.Get(f.url + "/late")
	if err != nil {
		t.Fatal(err)
	}
	if _, err = io.ReadAll(resp.Body); err == nil {
		t.Error("a part of an answer was taken for the whole")
	}
	resp.Body.Close()
	if log := f.log.String(); strings.Count(log, "panic in a handler") != 2 || strings.Count(log, "msg=request") != 1 || !strings.Contains(log, "its answer cut off") {
		t.Errorf("log: %s", log)
	}
}

func TestFaceExchangesHandlers(t *testing.T) {
	t.Parallel()
	f := startFace(t, hello)
	f.set(http.NotFoundHandler())
	resp, err := f.client.Get(f.url)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 404 {
		t.Errorf("got %d, want the new handler's 404", resp.StatusCode)
	}
}

func TestFaceStopsBesideSilentConnections(t *testing.T) {
	t.Parallel()
	f := startFace(t, hello)
	conn, err := tls.Dial("tcp", f.addr(), &tls.Config{RootCAs: f.pool, ServerName: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), drainTime)
	defer cancel()
	f.shutdown(ctx)
	if ctx.Err() != nil {
		t.Error("waited for a connection on which nothing came")
	}
}

func TestFaceRedirectsPlainHTTP(t *testing.T) {
	t.Parallel()
	f := startFace(t, hello)
	send := func(text string) (*http.Response, error) {
		conn, err := net.Dial("tcp", f.addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		io.WriteString(conn, text)
		return http.ReadResponse(bufio.NewReader(conn), nil)
	}
	for _, method := range []string{"GET", "POST"} {
		resp, err := send(method + " /redfish/v1/Systems%2F1?a=b HTTP/1.1\r\nHost: bmc1.example:99\r\nContent-Length: 2\r\n\r\n{}")
		if err != nil {
			t.Fatal(err)
		}
		if got := resp.Header.Get("Location"); resp.StatusCode != 308 || got != "https://bmc1.example:99/redfish/v1/Systems%2F1?a=b" {
			t.Errorf("%s: got %d to %q", method, resp.StatusCode, got)
		}
	}
	if resp, err := send("GET / HTTP/1.0\r\n\r\n"); err != nil || resp.StatusCode != 400 {
		t.Errorf("without Host: got %v, %v, want 400", resp, err)
	}
	if _, err := send("\x80\x2e\x01\x00\x02 no HTTP at all"); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		// A reset is fine too: nothing was promised to whoever speaks no HTTP.
		if _, ok := errors.AsType[*net.OpError](err); !ok {
			t.Errorf("garbage: got %v, want the end of the connection", err)
		}
	}
}

func TestListenerBoundsConnections(t *testing.T) {
	t.Parallel()
	inner, err := listenTCP("127.0.0.1", 0)
	if err != nil {
		t.Fatal(err)
	}
	ln := newListener(inner, 1)
	first, err := net.Dial("tcp", inner.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	a, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	second, err := net.Dial("tcp", inner.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	accepted := make(chan net.Conn)
	go func() {
		c, _ := ln.Accept()
		accepted <- c
	}()
	select {
	case <-accepted:
		t.Error("accepted beyond the limit")
	default:
	}
	a.Close()
	a.Close() // gives its place back once
	if c := <-accepted; c == nil {
		t.Error("not accepted after a place was free")
	}
	go func() {
		_, err := ln.Accept()
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("after Close: got %v, want ErrClosed", err)
		}
		accepted <- nil
	}()
	ln.Close()
	<-accepted
}
