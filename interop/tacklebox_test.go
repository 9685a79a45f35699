//go:build integration

package interop

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A rfStep is one command of the Redfish Tacklebox; %s in an argument is a file.
type rfStep struct {
	args string   // script without its suffix, and arguments
	want []string // texts of its output
}

// rfSteps run one after the other: later ones see what earlier ones did.
var rfSteps = []struct {
	what  string
	steps []rfStep
}{
	{"rf_accounts: add, list, role, password, disable, enable, unlock, delete", []rfStep{
		{"rf_accounts --add tacklebox Tackle-box.2026 ReadOnly", nil},
		{"rf_accounts", []string{"tacklebox", "ReadOnly"}},
		{"rf_accounts --setrole tacklebox Operator", nil},
		{"rf_accounts --setpassword tacklebox Tackle-box.2027", nil},
		{"rf_accounts --disable tacklebox", nil},
		{"rf_accounts --enable tacklebox", nil},
		{"rf_accounts --unlock tacklebox", nil},
		{"rf_accounts", []string{"tacklebox", "Operator"}},
		{"rf_accounts --delete tacklebox", nil},
	}},
	{"rf_sensor_list, rf_sys_inventory, rf_firmware_inventory", []rfStep{
		{"rf_sensor_list", []string{"Chassis"}},
		{"rf_sys_inventory --details", nil},
		{"rf_firmware_inventory --details", []string{"BMC"}},
	}},
	{"rf_power_reset, rf_boot_override, rf_virtual_media", []rfStep{
		{"rf_power_reset --info", []string{"ForceRestart"}},
		{"rf_power_reset --type GracefulRestart", nil},
		{"rf_boot_override --target Pxe", nil},
		{"rf_boot_override --info", []string{"Pxe"}},
		{"rf_boot_override --target None", nil},
		{"rf_virtual_media info", nil},
		{"rf_virtual_media insert --image https://192.0.2.1/image.iso", nil},
		{"rf_virtual_media eject --id Cd", nil},
	}},
	{"rf_event_service: info, subscribe, unsubscribe; rf_logs: read, clear; rf_update; rf_licenses", []rfStep{
		{"rf_event_service info", []string{"Subscri"}},
		{"rf_event_service subscribe --destination https://192.0.2.1/events --context tacklebox", nil},
		{"rf_event_service info", []string{"192.0.2.1"}},
		{"rf_logs --manager --details", nil},
		{"rf_logs --manager --clear", nil},
		{"rf_update --image IMAGE --timeout 60", nil},
		{"rf_licenses info", nil},
	}},
	{"rf_manager_config: info, getnet, getprotocol, setprotocol", []rfStep{
		{"rf_manager_config info", nil},
		{"rf_manager_config getnet", nil},
		{"rf_manager_config getprotocol", []string{"HTTPS"}},
		{"rf_manager_config setprotocol --protocol NTP --enable", nil},
	}},
	{"rf_certificates: info, csrinfo, csr, install of a CA, delete", []rfStep{
		{"rf_certificates info --details", []string{"HTTPS"}},
		{"rf_certificates csrinfo", nil},
		{"rf_certificates csr --certificatecollection " + httpsCertificates + " --commonname bmc.example --organization Lab --country DE", []string{"CERTIFICATE REQUEST"}},
		{"rf_certificates install --destination " + clientCAs + " --certificate CA", nil},
		{"rf_certificates info", []string{"ClientCertificate"}},
	}},
}

const (
	httpsCertificates = "/redfish/v1/Managers/1/NetworkProtocol/HTTPS/Certificates"
	clientCAs         = "/redfish/v1/AccountService/MultiFactorAuth/ClientCertificate/Certificates"
)

// The scripts of the DMTF's Tacklebox that change something, against what has
// accounts and certificates of its own.
func TestTacklebox(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*world) endpoint{
		simulator:       func(w *world) endpoint { return w.sim("--slots", "64").endpoint },
		"postern serve": func(w *world) endpoint { return w.server().endpoint },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			e := start(w)
			files := strings.NewReplacer("IMAGE", imageFile(t, w), " CA", " "+caFile(t, w))
			for _, group := range rfSteps {
				scene{"redfish_utilities", group.what, func(t *testing.T, _ *world, e endpoint) error {
					for _, s := range group.steps {
						if err := tacklebox(t, e, strings.Fields(files.Replace(s.args)), s.want); err != nil {
							return err
						}
					}
					return nil
				}}.record(t, w, e, name, "direct")
			}
		})
	}
}

func tacklebox(t *testing.T, e endpoint, args, want []string) error {
	run := append([]string{venv(t, args[0]+".py"), "-u", e.user, "-p", e.password, "-r", e.base}, args[1:]...)
	out, err := runClient(t, nil, venv(t, "python"), run...)
	if err != nil {
		return fmt.Errorf("%s: %w", strings.Join(args, " "), err)
	}
	for _, text := range want {
		if !strings.Contains(string(out), text) {
			return fmt.Errorf("%s: %q is not in %q", strings.Join(args, " "), text, tailOf(string(out)))
		}
	}
	return nil
}

func imageFile(t *testing.T, w *world) string {
	t.Helper()
	file := w.path("firmware.bin")
	if err := os.WriteFile(file, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// caFile is the certificate of a CA that nobody has the key of.
func caFile(t *testing.T, w *world) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Tacklebox CA"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(w.dir, "tacklebox-ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
