// Package redfish serves the Redfish resources that administer a service itself:
// AccountService with its accounts, roles and certificates, CertificateService,
// and the registries and schemas that the answers name. It keeps nothing: what
// it shows and changes is behind a Desk, which a server's administration and a
// simulated device both are.
package redfish
