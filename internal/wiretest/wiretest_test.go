package wiretest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// newServer draws a token for who logs in, ends all of them before request 4, and
// says back the text that the client drew.
func newServer(draw string) http.Handler {
	n, token := 0, ""
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n++
		if n == 4 {
			token = ""
		}
		w.Header()["ETag"] = []string{fmt.Sprintf(`W/"%s%d"`, draw, n)}
		switch {
		case r.Method == http.MethodPost:
			body, _ := io.ReadAll(r.Body)
			token = fmt.Sprintf("%s-%d-%s", draw, n, strings.Repeat("t", len(draw)))
			w.Header().Set("X-Token", token)
			answer := fmt.Sprintf("told %s, tag W/\\\"%s%d\\\"\n\ngive %s", body, draw, n, token)
			w.Header().Set("Content-Length", fmt.Sprint(len(answer)))
			w.WriteHeader(http.StatusCreated)
			io.WriteString(w, answer)
		case token == "" || r.Header.Get("X-Token") != token:
			w.WriteHeader(http.StatusUnauthorized)
		default:
			io.WriteString(w, "good")
		}
	})
}

// client logs in, uses the token until it is lost, and logs in again.
func client(rt http.RoundTripper, nonce string) error {
	c := &http.Client{Transport: rt}
	for _, gets := range []int{3, 1} {
		resp, err := c.Post("https://device.example/login", "text/plain", strings.NewReader(nonce))
		if err != nil {
			return err
		}
		body, _ := io.ReadAll(resp.Body)
		if !bytes.Contains(body, []byte(nonce)) || !bytes.Contains(body, []byte(resp.Header.Get("X-Token"))) {
			return fmt.Errorf("%s does not say %s back", body, nonce)
		}
		for range gets {
			r, _ := http.NewRequest(http.MethodGet, "https://device.example/thing", nil)
			r.Header.Set("X-Token", resp.Header.Get("X-Token"))
			if _, err := c.Do(r); err != nil {
				return err
			}
		}
	}
	return nil
}

func drawn() []Drawn {
	return []Drawn{
		{Name: "token", Find: Pattern(regexp.MustCompile(`(?m)^X-Token: (.+)$`))},
		{Name: "nonce", Find: Pattern(regexp.MustCompile(`nonce-[a-z0-9]+|\{nonce-1\}`))},
		{Name: "tag", Find: Pattern(regexp.MustCompile(`(?m)^ETag: (.+)$`)), As: []string{`W/"tag"`}, Alike: true},
	}
}

func record(t *testing.T) string {
	t.Helper()
	r := NewRecorder(Serve(newServer("first"), nil), drawn()...)
	if err := client(Wire(r.Wire).As(""), "nonce-abc"); err != nil {
		t.Fatal(err)
	}
	text, err := r.Transcript()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestTranscriptDrivesBothSides(t *testing.T) {
	t.Parallel()
	text := record(t)
	for _, real := range []string{"first", "nonce-abc"} {
		if strings.Contains(text, real) {
			t.Errorf("%q is in the transcript:\n%s", real, text)
		}
	}
	for _, want := range []string{"X-Token: {token-1}\n", "X-Token: {token-2}\n", "told {nonce-1}, tag W/\\\"tag\\\"\n\ngive {token-2}\n", "Content-Length: 45\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in the transcript:\n%s", want, text)
		}
	}
	all, err := Parse(text)
	if err != nil || len(all) != 6 {
		t.Fatalf("%d exchanges, %v", len(all), err)
	}
	if err := Play(Serve(newServer("another"), nil), all, drawn()...); err != nil {
		t.Errorf("the server: %v", err)
	}
	p := NewReplayer(all, drawn()...)
	if err := errors.Join(client(Wire(p.Wire).As(""), "nonce-0123456"), p.Done()); err != nil {
		t.Errorf("the client: %v", err)
	}
}

// What differs by a byte is an error, on either side.
func TestDeviation(t *testing.T) {
	t.Parallel()
	all, err := Parse(record(t))
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		changed := append([]Exchange(nil), all...)
		changed[i].Request = strings.Replace(changed[i].Request, "Host: device", "Host: devicf", 1)
		p := NewReplayer(changed, drawn()...)
		if client(Wire(p.Wire).As(""), "nonce-x") == nil || p.Done() == nil {
			t.Errorf("request %d: another byte goes unseen", i+1)
		}
		changed = append([]Exchange(nil), all...)
		changed[i].Answer = strings.Replace(changed[i].Answer, "ETag", "ETAg", 1)
		if Play(Serve(newServer("x"), nil), changed, drawn()...) == nil {
			t.Errorf("answer %d: another byte goes unseen", i+1)
		}
	}
	p := NewReplayer(all, drawn()...)
	if err := client(Wire(p.Wire).As("other"), "nonce-x"); err == nil {
		t.Error("another connection goes unseen")
	}
	if p = NewReplayer(append(all, all[0]), drawn()...); client(Wire(p.Wire).As(""), "nonce-x") != nil || p.Done() == nil {
		t.Error("a request that is left out goes unseen")
	}
	if p = NewReplayer(all[:5], drawn()...); client(Wire(p.Wire).As(""), "nonce-x") == nil {
		t.Error("a request too many goes unseen")
	}
}

func TestStandInsRunOut(t *testing.T) {
	t.Parallel()
	few := drawn()
	few[0].As = []string{"only-one"}
	r := NewRecorder(Serve(newServer("first"), nil), few...)
	err := client(Wire(r.Wire).As(""), "nonce-abc")
	if _, told := r.Transcript(); err == nil || told == nil {
		t.Errorf("two tokens and one stand-in: %v, %v", err, told)
	}
}

// A Recorder also stands between a client and a server that are far away.
func TestBetweenSockets(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(newServer("far"))
	defer server.Close()
	r := NewRecorder(Remote("http", server.Client().Transport), append(drawn(),
		Drawn{Name: "date", Find: Pattern(regexp.MustCompile(`(?m)^Date: (.+)$`))},
		Drawn{Name: "host", Find: Pattern(regexp.MustCompile(`(?m)^Host: (.+)$`)), As: []string{"device.example"}})...)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		q.Host = strings.TrimPrefix(server.URL, "http://")
		Wire(r.Wire).ServeHTTP(w, q)
	}))
	defer front.Close()
	resp, err := http.Post(front.URL+"/login", "text/plain", strings.NewReader("nonce-q1"))
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.StatusCode != http.StatusCreated || !bytes.Contains(body, []byte("nonce-q1")) {
		t.Errorf("%s: %s", resp.Status, body)
	}
	text, err := r.Transcript()
	if err != nil || !strings.HasPrefix(text, "-- request --\nPOST /login HTTP/1.1\nHost: device.example\n") || !strings.Contains(text, "\nDate: {date-1}\n") {
		t.Errorf("%v:\n%s", err, text)
	}
}

func TestSides(t *testing.T) {
	t.Parallel()
	s := Sides{
		File: filepath.Join(t.TempDir(), "login.txtar"), Drawn: drawn,
		Server: func(*testing.T) Wire { return Serve(newServer("drawn"), nil) },
		Client: func(t *testing.T, w Wire) {
			if err := client(w.As("peer"), "nonce-s"); err != nil {
				t.Error(err)
			}
		},
	}
	s.Test(t, true)
	if text, err := os.ReadFile(s.File); err != nil || !strings.HasPrefix(string(text), "-- request peer --\n") {
		t.Errorf("%v: %s", err, text)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"nothing":           "",
		"no end":            "-- request --\na\n-- answer --\nb",
		"a comment":         "x\n-- request --\na\n-- answer --\nb\n",
		"no answer":         "-- request --\na\n",
		"two requests":      "-- request --\na\n-- request --\nb\n-- answer --\nc\n",
		"an empty request":  "-- request --\n-- answer --\nb\n",
		"an empty answer":   "-- request --\na\n-- answer --\n",
		"two answers":       "-- request --\na\n-- answer --\nb\n-- answer --\nc\n",
		"a connection's %s": "-- request A/B --\na\n-- answer --\nb\n",
	} {
		if all, err := Parse(text); err == nil {
			t.Errorf("%s: %q", name, all)
		}
	}
	for name, x := range map[string]Exchange{
		"a marker":         {Request: "a\n-- answer --\n", Answer: "b"},
		"another marker":   {Request: "a", Answer: "b\n-- request x --"},
		"the connection's": {By: "A B", Request: "a", Answer: "b"},
	} {
		if text, err := Format([]Exchange{x}); err == nil {
			t.Errorf("%s is written: %q", name, text)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("-- request --\nGET / HTTP/1.1\n\n\n-- answer --\nHTTP/1.1 200 OK\n\nbody\n")
	f.Add("-- request oper --\na\n-- answer --\n\n-- request --\n\n-- answer --\nb\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		all, err := Parse(text)
		if err != nil {
			return
		}
		if again, err := Format(all); err != nil || again != text {
			t.Errorf("%q is read, and written as %q (%v)", text, again, err)
		}
		if err := NewReplayer(all).Done(); err == nil {
			t.Error("nothing was sent, and that goes unseen")
		}
		Play(func(string, string) (string, error) { return "", io.EOF }, all)
	})
}
