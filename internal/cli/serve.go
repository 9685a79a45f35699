package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern/postern/internal/config"
	"github.com/postern/postern/internal/serve"
	"github.com/postern/postern/internal/target"
)

type serveFlags struct {
	config    string
	listen    string
	metrics   string
	readyFile string
	target    deviceFlags
}

func (a *app) serveCommand() *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use: "serve", Short: "Serve the gateway, or alone an authentication server", Args: exactly(),
		Long: `Serve the gateway until SIGTERM or SIGINT: callers log in to Postern, and Postern
to the devices. Targets come from the configuration file, from "postern target
add", or, for a single device without a file, from --target.

Without any target it is an authentication server: a Redfish service with
Postern's own accounts, roles, sessions and certificates, and a simulated
machine behind them.

Each target has a port of its own on the loopback interface, unless the file, or
--listen, says otherwise. The first start makes a CA, and an administrator whose
password is in a file that is named then.

SIGHUP has the configuration file read again: targets, rules and certificates. Where
something is wrong with it everything stays as it is, and the log says why. Without
a file it stops the server, as when the terminal is closed.

SIGTERM or SIGINT lets requests end for at most 5 seconds and logs out at the devices, in 8
seconds in all; a second one ends the program at once.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := untilSignal(cmd.Context())
			defer stop()
			cfg, err := a.serveConfig(ctx, f)
			if err != nil {
				return err
			}
			if f.config == "" {
				ctx, stop = untilHangup(ctx)
				defer stop()
			} else {
				cfg.Hangup, stop = hangups()
				defer stop()
				cfg.Read = func() (serve.Config, error) { return a.serveConfig(ctx, f) }
			}
			return serveFault(runServer(ctx, cfg))
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.config, "config", "c", "", "configuration `FILE` (YAML)")
	flags.StringVar(&f.listen, "listen", "", "`ADDRESS` for the targets, HOST or HOST:PORT; without a port each gets its own")
	flags.StringVar(&f.metrics, "metrics", "", "`ADDRESS` of this machine alone for Prometheus and health checks, HOST or HOST:PORT")
	flags.StringVar(&f.readyFile, "ready-file", "", "`FILE` to write once everything answers")
	flags.StringVar(&f.target.url, "target", "", "`URL` of a single device, without a file")
	f.target.add(cmd)
	return cmd
}

// runServer is serve.Run, which waits for a command that holds the state; for
// another server it does not.
func runServer(ctx context.Context, cfg serve.Config) error {
	end := time.After(busyTime)
	for {
		err := serve.Run(ctx, cfg)
		if !serve.HeldByCommand(err) {
			return err
		}
		select {
		case <-time.After(busyPause):
		case <-end:
			return err
		case <-ctx.Done():
			return nil // told to stop before it began
		}
	}
}

func (a *app) serveConfig(ctx context.Context, f serveFlags) (serve.Config, error) {
	log, err := newLogger(a.stderr, a.logLevel, a.logFormat)
	if err != nil {
		return serve.Config{}, err
	}
	cfg := serve.Config{ReadyFile: f.readyFile, Log: log, Ready: a.readyServer, First: a.tellFirst}
	if cfg.Data, err = a.dataDir(); err != nil {
		return cfg, err
	}
	switch {
	case f.config != "" && f.target.url != "":
		return cfg, usage("describe the device in the file, or leave the file out", "--config and --target exclude each other")
	case f.config != "":
		err = fromFile(&cfg, f.config)
	case f.target.url != "":
		err = a.fromFlags(ctx, &cfg, f.target)
	default:
		cfg.Alone = true
		err = f.target.unused()
	}
	if err == nil && f.metrics != "" {
		if cfg.Metrics, err = config.MetricsAddress(f.metrics); err != nil {
			err = usage("an address of this machine alone, for instance 127.0.0.1:9477", "--metrics: %w", err)
		}
	}
	if err != nil || f.listen == "" {
		return cfg, err
	}
	host, port, err := config.SplitAddress(f.listen)
	if err != nil {
		return cfg, usage("HOST or HOST:PORT", "--listen: %w", err)
	}
	cfg.Listeners = append(withoutAll(cfg.Listeners), config.Listener{Host: host, Port: port, All: true})
	return cfg, nil
}

// withoutAll drops the file's listener for all targets, which a flag replaces.
// Its names stay.
func withoutAll(list []config.Listener) []config.Listener {
	var out []config.Listener
	for _, l := range list {
		if l.All {
			l.All = false
		}
		out = append(out, l)
	}
	return out
}

func fromFile(cfg *serve.Config, path string) error {
	file, err := config.Load(path, serve.Families())
	if err != nil {
		return err
	}
	cfg.Targets, cfg.Listeners, cfg.Rules = serve.FromConfig(file.Targets), file.Listeners, file.Rules
	cfg.Metrics = file.Metrics
	cfg.Alone = len(file.Targets)+len(file.Listeners) == 0
	return nil
}

// fromFlags describes the one device of --target.
func (a *app) fromFlags(ctx context.Context, cfg *serve.Config, d deviceFlags) error {
	name, err := targetName(d.url)
	if err != nil {
		return err
	}
	t, err := d.describe(name)
	if err != nil {
		return err
	}
	if d.cert.given() {
		a.warnExposed(d.cert)
		t.Certificate, t.Source, err = d.cert.references()
	} else {
		t.Source, err = d.secret.source()
	}
	if err != nil {
		return err
	}
	if t.CAPEM == "" && t.Pin == "" {
		t.Pin = serve.StoredPin(ctx, cfg.Data, t.Name, t.URL)
	}
	if t.CAPEM == "" && t.Pin == "" {
		if t.Pin, err = a.trust(ctx, t.URL); err != nil {
			return err
		}
	}
	cfg.Targets = []target.Target{t}
	return nil
}

// targetName derives the name of the device of --target from its host.
func targetName(device string) (string, error) {
	u, err := url.Parse(device)
	if err != nil || u.Hostname() == "" {
		return "", usage("for instance https://10.0.0.7", "--target %q is not a URL", device)
	}
	name := strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
			return r
		case 'A' <= r && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, u.Hostname()), "-")
	if name == "" {
		return "device", nil
	}
	return name[:min(len(name), 63)], nil
}

// source is where the server reads the password, each time anew.
func (s *secretFlags) source() (string, error) {
	switch {
	case s.file == "-":
		return "", usage("name a file, or an environment variable", "the server reads the password again for each login, so it cannot be standard input")
	case s.many():
		return "", errTwoSecrets
	case s.file != "":
		path, err := filepath.Abs(s.file)
		if err != nil {
			return "", err
		}
		info, err := os.Stat(path)
		if err != nil {
			return "", usage("", "--password-file: %w", err)
		}
		if !info.Mode().IsRegular() {
			return "", usage("name a regular file, or an environment variable", "the server reads the password again for each login, so %s cannot hold it", s.file)
		}
		return "file:" + path, nil
	case s.env != "":
		if os.Getenv(s.env) == "" {
			return "", usage("", "the environment variable %s is empty", s.env)
		}
		return "env:" + s.env, nil
	case s.command != "":
		return "command:" + s.command, nil
	}
	return "", usage("--password-file FILE, --password-env NAME or --password-command COMMAND", "the device account's password is missing")
}

// untilSignal returns a context that ends with the first SIGTERM or SIGINT. The
// second ends the process at once: what is not logged out stays owed.
func untilSignal(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(parent)
	c := make(chan os.Signal, 2)
	signal.Notify(c, syscall.SIGTERM, os.Interrupt)
	done := make(chan struct{})
	go func() {
		select {
		case <-c:
			cancel()
		case <-done:
			return
		}
		select {
		case <-c:
			os.Exit(exitFailed)
		case <-done:
		}
	}()
	return ctx, func() {
		signal.Stop(c)
		close(done)
		cancel()
	}
}

// hangups tells of each SIGHUP; those that come while one is looked after are one.
func hangups() (<-chan struct{}, func()) {
	in, out, done := make(chan os.Signal, 1), make(chan struct{}), make(chan struct{})
	signal.Notify(in, syscall.SIGHUP)
	go func() {
		for {
			select {
			case <-in:
			case <-done:
				return
			}
			select {
			case out <- struct{}{}:
			case <-done:
				return
			}
		}
	}()
	return out, func() {
		signal.Stop(in)
		close(done)
	}
}

// untilHangup returns a context that ends with a SIGHUP too, unless that was to be
// ignored from the start (nohup).
func untilHangup(parent context.Context) (context.Context, func()) {
	if signal.Ignored(syscall.SIGHUP) {
		return parent, func() {}
	}
	return signal.NotifyContext(parent, syscall.SIGHUP)
}

// serveFault gives the errors of a server their exit status and hint.
func serveFault(err error) error {
	switch {
	case errors.Is(err, serve.ErrInUse):
		return hinted(err, "one server for each data directory: stop the other, or choose another with --data")
	case errors.Is(err, serve.ErrConfig):
		return &failure{status: exitUsage, err: err}
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "listen" {
		return hinted(err, "choose another address with --listen or in the configuration file")
	}
	return err
}

// ready prints what a long-running command serves.
func (a *app) ready(r serve.Ready) {
	a.print(r, func(w io.Writer) {
		fmt.Fprintf(w, "the device is at %s\n", r.URLs["https"])
		sayLogin(w, r)
	})
}

// readyServer prints where a server is and what to try there.
func (a *app) readyServer(r serve.Ready) {
	a.print(r, func(w io.Writer) {
		var names []string
		for name := range r.Targets {
			names = append(names, name)
		}
		sort.Strings(names)
		tree := r.URLs["https"]
		for _, name := range names {
			at := r.Targets[name]["https"]
			fmt.Fprintf(w, "target %s is at %s\n", name, at)
			if at == tree {
				tree = ""
			}
		}
		if tree != "" {
			fmt.Fprintf(w, "Redfish is at %s\n", tree)
		} else if len(names) == 0 {
			fmt.Fprintln(w, "no targets yet: add one with postern target add")
		}
		if at := r.URLs["metrics"]; at != "" {
			fmt.Fprintf(w, "metrics are at %s/metrics\n", at)
		}
		sayLogin(w, r)
		if tree != "" {
			fmt.Fprintf(w, "try: curl --cacert %s --user %s %s/redfish/v1/Systems/1\n", quoted(r.CAFile), userOf(r), tree)
			fmt.Fprintln(w, "more accounts: postern account add NAME --role Operator; a device in front: postern target add")
		}
	})
}

func sayLogin(w io.Writer, r serve.Ready) {
	if r.PasswordFile != "" {
		fmt.Fprintf(w, "log in as %s; the password is in %s\n", r.User, r.PasswordFile)
	}
	fmt.Fprintf(w, "the CA of these addresses is %s\n", r.CAFile)
}

// userOf is curl's --user: with the password while its file is known, else curl
// asks for it.
func userOf(r serve.Ready) string {
	if r.PasswordFile == "" {
		return r.User
	}
	return fmt.Sprintf(`"%s:$(cat %s)"`, r.User, quoted(r.PasswordFile))
}

// quoted is a path as a shell takes it.
func quoted(path string) string {
	if strings.Trim(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:@%,=") == "" {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
