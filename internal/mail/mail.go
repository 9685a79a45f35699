// Package mail hands short messages to one SMTP server.
package mail

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	netmail "net/mail"
	"net/smtp"
	"strconv"
	"strings"
	"time"
)

const (
	// Timeout bounds one delivery, from the connection to the server's last word.
	Timeout = 15 * time.Second
	// maxAnswers bounds what a server may say in one delivery, in bytes: a dozen
	// replies of a few lines, and a TLS handshake.
	maxAnswers = 256 << 10
	// maxAddress and maxText bound what is sent, in bytes (RFC 5321, 4.5.3.1.3).
	maxAddress = 254
	maxText    = 10_000
)

// ErrInvalid: the message cannot be sent as it is, to no server.
var ErrInvalid = errors.New("mail: not a message that can be sent")

// A Server is where messages are handed in. The zero fields are sensible.
type Server struct {
	Host string
	Port int // 0: 25
	// Roots are the CAs that the server's certificate must come from; nil: those of
	// the system. The certificate is verified whenever there is TLS, and there is TLS
	// whenever the server offers it.
	Roots *x509.CertPool
	// NeedTLS refuses a server that does not offer it.
	NeedTLS bool
}

// A Message is one line of subject and lines of text in UTF-8.
type Message struct {
	From, To, Subject, Text string
	Date                    time.Time
}

// Send delivers a message to the server. ErrInvalid where no server could take it.
func (s Server) Send(ctx context.Context, m Message) error {
	text, err := m.wire()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	port := s.Port
	if port == 0 {
		port = 25
	}
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(s.Host, strconv.Itoa(port)))
	if err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	defer raw.Close()
	defer context.AfterFunc(ctx, func() { raw.Close() })()
	if err := s.deliver(&bounded{raw, maxAnswers}, m, text); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return fmt.Errorf("mail: server %s: %w", s.Host, err)
	}
	return nil
}

func (s Server) deliver(conn net.Conn, m Message, text []byte) error {
	c, err := smtp.NewClient(conn, s.Host)
	if err != nil {
		return err
	}
	// The name of this machine is nobody's business, and often has no dot.
	if err := c.Hello("localhost"); err != nil {
		return err
	}
	if ok, _ := c.Extension("STARTTLS"); ok {
		if err := c.StartTLS(&tls.Config{ServerName: s.Host, RootCAs: s.Roots, MinVersion: tls.VersionTLS12}); err != nil {
			return err
		}
	} else if s.NeedTLS {
		return errors.New("it does not offer STARTTLS")
	}
	if err := c.Mail(m.From); err != nil {
		return err
	}
	if err := c.Rcpt(m.To); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(text); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	c.Quit() // the message is the server's by now, whatever it says
	return nil
}

// CheckAddress returns ErrInvalid for what is not one bare address.
func CheckAddress(address string) error {
	a, err := netmail.ParseAddress(address)
	if err != nil || a.Address != address || len(address) > maxAddress || !plain(address) || strings.ContainsAny(address, "<> ") {
		return fmt.Errorf("%w: %q is no mail address", ErrInvalid, address)
	}
	return nil
}

// plain reports whether a text is printable ASCII: what goes into a command or a
// header as it is.
func plain(s string) bool {
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

// wire is the message as it is sent (RFC 5322).
func (m Message) wire() ([]byte, error) {
	for _, a := range []string{m.From, m.To} {
		if err := CheckAddress(a); err != nil {
			return nil, err
		}
	}
	if len(m.Subject) > maxAddress || strings.ContainsAny(m.Subject, "\r\n\x00") || len(m.Text) > maxText || strings.ContainsRune(m.Text, 0) {
		return nil, fmt.Errorf("%w: subject or text", ErrInvalid)
	}
	var id [12]byte
	rand.Read(id[:])
	_, domain, _ := strings.Cut(m.From, "@")
	var b strings.Builder
	fmt.Fprintf(&b, "From: <%s>\r\nTo: <%s>\r\nSubject: %s\r\nDate: %s\r\nMessage-ID: <%s@%s>\r\n",
		m.From, m.To, mime.QEncoding.Encode("utf-8", m.Subject), m.Date.Format(time.RFC1123Z), hex.EncodeToString(id[:]), domain)
	b.WriteString("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\nAuto-Submitted: auto-generated\r\n\r\n")
	b.WriteString(strings.ReplaceAll(strings.ReplaceAll(m.Text, "\r\n", "\n"), "\n", "\r\n"))
	return []byte(b.String()), nil
}

// bounded is a connection that only so much comes from.
type bounded struct {
	net.Conn
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errors.New("it says too much")
	}
	n, err := b.Conn.Read(p[:min(len(p), b.left)])
	b.left -= n
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}
