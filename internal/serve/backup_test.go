package serve

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/admin"
	"github.com/postern/postern/internal/audit"
	"github.com/postern/postern/internal/backup"
	"github.com/postern/postern/internal/seal"
)

func backupKeys(t *testing.T) (backup.Lock, backup.Key) {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	lock, err := backup.Recipients(strings.NewReader(id.Recipient().String()))
	if err != nil {
		t.Fatal(err)
	}
	key, err := backup.Identities(strings.NewReader(id.String()))
	if err != nil {
		t.Fatal(err)
	}
	return lock, key
}

// verified reads the audit of a data directory, which must be as it was written.
func verified(t *testing.T, data string) (events []string) {
	t.Helper()
	key, err := seal.KeyFile(filepath.Join(data, AuditKey))
	if err != nil {
		t.Fatal(err)
	}
	r, err := audit.Verify(filepath.Join(data, AuditDir), key)
	if err != nil || r.Bad != nil {
		t.Fatal(err, r.Bad)
	}
	for rec, err := range audit.Read(filepath.Join(data, AuditDir), audit.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, rec.Event+" "+rec.Detail)
	}
	return events
}

// A backup of a running server becomes another server, with the same accounts and
// device passwords, in which nobody is logged in and no device is called unasked.
func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	bmc := startSim(t, nil)
	r := startReloading(t, Config{})
	made, err := r.api.AddTarget(t.Context(), admin.NewTarget{
		Name: "bmc1", URL: bmc.ready.URLs["https"], CAPEM: bmc.caPEM(), User: "root", Password: auth.NewSecret(devicePassword),
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := r.call("GET", "bmc1"); got != 200 {
		t.Fatal(got)
	}
	login, err := r.client().Post(made.Gateway+"/redfish/v1/SessionService/Sessions", "application/json",
		strings.NewReader(`{"UserName":"admin","Password":"`+r.password()+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	login.Body.Close()
	token := login.Header.Get("X-Auth-Token")
	put := issue(t, nil, ecKey(t), nil)
	if _, err := r.api.ReplaceServerCertificate(t.Context(), admin.TargetListener("bmc1"), put.pem(), put.keyPEM(t)); err != nil {
		t.Fatal(err)
	}

	lock, key := backupKeys(t)
	snapshot, err := r.api.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if n, err := WriteBackup(&file, lock, r.data, snapshot, true); err != nil || n < 8 {
		t.Fatalf("%d files, %v", n, err)
	}
	if err := os.Remove(snapshot.Path); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(file.Bytes(), []byte("PRIVATE KEY")) {
		t.Error("the backup is not encrypted")
	}
	password := r.password()
	r.end()

	log := slog.New(slog.DiscardHandler)
	if _, err := Restore(t.Context(), bytes.NewReader(file.Bytes()), key, r.data, log); !errors.Is(err, ErrNotEmpty) {
		t.Errorf("over what is there: %v", err)
	}
	_, other := backupKeys(t)
	data := filepath.Join(t.TempDir(), "a", "b")
	if _, err := Restore(t.Context(), bytes.NewReader(file.Bytes()), other, data, log); !errors.Is(err, backup.ErrKey) {
		t.Errorf("with another key: %v", err)
	}
	if _, err := Restore(t.Context(), bytes.NewReader(file.Bytes()[:file.Len()-1]), key, data, log); !errors.Is(err, backup.ErrBroken) {
		t.Errorf("cut short: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(data), "*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if err := os.MkdirAll(data, 0o755); err != nil { // an empty one is fine
		t.Fatal(err)
	}
	m, err := Restore(t.Context(), bytes.NewReader(file.Bytes()), key, data, log)
	if err != nil || !m.Audit || m.Epoch != snapshot.Epoch {
		t.Fatalf("%+v, %v", m, err)
	}
	if info, err := os.Stat(data); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v", info, err)
	}
	events := strings.Join(verified(t, data), "\n")
	if !strings.Contains(events, "admin.restore from a backup of ") || !strings.Contains(events, "admin.backup") {
		t.Errorf("the audit:\n%s", events)
	}

	again := startServer(t, data)
	api := admin.NewClient(func(ctx context.Context) (net.Conn, error) { return DialSocket(ctx, data) })
	defer api.Close()
	if again.password() != password {
		t.Error("another first password")
	}
	if c, err := api.ServerCertificate(t.Context(), admin.TargetListener("bmc1")); err != nil || c.PEM != put.pem() {
		t.Errorf("the listener shows %+v, %v", c, err)
	}
	if err := api.ResetServerCertificate(t.Context(), admin.TargetListener("bmc1")); err != nil {
		t.Fatal(err)
	}
	url := again.ready.Targets["bmc1"]["https"] + "/redfish/v1/Systems/1"
	req, _ := http.NewRequest("GET", url, nil)
	req.Header.Set("X-Auth-Token", token)
	if resp, err := again.client().Do(req); err != nil || resp.StatusCode != 401 {
		t.Errorf("a session of before: %v, %v", resp, err)
	}
	// The login at the device was ended by the first server. The next one is not
	// made unasked, since nobody knows what the device has refused meanwhile.
	req, _ = http.NewRequest("GET", url, nil)
	req.SetBasicAuth("admin", password)
	if resp, err := again.client().Do(req); err != nil || resp.StatusCode != 503 {
		t.Errorf("a login in doubt: %v, %v", resp, err)
	}
	if err := api.CheckTarget(t.Context(), "bmc1"); err != nil {
		t.Fatal(err)
	}
	if resp, err := again.client().Do(req); err != nil || resp.StatusCode != 200 {
		t.Errorf("after a check: %v, %v\n%s", resp, err, again.log)
	}
}

// What a backup that was killed left goes with the next start.
func TestSnapshotsAreForgotten(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	left := filepath.Join(data, "snapshot-X.db")
	if err := os.WriteFile(left, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	startServer(t, data)
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("still there: %v", err)
	}
}
