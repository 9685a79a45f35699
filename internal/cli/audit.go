package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern/postern/internal/audit"
	"github.com/postern/postern/internal/serve"
)

func (a *app) auditCommand() *cobra.Command {
	cmd := a.group("audit", "Read and verify the record of what was done", "")
	cmd.AddCommand(a.auditShow(), a.auditExport(), a.auditVerify(), a.auditCheckpoint())
	return cmd
}

// auditDir is the folder with the records; it must be there.
func (a *app) auditDir() (data, dir string, err error) {
	data, err = a.dataDir()
	if err != nil {
		return "", "", err
	}
	dir = filepath.Join(data, serve.AuditDir)
	_, err = os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return "", "", usage("name the data directory of a server with --data", "%s has no audit records", data)
	}
	return data, dir, err
}

// auditFlags say which records are wanted.
type auditFlags struct {
	filter       audit.Filter
	since, until string
}

func (f *auditFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.filter.Event, "event", "", "only events that begin with `TEXT`: attempt, session, lease, call, admin")
	flags.StringVar(&f.filter.Target, "target", "", "only records about the target `NAME`")
	flags.StringVar(&f.filter.Caller, "caller", "", "only records about the caller `NAME`")
	flags.StringVar(&f.since, "since", "", "only records since `TIME` (2006-01-02T15:04:05Z) or for the last DURATION (2h)")
	flags.StringVar(&f.until, "until", "", "only records before `TIME`, or older than DURATION")
	flags.IntVar(&f.filter.Last, "last", 0, "only the last `N` records (0: all)")
}

func (f *auditFlags) parse(now time.Time) (audit.Filter, error) {
	var err error
	if f.filter.Since, err = parseTime("since", f.since, now); err != nil {
		return f.filter, err
	}
	if f.filter.Until, err = parseTime("until", f.until, now); err != nil {
		return f.filter, err
	}
	if f.filter.Last < 0 {
		return f.filter, usage("", "--last is negative")
	}
	return f.filter, nil
}

func (a *app) auditShow() *cobra.Command {
	return a.auditRead("show", "Print records, oldest first",
		"Print the records of the audit log, oldest first; with --output json one object a line.\n"+
			"Reading verifies nothing: see postern audit verify.", false)
}

func (a *app) auditExport() *cobra.Command {
	return a.auditRead("export", "Write records as JSON lines, for other programs",
		"Write records of the audit log as JSON, one object a line, oldest first, whatever\n"+
			"--output says. Reading verifies nothing: see postern audit verify.", true)
}

func (a *app) auditRead(use, short, long string, asJSON bool) *cobra.Command {
	var f auditFlags
	cmd := &cobra.Command{
		Use: use, Short: short, Args: exactly(), Long: long,
		RunE: func(*cobra.Command, []string) error {
			filter, err := f.parse(time.Now())
			if err != nil {
				return err
			}
			_, dir, err := a.auditDir()
			if err != nil {
				return err
			}
			return a.showRecords(dir, filter, asJSON || a.output == "json")
		},
	}
	f.add(cmd)
	return cmd
}

// parseTime reads a time or a duration before now.
func parseTime(flag, s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateTime, time.DateOnly} {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usage("for instance 2h, 2026-11-25 or 2026-11-25T10:00:00Z", "--%s %q is neither a time nor a duration", flag, s)
}

func (a *app) showRecords(dir string, f audit.Filter, asJSON bool) error {
	bad := 0
	enc := json.NewEncoder(a.stdout)
	enc.SetEscapeHTML(false)
	for r, err := range audit.Read(dir, f) {
		switch {
		case err != nil:
			bad++
			a.say("%v", err)
			continue
		case asJSON:
			err = enc.Encode(r)
		default:
			_, err = fmt.Fprintln(a.stdout, recordLine(r))
		}
		if err != nil {
			return err
		}
	}
	if bad > 0 {
		return hinted(fmt.Errorf("%d records could not be read", bad), "postern audit verify tells whether the log was altered")
	}
	return nil
}

// recordLine is a record for a person.
func recordLine(r audit.Record) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", r.Time.Local().Format("2006-01-02T15:04:05.000Z07:00"), r.Event)
	status := ""
	if r.Status != 0 {
		status = strconv.Itoa(r.Status)
	}
	for _, p := range [][2]string{
		{"target", r.Target}, {"caller", r.Caller}, {"account", r.Account}, {"source", r.Source}, {"listener", r.Listener},
		{"method", r.Method}, {"path", r.Path}, {"status", status}, {"outcome", r.Outcome}, {"detail", r.Detail},
		{"request", r.RequestID}, {"ref", r.Ref},
	} {
		if p[1] != "" {
			fmt.Fprintf(&b, " %s=%s", p[0], quoteWord(p[1]))
		}
	}
	return b.String()
}

// quoteWord quotes what would not be read as one word, or could steer a terminal.
func quoteWord(s string) string {
	if q := strconv.QuoteToGraphic(s); strings.ContainsAny(s, " =") || q != `"`+s+`"` {
		return q
	}
	return s
}

// visible quotes what could steer a terminal.
func visible(s string) string {
	if q := strconv.QuoteToGraphic(s); q[1:len(q)-1] != s {
		return q
	}
	return s
}
