package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/postern/postern/internal/target"
)

// lookTime bounds a look at a device's certificate.
const lookTime = 15 * time.Second

// errUntrusted is why a command ends with exitRefused: a person must decide.
var errUntrusted = errors.New("the device's certificate is not trusted")

// A certificate is what is shown of one.
type certificate struct {
	URL       string    `json:"url"`
	Subject   string    `json:"subject"`
	Issuer    string    `json:"issuer"`
	Names     []string  `json:"names"`
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	Pin       string    `json:"pin"`
}

func describe(url string, c *x509.Certificate) certificate {
	names := append([]string{}, c.DNSNames...)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	return certificate{URL: url, Subject: c.Subject.String(), Issuer: c.Issuer.String(), Names: names,
		NotBefore: c.NotBefore, NotAfter: c.NotAfter, Pin: target.PinOf(c)}
}

// show writes c for a person. Names come from the device: they are quoted where
// they could steer the terminal.
func (c certificate) show(w io.Writer, prefix string) {
	quoted := make([]string, len(c.Names))
	for i, n := range c.Names {
		quoted[i] = quoteWord(n)
	}
	for _, l := range [][2]string{
		{"subject", visible(c.Subject)}, {"issuer", visible(c.Issuer)}, {"names", strings.Join(quoted, ", ")},
		{"valid", c.NotBefore.Format(time.DateOnly) + " to " + c.NotAfter.Format(time.DateOnly)}, {"pin", c.Pin},
	} {
		fmt.Fprintf(w, "%s%-8s %s\n", prefix, l[0], l[1])
	}
}

// trust finds out how the certificate of a device without CA file and pin is to
// be judged: "" = by the system's roots, where it verifies, or where the device
// does not answer now; else the pin that a person accepts at the terminal.
func (a *app) trust(ctx context.Context, device string) (pin string, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	err = verify(ctx, device)
	if err == nil {
		return "", nil
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); !ok {
		a.say("warning: no look at the certificate of %s: %v", device, err)
		return "", nil
	}
	c, err := target.FetchCertificate(ctx, device)
	if err != nil {
		return "", err
	}
	seen := describe(device, c)
	a.say("the certificate of %s does not verify against the system's roots", device)
	seen.show(a.stderr, "postern:   ")
	return seen.Pin, a.decide(seen)
}

// decide asks whether to trust seen. Without a terminal the answer is no, and
// the pin is the result of the command.
func (a *app) decide(seen certificate) error {
	if term.IsTerminal(int(a.stdin.Fd())) {
		yes, err := a.confirm("trust this certificate from now on, and no other?")
		if err != nil || yes {
			return err
		}
		return &failure{status: exitRefused, err: errUntrusted}
	}
	if err := a.print(seen, func(w io.Writer) { fmt.Fprintln(w, seen.Pin) }); err != nil {
		return err
	}
	return &failure{status: exitRefused, err: errUntrusted,
		hint: "compare the pin with the device's own display, then run again with --pin " + seen.Pin + ", or use --ca-file"}
}

// verify opens a TLS connection by the system's roots and sends nothing on it.
func verify(ctx context.Context, device string) error {
	u, err := url.Parse(device)
	if err != nil {
		return err
	}
	cfg, err := target.Target{URL: device}.TLSConfig()
	if err != nil {
		return err
	}
	cfg.ServerName = u.Hostname()
	port := u.Port()
	if port == "" {
		port = "443"
	}
	conn, err := (&tls.Dialer{Config: cfg}).DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return err
	}
	return conn.Close()
}
