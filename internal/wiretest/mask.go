package wiretest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Drawn describes values that differ from run to run: tokens, ids, dates. In a
// transcript a stand-in takes the place of each, the same one wherever the value
// comes up.
type Drawn struct {
	Name string
	// Find returns the values that a message shows, first one first.
	Find func(message string) []string
	// As are the stand-ins, in the order in which values come up, for values whose
	// form matters to who reads them. Left out, they are {Name-1}, {Name-2}...
	As []string
	// Alike gives all values the first stand-in. A message that says it back is
	// taken to mean the value that came up last.
	Alike bool
}

// Pattern returns a Find that takes what re matches, or its first group.
func Pattern(re *regexp.Regexp) func(string) []string {
	return func(message string) []string {
		var found []string
		for _, m := range re.FindAllStringSubmatch(message, -1) {
			found = append(found, m[min(1, len(m)-1)])
		}
		return found
	}
}

// masks are the values of one run, and what stands for them.
type masks struct {
	drawn []Drawn
	next  []int             // by drawn: how many stand-ins are taken
	of    map[string]string // value → stand-in
	last  map[string]string // stand-in → value
}

func newMasks(drawn []Drawn) *masks {
	return &masks{drawn: drawn, next: make([]int, len(drawn)), of: map[string]string{}, last: map[string]string{}}
}

// learn takes note of the values that a message shows. In a message out of a
// transcript a stand-in may be found in the place of a value: it stands for itself.
func (m *masks) learn(message string) error {
	for i, d := range m.drawn {
		for _, v := range d.Find(message) {
			if _, known := m.of[v]; known || v == "" || m.last[v] != "" {
				continue
			}
			as, err := d.standIn(m.next[i])
			if err != nil {
				return err
			}
			m.next[i]++
			m.of[v], m.last[as] = as, v
		}
	}
	return nil
}

func (d Drawn) standIn(n int) (string, error) {
	switch {
	case d.Alike:
		n = 0
		fallthrough
	case len(d.As) > 0:
		if n >= len(d.As) {
			return "", fmt.Errorf("transcript: %s comes up with more than %d values, and no stand-in is left", d.Name, n)
		}
		return d.As[n], nil
	}
	return "{" + d.Name + "-" + strconv.Itoa(n+1) + "}", nil
}

// mask puts stand-ins in the place of values, reveal values in that of stand-ins.
func (m *masks) mask(message string) string   { return swap(message, m.of) }
func (m *masks) reveal(message string) string { return swap(message, m.last) }

// swap replaces in head and body, as they are and as JSON and URLs write them, and
// keeps Content-Length true.
func swap(message string, pairs map[string]string) string {
	var list [][2]string
	for from, to := range pairs {
		list = append(list, [2]string{from, to})
		for _, form := range []func(string) string{quoted, url.QueryEscape, url.PathEscape} {
			if form(from) != from {
				list = append(list, [2]string{form(from), form(to)})
			}
		}
	}
	// The longest first: one value may begin with another.
	slices.SortFunc(list, func(a, b [2]string) int {
		return cmp.Or(len(b[0])-len(a[0]), strings.Compare(a[0], b[0]), strings.Compare(a[1], b[1]))
	})
	var flat []string
	for _, p := range list {
		flat = append(flat, p[0], p[1])
	}
	r := strings.NewReplacer(flat...)
	head, body, _ := strings.Cut(message, "\n\n")
	swapped := r.Replace(body)
	head = r.Replace(head)
	if body != "" {
		head = contentLength.ReplaceAllStringFunc(head, func(line string) string {
			if line != "\nContent-Length: "+strconv.Itoa(len(body)) {
				return line
			}
			return "\nContent-Length: " + strconv.Itoa(len(swapped))
		})
	}
	return head + "\n\n" + swapped
}

var contentLength = regexp.MustCompile(`\nContent-Length: [0-9]+`)

// quoted is s inside a string of JSON.
func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return s
	}
	return inside(string(b))
}
