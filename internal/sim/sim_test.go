package sim

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/postern/postern/auth"
)

const (
	testUser     = "root"
	testPassword = "Xk7-labSecret.9"
)

// A rig is a device behind real TLS, and its journal.
type rig struct {
	*Device
	t       *testing.T
	url     string
	client  *http.Client
	journal *recorder
}

// recorder keeps what is written to a journal, and how often.
type recorder struct {
	mu     sync.Mutex
	buf    bytes.Buffer
	writes int
}

func (r *recorder) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.writes++
	return r.buf.Write(b)
}

// lines returns the journal so far.
func (r *rig) lines() []line {
	r.t.Helper()
	r.journal.mu.Lock()
	defer r.journal.mu.Unlock()
	var all []line
	dec := json.NewDecoder(bytes.NewReader(r.journal.buf.Bytes()))
	dec.DisallowUnknownFields()
	for {
		var l line
		err := dec.Decode(&l)
		if err == io.EOF {
			break
		}
		if err != nil {
			r.t.Fatalf("journal: %v in %s", err, r.journal.buf.String())
		}
		all = append(all, l)
	}
	if len(all) != r.journal.writes || strings.Count(r.journal.buf.String(), "\n") != len(all) {
		r.t.Errorf("journal: %d lines in %d writes", len(all), r.journal.writes)
	}
	return all
}

// events returns the names of the journal's events so far.
func (r *rig) events() string {
	r.t.Helper()
	var names []string
	for _, l := range r.lines() {
		names = append(names, l.Event)
	}
	return strings.Join(names, " ")
}

func start(t *testing.T, cfg Config) *rig {
	t.Helper()
	if cfg.User == "" {
		cfg.User, cfg.Password = testUser, auth.NewSecret(testPassword)
	}
	rec := new(recorder)
	if cfg.Journal == nil {
		cfg.Journal = rec
	}
	d, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(d.Handler())
	srv.TLS = &tls.Config{NextProtos: []string{"http/1.1"}, ClientAuth: tls.RequestClientCert}
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return &rig{Device: d, t: t, url: srv.URL, client: srv.Client(), journal: rec}
}

// reply is an answer, read to its end.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// member returns a value of the body as JSON text, "" for none.
func (p reply) member(path ...string) string {
	if !json.Valid(p.body) {
		return ""
	}
	return string(lookup(p.body, path...))
}

// message returns the keys of the messages of an error.
func (p reply) messages() string {
	var e struct {
		Error struct {
			Info []struct{ MessageId string } `json:"@Message.ExtendedInfo"`
		} `json:"error"`
	}
	json.Unmarshal(p.body, &e)
	var keys []string
	for _, m := range e.Error.Info {
		keys = append(keys, m.MessageId[strings.LastIndexByte(m.MessageId, '.')+1:])
	}
	return strings.Join(keys, " ")
}

// option changes a request before it goes out.
type option func(*http.Request)

func header(name, value string) option { return func(r *http.Request) { r.Header.Set(name, value) } }
func token(t string) option            { return header("X-Auth-Token", t) }
func basic(r *http.Request)            { r.SetBasicAuth(testUser, testPassword) }
func basicAs(user, password string) option {
	return func(r *http.Request) { r.SetBasicAuth(user, password) }
}

// try sends a request; the error is the connection's.
func (r *rig) try(method, path, body string, opts ...option) (reply, error) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, o := range opts {
		o(req)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, b}, err
}

func (r *rig) do(method, path, body string, opts ...option) reply {
	r.t.Helper()
	p, err := r.try(method, path, body, opts...)
	if err != nil {
		r.t.Fatalf("%s %s: %v", method, path, err)
	}
	return p
}

// want sends a request as the administrator, by Basic, and checks the status.
func (r *rig) want(status int, method, path, body string, opts ...option) reply {
	r.t.Helper()
	p := r.do(method, path, body, append([]option{basic}, opts...)...)
	if p.status != status {
		r.t.Fatalf("%s %s %s: status %d, want %d: %s", method, path, body, p.status, status, p.body)
	}
	return p
}

func loginBody(user, password string) string {
	b, _ := json.Marshal(map[string]string{"UserName": user, "Password": password})
	return string(b)
}

func (r *rig) loginAs(user, password string) reply {
	r.t.Helper()
	return r.do("POST", sessionsPath, loginBody(user, password))
}

// login logs in as the administrator and returns token and path of the session.
func (r *rig) login() (tok, path string) {
	r.t.Helper()
	p := r.loginAs(testUser, testPassword)
	if p.status != http.StatusCreated {
		r.t.Fatalf("login: status %d: %s", p.status, p.body)
	}
	return p.header.Get("X-Auth-Token"), strings.Trim(p.member("@odata.id"), `"`)
}
