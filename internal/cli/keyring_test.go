package cli

import (
	"bytes"
	"context"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	desktop "github.com/zalando/go-keyring"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/sim"
)

// With --keyring the password is given once, and found by every command that
// follows.
func TestKeyring(t *testing.T) {
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere")
	desktop.MockInit()
	d, err := sim.New(sim.Config{User: "root", Password: auth.NewSecret("Xk7-labSecret.9")})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewTLSServer(d.Handler())
	defer server.Close()
	dir := t.TempDir()
	ca, pw, wrong := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "pw"), filepath.Join(dir, "wrong")
	for file, text := range map[string][]byte{
		ca: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), pw: []byte("Xk7-labSecret.9\n"), wrong: []byte("wrong\n"),
	} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	stdin, err := os.Open(os.DevNull) // nobody to ask
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	run := func(want int, args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		a := &app{stdin: stdin, stdout: &out, stderr: &errs}
		args = append(args, "--data", filepath.Join(dir, "state"), "--ca-file", ca, "--user", "root")
		if got := a.run(context.Background(), args); got != want {
			t.Errorf("%s: status %d, want %d: %s", strings.Join(args, " "), got, want, &errs)
		}
		return errs.String()
	}
	run(exitUsage, "get", server.URL, "/redfish/v1/Systems")
	run(exitRefused, "login", server.URL, "--keyring", "--password-file", wrong)
	run(exitUsage, "get", server.URL, "/redfish/v1/Systems") // the wrong one was not kept
	run(exitDone, "login", server.URL, "--keyring", "--password-file", pw)
	run(exitDone, "logout", server.URL)
	run(exitDone, "get", server.URL, "/redfish/v1/Systems")
	run(exitDone, "logout", server.URL, "--keyring")
	run(exitUsage, "get", server.URL, "/redfish/v1/Systems")
	if n := d.Stats().Sessions; n != 0 {
		t.Errorf("%d sessions left", n)
	}
}
