package directory

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/mail"
)

const (
	// maxAnswers bounds what a server may send in one check, in bytes: some entries
	// and a TLS handshake.
	maxAnswers = 1 << 20
	// maxMemberships bounds the groups of a user that are looked at.
	maxMemberships = 5_000
)

// A conn is one connection, for one check.
type conn struct {
	d    *Directory
	ldap *ldap.Conn
	stop func() bool
}

// dial connects, with TLS before anything is said.
func (d *Directory) dial(ctx context.Context, s server) (*conn, error) {
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", s.address)
	if err != nil {
		return nil, err
	}
	if end, ok := ctx.Deadline(); ok {
		raw.SetDeadline(end)
	}
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	conf := &tls.Config{ServerName: s.host, RootCAs: d.cfg.Roots, MinVersion: tls.VersionTLS12}
	low := net.Conn(&bounded{raw, maxAnswers})
	if !s.startTLS {
		t := tls.Client(low, conf)
		if err := t.HandshakeContext(ctx); err != nil {
			stop()
			raw.Close()
			return nil, err
		}
		low = t
	}
	c := &conn{d: d, ldap: ldap.NewConn(low, !s.startTLS), stop: stop}
	c.ldap.SetTimeout(d.cfg.Timeout)
	c.ldap.Start()
	if s.startTLS {
		if err := c.ldap.StartTLS(conf); err != nil {
			c.close()
			return nil, err
		}
	}
	return c, nil
}

func (c *conn) close() {
	c.stop()
	c.ldap.Close()
}

// check binds as the user. Unknown users cost the server as much as wrong
// passwords do.
func (c *conn) check(who userName, password auth.Secret) (User, error) {
	if c.d.cfg.BindName != "" {
		return c.checkFound(who, password)
	}
	return c.checkOwn(who, password)
}

// checkFound has the account that may search find the user.
func (c *conn) checkFound(who userName, password auth.Secret) (User, error) {
	if err := c.bindSearcher(); err != nil {
		return User{}, err
	}
	dn, cause := c.find(who)
	if cause != nil && !errors.Is(cause, ErrRefused) {
		return User{}, cause
	}
	if cause != nil {
		dn = c.nobody()
	}
	if err := c.bind(dn, password); err != nil || cause != nil {
		return User{}, errors.Join(cause, err)
	}
	if err := c.bindSearcher(); err != nil {
		return User{}, err
	}
	return c.read(dn)
}

func (c *conn) bindSearcher() error {
	if err := c.ldap.Bind(c.d.cfg.BindName, c.d.cfg.BindPassword.Reveal()); err != nil {
		return fmt.Errorf("the account that searches cannot log in: %w", err)
	}
	return nil
}

// checkOwn binds under the names that the user's may stand for.
func (c *conn) checkOwn(who userName, password auth.Secret) (User, error) {
	var names []string
	switch {
	case who.dn != nil:
		names = []string{who.typed}
		if !below(who.dn, c.d.bases) {
			return User{}, fmt.Errorf("%w: the name is below none of the bases", ErrRefused)
		}
	case who.upn != "":
		names = []string{who.upn} // Active Directory takes it as it is
	default:
		for _, base := range c.d.cfg.Bases {
			for _, a := range c.d.cfg.NameAttributes {
				names = append(names, a+"="+ldap.EscapeDN(who.short)+","+base)
			}
		}
	}
	err := error(nil)
	for _, name := range names {
		if err = c.bind(name, password); err == nil {
			return c.readOwn(who, name)
		}
		if !errors.Is(err, ErrRefused) {
			return User{}, err
		}
	}
	return User{}, err
}

func (c *conn) readOwn(who userName, name string) (User, error) {
	if who.upn != "" {
		var err error
		if name, err = c.find(who); err != nil {
			return User{}, err
		}
	}
	return c.read(name)
}

// bind proves a password. ErrRefused where the server says no, whatever it
// gives for a reason.
func (c *conn) bind(dn string, password auth.Secret) error {
	err := c.ldap.Bind(dn, password.Reveal())
	if e, ok := errors.AsType[*ldap.Error](err); ok && verdict(e.ResultCode) {
		return fmt.Errorf("%w: %s", ErrRefused, ldap.LDAPResultCodeMap[e.ResultCode])
	}
	return err
}

// verdict reports whether a result is about the user and not about the server
// (RFC 4511, appendix A).
func verdict(code uint16) bool {
	return slices.Contains([]uint16{
		ldap.LDAPResultInvalidCredentials, ldap.LDAPResultInappropriateAuthentication, ldap.LDAPResultInsufficientAccessRights,
		ldap.LDAPResultNoSuchObject, ldap.LDAPResultInvalidDNSyntax, ldap.LDAPResultUnwillingToPerform, ldap.LDAPResultConstraintViolation,
		ldap.LDAPResultUndefinedAttributeType, ldap.LDAPResultNamingViolation,
	}, code)
}

// nobody is a name that is not there.
func (c *conn) nobody() string {
	var b [8]byte
	rand.Read(b[:])
	return "cn=" + hex.EncodeToString(b[:]) + "," + c.d.cfg.Bases[0]
}

// find returns the DN of the one entry that a name stands for; ErrRefused for
// none and for several.
func (c *conn) find(who userName) (string, error) {
	if who.dn != nil {
		if !below(who.dn, c.d.bases) {
			return "", fmt.Errorf("%w: the name is below none of the bases", ErrRefused)
		}
		return who.typed, nil
	}
	found := map[string]bool{}
	for _, base := range c.d.cfg.Bases {
		entries, err := c.search(base, ldap.ScopeWholeSubtree, 2, who.filter(c.d.cfg.NameAttributes), "1.1")
		if err != nil {
			return "", err
		}
		for _, e := range entries {
			found[e.DN] = true
		}
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("%w: unknown user", ErrRefused)
	case 1:
		for dn := range found {
			return dn, nil
		}
	}
	return "", fmt.Errorf("%w: the name is that of several", ErrRefused)
}

// search asks for at most limit entries. Nothing there, and more than that, are
// no error.
func (c *conn) search(base string, scope, limit int, filter string, attributes ...string) ([]*ldap.Entry, error) {
	left := int(c.d.cfg.Timeout / time.Second)
	res, err := c.ldap.Search(ldap.NewSearchRequest(base, scope, ldap.NeverDerefAliases, limit, max(left, 1), false, filter, attributes, nil))
	switch {
	case res != nil && ldap.IsErrorWithCode(err, ldap.LDAPResultSizeLimitExceeded):
		return res.Entries, nil
	case ldap.IsErrorWithCode(err, ldap.LDAPResultNoSuchObject):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return res.Entries, nil
}

// read returns what is needed of an entry.
func (c *conn) read(dn string) (User, error) {
	entries, err := c.search(dn, ldap.ScopeBaseObject, 1, "(objectClass=*)", "mail", "memberOf")
	if err != nil {
		return User{}, err
	}
	if len(entries) != 1 {
		return User{}, fmt.Errorf("%w: the entry cannot be read", ErrRefused)
	}
	u := User{DN: entries[0].DN}
	for _, m := range entries[0].GetEqualFoldAttributeValues("mail") {
		if mail.CheckAddress(m) == nil {
			u.Mail = m
			break
		}
	}
	memberOf := entries[0].GetEqualFoldAttributeValues("memberOf")
	memberOf = memberOf[:min(len(memberOf), maxMemberships)]
	for i, group := range c.d.cfg.Groups {
		in, err := c.member(u.DN, group, c.d.groups[i], memberOf)
		if err != nil {
			return User{}, err
		}
		if in {
			u.Groups = append(u.Groups, group)
		}
	}
	return u, nil
}

// member reports whether a user lists a group, or the group the user.
func (c *conn) member(dn, group string, parsed *ldap.DN, memberOf []string) (bool, error) {
	for _, text := range memberOf {
		if g, err := ldap.ParseDN(text); err == nil && g.EqualFold(parsed) {
			return true, nil
		}
	}
	value := ldap.EscapeFilter(dn)
	entries, err := c.search(group, ldap.ScopeBaseObject, 1, "(|(member="+value+")(uniqueMember="+value+"))", "1.1")
	return len(entries) == 1, err
}

// bounded is a connection that only so much comes from.
type bounded struct {
	net.Conn
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errors.New("the server says too much")
	}
	n, err := b.Conn.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
