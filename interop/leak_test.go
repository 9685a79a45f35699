package interop

import "testing"

func TestLeakDifferences(t *testing.T) {
	t.Parallel()
	rows := []Leak{
		{Client: "sushy", Version: "5.14.0", What: "auto", Logins: 1, Wrong: 2},
		{Client: "curl", Version: "7.88.1", What: "a | b", Logins: 1, Left: 1},
	}
	page := "# Page\n\n" + LeakTable(rows) + "\nwords\n"
	newer := []Leak{rows[0], rows[1]}
	newer[1].Version = "8.14.1"
	pinned := []Leak{rows[0], rows[1]}
	pinned[0].Version = "6.0.0"
	worse := []Leak{rows[0], rows[1]}
	worse[0].Left = 1
	for name, c := range map[string]struct {
		run  []Leak
		want int
	}{
		"equal": {rows, 0}, "another curl": {newer, 0}, "another pinned version": {pinned, 2},
		"another number": {worse, 2}, "a row is missing": {rows[:1], 1}, "nothing ran": {nil, 2},
	} {
		if got, err := LeakDifferences(page, c.run); err != nil || len(got) != c.want {
			t.Errorf("%s: got %q, %v, want %d differences", name, got, err, c.want)
		}
	}
	if _, err := LeakDifferences("# Page\n", rows); err == nil {
		t.Error("a page without a table is taken")
	}
}
