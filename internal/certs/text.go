package certs

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"strings"
	"unicode"
)

// shortNames are those that people know (RFC 4514, 3; the last ones by OpenSSL).
var shortNames = map[string]string{
	oidCommonName.String(): "CN", oidOrganization.String(): "O", oidUnit.String(): "OU", oidLocality.String(): "L",
	oidState.String(): "ST", oidCountry.String(): "C", oidEmail.String(): "emailAddress",
	"2.5.4.9": "STREET", "0.9.2342.19200300.100.1.25": "DC", "0.9.2342.19200300.100.1.1": "UID",
	"2.5.4.5": "serialNumber", "2.5.4.4": "SN", "2.5.4.42": "GN", "2.5.4.12": "title",
}

// nameText writes a name, DER, in the form of RFC 4514: the last part first.
// What could move a terminal's cursor is escaped; crypto/x509 writes it as it is,
// and mail addresses in hex.
func nameText(raw []byte) string {
	var seq pkix.RDNSequence
	if _, err := asn1.Unmarshal(raw, &seq); err != nil {
		return fmt.Sprintf("#%x", raw)
	}
	var sets []string
	for i := len(seq) - 1; i >= 0; i-- {
		var parts []string
		for _, a := range seq[i] {
			parts = append(parts, attributeText(a))
		}
		sets = append(sets, strings.Join(parts, "+"))
	}
	return strings.Join(sets, ",")
}

func attributeText(a pkix.AttributeTypeAndValue) string {
	kind, ok := shortNames[a.Type.String()]
	if !ok {
		kind = a.Type.String()
	}
	text, ok := a.Value.(string)
	if !ok {
		return fmt.Sprintf("%s=#%x", kind, fmt.Append(nil, a.Value))
	}
	return kind + "=" + escape(text)
}

// escape is RFC 4514, 2.4.
func escape(text string) string {
	var b strings.Builder
	runes := []rune(text)
	for i, r := range runes {
		edge := r == ' ' && (i == 0 || i == len(runes)-1) || r == '#' && i == 0
		switch {
		case edge || strings.ContainsRune(`",+;<>\`, r):
			b.WriteByte('\\')
			b.WriteRune(r)
		case !unicode.IsPrint(r):
			for _, c := range []byte(string(r)) {
				fmt.Fprintf(&b, `\%02X`, c)
			}
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// clean makes a name of a certificate fit for a terminal.
func clean(names []string) []string {
	var out []string
	for _, n := range names {
		out = append(out, strings.Map(func(r rune) rune {
			if !unicode.IsPrint(r) {
				return unicode.ReplacementChar
			}
			return r
		}, n))
	}
	return out
}
