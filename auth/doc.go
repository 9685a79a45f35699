// Package auth holds the words that every part of Postern shares: who somebody
// is, how somebody tries to log in, what a login becomes, and what a device
// gives us when we log in there. It knows no protocol, no HTTP and no storage,
// and imports only the standard library.
//
// Two directions meet here and keep their own words. A caller logs in to
// Postern: an Attempt becomes a Session that belongs to a Principal. Postern
// logs in to a device: a Credential becomes a Login.
package auth
