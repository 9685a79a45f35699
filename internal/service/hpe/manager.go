package hpe

import (
	"time"
)

const (
	managerType    = "#Manager.v1_5_1.Manager"
	oemManagerType = "#HpeiLO.v2_8_0.HpeiLO"
	resetAction    = "/Actions/Manager.Reset"
)

// idleChoices are the minutes that the idle timeout can be set to; 0 is none.
var idleChoices = []int{15, 30, 60, 120, 0}

func (s *Service) firmware() string { return s.kind() + " v" + s.cfg.Firmware }

func (s *Service) manager(c *call) (any, error) {
	set, err := s.settings(c)
	if err != nil {
		return nil, err
	}
	rules, err := s.cfg.Desk.ListenerRules(c.r.Context(), s.cfg.Listener)
	if err != nil {
		return nil, fault(err, c.path)
	}
	local, offset := s.localTime(set)
	return resource(managerURI+"/", managerType, "1", "Manager", object{
		"Actions": object{"#Manager.Reset": object{
			"ResetType@Redfish.AllowableValues": resetTypes, "target": managerURI + resetAction + "/",
		}},
		"DateTime": passing{local}, "DateTimeLocalOffset": offset, "FirmwareVersion": s.firmware(), "ManagerType": "BMC", "Model": s.kind(),
		"NetworkProtocol": ref(networkProtocolURI + "/"), "UUID": s.cfg.UUID, "Status": object{"Health": "OK", "State": "Enabled"},
		"Links": object{"ManagerForServers": refs([]string{rootURI + "/Systems/1/"}), "ManagerInChassis": ref(rootURI + "/Chassis/1/")},
		"Oem": oem(oemManagerType, object{
			"Firmware":                     object{"Current": object{"Date": "", "DebugBuild": false, "VersionString": s.firmware()}},
			"IdleConnectionTimeoutMinutes": int(rules.SessionIdle / time.Minute),
			"License":                      object{"LicenseKey": licenceKey(set), "LicenseString": licenceName(set), "LicenseType": "Perpetual"},
			"Links": object{
				"DateTimeService": ref(dateTimeURI + "/"), "LicenseService": ref(licencesURI + "/"), "SecurityService": ref(securityURI + "/"),
			},
		}),
	}), nil
}

func licenceKey(set Settings) string {
	if !set.Licence.Advanced() {
		return ""
	}
	return set.Licence.masked()
}

func licenceName(set Settings) string {
	if set.Licence.Advanced() {
		return "iLO Advanced"
	}
	return "iLO Standard"
}

// forEver is what an iLO is taken to mean by no idle timeout: the desk has a bound.
const forEver = 24 * time.Hour

func (s *Service) patchManager(c *call) error {
	if err := c.match(); err != nil {
		return err
	}
	b, err := c.body()
	if err != nil {
		return err
	}
	var minutes *int64
	if o := b.Object("Oem"); o != nil {
		if h := o.Object("Hpe"); h != nil {
			minutes = h.Int("IdleConnectionTimeoutMinutes", 0, 120)
		}
	}
	b.ReadOnly("Id", "Name", "Actions", "DateTime", "DateTimeLocalOffset", "FirmwareVersion", "ManagerType", "Model", "NetworkProtocol", "UUID", "Status", "Links")
	if err := b.Err(); err != nil {
		return err
	}
	if minutes == nil {
		return bad("NoOperation")
	}
	known := false
	for _, n := range idleChoices {
		known = known || int64(n) == *minutes
	}
	if !known {
		return bad("PropertyValueOutOfRange", "", "IdleConnectionTimeoutMinutes")
	}
	rules, err := s.cfg.Desk.ListenerRules(c.r.Context(), s.cfg.Listener)
	if err != nil {
		return fault(err, c.path)
	}
	rules.SessionIdle = time.Duration(*minutes) * time.Minute
	if *minutes == 0 {
		rules.SessionIdle = forEver
	}
	if _, err := s.cfg.Desk.SetListenerRules(c.r.Context(), rules); err != nil {
		return fault(err, c.path)
	}
	return c.done("Success")
}

var resetTypes = []string{"ForceRestart", "GracefulRestart"}

// resetManager ends every session, and puts in force what waited for it.
func (s *Service) resetManager(c *call) error {
	b, err := c.action("Manager.Reset")
	if err != nil {
		return err
	}
	b.OneOf("ResetType", resetTypes...)
	if err := b.Err(); err != nil {
		return err
	}
	if _, err := s.change(c, func(set *Settings) error {
		set.PendingReset = false
		return nil
	}); err != nil {
		return err
	}
	s.cfg.Office.Restart(c.r.Context())
	return c.done(own + "ResetInProgress")
}
