package certs

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/postern/postern/internal/trust"
)

// A Subject is who a certificate is for, by the parts that people fill in. Empty
// parts are left out.
type Subject struct {
	CommonName   string `json:"common_name,omitempty"`
	Organization string `json:"organization,omitempty"`
	Department   string `json:"department,omitempty"` // the organizational unit, OU
	Email        string `json:"email,omitempty"`      // emailAddress, as OpenSSL writes it
	Locality     string `json:"locality,omitempty"`
	State        string `json:"state,omitempty"` // or province
	Country      string `json:"country,omitempty"`
}

// Names are the subject alternative names.
type Names struct {
	DNS    []string `json:"dns,omitempty"`
	IPs    []string `json:"ip,omitempty"`
	Emails []string `json:"email,omitempty"`
	UPNs   []string `json:"upn,omitempty"` // Microsoft's User Principal Names, user@domain
	URIs   []string `json:"uri,omitempty"`
}

// IsZero reports whether there is none.
func (n Names) IsZero() bool {
	return len(n.DNS)+len(n.IPs)+len(n.Emails)+len(n.UPNs)+len(n.URIs) == 0
}

// The sizes of RFC 5280, appendix A.1, in characters, and our own on the rest.
const (
	maxPart  = 64
	maxPlace = 128
	maxEmail = 255
	maxNames = 100
	maxName  = 253 // of a DNS name; others are no longer
)

var (
	oidCountry      = asn1.ObjectIdentifier{2, 5, 4, 6}
	oidState        = asn1.ObjectIdentifier{2, 5, 4, 8}
	oidLocality     = asn1.ObjectIdentifier{2, 5, 4, 7}
	oidOrganization = asn1.ObjectIdentifier{2, 5, 4, 10}
	oidUnit         = asn1.ObjectIdentifier{2, 5, 4, 11}
	oidCommonName   = asn1.ObjectIdentifier{2, 5, 4, 3}
	oidEmail        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}
	oidAltName      = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidUPN          = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 3}
)

// part is one attribute of a subject.
type part struct {
	name  string
	oid   asn1.ObjectIdentifier
	most  int
	field *string
}

// parts are those of s in the order in which they are written: the greatest
// thing first, as most CAs do.
func (s *Subject) parts() []part {
	return []part{
		{"country", oidCountry, 2, &s.Country}, {"state", oidState, maxPlace, &s.State}, {"locality", oidLocality, maxPlace, &s.Locality},
		{"organization", oidOrganization, maxPart, &s.Organization}, {"department", oidUnit, maxPart, &s.Department},
		{"common name", oidCommonName, maxPart, &s.CommonName}, {"email", oidEmail, maxEmail, &s.Email},
	}
}

// encode returns the DER of the name: ErrName.
func (s Subject) encode() ([]byte, error) {
	var seq pkix.RDNSequence
	for _, p := range s.parts() {
		text := *p.field
		if text == "" {
			continue
		}
		if err := checkText(p.name, text, p.most); err != nil {
			return nil, err
		}
		var value any = text
		switch {
		case p.name == "country" && (len(text) != 2 || strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != ""):
			return nil, fmt.Errorf("%w: the country %q has not two capital letters (ISO 3166)", ErrName, text)
		case p.name == "email":
			if err := checkEmail(text); err != nil {
				return nil, err
			}
			value = asn1.RawValue{Tag: asn1.TagIA5String, Bytes: []byte(text)}
		}
		seq = append(seq, pkix.RelativeDistinguishedNameSET{{Type: p.oid, Value: value}})
	}
	if len(seq) == 0 {
		return nil, fmt.Errorf("%w: the subject is empty", ErrName)
	}
	return asn1.Marshal(seq)
}

// subjectOf returns the parts that are known here. Of several of one kind it is
// the last.
func subjectOf(n pkix.Name) Subject {
	var s Subject
	for _, a := range n.Names {
		for _, p := range s.parts() {
			if text, ok := a.Value.(string); ok && a.Type.Equal(p.oid) {
				*p.field = text
			}
		}
	}
	return s
}

func checkText(what, text string, most int) error {
	switch {
	case !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }):
		return fmt.Errorf("%w: the %s is no plain text", ErrName, what)
	case utf8.RuneCountInString(text) > most:
		return fmt.Errorf("%w: the %s has more than %d characters", ErrName, what, most)
	case strings.TrimSpace(text) != text: // a login by name compares it as it is
		return fmt.Errorf("%w: the %s %q has blanks around it", ErrName, what, text)
	}
	return nil
}

func checkEmail(s string) error {
	user, domain, ok := strings.Cut(s, "@")
	if !ok || user == "" || domain == "" || len(s) > maxEmail || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return fmt.Errorf("%w: %q is no mail address in ASCII", ErrName, s)
	}
	return nil
}

// encode returns the value of the subjectAltName extension (RFC 5280, 4.2.1.6):
// ErrName. crypto/x509 writes no UPNs.
func (n Names) encode() ([]byte, error) {
	if len(n.DNS)+len(n.IPs)+len(n.Emails)+len(n.UPNs)+len(n.URIs) > maxNames {
		return nil, fmt.Errorf("%w: more than %d alternative names", ErrName, maxNames)
	}
	var list []asn1.RawValue
	add := func(tag int, compound bool, b []byte) {
		list = append(list, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, IsCompound: compound, Bytes: b})
	}
	for _, s := range n.DNS {
		if !isDNS(s) {
			return nil, fmt.Errorf("%w: %q is no DNS name", ErrName, s)
		}
		add(2, false, []byte(s))
	}
	for _, s := range n.IPs {
		ip, err := netip.ParseAddr(s)
		if err != nil || ip.Zone() != "" {
			return nil, fmt.Errorf("%w: %q is no IP address", ErrName, s)
		}
		add(7, false, ip.Unmap().AsSlice())
	}
	for _, s := range n.Emails {
		if err := checkEmail(s); err != nil {
			return nil, err
		}
		add(1, false, []byte(s))
	}
	for _, s := range n.URIs {
		if u, err := url.Parse(s); err != nil || u.Scheme == "" || !isASCII(s) {
			return nil, fmt.Errorf("%w: %q is no URI", ErrName, s)
		}
		add(6, false, []byte(s))
	}
	for _, s := range n.UPNs {
		b, err := encodeUPN(s)
		if err != nil {
			return nil, err
		}
		add(0, true, b)
	}
	return asn1.Marshal(list)
}

// encodeUPN returns the inside of an otherName.
func encodeUPN(s string) ([]byte, error) {
	if err := checkText("user principal name", s, maxName); err != nil {
		return nil, err
	}
	if user, domain, ok := strings.Cut(s, "@"); !ok || user == "" || domain == "" {
		return nil, fmt.Errorf("%w: the user principal name %q is not USER@DOMAIN", ErrName, s)
	}
	oid, err := asn1.Marshal(oidUPN)
	if err != nil {
		return nil, err
	}
	text, err := asn1.MarshalWithParams(s, "utf8")
	if err != nil {
		return nil, err
	}
	value, err := asn1.Marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: text})
	return append(oid, value...), err
}

// isDNS takes names as certificates have them: labels of letters, digits, - and _,
// of which the first may be *.
func isDNS(s string) bool {
	if len(s) > maxName {
		return false
	}
	for i, label := range strings.Split(s, ".") {
		if label == "*" && i == 0 && strings.Contains(s, ".") {
			continue
		}
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.Trim(strings.ToLower(label), "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}

// altName wraps names as an extension. It is critical where the subject is empty,
// which cannot be here.
func altName(n Names) ([]pkix.Extension, error) {
	if n.IsZero() {
		return nil, nil
	}
	value, err := n.encode()
	if err != nil {
		return nil, err
	}
	return []pkix.Extension{{Id: oidAltName, Value: value}}, nil
}

// namesOf gathers what crypto/x509 and trust.UPNs have read. other counts names of
// kinds that are not known here.
func namesOf(dns []string, ips []net.IP, emails []string, uris []*url.URL, exts []pkix.Extension) (n Names, other int, err error) {
	n = Names{DNS: dns, Emails: emails}
	for _, ip := range ips {
		n.IPs = append(n.IPs, ip.String())
	}
	for _, u := range uris {
		n.URIs = append(n.URIs, u.String())
	}
	if n.UPNs, err = trust.UPNs(&x509.Certificate{Extensions: exts}); err != nil {
		return Names{}, 0, err
	}
	for _, e := range exts {
		if e.Id.Equal(oidAltName) {
			other = countNames(e.Value) - len(n.DNS) - len(n.IPs) - len(n.Emails) - len(n.URIs) - len(n.UPNs)
			break
		}
	}
	return n, other, nil
}

func countNames(der []byte) int {
	var list []asn1.RawValue
	if _, err := asn1.Unmarshal(der, &list); err != nil {
		return 0
	}
	return len(list)
}
