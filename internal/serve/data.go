package serve

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// A Dir is the folder that holds all state of one server, locked for as long
// as it is open.
type Dir struct {
	path string
	lock *os.File
}

// ErrInUse: another process holds the folder.
var ErrInUse = errors.New("the data directory is in use")

// commandUse is what a command that works without a server holds the folder for.
const commandUse = "a postern command"

// An inUse is ErrInUse with the folder and whoever holds it.
type inUse struct {
	path   string
	holder string // as sign left it; "" = not told
}

func (e *inUse) Error() string {
	if e.holder == "" {
		return fmt.Sprintf("%s: %v", e.path, ErrInUse)
	}
	return fmt.Sprintf("%s: %v by %s", e.path, ErrInUse, e.holder)
}

func (e *inUse) Unwrap() error { return ErrInUse }

// HeldByCommand reports whether err is an ErrInUse because of a command, which
// will be done soon, and not because of a server.
func HeldByCommand(err error) bool {
	e, ok := errors.AsType[*inUse](err)
	return ok && strings.HasPrefix(e.holder, commandUse+", ")
}

// DefaultDir is where state lives when nobody names a folder: the user's state
// directory of the XDG base directory specification.
func DefaultDir() (string, error) {
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "postern"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find the user's state directory: %w", err)
	}
	return filepath.Join(home, ".local", "state", "postern"), nil
}

// OpenDir makes the folder where it is missing (mode 0700) and locks it. use
// says what for, to whoever finds it locked. While another process holds the
// lock the error is ErrInUse and names that process.
func OpenDir(path, use string) (*Dir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(path, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the data directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, &inUse{path, holder(f)}
		}
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	d := &Dir{path: path, lock: f}
	if err := d.sign(use); err != nil {
		d.Close()
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	return d, nil
}

// sign leaves the holder's name in the lock file.
func (d *Dir) sign(use string) error {
	if err := d.lock.Truncate(0); err != nil {
		return err
	}
	_, err := d.lock.WriteAt(fmt.Appendf(nil, "%s, pid %d\n", use, os.Getpid()), 0)
	return err
}

func holder(f *os.File) string {
	text, err := io.ReadAll(io.LimitReader(f, 200))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// Path is the absolute path of name inside the folder; "" is the folder itself.
func (d *Dir) Path(name string) string { return filepath.Join(d.path, name) }

// OpenToOthers reports whether other users may change what is in the folder.
func (d *Dir) OpenToOthers() bool {
	info, err := os.Stat(d.path)
	return err == nil && info.Mode().Perm()&0o022 != 0
}

// Close gives the lock back. The lock file stays: removing it would let two
// processes lock two different files of the same name.
func (d *Dir) Close() error { return d.lock.Close() }

// writeFile puts data at path as a whole: a reader, or a crash, finds the old
// file or the new one, on stable storage when it returns.
func writeFile(path string, data []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once renamed
	err = errors.Join(f.Chmod(mode), writeAll(f, data), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func writeAll(f *os.File, data []byte) error {
	_, err := f.Write(data)
	return err
}

// syncDir makes a rename in the folder durable.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) { // some file systems cannot
		return err
	}
	return nil
}
