package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern/postern/internal/admin"
)

// accountRules shows the rules for passwords, and changes those that a flag names.
func (a *app) accountRules() *cobra.Command {
	var set admin.LoginRules
	cmd := &cobra.Command{
		Use: "rules", Short: "Show the rules for passwords and lockout, or change them", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.administer(cmd.Context(), func(ctx context.Context, api admin.API) error {
				r, err := api.LoginRules(ctx)
				if err != nil {
					return err
				}
				if change := changed(cmd, map[string]func(){
					"min-password":     func() { r.MinPassword = set.MinPassword },
					"max-password":     func() { r.MaxPassword = set.MaxPassword },
					"history":          func() { r.History = set.History },
					"lockout":          func() { r.Threshold = set.Threshold },
					"lockout-duration": func() { r.Duration = set.Duration },
					"lockout-reset":    func() { r.ResetAfter = set.ResetAfter },
				}); change {
					if r, err = api.SetLoginRules(ctx, r); err != nil {
						return err
					}
				}
				return a.print(r, func(w io.Writer) { showRules(w, r) })
			})
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&set.MinPassword, "min-password", 0, "a password has at least `N` characters")
	flags.IntVar(&set.MaxPassword, "max-password", 0, "a password has at most `N` characters")
	flags.IntVar(&set.History, "history", 0, "the last `N` passwords of an account may not come back")
	flags.IntVar(&set.Threshold, "lockout", 0, "`N` different wrong passwords lock an account; 0: never")
	flags.DurationVar(&set.Duration, "lockout-duration", 0, "for how long; 0: until somebody unlocks it")
	flags.DurationVar(&set.ResetAfter, "lockout-reset", 0, "after how long without a wrong password the count begins anew")
	return cmd
}

// changed calls what belongs to each flag that was given, and reports whether
// there was one.
func changed(cmd *cobra.Command, flags map[string]func()) bool {
	any := false
	for name, set := range flags {
		if cmd.Flags().Changed(name) {
			set()
			any = true
		}
	}
	return any
}

func showRules(w io.Writer, r admin.LoginRules) {
	fmt.Fprintf(w, "password: %d to %d characters", r.MinPassword, r.MaxPassword)
	if r.History > 0 {
		fmt.Fprintf(w, ", none of the last %d", r.History)
	}
	fmt.Fprintln(w)
	if r.Threshold == 0 {
		fmt.Fprintln(w, "lockout: none")
		return
	}
	end := "until it is unlocked"
	if r.Duration > 0 {
		end = "for " + duration(r.Duration)
	}
	fmt.Fprintf(w, "lockout: after %d wrong passwords, each within %s of the last, %s\n", r.Threshold, duration(r.ResetAfter), end)
}

// duration writes d without the zeros that Go's own form ends with.
func duration(d time.Duration) string {
	switch {
	case d == 0:
		return "0s"
	case d%time.Hour == 0:
		return strconv.FormatInt(int64(d/time.Hour), 10) + "h"
	case d%time.Minute == 0:
		return strconv.FormatInt(int64(d/time.Minute), 10) + "m"
	}
	return d.String()
}
