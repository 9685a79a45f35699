package serve

import (
	"bytes"
	"crypto/x509"
	"os"
	"slices"
	"testing"
	"time"
)

func leaf(t *testing.T, id *Identity) *x509.Certificate {
	t.Helper()
	c, err := id.TLSConfig().GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	return c.Leaf
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	clock := func() time.Time { return now }
	open := func() *Identity {
		t.Helper()
		id, err := OpenIdentity(dir, clock)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	id := open()
	id.SetNames([]string{"BMC1.example", "*.bmc.example", "10.1.2.3", "::1"})
	first := leaf(t, id)

	pem, err := os.ReadFile(id.CAFile())
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatal("ca.pem holds no certificate")
	}
	host, _ := os.Hostname()
	for _, name := range []string{"localhost", "127.0.0.1", "::1", host, "bmc1.example", "x.bmc.example", "10.1.2.3"} {
		if _, err := first.Verify(x509.VerifyOptions{Roots: pool, DNSName: name, CurrentTime: now}); err != nil {
			t.Errorf("as %s: %v", name, err)
		}
	}
	if _, err := first.Verify(x509.VerifyOptions{Roots: pool, DNSName: "other.example", CurrentTime: now}); err == nil {
		t.Error("the certificate is good for a name that nobody gave")
	}
	if first.PublicKeyAlgorithm != x509.ECDSA {
		t.Errorf("key is %v, want ECDSA", first.PublicKeyAlgorithm)
	}
	for _, name := range []string{"ca.key", "server.pem"} {
		if info, err := os.Stat(dir.Path(name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v, want 0600", name, info.Mode(), err)
		}
	}

	again := open()
	again.SetNames([]string{"*.bmc.example", "::1", "bmc1.example", "10.1.2.3"})
	if got := leaf(t, again); !got.Equal(first) {
		t.Error("a restart with the same names made another certificate")
	}
	again.SetNames(nil)
	second := leaf(t, again)
	if second.Equal(first) || slices.Contains(second.DNSNames, "bmc1.example") {
		t.Errorf("other names, but the certificate is for %v", second.DNSNames)
	}
	now = second.NotAfter.Add(-renewAhead + time.Minute)
	if third := leaf(t, again); third.Equal(second) || !third.NotAfter.After(second.NotAfter) {
		t.Error("not reissued ahead of its end")
	}
	if after, _ := os.ReadFile(id.CAFile()); !bytes.Equal(after, pem) {
		t.Error("the CA changed")
	}
	now = now.Add(caLife)
	if _, err := OpenIdentity(dir, clock); err == nil {
		t.Error("an expired CA was taken")
	}
}

func TestIdentityRefusesHalf(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	if _, err := OpenIdentity(dir, time.Now); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(dir.Path("ca.key")); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenIdentity(dir, time.Now); err == nil {
		t.Error("a CA without its key was replaced without a word")
	}
}
