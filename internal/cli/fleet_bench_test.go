package cli

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/client"
	"github.com/postern/postern/internal/saved"
	"github.com/postern/postern/internal/serve"
	"github.com/postern/postern/internal/sim"
	"github.com/postern/postern/internal/target"
)

// fleetSize is how many simulated devices a benchmark has in its process.
const fleetSize = 1000

// A benchFleet is simulated devices, each with a port and a certificate of its
// own.
type benchFleet struct {
	targets     []target.Target
	servers     []*http.Server
	connections atomic.Int64 // that were accepted
}

func startFleet(tb testing.TB, n int, latency sim.Latency) *benchFleet {
	tb.Helper()
	fl := &benchFleet{}
	for i := range n {
		d, err := sim.New(sim.Config{Name: fmt.Sprintf("bmc%d", i), User: "root", Password: auth.NewSecret("Xk7-labSecret.9"), Latency: latency})
		if err != nil {
			tb.Fatal(err)
		}
		cert := selfSigned(tb, i)
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			tb.Fatal(err)
		}
		s := &http.Server{
			Handler: d.Handler(), TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}}, ErrorLog: log.New(io.Discard, "", 0),
			ConnState: func(_ net.Conn, state http.ConnState) {
				if state == http.StateNew {
					fl.connections.Add(1)
				}
			},
		}
		go s.ServeTLS(ln, "", "") // ends with stop
		fl.servers = append(fl.servers, s)
		fl.targets = append(fl.targets, target.Target{
			Name: fmt.Sprintf("bmc%d", i), Family: "redfish", URL: "https://" + ln.Addr().String(), Account: "root", Method: auth.MethodAuto,
			CAPEM: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})),
		})
	}
	return fl
}

func (fl *benchFleet) stop() {
	for _, s := range fl.servers {
		s.Close()
	}
}

func selfSigned(tb testing.TB, n int) tls.Certificate {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(int64(n) + 1), Subject: pkix.Name{CommonName: fmt.Sprintf("bmc%d", n)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		tb.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// devices are the fleet as `postern each` finds it, with a book that holds no
// login.
func (fl *benchFleet) devices(tb testing.TB) []*device {
	tb.Helper()
	book, err := saved.Open(filepath.Join(tb.TempDir(), "client"))
	if err != nil {
		tb.Fatal(err)
	}
	keeper := client.New(book, nil)
	var all []*device
	for _, t := range fl.targets {
		d := &device{Client: keeper, described: t}
		credential := func(context.Context) (auth.Credential, error) {
			return auth.Credential{Account: t.Account, Password: auth.NewSecret("Xk7-labSecret.9")}, nil
		}
		if d.Target, err = serve.ClientTarget(t, credential, slog.New(slog.DiscardHandler)); err != nil {
			tb.Fatal(err)
		}
		all = append(all, d)
	}
	return all
}

// each runs `postern each` over devices and returns how long one took, all told.
func each(tb testing.TB, devices []*device, atOnce int, deed ...string) time.Duration {
	tb.Helper()
	a := &app{stdout: io.Discard, stderr: io.Discard}
	begin := time.Now()
	if err := a.eachOf(context.Background(), eachFlags{atOnce: atOnce, timeout: time.Minute}, devices, deed, nil); err != nil {
		tb.Fatal(err)
	}
	return time.Since(begin) / time.Duration(len(devices))
}

// BenchmarkFleetStart starts a thousand simulated devices in one process, each
// with a port and a certificate of its own.
//
//	KiB/device  of the heap and the stacks, once they stand
//	ms/device   to start one, its key and certificate included
func BenchmarkFleetStart(b *testing.B) {
	var before, after runtime.MemStats
	var took time.Duration
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		begin := time.Now()
		fl := startFleet(b, fleetSize, sim.Latency{})
		took = time.Since(begin)
		runtime.GC()
		runtime.ReadMemStats(&after)
		fl.stop()
	}
	used := after.HeapAlloc + after.StackInuse - min(before.HeapAlloc+before.StackInuse, after.HeapAlloc+after.StackInuse)
	b.ReportMetric(float64(used)/fleetSize/1024, "KiB/device")
	b.ReportMetric(took.Seconds()*1000/fleetSize, "ms/device")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkEach reads a resource of a thousand devices that nobody is logged in
// to, with a login, kept, at each. The devices share the processors with the
// command. Medians of five fifths of the fleet.
//
//	devices/s   64 at once
//	serial      how many times as long a loop takes that does one after the other
//	handshakes  the time of as many TLS handshakes and nothing else, by that of the command
//	warm        devices/s of a second read, by the logins that are kept
//
// slow is with devices that take 20 ms for each answer, which is fast for a BMC.
func BenchmarkEach(b *testing.B) {
	for name, latency := range map[string]time.Duration{"fast": 0, "slow": 20 * time.Millisecond} {
		b.Run(name, func(b *testing.B) {
			benchEach(b, sim.Latency{Root: latency, Login: latency, Logout: latency, Other: latency})
		})
	}
}

func benchEach(b *testing.B, latency sim.Latency) {
	fl := startFleet(b, fleetSize, latency)
	defer fl.stop()
	const (
		system = "/redfish/v1/Systems/1"
		parts  = 5 // in which the contenders take turns, so that all have the same machine
		sample = 10
	)
	var cold, warm, serial, handshakes []float64
	for b.Loop() {
		devices := fl.devices(b)
		for part := range slices.Chunk(devices, fleetSize/parts) {
			first := fl.connections.Load()
			many := each(b, part, defaultAtOnce, "get", system)
			made := fl.connections.Load() - first
			bare := fl.handshakes(b, int(made)) / time.Duration(len(part))
			again := each(b, part, defaultAtOnce, "get", system)
			each(b, part, defaultAtOnce, "logout")
			one := each(b, part[:sample], 1, "get", system) // the loop is slow, and each turn of it alike
			each(b, part, defaultAtOnce, "logout")
			cold, warm = append(cold, 1/many.Seconds()), append(warm, 1/again.Seconds())
			serial, handshakes = append(serial, one.Seconds()/many.Seconds()), append(handshakes, bare.Seconds()/many.Seconds())
		}
	}
	for _, m := range []struct {
		of   []float64
		unit string
	}{{cold, "devices/s"}, {warm, "warm"}, {serial, "serial"}, {handshakes, "handshakes"}} {
		slices.Sort(m.of)
		b.ReportMetric(m.of[len(m.of)/2], m.unit)
	}
	b.ReportMetric(0, "ns/op")
}

// handshakes makes n of them, over the whole fleet, as many at once as each does.
func (fl *benchFleet) handshakes(tb testing.TB, n int) time.Duration {
	tb.Helper()
	var configs []*tls.Config
	for _, t := range fl.targets {
		c, err := t.TLSConfig()
		if err != nil {
			tb.Fatal(err)
		}
		c.ServerName = "127.0.0.1"
		configs = append(configs, c)
	}
	var next atomic.Int64
	var all sync.WaitGroup
	begin := time.Now()
	for range defaultAtOnce {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				k := i % len(fl.targets)
				conn, err := tls.Dial("tcp", fl.targets[k].URL[len("https://"):], configs[k])
				if err != nil {
					tb.Error(err)
					return
				}
				conn.Close()
			}
		})
	}
	all.Wait()
	return time.Since(begin)
}
