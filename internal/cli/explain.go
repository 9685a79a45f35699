package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/admin"
	"github.com/postern/postern/internal/config"
	"github.com/postern/postern/internal/serve"
)

func (a *app) explainCommand() *cobra.Command {
	var body, file string
	cmd := &cobra.Command{
		Use: "explain CALLER METHOD URL", Short: "Tell what would become of a call, and why", Args: exactly("CALLER", "METHOD", "URL"),
		Long: `Tell what would become of a call that the account CALLER makes: which rule decides,
at which target, and with which login at the device. Nothing is sent anywhere.

URL is that of the gateway or of the device, or NAME/PATH with the name of a
target: bmc1/redfish/v1/Systems/1. It is judged as it stands, query included.

Where a server runs it is asked, otherwise the state itself with the built-in
rules. --config takes the rules of a file in either case: try them before they
count. Exit status 1 where the call would not be allowed.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			q := admin.ExplainRequest{Caller: auth.AccountName(args[0]), Method: strings.ToUpper(args[1]), URL: args[2]}
			var err error
			if q.Body, err = a.requestBody(body); err != nil {
				return err
			}
			if file != "" {
				f, err := config.Load(file, serve.Families())
				if err != nil {
					return err
				}
				q.Rules = &f.Rules
			}
			return a.administer(cmd.Context(), func(ctx context.Context, api admin.API) error {
				e, err := api.Explain(ctx, q)
				if err != nil {
					return err
				}
				if err := a.print(e, func(w io.Writer) { explain(w, e) }); err != nil || e.Allowed {
					return err
				}
				if e.NeedsBody {
					return hinted(errors.New("the answer depends on the body"), "give it with -d JSON or -d @FILE")
				}
				return errors.New("the call would not be allowed")
			})
		},
		ValidArgsFunction: a.completeExplain,
	}
	cmd.Flags().StringVarP(&body, "body", "d", "", "`BODY` of the call, JSON; @FILE reads it from a file, @- from standard input")
	cmd.Flags().StringVarP(&file, "config", "c", "", "take the rules of this configuration `FILE`")
	return cmd
}

// explain writes an explanation for a person.
func explain(w io.Writer, e admin.Explanation) {
	fmt.Fprintln(w, printable(e.Summary))
	line := func(what, format string, args ...any) {
		fmt.Fprintf(w, "  %-8s %s\n", what, printable(fmt.Sprintf(format, args...)))
	}
	line("caller", "%s, role %s (%s)", e.Caller, e.Role, strings.Join(e.Privileges.Names(), ", "))
	for _, b := range e.Barriers {
		line("but", "%s", b)
	}
	if e.Path != "" {
		line("call", "%s %s%s", e.Method, e.Path, map[string]string{"read": ", changes nothing", "effect": ", may change something"}[e.Kind])
	}
	if e.Members != nil {
		line("members", "%s", cmp.Or(strings.Join(e.Members, ", "), "none"))
	}
	if r := e.Rule; r != nil {
		line("rule", "%s %d %q: %s", ruleFrom(*r), r.Place, r.Name, r.Says)
	} else if e.Kind == "read" || e.Kind == "effect" {
		line("rule", "default: what no rule allows is denied")
	}
	for _, r := range e.Near {
		line("near", "%s %q would, but for its %s: %s", ruleFrom(r), r.Name, r.Miss, r.Says)
	}
	line("target", "%s at %s", e.Target, e.Device)
	if e.Lease != nil {
		line("lease", "%s", leaseText(e))
	}
	for _, n := range e.Notes {
		line("note", "%s", n)
	}
}

// printable is visible for a text that has quotes of its own.
func printable(s string) string {
	if strings.ContainsFunc(s, func(c rune) bool { return !strconv.IsPrint(c) }) {
		return strconv.QuoteToGraphic(s)
	}
	return s
}

func ruleFrom(r admin.ExplainedRule) string {
	if r.Own {
		return "rule of the file"
	}
	return "built-in rule"
}

// leaseText says which login would carry a call.
func leaseText(e admin.Explanation) string {
	l := e.Lease
	switch {
	case !e.Live:
		return fmt.Sprintf("the one that all callers share, as %s at the device (%s)", l.Account, l.Auth)
	case l.Problem != "":
		return fmt.Sprintf("none now, as %s at the device: %s", l.Account, l.Problem)
	case !l.Held:
		return fmt.Sprintf("none is open: the call would log in as %s (%s); %d of %d sessions in use", l.Account, l.Auth, l.Open, l.Budget)
	}
	return fmt.Sprintf("the one that all callers share, as %s by %s; %d of %d sessions in use, %d calls in flight, %d waiting",
		l.Account, l.Method, l.Open, l.Budget, l.InFlight, l.Waiting)
}

// completeExplain offers the accounts for the first word, then methods.
func (a *app) completeExplain(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	switch len(args) {
	case 0:
		return a.completeAccounts(cmd, args, typed)
	case 1:
		return []string{"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE"}, cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}
