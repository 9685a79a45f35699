package target

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/postern/postern/auth"
)

// Limits of a client certificate.
const (
	maxChain = 64 << 10 // bytes of a chain in PEM; one of five certificates has about 10 KiB
	// maxKey bounds a private key in PEM, in bytes: RSA with 8192 bits takes 6.4 KiB.
	maxKey = 16 << 10
)

// chainFile takes a Certificate apart that is a reference.
func chainFile(certificate string) (path string, ok bool) {
	return strings.CutPrefix(certificate, "file:")
}

// validateMethod checks that a certificate and the way to log in fit together.
func validateMethod(t Target) error {
	switch t.Method {
	case auth.MethodAuto, "":
	case auth.MethodSession, auth.MethodBasic:
		if t.Certificate != "" {
			return fmt.Errorf("a client certificate and the login method %q exclude each other", t.Method)
		}
	case auth.MethodCertificate:
		if t.Certificate == "" {
			return errors.New("a login by certificate needs a client certificate")
		}
	default:
		return fmt.Errorf("login method %q is none of auto, session, basic, certificate", t.Method)
	}
	if t.Certificate == "" {
		return nil
	}
	if path, ok := chainFile(t.Certificate); ok {
		if _, err := parseSource("file:" + path); err != nil {
			return fmt.Errorf("the client certificate: %w", err)
		}
		return nil
	}
	if len(t.Certificate) > maxChain {
		return fmt.Errorf("the client certificate has more than %d bytes", maxChain)
	}
	if strings.Contains(t.Certificate, "PRIVATE KEY") {
		return errors.New("the client certificate holds a private key, which is kept apart from it")
	}
	_, err := caPool(t.Certificate) // reads certificates, whosever they are
	if err != nil {
		return errors.New("the client certificate is not one or more certificates in PEM")
	}
	return nil
}

// ClientCertificate puts a chain in PEM, its own certificate first, and its private
// key in PEM together. The error holds nothing of the key.
func ClientCertificate(chain []byte, key auth.Secret) (auth.ClientCertificate, error) {
	if len(chain) > maxChain || len(key.Reveal()) > maxKey {
		return auth.ClientCertificate{}, fmt.Errorf("a client certificate has at most %d bytes, and its key %d", maxChain, maxKey)
	}
	pair, err := tls.X509KeyPair(chain, []byte(key.Reveal()))
	if err != nil {
		return auth.ClientCertificate{}, fmt.Errorf("the client certificate and its key: %s", strings.TrimPrefix(err.Error(), "tls: "))
	}
	if pair.Leaf == nil {
		if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
			return auth.ClientCertificate{}, fmt.Errorf("the client certificate: %w", err)
		}
	}
	return auth.NewClientCertificate(pair), nil
}

// clientCertificate reads the certificate of t; key was read already.
func clientCertificate(t Target, key auth.Secret) (auth.ClientCertificate, error) {
	chain := []byte(t.Certificate)
	if path, ok := chainFile(t.Certificate); ok {
		var err error
		if chain, _, err = readBounded("client certificate", path, maxChain); err != nil {
			return auth.ClientCertificate{}, err
		}
	}
	return ClientCertificate(chain, key)
}

// ShowCertificate has both transports show the certificate of a credential in each
// handshake in which the device asks for one, and none where it has none. credential
// is asked each time, so that a new certificate is taken up by the next connection.
func ShowCertificate(credential func(context.Context) (auth.Credential, error), ways ...*http.Transport) {
	show := func(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		c, err := credential(info.Context())
		if err != nil {
			return nil, err
		}
		if cert := c.Certificate.Reveal(); cert != nil {
			return cert, nil
		}
		return new(tls.Certificate), nil
	}
	for _, w := range ways {
		w.TLSClientConfig.GetClientCertificate = show
	}
}
