package certs

import (
	"crypto/x509"
	"encoding/asn1"
	"fmt"
)

var oidSignedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}

// parsePKCS7 reads the certificates and lists in a SignedData (RFC 2315, 9.1),
// which CAs send as .p7b: errOtherForm where it is none, ErrMalformed. Its
// signatures are not looked at; a .p7b has none.
//
//	SEQUENCE { OID, [0] { SEQUENCE { version, SET, SEQUENCE, [0] certificates, [1] CRLs, SET } } }
func parsePKCS7(der []byte) ([]Item, error) {
	var info struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue `asn1:"explicit,tag:0"`
	}
	if d, err := toDER(der); err == nil {
		der = d
	}
	rest, err := asn1.Unmarshal(der, &info)
	if err != nil || !info.Type.Equal(oidSignedData) {
		return nil, errOtherForm
	}
	bad := fmt.Errorf("the PKCS#7 file %w", ErrMalformed)
	if len(rest) != 0 {
		return nil, bad
	}
	var data asn1.RawValue
	if rest, err := asn1.Unmarshal(info.Content.FullBytes, &data); err != nil || len(rest) != 0 {
		return nil, bad
	}
	if data.Class == asn1.ClassContextSpecific { // FullBytes keeps the explicit tag
		if _, err := asn1.Unmarshal(data.Bytes, &data); err != nil {
			return nil, bad
		}
	}
	var items []Item
	for rest := data.Bytes; len(rest) > 0; {
		var part asn1.RawValue
		if rest, err = asn1.Unmarshal(rest, &part); err != nil {
			return nil, bad
		}
		if part.Class != asn1.ClassContextSpecific {
			continue
		}
		found, err := parseParts(part)
		if err != nil {
			return nil, err
		}
		items = append(items, found...)
	}
	if len(items) == 0 {
		return nil, fmt.Errorf("PKCS#7: a certificate %w", ErrNotFound)
	}
	return items, nil
}

// parseParts reads the certificates, tag 0, or the lists, tag 1.
func parseParts(part asn1.RawValue) ([]Item, error) {
	if part.Tag == 0 {
		all, err := x509.ParseCertificates(part.Bytes)
		if err != nil {
			return nil, fmt.Errorf("PKCS#7: a certificate %w: %v", ErrMalformed, err)
		}
		var items []Item
		for _, c := range all {
			items = append(items, Item{Certificate: c})
		}
		return items, nil
	}
	var items []Item
	for rest := part.Bytes; len(rest) > 0; {
		var list asn1.RawValue
		var err error
		if rest, err = asn1.Unmarshal(rest, &list); err != nil {
			return nil, fmt.Errorf("PKCS#7: a certificate revocation list %w", ErrMalformed)
		}
		i, err := parseCRL(list.FullBytes)
		if err != nil {
			return nil, err
		}
		items = append(items, i)
	}
	return items, nil
}
