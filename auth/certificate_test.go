package auth_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/postern/postern/auth"
)

// A credential with a certificate shows neither chain nor key, however it is printed.
func TestClientCertificateIsNotShown(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pair := tls.Certificate{Certificate: [][]byte{[]byte("the chain")}, PrivateKey: key}
	c := auth.Credential{Account: "ann", Passcode: auth.NewSecret("123456"), Certificate: auth.NewClientCertificate(pair)}
	if got := c.Certificate.Reveal(); got == nil || got.PrivateKey != pair.PrivateKey || c.Certificate.IsZero() {
		t.Error("the certificate is lost")
	}
	if none := (auth.ClientCertificate{}); none.Reveal() != nil || !none.IsZero() {
		t.Error("the zero certificate is one")
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "credential", c, "certificate", c.Certificate)
	marshalled, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		fmt.Sprint(c), fmt.Sprintf("%+v", c), fmt.Sprintf("%#v", c), fmt.Sprintf("%s %x", c.Certificate, c.Certificate), string(marshalled), log.String(),
	} {
		if !strings.Contains(text, "REDACTED") || strings.Contains(text, "123456") || strings.Contains(text, "PrivateKey") || strings.Contains(text, "chain") {
			t.Errorf("shows %s", text)
		}
	}
}
