package hpe

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/admin"
	rf "github.com/postern/postern/redfish"
)

const (
	securityType  = "#HpeSecurityService.v2_3_1.HpeSecurityService"
	httpsCertType = "#HpeHttpsCert.v2_0_0.HpeHttpsCert"
)

// maxBanner bounds the text that is shown before a login, in bytes.
const maxBanner = 1500

func (s *Service) security(c *call) (any, error) {
	set, err := s.settings(c)
	if err != nil {
		return nil, err
	}
	cipher := ""
	if c.r.TLS != nil {
		cipher = tls.CipherSuiteName(c.r.TLS.CipherSuite)
	}
	return resource(securityURI+"/", securityType, "SecurityService", "SecurityService", object{
		"Description": "SecurityService", "CurrentCipher": passing{cipher}, "SecurityState": s.cfg.SecurityState(),
		"Links":               object{"CertAuth": ref(certAuthURI + "/"), "HttpsCert": ref(httpsCertURI + "/")},
		"LoginSecurityBanner": object{"IsEnabled": set.Banner, "SecurityMessage": set.BannerText},
	}), nil
}

func (s *Service) patchSecurity(c *call) error {
	if err := c.match(); err != nil {
		return err
	}
	b, err := c.body()
	if err != nil {
		return err
	}
	var on *bool
	var words *string
	if banner := b.Object("LoginSecurityBanner"); banner != nil {
		on, words = banner.Bool("IsEnabled"), banner.String("SecurityMessage")
		if words != nil && len(*words) > maxBanner {
			banner.Fail("PropertyValueError", "SecurityMessage", "SecurityMessage")
		}
	}
	b.ReadOnly("Id", "Name", "Description", "CurrentCipher", "Links", "SecurityState", "SSHHostKey")
	if err := b.Err(); err != nil {
		return err
	}
	if _, err := s.change(c, func(set *Settings) error {
		replace(&set.Banner, on)
		replace(&set.BannerText, words)
		return nil
	}); err != nil {
		return err
	}
	return c.done("Success")
}

// httpsCert shows the certificate of the listener, and the last request for one.
func (s *Service) httpsCert(c *call) (any, error) {
	set, err := s.settings(c)
	if err != nil {
		return nil, err
	}
	var csr any
	if set.CSR != "" {
		csr = set.CSR
	}
	o := object{
		"Description": "HPE Https Security Certificate", "CertificateSigningRequest": csr,
		"Actions": object{
			"#HpeHttpsCert.GenerateCSR":       object{"target": generateCSRURI + "/"},
			"#HpeHttpsCert.ImportCertificate": object{"target": importCertURI + "/"},
		},
	}
	cert, err := s.cfg.Desk.ServerCertificate(c.r.Context(), s.cfg.Listener)
	switch {
	case admin.CodeOf(err) == admin.NotFound: // TLS ends before us
	case err != nil:
		return nil, fault(err, c.path)
	default:
		info, err := certificateInfo(cert.PEM)
		if err != nil {
			return nil, err
		}
		o["X509CertificateInformation"] = info
	}
	return resource(httpsCertURI+"/", httpsCertType, "HttpsCert", "HpeHttpsCert", o), nil
}

// certificateInfo is what an iLO tells of a certificate.
func certificateInfo(text string) (object, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, fmt.Errorf("hpe: the server's certificate is no PEM")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("hpe: %w", err)
	}
	return object{
		"Issuer": spaced(cert.Issuer.String()), "Subject": spaced(cert.Subject.String()),
		"SerialNumber":  colons(cert.SerialNumber.Bytes(), "%02x"),
		"ValidNotAfter": zulu(cert.NotAfter), "ValidNotBefore": zulu(cert.NotBefore),
	}, nil
}

// spaced writes a name as an iLO does: "CN = host, O = Example".
func spaced(name string) string {
	var out []string
	for _, part := range splitName(name) {
		k, v, _ := strings.Cut(part, "=")
		out = append(out, k+" = "+v)
	}
	return strings.Join(out, ", ")
}

// splitName splits a name in the form of RFC 2253 at the commas and plus signs
// that are not part of a value.
func splitName(name string) (parts []string) {
	from, escaped := 0, false
	for i := 0; i < len(name); i++ {
		switch {
		case escaped:
			escaped = false
		case name[i] == '\\':
			escaped = true
		case name[i] == ',' || name[i] == '+':
			parts, from = append(parts, name[from:i]), i+1
		}
	}
	return append(parts, name[from:])
}

// colons writes bytes in hex with colons between them.
func colons(b []byte, format string) string {
	var out strings.Builder
	for i, c := range b {
		if i > 0 {
			out.WriteByte(':')
		}
		fmt.Fprintf(&out, format, c)
	}
	return out.String()
}

func zulu(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// generateCSR makes a key and a request to sign it. A key that waited for its
// certificate is forgotten.
func (s *Service) generateCSR(c *call) error {
	const name = "HpeHttpsCert.GenerateCSR"
	b, err := c.action(name)
	if err != nil {
		return err
	}
	b.Require("OrgName", "OrgUnit", "CommonName", "Country", "State", "City")
	want := admin.CSRRequest{
		CommonName: deref(b.String("CommonName")), Organization: deref(b.String("OrgName")), OrganizationalUnit: deref(b.String("OrgUnit")),
		City: deref(b.String("City")), State: deref(b.String("State")), Country: deref(b.String("Country")),
		KeyKind: "RSA", KeyBits: csrBits,
	}
	if ip := b.Bool("IncludeIP"); ip != nil && *ip {
		want.Names = ownNames(c.r, want.CommonName)
	}
	if err := b.Err(); err != nil {
		return err
	}
	csr, err := s.cfg.Desk.CertificateRequest(c.r.Context(), s.cfg.Listener, want)
	if err != nil {
		return csrFault(err, c.path)
	}
	if _, err := s.change(c, func(set *Settings) error {
		set.CSR = csr
		return nil
	}); err != nil {
		return err
	}
	return c.done(own + "GeneratingCertificate")
}

// csrBits is the size of the RSA key of a request.
const csrBits = 2048

// importCert puts the certificate for the last request in use. An iLO is reset
// by that: all sessions end.
func (s *Service) importCert(c *call) error {
	b, err := c.action("HpeHttpsCert.ImportCertificate")
	if err != nil {
		return err
	}
	b.Require("Certificate")
	text := b.String("Certificate")
	if err := b.Err(); err != nil {
		return err
	}
	if _, err := s.cfg.Desk.ReplaceServerCertificate(c.r.Context(), s.cfg.Listener, *text, auth.Secret{}); err != nil {
		return importFault(err, c.path)
	}
	if _, err := s.change(c, func(set *Settings) error {
		set.CSR = ""
		return nil
	}); err != nil {
		return err
	}
	s.cfg.Office.Restart(c.r.Context())
	return c.done(own + "ImportCertSuccessfuliLOResetinProgress")
}

func (s *Service) resetCert(c *call) error {
	if err := s.cfg.Office.ResetServerCertificate(c.r.Context(), s.cfg.Listener); err != nil {
		return fault(err, c.path)
	}
	s.cfg.Office.Restart(c.r.Context())
	return c.done(own + "ResetInProgress")
}

// action reads the parameters of an action. HPE's clients repeat its name in the
// body; one that names another action is refused.
func (c *call) action(name string) (*rf.Body, error) {
	b, err := rf.ReadAction(c.w, c.r, maxBody, name)
	if err != nil {
		return nil, err
	}
	if told := b.String("Action"); told != nil && *told != name && *told != strings.TrimPrefix(name[strings.IndexByte(name, '.'):], ".") {
		b.Fail("ActionParameterValueError", "Action", "Action", name)
	}
	return b, nil
}

// replace puts a new value in the place of an old one, where there is one.
func replace[T any](at *T, by *T) {
	if by != nil {
		*at = *by
	}
}

func deref[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}
