package hpe

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/postern/postern/internal/admin"
	rf "github.com/postern/postern/redfish"
)

const (
	certAuthType    = "#HpeCertAuth.v1_1_0.HpeCertAuth"
	caListType      = "#HpeCertificateCollection.HpeCertificateCollection"
	certificateType = "#HpeCertificate.v1_0_0.HpeCertificate"
)

// maxURI bounds the URI of a revocation list or responder, in bytes.
const maxURI = 1024

func (s *Service) certAuth(c *call) (any, error) {
	set, err := s.settings(c)
	if err != nil {
		return nil, err
	}
	lists, err := s.cfg.Office.CRLs(c.r.Context())
	if err != nil {
		return nil, fault(err, c.path)
	}
	var issuer, serial any
	if len(lists) > 0 {
		issuer, serial = lists[0].Issuer, lists[0].Number
	}
	action := func(name string) object { return object{"target": certAuthURI + "/Actions/HpeCertAuth." + name + "/"} }
	return resource(certAuthURI+"/", certAuthType, "CertificateAuthentication", "Certificate Authentication", object{
		"Actions": object{
			"#HpeCertAuth.ImportCACertificate": action("ImportCACertificate"),
			"#HpeCertAuth.ImportCRL":           action("ImportCRL"),
			"#HpeCertAuth.DeleteCRL":           action("DeleteCRL"),
		},
		"CACertificates": ref(casURI + "/"), "CRLIssuer": issuer, "CRLSerial": serial,
		"CertificateLoginEnabled": set.CertificateLogin, "StrictCACModeEnabled": set.StrictCertificate,
		"LDAPCertificateNameMapping": set.NameMapping, "OCSPUri": set.OCSPURI,
		"Links": object{"UserCertificateMapping": ref(mappingURI + "/")},
	}), nil
}

// patchCertAuth switches certificate login. That needs the licence for it; an iLO
// without one has everything else changed all the same.
func (s *Service) patchCertAuth(c *call) error {
	if err := c.match(); err != nil {
		return err
	}
	b, err := c.body()
	if err != nil {
		return err
	}
	on, strict := b.Bool("CertificateLoginEnabled"), b.Bool("StrictCACModeEnabled")
	mapping, ocsp := b.OneOf("LDAPCertificateNameMapping", nameMappings...), b.String("OCSPUri")
	if ocsp != nil && !goodURI(*ocsp, true) {
		b.Fail("PropertyValueError", "OCSPUri", "OCSPUri")
	}
	b.ReadOnly("Id", "Name", "Description", "CRLIssuer", "CRLSerial", "CACertificates", "Links", "Actions")
	if err := b.Err(); err != nil {
		return err
	}
	_, err = s.change(c, func(set *Settings) error {
		if (deref(on) || deref(strict)) && !set.Licence.Advanced() {
			return licenceRequired()
		}
		replace(&set.CertificateLogin, on)
		replace(&set.StrictCertificate, strict)
		replace(&set.NameMapping, mapping)
		replace(&set.OCSPURI, ocsp)
		return nil
	})
	if err != nil {
		return err
	}
	return c.done("Success")
}

// licenceRequired is the 403 of what needs a licence. The clients take it for one
// by the word in the MessageId (observed: ilorest 7.4, rc 59).
func licenceRequired() error { return refuse(http.StatusForbidden, own+"LicenseKeyRequired") }

func goodURI(uri string, empty bool) bool {
	if uri == "" {
		return empty
	}
	return len(uri) <= maxURI && (strings.HasPrefix(uri, "http://") || strings.HasPrefix(uri, "https://"))
}

func (s *Service) importCA(c *call) error {
	b, err := c.action("HpeCertAuth.ImportCACertificate")
	if err != nil {
		return err
	}
	b.Require("Certificate")
	text := b.String("Certificate")
	if err := b.Err(); err != nil {
		return err
	}
	certs, err := readCertificates(*text)
	if err != nil {
		return importFault(err, c.path)
	}
	// A chain is taken whole or not at all: what was added of it goes again.
	var added []string
	for _, cert := range certs {
		ca, err := s.cfg.Desk.AddCA(c.r.Context(), admin.NewCA{Listener: s.cfg.Listener, PEM: cert})
		if admin.CodeOf(err) == admin.Exists {
			continue // the same again: there it is
		}
		if err != nil {
			s.forget(c, added)
			return importFault(err, c.path)
		}
		added = append(added, ca.ID)
	}
	return c.done(own + "ImportCertSuccessful")
}

func (s *Service) forget(c *call, cas []string) {
	for _, id := range cas {
		if err := s.cfg.Desk.RemoveCA(c.r.Context(), s.cfg.Listener, id); err != nil {
			s.log(c, fmt.Errorf("hpe: take back a CA: %w", err))
		}
	}
}

func (s *Service) importCRL(c *call) error {
	b, err := c.action("HpeCertAuth.ImportCRL")
	if err != nil {
		return err
	}
	b.Require("ImportUri")
	uri := b.String("ImportUri")
	if uri != nil && !goodURI(*uri, false) {
		b.Fail("ActionParameterValueError", "ImportUri", "ImportUri", "HpeCertAuth.ImportCRL")
	}
	if err := b.Err(); err != nil {
		return err
	}
	if err := s.cfg.Office.ImportCRL(c.r.Context(), *uri); err != nil {
		return importFault(err, c.path)
	}
	return c.done(own + "ImportCertSuccessful")
}

func (s *Service) deleteCRL(c *call) error {
	b, err := c.action("HpeCertAuth.DeleteCRL")
	if err != nil {
		return err
	}
	if err := b.Err(); err != nil {
		return err
	}
	if err := s.cfg.Office.RemoveCRLs(c.r.Context()); err != nil {
		return fault(err, c.path)
	}
	return c.done("Success")
}

func (s *Service) cas(ctx context.Context, path string) ([]admin.Certificate, error) {
	all, err := s.cfg.Desk.CAs(ctx, s.cfg.Listener)
	if err != nil {
		return nil, fault(err, path)
	}
	return all, nil
}

func (s *Service) caList(c *call) (any, error) {
	all, err := s.cas(c.r.Context(), c.path)
	if err != nil {
		return nil, err
	}
	var uris []string
	for _, ca := range all {
		uris = append(uris, casURI+"/"+ca.ID+"/")
	}
	return list(casURI+"/", caListType, "CA Certificates", "CA Certificates", uris), nil
}

// caNamed returns the CA that the path names.
func (s *Service) caNamed(c *call) (admin.Certificate, error) {
	all, err := s.cas(c.r.Context(), c.path)
	if err != nil {
		return admin.Certificate{}, err
	}
	i := slices.IndexFunc(all, func(ca admin.Certificate) bool { return strings.EqualFold(ca.ID, c.id[0]) })
	if i < 0 {
		return admin.Certificate{}, rf.NotFound(c.uri())
	}
	return all[i], nil
}

func (s *Service) ca(c *call) (any, error) {
	ca, err := s.caNamed(c)
	if err != nil {
		return nil, err
	}
	info, err := certificateInfo(ca.PEM)
	if err != nil {
		return nil, err
	}
	return resource(casURI+"/"+ca.ID+"/", certificateType, ca.ID, "CA Certificate", info), nil
}

func (s *Service) removeCA(c *call) error {
	ca, err := s.caNamed(c)
	if err != nil {
		return err
	}
	if err := s.cfg.Desk.RemoveCA(c.r.Context(), s.cfg.Listener, ca.ID); err != nil {
		return fault(err, c.path)
	}
	return c.done("Success")
}

// readCertificates returns the certificates of a text, each in PEM: one in PEM,
// or the chain of a PKCS#7. Anything else goes on as it is, for the desk to judge.
func readCertificates(text string) ([]string, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil || block.Type != "PKCS7" && block.Type != "CMS" {
		return []string{text}, nil
	}
	ders, err := readPKCS7(block.Bytes)
	if err != nil {
		return nil, &admin.Error{Code: admin.Invalid, Field: "pem", Message: err.Error()}
	}
	var all []string
	for _, der := range ders {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, &admin.Error{Code: admin.Invalid, Field: "pem", Message: "a certificate of the PKCS#7 cannot be read"}
		}
		all = append(all, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})))
	}
	return all, nil
}
