package redfish

import (
	"context"
	"encoding/pem"
	"net/http"
	"strings"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/admin"
	rf "github.com/postern/postern/redfish"
)

// The certificate service (CertificateService.v1_2_1). It has actions where
// there is a server certificate.
type certificateService struct {
	heading
	CertificateLocations rf.Ref
	Actions              *certificateActions `json:",omitempty"`
}

type certificateActions struct {
	GenerateCSR struct {
		action
		Algorithms []string `json:"KeyPairAlgorithm@Redfish.AllowableValues"`
		Curves     []string `json:"KeyCurveId@Redfish.AllowableValues"`
	} `json:"#CertificateService.GenerateCSR"`
	ReplaceCertificate struct {
		action
		Types []string `json:"CertificateType@Redfish.AllowableValues"`
	} `json:"#CertificateService.ReplaceCertificate"`
}

// Key algorithms and curves by their names at the TCG, as the schema wants
// them, and those that are common (observed: bmcweb takes RSA and EC).
var (
	algorithms = []string{"TPM_ALG_ECDSA", "TPM_ALG_RSA"}
	keyKinds   = map[string]string{
		"TPM_ALG_ECDSA": "EC", "TPM_ALG_ECC": "EC", "EC": "EC",
		"TPM_ALG_RSA": "RSA", "TPM_ALG_RSASSA": "RSA", "RSA": "RSA",
	}
	curves    = []string{"TPM_ECC_NIST_P256", "TPM_ECC_NIST_P384"}
	curveBits = map[string]int{
		"TPM_ECC_NIST_P256": 256, "prime256v1": 256, "secp256r1": 256,
		"TPM_ECC_NIST_P384": 384, "secp384r1": 384,
	}
	replaceTypes = []string{"PEM", "PEMchain"}
)

func (s *Service) certificateService(c *call) error {
	out := certificateService{
		heading: heading{ODataID: certificateServiceURI, ODataType: certificateServiceType,
			ID: "CertificateService", Name: "Certificate Service"},
		CertificateLocations: rf.Ref{ID: locationsURI},
	}
	if s.cfg.Manager != "" {
		var a certificateActions
		a.GenerateCSR.Target, a.GenerateCSR.Algorithms, a.GenerateCSR.Curves = generateCSRURI, algorithms, curves
		a.ReplaceCertificate.Target, a.ReplaceCertificate.Types = replaceURI, replaceTypes
		out.Actions = &a
	}
	return c.show(out)
}

// The certificates of a service (CertificateLocations.v1_0_4).
type certificateLocations struct {
	heading
	Links locationLinks
}

type locationLinks struct {
	Count        int `json:"Certificates@odata.count"`
	Certificates []rf.Ref
}

// maxLocations bounds how many accounts are asked for their certificates to
// make one list of all.
const maxLocations = 1000

func (s *Service) certificateLocations(c *call) error {
	refs := []rf.Ref{}
	add := func(uri string, all []admin.Certificate) {
		for _, cert := range all {
			refs = append(refs, rf.Ref{ID: uri + "/" + cert.ID})
		}
	}
	ctx := c.r.Context()
	server, err := s.serverList(ctx)
	if err != nil {
		return fault(err, c.path)
	}
	add(s.serverCertificatesURI(), server)
	cas, err := s.cfg.Desk.CAs(ctx, s.cfg.Listener)
	if err != nil {
		return fault(err, c.path)
	}
	add(casURI, cas)
	accounts, err := s.cfg.Desk.Accounts(ctx)
	if err != nil {
		return fault(err, c.path)
	}
	for _, a := range accounts[:min(len(accounts), maxLocations)] {
		own, err := s.cfg.Desk.AccountCertificates(ctx, a.Name)
		if admin.CodeOf(err) == admin.NotFound {
			continue // removed since
		}
		if err != nil {
			return fault(err, c.path)
		}
		add(rf.AccountURI(a.Name)+"/Certificates", own)
	}
	return c.show(certificateLocations{
		heading: heading{ODataID: locationsURI, ODataType: locationsType, ID: "CertificateLocations", Name: "Certificate Locations"},
		Links:   locationLinks{Count: len(refs), Certificates: refs},
	})
}

// serverID is the id of the one server certificate, whichever it is.
const serverID = "1"

func (s *Service) serverCertificatesURI() string {
	return s.cfg.Manager + "/NetworkProtocol/HTTPS/Certificates"
}

func (s *Service) serverCertificateURI() string { return s.serverCertificatesURI() + "/" + serverID }

// serverList is the listener's certificate; a listener without TLS has none.
func (s *Service) serverList(ctx context.Context) ([]admin.Certificate, error) {
	if s.cfg.Manager == "" {
		return nil, nil
	}
	cert, err := s.cfg.Desk.ServerCertificate(ctx, s.cfg.Listener)
	if admin.CodeOf(err) == admin.NotFound {
		return nil, nil
	}
	cert.ID = serverID
	return []admin.Certificate{cert}, err
}

func (s *Service) serverCertificates(c *call) error {
	all, err := s.serverList(c.r.Context())
	if err != nil {
		return fault(err, c.path)
	}
	return c.show(newCertificates(s.serverCertificatesURI(), "HTTPS Certificates", all))
}

func (s *Service) serverCertificate(c *call) error {
	all, err := s.serverList(c.r.Context())
	if err != nil {
		return fault(err, c.path)
	}
	return c.showOne(s.serverCertificatesURI(), usageWeb, serverID, all)
}

type csrResponse struct {
	CSRString             string
	CertificateCollection rf.Ref
}

// maxNames bounds the names in a request for a certificate.
const maxNames = 100

// generateCSR makes a key and a request to sign it. All but the collection may
// be left out (observed: redfish_utilities 3.5.2 sends what it was given).
func (s *Service) generateCSR(c *call) error {
	const name = "CertificateService.GenerateCSR"
	b, err := rf.ReadAction(c.w, c.r, maxBody, name)
	if err != nil {
		return err
	}
	b.Require("CertificateCollection")
	s.destined(b, "CertificateCollection", name, s.serverCertificatesURI())
	want := admin.CSRRequest{
		CommonName: deref(b.String("CommonName")), Names: b.Strings("AlternativeNames", maxNames),
		Organization: deref(b.String("Organization")), OrganizationalUnit: deref(b.String("OrganizationalUnit")),
		City: deref(b.String("City")), State: deref(b.String("State")), Country: deref(b.String("Country")),
		Email: deref(b.String("Email")),
	}
	readKey(b, name, &want)
	serverUsage(b, name)
	if err := b.Err(); err != nil {
		return err
	}
	csr, err := s.cfg.Desk.CertificateRequest(c.r.Context(), s.cfg.Listener, want)
	if err != nil {
		return actionFault(err, c.path, name, csrParameters)
	}
	rf.WriteResource(c.w, c.r, http.StatusOK, rf.Encode(csrResponse{csr, rf.Ref{ID: s.serverCertificatesURI()}}), "")
	return nil
}

// destined refuses every destination but the one there is.
func (s *Service) destined(b *rf.Body, parameter, action, uri string) {
	if ref := b.Reference(parameter); ref != nil && strings.TrimSuffix(*ref, "/") != uri {
		b.Fail("ActionParameterValueNotInList", parameter, short(*ref), parameter, action)
	}
}

// readKey reads what kind of key is wanted; what fits no other parameter is the
// desk's to refuse.
func readKey(b *rf.Body, action string, want *admin.CSRRequest) {
	if alg := b.String("KeyPairAlgorithm"); alg != nil {
		if want.KeyKind = keyKinds[*alg]; want.KeyKind == "" {
			b.Fail("ActionParameterValueNotInList", "KeyPairAlgorithm", short(*alg), "KeyPairAlgorithm", action)
		}
	}
	if n := b.Int("KeyBitLength", 1, 1<<16); n != nil {
		want.KeyBits = int(*n)
		if want.KeyKind == "" {
			want.KeyKind = "RSA"
		}
	}
	if curve := b.String("KeyCurveId"); curve != nil {
		bits, ok := curveBits[*curve]
		if !ok || want.KeyKind == "RSA" {
			b.Fail("ActionParameterValueNotInList", "KeyCurveId", short(*curve), "KeyCurveId", action)
		}
		want.KeyKind, want.KeyBits = "EC", bits
	}
}

// serverUsage takes the uses that a server's key has anyway.
func serverUsage(b *rf.Body, action string) {
	for _, use := range b.Strings("KeyUsage", maxNames) {
		switch use {
		case "DigitalSignature", "KeyEncipherment", "KeyAgreement", "ServerAuthentication":
		default:
			b.Fail("ActionParameterValueNotInList", "KeyUsage", short(use), "KeyUsage", action)
		}
	}
}

// replaceCertificate puts another certificate in the place of the server's. Its
// key may come with it, in the same PEM text (observed: redfish_utilities 3.5.2
// writes it in front); else it is that of the last request for one.
func (s *Service) replaceCertificate(c *call) error {
	const name = "CertificateService.ReplaceCertificate"
	b, err := rf.ReadAction(c.w, c.r, maxBody, name)
	if err != nil {
		return err
	}
	b.Require("CertificateString", "CertificateType", "CertificateUri")
	s.destined(b, "CertificateUri", name, s.serverCertificateURI())
	b.OneOf("CertificateType", replaceTypes...)
	text := b.Secret("CertificateString")
	if err := b.Err(); err != nil {
		return err
	}
	chain, key := splitPEM(text.Reveal())
	if _, err := s.cfg.Desk.ReplaceServerCertificate(c.r.Context(), s.cfg.Listener, chain, key); err != nil {
		return actionFault(err, c.path, name, properties)
	}
	c.w.Header().Set("Location", s.serverCertificateURI())
	return c.done()
}

// splitPEM takes the private keys out of a PEM text. What is no PEM is left to
// whoever reads the certificates.
func splitPEM(text string) (chain string, key auth.Secret) {
	var certs, keys strings.Builder
	rest := []byte(text)
	for {
		block, after := pem.Decode(rest)
		if block == nil {
			break
		}
		rest = after
		switch {
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			keys.Write(pem.EncodeToMemory(block))
		case block.Type != "EC PARAMETERS": // openssl writes them before a key, which has them, too
			certs.Write(pem.EncodeToMemory(block))
		}
	}
	if certs.Len() == 0 && keys.Len() == 0 {
		return text, auth.Secret{}
	}
	if keys.Len() == 0 {
		return certs.String(), auth.Secret{}
	}
	return certs.String(), auth.NewSecret(keys.String())
}

// csrParameters are the names here of what an admin.Error about a request for a
// certificate names.
var csrParameters = map[string]string{
	"common_name": "CommonName", "organization": "Organization", "organizational_unit": "OrganizationalUnit",
	"city": "City", "state": "State", "country": "Country", "email": "Email", "names": "AlternativeNames",
	"key_kind": "KeyPairAlgorithm", "key_bits": "KeyBitLength",
}

// actionFault is fault for the parameters of an action.
func actionFault(err error, uri, action string, names map[string]string) error {
	e := asAdmin(err)
	if e == nil || e.Code != admin.Invalid || names[e.Field] == "" {
		return fault(err, uri)
	}
	return related(problem(http.StatusBadRequest, "ActionParameterValueError", e, names[e.Field], action), names[e.Field])
}
