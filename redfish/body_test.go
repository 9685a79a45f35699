//lint:file-ignore SA1008 the letter case that goes out is what is looked at

package redfish

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/postern/postern/auth"
)

const bodyLimit = 4096

func bodyOf(t *testing.T, method, body, action string, headers ...string) (*Body, error) {
	t.Helper()
	r := httptest.NewRequest(method, "/redfish/v1/X", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	if action != "" {
		return ReadAction(httptest.NewRecorder(), r, bodyLimit, action)
	}
	return ReadObject(httptest.NewRecorder(), r, bodyLimit)
}

func TestReadObject(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, method, body string
		headers            []string
		status             int // 0: read
		key                string
	}{
		{"object", "PATCH", `{"a":1}`, nil, 0, ""},
		{"charset", "PATCH", `{"a":1}`, []string{"Content-Type: application/json;charset=UTF-8"}, 0, ""},
		{"no type", "PATCH", `{"a":1}`, []string{"Content-Type: "}, 0, ""},
		{"POST of nothing", "POST", ``, []string{"Content-Type: text/plain"}, 0, ""},
		{"PATCH of nothing", "PATCH", ``, nil, 400, keyMalformedJSON},
		{"text", "POST", `{"a":1}`, []string{"Content-Type: text/plain"}, 415, keyHeaderInvalid},
		{"compressed", "POST", `{"a":1}`, []string{"Content-Encoding: gzip"}, 415, keyHeaderInvalid},
		{"array", "POST", `[]`, nil, 400, keyUnrecognizedRequestBody},
		{"twice", "POST", `{"a":{"b":1,"B":2}}`, nil, 400, keyPropertyDuplicate},
		{"not UTF-8", "POST", "{\"a\":\"\xff\"}", nil, 400, keyMalformedJSON},
		{"too large", "POST", `{"a":"` + strings.Repeat("x", bodyLimit) + `"}`, nil, 413, keyPayloadTooLarge},
		{"exactly the limit", "POST", `{"a":"` + strings.Repeat("x", bodyLimit-8) + `"}`, nil, 0, ""},
	} {
		b, err := bodyOf(t, tt.method, tt.body, "", tt.headers...)
		if tt.status == 0 {
			if err != nil || b == nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			continue
		}
		if p := AsProblem(err); p.Status != tt.status || p.Key != tt.key {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	// Of unknown length, as chunked.
	r := httptest.NewRequest("POST", "/x", strings.NewReader(`{"a":"`+strings.Repeat("x", bodyLimit)+`"}`))
	r.ContentLength = -1
	if _, err := ReadObject(httptest.NewRecorder(), r, bodyLimit); AsProblem(err).Status != 413 {
		t.Errorf("chunked: %v", err)
	}
}

func TestBodyGetters(t *testing.T) {
	t.Parallel()
	b, err := bodyOf(t, "PATCH", `{"S":"t\u00e9xt","B":true,"N":-5,"L":["a","b"],"E":[],"P":"hunter2!","C":"On",
		"O":{"I":7},"R":{"@odata.id":"/redfish/v1/X"},"@odata.id":"x","X@Redfish.Annotation":1}`, "")
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case *b.String("S") != "téxt", !*b.Bool("B"), *b.Int("N", -5, 5) != -5, !slices.Equal(b.Strings("L", 2), []string{"a", "b"}):
		t.Error("a value is another")
	case b.Strings("E", 1) == nil, b.Secret("P").Reveal() != "hunter2!", *b.OneOf("C", "Off", "On") != "On":
		t.Error("a value is another")
	case *b.Object("O").Int("I", 0, 9) != 7, *b.Reference("R") != "/redfish/v1/X":
		t.Error("a value is another")
	case b.String("s") != nil, b.Bool("None") != nil, b.Int("None", 0, 1) != nil, b.Strings("None", 1) != nil, b.Object("None") != nil,
		b.Reference("None") != nil, b.Secret("None") != nil, b.OneOf("None", "x") != nil, b.Has("None"):
		t.Error("what is absent is there")
	}
	if err := b.Err(); err != nil {
		t.Errorf("problems: %v", err)
	}
	if got := b.Names(); !slices.Equal(got, []string{"S", "B", "N", "L", "E", "P", "C", "O", "R"}) {
		t.Errorf("names %q", got)
	}
}

func TestBodyProblems(t *testing.T) {
	t.Parallel()
	const secret = "hunter2!"
	for _, tt := range []struct {
		name, method, body, action string
		read                       func(*Body)
		want                       []string // key, arguments and related member of each message
	}{
		{"types", "PATCH", `{"S":1,"B":"true","N":"1","L":"x","O":[],"R":{"@odata.id":1},"F":1.5,"Z":null}`, "", func(b *Body) {
			b.String("S")
			b.Bool("B")
			b.Int("N", 0, 9)
			b.Strings("L", 9)
			b.Object("O")
			b.Reference("R")
			b.Int("F", 0, 9)
			b.String("Z")
		}, []string{
			"PropertyValueTypeError(1,S)#/S", "PropertyValueTypeError(true,B)#/B", "PropertyValueTypeError(1,N)#/N", "PropertyValueTypeError(x,L)#/L",
			"PropertyValueTypeError([],O)#/O", `PropertyValueTypeError({"@odata.id":1},R)#/R`, "PropertyValueTypeError(1.5,F)#/F", "PropertyValueTypeError(null,Z)#/Z",
		}},
		{"values", "PATCH", `{"N":10,"C":"Maybe","L":["a","b"],"M":["a",1]}`, "", func(b *Body) {
			b.Int("N", 0, 9)
			b.OneOf("C", "On", "Off")
			b.Strings("L", 1)
			b.Strings("M", 2)
		}, []string{
			"PropertyValueOutOfRange(10,N)#/N", "PropertyValueNotInList(Maybe,C)#/C", "ArraySizeTooLong(L,1)#/L", "PropertyValueTypeError(1,M)#/M",
		}},
		{"secrets", "PATCH", `{"Password":12345678,"NewPassword":["` + secret + `"],"PIN":1}`, "", func(b *Body) {
			b.Secret("Password")
			b.String("NewPassword")
			b.Secret("PIN")
		}, []string{"PropertyValueTypeError(***,Password)#/Password", "PropertyValueTypeError(***,NewPassword)#/NewPassword", "PropertyValueTypeError(***,PIN)#/PIN"}},
		{"long", "PATCH", `{"N":"` + strings.Repeat("x", 200) + `"}`, "", func(b *Body) { b.Int("N", 0, 9) }, []string{"PropertyValueTypeError(...,N)#/N"}},
		{"unknown", "PATCH", `{"A":1,"Odd/~":2,"O":{"Deep":1},"x@y":1}`, "", func(b *Body) {
			b.Has("A")
			b.Object("O")
		}, []string{"PropertyUnknown(Odd/~)#/Odd~1~0", "PropertyUnknown(Deep)#/O/Deep"}},
		{"required", "POST", ``, "", func(b *Body) { b.Require("UserName", "Password") },
			[]string{"PropertyMissing(UserName)#/UserName", "PropertyMissing(Password)#/Password"}},
		{"read only", "PATCH", `{"Id":1,"Name":"x"}`, "", func(b *Body) { b.ReadOnly("Id", "Name", "None") },
			[]string{"PropertyNotWritable(Id)#/Id", "PropertyNotWritable(Name)#/Name"}},
		{"nothing to do", "PATCH", `{"@odata.id":1}`, "", func(*Body) {}, []string{"NoOperation()"}},
		{"nothing to make", "POST", `{}`, "", func(*Body) {}, nil},
		{"its own", "PATCH", `{"A":1}`, "", func(b *Body) {
			b.Has("A")
			b.Fail("PropertyValueConflict", "A", "A", "B")
		}, []string{"PropertyValueConflict(A,B)#/A"}},
		{"action", "POST", `{"S":1,"N":99,"C":"x","Odd":1}`, "A.B", func(b *Body) {
			b.Require("Must")
			b.String("S")
			b.Int("N", 0, 9)
			b.OneOf("C", "y")
		}, []string{
			"ActionParameterMissing(A.B,Must)#/Must", "ActionParameterValueTypeError(1,S,A.B)#/S", "ActionParameterValueOutOfRange(99,N,A.B)#/N",
			"ActionParameterValueNotInList(x,C,A.B)#/C", "ActionParameterUnknown(A.B,Odd)#/Odd",
		}},
	} {
		b, err := bodyOf(t, tt.method, tt.body, tt.action)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		tt.read(b)
		err = b.Err()
		var got []string
		var p *Problem
		if errors.As(err, &p) {
			for _, one := range append([]Problem{*p}, p.More...) {
				if one.Status != 400 || messages[one.Key].text == "" {
					t.Errorf("%s: %+v", tt.name, one)
				}
				got = append(got, one.Key+"("+strings.Join(one.Args, ",")+")"+strings.Join(one.Related, ""))
			}
			if strings.Contains(string(encode(generic.body(p).(Error))), secret) {
				t.Errorf("%s: a secret is shown", tt.name)
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s:\n%q, want\n%q", tt.name, got, tt.want)
		}
		if again := b.Err(); (again == nil) != (err == nil) || again != nil && again.Error() != err.Error() {
			t.Errorf("%s: a second time: %v", tt.name, again)
		}
	}
}

func TestServeResource(t *testing.T) {
	t.Parallel()
	body, tag := Tagged([]byte(`{"@odata.id":"/redfish/v1/X","@odata.type":"#Role.v1_3_3.Role","Id":"X"}`))
	var o map[string]string
	if json.Unmarshal(body, &o) != nil || o["@odata.etag"] != tag || o["Id"] != "X" {
		t.Fatalf("%s %s", body, tag)
	}
	ask := func(method string, headers ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, "/redfish/v1/X", nil)
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			r.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		ServeResource(w, r, "GET, HEAD, PATCH", body, tag)
		return w
	}
	for _, tt := range []struct {
		method  string
		headers []string
		status  int
		length  int
	}{
		{"GET", nil, 200, len(body)}, {"HEAD", nil, 200, 0}, {"GET", []string{"Accept: */*"}, 200, len(body)},
		{"GET", []string{"Accept: text/html"}, 406, -1}, {"GET", []string{"If-None-Match: " + tag}, 304, 0},
		{"GET", []string{"If-None-Match: W/" + tag}, 304, 0}, {"GET", []string{`If-None-Match: "x"`}, 200, len(body)}, {"HEAD", []string{"If-None-Match: *"}, 304, 0},
	} {
		w := ask(tt.method, tt.headers...)
		if w.Code != tt.status || tt.length >= 0 && w.Body.Len() != tt.length || w.Header().Get("Allow") != "GET, HEAD, PATCH" ||
			w.Header().Get("Cache-Control") == "" || w.Header()["OData-Version"][0] != "4.0" {
			t.Errorf("%s %q: %d %v", tt.method, tt.headers, w.Code, w.Header())
		}
		if w.Code < 400 && w.Header()["ETag"][0] != tag || w.Code == 200 && !strings.Contains(w.Header().Get("Link"), "/Role.v1_3_3.json>; rel=describedby") {
			t.Errorf("%s %q: %v", tt.method, tt.headers, w.Header())
		}
	}
	w := httptest.NewRecorder()
	WriteResource(w, httptest.NewRequest("POST", "/x", nil), http.StatusCreated, []byte(`{"@odata.type":"Role"}`), "")
	if w.Code != 201 || w.Header().Get("Link") != "" || len(w.Header()["ETag"]) > 0 {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	w = httptest.NewRecorder()
	WriteNoContent(w)
	if w.Code != 204 || w.Body.Len() > 0 || w.Header()["OData-Version"] == nil {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if got, tag := Tagged([]byte(`[]`)); string(got) != `[]` || tag != ETag([]byte(`[]`)) {
		t.Errorf("%s %s", got, tag)
	}
}

func TestSchemaName(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"#Role.v1_3_3.Role": "Role.v1_3_3", "#RoleCollection.RoleCollection": "RoleCollection", "": "", "#": "", "Role.v1.Role": "",
		"#.x": "", "#a": "", `#a">.b`: "", "#../x.y": "", "#a b.c": "",
	} {
		if got := schemaName(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	const tag = `"a1"`
	for _, tt := range []struct {
		header          string
		check, required int // status; 0: go on
	}{
		{"", 0, 428}, {`"a1"`, 0, 0}, {`"zz", "a1"`, 0, 0}, {"*", 0, 0}, {`W/"a1"`, 412, 412}, {"a1", 412, 412}, {`"a1"foobar`, 412, 412}, {`"b"`, 412, 412},
	} {
		r := httptest.NewRequest("PATCH", "/x", nil)
		if tt.header != "" {
			r.Header.Set("If-Match", tt.header)
		}
		status := func(err error) int {
			if err == nil {
				return 0
			}
			return AsProblem(err).Status
		}
		if got := status(CheckMatch(r, tag)); got != tt.check {
			t.Errorf("%q: %d, want %d", tt.header, got, tt.check)
		}
		if got := status(RequireMatch(r, tag)); got != tt.required {
			t.Errorf("%q, required: %d, want %d", tt.header, got, tt.required)
		}
	}
}

func TestAccountURI(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"joe": "joe", "joe@x": "joe@x", "a/b": "a%2Fb", "jö": "j%C3%B6"} {
		if got := AccountURI(auth.AccountName(name)); got != accountsURI+"/"+want {
			t.Errorf("%q: %q", name, got)
		}
	}
}

// An answer does not grow beyond its bound while it is put together.
func TestExpansionStops(t *testing.T) {
	t.Parallel()
	page := []byte(`{"Text":"` + strings.Repeat("x", 1<<20) + `"}`)
	e := &evaluation{follow: true, known: map[string][]byte{rootURI + "A": page}}
	list := []byte(`[` + strings.Repeat(`{"@odata.id":"/redfish/v1/A"},`, 999) + `0]`)
	if out := e.appendExpanded(nil, list, '.', 1, false); len(out) > maxAnswer+2*len(page) || e.err == nil {
		t.Errorf("%d bytes, %v", len(out), e.err)
	}
}
