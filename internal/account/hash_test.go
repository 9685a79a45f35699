package account

import (
	"errors"
	"fmt"
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
	h, err := parse(good)
	if err != nil || h.(phc).String() != good {
		t.Fatalf("got %v, %v", h, err)
	}
	for name, edit := range map[string][2]string{
		"other kind":                  {"argon2id", "argon2i"},
		"other version":               {"v=19", "v=16"},
		"too much memory":             {"m=19456", "m=262145"},
		"less memory than lanes need": {"m=19456", "m=7"},
		"no memory":                   {"m=19456", "m=0"},
		"overflow":                    {"m=19456", "m=4294967297"},
		"leading zero":                {"m=19456", "m=019456"},
		"sign":                        {"t=2", "t=+2"},
		"too many passes":             {"t=2", "t=11"},
		"too many lanes":              {"p=1", "p=9"},
		"missing lanes":               {",p=1", ""},
		"padding":                     {"AA$", "A=$"},
		"bits behind":                 {"AA$", "AB$"},
		"short salt":                  {strings.Repeat("A", 22) + "$", "AAAA$"},
		"empty field":                 {"$v=19", "$$v=19"},
	} {
		bad := strings.Replace(good, edit[0], edit[1], 1)
		if bad == good {
			t.Errorf("%s: the edit does nothing", name)
		}
		if err := CheckHash(bad); !errors.Is(err, ErrBadHash) {
			t.Errorf("%s: %s: got %v, want ErrBadHash", name, bad, err)
		}
	}
}

// imported are hashes that libxcrypt 4.4.33 (sha512crypt) and PyPI bcrypt 5.0.0
// have made.
var imported = []struct{ name, password, hash string }{
	{"sha512crypt", "Hello world!", "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"},
	{"rounds", "Hello world!", "$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v."},
	{"long", "a very much longer text to encrypt.  This one even stretches over morethan one line.",
		"$6$rounds=1400$anotherlongsalts$POfYwTEok97VWcjxIiSOjiykti.o/pQs.wPvMxQ6Fm7I6IoYN3CmLs66x9t0oSwbtEW7o7UmJEiDwGqd8p4ur1"},
	{"least rounds", "the minimum number is still observed",
		"$6$rounds=1000$roundstoolow$kUMsbe306n21p9R.FRkW3IGn.S9NPN0x50YhH1xhLsPuWGsUSklZt58jaTfF4ZEQpyUNGc0dqbpBYYBaHHrsX."},
	{"short salt, UTF-8", "pässwörd", "$6$x$CcOozKa6JVx4D2D8MkLiJrFeNI7WXH.mpgK166.0Klw7xGHTCeLuyZxq45XcTgw97w7RIg7n9epLe.7jp3kKM/"},
	{"64 bytes", strings.Repeat("0123456789", 6) + "0123", "$6$ab$yETYr5vaBz9CIKdQQ5TWdxr4qg.l2gTbFNeBlRTqZVtkPI7.OPqErj3y85rJ5XXqJsewev8LRHiqLC2aA28bs."},
	{"bcrypt", "pässwörd", "$2b$04$JwYznhaWO0zslNGeD.460eQ46CN6efb7tkOUI6RqLseRl/bPdNE/2"},
	{"bcrypt of PHP", "pässwörd", "$2y$04$JwYznhaWO0zslNGeD.460eQ46CN6efb7tkOUI6RqLseRl/bPdNE/2"},
	{"old bcrypt", "pässwörd", "$2a$04$JwYznhaWO0zslNGeD.460eQ46CN6efb7tkOUI6RqLseRl/bPdNE/2"},
	{"bcrypt, 72 bytes", strings.Repeat("x", 72), "$2b$04$5LB9428zKdE40nYc0VPNpOtAMewRHrWe3/LrsaF73xOmbu7gXVqtq"},
}

func TestVerifyImported(t *testing.T) {
	t.Parallel()
	for _, c := range imported {
		if err := CheckHash(c.hash); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if !Verify(c.hash, auth.NewSecret(c.password)) {
			t.Errorf("%s: the right password was refused", c.name)
		}
		if !NeedsRehash(c.hash) {
			t.Errorf("%s: stays as it is", c.name)
		}
		// With bcrypt, what is behind 72 bytes would count for nothing.
		for _, wrong := range []string{"", c.password[1:], c.password + "x", c.password + strings.Repeat("x", MaxPassword)} {
			if Verify(c.hash, auth.NewSecret(wrong)) {
				t.Errorf("%s: %q was accepted", c.name, wrong)
			}
		}
	}
	for hash, want := range map[string]bool{FakeHash(): false, "": true, strings.Replace(FakeHash(), "t=2", "t=1", 1): true} {
		if NeedsRehash(hash) != want {
			t.Errorf("%q: needs a new hash: %v, want %v", hash, !want, want)
		}
	}
}

func TestCheckHashRefuses(t *testing.T) {
	t.Parallel()
	sha, bcrypt := imported[1].hash, imported[6].hash
	for name, bad := range map[string]string{
		"empty":                "",
		"plain":                "correct horse",
		"md5crypt":             "$1$abcdefgh$G//4keteveJp0qb8z2DxG/",
		"sha256crypt":          "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc8",
		"yescrypt":             "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7",
		"broken bcrypt":        strings.Replace(bcrypt, "$2b", "$2x", 1),
		"bcrypt without digit": bcrypt[:59],
		"bcrypt and more":      bcrypt + "x",
		"bcrypt other digits":  bcrypt[:59] + "+",
		"bcrypt cost 15":       strings.Replace(bcrypt, "$04$", "$15$", 1),
		"bcrypt cost 3":        strings.Replace(bcrypt, "$04$", "$03$", 1),
		"bcrypt cost":          strings.Replace(bcrypt, "$04$", "$+4$", 1),
		"few rounds":           strings.Replace(sha, "rounds=10000", "rounds=999", 1),
		"many rounds":          strings.Replace(sha, "rounds=10000", "rounds=1000001", 1),
		"no rounds":            strings.Replace(sha, "rounds=10000", "rounds=", 1),
		"leading zero":         strings.Replace(sha, "rounds=10000", "rounds=010000", 1),
		"long salt":            strings.Replace(sha, "$saltstring", "$xsaltstring", 1),
		"blank in salt":        strings.Replace(sha, "$saltstring", "$salt tring", 1),
		"short digits":         sha[:len(sha)-1],
		"other digits":         sha[:len(sha)-1] + "=",
		"another field":        sha + "$",
		"line end":             sha + "\n",
		"too long":             "$6$" + strings.Repeat("x", 1<<20),
	} {
		err := CheckHash(bad)
		if !errors.Is(err, ErrBadHash) {
			t.Errorf("%s: got %v, want ErrBadHash", name, err)
		} else if bad != "" && strings.Contains(err.Error(), bad) {
			t.Errorf("%s: the error tells the hash", name)
		}
	}
}

// FuzzParse: whatever a damaged row or an import holds, what is accepted is within
// the limits and is written as it was read.
func FuzzParse(f *testing.F) {
	f.Add(FakeHash())
	f.Add("$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b4dWRWJTmaaJObG")
	f.Add("$argon2id$v=19$m=,t=,p=$$")
	for _, v := range imported {
		f.Add(v.hash)
	}
	f.Add("$6$rounds=$$")
	f.Add("$2b$04$")
	f.Fuzz(func(t *testing.T, s string) {
		h, err := parse(s)
		again := s
		switch h := h.(type) {
		case phc:
			again = h.String()
			if h.memory > maxMemory || h.memory < 8*uint32(h.threads) || h.time > maxTime || h.threads > maxThreads ||
				len(h.salt) > maxBytes || len(h.key) > maxBytes || h.time == 0 || h.threads == 0 || len(h.key) == 0 {
				t.Errorf("%q: out of the limits", s)
			}
		case bcrypted:
			again = string(h)
		case sha512crypted:
			if again = "$6$" + h.salt + "$" + h.digits; strings.Contains(s, "$rounds=") {
				again = fmt.Sprintf("$6$rounds=%d$%s$%s", h.rounds, h.salt, h.digits)
			}
			if h.rounds < 1000 || h.rounds > 1_000_000 || len(h.salt) > 16 {
				t.Errorf("%q: out of the limits", s)
			}
		default:
			if err == nil {
				t.Errorf("%q: neither a hash nor an error", s)
			}
		}
		if again != s {
			t.Errorf("%q is written as %q", s, again)
		}
	})
}

func BenchmarkHash(b *testing.B) {
	p := auth.NewSecret("correct horse battery staple")
	for b.Loop() {
		Verify(FakeHash(), p)
	}
}
