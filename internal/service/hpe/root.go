package hpe

import (
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	rf "github.com/postern/postern/redfish"
)

const oemRootType = "#HpeiLOServiceExt.v2_3_0.HpeiLOServiceExt"

// rootType is iLO 6's; no client looks at it.
const rootType = "#ServiceRoot.v1_13_0.ServiceRoot"

func (s *Service) versions(*call) (any, error) { return map[string]string{"v1": rootURI + "/"}, nil }

// features are the query parameters that an iLO knows.
func (s *Service) features() object {
	return object{
		"ExpandQuery": object{"ExpandAll": false, "Levels": true, "Links": false, "MaxLevels": 1, "NoLinks": true},
		"FilterQuery": true, "OnlyMemberQuery": true, "SelectQuery": s.cfg.Generation > 5,
	}
}

// root is open: HPE's clients read it before they log in, to find out what they
// talk to. All that is in its Oem part is needed by one of them.
func (s *Service) root(c *call) (any, error) {
	set, err := s.settings(c)
	if err != nil {
		return nil, err
	}
	o := object{
		"AccountService": ref(accountServiceURI + "/"), "JsonSchemas": ref(schemasURI + "/"), "Managers": ref(managersURI + "/"),
		"Registries": ref(registriesURI + "/"), "SessionService": ref(sessionServiceURI + "/"),
		"Links": object{"Sessions": ref(sessionsURI + "/")}, "Product": s.product(), "RedfishVersion": "1.13.0", "UUID": s.cfg.UUID, "Vendor": "HPE",
		"ProtocolFeaturesSupported": s.features(),
		"Oem":                       oem(oemRootType, s.oemRoot(c, set)),
	}
	for name, uri := range s.cfg.Children {
		o[name] = ref(uri)
	}
	return resource(rootURI+"/", rootType, "RootService", "HPE RESTful Root Service", o), nil
}

func (s *Service) product() string { return fmt.Sprintf("ProLiant DL360 Gen%d", 5+s.cfg.Generation) }

// kind is what HPE's clients take the generation from: "iLO 6".
func (s *Service) kind() string { return "iLO " + strconv.Itoa(s.cfg.Generation) }

// source is the peer's address; the zero Addr where the server does not tell one.
func source(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}

func (s *Service) hostName(set Settings) string {
	if set.HostName != "" {
		return set.HostName
	}
	return s.cfg.Name
}

func (s *Service) oemRoot(c *call, set Settings) object {
	message := ""
	if set.Banner {
		message = set.BannerText
	}
	name := s.hostName(set)
	return object{
		"Links": object{"ResourceDirectory": ref(directoryURI + "/")},
		"Manager": []object{{
			"DefaultLanguage": "en", "FQDN": name, "HostName": name, "Languages": []object{{"Language": "en", "TranslationName": "English", "Version": s.cfg.Firmware}},
			"ManagerFirmwareVersion": s.cfg.Firmware, "ManagerType": s.kind(), "Status": object{"Health": "OK"},
		}},
		"Moniker": object{"PRODABR": "iLO", "PRODFAM": "Integrated Lights-Out", "PRODGEN": s.kind(), "PRODNAM": "Integrated Lights-Out " + strconv.Itoa(s.cfg.Generation), "VENDNAM": "Hewlett Packard Enterprise", "VENDABR": "HPE"},
		"Sessions": object{
			"CertCommonName": name, "CertificateLoginEnabled": set.CertificateLogin, "KerberosEnabled": false,
			"LDAPAuthLicenced": set.Licence.Advanced(), "LDAPEnabled": set.Directory, "LocalLoginEnabled": true,
			"LoginFailureDelay": passing{int(s.cfg.Office.FailureDelay(source(c.r)) / time.Second)}, "LoginHint": object{"Hint": "POST to /Sessions to login using the following JSON object:",
				"HintPOSTData": object{"Password": "password", "UserName": "username"}},
			"SecurityMessage": message, "SecurityOverride": false, "ServerName": "",
		},
		"System": []object{{"Status": object{"Health": "OK"}}},
		"Time":   passing{zulu(s.cfg.Office.Clock())},
	}
}

// odata is the OData service document.
func (s *Service) odata(c *call) (any, error) {
	children := map[string]string{
		"Service": rootURI + "/", "Sessions": sessionsURI + "/", "AccountService": accountServiceURI + "/", "JsonSchemas": schemasURI + "/",
		"Managers": managersURI + "/", "Registries": registriesURI + "/", "SessionService": sessionServiceURI + "/",
	}
	maps.Copy(children, s.cfg.Children)
	var values []object
	for _, name := range sortedKeys(children) {
		values = append(values, object{"kind": "Singleton", "name": name, "url": children[name]})
	}
	return object{"@odata.context": metadataURI, "value": values}, nil
}

func (s *Service) metadata(c *call) (any, error) {
	c.w.Header().Set("Allow", c.allow)
	body := rf.Metadata(append(s.types(), sessionServiceType, sessionsType, sessionType))
	h := c.w.Header()
	h.Set("Content-Type", "application/xml")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h["OData-Version"] = []string{"4.0"}
	if c.r.Method != http.MethodHead {
		c.w.Write(body) // an error here is the peer's going away
	}
	return nil, nil
}
