package sim

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// The resources of the built-in tree (tree/) that do something.
const (
	systemPath   = rootPath + "/Systems/1"
	chassisPath  = rootPath + "/Chassis/1"
	managersPath = rootPath + "/Managers"
	managerPath  = rootPath + "/Managers/1"
	networkPath  = managerPath + "/NetworkProtocol"
	logPath      = managerPath + "/LogServices/Log"
	entriesPath  = logPath + "/Entries"

	systemLogPath     = systemPath + "/LogServices/Log"
	systemEntriesPath = systemLogPath + "/Entries"

	updatePath = rootPath + "/UpdateService"
	managerNet = managerPath + "/EthernetInterfaces/1"
	mediaPath  = systemPath + "/VirtualMedia"
	uploadPath = updatePath + "/upload"
)

// shows add to a stored resource what changes by itself or differs from device
// to device. None of it enters the ETag, which stays the same until somebody
// writes.
var shows = map[string]func(d *Device, body []byte) []byte{
	rootPath: func(d *Device, body []byte) []byte {
		return putValue(body, d.uuid("service"), "UUID")
	},
	systemPath: func(d *Device, body []byte) []byte {
		body = putValue(body, d.uuid("system"), "UUID")
		return putValue(body, d.serial(), "SerialNumber")
	},
	systemPath + "/EthernetInterfaces/1": func(d *Device, body []byte) []byte { return d.showMAC(body, 1) },
	systemPath + "/EthernetInterfaces/2": func(d *Device, body []byte) []byte { return d.showMAC(body, 2) },
	chassisPath: func(d *Device, body []byte) []byte {
		body = putValue(body, d.serial(), "SerialNumber")
		return putValue(body, d.powerState(), "PowerState")
	},
	managerPath: func(d *Device, body []byte) []byte {
		body = putValue(body, d.uuid("manager"), "UUID")
		body = putValue(body, d.uuid("service"), "ServiceEntryPointUUID")
		return putValue(body, d.dateTime(), "DateTime")
	},
	networkPath: func(d *Device, body []byte) []byte {
		body = d.showHostName(body)
		return put(body, lookup(body, "HostName"), "FQDN")
	},
	managerNet:                          func(d *Device, body []byte) []byte { return d.showHostName(d.showMAC(body, 0)) },
	taskServicePath:                     func(d *Device, body []byte) []byte { return putValue(body, d.dateTime(), "DateTime") },
	logPath:                             func(d *Device, body []byte) []byte { return putValue(body, d.dateTime(), "DateTime") },
	systemLogPath:                       func(d *Device, body []byte) []byte { return putValue(body, d.dateTime(), "DateTime") },
	chassisPath + "/EnvironmentMetrics": (*Device).showEnvironment,
	chassisPath + "/ThermalSubsystem/ThermalMetrics": (*Device).showThermal,
}

func (d *Device) dateTime() string { return d.cfg.clock().UTC().Format(time.RFC3339) }

// digest is what a device's own numbers are made from.
func (d *Device) digest(of string) [sha256.Size]byte {
	return sha256.Sum256([]byte("postern simulated device\x00" + d.cfg.Name + "\x00" + of))
}

// uuid is a UUID of version 8 (RFC 9562, 5.8), the same at every start.
func (d *Device) uuid(of string) string {
	b := d.digest(of)
	b[6] = b[6]&0x0f | 0x80
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

func (d *Device) serial() string {
	b := d.digest("serial number")
	return "SIM" + hex.EncodeToString(b[:5])
}

func (d *Device) showMAC(body []byte, n int) []byte {
	b := d.digest("ethernet " + strconv.Itoa(n))
	mac := fmt.Sprintf("02:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4])
	return putValue(putValue(body, mac, "MACAddress"), mac, "PermanentMACAddress")
}

// showHostName names the device after its Config until somebody renames it.
func (d *Device) showHostName(body []byte) []byte {
	if string(lookup(body, "HostName")) != `""` {
		return body
	}
	return putValue(body, d.cfg.Name, "HostName")
}

// mustJSON encodes a value of our own making, which cannot fail.
func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		return []byte("null")
	}
	return b
}
