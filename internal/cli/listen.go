package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern/postern/internal/client"
)

// errEnough ends a listening that has heard what it was to hear.
var errEnough = errors.New("enough")

func (a *app) listenCommand() *cobra.Command {
	var f clientFlags
	var after string
	var count int
	cmd := &cobra.Command{
		Use: "listen T", Short: "Follow the notifications of a device", Args: exactly("T"),
		Long: `Follow the notifications of a device until SIGTERM or SIGINT: a line for each, or with
-o json one object a line. A stream that breaks off is opened again, from where it
was where the device can do that, and a line says that something may be missing.
` + deviceHelp,
		ValidArgsFunction: a.completeTargets,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.onDevice(cmd, f, args[0], func(ctx context.Context, d *device) error {
				heard := 0
				err := d.Listen(ctx, d.Target, after, func(n client.Notification) error {
					if err := a.tellNotification(n); err != nil {
						return err
					}
					if !n.Gap {
						heard++
					}
					if count > 0 && heard >= count {
						return errEnough
					}
					return nil
				})
				if errors.Is(err, errEnough) {
					return nil
				}
				return err
			})
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&after, "after", "", "go on after the event with this `ID`, where the device still has it")
	cmd.Flags().IntVar(&count, "count", 0, "end after `N` notifications (default: never)")
	return cmd
}

// A notification is what is printed of one.
type notification struct {
	ID    string          `json:"id,omitempty"`
	Event json.RawMessage `json:"event,omitempty"`
	Gap   bool            `json:"gap,omitempty"`
	Since *time.Time      `json:"since,omitempty"` // of a gap
}

func (a *app) tellNotification(n client.Notification) error {
	if a.output == "json" {
		out := notification{ID: n.ID, Gap: n.Gap}
		if n.Gap {
			out.Since = &n.Lost
		} else if out.Event = n.Data; !json.Valid(n.Data) {
			out.Event, _ = json.Marshal(string(n.Data))
		}
		enc := json.NewEncoder(a.stdout)
		enc.SetEscapeHTML(false)
		return enc.Encode(out)
	}
	if n.Gap {
		a.say("the stream broke off at %s and is open again: events may be missing", n.Lost.Local().Format(time.DateTime))
		return nil
	}
	for _, line := range eventLines(n.Data) {
		if _, err := fmt.Fprintln(a.stdout, line); err != nil {
			return err
		}
	}
	return nil
}

// eventLines is a line for each record of an event, for a person; the data as it
// is where there are none.
func eventLines(data []byte) []string {
	var e struct {
		Events []struct {
			EventTimestamp, MessageID, Message, Severity, MessageSeverity string
			OriginOfCondition                                             struct {
				Path string `json:"@odata.id"`
			}
		}
	}
	if json.Unmarshal(data, &e) != nil || len(e.Events) == 0 {
		return []string{visible(string(data))}
	}
	var lines []string
	for _, r := range e.Events {
		severity := r.MessageSeverity
		if severity == "" {
			severity = r.Severity
		}
		var words []string
		for _, w := range []string{r.EventTimestamp, severity, r.MessageID, r.OriginOfCondition.Path, r.Message} {
			if w != "" {
				words = append(words, visible(w))
			}
		}
		lines = append(lines, strings.Join(words, "  "))
	}
	return lines
}
