//go:build integration

package interop

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestHPEPage runs what else HPE's page has: how sessions are listed and ended,
// and the lines that make a JSON string of a certificate.
func TestHPEPage(t *testing.T) {
	t.Parallel()
	for kind, name := range map[string]string{"ilo": iloSimulator, "rmc": rmcSimulator} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			d := w.hpe(kind)
			c := d.client(t)
			student, _ := w.password("student password")
			body := map[string]any{"UserName": "student", "Password": student, "RoleId": "ReadOnly"}
			if a, err := d.call(c, http.MethodPost, "/redfish/v1/AccountService/Accounts/", body); err != nil || a.status != http.StatusCreated {
				t.Fatalf("no account: %d, %v: %s", a.status, err, a.body)
			}
			scene{"curl", "sessions: the administrator lists two, ends student's, whose token is dead at once; student may not end hers",
				func(t *testing.T, w *world, e endpoint) error { return hpeSessions(t, w, e, student, kind == "ilo") },
			}.record(t, w, d.endpoint, name, "direct")
			if kind == "ilo" {
				b := newILOBench(t, w, edition{}, d)
				for _, l := range hpeStrings {
					scene{"curl", l.what, func(t *testing.T, _ *world, e endpoint) error { return b.posted(t, l) }}.record(t, w, d.endpoint, name, "direct")
				}
				scene{"curl", "`curl --insecure -u ... -X POST --data '{\"LicenseKey\": ...}'`", licenceLine}.record(t, w, d.endpoint, name, "direct")
			}
			if left := d.sessions(c); len(left) != 0 {
				t.Errorf("the clients left %d sessions at the device: %v", len(left), left)
			}
		})
	}
}

func hpeSessions(t *testing.T, w *world, e endpoint, student string, ilo bool) error {
	path, err := filepath.Abs("clients/hpe-sessions.sh")
	if err != nil {
		return err
	}
	env := []string{"bmc_ip=" + e.host(), "admin=" + e.user + ":" + e.password, "student=student:" + student}
	out, err := runClient(t, env, tool(t, "bash"), path)
	if err != nil {
		return err
	}
	got := sections(string(out))
	tokens := strings.Fields(got["tokens"])
	if len(tokens) != 4 || !token.MatchString(tokens[0]) || !token.MatchString(tokens[2]) {
		return fmt.Errorf("tokens: got %q", got["tokens"])
	}
	w.secret("token of curl", tokens[0])
	w.secret("token of curl", tokens[2])
	for name, status := range map[string]string{"own": "200", "list": "200", "forbidden": "403", "delete": "200", "dead": "401", "logout": "200"} {
		if !ilo && (name == "delete" || name == "logout") {
			status = "204"
		}
		if words := strings.Fields(got[name]); len(words) == 0 || words[len(words)-1] != status {
			return fmt.Errorf("%s: got %q, want it to end with %s", name, got[name], status)
		}
	}
	var list struct {
		Count int `json:"Members@odata.count"`
		Oem   struct {
			Hpe struct{ Links struct{ MySession member } }
		}
	}
	text := got["list"]
	if err := json.Unmarshal([]byte(text[:strings.LastIndexByte(strings.TrimSpace(text), '\n')]), &list); err != nil {
		return fmt.Errorf("list: %q: %w", text, err)
	}
	mine := ""
	if ilo {
		mine = strings.TrimPrefix(tokens[1], e.base)
	}
	if list.Count != 2 || list.Oem.Hpe.Links.MySession.Path != mine {
		return fmt.Errorf("list: %d members, MySession %q, want 2 and %q", list.Count, list.Oem.Hpe.Links.MySession.Path, mine)
	}
	return nil
}

// A hpeString is one way to make a JSON string of a certificate.
type hpeString struct {
	what, line string
	crlf       bool
	status     string
	holds      string // in the answer
}

var hpeStrings = []hpeString{
	{"the page's sed line on a file with LF: mapped", "sed.txt", false, "201", "Created"},
	{"the page's awk line on a file with LF: mapped", "awk.txt", false, "201", "Created"},
	{"the page's awk line on a file with CR-LF: mapped", "awk.txt", true, "201", "Created"},
	{"the page's sed line on a file with CR-LF: leaves a CR, 400 MalformedJSON", "sed.txt", true, "400", "MalformedJSON"},
	{"the line that it should be for CR-LF, with `\\r\\n`: mapped", "", true, "201", "Created"},
}

// posted maps a certificate whose text a line of the page has made.
func (b *iloBench) posted(t *testing.T, l hpeString) error {
	dir := t.TempDir()
	data, err := os.ReadFile(b.file("student.crt"))
	if err != nil {
		return err
	}
	_, cert, _ := strings.Cut(string(data), "-----BEGIN")
	cert = "-----BEGIN" + cert
	if l.crlf {
		cert = strings.ReplaceAll(cert, "\n", "\r\n")
	}
	if err := os.WriteFile(filepath.Join(dir, "certfile.crt"), []byte(cert), 0o600); err != nil {
		return err
	}
	text := strings.NewReplacer("\r", `\r`, "\n", `\n`).Replace(cert)
	if l.line != "" {
		script, err := filepath.Abs("clients/seed-hpe-line.sh")
		if err != nil {
			return err
		}
		if _, err := runClient(t, nil, tool(t, "bash"), "-c", `cd "$0" && . "$1"`, dir, script); err != nil {
			return err
		}
		made, err := os.ReadFile(filepath.Join(dir, l.line))
		if err != nil {
			return err
		}
		text = strings.TrimSuffix(string(made), "\n") // as $(cat certfile.txt) does
	}
	body := filepath.Join(dir, "body.json")
	if err := os.WriteFile(body, []byte(`{"UserName": "student", "Fingerprint": "`+text+`"}`), 0o600); err != nil {
		return err
	}
	const uri = "/redfish/v1/AccountService/UserCertificateMapping"
	if a, err := b.d.call(b.c, http.MethodDelete, uri+"/2/", nil); err != nil || a.status != http.StatusOK {
		return fmt.Errorf("the mapping cannot be taken away: %d, %v", a.status, err)
	}
	out, err := runClient(t, nil, tool(t, "curl"), "--silent", "--insecure", "--user", b.d.user+":"+b.d.password, "--write-out", "\n%{http_code}",
		"--header", "Content-Type: application/json", "--data-binary", "@"+body, b.d.base+uri)
	if err != nil {
		return err
	}
	if got := string(out); !strings.HasSuffix(got, "\n"+l.status) || !strings.Contains(got, l.holds) {
		return fmt.Errorf("got %q, want %s and %s", got, l.status, l.holds)
	}
	print, err := runClient(t, nil, tool(t, "openssl"), "x509", "-in", b.file("student.crt"), "-noout", "-fingerprint", "-sha256")
	if err != nil {
		return err
	}
	var m struct{ Fingerprint string }
	b.d.get(b.c, uri+"/2/", &m)
	if same := strings.Contains(string(print), m.Fingerprint); same != (l.status == "201") {
		return fmt.Errorf("the device has %s of %s", m.Fingerprint, print)
	}
	return nil
}

// licenceLine is the page's curl line for a licence, as it is printed there.
func licenceLine(t *testing.T, _ *world, e endpoint) error {
	line := `curl --insecure -u "$0"  \
     --header "Content-Type: application/json" \
     -X POST --data '{"LicenseKey": "xxxxx-xxxxx-xxxxx-xxxxx-xxxxx"}' \
     https://$1/redfish/v1/Managers/1/LicenseService/`
	out, err := runClient(t, nil, tool(t, "bash"), "-c", line, e.user+":"+e.password, e.host())
	if err == nil && !strings.Contains(string(out), "Created") {
		err = fmt.Errorf("got %q", out)
	}
	return err
}

// TestHPEGateway: the gateway shows the face of the device behind it, to clients
// that read it before they log in, and holds one login there for all of them.
func TestHPEGateway(t *testing.T) {
	t.Parallel()
	for kind, name := range map[string]string{"ilo": iloSimulator, "rmc": rmcSimulator} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			d := w.hpe(kind)
			g := w.gateway(d.target())
			listener := "listeners:\n  - address: " + ownAddress(t) + "\n    next: targets\n"
			if err := os.WriteFile(g.config, []byte(w.read(g.config)+listener), 0o600); err != nil {
				t.Fatal(err)
			}
			g.up(w)
			e := g.endpoint
			e.base = strings.TrimSuffix(e.base, ":443")
			for _, s := range []scene{
				pySession, pyBasic,
				{"curl", "HPE's page, \"Redfish authentication and sessions\": 401, Basic, TokenAndUrl in both forms, use, list, DELETE", seedLines},
			} {
				s.record(t, w, e, name, "gateway")
			}
			for _, l := range libraries {
				l.script("session", "the page's script for a session").record(t, w, e, name, "gateway")
			}
			if kind == "ilo" {
				for _, ed := range editions {
					ed.line("`login`, `get License --select HpeiLOLicense.`, `list --json --select SessionCollection.`, `logout`", throughGateway).record(t, w, e, name, "gateway")
				}
			}
			if n := len(d.lines("login")); n != 1 {
				t.Errorf("the device's journal has %d logins, want 1", n)
			}
			g.stop()
			if left := d.sessions(d.client(t)); len(left) != 0 {
				t.Errorf("%d sessions are left at the device", len(left))
			}
		})
	}
}

func throughGateway(i *ilorest) error {
	if err := i.login(); err != nil {
		return err
	}
	return errors.Join(
		i.prints("License=iLO Advanced\n", "get", "License", "--select", "HpeiLOLicense."),
		i.prints("/SessionService/Sessions/admin", "list", "--json", "--select", "SessionCollection."),
		i.logout())
}
