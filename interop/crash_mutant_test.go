//go:build integration

package interop

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A mutation is a change to a source file of ours: the text, which has to be
// there exactly once, and what stands in its place.
type mutation struct{ text, instead string }

// The row of a login is committed after the login instead of before.
var lateIntent = []mutation{
	{
		"	if err := m.store.IntendLease(ctx, row, budget, m.now()); err != nil {\n",
		"	if err := ctx.Err(); err != nil && budget > 0 {\n",
	},
	{
		"	l.used.Store(m.now().UnixNano())\n",
		"	l.used.Store(m.now().UnixNano())\n	if err := m.store.IntendLease(ctx, row, 1000, m.now()); err != nil {\n		return nil, err\n	}\n",
	},
}

// mutant builds a binary from the sources with one file changed; the tree
// itself is left alone.
func mutant(t *testing.T, file string, changes []mutation) string {
	t.Helper()
	path, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := string(source)
	for _, c := range changes {
		if n := strings.Count(text, c.text); n != 1 {
			t.Fatalf("%s holds %q %d times, want once: the mutation has to follow the code", file, c.text, n)
		}
		text = strings.Replace(text, c.text, c.instead, 1)
	}
	dir := t.TempDir()
	changed, overlay, bin := filepath.Join(dir, "changed.go"), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "mutant")
	plan, err := json.Marshal(map[string]any{"Replace": map[string]string{path: changed}})
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{changed: []byte(text), overlay: plan} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("go", "build", "-trimpath", "-overlay", overlay, "-o", bin, "../cmd/postern")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the mutant: %v: %s", err, out)
	}
	return bin
}

// The crash test has to notice when the promise is broken: with the commit of
// the intent taken from its place before the login, sessions are left behind.
func TestCrashMutant(t *testing.T) {
	t.Parallel()
	s := newSiege(t, envInt(seedEnv, 1), 64) // so many that the device does not fill up first
	s.patient = 5 * time.Second
	s.g.bin = mutant(t, "../internal/lease/open.go", lateIntent)
	err := s.run(12)
	t.Logf("%v: %v", s.counts, err)
	if err == nil {
		t.Fatalf("%v: nothing is noticed", s.counts)
	}
	if !strings.Contains(err.Error(), "orphan session at the device") {
		t.Errorf("noticed for another reason: %v", err)
	}
}
