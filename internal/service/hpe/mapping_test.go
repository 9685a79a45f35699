package hpe_test

import (
	"encoding/base64"
	"encoding/pem"
	"strings"
	"testing"
)

// The user's certificate of the published vectors, and its fingerprint.
const (
	vectorUser = `-----BEGIN CERTIFICATE-----
MIICFzCCAb6gAwIBAgIUKYjqeqjLALihTRmX91/y1Dm6ldwwCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOVmVjdG9yIFJvb3QgQ0EwIBcNMjAwMTAxMDAwMDAwWhgPMjA5
OTEyMzEyMzU5NTlaMD8xCzAJBgNVBAYTAkZSMRAwDgYDVQQKDAdFeGFtcGxlMQww
CgYDVQQLDANMYWIxEDAOBgNVBAMMB3N0dWRlbnQwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAS62tXCgrVPBpohAKhkZ/wsTCf+fT6jJR4orfawpqjo7twpo+6Svh8f
wDvyiXeZEqKIE1conbrM466q6S2/ObBEo4G7MIG4MAwGA1UdEwEB/wQCMAAwDgYD
VR0PAQH/BAQDAgeAMBMGA1UdJQQMMAoGCCsGAQUFBwMCMEMGA1UdEQQ8MDqgIwYK
KwYBBAGCNxQCA6AVDBNzdHVkZW50QGV4YW1wbGUuY29tgRNzdHVkZW50QGV4YW1w
bGUuY29tMB0GA1UdDgQWBBSAsGub5EjOXaHGQqu1j90zsh572TAfBgNVHSMEGDAW
gBQyvf4LUlnwpUqws+jS+fl20NrzAjAKBggqhkjOPQQDAgNHADBEAiBz5XylWWut
83w5+bt5brlUUjK5+PDez8UHYcu9bOVCMQIgPcD9eK8dzajJ1tGrCtIOBVxZKumV
UP31CZzpS4n0KWE=
-----END CERTIFICATE-----
`
	vectorPrint = "51:A1:A8:04:EA:21:11:38:75:05:F3:03:98:0A:12:0C:E7:24:58:74:D8:E8:C6:E1:2E:D3:C8:50:86:AB:CC:68"
)

func TestMapping(t *testing.T) {
	t.Parallel()
	_, body, _ := strings.Cut(vectorUser, "\n")
	oneLine := strings.Join(strings.Fields(strings.TrimSuffix(body, "-----END CERTIFICATE-----\n")), "")
	der, err := base64.StdEncoding.DecodeString(oneLine)
	if err != nil {
		t.Fatal(err)
	}
	der[len(der)-1] ^= 1
	forged := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	for _, c := range []struct {
		name, text string
		status     int
		print      string
	}{
		{"as it is", vectorUser, 201, vectorPrint},
		{"CR-LF", strings.ReplaceAll(vectorUser, "\n", "\r\n"), 201, vectorPrint},
		{"no final newline", strings.TrimSuffix(vectorUser, "\n"), 201, vectorPrint},
		{"two final newlines", vectorUser + "\n", 201, vectorPrint},
		{"a text dump in front", "Certificate:\n    Data:\n        Version: 3 (0x2)\n" + vectorUser, 201, vectorPrint},
		{"another signature", forged, 201, ""},
		{"truncated", vectorUser[:300] + "\n-----END CERTIFICATE-----\n", 400, ""},
		{"dots, as a page prints it", strings.Replace(vectorUser, "MBMGA1Ud", ".....", 1), 400, ""},
		{"newlines escaped twice", strings.ReplaceAll(vectorUser, "\n", `\n`), 400, ""},
		{"two certificates", vectorUser + vectorUser, 400, ""},
		{"a private key with it", vectorUser + "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n", 400, ""},
		{"a key in its place", "-----BEGIN EC PRIVATE KEY-----\nMAA=\n-----END EC PRIVATE KEY-----\n", 400, ""},
		{"empty", "", 400, ""},
		{"zeros", strings.Repeat("00:", 31) + "00", 400, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil)
			r.student()
			r.want(c.status, "POST", mapping, object{"Fingerprint": c.text, "UserName": "student"})
			got := r.want(200, "GET", mapping+"/2/", nil).object(t)["Fingerprint"].(string)
			switch {
			case c.status == 400 && strings.Trim(got, "0:") != "":
				t.Errorf("refused, and yet the account has %s", got)
			case c.print != "" && got != c.print:
				t.Errorf("got %s, want %s", got, c.print)
			case c.status == 201 && c.print == "" && (got == vectorPrint || strings.Trim(got, "0:") == ""):
				t.Errorf("got %s, want another fingerprint", got)
			}
		})
	}
}

func TestMappingOfAccounts(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.student()
	list := r.want(200, "GET", mapping+"/", nil).object(t)
	if n := list["Members@odata.count"]; n != 2.0 {
		t.Errorf("%v members, want one for each of 2 accounts", n)
	}
	r.want(201, "POST", mapping, object{"UserName": "student", "Fingerprint": vectorUser})
	r.want(201, "POST", mapping, object{"UserName": "student", "Fingerprint": vectorUser}) // the same again
	r.refused(400, "ImportCertificateFailed", "POST", mapping, object{"UserName": admin, "Fingerprint": vectorUser})
	r.refused(400, "PropertyValueError", "POST", mapping, object{"UserName": "nobody", "Fingerprint": vectorUser})
	r.refused(400, "PropertyMissing", "POST", mapping, object{"UserName": "student"})
	other := newIssuer(t, "CA").issue(t, nil)
	r.want(201, "POST", mapping+"/2", object{"Fingerprint": pemOf(other.Certificate[0])}) // in its place
	r.want(201, "POST", mapping, object{"UserName": admin, "Fingerprint": vectorUser})    // so it is free
	r.want(200, "DELETE", mapping+"/1", nil)
	if got := r.want(200, "GET", mapping+"/1/", nil).object(t)["Fingerprint"].(string); strings.Trim(got, "0:") != "" {
		t.Errorf("after DELETE: %s", got)
	}
	if a := r.as("student", "student-password", "POST", mapping, object{"UserName": "student", "Fingerprint": vectorUser}); a.status != 403 {
		t.Errorf("without UserConfigPriv: %d, want 403", a.status)
	}
	r.want(404, "GET", mapping+"/9/", nil)
	r.want(200, "DELETE", accounts+"/2/", nil)
	r.want(404, "GET", mapping+"/2/", nil)
}
