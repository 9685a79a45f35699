package serve

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/account"
	"github.com/postern/postern/redfish"
)

// BenchmarkAuthentication compares, in one run and in turn, requests on one kept
// TLS connection for 1 KiB: by a session token, by HTTP Basic with the password
// hashed by argon2id at rest, and the same bytes at an open URI of the same
// handler, where nobody is asked who it is.
//
//	req/s        by a token, median of the rounds
//	token/open   req/s by a token, by those at the open URI
//	basic/token  req/s by HTTP Basic, by those by a token
func BenchmarkAuthentication(b *testing.B) {
	const user, password = "ann", "correct-horse"
	quiet := slog.New(slog.DiscardHandler)
	c, err := openCore(b.Context(), b.TempDir(), "benchmark", time.Now, quiet)
	if err != nil {
		b.Fatal(err)
	}
	defer c.close()
	if _, err := c.accounts.Create(b.Context(), account.Draft{Name: user, Role: auth.Operator, Password: auth.NewSecret(password)}); err != nil {
		b.Fatal(err)
	}
	body := strings.Repeat("x", 1024)
	resource := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, body)
	})
	guarded, err := redfish.New(redfish.Config{Authority: noting{c.authority}, Listener: "bench", Next: noteCaller(resource), Open: resource, Log: quiet})
	if err != nil {
		b.Fatal(err)
	}
	id, err := OpenIdentity(c.dir, time.Now)
	if err != nil {
		b.Fatal(err)
	}
	ln, err := net.Listen("tcp", loopback+":0")
	if err != nil {
		b.Fatal(err)
	}
	f := newFace("bench", loopback, ln, id.TLSConfig(), quiet)
	f.set(&front{next: guarded, writeError: redfishFamily().writeError, target: "bench", log: quiet, now: time.Now})
	f.start(func(error) {})
	defer func() {
		f.srv.Close()
		<-f.done
	}()
	addr := ln.Addr().String()
	token := auth.NewSecret("0f1e2d3c4b5a69788796a5b4c3d2e1f0")
	if _, err := c.authority.Login(b.Context(), auth.Attempt{Account: user, Password: auth.NewSecret(password), Listener: "bench", Token: token}); err != nil {
		b.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(id.ca)
	conf := &tls.Config{RootCAs: roots, ServerName: loopback}
	basic := "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	var rate, byToken, byBasic []float64
	for b.Loop() {
		for range benchRounds {
			open := requests(b, addr, conf, "/redfish/v1/", "Accept: */*")
			t := requests(b, addr, conf, "/redfish/v1/Systems/1", "X-Auth-Token: "+token.Reveal())
			rate, byToken = append(rate, t), append(byToken, t/open)
			byBasic = append(byBasic, requests(b, addr, conf, "/redfish/v1/Systems/1", basic)/t)
		}
	}
	b.ReportMetric(middle(rate), "req/s")
	b.ReportMetric(middle(byToken), "token/open")
	b.ReportMetric(middle(byBasic), "basic/token")
	b.ReportMetric(0, "ns/op")
}

// requests makes one after the other on a kept connection, for a turn, and
// returns how many there were in a second.
func requests(b *testing.B, addr string, conf *tls.Config, path, header string) float64 {
	conn, err := tls.Dial("tcp", addr, conf)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	request := fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n\r\n", path, addr, header)
	n, begin := 0, time.Now()
	for ; time.Since(begin) < benchTurn; n++ {
		if _, err := conn.Write(request); err != nil {
			b.Fatal(err)
		}
		resp, err := http.ReadResponse(in, nil)
		if err != nil || resp.StatusCode != http.StatusOK {
			b.Fatal(resp, err)
		}
		io.Copy(io.Discard, resp.Body)
	}
	return float64(n) / time.Since(begin).Seconds()
}
