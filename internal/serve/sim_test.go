package serve

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/sim"
)

// simCall asks a device over a new connection and returns the status, 0 where
// there is no answer.
func simCall(t *testing.T, server, client *issued, method, url, body string) int {
	t.Helper()
	conf := &tls.Config{RootCAs: x509.NewCertPool()}
	conf.RootCAs.AddCert(server.cert)
	if client != nil {
		conf.Certificates = []tls.Certificate{{Certificate: [][]byte{client.cert.Raw}, PrivateKey: client.key}}
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	tr := &http.Transport{TLSClientConfig: conf}
	defer tr.CloseIdleConnections()
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// A simulated device takes client certificates, lets its own be replaced, and
// shows the new one after a restart too.
func TestSimCertificates(t *testing.T) {
	t.Parallel()
	ca := issue(t, nil, ecKey(t), func(c *x509.Certificate) { c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign })
	root := issue(t, &ca, ecKey(t), func(c *x509.Certificate) { c.Subject.CommonName = "root" })
	data := t.TempDir()
	run := func() *running {
		t.Helper()
		return start(t, func(ctx context.Context, ready func(Ready), log *slog.Logger) error {
			return RunSim(ctx, SimConfig{Data: data, Ready: ready, Log: log, Device: sim.Config{
				User: "root", Password: auth.NewSecret(devicePassword), ClientCAs: []string{ca.pem()},
			}})
		})
	}
	bmc := run()
	base := bmc.ready.URLs["https"] + "/redfish/v1"
	first := issued{cert: parseOne(t, bmc.caPEM())}
	if got := simCall(t, &first, &root, "GET", base+"/Systems", ""); got != 200 {
		t.Errorf("with a certificate: %d", got)
	}
	if got := simCall(t, &first, nil, "GET", base+"/Systems", ""); got != 401 {
		t.Errorf("without: %d", got)
	}

	own := issue(t, nil, ecKey(t), func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)} })
	replace, err := json.Marshal(map[string]any{
		"CertificateUri":  map[string]string{"@odata.id": "/redfish/v1/Managers/1/NetworkProtocol/HTTPS/Certificates/1"},
		"CertificateType": "PEM", "CertificateString": own.pem() + own.keyText(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	action := base + "/CertificateService/Actions/CertificateService.ReplaceCertificate"
	if got := simCall(t, &first, &root, "POST", action, string(replace)); got != 204 {
		t.Fatalf("replace: %d\n%s", got, bmc.log)
	}
	if got := simCall(t, &first, &root, "GET", base+"/Systems", ""); got != 0 {
		t.Errorf("the old certificate is shown still: %d", got)
	}
	strict := `{"MultiFactorAuth":{"ClientCertificate":{"RespondToUnauthenticatedClients":false}}}`
	if got := simCall(t, &own, &root, "PATCH", base+"/AccountService", strict); got != 200 {
		t.Fatalf("strict: %d", got)
	}
	if got := simCall(t, &own, nil, "GET", base, ""); got != 0 {
		t.Errorf("strict, without a certificate: %d", got)
	}
	if got := simCall(t, &own, &own, "GET", base, ""); got != 0 {
		t.Errorf("strict, with a bad certificate: %d", got)
	}
	if got := simCall(t, &own, &root, "GET", base+"/Systems", ""); got != 200 {
		t.Errorf("strict, with a good certificate: %d", got)
	}
	bmc.end()
	run()
	if got := simCall(t, &own, nil, "GET", base, ""); got != 200 {
		t.Errorf("after a restart: %d", got)
	}
}

func parseOne(t *testing.T, text string) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		t.Fatalf("no PEM: %s", text)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}
