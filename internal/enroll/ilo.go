package enroll

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"time"

	"github.com/postern/postern/auth"
)

// What an iLO has for it (HPE's page "Redfish authentication and sessions").
const (
	rootURI     = "/redfish/v1/"
	licenceURI  = "/redfish/v1/Managers/1/LicenseService/?only"
	licencesURI = "/redfish/v1/Managers/1/LicenseService/"
	clockURI    = "/redfish/v1/Managers/1/DateTime/"
	accountsURI = "/redfish/v1/AccountService/Accounts/"
	mappingsURI = "/redfish/v1/AccountService/UserCertificateMapping/"
	switchURI   = "/redfish/v1/Managers/1/SecurityService/CertificateAuthentication/"
	casURI      = switchURI + "CACertificates/"
	importURI   = switchURI + "Actions/HpeCertAuth.ImportCACertificate/"
)

// maxMembers bounds a collection that is walked; an iLO has 12 accounts.
const maxMembers = 256

// An ILO is HPE's iLO 5, 6 or 7.
type ILO struct {
	// Name is how the user calls the device, for what is advised.
	Name string
	// Do sends one request with the administrator's login and returns status and
	// body of the answer, which it bounds.
	Do func(ctx context.Context, method, path string, body []byte) (status int, answer []byte, err error)
	// Says returns what the body of an error says to a person; "" = nothing.
	Says func(body []byte) string
}

// Cure tells of the command that puts it right.
func (d ILO) Cure(s Name) string {
	switch s {
	case Licence:
		return fmt.Sprintf(`it takes "iLO Advanced": postern post %s %s -d '{"LicenseKey": "XXXXX-XXXXX-XXXXX-XXXXX-XXXXX"}' with a key of yours`, d.Name, licencesURI)
	case Clock:
		return fmt.Sprintf(`give it a time server, and restart it: postern patch %s %s -d '{"StaticNTPServers": ["ntp1.example", "ntp2.example"]}'; or set the clock here`, d.Name, clockURI)
	}
	return ""
}

// call sends one request; what the device refuses is a Refusal of that step.
func (d ILO) call(ctx context.Context, step Name, method, path string, body, into any) error {
	var data []byte
	if body != nil {
		var err error
		if data, err = json.Marshal(body); err != nil {
			return err
		}
	}
	status, answer, err := d.Do(ctx, method, path, data)
	if err != nil {
		return err
	}
	if status >= 300 {
		said := d.Says(answer)
		if said != "" {
			said = ": " + said
		}
		return refuse(step, d.advice(status, answer), "%s %s: the device answers %d%s", method, path, status, said)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return refuse(step, "", "%s: the answer is not what an iLO says: %v", path, err)
	}
	return nil
}

// advice is what helps against a refusal.
func (d ILO) advice(status int, answer []byte) string {
	text := string(answer)
	switch {
	case strings.Contains(text, "LicenseKeyRequired"):
		return d.Cure(Licence)
	case status == http.StatusForbidden:
		return "it takes an account with UserConfigPriv and iLOConfigPriv"
	case strings.Contains(text, "ImportCertificateFailed"):
		return "postern cert inspect FILE shows what the certificate is"
	}
	return ""
}

// Kind reads the root.
func (d ILO) Kind(ctx context.Context) (string, error) {
	var root struct {
		Oem struct {
			Hpe struct {
				Manager []struct{ ManagerType string }
				Moniker struct{ PRODGEN string }
			}
		}
	}
	if err := d.call(ctx, Kind, http.MethodGet, rootURI, nil, &root); err != nil {
		return "", err
	}
	kind := root.Oem.Hpe.Moniker.PRODGEN
	if m := root.Oem.Hpe.Manager; len(m) > 0 && m[0].ManagerType != "" {
		kind = m[0].ManagerType
	}
	if !strings.HasPrefix(kind, "iLO ") {
		return "", refuse(Kind, "of HPE's devices iLO 5 and later have it, and a Superdome Flex's RMC has not", "this is no iLO: it has no login by certificate that is known here")
	}
	return kind, nil
}

// Licence reads the only member of the licence service.
func (d ILO) Licence(ctx context.Context) (string, bool, error) {
	var l struct {
		License         string
		LicenseFeatures struct{ SmartCard bool }
	}
	err := d.call(ctx, Licence, http.MethodGet, licenceURI, nil, &l)
	return l.License, l.LicenseFeatures.SmartCard, err
}

// Clock reads the device's time.
func (d ILO) Clock(ctx context.Context) (time.Time, error) {
	var t struct{ DateTime time.Time }
	if err := d.call(ctx, Clock, http.MethodGet, clockURI, nil, &t); err != nil {
		return time.Time{}, err
	}
	if t.DateTime.IsZero() {
		return t.DateTime, refuse(Clock, d.Cure(Clock), "the device does not tell its time")
	}
	return t.DateTime, nil
}

// Accounts reads every account and what it is mapped to.
func (d ILO) Accounts(ctx context.Context) ([]Account, error) {
	uris, err := d.members(ctx, User, accountsURI)
	if err != nil {
		return nil, err
	}
	var all []Account
	for _, uri := range uris {
		var a struct {
			Name       auth.AccountName `json:"UserName"`
			Enabled    *bool
			MustChange bool `json:"PasswordChangeRequired"`
			Oem        struct {
				Hpe struct{ Privileges struct{ LoginPriv *bool } }
			}
		}
		if err := d.call(ctx, User, http.MethodGet, uri, nil, &a); err != nil {
			return nil, err
		}
		login := a.Oem.Hpe.Privileges.LoginPriv
		all = append(all, Account{
			Name: a.Name, MustChange: a.MustChange,
			Disabled: a.Enabled != nil && !*a.Enabled, MayNotLogIn: login != nil && !*login,
		})
	}
	prints, err := d.prints(ctx)
	for i := range all {
		all[i].Fingerprint = prints[all[i].Name]
	}
	return all, err
}

// prints are the fingerprints by account. One that is all zero is none.
func (d ILO) prints(ctx context.Context) (map[auth.AccountName]string, error) {
	uris, err := d.members(ctx, Mapping, mappingsURI)
	if err != nil {
		return nil, err
	}
	all := map[auth.AccountName]string{}
	for _, uri := range uris {
		var m struct {
			Fingerprint string
			UserName    auth.AccountName
		}
		if err := d.call(ctx, Mapping, http.MethodGet, uri, nil, &m); err != nil {
			return nil, err
		}
		if hex := plainHex(m.Fingerprint); strings.Trim(hex, "0") != "" {
			all[m.UserName] = hex
		}
	}
	return all, nil
}

// plainHex leaves out what devices put between the digits.
func plainHex(s string) string {
	return strings.ToLower(strings.NewReplacer(":", "", " ", "").Replace(s))
}

// members are the URIs of a collection's members. What leads elsewhere is not asked
// for: the administrator's login goes with it.
func (d ILO) members(ctx context.Context, step Name, uri string) ([]string, error) {
	var list struct {
		Members []struct {
			URI string `json:"@odata.id"`
		}
	}
	if err := d.call(ctx, step, http.MethodGet, uri, nil, &list); err != nil {
		return nil, err
	}
	if len(list.Members) > maxMembers {
		return nil, refuse(step, "", "%s has %d members", uri, len(list.Members))
	}
	var uris []string
	for _, m := range list.Members {
		if !strings.HasPrefix(m.URI, "/redfish/v1/") {
			return nil, refuse(step, "", "%s has a member at %q", uri, m.URI)
		}
		uris = append(uris, m.URI)
	}
	return uris, nil
}

// CreateAccount makes an account with LoginPriv alone.
func (d ILO) CreateAccount(ctx context.Context, name auth.AccountName, password auth.Secret) error {
	return d.call(ctx, User, http.MethodPost, accountsURI, map[string]any{
		"UserName": name, "Password": password.Reveal(),
		"Oem": map[string]any{"Hpe": map[string]any{"LoginName": name, "Privileges": map[string]bool{
			"LoginPriv": true, "RemoteConsolePriv": false, "UserConfigPriv": false, "VirtualMediaPriv": false,
			"VirtualPowerAndResetPriv": false, "iLOConfigPriv": false,
		}}},
	}, nil)
}

// Map posts the certificate: what is called Fingerprint there is the PEM.
func (d ILO) Map(ctx context.Context, name auth.AccountName, c *x509.Certificate) error {
	return d.call(ctx, Mapping, http.MethodPost, mappingsURI, map[string]any{"UserName": name, "Fingerprint": text(c)}, nil)
}

func text(c *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
}

// Trusts looks for the CA by serial number and end: an iLO does not show the
// certificate, and writes names in its own way.
func (d ILO) Trusts(ctx context.Context, ca *x509.Certificate) (bool, error) {
	uris, err := d.members(ctx, Authority, casURI)
	if err != nil {
		return false, err
	}
	for _, uri := range uris {
		var have struct {
			SerialNumber  string
			ValidNotAfter time.Time
		}
		if err := d.call(ctx, Authority, http.MethodGet, uri, nil, &have); err != nil {
			return false, err
		}
		serial, ok := new(big.Int).SetString(plainHex(have.SerialNumber), 16)
		if ok && serial.Cmp(ca.SerialNumber) == 0 && have.ValidNotAfter.Equal(ca.NotAfter) {
			return true, nil
		}
	}
	return false, nil
}

// Trust imports the CA.
func (d ILO) Trust(ctx context.Context, ca *x509.Certificate) error {
	return d.call(ctx, Authority, http.MethodPost, importURI, map[string]any{"Action": "HpeCertAuth.ImportCACertificate", "Certificate": text(ca)}, nil)
}

// On reads the switch.
func (d ILO) On(ctx context.Context) (bool, error) {
	var s struct{ CertificateLoginEnabled bool }
	err := d.call(ctx, Switch, http.MethodGet, switchURI, nil, &s)
	return s.CertificateLoginEnabled, err
}

// SwitchOn sets the switch, and looks whether it moved.
func (d ILO) SwitchOn(ctx context.Context) error {
	if err := d.call(ctx, Switch, http.MethodPatch, switchURI, map[string]any{"CertificateLoginEnabled": true}, nil); err != nil {
		return err
	}
	on, err := d.On(ctx)
	if err == nil && !on {
		err = refuse(Switch, "", "the device says yes, and login by certificate is off all the same")
	}
	return err
}
