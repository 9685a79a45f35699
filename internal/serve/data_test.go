package serve

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func openDir(t *testing.T) *Dir {
	t.Helper()
	d, err := OpenDir(filepath.Join(t.TempDir(), "state", "postern"), "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func TestOpenDirLocks(t *testing.T) {
	t.Parallel()
	d := openDir(t)
	if info, err := os.Stat(d.Path("")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder: mode %v, %v, want 0700", info.Mode(), err)
	}
	if d.OpenToOthers() {
		t.Error("a new folder is open to others")
	}
	_, err := OpenDir(d.Path(""), "second")
	want := fmt.Sprintf("%s: the data directory is in use by test, pid %d", d.Path(""), os.Getpid())
	if !errors.Is(err, ErrInUse) || err.Error() != want {
		t.Errorf("second lock: got %v, want %s", err, want)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := OpenDir(d.Path(""), "a shorter name")
	if err != nil {
		t.Fatalf("after the first is closed: %v", err)
	}
	again.Close()
}

func TestHeldByCommand(t *testing.T) {
	t.Parallel()
	for use, want := range map[string]bool{commandUse: true, "postern serve": false, "": false} {
		dir := t.TempDir()
		d, err := OpenDir(dir, use)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		if _, err := OpenDir(dir, "second"); !errors.Is(err, ErrInUse) || HeldByCommand(err) != want {
			t.Errorf("held by %q: got %v, %t, want %t", use, err, HeldByCommand(err), want)
		}
	}
	if HeldByCommand(nil) || HeldByCommand(ErrInUse) {
		t.Error("nobody is taken for a command")
	}
}

func TestDefaultDir(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", "/x/state")
	if dir, err := DefaultDir(); err != nil || dir != "/x/state/postern" {
		t.Errorf("with XDG_STATE_HOME: %q, %v", dir, err)
	}
	t.Setenv("XDG_STATE_HOME", "relative") // the specification: to be ignored
	t.Setenv("HOME", "/h")
	if dir, err := DefaultDir(); err != nil || dir != "/h/.local/state/postern" {
		t.Errorf("without: %q, %v", dir, err)
	}
}

func TestWriteFileIsWhole(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "f")
	for _, text := range []string{"first", "second, longer"} {
		if err := writeFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != text {
			t.Errorf("got %q, %v, want %q", got, err, text)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
	names, _ := os.ReadDir(filepath.Dir(path))
	if len(names) != 1 {
		t.Errorf("leftovers: %v", names)
	}
}

func TestPortsAreRemembered(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	port := func(name string, want int) int {
		t.Helper()
		p, err := openPorts(dir)
		if err != nil {
			t.Fatal(err)
		}
		ln, err := p.listen(name, "127.0.0.1", 0)
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		f := newFace(name, "127.0.0.1", ln, new(tls.Config), nil)
		got := f.url[strings.LastIndexByte(f.url, ':')+1:]
		if want != 0 && got != fmt.Sprint(want) {
			t.Errorf("%s: port %s, want %d", name, got, want)
		}
		var n int
		fmt.Sscan(got, &n)
		return n
	}
	a := port("a", 0)
	b := port("b", 0)
	port("a", a)
	port("b", b)
	// Somebody else has the port now: another is taken, and remembered.
	ln, err := listenTCP("127.0.0.1", a)
	if err != nil {
		t.Skipf("port %d is taken by another program: %v", a, err)
	}
	other := port("a", 0)
	ln.Close()
	if other == a {
		t.Errorf("got the taken port %d", a)
	}
	port("a", other)
}
