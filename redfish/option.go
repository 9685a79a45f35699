package redfish

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// maxExpand is how many levels $expand goes: further down there is nothing
// that a client could not ask for by itself.
const maxExpand = 3

// maxSelected bounds the properties in a $select.
const maxSelected = 64

// queryOptions are the query parameters of one request.
type queryOptions struct {
	only      bool
	filter    *filter
	skip, top int  // top 0: all
	paged     bool // skip or top was there
	expand    byte // '.', '~', '*'; 0: nothing
	levels    int
	selected  selection // nil: everything
}

// collection reports whether there is a parameter that collections alone know.
func (o queryOptions) collection() bool { return o.only || o.filter != nil || o.paged }

// asksRedfish reports whether a parameter is there that has a meaning in Redfish.
func asksRedfish(params []parameter) bool {
	return slices.ContainsFunc(params, func(p parameter) bool {
		return strings.HasPrefix(p.name, "$") || p.name == "only" || p.name == "excerpt"
	})
}

// readOptions reads the parameters. An error is a Problem with 400 or 501.
func readOptions(params []parameter) (queryOptions, error) {
	var o queryOptions
	seen := map[string]bool{}
	for _, p := range params {
		if !asksRedfish([]parameter{p}) {
			continue
		}
		if seen[p.name] {
			return o, Ambiguous("the query holds " + p.name + " twice")
		}
		seen[p.name] = true
		if err := o.read(p); err != nil {
			return o, err
		}
	}
	delete(seen, "excerpt") // of which nothing is known here
	if o.only && len(seen) > 1 {
		return o, &Problem{Status: http.StatusBadRequest, Key: keyQueryCombinationInvalid}
	}
	return o, nil
}

func (o *queryOptions) read(p parameter) (err error) {
	switch p.name {
	case "only", "excerpt":
		if p.assigned {
			return &Problem{Status: http.StatusBadRequest, Key: keyQueryParameterValueError, Args: []string{p.name}}
		}
		o.only = o.only || p.name == "only"
	case "$filter":
		o.filter, err = parseFilter(p.value)
	case "$skip":
		o.paged = true
		o.skip, err = number(p, 0)
	case "$top":
		o.paged = true
		o.top, err = number(p, 1)
	case "$expand":
		o.expand, o.levels, err = readExpand(p)
	case "$select":
		o.selected, err = readSelect(p)
	default:
		err = unsupportedParameter(p.name, "")
	}
	return err
}

// number reads a whole number from low on. What no collection can have is as
// good as the most that one can.
func number(p parameter, low int) (int, error) {
	n, err := strconv.ParseInt(p.value, 10, 32)
	switch {
	case p.value == "" || strings.Trim(strings.TrimPrefix(p.value, "-"), "0123456789") != "":
		return 0, badValue(p.name, p.value)
	case err != nil || int(n) < low:
		return 0, outOfRange(p, strconv.Itoa(low)+" to 2147483647")
	}
	return int(n), nil
}

func outOfRange(p parameter, bounds string) error {
	value := p.value
	if len(value) > maxShown {
		value = "..."
	}
	return &Problem{Status: http.StatusBadRequest, Key: keyQueryParameterOutOfRange, Args: []string{value, p.name, bounds}}
}

var expandPattern = regexp.MustCompile(`^([*.~])(?:\(\$levels=([0-9]+)\))?$`)

func readExpand(p parameter) (which byte, levels int, err error) {
	m := expandPattern.FindStringSubmatch(p.value)
	if m == nil {
		return 0, 0, badValue(p.name, p.value)
	}
	if m[2] == "" {
		return m[1][0], 1, nil
	}
	levels, err = strconv.Atoi(m[2])
	if err != nil || levels < 1 || levels > maxExpand {
		return 0, 0, outOfRange(p, "$levels=1 to $levels="+strconv.Itoa(maxExpand))
	}
	return m[1][0], levels, nil
}

// A selection is what is wanted of an object: nil is all of it.
type selection map[string]selection

var selectPattern = regexp.MustCompile(`^[@A-Za-z0-9_.#-]+(/[@A-Za-z0-9_.#-]+)*$`)

func readSelect(p parameter) (selection, error) {
	wanted := selection{}
	paths := strings.Split(p.value, ",")
	if len(paths) > maxSelected {
		return nil, badValue(p.name, p.value)
	}
	for _, path := range paths {
		path = strings.TrimSpace(path)
		if !selectPattern.MatchString(path) {
			return nil, badValue(p.name, p.value)
		}
		wanted.add(strings.Split(path, "/"))
	}
	return wanted, nil
}

func (s selection) add(path []string) {
	sub, there := s[path[0]]
	switch {
	case there && sub == nil: // all of it already
	case len(path) == 1:
		s[path[0]] = nil
	default:
		if sub == nil {
			sub = selection{}
			s[path[0]] = sub
		}
		sub.add(path[1:])
	}
}

// alwaysShown are members that a $select cannot leave out (DSP0266 1.20.0, 7.3.3).
var alwaysShown = []string{"@odata.id", "@odata.type", "@odata.context", "@odata.etag"}

// appendSelected appends what is selected of a value; of an array that of each
// element. The annotations of a member go with it.
func appendSelected(out, v []byte, wanted selection) []byte {
	switch {
	case wanted == nil:
		return append(out, v...)
	case v[0] == '[':
		out = append(out, '[')
		n := 0
		for element := range elementsOf(v) {
			if n++; n > 1 {
				out = append(out, ',')
			}
			out = appendSelected(out, element, wanted)
		}
		return append(out, ']')
	case v[0] != '{':
		return append(out, v...)
	}
	out = append(out, '{')
	for raw, value := range membersOf(v) {
		name := unquote(raw)
		sub, there := wanted[name]
		if !there {
			about, _, annotation := strings.Cut(name, "@")
			_, there = wanted[about]
			there = annotation && there || slices.Contains(alwaysShown, name)
		}
		if there {
			out = appendSelected(appendMember(out, raw, nil), value, sub)
		}
	}
	return append(out, '}')
}
