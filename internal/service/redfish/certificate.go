package redfish

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/postern/postern/internal/admin"
	rf "github.com/postern/postern/redfish"
)

// A certificate (Certificate.v1_11_0).
type certificate struct {
	heading
	CertificateString        string
	CertificateType          string
	Issuer                   identifier
	Subject                  identifier
	ValidNotBefore           string
	ValidNotAfter            string
	KeyUsage                 []string `json:",omitempty"`
	SerialNumber             string   `json:",omitempty"`
	Fingerprint              string
	FingerprintHashAlgorithm string
	SignatureAlgorithm       string   `json:",omitempty"`
	CertificateUsageTypes    []string `json:",omitempty"`
}

// An identifier names a subject or an issuer.
type identifier struct {
	CommonName         string   `json:",omitempty"`
	Organization       string   `json:",omitempty"`
	OrganizationalUnit string   `json:",omitempty"`
	City               string   `json:",omitempty"`
	State              string   `json:",omitempty"`
	Country            string   `json:",omitempty"`
	Email              string   `json:",omitempty"`
	DisplayString      string   `json:",omitempty"`
	AlternativeNames   []string `json:",omitempty"`
}

// The uses of a certificate.
const (
	usageUser = "User"
	usageWeb  = "Web"
)

// newCertificate is the wire form of a certificate below the collection at uri.
func newCertificate(uri, usage string, from admin.Certificate) certificate {
	name := from.Name
	if name == "" {
		name = "Certificate"
	}
	c := certificate{
		heading:           heading{ODataID: uri + "/" + from.ID, ODataType: certificateType, ID: from.ID, Name: name},
		CertificateString: from.PEM, CertificateType: "PEM",
		Subject: identifier{DisplayString: from.Subject}, Issuer: identifier{DisplayString: from.Issuer},
		ValidNotBefore: from.NotBefore.UTC().Format(time.RFC3339), ValidNotAfter: from.NotAfter.UTC().Format(time.RFC3339),
		Fingerprint: colons(from.Fingerprint), FingerprintHashAlgorithm: "TPM_ALG_SHA256",
	}
	if usage != "" {
		c.CertificateUsageTypes = []string{usage}
	}
	c.details(from.PEM)
	return c
}

// details adds what is to be read in the first certificate of a PEM text.
func (c *certificate) details(text string) {
	block, rest := pem.Decode([]byte(text))
	if block == nil {
		return
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return // it was good enough for the desk
	}
	if more, _ := pem.Decode(rest); more != nil {
		c.CertificateType = "PEMchain"
	}
	c.Subject, c.Issuer = identify(cert.Subject), identify(cert.Issuer)
	c.Subject.AlternativeNames = alternatives(cert)
	c.KeyUsage = usages(cert)
	c.SerialNumber = colons(serial(cert.SerialNumber))
	c.SignatureAlgorithm = signatures[cert.SignatureAlgorithm]
}

// emailAddress is the attribute of RFC 5280, 4.1.2.6.
var emailAddress = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}

func identify(n pkix.Name) identifier {
	id := identifier{
		CommonName: n.CommonName, Organization: first(n.Organization), OrganizationalUnit: first(n.OrganizationalUnit),
		City: first(n.Locality), State: first(n.Province), Country: first(n.Country), DisplayString: n.String(),
	}
	for _, a := range n.Names {
		if text, ok := a.Value.(string); ok && a.Type.Equal(emailAddress) {
			id.Email = text
		}
	}
	return id
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

func alternatives(cert *x509.Certificate) []string {
	names := append(append([]string{}, cert.DNSNames...), cert.EmailAddresses...)
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	for _, u := range cert.URIs {
		names = append(names, u.String())
	}
	return names
}

// keyUsages are in the order of the bits (RFC 5280, 4.2.1.3).
var keyUsages = []string{
	"DigitalSignature", "NonRepudiation", "KeyEncipherment", "DataEncipherment", "KeyAgreement",
	"KeyCertSign", "CRLSigning", "EncipherOnly", "DecipherOnly",
}

var extendedUsages = map[x509.ExtKeyUsage]string{
	x509.ExtKeyUsageServerAuth: "ServerAuthentication", x509.ExtKeyUsageClientAuth: "ClientAuthentication",
	x509.ExtKeyUsageCodeSigning: "CodeSigning", x509.ExtKeyUsageEmailProtection: "EmailProtection",
	x509.ExtKeyUsageTimeStamping: "Timestamping", x509.ExtKeyUsageOCSPSigning: "OCSPSigning",
}

func usages(cert *x509.Certificate) []string {
	var all []string
	for i, name := range keyUsages {
		if cert.KeyUsage&(1<<i) != 0 {
			all = append(all, name)
		}
	}
	for _, u := range cert.ExtKeyUsage {
		if name := extendedUsages[u]; name != "" {
			all = append(all, name)
		}
	}
	return all
}

// signatures are the names of the algorithms in RFC 3279, 4055, 5758 and 8410.
var signatures = map[x509.SignatureAlgorithm]string{
	x509.SHA256WithRSA: "sha256WithRSAEncryption", x509.SHA384WithRSA: "sha384WithRSAEncryption",
	x509.SHA512WithRSA: "sha512WithRSAEncryption", x509.SHA1WithRSA: "sha1WithRSAEncryption",
	x509.SHA256WithRSAPSS: "id-RSASSA-PSS", x509.SHA384WithRSAPSS: "id-RSASSA-PSS", x509.SHA512WithRSAPSS: "id-RSASSA-PSS",
	x509.ECDSAWithSHA256: "ecdsa-with-SHA256", x509.ECDSAWithSHA384: "ecdsa-with-SHA384",
	x509.ECDSAWithSHA512: "ecdsa-with-SHA512", x509.PureEd25519: "id-Ed25519",
}

func serial(n *big.Int) string {
	b := n.Bytes()
	if len(b) == 0 {
		b = []byte{0}
	}
	return hex.EncodeToString(b)
}

// colons writes hex digits as people compare them: AB:CD.
func colons(digits string) string {
	var b strings.Builder
	for i := 0; i < len(digits); i += 2 {
		if i > 0 {
			b.WriteByte(':')
		}
		b.WriteString(strings.ToUpper(digits[i:min(i+2, len(digits))]))
	}
	return b.String()
}

// newCertificates is the collection at uri.
func newCertificates(uri, name string, all []admin.Certificate) collection {
	var ids []string
	for _, cert := range all {
		ids = append(ids, cert.ID)
	}
	return newCollection(uri, certificateCollection, name, ids)
}

// showOne answers with one of the certificates of the collection at uri.
func (c *call) showOne(uri, usage, id string, all []admin.Certificate) error {
	i := slices.IndexFunc(all, func(cert admin.Certificate) bool { return cert.ID == id })
	if i < 0 {
		return rf.NotFound(c.path)
	}
	return c.show(newCertificate(uri, usage, all[i]))
}

// matchOne holds If-Match against one of them: a certificate never changes, so
// the tag says no more than that it is the one which was read.
func (c *call) matchOne(uri, usage, id string, all []admin.Certificate) error {
	i := slices.IndexFunc(all, func(cert admin.Certificate) bool { return cert.ID == id })
	if i < 0 {
		return rf.NotFound(c.path)
	}
	_, err := c.match(newCertificate(uri, usage, all[i]))
	return err
}

// parent is the URI of the collection that the resource is in.
func (c *call) parent() string { return c.path[:strings.LastIndexByte(c.path, '/')] }

// readCertificate reads the certificate that a POST brings. Until the desk has
// looked at it, it may be a private key by mistake, which no answer repeats.
func (c *call) readCertificate() (text string, err error) {
	b, err := c.body()
	if err != nil {
		return "", err
	}
	b.Require("CertificateString", "CertificateType")
	if secret := b.Secret("CertificateString"); secret != nil {
		text = secret.Reveal()
	}
	b.OneOf("CertificateType", "PEM")
	return text, b.Err()
}

// certificateFault is fault for a certificate that was to be added.
func certificateFault(err error, uri string) error {
	if e := asAdmin(err); e != nil && e.Code == admin.Exists {
		return rf.AlreadyExists("Certificate", "CertificateString", "...")
	}
	return fault(err, uri)
}
