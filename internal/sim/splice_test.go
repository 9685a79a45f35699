package sim

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestCut(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ in, want string }{
		{`{}`, `{}`},
		{`{ }`, `{ }`},
		{`{"a": 1}`, `{"a": 1}`},
		{`{"X": 1}`, `{}`},
		{"{\n  \"X\": 1\n}\n", "{}\n"},
		{"{\n  \"a\": 1,\n  \"X\": \"c, }\"\n}\n", "{\n  \"a\": 1\n}\n"},
		{"{\n  \"X\": 1,\n  \"a\": 1\n}", "{\n  \"a\": 1\n}"},
		{`{"a":1,"X":2,"b":3}`, `{"a":1,"b":3}`},
		{`{"a":1,"X":2,"X":3}`, `{"a":1}`},
		{`{"X":2,"a":1,"X":3 }`, `{"a":1 }`},
		{`{"a":{"X":2,"b":[{"X":1},{"c":{"X":{"X":1}}}]}}`, `{"a":{"b":[{},{"c":{}}]}}`},
		{`{"\u0058":1,"b":"X"}`, `{"b":"X"}`},
		{`[ {"X":1} , "X" ]`, `[ {} , "X" ]`},
		{` "X" `, ` "X" `},
		{`{"a\"X":1,"b":"\\"}`, `{"a\"X":1,"b":"\\"}`},
	} {
		if got := string(cut([]byte(tt.in), "X")); got != tt.want {
			t.Errorf("cut(%s) = %s, want %s", tt.in, got, tt.want)
		}
	}
	if got := string(cutTop([]byte(`{"X":1,"a":{"X":2}}`), "X")); got != `{"a":{"X":2}}` {
		t.Errorf("cutTop: %s", got)
	}
}

// FuzzCut: what is left is the same document without the members.
func FuzzCut(f *testing.F) {
	for _, seed := range []string{
		`{"a":1,"@Redfish.Copyright":"c"}`, `{"@Redfish.Copyright":{"@Redfish.Copyright":1},"a":[{}]}`,
		`[1,{"@Redfish.Copyright":[]},2]`, `{"\u0040Redfish.Copyright":1, "a" : "\"" }`, ` "x" `,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if !json.Valid(raw) {
			return
		}
		kept := bytes.Clone(raw)
		got := cut(raw, copyright)
		if !bytes.Equal(raw, kept) {
			t.Fatal("the input was changed")
		}
		if !json.Valid(got) {
			t.Fatalf("%q becomes %q, which is not JSON", raw, got)
		}
		var before, after any
		json.Unmarshal(raw, &before)
		json.Unmarshal(got, &after)
		if before = without(before); !reflect.DeepEqual(before, after) {
			t.Fatalf("%q becomes %q", raw, got)
		}
		if again := cut(got, copyright); !bytes.Equal(again, got) {
			t.Fatalf("twice: %q, then %q", got, again)
		}
		if reflect.DeepEqual(before, decoded(raw)) && !strings.Contains(string(raw), "opyright") && !bytes.Contains(raw, []byte(`\u`)) && !bytes.Equal(raw, got) {
			t.Fatalf("nothing to cut in %q, yet %q", raw, got)
		}
	})
}

func decoded(raw []byte) (v any) {
	json.Unmarshal(raw, &v)
	return v
}

func without(v any) any {
	switch v := v.(type) {
	case map[string]any:
		delete(v, copyright)
		for k := range v {
			v[k] = without(v[k])
		}
	case []any:
		for i := range v {
			v[i] = without(v[i])
		}
	}
	return v
}

func TestPut(t *testing.T) {
	t.Parallel()
	doc := "{\n  \"a\": {\"b\": [1, {\"c\": null}]},\n  \"d\": 1.50\n}\n"
	for _, tt := range []struct{ path, value, want string }{
		{"d", "2", "{\n  \"a\": {\"b\": [1, {\"c\": null}]},\n  \"d\": 2\n}\n"},
		{"a/b/1/c", `"x"`, "{\n  \"a\": {\"b\": [1, {\"c\": \"x\"}]},\n  \"d\": 1.50\n}\n"},
		{"a/b/0", `[]`, "{\n  \"a\": {\"b\": [[], {\"c\": null}]},\n  \"d\": 1.50\n}\n"},
		{"e", `1`, "{\n  \"a\": {\"b\": [1, {\"c\": null}]},\n  \"d\": 1.50,\n  \"e\": 1\n}\n"},
		{"a/e", `1`, "{\n  \"a\": {\"b\": [1, {\"c\": null}],\"e\": 1},\n  \"d\": 1.50\n}\n"},
		{"a/b/7", `1`, doc}, {"d/x", `1`, doc}, {"x/y", `1`, doc}, {"a/b/x", `1`, doc},
	} {
		got := string(put([]byte(doc), []byte(tt.value), strings.Split(tt.path, "/")...))
		if got != tt.want {
			t.Errorf("put %s at %s: %s", tt.value, tt.path, got)
		}
	}
	if got := string(putValue([]byte(`{}`), "v", "k")); got != `{"k": "v"}` {
		t.Errorf("into an empty object: %s", got)
	}
	if got := lookup([]byte(`{"a":1,"a":2}`), "a"); string(got) != "2" {
		t.Errorf("of two: %s", got)
	}
}

// FuzzMerge: the bytes of a merged document mean what a merge of the decoded
// ones would.
func FuzzMerge(f *testing.F) {
	f.Add([]byte(`{"a":{"b":1,"c":[1]},"d":null}`), []byte(`{"a":{"b":2},"e":{"f":1}}`))
	f.Add([]byte(` { } `), []byte(`{"":{"":1}}`))
	f.Add([]byte(`{"a":1}`), []byte(`{"a":{"b":1},"a":{"c":1}}`))
	f.Fuzz(func(t *testing.T, raw, change []byte) {
		r, ok1 := decoded(raw).(map[string]any)
		c, ok2 := decoded(change).(map[string]any)
		// Names that are not UTF-8 never come this far, nor do names given twice.
		if !ok1 || !ok2 || !plain(raw) || !plain(change) {
			return
		}
		got := merge(raw, change)
		if want := merged(r, c); !reflect.DeepEqual(decoded(got), any(want)) {
			t.Fatalf("%s and %s: %s, want %v", raw, change, got, want)
		}
	})
}

// plain reports whether decoding and encoding keep all members of raw.
func plain(raw []byte) bool {
	return bytes.Count(raw, []byte(`":`)) <= strings.Count(string(mustJSON(decoded(raw))), `":`) && !bytes.ContainsAny(raw, "\\\ufffd") && json.Valid(raw) && bytes.Equal(raw, bytes.ToValidUTF8(raw, nil))
}

func merged(r, c map[string]any) map[string]any {
	for k, v := range c {
		old, ok1 := r[k].(map[string]any)
		change, ok2 := v.(map[string]any)
		if ok1 && ok2 {
			v = merged(old, change)
		}
		r[k] = v
	}
	return r
}
