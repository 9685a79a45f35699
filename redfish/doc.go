// Package redfish speaks DMTF Redfish (DSP0266) logins on both sides of the
// wire.
//
// The server side is Handler: an http.Handler that owns the session resources
// and the open URIs of a Redfish service and guards another handler behind
// them. Whoever passes is known to that handler as an auth.Principal in the
// request's context; the caller's credentials never reach it.
//
// The client side is Device: a stateless view of one Redfish service that can
// log in by session or HTTP Basic, attach a saved login to a request, judge an
// answer, and touch, list and end sessions. It sends a credential on a fresh
// connection, once, and says exactly what the device may have made of it.
//
// Both sides share one set of wire types. What a gateway needs to stand
// between the two (Classify, AddSessions, RewriteLocation, the header lists)
// is pure and lives here too. Vendors' flavours are data: see Profile.
//
// All sizes are bytes, all times time.Duration. Everything read from a peer is
// bounded, and nothing that a peer sends can cause a panic.
package redfish
