package target

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// pinPrefix is how curl writes a pin (--pinnedpubkey), here of the certificate.
const pinPrefix = "sha256//"

const (
	dialTimeout      = 10 * time.Second
	handshakeTimeout = 10 * time.Second
	// answerTimeout bounds the wait for the head of an answer; slow BMCs take
	// 30 s for a large collection (protocols/redfish.md 13).
	answerTimeout = 60 * time.Second
	// idleTimeout is below that of the servers in use, so that a kept connection
	// is seldom found closed: nginx and lighttpd keep one for 60 s and more.
	idleTimeout = 45 * time.Second
	// maxIdle bounds the kept connections to one device, defaultIdle is for
	// targets that do not say how many calls are in flight.
	maxIdle     = 512
	defaultIdle = 8
	bufferSize  = 16 << 10
	// maxHeader bounds the head of an answer, in bytes; net/http would take
	// 10 MiB for each call in flight. Devices send less than 4 KiB.
	maxHeader = 64 << 10
)

var errPin = errors.New("a pin is sha256// and 44 characters of Base64, or the certificate's SHA-256 fingerprint in hex")

// ParsePin returns the canonical form of a pin, "sha256//" and 44 characters of
// Base64. It also takes the SHA-256 fingerprint of a certificate in hex, with or
// without colons, as openssl and browsers show it.
func ParsePin(s string) (string, error) {
	var sum []byte
	var err error
	if b64, ok := strings.CutPrefix(s, pinPrefix); ok {
		sum, err = base64.StdEncoding.Strict().DecodeString(b64)
	} else {
		h := strings.TrimPrefix(strings.ToLower(s), "sha256:")
		if strings.Contains(h, ":") && len(h) != 3*sha256.Size-1 {
			h = ""
		}
		sum, err = hex.DecodeString(strings.ReplaceAll(h, ":", ""))
	}
	if err != nil || len(sum) != sha256.Size || strings.ContainsAny(s, "\r\n") { // Base64 may hold these
		return "", errPin
	}
	return pinPrefix + base64.StdEncoding.EncodeToString(sum), nil
}

// PinOf returns the pin of a certificate.
func PinOf(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return pinPrefix + base64.StdEncoding.EncodeToString(sum[:])
}

// A PinError says that a device does not show the certificate it is pinned to.
type PinError struct {
	Target string
	URL    string
	Pinned string
	Shown  string
}

func (e *PinError) Error() string {
	return fmt.Sprintf("target %s: the certificate of %s is not the pinned one: pinned %s, shown %s; nothing was sent; if the device got a new certificate, accept it with: postern target pin %s",
		e.Target, e.URL, e.Pinned, e.Shown, e.Target)
}

// TLSConfig returns how the device's certificate is judged: by its pin alone,
// without regard to name, issuer and expiry; where there is no pin, by name,
// under the target's CAs or else the system's. TLS 1.2 is the least.
func (t Target) TLSConfig() (*tls.Config, error) {
	u, err := url.Parse(t.URL)
	if err != nil || u.Hostname() == "" {
		return nil, fmt.Errorf("target %s: the URL cannot be read", t.Name)
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: u.Hostname()}
	switch {
	case t.Pin != "":
		pin, err := ParsePin(t.Pin)
		if err != nil {
			return nil, fmt.Errorf("target %s: %w", t.Name, err)
		}
		c.InsecureSkipVerify = true // VerifyConnection decides, on resumption too
		c.VerifyConnection = func(s tls.ConnectionState) error {
			if shown := PinOf(s.PeerCertificates[0]); shown != pin {
				return &PinError{Target: t.Name, URL: t.URL, Pinned: pin, Shown: shown}
			}
			return nil
		}
	case t.CAPEM != "":
		if c.RootCAs, err = caPool(t.CAPEM); err != nil {
			return nil, fmt.Errorf("target %s: %w", t.Name, err)
		}
	}
	return c, nil
}

// Transports returns two ways to the device. data keeps connections, as many as
// calls may be in flight; fresh makes a new one for each request, for logins,
// which must never be resent on a connection that died. Both offer HTTP/2 and
// HTTP/1.1, ask no proxy, and ask for no compression.
func (t Target) Transports() (data, fresh *http.Transport, err error) {
	config, err := t.TLSConfig()
	if err != nil {
		return nil, nil, err
	}
	idle := defaultIdle
	if t.InFlight > 0 {
		idle = min(t.InFlight, maxIdle)
	}
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}
	data = &http.Transport{
		DialContext:            dialer.DialContext,
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    handshakeTimeout,
		ResponseHeaderTimeout:  answerTimeout,
		ExpectContinueTimeout:  time.Second,
		IdleConnTimeout:        idleTimeout,
		MaxIdleConnsPerHost:    idle,
		DisableCompression:     true,
		ForceAttemptHTTP2:      true,
		ReadBufferSize:         bufferSize,
		MaxResponseHeaderBytes: maxHeader,
		WriteBufferSize:        bufferSize,
	}
	fresh = data.Clone()
	fresh.DisableKeepAlives = true
	return data, fresh, nil
}

// FetchCertificate returns the certificate that the server at rawURL shows,
// whoever signed it. Nothing but the handshake is sent.
func FetchCertificate(ctx context.Context, rawURL string) (*x509.Certificate, error) {
	canonical, err := CanonicalURL(rawURL)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(canonical)
	if err != nil {
		return nil, err
	}
	port := u.Port()
	if port == "" {
		port = "443"
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout+handshakeTimeout)
	defer cancel()
	dialer := &tls.Dialer{
		NetDialer: &net.Dialer{Timeout: dialTimeout},
		Config:    &tls.Config{MinVersion: tls.VersionTLS12, ServerName: u.Hostname(), InsecureSkipVerify: true},
	}
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return nil, fmt.Errorf("fetch the certificate of %s: %w", canonical, err)
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0], nil
}
