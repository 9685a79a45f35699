package gateway

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/postern/postern/auth"
)

const testSecret = `p@ss w"rd+/<ü>-0123456789`

func testScrubber() *scrubber {
	return newScrubber(auth.Login{Method: auth.MethodBasic, Account: "root", Secret: auth.NewSecret(testSecret)})
}

// shapes are ways in which a device might echo the secret.
func shapes() map[string]string {
	quoted, _ := json.Marshal(testSecret)
	return map[string]string{
		"raw":          testSecret,
		"query":        url.QueryEscape(testSecret),
		"path":         url.PathEscape(testSecret),
		"json":         string(quoted),
		"hex":          hex.EncodeToString([]byte(testSecret)),
		"upper hex":    strings.ToUpper(hex.EncodeToString([]byte(testSecret))),
		"base64":       base64.StdEncoding.EncodeToString([]byte(testSecret)),
		"base64 +1":    base64.StdEncoding.EncodeToString([]byte("x" + testSecret + "yz")),
		"base64 +2":    base64.StdEncoding.EncodeToString([]byte("xx" + testSecret + "y")),
		"base64 url":   base64.URLEncoding.EncodeToString([]byte(testSecret)),
		"basic":        "Basic " + base64.StdEncoding.EncodeToString([]byte("root:"+testSecret)),
		"twice in one": testSecret + testSecret,
	}
}

func scrubStream(s *scrubber, src io.Reader, size int) string {
	var out bytes.Buffer
	b := relayBuffer{buf: make([]byte, size), find: &s.body}
	for {
		err := b.read(src)
		last := err != nil
		piece := b.ready(last)
		out.Write(piece)
		if last {
			return out.String()
		}
		b.keep(len(piece))
	}
}

func TestScrubBody(t *testing.T) {
	t.Parallel()
	s := testScrubber()
	forms := secretForms(s.login)
	for name, shape := range shapes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := strings.Repeat("innocent p@ss ", 50) + shape + strings.Repeat(" w\"rd", 50)
			for how, src := range map[string]io.Reader{
				"whole":         strings.NewReader(text),
				"byte by byte":  iotest.OneByteReader(strings.NewReader(text)),
				"half by half":  iotest.HalfReader(strings.NewReader(text)),
				"with last EOF": iotest.DataErrReader(strings.NewReader(text)),
			} {
				got := scrubStream(s, src, 512)
				if len(got) != len(text) {
					t.Errorf("%s: %d bytes became %d", how, len(text), len(got))
				}
				for _, f := range forms {
					if len(f) >= minBodySecret && strings.Contains(got, f) {
						t.Errorf("%s: %q is still there", how, f)
					}
				}
				if !strings.HasPrefix(got, strings.Repeat("innocent p@ss ", 50)) || !strings.HasSuffix(got, strings.Repeat(" w\"rd", 50)) {
					t.Errorf("%s: innocent text was changed: %q", how, got)
				}
			}
		})
	}
}

// Bytes that cannot be part of a secret are not held back.
func TestScrubHoldsNothingBack(t *testing.T) {
	t.Parallel()
	s := testScrubber()
	b := relayBuffer{buf: make([]byte, 512), find: &s.body}
	if err := b.read(strings.NewReader("data: hello\n\n")); err != nil {
		t.Fatal(err)
	}
	if got := string(b.ready(false)); got != "data: hello\n\n" {
		t.Errorf("passes %q", got)
	}
}

func TestScrubShortSecrets(t *testing.T) {
	t.Parallel()
	s := newScrubber(auth.Login{Account: "admin", Secret: auth.NewSecret("admin")})
	in := []byte("/redfish/v1/AccountService/Accounts/admin")
	out := bytes.Clone(in)
	s.body.scrub(out)
	if !bytes.Equal(in, out) {
		t.Errorf("a short secret was taken out of a body: %q", out)
	}
	if v := s.values([]string{string(in)}); v[0] != string(in) {
		t.Errorf("a short secret was taken out of a header: %q", v)
	}
	pair := []byte(base64.StdEncoding.EncodeToString([]byte("admin:admin")))
	s.body.scrub(pair)
	if bytes.Contains(pair, []byte("YWRtaW46")) {
		t.Errorf("the pair of HTTP Basic is still there: %q", pair)
	}
	none := newScrubber(auth.Login{})
	if at, _ := none.body.find(in); at >= 0 {
		t.Error("found a secret where there is none")
	}
}

func TestScrubHeaders(t *testing.T) {
	t.Parallel()
	s := testScrubber()
	in := []string{"clean", "x" + testSecret + "y", "clean", testSecret}
	got := s.values(in)
	if strings.Contains(strings.Join(got, "\n"), testSecret) || got[0] != "clean" || got[2] != "clean" {
		t.Errorf("got %q", got)
	}
	if in[1] != "x"+testSecret+"y" {
		t.Error("the input was changed")
	}
}

func TestScrubAsterisks(t *testing.T) {
	t.Parallel()
	s := newScrubber(auth.Login{Secret: auth.NewSecret(strings.Repeat("*", 16))})
	s.body.scrub(bytes.Repeat([]byte("*"), 100)) // ends
}

// The search finds exactly what a plain one finds, however the text is cut.
func FuzzScrub(f *testing.F) {
	f.Add("0123456789abcdef", "xx0123456789abcdefyy", uint8(7))
	f.Add("aaaaaaaaaaaaab", "aaaaaaaaaaaaaaaaaaaaab", uint8(1))
	f.Fuzz(func(t *testing.T, secret, text string, cut uint8) {
		if len(secret) < minBodySecret || len(secret) > 256 || strings.Contains(secret, "*") {
			return
		}
		s := newScrubber(auth.Login{Account: "root", Secret: auth.NewSecret(secret)})
		at, _ := s.body.find([]byte(text))
		plain := -1
		for _, p := range s.body.patterns {
			if i := strings.Index(text, p); i >= 0 && (plain < 0 || i < plain) {
				plain = i
			}
		}
		if at != plain {
			t.Fatalf("found at %d, want %d", at, plain)
		}
		src := io.Reader(strings.NewReader(text))
		src = io.MultiReader(io.LimitReader(src, int64(cut)), src)
		got := scrubStream(s, src, 4*maxSecret)
		if len(got) != len(text) || strings.Contains(got, secret) {
			t.Fatalf("%q became %q", text, got)
		}
		for i := range got {
			if got[i] != text[i] && got[i] != '*' {
				t.Fatalf("byte %d of %q became %q", i, text, got[i])
			}
		}
	})
}

func BenchmarkScrub(b *testing.B) {
	s := newScrubber(auth.Login{Method: auth.MethodSession, Account: "root", Secret: auth.NewSecret("0123456789abcdef0123456789abcdef")})
	line := `{"@odata.id":"/redfish/v1/Systems/437XR1138R2","Name":"WebFrontEnd483","SerialNumber":"437XR1138R2","PartNumber":"224071-J23","UUID":"38947555-7742-3448-3784-823347823834"},`
	text := []byte(strings.Repeat(line, chunk/len(line)))
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		s.body.scrub(text)
	}
}
