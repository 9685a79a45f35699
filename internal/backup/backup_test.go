package backup

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/postern/postern/auth"
)

var secret = auth.NewSecret("correct horse battery staple")

// quick is a lock with little work, for tests.
func quick(t testing.TB) Lock {
	t.Helper()
	l, err := lockWith(secret, 10)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func key(t testing.TB, s auth.Secret) Key {
	t.Helper()
	k, err := KeyWith(s)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func allow(name string) (int64, bool) {
	return 1 << 20, name == "a.db" || strings.HasPrefix(name, "audit/")
}

// made is a backup of two files.
func made(t testing.TB, l Lock) []byte {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"a": "database", "b": strings.Repeat("record\n", 1000)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	m := Manifest{Created: time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC), Node: "local", Epoch: 7, Audit: true}
	err := Write(&b, l, m, []File{{"a.db", filepath.Join(dir, "a")}, {"audit/local-000001-0001.jsonl", filepath.Join(dir, "b")}})
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	recipients, err := Recipients(strings.NewReader("# somebody\n" + id.Recipient().String() + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	identities, err := Identities(strings.NewReader("# created: today\n" + id.String() + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		lock  Lock
		key   Key
		other Key
	}{
		"passphrase": {quick(t), key(t, secret), key(t, auth.NewSecret("another"))},
		"identity":   {recipients, identities, key(t, secret)},
	} {
		text := made(t, c.lock)
		dir := t.TempDir()
		m, err := Read(bytes.NewReader(text), c.key, dir, allow)
		if err != nil || m.Node != "local" || m.Epoch != 7 || !m.Audit || m.Format != Format {
			t.Fatalf("%s: %+v, %v", name, m, err)
		}
		if got, err := os.ReadFile(filepath.Join(dir, "a.db")); err != nil || string(got) != "database" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if info, err := os.Stat(filepath.Join(dir, "audit", "local-000001-0001.jsonl")); err != nil || info.Size() != 7000 || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
		if _, err := Read(bytes.NewReader(text), c.other, t.TempDir(), allow); !errors.Is(err, ErrKey) {
			t.Errorf("%s: another key: %v", name, err)
		}
		if _, err := Read(bytes.NewReader(text), c.key, dir, allow); !errors.Is(err, os.ErrExist) {
			t.Errorf("%s: over what is there: %v", name, err)
		}
		if bytes.Contains(text, []byte("database")) {
			t.Errorf("%s: not encrypted", name)
		}
	}
}

// Whatever is missing or altered is found.
func TestBroken(t *testing.T) {
	t.Parallel()
	text := made(t, quick(t))
	for n := range 60 {
		cut := text[:len(text)*n/60]
		if _, err := Read(bytes.NewReader(cut), key(t, secret), t.TempDir(), allow); err == nil {
			t.Errorf("cut after %d of %d bytes: no error", len(cut), len(text))
		}
	}
	for _, at := range []int{len(text) / 2, len(text) - 1} {
		bad := bytes.Clone(text)
		bad[at] ^= 1
		if _, err := Read(bytes.NewReader(bad), key(t, secret), t.TempDir(), allow); !errors.Is(err, ErrBroken) {
			t.Errorf("byte %d altered: %v", at, err)
		}
	}
	if _, err := Read(bytes.NewReader(append(bytes.Clone(text), 0)), key(t, secret), t.TempDir(), allow); !errors.Is(err, ErrBroken) {
		t.Errorf("a byte behind it: %v", err)
	}
	if _, err := Read(strings.NewReader("no backup"), key(t, secret), t.TempDir(), allow); !errors.Is(err, ErrBroken) {
		t.Errorf("anything: %v", err)
	}
}

// archive is what a backup holds, made of pairs of name and content.
func archive(t testing.TB, pairs ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	zip := gzip.NewWriter(&b)
	w := tar.NewWriter(zip)
	for i := 0; i < len(pairs); i += 2 {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: pairs[i], Size: int64(len(pairs[i+1])), Mode: 0o600}
		if target, ok := strings.CutPrefix(pairs[i+1], "->"); ok {
			h.Typeflag, h.Linkname, h.Size = tar.TypeSymlink, target, 0
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := io.WriteString(w, pairs[i+1]); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.Close()
	zip.Close()
	return b.Bytes()
}

const plainManifest = `{"format":1,"node":"local"}`

// Nothing gets out of the folder, whoever made the archive.
func TestForeignMembers(t *testing.T) {
	t.Parallel()
	for name, pairs := range map[string][]string{
		"no manifest":   {"a.db", "x"},
		"newer":         {manifestName, `{"format":2}`},
		"no JSON":       {manifestName, "x"},
		"another name":  {manifestName, plainManifest, "b.db", "x"},
		"outside":       {manifestName, plainManifest, "audit/../../x", "x"},
		"absolute":      {manifestName, plainManifest, "/a.db", "x"},
		"link":          {manifestName, plainManifest, "a.db", "->/etc/passwd"},
		"twice":         {manifestName, plainManifest, "a.db", "x", "a.db", "y"},
		"too large":     {manifestName, plainManifest, "a.db", strings.Repeat("x", 1<<20+1)},
		"manifest last": {"a.db", "x", manifestName, plainManifest},
	} {
		dir := t.TempDir()
		if m, err := unpack(bytes.NewReader(archive(t, pairs...)), filepath.Join(dir, "in"), allow); err == nil {
			t.Errorf("%s: got %+v", name, m)
		}
		found, err := os.ReadDir(dir)
		if err != nil || len(found) > 1 || len(found) == 1 && found[0].Name() != "in" {
			t.Errorf("%s: %v, %v", name, found, err)
		}
	}
}

func TestKeyFiles(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "age1nothing", "AGE-SECRET-KEY-1NOTHING"} {
		if _, err := Recipients(strings.NewReader(text)); err == nil {
			t.Errorf("recipients %q: no error", text)
		}
		if _, err := Identities(strings.NewReader(text)); err == nil || text != "" && strings.Contains(err.Error(), "NOTHING") {
			t.Errorf("identities %q: %v", text, err)
		}
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(archive(f, manifestName, plainManifest, "a.db", "x", "audit/a.jsonl", "y"))
	f.Add(archive(f, manifestName, plainManifest, "audit/../x", "x"))
	f.Add([]byte("\x1f\x8b"))
	f.Fuzz(func(t *testing.T, data []byte) {
		outer := t.TempDir()
		_, err := unpack(bytes.NewReader(data), filepath.Join(outer, "in"), allow)
		if found, rerr := os.ReadDir(outer); rerr != nil || len(found) > 1 || len(found) == 1 && found[0].Name() != "in" {
			t.Fatalf("outside of its folder: %v, %v (%v)", found, rerr, err)
		}
	})
}
