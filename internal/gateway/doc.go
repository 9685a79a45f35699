// Package gateway carries the calls of callers to a device: it lets a call
// through by the rules, borrows Postern's own login from the lease manager,
// puts an effect on record before its first byte leaves, sends the call and
// judges the answer.
//
// It knows no protocol family. What a path means, how a login is shown to the
// device and how an error looks on the wire is told by a Family. The order of
// the steps is that of the design: canonical path, rules, lease, audit, send,
// judge.
//
// Nothing is decided in hooks of a proxy, and no call costs a goroutine of the
// gateway's own.
package gateway
