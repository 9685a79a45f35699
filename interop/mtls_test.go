//go:build integration

package interop

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// cards are the certificates that clients show in the tests below, each signed
// by openssl as its manual has it.
type cards struct {
	rsa, ec     *authority
	asked       *authority // whose responder is asked
	rsaCard     credential // X.509 v1, RSA-2048, CN=student
	ecCard      credential
	adminCard   credential // CN=root
	upnCard     credential
	own         credential // self-signed, of no CA
	revoked     credential
	resumed     credential // revoked too; for the resumed connection
	list        string     // the CRL that names these two
	bad         []badCard
	strange     credential // of the unknown CA too; shown in strict mode alone
	stranger    *authority
	ocspGood    credential
	ocspRevoked credential
	ocspSilent  credential
}

// A badCard is refused everywhere, for a reason.
type badCard struct {
	what string
	credential
	cause string // in log and audit
}

func newCards(t *testing.T) *cards {
	t.Helper()
	server := newOCSPServer(t)
	c := &cards{
		rsa:   newAuthority(t, "RSA CA", rsaKey, server.URL),
		ec:    newAuthority(t, "EC CA", ecKey, server.URL),
		asked: newAuthority(t, "Asked CA", ecKey, server.URL),
	}
	server.authority = c.asked
	stranger := newAuthority(t, "Stranger", ecKey, server.URL)
	c.rsaCard = c.rsa.plain("student", "student", rsaKey)
	c.ecCard = c.ec.issue("student", "student", "client")
	c.adminCard = c.ec.issue("root", "root", "client")
	c.upnCard = c.ec.issue("upn", "whoever", "upn")
	c.own, c.stranger = stranger.credential, stranger
	c.strange = stranger.issue("strange", "student", "client")
	c.revoked = c.ec.issue("revoked", "student", "client")
	c.resumed = c.ec.issue("resumed", "student", "client")
	c.ec.revoke(c.revoked)
	c.ec.revoke(c.resumed)
	c.list = c.ec.list()
	past := []string{"-startdate", "20200101000000Z", "-enddate", "20210101000000Z"}
	future := []string{"-startdate", "20900101000000Z", "-enddate", "20910101000000Z"}
	c.bad = []badCard{
		{"unknown CA", stranger.issue("stranger", "student", "client"), "no trusted CA"},
		{"expired", c.ec.issue("expired", "student", "client", past...), "has expired"},
		{"not yet valid", c.ec.issue("early", "student", "client", future...), "not valid yet"},
		{"CN without an account", c.ec.issue("nobody", "nobody", "client"), "names no account"},
		{"disabled account", c.ec.issue("idle", "idle", "client"), "account is disabled"},
		{"EKU of a server alone", c.ec.issue("server", "student", "server"), "lacks clientAuth"},
		{"issuer of X.509 v1", c.ec.viaV1("viav1", "student"), "no trusted CA"},
	}
	c.ocspGood = c.asked.issue("good", "student", "ocsp")
	c.ocspRevoked = c.asked.issue("bad", "student", "ocsp")
	c.asked.revoke(c.ocspRevoked)
	c.ocspSilent = c.asked.issue("silent", "student", "client") // names no responder
	return c
}

// host is the name of the listener that the UPN's domain is judged by.
const certificateListener = "listeners:\n  - address: 127.0.0.1\n    next: %s\n    names: [bmc7.lab.example.net]\n"

// Clients come in with a certificate in place of a password, wherever we listen.
func TestClientCertificates(t *testing.T) {
	t.Parallel()
	c := newCards(t)
	t.Run("alone", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s := w.server()
		k := byCommand{w, s.data, "tree"}
		d := &door{endpoint: s.endpoint, keeper: k, device: "postern serve", way: "direct", w: w, log: s.log}
		c.try(t, d)
		s.stop()
		config := w.path("tree.yaml")
		w.write(config, fmt.Sprintf(certificateListener, "tree"))
		p, r := w.startReady("server", "serve", "--config", config, "--data", s.data)
		d.base, d.log = r.URLs["https"], p.log
		c.tryCommands(t, d, k)
	})
	t.Run("gateway", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		device := w.sim("--slots", "4")
		g := w.gateway(device.target())
		other := fmt.Sprintf("  - name: bmc2\n    url: https://127.0.0.1:%d\n    user: root\n    password_file: %s\n", freePort(t), device.pwFile)
		w.write(g.config, w.read(g.config)+other+fmt.Sprintf(certificateListener, "targets"))
		g.up(w)
		k := byCommand{w, g.data, "target:bmc1"}
		d := &door{endpoint: g.endpoint, keeper: k, device: simulator, way: "gateway", w: w, log: g.log}
		c.try(t, d)
		c.tryCommands(t, d, k)
		// A CA that counts at the other target does not count here.
		k.set(t, "--client-certificates", "on")
		k.must(t, "ca", "add", c.stranger.cert, "--listener", "target:bmc2")
		d.visitor(t, c.strange).wants(t, "a CA of another listener", visit{status: http.StatusUnauthorized})
		checkOneLogin(t, device)
	})
	t.Run("simulator", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s := w.sim("--client-ca", c.ec.cert)
		d := &door{endpoint: s.endpoint, keeper: byRedfish{w, s.endpoint}, device: simulator, way: "direct", w: w, log: s.log}
		c.try(t, d)
		c.tryStrictByRedfish(t, d)
	})
}

func (p *proc) log() string {
	data, _ := os.ReadFile(p.output)
	return string(data)
}

// try is what holds at every door.
func (c *cards) try(t *testing.T, d *door) {
	_, file := d.w.password("student password")
	d.addAccount(t, "student", "Administrator", file, true)
	d.addAccount(t, "idle", "Administrator", file, false)
	rsaID, err := d.addCA(t, c.rsa.cert)
	if err != nil {
		t.Fatal(err)
	}
	if k, ok := d.keeper.(byCommand); ok {
		if _, err := d.addCA(t, c.ec.cert); err != nil {
			t.Fatal(err)
		}
		d.noneIsAsked(t, c.ecCard)
		k.set(t, "--client-certificates", "on")
	}
	if _, err := d.addCA(t, c.ec.made("v1").cert); err == nil {
		t.Error("a certificate of X.509 v1 was taken for a CA")
	}
	d.record(t, "curl", "client certificate (openssl req, x509 -req; RSA-2048 and P-256): Systems without a password", c.good)
	d.record(t, "redfish", "client certificate through https_adapter, without login(): list, read, reset; no session is made", c.library)
	d.record(t, "curl", "client certificates that are refused, 401: "+badNames(c.bad), c.refused)
	d.record(t, "curl", "client certificate of the account itself, self-signed (mapping Whole)", c.whole)
	d.tokenOfAnother(t, c.ecCard)

	v := d.visitor(t, c.ecCard)
	v.wants(t, "a good certificate", visit{status: http.StatusOK})
	d.enable(t, "student", false)
	v.wants(t, "its account was disabled", visit{status: http.StatusUnauthorized, kept: true})
	d.enable(t, "student", true)
	v.wants(t, "its account was enabled again", visit{status: http.StatusOK, kept: true})

	v = d.visitor(t, c.rsaCard)
	v.wants(t, "a good certificate", visit{status: http.StatusOK})
	v.hangUp()
	v.wants(t, "resumed", visit{status: http.StatusOK, resume: true})
	d.removeCA(t, rsaID)
	v.wants(t, "its CA was removed, connection kept", visit{status: http.StatusUnauthorized, kept: true, resume: true})
	v.hangUp()
	v.wants(t, "its CA was removed, session resumed", visit{status: http.StatusUnauthorized, resume: true})
}

func badNames(all []badCard) string {
	var names []string
	for _, b := range all {
		names = append(names, b.what)
	}
	return strings.Join(names, ", ")
}

func (d *door) record(t *testing.T, client, what string, run func(*testing.T, *door) error) {
	scene{client, what, func(t *testing.T, _ *world, _ endpoint) error { return run(t, d) }}.
		record(t, d.w, d.endpoint, d.device, d.way)
}

// curl reads the systems with a certificate and no password.
func (d *door) curl(t *testing.T, c credential) (status string, err error) {
	t.Helper()
	out, err := runClient(t, nil, tool(t, "curl"), "--silent", "--show-error", "--output", "/dev/null", "--write-out", "%{http_code}",
		"--cacert", d.ca, "--cert", c.cert, "--key", c.key, d.base+systems)
	return string(out), err
}

func (d *door) curls(t *testing.T, what string, c credential, want string) error {
	t.Helper()
	if got, err := d.curl(t, c); err != nil || got != want {
		return fmt.Errorf("%s: got status %s, %v, want %s", what, got, err, want)
	}
	return nil
}

func (c *cards) good(t *testing.T, d *door) error {
	return errors.Join(d.curls(t, "RSA", c.rsaCard, "200"), d.curls(t, "P-256", c.ecCard, "200"))
}

func (c *cards) library(t *testing.T, d *door) error {
	e := d.endpoint
	_, err := pythonWith(t, e, []string{"POSTERN_CERT=" + c.ecCard.cert, "POSTERN_KEY=" + c.ecCard.key}, "redfish_certificate.py")
	return err
}

func (c *cards) refused(t *testing.T, d *door) error {
	var all []error
	for _, b := range c.bad {
		all = append(all, d.curls(t, b.what, b.credential, "401"))
	}
	all = append(all, d.caused(t, c.bad...))
	return errors.Join(all...)
}

// caused wants the cause of each refusal in the log, and where there is one in
// the audit.
func (d *door) caused(t *testing.T, bad ...badCard) error {
	t.Helper()
	places := map[string]string{"log": d.log()}
	if k, ok := d.keeper.(byCommand); ok {
		places["audit"] = k.causes(t)
	}
	var all []error
	for place, text := range places {
		for _, b := range bad {
			print := b.fingerprint(t)
			if !slices.ContainsFunc(strings.Split(text, "\n"), func(line string) bool {
				return strings.Contains(line, "refused") && strings.Contains(line, print) && strings.Contains(line, b.cause)
			}) {
				all = append(all, fmt.Errorf("%s: the %s has no refusal of %s with %q", b.what, place, print, b.cause))
			}
		}
	}
	return errors.Join(all...)
}

// whole registers certificates with the account. One of the CA that is not
// registered is nobody's then.
func (c *cards) whole(t *testing.T, d *door) error {
	d.addCertificate(t, "student", c.own.cert)
	d.mapping(t, "Whole")
	defer d.mapping(t, "CommonName")
	err := errors.Join(d.curls(t, "registered", c.own, "200"), d.curls(t, "not registered", c.ecCard, "401"),
		d.caused(t, badCard{"not registered", c.ecCard, "names no account"}))
	d.removeCertificates(t, "student")
	return errors.Join(err, d.curls(t, "no longer registered", c.own, "401"))
}

// noneIsAsked: a listener that does not take certificates does not ask for any.
func (d *door) noneIsAsked(t *testing.T, c credential) {
	t.Helper()
	d.visitor(t, c).wants(t, "certificates are off", visit{status: http.StatusUnauthorized})
}

// tokenOfAnother: a token decides alone, and the certificate of somebody else on
// its connection is a sign that it was stolen.
func (d *door) tokenOfAnother(t *testing.T, c credential) {
	t.Helper()
	token, location := d.login(t, d.client(t))
	d.w.secret("token of a session", token)
	d.visitor(t, c).wants(t, "token of another account", visit{status: http.StatusUnauthorized}, "X-Auth-Token", token)
	d.visitor(t, credential{}).wants(t, "the same without a certificate", visit{status: http.StatusOK}, "X-Auth-Token", token)
	if a, err := d.call(d.client(t), "DELETE", strings.TrimPrefix(location, d.base), nil); err != nil || a.status >= 300 {
		t.Errorf("logout: status %d, %v", a.status, err)
	}
}

// tryCommands is what holds where `postern` administers: revocation, UPN, strict.
func (c *cards) tryCommands(t *testing.T, d *door, k byCommand) {
	d.record(t, "curl", "client certificate with a User Principal Name", func(t *testing.T, d *door) error {
		k.set(t, "--mapping", "upn")
		defer k.set(t, "--mapping", "cn")
		return errors.Join(d.curls(t, "UPN", c.upnCard, "200"), d.curls(t, "no UPN", c.ecCard, "401"),
			d.caused(t, badCard{"no UPN", c.ecCard, "does not name one account"}))
	})
	d.record(t, "curl", "client certificates judged by `openssl ocsp`, an answer required: good, revoked, no responder", func(t *testing.T, d *door) error {
		if _, err := d.addCA(t, c.asked.cert, "--ocsp", "required", "--listener", k.listener); err != nil {
			return err
		}
		return errors.Join(d.curls(t, "good", c.ocspGood, "200"), d.curls(t, "revoked", c.ocspRevoked, "401"),
			d.curls(t, "no responder", c.ocspSilent, "401"),
			d.caused(t, badCard{"revoked", c.ocspRevoked, "revoked"}, badCard{"no responder", c.ocspSilent, "no OCSP answer"}))
	})

	// A CRL bites on kept connections and resumed sessions.
	kept, resumed, good := d.visitor(t, c.revoked), d.visitor(t, c.resumed), d.visitor(t, c.ecCard)
	for _, v := range []*visitor{kept, resumed, good} {
		v.wants(t, "before the list", visit{status: http.StatusOK})
	}
	resumed.hangUp()
	k.must(t, "ca", "crl", k.idOf(t, "EC CA"), c.list)
	kept.wants(t, "revoked, connection kept", visit{status: http.StatusUnauthorized, kept: true})
	resumed.wants(t, "revoked, session resumed", visit{status: http.StatusUnauthorized, resume: true})
	good.wants(t, "not in the list", visit{status: http.StatusOK, kept: true})
	if err := d.caused(t, badCard{"kept", c.revoked, "is in the list"}, badCard{"resumed", c.resumed, "is in the list"}); err != nil {
		t.Error(err)
	}

	// Strict: nobody without a good one gets through the handshake.
	k.set(t, "--client-certificates", "required")
	d.strict(t, c)
	k.refusedHandshake(t, d.visitor(t, c.strange), c.strange)
	k.set(t, "--client-certificates", "off")
	d.noneIsAsked(t, c.ecCard)
}

// refusedHandshake wants a record of a handshake that was refused: who came from
// where, with which certificate.
func (k byCommand) refusedHandshake(t *testing.T, v *visitor, c credential) {
	t.Helper()
	v.wantsNoHandshake(t, "strict, for the record")
	out := k.must(t, "audit", "show", "--event", "attempt", "--output", "json")
	for line := range strings.Lines(out) {
		if strings.Contains(line, c.fingerprint(t)) {
			if !strings.Contains(line, `"source":"127.0.0.1"`) || !strings.Contains(line, `"outcome":"refused"`) {
				t.Errorf("the record of a refused handshake: %s", line)
			}
			return
		}
	}
	t.Errorf("a refused handshake is not recorded: %s", out)
}

// idOf finds a CA by its name.
func (k byCommand) idOf(t *testing.T, cn string) string {
	t.Helper()
	for line := range strings.Lines(k.must(t, "ca", "list")) {
		if strings.Contains(line, "CN="+cn) {
			return strings.Fields(line)[0]
		}
	}
	t.Fatalf("no CA %s is listed", cn)
	return ""
}

// strict is what holds while a certificate is required.
func (d *door) strict(t *testing.T, c *cards) {
	t.Helper()
	v := d.visitor(t, c.ecCard)
	v.wants(t, "strict, good", visit{status: http.StatusOK})
	v.hangUp()
	v.wants(t, "strict, good, resumed", visit{status: http.StatusOK, resume: true})
	d.visitor(t, credential{}).wantsNoHandshake(t, "strict, none")
	for _, b := range c.bad {
		d.visitor(t, b.credential).wantsNoHandshake(t, "strict, "+b.what)
	}
	d.enable(t, "student", false)
	v.hangUp()
	v.wantsNoHandshake(t, "strict, resumed, account disabled")
	d.enable(t, "student", true)
	if _, err := d.curl(t, c.bad[0].credential); err == nil {
		t.Error("strict, unknown CA: curl was answered")
	} else if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || !slices.Contains([]int{35, 55, 56}, exit.ExitCode()) {
		t.Errorf("strict, unknown CA: curl ended with %v, want a failed handshake, read or write", err)
	}
}

// tryStrictByRedfish sets strict mode as its own rule wants it: by somebody who
// has shown a good certificate, and so is not locked out by it.
func (c *cards) tryStrictByRedfish(t *testing.T, d *door) {
	strict := func(client *http.Client, on bool) int {
		e := d.endpoint
		a, err := e.call(client, "PATCH", accountService, clientCertificate("RespondToUnauthenticatedClients", !on))
		if err != nil {
			t.Fatal(err)
		}
		return a.status
	}
	if got := strict(d.client(t), true); got < 400 {
		t.Errorf("strict mode set without a certificate: status %d, want a refusal", got)
	}
	admin := d.visitor(t, c.adminCard).client
	if got := strict(admin, true); got >= 300 {
		t.Fatalf("strict mode set with a certificate: status %d", got)
	}
	open := *d
	open.keeper = byVisitor{byRedfish{d.w, d.endpoint}, admin}
	open.strict(t, c)
	if got := strict(admin, false); got >= 300 {
		t.Errorf("strict mode ended: status %d", got)
	}
	d.visitor(t, credential{}).wants(t, "no longer strict", visit{status: http.StatusUnauthorized})
}

// byVisitor is byRedfish with a certificate on the connection.
type byVisitor struct {
	byRedfish
	client *http.Client
}

func (k byVisitor) enable(t *testing.T, name string, yes bool) {
	t.Helper()
	a, err := k.e.call(k.client, "PATCH", accountService+"/Accounts/"+name, map[string]any{"Enabled": yes})
	if err != nil || a.status >= 300 {
		t.Fatalf("PATCH of %s: status %d, %v: %s", name, a.status, err, a.body)
	}
}
