package hpe

import (
	"fmt"
	"time"
)

const dateTimeType = "#HpeiLODateTime.v2_0_0.HpeiLODateTime"

// maxServer bounds the name of a time server, in bytes: that of a host name.
const maxServer = 253

// maxServers bounds a list of them. There is room for two, and what is more is
// passed over: clients send two of them twice (observed: ilorest 7.4, set).
const maxServers = 8

// A zone is a time zone of the list that an iLO offers.
type zone struct {
	name  string
	value string // as POSIX writes it
	east  int    // minutes
}

var zones = []zone{
	{"Greenwich Mean Time, Casablanca, Monrovia", "GMT0", 0},
	{"Brussels, Copenhagen, Madrid, Paris", "CET-1", 60},
	{"Athens, Bucharest, Istanbul", "EET-2", 120},
	{"India Standard Time", "IST-5:30", 330},
	{"Beijing, Hong Kong, Singapore, Taipei", "CST-8", 480},
	{"Osaka, Sapporo, Tokyo, Seoul", "JST-9", 540},
	{"Eastern Time (US & Canada)", "EST5", -300},
	{"Central Time (US & Canada)", "CST6", -360},
	{"Mountain Time (US & Canada)", "MST7", -420},
	{"Pacific Time (US & Canada)", "PST8", -480},
}

// offset writes minutes as +05:30.
func (z zone) offset() string {
	sign, m := '+', z.east
	if m < 0 {
		sign, m = '-', -m
	}
	return fmt.Sprintf("%c%02d:%02d", sign, m/60, m%60)
}

func (z zone) object(index int) object {
	return object{"Index": index, "Name": z.name, "UtcOffset": z.offset(), "Value": z.value}
}

func (s *Service) dateTime(c *call) (any, error) {
	set, err := s.settings(c)
	if err != nil {
		return nil, err
	}
	var all []object
	for i, z := range zones {
		all = append(all, z.object(i))
	}
	servers := []string{}
	for _, name := range set.NTPServers {
		if name != "" {
			servers = append(servers, name)
		}
	}
	pending := "Current"
	if set.PendingReset {
		pending = "SomePendingReset"
	}
	return resource(dateTimeURI+"/", dateTimeType, "DateTime", "HpeiLODateTime", object{
		"Description": "iLO DateTime settings", "ConfigurationSettings": pending, "DateTime": passing{zulu(s.cfg.Office.Clock())},
		"NTPServers": servers, "StaticNTPServers": set.NTPServers, "PropagateTimeToHost": set.PropagateTime,
		"TimeZone": zones[set.TimeZone].object(set.TimeZone), "TimeZoneList": all,
	}), nil
}

func (s *Service) patchDateTime(c *call) error {
	if err := c.match(); err != nil {
		return err
	}
	b, err := c.body()
	if err != nil {
		return err
	}
	servers, propagate := b.Strings("StaticNTPServers", maxServers), b.Bool("PropagateTimeToHost")
	for _, name := range servers {
		if len(name) > maxServer {
			b.Fail("PropertyValueError", "StaticNTPServers", "StaticNTPServers")
		}
	}
	var index *int64
	if z := b.Object("TimeZone"); z != nil {
		index = z.Int("Index", 0, int64(len(zones)-1))
		if name := z.String("Name"); name != nil {
			if index = zoneNamed(*name); index == nil {
				z.Fail("PropertyValueNotInList", "Name", "", "Name")
			}
		}
		z.ReadOnly("UtcOffset", "Value")
	}
	b.ReadOnly("Id", "Name", "Description", "DateTime", "NTPServers", "TimeZoneList", "ConfigurationSettings", "Links")
	if err := b.Err(); err != nil {
		return err
	}
	_, err = s.change(c, func(set *Settings) error {
		if servers != nil {
			if set.NTPByDHCP {
				return bad(own + "SNTPConfigurationManagedByDHCPAndIsReadOnly")
			}
			set.NTPServers = [2]string{}
			copy(set.NTPServers[:], servers)
		}
		if index != nil {
			set.TimeZone = int(*index)
		}
		replace(&set.PropagateTime, propagate)
		set.PendingReset = true
		return nil
	})
	if err != nil {
		return err
	}
	return c.done(own + "ResetRequired")
}

func zoneNamed(name string) *int64 {
	for i, z := range zones {
		if z.name == name {
			return new(int64(i))
		}
	}
	return nil
}

// localTime is the device's time in its zone, and the zone's offset.
func (s *Service) localTime(set Settings) (text, offset string) {
	z := zones[set.TimeZone]
	at := s.cfg.Office.Clock().In(time.FixedZone(z.value, z.east*60))
	return at.Format(time.RFC3339), z.offset()
}
