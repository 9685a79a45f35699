package serve

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
	"time"
)

// judgeTime bounds the judgement of a certificate inside a handshake, in which
// an OCSP responder may have to be asked.
const judgeTime = 10 * time.Second

// An asker says, at each handshake, whether a listener asks its clients for
// certificates. The zero one never does.
type asker struct {
	// mode: ask, and whether to refuse the handshake without a good one.
	mode func() (ask, strict bool)
	// judge is asked in a strict handshake, a resumed one too. Otherwise the
	// certificate is judged with each request.
	judge func(ctx context.Context, source netip.Addr, chain []*x509.Certificate) error
}

// tlsConfig is that of one listener: TLS 1.2 and up, HTTP/1.1 alone. It asks for
// a certificate with an empty list of CAs and takes any, since what it is worth
// is found out later, and some clients send none to a list that lacks theirs.
func (c *Certificates) tlsConfig(listener string, a asker) *tls.Config {
	base := func() *tls.Config {
		return ownTickets(&tls.Config{
			MinVersion:     tls.VersionTLS12,
			NextProtos:     []string{"http/1.1"},
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.shown(listener) },
		})
	}
	plain := base()
	if a.mode == nil {
		return plain
	}
	asking, strict := base(), base()
	asking.ClientAuth = tls.RequestClientCert
	strict.ClientAuth = tls.RequireAnyClientCert
	outer := base()
	outer.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		switch ask, only := a.mode(); {
		case ask && only:
			own := strict.Clone()                                       // its tickets are those of strict
			own.VerifyConnection = func(cs tls.ConnectionState) error { // on resumed ones too
				ctx, cancel := context.WithTimeout(hello.Context(), judgeTime)
				defer cancel()
				return a.judge(ctx, peerAddr(hello.Conn), cs.PeerCertificates)
			}
			return own, nil
		case ask:
			return asking, nil
		}
		return plain, nil
	}
	return outer
}

// peerAddr is the address at the other end.
func peerAddr(c net.Conn) netip.Addr {
	a, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap()
}

// ownTickets keeps the session tickets of a configuration apart from those of
// the one that it is chosen by: a session that began without a question for a
// certificate is not resumed where there is one.
func ownTickets(c *tls.Config) *tls.Config {
	c.WrapSession = c.EncryptTicket
	c.UnwrapSession = c.DecryptTicket
	return c
}
