package demo

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/account"
	"github.com/postern/postern/internal/admin"
	"github.com/postern/postern/internal/serve"
	"github.com/postern/postern/internal/target"
)

const (
	targetName = "bmc"

	crowdUser auth.AccountName = "scripts" // the crowd's account at Postern
)

// A gate is Postern itself, in front of the BMC.
type gate struct {
	ready    serve.Ready
	roots    *x509.CertPool
	password auth.Secret // of crowdUser
	admin    *admin.Client
	stop     context.CancelFunc
	done     chan struct{} // closed when Postern has stopped
	err      error         // why, once done is closed
}

// startGate starts Postern on the data directory, with the BMC as its target
// and an account for the crowd, and returns once it answers.
func startGate(ctx context.Context, data, readyFile string, b *bmc, logger *slog.Logger) (*gate, error) {
	// The device's password is where a person would put it: in a file.
	passwordFile := filepath.Join(data, "bmc", "device.password")
	if err := os.WriteFile(passwordFile, []byte(b.password.Reveal()+"\n"), 0o600); err != nil {
		return nil, err
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	g := &gate{password: account.RandomPassword(), stop: stop, done: make(chan struct{})}
	ready := make(chan serve.Ready, 1)
	go func() {
		defer close(g.done)
		g.err = serve.Run(run, serve.Config{
			Data: data, ReadyFile: readyFile, Log: logger, Ready: func(r serve.Ready) { ready <- r },
			Targets: []target.Target{{
				Name: targetName, Family: "redfish", URL: b.url, CAPEM: string(b.caPEM), Account: bmcUser,
				Source: "file:" + passwordFile, Method: auth.MethodAuto,
			}},
		})
	}()
	select {
	case g.ready = <-ready:
	case <-g.done:
		stop()
		return nil, g.err
	}
	if err := g.furnish(run, data); err != nil {
		return nil, errors.Join(err, g.close())
	}
	return g, nil
}

// furnish gives the crowd its account, over the socket that commands use.
func (g *gate) furnish(ctx context.Context, data string) error {
	g.admin = admin.NewClient(func(ctx context.Context) (net.Conn, error) { return serve.DialSocket(ctx, data) })
	_, err := g.admin.CreateAccount(ctx, admin.NewAccount{Name: crowdUser, Role: auth.Operator, Password: g.password})
	if admin.CodeOf(err) == admin.Exists { // the data directory of an earlier run
		_, err = g.admin.ChangeAccount(ctx, crowdUser, admin.AccountChange{Password: &g.password})
	}
	if err != nil {
		return fmt.Errorf("the clients' account: %w", err)
	}
	_, g.roots, err = readCA(g.ready.CAFile)
	return err
}

// door is where the crowd finds it.
func (g *gate) door() door {
	return door{base: g.ready.Targets[targetName]["https"], roots: g.roots, user: crowdUser}
}

// kept is how many device sessions Postern answers for: it holds them, or will
// not forget to end them.
func (g *gate) kept(ctx context.Context) (int, error) {
	t, err := g.admin.Target(ctx, targetName)
	if err != nil || t.Lease == nil {
		return 0, err
	}
	return t.Lease.Open, nil
}

// close stops Postern, which logs out at the BMC.
func (g *gate) close() error {
	g.stop()
	<-g.done
	if g.admin != nil {
		g.admin.Close()
	}
	return g.err
}
