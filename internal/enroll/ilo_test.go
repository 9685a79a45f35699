package enroll_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/postern/postern/internal/enroll"
)

// answering is an iLO that answers by path; what is not there is 404.
func answering(answers map[string]string) enroll.ILO {
	return enroll.ILO{
		Name: "ilo1",
		Do: func(_ context.Context, _, path string, _ []byte) (int, []byte, error) {
			if a, ok := answers[path]; ok {
				return 200, []byte(a), nil
			}
			return 404, []byte(`{}`), nil
		},
		Says: func([]byte) string { return "" },
	}
}

const (
	accounts = "/redfish/v1/AccountService/Accounts/"
	mappings = "/redfish/v1/AccountService/UserCertificateMapping/"
	cas      = "/redfish/v1/Managers/1/SecurityService/CertificateAuthentication/CACertificates/"
)

func TestKind(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ root, want string }{
		"iLO 5, by its manager":            {`{"Oem":{"Hpe":{"Manager":[{"ManagerType":"iLO 5"}]}}}`, "iLO 5"},
		"iLO 7, which hides its manager":   {`{"Oem":{"Hpe":{"Moniker":{"PRODGEN":"iLO 7"}}}}`, "iLO 7"},
		"RMC":                              {`{"RedfishVersion":"1.0.2"}`, ""},
		"iLO 4":                            {`{"Oem":{"Hp":{"Manager":[{"ManagerType":"iLO 4"}]}}}`, ""},
		"no JSON":                          {`<html>`, ""},
		"JSON of another kind":             {`[]`, ""},
		"a manager that is no text":        {`{"Oem":{"Hpe":{"Manager":[{"ManagerType":5}]}}}`, ""},
		"something that begins like iLO":   {`{"Oem":{"Hpe":{"Manager":[{"ManagerType":"iLOve"}]}}}`, ""},
		"an empty list of managers, alone": {`{"Oem":{"Hpe":{"Manager":[]}}}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := answering(map[string]string{"/redfish/v1/": tc.root}).Kind(t.Context())
			if _, refused := errors.AsType[*enroll.Refusal](err); got != tc.want || refused != (tc.want == "") {
				t.Errorf("got %q, %v, want %q", got, err, tc.want)
			}
		})
	}
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	d := answering(map[string]string{
		accounts:        `{"Members":[{"@odata.id":"` + accounts + `1/"},{"@odata.id":"` + accounts + `2/"}]}`,
		accounts + "1/": `{"UserName":"admin","Oem":{"Hpe":{"Privileges":{"LoginPriv":true}}}}`,
		accounts + "2/": `{"UserName":"student","Enabled":false,"PasswordChangeRequired":true,"Oem":{"Hpe":{"Privileges":{"LoginPriv":false}}}}`,
		mappings:        `{"Members":[{"@odata.id":"` + mappings + `1/"},{"@odata.id":"` + mappings + `2/"}]}`,
		mappings + "1/": `{"UserName":"admin","Fingerprint":"` + strings.Repeat("00:", 31) + `00"}`,
		mappings + "2/": `{"UserName":"student","Fingerprint":"` + strings.Repeat("AB:", 31) + `0C"}`,
	})
	got, err := d.Accounts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []enroll.Account{
		{Name: "admin"},
		{Name: "student", Fingerprint: strings.Repeat("ab", 31) + "0c", Disabled: true, MustChange: true, MayNotLogIn: true},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// The administrator's login goes with each request, so a device does not choose
// where it goes.
func TestMembersElsewhere(t *testing.T) {
	t.Parallel()
	for name, list := range map[string]string{
		"another host":  `{"Members":[{"@odata.id":"//elsewhere/redfish/v1/x"}]}`,
		"a whole URL":   `{"Members":[{"@odata.id":"https://elsewhere/redfish/v1/x"}]}`,
		"another place": `{"Members":[{"@odata.id":"/html/login_cert.html"}]}`,
		"no URI":        `{"Members":[{}]}`,
		"too many":      `{"Members":[` + strings.Repeat(`{"@odata.id":"/redfish/v1/x"},`, 1000) + `{}]}`,
		"no list":       `{"Members":{"@odata.id":"/redfish/v1/x"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			calls := 0
			d := answering(nil)
			d.Do = func(context.Context, string, string, []byte) (int, []byte, error) {
				calls++
				return 200, []byte(list), nil
			}
			if _, err := d.Accounts(t.Context()); err == nil || calls != 1 {
				t.Errorf("got %v after %d calls, want an error after 1", err, calls)
			}
		})
	}
}

func TestTrusts(t *testing.T) {
	t.Parallel()
	end := time.Date(2031, 1, 2, 3, 4, 5, 0, time.UTC)
	ca := &x509.Certificate{SerialNumber: big.NewInt(0x0a1b2c), NotAfter: end}
	for name, tc := range map[string]struct {
		have string
		want bool
	}{
		"the same":            {`{"SerialNumber":"0a:1b:2c","ValidNotAfter":"2031-01-02T03:04:05Z"}`, true},
		"in other letters":    {`{"SerialNumber":"000A1B2C","ValidNotAfter":"2031-01-02T04:04:05+01:00"}`, true},
		"another number":      {`{"SerialNumber":"0a:1b:2d","ValidNotAfter":"2031-01-02T03:04:05Z"}`, false},
		"another end":         {`{"SerialNumber":"0a:1b:2c","ValidNotAfter":"2032-01-02T03:04:05Z"}`, false},
		"no number":           {`{"ValidNotAfter":"2031-01-02T03:04:05Z"}`, false},
		"a number of letters": {`{"SerialNumber":"xyz","ValidNotAfter":"2031-01-02T03:04:05Z"}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := answering(map[string]string{cas: `{"Members":[{"@odata.id":"` + cas + `1/"}]}`, cas + "1/": tc.have}).Trusts(t.Context(), ca)
			if err != nil || got != tc.want {
				t.Errorf("got %v, %v, want %v", got, err, tc.want)
			}
		})
	}
}

func TestClock(t *testing.T) {
	t.Parallel()
	const at = "/redfish/v1/Managers/1/DateTime/"
	for name, answer := range map[string]string{"none": `{}`, "no time": `{"DateTime":"noon"}`, "null": `{"DateTime":null}`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if at, err := answering(map[string]string{at: answer}).Clock(t.Context()); err == nil {
				t.Errorf("got %v, want an error", at)
			}
		})
	}
}

// FuzzILO has a device answer everything with the same text.
func FuzzILO(f *testing.F) {
	for _, s := range []string{
		`{"Members":[{"@odata.id":"/redfish/v1/x"}],"UserName":"a","Fingerprint":"AB"}`, `{"Oem":{"Hpe":{"Manager":[{"ManagerType":"iLO 6"}]}}}`,
		`{"DateTime":"2031-01-02T03:04:05Z","SerialNumber":"0a:1b"}`, `[]`, `null`, ``, `{"Members":null}`,
	} {
		f.Add(200, s)
		f.Add(403, s)
	}
	f.Fuzz(func(t *testing.T, status int, text string) {
		d := answering(nil)
		d.Do = func(context.Context, string, string, []byte) (int, []byte, error) { return status, []byte(text), nil }
		ctx := t.Context()
		kind, err := d.Kind(ctx)
		if err == nil && !strings.HasPrefix(kind, "iLO ") {
			t.Errorf("kind %q", kind)
		}
		d.Licence(ctx)
		if at, err := d.Clock(ctx); err == nil && at.IsZero() {
			t.Error("a clock without a time")
		}
		d.Accounts(ctx)
		d.Trusts(ctx, &x509.Certificate{SerialNumber: big.NewInt(1)})
		d.On(ctx)
		if err := d.SwitchOn(ctx); err == nil && !strings.Contains(strings.ToLower(text), "certificateloginenabled") {
			t.Errorf("%q switched it on", text)
		}
	})
}
