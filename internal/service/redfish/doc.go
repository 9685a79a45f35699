// Package redfish serves the resources of a Redfish service that show and
// change what Postern administers: the AccountService with accounts, roles and
// certificates, the CertificateService, the service root and the documents that
// describe the service. It stands behind the logins of a redfish.Handler, takes
// the principal from the context, and keeps nothing itself: a Desk does.
package redfish
