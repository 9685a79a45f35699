package hpe

import (
	"net/http"
	"time"

	rf "github.com/postern/postern/redfish"
)

const (
	licencesType = "#HpeiLOLicenseCollection.HpeiLOLicenseCollection"
	licenceType  = "#HpeiLOLicense.v2_3_0.HpeiLOLicense"
)

func (s *Service) licences(*call) (any, error) {
	return list(licencesURI+"/", licencesType, "iLO License Collection", "iLO License Collection", []string{licenceURI + "/"}), nil
}

func (s *Service) licence(c *call) (any, error) {
	set, err := s.settings(c)
	if err != nil {
		return nil, err
	}
	l := set.Licence
	o := object{
		"Description": "iLO License", "License": "iLO Standard", "LicenseClass": "BASE", "LicenseTier": "STD", "LicenseType": "Perpetual",
		"LicenseErr": "None", "LicenseExpire": nil, "LicenseInstallDate": nil, "LicenseKey": "", "LicenseSeats": 1,
		"LicenseFeatures": features(l.Advanced()),
	}
	state := "unlicensed"
	if l.Advanced() {
		state = "unconfirmed"
		o["License"], o["LicenseClass"], o["LicenseTier"] = "iLO Advanced", "FQL", "ADV"
		o["LicenseKey"], o["LicenseInstallDate"] = l.masked(), l.Installed.UTC().Format(time.DateOnly)
	}
	o["ConfirmationRequest"] = object{"EON": object{
		"License": o["License"], "LicenseKey": o["LicenseKey"], "Quantity": 1, "State": state,
	}}
	return resource(licenceURI+"/", licenceType, "1", "iLO License", o), nil
}

// features are what a licence is for; an iLO has some without one.
func features(advanced bool) object {
	o := object{"TLS": true, "SSO": true, "VirtualMedia": true}
	for _, name := range []string{
		"DirectoryAuth", "SmartCard", "Kerberos", "KMIP", "EmailAlertmail", "RemoteSyslog", "VirtualConsole", "VSPLogging", "ScriptedVirtualMedia",
		"FWScan", "PowerMonitoring", "PowerRegulation", "SecureErase",
	} {
		o[name] = advanced
	}
	return o
}

// installLicence takes any key of the right form (see keyPattern).
func (s *Service) installLicence(c *call) error {
	b, err := c.body()
	if err != nil {
		return err
	}
	b.Require("LicenseKey")
	key := b.String("LicenseKey")
	if err := b.Err(); err != nil {
		return err
	}
	if !GoodKey(*key) || s.cfg.RefuseLicences {
		return bad(own + "InvalidLicenseKey")
	}
	now := s.cfg.Office.Clock()
	if _, err := s.change(c, func(set *Settings) error {
		set.Licence = Licence{Key: *key, Installed: now}
		return nil
	}); err != nil {
		return err
	}
	return c.created(licenceURI + "/")
}

func (s *Service) removeLicence(c *call) error {
	_, err := s.change(c, func(set *Settings) error {
		if !set.Licence.Advanced() {
			return &rf.Problem{Status: http.StatusBadRequest, Key: own + "CannotRemoveLicense"}
		}
		set.Licence = Licence{}
		return nil
	})
	if err != nil {
		return err
	}
	return c.done("Success")
}
