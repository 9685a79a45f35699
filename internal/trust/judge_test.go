package trust_test

import (
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/postern/postern/internal/trust"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	root, other := newCA(t, "root"), newCA(t, "other")
	sub := root.sub(t, "sub")
	oldCA := plan{"old", nil, with(asCA, func(c *x509.Certificate) { c.NotAfter = noon.Add(-time.Hour) })}.issue(t, root)
	youngCA := plan{"young", nil, with(asCA, func(c *x509.Certificate) { c.NotBefore = noon.Add(time.Hour) })}.issue(t, root)
	weakCA := plan{"weak", rsaKey(t, 1024), asCA}.issue(t, root)
	sha1CA := plan{"sha1", nil, with(asCA, func(c *x509.Certificate) { c.SignatureAlgorithm = x509.ECDSAWithSHA1 })}.issue(t, root)
	noCA := root.client(t, "no CA")
	v1 := root.issueV1(t, "v1")
	serverCA := plan{"servers", nil, with(asCA, func(c *x509.Certificate) {
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})}.issue(t, root)
	flatCA := plan{"flat", nil, with(asCA, func(c *x509.Certificate) { c.MaxPathLenZero = true })}.issue(t, root)
	deepCA := plan{"deep", nil, asCA}.issue(t, flatCA)
	leaf := func(f func(*x509.Certificate)) *entity { return plan{"leaf", nil, with(asClient, f)}.issue(t, root) }

	ok := root.client(t, "ok")
	for _, c := range []struct {
		name string
		sent []*entity
		want error
	}{
		{"issued by the CA", []*entity{ok}, nil},
		{"with the CA sent along", []*entity{ok, root}, nil},
		{"through an intermediate", []*entity{sub.client(t, "a"), sub}, nil},
		{"with strangers in between", []*entity{sub.client(t, "a"), other, ok, sub, root}, nil},
		{"no key usages at all", []*entity{plan{"a", nil, nil}.issue(t, root)}, nil},
		{"any usage", []*entity{leaf(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} })}, nil},
		{"key agreement", []*entity{leaf(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement })}, nil},
		{"RSA of 2048 bits", []*entity{plan{"a", rsaKey(t, 2048), asClient}.issue(t, root)}, nil},
		{"version 1", []*entity{v1}, nil},
		{"critical names of a kind that x509 does not know", []*entity{leaf(func(c *x509.Certificate) {
			c.Subject = pkix.Name{}
			c.ExtraExtensions = []pkix.Extension{{Id: []int{2, 5, 29, 17}, Critical: true, Value: upnVector(t)}}
		})}, nil},

		{"none", nil, trust.ErrMalformed},
		{"eleven", slices.Repeat([]*entity{ok}, 11), trust.ErrMalformed},
		{"too large", slices.Repeat([]*entity{leaf(func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: []int{1, 2, 3}, Value: make([]byte, 10_000)}}
		})}, 7), trust.ErrMalformed},
		{"a key that takes long to work with", []*entity{{Certificate: &x509.Certificate{
			Raw: []byte{1}, PublicKey: &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 8192), E: 65537},
		}}}, trust.ErrMalformed},
		{"an empty one", []*entity{ok, {Certificate: &x509.Certificate{}}}, trust.ErrMalformed},
		{"self-signed", []*entity{plan{"a", nil, asClient}.issue(t, nil)}, trust.ErrUntrusted},
		{"of another CA", []*entity{other.client(t, "a"), other}, trust.ErrUntrusted},
		{"of a CA with the name alone", []*entity{newCA(t, "root").client(t, "a")}, trust.ErrUntrusted},
		{"intermediate not sent", []*entity{sub.client(t, "a")}, trust.ErrUntrusted},
		{"issued by a client", []*entity{noCA.client(t, "a"), noCA}, trust.ErrUntrusted},
		{"issued by a version 1 certificate", []*entity{v1.client(t, "a"), v1}, trust.ErrUntrusted},
		{"too deep", []*entity{deepCA.client(t, "a"), deepCA, flatCA}, trust.ErrUntrusted},
		{"unknown critical extension", []*entity{leaf(func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: []int{1, 2, 3}, Critical: true, Value: []byte{5, 0}}}
		})}, trust.ErrUntrusted},
		{"expired", []*entity{leaf(func(c *x509.Certificate) { c.NotAfter = noon.Add(-time.Second) })}, trust.ErrExpired},
		{"not yet valid", []*entity{leaf(func(c *x509.Certificate) { c.NotBefore = noon.Add(time.Second) })}, trust.ErrNotYetValid},
		{"expired intermediate", []*entity{oldCA.client(t, "a"), oldCA}, trust.ErrExpired},
		{"intermediate not yet valid", []*entity{youngCA.client(t, "a"), youngCA}, trust.ErrNotYetValid},
		{"RSA of 1024 bits", []*entity{plan{"a", rsaKey(t, 1024), asClient}.issue(t, root)}, trust.ErrWeakKey},
		{"P-224", []*entity{plan{"a", ecKey(t, elliptic.P224()), asClient}.issue(t, root)}, trust.ErrWeakKey},
		{"intermediate with a weak key", []*entity{weakCA.client(t, "a"), weakCA}, trust.ErrWeakKey},
		{"signed with SHA-1", []*entity{leaf(func(c *x509.Certificate) { c.SignatureAlgorithm = x509.ECDSAWithSHA1 })}, trust.ErrWeakKey},
		{"intermediate signed with SHA-1", []*entity{sha1CA.client(t, "a"), sha1CA}, trust.ErrWeakKey},
		{"for a server", []*entity{leaf(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })}, trust.ErrUsage},
		{"for something unknown", []*entity{leaf(func(c *x509.Certificate) {
			c.ExtKeyUsage, c.UnknownExtKeyUsage = nil, append(c.UnknownExtKeyUsage, []int{1, 2, 3})
		})}, trust.ErrUsage},
		{"of a CA for servers", []*entity{serverCA.client(t, "a"), serverCA}, trust.ErrUsage},
		{"key encipherment alone", []*entity{leaf(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment })}, trust.ErrUsage},
		{"the CA itself", []*entity{root}, trust.ErrUsage},
		{"another CA under it", []*entity{sub, root}, trust.ErrUsage},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := trusting(t, root)
			v := wantJudged(t, s, c.want, c.sent...)
			if !v.NextCheck.After(noon) || v.NextCheck.After(noon.Add(time.Hour)) {
				t.Errorf("to be judged again at %s", v.NextCheck)
			}
			if (v.Anchor.Certificate != nil) != (c.want == nil) {
				t.Errorf("anchor is %v", v.Anchor)
			}
			if c.want == nil && (!v.Anchor.Certificate.Equal(root.Certificate) || v.Fingerprint != trust.FingerprintOf(c.sent[0].Certificate)) {
				t.Errorf("verdict is %+v", v)
			}
		})
	}
}

func upnVector(t testing.TB) []byte {
	t.Helper()
	der, err := hex.DecodeString("302ba029060a2b060104018237140203a01b0c196f70657261746f7231406c61622e6578616d706c652e6e6574")
	must(t, err)
	return der
}

func TestNextCheckIsTheFirstEnd(t *testing.T) {
	t.Parallel()
	root := newCA(t, "root")
	soon := noon.Add(10 * time.Minute)
	short := plan{"sub", nil, with(asCA, func(c *x509.Certificate) { c.NotAfter = soon })}.issue(t, root)
	s := trusting(t, root)
	if v := wantJudged(t, s, nil, short.client(t, "a"), short); !v.NextCheck.Equal(soon) {
		t.Errorf("next check at %s, want %s", v.NextCheck, soon)
	}
}

// TestWhere: a CA lets in nobody where it does not count.
func TestWhere(t *testing.T) {
	t.Parallel()
	family := func(l string) string {
		return map[string]string{"bmc1": "redfish", "bmc2": "redfish", "pod": "symphony"}[l]
	}
	for _, c := range []struct {
		name string
		ca   trust.NewCA
		want []string
	}{
		{"everywhere", trust.NewCA{}, []string{"bmc1", "bmc2", "pod"}},
		{"a family", trust.NewCA{Family: "redfish"}, []string{"bmc1", "bmc2"}},
		{"a listener", trust.NewCA{Listener: "bmc2"}, []string{"bmc2"}},
		{"a listener of another family", trust.NewCA{Listener: "bmc2", Family: "symphony"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			root := newCA(t, "root")
			s := newService(t, trust.Config{Family: family})
			c.ca.Text = root.pem()
			add(t, s, c.ca)
			var got []string
			for _, l := range []string{"bmc1", "bmc2", "pod"} {
				_, err := s.Judge(t.Context(), l, chain(root.client(t, "a")))
				if err == nil {
					got = append(got, l)
				} else {
					wantErr(t, err, trust.ErrUntrusted)
				}
				if n := len(s.CAs(l)); (n == 1) != (err == nil) {
					t.Errorf("%d CAs at %s", n, l)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("counts at %v, want %v", got, c.want)
			}
		})
	}
}

// TestMostParticular: the settings of the CA for this listener alone win over those
// of the same CA for all.
func TestMostParticular(t *testing.T) {
	t.Parallel()
	root := newCA(t, "root")
	server := plan{"a", nil, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }}.issue(t, root)
	s := trusting(t, root)
	wantJudged(t, s, trust.ErrUsage, server)
	here := add(t, s, trust.NewCA{Text: root.pem(), Listener: "bmc1", AnyUsage: true})
	if v := wantJudged(t, s, nil, server); v.Anchor.ID != here.ID {
		t.Errorf("anchor is %+v", v.Anchor)
	}
	_, err := s.Judge(t.Context(), "bmc2", chain(server))
	wantErr(t, err, trust.ErrUsage)
}

func TestKeysByListener(t *testing.T) {
	t.Parallel()
	root := newCA(t, "root")
	leaf := plan{"a", rsaKey(t, 2048), asClient}.issue(t, root)
	s := newService(t, trust.Config{MinRSA: func(l string) int { return map[string]int{"bmc1": 4096, "bmc2": 512}[l] }})
	add(t, s, trust.NewCA{Text: root.pem()})
	_, err := s.Judge(t.Context(), "bmc1", chain(leaf))
	wantErr(t, err, trust.ErrWeakKey)
	_, err = s.Judge(t.Context(), "bmc2", chain(leaf))
	must(t, err)
	_, err = s.Judge(t.Context(), "bmc2", chain(plan{"a", rsaKey(t, 1024), asClient}.issue(t, root)))
	wantErr(t, err, trust.ErrWeakKey) // nobody may ask for less than the least
}

func TestJudgeLeaf(t *testing.T) {
	t.Parallel()
	root := newCA(t, "root")
	s := trusting(t, root)
	self := func(key plan) *entity { return key.issue(t, nil) }
	for _, c := range []struct {
		name string
		sent []*entity
		want error
	}{
		{"self-signed", []*entity{self(plan{"a", nil, asClient})}, nil},
		{"self-signed as openssl req -x509 makes it", []*entity{newCA(t, "a")}, nil},
		{"expired", []*entity{self(plan{"a", nil, func(c *x509.Certificate) { c.NotAfter = noon.Add(-time.Hour) }})}, trust.ErrExpired},
		{"not yet valid", []*entity{self(plan{"a", nil, func(c *x509.Certificate) { c.NotBefore = noon.Add(time.Hour) }})}, trust.ErrNotYetValid},
		{"weak", []*entity{self(plan{"a", rsaKey(t, 1024), nil})}, trust.ErrWeakKey},
		{"of a CA", []*entity{root.client(t, "a")}, nil},
		{"of a CA that is not trusted", []*entity{newCA(t, "x").client(t, "a")}, trust.ErrUntrusted},
		{"with the name of its CA", []*entity{root.client(t, "root")}, nil},
		{"with the name of a CA that is not trusted", []*entity{newCA(t, "x").client(t, "x")}, trust.ErrUntrusted},
		{"none", nil, trust.ErrMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v, err := s.JudgeLeaf(t.Context(), "bmc1", chain(c.sent...))
			if c.want == nil {
				must(t, err)
				if v.Fingerprint != trust.FingerprintOf(c.sent[0].Certificate) || !v.NextCheck.After(noon) {
					t.Errorf("verdict is %+v", v)
				}
			}
			wantErr(t, err, c.want)
		})
	}
}

func BenchmarkJudge(b *testing.B) {
	root := newCA(b, "root")
	sub := root.sub(b, "sub")
	s := trusting(b, root)
	sent := chain(sub.client(b, "a"), sub)
	for b.Loop() {
		if _, err := s.Judge(b.Context(), "bmc1", sent); err != nil {
			b.Fatal(err)
		}
	}
}
