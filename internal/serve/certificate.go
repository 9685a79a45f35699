package serve

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/admin"
	"github.com/postern/postern/internal/seal"
)

const (
	certificatesDir = "certificates" // a folder of the data directory
	sealedKeyPEM    = "SEALED PRIVATE KEY"
	// maxChain bounds a certificate chain with its key, in bytes and in
	// certificates: what a client takes in a handshake.
	maxChain      = 64 << 10
	maxChainCerts = 10
	// minServerRSA is the least that today's clients take of a server (NIST SP
	// 800-131A); maxServerRSA keeps a handshake from costing a second.
	minServerRSA = 2048
	maxServerRSA = 8192
)

// Certificates are what listeners show in their handshakes: for each the one
// that somebody put there, else the Identity's. What was put there is kept under
// the data directory, its key sealed. It is safe for concurrent use.
type Certificates struct {
	dir *Dir
	id  *Identity
	key *seal.Key
	now func() time.Time

	making sync.Mutex // held while a key is made: one at a time

	mu    sync.Mutex // guards what follows, and the files
	own   map[string]*tls.Certificate
	fixed map[string]bool // by the configuration
	names map[string]string
}

// OpenCertificates reads what earlier runs left.
func OpenCertificates(dir *Dir, id *Identity, key *seal.Key, now func() time.Time) (*Certificates, error) {
	c := &Certificates{
		dir: dir, id: id, key: key, now: now,
		own: map[string]*tls.Certificate{}, fixed: map[string]bool{}, names: map[string]string{},
	}
	files, err := filepath.Glob(filepath.Join(dir.Path(certificatesDir), "*.pem"))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		listener := strings.ReplaceAll(strings.TrimSuffix(filepath.Base(file), ".pem"), "_", ":")
		if c.own[listener], err = c.read(listener); err != nil {
			return nil, fmt.Errorf("the certificate of listener %s (move %s away to be without it): %w", listener, file, err)
		}
	}
	return c, nil
}

// fix makes a listener show the certificate of the configuration; nobody can
// replace it then.
func (c *Certificates) fix(listener string, cert *tls.Certificate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.own[listener], c.fixed[listener] = cert, true
}

// parse reads what the files of a configuration hold; both may be the same file.
func (c *Certificates) parse(chain string, key auth.Secret) (*tls.Certificate, error) {
	chain, _, err := splitKey(chain)
	if err != nil {
		return nil, err
	}
	return parseServer(chain, key, c.now())
}

// refix makes list, by listener, all that the configuration says. A listener that
// is not in it any more shows what somebody put there before, else the Identity's.
func (c *Certificates) refix(list map[string]*tls.Certificate) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for listener := range c.fixed {
		if list[listener] != nil {
			continue
		}
		delete(c.fixed, listener)
		delete(c.own, listener)
		before, err := c.read(listener)
		switch {
		case err == nil:
			c.own[listener] = before
		case !errors.Is(err, fs.ErrNotExist):
			errs = append(errs, fmt.Errorf("the certificate of listener %s: %w", listener, err))
		}
	}
	for listener, cert := range list {
		c.own[listener], c.fixed[listener] = cert, true
	}
	return errors.Join(errs...)
}

// Name says what a listener is called by its clients, for a CSR that does not.
func (c *Certificates) Name(listener, host string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.names[listener] = host
}

// shown is what a listener shows now.
func (c *Certificates) shown(listener string) (*tls.Certificate, error) {
	c.mu.Lock()
	cert := c.own[listener]
	c.mu.Unlock()
	if cert != nil {
		return cert, nil
	}
	return c.id.certificate(nil)
}

// ServerCertificate describes what a listener shows now.
func (c *Certificates) ServerCertificate(_ context.Context, listener string) (admin.Certificate, error) {
	cert, err := c.shown(listener)
	if err != nil {
		return admin.Certificate{}, err
	}
	d := admin.Describe(cert.Leaf)
	d.Listener = listener
	return d, nil
}

// ReplaceServerCertificate has a listener show another certificate from the next
// handshake on. chain is PEM, the server's own certificate first; key its private
// key in PEM, which may stand in chain too; without one it is the key of the
// listener's last CSR.
func (c *Certificates) ReplaceServerCertificate(ctx context.Context, listener, chain string, key auth.Secret) (admin.Certificate, error) {
	chain, inside, err := splitKey(chain)
	if err != nil {
		return admin.Certificate{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fixed[listener] {
		return admin.Certificate{}, errFixed(listener)
	}
	pending := false
	switch {
	case !key.IsZero() && !inside.IsZero():
		return admin.Certificate{}, badChain("key", "there are two private keys")
	case !inside.IsZero():
		key = inside
	case key.IsZero():
		if key, err = c.pendingKey(listener); err != nil {
			return admin.Certificate{}, err
		}
		pending = true
	}
	cert, err := parseServer(chain, key, c.now())
	if err != nil {
		return admin.Certificate{}, err
	}
	if err := c.write(listener, ".pem", cert, chain, key); err != nil {
		return admin.Certificate{}, err
	}
	if pending {
		os.Remove(c.path(listener, ".csr")) // kept in the other file now
	}
	c.own[listener] = cert
	d := admin.Describe(cert.Leaf)
	d.Listener = listener
	return d, nil
}

// ResetServerCertificate has a listener show the certificate of Postern's own CA
// again.
func (c *Certificates) ResetServerCertificate(_ context.Context, listener string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fixed[listener] {
		return errFixed(listener)
	}
	if err := os.Remove(c.path(listener, ".pem")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	delete(c.own, listener)
	return nil
}

func errFixed(listener string) error {
	return &admin.Error{Code: admin.Conflict, Reason: admin.Fixed,
		Message: fmt.Sprintf("the certificate of listener %q comes from the configuration", listener),
		Hint:    "change the files that it names, and have the server read them again (SIGHUP)"}
}

func badChain(field, format string, a ...any) error {
	return &admin.Error{Code: admin.Invalid, Field: field, Message: fmt.Sprintf(format, a...)}
}

// path is a file of a listener; a target's name has no underscore.
func (c *Certificates) path(listener, ext string) string {
	return c.dir.Path(filepath.Join(certificatesDir, strings.ReplaceAll(listener, ":", "_")+ext))
}

// write keeps key, sealed for the listener, and chain, which is "" for a CSR.
func (c *Certificates) write(listener, ext string, cert *tls.Certificate, chain string, key auth.Secret) error {
	box, err := c.key.Seal(key, "listener", listener, ext)
	if err != nil {
		return err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: sealedKeyPEM, Bytes: box})
	if cert != nil {
		text = append(text, chain...)
	}
	if err := os.MkdirAll(c.dir.Path(certificatesDir), 0o700); err != nil {
		return err
	}
	return writeFile(c.path(listener, ext), text, 0o600)
}

// read is the way back of write for a certificate.
func (c *Certificates) read(listener string) (*tls.Certificate, error) {
	key, chain, err := c.unseal(listener, ".pem")
	if err != nil {
		return nil, err
	}
	return keyPair(chain, key) // an expired one is shown as what it is
}

func (c *Certificates) unseal(listener, ext string) (key auth.Secret, chain string, err error) {
	data, err := os.ReadFile(c.path(listener, ext))
	if err != nil {
		return auth.Secret{}, "", err
	}
	block, rest := pem.Decode(data)
	if block == nil || block.Type != sealedKeyPEM {
		return auth.Secret{}, "", errors.New("the file does not begin with a sealed key")
	}
	key, err = c.key.Open(block.Bytes, "listener", listener, ext)
	return key, string(rest), err
}

func (c *Certificates) pendingKey(listener string) (auth.Secret, error) {
	key, _, err := c.unseal(listener, ".csr")
	if errors.Is(err, fs.ErrNotExist) {
		return auth.Secret{}, &admin.Error{Code: admin.Invalid, Field: "key", Message: "there is no private key, and no CSR was made that one would belong to",
			Hint: "send the key along, or make a CSR first"}
	}
	return key, err
}

// splitKey takes a private key out of a PEM text.
func splitKey(text string) (chain string, key auth.Secret, err error) {
	if len(text) > maxChain {
		return "", auth.Secret{}, badChain("pem", "the certificates have more than %d bytes", maxChain)
	}
	var certs bytes.Buffer
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return certs.String(), key, nil
		}
		switch {
		case block.Type == "EC PARAMETERS": // openssl ecparam writes them before the key
		case block.Type == certPEM:
			pem.Encode(&certs, &pem.Block{Type: certPEM, Bytes: block.Bytes})
		case !strings.HasSuffix(block.Type, keyPEM):
			return "", auth.Secret{}, badChain("pem", "the text holds a %s", strings.ToLower(block.Type))
		case !key.IsZero():
			return "", auth.Secret{}, badChain("key", "there are two private keys")
		default:
			key = auth.NewSecret(string(pem.EncodeToMemory(block)))
		}
	}
}
