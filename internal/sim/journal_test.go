package sim

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern/postern/auth"
)

func TestJournal(t *testing.T) {
	t.Parallel()
	c := newClock()
	r := start(t, Config{Now: c.now, Slots: 1})
	tok, at := r.login()
	id := at[strings.LastIndexByte(at, '/')+1:]
	r.do("GET", systemPath+"?only", "", token(tok))
	r.do("GET", systemPath, "", token("00000000000000000000000000000000"))
	r.do("GET", systemPath, "")
	r.do("GET", systemPath, "", basic)
	r.do("GET", systemPath, "", basicAs("eve", "x"))
	r.do("GET", systemPath, "", header("Authorization", "Basic !"))
	r.do("GET", systemPath, "", header("Authorization", "Bearer x"))
	r.loginAs(testUser, "wrong")
	r.loginAs(testUser, testPassword) // full
	r.do("POST", sessionsPath, "{", token(tok))
	r.do("GET", at, "", token(tok))
	r.do("DELETE", at, "", token(tok))
	r.do("DELETE", at, "", token(tok))
	r.do("GET", "/redfish/v1/", "")

	lines := r.lines()
	for i := range lines {
		if lines[i].Peer == "" || lines[i].Time != "2026-11-25T12:00:00Z" {
			t.Errorf("line %d: peer %q, time %q", i, lines[i].Peer, lines[i].Time)
		}
		lines[i].Peer, lines[i].Time = "", ""
	}
	post := line{Event: "login-refused", Method: "POST", Path: sessionsPath}
	with := func(l line, status int, user string) line { l.Status, l.User = status, user; return l }
	get := func(event string, status int, user, session string) line {
		return line{Event: event, Method: "GET", Path: systemPath, Status: status, User: user, Session: session}
	}
	want := []line{
		{Event: "login", Method: "POST", Path: sessionsPath, Status: 201, User: "root", Session: id},
		get("call", 400, "root", id), // `only` on a resource
		get("call", 401, "", ""),
		get("call", 401, "", ""),
		get("call", 200, "root", ""),
		get("login-refused", 401, "eve", ""),
		get("login-refused", 401, "", ""),
		get("call", 401, "", ""),
		with(post, 401, "root"),
		with(post, 503, "root"),
		with(post, 400, ""),
		{Event: "call", Method: "GET", Path: at, Status: 200, User: "root", Session: id},
		{Event: "logout", Method: "DELETE", Path: at, Status: 204, User: "root", Session: id},
		{Event: "call", Method: "DELETE", Path: at, Status: 401},
		{Event: "call", Method: "GET", Path: "/redfish/v1/", Status: 200},
	}
	if !slices.Equal(lines, want) {
		for i := range max(len(lines), len(want)) {
			var got, w line
			if i < len(lines) {
				got = lines[i]
			}
			if i < len(want) {
				w = want[i]
			}
			if got != w {
				t.Errorf("line %d:\ngot  %+v\nwant %+v", i, got, w)
			}
		}
	}
	for _, secret := range []string{tok, testPassword, "wrong"} {
		if strings.Contains(r.journal.buf.String(), secret) {
			t.Errorf("the journal holds %q", secret)
		}
	}
}

// order notes what happens first.
type order struct {
	http.ResponseWriter
	seen []string
}

func (o *order) WriteHeader(status int) {
	o.seen = append(o.seen, "answer")
	o.ResponseWriter.WriteHeader(status)
}

func (o *order) Write(b []byte) (int, error) {
	if !slices.Contains(o.seen, "answer") {
		o.seen = append(o.seen, "answer")
	}
	return o.ResponseWriter.Write(b)
}

type orderJournal struct{ *order }

func (o orderJournal) Write(b []byte) (int, error) {
	o.seen = append(o.seen, "journal")
	return len(b), nil
}

func TestJournalComesBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	o := &order{}
	d, err := New(Config{User: testUser, Password: auth.NewSecret(testPassword), Journal: orderJournal{o}})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ method, path, body string }{
		{"GET", "/redfish/v1/", ""},
		{"GET", systemPath, ""},
		{"POST", sessionsPath, loginBody(testUser, testPassword)},
		{"POST", sessionsPath, loginBody(testUser, "wrong")},
		{"POST", systemPath + "/Actions/ComputerSystem.Reset", `{"ResetType":"On"}`},
	} {
		req := httptest.NewRequest(tt.method, "https://bmc"+tt.path, strings.NewReader(tt.body))
		req.TLS = new(tls.ConnectionState)
		req.SetBasicAuth(testUser, testPassword)
		o.ResponseWriter, o.seen = httptest.NewRecorder(), nil
		d.Handler().ServeHTTP(o, req)
		if got := strings.Join(o.seen, " "); got != "journal answer" {
			t.Errorf("%s %s: %s", tt.method, tt.path, got)
		}
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestBrokenJournalIsLogged(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	j := &journal{w: brokenWriter{}, now: time.Now, log: slog.New(slog.NewTextHandler(&out, nil))}
	j.write(line{Event: eventCall, Path: strings.Repeat("ä", 4000)})
	if !strings.Contains(out.String(), "disk full") {
		t.Errorf("log: %q", out.String())
	}
	if got := shorten(strings.Repeat("ä", 4000)); len(got) > maxJournalText || !strings.HasPrefix(got, "ä") {
		t.Errorf("%d bytes", len(got))
	}
}
