package redfish

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"maps"
	"math/big"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/admin"
)

// A memory is a Desk that keeps everything in maps.
type memory struct {
	mu        sync.Mutex
	accounts  map[auth.AccountName]admin.Account
	passwords map[auth.AccountName]string
	roles     map[auth.Role]admin.Role
	login     admin.LoginRules
	listener  admin.ListenerRules
	cas       []admin.Certificate
	own       map[auth.AccountName][]admin.Certificate
	server    admin.Certificate
	key       string // of the last replacement
	csr       admin.CSRRequest
	next      int
	fail      error // of everything, where it is set
}

var _ Desk = (*memory)(nil)

func newMemory(t *testing.T) *memory {
	m := &memory{
		accounts: map[auth.AccountName]admin.Account{}, passwords: map[auth.AccountName]string{},
		roles: map[auth.Role]admin.Role{}, own: map[auth.AccountName][]admin.Certificate{},
		login:    admin.LoginRules{MinPassword: 8, MaxPassword: 64, Duration: 5 * time.Minute, ResetAfter: 5 * time.Minute, Version: 1},
		listener: admin.ListenerRules{Listener: "auth", Basic: admin.BasicEnabled, Mapping: admin.MapCommonName, Version: 1},
	}
	for _, r := range []auth.Role{auth.Administrator, auth.Operator, auth.ReadOnly} {
		p, _ := auth.PredefinedPrivileges(r)
		m.roles[r] = admin.Role{Name: r, Predefined: true, Privileges: p}
	}
	for name, r := range map[auth.AccountName]auth.Role{"root": auth.Administrator, "op": auth.Operator, "joe": auth.ReadOnly} {
		if _, err := m.CreateAccount(t.Context(), admin.NewAccount{Name: name, Role: r, Password: auth.NewSecret("s3cret-" + string(name))}); err != nil {
			t.Fatal(err)
		}
	}
	m.server, _ = m.certificate(newPEM(t, "bmc.example"))
	return m
}

func bad(code admin.Code, reason admin.Reason, field, text string) error {
	return &admin.Error{Code: code, Reason: reason, Field: field, Message: text}
}

func (m *memory) lock() func() { m.mu.Lock(); return m.mu.Unlock }

func (m *memory) Accounts(context.Context) ([]admin.Account, error) {
	defer m.lock()()
	all := slices.Collect(maps.Values(m.accounts))
	slices.SortFunc(all, func(a, b admin.Account) int { return cmp.Compare(a.Name, b.Name) })
	return all, m.fail
}

func (m *memory) Account(_ context.Context, name auth.AccountName) (admin.Account, error) {
	defer m.lock()()
	a, ok := m.accounts[name]
	if !ok {
		return a, bad(admin.NotFound, "", "", "no such account")
	}
	return a, m.fail
}

func (m *memory) password(p auth.Secret) error {
	if n := len(p.Reveal()); n < m.login.MinPassword || n > m.login.MaxPassword {
		return bad(admin.Invalid, admin.PasswordLength, "password", "the password is too short or too long")
	}
	return nil
}

func (m *memory) CreateAccount(_ context.Context, n admin.NewAccount) (admin.Account, error) {
	defer m.lock()()
	switch _, known := m.roles[n.Role]; {
	case m.accounts[n.Name].Version > 0:
		return admin.Account{}, bad(admin.Exists, "", "name", "the account is there already")
	case strings.ContainsAny(string(n.Name), " /%") || n.Name == "":
		return admin.Account{}, bad(admin.Invalid, "", "name", "no account has such a name")
	case !known:
		return admin.Account{}, bad(admin.Invalid, "", "role", "no such role")
	case len(m.accounts) == 20:
		return admin.Account{}, bad(admin.Conflict, admin.LimitReached, "", "there are 20 accounts")
	}
	if err := m.password(n.Password); err != nil {
		return admin.Account{}, err
	}
	a := admin.Account{Name: n.Name, Role: n.Role, Enabled: !n.Disabled, MustChangePassword: n.MustChangePassword, Version: 1}
	m.accounts[n.Name], m.passwords[n.Name] = a, n.Password.Reveal()
	return a, nil
}

func (m *memory) ChangeAccount(_ context.Context, name auth.AccountName, c admin.AccountChange) (admin.Account, error) {
	defer m.lock()()
	a, ok := m.accounts[name]
	switch {
	case !ok:
		return a, bad(admin.NotFound, "", "", "no such account")
	case c.Version != 0 && c.Version != a.Version:
		return a, bad(admin.Conflict, admin.Changed, "", "somebody changed it")
	}
	if c.Password != nil {
		if err := m.password(*c.Password); err != nil {
			return a, err
		}
		if m.login.History > 0 && m.passwords[name] == c.Password.Reveal() {
			return a, bad(admin.Invalid, admin.PasswordReused, "password", "the password was used before")
		}
		a.MustChangePassword = false
	}
	if c.Role != nil {
		if _, known := m.roles[*c.Role]; !known {
			return a, bad(admin.Invalid, "", "role", "no such role")
		}
		a.Role = *c.Role
	}
	if c.Enabled != nil {
		a.Enabled = *c.Enabled
	}
	if c.MustChangePassword != nil {
		a.MustChangePassword = *c.MustChangePassword
	}
	if name == "root" && (a.Role != auth.Administrator || !a.Enabled) {
		return a, bad(admin.Conflict, admin.LastAdministrator, "", "this is the last administrator")
	}
	a.Locked = a.Locked && !c.Unlock
	if c.Password != nil {
		m.passwords[name] = c.Password.Reveal()
	}
	a.Version++
	m.accounts[name] = a
	return a, nil
}

func (m *memory) RemoveAccount(_ context.Context, name auth.AccountName, version int64) error {
	defer m.lock()()
	a, ok := m.accounts[name]
	switch {
	case !ok:
		return bad(admin.NotFound, "", "", "no such account")
	case version != 0 && version != a.Version:
		return bad(admin.Conflict, admin.Changed, "", "somebody changed it")
	case name == "root":
		return bad(admin.Conflict, admin.LastAdministrator, "", "this is the last administrator")
	}
	delete(m.accounts, name)
	return nil
}

func (m *memory) Roles(context.Context) ([]admin.Role, error) {
	defer m.lock()()
	all := slices.Collect(maps.Values(m.roles))
	slices.SortFunc(all, func(a, b admin.Role) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

func (m *memory) Role(_ context.Context, name auth.Role) (admin.Role, error) {
	defer m.lock()()
	r, ok := m.roles[name]
	if !ok {
		return r, bad(admin.NotFound, "", "", "no such role")
	}
	return r, nil
}

func (m *memory) CreateRole(_ context.Context, r admin.Role) (admin.Role, error) {
	defer m.lock()()
	switch _, ok := m.roles[r.Name]; {
	case ok:
		return r, bad(admin.Exists, "", "name", "the role is there already")
	case r.Name == "":
		return r, bad(admin.Invalid, "", "name", "no role has such a name")
	case !r.Privileges.Has(auth.MayLogIn):
		return r, bad(admin.Invalid, "", "privileges", "a role must let its accounts log in")
	}
	r.Version = 1
	m.roles[r.Name] = r
	return r, nil
}

func (m *memory) ChangeRole(_ context.Context, r admin.Role) (admin.Role, error) {
	defer m.lock()()
	old, ok := m.roles[r.Name]
	switch {
	case !ok:
		return r, bad(admin.NotFound, "", "", "no such role")
	case r.Version != 0 && r.Version != old.Version:
		return r, bad(admin.Conflict, admin.Changed, "", "somebody changed it")
	}
	old.Privileges, old.Version = r.Privileges, old.Version+1
	m.roles[r.Name] = old
	return old, nil
}

func (m *memory) RemoveRole(_ context.Context, name auth.Role) error {
	defer m.lock()()
	for _, a := range m.accounts {
		if a.Role == name {
			return bad(admin.Conflict, admin.RoleInUse, "", "accounts have the role")
		}
	}
	delete(m.roles, name)
	return nil
}

func (m *memory) LoginRules(context.Context) (admin.LoginRules, error) {
	defer m.lock()()
	return m.login, nil
}

func (m *memory) SetLoginRules(_ context.Context, r admin.LoginRules) (admin.LoginRules, error) {
	defer m.lock()()
	switch {
	case r.Version != m.login.Version:
		return r, bad(admin.Conflict, admin.Changed, "", "somebody changed it")
	case r.MaxPassword > 128:
		return r, bad(admin.Invalid, "", "max_password", "passwords have at most 128 characters")
	}
	r.Version++
	m.login = r
	return r, nil
}

func (m *memory) ListenerRules(context.Context, string) (admin.ListenerRules, error) {
	defer m.lock()()
	return m.listener, nil
}

func (m *memory) SetListenerRules(_ context.Context, r admin.ListenerRules) (admin.ListenerRules, error) {
	defer m.lock()()
	if r.Version != m.listener.Version {
		return r, bad(admin.Conflict, admin.Changed, "", "somebody changed it")
	}
	r.Version++
	m.listener = r
	return r, nil
}

func (m *memory) certificate(text string) (admin.Certificate, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" {
		return admin.Certificate{}, bad(admin.Invalid, "", "pem", "that is no certificate")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return admin.Certificate{}, bad(admin.Invalid, "", "pem", "that is no certificate")
	}
	m.next++
	sum := sha256.Sum256(block.Bytes)
	return admin.Certificate{
		ID: strconv.Itoa(m.next), PEM: text, Subject: cert.Subject.String(), Issuer: cert.Issuer.String(),
		Fingerprint: hex.EncodeToString(sum[:]), NotBefore: cert.NotBefore, NotAfter: cert.NotAfter,
	}, nil
}

func (m *memory) add(list []admin.Certificate, text string) ([]admin.Certificate, admin.Certificate, error) {
	c, err := m.certificate(text)
	if err != nil {
		return list, c, err
	}
	if slices.ContainsFunc(list, func(o admin.Certificate) bool { return o.Fingerprint == c.Fingerprint }) {
		return list, c, bad(admin.Exists, "", "pem", "the certificate is there already")
	}
	return append(list, c), c, nil
}

func remove(list []admin.Certificate, id string) ([]admin.Certificate, error) {
	i := slices.IndexFunc(list, func(c admin.Certificate) bool { return c.ID == id })
	if i < 0 {
		return list, bad(admin.NotFound, "", "", "no such certificate")
	}
	return slices.Delete(list, i, i+1), nil
}

func (m *memory) CAs(context.Context, string) ([]admin.Certificate, error) {
	defer m.lock()()
	return slices.Clone(m.cas), nil
}

func (m *memory) AddCA(_ context.Context, ca admin.NewCA) (c admin.Certificate, err error) {
	defer m.lock()()
	m.cas, c, err = m.add(m.cas, ca.PEM)
	return c, err
}

func (m *memory) RemoveCA(_ context.Context, _, id string) (err error) {
	defer m.lock()()
	m.cas, err = remove(m.cas, id)
	return err
}

func (m *memory) AccountCertificates(_ context.Context, name auth.AccountName) ([]admin.Certificate, error) {
	defer m.lock()()
	if _, ok := m.accounts[name]; !ok {
		return nil, bad(admin.NotFound, "", "", "no such account")
	}
	return slices.Clone(m.own[name]), nil
}

func (m *memory) AddAccountCertificate(_ context.Context, name auth.AccountName, text string) (c admin.Certificate, err error) {
	defer m.lock()()
	if _, ok := m.accounts[name]; !ok {
		return c, bad(admin.NotFound, "", "", "no such account")
	}
	m.own[name], c, err = m.add(m.own[name], text)
	return c, err
}

func (m *memory) RemoveAccountCertificate(_ context.Context, name auth.AccountName, id string) (err error) {
	defer m.lock()()
	m.own[name], err = remove(m.own[name], id)
	return err
}

func (m *memory) ServerCertificate(context.Context, string) (admin.Certificate, error) {
	defer m.lock()()
	if m.server.PEM == "" {
		return m.server, bad(admin.NotFound, "", "", "the listener has no TLS")
	}
	return m.server, nil
}

func (m *memory) ReplaceServerCertificate(_ context.Context, _, chain string, key auth.Secret) (admin.Certificate, error) {
	defer m.lock()()
	c, err := m.certificate(chain)
	if err != nil {
		return c, bad(admin.Invalid, "", "chain", "that is no certificate")
	}
	m.server, m.key = c, key.Reveal()
	return c, nil
}

func (m *memory) CertificateRequest(_ context.Context, _ string, r admin.CSRRequest) (string, error) {
	defer m.lock()()
	if r.KeyKind == "RSA" && r.KeyBits != 0 && r.KeyBits < 2048 {
		return "", bad(admin.Invalid, "", "key_bits", "RSA keys have 2048 bits or more")
	}
	m.csr = r
	return "-----BEGIN CERTIFICATE REQUEST-----\n", nil
}

// newPEM makes a certificate of its own.
func newPEM(t *testing.T, cn string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(0xABCD), Subject: pkix.Name{CommonName: cn, Organization: []string{"Lab"}},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<32, 0), DNSNames: []string{cn}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1).To4()},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, &x509.Certificate{Subject: pkix.Name{CommonName: cn}}, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
