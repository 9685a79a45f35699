package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern/postern/internal/audit"
	"github.com/postern/postern/internal/seal"
	"github.com/postern/postern/internal/serve"
)

func (a *app) auditCommand() *cobra.Command {
	cmd := a.group("audit", "Read and verify the record of what was done", "")
	cmd.AddCommand(a.auditShow(), a.auditVerify())
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

func (a *app) auditShow() *cobra.Command {
	var f audit.Filter
	var since string
	cmd := &cobra.Command{
		Use: "show", Short: "Print records, oldest first", Args: exactly(),
		Long: "Print the records of the audit log, oldest first; with --output json one object a line.\n" +
			"Reading verifies nothing: see postern audit verify.",
		RunE: func(*cobra.Command, []string) error {
			var err error
			if f.Since, err = parseSince(since, time.Now()); err != nil {
				return err
			}
			if f.Last < 0 {
				return usage("", "--last is negative")
			}
			_, dir, err := a.auditDir()
			if err != nil {
				return err
			}
			return a.showRecords(dir, f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.Event, "event", "", "only events that begin with `TEXT`: attempt, session, lease, call, admin")
	flags.StringVar(&f.Target, "target", "", "only records about the target `NAME`")
	flags.StringVar(&f.Caller, "caller", "", "only records about the caller `NAME`")
	flags.StringVar(&since, "since", "", "only records since `TIME` (2006-01-02T15:04:05Z) or for the last DURATION (2h)")
	flags.IntVar(&f.Last, "last", 0, "only the last `N` records (0: all)")
	return cmd
}

// parseSince reads a time or a duration before now.
func parseSince(s string, now time.Time) (time.Time, error) {
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
	return time.Time{}, usage("for instance 2h, 2026-11-25 or 2026-11-25T10:00:00Z", "--since %q is neither a time nor a duration", s)
}

func (a *app) showRecords(dir string, f audit.Filter) error {
	bad := 0
	enc := json.NewEncoder(a.stdout)
	enc.SetEscapeHTML(false)
	for r, err := range audit.Read(dir, f) {
		switch {
		case err != nil:
			bad++
			a.say("%v", err)
			continue
		case a.output == "json":
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

type verifyResult struct {
	OK      bool          `json:"ok"`
	Records int           `json:"records"`
	Files   int           `json:"files"`
	Epochs  int           `json:"epochs"`
	Crashes []verifyPlace `json:"crashes,omitempty"`
	Bad     *verifyPlace  `json:"bad,omitempty"`
	Heads   []audit.Head  `json:"heads,omitempty"`
}

type verifyPlace struct {
	File string `json:"file"`
	Line int    `json:"line,omitempty"` // 0: the file as a whole
	Seq  int64  `json:"seq,omitempty"`
	Why  string `json:"why"`
}

func (a *app) auditVerify() *cobra.Command {
	return &cobra.Command{
		Use: "verify", Short: "Find out whether the record was altered", Args: exactly(),
		Long: "Read the whole audit log and find the first record that was altered, added, moved or\n" +
			"taken away since it was written. Exit status 1 where there is one.",
		RunE: func(*cobra.Command, []string) error {
			data, dir, err := a.auditDir()
			if err != nil {
				return err
			}
			path := filepath.Join(data, serve.AuditKey)
			if _, err := os.Stat(path); err != nil {
				return fmt.Errorf("the key of the audit log: %w", err) // KeyFile would make a new one
			}
			key, err := seal.KeyFile(path)
			if err != nil {
				return fmt.Errorf("the key of the audit log: %w", err)
			}
			report, err := audit.Verify(dir, key)
			if err != nil {
				return err
			}
			return a.verified(report)
		},
	}
}

func (a *app) verified(r audit.Report) error {
	v := verifyResult{OK: r.Bad == nil, Records: r.Records, Files: r.Files, Epochs: r.Epochs, Heads: r.Heads}
	for _, c := range r.Crashes {
		v.Crashes = append(v.Crashes, verifyPlace{File: c.File, Line: c.Line, Why: c.Why})
	}
	if r.Bad != nil {
		v.Bad = &verifyPlace{File: r.Bad.File, Line: r.Bad.Line, Seq: r.Bad.Seq, Why: r.Bad.Why}
	}
	err := a.print(v, func(w io.Writer) {
		for _, c := range r.Crashes {
			fmt.Fprintf(w, "crash: %s:%d: %s\n", c.File, c.Line, c.Why)
		}
		if r.Bad == nil {
			fmt.Fprintf(w, "ok: %d records in %d files, %d starts\n", r.Records, r.Files, r.Epochs)
		} else {
			fmt.Fprintf(w, "bad: %s\n", r.Bad)
		}
	})
	if err == nil && r.Bad != nil {
		err = errors.New("the audit log is not as it was written")
	}
	return err
}
