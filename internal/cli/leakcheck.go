package cli

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern/postern/internal/leakcheck"
)

func (a *app) leakcheckCommand() *cobra.Command {
	var limit time.Duration
	var quiet bool
	cmd := &cobra.Command{
		Use: "leakcheck -- CMD [ARG...]", Short: "See what a client does with sessions and passwords",
		Long: `Run a client three times against a simulated device that counts: as it should be;
with a wrong password; and with another device in the place of the right one, whose
certificate no CA of the client knows. Tell whether it leaves sessions behind, logs
in more than once, sends two credentials at once, tries a refused password again, or
gives its password to the wrong device. Exit status 1 where it does.

The client finds in its environment POSTERN_URL, POSTERN_HOST (host and port),
POSTERN_USER, POSTERN_PASSWORD and POSTERN_CA_FILE:

  postern leakcheck -- sh -c 'redfishtool -r $POSTERN_HOST -u $POSTERN_USER \
      -p $POSTERN_PASSWORD -S Always -A Session Systems list'`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage(seeHelp(cmd), "CMD is missing")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := untilSignal(cmd.Context())
			defer stop()
			cfg := leakcheck.Config{Command: args, Limit: limit, Output: a.stderr}
			if quiet {
				cfg.Output = nil
			}
			r, err := leakcheck.Check(ctx, cfg)
			if errors.Is(err, leakcheck.ErrNoClient) {
				return hinted(err, "run the client by hand with the same environment first; see postern leakcheck --help")
			}
			if err != nil {
				return err
			}
			if err := a.print(r, func(w io.Writer) { showLeakcheck(w, r) }); err != nil {
				return err
			}
			if n := len(r.Findings); n > 0 {
				return fmt.Errorf("%d of the rules are broken", n)
			}
			return nil
		},
	}
	cmd.Flags().DurationVar(&limit, "limit", leakcheck.DefaultLimit, "how long one run may take, `DURATION`")
	cmd.Flags().BoolVar(&quiet, "quiet", false, "leave out what the client writes")
	return cmd
}

func showLeakcheck(w io.Writer, r leakcheck.Report) {
	var rows [][]string
	for _, run := range r.Runs {
		row := []string{run.Name}
		for _, n := range []int{run.Exit, run.Calls, run.Logins, run.Left, run.Basic, run.Refused, run.Double} {
			row = append(row, strconv.Itoa(n))
		}
		rows = append(rows, row)
	}
	table(w, []string{"RUN", "EXIT", "CALLS", "LOGINS", "LEFT", "BASIC", "REFUSED", "DOUBLE"}, rows)
	for _, run := range r.Runs {
		if run.Error != "" {
			fmt.Fprintf(w, "%s: %s\n", run.Name, run.Error)
		}
	}
	for _, f := range r.Findings {
		fmt.Fprintf(w, "%s: %s\n", f.Rule, f.Text)
	}
	if len(r.Findings) == 0 {
		fmt.Fprintln(w, "nothing found")
	}
}
