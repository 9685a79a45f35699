//go:build integration

package interop

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"os"
	"strings"
	"testing"
	"time"
)

// A door is a place where clients may come in with a certificate, and the way in
// which its administrator rules it.
type door struct {
	endpoint
	keeper
	device string // for the table
	way    string
	w      *world
	log    func() string // what the process wrote so far
}

// A keeper administers a door.
type keeper interface {
	addCA(t *testing.T, file string, more ...string) (id string, err error)
	removeCA(t *testing.T, id string)
	addAccount(t *testing.T, name, role, passwordFile string, enabled bool)
	enable(t *testing.T, name string, yes bool)
	addCertificate(t *testing.T, account, file string)
	removeCertificates(t *testing.T, account string)
	mapping(t *testing.T, kind string)
}

// byCommand is `postern ca|account|listener`, beside the running server.
type byCommand struct {
	w        *world
	data     string
	listener string
}

func (k byCommand) must(t *testing.T, args ...string) string {
	t.Helper()
	out, err := k.w.run(append(args, "--data", k.data)...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (k byCommand) addCA(_ *testing.T, file string, more ...string) (string, error) {
	out, err := k.w.run(append([]string{"ca", "add", file, "--data", k.data}, more...)...)
	return strings.TrimSpace(out), err
}

func (k byCommand) removeCA(t *testing.T, id string) { k.must(t, "ca", "remove", id) }

func (k byCommand) addAccount(t *testing.T, name, role, passwordFile string, enabled bool) {
	args := []string{"account", "add", name, "--role", role, "--password-file", passwordFile}
	if !enabled {
		args = append(args, "--disabled")
	}
	k.must(t, args...)
}

func (k byCommand) enable(t *testing.T, name string, yes bool) {
	k.must(t, "account", map[bool]string{true: "enable", false: "disable"}[yes], name)
}

func (k byCommand) addCertificate(t *testing.T, account, file string) {
	k.must(t, "account", "cert", "add", account, file)
}

func (k byCommand) removeCertificates(t *testing.T, account string) {
	var all []struct{ ID string }
	if err := json.Unmarshal([]byte(k.must(t, "account", "cert", "list", account, "--output", "json")), &all); err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		k.must(t, "account", "cert", "remove", account, c.ID)
	}
}

// set changes rules of the listener.
func (k byCommand) set(t *testing.T, flags ...string) {
	t.Helper()
	k.must(t, append([]string{"listener", "set", k.listener}, flags...)...)
}

func (k byCommand) mapping(t *testing.T, kind string) {
	k.set(t, "--mapping", map[string]string{"CommonName": "cn", "Whole": "whole", "UserPrincipalName": "upn"}[kind])
}

// causes are the details of all recorded attempts.
func (k byCommand) causes(t *testing.T) string {
	t.Helper()
	var text strings.Builder
	s := bufio.NewScanner(strings.NewReader(k.must(t, "audit", "show", "--event", "attempt", "--output", "json")))
	for s.Scan() {
		var r struct{ Outcome, Detail string }
		if err := json.Unmarshal(s.Bytes(), &r); err != nil {
			t.Fatalf("audit: %q: %v", s.Bytes(), err)
		}
		fmt.Fprintln(&text, r.Outcome, r.Detail)
	}
	return text.String()
}

// byRedfish is the service's own API.
type byRedfish struct {
	w *world
	e endpoint
}

const accountService = "/redfish/v1/AccountService"

func (k byRedfish) must(t *testing.T, method, path string, body any) answer {
	t.Helper()
	a, err := k.e.call(k.e.client(t), method, path, body)
	if err != nil || a.status >= 300 {
		t.Fatalf("%s %s: status %d, %v: %s", method, path, a.status, err, a.body)
	}
	return a
}

func pemText(t *testing.T, file string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{"CertificateType": "PEM", "CertificateString": string(text)}
}

func (k byRedfish) addCA(t *testing.T, file string, _ ...string) (string, error) {
	t.Helper()
	a, err := k.e.call(k.e.client(t), "POST", clientCAs, pemText(t, file))
	if err == nil && a.status != http.StatusCreated {
		err = fmt.Errorf("status %d: %s", a.status, a.body)
	}
	return strings.TrimPrefix(a.header.Get("Location"), k.e.base), err
}

func (k byRedfish) removeCA(t *testing.T, id string) { k.must(t, "DELETE", id, nil) }

func (k byRedfish) addAccount(t *testing.T, name, role, passwordFile string, enabled bool) {
	password := strings.TrimSpace(k.w.read(passwordFile))
	k.must(t, "POST", accountService+"/Accounts", map[string]any{"UserName": name, "Password": password, "RoleId": role, "Enabled": enabled})
}

func (k byRedfish) enable(t *testing.T, name string, yes bool) {
	k.must(t, "PATCH", accountService+"/Accounts/"+name, map[string]any{"Enabled": yes})
}

func (k byRedfish) addCertificate(t *testing.T, account, file string) {
	k.must(t, "POST", accountService+"/Accounts/"+account+"/Certificates", pemText(t, file))
}

func (k byRedfish) removeCertificates(t *testing.T, account string) {
	for _, m := range members(t, k.must(t, "GET", accountService+"/Accounts/"+account+"/Certificates", nil)) {
		k.must(t, "DELETE", m, nil)
	}
}

func (k byRedfish) mapping(t *testing.T, kind string) {
	k.must(t, "PATCH", accountService, clientCertificate("CertificateMappingAttribute", kind))
}

func clientCertificate(property string, value any) map[string]any {
	return map[string]any{"MultiFactorAuth": map[string]any{"ClientCertificate": map[string]any{property: value}}}
}

// members are the paths in a collection.
func members(t *testing.T, a answer) []string {
	t.Helper()
	var list struct {
		Members []struct {
			Path string `json:"@odata.id"`
		}
	}
	if err := json.Unmarshal(a.body, &list); err != nil {
		t.Fatalf("%s: %v", a.body, err)
	}
	var paths []string
	for _, m := range list.Members {
		paths = append(paths, m.Path)
	}
	return paths
}

// A visitor shows one certificate, or none, and keeps its connection and its TLS
// session.
type visitor struct {
	endpoint
	client *http.Client
	tr     *http.Transport
}

func (e endpoint) visitor(t *testing.T, c credential) *visitor {
	t.Helper()
	pool := x509.NewCertPool()
	text, err := os.ReadFile(e.ca)
	if err != nil || !pool.AppendCertsFromPEM(text) {
		t.Fatalf("%s: %v", e.ca, err)
	}
	conf := &tls.Config{RootCAs: pool, ClientSessionCache: tls.NewLRUClientSessionCache(4)}
	if c.cert != "" {
		pair, err := tls.LoadX509KeyPair(c.cert, c.key)
		if err != nil {
			t.Fatal(err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	tr := &http.Transport{TLSClientConfig: conf, DisableCompression: true, MaxIdleConnsPerHost: 1}
	t.Cleanup(tr.CloseIdleConnections)
	return &visitor{endpoint: e, client: &http.Client{Transport: tr, Timeout: 30 * time.Second}, tr: tr}
}

// hangUp closes the connection; the next one resumes the TLS session.
func (v *visitor) hangUp() { v.tr.CloseIdleConnections() }

// A visit is what came of one request.
type visit struct {
	status int
	kept   bool // over the connection of the request before
	resume bool // over a resumed TLS session
	leaf   *x509.Certificate
	body   string
}

func (v *visitor) get(path string, header ...string) (visit, error) {
	r, err := http.NewRequest("GET", v.base+path, nil)
	if err != nil {
		return visit{}, err
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	var got visit
	r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		GotConn: func(i httptrace.GotConnInfo) { got.kept = i.Reused },
	}))
	resp, err := v.client.Do(r)
	if err != nil {
		return visit{}, err
	}
	defer resp.Body.Close()
	data := new(strings.Builder)
	if _, err := bufio.NewReader(resp.Body).WriteTo(data); err != nil {
		return visit{}, err
	}
	got.status, got.resume, got.leaf, got.body = resp.StatusCode, resp.TLS.DidResume, resp.TLS.PeerCertificates[0], data.String()
	return got, nil
}

// wants makes one request for the systems and says how it must end.
func (v *visitor) wants(t *testing.T, what string, want visit, header ...string) {
	t.Helper()
	got, err := v.get(systems, header...)
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	if got.status != want.status || got.kept != want.kept || got.resume != want.resume {
		t.Errorf("%s: got status %d, connection kept %t, session resumed %t; want %d, %t, %t: %.300s",
			what, got.status, got.kept, got.resume, want.status, want.kept, want.resume, got.body)
	}
}

// wantsNoHandshake is for a door that lets in nobody without a good certificate.
// In TLS 1.3 the client is told with its first read.
func (v *visitor) wantsNoHandshake(t *testing.T, what string) {
	t.Helper()
	c, err := tls.Dial("tcp", v.host(), v.tr.TLSClientConfig)
	if err == nil {
		defer c.Close()
		c.SetDeadline(time.Now().Add(rawLimit))
		_, err = c.Read(make([]byte, 1))
	}
	if err == nil || !strings.Contains(err.Error(), "remote error: tls:") {
		t.Errorf("%s: got %v, want a TLS alert", what, err)
	}
}
