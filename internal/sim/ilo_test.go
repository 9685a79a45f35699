package sim

import (
	"net/netip"
	"testing"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/service/hpe"
	"github.com/postern/postern/redfish"
)

// newILODevice is an iLO, and what it would have waited instead of having done so.
func newILODevice(t *testing.T) (*Device, *[]time.Duration) {
	t.Helper()
	profile, err := redfish.FindProfile("ilo")
	if err != nil {
		t.Fatal(err)
	}
	d, err := New(Config{User: "admin", Password: auth.NewSecret("password"), Profile: profile})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	waits := new([]time.Duration)
	d.auth.sleep = func(w time.Duration) { *waits = append(*waits, w) }
	return d, waits
}

// TestILODelay: the first wrong password is answered at once, those after it
// later, until a right one.
func TestILODelay(t *testing.T) {
	t.Parallel()
	d, waits := newILODevice(t)
	here, there := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	try := func(name auth.AccountName, password string, from netip.Addr) {
		d.auth.Login(t.Context(), auth.Attempt{Account: name, Password: auth.NewSecret(password), Source: from, Token: auth.NewSecret("t")})
	}
	for i, c := range []struct {
		name     auth.AccountName
		password string
		from     netip.Addr
		wait     time.Duration
	}{
		{"admin", "wrong", here, 0},
		{"admin", "wrong", here, 10 * time.Second},
		{"nobody", "wrong", here, 10 * time.Second}, // the same address
		{"admin", "wrong", there, 10 * time.Second}, // the same account
		{"other", "wrong", netip.MustParseAddr("192.0.2.3"), 0},
		{"admin", "password", here, 0},
		{"admin", "wrong", here, 0},
	} {
		*waits = nil
		try(c.name, c.password, c.from)
		if len(*waits) != 1 || (*waits)[0] != c.wait {
			t.Errorf("%d: waited %v, want %v", i, *waits, c.wait)
		}
	}
	o := office{newDesk(d.auth, nil)}
	if got := o.FailureDelay(here); got != 10*time.Second {
		t.Errorf("the next one from %v waits %v", here, got)
	}
	if _, err := o.ChangeSettings(t.Context(), func(s *hpe.Settings) error { s.FailureDelay = 30; return nil }); err != nil {
		t.Fatal(err)
	}
	*waits = nil
	try("admin", "wrong", here)
	if (*waits)[0] != 30*time.Second {
		t.Errorf("waited %v after the change", *waits)
	}
	for i := range 2 * maxFailed {
		try(auth.AccountName(time.Duration(i).String()), "wrong", here)
	}
	if n := len(d.auth.ilo.failed); n > maxFailed+1 {
		t.Errorf("%d accounts and addresses are remembered", n)
	}
}

// TestRMCTree: what is linked is there.
func TestRMCTree(t *testing.T) {
	t.Parallel()
	tree, err := rmcTree()
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{"/Managers/RMC", "/Systems/Partition0", "/Chassis/RackGroup", "/Schemas", "/Registries"} {
		if tree.files[rootPath+at] == nil {
			t.Errorf("%s is not there", at)
		}
	}
}
