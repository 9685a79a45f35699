package seal

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/postern/postern/auth"
)

// LoadOrCreate returns the Key kept in the file at path; see KeyFile.
func LoadOrCreate(path string) (*Key, error) {
	raw, err := KeyFile(path)
	if err != nil {
		return nil, err
	}
	return New(raw)
}

// KeyFile returns the KeySize bytes in the file at path. A file that does not
// exist is made, whole or not at all, of random bytes with mode 0600, in a
// directory that is made with mode 0700 where there is none. A file that others
// than its owner may read or write, or of another size, is refused. Processes
// that make the same file at the same time get the same key.
func KeyFile(path string) (auth.Secret, error) {
	raw, err := readKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return raw, err
	}
	if err := createKey(path); err != nil {
		return auth.Secret{}, fmt.Errorf("seal: create key: %w", err)
	}
	return readKey(path)
}

func readKey(path string) (auth.Secret, error) {
	f, err := os.Open(path)
	if err != nil {
		return auth.Secret{}, fmt.Errorf("seal: read key: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return auth.Secret{}, fmt.Errorf("seal: read key: %w", err)
	}
	if !info.Mode().IsRegular() {
		return auth.Secret{}, fmt.Errorf("seal: key file %s is not a regular file", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return auth.Secret{}, fmt.Errorf("seal: key file %s has mode %04o, so that others can reach it; run: chmod 600 %[1]s", path, mode)
	}
	raw, err := io.ReadAll(io.LimitReader(f, KeySize+1))
	if err != nil {
		return auth.Secret{}, fmt.Errorf("seal: read key %s: %w", path, err)
	}
	if len(raw) != KeySize {
		return auth.Secret{}, fmt.Errorf("seal: key file %s must hold exactly %d bytes; restore it from a backup", path, KeySize)
	}
	return auth.NewSecret(string(raw)), nil
}

// createKey writes a temporary file and links it to path: the link is there with
// the whole key or not at all, and never replaces a key that another process made.
func createKey(path string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	raw := make([]byte, KeySize)
	rand.Read(raw) // never fails
	_, err = f.Write(raw)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
