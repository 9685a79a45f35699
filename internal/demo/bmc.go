package demo

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/account"
	"github.com/postern/postern/internal/serve"
	"github.com/postern/postern/internal/sim"
)

// What the simulated BMC is like: as the smaller ones in the field are.
const (
	bmcSlots   = 4
	bmcLockout = 3

	bmcUser auth.AccountName = "root"
)

// A bmc is a simulated device behind a listener of its own. Switching it off
// and on gives another device at the same address.
type bmc struct {
	url      string
	caPEM    []byte
	roots    *x509.CertPool
	password auth.Secret

	cfg      sim.Config
	dir      *serve.Dir
	srv      *http.Server
	done     chan error
	device   atomic.Pointer[sim.Device]
	inFlight atomic.Int64 // requests being answered
}

// startBMC switches one on; its certificate and its CA are kept in dir.
func startBMC(dir string, latency sim.Latency, logger *slog.Logger) (_ *bmc, err error) {
	b := &bmc{password: account.RandomPassword(), done: make(chan error, 1)}
	b.cfg = sim.Config{User: bmcUser, Password: b.password, Slots: bmcSlots, Lockout: bmcLockout, Latency: latency, Log: logger}
	if b.dir, err = serve.OpenDir(dir, "the simulated BMC of postern demo"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			b.dir.Close()
		}
	}()
	id, err := serve.OpenIdentity(b.dir, time.Now)
	if err != nil {
		return nil, err
	}
	if b.caPEM, b.roots, err = readCA(id.CAFile()); err != nil {
		return nil, err
	}
	if err := b.powerCycle(); err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b.url = "https://" + ln.Addr().String()
	b.serve(ln, id.TLSConfig(), logger)
	return b, nil
}

func readCA(path string) ([]byte, *x509.CertPool, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, nil, fmt.Errorf("%s holds no certificate", path)
	}
	return pem, pool, nil
}

func (b *bmc) serve(ln net.Listener, tlsConfig *tls.Config, logger *slog.Logger) {
	b.srv = &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b.inFlight.Add(1)
			defer b.inFlight.Add(-1)
			b.device.Load().Handler().ServeHTTP(w, r)
		}),
		TLSConfig:         tlsConfig,
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(quietLog{logger}, "", 0),
		Protocols:         new(http.Protocols),
	}
	b.srv.Protocols.SetHTTP1(true)
	go func() { b.done <- b.srv.ServeTLS(ln, "", "") }()
}

// A quietLog takes net/http's complaints about single connections.
type quietLog struct{ log *slog.Logger }

func (q quietLog) Write(p []byte) (int, error) {
	q.log.Debug("simulated BMC: connection", "error", string(p))
	return len(p), nil
}

// powerCycle makes a device without sessions, locks and history.
func (b *bmc) powerCycle() error {
	d, err := sim.New(b.cfg)
	if err == nil {
		b.device.Store(d)
	}
	return err
}

// settle waits until the device has finished what clients that are gone had
// asked of it, at most as long as its longest answer takes.
func (b *bmc) settle(ctx context.Context) {
	l := b.cfg.Latency
	ctx, cancel := context.WithTimeout(ctx, max(l.Root, l.Login, l.Logout, l.Other)+time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for b.inFlight.Load() > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// stop switches it off.
func (b *bmc) stop() error {
	err := b.srv.Close()
	if served := <-b.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return errors.Join(err, b.dir.Close())
}

// figures enters what the device has counted since it was switched on.
func (b *bmc) figures(r *Figures) {
	s := b.device.Load().Stats()
	r.Slots, r.Sessions = s.Slots, s.Sessions
	r.Logins, r.LoginsRefused = int(s.Logins), int(s.Refused)
	r.LockedAccounts = 0
	if s.Locked {
		r.LockedAccounts = 1 // it has one account
	}
}
