// Package hpe is what an HPE iLO serves besides its sessions: the service root
// with its OEM part, the account service, accounts with ten privileges, the
// licence, the security service with the server's certificate, certificate
// login and the mapping of user certificates, the clock, and the directory,
// schemas and registries that HPE's own clients read before they do anything.
//
// It stands behind a redfish.Handler with the profile ilo, as package
// service/redfish does behind one with the generic profile, and over the same
// desk; what a desk does not know is kept in an Office. The rules it follows are
// not documented as a whole: they come from the pages and clients that the
// comments name, and from what HPE's clients were observed to need.
package hpe
