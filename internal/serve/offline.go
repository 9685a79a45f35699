package serve

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/admin"
	"github.com/postern/postern/internal/lease"
	"github.com/postern/postern/internal/target"
)

// An Offline is what a command does without a running server: the same
// administration on the same state, which it holds locked meanwhile.
type Offline struct {
	*admin.Service
	core *core
}

// OpenOffline opens the data directory for a command. The error is ErrInUse
// while a server, or another command, holds it.
func OpenOffline(ctx context.Context, path string, log *slog.Logger) (*Offline, error) {
	c, err := openCore(ctx, path, commandUse, time.Now, log)
	if err != nil {
		return nil, err
	}
	late := lateCertificates{sync.OnceValues(func() (*Certificates, error) {
		_, certs, err := c.openCertificates()
		return certs, err
	})}
	service, err := c.administration(late, noServer{c})
	if err != nil {
		c.close()
		return nil, err
	}
	return &Offline{Service: service, core: c}, nil
}

// As returns ctx with the user of this process as whoever administers.
func (o *Offline) As(ctx context.Context) context.Context {
	return auth.WithPrincipal(ctx, auth.Principal{Account: localName(os.Getuid()), Role: auth.Administrator})
}

// FirstPassword is the file with the first administrator's password, if this
// command made that account; else "".
func (o *Offline) FirstPassword() string {
	if !o.core.first {
		return ""
	}
	return o.core.firstPasswordFile()
}

// Close gives the data directory back.
func (o *Offline) Close() error { return o.core.close() }

// noServer stands where the server would.
type noServer struct{ *core }

// Apply checks that the target could be served.
func (n noServer) Apply(ctx context.Context, name string) error {
	t, err := n.targets.Get(ctx, name)
	if errors.Is(err, target.ErrNotFound) {
		return nil
	}
	if err == nil {
		_, _, err = connect(t, nil, n.now, n.log)
	}
	return err
}

// Gateway implements admin.Server: nothing is served.
func (noServer) Gateway(string) string { return "" }

// Leases implements admin.Server: nobody keeps them now.
func (noServer) Leases(context.Context) (map[string]admin.Lease, error) { return nil, nil }

// Check logs in through the same machinery as a server would, and ends what it
// opened, and what an earlier run left.
func (n noServer) Check(ctx context.Context, name string) error {
	list, err := n.targets.List(ctx)
	if err != nil {
		return err
	}
	var all []lease.Target
	for _, t := range list {
		_, dev, err := connect(t, credentialOf(n.targets, t.Name), n.now, n.log)
		if err != nil {
			return err
		}
		all = append(all, leaseTarget(t, n.targets, dev))
	}
	if err := n.leases.Load(ctx, all); err != nil {
		return err
	}
	checked := n.leases.Check(ctx, name)
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	if err := n.leases.Shutdown(stop); err != nil {
		n.log.Warn("not every device session could be ended; the next start goes on with it", slog.Any("error", err))
	}
	return checked
}
