package sim

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// Resources are kept as the bytes they were read as, and a change replaces the
// bytes of one value: the rest of a document stays as somebody wrote it, with
// its order, its spacing and its numbers. The functions below never change the
// slice they are given. They take valid JSON (json.Valid, after trimBOM).

// A part is one member of an object or one element of an array.
type part struct {
	name       string // decoded; empty in an array
	from, to   int    // what lies between the separators, white space included
	start, end int    // the value
}

// parts returns the parts of the object or array that begins at raw[at], and
// the index of its closing bracket.
func parts(raw []byte, at int) (ps []part, closing int) {
	object := raw[at] == '{'
	i := at + 1
	for {
		p := part{from: i}
		i = skipSpace(raw, i)
		if raw[i] == '}' || raw[i] == ']' { // empty: valid JSON has no comma before it
			return ps, i
		}
		if object {
			end := skipString(raw, i)
			p.name = unquote(raw[i:end])
			i = skipSpace(raw, skipSpace(raw, end)+1) // past the colon
		}
		p.start = i
		p.end = skipValue(raw, i)
		p.to = skipSpace(raw, p.end)
		ps = append(ps, p)
		if raw[p.to] != ',' {
			return ps, p.to
		}
		i = p.to + 1
	}
}

// partsOf returns the parts of v, an object or array and nothing else.
func partsOf(v []byte) []part {
	ps, _ := parts(v, 0)
	return ps
}

// lookup returns the bytes of the value that path leads to, nil where there is
// none. Elements of arrays are named by their index. Of two members of one
// name the last counts, as for encoding/json.
func lookup(raw []byte, path ...string) []byte {
	at, end := locate(raw, path)
	if at < 0 {
		return nil
	}
	return raw[at:end]
}

func locate(raw []byte, path []string) (start, end int) {
	start = skipSpace(raw, 0)
	end = skipValue(raw, start)
	for _, name := range path {
		if raw[start] != '{' && raw[start] != '[' {
			return -1, -1
		}
		ps, _ := parts(raw, start)
		p := pick(ps, name, raw[start] == '[')
		if p == nil {
			return -1, -1
		}
		start, end = p.start, p.end
	}
	return start, end
}

func pick(ps []part, name string, array bool) *part {
	if array {
		n, err := strconv.Atoi(name)
		if err != nil || n < 0 || n >= len(ps) {
			return nil
		}
		return &ps[n]
	}
	for i := len(ps) - 1; i >= 0; i-- {
		if ps[i].name == name {
			return &ps[i]
		}
	}
	return nil
}

// put returns raw with value at path. A last member that is not there is added
// at the end of its object; where path leads nowhere else, raw is returned as it is.
func put(raw, value []byte, path ...string) []byte {
	if at, end := locate(raw, path); at >= 0 {
		return splice(raw, at, end, value)
	}
	if len(path) == 0 {
		return raw
	}
	at, _ := locate(raw, path[:len(path)-1])
	if at < 0 || raw[at] != '{' {
		return raw
	}
	name, err := json.Marshal(path[len(path)-1])
	if err != nil {
		return raw
	}
	ps, closing := parts(raw, at)
	if len(ps) == 0 {
		return splice(raw, closing, closing, bytes.Join([][]byte{name, value}, []byte(": ")))
	}
	last := ps[len(ps)-1]
	indent := raw[last.from:skipSpace(raw, last.from)]
	added := bytes.Join([][]byte{[]byte(","), indent, name, []byte(": "), value}, nil)
	return splice(raw, last.end, last.end, added)
}

// putValue is put with a Go value that encoding/json can encode.
func putValue(raw []byte, v any, path ...string) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		return raw
	}
	return put(raw, b, path...)
}

// merge puts every member of the object change into the object raw; objects
// are merged member by member, all else is replaced.
func merge(raw, change []byte) []byte {
	ps, _ := parts(change, skipSpace(change, 0))
	for _, p := range ps {
		v := change[p.start:p.end]
		if old := lookup(raw, p.name); isObject(old) && isObject(v) {
			v = merge(old, v)
		}
		raw = put(raw, v, p.name)
	}
	return raw
}

// cut returns raw without the members of that name, at whatever depth; where
// there is none, the very same bytes.
func cut(raw []byte, name string) []byte {
	at := skipSpace(raw, 0)
	out := append(make([]byte, 0, len(raw)), raw[:at]...)
	out = appendCut(out, raw, at, name, true)
	return append(out, raw[skipValue(raw, at):]...)
}

// cutTop is cut for the members of the outermost object alone.
func cutTop(raw []byte, name string) []byte {
	at := skipSpace(raw, 0)
	return appendCut(nil, raw, at, name, false)
}

func appendCut(out, raw []byte, at int, name string, deep bool) []byte {
	if raw[at] != '{' && raw[at] != '[' {
		return append(out, raw[at:skipValue(raw, at)]...)
	}
	ps, closing := parts(raw, at)
	out = append(out, raw[at])
	if len(ps) == 0 {
		return append(out, raw[at+1:closing+1]...)
	}
	last := -1
	for i, p := range ps {
		if raw[at] == '{' && p.name == name {
			continue
		}
		if last >= 0 {
			out = append(out, raw[ps[last].end:ps[last].to]...)
			out = append(out, ',')
		}
		out = append(out, raw[p.from:p.start]...)
		if deep {
			out = appendCut(out, raw, p.start, name, true)
		} else {
			out = append(out, raw[p.start:p.end]...)
		}
		last = i
	}
	if last >= 0 { // the bracket keeps the place it had
		tail := ps[len(ps)-1]
		out = append(out, raw[tail.end:tail.to]...)
	}
	return append(out, raw[closing])
}

func splice(raw []byte, from, to int, insert []byte) []byte {
	out := make([]byte, 0, len(raw)-(to-from)+len(insert))
	out = append(out, raw[:from]...)
	out = append(out, insert...)
	return append(out, raw[to:]...)
}

func isObject(v []byte) bool { return len(v) > 0 && v[0] == '{' }

var bom = []byte("\xef\xbb\xbf")

// trimBOM returns raw without a byte order mark, which some tools put before
// their JSON and encoding/json does not take.
func trimBOM(raw []byte) []byte { return bytes.TrimPrefix(raw, bom) }

func skipSpace(raw []byte, i int) int {
	for i < len(raw) && (raw[i] == ' ' || raw[i] == '\t' || raw[i] == '\n' || raw[i] == '\r') {
		i++
	}
	return i
}

// skipString returns the index after the string that begins at raw[i].
func skipString(raw []byte, i int) int {
	for i++; raw[i] != '"'; i++ {
		if raw[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// skipValue returns the index after the value that begins at raw[i].
func skipValue(raw []byte, i int) int {
	depth := 0
	for i < len(raw) {
		switch raw[i] {
		case '"':
			i = skipString(raw, i)
		case '{', '[':
			depth++
			i++
		case '}', ']':
			depth--
			i++
		case ' ', '\t', '\n', '\r', ',', ':':
			i++
			continue
		default:
			for i < len(raw) && !endsScalar(raw[i]) {
				i++
			}
		}
		if depth == 0 {
			return i
		}
	}
	return i
}

func endsScalar(c byte) bool {
	switch c {
	case ' ', '\t', '\n', '\r', ',', ':', ']', '}':
		return true
	}
	return false
}

func unquote(raw []byte) string {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1])
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}
