package redfish

import (
	"bytes"
	"encoding/json"
	"iter"
	"strings"
)

// The functions below take valid JSON (json.Valid) apart without making a copy
// of it. A value is given without white space around it.

// wholeValue returns the one value of a valid JSON text.
func wholeValue(data []byte) []byte { return bytes.Trim(data, " \t\r\n") }

// membersOf yields the members of an object: the names as they are written,
// quotes included, and the values. Nothing for nil and for what is no object.
func membersOf(v []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		if len(v) == 0 || v[0] != '{' {
			return
		}
		for i := skipSpace(v, 1); v[i] != '}'; {
			end := skipString(v, i)
			name := v[i:end]
			start := skipSpace(v, skipSpace(v, end)+1) // past the colon
			i = skipValue(v, start)
			if !yield(name, v[start:i]) {
				return
			}
			if i = skipSpace(v, i); v[i] == ',' {
				i = skipSpace(v, i+1)
			}
		}
	}
}

// elementsOf yields the elements of an array; nothing for nil and for what is no
// array.
func elementsOf(v []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		if len(v) == 0 || v[0] != '[' {
			return
		}
		for i := skipSpace(v, 1); v[i] != ']'; {
			start := i
			i = skipValue(v, start)
			if !yield(v[start:i]) {
				return
			}
			if i = skipSpace(v, i); v[i] == ',' {
				i = skipSpace(v, i+1)
			}
		}
	}
}

// lookUp returns the member of an object, or nil.
func lookUp(v []byte, name string) []byte {
	for n, value := range membersOf(v) {
		if unquote(n) == name {
			return value
		}
	}
	return nil
}

// referenceTo returns the path of a value that is a reference to a resource of
// this service and nothing else, or "".
func referenceTo(v []byte) string {
	uri := ""
	for name, value := range membersOf(v) {
		if uri != "" || unquote(name) != "@odata.id" || value[0] != '"' {
			return ""
		}
		if uri = unquote(value); uri == "" {
			return ""
		}
	}
	if !strings.HasPrefix(uri, rootURI) {
		return ""
	}
	return uri
}

// unquote returns the string of a JSON string, "" for what cannot be read.
func unquote(v []byte) string {
	if bytes.IndexByte(v, '\\') < 0 {
		return string(v[1 : len(v)-1])
	}
	var s string
	if json.Unmarshal(v, &s) != nil {
		return ""
	}
	return s
}

func skipSpace(v []byte, i int) int {
	for v[i] == ' ' || v[i] == '\t' || v[i] == '\n' || v[i] == '\r' {
		i++
	}
	return i
}

// skipString returns the index behind the string that begins at v[i].
func skipString(v []byte, i int) int {
	for i++; v[i] != '"'; i++ {
		if v[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// skipValue returns the index behind the value that begins at v[i].
func skipValue(v []byte, i int) int {
	switch v[i] {
	case '"':
		return skipString(v, i)
	case '{', '[':
	default: // a scalar ends where something else begins, or with the text
		for i < len(v) && bytes.IndexByte([]byte(" \t\r\n,]}"), v[i]) < 0 {
			i++
		}
		return i
	}
	for depth := 0; ; {
		switch v[i] {
		case '"':
			i = skipString(v, i)
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
		i++
	}
}
