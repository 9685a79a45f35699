package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/postern/postern/internal/admin"
	"github.com/postern/postern/internal/backup"
	"github.com/postern/postern/internal/serve"
)

type backupResult struct {
	File    string    `json:"file"`
	Files   int       `json:"files"` // in it
	Bytes   int64     `json:"bytes"` // of it
	Audit   bool      `json:"audit"`
	Created time.Time `json:"created"`
}

func (a *app) backupCommand() *cobra.Command {
	var secret secretFlags
	var recipients string
	var without bool
	cmd := &cobra.Command{
		Use: "backup FILE", Short: "Write the whole state into one encrypted file", Args: exactly("FILE"),
		Long: `Write the state into one encrypted file: database, keys, certificates, and the audit
log. It is consistent while a server runs. FILE must not be there; - is standard
output. The configuration file, and the files that it names, are not in it.

It is an age file, for a passphrase or for the recipients of a file as age-keygen
prints them. Whoever can open it has every device password.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[0] == "-" && term.IsTerminal(int(os.Stdout.Fd())) {
				return usage("name a file", "a backup is not for a terminal")
			}
			if _, err := os.Lstat(args[0]); err == nil && args[0] != "-" {
				return usage("a backup never overwrites", "%s is there already", args[0])
			}
			lock, err := a.backupLock(cmd.Context(), recipients, secret)
			if err != nil {
				return err
			}
			data, err := a.dataDir()
			if err != nil {
				return err
			}
			if _, err := os.Stat(data); err != nil {
				return usage("name the data directory of a server with --data", "nothing to keep: %w", err)
			}
			return a.administer(cmd.Context(), func(ctx context.Context, api admin.API) error {
				return a.backup(ctx, api, data, args[0], lock, !without)
			})
		},
	}
	secret.add(cmd)
	cmd.Flags().StringVar(&recipients, "recipients-file", "", "`FILE` with age recipients, in place of a passphrase")
	cmd.Flags().BoolVar(&without, "without-audit", false, "leave the audit log out")
	return cmd
}

// backupLock is who the backup is for.
func (a *app) backupLock(ctx context.Context, file string, secret secretFlags) (backup.Lock, error) {
	if file == "" {
		passphrase, err := a.readSecret(ctx, secret, "passphrase of the backup", true)
		if err != nil {
			return backup.Lock{}, err
		}
		return backup.LockWith(passphrase)
	}
	if secret.given() {
		return backup.Lock{}, usage("one of them is enough", "--recipients-file and a passphrase exclude each other")
	}
	f, err := os.Open(file)
	if err != nil {
		return backup.Lock{}, usage("", "--recipients-file: %w", err)
	}
	defer f.Close()
	lock, err := backup.Recipients(f)
	if err != nil {
		return lock, usage("one age recipient a line, as age-keygen prints them: age1...", "--recipients-file %s: %w", file, err)
	}
	return lock, nil
}

func (a *app) backup(ctx context.Context, api admin.API, data, file string, lock backup.Lock, withAudit bool) error {
	snapshot, err := api.Snapshot(ctx)
	if err != nil {
		return err
	}
	defer os.Remove(snapshot.Path)
	r := backupResult{File: file, Audit: withAudit, Created: snapshot.Time.Truncate(time.Second)}
	write := func(w io.Writer) (err error) {
		counted := &countWriter{w: w}
		r.Files, err = serve.WriteBackup(counted, lock, data, snapshot, withAudit)
		r.Bytes = counted.n
		return err
	}
	if file == "-" {
		return write(a.stdout)
	}
	if err := writeNew(file, write); err != nil {
		return err
	}
	return a.print(r, func(w io.Writer) {
		fmt.Fprintf(w, "%s holds %d files, %s\n", file, r.Files, map[bool]string{true: "the audit log among them", false: "without the audit log"}[withAudit])
	})
}

type countWriter struct {
	w io.Writer
	n int64
}

func (c *countWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// writeNew makes a file for its owner alone, whole and on stable storage or not at
// all; one that is there stays.
func writeNew(path string, write func(io.Writer) error) error {
	// An empty file keeps the name, so that the rename replaces nobody else's.
	name, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return usage("a backup never overwrites", "%s is there already", path)
	} else if err != nil {
		return err
	}
	name.Close()
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // with mode 0600
	if err == nil {
		defer os.Remove(f.Name()) // fails once renamed
		err = errors.Join(write(f), f.Sync(), f.Close())
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

type restoreResult struct {
	Data    string    `json:"data"`
	Created time.Time `json:"created"` // the backup
	Audit   bool      `json:"audit"`
}

func (a *app) restoreCommand() *cobra.Command {
	var secret secretFlags
	var identities string
	cmd := &cobra.Command{
		Use: "restore FILE", Short: "Make a data directory of a backup", Args: exactly("FILE"),
		Long: `Make the data directory (--data) of a backup. It must be empty, or not there: nothing is
ever overwritten. FILE - is standard input, where the passphrase comes from a file,
the environment or a command.

What happened since the backup is not known, so callers must log in again, and each
device password is tried only after a lockout window, once, unless you run
"postern target check NAME", which spends the attempt knowingly.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			data, err := a.dataDir()
			if err != nil {
				return err
			}
			if args[0] == "-" && secret.file == "-" {
				return usage("name a file for one of them", "standard input cannot be both the backup and its passphrase")
			}
			key, err := a.backupKey(cmd.Context(), identities, secret)
			if err != nil {
				return err
			}
			log, err := newLogger(a.stderr, "warn", a.logFormat)
			if err != nil {
				return err
			}
			in := a.stdin
			if args[0] != "-" {
				if in, err = os.Open(args[0]); err != nil {
					return usage("", "%w", err)
				}
				defer in.Close()
			}
			m, err := serve.Restore(cmd.Context(), in, key, data, log)
			if err != nil {
				return restoreFault(err)
			}
			r := restoreResult{Data: data, Created: m.Created, Audit: m.Audit}
			return a.print(r, func(w io.Writer) {
				fmt.Fprintf(w, "%s is as it was at %s\n", data, m.Created.Local().Format(time.DateTime))
				fmt.Fprintln(w, "next: start the server, then postern target check NAME for each device that callers wait for")
			})
		},
	}
	secret.add(cmd)
	cmd.Flags().StringVar(&identities, "identity-file", "", "`FILE` with age identities, in place of a passphrase")
	return cmd
}

func (a *app) backupKey(ctx context.Context, file string, secret secretFlags) (backup.Key, error) {
	if file == "" {
		passphrase, err := a.readSecret(ctx, secret, "passphrase of the backup", false)
		if err != nil {
			return backup.Key{}, err
		}
		return backup.KeyWith(passphrase)
	}
	if secret.given() {
		return backup.Key{}, usage("one of them is enough", "--identity-file and a passphrase exclude each other")
	}
	f, err := os.Open(file)
	if err != nil {
		return backup.Key{}, usage("", "--identity-file: %w", err)
	}
	defer f.Close()
	key, err := backup.Identities(f)
	if err != nil {
		return key, usage("as age-keygen writes them: AGE-SECRET-KEY-1...", "--identity-file %s: %w", file, err)
	}
	return key, nil
}

func restoreFault(err error) error {
	switch {
	case errors.Is(err, serve.ErrNotEmpty):
		return usage("a restore never overwrites: name another directory with --data, or move this one away", "%w", err)
	case errors.Is(err, backup.ErrKey):
		return &failure{status: exitRefused, err: err}
	}
	return err
}
