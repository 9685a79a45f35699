package target_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/seal"
	"github.com/postern/postern/internal/store"
	"github.com/postern/postern/internal/target"
)

var (
	noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	pinA = "sha256//AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	pinB = strings.Repeat("ab", 32)
)

type world struct {
	*target.Service
	db  *store.Store
	log bytes.Buffer
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	key, err := seal.LoadOrCreate(filepath.Join(dir, "seal.key"))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{}
	if w.db, err = store.Open(t.Context(), filepath.Join(dir, "db"), store.Options{Now: noon}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.db.Close() })
	w.Service, err = target.New(target.Config{Store: w.db, Key: key, Now: func() time.Time { return noon }, Log: slog.New(slog.NewTextHandler(&w.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func bmc(name, source string) target.Target {
	return target.Target{Name: name, Family: "redfish", URL: "https://" + name, Account: "postern", Source: source}
}

func (w *world) add(t *testing.T, x target.Target, password string) target.Target {
	t.Helper()
	got, err := w.Add(t.Context(), x, auth.NewSecret(password))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func (w *world) wantPassword(t *testing.T, name, want string) {
	t.Helper()
	c, err := w.Credential(t.Context(), name)
	if err != nil || c.Password.Reveal() != want || c.Account != "postern" {
		t.Errorf("%s: got account %q, %d bytes, %v; want %q", name, c.Account, len(c.Password.Reveal()), err, want)
	}
}

func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got error %v, want %v", err, want)
	}
}

func TestAdd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	x := bmc("bmc1", "")
	x.URL, x.Pin = "https://BMC1:443/", strings.ToUpper(pinB)
	got := w.add(t, x, "s3cret-Passw0rd")
	if got.URL != "https://bmc1" || !strings.HasPrefix(got.Pin, "sha256//") || got.Method != auth.MethodAuto || got.Origin != target.OriginCommand || !got.Created.Equal(noon) {
		t.Errorf("got %+v", got)
	}
	if bytes.Contains(got.Sealed, []byte("s3cret")) {
		t.Error("the password is stored as it is")
	}
	w.wantPassword(t, "bmc1", "s3cret-Passw0rd")
	_, err := w.Add(t.Context(), x, auth.NewSecret("p"))
	wantErr(t, err, target.ErrExists)
	for _, c := range []struct {
		name     string
		x        target.Target
		password string
		want     string
	}{
		{"no password", bmc("b", ""), "", "needs a password"},
		{"two passwords", bmc("b", "env:X"), "s3cret-Passw0rd", "comes from env:X"},
		{"long password", bmc("b", ""), strings.Repeat("s3cret-Passw0rd", 1000), "longer than"},
		{"bad target", bmc("B", ""), "s3cret-Passw0rd", "a name has"},
	} {
		_, err := w.Add(t.Context(), c.x, auth.NewSecret(c.password))
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
	list, err := w.List(t.Context())
	if err != nil || len(list) != 1 {
		t.Errorf("got %d targets, %v; want 1", len(list), err)
	}
}

// A password that was stored for one place is never sent to another.
func TestEditedPlace(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*target.Target){
		"url":    func(x *target.Target) { x.URL = "https://evil.example" },
		"pin":    func(x *target.Target) { x.Pin = pinB },
		"no pin": func(x *target.Target) { x.Pin = "" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			x := bmc("bmc1", "")
			x.Pin = pinA
			x = w.add(t, x, "first")
			edit(&x)
			_, err := w.Update(t.Context(), x, auth.Secret{})
			wantErr(t, err, target.ErrPasswordNeeded)
			w.wantPassword(t, "bmc1", "first") // nothing was changed

			// Whoever reaches the database itself gets no further.
			if err := w.db.UpdateTarget(t.Context(), x, noon); err != nil {
				t.Fatal(err)
			}
			_, err = w.Credential(t.Context(), "bmc1")
			wantErr(t, err, target.ErrPasswordNeeded)
			_, err = w.SetPin(t.Context(), "bmc1", pinA)
			wantErr(t, err, target.ErrPasswordNeeded)

			if _, err := w.Update(t.Context(), x, auth.NewSecret("second")); err != nil {
				t.Fatal(err)
			}
			w.wantPassword(t, "bmc1", "second")
		})
	}
}

func TestSealedForOneRow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.add(t, bmc("a", ""), "of a")
	b := bmc("b", "")
	b.URL = a.URL
	b = w.add(t, b, "of b")
	b.Sealed = a.Sealed
	if err := w.db.UpdateTarget(t.Context(), b, noon); err != nil {
		t.Fatal(err)
	}
	_, err := w.Credential(t.Context(), "b")
	wantErr(t, err, target.ErrPasswordNeeded)
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	x := w.add(t, bmc("bmc1", ""), "first")
	x.Budget, x.URL, x.Sealed = 7, "HTTPS://bmc1:443/", nil // the same place
	x, err := w.Update(t.Context(), x, auth.Secret{})
	if err != nil || x.Budget != 7 {
		t.Fatalf("got %+v, %v", x, err)
	}
	w.wantPassword(t, "bmc1", "first")

	path := filepath.Join(t.TempDir(), "pw")
	writePassword(t, path, "from a file\n", 0o600)
	x.Source, x.Sealed = "file:"+path, nil
	if x, err = w.Update(t.Context(), x, auth.Secret{}); err != nil || x.Sealed != nil {
		t.Fatalf("got %+v, %v", x, err)
	}
	w.wantPassword(t, "bmc1", "from a file")
	x.Source = ""
	_, err = w.Update(t.Context(), x, auth.Secret{})
	wantErr(t, err, target.ErrPasswordNeeded)
	_, err = w.Update(t.Context(), bmc("nobody", ""), auth.NewSecret("p"))
	wantErr(t, err, target.ErrNotFound)

	if err := w.Remove(t.Context(), "bmc1"); err != nil {
		t.Fatal(err)
	}
	wantErr(t, w.Remove(t.Context(), "bmc1"), target.ErrNotFound)
	_, err = w.Credential(t.Context(), "bmc1")
	wantErr(t, err, target.ErrNotFound)
}

func TestSetPin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	x := bmc("bmc1", "")
	x.Pin = pinA
	w.add(t, x, "kept")
	got, err := w.SetPin(t.Context(), "bmc1", pinB)
	if err != nil || !strings.HasPrefix(got.Pin, "sha256//q6ur") {
		t.Fatalf("got %+v, %v", got, err)
	}
	w.wantPassword(t, "bmc1", "kept")
	if _, err := w.SetPin(t.Context(), "bmc1", "nonsense"); err == nil {
		t.Error("a pin that is none was taken")
	}
	_, err = w.SetPin(t.Context(), "nobody", pinA)
	wantErr(t, err, target.ErrNotFound)
}

func TestReconcile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	w.add(t, bmc("c", ""), "of a command")
	changes := func(list ...target.Target) string {
		t.Helper()
		c, err := w.Reconcile(ctx, list)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(c.Added, c.Changed, c.Removed)
	}
	a, b := bmc("a", "env:A"), bmc("b", "env:B")
	if got := changes(b, a); got != "[a b] [] []" {
		t.Errorf("first: got %s", got)
	}
	a.URL = "https://A:443/" // the same in other words
	if got := changes(a, b); got != "[] [] []" {
		t.Errorf("again: got %s", got)
	}
	b.Budget = 5
	if got := changes(b); got != "[] [b] [a]" {
		t.Errorf("changed: got %s", got)
	}

	// Commands may look, and not touch.
	got, err := w.Get(ctx, "b")
	if err != nil || got.Origin != target.OriginFile || got.Source != "env:B" || got.Sealed != nil {
		t.Errorf("got %+v, %v", got, err)
	}
	_, err = w.Update(ctx, got, auth.Secret{})
	wantErr(t, err, target.ErrFromFile)
	_, err = w.SetPin(ctx, "b", pinA)
	wantErr(t, err, target.ErrFromFile)
	wantErr(t, w.Remove(ctx, "b"), target.ErrFromFile)
	_, err = w.Add(ctx, bmc("b", ""), auth.NewSecret("p"))
	wantErr(t, err, target.ErrExists)

	_, err = w.Reconcile(ctx, []target.Target{bmc("d", "env:D"), bmc("c", "env:C")})
	wantErr(t, err, target.ErrExists)
	if err == nil || !strings.Contains(err.Error(), `"c"`) {
		t.Errorf("the error does not name the target: %v", err)
	}
	for _, c := range []struct {
		want string
		list []target.Target
	}{
		{"described twice", []target.Target{a, a}},
		{"reference to a password", []target.Target{bmc("a", "")}},
		{"a name has", []target.Target{bmc("A", "env:A")}},
	} {
		if _, err := w.Reconcile(ctx, c.list); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
	list, err := w.List(ctx)
	names := []string{}
	for _, x := range list {
		names = append(names, x.Name+" "+x.Origin)
	}
	if err != nil || !slices.Equal(names, []string{"b file", "c command"}) {
		t.Errorf("got %v, %v", names, err)
	}
	w.wantPassword(t, "c", "of a command")
}

func writePassword(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func TestPasswordFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	path := filepath.Join(t.TempDir(), "pw")
	w.add(t, bmc("bmc1", "file:"+path), "")
	for _, c := range []struct{ content, want, err string }{
		{"plain", "plain", ""},
		{"unix\n", "unix", ""},
		{"dos\r\n", "dos", ""},
		{"two\n\n", "two\n", ""},
		{"bare\r", "bare\r", ""},
		{" blanks \n", " blanks ", ""},
		{strings.Repeat("x", 4096), strings.Repeat("x", 4096), ""},
		{"", "", "is empty"},
		{"\n", "", "is empty"},
		{"p\xe4ssword", "", "no UTF-8"},
		{strings.Repeat("x", 4097), "", "more than 4096 bytes"},
	} {
		writePassword(t, path, c.content, 0o600)
		if c.err == "" {
			w.wantPassword(t, "bmc1", c.want) // read again each time
			continue
		}
		if _, err := w.Credential(t.Context(), "bmc1"); err == nil || !strings.Contains(err.Error(), c.err) || !strings.Contains(err.Error(), path) {
			t.Errorf("%.10q: got %v, want %q", c.content, err, c.err)
		}
	}
	if w.log.Len() > 0 {
		t.Errorf("a file with mode 0600 is warned about: %s", w.log.String())
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	_, err := w.Credential(t.Context(), "bmc1")
	wantErr(t, err, os.ErrNotExist)
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Credential(t.Context(), "bmc1"); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a directory: got %v", err)
	}
}

func TestExposedPasswordFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	path := filepath.Join(t.TempDir(), "pw")
	w.add(t, bmc("bmc1", "file:"+path), "")
	for i, mode := range []os.FileMode{0o640, 0o640, 0o604, 0o600, 0o602, 0o602} {
		writePassword(t, path, "s3cret", mode)
		w.wantPassword(t, "bmc1", "s3cret")
		if got, want := strings.Count(w.log.String(), "\n"), []int{1, 1, 2, 2, 3, 3}[i]; got != want {
			t.Errorf("read %d, mode %v: %d warnings, want %d", i, mode, got, want)
		}
	}
	if out := w.log.String(); !strings.Contains(out, path) || !strings.Contains(out, "mode=0640") || strings.Contains(out, "s3cret") {
		t.Errorf("the warning is %q", out)
	}
}

func TestPasswordFromEnvironment(t *testing.T) {
	t.Setenv("POSTERN_TEST_PW", "from env\n") // kept as it is: nobody's editor wrote it
	t.Setenv("POSTERN_TEST_EMPTY", "")
	w := newWorld(t)
	w.add(t, bmc("a", "env:POSTERN_TEST_PW"), "")
	w.wantPassword(t, "a", "from env\n")
	w.add(t, bmc("b", "env:POSTERN_TEST_EMPTY"), "")
	w.add(t, bmc("c", "env:POSTERN_TEST_NONE"), "")
	for name, want := range map[string]string{"b": "POSTERN_TEST_EMPTY is empty", "c": "POSTERN_TEST_NONE is not set"} {
		if _, err := w.Credential(t.Context(), name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", name, err, want)
		}
	}
}

func TestPasswordFromCommand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	script := filepath.Join(t.TempDir(), "script")
	writePassword(t, script, "#!/bin/sh\necho s3cret-on-stderr >&2\ncase $1 in\nok) echo from command;;\nfail) echo s3cret; exit 3;;\nmuch) yes s3cret;;\nhang) exec sleep 600;;\nesac\n", 0o700)
	for i, c := range []struct{ line, want, err string }{
		{script + " ok", "from command", ""},
		{"  " + script + "   ok  ", "from command", ""},
		{"echo $HOME;id", "$HOME;id", ""}, // no shell
		{script + " fail", "", "password command script: exit status 3"},
		{script + " much", "", "more than 4096 bytes"},
		{script + " nothing", "", "the output of password command script is empty"},
		{"/does/not/exist s3cret", "", "no such file"},
		{"does-not-exist-either s3cret", "", "not found"},
	} {
		name := fmt.Sprint("t", i)
		w.add(t, bmc(name, "command:"+c.line), "")
		if c.err == "" {
			w.wantPassword(t, name, c.want)
			continue
		}
		_, err := w.Credential(t.Context(), name)
		if err == nil || !strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: got %v, want %q", c.line, err, c.err)
		}
	}
	w.add(t, bmc("hang", "command:"+script+" hang"), "")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := w.Credential(ctx, "hang")
	wantErr(t, err, context.DeadlineExceeded)
	if w.log.Len() > 0 {
		t.Errorf("something was logged: %s", w.log.String())
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	if _, err := target.New(target.Config{}); err == nil {
		t.Error("a service without a store")
	}
}
