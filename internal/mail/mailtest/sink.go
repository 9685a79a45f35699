// Package mailtest is a mail server for tests.
package mailtest

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"testing"
)

// A Sink takes every message that is not to somebody called nobody.
type Sink struct {
	Port int         // of 127.0.0.1
	Got  chan string // what was said and sent, one text a message

	cert  *tls.Certificate
	hello string
}

// New starts a sink, which ends with the test: with a certificate one that offers
// STARTTLS, with a hello one that says that, again and again, and nothing else.
func New(t *testing.T, cert *tls.Certificate, hello string) *Sink {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	s := &Sink{Port: ln.Addr().(*net.TCPAddr).Port, cert: cert, Got: make(chan string, 100), hello: hello}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go s.serve(c)
		}
	}()
	return s
}

func (s *Sink) serve(c net.Conn) {
	defer func() { c.Close() }()
	if s.hello != "" {
		for range 1000 {
			if _, err := c.Write([]byte(s.hello)); err != nil {
				return
			}
		}
		return
	}
	var all strings.Builder
	fmt.Fprint(c, "220 sink\r\n")
	in := bufio.NewReader(c)
	data := false
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		all.WriteString(line)
		verb := strings.ToUpper(strings.Fields(line + " x")[0])
		switch {
		case data && line == ".\r\n":
			data = false
			s.Got <- all.String()
			fmt.Fprint(c, "250 taken\r\n")
		case data:
		case verb == "EHLO" && s.cert != nil:
			fmt.Fprint(c, "250-sink\r\n250 STARTTLS\r\n")
		case verb == "STARTTLS":
			fmt.Fprint(c, "220 go on\r\n")
			c = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{*s.cert}})
			in = bufio.NewReader(c)
			all.WriteString("(TLS)\n")
		case verb == "DATA":
			data = true
			fmt.Fprint(c, "354 go on\r\n")
		case verb == "RCPT" && strings.Contains(line, "nobody"):
			fmt.Fprint(c, "550 no such user\r\n")
		default:
			fmt.Fprint(c, "250 sink\r\n")
		}
	}
}
