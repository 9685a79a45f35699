package serve

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/admin"
	"github.com/postern/postern/internal/config"
)

// familyOf is the family that a listener speaks: all of this build's speak the same.
func familyOf(string) string { return "redfish" }

// hostNamesOf are the names of the listeners by their configuration, of which a
// User Principal Name must be. It is safe for concurrent use.
type hostNamesOf struct {
	mu    sync.RWMutex // guards names
	names map[string]string
}

func (h *hostNamesOf) get(listener string) string {
	h.mu.RLock()
	name := h.names[listener]
	h.mu.RUnlock()
	if name == "" {
		name, _ = os.Hostname()
	}
	return name
}

func (h *hostNamesOf) set(listener, name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.names == nil {
		h.names = map[string]string{}
	}
	h.names[listener] = name
}

// hostOf is the name that clients of a listener use, as far as its configuration
// tells: the first of its names, or its address where that is a name.
func hostOf(l config.Listener) string {
	for _, n := range append(l.Names, l.Host) {
		if config.IsHost(n) && !strings.HasPrefix(n, "*") {
			return n
		}
	}
	return ""
}

// asker lets the rules of a listener, as they are at each handshake, decide.
func (c *core) asker(listener string) asker {
	return asker{
		mode: func() (ask, strict bool) {
			r := c.sessions.Rules(listener)
			return r.Certificates, r.Strict
		},
		judge: func(ctx context.Context, source netip.Addr, chain []*x509.Certificate) error {
			_, err := c.authority.Check(ctx, auth.Attempt{Kind: auth.Certificate, Chain: chain, Listener: listener, Source: source})
			return err
		},
	}
}

// configure makes what the configuration file says about a listener hold.
func (s *server) configure(ctx context.Context, name string, l config.Listener) error {
	if l.CertFile != "" {
		cert, err := s.certificateOf(name, l)
		if err != nil {
			return err
		}
		s.certificates.fix(name, cert)
	}
	return s.settle(ctx, name, l)
}

// settle is configure without the certificate.
func (s *server) settle(ctx context.Context, name string, l config.Listener) error {
	host := hostOf(l)
	s.hosts.set(name, host)
	s.certificates.Name(name, cmp.Or(host, l.Host))
	if l.ClientCertificates == "" {
		return nil
	}
	r, err := s.admin.ListenerRules(ctx, name)
	if err != nil {
		return err
	}
	ask, strict := l.ClientCertificates != config.CertificatesOff, l.ClientCertificates == config.CertificatesRequired
	if r.Certificates == ask && r.CertificateStrict == strict {
		return nil
	}
	r.Certificates, r.CertificateStrict = ask, strict
	// A name with a colon is nobody's account.
	_, err = s.admin.SetListenerRules(auth.WithPrincipal(ctx, auth.Principal{Account: "file:listeners"}), r)
	return err
}

// certificateOf reads the certificate that the configuration gives a listener.
func (s *server) certificateOf(name string, l config.Listener) (*tls.Certificate, error) {
	fail := func(err error) (*tls.Certificate, error) {
		return nil, configError{fmt.Errorf("listener %s: %w", name, err)}
	}
	chain, err := readSmall(l.CertFile)
	if err != nil {
		return fail(fmt.Errorf("cert_file: %w", err))
	}
	key, err := readSmall(l.KeyFile)
	if err != nil {
		return fail(fmt.Errorf("key_file: %w", err))
	}
	if info, err := os.Stat(l.KeyFile); err == nil && info.Mode().Perm()&0o044 != 0 {
		s.log.Warn("other users can read the private key of a listener: " + l.KeyFile)
	}
	cert, err := s.certificates.parse(string(chain), auth.NewSecret(string(key)))
	if err != nil {
		return fail(fmt.Errorf("cert_file %s: %w", l.CertFile, err))
	}
	return cert, nil
}

// readSmall reads a file that holds a certificate or a key.
func readSmall(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxChain {
		return nil, fmt.Errorf("%s has more than %d bytes", path, maxChain)
	}
	return os.ReadFile(path)
}

// lateCertificates open the certificates of a data directory with the first
// question about them: a command that asks none has no need of the CA.
type lateCertificates struct {
	open func() (*Certificates, error)
}

var _ admin.Certificates = lateCertificates{}

func (l lateCertificates) ServerCertificate(ctx context.Context, listener string) (admin.Certificate, error) {
	c, err := l.open()
	if err != nil {
		return admin.Certificate{}, err
	}
	return c.ServerCertificate(ctx, listener)
}

func (l lateCertificates) ReplaceServerCertificate(ctx context.Context, listener, chain string, key auth.Secret) (admin.Certificate, error) {
	c, err := l.open()
	if err != nil {
		return admin.Certificate{}, err
	}
	return c.ReplaceServerCertificate(ctx, listener, chain, key)
}

func (l lateCertificates) ResetServerCertificate(ctx context.Context, listener string) error {
	c, err := l.open()
	if err != nil {
		return err
	}
	return c.ResetServerCertificate(ctx, listener)
}

func (l lateCertificates) CertificateRequest(ctx context.Context, listener string, r admin.CSRRequest) (string, error) {
	c, err := l.open()
	if err != nil {
		return "", err
	}
	return c.CertificateRequest(ctx, listener, r)
}

// certificates opens what the listeners of this state show.
func (c *core) openCertificates() (*Identity, *Certificates, error) {
	id, err := OpenIdentity(c.dir, c.now)
	if err != nil {
		return nil, nil, err
	}
	certs, err := OpenCertificates(c.dir, id, c.seal, c.now)
	return id, certs, err
}
