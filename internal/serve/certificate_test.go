package serve

import (
	"bufio"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/admin"
	"github.com/postern/postern/internal/seal"
)

// issued is a certificate of a test, with its key.
type issued struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func (i issued) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: certPEM, Bytes: i.cert.Raw}))
}

func (i issued) keyText(t *testing.T) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(i.key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: keyPEM, Bytes: der}))
}

func (i issued) keyPEM(t *testing.T) auth.Secret { return auth.NewSecret(i.keyText(t)) }

func ecKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// issue makes a certificate for localhost; nil by = signed by itself.
func issue(t testing.TB, by *issued, key crypto.Signer, change func(*x509.Certificate)) issued {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
	}
	if change != nil {
		change(template)
	}
	parent := issued{template, key}
	if by != nil {
		parent = *by
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent.cert, key.Public(), parent.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return issued{cert, key}
}

func openCertificates(t *testing.T, dir *Dir) *Certificates {
	t.Helper()
	id, err := OpenIdentity(dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	key, err := seal.LoadOrCreate(dir.Path(sealKey))
	if err != nil {
		t.Fatal(err)
	}
	c, err := OpenCertificates(dir, id, key, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestServerCertificateIsReplaced(t *testing.T) {
	t.Parallel()
	dir, ctx := openDir(t), t.Context()
	c := openCertificates(t, dir)
	before, err := c.ServerCertificate(ctx, "target:bmc1")
	if err != nil || !strings.Contains(before.Issuer, "Postern CA") || before.Listener != "target:bmc1" {
		t.Fatalf("got %+v, %v, want one of our CA", before, err)
	}
	own := issue(t, nil, ecKey(t), nil)
	after, err := c.ReplaceServerCertificate(ctx, "target:bmc1", own.pem(), own.keyPEM(t))
	if err != nil || after.PEM != own.pem() || after.Subject != "CN=test" || len(after.Fingerprint) != 64 {
		t.Fatalf("got %+v, %v", after, err)
	}
	if other, _ := c.ServerCertificate(ctx, "tree"); other.Fingerprint != before.Fingerprint {
		t.Error("another listener shows it too")
	}
	again := openCertificates(t, dir)
	if got, err := again.ServerCertificate(ctx, "target:bmc1"); err != nil || got.Fingerprint != after.Fingerprint {
		t.Errorf("after a restart: %+v, %v", got, err)
	}
	file := filepath.Join(dir.Path(certificatesDir), "target_bmc1.pem")
	if data, err := os.ReadFile(file); err != nil || strings.Contains(string(data), "BEGIN "+keyPEM) {
		t.Errorf("the key is not sealed: %v\n%s", err, data)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
	// What was sealed for one listener is of no use to another.
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	moved := filepath.Join(dir.Path(certificatesDir), "tree.pem")
	if err := os.WriteFile(moved, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenCertificates(dir, again.id, again.key, time.Now); !errors.Is(err, seal.ErrOpen) {
		t.Errorf("a file that was moved: %v", err)
	}
	if err := os.Remove(moved); err != nil {
		t.Fatal(err)
	}
	if err := again.ResetServerCertificate(ctx, "target:bmc1"); err != nil {
		t.Fatal(err)
	}
	if got, _ := again.ServerCertificate(ctx, "target:bmc1"); got.Fingerprint != before.Fingerprint {
		t.Error("not back to our CA's")
	}
	fixed, err := again.parse(own.pem(), own.keyPEM(t))
	if err != nil {
		t.Fatal(err)
	}
	again.fix("target:bmc1", fixed)
	if _, err := again.ReplaceServerCertificate(ctx, "target:bmc1", own.pem(), own.keyPEM(t)); admin.CodeOf(err) != admin.Conflict {
		t.Errorf("against the configuration: %v", err)
	}
}

func TestServerCertificateIsJudged(t *testing.T) {
	t.Parallel()
	c, ctx := openCertificates(t, openDir(t)), t.Context()
	good := issue(t, nil, ecKey(t), nil)
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	short := issue(t, nil, weak, nil)
	expired := issue(t, nil, ecKey(t), func(x *x509.Certificate) { x.NotAfter = time.Now().Add(-time.Minute) })
	future := issue(t, nil, ecKey(t), func(x *x509.Certificate) { x.NotBefore = time.Now().Add(time.Minute) })
	client := issue(t, nil, ecKey(t), func(x *x509.Certificate) { x.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })
	for name, in := range map[string]struct {
		chain string
		key   auth.Secret
		want  string
	}{
		"nothing":        {"", good.keyPEM(t), "no certificate"},
		"no key":         {good.pem(), auth.Secret{}, "no private key"},
		"another key":    {good.pem(), client.keyPEM(t), "belong together"},
		"two keys":       {good.pem() + good.keyText(t), good.keyPEM(t), "two private keys"},
		"keys in chain":  {good.pem() + good.keyText(t) + good.keyText(t), auth.Secret{}, "two private keys"},
		"weak":           {short.pem(), short.keyPEM(t), "2048"},
		"expired":        {expired.pem(), expired.keyPEM(t), "expired on"},
		"not yet valid":  {future.pem(), future.keyPEM(t), "not valid before"},
		"for clients":    {client.pem(), client.keyPEM(t), "not for servers"},
		"garbage":        {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", good.keyPEM(t), "cannot be read"},
		"garbage as key": {good.pem(), auth.NewSecret("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), "key cannot be read"},
		"encrypted key":  {good.pem(), auth.NewSecret("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"), "encrypted"},
		"something else": {good.pem() + "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", good.keyPEM(t), "holds a x509 crl"},
		"too many":       {strings.Repeat(good.pem(), maxChainCerts+1), good.keyPEM(t), "at most"},
		"too long":       {strings.Repeat("x", maxChain+1), good.keyPEM(t), "bytes"},
	} {
		_, err := c.ReplaceServerCertificate(ctx, "tree", in.chain, in.key)
		if admin.CodeOf(err) != admin.Invalid || !strings.Contains(fmt.Sprint(err), in.want) {
			t.Errorf("%s: got %v, want %q", name, err, in.want)
		}
	}
	if _, err := c.ReplaceServerCertificate(ctx, "tree", good.pem()+good.keyText(t), auth.Secret{}); err != nil {
		t.Errorf("with the key in the chain: %v", err)
	}
}

func TestCertificateRequest(t *testing.T) {
	t.Parallel()
	dir, ctx := openDir(t), t.Context()
	c := openCertificates(t, dir)
	c.Name("tree", "gate.example")
	text, err := c.CertificateRequest(ctx, "tree", admin.CSRRequest{Organization: "Lab", Country: "DE", KeyBits: 384})
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(text))
	r, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil || r.CheckSignature() != nil || r.Subject.String() != "CN=gate.example,O=Lab,C=DE" || fmt.Sprint(r.DNSNames) != "[gate.example]" {
		t.Fatalf("got %+v, %v", r.Subject, err)
	}
	// A CA signs it, and the key is the one that was kept, over a restart too.
	ca := issue(t, nil, ecKey(t), func(x *x509.Certificate) { x.IsCA, x.KeyUsage = true, x509.KeyUsageCertSign })
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: r.Subject, DNSNames: r.DNSNames, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, r.PublicKey, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	chain := string(pem.EncodeToMemory(&pem.Block{Type: certPEM, Bytes: der})) + ca.pem()
	c = openCertificates(t, dir)
	if _, err := c.ReplaceServerCertificate(ctx, "tree", ca.pem(), auth.Secret{}); admin.CodeOf(err) != admin.Invalid {
		t.Errorf("a certificate that is not for the kept key: %v", err)
	}
	if _, err := c.ReplaceServerCertificate(ctx, "target:x", chain, auth.Secret{}); admin.CodeOf(err) != admin.Invalid {
		t.Errorf("the key of another listener: %v", err)
	}
	if _, err := c.ReplaceServerCertificate(ctx, "tree", chain, auth.Secret{}); err != nil {
		t.Fatal(err)
	}
	if shown, err := openCertificates(t, dir).shown("tree"); err != nil || len(shown.Certificate) != 2 {
		t.Errorf("shown: %v, %v", shown, err)
	}
	for _, bad := range []admin.CSRRequest{
		{Country: "Germany"}, {Country: "de"}, {CommonName: strings.Repeat("x", 65)}, {City: "a\nb"},
		{KeyKind: "DSA"}, {KeyBits: 1024}, {KeyKind: "RSA", KeyBits: 1024}, {Names: []string{"a b"}}, {Names: make([]string, 101)},
	} {
		if _, err := c.CertificateRequest(ctx, "tree", bad); admin.CodeOf(err) != admin.Invalid {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

// askingFace serves a page that says whether a client certificate came, and
// whether the connection was resumed.
func askingFace(t *testing.T, c *Certificates, a asker) *face {
	t.Helper()
	ln, err := listenTCP("127.0.0.1", 0)
	if err != nil {
		t.Fatal(err)
	}
	f := newFace("bmc1", "127.0.0.1", ln, c.tlsConfig("target:bmc1", a), slog.New(slog.DiscardHandler))
	f.set(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%d %t", len(r.TLS.PeerCertificates), r.TLS.DidResume)
	}))
	f.start(func(err error) { t.Error(err) })
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		f.shutdown(ctx)
	})
	return f
}

func TestListenerAsksForCertificates(t *testing.T) {
	t.Parallel()
	c := openCertificates(t, openDir(t))
	var ask, strict, bad atomic.Bool
	a := asker{
		mode: func() (bool, bool) { return ask.Load(), strict.Load() },
		judge: func(_ context.Context, source netip.Addr, _ []*x509.Certificate) error {
			if !source.IsLoopback() {
				t.Errorf("the client is at %v", source)
			}
			if bad.Load() {
				return errors.New("revoked")
			}
			return nil
		},
	}
	f := askingFace(t, c, a)
	ca, err := os.ReadFile(c.id.CAFile())
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	mine := issue(t, nil, ecKey(t), nil)
	cache := tls.NewLRUClientSessionCache(4)
	get := func(with bool, cache tls.ClientSessionCache) string {
		t.Helper()
		conf := &tls.Config{RootCAs: pool, ServerName: "localhost", ClientSessionCache: cache}
		if with {
			// Chosen by the client itself, as Go's does: none where the list of CAs names others.
			conf.Certificates = []tls.Certificate{{Certificate: [][]byte{mine.cert.Raw}, PrivateKey: mine.key}}
		}
		conn, err := tls.Dial("tcp", strings.TrimPrefix(f.url, "https://"), conf)
		if err != nil {
			return "refused"
		}
		defer conn.Close()
		fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return "refused" // TLS 1.3: the client hears of it with its first read
		}
		defer resp.Body.Close()
		var peers, resumed string
		fmt.Fscan(resp.Body, &peers, &resumed)
		return peers + " " + resumed
	}
	expect := func(when, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: got %q, want %q", when, got, want)
		}
	}
	expect("not asked", get(true, cache), "0 false")
	expect("not asked again", get(true, cache), "0 true")
	ask.Store(true)
	expect("asked from now on, with a ticket of before", get(true, cache), "1 false")
	expect("resumed", get(true, cache), "1 true")
	expect("none to show", get(false, nil), "0 false")
	strict.Store(true)
	expect("strict, without", get(false, nil), "refused")
	expect("strict, with one, and a ticket of before", get(true, cache), "1 false")
	expect("strict, resumed", get(true, cache), "1 true")
	bad.Store(true)
	expect("strict, resumed, revoked meanwhile", get(true, cache), "refused")
	strict.Store(false)
	expect("judged later", get(true, nil), "1 false")

	// Another certificate of the server shows with the next handshake.
	own := issue(t, nil, ecKey(t), nil)
	if _, err := c.ReplaceServerCertificate(t.Context(), "target:bmc1", own.pem(), own.keyPEM(t)); err != nil {
		t.Fatal(err)
	}
	expect("another server certificate", get(true, nil), "refused")
	pool.AddCert(own.cert)
	expect("and it is trusted", get(true, nil), "1 false")
}

func FuzzServerCertificate(f *testing.F) {
	f.Add("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "-----BEGIN EC PARAMETERS-----\nAAAA\n-----END EC PARAMETERS-----\n")
	f.Add("", "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n")
	f.Fuzz(func(t *testing.T, chain, key string) {
		rest, inside, err := splitKey(chain)
		if err == nil && (len(rest) > 2*maxChain || len(inside.Reveal()) > 2*maxChain) {
			t.Errorf("%d bytes became %d", len(chain), len(rest))
		}
		if cert, err := parseServer(rest, auth.NewSecret(key), time.Now()); err == nil && cert.Leaf == nil {
			t.Error("a certificate without one")
		}
	})
}

// crl is ca's list of what it has revoked, in DER.
func crl(t testing.TB, ca issued, revoked ...issued) []byte {
	t.Helper()
	now := time.Now()
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: now.Add(-time.Minute), NextUpdate: now.Add(time.Hour)}
	for _, r := range revoked {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: r.cert.SerialNumber, RevocationTime: now})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, ca.cert, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}
