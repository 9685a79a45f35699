package account

import (
	"strings"
	"testing"

	"github.com/postern/postern/auth"
)

func TestHash(t *testing.T) {
	t.Parallel()
	p := auth.NewSecret("correct horse battery staple")
	first, err := Hash(p)
	if err != nil {
		t.Fatal(err)
	}
	second, err := Hash(p)
	if err != nil {
		t.Fatal(err)
	}
	if first == second {
		t.Error("the same salt twice")
	}
	if !strings.HasPrefix(first, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("got %s", first)
	}
	if !Verify(first, p) || !Verify(second, p) {
		t.Error("the right password was refused")
	}
	for _, wrong := range []string{"", "correct horse battery stapl", "correct horse battery staple "} {
		if Verify(first, auth.NewSecret(wrong)) {
			t.Errorf("%q was accepted", wrong)
		}
	}
	if Verify(FakeHash(), auth.Secret{}) || Verify(FakeHash(), p) {
		t.Error("the fake hash matches something")
	}
	if Verify("", auth.Secret{}) || Verify("no hash", auth.NewSecret("no hash")) {
		t.Error("a text that is no hash matches something")
	}
}

// TestVerifyOthers checks a hash of the reference implementation
// (P-H-C/phc-winner-argon2, src/test.c), whose parameters are not ours.
func TestVerifyOthers(t *testing.T) {
	t.Parallel()
	const hash = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	if !Verify(hash, auth.NewSecret("password")) {
		t.Error("the right password was refused")
	}
	if Verify(hash, auth.NewSecret("Password")) {
		t.Error("a wrong password was accepted")
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	good := FakeHash()
	if p, err := parse(good); err != nil || p.String() != good {
		t.Fatalf("got %v, %v", p, err)
	}
	for name, edit := range map[string][2]string{
		"other kind":      {"argon2id", "argon2i"},
		"other version":   {"v=19", "v=16"},
		"too much memory": {"m=19456", "m=4194304"},
		"no memory":       {"m=19456", "m=0"},
		"overflow":        {"m=19456", "m=4294967297"},
		"leading zero":    {"m=19456", "m=019456"},
		"sign":            {"t=2", "t=+2"},
		"too many passes": {"t=2", "t=65"},
		"too many lanes":  {"p=1", "p=17"},
		"missing lanes":   {",p=1", ""},
		"padding":         {"AA$", "A=$"},
		"bits behind":     {"AA$", "AB$"},
		"short salt":      {strings.Repeat("A", 22) + "$", "AAAA$"},
		"empty field":     {"$v=19", "$$v=19"},
	} {
		bad := strings.Replace(good, edit[0], edit[1], 1)
		if bad == good {
			t.Errorf("%s: the edit does nothing", name)
		}
		if _, err := parse(bad); err == nil {
			t.Errorf("%s: %s was accepted", name, bad)
		}
	}
}

// FuzzParse: whatever a damaged row holds, what is accepted is within the limits
// and is written as it was read.
func FuzzParse(f *testing.F) {
	f.Add(FakeHash())
	f.Add("$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b4dWRWJTmaaJObG")
	f.Add("$argon2id$v=19$m=,t=,p=$$")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parse(s)
		if err != nil {
			return
		}
		if p.memory > maxMemory || p.time > maxTime || p.threads > maxThreads || len(p.salt) > maxBytes || len(p.key) > maxBytes ||
			p.time == 0 || p.threads == 0 || len(p.key) == 0 {
			t.Errorf("%q: out of the limits", s)
		}
		if p.String() != s {
			t.Errorf("%q is written as %q", s, p.String())
		}
	})
}

func BenchmarkHash(b *testing.B) {
	p := auth.NewSecret("correct horse battery staple")
	for b.Loop() {
		Verify(FakeHash(), p)
	}
}
