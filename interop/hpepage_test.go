//go:build integration

package interop

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestHPEPage runs the lines of docs/redfish-hpe.md that are there to be copied,
// all in one shell, as a reader would, and wants every session ended by them.
func TestHPEPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ilo := w.hpe("ilo")
	p, ready := w.startReady("rmc", "sim", "rmc", "--listen", ownAddress(t), "--data", w.path("rmc"), "--user", ilo.user, "--password-file", ilo.pwFile)
	rmc := &device{endpoint: endpoint{base: strings.TrimSuffix(ready.URLs["https"], ":443"), ca: ready.CAFile, user: ilo.user, password: ilo.password}, proc: p}

	dir := t.TempDir()
	page := w.read("../docs/redfish-hpe.md")
	lines := strings.NewReplacer("127.0.7.1", ilo.host(), "ilo/ca.pem", ilo.ca, "127.0.7.2", rmc.host(), "rmc/ca.pem", rmc.ca).Replace(toCopy(page))
	for name, text := range map[string]string{"ilo.pw": ilo.password, "lines.sh": "set -eu -o pipefail\ncd " + dir + "\n" + lines} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tool(t, "jq")
	tool(t, "openssl")
	if err := os.Symlink(binary(t), filepath.Join(dir, "postern")); err != nil {
		t.Fatal(err)
	}
	path := strings.Join([]string{dir, filepath.Dir(venvHPE(t, "ilorest")), os.Getenv("PATH")}, ":")
	out, err := runClient(t, []string{"PATH=" + path, "HOME=" + dir}, tool(t, "bash"), filepath.Join(dir, "lines.sh"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"MessageId":"Base.1.12.NoValidSession"`, `"MessageId":"Base.1.8.NoValidSession"`, `"MySession": true`, `"InitialRole": "Administrator"`,
		"logged in as student, and out again", "Verify return code: 0 (ok)", "\n\"ann\"\n", "SessionTerminated",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the lines did not print %s", want)
		}
	}
	ilo.ca = filepath.Join(dir, "ca.pem") // which signed another certificate for it
	for _, d := range []*device{ilo, rmc} {
		if left := d.sessions(d.client(t)); len(left) != 0 {
			t.Errorf("the lines left %d sessions at %s: %v", len(left), d.base, left)
		}
	}
}

// toCopy are the blocks of a page that are marked as the shell's.
func toCopy(page string) string {
	var b strings.Builder
	on := false
	for line := range strings.Lines(page) {
		switch {
		case strings.HasPrefix(line, "```"):
			on = strings.TrimSpace(line) == "```sh"
		case on:
			b.WriteString(line)
		}
	}
	return b.String()
}
