package redfish

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/postern/postern/auth"
)

func FuzzCanonical(f *testing.F) {
	for _, s := range []string{"/redfish/v1/", "/redfish/v1/Systems/1/", "/a%2e/b", "/%2e%2e/x", "/a%5bb]", "//", "/\xff", "/a;b", "/%25", "/J%C3%B6"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		path, err := Canonical(raw)
		if err != nil {
			return
		}
		if again, err := Canonical(path); err != nil || again != path {
			t.Fatalf("%q: %q becomes %q %v", raw, path, again, err)
		}
		if !printable(path) || strings.ContainsAny(path, `\;?#"<>^|`) || path[0] != '/' || strings.Contains(path, "//") {
			t.Fatalf("%q: %q", raw, path)
		}
		// Everybody's reading of the raw path is ours.
		plain, err := url.PathUnescape(raw)
		if err != nil {
			t.Fatalf("%q: %v", raw, err)
		}
		mine, err := url.PathUnescape(path)
		if err != nil || strings.TrimSuffix(plain, "/") != strings.TrimSuffix(mine, "/") {
			t.Fatalf("%q reads %q, canonical %q reads %q", raw, plain, path, mine)
		}
		for seg := range strings.SplitSeq(mine, "/") {
			if seg == "." || seg == ".." {
				t.Fatalf("%q: a dot segment in %q", raw, mine)
			}
		}
	})
}

func FuzzClassify(f *testing.F) {
	f.Add("GET", "/redfish/v1/Systems", "$expand=.($levels=2)")
	f.Add("POST", "/redfish/v1/AccountService/", "")
	f.Add("PATCH", "/redfish/v1/SessionService", "only")
	f.Add("GET", "/redfish/v1/Managers/1", "%24expand=*&=")
	f.Fuzz(func(t *testing.T, method, raw, query string) {
		c := Generic().Classify(method, raw, query)
		refused := c.Kind == KindRefused || c.Kind == KindDenied
		if refused != (c.Err != nil) {
			t.Fatalf("%+v", c)
		}
		if refused {
			if s := AsProblem(c.Err).Status; s < 400 || s > 599 {
				t.Fatalf("status %d", s)
			}
			return
		}
		low := strings.ToLower(c.Path)
		if c.Kind == KindRead || c.Kind == KindEffect {
			for _, no := range []string{"/redfish/v1/accountservice", "/redfish/v1/certificateservice", "/redfish/v1/sessionservice", "/redfish/v1/sessions"} {
				if low == no || strings.HasPrefix(low, no+"/") {
					t.Fatalf("%+v reaches the device", c)
				}
			}
			if !strings.HasPrefix(c.Path, rootURI) || c.Path == rootURI {
				t.Fatalf("%+v is outside", c)
			}
		}
		if c.Kind == KindRead != readMethod(method) && c.Kind != KindOpen && c.Kind != KindOurs {
			t.Fatalf("%s: %+v", method, c)
		}
		if c.Reach < 0 || c.Reach > maxLevels {
			t.Fatalf("%+v", c)
		}
	})
}

func FuzzDecodeObject(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":[1,{"b":null}]}`, `{"a":1,"A":2}`, `{"a":"\ud83d\ude00"}`, `[1]`, `{"a":"\ud800"}`, `{"k":1,"K":2}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := decodeObject(data)
		if err != nil {
			return
		}
		// What the standard decoder reads is the same.
		var std map[string]json.RawMessage
		if err := json.Unmarshal(data, &std); err != nil || len(std) != len(o.members) || !utf8.Valid(data) {
			t.Fatalf("%q: %v", data, err)
		}
		for _, m := range o.members {
			if !bytes.Equal(std[m.name], m.value) || !bytes.Equal(data[m.start:m.end], m.value) {
				t.Fatalf("%q: member %q is %q", data, m.name, m.value)
			}
		}
		if data[o.end] != '}' {
			t.Fatalf("%q: end %d", data, o.end)
		}
	})
}

func FuzzLoginBody(f *testing.F) {
	f.Add([]byte(`{"UserName": "admin", "Password": "Xk7-labSecret.9"}`))
	f.Add([]byte(`{"UserName":1,"Password":null,"Context":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := parseLogin(data, false)
		if err != nil {
			p := AsProblem(err)
			if p.Status != 400 || !json.Valid(encode(generic.body(p).(Error))) {
				t.Fatalf("%q: %v", data, err)
			}
			return
		}
		again, err := parseLogin(encode(b), false)
		if err != nil || again != b {
			t.Fatalf("%q: %+v becomes %+v %v", data, b, again, err)
		}
	})
}

func FuzzBasic(f *testing.F) {
	for _, s := range []string{"Basic YWRtaW46bm9wZQ==", "basic  dXNlcjpwYTpzcw==", "Basic YWRtaW4=", "Bearer x", "Basic"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		user, password, ok := parseBasic(header)
		if !ok {
			return
		}
		u, p, ok := parseBasic(basicHeader(user, password))
		if !ok || u != user || !p.Equal(password) {
			t.Fatalf("%q: %q becomes %q %v", header, user, u, ok)
		}
		// net/http reads the same.
		r := http.Request{Header: http.Header{"Authorization": {basicHeader(user, password)}}}
		if n, w, ok := r.BasicAuth(); !ok || n != string(user) || w != password.Reveal() {
			t.Fatalf("%q: net/http reads %q", header, n)
		}
	})
}

func FuzzResolve(f *testing.F) {
	for _, s := range []string{
		"https://x/redfish/v1/Sessions/1", "SessionService/Sessions/1", "redfish/v1/Sessions/1/", "//x/y", "/a%5b1%5d", "/../x", "/a b", "https://", "?x", `/a"b`,
	} {
		f.Add(s)
	}
	d, err := NewDevice(DeviceConfig{URL: "https://bmc.example:8443"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, value string) {
		path := resolve(value)
		if path == "" {
			return
		}
		if !strings.HasSuffix(value, path) && !strings.HasSuffix(path, strings.SplitN(value, "#", 2)[0]) && !strings.Contains(value, path) {
			t.Fatalf("%q: %q changes bytes", value, path)
		}
		if again := resolve(path); again != path {
			t.Fatalf("%q: %q becomes %q", value, path, again)
		}
		r, err := d.request(t.Context(), "DELETE", path, nil)
		if err != nil {
			t.Fatalf("%q: %v", path, err)
		}
		var wire bytes.Buffer
		if err := r.Write(&wire); err != nil {
			t.Fatalf("%q: %v", path, err)
		}
		if want := "DELETE " + path + " HTTP/1.1\r\nHost: bmc.example:8443\r\n"; !strings.HasPrefix(wire.String(), want) {
			t.Fatalf("%q goes out as %q", path, wire.String())
		}
	})
}

func FuzzAddSessions(f *testing.F) {
	for _, s := range []string{`{}`, `{"Links":{},"x":1}`, `{"SessionService":{"@odata.id":"/redfish/v1/SessionService"}}`, `{"Links":null}`, ` { "a" : [ ] } `} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, root []byte) {
		before := bytes.Clone(root)
		out, changed, err := AddSessions(root)
		if !bytes.Equal(before, root) || (err != nil || !changed) && !bytes.Equal(out, root) {
			t.Fatalf("%q became %q", before, out)
		}
		if err != nil {
			return
		}
		o, err := decodeObject(out)
		if err != nil || !names(o, "SessionService", sessionServiceURI) || !names(o.sub("Links"), "Sessions", sessionsURI) {
			t.Fatalf("%q: %q %v", root, out, err)
		}
		was, err := decodeObject(root)
		if err != nil {
			t.Fatal(err)
		}
		for i, m := range was.members {
			if o.members[i].name != m.name || m.name != "Links" && m.name != "SessionService" && !bytes.Equal(o.members[i].value, m.value) {
				t.Fatalf("%q: member %d of %q", root, i, out)
			}
		}
	})
}

func FuzzErrorAnswer(f *testing.F) {
	for _, s := range []string{
		`{"error":{"code":"Base.1.8.GeneralError","message":"x","@Message.ExtendedInfo":[{"MessageId":"Base.1.8.SessionLimitExceeded","MessageArgs":["a"]}]}}`,
		`{"@Message.ExtendedInfo":{"MessageId":"RAC0218"}}`, `{"error":[]}`, `<html>`, ``,
	} {
		f.Add(503, []byte(s))
	}
	d, err := NewDevice(DeviceConfig{URL: "https://bmc.example"})
	if err != nil {
		f.Fatal(err)
	}
	asked := auth.Login{Method: auth.MethodBasic, Account: "a", Secret: auth.NewSecret("p4ss")}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		a := answer{status: status, header: http.Header{}, body: body}
		le := d.refusal(a, "nonce", asked)
		if le.Outcome == auth.Accepted || len(le.Error()) > 500 || strings.Contains(le.Error(), "p4ss") || hasControl(le.Error()) {
			t.Fatalf("%q: %v", body, le)
		}
		if shown, _, ok := Generic().ErrorBody(status, "application/json", body); ok && !isObject(shown) {
			t.Fatalf("%q is shown as %q", body, shown)
		}
		memberObjects(must(decodeObject(body)))
	})
}

func must(o object, _ error) object { return o }

func FuzzQuery(f *testing.F) {
	for _, s := range []string{"$expand=.&only", "a=b&=&", "%24x", "a;b", "+$x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		params, err := parseQuery(raw)
		if err != nil {
			return
		}
		// What the standard library reads is the same.
		std, err := url.ParseQuery(raw)
		if err != nil {
			t.Fatalf("%q: %v", raw, err)
		}
		n := 0
		for _, v := range std {
			n += len(v)
		}
		if n != len(params) {
			t.Fatalf("%q: %d parameters, %d", raw, len(params), n)
		}
		for _, p := range params {
			if len(std[p.name]) == 0 {
				t.Fatalf("%q: %q", raw, p.name)
			}
		}
	})
}

func FuzzETagListed(f *testing.F) {
	f.Add(`"a", W/"b"`)
	f.Fuzz(func(t *testing.T, list string) {
		if etagListed(list, `"a1"`, true) && !etagListed(list, `"a1"`, false) {
			t.Fatalf("%q: matches strongly and not weakly", list)
		}
	})
}

// Whatever the body, the getters yield a value or a problem, and the problems
// show nothing of what may be a secret.
func FuzzReadObject(f *testing.F) {
	f.Add([]byte(`{"S":"x","B":true,"N":7,"L":["a"],"O":{"R":{"@odata.id":"/redfish/v1/X"}},"Password":"Xk7-labSecret.9"}`))
	f.Add([]byte(`{"S":null,"B":0,"N":1e9,"L":[1],"O":[],"Password":["Xk7-labSecret.9"]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, action := range []string{"", "A.B"} {
			r := httptest.NewRequest("PATCH", "/x", bytes.NewReader(data))
			b, err := readObject(httptest.NewRecorder(), r, 1<<16, action)
			if err != nil {
				if s := AsProblem(err).Status; s != 400 && s != 413 {
					t.Fatalf("%q: %v", data, err)
				}
				continue
			}
			values := 0
			for _, there := range []bool{
				b.String("S") != nil, b.Bool("B") != nil, b.Int("N", -9, 9) != nil, b.Strings("L", 3) != nil,
				b.Secret("Password") != nil, b.OneOf("C", "x") != nil, b.Has("@x"),
			} {
				if there {
					values++
				}
			}
			if o := b.Object("O"); o != nil {
				o.Reference("R")
			}
			b.Require("S")
			b.ReadOnly("X")
			err = b.Err()
			if err == nil && values == 0 {
				t.Fatalf("%q: neither a value nor a problem", data)
			}
			if err != nil && (!json.Valid(encode(generic.body(AsProblem(err)).(Error))) || AsProblem(err).Status != 400) {
				t.Fatalf("%q: %v", data, err)
			}
		}
	})
}

// What is taken apart is what the standard decoder reads.
func FuzzScan(f *testing.F) {
	for _, s := range []string{` { "a" : [ 1 , "}" , {"b":-1.5e3} ] , "\u0041" : null } `, `[]`, `{"Members":[{"@odata.id":"/redfish/v1/X"}]}`, `7`, `"\\"`} {
		f.Add([]byte(s), "Members/a,b", ".")
	}
	f.Fuzz(func(t *testing.T, data []byte, selected, expand string) {
		if !json.Valid(data) || len(data) > 1<<16 {
			return
		}
		v := wholeValue(data)
		var std any
		if json.Unmarshal(v, &std) != nil { // a number beyond float64
			return
		}
		n := 0
		for name, value := range membersOf(v) {
			if n++; !json.Valid(name) || !json.Valid(value) {
				t.Fatalf("%q: %q: %q", data, name, value)
			}
		}
		for value := range elementsOf(v) {
			if n++; !json.Valid(value) {
				t.Fatalf("%q: %q", data, value)
			}
		}
		if list, ok := std.([]any); ok && len(list) != n {
			t.Fatalf("%q: %d elements, want %d", data, n, len(list))
		}
		e := &evaluation{r: httptest.NewRequest("GET", "/x", nil)}
		if out := e.appendExpanded(nil, v, '*', maxExpand, false); !sameJSON(out, v) {
			t.Fatalf("%q becomes %q", data, out)
		}
		if s, err := readSelect(parameter{name: "$select", value: selected}); err == nil {
			if out := appendSelected(nil, v, s); !json.Valid(out) {
				t.Fatalf("%q: selected %q", data, out)
			}
		}
		if out := e.pick(queryOptions{top: 1}, v); v[0] == '{' && !json.Valid(out) {
			t.Fatalf("%q: picked %q", data, out)
		}
		readExpand(parameter{name: "$expand", value: expand})
	})
}

func sameJSON(a, b []byte) bool {
	var x, y bytes.Buffer
	return json.Compact(&x, a) == nil && json.Compact(&y, b) == nil && bytes.Equal(x.Bytes(), y.Bytes())
}

func FuzzFilter(f *testing.F) {
	for _, s := range []string{"Id eq 'a'", "not (Id eq 'it''s') and A/B ge 2.5 or C ne null", "Booted lt 2026-11-25T10:30:00Z", "((", "contains(a,'b')"} {
		f.Add(s, []byte(`{"Id":"a","A":{"B":[1,2]},"Booted":"2026-11-25T10:00:00Z"}`))
	}
	f.Fuzz(func(t *testing.T, text string, resource []byte) {
		if len(text) > maxQuery {
			return
		}
		parsed, err := parseFilter(text)
		if err != nil {
			if s := AsProblem(err).Status; s != 400 && s != 501 {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if json.Valid(resource) {
			v := wholeValue(resource)
			negated := filter{op: "not", left: parsed}
			if parsed.match(v) == negated.match(v) {
				t.Fatalf("%q on %q: both it and its negation", text, resource)
			}
		}
	})
}

func FuzzMetadata(f *testing.F) {
	f.Add("#Role.v1_3_3.Role", "#ServiceRoot.v1_9_0.ServiceRoot")
	f.Fuzz(func(t *testing.T, a, b string) {
		if err := xml.Unmarshal(Metadata([]string{a, b}), new(struct{})); err != nil {
			t.Fatalf("%q %q: %v", a, b, err)
		}
	})
}

// The gate lets a body pass that the standard decoder understands in the same way.
func FuzzPasswordAlone(f *testing.F) {
	f.Add([]byte(`{"Password":"x","@odata.id":"y"}`))
	f.Add([]byte(`{"Password":"x","RoleId":"Administrator"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if !changesPasswordAlone(data) {
			return
		}
		var std map[string]json.RawMessage
		if json.Unmarshal(data, &std) != nil || std["Password"] == nil {
			t.Fatalf("%q", data)
		}
		for name := range std {
			if name != "Password" && !strings.Contains(name, "@") {
				t.Fatalf("%q", data)
			}
		}
	})
}
