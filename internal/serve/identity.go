package serve

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	caLife     = 10 * 365 * 24 * time.Hour
	serverLife = 397 * 24 * time.Hour // what browsers accept at most
	renewAhead = 30 * 24 * time.Hour
	backdate   = time.Hour // a client's clock may be behind ours
)

// An Identity is the CA of one data directory and the server certificate that
// it signs. It is safe for concurrent use.
type Identity struct {
	caFile     string
	serverFile string // certificate and key, so that they outlive a restart
	ca         *x509.Certificate
	caKey      *ecdsa.PrivateKey
	now        func() time.Time

	mu    sync.Mutex // guards what follows
	names []string
	cert  *tls.Certificate
}

// OpenIdentity reads DIR/ca.pem and DIR/ca.key, or makes them at the first
// start. A CA that will expire within the life of a server certificate is
// refused rather than replaced, because clients trust the old one.
func OpenIdentity(dir *Dir, now func() time.Time) (*Identity, error) {
	id := &Identity{caFile: dir.Path("ca.pem"), serverFile: dir.Path("server.pem"), now: now}
	err := id.load(dir)
	if errors.Is(err, fs.ErrNotExist) {
		err = id.create(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("the server's CA: %w", err)
	}
	if now().After(id.ca.NotAfter) {
		return nil, fmt.Errorf("the server's CA %s expired on %s: move ca.pem and ca.key away to make a new one", id.caFile, id.ca.NotAfter.Format(time.DateOnly))
	}
	id.SetNames(nil)
	return id, nil
}

// CAFile is the path of the CA certificate, for clients.
func (id *Identity) CAFile() string { return id.caFile }

func (id *Identity) load(dir *Dir) error {
	key, err := readPEM(dir.Path("ca.key"), keyPEM)
	if err != nil {
		return err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("ca.key: %w", err)
	}
	var ok bool
	if id.caKey, ok = parsed.(*ecdsa.PrivateKey); !ok {
		return errors.New("ca.key is not an ECDSA key")
	}
	der, err := readPEM(id.caFile, certPEM)
	if err != nil {
		return err
	}
	if id.ca, err = x509.ParseCertificate(der); err != nil {
		return fmt.Errorf("ca.pem: %w", err)
	}
	if !id.caKey.PublicKey.Equal(id.ca.PublicKey) {
		return errors.New("ca.pem and ca.key do not belong together")
	}
	return nil
}

func readPEM(path, kind string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != kind {
		return nil, fmt.Errorf("%s holds no %s", path, strings.ToLower(kind))
	}
	return block.Bytes, nil
}

// create makes a new CA. The key is written first: a crash in between leaves a
// key without a certificate, and the next start makes both anew.
func (id *Identity) create(dir *Dir) error {
	if _, err := os.Stat(id.caFile); err == nil {
		return fmt.Errorf("ca.key is missing beside %s", id.caFile)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	now := id.now()
	serial := rand.Text()
	template := &x509.Certificate{
		Subject:               pkix.Name{Organization: []string{"Postern"}, CommonName: "Postern CA " + serial[:8]},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(caLife),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	if id.ca, err = x509.ParseCertificate(der); err != nil {
		return err
	}
	id.caKey = key
	text, err := encodeKey(key)
	if err != nil {
		return err
	}
	if err := writeFile(dir.Path("ca.key"), text, 0o600); err != nil {
		return err
	}
	return writeFile(id.caFile, pem.EncodeToMemory(&pem.Block{Type: certPEM, Bytes: der}), 0o644)
}

const (
	keyPEM  = "PRIVATE KEY"
	certPEM = "CERTIFICATE"
)

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: keyPEM, Bytes: pkcs8}), nil
}

// SetNames says what the server certificate is made out for, besides
// localhost, the loopback addresses and this machine's name. Names are host
// names, with or without a leading "*.", or literal addresses. The next
// handshake uses a certificate with exactly these.
func (id *Identity) SetNames(names []string) {
	all := []string{"localhost", "127.0.0.1", "::1"}
	if host, err := os.Hostname(); err == nil && host != "" {
		all = append(all, strings.ToLower(host))
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			n = ip.String()
		}
		all = append(all, strings.ToLower(n))
	}
	slices.Sort(all)
	all = slices.Compact(all)
	id.mu.Lock()
	defer id.mu.Unlock()
	if !slices.Equal(all, id.names) {
		id.names, id.cert = all, nil
	}
}

// certificate is the current server certificate: the one in memory, else the
// one of the last run, else a new one.
func (id *Identity) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	id.mu.Lock()
	defer id.mu.Unlock()
	now := id.now()
	if id.cert == nil {
		id.cert = id.stored()
	}
	if id.cert != nil && now.Before(id.cert.Leaf.NotAfter.Add(-renewAhead)) {
		return id.cert, nil
	}
	cert, err := id.issue(now)
	if err != nil {
		return nil, fmt.Errorf("issue the server certificate: %w", err)
	}
	id.cert = cert
	return cert, nil
}

// stored is the certificate of the last run where it is still right: signed by
// this CA and made out for exactly the names of today. Otherwise nil.
func (id *Identity) stored() *tls.Certificate {
	cert, err := tls.LoadX509KeyPair(id.serverFile, id.serverFile)
	if err != nil || cert.Leaf.CheckSignatureFrom(id.ca) != nil {
		return nil
	}
	have := slices.Clone(cert.Leaf.DNSNames)
	for _, ip := range cert.Leaf.IPAddresses {
		have = append(have, ip.String())
	}
	want := slices.Clone(id.names)
	slices.Sort(have)
	slices.Sort(want)
	if !slices.Equal(have, want) {
		return nil
	}
	return &cert
}

func (id *Identity) issue(now time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{Organization: []string{"Postern"}, CommonName: "postern"},
		NotBefore:             now.Add(-backdate),
		NotAfter:              earlier(now.Add(serverLife), id.ca.NotAfter),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	for _, n := range id.names {
		if ip := net.ParseIP(n); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, id.ca, &key.PublicKey, id.caKey)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	text, err := encodeKey(key)
	if err != nil {
		return nil, err
	}
	text = append(text, pem.EncodeToMemory(&pem.Block{Type: certPEM, Bytes: der})...)
	if err := writeFile(id.serverFile, text, 0o600); err != nil {
		return nil, err
	}
	// The CA certificate is not sent: whoever trusts it has it.
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// TLSConfig is what the listeners use: TLS 1.2 and up, HTTP/1.1 alone.
func (id *Identity) TLSConfig() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"http/1.1"},
		GetCertificate: id.certificate,
	}
}
