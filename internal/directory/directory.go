// Package directory checks the names and passwords of people in an LDAP
// directory, over TLS alone, and reads what is needed of them there.
package directory

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/postern/postern/auth"
)

const (
	// DefaultTimeout bounds one check, with all its questions.
	DefaultTimeout = 10 * time.Second
	// MaxServers, MaxBases and MaxGroups bound a Config; a check asks each in turn.
	MaxServers, MaxBases, MaxGroups = 3, 15, 32
	// MaxName bounds the names of a Config and of users, in bytes.
	MaxName = 512
	// maxParallel bounds the checks that go on at once; the others wait.
	maxParallel = 8
)

var (
	// ErrRefused: unknown user, wrong password, or one that may not log in. The text
	// says which, for the log alone.
	ErrRefused = errors.New("directory: refused")
	// ErrUnavailable: no server gave a usable answer in time.
	ErrUnavailable = errors.New("directory: unavailable")
	// ErrConfig: what a Config asks for cannot be.
	ErrConfig = errors.New("directory: bad setting")
)

// A Config says which directory it is.
type Config struct {
	// Servers are ldaps://HOST[:PORT], or ldap://HOST[:PORT] with StartTLS; the first
	// that answers is asked.
	Servers []string
	// Roots are the CAs that servers' certificates must come from; nil: those of the
	// system.
	Roots *x509.CertPool
	// BindName and BindPassword are those of an account that may search. Without them
	// users are looked for with their own rights, under names made of theirs.
	BindName     string
	BindPassword auth.Secret
	// Bases are the DNs that users are looked for below. At least one.
	Bases []string
	// NameAttributes are what a short name is compared with. nil: uid, cn and
	// sAMAccountName.
	NameAttributes []string
	// Groups are the DNs of groups that are to be told of a user: those that list it
	// (member, uniqueMember) and those that it lists (memberOf), directly.
	Groups  []string
	Timeout time.Duration // 0: DefaultTimeout
}

// A User is what the directory says of somebody with the right password.
type User struct {
	DN     string
	Mail   string   // "": none
	Groups []string // of Config.Groups, in their order
}

// A Directory asks the servers anew for each check. Safe for concurrent use.
type Directory struct {
	cfg     Config
	servers []server
	bases   []*ldap.DN
	groups  []*ldap.DN
	slots   chan struct{}
}

// A server is one address.
type server struct {
	host, address string
	startTLS      bool
}

// New checks a Config: ErrConfig. It asks nobody.
func New(c Config) (*Directory, error) {
	c.Timeout = cmp.Or(c.Timeout, DefaultTimeout)
	if c.NameAttributes == nil {
		c.NameAttributes = []string{"uid", "cn", "sAMAccountName"}
	}
	d := &Directory{cfg: c, slots: make(chan struct{}, maxParallel)}
	switch {
	case len(c.Servers) == 0 || len(c.Servers) > MaxServers:
		return nil, fmt.Errorf("%w: %d servers, there can be 1 to %d", ErrConfig, len(c.Servers), MaxServers)
	case len(c.Bases) == 0 || len(c.Bases) > MaxBases:
		return nil, fmt.Errorf("%w: %d bases, there can be 1 to %d", ErrConfig, len(c.Bases), MaxBases)
	case len(c.Groups) > MaxGroups:
		return nil, fmt.Errorf("%w: %d groups, there can be %d", ErrConfig, len(c.Groups), MaxGroups)
	case (c.BindName == "") != c.BindPassword.IsZero():
		return nil, fmt.Errorf("%w: the account that searches needs a name and a password", ErrConfig)
	case len(c.NameAttributes) == 0 || !allFit(c.NameAttributes, attributeName):
		return nil, fmt.Errorf("%w: a name attribute", ErrConfig)
	}
	for _, text := range c.Servers {
		s, err := parseServer(text)
		if err != nil {
			return nil, err
		}
		d.servers = append(d.servers, s)
	}
	var err error
	if d.bases, err = parseDNs(c.Bases); err == nil {
		d.groups, err = parseDNs(c.Groups)
	}
	return d, err
}

func parseServer(text string) (server, error) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return server{}, fmt.Errorf("%w: server %q is not ldaps://HOST or ldap://HOST", ErrConfig, text)
	}
	s := server{host: u.Hostname()}
	port := "636"
	switch u.Scheme {
	case "ldaps":
	case "ldap":
		s.startTLS, port = true, "389"
	default:
		return server{}, fmt.Errorf("%w: server %q is not ldaps://HOST or ldap://HOST", ErrConfig, text)
	}
	s.address = net.JoinHostPort(s.host, cmp.Or(u.Port(), port))
	return s, nil
}

func parseDNs(texts []string) ([]*ldap.DN, error) {
	var all []*ldap.DN
	for _, text := range texts {
		dn, err := ldap.ParseDN(text)
		if err != nil || len(dn.RDNs) == 0 || len(text) > MaxName {
			return nil, fmt.Errorf("%w: %q is no distinguished name", ErrConfig, text)
		}
		all = append(all, dn)
	}
	return all, nil
}

func allFit(texts []string, fits func(string) bool) bool {
	return !slices.ContainsFunc(texts, func(s string) bool { return !fits(s) })
}

// attributeName reports whether a text is an attribute's short name (RFC 4512, 1.4).
func attributeName(s string) bool {
	for i, c := range []byte(s) {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (i == 0 || c != '-' && (c < '0' || c > '9')) {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

// Check returns the user with that name and password. The name is a distinguished
// name, user@domain, DOMAIN\user or what one of the name attributes holds.
// ErrRefused, ErrUnavailable.
func (d *Directory) Check(ctx context.Context, name string, password auth.Secret) (User, error) {
	who, err := parseName(name)
	if err != nil {
		return User{}, err
	}
	// A bind with an empty password is no proof of anything, and succeeds
	// (RFC 4513, 5.1.2).
	if password.IsZero() || len(password.Reveal()) > MaxName || strings.ContainsRune(password.Reveal(), 0) {
		return User{}, fmt.Errorf("%w: no password", ErrRefused)
	}
	ctx, cancel := context.WithTimeout(ctx, d.cfg.Timeout)
	defer cancel()
	select {
	case d.slots <- struct{}{}:
		defer func() { <-d.slots }()
	case <-ctx.Done():
		return User{}, fmt.Errorf("%w: too many checks are waiting", ErrUnavailable)
	}
	failed := error(nil)
	for _, s := range d.servers {
		c, err := d.dial(ctx, s)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", s.address, err))
			continue
		}
		defer c.close()
		u, err := c.check(who, password)
		if err == nil || errors.Is(err, ErrRefused) {
			return u, err
		}
		failed = errors.Join(failed, fmt.Errorf("%s: %w", s.address, err))
	}
	return User{}, fmt.Errorf("%w: %w", ErrUnavailable, failed)
}
