package redfish_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/redfish"
)

// certService is a device of no vendor that takes client certificates.
type certService struct {
	*httptest.Server
	*memory
	requests atomic.Int32
}

func newCertService(t *testing.T, ask tls.ClientAuthType) *certService {
	t.Helper()
	s := &certService{memory: newMemory()}
	h, err := redfish.New(redfish.Config{
		Authority: s.memory, Listener: listener, Rules: func() redfish.Rules { return redfish.Rules{Certificates: true} },
		Next: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}),
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		h.ServeHTTP(w, r)
	}))
	s.TLS = &tls.Config{ClientAuth: ask, ClientCAs: x509.NewCertPool()}
	s.Config.ErrorLog = quiet
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// shows describes the device, reached with the certificate of somebody; "" = none.
func (s *certService) shows(t *testing.T, name string) redfish.DeviceConfig {
	t.Helper()
	base := s.Client().Transport.(*http.Transport).Clone()
	if name != "" {
		base.TLSClientConfig.Certificates = []tls.Certificate{*clientCertificate(t, name).Reveal()}
	}
	fresh := base.Clone()
	fresh.DisableKeepAlives = true
	return redfish.DeviceConfig{URL: s.URL, Base: base, Fresh: fresh}
}

func TestCertificateOnEachCall(t *testing.T) {
	t.Parallel()
	s := newCertService(t, tls.RequestClientCert)
	d, err := redfish.NewDevice(s.shows(t, "reader"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := d.Login(t.Context(), auth.Credential{Account: "reader"}, auth.LoginOptions{Method: auth.MethodCertificate})
	if err != nil || l.Method != auth.MethodCertificate || l.Account != "reader" || !l.Secret.IsZero() || l.Location != "" {
		t.Fatalf("login %+v, %v", l, err)
	}
	if err := d.Touch(t.Context(), l); err != nil {
		t.Errorf("touch: %v", err)
	}
	// It sees and ends sessions as anybody does.
	other, err := d.Login(t.Context(), credentialOf("reader"), auth.LoginOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if listed, err := d.List(t.Context(), l); err != nil || len(listed) != 1 {
		t.Errorf("listed %+v, %v", listed, err)
	}
	if err := d.End(t.Context(), l, other.Location); err != nil || s.count() != 0 {
		t.Errorf("end: %v, %d left", err, s.count())
	}
	before := s.requests.Load()
	if err := d.Logout(t.Context(), l); err != nil || s.requests.Load() != before {
		t.Errorf("logout: %v, after %d requests", err, s.requests.Load()-before)
	}
	r := httptest.NewRequest(http.MethodGet, s.URL+"/redfish/v1/Systems", nil)
	r.Header.Set("X-Auth-Token", "left over")
	r.Header.Set("Authorization", "Basic left over")
	d.Attach(r, l)
	if r.Header.Get("X-Auth-Token")+r.Header.Get("Authorization") != "" {
		t.Errorf("a second credential goes out: %v", r.Header)
	}
}

func TestCertificateLoginRefused(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		ask    tls.ClientAuthType
		who    string
		want   auth.Outcome
		status int
	}{
		"somebody unknown": {tls.RequestClientCert, "nobody", auth.Refused, http.StatusUnauthorized},
		"in the handshake": {tls.RequireAndVerifyClientCert, "reader", auth.Refused, 0},
		"no certificate":   {tls.RequestClientCert, "", auth.NotJudged, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, err := redfish.NewDevice(newCertService(t, tt.ask).shows(t, tt.who))
			if err != nil {
				t.Fatal(err)
			}
			_, err = d.Login(t.Context(), auth.Credential{}, auth.LoginOptions{Method: auth.MethodCertificate})
			le, ok := errors.AsType[*auth.LoginError](err)
			if !ok || le.Outcome != tt.want || le.Status != tt.status {
				t.Errorf("%v, want %v with status %d", err, tt.want, tt.status)
			}
		})
	}
}

// A certificate that was refused is not tried again, and another one is.
func TestTransportCertificateRefused(t *testing.T) {
	t.Parallel()
	s := newCertService(t, tls.RequestClientCert)
	var now atomic.Pointer[auth.ClientCertificate]
	use := func(name string) { c := clientCertificate(t, name); now.Store(&c) }
	cfg := s.shows(t, "")
	base := cfg.Base.(*http.Transport)
	base.DisableKeepAlives = true
	base.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return now.Load().Reveal(), nil
	}
	tr, err := redfish.NewTransport(redfish.TransportConfig{Device: cfg, Method: auth.MethodCertificate,
		Credential: func(context.Context) (auth.Credential, error) { return auth.Credential{Certificate: *now.Load()}, nil }})
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Transport: tr}

	use("nobody")
	if _, err := c.Get(s.URL + "/redfish/v1/Systems"); !isRefused(err) {
		t.Errorf("the first call: %v", err)
	}
	before := s.requests.Load()
	if _, err := c.Get(s.URL + "/redfish/v1/Systems"); !errors.Is(err, redfish.ErrCertificateRefused) || s.requests.Load() != before {
		t.Errorf("the second call: %v, after %d requests", err, s.requests.Load()-before)
	}
	use("reader")
	if status, _ := get(t, c, s.URL+"/redfish/v1/Systems"); status != http.StatusOK {
		t.Errorf("another certificate: %d", status)
	}
	s.dismiss("reader")
	if _, err := c.Get(s.URL + "/redfish/v1/Systems"); !errors.Is(err, redfish.ErrCertificateRefused) {
		t.Errorf("one that counts for nothing any more: %v", err)
	}
	if err := tr.Close(); err != nil {
		t.Error(err)
	}
}

func isRefused(err error) bool {
	le, ok := errors.AsType[*auth.LoginError](err)
	return ok && le.Outcome == auth.Refused
}

// dismiss removes an account.
func (m *memory) dismiss(name auth.AccountName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.roles, name)
}
