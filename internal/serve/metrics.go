package serve

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/postern/postern/internal/config"
	"github.com/postern/postern/internal/lease"
	"github.com/postern/postern/internal/metrics"
)

// metricsPort is what the port of the metrics is remembered by; no target has the name.
const metricsPort = "listener:metrics"

// stateTime bounds how long a scrape waits for the store.
const stateTime = 5 * time.Second

// state is what the metrics tell of how things stand.
func (c *core) state() (metrics.State, error) {
	ctx, cancel := context.WithTimeout(context.Background(), stateTime)
	defer cancel()
	var s metrics.State
	if c.leases == nil || c.sessions == nil {
		return s, errors.New("not open yet")
	}
	status, err := c.leases.Status(ctx)
	if err != nil {
		return s, err
	}
	for _, t := range status {
		s.Targets = append(s.Targets, metrics.Target{
			Name: t.Target, Budget: t.Budget, InFlight: t.InFlight, Waiting: t.Waiting, Problem: t.Problem != "",
		})
	}
	rows, err := c.store.OpenLeases(ctx) // those of targets that were removed too
	if err != nil {
		return s, err
	}
	for _, r := range rows {
		s.Leases = append(s.Leases, metrics.Lease{
			Target: r.Target, State: string(r.State), Orphan: r.State == lease.Owed && len(r.TokenSealed) == 0,
		})
	}
	s.Sessions = c.sessions.Counts()
	return s, nil
}

// told is the listener for metrics and health: plain HTTP on the loopback
// interface, for whoever is on this machine. A nil one does nothing.
type told struct {
	url  string
	ln   net.Listener
	srv  *http.Server
	done chan struct{} // closed when Serve has returned; nil before start
}

func (s *server) openMetrics() (*told, error) {
	host, port, err := config.SplitAddress(s.cfg.Metrics)
	if err != nil {
		return nil, configError{fmt.Errorf("metrics: %w", err)}
	}
	ln, err := s.ports.listen(metricsPort, host, port)
	if err != nil {
		return nil, fmt.Errorf("listener of the metrics: %w", err)
	}
	bound := ln.Addr().(*net.TCPAddr)
	if !bound.IP.IsLoopback() {
		ln.Close()
		return nil, configError{fmt.Errorf("metrics at %s could be read from other machines", bound)}
	}
	return &told{
		ln: ln, url: "http://" + net.JoinHostPort(bound.IP.String(), strconv.Itoa(bound.Port)),
		srv: &http.Server{
			Handler: s.meter.Handler(s.canServe), ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: idleTimeout,
			WriteTimeout: time.Minute, MaxHeaderBytes: maxHeaderBytes, ErrorLog: log.New(errorLog{s.log}, "", 0),
		},
	}, nil
}

// canServe is nil while callers can be served. What a device, or a full disk,
// makes impossible is no matter of it: no other server would do better.
func (s *server) canServe() error {
	if !s.serving.Load() {
		return errors.New("starting or stopping")
	}
	ctx, cancel := context.WithTimeout(context.Background(), stateTime)
	defer cancel()
	if _, err := s.store.Rules(ctx); err != nil {
		return errors.New("the store does not answer")
	}
	return nil
}

func (t *told) start(failed func(error)) {
	if t == nil {
		return
	}
	t.done = make(chan struct{})
	go func() {
		defer close(t.done)
		if err := t.srv.Serve(t.ln); !errors.Is(err, http.ErrServerClosed) {
			failed(fmt.Errorf("listener of the metrics: %w", err))
		}
	}()
}

// close ends it at once; called again it does nothing.
func (t *told) close() {
	if t == nil {
		return
	}
	t.srv.Close()
	t.ln.Close()
	if t.done != nil {
		<-t.done
	}
}
