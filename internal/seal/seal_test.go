package seal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/postern/postern/auth"
)

func newKey(t testing.TB) *Key {
	t.Helper()
	k, err := LoadOrCreate(filepath.Join(t.TempDir(), "seal.key"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestSealOpen(t *testing.T) {
	t.Parallel()
	k := newKey(t)
	for _, plain := range []string{"", "x", "päss\x00word", strings.Repeat("long", 5000)} {
		box, err := k.Seal(auth.NewSecret(plain), "target", "bmc1")
		if err != nil {
			t.Fatal(err)
		}
		if len(plain) > 1 && bytes.Contains(box, []byte(plain)) {
			t.Error("the box shows what it holds")
		}
		got, err := k.Open(box, "target", "bmc1")
		if err != nil || got.Reveal() != plain {
			t.Errorf("Open: got %d bytes, %v; want %d bytes", len(got.Reveal()), err, len(plain))
		}
		again, _ := k.Seal(auth.NewSecret(plain), "target", "bmc1")
		if bytes.Equal(box, again) {
			t.Error("two boxes of one secret are equal")
		}
	}
}

func TestOpenElsewhere(t *testing.T) {
	t.Parallel()
	k := newKey(t)
	box, err := k.Seal(auth.NewSecret("s3cret"), "ab", "c")
	if err != nil {
		t.Fatal(err)
	}
	for _, aad := range [][]string{nil, {"abc"}, {"a", "bc"}, {"ab", "c", ""}, {"ab", "C"}, {"c", "ab"}} {
		if _, err := k.Open(box, aad...); !errors.Is(err, ErrOpen) {
			t.Errorf("Open with %q: got %v, want ErrOpen", aad, err)
		}
	}
	if _, err := newKey(t).Open(box, "ab", "c"); !errors.Is(err, ErrOpen) {
		t.Errorf("Open with another key: got %v, want ErrOpen", err)
	}
}

func TestOpenAltered(t *testing.T) {
	t.Parallel()
	k := newKey(t)
	box, err := k.Seal(auth.NewSecret("s3cret"), "row")
	if err != nil {
		t.Fatal(err)
	}
	for i := range box {
		bad := bytes.Clone(box)
		bad[i] ^= 1
		if _, err := k.Open(bad, "row"); !errors.Is(err, ErrOpen) {
			t.Errorf("byte %d flipped: got %v, want ErrOpen", i, err)
		}
		if _, err := k.Open(box[:i], "row"); !errors.Is(err, ErrOpen) {
			t.Errorf("cut to %d bytes: got %v, want ErrOpen", i, err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	k := newKey(f)
	box, _ := k.Seal(auth.NewSecret("s3cret"), "row")
	f.Add(box)
	f.Add([]byte{version})
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := k.Open(b, "row"); err == nil && !bytes.Equal(b, box) {
			t.Errorf("a forged box opens to %d bytes", len(got.Reveal()))
		}
	})
}

func TestHash(t *testing.T) {
	t.Parallel()
	k := newKey(t)
	if first, again := k.Hash("a", "b"), k.Hash("a", "b"); first != again {
		t.Error("one input, two hashes")
	}
	if k.Hash("ab", "c") == k.Hash("a", "bc") || k.Hash("a") == k.Hash("a", "") {
		t.Error("two inputs, one hash")
	}
	if k.Hash("a") == newKey(t).Hash("a") {
		t.Error("the hash does not depend on the key")
	}
}

func TestKeyIsNeverPrinted(t *testing.T) {
	t.Parallel()
	k := newKey(t)
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		for _, v := range []any{k, *k} {
			if got := fmt.Sprintf(format, v); got != "seal.Key" {
				t.Errorf("%s: got %q", format, got)
			}
		}
	}
}

func TestKeyFile(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "b")
	path := filepath.Join(dir, "seal.key")
	first, err := KeyFile(path)
	if err != nil {
		t.Fatal(err)
	}
	second, err := KeyFile(path)
	if err != nil || !first.Equal(second) {
		t.Errorf("second call: another key, or %v", err)
	}
	for name, want := range map[string]os.FileMode{dir: 0o700, path: 0o600} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: got %v, %v; want %v", name, info.Mode().Perm(), err, want)
		}
	}
	if names, _ := os.ReadDir(dir); len(names) != 1 {
		t.Errorf("left behind in the directory: %v", names)
	}
}

func TestKeyFileMadeByManyAtOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "seal.key")
	var keys [8]auth.Secret
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			var err error
			if keys[i], err = KeyFile(path); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, k := range keys {
		if !k.Equal(keys[0]) {
			t.Fatal("two makers got two keys")
		}
	}
}

func TestKeyFileRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		size int
		mode os.FileMode
		want string
	}{
		{"readable by others", KeySize, 0o644, "chmod 600"},
		{"writable by the group", KeySize, 0o620, "chmod 600"},
		{"empty", 0, 0o600, "exactly 32 bytes"},
		{"short", KeySize - 1, 0o600, "exactly 32 bytes"},
		{"long", KeySize + 1, 0o600, "exactly 32 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "seal.key")
			content := bytes.Repeat([]byte("K"), c.size)
			if err := os.WriteFile(path, content, c.mode); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, c.mode); err != nil {
				t.Fatal(err)
			}
			_, err := LoadOrCreate(path)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v, want a sentence with %q and the path", err, c.want)
			}
			if after, _ := os.ReadFile(path); !bytes.Equal(after, content) {
				t.Error("the file was changed")
			}
		})
	}
	if _, err := KeyFile(t.TempDir()); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a directory: got %v", err)
	}
}
