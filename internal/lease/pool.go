package lease

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern/postern/auth"
)

const (
	fullPause    = 100 * time.Millisecond // first wait for a place at a full device, doubling
	fullPauseMax = 5 * time.Second
	downPause    = 500 * time.Millisecond // first wait for a device that does not answer, doubling
	downPauseMax = 30 * time.Second
	// refusedPause is how often the source of a refused secret is read again.
	refusedPause = 500 * time.Millisecond
)

// A pool is one target: its lease, who shares it, and who waits for it.
type pool struct {
	m       *Manager
	slots   chan struct{} // one for each call in flight
	waiting atomic.Int64

	mu      sync.Mutex // guards what follows
	t       Target
	cur     *live    // the living lease
	opening *opening // the login under way
	gate    gate
	logins  int
	closed  bool
	noBasic bool // the device refused a proven password by Basic: it has Basic switched off
}

// live is a lease that can be used.
type live struct {
	row    Row // zero ID for HTTP Basic, which opens nothing
	login  auth.Login
	key    Key
	device Device
	used   atomic.Int64 // nanoseconds
	idle   atomic.Int64 // the device's idle timeout in nanoseconds, 0 = unknown

	mu      sync.Mutex // guards what follows
	dead    bool
	probing *probing
}

type opening struct {
	done chan struct{} // closed when l and err are set
	l    *live
	err  error
}

type probing struct {
	done chan struct{}
	err  error
}

// gate keeps callers from the device after a login that failed.
type gate struct {
	until time.Time
	pause time.Duration
	err   *Unavailable
}

func newPool(m *Manager, t Target) *pool {
	n := t.InFlight
	if n <= 0 {
		n = defaultInFlight
	}
	return &pool{m: m, t: t, slots: make(chan struct{}, n)}
}

// acquire gives the caller a place in flight and the living lease.
func (p *pool) acquire(ctx context.Context) (*Use, error) {
	if u, ok := p.take(); ok {
		return u, nil
	}
	p.waiting.Add(1)
	defer p.waiting.Add(-1)
	deadline := time.NewTimer(p.m.queue)
	defer deadline.Stop()
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-deadline.C:
		return nil, &Unavailable{Reason: Full, RetryAfter: fullPauseMax,
			Err: errors.New("every place for calls to this device is taken")}
	}
	for {
		l, err := p.live(ctx)
		if err == nil {
			return p.use(l), nil
		}
		var u *Unavailable
		if !errors.As(err, &u) || !u.waits() {
			<-p.slots
			return nil, err
		}
		select {
		case <-time.After(max(u.RetryAfter, fullPause)):
		case <-ctx.Done():
			<-p.slots
			return nil, ctx.Err()
		case <-deadline.C:
			<-p.slots
			return nil, u
		}
	}
}

// take is acquire where nothing has to be waited for.
func (p *pool) take() (*Use, bool) {
	if p.waiting.Load() > 0 {
		return nil, false // whoever waits comes first
	}
	select {
	case p.slots <- struct{}{}:
	default:
		return nil, false
	}
	p.mu.Lock()
	l, closed := p.cur, p.closed
	p.mu.Unlock()
	if l == nil || closed {
		<-p.slots
		return nil, false
	}
	return p.use(l), true
}

// use lends l to a caller who holds a place.
func (p *pool) use(l *live) *Use {
	now := p.m.now()
	before := time.Unix(0, l.used.Swap(now.UnixNano()))
	return &Use{p: p, l: l, idle: now.Sub(before)}
}

// waits reports whether a caller should wait for the reason to pass.
func (u *Unavailable) waits() bool { return u.Reason == Full || u.Reason == Busy }

// live returns the lease, after the login that is needed for it.
func (p *pool) live(ctx context.Context) (*live, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, &Unavailable{Reason: Draining, RetryAfter: time.Second, Err: errors.New("shutting down")}
	}
	if p.cur != nil {
		defer p.mu.Unlock()
		return p.cur, nil
	}
	if wait := p.gate.until.Sub(p.m.now()); wait > 0 && p.opening == nil {
		defer p.mu.Unlock()
		u := *p.gate.err
		u.RetryAfter = wait
		return nil, &u
	}
	o := p.startOpening(openOptions{})
	p.mu.Unlock()
	select {
	case <-o.done:
		return o.l, o.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// startOpening joins the login under way or starts one. p.mu is held.
func (p *pool) startOpening(opt openOptions) *opening {
	if p.opening != nil {
		return p.opening
	}
	o := &opening{done: make(chan struct{})}
	p.opening = o
	t := p.t
	p.m.wg.Go(func() {
		// The login belongs to the lease: no caller's cancel cuts it.
		l, err := p.m.open(context.Background(), t, opt)
		p.opened(o, l, err)
	})
	return o
}

func (p *pool) opened(o *opening, l *live, err error) {
	p.mu.Lock()
	p.opening = nil
	if err == nil {
		p.cur, p.gate = l, gate{}
		p.logins++
		if l.row.ID != "" && !p.t.serves(l.row) { // the target changed meanwhile
			p.cur = nil
			p.m.wg.Go(func() { p.m.end(l, "changed") })
			err = &Unavailable{Reason: Full, RetryAfter: fullPause, Err: errors.New("the target was changed")}
			l = nil
		}
	} else {
		p.gate = p.gate.after(err, p.m.now())
	}
	o.l, o.err = l, err
	p.mu.Unlock()
	close(o.done)
}

// after returns the gate that follows a failed login.
func (g gate) after(err error, now time.Time) gate {
	var u *Unavailable
	if !errors.As(err, &u) {
		u = &Unavailable{Reason: Broken, Err: err}
	}
	first, most := downPause, downPauseMax
	switch u.Reason {
	case Full, Busy:
		first, most = fullPause, fullPauseMax
	case Refused:
		first, most = refusedPause, refusedPause
	}
	pause := first
	if g.err != nil && g.err.Reason == u.Reason {
		pause = min(max(2*g.pause, first), most)
	}
	wait := pause
	if u.RetryAfter > 0 { // the device's own word, within reason
		wait = min(max(wait, u.RetryAfter), most)
	}
	return gate{until: now.Add(wait), pause: pause, err: u}
}

// adopt takes over a held lease of an earlier run.
func (p *pool) adopt(ctx context.Context, r Row) bool {
	if p.cur != nil || !p.t.serves(r) {
		return false
	}
	l, err := p.m.revive(r, p.t.Device, p.t.lockoutDomain())
	if err != nil {
		p.m.log.ErrorContext(ctx, "a kept login cannot be opened", "target", r.Target, "lease", r.ID, "err", err)
		return false
	}
	p.cur = l
	return true
}

// drop makes sure that l is not handed out any more. It reports whether the
// caller is the first to do so.
func (p *pool) drop(l *live) bool {
	l.mu.Lock()
	first := !l.dead
	l.dead = true
	l.mu.Unlock()
	p.mu.Lock()
	if p.cur == l {
		p.cur = nil
	}
	p.mu.Unlock()
	return first
}

func (p *pool) change(t Target) {
	p.mu.Lock()
	l := p.cur
	p.t = t
	p.gate = gate{}
	p.mu.Unlock()
	if l == nil || (l.row.ID != "" && t.serves(l.row) && t.Method != auth.MethodBasic) {
		return
	}
	if p.drop(l) {
		p.m.wg.Go(func() { p.m.end(l, "changed") })
	}
}

// close ends the lease, after the login that may be under way.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	o := p.opening
	p.mu.Unlock()
	if o != nil {
		<-o.done
	}
	p.mu.Lock()
	l := p.cur
	p.mu.Unlock()
	if l != nil && p.drop(l) {
		p.m.end(l, "closed")
	}
}

// check uses the stored credential once and tells what the device said.
func (p *pool) check(ctx context.Context) error {
	p.mu.Lock()
	l, t := p.cur, p.t
	p.mu.Unlock()
	if l != nil {
		cred, err := t.Credential(ctx)
		if err != nil {
			return &Unavailable{Reason: Broken, Err: err}
		}
		if l.login.Method == auth.MethodSession && p.m.key(t, cred) == l.key && p.probe(ctx, l) == nil {
			return nil
		}
		if p.drop(l) {
			p.m.end(l, "checked")
		}
	}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return &Unavailable{Reason: Draining, Err: errors.New("shutting down")}
	}
	p.gate = gate{}
	o := p.startOpening(openOptions{forced: true})
	p.mu.Unlock()
	select {
	case <-o.done:
		return o.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *pool) status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := Status{
		Target: p.t.Name, Budget: p.t.budget(), Held: p.cur != nil, Logins: p.logins,
		InFlight: len(p.slots), Waiting: int(p.waiting.Load()),
	}
	if p.cur != nil {
		s.Method = string(p.cur.login.Method)
	}
	if p.gate.err != nil {
		s.Problem = p.gate.err.Err.Error()
	}
	return s
}
