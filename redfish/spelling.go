package redfish

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// segmentNames are the fixed segments of URIs, in their right spelling: of DMTF's
// resources as far as BMCs have them, and of HPE's. A profile that takes any
// letter case reads these in any.
const segmentNames = `
redfish v1 odata $metadata openapi.yaml html login_cert.html rest
AccountService Accounts Roles ExternalAccountProviders PrivilegeMap Certificates MultiFactorAuth ClientCertificate
SessionService Sessions Members Actions Oem Hpe Settings
Systems Chassis Managers Fabrics StorageServices Storage StorageSystems Facilities PowerEquipment
Bios BootOptions SecureBoot SecureBootDatabases Processors ProcessorSummary Memory MemoryDomains MemorySummary
EthernetInterfaces NetworkInterfaces NetworkAdapters NetworkPorts NetworkDeviceFunctions Ports PCIeDevices PCIeFunctions PCIeSlots
SimpleStorage Volumes Drives Controllers StorageControllers Batteries VirtualMedia HostInterfaces SerialInterfaces
GraphicsControllers USBControllers VLANs HostedServices GraphicalConsole SerialConsole
Power PowerSubsystem PowerSupplies Thermal ThermalSubsystem ThermalMetrics Fans Sensors EnvironmentMetrics Assembly TrustedComponents
NetworkProtocol HTTPS DateTime LogServices Entries Attachments IEL IML Event Log SL DiagnosticData
LicenseService Licenses SecurityService SecurityDashboard SecurityParams SecurityParameters HttpsCert CertificateAuthentication CACertificates
ESKM SSO SSOCertificates FederationGroups FederationPeers FederationDispatch ActiveHealthSystem EmbeddedMedia RemoteSupportService
SNMPService SNMPAlertDestinations SNMPUsers BackupRestoreService BackupFiles GUIService DiscoveryServices SCEP SecureEraseReportService
UserCertificateMapping DirectoryTest ResourceDirectory Registries RegistryStore registries JsonSchemas SchemaStore Schemas en
MessageRegistries CertificateService CertificateLocations EventService Subscriptions SSE TaskService Tasks TaskMonitors
UpdateService FirmwareInventory SoftwareInventory ComponentRepository InstallSets UpdateTaskQueue MaintenanceWindows InvalidImageRepository
TelemetryService MetricDefinitions MetricReportDefinitions MetricReports Triggers JobService Jobs CompositionService ResourceBlocks ResourceZones
ComponentIntegrity KeyService AggregationService AggregationSources Aggregates Cables ServiceConditions Zones Endpoints Switches Connections
SmartStorage SmartStorageConfig ArrayControllers LogicalDrives DiskDrives StorageEnclosures UnconfiguredDrives
BaseConfigs Boot iSCSI ServerConfigLock KmsConfig TlsConfig HpeUSBDevices USBDevices USBPorts MemoryDIMM BaseNetworkAdapters Workloads WorkloadPerformanceAdvisor
ComputerSystem.Reset Manager.Reset Chassis.Reset ManagerAccount.ChangePassword LogService.ClearLog EventService.SubmitTestEvent
UpdateService.SimpleUpdate UpdateService.StartUpdate VirtualMedia.InsertMedia VirtualMedia.EjectMedia Bios.ChangePassword Bios.ResetBios
CertificateService.GenerateCSR CertificateService.ReplaceCertificate SecureBoot.ResetKeys Manager.ResetToDefaults Task.Cancel
HpeCertAuth.ImportCACertificate HpeCertAuth.ImportCRL HpeCertAuth.DeleteCRL HpeHttpsCert.GenerateCSR HpeHttpsCert.ImportCertificate
HpeiLOLicense.ConfirmLicense HpeiLO.ClearRestApiState HpeiLO.ResetToFactoryDefaults HpeComputerSystemExt.PowerButton HpeComputerSystemExt.SystemReset
HpeiLOVirtualMedia.InsertVirtualMedia HpeiLOVirtualMedia.EjectVirtualMedia HpeiLOAccountService.ImportCACertificate
`

// spellings finds a fixed segment by its lower-case form.
var spellings = func() map[string]string {
	m := make(map[string]string)
	for name := range strings.FieldsSeq(segmentNames) {
		if lower := strings.ToLower(name); m[lower] == "" {
			m[lower] = name
		}
	}
	return m
}()

// named are the collections whose members have names that people choose, which
// are not read in any letter case.
var named = map[string]bool{"Accounts": true, "Sessions": true, "Roles": true}

// nonePort is what stands before the path in requests of python-ilorest-library
// to a port of its own (profile setting NonePort). observed: 3.6.0.0, 7.4.0.0.
var nonePort = regexp.MustCompile(`(?i)^/+none:[0-9]{1,5}/+(?::[0-9]{1,5}/+)?redfish(?:/|$)`)

var slashes = regexp.MustCompile(`//+`)

// respell returns the path of a request line as the profile reads it: what it
// takes in several spellings gets the right one. Other paths, and those that can
// be read in two ways, come back byte for byte.
func (p Profile) respell(raw string) string {
	if p.flavour == nil || len(raw) > maxPath {
		return raw
	}
	path := raw
	if p.NonePort {
		if m := nonePort.FindString(path); m != "" {
			path = path[strings.LastIndex(strings.ToLower(m), "/redfish"):]
		}
	}
	if p.flavour.foldsCase {
		path = slashes.ReplaceAllString(path, "/")
	}
	canonical, err := Canonical(path)
	if err != nil {
		return raw
	}
	right := p.alias(p.foldCase(canonical))
	switch {
	case right == canonical:
		return path
	case strings.HasSuffix(path, "/") && !strings.HasSuffix(right, "/"):
		return right + "/"
	}
	return right
}

// foldCase puts the fixed segments of a canonical path into their right spelling.
func (p Profile) foldCase(path string) string {
	if !p.flavour.foldsCase {
		return path
	}
	segs := strings.Split(path, "/")
	for i, s := range segs {
		if i > 0 && named[segs[i-1]] && !(s == "" || strings.EqualFold(s, "Members")) {
			continue
		}
		if right := spellings[strings.ToLower(s)]; right != "" {
			segs[i] = right
		}
	}
	return strings.Join(segs, "/")
}

// alias puts the place of a resource for an older one of it.
func (p Profile) alias(path string) string {
	if path == oldSessionsURI || below(path, oldSessionsURI) {
		return sessionsURI + path[len(oldSessionsURI):]
	}
	for _, old := range p.flavour.oldPaths {
		if path == old || below(path, old) {
			return p.alias(strings.TrimSuffix(rootURI, "/") + path[len(old):])
		}
	}
	return path
}

// moved returns where a reader of an old path is sent, or "". What changes
// something is taken at the old path: a client may repeat a redirected POST
// without its body. observed: curl 7.88.
func (p Profile) moved(method, raw string) string {
	if p.flavour == nil || method != http.MethodGet && method != http.MethodHead {
		return ""
	}
	path, err := Canonical(slashes.ReplaceAllString(raw, "/"))
	if err != nil {
		return ""
	}
	path = p.foldCase(path)
	for _, old := range p.flavour.oldPaths {
		if path == old || below(path, old) {
			return strings.TrimSuffix(p.alias(path), "/") + "/"
		}
	}
	return ""
}

// readBy returns the request as the profile reads it, and notes how it is to be
// answered.
func (p Profile) readBy(r *http.Request) *http.Request {
	if p.flavour == nil && !p.RelativeLocation && p.Slash == SlashAsWritten {
		return r // nothing to note
	}
	raw := r.URL.EscapedPath()
	f := face{profile: p, moved: p.moved(r.Method, raw)}
	f.slash = f.moved != "" || strings.HasSuffix(raw, "/")
	out := withFace(r, f)
	right := p.respell(raw)
	if right == raw {
		return out
	}
	plain, err := url.PathUnescape(right)
	if err != nil {
		return out
	}
	u := *r.URL
	u.Path, u.RawPath = plain, right
	if u.EscapedPath() != right {
		return out
	}
	out.URL = &u
	if i := strings.IndexByte(r.RequestURI, '?'); i >= 0 {
		right += r.RequestURI[i:]
	}
	out.RequestURI = right
	return out
}
