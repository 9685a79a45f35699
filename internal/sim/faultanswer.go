package sim

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/redfish"
)

func htmlPage(status int) string {
	text := http.StatusText(status)
	return fmt.Sprintf("<html><head><title>%d</title></head><body><h1>%s</h1></body></html>\n", status, text)
}

// pause waits, but for nobody who has gone; false: the client has.
func (x *exchange) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-x.note.gone:
		return false
	}
}

// rootWantsLogin: observed: iDRAC 7 and 8 (Redfish-Service-Validator#372).
func rootWantsLogin(x *exchange) bool {
	if x.kind != kindRoot || x.loggedIn() {
		return false
	}
	setHeader(x, "WWW-Authenticate", `Basic realm="`+x.device.cfg.Name+`"`)
	return x.refuse(auth.ErrNoSession)
}

// rootBroken: observed: python-redfish-library#107.
func rootBroken(x *exchange) {
	if x.kind == kindRoot && x.status == http.StatusOK && len(x.body) > 0 {
		x.set("application/json", append([]byte(`{"@odata.etag":"W/"6A3F5B1C"",`), bytes.TrimPrefix(x.body, []byte("{"))...))
	}
}

func setErrorBody(f *faults, form string) {
	if form == "cut" {
		deliver(cutErrors)(f)
		return
	}
	after(func(x *exchange) {
		if x.status < 400 {
			return
		}
		if form == "html" {
			x.set("text/html", []byte(htmlPage(x.status)))
			return
		}
		x.set("", nil)
	})(f)
}

// cutErrors: observed: the 401 of iDRAC 8 (check_redfish#90).
func cutErrors(x *exchange, w http.ResponseWriter) bool {
	if x.status < 400 || x.request.Method == http.MethodHead {
		return false
	}
	x.header.Del("Content-Length")
	x.header.Set("Content-Type", "text/html")
	x.header.Set("Transfer-Encoding", "chunked")
	conn := x.seize(w)
	defer conn.Close()
	conn.Write(append(x.head(), "1000\r\n<html><head><title>"...))
	return true
}

func hostileErrors(x *exchange) {
	if x.status < 400 {
		return
	}
	body, _ := json.Marshal(map[string]any{"error": map[string]any{ // strings alone: it cannot fail
		"code": hostileID, "message": hostileUser,
		"@Message.ExtendedInfo": []any{map[string]any{"MessageId": "Base.1.22." + hostileID, "Message": "no\x1b[2J\nroot# \u202e" + hostileID}},
	}})
	x.set("application/json", body)
}

// hostileHeaders sends what net/http would not.
func hostileHeaders(x *exchange, w http.ResponseWriter) bool {
	login := x.note.event == eventLogin
	if x.kind != kindOther && !login {
		return false
	}
	text := string(x.head())
	if login {
		text = strings.Replace(text, "Location: ", "Location: "+hostileID, 1)
	} else {
		text = strings.Replace(text, "\r\n\r\n", "\r\nX-Hostile: "+hostileID+"\r\n\r\n", 1)
	}
	conn := x.seize(w)
	defer conn.Close()
	conn.Write(append([]byte(text), x.body...))
	return true
}

// absurdHeaders are well-formed, and mean nothing.
func absurdHeaders(x *exchange) {
	for n := range 100 {
		x.header.Set(fmt.Sprintf("X-Vendor-%d", n), strings.Repeat("v", 200))
	}
	x.header.Set("X-Long", strings.Repeat("long ", 8<<10))
	x.header.Set("Date", "Thu, 30 Feb 1582 25:61:61 GMT")
	x.header.Set("Retry-After", "-99999999999999999999")
	x.header.Set("ETag", `W/"a",b"`)
	x.header.Set("OData-Version", "9.9")
	x.header.Set("Set-Cookie", "SESSION=planted; Domain=example; Path=/")
	x.header.Set("Link", strings.Repeat("<", 100))
	x.header["Www-Authenticate"] = []string{`Basic realm="`, "Digest", ","}
	if x.isLogin() {
		return
	}
	x.header.Set("X-Auth-Token", "planted")
}

func endlessHeaders(x *exchange, w http.ResponseWriter) bool {
	if x.kind != kindOther {
		return false
	}
	conn := x.seize(w)
	defer conn.Close()
	_, err := conn.Write(bytes.TrimSuffix(x.head(), []byte("\r\n")))
	for more := bytes.Repeat([]byte("X-More: "+strings.Repeat("m", 1000)+"\r\n"), 32); err == nil; {
		_, err = conn.Write(more)
	}
	return true
}

func slowBody(wait time.Duration) func(*exchange, http.ResponseWriter) bool {
	const parts = 4
	return func(x *exchange, w http.ResponseWriter) bool {
		w.WriteHeader(x.status)
		control := http.NewResponseController(w)
		for n := range parts {
			if control.Flush() != nil || !x.pause(wait) {
				return true
			}
			w.Write(x.body[len(x.body)*n/parts : len(x.body)*(n+1)/parts])
		}
		return true
	}
}

func endlessBody(x *exchange, w http.ResponseWriter) bool {
	if x.body == nil {
		return false
	}
	w.Header().Del("Content-Length")
	w.WriteHeader(x.status)
	_, err := w.Write(x.body)
	for more := bytes.Repeat([]byte(" \n"), 16<<10); err == nil; {
		_, err = w.Write(more)
	}
	return true
}

func resetAnswer(n int) func(*exchange, http.ResponseWriter) bool {
	now := everyNth(n)
	return func(x *exchange, w http.ResponseWriter) bool {
		if x.kind != kindOther || !now() {
			return false
		}
		conn := x.seize(w)
		conn.Write(append(x.head(), x.body[:len(x.body)/2]...))
		under := conn
		if t, ok := conn.(interface{ NetConn() net.Conn }); ok {
			under = t.NetConn()
		}
		if t, ok := under.(*net.TCPConn); ok {
			t.SetLinger(0) // what is not sent yet never is
		}
		under.Close()
		return true
	}
}

// staleKeepAlive: observed: DMTF/libredfish PR 55.
func staleKeepAlive(x *exchange, w http.ResponseWriter) bool {
	x.header.Set("Connection", "keep-alive")
	x.header.Set("Keep-Alive", "timeout=60, max=100")
	conn := x.seize(w)
	defer conn.Close()
	io.Copy(conn, io.MultiReader(bytes.NewReader(x.head()), bytes.NewReader(x.body)))
	return true
}

func redirectLoop(x *exchange) bool {
	return x.kind == kindOther && x.redirect(http.StatusTemporaryRedirect, x.asked)
}

func redirectAway(x *exchange) bool {
	return x.kind == kindOther && x.redirect(http.StatusTemporaryRedirect, "https://"+awayHost+x.asked)
}

// ifMatchRequired: observed: Lenovo (community.general PR 2053).
func ifMatchRequired(x *exchange) bool {
	return x.request.Method == http.MethodPatch && x.request.Header.Get("If-Match") == "" &&
		x.refuse(&redfish.Problem{Status: http.StatusPreconditionRequired, Key: "PreconditionRequired"})
}

func setNewCertificate(f *faults, n int) {
	f.newCertificate = n
	var answers atomic.Int64
	after(func(x *exchange) {
		if x.device.answers.Store(answers.Add(1)); x.device.certificateChanged() {
			x.header.Set("Connection", "close")
		}
	})(f)
}

func (d *Device) certificateChanged() bool {
	n := d.faults.newCertificate
	return n > 0 && d.answers.Load() >= int64(n)
}

// TLSConfig returns what is to be shown in handshakes where conf is what the
// device should show: conf itself, but for the fault certificate-changes.
func (d *Device) TLSConfig(conf *tls.Config) (*tls.Config, error) {
	if d.faults.newCertificate == 0 {
		return conf, nil
	}
	other, err := selfSigned(d.cfg.Name, d.cfg.clock())
	if err != nil {
		return nil, fmt.Errorf("sim: another certificate: %w", err)
	}
	changed := &tls.Config{MinVersion: conf.MinVersion, NextProtos: conf.NextProtos, Certificates: []tls.Certificate{other}}
	outer := conf.Clone()
	outer.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if d.certificateChanged() {
			return changed, nil
		}
		if conf.GetConfigForClient != nil {
			return conf.GetConfigForClient(hello)
		}
		return nil, nil
	}
	return outer, nil
}

func selfSigned(name string, now time.Time) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.Unix()), Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(10, 0, 0),
		DNSNames: []string{name, "localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
