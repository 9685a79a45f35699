package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/audit"
	"github.com/postern/postern/internal/seal"
	"github.com/postern/postern/internal/serve"
)

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
	var files []string
	cmd := &cobra.Command{
		Use: "verify", Short: "Find out whether the record was altered", Args: exactly(),
		Long: `Read the whole audit log and find the first record that was altered, added, moved or
taken away since it was written. What was cut off its end is found by checkpoints
that were kept elsewhere: see postern audit checkpoint. Exit status 1 where there
is one.`,
		RunE: func(*cobra.Command, []string) error {
			var heads []audit.Head
			for _, file := range files {
				more, err := a.readCheckpoint(file)
				if err != nil {
					return err
				}
				heads = append(heads, more...)
			}
			dir, key, err := a.auditKey()
			if err != nil {
				return err
			}
			report, err := audit.Verify(dir, key, heads...)
			if err != nil {
				return err
			}
			return a.verified(report, len(heads))
		},
	}
	cmd.Flags().StringArrayVar(&files, "checkpoint", nil, "`FILE` with a checkpoint that the log must hold; - is standard input; may be given again")
	return cmd
}

// auditKey is the folder of the log and its key, which must be there.
func (a *app) auditKey() (dir string, key auth.Secret, err error) {
	data, dir, err := a.auditDir()
	if err != nil {
		return "", auth.Secret{}, err
	}
	path := filepath.Join(data, serve.AuditKey)
	if _, err := os.Stat(path); err != nil {
		return "", auth.Secret{}, fmt.Errorf("the key of the audit log: %w", err) // KeyFile would make a new one
	}
	if key, err = seal.KeyFile(path); err != nil {
		return "", auth.Secret{}, fmt.Errorf("the key of the audit log: %w", err)
	}
	return dir, key, nil
}

func (a *app) readCheckpoint(name string) ([]audit.Head, error) {
	in := io.Reader(a.stdin)
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, usage("", "--checkpoint: %w", err)
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, audit.MaxCheckpoint+1))
	if err != nil {
		return nil, usage("", "--checkpoint: %w", err)
	}
	heads, err := audit.ParseCheckpoint(data)
	if err != nil {
		return nil, usage("postern audit checkpoint writes one", "--checkpoint %s: %w", name, err)
	}
	return heads, nil
}

type checkpoint struct {
	Time  time.Time    `json:"time"`
	Heads []audit.Head `json:"heads"`
}

func (a *app) auditCheckpoint() *cobra.Command {
	return &cobra.Command{
		Use: "checkpoint", Short: "Print the end of the record, to be kept elsewhere", Args: exactly(),
		Long: `Print the last record of the audit log: its file, number, place and code, one line for
each node. Keep it on another machine. "postern audit verify --checkpoint FILE" then
finds whether anything up to there was altered, or cut off, by whoever has this one.`,
		RunE: func(*cobra.Command, []string) error {
			dir, key, err := a.auditKey()
			if err != nil {
				return err
			}
			heads, err := audit.Heads(dir, key)
			if err != nil {
				return err
			}
			if len(heads) == 0 {
				return errors.New("the audit log is empty")
			}
			c := checkpoint{Time: time.Now().UTC().Truncate(time.Second), Heads: heads}
			return a.print(c, func(w io.Writer) {
				fmt.Fprintf(w, "# audit checkpoint, %s\n", c.Time.Format(time.RFC3339))
				for _, h := range heads {
					fmt.Fprintln(w, h)
				}
			})
		},
	}
}

func (a *app) verified(r audit.Report, checkpoints int) error {
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
			if checkpoints > 0 {
				fmt.Fprintf(w, "ok: the log holds all %d heads of the checkpoints\n", checkpoints)
			}
		} else {
			fmt.Fprintf(w, "bad: %s\n", r.Bad)
		}
	})
	if err == nil && r.Bad != nil {
		err = errors.New("the audit log is not as it was written")
	}
	return err
}
