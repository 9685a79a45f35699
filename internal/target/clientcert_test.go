package target_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/target"
	"github.com/postern/postern/internal/wiretest"
)

// pair returns a certificate and its key in PEM.
func pair(t *testing.T, name string) (chain, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: noon, NotAfter: noon.Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func (w *world) wantCertificate(t *testing.T, name, want string) {
	t.Helper()
	c, err := w.Credential(t.Context(), name)
	cert := c.Certificate.Reveal()
	if err != nil || cert == nil || cert.Leaf.Subject.CommonName != want || !c.Password.IsZero() || c.Account != "postern" {
		t.Errorf("%s: got %v, %v; want the certificate of %s", name, cert, err, want)
	}
}

func TestClientCertificate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	chain, key := pair(t, "first")
	x := bmc("a", "")
	x.Certificate = chain
	got := w.add(t, x, key)
	if got.Method != auth.MethodCertificate || bytes.Contains(got.Sealed, []byte("PRIVATE KEY")) || len(got.Sealed) == 0 {
		t.Errorf("stored as %s, %d bytes sealed", got.Method, len(got.Sealed))
	}
	w.wantCertificate(t, "a", "first")

	// The key stays with what else changes, and is sealed for its place.
	got.Budget = 3
	if _, err := w.Update(t.Context(), got, auth.Secret{}); err != nil {
		t.Fatal(err)
	}
	w.wantCertificate(t, "a", "first")
	if _, err := w.SetPin(t.Context(), "a", pinA); err != nil {
		t.Fatal(err)
	}
	w.wantCertificate(t, "a", "first")
	moved := got
	moved.URL = "https://elsewhere"
	_, err := w.Update(t.Context(), moved, auth.Secret{})
	wantErr(t, err, target.ErrPasswordNeeded)

	// Another certificate comes with its own key.
	other, otherKey := pair(t, "second")
	got.Certificate, got.Pin = other, pinA
	_, err = w.Update(t.Context(), got, auth.Secret{})
	wantErr(t, err, target.ErrPasswordNeeded)
	if _, err = w.Update(t.Context(), got, auth.NewSecret(key)); err == nil {
		t.Error("a key of another certificate is taken")
	}
	if _, err := w.Update(t.Context(), got, auth.NewSecret(otherKey)); err != nil {
		t.Fatal(err)
	}
	w.wantCertificate(t, "a", "second")
}

// Files are read again each time, so that a renewed certificate counts.
func TestClientCertificateInFiles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	x := bmc("a", "file:"+keyFile)
	x.Certificate = "file:" + certFile
	if _, err := w.Reconcile(t.Context(), []target.Target{x}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Credential(t.Context(), "a"); err == nil {
		t.Error("files that are not there give a credential")
	}
	for _, name := range []string{"first", "second"} {
		chain, key := pair(t, name)
		writePassword(t, certFile, chain, 0o644)
		writePassword(t, keyFile, key, 0o600)
		w.wantCertificate(t, "a", name)
	}
	if w.log.Len() > 0 {
		t.Errorf("logged %s", &w.log)
	}
	if err := os.Chmod(keyFile, 0o644); err != nil {
		t.Fatal(err)
	}
	w.wantCertificate(t, "a", "second")
	if !strings.Contains(w.log.String(), keyFile) {
		t.Error("nothing is said of a key that others can read")
	}
}

// Whatever is wrong with a certificate, the key is in no error and no log.
func TestClientCertificateRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	chain, key := pair(t, "x")
	_, otherKey := pair(t, "y")
	var hunter wiretest.Hunter
	for _, line := range strings.Split(key+otherKey, "\n") {
		if len(line) > 40 {
			if err := hunter.Plant("a key", line); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, tt := range map[string]struct {
		chain, key string
		method     auth.Method
		want       string
	}{
		"another key":          {chain, otherKey, "", "does not match"},
		"a key that is broken": {chain, key[:60], "", "the client certificate and its key"},
		"a password":           {chain, "password", "", "the client certificate and its key"},
		"no certificate":       {"", key, auth.MethodCertificate, "needs a client certificate"},
		"key in the chain":     {chain + key, key, "", "holds a private key"},
		"no PEM":               {"nothing", key, "", "not one or more certificates"},
		"by session":           {chain, key, auth.MethodSession, "exclude each other"},
		"by Basic":             {chain, key, auth.MethodBasic, "exclude each other"},
		"a relative path":      {"file:cert.pem", key, "", "not absolute"},
		"a chain too long":     {strings.Repeat(chain, 200), key, "", "more than"},
		"a key too long":       {chain, strings.Repeat(key, 100), "", "longer than"},
	} {
		x := bmc("a", "")
		x.Certificate, x.Method = tt.chain, tt.method
		_, err := w.Add(t.Context(), x, auth.NewSecret(tt.key))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
		if found := hunter.Search(fmt.Appendf(nil, "%v %+v %s", err, x.Method, &w.log)); len(found) > 0 {
			t.Errorf("%s: %q is told", name, found)
		}
	}
}

func TestShowCertificate(t *testing.T) {
	t.Parallel()
	var seen []string
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		name := ""
		if len(r.TLS.PeerCertificates) > 0 {
			name = r.TLS.PeerCertificates[0].Subject.CommonName
		}
		seen = append(seen, name)
	}))
	s.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	s.StartTLS()
	defer s.Close()
	x := target.Target{Name: "a", URL: s.URL, Pin: target.PinOf(s.Certificate())}
	data, fresh, err := x.Transports()
	if err != nil {
		t.Fatal(err)
	}
	now := "" // whose certificate there is
	fault := error(nil)
	target.ShowCertificate(func(context.Context) (auth.Credential, error) {
		if now == "" {
			return auth.Credential{}, fault
		}
		chain, key := pair(t, now)
		c, err := target.ClientCertificate([]byte(chain), auth.NewSecret(key))
		return auth.Credential{Certificate: c}, err
	}, data, fresh)
	for _, now = range []string{"first", "second", ""} {
		resp, err := (&http.Client{Transport: fresh}).Get(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	if got := strings.Join(seen, " "); got != "first second " {
		t.Errorf("shown %q", got)
	}
	fault = errors.New("the file is gone")
	if _, err := (&http.Client{Transport: data}).Get(s.URL); !errors.Is(err, fault) {
		t.Errorf("without the certificate: %v", err)
	}
}
