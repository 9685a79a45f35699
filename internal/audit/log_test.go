package audit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern/postern/auth"
)

var testKey = auth.NewSecret(strings.Repeat("k", KeySize))

func config(dir string, epoch int64) Config {
	return Config{Dir: dir, Key: testKey, Epoch: epoch}
}

func mustOpen(t testing.TB, cfg Config, d disk) *Log {
	t.Helper()
	if d == nil {
		d = osDisk{cfg.Dir}
	}
	l, err := open(cfg, d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func mustAppend(t testing.TB, l *Log, records ...Record) {
	t.Helper()
	for _, r := range records {
		if err := l.Append(t.Context(), r); err != nil {
			t.Fatalf("append %s: %v", r.Event, err)
		}
	}
}

func mustClose(t testing.TB, l *Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func mustVerify(t testing.TB, dir string) Report {
	t.Helper()
	r, err := Verify(dir, testKey)
	if err != nil {
		t.Fatal(err)
	}
	if r.Bad != nil {
		t.Fatalf("verify: %v", r.Bad)
	}
	return r
}

// told gives the records in dir as "event ref outcome", without the log's own.
func told(t testing.TB, dir string, f Filter) []string {
	t.Helper()
	var out []string
	for r, err := range Read(dir, f) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Event != EpochStart && r.Event != SegmentStart {
			out = append(out, strings.TrimSpace(strings.Join([]string{r.Event, r.Ref, r.Outcome}, " ")))
		}
	}
	return out
}

func equal(t testing.TB, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

func files(t testing.TB, dir string) []string {
	t.Helper()
	segs, err := list(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range segs {
		names = append(names, s.String())
	}
	return names
}

func TestAppendIsOnDiskWhenItReturns(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "audit")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	l := mustOpen(t, config(dir, 7), nil)
	mustAppend(t, l, Record{Event: CallBegin, Ref: "r1", Caller: "ann", Target: "bmc1", Method: "POST", Path: "/redfish/v1/Systems/1"})
	var got Record
	for r := range Read(dir, Filter{Event: "call"}) {
		got = r
	}
	if got.Seq != 2 || got.Epoch != 7 || got.Node != "local" || got.Time.IsZero() || got.Caller != "ann" || got.Path != "/redfish/v1/Systems/1" {
		t.Errorf("got %+v", got)
	}
	equal(t, "files", files(t, dir), []string{"local-000007-0001.jsonl"})
	if info, _ := os.Stat(filepath.Join(dir, "local-000007-0001.jsonl")); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode())
	}
	mustClose(t, l)
	if err := l.Append(t.Context(), Record{Event: Attempt}); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: got %v, want ErrClosed", err)
	}
	mustClose(t, l)
	if r := mustVerify(t, dir); r.Files != 1 || r.Records != 2 || r.Epochs != 1 || len(r.Crashes) != 0 || r.Heads[0].Seq != 2 {
		t.Errorf("got %+v", r)
	}
}

func TestManyShareOneSync(t *testing.T) {
	t.Parallel()
	d := newFaultyDisk(t.TempDir())
	synctest.Test(t, func(t *testing.T) {
		l := mustOpen(t, config(d.dir, 1), d)
		hang := make(chan struct{}) // the disk takes its time over the first, while the others queue
		d.set(func(d *faultyDisk) { d.hang = hang })
		var wg sync.WaitGroup
		add := func(i int) {
			wg.Go(func() {
				if err := l.Append(t.Context(), Record{Event: Attempt, Ref: fmt.Sprint(i)}); err != nil {
					t.Error(err)
				}
			})
		}
		add(0)
		synctest.Wait()
		for i := range 99 {
			add(1 + i)
		}
		synctest.Wait()
		close(hang)
		wg.Wait()
		mustClose(t, l)
	})
	if n := len(d.groups()); n != 3 {
		t.Errorf("the start, one record and 99 that waited took %d writes, want 3", n)
	}
	if r := mustVerify(t, d.dir); r.Records != 101 {
		t.Errorf("got %d records, want 101", r.Records)
	}
}

func TestNoteIsFlushedWithinASecond(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l := mustOpen(t, config(dir, 1), nil)
		l.Note(Record{Event: Call, Ref: "1"})
		time.Sleep(flushEvery - time.Millisecond)
		l.Note(Record{Event: Call, Ref: "2"})
		synctest.Wait()
		equal(t, "before a second", told(t, dir, Filter{}), nil)
		time.Sleep(time.Millisecond)
		synctest.Wait()
		equal(t, "after a second", told(t, dir, Filter{}), []string{"call 1", "call 2"})
		l.Note(Record{Event: Call, Ref: "3"})
		mustAppend(t, l, Record{Event: Attempt})
		equal(t, "after an append", told(t, dir, Filter{}), []string{"call 1", "call 2", "call 3", "attempt"})
		l.Note(Record{Event: Call, Ref: "4"})
		mustClose(t, l)
		equal(t, "after close", told(t, dir, Filter{Last: 1}), []string{"call 4"})
	})
}

func TestNoteBlocksAndNeverDrops(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		d := newFaultyDisk(dir)
		l := mustOpen(t, config(dir, 1), d)
		d.set(func(d *faultyDisk) { d.sync, d.create_ = 1<<30, 1<<30 })
		var wg sync.WaitGroup
		wg.Go(func() {
			for i := range maxNotes + 10 {
				l.Note(Record{Event: Call, Ref: fmt.Sprint(i)})
			}
		})
		synctest.Wait()
		if n := len(l.notes); n != maxNotes {
			t.Fatalf("%d notes are held, want %d", n, maxNotes)
		}
		d.set(func(d *faultyDisk) { d.sync, d.create_ = 0, 0 })
		wg.Wait()
		mustClose(t, l)
	})
	got := told(t, dir, Filter{})
	if len(got) != maxNotes+10 {
		t.Fatalf("%d notes were recorded, want %d", len(got), maxNotes+10)
	}
	for i, g := range got {
		if want := fmt.Sprintf("call %d", i); g != want {
			t.Fatalf("note %d: got %q, want %q", i, g, want)
		}
	}
	mustVerify(t, dir)
}

func TestCallerWhoLeaves(t *testing.T) {
	t.Parallel()
	d := newFaultyDisk(t.TempDir())
	synctest.Test(t, func(t *testing.T) {
		l := mustOpen(t, config(d.dir, 1), d)
		hang := make(chan struct{})
		d.set(func(d *faultyDisk) { d.hang = hang })
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		add := func(ref string) {
			wg.Go(func() {
				err := l.Append(ctx, Record{Event: CallBegin, Ref: ref})
				if !errors.Is(err, context.Canceled) || errors.Is(err, auth.ErrUnavailable) {
					t.Errorf("%s: got %v, want context.Canceled", ref, err)
				}
			})
			synctest.Wait()
		}
		add("being written")
		add("queued")
		cancel()
		wg.Wait() // although the disk hangs
		add("too late")
		close(hang)
		mustClose(t, l)
	})
	equal(t, "records", told(t, d.dir, Filter{}), []string{"call.begin being written", "call.end being written not done"})
	mustVerify(t, d.dir)
}

func TestRotation(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := config(dir, 1)
	cfg.SegmentBytes = 2000
	l := mustOpen(t, cfg, nil)
	mustAppend(t, l, Record{Event: CallBegin, Ref: "long"}, Record{Event: LeaseLogin, Ref: "lease"})
	var want []string
	for i := range 30 {
		mustAppend(t, l, Record{Event: Attempt, Ref: fmt.Sprint(i)})
		want = append(want, fmt.Sprint("attempt ", i))
	}
	mustAppend(t, l, Record{Event: LeaseLoginEnd, Ref: "lease", Outcome: "accepted"})
	mustClose(t, l)
	if n := len(files(t, dir)); n < 4 {
		t.Errorf("%d segments, want at least 4", n)
	}
	r := mustVerify(t, dir)
	if r.Files != len(files(t, dir)) || r.Epochs != 1 {
		t.Errorf("got %+v", r)
	}
	want = slices.Concat([]string{"call.begin long", "lease.login lease"}, want, []string{"lease.login.end lease accepted"})
	equal(t, "records", told(t, dir, Filter{}), want)

	// The next start learns what is open from the last segment alone.
	for _, f := range files(t, dir)[:len(files(t, dir))-1] {
		if err := os.Remove(filepath.Join(dir, f)); err != nil {
			t.Fatal(err)
		}
	}
	l = mustOpen(t, config(dir, 2), nil)
	mustClose(t, l)
	equal(t, "closed", told(t, dir, Filter{Last: 1}), []string{"call.end long unknown"})
}

func TestAfterACrash(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := mustOpen(t, config(dir, 1), nil) // never closed before the next one starts
	mustAppend(t, l,
		Record{Event: CallBegin, Ref: "done", Target: "bmc1"}, Record{Event: CallEnd, Ref: "done", Status: 204},
		Record{Event: CallBegin, Ref: "cut", Caller: "ann", Target: "bmc1", Method: "POST", Path: "/x"},
		Record{Event: LeaseLogin, Ref: "l1", Target: "bmc1"},
		Record{Event: LeaseLogin, Ref: "l2"}, Record{Event: LeaseLoginEnd, Ref: "l2"},
		Record{Event: LeaseLogout, Ref: "l2"},
		Record{Event: SessionStart, Ref: "s1"}, Record{Event: Attempt, Ref: "s1"}, Record{Event: Attempt},
		Record{Event: SessionStart, Ref: "s2"},
		Record{Event: CallBegin}) // without Ref it is not followed
	for epoch := int64(2); epoch <= 4; epoch++ {
		l = mustOpen(t, config(dir, epoch), nil)
		var pending []string
		for _, r := range l.Pending() {
			pending = append(pending, r.Event+" "+r.Ref)
		}
		equal(t, fmt.Sprint("pending in epoch ", epoch), pending, []string{"lease.login l1", "lease.logout l2", "session.start s2"})
	}
	var end Record
	for r, err := range Read(dir, Filter{Event: CallEnd, Last: 1}) {
		if err != nil {
			t.Fatal(err)
		}
		end = r
	}
	if end.Ref != "cut" || end.Outcome != OutcomeUnknown || end.Epoch != 2 || end.Caller != "ann" || end.Method != "POST" || end.Path != "/x" {
		t.Errorf("the call that was cut ends as %+v", end)
	}
	mustAppend(t, l, Record{Event: LeaseLoginEnd, Ref: "l1", Outcome: OutcomeNotDone}, Record{Event: LeaseLogoutEnd, Ref: "l2"}, Record{Event: Attempt, Ref: "s2"})
	l = mustOpen(t, config(dir, 5), nil)
	if p := l.Pending(); len(p) != 0 {
		t.Errorf("still pending: %+v", p)
	}
	if r := mustVerify(t, dir); r.Epochs != 5 || len(r.Crashes) != 0 {
		t.Errorf("got %+v", r)
	}
}

func TestTornRecord(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		keep func(line string) string
	}{
		{"the newline is missing", func(s string) string { return s }},
		{"half", func(s string) string { return s[:len(s)/2] }},
		{"one byte", func(s string) string { return s[:1] }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			l := mustOpen(t, config(dir, 1), nil)
			mustAppend(t, l, Record{Event: CallBegin, Ref: "a"}, Record{Event: CallEnd, Ref: "a"})
			mustClose(t, l)
			path := filepath.Join(dir, files(t, dir)[0])
			lines := strings.Split(readFile(t, path), "\n")
			torn := c.keep(lines[2])
			writeFile(t, path, lines[0]+"\n"+lines[1]+"\n"+torn)
			want := Crash{File: files(t, dir)[0], Line: 3, Bytes: int64(len(torn)), Why: "an unfinished record"}
			if r := mustVerify(t, dir); len(r.Crashes) != 1 || r.Crashes[0] != want {
				t.Errorf("before the next start: got %+v, want %+v", r.Crashes, want)
			}
			mustClose(t, mustOpen(t, config(dir, 2), nil))
			if r := mustVerify(t, dir); len(r.Crashes) != 1 || r.Crashes[0] != want || r.Records != 5 {
				t.Errorf("after it: got %+v", r)
			}
			equal(t, "records", told(t, dir, Filter{}), []string{"call.begin a", "call.end a unknown"})
		})
	}
}

// A crash may cut the group that begins an epoch or a segment anywhere: what is
// open must survive that.
func TestCrashWhileBeginning(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := mustOpen(t, config(dir, 1), nil)
	mustAppend(t, l, Record{Event: CallBegin, Ref: "c"}, Record{Event: LeaseLogin, Ref: "l1"}, Record{Event: LeaseLogin, Ref: "l2"})
	mustClose(t, mustOpen(t, config(dir, 2), nil))
	second := filepath.Join(dir, files(t, dir)[1])
	whole := readFile(t, second)
	for size := 0; size <= len(whole); size += 9 {
		writeFile(t, second, whole[:size])
		d := newFaultyDisk(dir)
		d.lazy = true
		l := mustOpen(t, config(dir, 3), d)
		if p := l.Pending(); len(p) != 2 || p[0].Ref != "l1" || p[1].Ref != "l2" {
			t.Fatalf("cut to %d bytes: pending %+v", size, p)
		}
		mustClose(t, l)
		if got := told(t, dir, Filter{Event: CallEnd}); !slices.Equal(got, []string{"call.end c unknown"}) {
			t.Fatalf("cut to %d bytes: the call ends as %q", size, got)
		}
		mustVerify(t, dir)
		if err := os.Remove(filepath.Join(dir, files(t, dir)[2])); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEpochIsNeverUsedTwice(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i, want := range []int64{3, 4, 5, 9} {
		l := mustOpen(t, config(dir, []int64{3, 1, 5, 9}[i]), nil)
		if l.Epoch() != want {
			t.Errorf("start %d: epoch %d, want %d", i, l.Epoch(), want)
		}
		mustClose(t, l)
	}
	mustVerify(t, dir)
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mustClose(t, mustOpen(t, config(dir, 1), nil))
	for _, c := range []struct {
		name string
		edit func(*Config)
		want string
	}{
		{"another key", func(c *Config) { c.Key = auth.NewSecret(strings.Repeat("x", KeySize)) }, "restore the key"},
		{"a short key", func(c *Config) { c.Key = auth.NewSecret("short") }, "32 bytes"},
		{"a node that leaves the directory", func(c *Config) { c.Node = "../x" }, "cannot name a file"},
		{"epoch 0", func(c *Config) { c.Epoch = 0 }, "cannot name a file"},
	} {
		cfg := config(dir, 2)
		c.edit(&cfg)
		if _, err := Open(cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
	equal(t, "files", files(t, dir), []string{"local-000001-0001.jsonl"})
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func writeFile(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			l := mustOpen(b, config(b.TempDir(), 1), nil)
			b.SetParallelism(callers)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					err := l.Append(b.Context(), Record{Event: CallBegin, Target: "bmc1", Caller: "ann", Method: "POST", Path: "/redfish/v1/Systems/1"})
					if err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}
