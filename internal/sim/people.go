package sim

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/directory"
	"github.com/postern/postern/internal/mail"
	"github.com/postern/postern/internal/passcode"
	"github.com/postern/postern/internal/service/hpe"
	"github.com/postern/postern/redfish"
)

// useDirectory prepares for the directory of the settings. Where there is none
// any more, its people's sessions end. a.mu is held.
func (a *authority) useDirectory() {
	set := a.ilo.settings
	a.ilo.directory = nil
	if set.Directory && set.LDAP.Ready() {
		cfg := set.LDAP.Config()
		cfg.Roots = a.ilo.peopleCAs
		if d, err := directory.New(cfg); err == nil { // else the settings were refused
			a.ilo.directory = d
		}
	}
	if set.Directory {
		return
	}
	var next *list.Element
	for e := a.byAge.Front(); e != nil; e = next {
		next = e.Next()
		if s := e.Value.(*session); s.owner.outside {
			a.lose(s)
		}
	}
}

// strange reports whether an attempt is for the directory to judge: the device
// has one, and no account of that name.
func (a *authority) strange(try auth.Attempt) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ilo.directory != nil && try.Kind == auth.Password && a.find(try.Account) == nil
}

// directoryCall judges an HTTP Basic call, which brings no passcode: there is
// none where one is needed (HPE, "Two-factor authentication").
func (a *authority) directoryCall(ctx context.Context, try auth.Attempt) (*known, error) {
	a.mu.Lock()
	two := a.ilo.settings.TwoFactor
	a.mu.Unlock()
	if two {
		return nil, fmt.Errorf("%w: %w: HTTP Basic of a directory's user, while passcodes are needed", auth.ErrBadCredentials, auth.ErrMethodOff)
	}
	k, _, err := a.person(ctx, try)
	return k, err
}

// directoryLogin judges a login. Where passcodes are needed, the first request
// has one sent and the second brings it.
func (a *authority) directoryLogin(ctx context.Context, try auth.Attempt) (*known, error) {
	k, user, err := a.person(ctx, try)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	set := a.ilo.settings
	a.mu.Unlock()
	if !set.TwoFactor {
		return k, nil
	}
	if try.Passcode.IsZero() {
		return nil, a.sendPasscode(ctx, set, user)
	}
	switch err := a.ilo.codes.Use(holder(user), try.Passcode); {
	case errors.Is(err, passcode.ErrExpired):
		return nil, fmt.Errorf("%w: %w", auth.ErrPasscodeExpired, err)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", auth.ErrBadCredentials, err)
	}
	return k, nil
}

// holder is whom a passcode belongs to, whatever name was typed.
func holder(u directory.User) string { return strings.ToLower(u.DN) }

// person has the directory check a name and a password.
func (a *authority) person(ctx context.Context, try auth.Attempt) (*known, directory.User, error) {
	a.mu.Lock()
	set, d := a.ilo.settings, a.ilo.directory
	a.mu.Unlock()
	if d == nil || !set.Licence.Advanced() {
		return nil, directory.User{}, fmt.Errorf("%w: %w: directory users", auth.ErrBadCredentials, auth.ErrNotLicensed)
	}
	u, err := d.Check(ctx, string(try.Account), try.Password)
	switch {
	case errors.Is(err, directory.ErrRefused):
		return nil, u, fmt.Errorf("%w: %w", auth.ErrBadCredentials, err)
	case err != nil:
		a.log.LogAttrs(ctx, slog.LevelWarn, "the directory cannot be asked", slog.Any("error", err))
		return nil, u, fmt.Errorf("%w: %w", auth.ErrUnavailable, err)
	}
	role, ok := set.LDAP.Role(u.Groups)
	if !ok {
		return nil, u, fmt.Errorf("%w: the directory's user is in no group that has a role", auth.ErrBadCredentials)
	}
	return &known{Account: Account{Name: try.Account, Role: role}, outside: true}, u, nil
}

// sendPasscode mails a new passcode; auth.ErrPasscodeSent is what becomes of a
// request that had one sent. One that follows at once is about the same.
func (a *authority) sendPasscode(ctx context.Context, set hpe.Settings, u directory.User) error {
	if u.Mail == "" {
		return &redfish.Problem{Status: http.StatusConflict, Key: "iLO.MailNotConfigured", Err: errors.New("the directory has no mail address of the user")}
	}
	code, err := a.ilo.codes.Issue(holder(u))
	switch {
	case errors.Is(err, passcode.ErrRecent):
		return auth.ErrPasscodeSent
	case err != nil:
		return fmt.Errorf("%w: %w", auth.ErrBadCredentials, err)
	}
	err = mail.Server{Host: set.AlertServer, Port: set.AlertPort, Roots: a.ilo.mailCAs, NeedTLS: a.ilo.mailCAs != nil}.Send(ctx, mail.Message{
		From: sender(set.AlertSender), To: u.Mail, Subject: "One-time passcode for " + a.host, Date: a.now(),
		Text: fmt.Sprintf("The one-time passcode for %s is %s\n\nIt is good for %d minutes, and once.\n", a.host, code.Reveal(), int(passcode.Life.Minutes())),
	})
	if err != nil {
		a.ilo.codes.Withdraw(holder(u))
		a.log.LogAttrs(ctx, slog.LevelWarn, "a passcode cannot be mailed", slog.Any("error", err))
		return fmt.Errorf("%w: %w", auth.ErrUnavailable, err)
	}
	return auth.ErrPasscodeSent
}

// sender is whom passcodes come from: what is set is a domain, or an address
// (HPE's own example).
func sender(set string) string {
	if strings.Contains(set, "@") {
		return set
	}
	return "ilo@" + set
}
