package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern/postern/auth"
)

// A sessionRow is what is shown of a session at a device.
type sessionRow struct {
	ID      string           `json:"id"`
	URI     string           `json:"uri"`
	User    auth.AccountName `json:"user"`
	From    string           `json:"from,omitempty"`
	Context string           `json:"context,omitempty"`
	Created *time.Time       `json:"created,omitempty"` // by the device's clock
	Ours    bool             `json:"ours"`              // the login is kept here
}

func (a *app) sessionsCommand() *cobra.Command {
	var f clientFlags
	var end []string
	cmd := &cobra.Command{
		Use: "sessions T", Short: "List who holds the sessions of a device, or end one", Args: exactly("T"),
		Long: `List who holds the sessions of a device; OURS says that the login is kept here. To
look takes a session itself where none is kept, unless --auth basic is given, as it
must be where the device is full. --end ends one by its id, anybody's.
` + deviceHelp,
		ValidArgsFunction: a.completeTargets,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.onDevice(cmd, f, args[0], func(ctx context.Context, d *device) error {
				for _, id := range end {
					if err := d.End(ctx, d.Target, id); errors.Is(err, auth.ErrNoSession) {
						return fmt.Errorf("the device lists no session %q", id)
					} else if err != nil {
						return err
					}
					a.say("session %s is ended", visible(id))
				}
				if len(end) > 0 {
					return nil
				}
				return a.listSessions(ctx, d)
			})
		},
	}
	f.add(cmd)
	cmd.Flags().StringArrayVar(&end, "end", nil, "end the session with this `ID`; may be repeated")
	return cmd
}

func (a *app) listSessions(ctx context.Context, d *device) error {
	all, err := d.Sessions(ctx, d.Target)
	if err != nil {
		return err
	}
	list := []sessionRow{}
	for _, s := range all {
		r := sessionRow{ID: s.ID, URI: d.URL + s.Location, User: s.Account, From: s.Source, Context: s.Context, Ours: s.Ours}
		if !s.Created.IsZero() {
			r.Created = &s.Created
		}
		list = append(list, r)
	}
	return a.print(list, func(w io.Writer) {
		var rows [][]string
		for _, r := range list {
			age, ours := "", ""
			if r.Created != nil {
				age = time.Since(*r.Created).Round(time.Second).String()
			}
			if r.Ours {
				ours = "yes"
			}
			rows = append(rows, []string{visible(r.ID), visible(string(r.User)), visible(r.From), age, ours})
		}
		table(w, []string{"ID", "USER", "FROM", "AGE", "OURS"}, rows)
	})
}
