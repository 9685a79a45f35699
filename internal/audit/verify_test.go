package audit

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/postern/postern/auth"
)

// sample makes a log of three epochs; the second has several segments.
func sample(t testing.TB) (dir string, names []string) {
	t.Helper()
	dir = t.TempDir()
	for epoch := int64(1); epoch <= 3; epoch++ {
		cfg := config(dir, epoch)
		if epoch == 2 {
			cfg.SegmentBytes = 1200
		}
		d := newFaultyDisk(dir)
		d.lazy = true
		l := mustOpen(t, cfg, d)
		for i := range 5 {
			mustAppend(t, l, Record{Event: CallBegin, Ref: fmt.Sprint(epoch, i), Target: "bmc1", Caller: "ann"},
				Record{Event: CallEnd, Ref: fmt.Sprint(epoch, i), Status: 200})
		}
		mustClose(t, l)
	}
	names = files(t, dir)
	if len(names) < 5 {
		t.Fatalf("the sample has only %q", names)
	}
	return dir, names
}

func TestVerifyFinds(t *testing.T) {
	t.Parallel()
	first, middle := 0, 2 // a segment that is an epoch of its own, one within an epoch
	for _, c := range []struct {
		name   string
		file   int
		edit   func(lines []string) []string
		line   int // of the report
		inNext bool
		why    string
	}{
		{"flipped text", first, func(l []string) []string { l[4] = strings.Replace(l[4], "200", "500", 1); return l }, 5, false, "altered"},
		{"flipped mac", first, func(l []string) []string { l[4] = flip(l[4], len(frameStart)); return l }, 5, false, "altered"},
		{"upper-case mac", first, func(l []string) []string {
			l[4] = l[4][:8] + strings.ToUpper(l[4][8:72]) + l[4][72:]
			return l
		}, 5, false, "not a line"},
		{"blank in the frame", first, func(l []string) []string { l[4] = strings.Replace(l[4], `,"record"`, `, "record"`, 1); return l }, 5, false, "not a line"},
		{"dropped line", first, func(l []string) []string { return slices.Delete(l, 4, 5) }, 5, false, "record 6 stands where 5 should"},
		{"dropped first line", first, func(l []string) []string { return l[1:] }, 1, false, "record 2 stands where 1 should"},
		{"swapped lines", first, func(l []string) []string { l[4], l[5] = l[5], l[4]; return l }, 5, false, "record 6 stands where 5 should"},
		{"duplicated line", first, func(l []string) []string { return slices.Insert(l, 5, l[4]) }, 6, false, "record 5 stands where 6 should"},
		{"inserted line", first, func(l []string) []string { return slices.Insert(l, 5, `{"mac":"00","record":{}}`) }, 6, false, "not a line"},
		{"inserted empty line", first, func(l []string) []string { return slices.Insert(l, 5, "") }, 6, false, "not a line"},
		{"inserted long line", first, func(l []string) []string { return slices.Insert(l, 5, strings.Repeat("x", 3*maxLine)) }, 6, false, "longer than"},
		{"line at the end of an epoch", first, func(l []string) []string { return append(l, l[len(l)-1]) }, 12, false, "record 11 stands where 12 should"},
		{"cut at the end of an epoch", first, func(l []string) []string { return l[:len(l)-1] }, 11, false, "cut off"},
		{"cut inside the last record of an epoch", first, func(l []string) []string {
			l[len(l)-1] = l[len(l)-1][:50] + "\x00" // no newline is written after \x00
			return l
		}, 11, false, "cut off"},
		{"emptied", first, func(l []string) []string { return nil }, 1, false, "cut off"},
		{"line at the end of a segment", middle, func(l []string) []string { return append(l, l[len(l)-1]) }, 0, false, "stands where"},
		{"cut at the end of a segment", middle, func(l []string) []string { return l[:len(l)-1] }, 0, false, "cut off"},
		{"emptied segment", middle, func(l []string) []string { return nil }, 1, false, "cut off"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir, names := sample(t)
			path := filepath.Join(dir, names[c.file])
			lines := c.edit(strings.Split(strings.TrimSuffix(readFile(t, path), "\n"), "\n"))
			content := strings.Join(lines, "\n") + "\n"
			if len(lines) == 0 {
				content = ""
			}
			writeFile(t, path, strings.ReplaceAll(content, "\x00\n", ""))
			r, err := Verify(dir, testKey)
			if err != nil {
				t.Fatal(err)
			}
			if r.Bad == nil || r.Bad.File != names[c.file] || !strings.Contains(r.Bad.Why, c.why) || c.line != 0 && r.Bad.Line != c.line {
				t.Errorf("got %+v, want %s:%d: ...%s...", r.Bad, names[c.file], c.line, c.why)
			}
		})
	}
}

func flip(s string, i int) string {
	if s[i] == '0' {
		return s[:i] + "1" + s[i+1:]
	}
	return s[:i] + "0" + s[i+1:]
}

// Whatever bit is flipped, in whatever place, it is found.
func TestVerifyFindsEveryFlippedByte(t *testing.T) {
	t.Parallel()
	dir, names := sample(t)
	for _, name := range names {
		path := filepath.Join(dir, name)
		whole := readFile(t, path)
		for i := 0; i < len(whole); i += 29 {
			b := []byte(whole)
			b[i] ^= 1 << (i % 8)
			writeFile(t, path, string(b))
			r, err := Verify(dir, testKey)
			if err != nil {
				t.Fatal(err)
			}
			if r.Bad == nil && !(i == len(whole)-1 && name == names[len(names)-1]) {
				t.Fatalf("%s: byte %d flipped from %q to %q: nothing found", name, i, whole[i], b[i])
			}
		}
		writeFile(t, path, whole)
	}
}

func TestVerifyFiles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		edit func(t *testing.T, dir string, names []string)
		file int // of the report
		why  string
	}{
		{"missing epoch", func(t *testing.T, dir string, n []string) { remove(t, dir, n[0]) }, 0, "is missing"},
		{"missing first segment of an epoch", func(t *testing.T, dir string, n []string) { remove(t, dir, n[1]) }, 1, "is missing"},
		{"missing segment", func(t *testing.T, dir string, n []string) { remove(t, dir, n[2]) }, 2, "is missing"},
		{"missing later epoch", func(t *testing.T, dir string, n []string) { remove(t, dir, n[1:len(n)-1]...) }, -2, "is missing"},
		{"missing beginning", func(t *testing.T, dir string, n []string) { remove(t, dir, n[:len(n)-1]...) }, -2, "is missing"},
		{"swapped segments", func(t *testing.T, dir string, n []string) {
			a, b := readFile(t, filepath.Join(dir, n[2])), readFile(t, filepath.Join(dir, n[3]))
			writeFile(t, filepath.Join(dir, n[2]), b)
			writeFile(t, filepath.Join(dir, n[3]), a)
		}, 2, "cut off"},
		{"an epoch under a later name", func(t *testing.T, dir string, n []string) {
			writeFile(t, filepath.Join(dir, "local-000009-0001.jsonl"), readFile(t, filepath.Join(dir, n[0])))
		}, -3, "renamed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir, names := sample(t)
			want := "local-000009-0001.jsonl"
			switch {
			case c.file >= 0:
				want = names[c.file]
			case c.file == -2:
				want = names[len(names)-2]
			}
			c.edit(t, dir, names)
			r, err := Verify(dir, testKey)
			if err != nil {
				t.Fatal(err)
			}
			if r.Bad == nil || r.Bad.File != want || !strings.Contains(r.Bad.Why, c.why) {
				t.Errorf("got %+v, want %s: ...%s...", r.Bad, want, c.why)
			}
		})
	}
}

func remove(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, n := range names {
		if err := os.Remove(filepath.Join(dir, n)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestVerifyKeyAndNodes(t *testing.T) {
	t.Parallel()
	dir, names := sample(t)
	r, err := Verify(dir, auth.NewSecret(strings.Repeat("x", KeySize)))
	if err != nil || r.Bad == nil || r.Bad.File != names[0] || r.Bad.Line != 1 || !strings.Contains(r.Bad.Why, "key") {
		t.Errorf("wrong key: got %+v, %v", r.Bad, err)
	}
	if _, err := Verify(dir, auth.NewSecret("short")); err == nil {
		t.Error("a short key was taken")
	}
	if _, err := Verify(filepath.Join(dir, "none"), testKey); err == nil {
		t.Error("a missing directory is no log that is well")
	}
	cfg := config(dir, 1)
	cfg.Node = "other-node"
	l := mustOpen(t, cfg, nil)
	mustAppend(t, l, Record{Event: Attempt})
	mustClose(t, l)
	writeFile(t, filepath.Join(dir, "README"), "not a segment")
	r = mustVerify(t, dir)
	if r.Epochs != 4 || len(r.Heads) != 2 || r.Heads[0].File != names[len(names)-1] || r.Heads[1].File != "other-node-000001-0001.jsonl" {
		t.Errorf("got %+v", r)
	}
}

func TestVerifyCheckpoint(t *testing.T) {
	t.Parallel()
	dir, names := sample(t)
	kept := mustVerify(t, dir).Heads[0]
	l := mustOpen(t, config(dir, 4), nil)
	mustAppend(t, l, Record{Event: Attempt})
	mustClose(t, l)
	check := func(name string, wantBad string) {
		t.Helper()
		r, err := Verify(dir, testKey, kept)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Bad != nil; got != (wantBad != "") || got && !strings.Contains(r.Bad.Why, wantBad) {
			t.Errorf("%s: got %+v, want %q", name, r.Bad, wantBad)
		}
	}
	check("the log has grown", "")
	remove(t, dir, files(t, dir)[len(names)])
	check("the log is as it was", "")
	path := filepath.Join(dir, kept.File)
	whole := readFile(t, path)
	lines := strings.SplitAfter(whole, "\n")
	writeFile(t, path, strings.Join(lines[:len(lines)-2], ""))
	check("the last record was cut off", "the end was cut off")
	remove(t, dir, kept.File)
	check("the last epoch was taken away", "the end was cut off")
	writeFile(t, path, whole)
	kept.MAC[0]++
	check("another record", "not the record of the checkpoint")
}

// A whole line that does not verify at the end of the log is damage, not a crash:
// the next start goes on behind the last good record, and Verify still tells.
func TestDamagedEnd(t *testing.T) {
	t.Parallel()
	dir, names := sample(t)
	path := filepath.Join(dir, names[len(names)-1])
	lines := strings.SplitAfter(readFile(t, path), "\n")
	lines[7] = flip(lines[7], len(frameStart))
	writeFile(t, path, strings.Join(lines, ""))
	mustClose(t, mustOpen(t, config(dir, 4), nil))
	r, err := Verify(dir, testKey)
	if err != nil || r.Bad == nil || r.Bad.File != names[len(names)-1] || r.Bad.Line != 8 {
		t.Errorf("got %+v, %v", r.Bad, err)
	}
}

func BenchmarkVerify(b *testing.B) {
	dir := b.TempDir()
	l := mustOpen(b, config(dir, 1), nil)
	for range 20_000 {
		l.Note(Record{Event: Call, Target: "bmc1", Caller: "ann", Method: "GET", Path: "/redfish/v1/Systems/1", Status: 200})
	}
	mustClose(b, l)
	for b.Loop() {
		r := mustVerify(b, dir)
		b.SetBytes(r.Heads[0].End)
	}
}
