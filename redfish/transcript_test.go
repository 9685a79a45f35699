//lint:file-ignore SA1008 the letter case that goes out is what is looked at

package redfish_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/redfish"
)

var update = flag.Bool("update", false, "write testdata/*.txtar anew")

// tokenInFile stands for the session token, which is drawn.
const tokenInFile = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"

// A script is what a Device does in one transcript.
type script struct {
	profile string
	prepare func(*memory)
	run     func(ctx context.Context, d *redfish.Device) error
}

var scripts = map[string]script{
	"session": {run: func(ctx context.Context, d *redfish.Device) error {
		l, err := d.Login(ctx, credentialOf("oper"), auth.LoginOptions{Method: auth.MethodAuto, Nonce: "postern-n1-42"})
		if err != nil {
			return err
		}
		if !l.KeepsNonce || l.Location != "/redfish/v1/SessionService/Sessions/s1" || l.Secret.Reveal() != tokenInFile {
			return fmt.Errorf("login %+v", l)
		}
		idle, err := d.Idle(ctx, l)
		if err != nil || idle != 30*time.Minute {
			return fmt.Errorf("idle %v: %w", idle, err)
		}
		if err := d.Touch(ctx, l); err != nil {
			return err
		}
		listed, err := d.List(ctx, l)
		if err != nil || len(listed) != 1 || listed[0].Context != "postern-n1-42" {
			return fmt.Errorf("list %+v: %w", listed, err)
		}
		if err := d.Logout(ctx, l); err != nil {
			return err
		}
		if err := d.Touch(ctx, l); !errors.Is(err, auth.ErrNoSession) {
			return fmt.Errorf("touch after logout: %v", err)
		}
		return nil
	}},
	"basic": {run: func(ctx context.Context, d *redfish.Device) error {
		l, err := d.Login(ctx, credentialOf("reader"), auth.LoginOptions{Method: auth.MethodBasic})
		if err != nil {
			return err
		}
		listed, err := d.List(ctx, l)
		if err != nil || len(listed) != 0 {
			return fmt.Errorf("list %+v: %w", listed, err)
		}
		return d.Logout(ctx, l)
	}},
	"refused": {run: func(ctx context.Context, d *redfish.Device) error {
		for _, m := range []auth.Method{auth.MethodSession, auth.MethodBasic} {
			_, err := d.Login(ctx, auth.Credential{Account: "oper", Password: auth.NewSecret("wrong")}, auth.LoginOptions{Method: m})
			var le *auth.LoginError
			if !errors.As(err, &le) || le.Outcome != auth.Refused || le.Status != 401 {
				return fmt.Errorf("%s: %v", m, err)
			}
		}
		return nil
	}},
	"ilo":         {profile: "ilo", run: hpeSession},
	"ilo-refused": {profile: "ilo", run: hpeRefused(400)},
	"rmc":         {profile: "rmc", run: hpeSession},
	"rmc-refused": {profile: "rmc", run: hpeRefused(401)},
	"full": {prepare: func(m *memory) { m.limit = 0 }, run: func(ctx context.Context, d *redfish.Device) error {
		_, err := d.Login(ctx, credentialOf("oper"), auth.LoginOptions{})
		var le *auth.LoginError
		if !errors.As(err, &le) || !le.Full || le.Outcome != auth.NotJudged || le.RetryAfter != 30*time.Second {
			return fmt.Errorf("full: %v", err)
		}
		return nil
	}},
}

func hpeSession(ctx context.Context, d *redfish.Device) error {
	l, err := d.Login(ctx, credentialOf("oper"), auth.LoginOptions{})
	if err != nil {
		return err
	}
	if err := d.Touch(ctx, l); err != nil {
		return err
	}
	listed, err := d.List(ctx, l)
	if err != nil || len(listed) != 1 || listed[0].Account != "oper" {
		return fmt.Errorf("list %+v: %w", listed, err)
	}
	if err := d.Logout(ctx, l); err != nil {
		return err
	}
	if err := d.Touch(ctx, l); !errors.Is(err, auth.ErrNoSession) {
		return fmt.Errorf("touch after logout: %v", err)
	}
	return nil
}

func hpeRefused(status int) func(context.Context, *redfish.Device) error {
	return func(ctx context.Context, d *redfish.Device) error {
		_, err := d.Login(ctx, auth.Credential{Account: "oper", Password: auth.NewSecret("wrong")}, auth.LoginOptions{})
		var le *auth.LoginError
		if !errors.As(err, &le) || le.Outcome != auth.Refused || le.Status != status {
			return fmt.Errorf("%v", err)
		}
		return nil
	}
}

func credentialOf(name auth.AccountName) auth.Credential {
	return auth.Credential{Account: name, Password: auth.NewSecret(password)}
}

// server is a Handler whose tokens read as tokenInFile.
type server struct {
	h       http.Handler
	profile string
	token   string
	id      string // of the session, where it is drawn
}

// ids are those that the profiles draw: name, time and a random part.
var ids = regexp.MustCompile(`oper[0-9a-f]{17,}`)

// tagsInFile stand for the entity tags, which are of the ids, too.
var tagsInFile = map[string]string{"ilo": `W/"21064D3B"`, "rmc": `"bb8be42aa0b43c2c9c9a9499c299e3aa"`}

// idsInFile stand for them.
var idsInFile = map[string]string{"ilo": "oper0000000063bc4f87659ddce4", "rmc": "operbe3ce14106fb4d02a0880b886ea9a6d5"}

func newServer(t *testing.T, s script) *server {
	t.Helper()
	m := newMemory()
	if s.prepare != nil {
		s.prepare(m)
	}
	cfg := redfish.Config{Authority: m, Listener: listener, Next: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "{}")
	})}
	var err error
	if cfg.Profile, err = redfish.FindProfile(s.profile); err != nil {
		t.Fatal(err)
	}
	if s.profile == "ilo" {
		cfg.Open = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			redfish.ServeResource(w, r, "GET, HEAD", []byte(iloRoot), "")
		})
	}
	cfg.Now = func() time.Time { return clock }
	h, err := redfish.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &server{h: h, profile: s.profile}
}

// exchange answers one request, both as they stand in a transcript.
func (s *server) exchange(t *testing.T, request string) string {
	t.Helper()
	if s.token != "" {
		request = strings.ReplaceAll(request, tokenInFile, s.token)
	}
	if s.id != "" {
		request = strings.ReplaceAll(request, idsInFile[s.profile], s.id)
	}
	head, body, _ := strings.Cut(request, "\n\n")
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.ReplaceAll(head, "\n", "\r\n") + "\r\n\r\n" + body)))
	if err != nil {
		t.Fatalf("%s: %v", request, err)
	}
	r.TLS, r.RemoteAddr = &tls.ConnectionState{}, "192.0.2.7:4711"
	w := httptest.NewRecorder()
	s.h.ServeHTTP(w, r.WithContext(auth.WithRequestID(r.Context(), "request-1")))
	if token := w.Header().Get("X-Auth-Token"); token != "" {
		s.token = token
	}
	head, body = s.masked(w)
	return fmt.Sprintf("HTTP/1.1 %d %s\n%s\n%s", w.Code, http.StatusText(w.Code), head, body)
}

// masked returns an answer with what is drawn replaced by what stands in the file.
func (s *server) masked(w *httptest.ResponseRecorder) (head, body string) {
	body = w.Body.String()
	swap := []string{}
	if id := ids.FindString(w.Header().Get("Location") + body); id != "" && idsInFile[s.profile] != "" {
		s.id = id
	}
	if s.id != "" {
		swap = append(swap, s.id, idsInFile[s.profile])
		if tag := w.Header()["ETag"]; len(tag) > 0 {
			swap = append(swap, tag[0], tagsInFile[s.profile], quoted(tag[0]), quoted(tagsInFile[s.profile]))
		}
	}
	if s.token != "" {
		swap = append(swap, s.token, tokenInFile)
	}
	mask := strings.NewReplacer(swap...)
	body = mask.Replace(body)
	if w.Header().Get("Content-Length") != "" && w.Body.Len() > 0 {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	for _, k := range sortedKeys(w.Header()) {
		for _, v := range w.Header()[k] {
			head += k + ": " + mask.Replace(v) + "\n"
		}
	}
	return head, body
}

func quoted(tag string) string { return strings.ReplaceAll(tag, `"`, `\"`) }

func sortedKeys(h http.Header) []string {
	keys := make([]string, 0, len(h))
	for k := range h {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// wire is a RoundTripper whose other end is a function from request to answer.
type wire func(request string) string

func (f wire) RoundTrip(r *http.Request) (*http.Response, error) {
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		return nil, err
	}
	answer := f(strings.ReplaceAll(b.String(), "\r\n", "\n"))
	head, body, _ := strings.Cut(answer, "\n\n")
	return http.ReadResponse(bufio.NewReader(strings.NewReader(strings.ReplaceAll(head, "\n", "\r\n")+"\r\n\r\n"+body)), r)
}

func drive(t *testing.T, s script, answer wire) {
	t.Helper()
	d, err := redfish.NewDevice(redfish.DeviceConfig{URL: "https://bmc.example", Base: answer, Fresh: answer})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.run(t.Context(), d); err != nil {
		t.Error(err)
	}
}

// Each transcript drives both sides: its requests the Handler, which must give
// its answers, and its answers the Device, which must send its requests.
func TestTranscripts(t *testing.T) {
	t.Parallel()
	for name, s := range scripts {
		file := filepath.Join("testdata", name+".txtar")
		if *update {
			record(t, file, s)
		}
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		parts := split(string(raw))
		t.Run(name+"/server", func(t *testing.T) {
			t.Parallel()
			srv := newServer(t, s)
			for i := 0; i < len(parts); i += 2 {
				if got := srv.exchange(t, parts[i]); got != parts[i+1] {
					t.Errorf("request\n%s\nis answered\n%s\nwant\n%s", parts[i], got, parts[i+1])
				}
			}
		})
		t.Run(name+"/device", func(t *testing.T) {
			t.Parallel()
			n := 0
			drive(t, s, func(request string) string {
				if n+1 >= len(parts) || request != parts[n] {
					t.Fatalf("request %d is\n%s\nwant\n%s", n/2, request, slices.Concat(parts, []string{"none"})[min(n, len(parts))])
				}
				n += 2
				return parts[n-1]
			})
			if n != len(parts) {
				t.Errorf("%d of %d requests were sent", n/2, len(parts)/2)
			}
		})
	}
}

// record writes a transcript from the two sides talking to each other.
func record(t *testing.T, file string, s script) {
	t.Helper()
	srv := newServer(t, s)
	var out strings.Builder
	drive(t, s, func(request string) string {
		answer := srv.exchange(t, request)
		fmt.Fprintf(&out, "-- request --\n%s\n-- answer --\n%s\n", request, answer)
		return answer
	})
	if err := os.WriteFile(file, []byte(out.String()), 0o666); err != nil {
		t.Fatal(err)
	}
}

// split returns requests and answers in turn. The newline before a marker, and
// the very last, belong to the file.
func split(file string) []string {
	var parts []string
	for i, p := range strings.Split("\n"+strings.TrimSuffix(file, "\n"), "\n-- request --\n") {
		if i == 0 {
			continue
		}
		request, answer, _ := strings.Cut(p, "\n-- answer --\n")
		parts = append(parts, request, answer)
	}
	return parts
}
