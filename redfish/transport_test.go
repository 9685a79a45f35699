package redfish_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/redfish"
)

// service is a TLS server whose Handler knows the people of memory, and counts
// what is asked of it.
type service struct {
	*httptest.Server
	*memory
	logins, echoes atomic.Int32
}

// newService serves; its one resource, /redfish/v1/Systems, sends the body back.
func newService(t *testing.T) *service {
	t.Helper()
	s := &service{memory: newMemory()}
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.echoes.Add(1)
		if r.URL.Path == "/redfish/v1/Forbidden" {
			redfish.WriteError(w, r, auth.ErrNoSession) // observed: devices that say 401 for 403
			return
		}
		io.Copy(w, r.Body)
	})
	h, err := redfish.New(redfish.Config{Authority: s.memory, Listener: listener, Next: echo})
	if err != nil {
		t.Fatal(err)
	}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/Sessions") {
			s.logins.Add(1)
		}
		h.ServeHTTP(w, r)
	}))
	s.Config.ErrorLog = quiet
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func (s *service) transport(t *testing.T, change ...func(*redfish.TransportConfig)) (*redfish.Transport, *http.Client) {
	t.Helper()
	shared := s.Client().Transport.(*http.Transport)
	fresh := shared.Clone()
	fresh.DisableKeepAlives = true
	cfg := redfish.TransportConfig{
		Device:     redfish.DeviceConfig{URL: s.URL, Base: shared, Fresh: fresh},
		Credential: func(context.Context) (auth.Credential, error) { return credentialOf("oper"), nil },
	}
	for _, c := range change {
		c(&cfg)
	}
	tr, err := redfish.NewTransport(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tr.Close() })
	return tr, &http.Client{Transport: tr}
}

func get(t *testing.T, c *http.Client, url string) (status int, body string) {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return resp.StatusCode, string(text)
}

func TestTransportOneLogin(t *testing.T) {
	t.Parallel()
	s := newService(t)
	tr, c := s.transport(t)
	for range 3 {
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if status, _ := get(t, c, s.URL+"/redfish/v1/Systems"); status != http.StatusOK {
					t.Errorf("status %d", status)
				}
			})
		}
		all.Wait()
		s.expire() // all find out at once
	}
	if n := s.logins.Load(); n != 3 {
		t.Errorf("%d logins for 60 calls and 2 losses, want 3", n)
	}
	if _, err := tr.Hold(t.Context()); err != nil {
		t.Fatal(err)
	}
	if get(t, c, s.URL+"/redfish/v1/Systems"); s.count() != 1 {
		t.Errorf("%d sessions at the device before Close, want 1", s.count())
	}
	if err := tr.Close(); err != nil || s.count() != 0 {
		t.Errorf("Close: %v, %d sessions left", err, s.count())
	}
	if _, err := c.Get(s.URL + "/redfish/v1/Systems"); !errors.Is(err, redfish.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if err := tr.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func TestTransportRepeats(t *testing.T) {
	t.Parallel()
	s := newService(t)
	_, c := s.transport(t)
	get(t, c, s.URL+"/redfish/v1/Systems")

	s.expire()
	resp, err := c.Post(s.URL+"/redfish/v1/Systems", "application/json", strings.NewReader(`{"again":true}`))
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK || string(body) != `{"again":true}` {
		t.Errorf("a body that can be read again: %d %q", resp.StatusCode, body)
	}

	s.expire()
	once := io.MultiReader(strings.NewReader("once")) // net/http cannot read it again
	if resp, err = c.Post(s.URL+"/redfish/v1/Systems", "application/octet-stream", once); err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("a body that cannot be read again: %d, want the device's 401", resp.StatusCode)
	}
	if status, _ := get(t, c, s.URL+"/redfish/v1/Systems"); status != http.StatusOK {
		t.Errorf("the call after it: %d", status)
	}
}

// A 401 to a login that lives is the caller's answer, not a reason for a login.
func TestTransportForbidden(t *testing.T) {
	t.Parallel()
	s := newService(t)
	_, c := s.transport(t)
	for range 3 {
		if status, _ := get(t, c, s.URL+"/redfish/v1/Forbidden"); status != http.StatusUnauthorized {
			t.Errorf("status %d, want 401", status)
		}
	}
	if n := s.logins.Load(); n != 1 || s.count() != 1 {
		t.Errorf("%d logins and %d sessions, want one of each", n, s.count())
	}
}

func TestTransportRefusedOnce(t *testing.T) {
	t.Parallel()
	for _, method := range []auth.Method{auth.MethodSession, auth.MethodBasic, auth.MethodAuto} {
		t.Run(string(method), func(t *testing.T) {
			t.Parallel()
			s := newService(t)
			var now atomic.Pointer[auth.Secret]
			secret := func(v string) { x := auth.NewSecret(v); now.Store(&x) }
			secret("wrong")
			_, c := s.transport(t, func(cfg *redfish.TransportConfig) {
				cfg.Method = method
				cfg.Credential = func(context.Context) (auth.Credential, error) {
					return auth.Credential{Account: "oper", Password: *now.Load()}, nil
				}
			})
			for i := range 5 {
				_, err := c.Get(s.URL + "/redfish/v1/Systems")
				if le, ok := errors.AsType[*auth.LoginError](err); i == 0 && (!ok || le.Outcome != auth.Refused) {
					t.Errorf("first call: %v", err)
				} else if i > 0 && !errors.Is(err, redfish.ErrPasswordRefused) {
					t.Errorf("call %d: %v", i+1, err)
				}
			}
			if n := len(s.asked()); n != 1 {
				t.Errorf("the device was asked %d times with the wrong password, want once", n)
			}
			secret(password)
			if status, _ := get(t, c, s.URL+"/redfish/v1/Systems"); status != http.StatusOK {
				t.Errorf("the corrected password: %d", status)
			}
		})
	}
}

func TestTransportGivenLogin(t *testing.T) {
	t.Parallel()
	s := newService(t)
	first, _ := s.transport(t)
	login, err := first.Hold(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tr, c := s.transport(t, func(cfg *redfish.TransportConfig) { cfg.Login, cfg.Credential = login, nil })
	if status, _ := get(t, c, s.URL+"/redfish/v1/Systems"); status != http.StatusOK {
		t.Errorf("status %d", status)
	}
	if err := tr.Close(); err != nil || s.count() != 1 {
		t.Errorf("Close of a given login: %v, %d sessions left, want 1", err, s.count())
	}

	tr, _ = s.transport(t, func(cfg *redfish.TransportConfig) { cfg.Login, cfg.Credential, cfg.EndLogin = login, nil, true })
	if err := tr.Close(); err != nil || s.count() != 0 {
		t.Errorf("Close with EndLogin: %v, %d sessions left", err, s.count())
	}

	_, c = s.transport(t, func(cfg *redfish.TransportConfig) { cfg.Login, cfg.Credential = login, nil })
	if status, _ := get(t, c, s.URL+"/redfish/v1/Systems"); status != http.StatusUnauthorized {
		t.Errorf("a given login that has ended: %d, want the device's 401", status)
	}
}

// The caller's cancel ends its waiting; the login goes on, for the next caller.
func TestTransportCancel(t *testing.T) {
	t.Parallel()
	s := newService(t)
	asked, release := make(chan struct{}), make(chan struct{})
	tr, c := s.transport(t, func(cfg *redfish.TransportConfig) {
		cfg.Credential = func(ctx context.Context) (auth.Credential, error) {
			close(asked)
			<-release
			return credentialOf("oper"), ctx.Err()
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		_, err := tr.Hold(ctx)
		failed <- err
	}()
	<-asked
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	close(release)
	if status, _ := get(t, c, s.URL+"/redfish/v1/Systems"); status != http.StatusOK {
		t.Errorf("the next caller: %d", status)
	}
	if n := s.logins.Load(); n != 1 {
		t.Errorf("%d logins, want 1", n)
	}
}

func TestTransportOtherHost(t *testing.T) {
	t.Parallel()
	elsewhere := newService(t)
	s := newBMC(t, answers{
		getRoot:      root116,
		postSessions: made("/redfish/v1/SessionService/Sessions/1", `{"Id":"1"}`),
		"GET /redfish/v1/Systems": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL+"/redfish/v1/Systems", http.StatusTemporaryRedirect)
		},
	})
	tr, err := redfish.NewTransport(redfish.TransportConfig{
		Device:     redfish.DeviceConfig{URL: s.URL, Base: s.Client().Transport, Fresh: s.Client().Transport},
		Credential: func(context.Context) (auth.Credential, error) { return credentialOf("oper"), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	if _, err := (&http.Client{Transport: tr}).Get(s.URL + "/redfish/v1/Systems"); !errors.Is(err, redfish.ErrOtherHost) {
		t.Errorf("a redirect to another host: %v", err)
	}
	if n := elsewhere.echoes.Load() + int32(len(elsewhere.asked())); n != 0 {
		t.Errorf("the other host was asked %d times", n)
	}
}

func TestNewTransportRefuses(t *testing.T) {
	t.Parallel()
	if _, err := redfish.NewTransport(redfish.TransportConfig{Device: redfish.DeviceConfig{URL: "https://bmc.example"}}); err == nil {
		t.Error("a transport with nothing to log in with was made")
	}
}

// Three lines in any program that takes an http.Client.
func ExampleTransport() {
	bmc := httptest.NewTLSServer(mustHandler())
	defer bmc.Close()

	tr, err := redfish.NewTransport(redfish.TransportConfig{
		Device: redfish.DeviceConfig{URL: bmc.URL, Base: bmc.Client().Transport, Fresh: bmc.Client().Transport},
		Credential: func(context.Context) (auth.Credential, error) {
			return auth.Credential{Account: "oper", Password: auth.NewSecret(password)}, nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer tr.Close() // logs out
	client := &http.Client{Transport: tr}

	resp, err := client.Get(bmc.URL + "/redfish/v1/SessionService/Sessions")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status)
	// Output:
	// 200 OK
}
