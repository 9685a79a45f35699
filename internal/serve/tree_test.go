package serve

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/admin"
	"github.com/postern/postern/internal/audit"
	"github.com/postern/postern/internal/config"
	"github.com/postern/postern/internal/trust"
	"github.com/postern/postern/redfish"
)

// startAlone is a server without targets.
func startAlone(t testing.TB, listeners ...config.Listener) (*running, *admin.Client) {
	t.Helper()
	data := filepath.Join(t.TempDir(), "alone")
	r := start(t, func(ctx context.Context, ready func(Ready), log *slog.Logger) error {
		if _, bench := t.(*testing.B); bench {
			log = nil // lines that nobody reads cost as much as they do
		}
		return Run(ctx, Config{Data: data, Alone: len(listeners) == 0, Listeners: listeners, Ready: ready, Log: log})
	})
	c := admin.NewClient(func(ctx context.Context) (net.Conn, error) { return DialSocket(ctx, data) })
	t.Cleanup(c.Close)
	return r, c
}

// A caller asks with name and password, or with a certificate.
type caller struct {
	t        *testing.T
	base     string
	client   *http.Client
	name     string
	password string
}

func (c caller) do(method, path, body string, want int) map[string]any {
	c.t.Helper()
	r, err := http.NewRequest(method, c.base+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if c.name != "" {
		r.SetBasicAuth(c.name, c.password)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.client.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != want {
		c.t.Errorf("%s %s as %q: got %d, want %d: %s", method, path, c.name, resp.StatusCode, want, data)
	}
	var v map[string]any
	json.Unmarshal(data, &v) // nil where it is no object
	return v
}

const accounts = "/redfish/v1/AccountService/Accounts"

func TestTreeAdministersPostern(t *testing.T) {
	t.Parallel()
	srv, api := startAlone(t)
	base := srv.ready.URLs["https"]
	if base == "" || len(srv.ready.Targets) != 0 {
		t.Fatalf("ready: %+v", srv.ready)
	}
	root := caller{t: t, base: base, client: srv.client(), name: "admin", password: srv.password()}
	root.do("GET", "/redfish/v1/Systems/1", "", 200)
	root.do("POST", accounts, `{"UserName":"ann","Password":"correct-horse","RoleId":"Operator"}`, 201)
	list, err := api.Accounts(t.Context())
	if err != nil || len(list) != 2 || list[1].Name != "ann" {
		t.Fatalf("accounts: %+v, %v", list, err)
	}
	ann := caller{t: t, base: base, client: root.client, name: "ann", password: "correct-horse"}
	ann.do("GET", accounts+"/ann", "", 200)
	ann.do("GET", accounts+"/admin", "", 403)
	ann.do("POST", accounts, `{"UserName":"eve","Password":"correct-horse","RoleId":"Operator"}`, 403)

	// Settings of the listener are the ones that commands show.
	root.do("PATCH", "/redfish/v1/SessionService", `{"SessionTimeout":600}`, 200)
	if r, err := api.ListenerRules(t.Context(), "tree"); err != nil || r.SessionIdle.Seconds() != 600 {
		t.Errorf("rules: %+v, %v", r, err)
	}
	root.do("PATCH", "/redfish/v1/SessionService", `{"ServiceEnabled":false}`, 200)
	ann.do("POST", "/redfish/v1/SessionService/Sessions", `{"UserName":"ann","Password":"correct-horse"}`, 503)
	root.do("PATCH", "/redfish/v1/SessionService", `{"ServiceEnabled":true}`, 200)
	ann.do("POST", "/redfish/v1/SessionService/Sessions", `{"UserName":"ann","Password":"correct-horse"}`, 201)
	root.do("PATCH", "/redfish/v1/AccountService", `{"HTTPBasicAuth":"Disabled"}`, 200)
	ann.do("GET", "/redfish/v1/Systems/1", "", 401)
	root.password = "not this one" // refused before it is a call
	root.do("POST", accounts, `{}`, 401)
	var calls []string
	for rec, err := range audit.Read(filepath.Join(filepath.Dir(srv.ready.CAFile), AuditDir), audit.Filter{Event: "call."}) {
		if err != nil {
			t.Fatal(err)
		}
		calls = append(calls, fmt.Sprintf("%s %s %s %s %d", rec.Event, rec.Caller, rec.Method, rec.Path, rec.Status))
	}
	if want := []string{"call.begin admin POST " + accounts + " 0", "call.end admin POST " + accounts + " 201", "call.begin ann POST " + accounts + " 0"}; len(calls) < 3 || !slices.Equal(calls[:3], want) {
		t.Errorf("the audit has %q, want it to begin with %q", calls, want)
	}
	if line := srv.log.String(); !strings.Contains(line, "caller=ann") || strings.Contains(line, "correct-horse") {
		t.Error("the log does not name ann, or tells her password")
	}
}

// Client certificates, and the server's own, are administered over Redfish too.
func TestTreeAdministersCertificates(t *testing.T) {
	t.Parallel()
	srv, api := startAlone(t)
	base, ctx := srv.ready.URLs["https"], t.Context()
	root := caller{t: t, base: base, client: srv.client(), name: "admin", password: srv.password()}
	root.do("POST", accounts, `{"UserName":"ann","Password":"correct-horse","RoleId":"Operator"}`, 201)
	ca := issue(t, nil, ecKey(t), func(c *x509.Certificate) { c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign })
	mine := issue(t, &ca, ecKey(t), func(c *x509.Certificate) {
		c.Subject.CommonName = "ann"
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	})
	body := func(v any) string {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(srv.caPEM()))
	ann := func() caller {
		tr := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
			RootCAs: pool, Certificates: []tls.Certificate{{Certificate: [][]byte{mine.cert.Raw}, PrivateKey: mine.key}},
		}}
		return caller{t: t, base: base, client: &http.Client{Transport: tr}}
	}
	ann().do("GET", "/redfish/v1/Systems/1", "", 401)
	root.do("POST", "/redfish/v1/AccountService/MultiFactorAuth/ClientCertificate/Certificates",
		body(map[string]string{"CertificateType": "PEM", "CertificateString": ca.pem()}), 201)
	root.do("PATCH", "/redfish/v1/AccountService", `{"MultiFactorAuth":{"ClientCertificate":{"Enabled":true}}}`, 200)
	ann().do("GET", "/redfish/v1/Systems/1", "", 200)
	if list, err := api.CAs(ctx, "tree"); err != nil || len(list) != 1 {
		t.Errorf("CAs: %+v, %v", list, err)
	}

	const shown = "/redfish/v1/Managers/1/NetworkProtocol/HTTPS/Certificates/1"
	own := issue(t, nil, ecKey(t), func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)} })
	root.do("POST", "/redfish/v1/CertificateService/Actions/CertificateService.ReplaceCertificate", body(map[string]any{
		"CertificateType": "PEM", "CertificateString": own.pem() + own.keyText(t), "CertificateUri": map[string]string{"@odata.id": shown},
	}), 204)
	pool.AddCert(own.cert)
	ann().do("GET", "/redfish/v1/Systems/1", "", 200)
	if c, err := api.ServerCertificate(ctx, "tree"); err != nil || c.PEM != own.pem() {
		t.Errorf("shown: %+v, %v", c, err)
	}
	csr := root.do("POST", "/redfish/v1/CertificateService/Actions/CertificateService.GenerateCSR", body(map[string]any{
		"CommonName": "gate.example", "Organization": "Lab", "OrganizationalUnit": "A", "City": "B", "State": "C", "Country": "DE",
		"CertificateCollection": map[string]string{"@odata.id": "/redfish/v1/Managers/1/NetworkProtocol/HTTPS/Certificates"},
	}), 200)
	if text, _ := csr["CSRString"].(string); !strings.Contains(text, "BEGIN CERTIFICATE REQUEST") {
		t.Errorf("CSR: %v", csr)
	}
}

// Who changes the own password keeps the session that it was done with, and loses
// the others. A role of one's own gives what it has, at once.
func TestTreeSessionsAndRoles(t *testing.T) {
	t.Parallel()
	srv, api := startAlone(t)
	base, ctx := srv.ready.URLs["https"], t.Context()
	if _, err := api.CreateRole(ctx, admin.Role{Name: "clerk", Privileges: auth.MayLogIn | auth.ConfigureSelf}); err != nil {
		t.Fatal(err)
	}
	if _, err := api.CreateAccount(ctx, admin.NewAccount{Name: "ann", Role: "clerk", Password: auth.NewSecret("correct-horse")}); err != nil {
		t.Fatal(err)
	}
	client := srv.client()
	login := func() string {
		resp, err := client.Post(base+"/redfish/v1/SessionService/Sessions", "application/json", strings.NewReader(`{"UserName":"ann","Password":"correct-horse"}`))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.Header.Get("X-Auth-Token")
	}
	call := func(token, method, path, body string, want int) {
		t.Helper()
		r, err := http.NewRequest(method, base+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Auth-Token", token)
		r.Header.Set("Content-Type", "application/json")
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s %s: got %d, want %d", method, path, resp.StatusCode, want)
		}
	}
	mine, other := login(), login()
	call(other, "GET", "/redfish/v1/Systems/1", "", 200)
	call(mine, "POST", accounts, `{"UserName":"eve","Password":"correct-horse","RoleId":"clerk"}`, 403)
	call(mine, "PATCH", accounts+"/ann", `{"Password":"battery-staple"}`, 200)
	call(mine, "GET", "/redfish/v1/Systems/1", "", 200)
	call(other, "GET", "/redfish/v1/Systems/1", "", 401)
	if _, err := api.ChangeRole(ctx, admin.Role{Name: "clerk", Privileges: auth.MayLogIn | auth.ConfigureUsers}); err != nil {
		t.Fatal(err)
	}
	call(mine, "POST", accounts, `{"UserName":"eve","Password":"correct-horse","RoleId":"clerk"}`, 201)
}

// Settings of the sessions that were thought out for others are not made.
func TestSetSessionsKnowsItsVersion(t *testing.T) {
	t.Parallel()
	_, api := startAlone(t)
	set := setSessions(api, "tree")
	r, err := api.ListenerRules(t.Context(), "tree")
	if err != nil {
		t.Fatal(err)
	}
	if err := set(t.Context(), redfish.SessionChange{Version: r.Version, Idle: new(time.Hour), Lifetime: new(2 * time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if err := set(t.Context(), redfish.SessionChange{Version: r.Version, Idle: new(time.Minute)}); !errors.Is(err, redfish.ErrChanged) {
		t.Errorf("an old version: got %v, want ErrChanged", err)
	}
	if err := set(t.Context(), redfish.SessionChange{Enabled: new(false)}); err != nil {
		t.Error(err)
	}
	if r, err := api.ListenerRules(t.Context(), "tree"); err != nil || r.SessionIdle != time.Hour || r.SessionLifetime != 2*time.Hour || !r.SessionsDisabled {
		t.Errorf("got %+v, %v", r, err)
	}
}

// At the face of a target the caller's own account is Postern's, and nothing else
// of the account service is shown.
func TestOwnAccountAtTarget(t *testing.T) {
	t.Parallel()
	bmc := startSim(t, io.Discard)
	data := filepath.Join(t.TempDir(), "gw")
	gw := startServer(t, data, deviceTarget(t, bmc.ready.URLs["https"], bmc.caPEM()))
	api := admin.NewClient(func(ctx context.Context) (net.Conn, error) { return DialSocket(ctx, data) })
	t.Cleanup(api.Close)
	_, err := api.CreateAccount(t.Context(), admin.NewAccount{
		Name: "ann", Role: auth.Operator, Password: auth.NewSecret("correct-horse"), MustChangePassword: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	ann := caller{t: t, base: gw.ready.Targets["bmc1"]["https"], client: gw.client(), name: "ann", password: "correct-horse"}
	ann.do("GET", "/redfish/v1/Systems/1", "", 403)
	if own := ann.do("GET", accounts+"/ann", "", 200); own["PasswordChangeRequired"] != true {
		t.Errorf("own account: %v", own)
	}
	ann.do("PATCH", accounts+"/ann", `{"RoleId":"Administrator"}`, 403)
	ann.do("PATCH", accounts+"/ann", `{"Password":"battery-staple"}`, 200)
	ann.do("GET", accounts+"/ann", "", 401)
	ann.password = "battery-staple"
	ann.do("GET", "/redfish/v1/Systems/1", "", 200)
	ann.do("PATCH", accounts+"/ann", `{"RoleId":"Administrator"}`, 403)
	for _, path := range []string{"/redfish/v1/AccountService", accounts, accounts + "/admin", accounts + "/root"} {
		ann.do("GET", path, "", 403)
	}
	root := caller{t: t, base: ann.base, client: ann.client, name: "admin", password: gw.password()}
	root.do("GET", accounts+"/ann", "", 403)
	root.do("DELETE", accounts+"/admin", "", 405)

	// The face has rules of its own.
	r, err := api.ListenerRules(t.Context(), "target:bmc1")
	if err != nil {
		t.Fatal(err)
	}
	r.Basic = admin.BasicDisabled
	if _, err := api.SetListenerRules(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	root.do("GET", "/redfish/v1/Systems/1", "", 401)
}

// A revoked certificate is refused on a connection that was resumed, and on one
// that is still open.
func TestRevocationBitesAtOnce(t *testing.T) {
	t.Parallel()
	srv, api := startAlone(t, config.Listener{Tree: true, Host: loopback, ClientCertificates: config.CertificatesOn})
	ctx := t.Context()
	ca := issue(t, nil, ecKey(t), func(c *x509.Certificate) {
		c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
		c.Subject.CommonName = "Lab"
	})
	trusted, err := api.AddCA(ctx, admin.NewCA{PEM: ca.pem()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := api.CreateAccount(ctx, admin.NewAccount{Name: "ann", Role: auth.Operator, Password: auth.NewSecret("correct-horse")}); err != nil {
		t.Fatal(err)
	}
	mine := issue(t, &ca, ecKey(t), func(c *x509.Certificate) {
		c.Subject.CommonName = "ann"
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	})
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(srv.caPEM()))
	conf := &tls.Config{
		RootCAs: pool, ClientSessionCache: tls.NewLRUClientSessionCache(1),
		Certificates: []tls.Certificate{{Certificate: [][]byte{mine.cert.Raw}, PrivateKey: mine.key}},
	}
	open := func(keep bool) caller {
		tr := &http.Transport{TLSClientConfig: conf.Clone(), DisableKeepAlives: !keep}
		t.Cleanup(tr.CloseIdleConnections)
		return caller{t: t, base: srv.ready.URLs["https"], client: &http.Client{Transport: tr}}
	}
	kept := open(true)
	kept.do("GET", "/redfish/v1/Systems/1", "", 200)
	open(false).do("GET", "/redfish/v1/Systems/1", "", 200)
	if err := api.SetCRL(ctx, trusted.ID, crl(t, ca, mine)); err != nil {
		t.Fatal(err)
	}
	kept.do("GET", "/redfish/v1/Systems/1", "", 401)
	open(false).do("GET", "/redfish/v1/Systems/1", "", 401)
}

// A User Principal Name is of a listener by the name that the configuration gives it.
func TestUserPrincipalNames(t *testing.T) {
	t.Parallel()
	ca := issue(t, nil, ecKey(t), func(c *x509.Certificate) { c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign })
	// SEQUENCE { [0] { 1.3.6.1.4.1.311.20.2.3, [0] "operator1@lab.example.net" } }
	san, err := hex.DecodeString("302ba029060a2b060104018237140203a01b0c196f70657261746f7231406c61622e6578616d706c652e6e6574")
	if err != nil {
		t.Fatal(err)
	}
	mine := issue(t, &ca, ecKey(t), func(c *x509.Certificate) {
		c.DNSNames, c.ExtKeyUsage = nil, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: san}}
	})
	for names, want := range map[string]int{"*.lab.example.net gate.lab.example.net": 200, "gate.example.net": 401, "*.lab.example.net": 401} {
		srv, api := startAlone(t, config.Listener{Tree: true, Host: loopback, Names: strings.Fields(names), ClientCertificates: config.CertificatesOn})
		if _, err := api.AddCA(t.Context(), admin.NewCA{PEM: ca.pem()}); err != nil {
			t.Fatal(err)
		}
		if _, err := api.CreateAccount(t.Context(), admin.NewAccount{Name: "operator1", Role: auth.Operator, Password: auth.NewSecret("correct-horse")}); err != nil {
			t.Fatal(err)
		}
		r, err := api.ListenerRules(t.Context(), "tree")
		if err != nil {
			t.Fatal(err)
		}
		r.Mapping = admin.MapUserPrincipalName
		if _, err := api.SetListenerRules(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM([]byte(srv.caPEM()))
		tr := &http.Transport{TLSClientConfig: &tls.Config{
			RootCAs: pool, Certificates: []tls.Certificate{{Certificate: [][]byte{mine.cert.Raw}, PrivateKey: mine.key}},
		}}
		t.Cleanup(tr.CloseIdleConnections)
		t.Log(names)
		caller{t: t, base: srv.ready.URLs["https"], client: &http.Client{Transport: tr}}.do("GET", "/redfish/v1/Systems/1", "", want)
	}
}

func TestFetchIsBounded(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("/list", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s", r.Method, r.Header.Get("Content-Type"), body)
	})
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/list", http.StatusFound) })
	mux.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
	})
	var rounds atomic.Int32
	mux.HandleFunc("/round", func(w http.ResponseWriter, r *http.Request) {
		rounds.Add(1)
		http.Redirect(w, r, "/round", http.StatusFound)
	})
	mux.HandleFunc("/huge", func(w http.ResponseWriter, r *http.Request) { w.Write(make([]byte, trust.MaxCRL+1)) })
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	if got, err := fetch(t.Context(), "POST", srv.URL+"/list", "application/ocsp-request", []byte("ask")); err != nil || string(got) != "POST application/ocsp-request ask" {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := fetch(t.Context(), "GET", srv.URL+"/moved", "", nil); err != nil || string(got) != "GET  " {
		t.Errorf("moved: got %q, %v", got, err)
	}
	for _, path := range []string{"/file", "/round", "/huge", "/nothing"} {
		if got, err := fetch(t.Context(), "GET", srv.URL+path, "", nil); err == nil {
			t.Errorf("%s: got %d bytes", path, len(got))
		}
	}
	if n := rounds.Load(); n > maxRedirects+1 {
		t.Errorf("followed %d redirects", n-1)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := fetch(gone, "GET", srv.URL+"/list", "", nil); err == nil {
		t.Error("fetched after the end of the context")
	}
}

// A listener's certificate of the configuration that cannot be one stops the start.
func TestConfiguredCertificate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	own, other := issue(t, nil, ecKey(t), nil), issue(t, nil, ecKey(t), nil)
	cert, key := file("cert", own.pem()), file("key", own.keyText(t))
	srv, api := startAlone(t, config.Listener{Tree: true, Host: loopback, CertFile: cert, KeyFile: key})
	if c, err := api.ServerCertificate(t.Context(), "tree"); err != nil || c.PEM != own.pem() {
		t.Errorf("got %+v, %v", c, err)
	}
	srv.end()
	for want, l := range map[string]config.Listener{
		"belong together":  {CertFile: cert, KeyFile: file("other", other.keyText(t))},
		"cert_file":        {CertFile: filepath.Join(dir, "nothing"), KeyFile: key},
		"key_file":         {CertFile: cert, KeyFile: filepath.Join(dir, "nothing")},
		"no private key":   {CertFile: cert, KeyFile: cert},
		"more than 65536 ": {CertFile: file("huge", strings.Repeat("x", maxChain+1)), KeyFile: key},
	} {
		l.Tree, l.Host = true, loopback
		err := Run(t.Context(), Config{Data: filepath.Join(t.TempDir(), "x"), Listeners: []config.Listener{l}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
