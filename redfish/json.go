package redfish

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxDepth bounds how deep JSON may nest. Redfish payloads stay below 20.
const maxDepth = 64

// What is wrong with a JSON text.
var (
	errNotUTF8   = errors.New("not UTF-8")
	errSyntax    = errors.New("not JSON")
	errTooDeep   = fmt.Errorf("nested deeper than %d", maxDepth)
	errNotObject = errors.New("not a JSON object")
)

// duplicateError names a member that an object holds twice, letter case aside.
type duplicateError string

func (e duplicateError) Error() string { return fmt.Sprintf("duplicate member %q", string(e)) }

// An object is the top level of a JSON object: names as written after
// unescaping, in order, and the exact bytes of the values.
type object struct {
	members []member
	end     int // offset of the closing brace
}

type member struct {
	name       string
	value      json.RawMessage
	start, end int // offsets of the value
}

// get returns the value of the member with exactly this name, or nil.
func (o object) get(name string) json.RawMessage {
	for _, m := range o.members {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// decodeObject reads a JSON object strictly, so that no other reader of the
// same bytes can understand something else: UTF-8, no surrogate halves, no
// member twice at any depth even when the letter case differs (Go's own
// decoder matches names without case and lets the last one win), bounded
// depth, nothing behind the object. The caller bounds the size.
func decodeObject(data []byte) (object, error) {
	switch {
	case !utf8.Valid(data) || halfSurrogate(data):
		return object{}, errNotUTF8
	case !json.Valid(data):
		return object{}, errSyntax
	}
	if err := checkTree(data); err != nil {
		return object{}, err
	}
	if !isObject(data) {
		return object{}, errNotObject
	}
	return topLevel(data)
}

// isObject reports whether data, known or not to be JSON, begins like an object.
func isObject(data []byte) bool {
	data = bytes.TrimLeft(data, " \t\r\n")
	return len(data) > 0 && data[0] == '{' && json.Valid(data)
}

// checkTree looks for depth and duplicates in valid JSON.
func checkTree(data []byte) error {
	type level struct {
		names map[string]bool // nil in an array
		key   bool            // the next string is a name
	}
	var stack []level
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	for {
		tok, err := dec.Token()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return errSyntax
		}
		if name, ok := tok.(string); ok && len(stack) > 0 && stack[len(stack)-1].key {
			top := &stack[len(stack)-1]
			f := fold(name)
			if top.names[f] {
				return duplicateError(name)
			}
			top.names[f] = true
			top.key = false
			continue
		}
		switch tok {
		case json.Delim('{'), json.Delim('['):
			if len(stack) == maxDepth {
				return errTooDeep
			}
			l := level{}
			if tok == json.Delim('{') {
				l = level{names: map[string]bool{}, key: true}
			}
			stack = append(stack, l)
			continue
		case json.Delim('}'), json.Delim(']'):
			stack = stack[:len(stack)-1]
		}
		// A value ended; in an object a name follows.
		if len(stack) > 0 && stack[len(stack)-1].names != nil {
			stack[len(stack)-1].key = true
		}
	}
}

// topLevel splits a valid object into its members.
func topLevel(data []byte) (object, error) {
	var o object
	dec := json.NewDecoder(bytes.NewReader(data))
	if _, err := dec.Token(); err != nil {
		return object{}, errSyntax
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return object{}, errSyntax
		}
		var v json.RawMessage
		if err := dec.Decode(&v); err != nil {
			return object{}, errSyntax
		}
		end := int(dec.InputOffset())
		o.members = append(o.members, member{name: name.(string), value: v, start: end - len(v), end: end})
	}
	if _, err := dec.Token(); err != nil {
		return object{}, errSyntax
	}
	o.end = int(dec.InputOffset()) - 1
	return o, nil
}

// fold maps names that differ only in letter case, in Unicode's sense, to one.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, s)
}

// halfSurrogate reports whether an escape in data names half of a surrogate
// pair: readers disagree about what that is.
func halfSurrogate(data []byte) bool {
	for i := 0; i+1 < len(data); i++ {
		if data[i] != '\\' {
			continue
		}
		i++
		if data[i] != 'u' {
			continue
		}
		r, ok := hex4(data[i+1:])
		i += 4
		switch {
		case !ok || r < 0xD800 || r > 0xDFFF:
		case r >= 0xDC00:
			return true
		default:
			if i+2 >= len(data) || data[i+1] != '\\' || data[i+2] != 'u' {
				return true
			}
			low, ok := hex4(data[i+3:])
			if !ok || low < 0xDC00 || low > 0xDFFF {
				return true
			}
			i += 6
		}
	}
	return false
}

func hex4(b []byte) (rune, bool) {
	if len(b) < 4 {
		return 0, false
	}
	var r rune
	for _, c := range b[:4] {
		n, ok := unhex(c)
		if !ok {
			return 0, false
		}
		r = r<<4 | rune(n)
	}
	return r, true
}

func unhex(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// BodyMembers returns the top-level member names of a request body that a
// decision is to be made on. The caller bounds the size. An error is a Problem
// with status 400: not UTF-8, not JSON, not an object, too deep, or a member
// twice.
func BodyMembers(body []byte) ([]string, error) {
	o, err := decodeObject(body)
	if err != nil {
		return nil, bodyProblem(err)
	}
	names := make([]string, 0, len(o.members))
	for _, m := range o.members {
		names = append(names, m.name)
	}
	return names, nil
}

// bodyProblem is the answer to a body that decodeObject refused.
func bodyProblem(err error) error {
	p := &Problem{Status: http.StatusBadRequest, Key: keyMalformedJSON, Err: err}
	var dup duplicateError
	switch {
	case errors.As(err, &dup):
		p.Key, p.Args = keyPropertyDuplicate, []string{string(dup)}
	case errors.Is(err, errNotObject):
		p.Key = keyUnrecognizedRequestBody
	}
	return p
}

// stringMember returns a member that must be a string. ok is false when it is
// absent; an error says that it is something else, null included.
func (o object) stringMember(name string) (s string, ok bool, err error) {
	raw := o.get(name)
	if raw == nil {
		return "", false, nil
	}
	if raw[0] != '"' || json.Unmarshal(raw, &s) != nil {
		return "", true, fmt.Errorf("%s is not a string", name)
	}
	return s, true, nil
}

// text returns a member that is a string, or "" for whatever else: the reading
// of answers, where a member of the wrong type is as good as none.
func (o object) text(name string) string {
	s, _, err := o.stringMember(name)
	if err != nil {
		return ""
	}
	return s
}

// sub returns a member that is an object, or an empty one.
func (o object) sub(name string) object {
	raw := o.get(name)
	if raw == nil || raw[0] != '{' {
		return object{}
	}
	s, err := topLevel(raw)
	if err != nil {
		return object{}
	}
	return s
}
