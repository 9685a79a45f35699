package serve

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern/postern/redfish"
)

// How a device whose profile is not configured is looked at before its face
// answers for the first time.
const (
	lookWait  = 3 * time.Second  // a caller waits; BMCs show their root within a second
	lookPause = 10 * time.Second // whoever asks needs no credentials, and must not keep a device busy
)

// A chosen profile is the configured one, or what was found out. It is safe for
// concurrent use.
type chosen struct {
	fixed bool
	find  func(context.Context) // reads the device's root
	now   func() time.Time
	p     atomic.Pointer[redfish.Profile]

	mu   sync.Mutex // guards next; held while somebody looks
	next time.Time
	seen atomic.Bool // the root was read, whatever it showed
}

func newChosen(p redfish.Profile, fixed bool, now func() time.Time) *chosen {
	c := &chosen{fixed: fixed, now: now}
	c.p.Store(&p)
	return c
}

// profile returns the profile as it is known now.
func (c *chosen) profile() redfish.Profile { return *c.p.Load() }

// found takes up what an answer of the device showed.
func (c *chosen) found(p redfish.Profile) {
	if c.fixed || c.profile().Name == p.Name {
		return
	}
	c.p.Store(&p)
}

// look finds the profile out where nobody has, so that the first answer has its
// form, too: it waits at most lookWait for the device, and looks at it again after
// lookPause alone.
func (c *chosen) look(ctx context.Context) {
	if c.fixed || c.seen.Load() || c.find == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); c.seen.Load() || now.Before(c.next) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookWait)
	defer cancel()
	c.find(ctx)
	c.next = c.now().Add(lookPause)
}
