// Package trust judges the certificates that callers show in their TLS
// handshakes: which authorities (CAs) count at which listener, whether a chain
// leads to one of them, is valid now, strong enough, meant for a client and not
// revoked, and which account a certificate names.
//
// It knows no HTTP and no storage: CRLs and OCSP answers come through a function
// in the Config, CAs and the certificates of accounts live behind Store. What is
// needed to judge is kept in memory and replaced as a whole by each change, so
// that a change counts for the next Judge.
package trust
