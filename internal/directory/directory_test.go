package directory_test

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/directory"
	"github.com/postern/postern/internal/directory/directorytest"
)

const (
	base   = "ou=people,dc=example,dc=com"
	ann    = "uid=ann,ou=people,dc=example,dc=com"
	reader = "cn=reader,dc=example,dc=com"
	admins = "cn=admins,ou=groups,dc=example,dc=com"
	staff  = "cn=staff,ou=groups,dc=example,dc=com"
	guests = "cn=guests,ou=groups,dc=example,dc=com"
)

// person has a password and attributes, a name and a value each.
func person(password string, pairs ...string) directorytest.Entry {
	e := directorytest.Entry{Password: password, Attributes: map[string][]string{}}
	for i := 0; i < len(pairs); i += 2 {
		e.Attributes[pairs[i]] = append(e.Attributes[pairs[i]], pairs[i+1])
	}
	return e
}

func people() map[string]directorytest.Entry {
	return map[string]directorytest.Entry{
		reader: person("search"),
		ann: person("secret", "uid", "ann", "cn", "Ann", "userprincipalname", "ann@corp.example.com",
			"mail", "Ann <no address>", "mail", "ann@example.com", "memberof", "CN=Staff, OU=groups,DC=example,DC=com"),
		"uid=bob," + base:           person("bob's", "uid", "bob", "cn", "twin"),
		"uid=bob2," + base:          person("bob's", "uid", "bob2", "cn", "twin"),
		"uid=out,dc=example,dc=com": person("secret", "uid", "out"),
		"uid=*," + base:             person("star", "uid", "*"),
		"uid=a\\2cb," + base:        person("comma", "uid", "a,b"),
		admins:                      person("", "member", ann),
		staff:                       person(""),
		guests:                      person("", "member", "uid=bob,"+base),
		"ann@corp.example.com":      person("secret"), // what Active Directory makes of it
	}
}

func searching(s *directorytest.Server) directory.Config {
	return directory.Config{
		Servers: []string{s.LDAPS}, Roots: s.Roots, BindName: reader, BindPassword: auth.NewSecret("search"),
		Bases: []string{base}, NameAttributes: []string{"uid", "cn"}, Groups: []string{admins, staff, guests},
	}
}

func check(t *testing.T, c directory.Config, name, password string) (directory.User, error) {
	t.Helper()
	d, err := directory.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return d.Check(t.Context(), name, auth.NewSecret(password))
}

func TestCheck(t *testing.T) {
	t.Parallel()
	s := directorytest.New(t, people())
	own := searching(s)
	own.BindName, own.BindPassword = "", auth.Secret{}
	upgraded := searching(s)
	upgraded.Servers = []string{s.LDAP}
	for way, c := range map[string]directory.Config{"searching": searching(s), "own rights": own, "StartTLS": upgraded} {
		for _, name := range []string{"ann", `CORP\ann`, "ann@corp.example.com", ann, "UID=ann,OU=people,DC=example,DC=com"} {
			u, err := check(t, c, name, "secret")
			if err != nil {
				t.Errorf("%s: %q: %v", way, name, err)
				continue
			}
			if !strings.EqualFold(u.DN, ann) || u.Mail != "ann@example.com" || !slices.Equal(u.Groups, []string{admins, staff}) {
				t.Errorf("%s: %q: %+v", way, name, u)
			}
		}
		for name, password := range map[string]string{
			"ann": "wrong", "nobody": "secret", "": "secret", `CORP\`: "secret", "ann@other.example.com": "secret", "out": "secret",
			"uid=out,dc=example,dc=com": "secret", "*": "secret", "an*": "secret", "ann)(uid=*": "secret", "=": "secret",
			"ann\x00": "secret", "x\nann": "secret", strings.Repeat("a", 600): "secret", "\xff": "secret",
		} {
			if _, err := check(t, c, name, password); !errors.Is(err, directory.ErrRefused) {
				t.Errorf("%s: %.20q: %v", way, name, err)
			}
		}
	}
}

func TestCheckSpecialNames(t *testing.T) {
	t.Parallel()
	s := directorytest.New(t, people())
	for name, password := range map[string]string{"*": "star", "a,b": "comma"} {
		if _, err := check(t, searching(s), name, password); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := check(t, searching(s), "twin", "bob's"); !errors.Is(err, directory.ErrRefused) {
		t.Errorf("a name of two: %v", err)
	}
}

// An empty password would bind as nobody, and succeed.
func TestEmptyPassword(t *testing.T) {
	t.Parallel()
	all := people()
	all[ann] = directorytest.Entry{Attributes: all[ann].Attributes}
	s := directorytest.New(t, all)
	for _, password := range []string{"", "\x00", strings.Repeat("x", 600)} {
		if _, err := check(t, searching(s), "ann", password); !errors.Is(err, directory.ErrRefused) {
			t.Errorf("%.5q: %v", password, err)
		}
	}
	if n := s.Binds.Load(); n != 0 {
		t.Errorf("%d binds", n)
	}
}

// Unknown users cost the server what wrong passwords cost.
func TestUnknownLooksLikeWrong(t *testing.T) {
	t.Parallel()
	s := directorytest.New(t, people())
	var costs [][2]int32
	for _, name := range []string{"ann", "nobody", "twin"} {
		s.Binds.Store(0)
		s.Searches.Store(0)
		check(t, searching(s), name, "wrong")
		costs = append(costs, [2]int32{s.Binds.Load(), s.Searches.Load()})
	}
	if costs[0] != costs[1] || costs[0] != costs[2] {
		t.Errorf("binds and searches for a wrong password, an unknown user and a name of two: %v", costs)
	}
}

func TestUnavailable(t *testing.T) {
	t.Parallel()
	good := directorytest.New(t, people())
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	flooding, silent := directorytest.New(t, people()), directorytest.New(t, people())
	flooding.Broken = func(c net.Conn) {
		for {
			if _, err := c.Write([]byte(strings.Repeat("\x30\x05\x02\x01\x63\x05\x00", 1000))); err != nil {
				return
			}
		}
	}
	silent.Broken = func(c net.Conn) { c.Close() }
	huge := directorytest.New(t, people())
	huge.Broken = func(c net.Conn) {
		c.Write([]byte("\x30\x84\x7f\xff\xff\xff"))
		for {
			if _, err := c.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
	}
	for name, change := range map[string]func(*directory.Config){
		"nobody there":       func(c *directory.Config) { c.Servers = []string{"ldaps://" + closed.Addr().String()} },
		"unknown CA":         func(c *directory.Config) { c.Roots = x509.NewCertPool() },
		"unknown CA, later":  func(c *directory.Config) { c.Roots, c.Servers = x509.NewCertPool(), []string{good.LDAP} },
		"TLS at a plain one": func(c *directory.Config) { c.Servers = []string{"ldap" + strings.TrimPrefix(good.LDAPS, "ldaps")} },
		"searcher unknown":   func(c *directory.Config) { c.BindPassword = auth.NewSecret("wrong") },
		"flood":              func(c *directory.Config) { c.Servers, c.Roots = []string{flooding.LDAPS}, flooding.Roots },
		"hung up":            func(c *directory.Config) { c.Servers, c.Roots = []string{silent.LDAPS}, silent.Roots },
		"huge packet":        func(c *directory.Config) { c.Servers, c.Roots = []string{huge.LDAPS}, huge.Roots },
	} {
		c := searching(good)
		change(&c)
		_, err := check(t, c, "ann", "secret")
		if !errors.Is(err, directory.ErrUnavailable) || errors.Is(err, directory.ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := searching(good)
	c.Servers = []string{"ldaps://" + closed.Addr().String(), good.LDAPS}
	if _, err := check(t, c, "ann", "secret"); err != nil {
		t.Errorf("the second server: %v", err)
	}
	d, err := directory.New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.Check(ctx, "ann", auth.NewSecret("secret")); !errors.Is(err, directory.ErrUnavailable) {
		t.Errorf("nobody waits: %v", err)
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*directory.Config){
		"no server":         func(c *directory.Config) { c.Servers = nil },
		"four servers":      func(c *directory.Config) { c.Servers = slices.Repeat(c.Servers, 4) },
		"scheme":            func(c *directory.Config) { c.Servers = []string{"http://127.0.0.1"} },
		"no scheme":         func(c *directory.Config) { c.Servers = []string{"127.0.0.1:636"} },
		"path":              func(c *directory.Config) { c.Servers = []string{"ldaps://127.0.0.1/dc=x"} },
		"user":              func(c *directory.Config) { c.Servers = []string{"ldaps://a@127.0.0.1"} },
		"no base":           func(c *directory.Config) { c.Bases = nil },
		"base":              func(c *directory.Config) { c.Bases = []string{"example.com"} },
		"empty base":        func(c *directory.Config) { c.Bases = []string{""} },
		"group":             func(c *directory.Config) { c.Groups = []string{"admins"} },
		"name alone":        func(c *directory.Config) { c.BindPassword = auth.Secret{} },
		"password alone":    func(c *directory.Config) { c.BindName = "" },
		"attribute":         func(c *directory.Config) { c.NameAttributes = []string{"uid)(x"} },
		"too many groups":   func(c *directory.Config) { c.Groups = slices.Repeat([]string{admins}, 33) },
		"no attribute left": func(c *directory.Config) { c.NameAttributes = []string{} },
	} {
		c := searching(&directorytest.Server{LDAPS: "ldaps://127.0.0.1"})
		change(&c)
		if _, err := directory.New(c); !errors.Is(err, directory.ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
