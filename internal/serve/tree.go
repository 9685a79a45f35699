package serve

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/admin"
	"github.com/postern/postern/internal/config"
	service "github.com/postern/postern/internal/service/redfish"
	"github.com/postern/postern/internal/sim"
	"github.com/postern/postern/redfish"
)

// treePort is what the port of the tree is remembered by; no target has the name.
const treePort = "listener:tree"

// treeListener is the listener with next: tree. Where the configuration has
// none, and nothing else is to be served, it stands where targets would.
func treeListener(cfg Config, targets int) (config.Listener, bool) {
	at := config.Listener{Host: loopback}
	for _, l := range cfg.Listeners {
		if l.Tree {
			return l, true
		}
		if l.All {
			at = l
		}
	}
	return at, cfg.Alone && targets == 0
}

// openTree binds the listener of the tree and gives it its handler: logins of
// Postern, the resources that administer them, and those of a simulated device.
func (s *server) openTree(ctx context.Context, l config.Listener) error {
	if err := s.configure(ctx, admin.TreeListener, l); err != nil {
		return err
	}
	machine, err := sim.NewMachine(sim.MachineConfig{Now: s.now, Log: s.log})
	if err != nil {
		return err
	}
	h, err := s.treeHandler(machine)
	if err != nil {
		return err
	}
	ln, err := s.ports.listen(treePort, l.Host, l.Port)
	if err != nil {
		return err
	}
	f := newFace(admin.TreeListener, l.Host, ln, s.certificates.tlsConfig(admin.TreeListener, s.asker(admin.TreeListener)), s.log)
	f.set(&front{next: h, writeError: redfishFamily().writeError, target: admin.TreeListener, log: s.log, now: s.now})
	s.tree = &tree{face: f, machine: machine}
	return nil
}

// A tree is a face with a machine behind it.
type tree struct {
	*face
	machine *sim.Machine
}

// shutdown ends event streams first, which would wait for ever.
func (t *tree) shutdown(ctx context.Context) {
	t.machine.Close()
	t.face.shutdown(ctx)
}

func (s *server) treeHandler(machine *sim.Machine) (http.Handler, error) {
	authority := noting{s.authority}
	administered, err := service.New(service.Config{
		Desk: s.admin, Listener: admin.TreeListener, Manager: machine.Manager(), Root: machine.Root, Types: machine.Types,
		Registries: machine.Registries(), Verify: authority, Next: machine, Log: s.log,
	})
	if err != nil {
		return nil, err
	}
	next := redfish.Query(machine.Watch(administered))
	recorded := &audited{next: next, audit: s.audit, listener: admin.TreeListener, writeError: redfishFamily().writeError, log: s.log}
	return redfish.New(redfish.Config{
		Authority: authority, Listener: admin.TreeListener, Profile: redfish.Generic(), Next: noteCaller(recorded), Open: next,
		Rules: s.redfishRules(admin.TreeListener), SetSessions: setSessions(s.admin, admin.TreeListener), Log: s.log,
	})
}

// redfishRules are the rules of a listener in the family's words.
func (c *core) redfishRules(listener string) func() redfish.Rules {
	return func() redfish.Rules {
		r := c.sessions.Rules(listener)
		return redfish.Rules{
			SessionsDisabled: r.SessionsDisabled, SessionIdle: r.Idle, SessionLifetime: r.Lifetime,
			Basic: redfish.BasicMode(r.Basic), Certificates: r.Certificates, Version: r.Version,
		}
	}
}

// setSessions changes the rules for the sessions of a listener.
func setSessions(desk service.Desk, listener string) func(context.Context, redfish.SessionChange) error {
	return func(ctx context.Context, c redfish.SessionChange) error {
		r, err := desk.ListenerRules(ctx, listener)
		if err != nil {
			return err
		}
		if c.Version != 0 {
			r.Version = c.Version
		}
		if c.Enabled != nil {
			r.SessionsDisabled = !*c.Enabled
		}
		if c.Idle != nil {
			r.SessionIdle = *c.Idle
		}
		if c.Lifetime != nil {
			r.SessionLifetime = *c.Lifetime
		}
		_, err = desk.SetListenerRules(ctx, r)
		if e, ok := errors.AsType[*admin.Error](err); ok && e.Reason == admin.Changed {
			return redfish.ErrChanged
		}
		return err
	}
}

// ownAccount serves the account of whoever asks at the face of a target, whose
// other accounts are the device's and none of Postern's business: it may be read,
// and its password changed.
type ownAccount struct {
	own  http.Handler
	next http.Handler
}

func withOwnAccount(c faceConfig) (http.Handler, error) {
	if c.desk == nil {
		return c.next, nil
	}
	own, err := service.NewOwnAccount(service.Config{Desk: c.desk, Listener: c.listener, Log: c.log})
	if err != nil {
		return nil, err
	}
	return &ownAccount{own: redfish.Query(own), next: c.next}, nil
}

const accountsPath = "/redfish/v1/AccountService/Accounts/"

func (o *ownAccount) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, err := redfish.Canonical(r.URL.EscapedPath())
	p, known := auth.PrincipalFrom(r.Context())
	if err == nil && known && isOwnAccount(path, p) {
		note(r.Context(), p)
		o.own.ServeHTTP(w, r)
		return
	}
	o.next.ServeHTTP(w, r)
}

// isOwnAccount reports whether a canonical path is that of p's own account.
func isOwnAccount(path string, p auth.Principal) bool {
	name, below := strings.CutPrefix(path, accountsPath)
	return below && name == string(p.Account)
}
