package serve

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/postern/postern/internal/admin"
	"github.com/postern/postern/internal/audit"
	"github.com/postern/postern/internal/backup"
	"github.com/postern/postern/internal/store"
)

// snapshotName is what a snapshot of the database is called in the data directory
// while a backup takes it.
const snapshotName = "snapshot-*.db"

// The limits of what a backup may bring back, in bytes.
const (
	maxSmall   = 1 << 20   // keys, certificates, ports
	maxSegment = 1 << 30   // a segment ends at 64 MiB, unless the next cannot be made
	maxStore   = 256 << 30 // 100,000 targets take 100 MiB
)

var (
	certificateName = regexp.MustCompile(`^certificates/[A-Za-z0-9_.-]+\.(pem|csr)$`)
	segmentName     = regexp.MustCompile(`^audit/[A-Za-z0-9_.-]+\.jsonl$`)
	// smallFiles are kept where they are there. Not among them: the lock, the
	// socket, and what is made anew.
	smallFiles = []string{sealKey, AuditKey, "ca.pem", "ca.key", "server.pem", "ports.json", firstPassword}
)

// inBackup says whether a name may be in a backup, and its limit in bytes.
func inBackup(name string) (limit int64, ok bool) {
	switch {
	case name == storeFile:
		return maxStore, true
	case segmentName.MatchString(name):
		return maxSegment, true
	case certificateName.MatchString(name):
		return maxSmall, true
	}
	for _, small := range smallFiles {
		if name == small {
			return maxSmall, true
		}
	}
	return 0, false
}

// Snapshot implements admin.Server.
func (c *core) Snapshot(ctx context.Context) (admin.Snapshot, error) {
	file := c.dir.Path("snapshot-" + rand.Text() + ".db")
	if err := c.store.Snapshot(ctx, file); err != nil {
		return admin.Snapshot{}, err
	}
	return admin.Snapshot{Path: file, Node: c.store.Node(), Epoch: c.store.Epoch(), Time: c.now().UTC()}, nil
}

// forgetSnapshots removes what backups that were killed have left.
func (c *core) forgetSnapshots() {
	old, _ := fs.Glob(os.DirFS(c.dir.Path("")), snapshotName) // the pattern is good
	for _, name := range old {
		if err := os.Remove(c.dir.Path(name)); err != nil {
			c.log.Warn("a snapshot that an earlier backup left could not be removed", slog.Any("error", err))
		}
	}
}

// WriteBackup writes the state of the data directory data, with a snapshot of its
// database, to w. The audit's segments come last, after the snapshot was made, so
// that every change in that has its record. It returns how many files went in.
func WriteBackup(w io.Writer, l backup.Lock, data string, s admin.Snapshot, withAudit bool) (int, error) {
	files := []backup.File{{Name: storeFile, Path: s.Path}}
	keep := func(pattern string) error {
		found, err := fs.Glob(os.DirFS(data), pattern)
		for _, name := range found {
			files = append(files, backup.File{Name: name, Path: filepath.Join(data, filepath.FromSlash(name))})
		}
		return err
	}
	patterns := append(append([]string(nil), smallFiles...), certificatesDir+"/*.pem", certificatesDir+"/*.csr")
	if withAudit {
		patterns = append(patterns, AuditDir+"/*.jsonl")
	}
	for _, pattern := range patterns {
		if err := keep(pattern); err != nil {
			return 0, err
		}
	}
	m := backup.Manifest{Created: s.Time, Node: s.Node, Epoch: s.Epoch, Audit: withAudit}
	return len(files), backup.Write(w, l, m, files)
}

// ErrNotEmpty: a restore never overwrites.
var ErrNotEmpty = errors.New("there is something already")

// Restore makes the data directory data of a backup. It must be empty, or not
// there. After an error nothing is there.
func Restore(ctx context.Context, r io.Reader, k backup.Key, data string, log *slog.Logger) (backup.Manifest, error) {
	data, err := filepath.Abs(data)
	if err != nil {
		return backup.Manifest{}, err
	}
	if err := mustBeEmpty(data); err != nil {
		return backup.Manifest{}, err
	}
	if err := os.MkdirAll(filepath.Dir(data), 0o700); err != nil {
		return backup.Manifest{}, err
	}
	dir, err := os.MkdirTemp(filepath.Dir(data), ".postern-restore-*") // with mode 0700
	if err != nil {
		return backup.Manifest{}, fmt.Errorf("the data directory appears whole or not at all, so it is made beside its place: %w", err)
	}
	defer os.RemoveAll(dir) // fails once renamed
	m, err := backup.Read(r, k, dir, inBackup)
	if err != nil {
		return m, err
	}
	if err := revive(ctx, dir, m, log); err != nil {
		return m, err
	}
	if err := os.Remove(data); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return m, fmt.Errorf("%s: %w", data, ErrNotEmpty)
	}
	if err := os.Rename(dir, data); err != nil {
		return m, err
	}
	return m, syncDir(filepath.Dir(data))
}

func mustBeEmpty(dir string) error {
	found, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case len(found) > 0:
		return fmt.Errorf("%s: %w", dir, ErrNotEmpty)
	}
	return nil
}

// revive makes a state of unpacked files: what happened since they were kept is in
// doubt, and that is on record.
func revive(ctx context.Context, dir string, m backup.Manifest, log *slog.Logger) error {
	for _, needed := range []string{storeFile, sealKey, AuditKey} {
		if _, err := os.Stat(filepath.Join(dir, needed)); err != nil {
			return fmt.Errorf("%w: %s is not in it", backup.ErrBroken, needed)
		}
	}
	now := time.Now()
	st, err := store.Open(ctx, filepath.Join(dir, storeFile), store.Options{Node: m.Node, Now: now})
	if err != nil {
		return err
	}
	if err := errors.Join(st.Restored(ctx, now), st.Close()); err != nil {
		return err
	}
	c, err := openCore(ctx, dir, commandUse, time.Now, log)
	if err != nil {
		return err
	}
	detail := fmt.Sprintf("from a backup of %s, epoch %d", m.Created.UTC().Format(time.RFC3339), m.Epoch)
	rec := audit.Record{Event: "admin.restore", Caller: string(localName(os.Getuid())), Detail: detail}
	return errors.Join(c.audit.Append(ctx, rec), c.close())
}
