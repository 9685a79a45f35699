package redfish

import (
	"context"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/admin"
)

// A Desk is where what these resources show is kept, and changed. Errors are an
// *admin.Error; the principal in ctx is who asks, and a change of a password or
// role ends the sessions of the account except the principal's. All methods may
// be called concurrently.
type Desk interface {
	Accounts(ctx context.Context) ([]admin.Account, error)
	Account(ctx context.Context, name auth.AccountName) (admin.Account, error)
	CreateAccount(ctx context.Context, a admin.NewAccount) (admin.Account, error)
	ChangeAccount(ctx context.Context, name auth.AccountName, c admin.AccountChange) (admin.Account, error)
	// RemoveAccount with a version other than 0 fails with a Conflict where the
	// account has another one.
	RemoveAccount(ctx context.Context, name auth.AccountName, version int64) error

	Roles(ctx context.Context) ([]admin.Role, error)
	Role(ctx context.Context, name auth.Role) (admin.Role, error)
	CreateRole(ctx context.Context, r admin.Role) (admin.Role, error)
	// ChangeRole gives the role r.Name the privileges of r where its version is
	// r.Version, or where that is 0.
	ChangeRole(ctx context.Context, r admin.Role) (admin.Role, error)
	RemoveRole(ctx context.Context, name auth.Role) error

	LoginRules(ctx context.Context) (admin.LoginRules, error)
	SetLoginRules(ctx context.Context, r admin.LoginRules) (admin.LoginRules, error)
	ListenerRules(ctx context.Context, listener string) (admin.ListenerRules, error)
	SetListenerRules(ctx context.Context, r admin.ListenerRules) (admin.ListenerRules, error)

	// CAs returns those that count at a listener.
	CAs(ctx context.Context, listener string) ([]admin.Certificate, error)
	AddCA(ctx context.Context, ca admin.NewCA) (admin.Certificate, error)
	RemoveCA(ctx context.Context, listener, id string) error

	AccountCertificates(ctx context.Context, name auth.AccountName) ([]admin.Certificate, error)
	AddAccountCertificate(ctx context.Context, name auth.AccountName, pem string) (admin.Certificate, error)
	RemoveAccountCertificate(ctx context.Context, name auth.AccountName, id string) error

	// ServerCertificate is what a listener shows in its handshakes.
	ServerCertificate(ctx context.Context, listener string) (admin.Certificate, error)
	// ReplaceServerCertificate puts another one in its place, from the next
	// handshake on. key is a PEM private key; zero: the one of the last CSR.
	ReplaceServerCertificate(ctx context.Context, listener, chain string, key auth.Secret) (admin.Certificate, error)
	// CertificateRequest makes a key, keeps it, and returns a CSR for it in PEM.
	CertificateRequest(ctx context.Context, listener string, r admin.CSRRequest) (string, error)
}
