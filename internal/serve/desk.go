package serve

import (
	"context"
	"errors"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/admin"
	"github.com/postern/postern/internal/lease"
	"github.com/postern/postern/internal/target"
)

// deskHeaderTimeout cuts off whoever opens the socket and says nothing.
const deskHeaderTimeout = 10 * time.Second

type peerKey struct{}

// newDesk is the HTTP server on the administration socket.
func newDesk(api admin.API, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler: admin.Handler(api, func(ctx context.Context) auth.AccountName {
			who, _ := ctx.Value(peerKey{}).(auth.AccountName)
			return who
		}, logger),
		ReadHeaderTimeout: deskHeaderTimeout,
		ErrorLog:          log.New(errorLog{logger}, "", 0),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, peerKey{}, peerName(c))
		},
	}
}

// localName is how the audit names a user of this machine. It can be no
// account's name, because of the colon.
func localName(uid int) auth.AccountName { return auth.AccountName("uid:" + strconv.Itoa(uid)) }

// Apply implements admin.Server. Where a target of the same name is still being
// left, it waits for that.
func (s *server) Apply(ctx context.Context, name string) error {
	s.mu.Lock()
	for s.leaving[name] != nil {
		left := s.leaving[name]
		s.mu.Unlock()
		select {
		case <-left:
		case <-ctx.Done():
			return ctx.Err()
		}
		s.mu.Lock()
	}
	defer s.mu.Unlock()
	if s.stopping {
		return errors.New("the server is stopping")
	}
	t, err := s.targets.Get(ctx, name)
	if errors.Is(err, target.ErrNotFound) {
		return s.leave(name)
	}
	if err != nil {
		return err
	}
	return s.take(ctx, t)
}

// take serves a target that is new, or was changed. mu is held.
func (s *server) take(ctx context.Context, t target.Target) error {
	if s.faces[t.Name] != nil {
		return s.exchange(t)
	}
	w, err := s.wire(t)
	if err != nil {
		return err
	}
	at, err := placeOf(t, s.cfg.Listeners)
	if err != nil {
		return err
	}
	if at.port != 0 && t.Address == "" {
		at = place{host: loopback} // the listener for all has one port, and a target behind it
	}
	if err := s.configure(ctx, admin.TargetListener(t.Name), listenerOf(t, s.cfg.Listeners)); err != nil {
		return err
	}
	if err := s.openFace(t.Name, at, w); err != nil {
		return err
	}
	s.leases.Set(w.lease)
	s.faces[t.Name].start(s.fail)
	return nil
}

// leave closes the listener of a target that is gone at once; requests under way
// may end, then Postern logs out. mu is held.
func (s *server) leave(name string) error {
	f := s.faces[name]
	if f == nil {
		return nil
	}
	transport := s.transports[name]
	delete(s.faces, name)
	delete(s.transports, name)
	f.unlisten()
	left := make(chan struct{})
	s.leaving[name] = left
	s.left.Go(func() {
		drain, cancel := context.WithTimeout(context.Background(), drainTime)
		defer cancel()
		f.shutdown(drain)
		s.leases.Remove(name)
		if s.meter != nil {
			s.meter.Forget(name, admin.TargetListener(name))
		}
		transport.CloseIdleConnections()
		s.mu.Lock()
		delete(s.leaving, name)
		s.mu.Unlock()
		close(left)
	})
	return s.ports.forget(name)
}

// Gateway implements admin.Server.
func (s *server) Gateway(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gateway(name)
}

// gateway is Gateway with mu held.
func (s *server) gateway(name string) string {
	if f := s.faces[name]; f != nil {
		return f.url
	}
	return ""
}

// Leases implements admin.Server.
func (s *server) Leases(ctx context.Context) (map[string]admin.Lease, error) {
	return leaseStates(ctx, s.leases)
}

func leaseStates(ctx context.Context, m *lease.Manager) (map[string]admin.Lease, error) {
	list, err := m.Status(ctx)
	if err != nil {
		return nil, err
	}
	out := map[string]admin.Lease{}
	for _, l := range list {
		out[l.Target] = admin.Lease{
			Held: l.Held, Method: l.Method, Open: l.Open, Owed: l.Owed, Budget: l.Budget, InFlight: l.InFlight,
			Waiting: l.Waiting, Logins: l.Logins, Problem: l.Problem,
		}
	}
	return out, nil
}

// Check implements admin.Server.
func (s *server) Check(ctx context.Context, name string) error { return s.leases.Check(ctx, name) }
