// Package directorytest is as much of an LDAP server as tests of a directory need.
package directorytest

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// A Server answers binds and searches, on TLS and after StartTLS.
type Server struct {
	LDAPS, LDAP string // its URLs
	Roots       *x509.CertPool
	Binds       atomic.Int32
	Searches    atomic.Int32
	// Broken has a connection in the place of answers to searches; nil: none. It is
	// set before the first connection.
	Broken func(net.Conn)

	entries map[string]Entry
}

// An Entry is what is there under one DN.
type Entry struct {
	Password   string
	Attributes map[string][]string // by name in small letters
}

// New starts a server with the entries, by DN in small letters. It ends with the
// test.
func New(t *testing.T, entries map[string]Entry) *Server {
	t.Helper()
	cert, roots := certificate(t)
	s := &Server{Roots: roots, entries: entries}
	conf := &tls.Config{Certificates: []tls.Certificate{*cert}}
	s.LDAPS = "ldaps://" + s.listen(t, func(c net.Conn) { s.serve(tls.Server(c, conf), nil) })
	s.LDAP = "ldap://" + s.listen(t, func(c net.Conn) { s.serve(c, conf) })
	return s
}

func (s *Server) listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go serve(c)
		}
	}()
	return ln.Addr().String()
}

// serve answers one connection. With upgrade it says nothing but StartTLS before
// there is TLS.
func (s *Server) serve(c net.Conn, upgrade *tls.Config) {
	defer func() { c.Close() }()
	in := bufio.NewReader(c)
	for {
		p, err := ber.ReadPacket(in)
		if err != nil || len(p.Children) < 2 {
			return
		}
		id, op := p.Children[0].Value.(int64), p.Children[1]
		if upgrade != nil && op.Tag != ldap.ApplicationExtendedRequest {
			return
		}
		switch op.Tag {
		case ldap.ApplicationExtendedRequest:
			reply(c, id, ldap.ApplicationExtendedResponse, ldap.LDAPResultSuccess)
			c = tls.Server(c, upgrade)
			in, upgrade = bufio.NewReader(c), nil
		case ldap.ApplicationBindRequest:
			s.Binds.Add(1)
			e, ok := s.entries[strings.ToLower(op.Children[1].Value.(string))]
			code := ldap.LDAPResultInvalidCredentials
			if ok && e.Password == op.Children[2].Data.String() {
				code = ldap.LDAPResultSuccess
			}
			reply(c, id, ldap.ApplicationBindResponse, code)
		case ldap.ApplicationSearchRequest:
			s.Searches.Add(1)
			if s.Broken != nil {
				s.Broken(c)
				return
			}
			s.search(c, id, op)
		default:
			return
		}
	}
}

func (s *Server) search(c net.Conn, id int64, op *ber.Packet) {
	base, one := strings.ToLower(op.Children[0].Value.(string)), op.Children[1].Value.(int64) == ldap.ScopeBaseObject
	for dn, e := range s.entries {
		in := dn == base || !one && strings.HasSuffix(dn, ","+base)
		if in && e.matches(op.Children[6]) {
			entryOf(dn, e).send(c, id)
		}
	}
	reply(c, id, ldap.ApplicationSearchResultDone, ldap.LDAPResultSuccess)
}

func (e Entry) matches(f *ber.Packet) bool {
	switch f.Tag {
	case ldap.FilterOr:
		return slices.ContainsFunc(f.Children, e.matches)
	case ldap.FilterEqualityMatch:
		values := e.Attributes[strings.ToLower(f.Children[0].Value.(string))]
		return slices.ContainsFunc(values, func(v string) bool { return strings.EqualFold(v, f.Children[1].Value.(string)) })
	case ldap.FilterPresent:
		return true
	}
	return false
}

type packet struct{ *ber.Packet }

func entryOf(dn string, e Entry) packet {
	p := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationSearchResultEntry, nil, "")
	p.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, dn, ""))
	all := ber.NewSequence("")
	for name, values := range e.Attributes {
		a := ber.NewSequence("")
		a.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, name, ""))
		set := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSet, nil, "")
		for _, v := range values {
			set.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, v, ""))
		}
		a.AppendChild(set)
		all.AppendChild(a)
	}
	p.AppendChild(all)
	return packet{p}
}

func reply(c net.Conn, id int64, tag ber.Tag, code int) {
	p := ber.Encode(ber.ClassApplication, ber.TypeConstructed, tag, nil, "")
	p.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, int64(code), ""))
	p.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, "", ""))
	p.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, "", ""))
	packet{p}.send(c, id)
}

func (p packet) send(c net.Conn, id int64) {
	whole := ber.NewSequence("")
	whole.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, id, ""))
	whole.AppendChild(p.Packet)
	c.Write(whole.Bytes())
}

func certificate(t *testing.T) (*tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}
