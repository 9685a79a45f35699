package serve

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/sim"
)

// An iloRig is a served iLO and the certificate that its clients expect.
type iloRig struct {
	t    *testing.T
	base string
}

// call asks the device, whose certificate must be of root.
func (r iloRig) call(root *x509.Certificate, method, path string, body any) (int, string) {
	r.t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		r.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.base+path, bytes.NewReader(data))
	if err != nil {
		r.t.Fatal(err)
	}
	if body == nil {
		req.Body = http.NoBody
		req.ContentLength = 0
	}
	req.Header.Set("Content-Type", "application/json")
	req.SetBasicAuth("root", devicePassword)
	conf := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "localhost"}
	conf.RootCAs.AddCert(root)
	tr := &http.Transport{TLSClientConfig: conf}
	defer tr.CloseIdleConnections()
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// TestSimHTTPSCert: an iLO asks for a certificate, and shows the one that it is
// given for the last request, from the next handshake on and after a restart.
func TestSimHTTPSCert(t *testing.T) {
	t.Parallel()
	const uri = "/redfish/v1/Managers/1/SecurityService/HttpsCert/"
	const generate, put = uri + "Actions/HpeHttpsCert.GenerateCSR/", uri + "Actions/HpeHttpsCert.ImportCertificate/"
	data := t.TempDir()
	run := func() *running {
		return start(t, func(ctx context.Context, ready func(Ready), log *slog.Logger) error {
			return RunSim(ctx, SimConfig{
				Data: data, Ready: ready, Log: log, Profile: "ilo",
				Device: sim.Config{User: "root", Password: auth.NewSecret(devicePassword)},
			})
		})
	}
	bmc := run()
	r := iloRig{t, bmc.ready.URLs["https"]}
	first := parseOne(t, bmc.caPEM())
	ca := issue(t, nil, ecKey(t), func(c *x509.Certificate) { c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign })
	want := func(root *x509.Certificate, status int, holds, method, path string, body any) string {
		t.Helper()
		got, text := r.call(root, method, path, body)
		if got != status || !strings.Contains(text, holds) {
			t.Fatalf("%s %s: %d %s, want %d and %s", method, path, got, text, status, holds)
		}
		return text
	}
	names := map[string]any{
		"Action": "HpeHttpsCert.GenerateCSR", "OrgName": "Example", "OrgUnit": "Lab", "CommonName": "localhost", "Country": "FR",
		"State": "PACA", "City": "Sophia", "IncludeIP": true,
	}
	request := func() *x509.CertificateRequest {
		t.Helper()
		want(first, 200, "GeneratingCertificate", "POST", generate, names)
		var shown struct{ CertificateSigningRequest string }
		if err := json.Unmarshal([]byte(want(first, 200, "CertificateSigningRequest", "GET", uri, nil)), &shown); err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode([]byte(shown.CertificateSigningRequest))
		if block == nil {
			t.Fatalf("no request: %q", shown.CertificateSigningRequest)
		}
		csr, err := x509.ParseCertificateRequest(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		return csr
	}
	sign := func(csr *x509.CertificateRequest) string {
		t.Helper()
		template := issue(t, nil, ecKey(t), nil).cert
		template.RawSubject, template.DNSNames, template.IPAddresses = csr.RawSubject, csr.DNSNames, csr.IPAddresses
		der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, csr.PublicKey, ca.key)
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}

	old := request()
	csr := request()
	if csr.Subject.CommonName != "localhost" || csr.Subject.Organization[0] != "Example" || len(csr.IPAddresses) != 1 {
		t.Errorf("the request is for %s and %v", csr.Subject, csr.IPAddresses)
	}
	want(first, 400, "ImportCertificateFailed", "POST", put, map[string]any{"Certificate": sign(old)}) // its key is gone
	want(first, 400, "ImportCertificateFailed", "POST", put, map[string]any{"Certificate": "nothing"})
	want(first, 400, "ActionParameterMissing", "POST", generate, map[string]any{"OrgName": "Example"})
	want(first, 200, "ImportCertSuccessfuliLOResetinProgress", "POST", put, map[string]any{"Action": "HpeHttpsCert.ImportCertificate", "Certificate": sign(csr)})
	want(ca.cert, 200, `"CertificateSigningRequest":null`, "GET", uri, nil)
	want(first, 0, "certificate", "GET", uri, nil)
	bmc.end()
	bmc = run()
	r.base = bmc.ready.URLs["https"]
	want(ca.cert, 200, "CN = localhost", "GET", uri, nil)
	want(ca.cert, 200, "ResetInProgress", "DELETE", uri, nil)
	want(first, 200, "Postern CA", "GET", uri, nil)
}
