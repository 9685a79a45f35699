package sim

import (
	"bufio"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/postern/postern/auth"
)

// A reader is the other end of a stream.
type reader struct {
	t    *testing.T
	resp *http.Response
	scan *bufio.Scanner
}

func (r *rig) stream(opts ...option) *reader {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), "GET", r.url+streamPath, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Accept", mediaStream)
	basic(req)
	for _, o := range opts {
		o(req)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != mediaStream {
		r.t.Fatalf("stream: status %d, %s", resp.StatusCode, resp.Header.Get("Content-Type"))
	}
	return &reader{r.t, resp, bufio.NewScanner(resp.Body)}
}

// next returns the next event with its id in the stream; ok is false at its end.
func (s *reader) next() (id string, e eventBody, ok bool) {
	s.t.Helper()
	for s.scan.Scan() {
		line := s.scan.Text()
		if v, found := strings.CutPrefix(line, "id: "); found {
			id = v
		}
		if v, found := strings.CutPrefix(line, "data: "); found {
			if err := json.Unmarshal([]byte(v), &e); err != nil {
				s.t.Fatalf("%v in %s", err, v)
			}
		}
		if line == "" && e.ID != "" {
			return id, e, true
		}
	}
	return "", e, false
}

func (s *reader) want(messageID string) string {
	s.t.Helper()
	id, e, ok := s.next()
	if !ok || e.Events[0].MessageID != messageID || e.ID != id {
		s.t.Fatalf("event %s, %+v, want %s", id, e, messageID)
	}
	return id
}

func TestStream(t *testing.T) {
	t.Parallel()
	r := start(t, Config{})
	t.Cleanup(r.Close)
	tok, session := r.login()
	s := r.stream(func(q *http.Request) { q.Header.Del("Authorization") }, token(tok))
	s.want(resourceRegistry + "ResourceCreated") // of the subscription that the stream is
	at := subscriptionsPath + "/1"
	p := r.want(200, "GET", at, "")
	if p.member("SubscriptionType") != `"SSE"` || p.member("Context") == `""` || p.member("Destination") == `""` {
		t.Errorf("subscription: %s", p.body)
	}
	// The end of its session does not end a stream.
	r.want(204, "DELETE", session, "")
	r.testEvent(`{"MessageId":"A.1.0.B"}`)
	s.want("A.1.0.B")
	r.want(204, "DELETE", at, "")
	if _, e, ok := s.next(); ok {
		t.Errorf("after the end: %+v", e)
	}
	r.want(404, "GET", at, "")
}

func TestStreamEndsWithItsClient(t *testing.T) {
	t.Parallel()
	r := start(t, Config{})
	t.Cleanup(r.Close)
	watch := r.stream()
	watch.want(resourceRegistry + "ResourceCreated")
	s := r.stream()
	watch.want(resourceRegistry + "ResourceCreated")
	s.resp.Body.Close()
	watch.want(resourceRegistry + "ResourceRemoved")
	r.want(404, "GET", subscriptionsPath+"/2", "")
	r.Close()
	if _, e, ok := watch.next(); ok {
		t.Errorf("after Close: %+v", e)
	}
}

func TestStreamResumes(t *testing.T) {
	t.Parallel()
	r := start(t, Config{})
	t.Cleanup(r.Close)
	for i := range 3 {
		r.testEvent(`{"MessageId":"A.1.0.N` + strconv.Itoa(i) + `"}`)
	}
	s := r.stream(header("Last-Event-ID", "1"))
	s.want("A.1.0.N1")
	s.want("A.1.0.N2")
	if id := s.want(resourceRegistry + "ResourceCreated"); id != "4" {
		t.Errorf("the next id is %s", id)
	}
	r.stream(header("Last-Event-ID", "nonsense")).want(resourceRegistry + "ResourceCreated")
}

func TestStreamRefusals(t *testing.T) {
	t.Parallel()
	r := start(t, Config{})
	t.Cleanup(r.Close)
	for _, tt := range []struct {
		name, path, accept string
		want               int
	}{
		{"as JSON", streamPath, "application/json", 406},
		{"selected", streamPath + "?$select=Id", mediaStream, 400},
		{"filtered", streamPath + "?$filter=EventType%20eq%20Alert", mediaStream, 400},
	} {
		if p := r.want(tt.want, "GET", tt.path, "", header("Accept", tt.accept)); p.messages() == "" {
			t.Errorf("%s: %s", tt.name, p.body)
		}
	}
	r.want(405, "POST", streamPath, "{}")
	if p := r.want(200, "GET", subscriptionsPath, ""); p.member("Members@odata.count") != "0" {
		t.Errorf("left behind: %s", p.body)
	}
	// A writer that collects the answer would wait for ever.
	m, err := NewMachine(MachineConfig{})
	if err != nil {
		t.Fatal(err)
	}
	w := collector{http.Header{}}
	req, _ := http.NewRequestWithContext(auth.WithPrincipal(t.Context(), auth.Principal{Privileges: auth.MayLogIn}), "GET", streamPath, nil)
	m.ServeHTTP(&w, req)
}

type collector struct{ h http.Header }

func (c *collector) Header() http.Header         { return c.h }
func (c *collector) Write(b []byte) (int, error) { return len(b), nil }
func (c *collector) WriteHeader(int)             {}
