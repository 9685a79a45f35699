package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const good = `{"Action":"start","Package":"p"}
{"Action":"output","Package":"p","Test":"TestA","Output":"chatter\n"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestB","Output":"no curl\n"}
{"Action":"skip","Package":"p","Test":"TestB"}
{"Action":"pass","Package":"p","Elapsed":1.5}
{"Action":"skip","Package":"empty"}
`

const red = `{"Action":"output","Package":"q","Test":"TestC","Output":"got 1, want 2\n"}
{"Action":"fail","Package":"q","Test":"TestC"}
{"Action":"fail","Package":"q"}
`

const broken = `{"Action":"build-output","ImportPath":"r","Output":"r.go:1: syntax error\n"}
{"Action":"fail","Package":"r"}
`

func TestTally(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, in, want, no string
		fails              bool
	}{
		{"green", good, "unit: 1 passed, 0 failed, 1 skipped\n", "chatter", false},
		{"red", good + red, "got 1, want 2\n", "chatter", true},
		{"red counts the package once", red, "unit: 0 passed, 1 failed", "", true},
		{"does not build", broken, "syntax error", "", true},
		{"does not build counts", good + broken, "unit: 1 passed, 1 failed", "", true},
		{"cut off", good + `{"Action":"start","Package":"s"}` + "\n", "FAIL  s was cut off", "", true},
		{"no test", "", "unit: 0 passed", "", true},
		{"not JSON is shown", "go: no such tool\n" + good, "go: no such tool\n", "", false},
	} {
		var out strings.Builder
		err := tally(strings.NewReader(c.in), &out, "unit", "", false)
		if (err != nil) != c.fails {
			t.Errorf("%s: error %v, want one: %v", c.name, err, c.fails)
		}
		if !strings.Contains(out.String(), c.want) || c.no != "" && strings.Contains(out.String(), c.no) {
			t.Errorf("%s: got %q, want %q and not %q", c.name, out.String(), c.want, c.no)
		}
	}
}

func TestLogs(t *testing.T) {
	t.Parallel()
	in := `{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:1: seed 1\n"}` + "\n" + good
	for logs, want := range map[bool]bool{true: true, false: false} {
		var out strings.Builder
		if err := tally(strings.NewReader(in), &out, "unit", "", logs); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(out.String(), "seed 1\n"); got != want || strings.Contains(out.String(), "chatter") {
			t.Errorf("logs %v: got %q", logs, out.String())
		}
	}
}

func TestClosing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	counts, skips := filepath.Join(dir, "counts"), filepath.Join(dir, "skips")
	var out strings.Builder
	for _, stage := range []string{"unit", "race"} {
		if err := tally(strings.NewReader(good), &out, stage, counts, false); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(skips, []byte("TestB: no curl\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	if err := closing(&out, counts, skips); err != nil {
		t.Errorf("green run: %v", err)
	}
	want := "TestB: no curl\n\n2 passed, 0 failed, 2 skipped\n"
	if !strings.HasSuffix(out.String(), want) {
		t.Errorf("got %q, want it to end with %q", out.String(), want)
	}

	if err := tally(strings.NewReader(red), &out, "crash", counts, false); err == nil {
		t.Error("a red stage was taken for green")
	}
	out.Reset()
	if err := closing(&out, counts, skips); err == nil || !strings.HasSuffix(out.String(), "2 passed, 1 failed, 2 skipped\n") {
		t.Errorf("red run: got %q, %v", out.String(), err)
	}
	if err := closing(&out, filepath.Join(dir, "none"), skips); err == nil {
		t.Error("no counts were taken for green")
	}
}
