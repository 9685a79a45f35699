package redfish

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/postern/postern/auth"
)

// The vectors of our wire notes.
func TestParseBasic(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		header, user, password string
		ok                     bool
	}{
		{"Basic YWRtaW46WGs3LWxhYlNlY3JldC45", "admin", "Xk7-labSecret.9", true},
		{"Basic YWRtaW46bm9wZQ==", "admin", "nope", true},
		{"Basic dXNlcjpwYTpzcw==", "user", "pa:ss", true},
		{"Basic asO2cmc6cMOkc3N3w7ZyZA==", "jörg", "pässwörd", true},
		{"bAsIc  YWRtaW46bm9wZQ== ", "admin", "nope", true},
		{"Basic YWRtaW46", "", "", false},
		{"Basic YWRtaW4=", "", "", false},
		{"Basic OnBhc3M=", "", "", false},             // no user
		{"Basic YWRtaW46bm9wZQ", "", "", false},       // no padding
		{"Basic YWRtaW46bm9wZR==", "", "", false},     // stray bits
		{"Basic YWRtaW46bm9wZQ==,x", "", "", false},   // a list
		{"Basic YWRtaW46AG5vcGU=", "", "", false},     // NUL
		{"Basic 6W46bm9wZQ==", "", "", false},         // Latin-1
		{"Basic", "", "", false},                      //
		{"", "", "", false},                           //
		{"Bearer YWRtaW46bm9wZQ==", "", "", false},    //
		{"Basic YWRtaW46bm9w\nZQ==", "", "", false},   //
		{"BasicYWRtaW46bm9wZQ==", "", "", false},      //
		{"Token YWRtaW46bm9wZQ==", "", "", false},     //
		{"Basic YWRtaW46bm9wZQ== x", "", "", false},   //
		{"Basic\tYWRtaW46bm9wZQ==", "", "", false},    //
		{"Basic YWRtaW46bm9wZQ==\x00", "", "", false}, //
	} {
		user, password, ok := parseBasic(tt.header)
		if ok != tt.ok || string(user) != tt.user || password.Reveal() != tt.password {
			t.Errorf("%q: %q %q %v", tt.header, user, password.Reveal(), ok)
		}
		if ok && strings.HasPrefix(tt.header, "Basic ") && basicHeader(user, password) != tt.header {
			t.Errorf("%q is written as %q", tt.header, basicHeader(user, password))
		}
	}
}

// Values computed with the validator itself.
func TestRandomness(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		token           string
		frequency, runs float64
		random          bool
	}{
		{"30faa9d68ad9a104297c94b895840a8a", 0.111612, 0.026965, true},
		{"e053c55a89168c8252b7b613ab3104f7", 0.376759, 0.188673, true},
		{"0123456789abcdef0123456789abcdef", 1, 1, true},
		{"1234567890ABCDEF", 1, 0.617075, true},
		{"ffffffff00000000ffffffff00000000", 1, 0, false},
		{"55555555555555555555555555555555", 1, 0, false},
		{"deadbeefdeadbeefdeadbeefdeadbeef", 0, 0, false},
	} {
		b, err := hex.DecodeString(tt.token)
		if err != nil {
			t.Fatal(err)
		}
		f, r := nist(b)
		if math.Abs(f-tt.frequency) > 1e-4 || math.Abs(r-tt.runs) > 1e-6 || looksRandom(b) != tt.random {
			t.Errorf("%s: %f %f %v, want %f %f %v", tt.token, f, r, looksRandom(b), tt.frequency, tt.runs, tt.random)
		}
	}
}

func TestNewToken(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 500 {
		token := newToken().Reveal()
		b, err := hex.DecodeString(token)
		if len(token) != 32 || err != nil || token != strings.ToLower(token) || !looksRandom(b) || seen[token] {
			t.Fatalf("token %q", token)
		}
		seen[token] = true
	}
}

// RFC 9110, 8.8.3.2 and 13.1.
func TestETagListed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		list         string
		strong, weak bool
	}{
		{`"a1"`, true, true}, {`"zz", "a1"`, true, true}, {`*`, true, true}, {`W/"a1"`, false, true},
		{`a1`, false, false}, {`"a1"foobar`, false, false}, {``, false, false}, {`"a1`, false, false},
		{`"zz"`, false, false}, {`"a1",`, true, true}, {`'a1'`, false, false}, {`w/"a1"`, false, false}, {`"zz" "a1"`, false, false},
	} {
		if got := etagListed(tt.list, `"a1"`, true); got != tt.strong {
			t.Errorf("%s, strong: %v", tt.list, got)
		}
		if got := etagListed(tt.list, `"a1"`, false); got != tt.weak {
			t.Errorf("%s, weak: %v", tt.list, got)
		}
	}
	valid := regexp.MustCompile(`^(W/)?"[\x21\x23-\xFF]*"$`)
	if got := etag([]byte("x")); !valid.MatchString(got) || strings.HasPrefix(got, "W/") {
		t.Errorf("etag %s", got)
	}
}

func TestAcceptable(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		accept string
		want   bool
	}{
		{"", true}, {"*/*", true}, {"application/*", true}, {"application/json", true}, {"Application/JSON", true},
		{"application/json;charset=utf-8", true}, {"application/json; charset=UTF-8", true}, {"*/*;charset=utf-8", true},
		{"text/html, application/json;q=0.5", true}, {"text/html,*/*;q=0.1", true}, {"garbage, */*", true},
		{"text/html", false}, {"application/xml", false}, {"application/json;q=0", false}, {"application/json;q=0.0", false},
		{"application/json;charset=latin1", false}, {"text/*", false}, {"garbage", false},
	} {
		if got := acceptable([]string{tt.accept}, "application/json"); got != tt.want {
			t.Errorf("%q: %v", tt.accept, got)
		}
	}
	if !acceptable(nil, "application/json") {
		t.Error("no Accept header accepts nothing")
	}
}

// publishedData is the folder with the DMTF's documents. A person may do
// without it; in CI nothing may be skipped.
func publishedData(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("REDFISH_DATA")
	switch {
	case dir != "":
	case os.Getenv("CI") == "true":
		t.Fatal("REDFISH_DATA is not set: in CI nothing may be skipped")
	default:
		t.Skip("REDFISH_DATA is not set: nothing is compared with what the DMTF published")
	}
	return dir
}

// Each entry of our table is what the published registry says.
func TestMessagesAreTheRegistrys(t *testing.T) {
	t.Parallel()
	dir := publishedData(t)
	raw, err := os.ReadFile(filepath.Join(dir, "registries", "Base.1.22.1.json"))
	if err != nil {
		t.Fatal(err)
	}
	var published struct {
		Messages map[string]struct {
			Message, MessageSeverity, Resolution string
			NumberOfArgs                         int
		}
	}
	if err := json.Unmarshal(raw, &published); err != nil {
		t.Fatal(err)
	}
	for key, m := range messages {
		p, ok := published.Messages[key]
		if !ok || p.Message != m.text || p.MessageSeverity != m.severity || p.Resolution != m.resolution {
			t.Errorf("%s: %+v, published %+v", key, m, p)
		}
		if n := strings.Count(m.text, "%"); n != p.NumberOfArgs {
			t.Errorf("%s: %d arguments, published %d", key, n, p.NumberOfArgs)
		}
	}
}

func TestNewMessage(t *testing.T) {
	t.Parallel()
	m := newMessage(&generic, keyPropertyValueTypeError, []string{"%2 and %1", "Size"}, []string{"#/Size"})
	if want := "The value '%2 and %1' for the property Size is not a type that the property can accept."; m.Message != want {
		t.Errorf("message %q, want %q", m.Message, want)
	}
	if m := newMessage(&generic, "NoSuchKey", []string{"x"}, nil); m.MessageID != "Base.1.22.GeneralError" || len(m.MessageArgs) != 0 {
		t.Errorf("unknown key: %+v", m)
	}
	if m := newMessage(&generic, keyPropertyMissing, nil, nil); strings.Contains(m.Message, "%") {
		t.Errorf("arguments left out: %q", m.Message)
	}
}

func TestProblem(t *testing.T) {
	t.Parallel()
	p := &Problem{Status: 400, Key: keyPropertyMissing, Args: []string{"UserName"}, More: []Problem{{Key: keyPropertyMissing, Args: []string{"Password"}}}}
	b := generic.body(p).(Error).Error
	if b.Code != "Base.1.22.GeneralError" || len(b.ExtendedInfo) != 2 || b.ExtendedInfo[1].MessageArgs[0] != "Password" {
		t.Errorf("several messages: %+v", b)
	}
	for _, tt := range []struct {
		err  error
		code string
		text string
	}{
		{Refuse(503, "All slots of bmc1 are in use.", 0, nil), "ServiceTemporarilyUnavailable", "Retry in 1 seconds.  All slots of bmc1 are in use."},
		{Refuse(502, "bmc1 is down.", 0, nil), "GeneralError", "bmc1 is down."},
		{Forbidden("not yours", nil), "InsufficientPrivilege", "not yours"},
		{Ambiguous("the path is odd"), "GeneralError", "the path is odd."},
		{auth.ErrNoSession, "NoValidSession", "no valid session"},
		{&http.MaxBytesError{Limit: 1}, "PayloadTooLarge", "exceeds"},
	} {
		b := generic.body(AsProblem(tt.err)).(Error).Error
		if b.Code != registry+tt.code || !strings.Contains(b.Message, tt.text) || !strings.Contains(b.ExtendedInfo[0].Message, tt.text) {
			t.Errorf("%v: %+v", tt.err, b)
		}
	}
}

func TestProblemForLogs(t *testing.T) {
	t.Parallel()
	err := Refuse(502, "bmc1 is down.", time.Second, io.ErrUnexpectedEOF)
	if err.Error() != "502 bmc1 is down.: unexpected EOF" || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v", err)
	}
	if got := errNoCredentials.Error(); got != "401 There is no valid session established with the implementation." {
		t.Errorf("%s", got)
	}
	if p := AsProblem(err); p.RetryAfter != time.Second {
		t.Errorf("%+v", p)
	}
	if p := AsProblem(Refuse(413, "x", 0, nil)); p.Key != keyPayloadTooLarge {
		t.Errorf("%+v", p)
	}
}

func TestDecodeObject(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, err string }{
		{`{}`, ""}, {` {"a" : [1,{"a":2}], "b":"\ud83d\ude00" } `, ""}, {`{"a":{"b":1},"c":{"b":1}}`, ""},
		{`{"\\ud800":1}`, ""}, {`{"a":"\\","b":"\\u"}`, ""},
		{``, "not JSON"}, {`{`, "not JSON"}, {`{} {}`, "not JSON"}, {`{"a":1,}`, "not JSON"}, {"\xEF\xBB\xBF{}", "not JSON"},
		{`{"a":NaN}`, "not JSON"}, {`{"a":"` + "\x01" + `"}`, "not JSON"}, {`{'a':1}`, "not JSON"},
		{"{\"a\":\"\xff\"}", "not UTF-8"}, {`{"a":"\ud800"}`, "not UTF-8"}, {`{"a":"\udc00\ud800"}`, "not UTF-8"}, {`{"a":"\uD83Dx"}`, "not UTF-8"},
		{`[]`, "not a JSON object"}, {`null`, "not a JSON object"}, {`"a"`, "not a JSON object"}, {`1`, "not a JSON object"},
		{`{"a":1,"a":2}`, `duplicate member "a"`}, {`{"a":1,"A":2}`, `duplicate member "A"`}, {`{"x":[{"a":1,"\u0041":2}]}`, `duplicate member "A"`},
		{"{\"k\":1,\"\u212A\":2}", "duplicate member \"\u212A\""}, // the Kelvin sign, which Go's decoder takes for k
		{`{"a":` + strings.Repeat(`[`, maxDepth) + strings.Repeat(`]`, maxDepth) + `}`, "nested deeper than 64"},
		{`{"a":` + strings.Repeat(`[`, maxDepth-1) + strings.Repeat(`]`, maxDepth-1) + `}`, ""},
	} {
		_, err := decodeObject([]byte(tt.text))
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != tt.err {
			t.Errorf("%.60s: %q, want %q", tt.text, got, tt.err)
		}
	}
	o, err := decodeObject([]byte(` {"b" : 1.50 ,"a": {"x":[ ]} }`))
	if err != nil || len(o.members) != 2 || string(o.members[0].value) != "1.50" || string(o.get("a")) != `{"x":[ ]}` || o.get("B") != nil {
		t.Errorf("%+v %v", o, err)
	}
}

func TestBodyMembers(t *testing.T) {
	t.Parallel()
	names, err := BodyMembers([]byte(`{"Boot":{"x":1},"Oem":null}`))
	if err != nil || strings.Join(names, " ") != "Boot Oem" {
		t.Errorf("%q %v", names, err)
	}
	for body, key := range map[string]string{
		`{"Boot":1,"boot":2}`: keyPropertyDuplicate, `[1]`: keyUnrecognizedRequestBody, `{"Boot"`: keyMalformedJSON, "": keyMalformedJSON,
	} {
		if _, err := BodyMembers([]byte(body)); err == nil || AsProblem(err).Key != key || AsProblem(err).Status != 400 {
			t.Errorf("%s: %v, want %s", body, err, key)
		}
	}
}
