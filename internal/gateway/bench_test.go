package gateway_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const (
	benchClients = 32
	benchRounds  = 5
	benchTurn    = 400 * time.Millisecond
)

// BenchmarkGateway compares, in one run and in turn, the gateway (session
// check, rules, lease, audit, header care, scrubbing) with a tuned
// httputil.ReverseProxy that checks nothing, in front of the same device. All
// ends speak TLS and keep connections; one process holds clients, proxies and
// device, and the client is as lean as can be.
//
//	req/s             of the gateway, median of the rounds
//	ratio             req/s of the gateway by those of the stock proxy
//	cpu-ratio         CPU of the gateway for a request by that of the stock proxy, after what
//	                  client and device alone take; below 1: the gateway takes less
func BenchmarkGateway(b *testing.B) {
	for _, size := range []int{1 << 10, 64 << 10} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) { benchSize(b, size) })
	}
}

func benchSize(b *testing.B, size int) {
	device := benchDevice(b, size)
	s := newStack(b, device, options{inFlight: benchClients})
	s.logs.mute.Store(true)
	direct := contender{name: "direct", server: device, header: "X-Auth-Token: " + benchToken}
	stock := contender{name: "stock", server: stockProxy(b, device), header: "X-Auth-Token: " + benchToken}
	token, _ := s.login()
	gate := contender{name: "gateway", server: s.front, header: "X-Auth-Token: " + token}
	all := []*contender{&direct, &stock, &gate}
	for _, c := range all {
		c.dial(b, size)
		c.turn(b, benchTurn/4) // warm
	}
	var ratio, cpu, rate []float64
	for b.Loop() {
		for range benchRounds {
			for _, c := range all {
				c.turn(b, benchTurn)
			}
			ratio = append(ratio, gate.rate/stock.rate)
			cpu = append(cpu, (gate.cpu-direct.cpu)/(stock.cpu-direct.cpu))
			rate = append(rate, gate.rate)
		}
	}
	b.ReportMetric(median(rate), "req/s")
	b.ReportMetric(median(ratio), "ratio")
	b.ReportMetric(median(cpu), "cpu-ratio")
	b.ReportMetric(0, "ns/op")
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

const benchToken = "0123456789abcdef0123456789abcdef"

// benchDevice is a Redfish service of few words.
func benchDevice(b *testing.B, size int) *httptest.Server {
	line := `{"@odata.id":"/redfish/v1/Systems/437XR1138R2","Name":"WebFrontEnd483","SerialNumber":"437XR1138R2","UUID":"38947555-7742-3448-3784-823347823834"},`
	body := []byte(strings.Repeat(line, size/len(line)+1)[:size])
	length := []string{strconv.Itoa(size)}
	const sessions = "/redfish/v1/SessionService/Sessions"
	d := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		switch {
		case r.URL.Path == "/redfish/v1/":
			fmt.Fprintf(w, `{"Links":{"Sessions":{"@odata.id":%q}}}`, sessions)
		case r.Method == http.MethodPost && r.URL.Path == sessions:
			h.Set("X-Auth-Token", benchToken)
			h.Set("Location", sessions+"/1")
			w.WriteHeader(http.StatusCreated)
		case r.Header.Get("X-Auth-Token") != benchToken:
			w.WriteHeader(http.StatusUnauthorized)
		default:
			h.Set("Content-Type", "application/json")
			h["OData-Version"] = []string{"4.0"}
			h["Content-Length"] = length
			w.Write(body)
		}
	}))
	return startQuiet(b, d)
}

func startQuiet(b *testing.B, s *httptest.Server) *httptest.Server {
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	s.StartTLS()
	b.Cleanup(s.Close)
	return s
}

// stockProxy is httputil.ReverseProxy, tuned as the gateway's transport is.
func stockProxy(b *testing.B, device *httptest.Server) *httptest.Server {
	u, err := url.Parse(device.URL)
	if err != nil {
		b.Fatal(err)
	}
	data, _, err := targetOf(device, options{inFlight: benchClients}).Transports()
	if err != nil {
		b.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:    func(r *httputil.ProxyRequest) { r.SetURL(u) },
		Transport:  data,
		BufferPool: new(bufferPool),
	}
	b.Cleanup(data.CloseIdleConnections)
	return startQuiet(b, httptest.NewUnstartedServer(proxy))
}

type bufferPool struct{ p sync.Pool }

func (b *bufferPool) Get() []byte {
	if v, ok := b.p.Get().(*[64 << 10]byte); ok {
		return v[:]
	}
	return make([]byte, 64<<10)
}

func (b *bufferPool) Put(v []byte) { b.p.Put((*[64 << 10]byte)(v)) }

// login is a session of admin: its token and the path of its resource.
func (s *stack) login() (token, location string) {
	s.t.Helper()
	body, err := json.Marshal(map[string]string{"UserName": "admin", "Password": callerPassword})
	if err != nil {
		s.t.Fatal(err)
	}
	r := s.request("POST", "/redfish/v1/SessionService/Sessions", bytes.NewReader(body))
	r.Header.Del("Authorization")
	r.Header.Set("Content-Type", "application/json")
	a, err := s.do(r)
	if err != nil || a.status != http.StatusCreated {
		s.t.Fatalf("login: %d %s, %v", a.status, a.body, err)
	}
	return a.header.Get("X-Auth-Token"), strings.TrimPrefix(a.header.Get("Location"), s.front.URL)
}

// A contender is one way to the body.
type contender struct {
	name   string
	server *httptest.Server
	header string
	size   int
	conns  []*leanConn

	rate float64 // requests per second in the last turn
	cpu  float64 // seconds for a request in the last turn
}

// leanConn asks for one thing again and again.
type leanConn struct {
	c       *tls.Conn
	r       *bufio.Reader
	request []byte
}

func (c *contender) dial(b *testing.B, size int) {
	cfg := c.server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	cfg.ServerName = "example.com"
	c.size = size
	addr := c.server.Listener.Addr().String()
	for range benchClients {
		conn, err := tls.Dial("tcp", addr, cfg)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { conn.Close() })
		c.conns = append(c.conns, &leanConn{c: conn, r: bufio.NewReaderSize(conn, 16<<10), request: fmt.Appendf(nil,
			"GET %s HTTP/1.1\r\nHost: %s\r\nAccept: application/json\r\nOData-Version: 4.0\r\nUser-Agent: bench\r\n%s\r\n\r\n", systems, addr, c.header)})
	}
}

// turn keeps every connection busy for a while.
func (c *contender) turn(b *testing.B, long time.Duration) {
	b.Helper()
	var count atomic.Int64
	var all sync.WaitGroup
	start, used := time.Now(), cpuTime()
	for _, conn := range c.conns {
		all.Go(func() {
			for time.Since(start) < long {
				if err := conn.ask(c.size); err != nil {
					b.Errorf("%s: %v", c.name, err)
					return
				}
				count.Add(1)
			}
		})
	}
	all.Wait()
	if b.Failed() {
		b.FailNow()
	}
	n := float64(count.Load())
	c.rate = n / time.Since(start).Seconds()
	c.cpu = (cpuTime() - used).Seconds() / n
}

func (l *leanConn) ask(size int) error {
	if _, err := l.c.Write(l.request); err != nil {
		return err
	}
	status, err := l.r.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(status, []byte("HTTP/1.1 200 ")) {
		return fmt.Errorf("answer %q", status)
	}
	for {
		line, err := l.r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) == 2 {
			break
		}
	}
	_, err = io.CopyN(io.Discard, l.r, int64(size))
	return err
}

// cpuTime is what the process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkDeviceLogins lets scripts come one after the other, each with a
// login, two reads and a logout of its own, and tells how many logins the
// device sees for one call of a client. Straight at the device that is 0.25.
func BenchmarkDeviceLogins(b *testing.B) {
	device := newBMC(b, func(http.ResponseWriter, *http.Request) {})
	s := newStack(b, device.Server, options{})
	s.logs.mute.Store(true)
	calls := 0
	for b.Loop() {
		token, location := s.login()
		for _, c := range [][2]string{{"GET", systems}, {"GET", systems}, {"DELETE", location}} {
			r := s.request(c[0], c[1], nil)
			r.Header.Del("Authorization")
			r.Header.Set("X-Auth-Token", token)
			if a, err := s.do(r); err != nil || a.status/100 != 2 {
				b.Fatalf("%s %s: got %d, %v", c[0], c[1], a.status, err)
			}
		}
		calls += 4
	}
	logins, _ := device.counts()
	b.ReportMetric(float64(logins), "device-logins")
	b.ReportMetric(float64(logins)/float64(calls), "device-logins/call")
}
