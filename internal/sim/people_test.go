package sim

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/directory/directorytest"
	"github.com/postern/postern/internal/mail/mailtest"
	"github.com/postern/postern/internal/passcode"
	"github.com/postern/postern/internal/service/hpe"
	"github.com/postern/postern/redfish"
)

// A peopleRig is an iLO whose directory knows ann, an Administrator, bob, who has
// no mail address, and carl, who is in no group.
type peopleRig struct {
	t      *testing.T
	d      *Device
	sink   *mailtest.Sink
	at     time.Time
	office office
	tokens int
}

func newPeopleRig(t *testing.T) *peopleRig {
	t.Helper()
	const base, admins = "ou=people,dc=example,dc=com", "cn=admins,dc=example,dc=com"
	person := func(name string, mail ...string) directorytest.Entry {
		return directorytest.Entry{Password: name + "'s", Attributes: map[string][]string{"uid": {name}, "mail": mail}}
	}
	server := directorytest.New(t, map[string]directorytest.Entry{
		"cn=reader":        {Password: "search"},
		"uid=ann," + base:  person("ann", "ann@example.com"),
		"uid=bob," + base:  person("bob"),
		"uid=carl," + base: person("carl", "carl@example.com"),
		admins:             {Attributes: map[string][]string{"member": {"uid=ann," + base, "uid=bob," + base}}},
	})
	profile, err := redfish.FindProfile("ilo")
	if err != nil {
		t.Fatal(err)
	}
	r := &peopleRig{t: t, sink: mailtest.New(t, nil, ""), at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	r.d, err = New(Config{
		User: "admin", Password: auth.NewSecret("password"), Profile: profile, Slots: 8, DirectoryRoots: server.Roots,
		Now: func() time.Time { return r.at },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.d.Close)
	r.d.auth.sleep = func(time.Duration) {}
	r.office = office{newDesk(r.d.auth, nil)}
	r.set(func(s *hpe.Settings) {
		s.Directory, s.PasscodeMail = true, true
		s.AlertSender, s.AlertServer, s.AlertPort = "example.com", "127.0.0.1", r.sink.Port
		s.LDAP = hpe.LDAP{
			Servers: []string{server.LDAPS}, Bases: []string{base}, BindName: "cn=reader", BindPassword: auth.NewSecret("search"),
			NameAttribute: "uid", Groups: []hpe.Group{{DN: admins, Role: auth.Administrator}},
		}
	})
	return r
}

func (r *peopleRig) set(change func(*hpe.Settings)) {
	r.t.Helper()
	if _, err := r.office.ChangeSettings(r.t.Context(), func(s *hpe.Settings) error { change(s); return nil }); err != nil {
		r.t.Fatal(err)
	}
}

func (r *peopleRig) try(name, password, code string) (auth.Session, error) {
	r.tokens++
	return r.d.auth.Login(r.t.Context(), auth.Attempt{
		Account: auth.AccountName(name), Password: auth.NewSecret(password), Passcode: auth.NewSecret(code),
		Source: netip.MustParseAddr("192.0.2.1"), Token: auth.NewSecret(strings.Repeat("t", r.tokens)),
	})
}

func (r *peopleRig) refused(want error, name, password, code string) {
	r.t.Helper()
	if _, err := r.try(name, password, code); !errors.Is(err, want) {
		r.t.Errorf("%s: %v, want %v", name, err, want)
	}
}

// code is the one in the next message.
func (r *peopleRig) code() string {
	r.t.Helper()
	select {
	case text := <-r.sink.Got:
		if !strings.Contains(text, "RCPT TO:<ann@example.com>") || !strings.Contains(text, "MAIL FROM:<ilo@example.com>") {
			r.t.Errorf("message:\n%s", text)
		}
		_, after, _ := strings.Cut(text, " is ")
		return after[:6]
	default:
		r.t.Fatal("no message came")
		return ""
	}
}

func TestDirectoryUsers(t *testing.T) {
	t.Parallel()
	r := newPeopleRig(t)
	s, err := r.try("ann", "ann's", "")
	if err != nil {
		t.Fatal(err)
	}
	if s.Principal.Role != auth.Administrator || !s.Directory || s.Principal.Account != "ann" {
		t.Errorf("%+v", s)
	}
	for name, password := range map[string]string{"ann": "wrong", "nobody": "x", "carl": "carl's", "admin": "wrong"} {
		r.refused(auth.ErrBadCredentials, name, password, "")
	}
	if _, err := r.d.auth.Check(t.Context(), auth.Attempt{Account: "ann", Password: auth.NewSecret("ann's")}); err != nil {
		t.Errorf("Basic: %v", err)
	}
	r.set(func(s *hpe.Settings) { s.LDAP.Groups = nil })
	if s, err := r.try("carl", "carl's", ""); err != nil || s.Principal.Role != auth.ReadOnly {
		t.Errorf("without groups: %+v, %v", s.Principal, err)
	}
	local, err := r.try("admin", "password", "")
	if err != nil || local.Directory {
		t.Fatalf("%+v, %v", local, err)
	}
	// An account of the device that came later is somebody else.
	r.d.auth.mu.Lock()
	r.d.auth.add(Account{Name: "ann", Password: auth.NewSecret("local"), Role: auth.ReadOnly}, false)
	r.d.auth.mu.Unlock()
	other, err := r.try("ann", "local", "")
	if err != nil || other.Directory {
		t.Fatalf("%+v, %v", other, err)
	}
	if err := r.d.auth.Logout(t.Context(), other.Principal, s.ID); !errors.Is(err, auth.ErrForbidden) {
		t.Errorf("logging out a namesake: %v", err)
	}
	r.set(func(s *hpe.Settings) { s.Directory = false })
	if left := r.d.auth.Sessions(Listener); len(left) != 2 || left[0].Directory || left[1].Directory {
		t.Errorf("without the directory: %+v", left)
	}
	r.refused(auth.ErrBadCredentials, "carl", "carl's", "")
	r.set(func(s *hpe.Settings) { s.Directory, s.Licence = true, hpe.Licence{} })
	r.refused(auth.ErrNotLicensed, "carl", "carl's", "")
	r.set(func(s *hpe.Settings) { *s = hpe.FirstSettings(true, r.at); s.Directory = true })
	r.refused(auth.ErrBadCredentials, "carl", "carl's", "")
}

func TestPasscodes(t *testing.T) {
	t.Parallel()
	r := newPeopleRig(t)
	r.set(func(s *hpe.Settings) { s.TwoFactor = true })
	r.refused(auth.ErrBadCredentials, "ann", "wrong", "")
	r.refused(auth.ErrBadCredentials, "ann", "wrong", "123456")
	r.refused(auth.ErrBadCredentials, "nobody", "wrong", "123456")
	if n := len(r.sink.Got); n != 0 {
		t.Fatalf("%d messages without the password", n)
	}

	r.refused(auth.ErrPasscodeSent, "ann", "ann's", "")
	r.refused(auth.ErrPasscodeSent, "ann", "ann's", "") // at once: the same one
	code := r.code()
	r.refused(auth.ErrBadCredentials, "ann", "wrong", code)
	r.refused(auth.ErrBadCredentials, "ann", "ann's", "000000")
	if s, err := r.try("uid=ann,ou=people,dc=example,dc=com", "ann's", code); err != nil || !s.Directory {
		t.Fatalf("under her other name: %+v, %v", s, err)
	}
	r.refused(auth.ErrBadCredentials, "ann", "ann's", code) // used

	r.at = r.at.Add(passcode.Gap)
	r.refused(auth.ErrPasscodeSent, "ann", "ann's", "")
	code = r.code()
	r.at = r.at.Add(passcode.Life)
	r.refused(auth.ErrPasscodeExpired, "ann", "ann's", code)

	r.refused(auth.ErrPasscodeSent, "ann", "ann's", "")
	code = r.code()
	for range passcode.MaxTries {
		wrong := "111111"
		if code == wrong {
			wrong = "222222"
		}
		r.refused(auth.ErrBadCredentials, "ann", "ann's", wrong)
	}
	r.refused(auth.ErrBadCredentials, "ann", "ann's", code)

	if _, err := r.d.auth.Check(t.Context(), auth.Attempt{Account: "ann", Password: auth.NewSecret("ann's")}); !errors.Is(err, auth.ErrMethodOff) {
		t.Errorf("Basic: %v", err)
	}
	if _, err := r.d.auth.Check(t.Context(), auth.Attempt{Account: "admin", Password: auth.NewSecret("password")}); err != nil {
		t.Errorf("Basic of a local account: %v", err)
	}
	if _, err := r.try("admin", "password", ""); err != nil {
		t.Errorf("login of a local account: %v", err)
	}
	var p *redfish.Problem
	if _, err := r.try("bob", "bob's", ""); !errors.As(err, &p) || p.Status != 409 {
		t.Errorf("without a mail address: %v", err)
	}
}

func TestPasscodeCannotBeMailed(t *testing.T) {
	t.Parallel()
	r := newPeopleRig(t)
	r.set(func(s *hpe.Settings) { s.TwoFactor, s.AlertSender = true, "" })
	r.refused(auth.ErrUnavailable, "ann", "ann's", "")
	r.set(func(s *hpe.Settings) { s.AlertSender = "ilo@mail.example.com" })
	r.refused(auth.ErrPasscodeSent, "ann", "ann's", "") // the first one does not count as sent
	if text := <-r.sink.Got; !strings.Contains(text, "MAIL FROM:<ilo@mail.example.com>") {
		t.Errorf("message:\n%s", text)
	}
}
