package cli

import (
	"cmp"
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/certs"
	"github.com/postern/postern/internal/enroll"
)

// enrollFlags are those of cert enroll.
type enrollFlags struct {
	device clientFlags // of the administrator
	user   string

	key             keyFlags
	keyFile         string
	csrFile         string
	certFile        string
	signed          string
	ca, caKey       string
	days            int
	subject         certs.Subject
	names           certs.Names
	replace, dryRun bool
}

func (a *app) certEnroll() *cobra.Command {
	var f enrollFlags
	cmd := &cobra.Command{
		Use: "enroll T", Short: "Set up a login by certificate at a device, from the licence to the first login", Args: exactly("T"),
		Long: `Set up the login of --user by certificate at T, an HPE iLO: look at licence and clock;
make key and request, where they are not there; have the request signed by the CA in
--ca-cert, or take what a CA made of it with --signed; make the account, with the right to
log in and nothing else; map the certificate, import the CA, switch login by certificate
on; log in with it, and out again. What is so already is left alone. It stops at the first
step that cannot be done. Without the key of a CA and without --signed it stops at the
request, and says how to go on.

T is a target ("postern target list") or a URL; the administrator there is the target's
account, or --admin. That login is kept for the next command; "postern logout T" ends it.`,
		ValidArgsFunction: a.completeTargets,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.complete(cmd); err != nil {
				return err
			}
			cas, signer, err := a.authority(cmd.Context(), f)
			if err != nil {
				return err
			}
			return a.onDevice(cmd, f.device, args[0], func(ctx context.Context, d *device) error {
				return a.enroll(ctx, d, f, cas, signer)
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.user, "user", "", "`NAME` of the account that the certificate is for")
	flags.StringVar(&f.device.user, "admin", "", "`NAME` of the device account that sets it up (default: the target's)")
	f.device.secret.addAs(cmd, "password", "the administrator's password")
	flags.StringVar(&f.device.caFile, "ca-file", "", "`FILE` with the CA that signs the device's own certificate")
	flags.StringVar(&f.device.pin, "pin", "", "`PIN` of the device's own certificate, sha256//BASE64")
	flags.StringVar(&f.keyFile, "key-out", "", "`FILE` of the private key, made where it is not there (default NAME.key)")
	flags.StringVar(&f.csrFile, "csr-out", "", "`FILE` of the request, made where it is not there (default NAME.csr)")
	flags.StringVar(&f.certFile, "cert-out", "", "`FILE` of the certificate, made where it is not there (default NAME.crt)")
	flags.StringVar(&f.key.kind, "new-key", string(certs.RSA2048), "`KIND` of the key that is made: "+kindList)
	flags.BoolVar(&f.key.encrypt, "encrypt", false, "encrypt the new key; asks for a passphrase where no flag names one")
	flags.StringVar(&f.ca, "ca-cert", "", "`FILE` with the certificate of the CA that signs the user's, which the device shall trust")
	flags.StringVar(&f.caKey, "ca-key", "", "`FILE` with that CA's private key, to sign with (default: the one in --ca-cert, if any)")
	flags.StringVar(&f.signed, "signed", "", "`FILE` that a CA made of the request")
	flags.IntVar(&f.days, "days", 0, fmt.Sprintf("`DAYS` that a new certificate is valid (default: %d, but no longer than the CA)", certs.DefaultDays))
	flags.BoolVar(&f.replace, "replace", false, "take the place of another certificate that the account has")
	flags.BoolVar(&f.dryRun, "dry-run", false, "say what would be done, and change nothing")
	f.key.addPassphrase(cmd)
	subjectFlags(cmd, &f.subject)
	nameFlags(cmd, &f.names)
	complete(cmd, "new-key", kinds()...)
	return cmd
}

// complete sets what follows from the rest.
func (f *enrollFlags) complete(cmd *cobra.Command) error {
	switch {
	case f.user == "":
		return usage("the account that the certificate is for; who sets it up is --admin", "--user is missing")
	case f.signed != "" && f.caKey != "":
		return usage("a certificate is signed, or is there", "--signed and --ca-key exclude each other")
	case f.caKey != "" && f.ca == "":
		return usage("", "--ca-key without --ca-cert")
	case cmd.Flags().Changed("days") && f.days < 1:
		return usage("", "--days must be 1 at least")
	case (f.keyFile == "" || f.csrFile == "" || f.certFile == "") && filepath.Base(f.user) != f.user:
		return usage("", "%q names no file: use --key-out, --csr-out and --cert-out", f.user)
	}
	f.keyFile, f.csrFile = cmp.Or(f.keyFile, f.user+".key"), cmp.Or(f.csrFile, f.user+".csr")
	f.certFile = cmp.Or(f.certFile, f.user+".crt")
	f.subject.CommonName = cmp.Or(f.subject.CommonName, f.user)
	return nil
}

// authority reads the CA, and its key where it is there.
func (a *app) authority(ctx context.Context, f enrollFlags) ([]*x509.Certificate, crypto.Signer, error) {
	if f.ca == "" {
		return nil, nil, nil
	}
	file, err := a.parseFile(ctx, f.ca, f.key.passphrase, "passphrase")
	if err != nil {
		return nil, nil, err
	}
	cas, err := file.Certificates()
	if err == nil {
		err = enroll.CheckAuthorities(nil, cas)
	}
	if err != nil {
		return nil, nil, certError(f.ca, err)
	}
	if f.signed != "" {
		return cas, nil, nil
	}
	if f.caKey != "" {
		key, err := a.key(ctx, f.caKey, f.key.passphrase)
		return cas, key, err
	}
	key, err := file.Key()
	if errors.Is(err, certs.ErrNotFound) {
		return cas, nil, nil
	}
	return cas, key, certError(f.ca, err)
}

// enrolled is the result.
type enrolled struct {
	Device string `json:"device"`
	User   string `json:"user"`
	enroll.Report
}

func (a *app) enroll(ctx context.Context, d *device, f enrollFlags, cas []*x509.Certificate, signer crypto.Signer) error {
	var mine tls.Certificate
	m := person{app: a, f: f, cas: cas, signer: signer}
	report, err := enroll.Run(ctx, enroll.Plan{
		Device: enroll.ILO{Name: d.Name, Do: d.send, Says: d.Says}, User: auth.AccountName(f.user), Now: now, DryRun: f.dryRun, Replace: f.replace,
		Material: func(ctx context.Context, tell func(enroll.Name, enroll.State, string)) (enroll.Material, error) {
			m.tell = tell
			material, err := m.material(ctx)
			mine = m.pair
			return material, err
		},
		Login: func(ctx context.Context) (string, error) { return d.prove(ctx, mine) },
	})
	shown := enrolled{Device: d.URL, User: f.user, Report: report}
	printed := a.print(shown, func(w io.Writer) {
		for _, s := range report.Steps {
			fmt.Fprintf(w, "%-12s %-8s %s\n", s.Name, s.State, harmless(s.Text))
		}
		if report.Next != "" {
			fmt.Fprintf(w, "\n%s\n", report.Next)
		}
	})
	if r, ok := errors.AsType[*enroll.Refusal](err); ok {
		status := exitFailed
		if r.Step == enroll.Login {
			status = exitRefused
		}
		err = &failure{status: status, err: err, hint: r.Cure}
	}
	return errors.Join(err, printed)
}

// send sends one request with the login of the target, and reads the answer.
func (d *device) send(ctx context.Context, method, path string, body []byte) (int, []byte, error) {
	r, err := newRequest(ctx, method, d.URL, path, body, "")
	if err != nil {
		return 0, nil, err
	}
	resp, err := d.Do(ctx, d.Target, r)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	return resp.StatusCode, answer, err
}

// logoutTime is how long the logout after the proof may take, also after the first
// SIGINT.
const logoutTime = 20 * time.Second

// prove logs in with a certificate, asks whose session that is, and logs out.
// That is read from the session itself, with the token.
func (d *device) prove(ctx context.Context, pair tls.Certificate) (who string, err error) {
	cred := auth.Credential{Certificate: auth.NewClientCertificate(pair)}
	l, err := d.Device.Login(ctx, cred, auth.LoginOptions{Method: auth.MethodCertificate})
	if err != nil {
		return "", fmt.Errorf("the certificate gives no login: %v", err) // not that of a password: its advice does not fit
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), logoutTime)
		defer cancel()
		if e := d.Device.Logout(ctx, l); e != nil && !errors.Is(e, auth.ErrNoSession) {
			err = errors.Join(err, fmt.Errorf("log out again: %w", e))
		}
	}()
	if l.Account == "" {
		return "", errors.New("the device does not say whose session it gave")
	}
	return string(l.Account), nil
}

// A person is what belongs to whom the certificate is for: files, which are taken
// as they are, or made.
type person struct {
	app    *app
	f      enrollFlags
	cas    []*x509.Certificate
	signer crypto.Signer // the CA's key; nil: somebody else has it
	tell   func(enroll.Name, enroll.State, string)
	pair   tls.Certificate
}

func (p *person) material(ctx context.Context) (enroll.Material, error) {
	key, err := p.key(ctx)
	if err != nil {
		return enroll.Material{}, err
	}
	chain, err := p.chain(ctx, key)
	if err != nil {
		return enroll.Material{}, err
	}
	m := enroll.Material{CAs: p.cas}
	if chain == nil {
		request, err := p.request(ctx, key)
		if err != nil {
			return m, err
		}
		if p.signer == nil {
			m.Waiting = p.waiting()
			return m, nil
		}
		if p.f.dryRun {
			p.tell(enroll.Certificate, enroll.Planned, "sign it with the CA, into "+p.f.certFile)
			return m, nil
		}
		if chain, err = p.sign(request); err != nil {
			return m, err
		}
	}
	if len(m.CAs) == 0 {
		m.CAs = chain[1:]
	}
	if len(m.CAs) == 0 {
		return m, usage("the certificate of the CA that signed it, which the device shall trust", "--ca-cert is missing")
	}
	if err := enroll.CheckAuthorities(chain[0], m.CAs); err != nil {
		return m, &enroll.Refusal{Step: enroll.Authority, Err: err, Cure: "--ca-cert is the CA that signed it"}
	}
	m.Leaf, p.pair = chain[0], tls.Certificate{PrivateKey: key, Leaf: chain[0]}
	for _, c := range chain {
		p.pair.Certificate = append(p.pair.Certificate, c.Raw)
	}
	return m, nil
}

func there(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// key reads the key, or makes it; nil where it would be made.
func (p *person) key(ctx context.Context) (crypto.Signer, error) {
	if there(p.f.keyFile) {
		key, err := p.app.key(ctx, p.f.keyFile, p.f.key.passphrase)
		if err == nil {
			p.tell(enroll.Key, enroll.Already, p.f.keyFile)
		}
		return key, err
	}
	if p.f.dryRun {
		p.tell(enroll.Key, enroll.Planned, "make "+p.f.keyFile)
		return nil, nil
	}
	if p.f.signed != "" {
		return nil, usage("--key-out FILE", "the key %s, of the request that was signed, is not there", p.f.keyFile)
	}
	key, save, err := p.app.makeKey(ctx, p.f.keyFile, p.f.key, false)
	if err == nil {
		err = save()
	}
	if err == nil {
		p.tell(enroll.Key, enroll.Changed, "made "+p.f.keyFile)
	}
	return key, err
}

// chain reads the certificate and those above it; nil where there is none.
func (p *person) chain(ctx context.Context, key crypto.Signer) ([]*x509.Certificate, error) {
	path := cmp.Or(p.f.signed, p.f.certFile)
	if p.f.signed == "" && !there(path) || key == nil {
		return nil, nil
	}
	all, err := p.app.certificates(ctx, []string{path}, p.f.key.passphrase, "passphrase")
	if err != nil {
		return nil, err
	}
	chain, err := certs.Pair(all, key)
	if err != nil {
		return nil, &enroll.Refusal{Step: enroll.Certificate, Err: fmt.Errorf("%s: %w", path, err), Cure: "--key-out is the key that it was requested with"}
	}
	p.tell(enroll.Certificate, enroll.Already, path)
	return chain, nil
}

// request reads the request, or makes it; nil where it would be made.
func (p *person) request(ctx context.Context, key crypto.Signer) (*x509.CertificateRequest, error) {
	path := p.f.csrFile
	if there(path) && key != nil {
		file, err := p.app.parseFile(ctx, path, p.f.key.passphrase, "passphrase")
		if err != nil {
			return nil, err
		}
		r, err := file.Request()
		if err != nil {
			return nil, certError(path, err)
		}
		public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
		if !ok || !public.Equal(r.PublicKey) {
			return nil, &enroll.Refusal{Step: enroll.Request, Err: fmt.Errorf("%s is of another key than %s", path, p.f.keyFile), Cure: "remove it, and it is made again"}
		}
		p.tell(enroll.Request, enroll.Already, path)
		return r, nil
	}
	if p.f.dryRun {
		p.tell(enroll.Request, enroll.Planned, "make "+path)
		return nil, nil
	}
	r, err := certs.NewRequest(key, p.f.subject, p.f.names)
	if err != nil {
		return nil, certError("", err)
	}
	if err := p.app.write(path, certs.Item{Request: r}.PEM(), publicMode, false); err != nil {
		return nil, err
	}
	p.tell(enroll.Request, enroll.Changed, "made "+path)
	return r, nil
}

func (p *person) sign(r *x509.CertificateRequest) ([]*x509.Certificate, error) {
	issuer, err := certs.Pair(p.cas, p.signer)
	if err != nil {
		return nil, certError(p.f.ca, err)
	}
	c, err := certs.Sign(r, issuer[0], p.signer, certs.Order{Profile: certs.Client, Days: p.f.days, Now: now()})
	if err != nil {
		return nil, certError("", err)
	}
	if err := p.app.write(p.f.certFile, certs.Item{Certificate: c}.PEM(), publicMode, false); err != nil {
		return nil, err
	}
	p.tell(enroll.Certificate, enroll.Changed, "signed into "+p.f.certFile)
	return []*x509.Certificate{c}, nil
}

// waiting says how it goes on once the CA has signed.
func (p *person) waiting() string {
	then := "have " + p.f.csrFile + " signed by a CA, for client authentication; then run this again with --signed FILE --ca-cert FILE"
	if p.f.dryRun {
		return "without --dry-run, " + then
	}
	return then
}
