package certs

import (
	"errors"

	"github.com/postern/postern/auth"
)

// What can be wrong with what is read or made.
var (
	// ErrMalformed: it is none of the known forms, or a damaged one.
	ErrMalformed = errors.New("cannot be read")
	// ErrUnsupported: it is known, but not read here; the text says what helps.
	ErrUnsupported = errors.New("is not supported")
	// ErrPassphrase: a passphrase does not open it.
	ErrPassphrase = errors.New("wrong passphrase")
	// ErrNoPassphrase: it is encrypted, and nobody is there to ask.
	ErrNoPassphrase = errors.New("a passphrase is needed")
	// ErrNotFound: it is readable, but does not hold what is wanted.
	ErrNotFound = errors.New("is not in it")
	// ErrName: a name or part of a subject that cannot be one.
	ErrName = errors.New("bad name")
	// ErrIssue: CA, request, key and wishes do not fit together.
	ErrIssue = errors.New("cannot sign")
)

// The limits of what is read.
const (
	// MaxFile bounds a file, in bytes: a bundle of all public CAs has 250 KiB.
	MaxFile = 2 << 20
	// maxItems bounds what one file holds: that bundle has 150 certificates.
	maxItems = 500
	// maxIterations bounds the work that a file asks for before its passphrase is
	// known to be right; 10 million take some seconds, common are 2,048 to 1 million.
	maxIterations = 10_000_000
	// maxScrypt bounds scrypt's memory, in bytes; OpenSSL's own bound is 32 MiB,
	// age's greatest file key takes 256 MiB.
	maxScrypt = 256 << 20
	// MinRSA is the least size of an RSA key that is certified, in bits, and maxRSA the
	// greatest: the time of a signature check grows with its square.
	MinRSA = 2048
	maxRSA = 8192
	// maxKey bounds the DER of a private key, in bytes: one of 16,384 bits has 9 KiB,
	// and reading one takes time that grows faster than its size.
	maxKey = 16 << 10
	// MinEC is the least size of the curve of an EC key, in bits.
	MinEC = 256
)

// Ask returns the passphrase of what, "private key" or "PKCS#12 file". It is called
// at most once for each of them.
type Ask func(what string) (auth.Secret, error)

// ask calls f, and tells that nobody is there.
func ask(f Ask, what string) (auth.Secret, error) {
	if f == nil {
		return auth.Secret{}, ErrNoPassphrase
	}
	return f(what)
}
