package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/admin"
	"github.com/postern/postern/internal/config"
	"github.com/postern/postern/internal/serve"
	"github.com/postern/postern/internal/target"
)

func (a *app) targetCommand() *cobra.Command {
	cmd := a.group("target", "Administer the devices behind Postern", "")
	cmd.AddCommand(a.targetAdd(), a.targetList(), a.targetRemove(), a.targetPin(), a.targetPasswd(), a.targetCheck())
	return cmd
}

// completeTargets offers the names of the targets there are, whether a server
// runs or not. With an error there is nothing to offer.
func (a *app) completeTargets(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var names []string
	dir, err := a.dataDir()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), time.Second)
	defer cancel()
	stored, err := serve.OpenStored(ctx, dir, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer stored.Close()
	list, _ := stored.Targets(ctx)
	for _, t := range list {
		names = append(names, t.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) targetAdd() *cobra.Command {
	var d deviceFlags
	var t admin.NewTarget
	var method, lockout string
	cmd := &cobra.Command{
		Use: "add NAME --url URL --user USER", Short: "Add a device", Args: exactly("NAME"),
		Long: `Add a device. Its password is read now and kept sealed; "postern target passwd"
changes it. With --cert-file a client certificate takes its place, and its key is
kept sealed. Without --ca-file and --pin the device's certificate must verify
against the system's roots, or is shown to be accepted.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if d.url == "" {
				return usage("for instance --url https://10.0.0.7", "--url is missing")
			}
			if t.Address != "" {
				if _, _, err := config.SplitAddress(t.Address); err != nil {
					return usage("HOST or HOST:PORT", "--listen: %w", err)
				}
			}
			var err error
			if t.LockoutThreshold, t.LockoutWindow, err = parseLockout(lockout); err != nil {
				return err
			}
			t.Name, t.Auth = args[0], auth.Method(method)
			if err := a.newTarget(cmd.Context(), d, &t); err != nil {
				return err
			}
			return a.administer(cmd.Context(), func(ctx context.Context, api admin.API) error {
				made, err := api.AddTarget(ctx, t)
				if err != nil {
					return err
				}
				return a.print(made, func(w io.Writer) {
					if made.Gateway == "" {
						fmt.Fprintf(w, "target %s will be served by the next postern serve\n", made.Name)
					} else {
						fmt.Fprintf(w, "target %s is at %s\n", made.Name, made.Gateway)
					}
				})
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&d.url, "url", "", "`URL` of the device, https://HOST or https://HOST:PORT")
	d.add(cmd)
	flags.StringVar(&method, "auth", "auto", "how to log in: auto, session, basic or certificate")
	flags.IntVar(&t.Budget, "budget", 0, "device sessions Postern may hold, `N` (default: the profile's value)")
	flags.IntVar(&t.InFlight, "in-flight", 0, "calls the device gets at once, `N` (default 8)")
	flags.BoolVar(&t.Exclusive, "exclusive", false, "nobody else uses this device account: Postern may end what it finds of it")
	flags.StringVar(&lockout, "lockout", "", "the device locks an account after N wrong passwords within DURATION: `N[,DURATION]`")
	flags.StringVar(&t.Address, "listen", "", "`ADDRESS` for callers, HOST or HOST:PORT (default 127.0.0.1 and a free port)")
	complete(cmd, "auth", "auto", "session", "basic", "certificate")
	return cmd
}

// newTarget completes t from the flags: checked, trusted, with its password.
func (a *app) newTarget(ctx context.Context, d deviceFlags, t *admin.NewTarget) error {
	base, err := d.describe(t.Name)
	if err != nil {
		return err
	}
	t.Family, t.Profile, t.URL, t.CAPEM, t.Pin, t.User = base.Family, base.Profile, base.URL, base.CAPEM, base.Pin, base.Account
	if t.CAPEM == "" && t.Pin == "" {
		if t.Pin, err = a.trust(ctx, t.URL); err != nil {
			return err
		}
	}
	if d.cert.given() {
		a.warnExposed(d.cert)
		cert, err := d.cert.read()
		t.Certificate, t.Password = cert.chain, cert.key
		return err
	}
	if t.Auth == auth.MethodCertificate {
		return usage("--cert-file FILE and --key-file FILE", "--auth certificate without a certificate")
	}
	t.Password, err = a.readSecret(ctx, d.secret, fmt.Sprintf("password of %s at %s", t.User, t.URL), false)
	return err
}

func (a *app) targetList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the devices, and how Postern stands with them", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.administer(cmd.Context(), func(ctx context.Context, api admin.API) error {
				list, err := api.Targets(ctx)
				if err != nil {
					return err
				}
				return a.print(list, func(w io.Writer) {
					var rows [][]string
					for _, t := range list {
						rows = append(rows, []string{t.Name, t.URL, t.Gateway, string(t.User), t.Trust, sessions(t.Lease), state(t.Lease)})
					}
					table(w, []string{"NAME", "DEVICE", "GATEWAY", "USER", "TRUST", "SESSIONS", "STATE"}, rows)
				})
			})
		},
	}
}

// sessions is how many device sessions count against the budget.
func sessions(l *admin.Lease) string {
	if l == nil {
		return ""
	}
	return strconv.Itoa(l.Open) + " of " + strconv.Itoa(l.Budget)
}

func state(l *admin.Lease) string {
	switch {
	case l == nil:
		return ""
	case l.Problem != "":
		return quoteWord(l.Problem)
	case l.Waiting > 0:
		return fmt.Sprintf("%d in flight, %d waiting", l.InFlight, l.Waiting)
	case l.Held:
		return "logged in"
	}
	return "idle"
}

func (a *app) targetRemove() *cobra.Command {
	return &cobra.Command{
		Use: "remove NAME", Short: "Remove a device; Postern logs out there", Args: exactly("NAME"), ValidArgsFunction: a.completeTargets,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.administer(cmd.Context(), func(ctx context.Context, api admin.API) error {
				return api.RemoveTarget(ctx, args[0])
			})
		},
	}
}

func (a *app) targetPasswd() *cobra.Command {
	var secret secretFlags
	cmd := &cobra.Command{
		Use: "passwd NAME", Short: "Change the password that Postern logs in to a device with", Args: exactly("NAME"),
		Long:              "Change the password that Postern has for a device. Nothing is changed at the device.",
		ValidArgsFunction: a.completeTargets,
		RunE: func(cmd *cobra.Command, args []string) error {
			password, err := a.readSecret(cmd.Context(), secret, "device password for "+args[0], false)
			if err != nil {
				return err
			}
			return a.administer(cmd.Context(), func(ctx context.Context, api admin.API) error {
				return api.SetTargetPassword(ctx, args[0], password)
			})
		},
	}
	secret.add(cmd)
	return cmd
}

type checkResult struct {
	Target string `json:"target"`
	OK     bool   `json:"ok"`
	Error  string `json:"error,omitempty"`
}

func (a *app) targetCheck() *cobra.Command {
	return &cobra.Command{
		Use: "check NAME", Short: "Log in to a device once, and tell the result", Args: exactly("NAME"), ValidArgsFunction: a.completeTargets,
		Long: `Log in to a device once with the stored password, and tell the result. The
attempt is made even where Postern has stopped trying so that the account is not
locked: a person spends it knowingly.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.administer(cmd.Context(), func(ctx context.Context, api admin.API) error {
				err := api.CheckTarget(ctx, args[0])
				if admin.CodeOf(err) == admin.NotFound {
					return err
				}
				r := checkResult{Target: args[0], OK: err == nil}
				if err != nil {
					r.Error = err.Error()
				}
				if perr := a.print(r, func(w io.Writer) {
					if err == nil {
						fmt.Fprintf(w, "ok: the device of target %s accepts the login\n", args[0])
					}
				}); perr != nil {
					return perr
				}
				return err
			})
		},
	}
}

type pinResult struct {
	Target string `json:"target"`
	certificate
	Trust    string `json:"trust"`      // before this command: pin, ca or system
	Stored   string `json:"stored_pin"` // before this command
	Accepted bool   `json:"accepted"`   // by the pin, now, or by the system's roots
}

func (a *app) targetPin() *cobra.Command {
	var accept bool
	cmd := &cobra.Command{
		Use: "pin NAME", Short: "Show a device's certificate and accept it", Args: exactly("NAME"), ValidArgsFunction: a.completeTargets,
		Long: `Show the certificate that a device presents now. With --accept, or a yes at the
terminal, exactly this certificate is trusted from then on; the device's calls go
on at once. Exit status 3 where it is not the one that is stored, and was not
accepted.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.administer(cmd.Context(), func(ctx context.Context, api admin.API) error {
				return a.pin(ctx, api, args[0], accept)
			})
		},
	}
	cmd.Flags().BoolVar(&accept, "accept", false, "store the pin without asking")
	return cmd
}

func (a *app) pin(ctx context.Context, api admin.API, name string, accept bool) error {
	t, err := api.Target(ctx, name)
	if err != nil {
		return err
	}
	look, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	c, err := target.FetchCertificate(look, t.URL)
	if err != nil {
		return err
	}
	r := pinResult{Target: name, certificate: describe(t.URL, c), Trust: t.Trust, Stored: t.Pin}
	if r.Accepted = r.Pin == r.Stored; t.Trust == "system" {
		r.Accepted = verify(look, t.URL) == nil
	}
	if a.output == "text" {
		r.show(a.stdout, "")
		a.tellStored(r)
	}
	if t.Trust == "ca" && !accept { // a CA decides, and only the server has it
		return a.print(r, func(io.Writer) {})
	}
	if !r.Accepted && !accept && term.IsTerminal(int(a.stdin.Fd())) {
		if accept, err = a.confirm("trust this certificate from now on, and no other?"); err != nil {
			return err
		}
	}
	if !r.Accepted && accept {
		if err := api.SetPin(ctx, name, r.Pin); err != nil {
			return err
		}
		r.Accepted = true
		a.say("target %s trusts this certificate from now on", name)
	}
	if err := a.print(r, func(io.Writer) {}); err != nil || r.Accepted {
		return err
	}
	return &failure{status: exitRefused, err: errors.New("the certificate is not accepted"),
		hint: "compare the pin with the device's own display, then run postern target pin " + name + " --accept"}
}

func (a *app) tellStored(r pinResult) {
	switch {
	case r.Trust == "ca":
		a.say("the certificate of target %s is judged by the CA that is stored for it, not by a pin", r.Target)
	case r.Stored == "" && r.Accepted:
		a.say("the certificate verifies against the system's roots; no pin is stored for target %s", r.Target)
	case r.Stored == "":
		a.say("no pin is stored for target %s", r.Target)
	case r.Accepted:
		a.say("this is the stored pin")
	default:
		a.say("warning: the certificate CHANGED; the stored pin is %s", r.Stored)
	}
}
