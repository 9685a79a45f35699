package keyring_test

import (
	"errors"
	"strings"
	"testing"

	desktop "github.com/zalando/go-keyring"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/keyring"
)

func TestKeyring(t *testing.T) {
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere")
	desktop.MockInit()
	const device = "https://bmc.example"
	if _, err := keyring.Get(device, "root"); !errors.Is(err, keyring.ErrNotFound) {
		t.Errorf("empty: got %v", err)
	}
	if err := keyring.Set(device, "root", auth.NewSecret("Xk7-labSecret.9")); err != nil {
		t.Fatal(err)
	}
	if got, err := keyring.Get(device, "root"); err != nil || got.Reveal() != "Xk7-labSecret.9" {
		t.Errorf("got another password, %v", err)
	}
	for what, at := range map[string][2]string{"another device": {"https://bmc2.example", "root"}, "another account": {device, "oper"}} {
		if _, err := keyring.Get(at[0], auth.AccountName(at[1])); !errors.Is(err, keyring.ErrNotFound) {
			t.Errorf("%s: got %v", what, err)
		}
	}
	if err := errors.Join(keyring.Delete(device, "root"), keyring.Set(device, "long", auth.NewSecret(strings.Repeat("x", 5000)))); err != nil {
		t.Error(err)
	}
	for _, account := range []auth.AccountName{"root", "long"} {
		if _, err := keyring.Get(device, account); !errors.Is(err, keyring.ErrNotFound) {
			t.Errorf("%s: got %v", account, err)
		}
	}
	if err := keyring.Delete(device, "root"); !errors.Is(err, keyring.ErrNotFound) {
		t.Errorf("removed twice: got %v", err)
	}
}

func TestNoKeyring(t *testing.T) {
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere")
	desktop.MockInitWithError(errors.New("dial unix /nowhere: no such file"))
	if _, err := keyring.Get("https://bmc.example", "root"); !errors.Is(err, keyring.ErrNone) {
		t.Errorf("got %v, want that none answers", err)
	}
}
