package redfish_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/redfish"
)

// Rounds and their length: the two clients take turns, so that both have the same
// machine.
const (
	transportRounds = 7
	transportTurn   = 100 * time.Millisecond
)

// BenchmarkTransport compares calls by an http.Client that has a Transport with
// the same by a plain one that sends the token itself, in turn, on one kept TLS
// connection each.
//
//	added  time of a call that the Transport adds, in µs, median of the rounds
//	ratio  time of a call by that of a plain one
func BenchmarkTransport(b *testing.B) {
	m := newMemory()
	h, err := redfish.New(redfish.Config{Authority: m, Listener: listener, Next: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"@odata.id": "/redfish/v1/Systems"}`)
	})})
	if err != nil {
		b.Fatal(err)
	}
	server := httptest.NewTLSServer(h)
	defer server.Close()
	shared := server.Client().Transport.(*http.Transport)
	fresh := shared.Clone()
	fresh.DisableKeepAlives = true
	tr, err := redfish.NewTransport(redfish.TransportConfig{
		Device: redfish.DeviceConfig{URL: server.URL, Base: shared, Fresh: fresh},
		Credential: func(context.Context) (auth.Credential, error) {
			return auth.Credential{Account: "oper", Password: auth.NewSecret(password)}, nil
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	defer tr.Close()
	login, err := tr.Hold(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	ours, plain := &http.Client{Transport: tr}, &http.Client{Transport: shared.Clone()}
	var added, ratio []float64
	for b.Loop() {
		for range transportRounds {
			without := oneCall(b, plain, server.URL, login.Secret.Reveal())
			with := oneCall(b, ours, server.URL, "")
			added, ratio = append(added, float64(with-without)/float64(time.Microsecond)), append(ratio, float64(with)/float64(without))
		}
	}
	slices.Sort(added)
	slices.Sort(ratio)
	b.ReportMetric(added[len(added)/2], "added-µs")
	b.ReportMetric(ratio[len(ratio)/2], "ratio")
	b.ReportMetric(0, "ns/op")
}

// oneCall makes calls for a turn and returns how long one took.
func oneCall(b *testing.B, c *http.Client, base, token string) time.Duration {
	n, begin := 0, time.Now()
	for ; time.Since(begin) < transportTurn; n++ {
		r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, base+"/redfish/v1/Systems", nil)
		if err != nil {
			b.Fatal(err)
		}
		r.Header.Set("Accept", "application/json")
		if token != "" {
			r.Header.Set("X-Auth-Token", token)
		}
		resp, err := c.Do(r)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
			b.Fatal(resp.Status, err)
		}
		resp.Body.Close()
	}
	return time.Since(begin) / time.Duration(n)
}
