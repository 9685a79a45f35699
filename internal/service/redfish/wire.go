package redfish

import rf "github.com/postern/postern/redfish"

// The URIs of our resources (DSP0266 1.20.0, 6.3, and the schemas).
const (
	versionsURI           = "/redfish"
	rootURI               = "/redfish/v1/"
	odataURI              = "/redfish/v1/odata"
	metadataURI           = "/redfish/v1/$metadata"
	openAPIURI            = "/redfish/v1/openapi.yaml"
	managersURI           = "/redfish/v1/Managers"
	sessionServiceURI     = "/redfish/v1/SessionService"
	sessionsURI           = "/redfish/v1/SessionService/Sessions"
	accountServiceURI     = "/redfish/v1/AccountService"
	privilegeMapURI       = "/redfish/v1/AccountService/PrivilegeMap"
	accountsURI           = "/redfish/v1/AccountService/Accounts"
	rolesURI              = "/redfish/v1/AccountService/Roles"
	casURI                = "/redfish/v1/AccountService/MultiFactorAuth/ClientCertificate/Certificates"
	certificateServiceURI = "/redfish/v1/CertificateService"
	locationsURI          = "/redfish/v1/CertificateService/CertificateLocations"
	generateCSRURI        = "/redfish/v1/CertificateService/Actions/CertificateService.GenerateCSR"
	replaceURI            = "/redfish/v1/CertificateService/Actions/CertificateService.ReplaceCertificate"
	registriesURI         = "/redfish/v1/Registries"
	schemasURI            = "/redfish/v1/JsonSchemas"

	changePasswordAction = "/Actions/ManagerAccount.ChangePassword"
)

// The types of what we serve: bundle 2025.4.
const (
	redfishVersion = "1.20.0"

	serviceRootType          = "#ServiceRoot.v1_20_0.ServiceRoot"
	accountServiceType       = "#AccountService.v1_18_1.AccountService"
	accountCollectionType    = "#ManagerAccountCollection.ManagerAccountCollection"
	accountType              = "#ManagerAccount.v1_14_1.ManagerAccount"
	roleCollectionType       = "#RoleCollection.RoleCollection"
	roleType                 = "#Role.v1_3_3.Role"
	certificateCollection    = "#CertificateCollection.CertificateCollection"
	certificateType          = "#Certificate.v1_11_0.Certificate"
	certificateServiceType   = "#CertificateService.v1_2_1.CertificateService"
	locationsType            = "#CertificateLocations.v1_0_4.CertificateLocations"
	registryCollectionType   = "#MessageRegistryFileCollection.MessageRegistryFileCollection"
	registryFileType         = "#MessageRegistryFile.v1_1_5.MessageRegistryFile"
	schemaFileCollectionType = "#JsonSchemaFileCollection.JsonSchemaFileCollection"
	schemaFileType           = "#JsonSchemaFile.v1_1_5.JsonSchemaFile"
)

// namespaces are those of the types above, and of the resources that the
// Handler in front of us serves.
var namespaces = []string{
	"ServiceRoot.v1_20_0", "Message.v1_1_1",
	"SessionService.v1_2_0", "SessionCollection", "Session.v1_8_0",
	"AccountService.v1_18_1", "ManagerAccountCollection", "ManagerAccount.v1_14_1",
	"RoleCollection", "Role.v1_3_3", "PrivilegeRegistry.v1_2_0",
	"CertificateCollection", "Certificate.v1_11_0", "CertificateService.v1_2_1", "CertificateLocations.v1_0_4",
	"MessageRegistryFileCollection", "MessageRegistryFile.v1_1_5",
	"JsonSchemaFileCollection", "JsonSchemaFile.v1_1_5",
}

// A heading is what every resource begins with.
type heading struct {
	ODataID   string `json:"@odata.id"`
	ODataType string `json:"@odata.type"`
	ID        string `json:"Id,omitempty"` // collections have none
	Name      string `json:"Name"`
}

// A collection lists resources.
type collection struct {
	heading
	Count   int      `json:"Members@odata.count"`
	Members []rf.Ref `json:"Members"`
}

// newCollection lists what lies directly below uri.
func newCollection(uri, odataType, name string, ids []string) collection {
	c := collection{heading: heading{ODataID: uri, ODataType: odataType, Name: name}, Members: []rf.Ref{}}
	for _, id := range ids {
		c.Members = append(c.Members, rf.Ref{ID: uri + "/" + id})
	}
	c.Count = len(c.Members)
	return c
}

// An action of a resource.
type action struct {
	Target string `json:"target"`
}

var healthy = rf.Status{State: "Enabled", Health: "OK"}
