package admin

import (
	"context"
	"net/url"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/account"
)

// onAccount is get about one account; what comes behind its name.
func onAccount[T any](ctx context.Context, c *Client, method string, name auth.AccountName, what string, in any) (T, error) {
	if !pathWord(string(name)) {
		var none T
		return none, accountFault(account.ErrNotFound, name)
	}
	return get[T](ctx, c, method, "/accounts/"+url.PathEscape(string(name))+what, in)
}

// onListener is get about one listener.
func onListener[T any](ctx context.Context, c *Client, method, name, what string, in any) (T, error) {
	if !pathWord(name) {
		var none T
		return none, noListener(name)
	}
	return get[T](ctx, c, method, "/listeners/"+url.PathEscape(name)+what, in)
}

// onRole is get about one role.
func onRole[T any](ctx context.Context, c *Client, method string, name auth.Role, in any) (T, error) {
	if !pathWord(string(name)) {
		var none T
		return none, noRole(name)
	}
	return get[T](ctx, c, method, "/roles/"+url.PathEscape(string(name)), in)
}

// onCA is get about one CA.
func onCA[T any](ctx context.Context, c *Client, method, id, what string, in any) (T, error) {
	if !pathWord(id) {
		var none T
		return none, noCA(id)
	}
	return get[T](ctx, c, method, "/cas/"+url.PathEscape(id)+what, in)
}

// Accounts implements API.
func (c *Client) Accounts(ctx context.Context) ([]Account, error) {
	return get[[]Account](ctx, c, "GET", "/accounts", nil)
}

// Account implements API.
func (c *Client) Account(ctx context.Context, name auth.AccountName) (Account, error) {
	return onAccount[Account](ctx, c, "GET", name, "", nil)
}

// CreateAccount implements API.
func (c *Client) CreateAccount(ctx context.Context, a NewAccount) (Account, error) {
	return get[Account](ctx, c, "POST", "/accounts", fromAccount(a))
}

// ChangeAccount implements API.
func (c *Client) ChangeAccount(ctx context.Context, name auth.AccountName, change AccountChange) (Account, error) {
	return onAccount[Account](ctx, c, "PATCH", name, "", fromChange(change))
}

// RemoveAccount implements API.
func (c *Client) RemoveAccount(ctx context.Context, name auth.AccountName, version int64) error {
	_, err := onAccount[nothing](ctx, c, "DELETE", name, "", removal{Version: version})
	return err
}

// AccountCertificates implements API.
func (c *Client) AccountCertificates(ctx context.Context, name auth.AccountName) ([]Certificate, error) {
	return onAccount[[]Certificate](ctx, c, "GET", name, "/certificates", nil)
}

// AddAccountCertificate implements API.
func (c *Client) AddAccountCertificate(ctx context.Context, name auth.AccountName, pem string) (Certificate, error) {
	return onAccount[Certificate](ctx, c, "POST", name, "/certificates", pemIn{PEM: pem})
}

// RemoveAccountCertificate implements API.
func (c *Client) RemoveAccountCertificate(ctx context.Context, name auth.AccountName, id string) error {
	if !pathWord(id) {
		return noCertificate(id)
	}
	_, err := onAccount[nothing](ctx, c, "DELETE", name, "/certificates/"+url.PathEscape(id), nil)
	return err
}

// LoginRules implements API.
func (c *Client) LoginRules(ctx context.Context) (LoginRules, error) {
	return get[LoginRules](ctx, c, "GET", "/login-rules", nil)
}

// SetLoginRules implements API.
func (c *Client) SetLoginRules(ctx context.Context, r LoginRules) (LoginRules, error) {
	return get[LoginRules](ctx, c, "PUT", "/login-rules", r)
}

// Roles implements API.
func (c *Client) Roles(ctx context.Context) ([]Role, error) {
	return get[[]Role](ctx, c, "GET", "/roles", nil)
}

// Role implements API.
func (c *Client) Role(ctx context.Context, name auth.Role) (Role, error) {
	return onRole[Role](ctx, c, "GET", name, nil)
}

// CreateRole implements API.
func (c *Client) CreateRole(ctx context.Context, r Role) (Role, error) {
	return get[Role](ctx, c, "POST", "/roles", r)
}

// ChangeRole implements API.
func (c *Client) ChangeRole(ctx context.Context, r Role) (Role, error) {
	return onRole[Role](ctx, c, "PUT", r.Name, r)
}

// RemoveRole implements API.
func (c *Client) RemoveRole(ctx context.Context, name auth.Role) error {
	_, err := onRole[nothing](ctx, c, "DELETE", name, nil)
	return err
}

// Listeners implements API.
func (c *Client) Listeners(ctx context.Context) ([]ListenerRules, error) {
	return get[[]ListenerRules](ctx, c, "GET", "/listeners", nil)
}

// ListenerRules implements API.
func (c *Client) ListenerRules(ctx context.Context, listener string) (ListenerRules, error) {
	return onListener[ListenerRules](ctx, c, "GET", listener, "", nil)
}

// SetListenerRules implements API.
func (c *Client) SetListenerRules(ctx context.Context, r ListenerRules) (ListenerRules, error) {
	return onListener[ListenerRules](ctx, c, "PUT", r.Listener, "", r)
}

// AllCAs implements API.
func (c *Client) AllCAs(ctx context.Context) ([]Certificate, error) {
	return get[[]Certificate](ctx, c, "GET", "/cas", nil)
}

// CAs implements API.
func (c *Client) CAs(ctx context.Context, listener string) ([]Certificate, error) {
	return onListener[[]Certificate](ctx, c, "GET", listener, "/cas", nil)
}

// AddCA implements API.
func (c *Client) AddCA(ctx context.Context, ca NewCA) (Certificate, error) {
	return get[Certificate](ctx, c, "POST", "/cas", ca)
}

// RemoveCA implements API.
func (c *Client) RemoveCA(ctx context.Context, listener, id string) error {
	_, err := onCA[nothing](ctx, c, "DELETE", id, "", removal{Listener: listener})
	return err
}

// SetCRL implements API.
func (c *Client) SetCRL(ctx context.Context, id string, crl []byte) error {
	_, err := onCA[nothing](ctx, c, "PUT", id, "/crl", crlIn{crl})
	return err
}

// ServerCertificate implements API.
func (c *Client) ServerCertificate(ctx context.Context, listener string) (Certificate, error) {
	return onListener[Certificate](ctx, c, "GET", listener, "/certificate", nil)
}

// ReplaceServerCertificate implements API.
func (c *Client) ReplaceServerCertificate(ctx context.Context, listener, chain string, key auth.Secret) (Certificate, error) {
	return onListener[Certificate](ctx, c, "PUT", listener, "/certificate", pemIn{chain, key.Reveal()})
}

// ResetServerCertificate implements API.
func (c *Client) ResetServerCertificate(ctx context.Context, listener string) error {
	_, err := onListener[nothing](ctx, c, "DELETE", listener, "/certificate", nil)
	return err
}

// CertificateRequest implements API.
func (c *Client) CertificateRequest(ctx context.Context, listener string, r CSRRequest) (string, error) {
	out, err := onListener[csrOut](ctx, c, "POST", listener, "/csr", r)
	return out.CSR, err
}
