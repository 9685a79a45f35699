package hpe

// The URIs of our resources, without the slash at their end with which an iLO
// writes them.
const (
	versionsURI   = "/redfish"
	rootURI       = "/redfish/v1"
	odataURI      = "/redfish/v1/odata"
	metadataURI   = "/redfish/v1/$metadata"
	directoryURI  = "/redfish/v1/ResourceDirectory"
	schemasURI    = "/redfish/v1/JsonSchemas"
	registriesURI = "/redfish/v1/Registries"

	schemaStoreURI   = "/redfish/v1/SchemaStore/en"
	registryStoreURI = "/redfish/v1/RegistryStore/registries/en"

	sessionServiceURI = "/redfish/v1/SessionService"
	sessionsURI       = "/redfish/v1/SessionService/Sessions"
	accountServiceURI = "/redfish/v1/AccountService"
	accountsURI       = "/redfish/v1/AccountService/Accounts"
	rolesURI          = "/redfish/v1/AccountService/Roles"
	mappingURI        = "/redfish/v1/AccountService/UserCertificateMapping"

	managersURI        = "/redfish/v1/Managers"
	managerURI         = "/redfish/v1/Managers/1"
	dateTimeURI        = managerURI + "/DateTime"
	networkProtocolURI = managerURI + "/NetworkProtocol"
	licencesURI        = managerURI + "/LicenseService"
	licenceURI         = licencesURI + "/1"
	securityURI        = managerURI + "/SecurityService"
	httpsCertURI       = securityURI + "/HttpsCert"
	generateCSRURI     = httpsCertURI + "/Actions/HpeHttpsCert.GenerateCSR"
	importCertURI      = httpsCertURI + "/Actions/HpeHttpsCert.ImportCertificate"
	certAuthURI        = securityURI + "/CertificateAuthentication"
	importCAURI        = certAuthURI + "/Actions/HpeCertAuth.ImportCACertificate"
	importCRLURI       = certAuthURI + "/Actions/HpeCertAuth.ImportCRL"
	deleteCRLURI       = certAuthURI + "/Actions/HpeCertAuth.DeleteCRL"
	casURI             = certAuthURI + "/CACertificates"
)

// The types of the resources that the Handler in front of us serves.
const (
	sessionServiceType = "#SessionService.v1_0_0.SessionService"
	sessionsType       = "#SessionCollection.SessionCollection"
	sessionType        = "#Session.v1_0_0.Session"

	schemaListType   = "#JsonSchemaFileCollection.JsonSchemaFileCollection"
	registryListType = "#MessageRegistryFileCollection.MessageRegistryFileCollection"
)
