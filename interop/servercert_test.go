//go:build integration

package interop

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
)

const certificateActions = "/redfish/v1/CertificateService/Actions/CertificateService."

// shop makes server certificates with openssl.
type shop struct {
	*authority
	made int
}

func newShop(t *testing.T) *shop {
	return &shop{authority: newAuthority(t, "Server CA", rsaKey, "http://127.0.0.1:9/")}
}

// sign signs a request as it is, the names in it too.
func (s *shop) sign(t *testing.T, csr string) (file string) {
	t.Helper()
	s.made++
	name := fmt.Sprintf("server-%d", s.made)
	if err := os.WriteFile(s.authority.dir+"/"+name+".csr", []byte(csr), 0o600); err != nil {
		t.Fatal(err)
	}
	openssl(t, s.dir, "req", "-in", name+".csr", "-noout", "-verify")
	openssl(t, s.dir, "x509", "-req", "-in", name+".csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
		"-copy_extensions", "copy", "-out", name+".pem", "-days", "30")
	return s.authority.made(name).cert
}

// pair makes key and certificate together.
func (s *shop) pair(t *testing.T) credential {
	t.Helper()
	s.made++
	name := fmt.Sprintf("pair-%d", s.made)
	openssl(t, s.dir, "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", name+".key", "-out", name+".csr",
		"-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
	openssl(t, s.dir, "x509", "-req", "-in", name+".csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
		"-copy_extensions", "copy", "-out", name+".pem", "-days", "30")
	return s.authority.made(name)
}

// shows wants openssl to see the certificate in the file at the next handshake,
// and to verify it by the CA.
func (e endpoint) shows(t *testing.T, what, file, ca string) error {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	out := openssl(t, t.TempDir(), "s_client", "-connect", e.host(), "-CAfile", ca, "-verify_return_error", "-verify_ip", "127.0.0.1")
	_, shown, _ := strings.Cut(out, "Server certificate\n")
	if got, want := leafOf(t, shown), leafOf(t, string(text)); !got.Equal(want) {
		return fmt.Errorf("%s: openssl s_client sees %v (%d), want %v (%d)", what, got.Subject, got.SerialNumber, want.Subject, want.SerialNumber)
	}
	return nil
}

// keeps wants the connection of a visitor to go on.
func (v *visitor) keeps(what string) error {
	got, err := v.get("/redfish/v1/")
	if err == nil && (got.status != http.StatusOK || !got.kept) {
		err = fmt.Errorf("status %d, connection kept %t", got.status, got.kept)
	}
	if err != nil {
		return fmt.Errorf("%s: the old connection: %w", what, err)
	}
	return nil
}

// csr asks for a signing request by the service's own action.
func (k byRedfish) csr(t *testing.T) string {
	t.Helper()
	a := k.must(t, "POST", certificateActions+"GenerateCSR", map[string]any{
		"CertificateCollection": map[string]string{"@odata.id": httpsCertificates}, "CommonName": "127.0.0.1",
		"AlternativeNames": []string{"127.0.0.1"}, "Organization": "Lab", "OrganizationalUnit": "Racks", "City": "Ulm",
		"State": "BW", "Country": "DE", "KeyPairAlgorithm": "TPM_ALG_RSA", "KeyBitLength": 2048,
	})
	var made struct{ CSRString string }
	if err := json.Unmarshal(a.body, &made); err != nil {
		t.Fatal(err)
	}
	return made.CSRString
}

func (k byRedfish) replace(t *testing.T, text string) {
	t.Helper()
	k.must(t, "POST", certificateActions+"ReplaceCertificate", map[string]any{
		"CertificateUri": map[string]string{"@odata.id": httpsCertificates + "/1"}, "CertificateType": "PEM", "CertificateString": text,
	})
}

// The certificate of a running service is replaced over Redfish: by one for its
// own key, and by one that comes with a key.
func TestServerCertificateByRedfish(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*testing.T, *world) (endpoint, func() endpoint){
		"postern serve": func(t *testing.T, w *world) (endpoint, func() endpoint) {
			s := w.server()
			return s.endpoint, func() endpoint { s.stop(); return w.server().endpoint }
		},
		simulator: func(t *testing.T, w *world) (endpoint, func() endpoint) {
			d := w.sim()
			return d.endpoint, func() endpoint {
				d.stop()
				_, r := w.startReady("sim", "sim", "redfish", "--data", w.path("sim"), "--user", "root", "--password-file", d.pwFile)
				e := d.endpoint
				e.base = r.URLs["https"]
				return e
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, shop := newWorld(t), newShop(t)
			e, restart := start(t, w)
			scene{"openssl", "server certificate by GenerateCSR, x509 -req and ReplaceCertificate: s_client sees it at the next handshake, a restart keeps it",
				func(t *testing.T, w *world, e endpoint) error { return replaceByRedfish(t, w, e, shop, restart) }}.
				record(t, w, e, name, "direct")
		})
	}
}

func replaceByRedfish(t *testing.T, w *world, e endpoint, shop *shop, restart func() endpoint) error {
	v := e.visitor(t, credential{})
	if _, err := v.get("/redfish/v1/"); err != nil {
		return err
	}
	k := byRedfish{w, e}
	signed := shop.sign(t, k.csr(t))
	k.replace(t, w.read(signed))
	k.e.ca = shop.cert
	err := errors.Join(k.e.shows(t, "of the CSR", signed, shop.cert), v.keeps("of the CSR"))

	// A restart keeps it, and its key.
	k.e.base = restart().base
	v = k.e.visitor(t, credential{})
	_, first := v.get("/redfish/v1/")
	err = errors.Join(err, first, k.e.shows(t, "after a restart", signed, shop.cert))

	pair := shop.pair(t)
	key, cert := w.read(pair.key), w.read(pair.cert)
	w.secret("key of the server", strings.Split(key, "\n")[2])
	k.replace(t, key+cert)
	err = errors.Join(err, k.e.shows(t, "with its key", pair.cert, shop.cert), v.keeps("with its key"))
	a, e2 := k.e.call(k.e.client(t), "GET", httpsCertificates+"/1", nil)
	if e2 != nil || a.status != http.StatusOK || bytes.Contains(a.body, []byte("PRIVATE KEY")) {
		return errors.Join(err, fmt.Errorf("the certificate: status %d, %v: %s", a.status, e2, a.body))
	}

	// What is none, or not for the key, changes nothing.
	for what, text := range map[string]string{"another key": w.read(shop.key) + cert, "no certificate": key, "no PEM": "hello"} {
		a, e2 := k.e.call(k.e.client(t), "POST", certificateActions+"ReplaceCertificate", map[string]any{
			"CertificateUri": map[string]string{"@odata.id": httpsCertificates + "/1"}, "CertificateType": "PEM", "CertificateString": text,
		})
		if e2 != nil || a.status != http.StatusBadRequest {
			err = errors.Join(err, fmt.Errorf("%s: status %d, %v, want 400: %s", what, a.status, e2, a.body))
		}
	}
	return errors.Join(err, k.e.shows(t, "after bad ones", pair.cert, shop.cert))
}

// The same by command, at the server alone and at the face of a target, which
// have certificates of their own.
func TestServerCertificateByCommand(t *testing.T) {
	t.Parallel()
	t.Run("alone", func(t *testing.T) {
		t.Parallel()
		w, shop := newWorld(t), newShop(t)
		s := w.server()
		scene{"openssl", "server certificate by listener csr, x509 -req and listener cert set: s_client sees it at the next handshake, a restart keeps it",
			func(t *testing.T, w *world, e endpoint) error {
				return replaceByCommand(t, w, e, shop, byCommand{w, s.data, "tree"}, func() endpoint { s.stop(); return w.server().endpoint })
			}}.record(t, w, s.endpoint, "postern serve", "direct")
	})
	t.Run("gateway", func(t *testing.T) {
		t.Parallel()
		w, shop := newWorld(t), newShop(t)
		d := w.sim()
		g := w.gateway(d.target()).up(w)
		scene{"openssl", "server certificate by listener csr, x509 -req and listener cert set: s_client sees it at the next handshake, a restart keeps it",
			func(t *testing.T, w *world, e endpoint) error {
				return replaceByCommand(t, w, e, shop, byCommand{w, g.data, "target:bmc1"}, func() endpoint { g.restart(w); return g.endpoint })
			}}.record(t, w, g.endpoint, simulator, "gateway")
	})
}

func replaceByCommand(t *testing.T, w *world, e endpoint, shop *shop, k byCommand, restart func() endpoint) error {
	v := e.visitor(t, credential{})
	if _, err := v.get("/redfish/v1/"); err != nil {
		return err
	}
	own := e.ca
	signed := shop.sign(t, k.must(t, "listener", "csr", k.listener, "--cn", "127.0.0.1", "--organization", "Lab", "--country", "DE"))
	k.must(t, "listener", "cert", "set", k.listener, signed)
	err := errors.Join(e.shows(t, "of the CSR", signed, shop.cert), v.keeps("of the CSR"))
	e.base = restart().base
	err = errors.Join(err, e.shows(t, "after a restart", signed, shop.cert))
	e.ca = shop.cert
	v = e.visitor(t, credential{})
	_, first := v.get("/redfish/v1/")
	pair := shop.pair(t)
	w.secret("key of the server", strings.Split(w.read(pair.key), "\n")[2])
	k.must(t, "listener", "cert", "set", k.listener, pair.cert, "--key-file", pair.key)
	err = errors.Join(err, first, e.shows(t, "with a key file", pair.cert, shop.cert), v.keeps("with a key file"))
	if _, e2 := w.run("listener", "cert", "set", k.listener, signed, "--key-file", pair.key, "--data", k.data); e2 == nil {
		err = errors.Join(err, errors.New("a certificate was taken with the key of another"))
	}
	k.must(t, "listener", "cert", "reset", k.listener)
	e.ca = own
	_, back := e.visitor(t, credential{}).get("/redfish/v1/")
	return errors.Join(err, back, v.keeps("after the reset"))
}
