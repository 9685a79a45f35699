package serve

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

const (
	socketName = "admin.sock"
	// The address of a Unix socket holds 104 bytes on BSD and macOS, 108 on
	// Linux, the closing zero among them.
	maxSocketPath = 103
)

// listenSocket makes the administration socket of a folder that the caller has
// locked, which is why one that is already there is stale and is replaced.
func listenSocket(dir *Dir) (net.Listener, error) {
	path := dir.Path(socketName)
	if info, err := os.Lstat(path); err == nil {
		if info.Mode()&fs.ModeSocket == 0 {
			return nil, fmt.Errorf("%s is in the way of the administration socket", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("replace the stale administration socket: %w", err)
		}
	}
	var ln *net.UnixListener
	err := withSocketPath(dir.path, func(short string) (err error) {
		// The mode belongs to the socket from its first moment on. The mask is
		// the process's, and every file that Postern makes is for its owner.
		old := syscall.Umask(0o177)
		defer syscall.Umask(old)
		ln, err = net.ListenUnix("unix", &net.UnixAddr{Name: short, Net: "unix"})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("administration socket %s: %w", path, err)
	}
	ln.SetUnlinkOnClose(false) // short may be a name that means nothing later
	return &socketListener{UnixListener: ln, path: path}, nil
}

// A socketListener removes its file when it is closed.
type socketListener struct {
	*net.UnixListener
	path string
}

func (l *socketListener) Close() error {
	os.Remove(l.path)
	return l.UnixListener.Close()
}

// DialSocket connects to the server that runs on the folder dir. The error is
// fs.ErrNotExist or ECONNREFUSED where none does.
func DialSocket(ctx context.Context, dir string) (net.Conn, error) {
	if _, err := os.Lstat(filepath.Join(dir, socketName)); err != nil {
		return nil, err
	}
	var conn net.Conn
	err := withSocketPath(dir, func(short string) (err error) {
		conn, err = new(net.Dialer).DialContext(ctx, "unix", short)
		return err
	})
	return conn, err
}

// NoServer reports whether an error of DialSocket means that no server runs.
func NoServer(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED)
}

// withSocketPath calls f with a name of the socket that an address can hold: its
// path, or where that is too long, the open folder's name under /proc.
func withSocketPath(dir string, f func(path string) error) error {
	path := filepath.Join(dir, socketName)
	if len(path) <= maxSocketPath {
		return f(path)
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	short := fmt.Sprintf("/proc/self/fd/%d", d.Fd())
	if _, err := os.Stat(short); err != nil {
		return fmt.Errorf("the path has %d bytes, a socket's may have %d: choose a shorter data directory", len(path), maxSocketPath)
	}
	return f(filepath.Join(short, socketName))
}
