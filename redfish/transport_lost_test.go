package redfish_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/redfish"
)

// spoil lets a service answer, and then may answer otherwise in its place: the
// answer to the nth request of that kind, from 1 up, is replaced where f says so.
func (s *service) spoil(method, suffix string, f func(n int32) (status int)) {
	var n atomic.Int32
	next := s.Config.Handler
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != method || !strings.Contains(r.URL.Path, suffix) {
			next.ServeHTTP(w, r)
			return
		}
		switch status := f(n.Add(1)); status {
		case 0:
			next.ServeHTTP(w, r)
		case -1: // done, and no answer
			next.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		default:
			w.WriteHeader(status)
		}
	})
}

func only(n int32, status int) func(int32) int {
	return func(at int32) int {
		if at == n {
			return status
		}
		return 0
	}
}

// Sessions whose answer was lost are found by the text that was drawn for them,
// and others' are not touched.
func TestTransportEndsLostSessions(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.spoil("POST", "/Sessions", only(1, -1))
	tr, c := s.transport(t)
	other, _ := s.transport(t)
	if _, err := c.Get(s.URL + "/redfish/v1/Systems"); err == nil || !strings.Contains(err.Error(), "sent, and no answer came") {
		t.Errorf("the lost login: %v", err)
	}
	if _, err := other.Hold(t.Context()); err != nil {
		t.Fatal(err)
	}
	if status, _ := get(t, c, s.URL+"/redfish/v1/Systems"); status != http.StatusOK {
		t.Errorf("the next call: %d", status)
	}
	if n := s.count(); n != 3 {
		t.Fatalf("%d sessions before Close, want 3", n)
	}
	if err := tr.Close(); err != nil || s.count() != 1 {
		t.Errorf("Close: %v, %d sessions left, want the other's", err, s.count())
	}
}

// Where nobody can look for them, Close says so.
func TestTransportTellsOfLostSessions(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*redfish.TransportConfig){
		"no login":        func(*redfish.TransportConfig) {},
		"not one's own":   func(cfg *redfish.TransportConfig) { cfg.Context = "shared by many" },
		"password blocks": func(*redfish.TransportConfig) {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t)
			s.spoil("POST", "/Sessions", func(n int32) int {
				if n == 1 || name != "not one's own" {
					return -1
				}
				return 0
			})
			tr, c := s.transport(t, change)
			var errs []error
			for range 4 {
				resp, err := c.Get(s.URL + "/redfish/v1/Systems")
				if err == nil {
					resp.Body.Close()
				}
				errs = append(errs, err)
			}
			if name == "password blocks" && (!errors.Is(errs[3], redfish.ErrUnanswered) || s.count() != 2) {
				t.Errorf("the fourth call: %v, %d sessions; want ErrUnanswered and two", errs[3], s.count())
			}
			if err := tr.Close(); err == nil || !strings.Contains(err.Error(), "may be left") {
				t.Errorf("Close: %v", err)
			}
		})
	}
}

// A 401 that is not true costs a GET a second try, and no session its end.
func TestTransportFalse401(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.spoil("GET", "/Systems", only(2, http.StatusUnauthorized))
	s.spoil("DELETE", "/Sessions/", only(1, http.StatusUnauthorized))
	tr, c := s.transport(t)
	for n := range 3 {
		if status, _ := get(t, c, s.URL+"/redfish/v1/Systems"); status != http.StatusOK {
			t.Errorf("call %d: %d", n+1, status)
		}
	}
	if n := s.logins.Load(); n != 1 {
		t.Errorf("%d logins, want 1", n)
	}
	if err := tr.Close(); err != nil || s.count() != 0 {
		t.Errorf("Close: %v, %d sessions left", err, s.count())
	}
}

// A session that was given up, and that the device did not end, is ended at Close.
func TestTransportEndsWhatIsOwed(t *testing.T) {
	t.Parallel()
	s := newService(t)
	lies := func(n int32) int {
		if n == 1 {
			return http.StatusUnauthorized
		}
		return 0
	}
	s.spoil("GET", "/Systems", func(n int32) int { return lies(n - 1) }) // the second call
	s.spoil("GET", "/Sessions/", lies)                                   // and the look that follows
	s.spoil("DELETE", "/Sessions/", only(1, http.StatusServiceUnavailable))
	tr, c := s.transport(t)
	for n := range 3 {
		if status, _ := get(t, c, s.URL+"/redfish/v1/Systems"); status != http.StatusOK {
			t.Errorf("call %d: %d", n+1, status)
		}
	}
	if n := s.count(); n != 2 {
		t.Errorf("%d sessions, want the one that was given up, and the new one", n)
	}
	if err := tr.Close(); err != nil || s.count() != 0 {
		t.Errorf("Close: %v, %d sessions left", err, s.count())
	}
}

// A login that cannot be renewed is told with its own error, not with the 401
// to the call.
func TestTransportTellsWhy(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.spoil("POST", "/Sessions", only(2, http.StatusServiceUnavailable))
	_, c := s.transport(t)
	get(t, c, s.URL+"/redfish/v1/Systems")
	s.expire()
	_, err := c.Get(s.URL + "/redfish/v1/Systems")
	if le, ok := errors.AsType[*auth.LoginError](err); !ok || le.Status != http.StatusServiceUnavailable {
		t.Errorf("got %v, want the login's error", err)
	}
	if status, _ := get(t, c, s.URL+"/redfish/v1/Systems"); status != http.StatusOK {
		t.Errorf("the call after it: %d", status)
	}
}

// The text that is left with a session is left out where the device stumbles
// over it, from then on.
func TestTransportWithoutContext(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "mine"} {
		b := newBMC(t, answers{
			"GET /redfish/v1/": `{"RedfishVersion":"1.16.0","Links":{"Sessions":{"@odata.id":"/redfish/v1/SessionService/Sessions"}}}`,
			"POST /redfish/v1/SessionService/Sessions": says(http.StatusBadRequest,
				`{"error":{"@Message.ExtendedInfo":[{"MessageId":"Base.1.8.PropertyUnknown","MessageArgs":["Context"]}]}}`),
		})
		tr, err := redfish.NewTransport(redfish.TransportConfig{
			Device: redfish.DeviceConfig{URL: b.URL, Base: b.Client().Transport, Fresh: b.Client().Transport}, Context: text,
			Credential: func(context.Context) (auth.Credential, error) { return credential, nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tr.Hold(t.Context()); err == nil {
			t.Error("logged in")
		}
		all := b.requests()
		_, first := b.sent(1)
		_, last := b.sent(len(all) - 1)
		if !strings.Contains(first, `"Context"`) || strings.Contains(last, "Context") || b.count("POST /redfish/v1/SessionService/Sessions") != 2 {
			t.Errorf("requests %q: %s, then %s", all, first, last)
		}
	}
}

// A logout that is answered 401 is asked after before it is believed.
func TestDeviceLogoutFalse401(t *testing.T) {
	t.Parallel()
	const own = "/redfish/v1/SessionService/Sessions/1"
	session := auth.Login{Method: auth.MethodSession, Secret: auth.NewSecret("t"), Location: own}
	for name, tt := range map[string]struct {
		get    int
		delete []int
		want   string // "" = ended, "gone", or what the error holds
	}{
		"gone":       {401, []int{401}, "gone"},
		"not true":   {200, []int{401, 204}, ""},
		"insists":    {200, []int{401, 401}, "goes on taking it"},
		"then fails": {200, []int{401, 503}, "503"},
		"unknown":    {503, []int{401}, "gone"},
	} {
		var n atomic.Int32
		b := newBMC(t, answers{
			"GET " + own: tt.get,
			"DELETE " + own: func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tt.delete[int(n.Add(1))-1])
			},
		})
		err := b.device(t).Logout(t.Context(), session)
		ok := tt.want == "" && err == nil || tt.want == "gone" && errors.Is(err, auth.ErrNoSession) ||
			tt.want != "" && err != nil && strings.Contains(err.Error(), tt.want) && !errors.Is(err, auth.ErrNoSession)
		if !ok || int(n.Load()) != len(tt.delete) {
			t.Errorf("%s: %v after %d", name, err, n.Load())
		}
	}
}

// What an answer without sense says to a person.
func TestLoginErrorsHelp(t *testing.T) {
	t.Parallel()
	const sessions = "POST /redfish/v1/SessionService/Sessions"
	for want, answer := range map[string]any{
		`redirects the login to "https://other.example/x", where no password is sent`: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://other.example/x")
			w.WriteHeader(http.StatusTemporaryRedirect)
		},
		"status 503 Service Unavailable":                           503,
		"status 499":                                               499,
		"status 201 without one usable X-Auth-Token:":              201,
		"sent, and no answer came: an answer that cannot be shown": raw("HTTP/1.1 2" + strings.Repeat("x", 3000) + "\r\n\r\n"),
	} {
		d := newBMC(t, answers{"GET /redfish/v1/": `{}`, sessions: answer}).device(t)
		_, err := d.Login(t.Context(), credential, auth.LoginOptions{Method: auth.MethodSession})
		if err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > 1000 {
			t.Errorf("got %v, want it to hold %q", err, want)
		}
	}
}
