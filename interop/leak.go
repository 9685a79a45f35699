package interop

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Leak is what `postern leakcheck` saw of a client: one line of
// docs/leakcheck.md.
type Leak struct {
	Client  string
	Version string
	What    string // what the client was told to do
	Logins  int    // sessions that it made
	Left    int    // of them, when it had ended
	Double  int    // requests with two credentials
	Wrong   int    // times that the wrong password went out
	Unknown int    // requests with a credential to a device it could not know
}

func (l Leak) line() string {
	cells := []string{l.Client, l.Version, l.What}
	for _, n := range []int{l.Logins, l.Left, l.Double, l.Wrong, l.Unknown} {
		cells = append(cells, strconv.Itoa(n))
	}
	for i, c := range cells {
		cells[i] = strings.ReplaceAll(c, "|", "\\|")
	}
	return "| " + strings.Join(cells, " | ") + " |"
}

const leakHead = "| client | version | what it does | logins | sessions left | two credentials | wrong password sent | to an unknown device |\n" +
	"|---|---|---|---|---|---|---|---|\n"

// LeakTable renders the rows, sorted, as a Markdown table.
func LeakTable(rows []Leak) string {
	var lines []string
	for _, r := range rows {
		lines = append(lines, r.line())
	}
	slices.Sort(lines)
	return leakHead + strings.Join(lines, "\n") + "\n"
}

// LeakDifferences says which lines of a page's table a run did not find and
// which are new in it. The versions of clients that the machine brought are left
// apart.
func LeakDifferences(page string, run []Leak) ([]string, error) {
	_, body, found := strings.Cut(page, leakHead)
	if !found {
		return nil, fmt.Errorf("interop: the page holds no table of leakcheck")
	}
	there := map[string]bool{}
	for line := range strings.Lines(body) {
		if !strings.HasPrefix(line, "|") {
			break
		}
		there[leakKey(strings.TrimSpace(line))] = true
	}
	var out []string
	for _, r := range run {
		if key := leakKey(r.line()); there[key] {
			delete(there, key)
		} else {
			out = append(out, "in this run only: "+r.line())
		}
	}
	for line := range there {
		out = append(out, PageOnly+line)
	}
	slices.Sort(out)
	return out, nil
}

// leakKey is a line without what may differ from machine to machine.
func leakKey(line string) string {
	cells := splitCells(line)
	if len(cells) > 1 && slices.Contains(unpinned, cells[0]) {
		cells[1] = ""
	}
	return strings.Join(cells, "|")
}
