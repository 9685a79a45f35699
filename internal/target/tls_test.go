package target

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A testCA signs certificates of simulated devices.
type testCA struct {
	cert        *x509.Certificate
	key         *ecdsa.PrivateKey
	pem, keyPEM string
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newCA(t testing.TB) *testCA {
	t.Helper()
	c := &testCA{key: newKey(t)}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, c.key.Public(), c.key)
	if err != nil {
		t.Fatal(err)
	}
	if c.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(c.key)
	if err != nil {
		t.Fatal(err)
	}
	c.pem = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	c.keyPEM = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
	return c
}

func (c *testCA) issue(t testing.TB, edit func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, KeyUsage: x509.KeyUsageDigitalSignature}
	if edit != nil {
		edit(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, c.cert, key.Public(), c.key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// A device is a TLS server that counts what reaches it behind the handshake.
type device struct {
	*httptest.Server
	calls atomic.Int64 // requests
	plain atomic.Int64 // bytes of application data
}

func newDevice(t testing.TB, cert tls.Certificate, edit func(*tls.Config)) *device {
	t.Helper()
	d := &device{}
	d.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.calls.Add(1)
		io.WriteString(w, "hello")
	}))
	d.Config.ErrorLog = log.New(io.Discard, "", 0)
	d.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"http/1.1"}}
	if edit != nil {
		edit(d.TLS)
	}
	inner := d.Listener
	// The counter sits between TLS and HTTP.
	d.Listener = &countingListener{Listener: tls.NewListener(inner, d.TLS), n: &d.plain}
	d.Config.TLSConfig = d.TLS
	d.Start()
	d.URL = "https://" + inner.Addr().String()
	t.Cleanup(d.Close)
	return d
}

type countingListener struct {
	net.Listener
	n *atomic.Int64
}

func (l *countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &countingConn{Conn: c, n: l.n}, nil
}

type countingConn struct {
	net.Conn
	n *atomic.Int64
}

func (c *countingConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.n.Add(int64(n))
	return n, err
}

func get(t testing.TB, x Target) (data, fresh error) {
	t.Helper()
	d, f, err := x.Transports()
	if err != nil {
		return err, err
	}
	defer d.CloseIdleConnections()
	try := func(rt http.RoundTripper) error {
		req, err := http.NewRequestWithContext(t.Context(), "POST", x.URL+"/redfish/v1/SessionService/Sessions", strings.NewReader("s3cret"))
		if err != nil {
			return err
		}
		resp, err := rt.RoundTrip(req)
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		return err
	}
	return try(d), try(f)
}

func TestWhichCertificatesAreTaken(t *testing.T) {
	t.Parallel()
	ca, otherCA := newCA(t), newCA(t)
	good := ca.issue(t, nil)
	expired := ca.issue(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Hour) })
	elsewhere := ca.issue(t, func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"other.example"} })
	stranger := otherCA.issue(t, nil)
	pin := func(c tls.Certificate) string { return PinOf(c.Leaf) }
	for _, c := range []struct {
		name  string
		shown tls.Certificate
		edit  func(*Target)
		want  string // in the error; "" = taken
	}{
		{"right CA", good, func(x *Target) { x.CAPEM = ca.pem }, ""},
		{"one of two CAs", good, func(x *Target) { x.CAPEM = otherCA.pem + ca.pem }, ""},
		{"right pin", good, func(x *Target) { x.Pin = pin(good) }, ""},
		{"right pin, expired", expired, func(x *Target) { x.Pin = pin(expired) }, ""},
		{"right pin, another name", elsewhere, func(x *Target) { x.Pin = pin(elsewhere) }, ""},
		{"right pin, unknown CA", stranger, func(x *Target) { x.Pin = pin(stranger) }, ""},

		{"wrong CA", stranger, func(x *Target) { x.CAPEM = ca.pem }, "unknown authority"},
		{"system CAs", good, func(x *Target) {}, "unknown authority"},
		{"wrong name", elsewhere, func(x *Target) { x.CAPEM = ca.pem }, "127.0.0.1"},
		{"expired", expired, func(x *Target) { x.CAPEM = ca.pem }, "expired"},
		{"wrong pin", good, func(x *Target) { x.Pin = pin(stranger) }, "not the pinned one"},
		{"wrong pin, same CA", good, func(x *Target) { x.Pin = pin(elsewhere) }, "not the pinned one"},
		{"pin of the CA", good, func(x *Target) { x.Pin = PinOf(ca.cert) }, "not the pinned one"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := newDevice(t, c.shown, nil)
			x := Target{Name: "bmc1", URL: d.URL}
			c.edit(&x)
			data, fresh := get(t, x)
			for _, err := range []error{data, fresh} {
				if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
					t.Errorf("got %v, want %q", err, c.want)
				}
			}
			if c.want == "" {
				return
			}
			d.Close() // what was on its way has arrived
			if calls, plain := d.calls.Load(), d.plain.Load(); calls != 0 || plain != 0 {
				t.Errorf("%d requests and %d bytes reached the device", calls, plain)
			}
		})
	}
}

// The configuration is whole: it does not depend on who dials with it.
func TestTLSConfigChecksTheName(t *testing.T) {
	t.Parallel()
	ca := newCA(t)
	for _, c := range []struct {
		cert tls.Certificate
		want string
	}{
		{ca.issue(t, nil), ""},
		{ca.issue(t, func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 2)} }), "127.0.0.2"},
	} {
		d := newDevice(t, c.cert, nil)
		config, err := Target{URL: d.URL, CAPEM: ca.pem}.TLSConfig()
		if err != nil {
			t.Fatal(err)
		}
		raw, err := net.Dial("tcp", strings.TrimPrefix(d.URL, "https://"))
		if err != nil {
			t.Fatal(err)
		}
		defer raw.Close()
		err = tls.Client(raw, config).HandshakeContext(t.Context())
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}

func TestChangedCertificate(t *testing.T) {
	t.Parallel()
	ca := newCA(t)
	before, after := ca.issue(t, nil), ca.issue(t, nil)
	d := newDevice(t, after, nil)
	_, err := get(t, Target{Name: "bmc1", URL: d.URL, Pin: PinOf(before.Leaf)})
	pinned, ok := errors.AsType[*PinError](err)
	if !ok {
		t.Fatalf("got %v, want a *PinError", err)
	}
	want := PinError{Target: "bmc1", URL: d.URL, Pinned: PinOf(before.Leaf), Shown: PinOf(after.Leaf)}
	if *pinned != want {
		t.Errorf("got %+v, want %+v", *pinned, want)
	}
	for _, part := range []string{want.Pinned, want.Shown, "postern target pin bmc1"} {
		if !strings.Contains(pinned.Error(), part) {
			t.Errorf("%q is not in %q", part, pinned)
		}
	}
}

// A device that holds a copy of the pinned certificate but not its key is not let in.
func TestPinnedCertificateWithoutItsKey(t *testing.T) {
	t.Parallel()
	ca := newCA(t)
	good := ca.issue(t, nil)
	stolen := tls.Certificate{Certificate: good.Certificate, PrivateKey: newKey(t)}
	d := newDevice(t, tls.Certificate{}, func(c *tls.Config) {
		c.Certificates = nil
		c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &stolen, nil }
	})
	if data, fresh := get(t, Target{URL: d.URL, Pin: PinOf(good.Leaf)}); data == nil || fresh == nil {
		t.Errorf("got %v, %v, want errors", data, fresh)
	}
	d.Close()
	if n := d.plain.Load(); n != 0 {
		t.Errorf("%d bytes reached the device", n)
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	t.Parallel()
	cert := newCA(t).issue(t, nil)
	d := newDevice(t, cert, func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 })
	if _, err := get(t, Target{URL: d.URL, Pin: PinOf(cert.Leaf)}); err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("TLS 1.1: got %v", err)
	}
}

func TestTransports(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1") // and t.Parallel may not be used
	cert := newCA(t).issue(t, nil)
	for _, c := range []struct {
		protos []string
		want   string
	}{{[]string{"h2", "http/1.1"}, "HTTP/2.0"}, {[]string{"http/1.1"}, "HTTP/1.1"}} {
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Proto", r.Proto)
			w.Header().Set("X-Peer", r.RemoteAddr)
			w.Header().Set("X-Encoding", r.Header.Get("Accept-Encoding"))
		}))
		srv.EnableHTTP2 = c.protos[0] == "h2"
		srv.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
		srv.StartTLS()
		data, fresh, err := Target{URL: srv.URL, Pin: PinOf(cert.Leaf)}.Transports()
		if err != nil {
			t.Fatal(err)
		}
		ask := func(rt http.RoundTripper) http.Header {
			resp, err := (&http.Client{Transport: rt}).Get(srv.URL)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			return resp.Header
		}
		first, second := ask(data), ask(data)
		if first.Get("X-Proto") != c.want || first.Get("X-Encoding") != "" {
			t.Errorf("%v: got %v", c.protos, first)
		}
		if first.Get("X-Peer") != second.Get("X-Peer") {
			t.Errorf("%v: data made two connections", c.protos)
		}
		first, second = ask(fresh), ask(fresh)
		if first.Get("X-Peer") == second.Get("X-Peer") {
			t.Errorf("%v: fresh used a connection twice", c.protos)
		}
		data.CloseIdleConnections()
		srv.Close()
	}
	data, fresh, err := Target{URL: "https://bmc1", InFlight: 100_000}.Transports()
	if err != nil || data.MaxIdleConnsPerHost != maxIdle || !fresh.DisableKeepAlives || data.DisableKeepAlives {
		t.Errorf("got %+v, %v", data, err)
	}
	for _, bad := range []Target{{URL: "https://bmc1", Pin: "x"}, {URL: "https://bmc1", CAPEM: "x"}, {URL: ":"}} {
		if _, _, err := bad.Transports(); err == nil {
			t.Errorf("%+v: no error", bad)
		}
	}
}

func TestIPv6(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skipf("no IPv6 here: %v", err)
	}
	ca := newCA(t)
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.Listener.Close()
	srv.Listener = l
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{ca.issue(t, nil)}}
	srv.StartTLS()
	defer srv.Close()
	data, fresh := get(t, Target{URL: "https://" + l.Addr().String(), CAPEM: ca.pem})
	if data != nil || fresh != nil {
		t.Errorf("got %v, %v", data, fresh)
	}
}

func TestFetchCertificate(t *testing.T) {
	t.Parallel()
	cert := newCA(t).issue(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Hour) })
	d := newDevice(t, cert, nil)
	got, err := FetchCertificate(t.Context(), d.URL+"/")
	if err != nil || !bytes.Equal(got.Raw, cert.Leaf.Raw) {
		t.Errorf("got %v", err)
	}
	d.Close()
	if n := d.plain.Load(); n != 0 {
		t.Errorf("%d bytes reached the device", n)
	}
	if _, err := FetchCertificate(t.Context(), d.URL); err == nil || !strings.Contains(err.Error(), d.URL) {
		t.Errorf("nobody listens: got %v", err)
	}
	if _, err := FetchCertificate(t.Context(), "https://u:p@x"); err == nil || strings.Contains(err.Error(), "u:p") {
		t.Errorf("bad URL: got %v", err)
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		if c, err := silent.Accept(); err == nil {
			defer c.Close()
			c.Read(make([]byte, 1)) // the ClientHello is on its way
			cancel()
			io.Copy(io.Discard, c)
		}
	}()
	if _, err := FetchCertificate(ctx, "https://"+silent.Addr().String()); !errors.Is(err, context.Canceled) {
		t.Errorf("a server that says nothing: got %v", err)
	}
}
