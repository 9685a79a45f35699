package redfish_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/redfish"
)

// iloRoot is as much of an iLO's root as shows what it is.
const iloRoot = `{"@odata.id":"/redfish/v1/","RedfishVersion":"1.13.0","Links":{"Sessions":{"@odata.id":"/redfish/v1/SessionService/Sessions/"}},` +
	`"Oem":{"Hpe":{"Manager":[{"ManagerType":"iLO 6","ManagerFirmwareVersion":"1.50"}],"Moniker":{"PRODGEN":"iLO 6"}}}}`

// An iloDevice is a face with the profile of an iLO, over TLS.
type iloDevice struct {
	*httptest.Server
	auth *memory

	mu    sync.Mutex
	lines []string // method and path of each request
}

func (d *iloDevice) asked() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lines
}

// newILO starts one. change may spoil an answer before it is written.
func newILO(t *testing.T, most uint16, change func(path string, h http.Header)) *iloDevice {
	t.Helper()
	p, err := redfish.FindProfile("ilo")
	if err != nil {
		t.Fatal(err)
	}
	d := &iloDevice{auth: newMemory()}
	h, err := redfish.New(redfish.Config{
		Authority: d.auth, Listener: listener, Profile: p, Rules: func() redfish.Rules { return redfish.Rules{Certificates: true} },
		Open: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, iloRoot) }),
	})
	if err != nil {
		t.Fatal(err)
	}
	d.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		d.lines = append(d.lines, r.Method+" "+r.URL.Path)
		d.mu.Unlock()
		if change != nil {
			w = &spoiled{w, func(h http.Header) { change(r.URL.Path, h) }}
		}
		h.ServeHTTP(w, r)
	}))
	d.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, MaxVersion: most}
	d.StartTLS()
	t.Cleanup(d.Close)
	return d
}

type spoiled struct {
	http.ResponseWriter
	change func(http.Header)
}

func (s *spoiled) WriteHeader(status int) {
	s.change(s.Header())
	s.ResponseWriter.WriteHeader(status)
}

func (d *iloDevice) client(t *testing.T, found *string) *redfish.Device {
	t.Helper()
	fresh := d.Client().Transport.(*http.Transport).Clone()
	fresh.DisableKeepAlives = true
	c, err := redfish.NewDevice(redfish.DeviceConfig{
		URL: d.URL, Base: fresh, Fresh: fresh, Found: func(p redfish.Profile) {
			if found != nil {
				*found = p.Name
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// clientCertificate is self-signed: whose it is, the authority of the tests reads
// in its name.
func clientCertificate(t *testing.T, name string) auth.ClientCertificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return auth.NewClientCertificate(tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key})
}

func TestILOSession(t *testing.T) {
	t.Parallel()
	dev := newILO(t, 0, nil)
	var found string
	d := dev.client(t, &found)
	l, err := d.Login(t.Context(), credentialOf("oper"), auth.LoginOptions{Nonce: "postern-n1-42"})
	if err != nil || !strings.HasPrefix(l.Location, "/redfish/v1/SessionService/Sessions/oper") || !strings.HasSuffix(l.Location, "/") {
		t.Fatalf("login %+v, %v", l, err)
	}
	if found != "ilo" {
		t.Errorf("found %q", found)
	}
	own, err := d.Own(t.Context(), l)
	if err != nil || own.Account != "oper" || !own.Privileges["VirtualMediaPriv"] || own.Privileges["UserConfigPriv"] || own.Expires.Sub(own.Created) != 30*time.Minute {
		t.Errorf("own session %+v, %v", own, err)
	}
	listed, err := d.List(t.Context(), l)
	if err != nil || len(listed) != 1 || listed[0].Created.IsZero() || listed[0].Source != "127.0.0.1" {
		t.Errorf("listed %+v, %v", listed, err)
	}
	if err := d.Logout(t.Context(), l); err != nil || dev.auth.count() != 0 {
		t.Errorf("logout: %v, %d left", err, dev.auth.count())
	}
}

func TestILOLocationLost(t *testing.T) {
	t.Parallel()
	dev := newILO(t, 0, func(path string, h http.Header) {
		if h.Get("X-Auth-Token") != "" {
			h.Del("Location")
		}
	})
	d := dev.client(t, nil)
	l, err := d.Login(t.Context(), auth.Credential{Certificate: clientCertificate(t, "reader")}, auth.LoginOptions{})
	if err != nil || !strings.HasPrefix(l.Location, "/redfish/v1/SessionService/Sessions/reader") || l.Account != "reader" {
		t.Fatalf("login %+v, %v", l, err)
	}
	if err := d.Logout(t.Context(), l); err != nil || dev.auth.count() != 0 {
		t.Errorf("logout: %v, %d left", err, dev.auth.count())
	}
	l.Location = ""
	if _, err := d.Own(t.Context(), l); !errors.Is(err, auth.ErrNoSession) {
		t.Errorf("own session after that: %v", err)
	}
}

func TestILOCertificateLogin(t *testing.T) {
	t.Parallel()
	for name, most := range map[string]uint16{"TLS 1.3": 0, "TLS 1.2": tls.VersionTLS12} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dev := newILO(t, most, nil)
			d := dev.client(t, nil)
			l, err := d.Login(t.Context(), auth.Credential{Certificate: clientCertificate(t, "reader")}, auth.LoginOptions{Method: auth.MethodCertificate})
			if err != nil || l.Method != auth.MethodSession || l.Account != "reader" {
				t.Fatalf("login %+v, %v", l, err)
			}
			if err := d.Touch(t.Context(), l); err != nil {
				t.Errorf("touch: %v", err)
			}
			if err := d.Logout(t.Context(), l); err != nil || dev.auth.count() != 0 {
				t.Errorf("logout: %v, %d left", err, dev.auth.count())
			}
			for _, who := range []string{"nobody", "stranger"} {
				_, err := d.Login(t.Context(), auth.Credential{Certificate: clientCertificate(t, who)}, auth.LoginOptions{})
				if le := loginError(t, err); le.Outcome != auth.Refused || le.Status != 401 {
					t.Errorf("%s: %v", who, err)
				}
			}
		})
	}
	d := newILO(t, 0, nil).client(t, nil)
	_, err := d.Login(t.Context(), credentialOf("reader"), auth.LoginOptions{Method: auth.MethodCertificate})
	if le := loginError(t, err); le.Outcome != auth.NotJudged || le.Sent {
		t.Errorf("without a certificate: %v", err)
	}
}

// A first try without a token is followed by one under TLS 1.2, where an iLO can
// ask for the certificate again.
func TestILOCertificateLoginTriesAgain(t *testing.T) {
	t.Parallel()
	dev := newILO(t, 0, nil)
	d := dev.client(t, nil)
	_, err := d.Login(t.Context(), auth.Credential{Certificate: clientCertificate(t, "nobody")}, auth.LoginOptions{})
	if loginError(t, err).Outcome != auth.Refused {
		t.Fatal(err)
	}
	n := 0
	for _, line := range dev.asked() {
		if line == "GET /html/login_cert.html" {
			n++
		}
	}
	if n != 2 {
		t.Errorf("the page was asked for %d times", n)
	}
}

func TestILOLoginOutcomes(t *testing.T) {
	t.Parallel()
	message := func(id string, args ...string) string {
		m := map[string]any{"MessageId": id}
		if len(args) > 0 {
			m["MessageArgs"] = args
		}
		b, _ := json.Marshal(map[string]any{"error": map[string]any{
			"code": "iLO.0.10.ExtendedInfo", "message": "See @Message.ExtendedInfo for more information.", "@Message.ExtendedInfo": []any{m},
		}})
		return string(b)
	}
	for _, tt := range []struct {
		name   string
		status int
		body   string
		want   auth.LoginError
	}{
		{"refused with 400", 400, message("iLO.2.18.UnauthorizedLoginAttempt"), auth.LoginError{Outcome: auth.Refused}},
		{"refused with 200", 200, message("iLO.2.13.UnauthorizedLoginAttempt"), auth.LoginError{Outcome: auth.Refused}},
		{"code sent", 400, message("Base.1.17.OneTimePasscodeSent", "configured mail"), auth.LoginError{Outcome: auth.NotJudged, PasscodeSent: true}},
		{"code sent with 200", 200, message("Base.1.17.OneTimePasscodeSent", "configured mail"), auth.LoginError{Outcome: auth.NotJudged, PasscodeSent: true}},
		{"code expired", 400, message("iLO.2.18.TokenExpired"), auth.LoginError{Outcome: auth.NotJudged, PasscodeExpired: true}},
		{"delayed", 400, message("iLO.2.18.LoginAttemptDelayedSeconds", "12"), auth.LoginError{Outcome: auth.NotJudged, RetryAfter: 12 * time.Second}},
		{"delayed for some time", 401, message("iLO.2.18.LoginAttemptDelayed"), auth.LoginError{Outcome: auth.NotJudged, RetryAfter: 5 * time.Second}},
		{"full", 400, message("Base.1.12.SessionLimitExceeded"), auth.LoginError{Outcome: auth.NotJudged, Full: true}},
		{"old spelling", 400, `{"Messages":[],"error":{"code":"iLO.0.10.ExtendedInfo","@Message.ExtendedInfo":[{"MessageID":"iLO.0.10.UnauthorizedLoginAttempt"}]}}`, auth.LoginError{Outcome: auth.Refused}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var sent string
			d, err := redfish.NewDevice(redfish.DeviceConfig{URL: "https://ilo.example", Base: root(iloRoot, nil, 0, ""), Fresh: root(iloRoot, &sent, tt.status, tt.body)})
			if err != nil {
				t.Fatal(err)
			}
			c := credentialOf("oper")
			c.Passcode = auth.NewSecret("123456")
			_, err = d.Login(t.Context(), c, auth.LoginOptions{})
			le := loginError(t, err)
			if le.Outcome != tt.want.Outcome || le.PasscodeSent != tt.want.PasscodeSent || le.PasscodeExpired != tt.want.PasscodeExpired ||
				le.RetryAfter != tt.want.RetryAfter || le.Full != tt.want.Full {
				t.Errorf("%+v, want %+v", le, tt.want)
			}
			if !strings.Contains(sent, `"Token":"123456"`) {
				t.Errorf("sent %s", sent)
			}
		})
	}
}

// root is a RoundTripper that answers GETs with a root and POSTs as it is told.
func root(body string, sent *string, status int, answer string) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		w := httptest.NewRecorder()
		if r.Method == http.MethodPost {
			raw, err := io.ReadAll(r.Body)
			if err != nil {
				return nil, err
			}
			*sent = string(raw)
			w.WriteHeader(status)
			io.WriteString(w, answer)
		} else {
			io.WriteString(w, body)
		}
		return w.Result(), nil
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestFoundIn(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, body, want string }{
		{"iLO 6", iloRoot, "ilo"},
		{"iLO 5", `{"Oem":{"Hpe":{"Manager":[{"ManagerType":"iLO 5"}]}}}`, "ilo5"},
		{"iLO 7 that hides its type", `{"Oem":{"Hpe":{"Moniker":{"PRODGEN":"iLO 7"}}}}`, "ilo7"},
		{"a later one", `{"Oem":{"Hpe":{"Moniker":{"PRODGEN":"iLO 8"}}}}`, "ilo7"},
		{"session of an RMC", `{"Oem":{"Hpe":{"@odata.type":"#HpeSession.v1_0_0.HpeSession","InitialRole":"Administrator"}}}`, "rmc"},
		{"another vendor", `{"Oem":{"Dell":{}}}`, ""},
		{"broken", `{"Oem":{"Hpe":{"Manager":[1],"Moniker":7}}}`, ""},
		{"no JSON", `<html>`, ""},
	} {
		p, ok := redfish.FoundIn([]byte(tt.body))
		if p.Name != tt.want || ok != (tt.want != "") {
			t.Errorf("%s: %q, %v, want %q", tt.name, p.Name, ok, tt.want)
		}
	}
}

func TestOldILO(t *testing.T) {
	t.Parallel()
	d, err := redfish.NewDevice(redfish.DeviceConfig{URL: "https://ilo.example", Base: root(`{"Oem":{"Hp":{}},"Type":"ServiceRoot.1.0.0","links":{"Sessions":{"href":"/rest/v1/Sessions"}}}`, nil, 0, "")})
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.Login(t.Context(), credentialOf("oper"), auth.LoginOptions{})
	if le := loginError(t, err); le.Outcome != auth.NotJudged || le.Sent || !strings.Contains(err.Error(), "iLO 4") {
		t.Errorf("%v", err)
	}
}

func TestRMCIsFoundAtTheLogin(t *testing.T) {
	t.Parallel()
	p, err := redfish.FindProfile("rmc")
	if err != nil {
		t.Fatal(err)
	}
	h, err := redfish.New(redfish.Config{Authority: newMemory(), Listener: listener, Profile: p})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewTLSServer(h)
	t.Cleanup(srv.Close)
	var found string
	d, err := redfish.NewDevice(redfish.DeviceConfig{
		URL: srv.URL, Base: srv.Client().Transport, Fresh: srv.Client().Transport, Found: func(p redfish.Profile) { found = p.Name },
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err := d.Login(t.Context(), credentialOf("oper"), auth.LoginOptions{})
	if err != nil || found != "rmc" {
		t.Fatalf("found %q, %v", found, err)
	}
	if own, err := d.Own(t.Context(), l); err != nil || own.Role != auth.Operator {
		t.Errorf("own session %+v, %v", own, err)
	}
}

func TestTransportWithACertificate(t *testing.T) {
	t.Parallel()
	dev := newILO(t, 0, nil)
	fresh := dev.Client().Transport.(*http.Transport).Clone()
	fresh.DisableKeepAlives = true
	cert := clientCertificate(t, "reader")
	tr, err := redfish.NewTransport(redfish.TransportConfig{
		Device:     redfish.DeviceConfig{URL: dev.URL, Base: fresh, Fresh: fresh},
		Credential: func(context.Context) (auth.Credential, error) { return auth.Credential{Certificate: cert}, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: tr}).Get(dev.URL + "/redfish/v1/SessionService/Sessions/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 || dev.auth.count() != 1 {
		t.Errorf("status %d with %d sessions", resp.StatusCode, dev.auth.count())
	}
	if err := tr.Close(); err != nil || dev.auth.count() != 0 {
		t.Errorf("close: %v, %d sessions left", err, dev.auth.count())
	}
}
