// Package storetest is the one suite that every implementation of the Store
// interfaces must pass. Each core package has its part here, in a file of its
// own; Run runs them all.
package storetest

import (
	"testing"

	"github.com/postern/postern/internal/account"
	"github.com/postern/postern/internal/lease"
	"github.com/postern/postern/internal/policy"
	"github.com/postern/postern/internal/session"
	"github.com/postern/postern/internal/target"
	"github.com/postern/postern/internal/trust"
)

// A Store is what the suite tests.
type Store interface {
	account.Store
	policy.RoleStore
	session.Store
	lease.Store
	target.Store
	trust.Store
}

// Run runs the whole suite. open returns a new, empty store each time.
func Run(t *testing.T, open func(*testing.T) Store) {
	t.Run("account", func(t *testing.T) { Accounts(t, func(t *testing.T) Core { return open(t) }) })
	t.Run("lockout", func(t *testing.T) { Lockouts(t, func(t *testing.T) Core { return open(t) }) })
	t.Run("rule", func(t *testing.T) { Rules(t, func(t *testing.T) Core { return open(t) }) })
	t.Run("role", func(t *testing.T) { Roles(t, func(t *testing.T) RoleCore { return open(t) }) })
	t.Run("session", func(t *testing.T) { Sessions(t, func(t *testing.T) Core { return open(t) }) })
	t.Run("lease", func(t *testing.T) { Leases(t, func(t *testing.T) lease.Store { return open(t) }) })
	t.Run("target", func(t *testing.T) { Targets(t, func(t *testing.T) target.Store { return open(t) }) })
	t.Run("trust", func(t *testing.T) { Trust(t, func(t *testing.T) Trusted { return TrustedCore(open(t)) }) })
}

// Core is what accounts and sessions are tested on together: one ends the other.
type Core interface {
	account.Store
	session.Store
}
