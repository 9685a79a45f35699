package client

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/saved"
)

// A RefusedError is a password that the device refused before. It is not sent
// again: a few refusals lock an account. Another password is; so is this one
// after a Logout, which forgets the refusal.
type RefusedError struct{ At time.Time }

func (e *RefusedError) Error() string {
	return "the device refused this password on " + e.At.Local().Format(time.DateTime) + ", and it is not sent again"
}

// make logs in and writes the login down before anybody uses it. From the moment
// the login is sent the caller's cancel cuts nothing. What else could end it, as
// a crash does, leaves an attempt in the book. asked is when the caller began to
// wait for the page.
func (c *Client) make(ctx context.Context, t Target, p *saved.Page, asked time.Time) (saved.Login, error) {
	earlier, err := p.Attempts()
	if err != nil {
		return saved.Login{}, err
	}
	for _, a := range earlier {
		if a.Ended.After(asked) { // it failed while this one waited for it
			return saved.Login{}, &auth.LoginError{Outcome: a.Outcome, Full: a.Full, Status: a.Status,
				Err: fmt.Errorf("another command tried at the same time: %s", a.Says)}
		}
	}
	cred, err := t.Credential(ctx)
	if err != nil {
		return saved.Login{}, err
	}
	if err := refusedBefore(earlier, cred); err != nil {
		return saved.Login{}, err
	}
	if err := ctx.Err(); err != nil {
		return saved.Login{}, err
	}
	ctx = context.WithoutCancel(ctx)
	a := c.attempt(t)
	if err := p.Note(ctx, a); err != nil {
		return saved.Login{}, err
	}
	made, err := t.send(ctx, cred, a.Nonce)
	if err != nil {
		return saved.Login{}, errors.Join(err, c.failed(ctx, p, a, earlier, cred, err))
	}
	l := saved.Login{Login: made, URL: t.URL, Family: t.Family, Created: c.now(), Nonce: a.Nonce}
	kept := l
	if made.Method == auth.MethodBasic {
		kept.Secret = auth.Secret{} // a password is not for keeping
	}
	if err := p.Save(ctx, kept); err != nil {
		// Nobody would find it again.
		return saved.Login{}, errors.Join(err, t.Device.Logout(ctx, made))
	}
	c.settle(ctx, t, p, l, earlier)
	return l, nil
}

// send logs in, without the nonce where the device stumbles over that alone.
func (t Target) send(ctx context.Context, cred auth.Credential, nonce string) (auth.Login, error) {
	o := auth.LoginOptions{Method: t.Method, Nonce: nonce}
	l, err := t.Device.Login(ctx, cred, o)
	if le, ok := errors.AsType[*auth.LoginError](err); ok && le.NonceFault {
		o.NoNonce = true
		return t.Device.Login(ctx, cred, o)
	}
	return l, err
}

// How many attempts of an account at a device are remembered.
const (
	maxRefusals = 4  // to know a password again takes a part of a second for each
	maxDoubts   = 64 // a device that answers logins in a way that nobody knows may be asked all day
)

// failed writes down how an attempt ended: for those who wait, for the password
// that was refused, and for the session that the device may have made.
func (c *Client) failed(ctx context.Context, p *saved.Page, a saved.Attempt, earlier []saved.Attempt, cred auth.Credential, err error) error {
	a.Ended, a.Outcome, a.Says = c.now(), auth.NotJudged, err.Error()
	if le, ok := errors.AsType[*auth.LoginError](err); ok {
		a.Outcome, a.Full, a.Status, a.Says = le.Outcome, le.Full, le.Status, le.Err.Error()
	}
	if a.Outcome == auth.Refused && !cred.Password.IsZero() {
		a.Refused = saved.MarkOf(cred.Password)
	}
	var old []string // they have told what they had to tell
	refused, doubtful := 1, 1
	for _, e := range slices.Backward(earlier) {
		n, most := &doubtful, maxDoubts
		if e.Outcome == auth.Refused {
			n, most = &refused, maxRefusals
		}
		if *n++; *n > most || !e.Doubtful() && e.Outcome != auth.Refused || c.now().Sub(e.Started) > longestIdle && e.Doubtful() {
			old = append(old, e.Nonce)
		}
	}
	return errors.Join(p.Drop(ctx, old...), p.Note(ctx, a))
}

// refusedBefore is a *RefusedError where an attempt with the password was refused.
func refusedBefore(attempts []saved.Attempt, cred auth.Credential) error {
	for _, a := range attempts {
		if a.Outcome == auth.Refused && a.Refused.Is(cred.Password) {
			return &RefusedError{a.Ended}
		}
	}
	return nil
}

// attempt begins an attempt.
func (c *Client) attempt(t Target) saved.Attempt {
	return saved.Attempt{URL: t.URL, Family: t.Family, Account: t.Account, Nonce: "postern:" + rand.Text(),
		Basic: t.Method == auth.MethodBasic, Started: c.now()}
}

// refuse gives up a login by HTTP Basic whose password the device no longer takes.
func (c *Client) refuse(ctx context.Context, t Target, l saved.Login) error {
	ctx = context.WithoutCancel(ctx)
	p, err := c.book.Open(ctx, t.key())
	if err != nil {
		return err
	}
	defer p.Close()
	earlier, err := p.Attempts()
	if err != nil {
		return err
	}
	says := &auth.LoginError{Outcome: auth.Refused, Sent: true, Err: errors.New("the device no longer accepts the password")}
	cred := auth.Credential{Account: l.Account, Password: l.Secret}
	if refusedBefore(earlier, cred) != nil {
		return says
	}
	a := c.attempt(t)
	l.Secret = auth.Secret{} // as it is saved
	return errors.Join(says, p.Forget(ctx, l), c.failed(ctx, p, a, earlier, cred, says))
}

// settle ends, with the rights of a login, the sessions of attempts that were
// cut off, and forgets all attempts that are over. What cannot be told stays in
// the book.
func (c *Client) settle(ctx context.Context, t Target, p *saved.Page, l saved.Login, attempts []saved.Attempt) []saved.Attempt {
	var over []string
	var left []saved.Attempt
	var listed []auth.Listed
	looked := false
	noSessions := l.Method.PerCall() && t.Method != auth.MethodBasic // found out from the device
	for _, a := range attempts {
		if !a.Doubtful() || noSessions || c.now().Sub(a.Started) > longestIdle {
			over = append(over, a.Nonce)
			continue
		}
		if !looked {
			looked = true
			var err error
			if listed, err = t.Device.List(ctx, l.Login); err != nil {
				listed = nil
			}
		}
		if c.clear(ctx, t, l, listed, a) {
			over = append(over, a.Nonce)
		} else {
			left = append(left, a)
		}
	}
	if p.Drop(ctx, over...) != nil {
		return attempts
	}
	return left
}

// clear reports whether no session of the attempt is left, ending it where the
// device lists it. A session is the attempt's only where it alone has its nonce.
func (c *Client) clear(ctx context.Context, t Target, l saved.Login, listed []auth.Listed, a saved.Attempt) bool {
	var of []auth.Listed
	keeps := false
	for _, s := range listed {
		if s.Context == a.Nonce {
			of = append(of, s)
		}
		keeps = keeps || l.Nonce != "" && s.Context == l.Nonce
	}
	switch len(of) {
	case 0:
		return keeps // the device shows the nonce of this login, and would show the other
	case 1:
		return t.Device.End(ctx, l.Login, of[0].Location) == nil
	}
	return false
}

// doubts are the attempts of which a session may be left, as an error.
func doubts(attempts []saved.Attempt) error {
	attempts = slices.DeleteFunc(slices.Clone(attempts), func(a saved.Attempt) bool { return !a.Doubtful() })
	if len(attempts) == 0 {
		return nil
	}
	a := attempts[0]
	why := "was cut off before its answer came"
	if a.Status != 0 {
		why = "was answered with no session that can be used"
	}
	return &Owed{Err: fmt.Errorf("a login of %s %s", a.Started.Local().Format(time.DateTime), why)}
}
