package sim

import (
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/service/hpe"
	service "github.com/postern/postern/internal/service/redfish"
	"github.com/postern/postern/redfish"
)

// A Device is one simulated Redfish device. It has no goroutines but those that
// push events, which end by themselves when they have; Close ends them, and the
// event streams, at once. Safe for concurrent use.
type Device struct {
	cfg                   Config
	faults                *faults
	journal               *journal
	auth                  *authority
	store                 *store
	uploads               uploads
	managerLog, systemLog *deviceLog
	events                *events
	tasks                 *tasks
	licenses              licenses
	inner                 *redfish.Handler

	logins, logouts, refused, full, calls atomic.Int64
	answers                               atomic.Int64 // counted for certificate-changes alone
}

// Listener names the one place where a device's sessions are valid.
const Listener = "device"

// New returns a device that has just been switched on.
func New(cfg Config) (*Device, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	f, err := parseFaults(cfg.Faults)
	if err != nil {
		return nil, fmt.Errorf("sim: %w", err)
	}
	d := newResources(cfg)
	d.faults = &f
	d.journal = &journal{w: cfg.Journal, now: cfg.Now, log: cfg.Log}
	if d.auth, err = newAuthority(cfg, d.faults, d.journal); err != nil {
		return nil, err
	}
	d.auth.changed = d.events.resourceEvent
	if d.inner, err = d.compose(); err != nil {
		return nil, err
	}
	return d, nil
}

// compose puts the parts of a device in front of its tree: the logins, the
// query parameters and, where the tree is the living one, the service that
// administers what the authority keeps. A mockup brings resources of its own.
func (d *Device) compose() (*redfish.Handler, error) {
	cfg := redfish.Config{
		Authority: d.auth, Listener: Listener, Profile: d.cfg.Profile,
		Rules: d.auth.handlerRules, Realm: d.cfg.Name, Log: d.cfg.Log,
	}
	next := http.Handler(http.HandlerFunc(d.serve))
	switch {
	case d.cfg.isILO():
		desk := newDesk(d.auth, d.cfg.ServerCertificates)
		own, err := hpe.New(d.hpeConfig(desk, next))
		if err != nil {
			return nil, err
		}
		next, cfg.SetSessions, cfg.HPEPrivileges = own, desk.setSessions, d.auth.hpePrivileges
		cfg.AccountURI = func(p auth.Principal) string { return redfish.AccountURI(auth.AccountName(p.AccountID)) }
	case d.cfg.Profile.Name == profileRMC:
		desk := newDesk(d.auth, nil)
		administered, err := service.New(service.Config{Desk: desk, Listener: Listener, Verify: d.auth, Next: next, Log: d.cfg.Log})
		if err != nil {
			return nil, err
		}
		next, cfg.SetSessions = accountsOnly(administered, next), desk.setSessions
	case d.store.tree.living:
		desk := newDesk(d.auth, d.cfg.ServerCertificates)
		administered, err := service.New(service.Config{
			Desk: desk, Listener: Listener, Manager: desk.shownAt(d.manager()), Root: d.root, Types: d.store.tree.types,
			Verify: d.auth, Next: next, Log: d.cfg.Log,
		})
		if err != nil {
			return nil, err
		}
		next, cfg.SetSessions = administered, desk.setSessions
	}
	if d.faults.noSessions {
		next = withoutSessions(next)
	}
	cfg.Next = redfish.Query(next)
	cfg.Open = cfg.Next
	return redfish.New(cfg)
}

// root is the service root of the tree.
func (d *Device) root() []byte { return d.render(rootPath, d.store.get(rootPath)) }

// newResources returns a device that nobody can log in to, with its resources.
func newResources(cfg Config) *Device {
	d := &Device{cfg: cfg, faults: new(faults), store: newStore(cfg.Tree)}
	d.events = &events{store: d.store, clock: cfg.clock, render: d.shown, log: cfg.Log}
	d.tasks = &tasks{device: d}
	d.licenses.device = d
	if cfg.Tree.living {
		d.managerLog, d.systemLog = openLog(d.store, logPath), openLog(d.store, systemLogPath)
	}
	return d
}

// Handler returns the device's web server. It is to be served over TLS, and
// over HTTP/1.1 alone: over anything else it shows nothing but its open URIs.
func (d *Device) Handler() http.Handler { return http.HandlerFunc(d.answer) }

// Close ends every event stream and every delivery of an event, and waits for
// the deliveries. The device answers on; it takes no new listeners.
func (d *Device) Close() {
	d.tasks.close()
	d.events.close()
}

// Stats are a device's counters since it was switched on.
type Stats struct {
	Sessions int   // living now
	Slots    int   // Config.Slots with its default; negative: no limit
	Logins   int64 // sessions made
	Refused  int64 // logins and Basic calls refused, Full ones included
	Full     int64 // logins refused because no slot was free
	Calls    int64 // all other requests
	Locked   bool  // at least one account is locked
	Upload   Upload
}

// Stats returns the counters as they are now.
func (d *Device) Stats() Stats {
	sessions, locked := d.auth.state()
	return Stats{
		Sessions: sessions, Slots: d.cfg.Slots, Locked: locked,
		Logins: d.logins.Load(), Refused: d.refused.Load(), Full: d.full.Load(), Calls: d.calls.Load(),
		Upload: d.uploads.latest(),
	}
}

// DropSessions ends every session, as a reset of the BMC does. The journal
// shows them as expired.
func (d *Device) DropSessions() {
	if d.auth != nil { // a Machine has none
		d.auth.drop()
	}
}

// powerState is the system's, for what else shows it.
func (d *Device) powerState() string {
	v := lookup(d.store.get(systemPath).body, "PowerState")
	if len(v) < 2 {
		return ""
	}
	return unquote(v)
}

var _ redfish.Authority = (*authority)(nil)
