package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/postern/postern/internal/serve"
)

func (a *app) execCommand() *cobra.Command {
	var f clientFlags
	cmd := &cobra.Command{
		Use: "exec T -- CMD [ARG...]", Short: "Run a program that needs a device, without its password",
		Long: `Run a program against a device by the kept login. The program finds in its
environment where to go, and who it is there, with a password that is drawn for this
run: POSTERN_URL, POSTERN_HOST (host and port), POSTERN_USER, POSTERN_PASSWORD and
POSTERN_CA_FILE. It may log in as it likes, as often as it likes; the device sees one
login.

  postern exec bmc1 -- sh -c 'curl --cacert $POSTERN_CA_FILE \
      -u $POSTERN_USER:$POSTERN_PASSWORD $POSTERN_URL/redfish/v1/Systems'

The exit status is the program's.
` + deviceHelp,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage(seeHelp(cmd), "T is missing")
			}
			if len(args) == 1 {
				return usage(seeHelp(cmd), "CMD is missing")
			}
			return nil
		},
		ValidArgsFunction: a.completeTargets,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withDevice(cmd.Context(), f, args[0], func(ctx context.Context, d *device) error {
				if _, err := d.Live(ctx, d.Target); err != nil {
					return err
				}
				return a.through(ctx, d, args[1:])
			})
		},
	}
	f.add(cmd)
	return cmd
}

// through runs a program with a private port to the device.
func (a *app) through(ctx context.Context, d *device, args []string) error {
	log, err := newLogger(a.stderr, "error", a.logFormat)
	if err != nil {
		return err
	}
	p, err := serve.OpenPrivate(d.described, func(r *http.Request) (*http.Response, error) {
		return d.Do(r.Context(), d.Target, r)
	}, log)
	if err != nil {
		return err
	}
	run := exec.CommandContext(ctx, args[0], args[1:]...)
	run.Env = append(os.Environ(), "POSTERN_URL="+p.URL, "POSTERN_HOST="+strings.TrimPrefix(p.URL, "https://"),
		"POSTERN_USER="+p.User, "POSTERN_PASSWORD="+p.Password.Reveal(), "POSTERN_CA_FILE="+p.CAFile)
	run.Stdin, run.Stdout, run.Stderr = a.stdin, a.stdout, a.stderr
	// The terminal signals the program too; others are handed on.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	if err := run.Start(); err != nil {
		return errors.Join(usage("", "%w", err), p.Close())
	}
	ended := make(chan struct{})
	go func() {
		for {
			select {
			case s := <-signals:
				if s == syscall.SIGTERM {
					run.Process.Signal(s)
				}
			case <-ended:
				return
			}
		}
	}()
	err = run.Wait()
	close(ended)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		err = &failure{status: exitOf(exit), err: fmt.Errorf("%s: %w", args[0], exit)}
	}
	return errors.Join(err, p.Close())
}

// exitOf is the program's exit status, for one that a signal ended that which a
// shell tells.
func exitOf(exit *exec.ExitError) int {
	if w, ok := exit.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return 128 + int(w.Signal())
	}
	return exit.ExitCode()
}
