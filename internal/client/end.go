package client

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/saved"
)

// Logout ends every saved login of t, and returns how many there were. What was
// cut off before is looked for with one of them. Refusals are forgotten. The
// caller's cancel cuts no logout. An error that is an *Owed means that a session
// may be left; the next command tries again.
func (c *Client) Logout(ctx context.Context, t Target) (int, error) {
	p, err := c.book.Open(ctx, t.key())
	if err != nil {
		return 0, err
	}
	defer p.Close()
	ctx = context.WithoutCancel(ctx)
	all, err := p.Logins()
	if err != nil {
		return 0, err
	}
	attempts, err := p.Attempts()
	if err != nil {
		return 0, err
	}
	var errs []error
	var over []string
	for _, a := range attempts {
		if !a.Doubtful() || c.now().Sub(a.Started) > longestIdle {
			over = append(over, a.Nonce)
		}
	}
	errs = append(errs, p.Drop(ctx, over...))
	attempts = slices.DeleteFunc(attempts, func(a saved.Attempt) bool { return slices.Contains(over, a.Nonce) })
	if l, ok := t.usable(all); ok && len(attempts) > 0 && l.Method == auth.MethodSession {
		attempts = c.settle(ctx, t, p, l, attempts)
	}
	for _, l := range all {
		errs = append(errs, c.end(ctx, t, p, l))
	}
	return len(all), errors.Join(append(errs, doubts(attempts))...)
}

// end writes down that l is to be ended, ends it, and forgets it.
func (c *Client) end(ctx context.Context, t Target, p *saved.Page, l saved.Login) error {
	ctx = context.WithoutCancel(ctx)
	if l.Method.PerCall() {
		return p.Forget(ctx, l) // there is nothing at the device
	}
	if l.Ending.IsZero() {
		l.Ending = c.now()
		if err := p.Save(ctx, l); err != nil {
			return err
		}
	}
	err := t.Device.Logout(ctx, l.Login)
	if err != nil && !errors.Is(err, auth.ErrNoSession) && c.now().Sub(l.Ending) < longestIdle {
		return &Owed{l.Location, err}
	}
	return p.Forget(ctx, l)
}

// longestIdle is the largest idle timeout that Redfish allows
// (SessionService.v1_2_0, SessionTimeout). A session that nobody has used for
// longer is over at every device, whatever its answer to a logout.
const longestIdle = 24 * time.Hour

// A Session is one that a device lists, and whether the book knows it.
type Session struct {
	auth.Listed
	Ours bool
}

// Sessions returns what the device lists, using the login of t.
func (c *Client) Sessions(ctx context.Context, t Target) ([]Session, error) {
	var listed []auth.Listed
	err := c.with(ctx, t, func(l saved.Login) (err error) {
		listed, err = t.Device.List(ctx, l.Login)
		return err
	})
	if err != nil {
		return nil, err
	}
	all, err := c.book.Logins("")
	if err != nil {
		return nil, err
	}
	out := []Session{}
	for _, s := range listed {
		ours := slices.ContainsFunc(all, func(l saved.Login) bool { return l.URL == t.URL && l.Location == s.Location })
		out = append(out, Session{s, ours})
	}
	return out, nil
}

// End ends a session that the device lists, by its id or location, with the
// rights of t: auth.ErrNoSession where it lists none such.
func (c *Client) End(ctx context.Context, t Target, id string) error {
	all, err := c.Sessions(ctx, t)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(s Session) bool { return s.ID == id || s.Location == id })
	if i < 0 {
		return auth.ErrNoSession
	}
	return c.with(ctx, t, func(l saved.Login) error {
		if l.Location == all[i].Location {
			_, err := c.Logout(ctx, t)
			return err
		}
		return t.Device.End(ctx, l.Login, all[i].Location)
	})
}

// with calls f with a login that lives: where f finds that the device does not
// know it, once more with a new one.
func (c *Client) with(ctx context.Context, t Target, f func(saved.Login) error) error {
	l, fresh, err := c.Login(ctx, t)
	if err != nil {
		return err
	}
	if err = f(l); fresh || !errors.Is(err, auth.ErrNoSession) {
		return err
	}
	next, renewed, renewErr := c.renew(ctx, t, l)
	if renewErr != nil || !renewed {
		return errors.Join(err, renewErr)
	}
	return f(next)
}
