// Package backup writes the files of a data directory into one encrypted file and
// reads them back. It knows no names: whoever calls says which files there are.
//
// A backup is an age file (age-encryption.org/v1) around a gzipped tar archive
// whose first member is manifest.json. So it can be opened without Postern, by
// whoever has the key: age --decrypt FILE | tar xz.
package backup

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"filippo.io/age"
)

// Format is the version of the archive's layout that is written.
const Format = 1

const (
	manifestName = "manifest.json"
	maxManifest  = 64 << 10 // bytes
	// maxMembers bounds the files of a backup: one for each segment of the audit,
	// of which a start makes one.
	maxMembers = 1_000_000
)

// A Manifest says what a backup is of.
type Manifest struct {
	Format  int       `json:"format"`
	Created time.Time `json:"created"`
	Node    string    `json:"node"`
	Epoch   int64     `json:"epoch"` // that made it
	Audit   bool      `json:"audit"` // the audit log is in it
}

// A File is one to be kept. Path is where it is, Name what it is called inside.
type File struct{ Name, Path string }

// Write writes a backup of files to w, readable by whoever l is for. A file that
// grows meanwhile is kept as long as it was when its turn came.
func Write(w io.Writer, l Lock, m Manifest, files []File) error {
	m.Format = Format
	sealed, err := age.Encrypt(w, l.recipients...)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	zip := gzip.NewWriter(sealed)
	archive := tar.NewWriter(zip)
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	if err := member(archive, manifestName, m.Created, int64(len(text))); err != nil {
		return err
	}
	if _, err := archive.Write(text); err != nil {
		return err
	}
	for _, f := range files {
		if err := add(archive, f); err != nil {
			return fmt.Errorf("backup: %s: %w", f.Name, err)
		}
	}
	return errors.Join(archive.Close(), zip.Close(), sealed.Close())
}

func member(archive *tar.Writer, name string, at time.Time, size int64) error {
	return archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o600, Size: size, ModTime: at.Truncate(time.Second), Format: tar.FormatPAX})
}

func add(archive *tar.Writer, f File) error {
	in, err := os.Open(f.Path)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("it is no regular file")
	}
	if err := member(archive, f.Name, info.ModTime(), info.Size()); err != nil {
		return err
	}
	_, err = io.CopyN(archive, in, info.Size())
	return err
}

// ErrBroken is in every error of a backup that was cut short, altered, or is none.
var ErrBroken = errors.New("this is no whole backup")

// Read unpacks a backup into dir, which must be there and empty. allow says how
// many bytes a name may have, and whether it may be there at all. After an error
// part of it may be in dir.
func Read(r io.Reader, k Key, dir string, allow func(name string) (limit int64, ok bool)) (Manifest, error) {
	plain, err := age.Decrypt(r, k.identities...)
	if err != nil {
		return Manifest{}, opening(err)
	}
	m, err := unpack(plain, dir, allow)
	if err != nil {
		return m, fmt.Errorf("backup: %w", err)
	}
	// What follows must be nothing, and only the end proves that nothing was cut off.
	if n, err := io.Copy(io.Discard, plain); err != nil || n > 0 {
		return m, fmt.Errorf("backup: %w: %d bytes too many, %w", ErrBroken, n, err)
	}
	return m, nil
}

// opening puts in words why a backup does not open.
func opening(err error) error {
	if _, ok := errors.AsType[*age.NoIdentityMatchError](err); ok {
		return fmt.Errorf("backup: %w", ErrKey)
	}
	return fmt.Errorf("backup: %w: %w", ErrBroken, err)
}

func unpack(r io.Reader, dir string, allow func(string) (int64, bool)) (Manifest, error) {
	zip, err := gzip.NewReader(r)
	if err != nil {
		return Manifest{}, fmt.Errorf("%w: %w", ErrBroken, err)
	}
	archive := tar.NewReader(zip)
	m, err := manifest(archive)
	if err != nil {
		return m, err
	}
	for n := 0; ; n++ {
		h, err := archive.Next()
		switch {
		case errors.Is(err, io.EOF):
			_, err := io.Copy(io.Discard, io.LimitReader(zip, maxManifest)) // the archive's padding, and the checksum behind it
			if err != nil {
				err = fmt.Errorf("%w: %w", ErrBroken, err)
			}
			return m, err
		case err != nil:
			return m, fmt.Errorf("%w: %w", ErrBroken, err)
		case n >= maxMembers:
			return m, fmt.Errorf("%w: more than %d files", ErrBroken, maxMembers)
		}
		limit, ok := allow(h.Name)
		if !ok || h.Typeflag != tar.TypeReg || !filepath.IsLocal(h.Name) {
			return m, fmt.Errorf("%w: %q does not belong into one", ErrBroken, h.Name)
		}
		if h.Size > limit {
			return m, fmt.Errorf("%w: %q has more than %d bytes", ErrBroken, h.Name, limit)
		}
		if err := extract(archive, filepath.Join(dir, filepath.FromSlash(h.Name)), h.Size); err != nil {
			return m, fmt.Errorf("%s: %w", h.Name, err)
		}
	}
}

func manifest(archive *tar.Reader) (m Manifest, err error) {
	h, err := archive.Next()
	if err != nil || h.Name != manifestName || h.Size > maxManifest {
		return m, fmt.Errorf("%w: it has no manifest", ErrBroken)
	}
	text, err := io.ReadAll(io.LimitReader(archive, maxManifest))
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	if err != nil {
		return m, fmt.Errorf("%w: manifest: %w", ErrBroken, err)
	}
	if m.Format != Format {
		return m, fmt.Errorf("the backup has format %d, this program knows %d: use the postern that wrote it, or a newer one", m.Format, Format)
	}
	return m, nil
}

// extract makes a file that must not be there yet, on stable storage.
func extract(r io.Reader, path string, size int64) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err = io.CopyN(f, r, size); err != nil {
		err = fmt.Errorf("%w: %w", ErrBroken, err)
	}
	return errors.Join(err, f.Sync(), f.Close())
}
