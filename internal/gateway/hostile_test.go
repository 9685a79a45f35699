package gateway_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/postern/postern/internal/audit"
)

// raw makes a device answer with these bytes and hang up.
func raw(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		defer c.Close()
		io.WriteString(c, text)
	}
}

// endless makes a device answer with text again and again, until nobody reads.
func endless(start, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		defer c.Close()
		out := bufio.NewWriter(c)
		out.WriteString(start)
		for {
			if _, err := out.WriteString(text); err != nil {
				return
			}
		}
	}
}

func TestHostileAnswers(t *testing.T) {
	t.Parallel()
	const ok = "HTTP/1.1 200 OK\r\n"
	for _, tc := range []struct {
		name   string
		device http.HandlerFunc
		status int
		text   string
	}{
		{name: "hangs up", device: raw(""), status: 502, text: "broke before it answered"},
		{name: "garbage", device: raw("\x00\x01\x02\xff\r\n\r\n"), status: 502},
		{name: "not HTTP", device: raw("SSH-2.0-dropbear\r\n"), status: 502},
		{name: "header without a colon", device: raw(ok + "abc\r\n\r\n"), status: 502},
		{name: "two lengths", device: raw(ok + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx"), status: 502},
		{name: "length that is no number", device: raw(ok + "Content-Length: -5\r\n\r\n"), status: 502},
		{name: "odd transfer encoding", device: raw(ok + "Transfer-Encoding: chunked, gzip\r\n\r\n"), status: 502},
		{name: "endless headers", device: endless(ok, "X-More: "+strings.Repeat("x", 1000)+"\r\n"), status: 502},
		{name: "endless header line", device: endless(ok+"X-More: ", strings.Repeat("x", 1000)), status: 502},
		{name: "endless 1xx", device: endless("", "HTTP/1.1 102 Processing\r\n\r\n"), status: 502},
		{name: "a few 1xx", device: raw("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"), status: 200, text: "{}"},
		{name: "switches protocols", device: raw("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"), status: 502, text: "101"},
		{name: "status without meaning", device: raw("HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n"), status: 502, text: "999"},
		{name: "status zero", device: raw("HTTP/1.1 000 X\r\nContent-Length: 0\r\n\r\n"), status: 502},
		{name: "body cut off", device: raw(ok + "Content-Length: 100\r\n\r\n{"), status: 502, text: "broke off"},
		{name: "chunk cut off", device: raw(ok + "Transfer-Encoding: chunked\r\n\r\nff\r\n"), status: 502, text: "broke off"},
		{name: "chunk without a size", device: raw(ok + "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}"), status: 502},
		{name: "ends with the connection", device: raw(ok + "Connection: close\r\n\r\n{}"), status: 200, text: "{}"},
		{name: "HTTP/1.0", device: raw("HTTP/1.0 200 OK\r\n\r\n{}"), status: 200, text: "{}"},
		{name: "empty error", device: raw("HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n"), status: 500, text: "500 Internal Server Error"},
		{name: "HTML error", device: raw("HTTP/1.1 404 X\r\nContent-Type: text/html\r\nContent-Length: 15\r\n\r\n<html>x</html>\n"), status: 404, text: "without saying more"},
		{name: "HTML error that is cut off", device: raw("HTTP/1.1 503 X\r\nRetry-After: 7\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n<html>\r\n"), status: 503, text: "without saying more"},
		{name: "JSON error that is cut off", device: raw("HTTP/1.1 400 X\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{}"), status: 400, text: "without saying more"},
		{name: "JSON error", device: raw("HTTP/1.1 409 X\r\nContent-Type: application/json\r\nContent-Length: 30\r\n\r\n" + `{"error":{"code":"x.1.Mine"}} `), status: 409, text: `{"error":{"code":"x.1.Mine"}} `},
		{name: "proxy's demand", device: raw("HTTP/1.1 407 X\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n"), status: 407},
		{name: "redirect to another host", device: raw("HTTP/1.1 307 X\r\nLocation: https://evil.example/\r\nRetry-After: 9\r\nContent-Length: 0\r\n\r\n"), status: 502, text: "another host"},
		{name: "redirect that cannot be read", device: raw("HTTP/1.1 302 X\r\nLocation: https://a@b/\r\nContent-Length: 0\r\n\r\n"), status: 502, text: "redirects"},
		{name: "two redirects", device: raw("HTTP/1.1 302 X\r\nLocation: /a\r\nLocation: https://evil/\r\nContent-Length: 0\r\n\r\n"), status: 502, text: "redirects"},
		{name: "redirect within", device: raw("HTTP/1.1 307 X\r\nLocation: Systems/uuid\r\nContent-Length: 0\r\n\r\n"), status: 307},
		{name: "unknown compression", device: raw(ok + "Content-Encoding: br\r\nContent-Length: 2\r\n\r\nxx"), status: 502, text: "compressed"},
		{name: "compression that is none", device: raw(ok + "Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\nxx"), status: 502, text: "broke off"},
		{name: "no content with content", device: raw("HTTP/1.1 204 X\r\nContent-Length: 5\r\n\r\nxxxxx"), status: 204},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newStack(t, newBMC(t, tc.device).Server, options{})
			a := s.call("GET", systems, nil)
			a.want(t, tc.status, tc.text)
			for _, h := range []string{"Proxy-Authenticate", "Upgrade", "Content-Encoding"} {
				if a.header.Get(h) != "" {
					t.Errorf("%s: %s", h, a.header.Get(h))
				}
			}
			if tc.status >= 400 && a.header.Get("Location") != "" {
				t.Errorf("an error with Location %q", a.header.Get("Location"))
			}
			if tc.status == 502 && a.header.Get("Retry-After") == "9" {
				t.Error("the device's Retry-After is in an answer of ours")
			}
			s.noSecrets(a)
		})
	}
}

// What is begun and breaks off breaks off for the caller, too, and is on record.
func TestCutAfterTheFirstPiece(t *testing.T) {
	t.Parallel()
	for name, head := range map[string]string{
		"known length": "Content-Length: 200000\r\n\r\n",
		"chunks":       "Transfer-Encoding: chunked\r\n\r\n11170\r\n", // 70,000
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStack(t, newBMC(t, raw("HTTP/1.1 200 OK\r\n"+head+strings.Repeat("x", 70000))).Server, options{})
			a, err := s.do(s.request("GET", systems, nil))
			if err == nil {
				t.Errorf("a whole answer of %d bytes with status %d", len(a.body), a.status)
			}
			recs := s.records()
			if len(recs) != 1 || recs[0].Outcome != "answer cut short" {
				t.Errorf("records %+v", recs)
			}
		})
	}
}

// An effect whose answer never came may have happened, and is said to.
func TestEffectWithoutAnswer(t *testing.T) {
	t.Parallel()
	s := newStack(t, newBMC(t, raw("")).Server, options{})
	s.call("POST", systems, strings.NewReader(`{}`)).want(t, 502, "may have been carried out")
	recs := s.records()
	if len(recs) != 2 || recs[1].Event != audit.CallEnd || recs[1].Outcome != audit.OutcomeUnknown {
		t.Errorf("records %+v", recs)
	}
}

func TestDeviceIsDown(t *testing.T) {
	t.Parallel()
	b := newBMC(t, func(http.ResponseWriter, *http.Request) {})
	s := newStack(t, b.Server, options{})
	s.call("GET", systems, nil).want(t, 200, "")
	b.Close()
	down := s.call("GET", systems, nil)
	down.want(t, 502, "refuses the connection")
	if down.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	s.call("POST", systems, strings.NewReader(`{}`)).want(t, 502, "Nothing was sent")
	recs := s.records()
	if last := recs[len(recs)-1]; last.Event != audit.CallEnd || last.Outcome != "not done" {
		t.Errorf("record %+v", last)
	}
}

// A device with a certificate that is not the pinned one gets nothing of a
// caller or of us.
func TestCertificate(t *testing.T) {
	t.Parallel()
	b := newBMC(t, func(http.ResponseWriter, *http.Request) {})
	s := newStack(t, b.Server, options{pin: "sha256//" + strings.Repeat("A", 43) + "="})
	s.call("POST", systems, strings.NewReader(`{}`)).want(t, 502, "postern target pin bmc1")
	s.call("GET", systems, nil).want(t, 502, "postern target pin bmc1")
	hasSessions(t, s.anonymous("GET", "/redfish/v1/").body)
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.requests) > 0 {
		t.Errorf("%d requests reached the device", len(b.requests))
	}
}

// Secrets are taken out, in whatever form the device echoes them.
func TestEcho(t *testing.T) {
	t.Parallel()
	b := newBMC(t, func(w http.ResponseWriter, r *http.Request) {
		token := r.Header.Get("X-Auth-Token")
		w.Header().Set("ETag", `"`+token+`"`)
		w.Header().Set("Link", `</x?`+token+`>`)
		for range 5 {
			fmt.Fprintf(w, "%s %s %x %s", strings.Repeat("-", 60000), token, token, base64.StdEncoding.EncodeToString([]byte("x"+token)))
			w.(http.Flusher).Flush()
		}
	})
	s := newStack(t, b.Server, options{})
	a := s.call("GET", systems, nil)
	a.want(t, 200, "*")
	if got := strings.Count(a.body, "-"); got != 5*60000 {
		t.Errorf("%d of the innocent bytes arrived, want %d", got, 5*60000)
	}
	b.mu.Lock()
	for token := range b.tokens {
		for _, form := range []string{token, fmt.Sprintf("%x", token), base64.StdEncoding.EncodeToString([]byte("x" + token))[4:20]} {
			if strings.Contains(a.body+fmt.Sprint(a.header), form) {
				t.Errorf("%s is in the answer", form)
			}
		}
	}
	b.mu.Unlock()
	s.noSecrets(a)
}

// A device that compresses unasked is read all the same (HPE iLO: registries).
func TestGzip(t *testing.T) {
	t.Parallel()
	text := strings.Repeat(`{"a":"b"}`, 30000)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	io.WriteString(z, text)
	z.Close()
	b := newBMC(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Content-Type", "application/json")
		w.Write(packed.Bytes())
	})
	s := newStack(t, b.Server, options{})
	if a := s.call("GET", systems, nil); a.body != text || a.header.Get("Content-Encoding") != "" || a.header.Get("Content-Length") != "" {
		t.Errorf("got %d bytes, encoding %q, length %q", len(a.body), a.header.Get("Content-Encoding"), a.header.Get("Content-Length"))
	}
	if a := s.call("HEAD", systems, nil); a.header.Get("Content-Length") != "" {
		t.Errorf("the length of the packed body is told: %q", a.header.Get("Content-Length"))
	}
}

// A caller who hangs up in the middle of a large answer stops it at the device.
func TestCallerHangsUp(t *testing.T) {
	t.Parallel()
	stopped := make(chan struct{})
	b := newBMC(t, func(w http.ResponseWriter, _ *http.Request) {
		defer close(stopped)
		piece := make([]byte, 64<<10)
		for {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	})
	s := newStack(t, b.Server, options{})
	resp, err := s.client.Do(s.request("GET", systems, nil))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, resp.Body, 1<<20); err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	<-stopped
	s.front.Close()
	recs := s.records()
	if len(recs) != 1 || recs[0].Outcome != "caller left" {
		t.Errorf("records %+v", recs)
	}
}

// Requests that no client library would send.
func TestOddRequests(t *testing.T) {
	t.Parallel()
	b := newBMC(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "%s %s", r.Method, r.RequestURI) })
	s := newStack(t, b.Server, options{})
	auth := "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("admin:"+callerPassword)) + "\r\n"
	for _, tc := range []struct{ name, line, want string }{
		{"absolute form", "GET https://any.example" + systems + " HTTP/1.1", "200"},
		{"absolute form with dots", "GET https://any.example/redfish/v1/../x HTTP/1.1", "400"},
		{"asterisk", "OPTIONS * HTTP/1.1", "400"},
		{"authority form", "CONNECT evil.example:443 HTTP/1.1", "4"},
		{"trace", "TRACE " + systems + " HTTP/1.1", "501"},
		{"unknown method", "FAKEMETHODFORTEST " + systems + " HTTP/1.1", "501"},
		{"small letters", "get " + systems + " HTTP/1.1", "501"},
		{"outside", "GET /rest/v1/Systems HTTP/1.1", "404"},
		{"two slashes", "GET //redfish/v1/Systems HTTP/1.1", "400"},
		{"another authority in the path", "GET //evil.example/redfish/v1/Systems HTTP/1.1", "400"},
		{"two lengths", "POST " + systems + " HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2", "400"},
		{"length and chunks: the chunks count", "POST " + systems + " HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked", "200"},
		{"encoded form of a transfer", "POST " + systems + " HTTP/1.1\r\nTransfer-Encoding: gzip", "501"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := net.Dial("tcp", s.front.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			tc2 := s.front.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
			tc2.ServerName = "example.com"
			conn := tlsClient(c, tc2)
			defer conn.Close()
			fmt.Fprintf(conn, "%s\r\nHost: x\r\n%sConnection: close\r\n\r\n0\r\n\r\n", tc.line, auth)
			status, err := bufio.NewReader(conn).ReadString('\n')
			if err != nil || !strings.HasPrefix(strings.TrimPrefix(status, "HTTP/1.1 "), tc.want) {
				t.Errorf("got %q, %v; want %s", status, err, tc.want)
			}
		})
	}
}
