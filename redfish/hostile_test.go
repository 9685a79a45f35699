package redfish_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/redfish"
)

var quiet = log.New(io.Discard, "", 0)

// raw answers with these bytes and closes the connection.
func raw(text string) func(http.ResponseWriter, *http.Request) {
	return hijack(func(c net.Conn, w *bufio.ReadWriter) {
		w.WriteString(text)
		w.Flush()
	})
}

func hijack(do func(net.Conn, *bufio.ReadWriter)) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		c, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		defer c.Close()
		do(c, rw)
	}
}

// drained counts the endless answers that were read to the end.
var drained atomic.Int32

// endless writes 64 MiB in chunks, or what of it somebody reads.
func endless(head, chunk string) func(http.ResponseWriter, *http.Request) {
	return hijack(func(c net.Conn, w *bufio.ReadWriter) {
		w.WriteString(head)
		for range 1 << 16 {
			if _, err := w.WriteString(chunk); err != nil {
				return
			}
		}
		if w.Flush() == nil {
			drained.Add(1)
		}
	})
}

// Whatever a device does, a login is sent once and ends in an error that tells
// the right outcome, and the password is nowhere in it.
func TestHostileLogins(t *testing.T) {
	t.Parallel()
	kib := strings.Repeat("x", 1024)
	b64 := base64.StdEncoding.EncodeToString([]byte("postern:" + password))
	for _, tt := range []struct {
		name    string
		answer  any
		outcome auth.Outcome
	}{
		{"reset", hijack(func(c net.Conn, _ *bufio.ReadWriter) {
			c.(*tls.Conn).NetConn().(*net.TCPConn).SetLinger(0)
		}), auth.Unknown},
		{"closes", raw(""), auth.Unknown},
		{"garbage", raw("\x00\x01\x02 nonsense\r\n\r\n"), auth.Unknown},
		{"half a status", raw("HTTP/1.1 20"), auth.Unknown},
		{"half a header", raw("HTTP/1.1 201 Created\r\nX-Auth-Tok"), auth.Unknown},
		{"headers without end", endless("HTTP/1.1 201 Created\r\n", "X-Pad: "+kib+"\r\n"), auth.Unknown},
		{"1xx without end", endless("", strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 40)), auth.Unknown},
		{"status out of range", raw("HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n"), auth.Unknown},
		{"cut body on 401", raw("HTTP/1.1 401 No\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n<html>"), auth.Refused},
		{"broken chunks on 401", raw("HTTP/1.1 401 No\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), auth.Refused},
		{"endless body on 401", endless("HTTP/1.1 401 No\r\nTransfer-Encoding: chunked\r\n\r\n", "400\r\n"+kib+"\r\n"), auth.Refused},
		{"endless body on 503", endless("HTTP/1.1 503 No\r\n\r\n", kib), auth.NotJudged},
		{"endless body on 200", endless("HTTP/1.1 200 OK\r\n\r\n", kib), auth.Unknown},
		{"echo in a message", says(400, `{"error":{"message":"bad password `+password+`"}}`), auth.Refused},
		{"echo in the status line", raw("HTTP/1.1 " + password + "\r\n\r\n"), auth.Unknown},
		{"echo in a header", raw("HTTP/1.1 200 OK\r\n" + password + "\r\n\r\n"), auth.Unknown},
		{"echo of Basic", raw("HTTP/9 " + b64 + "\r\n\r\n"), auth.Unknown},
		{"escapes in a message", says(401, `{"error":{"message":"\u001b[2J\u0000\nno"}}`), auth.Refused},
		{"deep JSON", says(401, strings.Repeat("[", 30000)), auth.Refused},
		{"messages of the wrong type", says(401, `{"error":{"@Message.ExtendedInfo":[1,null,{"MessageId":7}]}}`), auth.Refused},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, method := range []auth.Method{auth.MethodSession, auth.MethodBasic} {
				b := newBMC(t, answers{getRoot: root116, postSessions: tt.answer, "GET /redfish/v1/Systems": tt.answer})
				_, err := b.device(t).Login(t.Context(), credential, auth.LoginOptions{Method: method})
				if err == nil && method == auth.MethodBasic {
					continue // 2xx is all that Basic asks for
				}
				le := loginError(t, err)
				if le.Outcome != tt.outcome || !le.Sent || strings.Contains(err.Error(), b64) || strings.ContainsAny(err.Error(), "\x00\x1b\n") || len(err.Error()) > 2000 {
					t.Errorf("%s: %+v", method, le)
				}
				if n := len(b.requests()); n != 2 {
					t.Errorf("%s: requests %q", method, b.requests())
				}
			}
		})
	}
}

func TestMain(m *testing.M) {
	code := m.Run()
	if n := drained.Load(); n > 0 && code == 0 {
		fmt.Printf("FAIL: %d answers without end were read to the end\n", n)
		code = 1
	}
	os.Exit(code)
}

// The status and the token decide, the body may be anything.
func TestLoginWithAHostileBody(t *testing.T) {
	t.Parallel()
	const head = "HTTP/1.1 201 Created\r\nX-Auth-Token: t-1\r\nLocation: /redfish/v1/Sessions/1\r\n"
	for name, answer := range map[string]any{
		"cut":      raw(head + "Content-Length: 1000\r\n\r\n{"),
		"endless":  endless(head+"\r\n", strings.Repeat("x", 1024)),
		"HTML":     raw(head + "\r\n<html>"),
		"no body":  raw(head + "Content-Length: 0\r\n\r\n"),
		"an array": raw(head + "\r\n[1]"),
	} {
		b := newBMC(t, answers{getRoot: root116, postSessions: answer})
		l, err := b.device(t).Login(t.Context(), credential, auth.LoginOptions{Nonce: "n"})
		if err != nil || l.Secret.Reveal() != "t-1" || l.Location != "/redfish/v1/Sessions/1" || l.ID != "1" || l.KeepsNonce {
			t.Errorf("%s: %+v %v", name, l, err)
		}
	}
}

// Before a byte of the request was written nothing was judged.
func TestLoginThatIsNotSent(t *testing.T) {
	t.Parallel()
	// Nobody listens.
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := ln.Addr().String()
	ln.Close()
	// The connection breaks before TLS is up, for the login alone.
	var refuse atomic.Bool
	b := newBMC(t, answers{getRoot: func(w http.ResponseWriter, r *http.Request) {
		refuse.Store(true)
		io.WriteString(w, root116)
	}})
	noLogin := func(c *redfish.DeviceConfig) {
		fresh := c.Fresh.(*http.Transport)
		fresh.DialTLSContext = func(_ context.Context, network, addr string) (net.Conn, error) {
			if refuse.Load() {
				return nil, errors.New("no route to host")
			}
			return tls.Dial(network, addr, fresh.TLSClientConfig)
		}
	}
	for name, d := range map[string]*redfish.Device{
		"nobody listens": b.device(t, func(c *redfish.DeviceConfig) { c.URL = "https://" + nobody }),
		"broken dial":    b.device(t, noLogin),
	} {
		_, err := d.Login(t.Context(), credential, auth.LoginOptions{Method: auth.MethodSession})
		if le := loginError(t, err); le.Outcome != auth.NotJudged || le.Sent || le.Status != 0 {
			t.Errorf("%s: %+v", name, le)
		}
	}
}

// A device whose certificate does not verify sees not one byte of a request.
func TestUnverifiedDevice(t *testing.T) {
	t.Parallel()
	b := newBMC(t, answers{getRoot: root116, postSessions: made("", "")})
	for _, method := range []auth.Method{auth.MethodAuto, auth.MethodSession, auth.MethodBasic} {
		d := b.device(t, func(c *redfish.DeviceConfig) {
			c.Base, c.Fresh = &http.Transport{}, &http.Transport{DisableKeepAlives: true}
		})
		_, err := d.Login(t.Context(), credential, auth.LoginOptions{Method: method})
		var ce *tls.CertificateVerificationError
		if le := loginError(t, err); le.Outcome != auth.NotJudged || le.Sent || !errors.As(err, &ce) {
			t.Errorf("%+v", le)
		}
	}
	// The root may be shared; the login is sent elsewhere only if that verifies too.
	d := b.device(t, func(c *redfish.DeviceConfig) { c.Fresh = &http.Transport{DisableKeepAlives: true} })
	_, err := d.Login(t.Context(), credential, auth.LoginOptions{})
	if le := loginError(t, err); le.Outcome != auth.NotJudged || le.Sent {
		t.Errorf("%+v", le)
	}
	if got := b.requests(); len(got) != 1 || got[0] != getRoot {
		t.Errorf("requests %q", got)
	}
}

// A kept connection that dies is no reason to send a login twice: it goes out
// on a connection of its own.
func TestLoginOnAFreshConnection(t *testing.T) {
	t.Parallel()
	b := newBMC(t, answers{getRoot: root116, postSessions: raw("")})
	d := b.device(t)
	for range 3 {
		_, err := d.Login(t.Context(), credential, auth.LoginOptions{})
		if le := loginError(t, err); le.Outcome != auth.Unknown {
			t.Errorf("%+v", le)
		}
	}
	if b.count(postSessions) != 3 || b.conns.Load() < 4 {
		t.Errorf("%d logins on %d connections", b.count(postSessions), b.conns.Load())
	}
}

// Reads of a device are bounded, whatever it sends.
func TestHostileReads(t *testing.T) {
	t.Parallel()
	kib := strings.Repeat("x", 1024)
	l := auth.Login{Method: auth.MethodSession, Secret: auth.NewSecret("secret-token-1"), Location: "/redfish/v1/SessionService/Sessions/1"}
	for name, answer := range map[string]any{
		"endless":      endless("HTTP/1.1 200 OK\r\n\r\n", kib),
		"endless JSON": endless("HTTP/1.1 200 OK\r\n\r\n"+`{"Members":[`, `"`+kib+`",`),
		"cut":          raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"Members\":[]}"),
		"compressed":   raw("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x08"),
		"closes":       raw(""),
		"deep":         says(200, `{"Members":`+strings.Repeat("[", 100000)+strings.Repeat("]", 100000)+`}`),
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://evil.example/", http.StatusFound)
		},
		"echo":           raw("HTTP/1.1 secret-token-1\r\n\r\n"),
		"echo in a body": says(500, `{"error":{"message":"token secret-token-1 is wrong"}}`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBMC(t, answers{
				getRoot: root116, "GET /redfish/v1/SessionService/Sessions": answer, "GET /redfish/v1/SessionService": answer,
			})
			d := b.device(t)
			_, err1 := d.List(t.Context(), l)
			_, err2 := d.Idle(t.Context(), l)
			for _, err := range []error{err1, err2} {
				if err == nil || errors.Is(err, auth.ErrNoSession) || strings.Contains(err.Error(), "secret-token-1") {
					t.Errorf("error %v", err)
				}
			}
		})
	}
}

// A root of any shape never breaks a login off but by its status.
func TestHostileRoots(t *testing.T) {
	t.Parallel()
	for _, root := range []string{
		"", "null", "[]", "{", "<html>", `{"Links":null,"SessionService":7}`, `{"Links":{"Sessions":{"@odata.id":7}}}`,
		`{"Links":{"Sessions":{"@odata.id":"/../x"}}}`, `{"Links":{"Sessions":{"@odata.id":"a b"}}}`, `{"Links":{},"links":{}}`,
		`{"Systems":{"@odata.id":"//evil.example"}}`, strings.Repeat("[", 200000), strings.Repeat(" ", 2<<20),
	} {
		b := newBMC(t, answers{getRoot: root, postSessions: made("", "")})
		d := b.device(t)
		for _, method := range []auth.Method{auth.MethodAuto, auth.MethodSession, auth.MethodBasic} {
			if _, err := d.Login(t.Context(), credential, auth.LoginOptions{Method: method}); err != nil {
				loginError(t, err)
			}
		}
		for i := range b.requests() {
			if r, _ := b.sent(i); r.Host != strings.TrimPrefix(b.URL, "https://") {
				t.Errorf("%.40s: host %q", root, r.Host)
			}
		}
	}
}

// The real Handler and the real Device against each other, over TLS.
func TestDeviceAgainstHandler(t *testing.T) {
	t.Parallel()
	m := newMemory()
	h, err := redfish.New(redfish.Config{Authority: m, Listener: listener, Next: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := auth.PrincipalFrom(r.Context())
		fmt.Fprint(w, p.Account)
	})})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewTLSServer(h)
	defer srv.Close()
	d := (&bmc{Server: srv}).device(t)
	cred := auth.Credential{Account: "oper", Password: auth.NewSecret(password)}
	ctx := t.Context()

	l, err := d.Login(ctx, cred, auth.LoginOptions{Method: auth.MethodAuto, Nonce: "n-42"})
	if err != nil || l.Method != auth.MethodSession || !l.KeepsNonce || l.DeviceDate.IsZero() {
		t.Fatalf("%+v %v", l, err)
	}
	if err := d.Touch(ctx, l); err != nil {
		t.Error(err)
	}
	if idle, err := d.Idle(ctx, l); err != nil || idle.Minutes() != 30 {
		t.Errorf("idle %v %v", idle, err)
	}
	second, err := d.Login(ctx, cred, auth.LoginOptions{})
	if err != nil {
		t.Fatal(err)
	}
	listed, err := d.List(ctx, redfish.BasicLogin(cred))
	if err != nil || len(listed) != 2 || listed[0].Context != "n-42" || listed[0].Account != "oper" || listed[0].Location != l.Location || listed[0].Created.IsZero() {
		t.Errorf("%+v %v", listed, err)
	}
	if err := d.End(ctx, l, second.Location); err != nil {
		t.Error(err)
	}
	if err := d.Touch(ctx, second); !errors.Is(err, auth.ErrNoSession) {
		t.Errorf("ended: %v", err)
	}
	if err := d.Logout(ctx, second); !errors.Is(err, auth.ErrNoSession) {
		t.Errorf("logout of the ended: %v", err)
	}
	if err := d.Logout(ctx, l); err != nil || m.count() != 0 {
		t.Errorf("%v, %d left", err, m.count())
	}
	if _, err := d.Login(ctx, auth.Credential{Account: "oper", Password: auth.NewSecret("wrong")}, auth.LoginOptions{}); loginError(t, err).Outcome != auth.Refused {
		t.Error(err)
	}
	m.limit = 0
	if _, err := d.Login(ctx, cred, auth.LoginOptions{}); !loginError(t, err).Full {
		t.Error(err)
	}
	if b, err := d.Login(ctx, cred, auth.LoginOptions{Method: auth.MethodBasic}); err != nil || d.Touch(ctx, b) != nil {
		t.Errorf("Basic: %v", err)
	}
}
