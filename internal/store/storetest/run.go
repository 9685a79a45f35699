// Package storetest is the one suite that every implementation of the Store
// interfaces must pass. Each core package has its part here, in a file of its
// own; Run runs them all.
package storetest

import (
	"testing"

	"github.com/postern/postern/internal/account"
	"github.com/postern/postern/internal/lease"
	"github.com/postern/postern/internal/session"
	"github.com/postern/postern/internal/target"
)

// A Store is what the suite tests.
type Store interface {
	account.Store
	session.Store
	lease.Store
	target.Store
}

// Run runs the whole suite. open returns a new, empty store each time.
func Run(t *testing.T, open func(*testing.T) Store) {
	t.Run("account", func(t *testing.T) { Accounts(t, func(t *testing.T) Core { return open(t) }) })
	t.Run("session", func(t *testing.T) { Sessions(t, func(t *testing.T) Core { return open(t) }) })
	t.Run("lease", func(t *testing.T) { Leases(t, func(t *testing.T) lease.Store { return open(t) }) })
	t.Run("target", func(t *testing.T) { Targets(t, func(t *testing.T) target.Store { return open(t) }) })
}

// Core is what accounts and sessions are tested on together: one ends the other.
type Core interface {
	account.Store
	session.Store
}
