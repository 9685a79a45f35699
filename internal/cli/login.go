package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/saved"
	"github.com/postern/postern/internal/serve"
)

const deviceHelp = `T is a target ("postern target list") or a URL. The login is kept for the next
command; "postern logout T" ends it.`

func (a *app) loginCommand() *cobra.Command {
	var f clientFlags
	cmd := &cobra.Command{
		Use: "login T", Short: "Log in to a device, once for all commands that follow", Args: exactly("T"),
		Long:              "Log in to a device where no login is kept yet, and print the URI of the session.\n" + deviceHelp,
		ValidArgsFunction: a.completeTargets,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.onDevice(cmd, f, args[0], func(ctx context.Context, d *device) error {
				l, fresh, err := d.Login(ctx, d.Target)
				if err != nil {
					return err
				}
				if !fresh {
					a.say("logged in already, since %s", l.Created.Local().Format(time.DateTime))
				}
				return a.print(shownLogin(l), func(w io.Writer) {
					if l.Method == auth.MethodBasic {
						fmt.Fprintln(w, "HTTP Basic: the device opens no session")
						return
					}
					fmt.Fprintln(w, l.URL+visible(l.Location))
				})
			})
		},
	}
	f.add(cmd)
	return cmd
}

// A loginRow is what is shown of a saved login.
type loginRow struct {
	URL     string           `json:"url"`
	User    auth.AccountName `json:"user"`
	Method  auth.Method      `json:"auth"`
	Session string           `json:"session,omitempty"` // its URI
	Since   time.Time        `json:"since"`
	State   string           `json:"state"` // kept, or ending
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

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "List the logins that are kept", Args: exactly(),
		Long: `List the logins at devices that are kept for the next command. One that is ending
was to be logged out, and the device did not answer as it should: the next login or
logout there tries again.`,
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
			list := []loginRow{}
			for _, l := range all {
				list = append(list, shownLogin(l))
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
	cmd := &cobra.Command{
		Use: "logout T", Short: "End the logins that are kept for a device", Args: exactly("T"),
		ValidArgsFunction: a.completeTargets,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.onDevice(cmd, f, args[0], func(ctx context.Context, d *device) error {
				n, err := d.Logout(ctx, d.Target)
				if err == nil && n == 0 {
					a.say("not logged in")
				}
				return err
			})
		},
	}
	f.add(cmd)
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
