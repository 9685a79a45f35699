package mail_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/postern/postern/internal/mail"
	"github.com/postern/postern/internal/mail/mailtest"
)

func sink(t *testing.T, cert *tls.Certificate, hello string) (*mailtest.Sink, mail.Server) {
	t.Helper()
	s := mailtest.New(t, cert, hello)
	return s, mail.Server{Host: "127.0.0.1", Port: s.Port}
}

func message() mail.Message {
	return mail.Message{From: "ilo@example.com", To: "ann@example.com", Subject: "Code für Ann", Text: "123456\n.\nend", Date: time.Unix(1e9, 0).UTC()}
}

func TestSend(t *testing.T) {
	t.Parallel()
	s, server := sink(t, nil, "")
	if err := server.Send(t.Context(), message()); err != nil {
		t.Fatal(err)
	}
	got := <-s.Got
	for _, part := range []string{
		"MAIL FROM:<ilo@example.com>\r\n", "RCPT TO:<ann@example.com>\r\n", "To: <ann@example.com>\r\n",
		"Subject: =?utf-8?q?Code_f=C3=BCr_Ann?=\r\n", "Date: Sun, 09 Sep 2001 01:46:40 +0000\r\n", "\r\n\r\n123456\r\n..\r\nend\r\n.\r\n",
	} {
		if !strings.Contains(got, part) {
			t.Errorf("%q is not in\n%s", part, got)
		}
	}
	server.NeedTLS = true
	if err := server.Send(t.Context(), message()); err == nil || !strings.Contains(err.Error(), "STARTTLS") {
		t.Errorf("without TLS: %v", err)
	}
}

func TestStartTLS(t *testing.T) {
	t.Parallel()
	cert, roots := certificate(t)
	s, server := sink(t, cert, "")
	server.NeedTLS, server.Roots = true, roots
	if err := server.Send(t.Context(), message()); err != nil {
		t.Fatal(err)
	}
	got := <-s.Got
	if before, _, ok := strings.Cut(got, "(TLS)"); !ok || strings.Contains(before, "MAIL") {
		t.Errorf("sent in the clear:\n%s", got)
	}
	server.Roots = x509.NewCertPool()
	if err := server.Send(t.Context(), message()); err == nil {
		t.Error("a certificate that nobody knows was taken")
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	_, server := sink(t, nil, "")
	for name, change := range map[string]func(*mail.Message){
		"no recipient":      func(m *mail.Message) { m.To = "" },
		"two recipients":    func(m *mail.Message) { m.To = "a@example.com, b@example.com" },
		"line in recipient": func(m *mail.Message) { m.To = "a@example.com>\r\nRCPT TO:<b@example.com" },
		"named recipient":   func(m *mail.Message) { m.To = "Ann <ann@example.com>" },
		"long recipient":    func(m *mail.Message) { m.To = strings.Repeat("a", 300) + "@example.com" },
		"sender":            func(m *mail.Message) { m.From = "ilo" },
		"line in subject":   func(m *mail.Message) { m.Subject = "x\r\nBcc: b@example.com" },
		"long text":         func(m *mail.Message) { m.Text = strings.Repeat("x", 20_000) },
	} {
		m := message()
		change(&m)
		if err := server.Send(t.Context(), m); !errors.Is(err, mail.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	m := message()
	m.To = "nobody@example.com"
	if err := server.Send(t.Context(), m); err == nil || errors.Is(err, mail.ErrInvalid) {
		t.Errorf("refused by the server: %v", err)
	}
}

func TestBadServers(t *testing.T) {
	t.Parallel()
	for name, hello := range map[string]string{
		"one line without end": strings.Repeat("220", 10_000),
		"lines without end":    strings.Repeat("220-more\r\n", 10_000),
		"no SMTP":              "HTTP/1.1 400 Bad Request\r\n\r\n",
	} {
		_, server := sink(t, nil, hello)
		if err := server.Send(t.Context(), message()); err == nil {
			t.Errorf("%s: sent", name)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		if c, err := ln.Accept(); err == nil {
			defer c.Close()
			cancel() // it says nothing
			c.Read(make([]byte, 1))
		}
	}()
	server := mail.Server{Host: "127.0.0.1", Port: ln.Addr().(*net.TCPAddr).Port}
	if err := server.Send(ctx, message()); !errors.Is(err, context.Canceled) {
		t.Errorf("silent server: %v", err)
	}
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
