package serve

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/admin"
	"github.com/postern/postern/internal/gateway"
	"github.com/postern/postern/internal/lease"
	"github.com/postern/postern/internal/target"
)

// wired is a target with everything that stands between it and its callers.
type wired struct {
	lease     lease.Target
	handler   http.Handler
	transport *http.Transport // that carries the calls
}

// wire builds the chain of one target: face, rules, lease, device.
func (s *server) wire(t target.Target) (wired, error) {
	fam, err := findFamily(t.Family)
	if err != nil {
		return wired{}, err
	}
	data, dev, err := connect(t, credentialOf(s.targets, t.Name), s.now, s.log)
	if err != nil {
		return wired{}, err
	}
	base, err := url.Parse(t.URL)
	if err != nil {
		return wired{}, err
	}
	listener := admin.TargetListener(t.Name)
	conf := gateway.Config{
		Target:   gateway.Target{Name: t.Name, URL: base, Family: dev.gateway, Transport: data},
		Listener: listener, Leases: s.leases, Policy: &s.policy, Audit: s.audit, Now: s.now, Log: s.log,
	}
	if s.meter != nil {
		conf.Observe = s.meter
	}
	gw, err := gateway.New(conf)
	if err != nil {
		return wired{}, err
	}
	h, err := fam.face(faceConfig{
		authority: noting{s.authority}, listener: listener, profile: t.Profile, chosen: dev.profile,
		next: noteCaller(gw.Handler()), open: gw.Open(),
		rules: s.redfishRules(listener), desk: s.admin, log: s.log,
	})
	if err != nil {
		return wired{}, err
	}
	return wired{
		lease:     leaseTarget(t, s.targets, dev),
		handler:   &front{next: h, writeError: fam.writeError, target: t.Name, log: s.log, now: s.now},
		transport: data,
	}, nil
}

// A credentialFunc reads a credential, each time anew.
type credentialFunc = func(context.Context) (auth.Credential, error)

func credentialOf(targets *target.Service, name string) credentialFunc {
	return func(ctx context.Context) (auth.Credential, error) { return targets.Credential(ctx, name) }
}

// connect makes the client side of a target and the transport of its calls. A
// certificate that goes with each call is that of credential, which may be nil
// where no call is made.
func connect(t target.Target, credential credentialFunc, now func() time.Time, log *slog.Logger) (*http.Transport, device, error) {
	fam, err := findFamily(t.Family)
	if err != nil {
		return nil, device{}, err
	}
	data, fresh, err := t.Transports()
	if err != nil {
		return nil, device{}, err
	}
	dev, err := fam.device(t, data, fresh, now, log)
	if err == nil && t.Method == auth.MethodCertificate && credential != nil {
		target.ShowCertificate(func(ctx context.Context) (auth.Credential, error) {
			if !dev.certificatePerCall() {
				return auth.Credential{}, nil // never two credentials at once
			}
			return credential(ctx)
		}, data, fresh)
	}
	return data, dev, err
}

// leaseTarget is t as leases see it. The credential is read from its source
// each time anew.
func leaseTarget(t target.Target, targets *target.Service, dev device) lease.Target {
	budget := t.Budget
	if budget == 0 {
		budget = dev.budget
	}
	return lease.Target{
		Name: t.Name, Family: t.Family, URL: t.URL, CAPEM: t.CAPEM, Pin: t.Pin, Account: t.Account,
		Credential: credentialOf(targets, t.Name),
		Device:     dev.lease, Method: t.Method, Budget: budget, InFlight: t.InFlight,
		Exclusive: t.Exclusive, BasicFree: dev.basicFree, LockoutThreshold: t.LockoutThreshold, LockoutWindow: t.LockoutWindow,
	}
}

// deviceForRow makes the client for a lease whose target was changed or
// removed: the row keeps what is needed to reach the device.
func (c *core) deviceForRow(r lease.Row) (lease.Device, error) {
	_, dev, err := connect(target.Target{
		Name: r.Target, Family: r.Family, URL: r.URL, CAPEM: r.CAPEM, Pin: r.Pin, Account: r.Account,
	}, nil, c.now, c.log)
	return dev.lease, err
}
