package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/client"
	"github.com/postern/postern/internal/config"
	"github.com/postern/postern/internal/gateway"
	"github.com/postern/postern/internal/lease"
	service "github.com/postern/postern/internal/service/redfish"
	"github.com/postern/postern/internal/target"
	"github.com/postern/postern/redfish"
)

// A family is what serve needs of a protocol family.
type family struct {
	name     string
	profiles []string
	// checkProfile finds fault with a profile's settings, which follow its name.
	checkProfile func(profile string) error
	// device makes the client side of a target. Both transports verify the
	// device's certificate; fresh opens a connection for each request.
	device func(t target.Target, data, fresh http.RoundTripper, now func() time.Time, log *slog.Logger) (device, error)
	// face makes the server side: who logs in, and what is guarded.
	face func(faceConfig) (http.Handler, error)
	// writeError answers with a status and a sentence in the family's form; an
	// empty sentence is an internal error.
	writeError func(w http.ResponseWriter, r *http.Request, status int, text string)
	// says returns what the body of a device's error says to a person; "" = nothing.
	says func(body []byte) string
}

// A device is one target as its family sees it.
type device struct {
	lease     lease.Device
	client    client.Device
	gateway   gateway.Family
	budget    int  // of the profile
	basicFree bool // HTTP Basic opens no session
	profile   *chosen
	// certificatePerCall reports whether the device, as far as it is known by now,
	// takes a client certificate on each call, rather than once at a login.
	certificatePerCall func() bool
}

type faceConfig struct {
	authority redfish.Authority
	listener  string
	profile   string
	chosen    *chosen // that of the device behind, in the place of profile; may be nil
	next      http.Handler
	open      http.Handler
	rules     func() redfish.Rules
	desk      service.Desk // for the account of whoever asks; nil: it is not shown
	log       *slog.Logger
}

// families is every family that this build serves.
func families() []family { return []family{redfishFamily()} }

// Families is the same for a configuration.
func Families() []config.Known {
	var known []config.Known
	for _, f := range families() {
		known = append(known, config.Known{Family: f.name, Profiles: f.profiles})
	}
	return known
}

func findFamily(name string) (family, error) {
	for _, f := range families() {
		if f.name == name {
			return f, nil
		}
	}
	return family{}, fmt.Errorf("family %q is not served by this build", name)
}

func redfishFamily() family {
	return family{
		name:     "redfish",
		profiles: redfish.Profiles(),
		checkProfile: func(profile string) error {
			_, err := redfish.FindProfile(profile)
			return err
		},
		device: redfishDevice,
		face: func(c faceConfig) (http.Handler, error) {
			p, err := redfish.FindProfile(c.profile)
			if err != nil {
				return nil, err
			}
			next, err := withOwnAccount(c)
			if err != nil {
				return nil, err
			}
			cfg := redfish.Config{
				Authority: c.authority, Listener: c.listener, Profile: p, Next: next, Open: c.open, Rules: c.rules, Log: c.log,
			}
			if c.chosen == nil {
				return redfish.New(cfg)
			}
			cfg.ProfileNow = c.chosen.profile
			h, err := redfish.New(cfg)
			if err != nil {
				return nil, err
			}
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c.chosen.look(r.Context())
				h.ServeHTTP(w, r)
			}), nil
		},
		says: redfish.Said,
		writeError: func(w http.ResponseWriter, r *http.Request, status int, text string) {
			if text == "" {
				redfish.WriteError(w, r, errors.New(http.StatusText(status))) // a bare internal error
				return
			}
			redfish.WriteError(w, r, redfish.Refuse(status, text, 0, nil))
		},
	}
}

func redfishDevice(t target.Target, data, fresh http.RoundTripper, now func() time.Time, log *slog.Logger) (device, error) {
	p, err := redfish.FindProfile(t.Profile)
	if err != nil {
		return device{}, err
	}
	c := newChosen(p, t.Profile != "", now)
	cfg := redfish.DeviceConfig{URL: t.URL, Base: data, Fresh: fresh, Now: now, Log: log}
	if t.Profile != "" {
		cfg.Profile = p
	} else {
		cfg.Found = c.found
	}
	d, err := redfish.NewDevice(cfg)
	if err != nil {
		return device{}, err
	}
	c.find = func(ctx context.Context) {
		if err := d.Look(ctx); err == nil {
			c.seen.Store(true)
		}
	}
	return device{
		lease: d, client: d, gateway: redfishGateway{d, c}, budget: p.Budget(), basicFree: !p.BasicOpensSession(), profile: c,
		certificatePerCall: func() bool { return c.profile().CertificatePage() == "" },
	}, nil
}

// A redfishGateway is what the gateway asks of Redfish, in the gateway's words.
type redfishGateway struct {
	*redfish.Device
	chosen *chosen
}

var kinds = map[redfish.Kind]gateway.Kind{
	redfish.KindRefused: gateway.Refused,
	redfish.KindOpen:    gateway.Open,
	redfish.KindOurs:    gateway.Ours,
	redfish.KindDenied:  gateway.Denied,
	redfish.KindRead:    gateway.Read,
	redfish.KindEffect:  gateway.Effect,
}

// Classify implements gateway.Family.
func (g redfishGateway) Classify(method, rawPath, rawQuery string) gateway.Call {
	c := g.chosen.profile().Classify(method, rawPath, rawQuery)
	return gateway.Call{Kind: kinds[c.Kind], Path: c.Path, Reach: c.Reach, Err: c.Err}
}

// RequestHeaders implements gateway.Family.
func (g redfishGateway) RequestHeaders() []string { return g.chosen.profile().RequestHeaders() }

// ResponseHeaders implements gateway.Family.
func (g redfishGateway) ResponseHeaders() []string { return g.chosen.profile().ResponseHeaders() }

// ErrorBody implements gateway.Family.
func (g redfishGateway) ErrorBody(status int, contentType string, body []byte) (shown []byte, mediaType string, ok bool) {
	return g.chosen.profile().ErrorBody(status, contentType, body)
}

// Document implements gateway.Family.
func (g redfishGateway) Document(path string, body []byte) (shown []byte, ok bool) {
	return g.chosen.profile().Document(path, body)
}

// ServeMinimal implements gateway.Family.
func (g redfishGateway) ServeMinimal(w http.ResponseWriter, r *http.Request) {
	g.chosen.profile().ServeMinimal(w, r)
}

// BodyMembers implements gateway.Family.
func (redfishGateway) BodyMembers(body []byte) ([]string, error) { return redfish.BodyMembers(body) }

// WriteError implements gateway.Family.
func (redfishGateway) WriteError(w http.ResponseWriter, r *http.Request, err error) {
	if e, ok := errors.AsType[*gateway.Error](err); ok {
		err = redfish.Refuse(e.Status, e.Message, e.RetryAfter, err)
	}
	redfish.WriteError(w, r, err)
}

func accountName(s string) auth.AccountName { return auth.AccountName(s) }

func method(s string) auth.Method { return auth.Method(s) }
