package certs_test

import (
	"crypto"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postern/postern/internal/certs"
	"github.com/postern/postern/internal/trust"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newKey(t testing.TB, kind certs.KeyKind) crypto.Signer {
	t.Helper()
	key, err := certs.NewKey(kind)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newCA(t testing.TB, days int) (*x509.Certificate, crypto.Signer) {
	t.Helper()
	key := newKey(t, certs.P256)
	ca, err := certs.SelfSigned(key, certs.Subject{CommonName: "Test CA", Country: "FR"}, certs.Order{Profile: certs.CA, Days: days, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return ca, key
}

func request(t testing.TB, key crypto.Signer, s certs.Subject, n certs.Names) *x509.CertificateRequest {
	t.Helper()
	r, err := certs.NewRequest(key, s, n)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// The table of Symphony's page, with its example values.
func TestTable(t *testing.T) {
	t.Parallel()
	r := request(t, newKey(t, certs.RSA2048), certs.Subject{
		CommonName: "demo-bot1", Organization: "Excelsior Bank", Department: "Collaboration Services", Email: "admin@bots.symphony.com",
		Locality: "London", State: "London", Country: "GB",
	}, certs.Names{})
	got, err := certs.Table(r)
	if err != nil {
		t.Fatal(err)
	}
	want := []certs.Row{
		{Detail: "Certificate Type", Value: "Single Domain Certificate"}, {Detail: "Common Name (CN)", Value: "demo-bot1"},
		{Detail: "Organization", Value: "Excelsior Bank"}, {Detail: "Department", Value: "Collaboration Services"},
		{Detail: "Email", Value: "admin@bots.symphony.com"}, {Detail: "Locality", Value: "London"},
		{Detail: "State / Province", Value: "London"}, {Detail: "Country", Value: "GB"}, {Detail: "Key Size", Value: "2048 bits"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestTableOfNames(t *testing.T) {
	t.Parallel()
	key := newKey(t, certs.P256)
	for _, test := range []struct {
		names certs.Names
		kind  string
		list  string
	}{
		{certs.Names{DNS: []string{"a.example"}}, "Single Domain Certificate", "DNS:a.example"},
		{certs.Names{DNS: []string{"*.a.example"}}, "Wildcard Certificate", "DNS:*.a.example"},
		{certs.Names{DNS: []string{"a.example"}, IPs: []string{"::1"}}, "Multi-Domain (SAN) Certificate", "DNS:a.example, IP:::1"},
		{certs.Names{UPNs: []string{"é@a.example"}}, "Single Domain Certificate", "UPN:é@a.example"},
	} {
		got, err := certs.Table(request(t, key, certs.Subject{CommonName: "x"}, test.names))
		want := []certs.Row{{Detail: "Certificate Type", Value: test.kind}, {Detail: "Common Name (CN)", Value: "x"},
			{Detail: "Subject Alternative Names", Value: test.list}, {Detail: "Key Size", Value: "256 bits (EC P-256)"}}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v: %v, -want +got:\n%s", test.names, err, diff)
		}
	}
}

// Every name of a request is in the certificate, and the profile is what it is for.
func TestSign(t *testing.T) {
	t.Parallel()
	ca, caKey := newCA(t, 1000)
	names := certs.Names{
		DNS: []string{"a.example"}, IPs: []string{"192.0.2.1", "2001:db8::1"}, Emails: []string{"a@a.example"},
		UPNs: []string{"a@a.example"}, URIs: []string{"spiffe://a.example/a"},
	}
	r := request(t, newKey(t, certs.Ed25519), certs.Subject{CommonName: "student", Email: "a@a.example"}, names)
	serials := map[string]bool{}
	for profile, use := range map[certs.Profile]string{certs.Client: "digitalSignature clientAuth", certs.Server: "digitalSignature serverAuth", certs.CA: "keyCertSign cRLSign"} {
		c, err := certs.Sign(r, ca, caKey, certs.Order{Profile: profile, Days: 30, Now: now})
		if err != nil {
			t.Fatal(err)
		}
		d := certs.Item{Certificate: c}.Describe(now)
		wantNames := []string{"DNS:a.example", "IP:192.0.2.1", "IP:2001:db8::1", "email:a@a.example", "UPN:a@a.example", "URI:spiffe://a.example/a"}
		if strings.Join(d.Uses, " ") != use || d.Version != 3 || len(d.Notes) != 0 || !slices.Equal(d.Names, wantNames) {
			t.Errorf("%s: got %+v", profile, d)
		}
		if d.Subject != "emailAddress=a@a.example,CN=student" || d.Issuer != "CN=Test CA,C=FR" {
			t.Errorf("%s: subject %s, issuer %s", profile, d.Subject, d.Issuer)
		}
		if c.IsCA != (profile == certs.CA) || c.IsCA && !c.MaxPathLenZero {
			t.Errorf("%s: CA %v, path length %d", profile, c.IsCA, c.MaxPathLen)
		}
		if !c.NotAfter.Equal(now.AddDate(0, 0, 30)) || !c.NotBefore.Before(now) {
			t.Errorf("%s: from %v to %v", profile, c.NotBefore, c.NotAfter)
		}
		if err := c.CheckSignatureFrom(ca); err != nil || len(c.SubjectKeyId) != 20 || string(c.AuthorityKeyId) != string(ca.SubjectKeyId) {
			t.Errorf("%s: %v, key ids %x %x", profile, err, c.SubjectKeyId, c.AuthorityKeyId)
		}
		if c.SerialNumber.Sign() != 1 || c.SerialNumber.BitLen() > 159 || c.SerialNumber.BitLen() < 64 || serials[c.SerialNumber.String()] {
			t.Errorf("%s: serial number %v", profile, c.SerialNumber)
		}
		serials[c.SerialNumber.String()] = true
	}
}

// Our own judge takes a client's certificate of our own CA.
func TestSignIsTrusted(t *testing.T) {
	t.Parallel()
	ca, caKey := newCA(t, 0)
	c, err := certs.Sign(request(t, newKey(t, certs.P256), certs.Subject{CommonName: "student"}, certs.Names{UPNs: []string{"student@example.com"}}),
		ca, caKey, certs.Order{Profile: certs.Client, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(ca)
	if _, err := c.Verify(x509.VerifyOptions{Roots: pool, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Error(err)
	}
	if upn, err := trust.UPN(c); err != nil || upn != "student@example.com" {
		t.Errorf("UPN %q, %v", upn, err)
	}
	if !c.NotAfter.Equal(ca.NotAfter) {
		t.Errorf("it ends on %v, want with its CA on %v", c.NotAfter, ca.NotAfter)
	}
}

func TestSignRefuses(t *testing.T) {
	t.Parallel()
	ca, caKey := newCA(t, 100)
	key := newKey(t, certs.P256)
	good := request(t, key, certs.Subject{CommonName: "student"}, certs.Names{})
	leaf, err := certs.Sign(good, ca, caKey, certs.Order{Profile: certs.Client, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	lower, err := certs.Sign(good, ca, caKey, certs.Order{Profile: certs.CA, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	forged := *good
	forged.Signature = slices.Clone(good.Signature)
	forged.Signature[len(forged.Signature)-1] ^= 1
	client := certs.Order{Profile: certs.Client, Now: now}
	with := func(change func(*certs.Order)) certs.Order {
		o := client
		change(&o)
		return o
	}
	for _, test := range []struct {
		name  string
		r     *x509.CertificateRequest
		ca    *x509.Certificate
		key   crypto.Signer
		order certs.Order
		want  error
		says  string
	}{
		{"a leaf as CA", good, leaf, key, client, trust.ErrNotCA, "basic constraints"},
		{"another key", good, ca, key, client, certs.ErrIssue, "belong together"},
		{"forged request", &forged, ca, caKey, client, certs.ErrIssue, "own signature"},
		{"longer than the CA", good, ca, caKey, with(func(o *certs.Order) { o.Days = 101 }), certs.ErrIssue, "the CA ends on 2026-06-09"},
		{"no days", good, ca, caKey, with(func(o *certs.Order) { o.Days = -1 }), certs.ErrIssue, "not -1"},
		{"after the CA's end", good, ca, caKey, with(func(o *certs.Order) { o.Now = now.AddDate(1, 0, 0) }), certs.ErrIssue, "the CA ended on"},
		{"before its begin", good, ca, caKey, with(func(o *certs.Order) { o.Now = now.AddDate(-1, 0, 0) }), certs.ErrIssue, "the CA begins on"},
		{"no profile", good, ca, caKey, with(func(o *certs.Order) { o.Profile = "" }), certs.ErrIssue, "none of"},
		{"a server without a name", good, ca, caKey, with(func(o *certs.Order) { o.Profile = certs.Server }), certs.ErrName, "RFC 9525"},
		{"a CA below the last one", good, lower, key, with(func(o *certs.Order) { o.Profile = certs.CA }), certs.ErrIssue, "no other CA"},
	} {
		_, err := certs.Sign(test.r, test.ca, test.key, test.order)
		if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: got %v, want %v that says %q", test.name, err, test.want, test.says)
		}
	}
}

func TestBadNames(t *testing.T) {
	t.Parallel()
	key := newKey(t, certs.P256)
	x := certs.Subject{CommonName: "x"}
	for name, test := range map[string]struct {
		s certs.Subject
		n certs.Names
	}{
		"empty subject":      {},
		"country":            {s: certs.Subject{CommonName: "x", Country: "gb"}},
		"country in full":    {s: certs.Subject{CommonName: "x", Country: "England"}},
		"long common name":   {s: certs.Subject{CommonName: strings.Repeat("x", 65)}},
		"blank around":       {s: certs.Subject{CommonName: "x "}},
		"control character":  {s: certs.Subject{CommonName: "x\x00y"}},
		"no UTF-8":           {s: certs.Subject{CommonName: "\xff"}},
		"email":              {s: certs.Subject{CommonName: "x", Email: "nobody"}},
		"email in Unicode":   {s: certs.Subject{CommonName: "x", Email: "é@example.com"}},
		"DNS name":           {x, certs.Names{DNS: []string{"a b"}}},
		"DNS wildcard":       {x, certs.Names{DNS: []string{"a.*.example"}}},
		"IP address":         {x, certs.Names{IPs: []string{"1.2.3"}}},
		"IP address's zone":  {x, certs.Names{IPs: []string{"fe80::1%eth0"}}},
		"mail address":       {x, certs.Names{Emails: []string{"@"}}},
		"UPN without domain": {x, certs.Names{UPNs: []string{"student"}}},
		"URI":                {x, certs.Names{URIs: []string{"a b"}}},
		"too many":           {x, certs.Names{DNS: slices.Repeat([]string{"a.example"}, 101)}},
	} {
		if _, err := certs.NewRequest(key, test.s, test.n); !errors.Is(err, certs.ErrName) {
			t.Errorf("%s: got %v, want ErrName", name, err)
		}
	}
}

// A name cannot move the cursor of who looks at it.
func TestDescribeEscapes(t *testing.T) {
	t.Parallel()
	r := request(t, newKey(t, certs.P256), certs.Subject{CommonName: `a,b+c "d" <e> é\`, Organization: "#1"}, certs.Names{})
	if got, want := (certs.Item{Request: r}).Describe(now).Subject, `CN=a\,b\+c \"d\" \<e\> é\\,O=\#1`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
