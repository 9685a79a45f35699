package audit

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHeads(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var want []Head
	for i, node := range []string{"a", "b", "a", "a"} { // a starts three times
		l, err := Open(Config{Dir: dir, Key: testKey, Node: node, Epoch: int64(i + 1)})
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Append(t.Context(), Record{Event: "attempt"}); err != nil {
			t.Fatal(err)
		}
		heads, err := Heads(dir, testKey) // while it runs
		if err != nil || len(heads) != min(i+1, 2) {
			t.Fatalf("got %v, %v", heads, err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	r, err := Verify(dir, testKey)
	if err != nil || r.Bad != nil {
		t.Fatal(err, r.Bad)
	}
	want = []Head{r.Heads[1], r.Heads[0]}
	got, err := Heads(dir, testKey)
	if err != nil || !cmp.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	// A checkpoint finds a cut end, and one that still holds is no trouble.
	if r, err := Verify(dir, testKey, got...); err != nil || r.Bad != nil {
		t.Errorf("whole log: %v, %v", err, r.Bad)
	}
	cut := filepath.Join(dir, got[1].File)
	if err := os.Truncate(cut, got[1].End-1); err != nil {
		t.Fatal(err)
	}
	if r, err := Verify(dir, testKey); err != nil || r.Bad != nil || len(r.Crashes) != 1 {
		t.Errorf("cut, without a checkpoint: %v, %+v", err, r)
	}
	r, err = Verify(dir, testKey, got...)
	if err != nil || r.Bad == nil || !strings.Contains(r.Bad.Why, "cut off") {
		t.Errorf("cut: %v, %v", err, r.Bad)
	}
	// A log that is damaged has no head to be kept.
	data, err := os.ReadFile(filepath.Join(dir, got[0].File))
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-20] ^= 1
	if err := os.WriteFile(filepath.Join(dir, got[0].File), data, 0o600); err != nil {
		t.Fatal(err)
	}
	if h, err := Heads(dir, testKey); err == nil {
		t.Errorf("damaged: got %v", h)
	}
}

func TestParseCheckpoint(t *testing.T) {
	t.Parallel()
	h := Head{File: "local-000002-0001.jsonl", Seq: 7, End: 1234, MAC: MAC{1, 2, 3}}
	other := Head{File: "b-000001-0003.jsonl", Seq: 1, End: 9}
	for name, in := range map[string]string{
		"lines": "# audit checkpoint\n" + h.String() + "\n\n  " + other.String() + "  \r\n",
		"json":  `{"time":"2026-11-25T10:00:00Z","heads":[{"file":"local-000002-0001.jsonl","seq":7,"mac":"` + h.MAC.String() + `","end":1234},{"file":"b-000001-0003.jsonl","seq":1,"mac":"` + other.MAC.String() + `","end":9}]}`,
	} {
		if got, err := ParseCheckpoint([]byte(in)); err != nil || !cmp.Equal(got, []Head{h, other}) {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
	for _, in := range []string{
		"", "# nothing\n", "{}", "{", "[]", `{"heads":[{"file":"x"}]}`, "a b c d", h.String() + " more", "x.jsonl 1 2 " + h.MAC.String(),
		"local-000002-0001.jsonl 0 2 " + h.MAC.String(), "local-000002-0001.jsonl 1 -2 " + h.MAC.String(), "local-000002-0001.jsonl 1 2 00",
		strings.Repeat("#", MaxCheckpoint+1),
	} {
		if got, err := ParseCheckpoint([]byte(in)); !errors.Is(err, ErrCheckpoint) {
			t.Errorf("%.40q: got %v, %v", in, got, err)
		}
	}
}

func FuzzParseCheckpoint(f *testing.F) {
	f.Add([]byte("# x\nlocal-000002-0001.jsonl 7 1234 " + MAC{}.String()))
	f.Add([]byte(`{"heads":[{"file":"local-000001-0001.jsonl","seq":1,"mac":"` + MAC{}.String() + `","end":9}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		heads, err := ParseCheckpoint(data)
		if err != nil {
			return
		}
		var text strings.Builder
		for _, h := range heads {
			text.WriteString(h.String() + "\n")
		}
		if text.Len() > MaxCheckpoint {
			return
		}
		again, err := ParseCheckpoint([]byte(text.String()))
		if err != nil || !cmp.Equal(again, heads) {
			t.Fatalf("%v reads as %v, %v", heads, again, err)
		}
	})
}
