// Package certs makes and reads what a person needs for a login by certificate:
// keys, certificate signing requests (CSRs), certificates and PKCS#12 files, in
// every form that other tools write them.
//
// It opens no files and asks nobody: what it reads are bytes, and a passphrase
// comes from a function that is called only where one is needed. It judges
// nothing as trusted; that is package trust.
package certs
