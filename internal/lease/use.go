package lease

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"time"

	"github.com/postern/postern/auth"
)

// freshFor is how long a login that was just used need not be probed before an
// upload that cannot be sent twice.
const freshFor = 10 * time.Second

// A Use is one call's share of a lease: a place in flight and the login. It
// is for one goroutine; Done may be called more than once.
type Use struct {
	p    *pool
	l    *live
	idle time.Duration // how long the login had not been used before
	done sync.Once
}

// Login returns what the call is sent with.
func (u *Use) Login() auth.Login { return u.l.login }

// LeaseID names the lease in the audit; empty for HTTP Basic.
func (u *Use) LeaseID() string { return u.l.row.ID }

// Done gives the place in flight back.
func (u *Use) Done() {
	u.done.Do(func() {
		u.l.used.Store(u.p.m.now().UnixNano())
		<-u.p.slots
	})
}

// Unauthorized is called when the device answered 401 to this use. nil means
// that the login was dead: it is buried, the place given back, and the caller
// acquires again. ErrAlive means that the login lives. Any other error is an
// *Unavailable: nobody could tell.
//
// A hundred such answers cause one probe, and one login.
func (u *Use) Unauthorized(ctx context.Context) error {
	err := u.p.judge(ctx, u.l)
	if err == nil {
		u.Done()
	}
	return err
}

// Probe makes sure that a login which was not used for a while lives, before
// something is sent that cannot be sent twice. Its results are those of
// Unauthorized: nil = acquire again, ErrAlive = go on with this use.
func (u *Use) Probe(ctx context.Context) error {
	if u.l.row.ID == "" || u.idle < freshFor {
		return ErrAlive
	}
	return u.Unauthorized(ctx)
}

// judge finds out whether l lives, and buries it if not.
func (p *pool) judge(ctx context.Context, l *live) error {
	l.mu.Lock()
	dead := l.dead
	l.mu.Unlock()
	if dead {
		return nil
	}
	if l.login.Method.PerCall() {
		return p.refused(ctx, l)
	}
	err := p.probe(ctx, l)
	switch {
	case err == nil:
		return ErrAlive
	case errors.Is(err, auth.ErrNoSession):
		if p.drop(l) {
			p.m.wg.Go(func() { p.m.end(l, whyDead) })
		}
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return &Unavailable{Reason: Down, RetryAfter: downPause, Err: err}
}

// probe touches the lease's own session; simultaneous callers share one probe.
func (p *pool) probe(ctx context.Context, l *live) error {
	l.mu.Lock()
	pr := l.probing
	if pr == nil {
		pr = &probing{done: make(chan struct{})}
		l.probing = pr
		p.m.wg.Go(func() {
			pr.err = l.device.Touch(context.Background(), l.login)
			l.mu.Lock()
			l.probing = nil
			l.mu.Unlock()
			close(pr.done)
		})
	}
	l.mu.Unlock()
	select {
	case <-pr.done:
		return pr.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// refused is the end of a password that is sent with each call. The device has
// counted this call, and perhaps others in flight; from here on it is not sent.
func (p *pool) refused(ctx context.Context, l *live) error {
	if !p.drop(l) {
		return nil
	}
	_, err := p.m.store.RefuseProven(context.WithoutCancel(ctx), rand.Text(), l.key, p.m.now())
	if err != nil {
		return &Unavailable{Reason: Broken, Err: err}
	}
	p.m.log.WarnContext(ctx, "the device refuses a password or certificate that it accepted before", "target", p.t.Name)
	return nil
}
