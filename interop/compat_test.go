package interop

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var sample = []Row{
	{"sushy", "5.14.0", "sim", "gateway", "session", "pass"},
	{"curl", "7.88.1", "sim", "direct", "a | b", "no: the device has no session service"},
}

func TestTableRoundTrip(t *testing.T) {
	t.Parallel()
	got, err := ParseTable("# Page\n\nwords\n\n" + Table(sample) + "\nmore | words\n")
	if err != nil {
		t.Fatal(err)
	}
	want := []Row{sample[1], sample[0]} // sorted by client
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestParseTableRefuses(t *testing.T) {
	t.Parallel()
	for name, page := range map[string]string{
		"no table":  "# Page\n",
		"few cells": tableHead + "| a | b |\n",
	} {
		if rows, err := ParseTable(page); err == nil {
			t.Errorf("%s: got %q, want an error", name, rows)
		}
	}
}

func TestDifferences(t *testing.T) {
	t.Parallel()
	newer, failing := slices.Clone(sample), slices.Clone(sample)
	newer[1].Version = "8.14.1"
	failing[0].Result = "no: 503"
	pinned := slices.Clone(sample)
	pinned[0].Version = "6.0.0"
	for _, c := range []struct {
		name string
		run  []Row
		want int
	}{
		{"equal", sample, 0},
		{"another curl", newer, 0},
		{"another result", failing, 2},
		{"another pinned version", pinned, 2},
		{"a row is missing", sample[:1], 1},
		{"nothing ran", nil, 2},
	} {
		if got := Differences(sample, c.run); len(got) != c.want {
			t.Errorf("%s: got %q, want %d differences", c.name, got, c.want)
		}
	}
}

func TestNoteSkip(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "skips")
	for range 2 {
		if err := noteSkip(file, "TestX", "no\ncurl"); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil || strings.Count(string(got), "TestX: no curl\n") != 2 {
		t.Errorf("got %q, %v", got, err)
	}
	if err := noteSkip("", "TestX", "why"); err != nil {
		t.Errorf("no file named: %v", err)
	}
}

func FuzzParseTable(f *testing.F) {
	f.Add("x" + Table(sample))
	f.Add(tableHead + "| \\| | | | | | |")
	f.Fuzz(func(t *testing.T, page string) {
		rows, err := ParseTable(page)
		if err != nil || strings.ContainsAny(page, "\x00\\") {
			return
		}
		again, err := ParseTable(Table(rows))
		if err != nil || len(Differences(rows, again)) != 0 {
			t.Errorf("%q became %q, %v", rows, again, err)
		}
	})
}
