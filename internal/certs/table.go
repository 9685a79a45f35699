package certs

import (
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
)

// A Row is one line of what a PKI team is told.
type Row struct {
	Detail string `json:"detail"`
	Value  string `json:"value"`
}

// Table returns what a PKI team asks for beside a CSR: the rows of Symphony's
// "Certificate Authentication Workflow", and one of the alternative names where
// there are any. Parts that the request lacks are left out.
func Table(r *x509.CertificateRequest) ([]Row, error) {
	names, _, err := namesOf(r.DNSNames, r.IPAddresses, r.EmailAddresses, r.URIs, r.Extensions)
	if err != nil {
		return nil, fmt.Errorf("the request %w: %v", ErrMalformed, err)
	}
	s := subjectOf(r.Subject)
	var rows []Row
	for _, row := range []Row{
		{"Certificate Type", certificateType(names)}, {"Common Name (CN)", s.CommonName}, {"Organization", s.Organization},
		{"Department", s.Department}, {"Email", s.Email}, {"Locality", s.Locality}, {"State / Province", s.State}, {"Country", s.Country},
		{"Subject Alternative Names", strings.Join(names.list(), ", ")}, {"Key Size", keySize(r)},
	} {
		if row.Value != "" {
			row.Value = clean([]string{row.Value})[0]
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// certificateType is what sellers of certificates call them.
func certificateType(n Names) string {
	switch {
	case slices.ContainsFunc(n.DNS, func(s string) bool { return strings.HasPrefix(s, "*.") }):
		return "Wildcard Certificate"
	case len(n.DNS)+len(n.IPs) > 1:
		return "Multi-Domain (SAN) Certificate"
	}
	return "Single Domain Certificate"
}

func keySize(r *x509.CertificateRequest) string {
	if _, ok := r.PublicKey.(*rsa.PublicKey); ok {
		return fmt.Sprintf("%d bits", keyBits(r.PublicKey))
	}
	return fmt.Sprintf("%d bits (%s)", keyBits(r.PublicKey), DescribeKey(r.PublicKey))
}

// list are all names with their kind, as OpenSSL writes them.
func (n Names) list() []string {
	var out []string
	for _, k := range []struct {
		kind  string
		names []string
	}{{"DNS", n.DNS}, {"IP", n.IPs}, {"email", n.Emails}, {"UPN", n.UPNs}, {"URI", n.URIs}} {
		for _, name := range clean(k.names) {
			out = append(out, k.kind+":"+name)
		}
	}
	return out
}
