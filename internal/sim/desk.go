package sim

import (
	"context"
	"fmt"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/admin"
	service "github.com/postern/postern/internal/service/redfish"
)

// A desk is where the accounts, roles, rules and certificates of a device are
// changed by its Redfish service. It adds no state to that of the authority.
// Safe for concurrent use.
type desk struct {
	*authority
	ServerCertificates
}

var _ service.Desk = (*desk)(nil)

func newDesk(a *authority, certs ServerCertificates) *desk {
	if certs == nil {
		certs = noCertificates{}
	}
	return &desk{a, certs}
}

// shownAt returns the URI of the manager where the certificate of the handshakes
// is shown, "" where it is not.
func (d *desk) shownAt(manager string) string {
	if _, none := d.ServerCertificates.(noCertificates); none {
		return ""
	}
	return manager
}

// noCertificates are those of a device that does not know what stands in front
// of it.
type noCertificates struct{}

var errNoCertificates = refuse(admin.NotFound, "", "", "the device does not have the certificate of its handshakes")

func (noCertificates) ServerCertificate(context.Context, string) (admin.Certificate, error) {
	return admin.Certificate{}, errNoCertificates
}

func (noCertificates) ReplaceServerCertificate(context.Context, string, string, auth.Secret) (admin.Certificate, error) {
	return admin.Certificate{}, errNoCertificates
}

func (noCertificates) CertificateRequest(context.Context, string, admin.CSRRequest) (string, error) {
	return "", errNoCertificates
}

func refuse(c admin.Code, field string, reason admin.Reason, format string, a ...any) error {
	return &admin.Error{Code: c, Field: field, Reason: reason, Message: fmt.Sprintf(format, a...)}
}
