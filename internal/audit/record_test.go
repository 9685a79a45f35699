package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestLongestLineFits(t *testing.T) {
	t.Parallel()
	for _, c := range []string{"\x00", "\x7f", "\u202e", "\U000e0001", "\xff", "é", "a"} {
		long := strings.Repeat(c, 1<<20)
		r := bounded(Record{Event: long, Ref: long, RequestID: long, Listener: long, Source: long, Caller: long, Target: long,
			Account: long, Method: long, Path: long, Outcome: long, Detail: long,
			Seq: 1 << 62, Epoch: 1 << 62, Status: 1 << 62, Carries: 1 << 62, Carried: true, Node: long[:64],
			Time: time.Date(9999, 1, 1, 1, 1, 1, 123456789, time.UTC), Head: &Head{File: long[:100], Seq: 1 << 62, End: 1 << 62}})
		raw, err := encode(&r)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(appendLine(nil, MAC{}, raw)); n > maxLine {
			t.Errorf("%q: a line has %d bytes, more than %d", c, n, maxLine)
		}
		if utf8.ValidString(long) && !utf8.ValidString(r.Path) {
			t.Errorf("%q: cut inside a character", c)
		}
		if !strings.HasSuffix(r.Detail, "bytes cut)") {
			t.Errorf("%q: no mark in %q", c, r.Detail[len(r.Detail)-20:])
		}
	}
	if got := cut("abcdef", 6); got != "abcdef" {
		t.Errorf("got %q", got)
	}
	if got := cut("abécdef", 3); got != "ab…(6 bytes cut)" {
		t.Errorf("got %q", got)
	}
}

// Nothing that a peer puts into a name may steer the terminal of who reads it,
// or begin a line of its own.
func TestHostileText(t *testing.T) {
	t.Parallel()
	hostile := "a\nb\r\x1b[2J\x00\x7f\u0085\u009b31m\u202e\u2028\u200b\ufeff\U000e0041<&>\"\\é漢😀"
	r := Record{Event: Attempt, Caller: hostile}
	raw, err := encode(&r)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range string(raw) {
		if c < 0x20 || strings.ContainsRune("\x7f\u0085\u009b\u202e\u2028\u200b\ufeff\U000e0041", c) {
			t.Errorf("%U stands in the line as it is", c)
		}
	}
	for _, want := range []string{"<&>", "é漢😀"} {
		if !bytes.Contains(raw, []byte(want)) {
			t.Errorf("%q is not readable in %s", want, raw)
		}
	}
	var back Record
	if err := json.Unmarshal(raw, &back); err != nil || back != r {
		t.Errorf("got %+v, %v; want %+v", back, err, r)
	}
}

func TestSegmentNames(t *testing.T) {
	t.Parallel()
	for _, s := range []segment{{"local", 1, 1}, {"a-b-1-2", 1234567, 12345}, {"n.1_x", 9, 10}} {
		if got, ok := parseSegment(s.String()); !ok || got != s {
			t.Errorf("%s: got %+v, %v", s, got, ok)
		}
	}
	for _, name := range []string{"", "x.jsonl", "local-1-1.jsonl", "local-000001-0001.json", "local-000001-00001.jsonl", "-000001-0001.jsonl",
		"local-000000-0001.jsonl", "local-000001-0000.jsonl", "local-+00001-0001.jsonl", "../x-000001-0001.jsonl", "local-000001-0001.jsonl.tmp"} {
		if s, ok := parseSegment(name); ok {
			t.Errorf("%q is taken as %+v", name, s)
		}
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	clock := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for epoch := int64(1); epoch <= 3; epoch++ {
		cfg := config(dir, epoch)
		cfg.SegmentBytes = 800
		cfg.Now = func() time.Time { return clock }
		l := mustOpen(t, cfg, nil)
		for i := range 6 {
			clock = clock.Add(time.Minute)
			ref := fmt.Sprint(epoch, ".", i)
			mustAppend(t, l, Record{Event: []string{Call, CallBegin, LeaseLogin}[i%3], Ref: ref, Target: fmt.Sprint("bmc", i%2), Caller: []string{"ann", "bob"}[i/3]})
		}
		for i := range 6 {
			if end := endOf[[]string{Call, CallBegin, LeaseLogin}[i%3]]; end != "" {
				mustAppend(t, l, Record{Event: end, Ref: fmt.Sprint(epoch, ".", i)})
			}
		}
		mustClose(t, l)
	}
	for _, c := range []struct {
		name string
		f    Filter
		want string
	}{
		{"target and caller", Filter{Target: "bmc1", Caller: "bob"}, "1.3 1.5 2.3 2.5 3.3 3.5"},
		{"event", Filter{Event: "lease.login.", Caller: ""}, "1.2 1.5 2.2 2.5 3.2 3.5"},
		{"event prefix", Filter{Event: "lease", Target: "bmc1"}, "1.5 2.5 3.5"},
		{"since", Filter{Caller: "bob", Since: clock.Add(-6 * time.Minute)}, "2.5 3.3 3.4 3.5"},
		{"last", Filter{Caller: "bob", Last: 4}, "2.5 3.3 3.4 3.5"},
		{"last, more than there are", Filter{Caller: "bob", Last: 400}, "1.3 1.4 1.5 2.3 2.4 2.5 3.3 3.4 3.5"},
		{"last 1 of a target", Filter{Target: "bmc0", Last: 1}, "3.4"},
		{"none", Filter{Target: "bmc7", Last: 3}, ""},
	} {
		var got []string
		for r, err := range Read(dir, c.f) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, r.Ref)
		}
		equal(t, c.name, got, strings.Fields(c.want))
	}
	n := 0
	for range Read(dir, Filter{}) {
		if n++; n == 4 {
			break
		}
	}
	if n != 4 {
		t.Errorf("stopped after %d records, want 4", n)
	}
}

func TestReadPassesBadLines(t *testing.T) {
	t.Parallel()
	dir, names := sample(t)
	path := dir + "/" + names[0]
	lines := strings.SplitAfter(readFile(t, path), "\n")
	lines[3] = "nonsense\n"
	lines[5] = strings.Repeat("x", 2*maxLine) + "\n"
	writeFile(t, path, strings.Join(lines, "")+"torn")
	for _, f := range []Filter{{Event: "call"}, {Event: "call", Last: 1000}} {
		var bad []string
		good := 0
		for _, err := range Read(dir, f) {
			if err != nil {
				bad = append(bad, err.Error())
			} else {
				good++
			}
		}
		if good != 28 || len(bad) != 2 || !strings.Contains(bad[0], names[0]+":4:") || !strings.Contains(bad[1], names[0]+":6:") {
			t.Errorf("%+v: %d good records, errors %q", f, good, bad)
		}
	}
	for _, err := range Read(dir+"/none", Filter{}) {
		if err == nil {
			t.Error("a directory that is not there gave a record")
		}
	}
}

func FuzzParseLine(f *testing.F) {
	dir, names := sample(f)
	for line := range strings.Lines(readFile(f, dir+"/"+names[1])) {
		f.Add([]byte(strings.TrimSuffix(line, "\n")))
	}
	f.Add([]byte(`{"mac":"` + strings.Repeat("0", 64) + `","record":{"time":"9999-99-99T00:00:00Z"}}`))
	f.Add([]byte(`{"mac":"` + strings.Repeat("0", 64) + `","record":{"head":{"mac":"00"}}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		m, raw, r, err := parseLine(line)
		if err != nil {
			return
		}
		if got := appendLine(nil, m, raw); !bytes.Equal(got, append(bytes.Clone(line), '\n')) {
			t.Fatalf("frame: got %q, want %q", got, line)
		}
		again, err := encode(&r)
		if err != nil {
			t.Fatalf("does not encode again: %v", err)
		}
		_, _, back, err := parseLine(bytes.TrimSuffix(appendLine(nil, m, again), []byte("\n")))
		if err != nil {
			t.Fatal(err)
		}
		if !back.Time.Equal(r.Time) {
			t.Fatalf("time: got %v, want %v", back.Time, r.Time)
		}
		back.Time = r.Time
		if !reflect.DeepEqual(back, r) {
			t.Fatalf("record: got %+v, want %+v", back, r)
		}
	})
}

func FuzzSegmentName(f *testing.F) {
	f.Add("local-000001-0001.jsonl")
	f.Add("a-b-999999999999-99999.jsonl")
	f.Fuzz(func(t *testing.T, name string) {
		if s, ok := parseSegment(name); ok && (s.String() != name || strings.ContainsAny(name, "/\\\x00")) {
			t.Fatalf("%q is taken as %+v", name, s)
		}
	})
}
