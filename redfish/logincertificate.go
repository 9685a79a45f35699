package redfish

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"

	"github.com/postern/postern/auth"
)

// loginCertificate logs in with a client certificate, at the page that iLO has
// for it.
//
// When an iLO asks for the certificate is not known. If it does so for this page
// alone, that is a renegotiation under TLS 1.2, which is allowed here, and under
// TLS 1.3 something that Go does not do: a first try without a token is followed
// by a second one under TLS 1.2 (redfish-hpe, 4.5).
func (d *Device) loginCertificate(ctx context.Context, c auth.Credential, root rootView, page string) (auth.Login, error) {
	cert := c.Certificate.Reveal()
	if cert == nil {
		return auth.Login{}, notSent(errors.New("a login by certificate without a certificate"))
	}
	var a answer
	for _, most := range []uint16{0, tls.VersionTLS12} {
		var sent bool
		var err error
		if a, sent, err = d.openPage(ctx, cert, most, page); err != nil {
			return auth.Login{}, noAnswer(sent, err, auth.Login{})
		}
		if len(a.header.Values("X-Auth-Token")) > 0 || a.version <= tls.VersionTLS12 {
			break
		}
	}
	if a.status != http.StatusOK && a.status != http.StatusCreated {
		le := d.refusal(a, "", auth.Login{})
		if a.status/100 == 3 {
			le.Outcome = auth.NotJudged
		}
		return auth.Login{}, le
	}
	l, le := d.accepted(ctx, c, a, "", root)
	if le != nil {
		return auth.Login{}, le
	}
	if l.Account == "" && l.Location != "" {
		if o, there, err := d.read(ctx, l, l.Location); err == nil && there {
			l.Account = auth.AccountName(o.text("UserName"))
		}
	}
	return l, nil
}

// proveCertificate asks for a protected resource over the connections that calls
// use: the certificate that they show is the credential (DSP0266 1.20.0, 13.3.3).
func (d *Device) proveCertificate(ctx context.Context, c auth.Credential, root rootView) (auth.Login, error) {
	if t, ok := d.shared.(*http.Transport); ok && showsNone(t) {
		return auth.Login{}, notSent(errors.New("a login by certificate, and nothing shows one: DeviceConfig.Base has none in its TLS configuration"))
	}
	return d.prove(ctx, d.shared, auth.Login{Method: auth.MethodCertificate, Account: c.Account}, root)
}

// showsNone reports whether a transport has no client certificate. One that dials
// by itself may have one that is not seen from here.
func showsNone(t *http.Transport) bool {
	c := t.TLSClientConfig
	return t.DialTLSContext == nil && (c == nil || len(c.Certificates) == 0 && c.GetClientCertificate == nil)
}

// refusedHandshake reports whether the device ended a handshake with an alert. In
// TLS 1.3 that comes after the client took the handshake for done.
func refusedHandshake(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "remote error"
}

// openPage asks for the page over a connection of its own, on which the
// certificate is shown whatever issuers the device names.
func (d *Device) openPage(ctx context.Context, cert *tls.Certificate, most uint16, page string) (answer, bool, error) {
	rt, err := d.showing(cert, most)
	if err != nil {
		return answer{}, false, err
	}
	ctx, cancel := context.WithTimeout(ctx, loginTimeout)
	defer cancel()
	var sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }})
	r, err := d.request(ctx, http.MethodGet, page, nil)
	if err != nil {
		return answer{}, false, err
	}
	r.Header["Accept"] = []string{"*/*"}
	delete(r.Header, "OData-Version") // it is a page
	resp, err := rt.RoundTrip(r)
	if err != nil {
		return answer{}, sent.Load(), err
	}
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode, header: resp.Header}
	if resp.TLS != nil {
		a.version = resp.TLS.Version
	}
	a.body, a.cut = io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	return a, true, nil
}

// showing returns the transport for logins with a client certificate.
func (d *Device) showing(cert *tls.Certificate, most uint16) (http.RoundTripper, error) {
	fresh, ok := d.fresh.(*http.Transport)
	if !ok {
		return nil, fmt.Errorf("a %T cannot show a client certificate", d.fresh)
	}
	t := fresh.Clone()
	if t.TLSClientConfig == nil {
		t.TLSClientConfig = new(tls.Config)
	}
	c := t.TLSClientConfig
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil }
	c.Renegotiation = tls.RenegotiateOnceAsClient
	c.ClientSessionCache = nil // a resumed session keeps who it was made with
	c.NextProtos = []string{"http/1.1"}
	c.MaxVersion = most
	t.DisableKeepAlives, t.ForceAttemptHTTP2 = true, false
	t.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{} // no HTTP/2, which has no renegotiation
	t.Protocols = nil
	return t, nil
}
