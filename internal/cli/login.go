package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/keyring"
	"github.com/postern/postern/internal/saved"
	"github.com/postern/postern/internal/serve"
)

const deviceHelp = `T is a target ("postern target list") or a URL. The login is kept for the next
command; "postern logout T" ends it.`

func (a *app) loginCommand() *cobra.Command {
	var f clientFlags
	var keep bool
	cmd := &cobra.Command{
		Use: "login T", Short: "Log in to a device, once for all commands that follow", Args: exactly("T"),
		Long: "Log in to a device where no login is kept yet, and print the URI of the session.\n" +
			"With --keyring the password, once the device has taken it, is left in the desktop's\n" +
			"keyring, where every command finds it for this device and account.\n" + deviceHelp,
		ValidArgsFunction: a.completeTargets,
		RunE: func(cmd *cobra.Command, args []string) error {
			f.anew = keep
			return a.onDevice(cmd, f, args[0], func(ctx context.Context, d *device) error {
				l, fresh, err := a.login(ctx, d, keep)
				if err != nil {
					return err
				}
				if !fresh {
					a.say("logged in already, since %s", l.Created.Local().Format(time.DateTime))
				}
				return a.print(shownLogin(l), func(w io.Writer) {
					switch l.Method {
					case auth.MethodBasic:
						fmt.Fprintln(w, "HTTP Basic: the device opens no session")
						return
					case auth.MethodCertificate:
						fmt.Fprintln(w, "client certificate: the device opens no session")
						return
					}
					fmt.Fprintln(w, l.URL+visible(l.Location))
				})
			})
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&keep, "keyring", false, "keep the password in the desktop's keyring")
	return cmd
}

// login logs in, and keeps the password where that is wanted. A login that is
// there already does not show that the password is right, so a new one is made.
func (a *app) login(ctx context.Context, d *device, keep bool) (saved.Login, bool, error) {
	if keep && d.described.Certificate != "" {
		return saved.Login{}, false, usage("", "--keyring keeps passwords, and this login has none")
	}
	if !keep {
		return d.Login(ctx, d.Target)
	}
	if _, err := keyring.Get(d.URL, d.Account); errors.Is(err, keyring.ErrNone) {
		return saved.Login{}, false, hinted(err, "the password can come from --password-file, --password-env or --password-command")
	}
	var taken auth.Secret
	ask := d.Credential
	d.Credential = func(ctx context.Context) (auth.Credential, error) {
		c, err := ask(ctx)
		taken = c.Password
		return c, err
	}
	if _, err := d.Logout(ctx, d.Target); err != nil {
		return saved.Login{}, false, err
	}
	l, fresh, err := d.Login(ctx, d.Target)
	if err != nil {
		return l, fresh, err
	}
	if taken.IsZero() {
		return l, fresh, errors.New("another command logged in meanwhile: the password was not needed, and is not kept")
	}
	return l, fresh, keyring.Set(d.URL, d.Account, taken)
}

// A loginRow is what is shown of a saved login.
type loginRow struct {
	URL     string           `json:"url"`
	User    auth.AccountName `json:"user"`
	Method  auth.Method      `json:"auth"`
	Session string           `json:"session,omitempty"` // its URI
	Since   time.Time        `json:"since"`
	State   string           `json:"state"` // kept, ending, in doubt, failed or refused
}

func shownLogin(l saved.Login) loginRow {
	r := loginRow{URL: l.URL, User: l.Account, Method: l.Method, Since: l.Created, State: "kept"}
	if l.Location != "" {
		r.Session = l.URL + l.Location
	}
	if !l.Ending.IsZero() {
		r.State = "ending"
	}
	return r
}

// shownAttempt is what is shown of a login that gave none.
func shownAttempt(t saved.Attempt) loginRow {
	r := loginRow{URL: t.URL, User: t.Account, Since: t.Started, State: "failed"}
	switch {
	case t.Doubtful():
		r.State = "in doubt"
	case t.Outcome == auth.Refused:
		r.State = "refused"
	}
	return r
}

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "List the logins that are kept", Args: exactly(),
		Long: `List the logins at devices that are kept for the next command. One that is ending
was to be logged out, and the device did not answer as it should: the next login or
logout there tries again. One that is in doubt was cut off before the device's answer
came: the next login there looks for its session and ends it. Where a password was
refused it is not sent again; a logout forgets that.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := a.dataDir()
			if err != nil {
				return err
			}
			book, err := saved.Open(serve.ClientBook(dir))
			if err != nil {
				return err
			}
			all, err := book.Logins("")
			if err != nil {
				return err
			}
			attempts, err := book.Attempts("")
			if err != nil {
				return err
			}
			list := []loginRow{}
			for _, l := range all {
				list = append(list, shownLogin(l))
			}
			for _, t := range attempts {
				list = append(list, shownAttempt(t))
			}
			return a.print(list, func(w io.Writer) {
				var rows [][]string
				for _, r := range list {
					rows = append(rows, []string{r.URL, string(r.User), string(r.Method), visible(r.Session), r.Since.Local().Format(time.DateTime), r.State})
				}
				table(w, []string{"DEVICE", "USER", "AUTH", "SESSION", "SINCE", "STATE"}, rows)
			})
		},
	}
}

func (a *app) logoutCommand() *cobra.Command {
	var f clientFlags
	var forget bool
	cmd := &cobra.Command{
		Use: "logout T", Short: "End the logins that are kept for a device", Args: exactly("T"),
		Long: `End the logins that are kept for a device, and forget that it refused a password.
With --keyring the password is removed from the desktop's keyring too.`,
		ValidArgsFunction: a.completeTargets,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.onDevice(cmd, f, args[0], func(ctx context.Context, d *device) error {
				n, err := d.Logout(ctx, d.Target)
				if err == nil && n == 0 {
					a.say("not logged in")
				}
				if !forget {
					return err
				}
				if gone := keyring.Delete(d.URL, d.Account); !errors.Is(gone, keyring.ErrNotFound) {
					err = errors.Join(err, gone)
				}
				return err
			})
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&forget, "keyring", false, "remove the password from the desktop's keyring")
	return cmd
}

// A tokenResult is everything needed to go on by hand.
type tokenResult struct {
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`
	Session string            `json:"session,omitempty"` // its URI; to end it, DELETE it
	User    auth.AccountName  `json:"user"`
	// Idle is after how many seconds without a call the device ends the session;
	// left out where the device does not tell.
	Idle int64 `json:"idle_seconds,omitempty"`
}

func (a *app) tokenCommand() *cobra.Command {
	var f clientFlags
	cmd := &cobra.Command{
		Use: "token T", Short: "Print the header lines that other tools need", Args: exactly("T"),
		Long: `Print the header lines of the kept login, which is made where there is none, for
another tool: curl -H "$(postern token bmc1)" ... They are as secret as a password.
` + deviceHelp,
		ValidArgsFunction: a.completeTargets,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.onDevice(cmd, f, args[0], func(ctx context.Context, d *device) error {
				l, err := d.Live(ctx, d.Target)
				if err != nil {
					return err
				}
				if l.Method == auth.MethodCertificate {
					return hinted(errors.New("the client certificate is the credential, and there is no header for it"),
						"give the certificate and its key to the other tool: curl has --cert and --key")
				}
				r := tokenResult{URL: l.URL, Headers: d.Headers(d.Target, l), User: l.Account}
				if l.Location != "" {
					r.Session = l.URL + l.Location
					if idle, err := d.Device.Idle(ctx, l.Login); err == nil { // to know more is not needed
						r.Idle = int64(idle / time.Second)
					}
				}
				return a.print(r, func(w io.Writer) {
					for name, value := range r.Headers {
						fmt.Fprintf(w, "%s: %s\n", name, value)
					}
				})
			})
		},
	}
	f.add(cmd)
	return cmd
}
