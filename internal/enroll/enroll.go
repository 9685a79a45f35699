package enroll

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/trust"
)

// A Device is what the steps need of a kind of device. An error that is a *Refusal
// says what helps.
type Device interface {
	// Kind returns what the device is, such as "iLO 6"; a *Refusal where it has no
	// login by certificate.
	Kind(ctx context.Context) (string, error)
	// Licence returns the name of the licence, and whether it is good for this.
	Licence(ctx context.Context) (name string, enough bool, err error)
	// Clock returns the device's time.
	Clock(ctx context.Context) (time.Time, error)
	// Accounts returns every account with its certificate.
	Accounts(ctx context.Context) ([]Account, error)
	// CreateAccount makes an account that may log in and nothing else.
	CreateAccount(ctx context.Context, name auth.AccountName, password auth.Secret) error
	// Map gives an account its certificate, in the place of the one it may have.
	Map(ctx context.Context, name auth.AccountName, c *x509.Certificate) error
	// Trusts reports whether certificates of that CA are taken.
	Trusts(ctx context.Context, ca *x509.Certificate) (bool, error)
	// Trust makes it so.
	Trust(ctx context.Context, ca *x509.Certificate) error
	// On reports whether certificates are a login at all.
	On(ctx context.Context) (bool, error)
	// SwitchOn makes it so.
	SwitchOn(ctx context.Context) error
	// Cure says what a person does about a wrong licence or clock.
	Cure(s Name) string
}

// An Account is one of a device.
type Account struct {
	Name auth.AccountName
	// Fingerprint is SHA-256 of its certificate in DER, in small hex digits; "" =
	// it has none.
	Fingerprint string
	Disabled    bool
	MustChange  bool // it has to change its password before all else
	MayNotLogIn bool
}

// A Name is that of a step.
type Name string

// The steps, in their order. Those about files are Material's.
const (
	Kind        Name = "device"
	Licence     Name = "licence"
	Clock       Name = "clock"
	Key         Name = "key"
	Request     Name = "request"
	Certificate Name = "certificate"
	User        Name = "account"
	Mapping     Name = "mapping"
	Authority   Name = "ca"
	Switch      Name = "switch"
	Login       Name = "login"
)

// A State says what came of a step.
type State string

// The states.
const (
	Checked State = "checked" // it was looked at, and is good
	Changed State = "changed"
	Already State = "already" // it was so
	Planned State = "planned" // it would be changed
	Refused State = "refused"
)

// A Step is what came of one.
type Step struct {
	Name  Name   `json:"step"`
	State State  `json:"state"`
	Text  string `json:"text"`
}

// A Refusal is why a step cannot be done, and what a person does about it.
type Refusal struct {
	Step Name
	Err  error
	Cure string // "" = the error says it all
}

func (r *Refusal) Error() string { return string(r.Step) + ": " + r.Err.Error() }

func (r *Refusal) Unwrap() error { return r.Err }

// refuse makes one.
func refuse(step Name, cure, format string, a ...any) *Refusal {
	return &Refusal{Step: step, Err: fmt.Errorf(format, a...), Cure: cure}
}

// MaxSkew is how far a device's clock may be from ours: a certificate that is made
// here begins that long ago, and what is further off is wrong and not slow.
const MaxSkew = 5 * time.Minute

// Material is what belongs to the person.
type Material struct {
	// Leaf is nil where nobody has signed it yet.
	Leaf *x509.Certificate
	// CAs are those that the device shall trust; none: it does so already.
	CAs []*x509.Certificate
	// Waiting is what a person has to do before it goes on; "" = nothing.
	Waiting string
}

// A Plan is what shall be set up.
type Plan struct {
	Device Device
	User   auth.AccountName
	Now    func() time.Time
	// DryRun: nothing is changed.
	DryRun bool
	// Replace: a user who has another certificate gets this one.
	Replace bool
	// Material returns what belongs to the person, once licence and clock are good,
	// and tells of what it did.
	Material func(ctx context.Context, tell func(Name, State, string)) (Material, error)
	// Login logs in with the certificate and out again, and returns what the device
	// says of who that was.
	Login func(ctx context.Context) (string, error)
}

// A Report is how far it went.
type Report struct {
	Kind  string `json:"kind"`
	Steps []Step `json:"steps"`
	// Next is what a person does now; "" = it is all done.
	Next string `json:"next,omitempty"`
}

func (r *Report) tell(n Name, s State, text string) { r.Steps = append(r.Steps, Step{n, s, text}) }

// Run does the steps. The report is good with an error, too; one that is a *Refusal
// is its last step.
func Run(ctx context.Context, p Plan) (Report, error) {
	var r Report
	err := p.run(ctx, &r)
	if refusal, ok := err.(*Refusal); ok {
		r.tell(refusal.Step, Refused, refusal.Err.Error())
	}
	return r, err
}

func (p Plan) run(ctx context.Context, r *Report) error {
	if err := p.check(ctx, r); err != nil {
		return err
	}
	m, err := p.Material(ctx, r.tell)
	if err != nil {
		return err
	}
	if r.Next = m.Waiting; m.Waiting != "" {
		return nil
	}
	for _, step := range []func(context.Context, *Report, Material) error{p.inTime, p.account, p.trust, p.switchOn, p.login} {
		if err := step(ctx, r, m); err != nil {
			return err
		}
	}
	return nil
}

// check looks at what a person alone can put right.
func (p Plan) check(ctx context.Context, r *Report) error {
	kind, err := p.Device.Kind(ctx)
	if err != nil {
		return err
	}
	r.Kind = kind
	name, enough, err := p.Device.Licence(ctx)
	if err != nil {
		return err
	}
	if !enough {
		return refuse(Licence, p.Device.Cure(Licence), "%s is not enough for a login by certificate", name)
	}
	r.tell(Licence, Checked, name)
	before := p.Now()
	clock, err := p.Device.Clock(ctx)
	if err != nil {
		return err
	}
	if off := clock.Sub(before).Round(time.Second); off.Abs() > MaxSkew {
		return refuse(Clock, p.Device.Cure(Clock), "the device's clock says %s, here it is %s", stamp(clock), stamp(before))
	}
	r.tell(Clock, Checked, stamp(clock))
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// inTime refuses certificates that the device would take for too old or too new.
func (p Plan) inTime(_ context.Context, _ *Report, m Material) error {
	for i, c := range append([]*x509.Certificate{m.Leaf}, m.CAs...) {
		if c == nil {
			continue
		}
		step, cure := Certificate, "have the request signed again, and remove the old file or name the new one with --signed"
		if i > 0 {
			step, cure = Authority, "take a CA that is valid"
		}
		if now := p.Now(); now.After(c.NotAfter) || now.Before(c.NotBefore) {
			return refuse(step, cure, "the certificate of %s is valid from %s to %s, and it is %s", c.Subject, stamp(c.NotBefore), stamp(c.NotAfter), stamp(now))
		}
	}
	return nil
}

// account makes the account where it is missing, and gives it the certificate.
// Nothing is changed where the certificate cannot be the account's.
func (p Plan) account(ctx context.Context, r *Report, m Material) error {
	all, err := p.Device.Accounts(ctx)
	if err != nil {
		return err
	}
	print := ""
	if m.Leaf != nil {
		print = Fingerprint(m.Leaf)
	}
	for _, a := range all {
		if print != "" && a.Fingerprint == print && a.Name != p.User {
			return refuse(Mapping, "a certificate is of one account: remove it there, or make another one for "+string(p.User),
				"the certificate is the one of the account %s", a.Name)
		}
	}
	i := slices.IndexFunc(all, func(a Account) bool { return a.Name == p.User })
	if i >= 0 {
		if err := p.fit(all[i], print); err != nil {
			return err
		}
		r.tell(User, Already, string(p.User)+" is there")
		if all[i].Fingerprint != "" && all[i].Fingerprint == print {
			r.tell(Mapping, Already, "SHA-256 "+print)
			return nil
		}
	} else if err := p.create(ctx, r); err != nil {
		return err
	}
	if p.DryRun {
		r.tell(Mapping, Planned, strings.TrimSpace("map the certificate "+print))
		return nil
	}
	if err := p.Device.Map(ctx, p.User, m.Leaf); err != nil {
		return err
	}
	r.tell(Mapping, Changed, "SHA-256 "+print)
	return nil
}

// fit refuses an account that cannot log in by the certificate.
func (p Plan) fit(a Account, print string) error {
	switch {
	case a.Disabled:
		return refuse(User, "enable it", "the account %s is disabled", a.Name)
	case a.MayNotLogIn:
		return refuse(User, "give it the privilege to log in", "the account %s may not log in", a.Name)
	case a.MustChange:
		return refuse(User, "log in once with its password and change it", "the account %s must change its password first", a.Name)
	case a.Fingerprint != "" && a.Fingerprint != print && !p.Replace:
		return refuse(Mapping, "--replace puts this one in its place: the other is no login then", "the account %s has another certificate, SHA-256 %s", a.Name, a.Fingerprint)
	}
	return nil
}

func (p Plan) create(ctx context.Context, r *Report) error {
	if p.DryRun {
		r.tell(User, Planned, "make the account "+string(p.User)+", which may log in and nothing else")
		return nil
	}
	// Of letters of both kinds, digits and others, as complexity rules want it.
	if err := p.Device.CreateAccount(ctx, p.User, auth.NewSecret("Pw-"+rand.Text())); err != nil {
		return err
	}
	r.tell(User, Changed, "made "+string(p.User)+", which may log in and nothing else, with a password that nobody knows")
	return nil
}

func (p Plan) trust(ctx context.Context, r *Report, m Material) error {
	for _, ca := range m.CAs {
		there, err := p.Device.Trusts(ctx, ca)
		if err != nil {
			return err
		}
		switch {
		case there:
			r.tell(Authority, Already, ca.Subject.String()+" is trusted")
			continue
		case p.DryRun:
			r.tell(Authority, Planned, "import "+ca.Subject.String())
			continue
		}
		if err := p.Device.Trust(ctx, ca); err != nil {
			return err
		}
		r.tell(Authority, Changed, "imported "+ca.Subject.String())
	}
	return nil
}

func (p Plan) switchOn(ctx context.Context, r *Report, _ Material) error {
	on, err := p.Device.On(ctx)
	switch {
	case err != nil:
		return err
	case on:
		r.tell(Switch, Already, "login by certificate is on")
		return nil
	case p.DryRun:
		r.tell(Switch, Planned, "switch login by certificate on")
		return nil
	}
	if err := p.Device.SwitchOn(ctx); err != nil {
		return err
	}
	r.tell(Switch, Changed, "switched login by certificate on")
	return nil
}

func (p Plan) login(ctx context.Context, r *Report, _ Material) error {
	if p.DryRun {
		r.tell(Login, Planned, "log in with the certificate, and out again")
		return nil
	}
	who, err := p.Login(ctx)
	if err != nil {
		return &Refusal{Step: Login, Err: err, Cure: "the device's log says what it does not like about the certificate; all steps before this one are done"}
	}
	if who != string(p.User) {
		return refuse(Login, "look at the certificates of its accounts", "the device takes the certificate for %q's", who)
	}
	r.tell(Login, Checked, "logged in as "+who+", and out again")
	return nil
}

// Fingerprint is SHA-256 of a certificate in DER, in small hex digits.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// CheckAuthorities refuses what the device would not, or should not, take for a CA,
// and a certificate that none of them signed.
func CheckAuthorities(leaf *x509.Certificate, cas []*x509.Certificate) error {
	for _, ca := range cas {
		if err := trust.CheckIssuer(ca); err != nil {
			return err
		}
	}
	if leaf == nil || slices.ContainsFunc(cas, func(ca *x509.Certificate) bool { return leaf.CheckSignatureFrom(ca) == nil }) {
		return nil
	}
	return fmt.Errorf("the certificate of %s was issued by %s, which is not in it", leaf.Subject, leaf.Issuer)
}
