// Package lease owns Postern's logins at devices: how many there may be, when
// one is opened, shared, judged dead and ended, and how often a device may
// refuse us before we stop asking.
//
// A lease is a row in the store, and the row is a state machine:
//
//	intent ──▶ held ──▶ ending ──▶ ended
//	   │         │         │
//	   └─────────┴─────────┴──▶ owed ──▶ ended
//
// Each step is committed before the wire action that it announces, so that
// after a crash the row says what a device may hold of ours. Normal running,
// the start and the sweep use the same transitions; memory is only a cache of
// the rows. Whatever is not ended counts against the budget of the device.
//
// The order of every step is: audit record on stable storage, row committed,
// then the wire.
//
// A Manager and everything it hands out are safe for concurrent use.
package lease
