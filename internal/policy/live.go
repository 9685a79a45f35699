package policy

import "sync/atomic"

// A Live is the policy of a running server, which can be exchanged as a whole. It
// is safe for concurrent use. Its zero value decides nothing before the first Set.
type Live struct{ now atomic.Pointer[Policy] }

// Set makes p decide from the next call on.
func (l *Live) Set(p *Policy) { l.now.Store(p) }

// Policy returns the one that decides now.
func (l *Live) Policy() *Policy { return l.now.Load() }

// Decide is that of the policy now.
func (l *Live) Decide(c Call) Decision { return l.now.Load().Decide(c) }
