package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern/postern/internal/admin"
	"github.com/postern/postern/internal/serve"
)

const (
	// busyTime is how long a command waits for another that holds the state, or
	// for a server that starts or stops.
	busyTime  = 10 * time.Second
	busyPause = 50 * time.Millisecond
)

// dataDir is the folder that --data names, or the default.
func (a *app) dataDir() (string, error) {
	if a.data != "" {
		return a.data, nil
	}
	dir, err := serve.DefaultDir()
	if err != nil {
		return "", usage("name a folder with --data", "%w", err)
	}
	return dir, nil
}

// administer calls f with the running server's administration, or without one
// with the state itself.
func (a *app) administer(ctx context.Context, f func(context.Context, admin.API) error) error {
	dir, err := a.dataDir()
	if err != nil {
		return err
	}
	log, err := newLogger(a.stderr, "warn", a.logFormat)
	if err != nil {
		return err
	}
	wait, cancel := context.WithTimeout(ctx, busyTime)
	defer cancel()
	for {
		if api, done, err := dial(wait, dir); err == nil {
			defer done()
			return f(ctx, api)
		} else if !serve.NoServer(err) {
			return fmt.Errorf("reach the server: %w", err)
		}
		off, err := serve.OpenOffline(ctx, dir, log)
		if err == nil {
			a.tellFirst(off.FirstPassword())
			return errors.Join(f(off.As(ctx), off), off.Close())
		}
		if !errors.Is(err, serve.ErrInUse) {
			return err
		}
		select {
		case <-time.After(busyPause):
		case <-wait.Done():
			return err
		}
	}
}

// dial connects once, so that a missing server is found out here.
func dial(ctx context.Context, dir string) (api admin.API, done func(), err error) {
	conn, err := serve.DialSocket(ctx, dir)
	if err != nil {
		return nil, nil, err
	}
	conn.Close()
	c := admin.NewClient(func(ctx context.Context) (net.Conn, error) { return serve.DialSocket(ctx, dir) })
	return c, c.Close, nil
}

// tellFirst says where the first administrator's password is, at the start that
// made it.
func (a *app) tellFirst(file string) {
	if file != "" {
		a.say("made the first administrator, admin; the password is in %s", file)
	}
}

// offer asks a running server for what the shell may complete; without one, or
// with an error, there is nothing to offer.
func (a *app) offer(cmd *cobra.Command, f func(context.Context, admin.API)) {
	dir, err := a.dataDir()
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), time.Second)
	defer cancel()
	if api, done, err := dial(ctx, dir); err == nil {
		f(ctx, api)
		done()
	}
}
