package redfish_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/postern/postern/redfish"
)

// discard is a ResponseWriter that keeps nothing.
type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

func benchmark(b *testing.B, method, path, body string, headers ...string) {
	m := newMemory()
	m.limit = 1 << 30
	h, err := redfish.New(redfish.Config{Authority: m, Listener: listener, Next: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})})
	if err != nil {
		b.Fatal(err)
	}
	login := httptest.NewRequest("POST", "/redfish/v1/SessionService/Sessions", strings.NewReader(loginJSON("oper", password)))
	login.TLS = &tls.ConnectionState{}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, login)
	r := httptest.NewRequest(method, path, nil)
	r.TLS = login.TLS
	r.Header.Set("X-Auth-Token", w.Header().Get("X-Auth-Token"))
	for _, x := range headers {
		name, value, _ := strings.Cut(x, ": ")
		r.Header.Set(name, value)
	}
	b.ReportAllocs()
	for b.Loop() {
		if body != "" {
			r = httptest.NewRequest(method, path, strings.NewReader(body))
			r.TLS = login.TLS
			m.expire()
		}
		h.ServeHTTP(discard{http.Header{}}, r)
	}
}

func BenchmarkGuarded(b *testing.B) { benchmark(b, "GET", "/redfish/v1/Systems/1", "") }
func BenchmarkSession(b *testing.B) {
	benchmark(b, "GET", "/redfish/v1/SessionService/Sessions/s1", "")
}
func BenchmarkRefused(b *testing.B) {
	benchmark(b, "GET", "/redfish/v1/Systems/1", "", "X-Auth-Token: nope")
}
func BenchmarkLogin(b *testing.B) {
	benchmark(b, "POST", "/redfish/v1/SessionService/Sessions", loginJSON("oper", password))
}

func BenchmarkClassify(b *testing.B) {
	p := redfish.Generic()
	b.ReportAllocs()
	for b.Loop() {
		p.Classify("GET", "/redfish/v1/Systems/1/LogServices/Log1/Entries", "$expand=.")
	}
}
