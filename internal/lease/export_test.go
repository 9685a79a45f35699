package lease

import "context"

// What Run does on its timers, for tests that choose the moment.

// SweepOnce makes one round over what is owed and returns how much is left.
func (m *Manager) SweepOnce(ctx context.Context) int { return m.sweep(ctx) }

// HousekeepOnce keeps last uses and ends idle leases.
func (m *Manager) HousekeepOnce(ctx context.Context) { m.housekeeping(ctx) }

// Settle waits for the logins, logouts and probes under way.
func (m *Manager) Settle() { m.wg.Wait() }
