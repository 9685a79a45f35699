package redfish

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/postern/postern/auth"
)

// A Body is a JSON object in a request. Its getters return nil for a member
// that is absent, and for one of the wrong type, which Err then tells. All
// problems of a body become one answer: nothing is done, or everything.
type Body struct {
	object  object
	pointer string // of the object in the request's: "#/"
	action  string // the messages are those of an action's parameters
	changes bool   // PATCH and PUT: no member at all is nothing to do
	asked   map[string]bool
	nested  []*Body
	faults  *[]Problem // of the whole request, in the order they were found
}

// ReadObject reads a request's body of at most limit bytes: a JSON object that
// can be read in one way. A POST without a body has an empty one. Errors are
// Problems: 413, 415, 400.
func ReadObject(w http.ResponseWriter, r *http.Request, limit int64) (*Body, error) {
	return readObject(w, r, limit, "")
}

// ReadAction is ReadObject for the parameters of an action, whose name is the
// resource's type and its own: "ManagerAccount.ChangePassword".
func ReadAction(w http.ResponseWriter, r *http.Request, limit int64, action string) (*Body, error) {
	return readObject(w, r, limit, action)
}

func readObject(w http.ResponseWriter, r *http.Request, limit int64, action string) (*Body, error) {
	if r.ContentLength > limit {
		return nil, &Problem{Status: http.StatusRequestEntityTooLarge, Key: keyPayloadTooLarge}
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		return nil, readProblem(err)
	}
	if len(raw) == 0 && r.Method == http.MethodPost {
		raw = []byte("{}")
	} else if !jsonContent(r.Header) {
		return nil, &Problem{Status: http.StatusUnsupportedMediaType, Key: keyHeaderInvalid, Args: []string{"Content-Type"}}
	}
	o, err := decodeObject(raw)
	if err != nil {
		return nil, bodyProblem(err)
	}
	return &Body{
		object: o, pointer: "#/", action: action, asked: map[string]bool{}, faults: new([]Problem),
		changes: r.Method == http.MethodPatch || r.Method == http.MethodPut,
	}, nil
}

// Has reports whether the body has a member of that name, whatever its value.
func (b *Body) Has(name string) bool {
	b.asked[name] = true
	return b.object.get(name) != nil
}

// Names returns the names of the members, in order, annotations left out.
func (b *Body) Names() []string {
	names := []string{}
	for _, m := range b.object.members {
		if !strings.Contains(m.name, "@") {
			names = append(names, m.name)
		}
	}
	return names
}

// get returns a member, or nil where it is absent.
func (b *Body) get(name string) json.RawMessage {
	b.asked[name] = true
	return b.object.get(name)
}

// String returns a member that is a string.
func (b *Body) String(name string) *string {
	raw := b.get(name)
	if raw == nil {
		return nil
	}
	s, _, err := b.object.stringMember(name)
	if err != nil {
		b.wrongType(name, raw)
		return nil
	}
	return &s
}

// Secret returns a member that is a string and must not be shown to anybody.
func (b *Body) Secret(name string) *auth.Secret {
	raw := b.get(name)
	if raw == nil {
		return nil
	}
	s, _, err := b.object.stringMember(name)
	if err != nil {
		b.wrongType(name, nil)
		return nil
	}
	v := auth.NewSecret(s)
	return &v
}

// Bool returns a member that is true or false.
func (b *Body) Bool(name string) *bool {
	raw := b.get(name)
	if raw == nil {
		return nil
	}
	if s := string(raw); s != "true" && s != "false" {
		b.wrongType(name, raw)
		return nil
	}
	v := raw[0] == 't'
	return &v
}

// Int returns a member that is a whole number from low to high.
func (b *Body) Int(name string, low, high int64) *int64 {
	raw := b.get(name)
	if raw == nil {
		return nil
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	switch {
	case !wholeNumber(raw):
		b.wrongType(name, raw)
	case err != nil || n < low || n > high:
		b.fault(keyPropertyValueOutOfRange, keyActionParameterOutOfRange, name, shown(name, raw))
	default:
		return &n
	}
	return nil
}

// wholeNumber reports whether a JSON value is a number without fraction and exponent.
func wholeNumber(raw []byte) bool {
	return len(bytes.Trim(bytes.TrimPrefix(raw, []byte("-")), "0123456789")) == 0
}

// OneOf returns a member that is one of the values.
func (b *Body) OneOf(name string, values ...string) *string {
	s := b.String(name)
	if s == nil || slices.Contains(values, *s) {
		return s
	}
	b.fault(keyPropertyValueNotInList, keyActionParameterValueNotInSet, name, shown(name, b.object.get(name)))
	return nil
}

// Strings returns a member that is an array of strings, of at most limit; nil
// where it is absent, and not nil where it is empty.
func (b *Body) Strings(name string, limit int) []string {
	elements := b.array(name, limit)
	if elements == nil {
		return nil
	}
	list := make([]string, 0, len(elements))
	for _, e := range elements {
		var s string
		if e[0] != '"' || json.Unmarshal(e, &s) != nil {
			b.wrongType(name, e)
			return nil
		}
		list = append(list, s)
	}
	return list
}

// array returns the elements of a member that is an array of at most limit; nil
// where it is absent or something else.
func (b *Body) array(name string, limit int) []json.RawMessage {
	raw := b.get(name)
	if raw == nil {
		return nil
	}
	elements := []json.RawMessage{}
	if raw[0] != '[' || json.Unmarshal(raw, &elements) != nil {
		b.wrongType(name, raw)
		return nil
	}
	if len(elements) > limit {
		b.Fail(keyArraySizeTooLong, name, name, strconv.Itoa(limit))
		return nil
	}
	return elements
}

// Object returns a member that is an object. Its problems are told by the Err
// of the body that it is in.
func (b *Body) Object(name string) *Body {
	raw := b.get(name)
	if raw == nil {
		return nil
	}
	return b.inner(name, raw, escapePointer(name))
}

// Objects returns a member that is an array of objects, of at most limit; nil
// where it is absent, and not nil where it is empty.
func (b *Body) Objects(name string, limit int) []*Body {
	elements := b.array(name, limit)
	if elements == nil {
		return nil
	}
	list := make([]*Body, 0, len(elements))
	for i, e := range elements {
		o := b.inner(name, e, escapePointer(name)+"/"+strconv.Itoa(i))
		if o == nil {
			return nil
		}
		list = append(list, o)
	}
	return list
}

// inner returns raw, which belongs to the member of that name and stands at the
// end of the pointer, as an object; nil where it is none.
func (b *Body) inner(name string, raw []byte, at string) *Body {
	if raw[0] != '{' {
		b.wrongType(name, raw)
		return nil
	}
	o, err := topLevel(raw)
	if err != nil { // it is part of a valid object
		b.wrongType(name, raw)
		return nil
	}
	sub := &Body{object: o, pointer: b.pointer + at + "/", action: b.action, asked: map[string]bool{}, faults: b.faults}
	b.nested = append(b.nested, sub)
	return sub
}

// Reference returns the URI of a member that is a reference to a resource:
// {"@odata.id": "/redfish/v1/..."}.
func (b *Body) Reference(name string) *string {
	raw := b.get(name)
	if raw == nil {
		return nil
	}
	uri := reference(raw)
	if uri == "" {
		b.wrongType(name, raw)
		return nil
	}
	return &uri
}

// Require says that the members must be there.
func (b *Body) Require(names ...string) {
	for _, name := range names {
		switch {
		case b.Has(name):
		case b.action != "":
			b.Fail(keyActionParameterMissing, name, b.action, name)
		default:
			b.Fail(keyPropertyMissing, name, name)
		}
	}
}

// ReadOnly says that the members are the resource's, but not to be written.
func (b *Body) ReadOnly(names ...string) {
	for _, name := range names {
		if b.Has(name) {
			b.Fail(keyPropertyNotWritable, name, name)
		}
	}
}

// Fail adds a problem with a member: a message of the Base registry and its arguments.
func (b *Body) Fail(key, name string, args ...string) {
	*b.faults = append(*b.faults, Problem{
		Status: http.StatusBadRequest, Key: key, Args: args, Related: []string{b.pointer + escapePointer(name)},
	})
}

// fault adds one of two messages, by what the body is; value comes first of
// the arguments.
func (b *Body) fault(key, actionKey, name, value string) {
	if b.action != "" {
		b.Fail(actionKey, name, value, name, b.action)
		return
	}
	b.Fail(key, name, value, name)
}

func (b *Body) wrongType(name string, raw []byte) {
	b.fault(keyPropertyValueTypeError, keyActionParameterValueType, name, shown(name, raw))
}

// Err returns the problems of the body as one, nil where there are none. A
// member that nobody asked for is one, annotations aside; so is a PATCH of
// nothing.
func (b *Body) Err() error {
	b.unknown()
	if len(*b.faults) == 0 && b.changes && len(b.Names()) == 0 {
		return &Problem{Status: http.StatusBadRequest, Key: keyNoOperation}
	}
	if len(*b.faults) == 0 {
		return nil
	}
	first := (*b.faults)[0]
	first.More = slices.Clone((*b.faults)[1:])
	return &first
}

// unknown adds a problem for every member that was not asked for.
func (b *Body) unknown() {
	for _, name := range b.Names() {
		switch {
		case b.asked[name]:
			continue
		case b.action != "":
			b.Fail(keyActionParameterUnknown, name, b.action, name)
		default:
			b.Fail(keyPropertyUnknown, name, name)
		}
		b.asked[name] = true
	}
	for _, sub := range b.nested {
		sub.unknown()
	}
}

// maxShown bounds what an error shows of a value.
const maxShown = 100

// shown is a member's value as an error may show it: not what may be a secret,
// and not at any length.
func shown(name string, raw []byte) string {
	switch {
	case raw == nil, secretName(name):
		return "***"
	case len(raw) > maxShown:
		return "..."
	}
	var s string
	if raw[0] == '"' && json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

// secretName reports whether a member of that name may hold a secret.
func secretName(name string) bool {
	for _, part := range []string{"Password", "Secret", "Token", "Key"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}

// escapePointer writes a name as a part of a JSON pointer (RFC 6901, 3).
func escapePointer(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

// reference returns the URI of a value that is a reference and nothing else, or "".
func reference(raw []byte) string {
	if len(raw) == 0 || raw[0] != '{' {
		return ""
	}
	o, err := topLevel(raw)
	if err != nil || len(o.members) != 1 {
		return ""
	}
	return o.text("@odata.id")
}
