package gateway_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/account"
	"github.com/postern/postern/internal/audit"
	"github.com/postern/postern/internal/authority"
	"github.com/postern/postern/internal/gateway"
	"github.com/postern/postern/internal/lease"
	"github.com/postern/postern/internal/policy"
	"github.com/postern/postern/internal/seal"
	"github.com/postern/postern/internal/session"
	"github.com/postern/postern/internal/store"
	"github.com/postern/postern/internal/target"
	"github.com/postern/postern/redfish"
)

const (
	devicePassword = "the password at the device"
	callerPassword = "the password of a caller"
	auditKey       = "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"
)

// A bmc is the outside world: a device with sessions, which answers everything
// else as the test says.
type bmc struct {
	*httptest.Server
	serve http.HandlerFunc // calls with a login that lives
	root  http.HandlerFunc // open documents; nil = a root with sessions

	mu       sync.Mutex // guards what follows
	tokens   map[string]string
	serial   int
	logins   int
	refused  int
	open     int // requests for open documents
	requests []*http.Request
}

func newBMC(t testing.TB, serve http.HandlerFunc) *bmc {
	b := &bmc{serve: serve, tokens: map[string]string{}}
	b.Server = httptest.NewUnstartedServer(b)
	b.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	b.StartTLS()
	t.Cleanup(b.Close)
	return b
}

func (b *bmc) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	b.requests = append(b.requests, r)
	b.mu.Unlock()
	const sessions = "/redfish/v1/SessionService/Sessions"
	switch {
	case strings.HasPrefix(r.URL.Path, sessions+"/") || r.URL.Path == sessions:
		b.session(w, r)
	case r.URL.Path == "/redfish/v1/SessionService": // the lease asks for the idle timeout
		io.WriteString(w, `{"SessionTimeout":1800}`)
	case b.isOpen(r.URL.Path):
		b.mu.Lock()
		b.open++
		b.mu.Unlock()
		if b.root != nil {
			b.root(w, r)
			return
		}
		fmt.Fprintf(w, `{"Name":"A device","Systems":{"@odata.id":"/redfish/v1/Systems"},"SessionService":{"@odata.id":"/redfish/v1/SessionService"},"Links":{"Sessions":{"@odata.id":%q}}}`, sessions)
	case b.sessionOf(r) == "":
		w.Header().Set("WWW-Authenticate", `Basic realm="device"`)
		http.Error(w, "who are you", http.StatusUnauthorized)
	default:
		b.serve(w, r)
	}
}

func (b *bmc) isOpen(path string) bool {
	switch path {
	case "/redfish", "/redfish/v1/", "/redfish/v1/odata", "/redfish/v1/$metadata", "/redfish/v1/openapi.yaml":
		return true
	}
	return false
}

func (b *bmc) session(w http.ResponseWriter, r *http.Request) {
	const collection = "/redfish/v1/SessionService/Sessions"
	if r.Method == http.MethodPost {
		b.login(w, r)
		return
	}
	id := b.sessionOf(r)
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case id == "":
		w.WriteHeader(http.StatusUnauthorized)
	case r.URL.Path == collection:
		var members []string
		for _, id := range b.tokens {
			members = append(members, fmt.Sprintf(`{"@odata.id":"%s/%s"}`, collection, id))
		}
		fmt.Fprintf(w, `{"Members":[%s]}`, strings.Join(members, ","))
	case r.Method == http.MethodDelete:
		delete(b.tokens, r.Header.Get("X-Auth-Token"))
		w.WriteHeader(http.StatusNoContent)
	default:
		fmt.Fprintf(w, `{"Id":%q,"UserName":"postern"}`, r.URL.Path[len(collection)+1:])
	}
}

func (b *bmc) login(w http.ResponseWriter, r *http.Request) {
	var body struct{ UserName, Password string }
	if json.NewDecoder(r.Body).Decode(&body) != nil || body.Password != devicePassword {
		b.mu.Lock()
		b.refused++
		b.mu.Unlock()
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	b.mu.Lock()
	b.logins++
	b.serial++
	token, id := fmt.Sprintf("device-token-%024d", b.serial), fmt.Sprint(b.serial)
	b.tokens[token] = id
	b.mu.Unlock()
	w.Header().Set("X-Auth-Token", token)
	w.Header().Set("Location", r.URL.Path+"/"+id)
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintf(w, `{"Id":%q}`, id)
}

func (b *bmc) sessionOf(r *http.Request) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tokens[r.Header.Get("X-Auth-Token")]
}

// drop forgets every session, as a BMC does that restarts.
func (b *bmc) drop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.tokens)
}

func (b *bmc) counts() (logins, open int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.logins, b.open
}

// last returns the last request that reached serve's path.
func (b *bmc) last(t *testing.T, path string) *http.Request {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := len(b.requests) - 1; i >= 0; i-- {
		if b.requests[i].URL.Path == path {
			return b.requests[i]
		}
	}
	t.Fatalf("no request for %s reached the device", path)
	return nil
}

// A stack is the whole way from a caller to a device, on the real parts.
type stack struct {
	t      testing.TB
	dir    string
	device string // its URL
	audit  *audit.Log
	leases *lease.Manager
	gate   *gateway.Gateway
	front  *httptest.Server
	client *http.Client
	logs   *syncBuffer
	closed bool
}

// syncBuffer is a log for many writers.
type syncBuffer struct {
	mute atomic.Bool
	mu   sync.Mutex
	b    bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	if s.mute.Load() {
		return len(p), nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// targetOf is a device as an administrator would enter it.
func targetOf(device *httptest.Server, opt options) target.Target {
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: device.Certificate().Raw})
	return target.Target{Name: "bmc1", Family: "redfish", URL: device.URL, CAPEM: string(ca), Pin: opt.pin, InFlight: opt.inFlight}
}

type options struct {
	now      func() time.Time
	leaseNow func() time.Time
	inFlight int
	rules    []policy.Rule
	pin      string
	password string                          // stored for the device; "" = the right one
	front    func(http.Handler) http.Handler // before everything
}

func newStack(t testing.TB, device *httptest.Server, opt options) *stack {
	t.Helper()
	s := &stack{t: t, dir: t.TempDir(), device: device.URL, logs: new(syncBuffer)}
	logger := slog.New(slog.NewTextHandler(s.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	ctx := context.Background()
	if opt.password == "" {
		opt.password = devicePassword
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	db, err := store.Open(ctx, filepath.Join(s.dir, "postern.db"), store.Options{Now: time.Now()})
	must(err)
	key, err := seal.LoadOrCreate(filepath.Join(s.dir, "seal.key"))
	must(err)
	s.audit, err = audit.Open(audit.Config{Dir: s.auditDir(), Key: auth.NewSecret(auditKey), Node: db.Node(), Epoch: db.Epoch()})
	must(err)

	data, fresh, err := targetOf(device, opt).Transports()
	must(err)
	dev, err := redfish.NewDevice(redfish.DeviceConfig{URL: device.URL, Base: data, Fresh: fresh, Log: logger})
	must(err)
	s.leases, err = lease.New(lease.Config{Store: db, Audit: s.audit, Seal: key, Log: logger, Now: opt.leaseNow,
		DeviceFor: func(lease.Row) (lease.Device, error) { return dev, nil }})
	must(err)
	must(s.leases.Load(ctx, []lease.Target{{Name: "bmc1", Family: "redfish", URL: device.URL, Account: "postern",
		Device: dev, Method: auth.MethodAuto, InFlight: opt.inFlight,
		Credential: func(context.Context) (auth.Credential, error) {
			return auth.Credential{Account: "postern", Password: auth.NewSecret(opt.password)}, nil
		}}}))

	run, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { s.leases.Run(run) })
	u, err := url.Parse(device.URL)
	must(err)
	rules, err := policy.New(opt.rules)
	must(err)
	s.gate, err = gateway.New(gateway.Config{
		Target:   gateway.Target{Name: "bmc1", URL: u, Family: redfishFamily{redfish.Generic(), dev}, Transport: data},
		Listener: "bmc1", Leases: s.leases, Policy: rules, Audit: s.audit, Now: opt.now, Log: logger,
	})
	must(err)

	sessions, err := session.New(session.Config{Store: db, Audit: s.audit})
	must(err)
	accounts, err := account.New(account.Config{Store: db})
	must(err)
	for name, role := range map[auth.AccountName]auth.Role{"admin": auth.Administrator, "op": auth.Operator, "reader": auth.ReadOnly} {
		_, err := accounts.Create(ctx, account.Draft{Name: name, Role: role, Password: auth.NewSecret(callerPassword)})
		must(err)
	}
	must(sessions.Load(ctx))
	authority, err := authority.New(authority.Config{Accounts: db, Sessions: sessions, Audit: s.audit})
	must(err)
	face, err := redfish.New(redfish.Config{Authority: authority, Listener: "bmc1", Next: s.gate.Handler(), Open: s.gate.Open(), Log: logger})
	must(err)
	var handler http.Handler = face
	if opt.front != nil {
		handler = opt.front(handler)
	}
	s.front = httptest.NewUnstartedServer(handler)
	s.front.Config.ErrorLog = slog.NewLogLogger(logger.Handler(), slog.LevelDebug)
	s.front.Config.DisableGeneralOptionsHandler = true // as the product's server
	s.front.StartTLS()
	s.client = s.front.Client()
	s.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	s.client.Transport.(*http.Transport).MaxIdleConnsPerHost = 512
	s.client.Transport.(*http.Transport).DisableCompression = true

	t.Cleanup(func() {
		s.front.Close()
		stop()
		running.Wait()
		data.CloseIdleConnections()
		s.closeAudit()
		db.Close()
	})
	return s
}

func (s *stack) auditDir() string { return filepath.Join(s.dir, "audit") }

func (s *stack) closeAudit() {
	if !s.closed {
		s.closed = true
		s.audit.Close()
	}
}

// call is a request of admin with everything done but sending.
func (s *stack) request(method, path string, body io.Reader) *http.Request {
	s.t.Helper()
	r, err := http.NewRequest(method, s.front.URL+path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	r.SetBasicAuth("admin", callerPassword)
	return r
}

// An answer is what a caller got, as a whole.
type answer struct {
	status int
	header http.Header
	body   string
}

// do sends r and reads the answer to its end.
func (s *stack) do(r *http.Request) (answer, error) {
	resp, err := s.client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{status: resp.StatusCode, header: resp.Header, body: string(body)}, err
}

// call is do for what must not fail.
func (s *stack) call(method, path string, body io.Reader) answer {
	s.t.Helper()
	a, err := s.do(s.request(method, path, body))
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

// want compares status and text.
func (a answer) want(t testing.TB, status int, text string) {
	t.Helper()
	if a.status != status || !strings.Contains(a.body, text) {
		t.Errorf("got %d %s, want %d and %q", a.status, a.body, status, text)
	}
	if a.status >= 400 && a.body != "" {
		var e struct {
			Error struct {
				Code string `json:"code"`
			} `json:"error"`
		}
		if err := json.Unmarshal([]byte(a.body), &e); err != nil || e.Error.Code == "" {
			t.Errorf("status %d without a Redfish error: %s", a.status, a.body)
		}
		if got := a.header.Get("Content-Type"); got != "application/json" {
			t.Errorf("an error of type %q", got)
		}
	}
}

// records closes the front and the audit and returns what that says of calls.
// A handler records a call's end after it has answered.
func (s *stack) records() []audit.Record {
	s.t.Helper()
	s.front.CloseClientConnections()
	s.front.Close()
	s.closeAudit()
	var calls []audit.Record
	for rec, err := range audit.Read(s.auditDir(), audit.Filter{}) {
		if err != nil {
			s.t.Fatal(err)
		}
		if strings.HasPrefix(rec.Event, "call") {
			calls = append(calls, rec)
		}
	}
	return calls
}

// noSecrets looks for the device's secrets in everything that left the stack.
func (s *stack) noSecrets(answers ...answer) {
	s.t.Helper()
	text := s.logs.String()
	for _, a := range answers {
		text += fmt.Sprint(a.header) + a.body
	}
	for _, rec := range s.records() {
		text += fmt.Sprintf("%+v", rec)
	}
	for _, secret := range []string{devicePassword, callerPassword, "device-token-0"} {
		if strings.Contains(text, secret) {
			s.t.Errorf("%q is in what left", secret)
		}
	}
}

func tlsClient(c net.Conn, cfg *tls.Config) *tls.Conn { return tls.Client(c, cfg) }
