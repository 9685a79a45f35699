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

// Apply implements admin.Server.
func (s *server) Apply(ctx context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.targets.Get(ctx, name)
	if errors.Is(err, target.ErrNotFound) {
		s.dropTarget(name)
		return nil
	}
	if err != nil {
		return err
	}
	w, err := s.wire(t)
	if err != nil {
		return err
	}
	if f := s.faces[name]; f != nil {
		f.set(w.handler)
	} else {
		at, err := placeOf(t, s.cfg.Listeners)
		if err != nil {
			return err
		}
		if at.port != 0 && t.Address == "" {
			at = place{host: loopback} // the listener for all has one port, and a target behind it
		}
		if err := s.openFace(name, at, w); err != nil {
			return err
		}
		s.faces[name].start(s.fail)
	}
	s.leases.Set(w.lease)
	return nil
}

// dropTarget closes the listener of a target that is gone; its lease ends
// behind the caller's back.
func (s *server) dropTarget(name string) {
	f := s.faces[name]
	delete(s.faces, name)
	if err := s.ports.forget(name); err != nil {
		s.log.Warn("ports", slog.Any("error", err))
	}
	go func() {
		if f != nil {
			ctx, cancel := context.WithTimeout(context.Background(), drainTime)
			defer cancel()
			f.shutdown(ctx)
		}
		s.leases.Remove(name)
	}()
}

// Gateway implements admin.Server.
func (s *server) Gateway(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
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
			Held: l.Held, Open: l.Open, Owed: l.Owed, Budget: l.Budget, InFlight: l.InFlight,
			Waiting: l.Waiting, Logins: l.Logins, Problem: l.Problem,
		}
	}
	return out, nil
}

// Check implements admin.Server.
func (s *server) Check(ctx context.Context, name string) error { return s.leases.Check(ctx, name) }
