package trust

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"unicode/utf8"
)

// A Fingerprint is the SHA-256 of a certificate in DER form.
type Fingerprint [sha256.Size]byte

// FingerprintOf returns c's.
func FingerprintOf(c *x509.Certificate) Fingerprint { return sha256.Sum256(c.Raw) }

// ParseFingerprint reads 64 hex digits in any case, with or without colons
// between the bytes: ErrMalformed.
func ParseFingerprint(s string) (Fingerprint, error) {
	var f Fingerprint
	if len(s) == 3*len(f)-1 && strings.Count(s, ":") == len(f)-1 {
		for i := 2; i < len(s); i += 3 {
			if s[i] != ':' {
				return Fingerprint{}, fmt.Errorf("%w: a fingerprint has its colons between the bytes", ErrMalformed)
			}
		}
		s = strings.ReplaceAll(s, ":", "")
	}
	if n, err := hex.Decode(f[:], []byte(s[:min(len(s), 2*len(f))])); err != nil || n != len(f) || len(s) != 2*len(f) {
		return Fingerprint{}, fmt.Errorf("%w: a SHA-256 fingerprint has 64 hex digits", ErrMalformed)
	}
	return f, nil
}

// String returns 64 lower-case hex digits.
func (f Fingerprint) String() string { return hex.EncodeToString(f[:]) }

var (
	oidCommonName     = asn1.ObjectIdentifier{2, 5, 4, 3}
	oidSubjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidUPN            = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 3} // Microsoft's User Principal Name
)

// CommonName returns the CN of the subject as it is, blanks and all. A subject
// with none or several gives ErrNoName: which of them would be meant?
func CommonName(leaf *x509.Certificate) (string, error) {
	var names []string
	for _, a := range leaf.Subject.Names {
		if !a.Type.Equal(oidCommonName) {
			continue
		}
		text, _ := a.Value.(string)
		names = append(names, text)
	}
	if len(names) != 1 || names[0] == "" {
		return "", fmt.Errorf("%w: the subject has %d common names", ErrNoName, len(names))
	}
	return names[0], nil
}

// UPN returns the User Principal Name of the subject alternative names. A
// certificate with none or several, or whose alternative names cannot be read,
// gives ErrNoName.
func UPN(leaf *x509.Certificate) (string, error) {
	names, err := UPNs(leaf)
	if err != nil {
		return "", err
	}
	if len(names) != 1 {
		return "", fmt.Errorf("%w: it has %d user principal names", ErrNoName, len(names))
	}
	return names[0], nil
}

// UPNs returns all User Principal Names in their order.
func UPNs(leaf *x509.Certificate) ([]string, error) {
	for _, e := range leaf.Extensions {
		if e.Id.Equal(oidSubjectAltName) {
			return parseUPNs(e.Value)
		}
	}
	return nil, nil
}

// parseUPNs reads a subjectAltName (RFC 5280, 4.2.1.6), of which crypto/x509
// shows no otherName:
//
//	SEQUENCE OF { [0] { OBJECT IDENTIFIER, [0] EXPLICIT UTF8String } | other kinds }
func parseUPNs(der []byte) ([]string, error) {
	bad := fmt.Errorf("%w: its alternative names cannot be read", ErrNoName)
	var list asn1.RawValue
	rest, err := asn1.Unmarshal(der, &list)
	if err != nil || len(rest) != 0 || list.Class != asn1.ClassUniversal || list.Tag != asn1.TagSequence || !list.IsCompound {
		return nil, bad
	}
	var names []string
	for rest = list.Bytes; len(rest) > 0; {
		var name asn1.RawValue
		if rest, err = asn1.Unmarshal(rest, &name); err != nil {
			return nil, bad
		}
		if name.Class != asn1.ClassContextSpecific || name.Tag != 0 || !name.IsCompound {
			continue
		}
		upn, ok, err := parseOtherName(name.Bytes)
		if err != nil {
			return nil, bad
		}
		if ok {
			names = append(names, upn)
		}
	}
	return names, nil
}

// parseOtherName reads the inside of one otherName; ok where it is a UPN.
func parseOtherName(der []byte) (upn string, ok bool, err error) {
	var oid asn1.ObjectIdentifier
	if der, err = asn1.Unmarshal(der, &oid); err != nil || !oid.Equal(oidUPN) {
		return "", false, err
	}
	var value, text asn1.RawValue
	if der, err = asn1.Unmarshal(der, &value); err != nil {
		return "", false, err
	}
	rest, err := asn1.Unmarshal(value.Bytes, &text)
	switch {
	case err != nil:
		return "", false, err
	case len(der) != 0, len(rest) != 0, value.Class != asn1.ClassContextSpecific, value.Tag != 0, !value.IsCompound,
		text.Class != asn1.ClassUniversal, text.Tag != asn1.TagUTF8String, text.IsCompound, !utf8.Valid(text.Bytes):
		return "", false, ErrMalformed
	}
	return string(text.Bytes), true, nil
}

// UPNUser returns the user of a UPN whose domain is the parent domain of host,
// compared without case, and "" for any other one. host is the listener's name
// by its configuration, never what a peer calls it. A shorter domain does not
// match, unlike in bmcweb, where user@com is let in at every host below com.
func UPNUser(upn, host string) string {
	user, domain, ok := strings.Cut(upn, "@")
	_, parent, has := strings.Cut(host, ".")
	if _, err := netip.ParseAddr(host); err == nil || !ok || !has || user == "" {
		return ""
	}
	for label := range strings.SplitSeq(domain, ".") {
		if label == "" {
			return ""
		}
	}
	if !isASCII(domain) || !strings.EqualFold(domain, parent) {
		return ""
	}
	return user
}

// isASCII: outside of it EqualFold knows letters that are equal to ASCII ones.
func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
}
