package interop

import (
	"fmt"
	"slices"
	"strings"
)

// A Row is one thing that was tried: one line of docs/compatibility.md.
type Row struct {
	Client  string // name of the package or program
	Version string // as the installed client tells it
	Device  string // what answered in the end
	Way     string // direct, or gateway: what lies between client and device
	What    string // what the client did
	Result  string // "pass", or the reason why not
}

// unpinned are the clients that come with the machine, not from
// requirements.txt: their version is told, not compared.
var unpinned = []string{"curl", "openssl"}

// key is the row without what may differ from machine to machine.
func (r Row) key() string {
	if slices.Contains(unpinned, r.Client) {
		r.Version = ""
	}
	return r.line()
}

func (r Row) line() string {
	cells := []string{r.Client, r.Version, r.Device, r.Way, r.What, r.Result}
	for i, c := range cells {
		cells[i] = strings.ReplaceAll(strings.ReplaceAll(c, "|", "\\|"), "\n", " ")
	}
	return "| " + strings.Join(cells, " | ") + " |"
}

const tableHead = "| client | version | device | way | what | result |\n|---|---|---|---|---|---|\n"

// Table renders the rows, sorted, as a Markdown table.
func Table(rows []Row) string {
	lines := make([]string, 0, len(rows))
	for _, r := range rows {
		lines = append(lines, r.line())
	}
	slices.Sort(lines)
	return tableHead + strings.Join(lines, "\n") + "\n"
}

// ParseTable reads the rows back from a page that holds such a table.
func ParseTable(page string) ([]Row, error) {
	_, body, found := strings.Cut(page, tableHead)
	if !found {
		return nil, fmt.Errorf("interop: the page holds no table of results")
	}
	var rows []Row
	for line := range strings.Lines(body) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			break
		}
		cells := splitCells(line)
		if len(cells) != 6 {
			return nil, fmt.Errorf("interop: %d cells, want 6: %s", len(cells), line)
		}
		rows = append(rows, Row{cells[0], cells[1], cells[2], cells[3], cells[4], cells[5]})
	}
	return rows, nil
}

func splitCells(line string) []string {
	const bar = "\x00"
	line = strings.ReplaceAll(line, "\\|", bar)
	cells := strings.Split(strings.Trim(line, "|"), "|")
	for i, c := range cells {
		cells[i] = strings.ReplaceAll(strings.TrimSpace(c), bar, "|")
	}
	return cells
}

// PageOnly begins a difference that is a row of the page and not of the run.
const PageOnly = "in the page only: "

// Differences says which rows of a page are missing from a run and which are
// new in it; dates, and versions of clients that the machine brought, are left
// apart.
func Differences(page, run []Row) []string {
	var out []string
	out = append(out, missing(page, run, PageOnly)...)
	return append(out, missing(run, page, "in this run only: ")...)
}

func missing(a, b []Row, label string) []string {
	have := map[string]bool{}
	for _, r := range b {
		have[r.key()] = true
	}
	var out []string
	for _, r := range a {
		if !have[r.key()] {
			out = append(out, label+r.line())
		}
	}
	slices.Sort(out)
	return out
}
