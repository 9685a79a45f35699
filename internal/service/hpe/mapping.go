package hpe

import (
	"encoding/hex"
	"slices"
	"strings"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/admin"
	rf "github.com/postern/postern/redfish"
)

const (
	mappingsType = "#HpeiLOAccountCertificateMapCollection.HpeiLOAccountCertificateMapCollection"
	mappingType  = "#HpeiLOAccountCertificateMap.v1_0_0.HpeiLOAccountCertificateMap"
)

// unmapped is the fingerprint of an account without a certificate.
var unmapped = colons(make([]byte, 32), "%02X")

// mappings lists one member for each account, whether it has a certificate or not.
func (s *Service) mappings(c *call) (any, error) {
	people, err := s.people(c)
	if err != nil {
		return nil, err
	}
	var uris []string
	for _, p := range people {
		uris = append(uris, mappingURI+"/"+p.ID+"/")
	}
	return list(mappingURI+"/", mappingsType, "UserCertMapping", "iLO User Certificate Mapping", uris), nil
}

func (s *Service) mapping(c *call) (any, error) {
	p, err := s.person(c, c.id[0])
	if err != nil {
		return nil, err
	}
	certs, err := s.cfg.Desk.AccountCertificates(c.r.Context(), p.Name)
	if err != nil {
		return nil, fault(err, c.path)
	}
	print := unmapped
	if len(certs) > 0 {
		raw, err := hex.DecodeString(certs[0].Fingerprint)
		if err != nil {
			return nil, err
		}
		print = colons(raw, "%02X")
	}
	return resource(mappingURI+"/"+p.ID+"/", mappingType, p.ID, "UserCertMapping", object{
		"Fingerprint": print, "FingerprintDigestAlgorithm": "SHA256", "UserName": string(p.Name),
	}), nil
}

// mapCertificate gives an account a certificate, in the place of the one it may
// have. What is called Fingerprint is the certificate itself, in PEM.
func (s *Service) mapCertificate(c *call) error {
	b, err := c.body()
	if err != nil {
		return err
	}
	b.Require("Fingerprint", "UserName")
	name, text := b.String("UserName"), b.String("Fingerprint")
	b.ReadOnly("FingerprintDigestAlgorithm")
	if err := b.Err(); err != nil {
		return err
	}
	people, err := s.people(c)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(people, func(p Person) bool { return string(p.Name) == *name })
	if i < 0 {
		return bad("PropertyValueError", "UserName")
	}
	return s.mapTo(c, people[i], *text)
}

// mapOne is the same for the member of an account.
func (s *Service) mapOne(c *call) error {
	p, err := s.person(c, c.id[0])
	if err != nil {
		return err
	}
	b, err := c.body()
	if err != nil {
		return err
	}
	b.Require("Fingerprint")
	text := b.String("Fingerprint")
	if name := b.String("UserName"); name != nil && *name != string(p.Name) {
		b.Fail("PropertyValueError", "UserName", "UserName")
	}
	if err := b.Err(); err != nil {
		return err
	}
	return s.mapTo(c, p, *text)
}

func (s *Service) mapTo(c *call, p Person, text string) error {
	if bare := strings.ReplaceAll(text, ":", ""); strings.Trim(bare, "0 ") == "" {
		return bad("PropertyValueError", "Fingerprint")
	}
	ctx := c.r.Context()
	before, err := s.cfg.Desk.AccountCertificates(ctx, p.Name)
	if err != nil {
		return fault(err, c.path)
	}
	added, err := s.cfg.Desk.AddAccountCertificate(ctx, p.Name, text)
	if admin.CodeOf(err) == admin.Exists && slices.ContainsFunc(before, func(cert admin.Certificate) bool { return sameCertificate(cert, text) }) {
		return c.created(mappingURI + "/" + p.ID + "/") // the same again
	}
	if err != nil {
		return importFault(err, c.path)
	}
	for _, old := range before { // an account has one
		if err := s.cfg.Desk.RemoveAccountCertificate(ctx, p.Name, old.ID); err != nil && admin.CodeOf(err) != admin.NotFound {
			return fault(err, c.path)
		}
	}
	_ = added
	return c.created(mappingURI + "/" + p.ID + "/")
}

// sameCertificate compares what was registered with what was sent.
func sameCertificate(cert admin.Certificate, text string) bool {
	a, errA := derOf(cert.PEM)
	b, errB := derOf(text)
	return errA == nil && errB == nil && string(a) == string(b)
}

func (s *Service) unmapOne(c *call) error {
	p, err := s.person(c, c.id[0])
	if err != nil {
		return err
	}
	ctx := c.r.Context()
	certs, err := s.cfg.Desk.AccountCertificates(ctx, p.Name)
	if err != nil {
		return fault(err, c.path)
	}
	for _, cert := range certs {
		if err := s.cfg.Desk.RemoveAccountCertificate(ctx, p.Name, cert.ID); err != nil && admin.CodeOf(err) != admin.NotFound {
			return fault(err, c.path)
		}
	}
	return c.done("Success")
}

// people are all accounts.
func (s *Service) people(c *call) ([]Person, error) {
	all, err := s.cfg.Office.People(c.r.Context())
	if err != nil {
		return nil, fault(err, c.path)
	}
	return all, nil
}

// person is the account with a number.
func (s *Service) person(c *call, id string) (Person, error) {
	all, err := s.people(c)
	if err != nil {
		return Person{}, err
	}
	for _, p := range all {
		if p.ID == id {
			return p, nil
		}
	}
	return Person{}, rf.NotFound(c.uri())
}

// named is the account with a name.
func (s *Service) named(c *call, name auth.AccountName) (Person, error) {
	all, err := s.people(c)
	if err != nil {
		return Person{}, err
	}
	for _, p := range all {
		if p.Name == name {
			return p, nil
		}
	}
	return Person{}, rf.NotFound(c.uri())
}
