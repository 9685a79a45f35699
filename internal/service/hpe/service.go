package hpe

import (
	"errors"
	"log/slog"
	"net/http"

	rf "github.com/postern/postern/redfish"
)

// Config is what New needs.
type Config struct {
	Desk     Desk   // required
	Office   Office // required
	Listener string // whose rules, authorities and server certificate are shown

	// Generation is 5, 6 or 7; 0 is 6. Firmware is its version, as "1.50" or, of an
	// iLO 7, "1.12.00"; "" is one that the clients know.
	Generation int
	Firmware   string
	// Name is the host name until somebody sets another one.
	Name string
	// UUID and Serial are the machine's.
	UUID, Serial string

	// Types are those of what stands behind, whole: "#Chassis.v1_10_2.Chassis".
	Types []string
	// Children are the members of the service root that stand behind, by name.
	Children map[string]string
	// RefuseLicences has every licence key refused.
	RefuseLicences bool

	// Next gets what is not ours. nil: there is nothing else, 404.
	Next http.Handler

	Log *slog.Logger // nil: silence
}

// firmwares are versions whose features the clients know to be there: 5.23 is
// the first that they use for a certificate login, 5.29 and 6.15 for passcodes.
var firmwares = map[int]string{5: "3.04", 6: "1.62", 7: "1.12.00"}

func (c Config) withDefaults() Config {
	if c.Generation == 0 {
		c.Generation = 6
	}
	if c.Firmware == "" {
		c.Firmware = firmwares[c.Generation]
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Next == nil {
		c.Next = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rf.WriteError(w, r, rf.NotFound(r.URL.EscapedPath()))
		})
	}
	return c
}

// SecurityState is how strict the device is (Redfish of iLO 7: SecureStandard
// is there in the place of Production).
func (c Config) SecurityState() string {
	if c.Generation >= 7 {
		return "SecureStandard"
	}
	return "Production"
}

// A Service is an http.Handler for its resources, safe for concurrent use. It
// expects the auth.Principal of the caller in the context, the open documents
// apart, and that query parameters were dealt with.
type Service struct {
	cfg    Config
	routes []route
}

var _ http.Handler = (*Service)(nil)

// New returns a Service. It fails without a Desk and an Office.
func New(cfg Config) (*Service, error) {
	if cfg.Desk == nil || cfg.Office == nil {
		return nil, errors.New("hpe service: config without a desk or an office")
	}
	if _, ok := firmwares[cfg.Generation]; !ok && cfg.Generation != 0 {
		return nil, errors.New("hpe service: no such generation of iLO")
	}
	s := &Service{cfg: cfg.withDefaults()}
	s.routes = s.allRoutes()
	return s, nil
}

// allRoutes is the whole list.
func (s *Service) allRoutes() []route {
	return []route{
		{pattern: split(versionsURI), open: true, get: s.versions},
		{pattern: split(rootURI), typ: rootType, open: true, get: s.root},
		{pattern: split(odataURI), open: true, get: s.odata},
		{pattern: split(metadataURI), open: true, get: s.metadata},
		{pattern: split(directoryURI), typ: directoryType, get: s.directory},

		{pattern: split(schemasURI), typ: schemaListType, get: s.schemaList},
		{pattern: split(schemasURI + "/{}"), get: s.schema},
		{pattern: split(schemaStoreURI + "/{}"), get: s.schemaStore},
		{pattern: split(registriesURI), typ: registryListType, get: s.registryList},
		{pattern: split(registriesURI + "/{}"), get: s.registry},
		{pattern: split(registryStoreURI + "/{}"), get: s.registryStore},

		{pattern: split(accountServiceURI), typ: accountServiceType, listed: true, needs: UserConfigPriv, get: s.accountService, patch: s.patchAccountService},
		{pattern: split(accountsURI), typ: accountsType, listed: true, needs: UserConfigPriv, get: s.accounts, post: s.createAccount},
		{pattern: split(accountsURI + "/{}"), typ: accountType, needs: UserConfigPriv, self: true, get: s.account, patch: s.patchAccount, remove: s.removeAccount},
		{pattern: split(rolesURI), typ: rolesType, listed: true, get: s.roles},
		{pattern: split(rolesURI + "/{}"), typ: roleType, get: s.role},
		{pattern: split(mappingURI), typ: mappingsType, listed: true, needs: UserConfigPriv, get: s.mappings, post: s.mapCertificate},
		{pattern: split(mappingURI + "/{}"), typ: mappingType, needs: UserConfigPriv, get: s.mapping, post: s.mapOne, remove: s.unmapOne},

		{pattern: split(managerURI), typ: managerType, listed: true, needs: ILOConfigPriv, get: s.manager, patch: s.patchManager},
		{pattern: split(managerURI + resetAction), needs: ILOConfigPriv, post: s.resetManager},
		{pattern: split(dateTimeURI), typ: dateTimeType, listed: true, needs: ILOConfigPriv, get: s.dateTime, patch: s.patchDateTime},
		{pattern: split(networkProtocolURI), typ: networkProtocolType, listed: true, needs: ILOConfigPriv, get: s.networkProtocol, patch: s.patchNetworkProtocol},
		{pattern: split(licencesURI), typ: licencesType, listed: true, needs: ILOConfigPriv, get: s.licences, post: s.installLicence},
		{pattern: split(licenceURI), typ: licenceType, listed: true, needs: ILOConfigPriv, get: s.licence, remove: s.removeLicence},
		{pattern: split(securityURI), typ: securityType, listed: true, needs: ILOConfigPriv, get: s.security, patch: s.patchSecurity},
		{pattern: split(httpsCertURI), typ: httpsCertType, listed: true, needs: ILOConfigPriv, get: s.httpsCert, remove: s.resetCert},
		{pattern: split(generateCSRURI), needs: ILOConfigPriv, post: s.generateCSR},
		{pattern: split(importCertURI), needs: ILOConfigPriv, post: s.importCert},
		{pattern: split(certAuthURI), typ: certAuthType, listed: true, needs: ILOConfigPriv, get: s.certAuth, patch: s.patchCertAuth},
		{pattern: split(importCAURI), needs: ILOConfigPriv, post: s.importCA},
		{pattern: split(importCRLURI), needs: ILOConfigPriv, post: s.importCRL},
		{pattern: split(deleteCRLURI), needs: ILOConfigPriv, post: s.deleteCRL},
		{pattern: split(casURI), typ: caListType, listed: true, needs: ILOConfigPriv, get: s.caList},
		{pattern: split(casURI + "/{}"), typ: certificateType, needs: ILOConfigPriv, get: s.ca, remove: s.removeCA},
	}
}

// Owns reports whether a canonical path is for a Service to answer.
func (s *Service) Owns(path string) bool {
	rt, _ := s.match(path)
	return rt != nil
}

func (s *Service) log(c *call, err error) {
	if rf.AsProblem(err).Status == http.StatusInternalServerError {
		s.cfg.Log.LogAttrs(c.r.Context(), slog.LevelError, "redfish request failed", slog.Any("error", err))
	}
}

func (s *Service) settings(c *call) (Settings, error) {
	set, err := s.cfg.Office.Settings(c.r.Context())
	return set, fault(err, c.path)
}

// change changes the settings; a Problem of change is the answer.
func (s *Service) change(c *call, change func(*Settings) error) (Settings, error) {
	set, err := s.cfg.Office.ChangeSettings(c.r.Context(), change)
	return set, fault(err, c.path)
}
