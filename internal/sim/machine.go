package sim

import (
	"log/slog"
	"net/http"
	"slices"
	"time"
)

// A MachineConfig says what a Machine is.
type MachineConfig struct {
	Name        string        // host name, from which UUIDs and serial number are made; empty: DefaultName
	ClockOffset time.Duration // see Config.ClockOffset
	Tree        *Tree         // nil: the built-in, living tree

	Now func() time.Time // nil: time.Now
	Log *slog.Logger     // nil: silence
}

// A Machine is the resources of a device without its logins: what a server that
// has its own can put behind them. Requests arrive authenticated, with the
// auth.Principal in their context; its privileges decide, and without one
// nothing is written. A reset of the manager ends no sessions. Safe for
// concurrent use.
type Machine struct{ device *Device }

// NewMachine returns a machine that has just been switched on.
func NewMachine(cfg MachineConfig) (*Machine, error) {
	c := Config{Name: cfg.Name, ClockOffset: cfg.ClockOffset, Tree: cfg.Tree, Now: cfg.Now, Log: cfg.Log}
	if err := c.defaults(); err != nil {
		return nil, err
	}
	return &Machine{newResources(c)}, nil
}

// ServeHTTP answers for the resources.
func (m *Machine) ServeHTTP(w http.ResponseWriter, r *http.Request) { m.device.serve(w, r) }

// Close ends its event streams and the deliveries of events; see Device.Close.
func (m *Machine) Close() { m.device.Close() }

// Root returns the service root as the machine itself would serve it, a JSON object.
func (m *Machine) Root() []byte { return m.device.root() }

// Types returns the types of the resources, as @odata.type has them without the
// "#" and the name at the end: "Manager.v1_24_0", "ManagerCollection".
func (m *Machine) Types() []string { return m.device.store.tree.types() }

// Registries returns the files of the registries, besides Base, whose messages
// the resources use.
func (m *Machine) Registries() []string { return slices.Clone(registries) }

// registries are as the DMTF publishes them; of the log's own there is no file.
var registries = []string{"ResourceEvent.1.3.0", "TaskEvent.1.0.3"}

// Manager returns the URI of the manager resource, "" where there is none.
func (m *Machine) Manager() string { return m.device.manager() }

// manager is the living tree's, or the first one that a mockup lists.
func (d *Device) manager() string {
	d.store.mu.RLock()
	defer d.store.mu.RUnlock()
	if list := d.store.at(managersPath); list != nil && list.has("Members") {
		if members := d.store.members(managersPath); len(members) > 0 {
			return members[0]
		}
	}
	return ""
}
