package hpe

import (
	"encoding/asn1"
	"errors"
)

var (
	oidSignedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}

	errPKCS7 = errors.New("not a PKCS#7 with certificates")
)

// maxPKCS7 bounds the certificates in one text; a chain has 1 to 4.
const maxPKCS7 = 10

// readPKCS7 returns the certificates of a PKCS#7 (RFC 2315, 9.1), as `openssl
// crl2pkcs7 -nocrl` makes one: signed data without signers. Signatures, if there
// are any, are not looked at: nothing of it is trusted but what somebody imports.
//
//	ContentInfo ::= SEQUENCE { contentType OID, content [0] EXPLICIT SignedData }
//	SignedData  ::= SEQUENCE { version, digestAlgorithms SET, contentInfo SEQUENCE,
//	                           certificates [0] IMPLICIT SET OF Certificate, ... }
func readPKCS7(der []byte) ([][]byte, error) {
	var outer struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue `asn1:"explicit,tag:0"`
	}
	rest, err := asn1.Unmarshal(der, &outer)
	if err != nil || len(rest) > 0 || !outer.Type.Equal(oidSignedData) {
		return nil, errPKCS7
	}
	var signed asn1.RawValue
	if rest, err = asn1.Unmarshal(outer.Content.Bytes, &signed); err != nil || len(rest) > 0 || signed.Tag != asn1.TagSequence {
		// An explicit field of a RawValue may hold the value without its wrapping.
		signed = outer.Content
	}
	return certificatesOf(signed.Bytes)
}

// certificatesOf walks the members of a SignedData to the first [0].
func certificatesOf(members []byte) ([][]byte, error) {
	for len(members) > 0 {
		var member asn1.RawValue
		rest, err := asn1.Unmarshal(members, &member)
		if err != nil {
			return nil, errPKCS7
		}
		members = rest
		if member.Class != asn1.ClassContextSpecific || member.Tag != 0 || !member.IsCompound {
			continue
		}
		var ders [][]byte
		for set := member.Bytes; len(set) > 0; {
			var cert asn1.RawValue
			if set, err = asn1.Unmarshal(set, &cert); err != nil || cert.Tag != asn1.TagSequence || len(ders) == maxPKCS7 {
				return nil, errPKCS7
			}
			ders = append(ders, cert.FullBytes)
		}
		if len(ders) == 0 {
			return nil, errPKCS7
		}
		return ders, nil
	}
	return nil, errPKCS7
}
