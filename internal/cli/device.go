package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/client"
	"github.com/postern/postern/internal/keyring"
	"github.com/postern/postern/internal/saved"
	"github.com/postern/postern/internal/serve"
	"github.com/postern/postern/internal/target"
)

// clientFlags describe the device of a client command where T is a URL, or
// somebody else than the target's own account.
type clientFlags struct {
	deviceFlags
	method string
	anew   bool // the password in the keyring is to be replaced
}

func (f *clientFlags) add(cmd *cobra.Command) {
	f.deviceFlags.add(cmd)
	cmd.Flags().StringVar(&f.method, "auth", "", "how to log in: auto, session, basic or certificate (default: the target's way, else auto)")
	complete(cmd, "auth", "auto", "session", "basic", "certificate")
}

// onlyURL refuses the flags that a target of the store has no use for.
func (f *clientFlags) onlyURL(name string) error {
	for _, v := range [][2]string{{"ca-file", f.caFile}, {"pin", f.pin}, {"family", f.family}, {"profile", f.profile}} {
		if v[1] != "" {
			return usage("it describes a device that is named by its URL", "--%s with the target %q", v[0], name)
		}
	}
	return nil
}

func (f *clientFlags) check() error {
	switch auth.Method(f.method) {
	case "", auth.MethodAuto, auth.MethodSession, auth.MethodBasic, auth.MethodCertificate:
	default:
		return usage("auto, session, basic or certificate", "unknown way to log in %q", f.method)
	}
	if f.secret.many() {
		return errTwoSecrets
	}
	return f.cert.check(f.secret)
}

// way settles how to log in. A certificate is one way, and the only one where there
// is no password.
func (f *clientFlags) way(t *target.Target) error {
	if f.method != "" {
		t.Method = auth.Method(f.method)
	}
	switch {
	case t.Method == auth.MethodCertificate && t.Certificate == "":
		return usage("--cert-file FILE and --key-file FILE", "--auth certificate without a certificate")
	case t.Certificate != "" && (t.Method == auth.MethodSession || t.Method == auth.MethodBasic):
		return usage("--auth certificate, or a password", "--auth %s needs a password, and there is a certificate in its place", t.Method)
	case t.Certificate != "":
		t.Method = auth.MethodCertificate
	}
	return nil
}

// instead makes t somebody else than the target's own account, where the flags say
// so, and reports whether they do.
func (f *clientFlags) instead(t *target.Target) (bool, error) {
	own := *t
	if f.secret.given() || f.user != "" && f.user != string(t.Account) {
		if t.Certificate != "" {
			t.Certificate, t.Method = "", auth.MethodAuto
		}
	}
	if f.user != "" {
		t.Account = auth.AccountName(f.user)
	}
	if f.cert.given() {
		cert, err := f.cert.read()
		if err != nil {
			return false, err
		}
		t.Certificate = cert.chain
		if t.Method = auth.MethodCertificate; f.user == "" && cert.name() != "" {
			t.Account = auth.AccountName(cert.name())
		}
	}
	return t.Account != own.Account || f.secret.given() || f.cert.given(), nil
}

// A device is the T of a client command, with the logins kept for it.
type device struct {
	client.Target
	described target.Target
	*client.Client
	close func() error
}

// onDevice calls f with the device that t names: a target of the store, or a
// URL. The first SIGTERM or SIGINT ends the context of f, and cuts no login and
// no logout; the second ends the process.
func (a *app) onDevice(cmd *cobra.Command, f clientFlags, t string, do func(context.Context, *device) error) error {
	ctx, stop := untilSignal(cmd.Context())
	defer stop()
	return a.withDevice(ctx, f, t, do)
}

func (a *app) withDevice(ctx context.Context, f clientFlags, t string, do func(context.Context, *device) error) error {
	if err := f.check(); err != nil {
		return err
	}
	dir, err := a.dataDir()
	if err != nil {
		return err
	}
	book, err := saved.Open(serve.ClientBook(dir))
	if err != nil {
		return err
	}
	d, err := a.findDevice(ctx, f, t, dir, book)
	if err != nil {
		return err
	}
	return errors.Join(deviceFault(do(ctx, d), d.Target), d.close())
}

func (a *app) findDevice(ctx context.Context, f clientFlags, t, dir string, book *saved.Book) (*device, error) {
	log, err := newLogger(a.stderr, "warn", a.logFormat)
	if err != nil {
		return nil, err
	}
	d := &device{Client: client.New(book, nil), close: func() error { return nil }}
	var described target.Target
	var credential func(context.Context) (auth.Credential, error)
	if strings.Contains(t, "://") {
		if described, err = f.byURL(t, book); err != nil {
			return nil, err
		}
	} else {
		if err := f.onlyURL(t); err != nil {
			return nil, err
		}
		if described, credential, d.close, err = storedTarget(ctx, dir, t, log); err != nil {
			return nil, err
		}
		other, err := f.instead(&described)
		if err != nil {
			return nil, errors.Join(err, d.close())
		}
		if other {
			credential = nil
		}
	}
	if err := f.way(&described); err != nil {
		return nil, errors.Join(err, d.close())
	}
	if credential == nil {
		credential = a.credential(f, described)
	}
	d.described = described
	if d.Target, err = serve.ClientTarget(described, credential, log); err != nil {
		return nil, errors.Join(err, d.close())
	}
	d.Name = t
	return d, nil
}

// credential is from where the flags say, else from the desktop's keyring, else
// from the person at the terminal.
func (a *app) credential(f clientFlags, t target.Target) func(context.Context) (auth.Credential, error) {
	if f.cert.given() {
		a.warnExposed(f.cert)
	}
	return func(ctx context.Context) (auth.Credential, error) {
		if f.cert.given() {
			c, err := f.cert.read()
			return auth.Credential{Account: t.Account, Certificate: c.pair}, err
		}
		if !f.secret.given() && !f.anew {
			if password, err := keyring.Get(t.URL, t.Account); err == nil {
				return auth.Credential{Account: t.Account, Password: password}, nil
			}
		}
		password, err := a.readSecret(ctx, f.secret, fmt.Sprintf("password of %s at %s", t.Account, t.URL), false)
		return auth.Credential{Account: t.Account, Password: password}, err
	}
}

// storedTarget reads a target of the store, with its credential.
func storedTarget(ctx context.Context, dir, name string, log *slog.Logger) (
	t target.Target, credential func(context.Context) (auth.Credential, error), done func() error, err error,
) {
	stored, err := serve.OpenStored(ctx, dir, log)
	if err == nil {
		if t, err = stored.Target(ctx, name); err != nil {
			stored.Close()
		}
	}
	if errors.Is(err, serve.ErrNoTarget) {
		err = usage("postern target list shows those there are; a device that is none of them is named by its URL", "no target %q", name)
	}
	if err != nil {
		return target.Target{}, nil, nil, err
	}
	return t, stored.CredentialOf(name), stored.Close, nil
}

// byURL describes a device that only the command line knows. Without --user it
// is the account of the one login, or attempt at one, that is saved for the URL.
func (f *clientFlags) byURL(t string, book *saved.Book) (target.Target, error) {
	canonical, err := target.CanonicalURL(t)
	if err != nil {
		return target.Target{}, usage("", "%w", err)
	}
	flags := f.deviceFlags
	flags.url = canonical
	if flags.user == "" && !flags.cert.given() {
		all, err := book.Logins("")
		if err != nil {
			return target.Target{}, err
		}
		attempts, err := book.Attempts("")
		if err != nil {
			return target.Target{}, err
		}
		users := map[auth.AccountName]bool{}
		know := func(url string, account auth.AccountName) {
			if url == canonical {
				users[account] = true
				flags.user = string(account)
			}
		}
		for _, l := range all {
			know(l.URL, l.Account)
		}
		for _, t := range attempts {
			know(t.URL, t.Account)
		}
		if len(users) > 1 {
			return target.Target{}, usage("say which one with --user", "there are saved logins of several accounts at %s", t)
		}
	}
	return flags.describe("device")
}

// deviceFault gives an error of a device its exit status and a hint.
func deviceFault(err error, t client.Target) error {
	if err == nil {
		return nil
	}
	if le, ok := errors.AsType[*auth.LoginError](err); ok {
		switch {
		case le.Outcome == auth.Unknown && le.Status/100 == 2:
			return hinted(err, "the device says yes and gives no session: --auth basic does without one, where the device takes it")
		case le.Outcome == auth.Unknown && le.Status == 0:
			return hinted(err, "the device may have made a session: it is remembered, and the next login looks for it")
		case le.Full:
			return hinted(err, "the device has no session to give: postern sessions "+t.Name+" --auth basic shows who has them, where it takes HTTP Basic")
		case le.Outcome == auth.Refused && t.Method == auth.MethodCertificate:
			return &failure{status: exitRefused, err: err, hint: "the device does not take the client certificate, or knows no account for it"}
		case le.Outcome == auth.Refused:
			return &failure{status: exitRefused, err: err, hint: "the password was sent once and is not tried again: correct it before the device locks the account"}
		}
	}
	if _, ok := errors.AsType[*client.RefusedError](err); ok {
		return &failure{status: exitRefused, err: err, hint: "correct the password; where it is the device that was corrected, postern logout " + t.Name + " makes it be tried once more"}
	}
	if t.Untrusted(err) {
		if pin, ok := errors.AsType[*target.PinError](err); ok && strings.Contains(t.Name, "://") {
			err = fmt.Errorf("the certificate of %s is not the pinned one: pinned %s, shown %s", pin.URL, pin.Pinned, pin.Shown)
		}
		return &failure{status: exitRefused, err: err, hint: "nothing was sent; compare the certificate with the device's own display, then use --pin or --ca-file"}
	}
	if _, ok := errors.AsType[*client.Owed](err); ok {
		return hinted(err, "it is remembered: the next login or logout at the device tries again")
	}
	return err
}
