package serve

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSocket(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, sub string }{{"short", "d"}, {"long", strings.Repeat("d", 120)}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir, err := OpenDir(filepath.Join(t.TempDir(), c.sub), "test")
			if err != nil {
				t.Fatal(err)
			}
			defer dir.Close()
			if _, err := DialSocket(t.Context(), dir.Path("")); !NoServer(err) {
				t.Errorf("before: got %v, want no server", err)
			}
			stale := listen(t, dir)
			stale.(*socketListener).UnixListener.Close() // as a crash leaves it: the file stays
			if _, err := DialSocket(t.Context(), dir.Path("")); !NoServer(err) {
				t.Errorf("stale: got %v, want no server", err)
			}
			ln := listen(t, dir)
			if info, err := os.Stat(dir.Path(socketName)); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
			}
			conn, err := DialSocket(t.Context(), dir.Path(""))
			if err != nil {
				t.Fatal(err)
			}
			conn.Close()
			ln.Close()
			if _, err := os.Stat(dir.Path(socketName)); err == nil {
				t.Error("the socket stays behind")
			}
		})
	}
}

func TestSocketInTheWay(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	if err := os.WriteFile(dir.Path(socketName), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := listenSocket(dir); err == nil || !strings.Contains(err.Error(), "in the way") {
		t.Errorf("got %v, want a refusal", err)
	}
}

func listen(t *testing.T, dir *Dir) net.Listener {
	t.Helper()
	ln, err := listenSocket(dir)
	if err != nil {
		t.Fatal(err)
	}
	return ln
}
