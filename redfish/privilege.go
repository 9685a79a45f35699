package redfish

import (
	"net/http"
	"slices"
	"strings"

	"github.com/postern/postern/auth"
)

// needs are what one operation takes: any one of the sets, of which all must
// be held (DSP0266 1.20.0, 13.3.10).
type needs []auth.Privileges

// The needs in use, and what a registry writes for a resource without login.
var (
	needLogin         = needs{auth.MayLogIn}
	needManager       = needs{auth.ConfigureManager}
	needUsers         = needs{auth.ConfigureUsers}
	needParts         = needs{auth.ConfigureComponents}
	needManagerOrOwn  = needs{auth.ConfigureManager, auth.ConfigureSelf}
	needEither        = needs{auth.ConfigureManager, auth.ConfigureComponents}
	needManagersOrOwn = needs{auth.ConfigureManager, auth.ConfigureUsers, auth.ConfigureSelf}
)

const noAuth = "NoAuth"

// operations are what the methods take: read counts for GET and HEAD, write
// for all others that have no need of their own.
type operations struct {
	read, write        needs
	head, post, remove needs // nil: as read, write, write
	open               bool  // reading takes no login
}

func (o operations) of(method string) needs {
	switch {
	case method == http.MethodGet:
		return o.read
	case method == http.MethodHead && o.head != nil:
		return o.head
	case method == http.MethodHead:
		return o.read
	case method == http.MethodPost && o.post != nil:
		return o.post
	case method == http.MethodDelete && o.remove != nil:
		return o.remove
	}
	return o.write
}

// The rows that many types share.
var (
	byManager      = operations{read: needLogin, write: needManager}
	byUsers        = operations{read: needLogin, write: needUsers}
	byParts        = operations{read: needLogin, write: needParts}
	managersSecret = operations{read: needManager, write: needManager}
)

// privilegeTable holds the rows of the privilege registry Redfish_1.8.0 for
// the types that a service here, or a simulated device, has.
var privilegeTable = func() map[string]operations {
	table := map[string]operations{
		"ServiceRoot":                {read: needLogin, write: needManager, open: true},
		"SessionCollection":          {read: needLogin, write: needManager, post: needLogin},
		"Session":                    {read: needManagerOrOwn, write: needManager, remove: needManagerOrOwn},
		"ManagerAccount":             {read: needManagersOrOwn, head: needLogin, write: needUsers},
		"EventDestination":           {read: needLogin, write: needManagerOrOwn},
		"EventDestinationCollection": {read: needLogin, write: needEither},
	}
	for row, types := range map[*operations]string{
		&byUsers:        "AccountService ManagerAccountCollection",
		&managersSecret: "Certificate CertificateCollection CertificateLocations",
		&byManager: `ActionInfo Battery BatteryCollection CertificateService Control ControlCollection EnvironmentMetrics EventService Fan FanCollection
			HostInterface HostInterfaceCollection Job JobCollection JobService JsonSchemaFile JsonSchemaFileCollection License LicenseCollection
			LicenseService LogEntry LogEntryCollection LogService LogServiceCollection Manager ManagerCollection ManagerDiagnosticData
			ManagerNetworkProtocol MessageRegistry MessageRegistryFile MessageRegistryFileCollection MetricDefinition MetricDefinitionCollection
			MetricReport MetricReportCollection MetricReportDefinition MetricReportDefinitionCollection Power PowerSubsystem PowerSupply
			PowerSupplyCollection PowerSupplyMetrics PrivilegeRegistry Role RoleCollection SecurityPolicy SerialInterface
			SerialInterfaceCollection ServiceConditions SessionService Task TaskCollection TaskService TelemetryService Thermal ThermalMetrics
			ThermalSubsystem VirtualMedia VirtualMediaCollection`,
		&byParts: `Assembly Bios BootOption BootOptionCollection Cable CableCollection Chassis ChassisCollection ComputerSystem
			ComputerSystemCollection Drive DriveCollection EthernetInterface EthernetInterfaceCollection Fabric FabricCollection
			GraphicsController GraphicsControllerCollection Memory MemoryCollection MemoryMetrics NetworkAdapter NetworkAdapterCollection
			NetworkDeviceFunction NetworkDeviceFunctionCollection NetworkInterface NetworkInterfaceCollection PCIeDevice
			PCIeDeviceCollection PCIeFunction PCIeFunctionCollection PCIeSlots Port PortCollection Processor ProcessorCollection
			ProcessorMetrics SecureBoot SecureBootDatabase SecureBootDatabaseCollection Sensor SensorCollection SimpleStorage
			SimpleStorageCollection SoftwareInventory SoftwareInventoryCollection Storage StorageCollection StorageController
			StorageControllerCollection Switch SwitchCollection UpdateService Volume VolumeCollection`,
	} {
		for _, t := range strings.Fields(types) {
			table[t] = *row
		}
	}
	return table
}()

// An override replaces the needs of some methods of a type.
type override struct {
	entity  string
	below   string   // for resources below one of this type; "" = not by place
	props   []string // for a PATCH of these properties and no others
	methods []string
	needs   needs
}

// allMethods are the methods that a registry row names.
var allMethods = []string{http.MethodGet, http.MethodHead, http.MethodPatch, http.MethodPost, http.MethodPut, http.MethodDelete}

// overrides are the exceptions of the same registry. EthernetInterfaces,
// EnvironmentMetrics and log services have theirs as well; nothing here asks
// for those.
var overrides = []override{
	{entity: "ManagerAccount", props: []string{"Password"}, methods: []string{http.MethodPatch}, needs: needs{auth.ConfigureUsers, auth.ConfigureSelf}},
	{entity: "Certificate", below: "ComputerSystem", methods: allMethods, needs: needParts},
	{entity: "CertificateCollection", below: "ComputerSystem", methods: allMethods, needs: needParts},
}

// Privileged reports whether p may call method on a resource of the type
// entity ("ManagerAccount"), which is p's own or not. props are the properties
// that a PATCH changes and no others, where that is known: some may be changed
// with less.
//
// HEAD takes what GET takes: an entity tag tells something of what it tags
// (DSP0266 1.20.0, 13.3.10). Of a type that is not in the table everybody who
// may log in reads, and the rest takes ConfigureManager.
func Privileged(entity, method string, p auth.Principal, own bool, props ...string) bool {
	if method == http.MethodHead || method == http.MethodOptions {
		method = http.MethodGet
	}
	row, known := privilegeTable[entity]
	if !known {
		row = byManager
	}
	need := row.of(method)
	for _, o := range overrides {
		if o.entity == entity && o.below == "" && slices.Contains(o.methods, method) && covers(o.props, props) {
			need = o.needs
		}
	}
	held := privileges(p)
	return slices.ContainsFunc(need, func(set auth.Privileges) bool {
		// ConfigureSelf counts for what is one's own.
		return held.Has(set) && (own || set&auth.ConfigureSelf == 0)
	})
}

// covers reports whether an override for some properties counts for a PATCH of others.
func covers(overridden, props []string) bool {
	for _, p := range props {
		if !slices.Contains(overridden, p) {
			return false
		}
	}
	return len(props) > 0
}

// privileges returns what p holds. Where the authority has filled nothing in,
// those of the predefined role.
func privileges(p auth.Principal) auth.Privileges {
	if p.Privileges == 0 {
		p.Privileges, _ = auth.PredefinedPrivileges(p.Role)
	}
	return p.Privileges
}

// A PrivilegeRegistry is the resource that tells which operation takes which
// privileges.
type PrivilegeRegistry struct {
	ODataID           string             `json:"@odata.id"`
	ODataType         string             `json:"@odata.type"`
	ID                string             `json:"Id"`
	Name              string             `json:"Name"`
	PrivilegesUsed    []string           `json:"PrivilegesUsed"`
	OEMPrivilegesUsed []string           `json:"OEMPrivilegesUsed"`
	Mappings          []PrivilegeMapping `json:"Mappings"`
}

// A PrivilegeMapping is the row of one type.
type PrivilegeMapping struct {
	Entity               string              `json:"Entity"`
	OperationMap         OperationMap        `json:"OperationMap"`
	PropertyOverrides    []PrivilegeOverride `json:"PropertyOverrides,omitempty"`
	SubordinateOverrides []PrivilegeOverride `json:"SubordinateOverrides,omitempty"`
}

// A PrivilegeOverride is an exception in the row of a type.
type PrivilegeOverride struct {
	Targets      []string     `json:"Targets"`
	OperationMap OperationMap `json:"OperationMap"`
}

// An OperationMap tells what each method takes.
type OperationMap map[string][]OperationPrivilege

// An OperationPrivilege is a set of privileges that suffices.
type OperationPrivilege struct {
	Privilege []string `json:"Privilege"`
}

const privilegeRegistryType = "#PrivilegeRegistry.v1_2_0.PrivilegeRegistry"

// PrivilegeMap is the resource at uri with the rows that Privileged decides by.
func PrivilegeMap(uri string) PrivilegeRegistry {
	reg := PrivilegeRegistry{
		ODataID: uri, ODataType: privilegeRegistryType, ID: lastSegment(uri), Name: "Privilege Map",
		PrivilegesUsed: auth.AllPrivileges.Names(), OEMPrivilegesUsed: []string{},
	}
	for entity, row := range privilegeTable {
		m := PrivilegeMapping{Entity: entity, OperationMap: OperationMap{}}
		for _, method := range allMethods {
			m.OperationMap[method] = row.of(method).wire()
			if row.open && readMethod(method) {
				m.OperationMap[method] = append(m.OperationMap[method], OperationPrivilege{[]string{noAuth}})
			}
		}
		for _, o := range overrides {
			if o.entity != entity {
				continue
			}
			if exception := o.wire(); o.below != "" {
				m.SubordinateOverrides = append(m.SubordinateOverrides, exception)
			} else {
				m.PropertyOverrides = append(m.PropertyOverrides, exception)
			}
		}
		reg.Mappings = append(reg.Mappings, m)
	}
	slices.SortFunc(reg.Mappings, func(a, b PrivilegeMapping) int { return strings.Compare(a.Entity, b.Entity) })
	return reg
}

func (n needs) wire() []OperationPrivilege {
	var out []OperationPrivilege
	for _, set := range n {
		out = append(out, OperationPrivilege{set.Names()})
	}
	return out
}

func (o override) wire() PrivilegeOverride {
	out := PrivilegeOverride{Targets: o.props, OperationMap: OperationMap{}}
	if o.below != "" {
		out.Targets = []string{o.below}
	}
	for _, m := range o.methods {
		out.OperationMap[m] = o.needs.wire()
	}
	return out
}
