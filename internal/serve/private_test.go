package serve_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/postern/postern/internal/serve"
	"github.com/postern/postern/internal/target"
)

// openPrivate opens a private port to a device that answers as answer does.
func openPrivate(t *testing.T, answer func(*http.Request) *http.Response) (*serve.Private, *http.Client) {
	t.Helper()
	described := target.Target{Name: "device", Family: "redfish", URL: "https://bmc.example", Account: "root"}
	p, err := serve.OpenPrivate(described, func(r *http.Request) (*http.Response, error) { return answer(r), nil }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	ca, err := os.ReadFile(p.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	t.Cleanup(tr.CloseIdleConnections)
	return p, &http.Client{Transport: tr}
}

func answered(r *http.Request, status int, header http.Header) *http.Response {
	return &http.Response{StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Header: header, Body: http.NoBody, Request: r}
}

func callPrivate(t *testing.T, p *serve.Private, c *http.Client, method, path, body string) (int, http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, p.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth(p.User, p.Password.Reveal())
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || bytes.Contains(text, []byte(p.Password.Reveal())) {
		t.Errorf("body %q, %v", text, err)
	}
	return resp.StatusCode, resp.Header
}

// A device's 401 to the kept login does not make the program log in again.
func TestPrivateHidesRefusal(t *testing.T) {
	t.Parallel()
	p, c := openPrivate(t, func(r *http.Request) *http.Response {
		return answered(r, http.StatusUnauthorized, http.Header{"Www-Authenticate": {"Basic"}})
	})
	status, h := callPrivate(t, p, c, http.MethodGet, "/redfish/v1/Systems", "")
	if status != http.StatusBadGateway || h.Get("WWW-Authenticate") != "" {
		t.Errorf("status %d, %q; want 502 and no offer", status, h.Get("WWW-Authenticate"))
	}
}

// What a device says of itself and its sessions does not reach the program, and
// its addresses lead through the port.
func TestPrivateHeaders(t *testing.T) {
	t.Parallel()
	p, c := openPrivate(t, func(r *http.Request) *http.Response {
		return answered(r, http.StatusCreated, http.Header{"X-Auth-Token": {"token"}, "Set-Cookie": {"a=b"}, "Location": {"https://bmc.example/redfish/v1/x/1"}})
	})
	status, h := callPrivate(t, p, c, http.MethodPost, "/redfish/v1/x", "{}")
	if status != http.StatusCreated || h.Get("X-Auth-Token")+h.Get("Set-Cookie") != "" || h.Get("Location") != p.URL+"/redfish/v1/x/1" {
		t.Errorf("status %d, %v", status, h)
	}
}

// A small body can be sent again with a new login; a large one is passed through.
func TestPrivateRepeatsBodies(t *testing.T) {
	t.Parallel()
	type seen struct{ again, same bool }
	got := make(chan seen, 1)
	p, c := openPrivate(t, func(r *http.Request) *http.Response {
		s := seen{again: r.GetBody != nil}
		first, _ := io.ReadAll(r.Body)
		if s.again {
			body, _ := r.GetBody()
			second, _ := io.ReadAll(body)
			s.same = bytes.Equal(first, second)
		}
		got <- s
		return answered(r, http.StatusNoContent, http.Header{})
	})
	callPrivate(t, p, c, http.MethodPost, "/redfish/v1/x", `{"a": 1}`)
	if s := <-got; !s.again || !s.same {
		t.Errorf("a small body: %+v", s)
	}
	callPrivate(t, p, c, http.MethodPost, "/redfish/v1/x", strings.Repeat(" ", 2<<20))
	if s := <-got; s.again {
		t.Error("a large body is kept")
	}
}
