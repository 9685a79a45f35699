package certs

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/postern/postern/internal/trust"
)

// A Description is what people want to know of an Item.
type Description struct {
	Kind        string     `json:"kind"` // "certificate", "request", "key" or "crl"
	Version     int        `json:"version,omitempty"`
	Subject     string     `json:"subject,omitempty"`
	Issuer      string     `json:"issuer,omitempty"`
	Serial      string     `json:"serial,omitempty"` // hex
	Names       []string   `json:"names,omitempty"`
	Key         string     `json:"key,omitempty"`
	Signature   string     `json:"signature,omitempty"`
	NotBefore   *time.Time `json:"not_before,omitempty"`
	NotAfter    *time.Time `json:"not_after,omitempty"` // of a CRL: when the next one comes
	Role        string     `json:"role,omitempty"`      // "CA" or "leaf"
	SelfIssued  bool       `json:"self_issued,omitempty"`
	Uses        []string   `json:"uses,omitempty"`
	Revoked     int        `json:"revoked,omitempty"` // how many a CRL names
	Fingerprint string     `json:"sha256,omitempty"`  // of the DER, as OpenSSL writes it
	PEM         string     `json:"pem,omitempty"`     // never of a key
	Notes       []string   `json:"notes,omitempty"`   // what may not work with it
}

// Describe tells of i, and what is doubtful about it now.
func (i Item) Describe(now time.Time) Description {
	var d Description
	switch {
	case i.Certificate != nil:
		d = describeCertificate(i.Certificate, now)
	case i.Request != nil:
		d = describeRequest(i.Request)
	case i.CRL != nil:
		d = describeCRL(i.CRL, now)
	case i.Key != nil:
		d = Description{Kind: "key", Key: DescribeKey(i.Key.Public())}
	}
	d.PEM = string(i.PEM())
	return d
}

func describeCertificate(c *x509.Certificate, now time.Time) Description {
	fingerprint := trust.FingerprintOf(c)
	before, after := c.NotBefore.UTC(), c.NotAfter.UTC()
	d := Description{
		Kind: "certificate", Version: c.Version, Subject: nameText(c.RawSubject), Issuer: nameText(c.RawIssuer), Serial: hexOf(c.SerialNumber),
		Key: DescribeKey(c.PublicKey), Signature: c.SignatureAlgorithm.String(), NotBefore: &before, NotAfter: &after,
		Role: "leaf", SelfIssued: selfIssued(c), Uses: uses(c), Fingerprint: colons(fingerprint[:]),
	}
	if c.IsCA {
		d.Role = "CA"
	}
	d.Names, d.Notes = describeNames(c.DNSNames, c.IPAddresses, c.EmailAddresses, c.URIs, &x509.Certificate{Extensions: c.Extensions})
	d.Notes = append(d.Notes, weak(c.PublicKey)...)
	if now.After(after) {
		d.Notes = append(d.Notes, "it expired on "+after.Format(time.DateOnly))
	}
	if now.Before(before) {
		d.Notes = append(d.Notes, "it is not valid before "+before.Format(time.DateTime)+" UTC")
	}
	if c.Version < 3 {
		d.Notes = append(d.Notes, fmt.Sprintf("X.509 v%d: it says nothing of its uses, and is never taken as a CA", c.Version))
	}
	switch c.SignatureAlgorithm {
	case x509.MD5WithRSA, x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.DSAWithSHA1:
		d.Notes = append(d.Notes, "its signature can be forged: "+c.SignatureAlgorithm.String())
	}
	return d
}

func describeRequest(r *x509.CertificateRequest) Description {
	d := Description{Kind: "request", Subject: nameText(r.RawSubject), Key: DescribeKey(r.PublicKey), Signature: r.SignatureAlgorithm.String()}
	d.Names, d.Notes = describeNames(r.DNSNames, r.IPAddresses, r.EmailAddresses, r.URIs, &x509.Certificate{Extensions: r.Extensions})
	d.Notes = append(d.Notes, weak(r.PublicKey)...)
	if keyBits(r.PublicKey) > maxRSA {
		d.Notes = append(d.Notes, "its key is too large to check its signature")
	} else if r.CheckSignature() != nil {
		d.Notes = append(d.Notes, "its own signature is wrong")
	}
	return d
}

func describeCRL(l *x509.RevocationList, now time.Time) Description {
	before := l.ThisUpdate.UTC()
	d := Description{
		Kind: "crl", Issuer: nameText(l.RawIssuer), Serial: hexOf(l.Number), Signature: l.SignatureAlgorithm.String(),
		NotBefore: &before, Revoked: len(l.RevokedCertificateEntries),
	}
	if !l.NextUpdate.IsZero() {
		after := l.NextUpdate.UTC()
		d.NotAfter = &after
		if now.After(after) {
			d.Notes = append(d.Notes, "a newer one should be there since "+after.Format(time.DateOnly))
		}
	}
	return d
}

func describeNames(dns []string, ips []net.IP, emails []string, uris []*url.URL, c *x509.Certificate) (list, notes []string) {
	n, other, err := namesOf(dns, ips, emails, uris, c.Extensions)
	if err != nil {
		return nil, []string{"its alternative names cannot be read"}
	}
	if other > 0 {
		notes = append(notes, fmt.Sprintf("%d alternative names of other kinds are not shown", other))
	}
	return n.list(), notes
}

// weak tells of keys that are refused where people log in.
func weak(public crypto.PublicKey) []string {
	bits := keyBits(public)
	_, isRSA := public.(*rsa.PublicKey)
	if isRSA && bits < MinRSA || !isRSA && bits < MinEC {
		return []string{fmt.Sprintf("its key of %d bits is too short", bits)}
	}
	return nil
}

// The names of OpenSSL's configuration, in the order of the bits of X.509.
var keyUsages = []struct {
	bit  x509.KeyUsage
	name string
}{
	{x509.KeyUsageDigitalSignature, "digitalSignature"}, {x509.KeyUsageContentCommitment, "nonRepudiation"},
	{x509.KeyUsageKeyEncipherment, "keyEncipherment"}, {x509.KeyUsageDataEncipherment, "dataEncipherment"},
	{x509.KeyUsageKeyAgreement, "keyAgreement"}, {x509.KeyUsageCertSign, "keyCertSign"}, {x509.KeyUsageCRLSign, "cRLSign"},
}

var extendedUsages = map[x509.ExtKeyUsage]string{
	x509.ExtKeyUsageAny: "any", x509.ExtKeyUsageServerAuth: "serverAuth", x509.ExtKeyUsageClientAuth: "clientAuth",
	x509.ExtKeyUsageCodeSigning: "codeSigning", x509.ExtKeyUsageEmailProtection: "emailProtection",
	x509.ExtKeyUsageTimeStamping: "timeStamping", x509.ExtKeyUsageOCSPSigning: "OCSPSigning",
}

func uses(c *x509.Certificate) []string {
	var out []string
	for _, u := range keyUsages {
		if c.KeyUsage&u.bit != 0 {
			out = append(out, u.name)
		}
	}
	for _, u := range c.ExtKeyUsage {
		name, ok := extendedUsages[u]
		if !ok {
			name = fmt.Sprintf("usage %d", u)
		}
		out = append(out, name)
	}
	for _, oid := range c.UnknownExtKeyUsage {
		out = append(out, oid.String())
	}
	return out
}

// hexOf is a serial number as OpenSSL writes it.
func hexOf(n *big.Int) string {
	if n == nil {
		return ""
	}
	s := n.Text(16)
	if len(s)%2 == 1 {
		s = "0" + s
	}
	return strings.ToUpper(s)
}

func colons(b []byte) string {
	var parts []string
	for part := range slices.Chunk(b, 1) {
		parts = append(parts, strings.ToUpper(hex.EncodeToString(part)))
	}
	return strings.Join(parts, ":")
}
