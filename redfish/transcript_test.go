//lint:file-ignore SA1008 the letter case that goes out is what is looked at

package redfish_test

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/wiretest"
	"github.com/postern/postern/redfish"
)

var update = flag.Bool("update", false, "write testdata/*.txtar anew")

// A script is what a client does in one transcript: a Device in run, or what calls
// makes of the device.
type script struct {
	profile      string
	prepare      func(*memory)
	certificates bool   // the server judges them
	by           string // whose certificate the client shows; "" = none
	loseBefore   int    // the request before which all sessions are lost; 0 = never
	run          func(ctx context.Context, d *redfish.Device) error
	calls        func(ctx context.Context, device redfish.DeviceConfig) error
}

var scripts = map[string]script{
	"session": {run: func(ctx context.Context, d *redfish.Device) error {
		l, err := d.Login(ctx, credentialOf("oper"), auth.LoginOptions{Method: auth.MethodAuto, Nonce: "postern-n1-42"})
		if err != nil {
			return err
		}
		if !l.KeepsNonce || l.Location != "/redfish/v1/SessionService/Sessions/s1" || l.Secret.IsZero() {
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
	"ilo":                   {profile: "ilo", run: hpeSession},
	"ilo-refused":           {profile: "ilo", run: hpeRefused(400)},
	"rmc":                   {profile: "rmc", run: hpeSession},
	"rmc-refused":           {profile: "rmc", run: hpeRefused(401)},
	"transport-lost":        {loseBefore: 4, calls: transportLost},
	"transport-refused":     {calls: transportRefused},
	"transport-certificate": {certificates: true, by: "reader", calls: transportCertificate},
	"full": {prepare: func(m *memory) { m.limit = 0 }, run: func(ctx context.Context, d *redfish.Device) error {
		_, err := d.Login(ctx, credentialOf("oper"), auth.LoginOptions{})
		var le *auth.LoginError
		if !errors.As(err, &le) || !le.Full || le.Outcome != auth.NotJudged || le.RetryAfter != 30*time.Second {
			return fmt.Errorf("full: %v", err)
		}
		return nil
	}},
}

// transportLost loses its session and goes on with another.
func transportLost(ctx context.Context, device redfish.DeviceConfig) error {
	tr, err := redfish.NewTransport(redfish.TransportConfig{
		Device: device, Context: "postern-n1-42",
		Credential: func(context.Context) (auth.Credential, error) { return credentialOf("oper"), nil },
	})
	if err != nil {
		return err
	}
	return errors.Join(expectStatus(ctx, tr, http.StatusOK), expectStatus(ctx, tr, http.StatusOK), tr.Close())
}

// transportRefused sends a refused password once, and another one once it has it.
func transportRefused(ctx context.Context, device redfish.DeviceConfig) error {
	secret := "wrong"
	tr, err := redfish.NewTransport(redfish.TransportConfig{
		Device: device, Context: "postern-n1-42",
		Credential: func(context.Context) (auth.Credential, error) {
			return auth.Credential{Account: "oper", Password: auth.NewSecret(secret)}, nil
		},
	})
	if err != nil {
		return err
	}
	var le *auth.LoginError
	if err := expectStatus(ctx, tr, http.StatusOK); !errors.As(err, &le) || le.Outcome != auth.Refused {
		return fmt.Errorf("the first call: %w", err)
	}
	if err := expectStatus(ctx, tr, http.StatusOK); !errors.Is(err, redfish.ErrPasswordRefused) {
		return fmt.Errorf("the second call: %w", err)
	}
	secret = password
	return errors.Join(expectStatus(ctx, tr, http.StatusOK), tr.Close())
}

// transportCertificate has its certificate in the connections: no login is sent, and
// there is nothing to log out of.
func transportCertificate(ctx context.Context, device redfish.DeviceConfig) error {
	tr, err := redfish.NewTransport(redfish.TransportConfig{Device: device, Method: auth.MethodCertificate})
	if err != nil {
		return err
	}
	return errors.Join(expectStatus(ctx, tr, http.StatusOK), expectStatus(ctx, tr, http.StatusOK), tr.Close())
}

// expectStatus makes one call.
func expectStatus(ctx context.Context, tr *redfish.Transport, want int) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://bmc.example/redfish/v1/Systems", nil)
	if err != nil {
		return err
	}
	resp, err := tr.RoundTrip(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != want {
		return fmt.Errorf("status %d, want %d", resp.StatusCode, want)
	}
	return nil
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

// What stands for what is drawn, in the form that it has.
var (
	drawnTokens = []string{"0f1e2d3c4b5a69788796a5b4c3d2e1f0", "1e2d3c4b5a69788796a5b4c3d2e1f00f"}
	drawnIDs    = map[string]string{"ilo": "oper0000000063bc4f87659ddce4", "rmc": "operbe3ce14106fb4d02a0880b886ea9a6d5"}
	drawnTags   = map[string]string{"ilo": `W/"21064D3B"`, "rmc": `"bb8be42aa0b43c2c9c9a9499c299e3aa"`}
)

var (
	tokens = wiretest.Pattern(regexp.MustCompile(`(?m)^X-Auth-Token: (.+)$`))
	tags   = wiretest.Pattern(regexp.MustCompile(`(?m)^ETag: (.+)$`))
	// ids are those that the profiles draw: name, time and a random part.
	ids = wiretest.Pattern(regexp.MustCompile(`oper[0-9a-f]{17,}`))
)

// drawn describes what is drawn in a transcript of a profile. A session's id is in
// entity tags, too, from then on.
func drawn(profile string) []wiretest.Drawn {
	all := []wiretest.Drawn{{Name: "token", Find: tokens, As: drawnTokens}}
	if drawnIDs[profile] == "" {
		return all
	}
	seen := false
	tagsOfIDs := func(message string) []string {
		if seen = seen || len(ids(message)) > 0; !seen {
			return nil
		}
		return tags(message)
	}
	return append(all,
		wiretest.Drawn{Name: "id", Find: ids, As: []string{drawnIDs[profile]}},
		wiretest.Drawn{Name: "tag", Find: tagsOfIDs, As: []string{drawnTags[profile]}, Alike: true})
}

// newServer serves what a script needs.
func newServer(t *testing.T, s script) wiretest.Wire {
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
	cfg.Rules = func() redfish.Rules { return redfish.Rules{Certificates: s.certificates} }
	h, err := redfish.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	counted := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n++; n == s.loseBefore {
			m.expire()
		}
		h.ServeHTTP(w, r)
	})
	return wiretest.Serve(counted, func(by string, r *http.Request) *http.Request {
		r.RemoteAddr = "192.0.2.7:4711"
		if by != "" {
			r.TLS.PeerCertificates = []*x509.Certificate{{Subject: pkix.Name{CommonName: by}}}
		}
		return r.WithContext(auth.WithRequestID(r.Context(), "request-1"))
	})
}

// Each transcript drives both sides: its requests the Handler, which must give
// its answers, and its answers the client, which must send its requests.
func TestTranscripts(t *testing.T) {
	t.Parallel()
	for name, s := range scripts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wiretest.Sides{
				File:   filepath.Join("testdata", name+".txtar"),
				Drawn:  func() []wiretest.Drawn { return drawn(s.profile) },
				Server: func(t *testing.T) wiretest.Wire { return newServer(t, s) },
				Client: func(t *testing.T, server wiretest.Wire) {
					if err := s.client(t.Context(), server); err != nil {
						t.Error(err)
					}
				},
			}.Test(t, *update)
		})
	}
}

// client does what the script says.
func (s script) client(ctx context.Context, server wiretest.Wire) error {
	way := server.As(s.by)
	cfg := redfish.DeviceConfig{URL: "https://bmc.example", Base: way, Fresh: way}
	if s.calls != nil {
		return s.calls(ctx, cfg)
	}
	d, err := redfish.NewDevice(cfg)
	if err != nil {
		return err
	}
	return s.run(ctx, d)
}
