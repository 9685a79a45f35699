//go:build integration

package interop

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// certificate makes a self-signed one for 127.0.0.1.
func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "bmc"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true, IsCA: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func pin(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return "sha256//" + base64.StdEncoding.EncodeToString(sum[:])
}

func pemFile(t *testing.T, w *world, name string, c tls.Certificate) string {
	t.Helper()
	file := w.path(name)
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Leaf.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// A recorder is a device that shows a certificate and keeps whatever comes
// through the handshake.
type recorder struct {
	l       net.Listener
	came    atomic.Int64 // connections
	mu      sync.Mutex   // guards heard
	heard   []byte
	serving sync.WaitGroup
}

func listen(t *testing.T, c tls.Certificate) *recorder {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{c}})
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{l: l}
	r.serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			r.came.Add(1)
			r.serving.Go(func() { r.listen(conn) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		r.serving.Wait()
	})
	return r
}

// listen reads for a moment and hangs up without a word.
func (r *recorder) listen(conn net.Conn) {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(2 * time.Second))
	buf := make([]byte, 4096)
	n, _ := conn.Read(buf)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heard = append(r.heard, buf[:n]...)
}

func (r *recorder) bytes() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.heard)
}

// Not one byte of HTTP, so none of a credential, reaches a device whose
// certificate is not the one that it should show.
func TestCertificateNotVerified(t *testing.T) {
	t.Parallel()
	device, other := certificate(t), certificate(t)
	for _, c := range []struct {
		name  string
		ca    bool // trust the other certificate as a CA
		pin   string
		hears bool
	}{
		{name: "no CA and no pin: the system's roots decide"},
		{name: "another CA", ca: true},
		{name: "another pin", pin: pin(other.Leaf)},
		{name: "the right pin: the recorder does hear", pin: pin(device.Leaf), hears: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			r := listen(t, device)
			_, pwFile := w.password("device password")
			conf := targetConfig{url: "https://" + r.l.Addr().String(), pin: c.pin, user: "root", pwFile: pwFile}
			if c.ca {
				conf.caFile = pemFile(t, w, "other.pem", other)
			}
			g := w.gateway(conf).up(w)
			a, err := g.call(g.client(t), "GET", systems, nil)
			if err != nil || a.status != http.StatusBadGateway && a.status != http.StatusServiceUnavailable {
				t.Errorf("the caller got %d, %v, want 502 or 503: %s", a.status, err, a.body)
			}
			g.stop()
			if r.came.Load() == 0 {
				t.Error("nobody came: nothing is shown")
			}
			if got := r.bytes(); (got > 0) != c.hears {
				t.Errorf("the device heard %d bytes, want some: %v", got, c.hears)
			}
		})
	}
}
