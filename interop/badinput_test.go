//go:build integration

package interop

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// rawLimit is how long a raw connection may go on: more than the time that a
// server gives to slow headers.
const rawLimit = 40 * time.Second

// dial opens a TLS connection without HTTP.
func (e endpoint) dial(t *testing.T) (*tls.Conn, error) {
	t.Helper()
	text, err := os.ReadFile(e.ca)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	c, err := tls.Dial("tcp", e.host(), &tls.Config{RootCAs: pool})
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { c.Close() })
	return c, c.SetDeadline(time.Now().Add(rawLimit))
}

// An exchange is what a raw connection brought: the answers until the server
// closed it.
type exchange struct {
	answers []answer
	rest    string // what was no answer
}

func (x exchange) statuses() []int {
	codes := []int{}
	for _, a := range x.answers {
		codes = append(codes, a.status)
	}
	return codes
}

// raw sends the bytes and reads until the server closes the connection, which
// it has to do within the limit.
func (e endpoint) raw(t *testing.T, parts ...io.Reader) (exchange, error) {
	t.Helper()
	c, err := e.dial(t)
	if err != nil {
		return exchange{}, err
	}
	defer c.Close()
	go io.Copy(c, io.MultiReader(parts...)) // the server may close before it has read all
	var kept bytes.Buffer
	_, err = io.Copy(&kept, c)
	if t, ok := errors.AsType[net.Error](err); ok && t.Timeout() {
		return exchange{}, fmt.Errorf("the connection is open after %v, with %.200q", rawLimit, kept.String())
	}
	var got exchange
	r := bufio.NewReader(&kept)
	for {
		if _, err := r.Peek(1); err != nil {
			return got, nil
		}
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			rest, _ := io.ReadAll(r)
			got.rest = string(rest)
			return got, nil
		}
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode >= 200 {
			got.answers = append(got.answers, answer{resp.StatusCode, resp.Header, body})
		} else {
			got.rest += resp.Status
		}
	}
}

// A rawCase is a request as no client library would send it.
type rawCase struct {
	name string
	text string
	want []int // the statuses of all answers, in order
}

// rawCases are for the host and credentials given; unknown is the status for an
// unknown method: 501 where a device is behind, else 405, as the DMTF's protocol
// validator wants it. Where a request is followed
// by another, that one asks for smuggled, which must never be answered: it is in
// what one reader takes for a body and another for a request.
func rawCases(host, login string, unknown int) []rawCase {
	const (
		get    = "GET /redfish/v1/Systems HTTP/1.1\r\n"
		post   = "POST /redfish/v1/SessionService/Sessions HTTP/1.1\r\n"
		end    = "Connection: close\r\n\r\n"
		hidden = "GET /redfish/v1/Chassis/smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
		json   = "Content-Type: application/json\r\n"
	)
	at, who := "Host: "+host+"\r\n", "Authorization: Basic "+login+"\r\n"
	length := func(n int) string { return "Content-Length: " + strconv.Itoa(n) + "\r\n" }
	return []rawCase{
		{"two requests at once", get + at + who + "\r\n" + get + at + who + end, []int{200, 200}},
		{"two lengths", post + at + json + "Content-Length: 2\r\nContent-Length: 60\r\n\r\n{}" + hidden, []int{400}},
		{"a length of two numbers", post + at + json + "Content-Length: 2, 60\r\n\r\n{}" + hidden, []int{400}},
		{"a length with a sign", post + at + json + "Content-Length: +2\r\n\r\n{}" + hidden, []int{400}},
		{"a negative length", post + at + json + "Content-Length: -2\r\n\r\n{}" + hidden, []int{400}},
		{"a length beyond numbers", post + at + json + "Content-Length: 99999999999999999999\r\n\r\n{}" + hidden, []int{400}},
		{"a coding that is none", post + at + json + "Transfer-Encoding: xchunked\r\n\r\n{}" + hidden, []int{501}},
		{"codings twice", post + at + json + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + hidden, []int{501}},
		{"a list of codings", post + at + json + "Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n" + hidden, []int{501}},
		{"a blank before the colon", post + at + json + "Content-Length : 2\r\n\r\n{}" + hidden, []int{400}},
		{"a bad chunk", post + at + json + "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\nzz\r\n{}\r\n0\r\n\r\n" + hidden, []int{400}},
		{"a NUL in a header", get + at + who + "X-A: a\x00b\r\n" + end, []int{400}},
		{"a CR in a header", get + at + who + "X-A: a\rX-Auth-Token: b\r\n" + end, []int{400}},
		{"a header name of blanks", get + at + who + "X A: b\r\n" + end, []int{400}},
		{"a header without a name", get + at + who + ": b\r\n" + end, []int{400}},
		{"no host", get + who + end, []int{400}},
		{"two hosts", get + at + "Host: other\r\n" + who + end, []int{400}},
		{"a host with a blank", get + "Host: a b\r\n" + who + end, []int{400}},
		{"two tokens", get + at + "X-Auth-Token: a\r\nX-Auth-Token: b\r\n" + end, []int{401}},
		{"a bad token beside a good password", get + at + who + "X-Auth-Token: " + strings.Repeat("0", 32) + "\r\n" + end, []int{401}},
		{"two authorizations", get + at + "Authorization: Basic eDp5\r\n" + who + end, []int{401}},
		{"a header of 9 KiB", get + at + who + "X-A: " + strings.Repeat("a", 9<<10) + "\r\n" + end, []int{431}},
		{"2,000 headers", get + at + who + strings.Repeat("X-A: a\r\n", 2000) + end, []int{431}},
		{"a target of 9 KiB", "GET /redfish/v1/Systems/" + strings.Repeat("a", 9<<10) + " HTTP/1.1\r\n" + at + who + end, []int{431}},
		{"a target of 5 KiB", "GET /redfish/v1/Systems/" + strings.Repeat("a", 5<<10) + " HTTP/1.1\r\n" + at + who + end, []int{414}},
		{"HTTP/1.0", "GET /redfish/v1/Systems HTTP/1.0\r\n" + who + "\r\n", []int{200}},
		{"HTTP/1.0 with a chunked body", "POST /redfish/v1/SessionService/Sessions HTTP/1.0\r\n" + json + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden, []int{400}},
		{"HTTP/0.9", "GET /redfish/v1/\r\n\r\n", []int{400}},
		{"HTTP/2 by its preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", []int{505}},
		{"HTTP/3.7", "GET /redfish/v1/ HTTP/3.7\r\n" + at + end, []int{505}},
		{"an upgrade to HTTP/2", get + at + who + "Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n", []int{200}},
		{"absolute form", "GET https://" + host + "/redfish/v1/Systems HTTP/1.1\r\n" + at + who + end, []int{200}},
		{"absolute form, nobody", "GET https://" + host + "/redfish/v1/Systems HTTP/1.1\r\n" + at + end, []int{401}},
		{"authority form", "CONNECT " + host + " HTTP/1.1\r\n" + at + who + end, []int{400}},
		{"an unknown method", "BREW /redfish/v1/Systems HTTP/1.1\r\n" + at + who + end, []int{unknown}},
		{"a method in small letters", "get /redfish/v1/Systems HTTP/1.1\r\n" + at + who + end, []int{unknown}},
		{"a method that is none", "G@T /redfish/v1/Systems HTTP/1.1\r\n" + at + who + end, []int{400}},
		{"a target with dots", "GET /redfish/v1/Systems/../Systems HTTP/1.1\r\n" + at + who + end, []int{400}},
		{"a target without a slash", "GET redfish/v1/Systems HTTP/1.1\r\n" + at + who + end, []int{400}},
		{"no HTTP at all", "\x00\x01\x02\x03\r\n\r\n", []int{400}},
		{"an expectation by nobody", strings.Replace(post, "SessionService/Sessions", "Systems/1/Actions/ComputerSystem.Reset", 1) + at + json + length(1<<20) + "Expect: 100-continue\r\n\r\n", []int{401}},
		{"an expectation that is none", get + at + who + "Expect: the-unexpected\r\n" + end, []int{417}},
		{"a login of 1 MiB", post + at + json + length(1<<20) + "\r\n" + strings.Repeat(" ", 1<<20), []int{413}},
		{"a login of 1 GiB, hardly begun", post + at + json + length(1<<30) + "\r\n" + strings.Repeat(" ", 64<<10), []int{413}},
		{"a change of 4 MiB", "PATCH /redfish/v1/Systems/1 HTTP/1.1\r\n" + at + who + json + length(4<<20) + "\r\n" + strings.Repeat(" ", 4<<20), []int{413}},
		{"a chunk with an extension of 1 MiB", post + at + json + "Transfer-Encoding: chunked\r\n\r\n2;" + strings.Repeat("a", 1<<20) + "\r\n{}\r\n0\r\n\r\n", []int{400}},
		{"a login without end", post + at + json + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1000\r\n"+strings.Repeat(" ", 4096)+"\r\n", 256), []int{413}},
	}
}

// Whatever comes over the wire gets the right answer, once, and what is in its
// tail none; the process stays small and whole.
func TestBadInput(t *testing.T) {
	t.Parallel()
	t.Run("alone", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s := w.server()
		badInput(t, s.proc, s.endpoint, http.StatusMethodNotAllowed, true) // slow costs 10 s: once is enough
	})
	t.Run("gateway", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		d := w.sim("--slots", "4")
		g := w.gateway(d.target()).up(w)
		badInput(t, g.proc, g.endpoint, http.StatusNotImplemented, false)
		for _, l := range d.lines() {
			if strings.Contains(l.Path, "smuggled") {
				t.Errorf("a hidden request came to the device: %+v", l)
			}
		}
		checkOneLogin(t, d)
	})
	t.Run("simulator", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		d := w.sim("--slots", "4")
		badInput(t, d.proc, d.endpoint, http.StatusMethodNotAllowed, false)
		for _, l := range d.lines() {
			if strings.Contains(l.Path, "smuggled") {
				t.Errorf("a hidden request was answered: %+v", l)
			}
		}
	})
}

// badGrowth is how much bigger a process may be after all of this: what hashing a
// few passwords takes, and the buffers of some hundred connections.
const badGrowth = 192 << 20

func badInput(t *testing.T, p *proc, e endpoint, unknown int, slow bool) {
	e.answers(t) // a password is hashed, code is loaded
	before := p.resident(t)
	login := base64.StdEncoding.EncodeToString([]byte(e.user + ":" + e.password))
	var all sync.WaitGroup
	all.Go(func() {
		for _, c := range rawCases(e.host(), login, unknown) {
			got, err := e.raw(t, strings.NewReader(c.text))
			if err != nil || !slices.Equal(got.statuses(), c.want) || got.rest != "" {
				t.Errorf("%s: got %v, %v, and %.200q; want %v", c.name, got.statuses(), err, got.rest, c.want)
			}
		}
	})
	all.Go(func() { e.bothFramings(t, login) })
	if slow {
		all.Go(func() { e.slow(t) })
	}
	all.Go(func() { e.halfOpen(t) })
	all.Wait()
	e.answers(t)
	if after := p.resident(t); after > before+badGrowth {
		t.Errorf("%d MiB before, %d MiB after", before>>20, after>>20)
	}
	for _, sign := range []string{"panic", "goroutine ", "runtime error"} {
		if text := p.log(); strings.Contains(text, sign) {
			t.Errorf("the log says %q: %.300s", sign, text[strings.Index(text, sign):])
		}
	}
}

// answers wants a usual answer to a usual call.
func (e endpoint) answers(t *testing.T) {
	t.Helper()
	if a, err := e.call(e.client(t), "GET", systems, nil); err != nil || a.status != http.StatusOK {
		t.Errorf("a usual call: status %d, %v", a.status, err)
	}
}

// bothFramings has a length and chunks: the chunks count, an empty login, and the
// connection ends with its answer (RFC 9112, 6.1).
func (e endpoint) bothFramings(t *testing.T, login string) {
	t.Helper()
	text := "POST /redfish/v1/SessionService/Sessions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nAuthorization: Basic " + login +
		"\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" +
		"GET /redfish/v1/Chassis/smuggled HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
	got, err := e.raw(t, strings.NewReader(text))
	if codes := got.statuses(); err != nil || !slices.Equal(codes, []int{400}) {
		t.Errorf("length and chunks: got %v, %v, want 400 and the end of the connection", codes, err)
	}
}

// slow sends a header that never ends, one byte after the other: the server has
// to hang up by itself.
func (e endpoint) slow(t *testing.T) {
	t.Helper()
	c, err := e.dial(t)
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	gone := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, c)
		gone <- err
	}()
	io.WriteString(c, "GET /redfish/v1/ HTTP/1.1\r\nHost: a\r\nX-A: ")
	for {
		select {
		case err := <-gone:
			if n, ok := errors.AsType[net.Error](err); ok && n.Timeout() {
				t.Errorf("a header that never ends is listened to for %v", rawLimit)
			}
			return
		case <-time.After(250 * time.Millisecond):
			io.WriteString(c, "a")
		}
	}
}

// halfOpen leaves hundreds of connections in every state that one can be in; the
// server goes on with others.
func (e endpoint) halfOpen(t *testing.T) {
	t.Helper()
	const each = 100
	var open []net.Conn
	defer func() {
		for _, c := range open {
			c.Close()
		}
	}()
	for i := range 4 * each {
		c, err := net.Dial("tcp", e.host())
		if err != nil {
			t.Error(err)
			return
		}
		open = append(open, c)
		switch i % 4 {
		case 0: // not one byte
		case 1: // the head of a handshake
			c.Write([]byte{0x16, 3, 1, 2, 0, 1})
		case 2: // plain HTTP without an end
			io.WriteString(c, "GET /redfish/v1/ HTTP/1.1\r\nX-A: ")
		case 3: // a handshake, and half a request
			s := tls.Client(c, &tls.Config{InsecureSkipVerify: true}) // nothing is told to it
			if err := s.Handshake(); err != nil {
				t.Error(err)
				return
			}
			io.WriteString(s, "POST /redfish/v1/SessionService/Sessions HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n")
		}
	}
	e.answers(t)
	for _, c := range open { // gone without a word
		if tcp, ok := c.(*net.TCPConn); ok {
			tcp.SetLinger(0)
		}
	}
}

// resident is how much memory the process has.
func (p *proc) resident(t *testing.T) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	need(t, err == nil, "/proc/PID/status (Linux)")
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatal("no VmRSS")
	return 0
}

// Old versions of TLS are refused, and plain HTTP leads to https.
func TestOldTLS(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.server()
	for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11} {
		c, err := tls.Dial("tcp", s.host(), &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version})
		if err == nil {
			c.Close()
			t.Errorf("%s is accepted", tls.VersionName(version))
		}
	}
	c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := c.Post("http://"+s.host()+"/redfish/v1/SessionService/Sessions", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusPermanentRedirect || resp.Header.Get("Location") != s.base+"/redfish/v1/SessionService/Sessions" {
		t.Errorf("plain HTTP: status %d, Location %q", resp.StatusCode, resp.Header.Get("Location"))
	}
}
