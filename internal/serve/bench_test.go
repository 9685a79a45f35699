package serve

import (
	"bufio"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/admin"
	"github.com/postern/postern/internal/config"
)

const (
	benchRounds = 7
	benchTurn   = 300 * time.Millisecond
)

// BenchmarkClientCertificate compares, in one run and in turn, a connection with a
// client certificate to an authentication server, one request on it included, with
// the same to Go's own server, which verifies the chain in the handshake and
// answers a word.
//
//	conn/s   of Postern, median of the rounds
//	ratio    conn/s of Postern by those of Go's own
//	resumed  time of a resumed connection by that of a full one with an RSA-4096 key
func BenchmarkClientCertificate(b *testing.B) {
	srv, api := startAlone(b, config.Listener{Tree: true, Host: loopback, ClientCertificates: config.CertificatesOn})
	ca := issue(b, nil, ecKey(b), func(c *x509.Certificate) { c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign })
	if _, err := api.AddCA(b.Context(), admin.NewCA{PEM: ca.pem()}); err != nil {
		b.Fatal(err)
	}
	if _, err := api.CreateAccount(b.Context(), admin.NewAccount{Name: "ann", Role: auth.Operator, Password: auth.NewSecret("correct-horse")}); err != nil {
		b.Fatal(err)
	}
	large, err := rsa.GenerateKey(rand.Reader, 4096)
	if err != nil {
		b.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(srv.caPEM()))
	client := func(key crypto.Signer) *tls.Config {
		leaf := issue(b, &ca, key, func(c *x509.Certificate) {
			c.Subject.CommonName = "ann"
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		})
		return &tls.Config{RootCAs: roots, ServerName: "127.0.0.1", Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.cert.Raw}, PrivateKey: leaf.key}}}
	}
	stock := stockServer(b, ca)
	roots.AddCert(stock.Certificate())
	ec, full := client(ecKey(b)), client(large)
	resumed := full.Clone()
	resumed.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	postern, other := strings.TrimPrefix(srv.ready.URLs["https"], "https://"), stock.Listener.Addr().String()
	var rate, ratio, short []float64
	for b.Loop() {
		for range benchRounds {
			ours, theirs := connections(b, postern, ec), connections(b, other, ec)
			rate, ratio = append(rate, ours), append(ratio, ours/theirs)
			short = append(short, connections(b, postern, full)/connections(b, postern, resumed))
		}
	}
	b.ReportMetric(middle(rate), "conn/s")
	b.ReportMetric(middle(ratio), "ratio")
	b.ReportMetric(middle(short), "resumed")
	b.ReportMetric(0, "ns/op")
}

func middle(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// stockServer is Go's own, with a certificate of the same kind as ours.
func stockServer(b *testing.B, ca issued) *httptest.Server {
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	own := issue(b, nil, ecKey(b), func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)} })
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") }))
	s.TLS = &tls.Config{
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool,
		Certificates: []tls.Certificate{{Certificate: [][]byte{own.cert.Raw}, PrivateKey: own.key}},
	}
	s.StartTLS()
	b.Cleanup(s.Close)
	return s
}

// connections makes one after the other, each with one request, for a turn, and
// returns how many there were in a second.
func connections(b *testing.B, addr string, conf *tls.Config) float64 {
	n, begin := 0, time.Now()
	for ; time.Since(begin) < benchTurn; n++ {
		conn, err := tls.Dial("tcp", addr, conf)
		if err != nil {
			b.Fatal(err)
		}
		fmt.Fprintf(conn, "GET /redfish/v1/SessionService HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", addr)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || resp.StatusCode != http.StatusOK {
			b.Fatal(resp, err)
		}
		io.Copy(io.Discard, resp.Body)
		conn.Close()
	}
	return float64(n) / time.Since(begin).Seconds()
}
