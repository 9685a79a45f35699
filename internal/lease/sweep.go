package lease

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/postern/postern/auth"
)

const (
	sweepFirst = 250 * time.Millisecond // first pause between sweeps, doubling
	sweepMax   = 30 * time.Second
	sweepWide  = 8 // devices swept at a time
	// touchEvery bounds how far a row's last use lags behind.
	touchEvery = 30 * time.Second
	// expiryMargin is added to a device's idle timeout before we call a session expired.
	expiryMargin = time.Minute
	// loginGrace is how long a login whose answer was lost may take to appear in
	// the device's listing: the longest wait of a login, and as much again.
	loginGrace = 2 * time.Minute
	// clockMargin is how well a device's clock is known: it tells whole seconds,
	// at the end of a login.
	clockMargin = 5 * time.Second
)

// Run sweeps what is owed, ends leases that nobody uses before the device
// would, and keeps their last use. It returns when ctx ends.
func (m *Manager) Run(ctx context.Context) error {
	pause := sweepFirst
	sweep := time.NewTimer(0)
	defer sweep.Stop()
	keep := time.NewTicker(touchEvery)
	defer keep.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-m.wake:
			pause = sweepFirst
			sweep.Reset(pause)
		case <-keep.C:
			m.housekeeping(ctx)
		case <-sweep.C:
			if left := m.sweep(ctx); left == 0 {
				pause = sweepMax
			}
			sweep.Reset(pause)
			pause = min(2*pause, sweepMax)
		}
	}
}

// housekeeping records the last uses and ends leases that were idle for two
// thirds of the device's timeout: a logout of ours is better than its expiry.
func (m *Manager) housekeeping(ctx context.Context) {
	used := map[string]time.Time{}
	for _, p := range m.allPools() {
		p.mu.Lock()
		l := p.cur
		p.mu.Unlock()
		if l == nil || l.row.ID == "" {
			continue
		}
		last := time.Unix(0, l.used.Load())
		used[l.row.ID] = last
		idle := time.Duration(l.idle.Load())
		if idle <= 0 {
			idle = usualIdle
		}
		if m.now().Sub(last) > idle*2/3 && len(p.slots) == 0 && p.drop(l) {
			m.wg.Go(func() { m.end(l, "idle") })
		}
	}
	if err := m.store.TouchLeases(ctx, used, m.now()); err != nil {
		m.log.ErrorContext(ctx, "last use of leases not kept", "err", err)
	}
}

// sweep makes one round over the devices that owe us an end, and returns how
// many rows are left.
func (m *Manager) sweep(ctx context.Context) int {
	m.settleLate(ctx)
	rows, err := m.store.OpenLeases(ctx)
	if err != nil {
		m.log.ErrorContext(ctx, "sweep", "err", err)
		return 1
	}
	byURL := map[string][]Row{}
	for _, r := range rows {
		if m.isOwed(ctx, r) {
			byURL[r.URL] = append(byURL[r.URL], r)
		}
	}
	var all sync.WaitGroup
	wide := make(chan struct{}, sweepWide)
	for _, rows := range byURL {
		wide <- struct{}{}
		all.Go(func() {
			defer func() { <-wide }()
			m.sweepDevice(ctx, rows)
		})
	}
	all.Wait()
	left := 0
	if rows, err = m.store.OpenLeases(ctx); err != nil {
		return 1
	}
	for _, r := range rows {
		if r.State != Held {
			left++
		}
	}
	return left
}

// isOwed reports whether the sweep has to do with r. An intent or an ending
// that nobody in this process is working on was left by a step that failed.
func (m *Manager) isOwed(ctx context.Context, r Row) bool {
	m.mu.Lock()
	busy := m.busy[r.ID]
	m.mu.Unlock()
	if busy || r.State == Held {
		return false
	}
	if r.State != Owed {
		why := whyLoginLost
		if r.State == Ending {
			why = whyFailed
		}
		return m.store.MoveLease(ctx, r.ID, []State{r.State}, Owed, why, m.now()) == nil
	}
	return true
}

// sweepDevice ends what one device owes: with the lease's own token where we
// have it, else by what the device lists.
func (m *Manager) sweepDevice(ctx context.Context, rows []Row) {
	var unsure []Row
	for _, r := range rows {
		switch {
		case surelyExpired(r, m.now()):
			m.settleOwed(ctx, r, "expired at the device")
		case m.hasToken(r) && r.Location != "" && r.Reason != whyUnsure:
			m.endOwed(ctx, r)
		default:
			unsure = append(unsure, r)
		}
	}
	if len(unsure) == 0 || ctx.Err() != nil {
		return
	}
	if err := m.sweepByList(ctx, unsure); err != nil {
		m.log.WarnContext(ctx, "sweep: the device's sessions cannot be listed", "url", unsure[0].URL, "owed", len(unsure), "err", err)
	}
}

// hasToken reports whether r can be ended with its own token.
func (m *Manager) hasToken(r Row) bool {
	_, unkept := m.unkeptLogin(r.ID)
	return unkept || r.TokenSealed != nil
}

// endOwed sends one logout with the lease's own token.
func (m *Manager) endOwed(ctx context.Context, r Row) {
	if !m.claim(r.ID) {
		return
	}
	defer m.unclaim(r.ID)
	d, err := m.deviceOf(r)
	if err == nil {
		if login, ok := m.unkeptLogin(r.ID); ok {
			m.logout(ctx, r, d, login, r.Reason)
			return
		}
		var l *live
		if l, err = m.revive(r, d, r.Domain); err == nil {
			m.logout(ctx, r, d, l.login, r.Reason)
			return
		}
	}
	m.log.ErrorContext(ctx, "sweep", "target", r.Target, "lease", r.ID, "err", err)
}

// settleOwed ends a row that needs nothing from the device any more.
func (m *Manager) settleOwed(ctx context.Context, r Row, why string) {
	if err := m.store.MoveLease(ctx, r.ID, []State{Owed}, Ended, why, m.now()); err != nil {
		m.log.ErrorContext(ctx, "sweep", "target", r.Target, "lease", r.ID, "err", err)
		return
	}
	m.forget(r.ID)
	rec := record("lease.settled", r)
	rec.Outcome = why
	m.audit.Note(rec)
}

// deviceOf returns the client for a row: its target's, if that is still the
// same device (whose new certificate a person may have accepted since), else
// one made from the row.
func (m *Manager) deviceOf(r Row) (Device, error) {
	if p := m.pool(r.Target); p != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.t.reaches(r) {
			return p.t.Device, nil
		}
	}
	return m.deviceFor(r)
}

// sweepByList resolves rows whose session cannot be named or whose end is not sure.
func (m *Manager) sweepByList(ctx context.Context, rows []Row) error {
	p := m.poolAt(rows[0])
	if p == nil {
		return errors.New("no target with this device and account is left; its sessions end by the device's idle timeout")
	}
	l, err := p.lister(ctx, rows)
	if err != nil {
		return err
	}
	started := m.now()
	listed, err := l.device.List(ctx, l.login)
	if errors.Is(err, auth.ErrNoSession) {
		p.listRefused(ctx, l)
	}
	if err != nil {
		return err
	}
	byNonce, byLocation := index(listed)
	keeps := m.keepsNonce(ctx, rows[0].URL, l, byNonce)
	orphans, err := m.orphans(ctx, p, l, listed)
	if err != nil {
		return err
	}
	for _, r := range rows {
		v := judgeListed(r, started, keeps, byNonce, byLocation)
		if !v.gone && v.end == "" && r.Location == "" {
			v.end = orphans.take(r)
		}
		switch {
		case v.gone:
			m.settleOwed(ctx, r, v.why)
		case v.end != "":
			m.endListed(ctx, r, l, v.end)
		case r.Location != "" && m.hasToken(r):
			m.endIfAlive(ctx, r)
		}
	}
	return nil
}

// endIfAlive logs a lease out whose token was refused before, if the device knows
// it now: no other session answers to it, whatever the listing can tell.
func (m *Manager) endIfAlive(ctx context.Context, r Row) {
	d, err := m.deviceOf(r)
	if err != nil {
		return
	}
	login, unkept := m.unkeptLogin(r.ID)
	if !unkept {
		l, err := m.revive(r, d, r.Domain)
		if err != nil {
			return
		}
		login = l.login
	}
	if d.Touch(ctx, login) == nil {
		m.endOwed(ctx, r)
	}
}

// endListed ends a session that carries our nonce, with the rights of another login.
func (m *Manager) endListed(ctx context.Context, r Row, by *live, location string) {
	if !m.claim(r.ID) {
		return
	}
	defer m.unclaim(r.ID)
	r.Location = location
	m.finish(ctx, r, "found in the device's listing", func() error { return by.device.End(ctx, by.login, location) })
}

// keepsNonce reports whether the device shows the nonces of sessions. Our own
// living lease in the listing is the proof.
func (m *Manager) keepsNonce(ctx context.Context, url string, l *live, byNonce map[string][]string) bool {
	f, err := m.store.Facts(ctx, url)
	if err != nil || f.KeepsNonce {
		return err == nil
	}
	if l.row.ID == "" || len(byNonce[nonce(l.row.ID)]) == 0 {
		return false
	}
	f.KeepsNonce = true
	return m.store.SetFacts(ctx, url, f, m.now()) == nil
}

// listedVerdict says what a complete listing tells about an owed row.
type listedVerdict struct {
	gone bool   // the device holds nothing of the row
	why  string // reason of gone
	end  string // location of the session to end
}

// judgeListed holds an owed row against a listing that began at started. It
// names a session for ending only if exactly one carries the row's nonce.
func judgeListed(r Row, started time.Time, keeps bool, byNonce map[string][]string, byLocation map[string]string) listedVerdict {
	ours := byNonce[nonce(r.ID)]
	switch {
	case len(ours) == 1 && (r.Location == "" || trim(r.Location) == trim(ours[0])):
		return listedVerdict{end: ours[0]}
	case len(ours) > 1:
		return listedVerdict{} // cannot be: reported by staying owed
	case r.Location == "":
		if keeps && started.After(r.Created.Add(loginGrace)) {
			return listedVerdict{gone: true, why: "the device never opened it"}
		}
		return listedVerdict{}
	}
	context, listed := byLocation[trim(r.Location)]
	switch {
	case !listed:
		return listedVerdict{gone: true, why: "the device does not list it"}
	case keeps && context != nonce(r.ID):
		return listedVerdict{gone: true, why: "the device gave its id to another session"}
	}
	return listedVerdict{}
}

// orphans are sessions of an account that is ours alone which no lease names.
type orphans struct {
	sessions []auth.Listed
	skew     time.Duration // of the device's clock
}

// orphans picks them out of a listing. What tells our own from other sessions
// of the account is the address that the device saw us log in from, so the
// lister must be a listed lease of ours.
func (m *Manager) orphans(ctx context.Context, p *pool, l *live, listed []auth.Listed) (*orphans, error) {
	p.mu.Lock()
	exclusive := p.t.Exclusive
	p.mu.Unlock()
	o := &orphans{skew: l.row.DeviceDate.Sub(l.row.Created)}
	if !exclusive || l.row.ID == "" || l.row.DeviceDate.IsZero() {
		return o, nil
	}
	rows, err := m.store.OpenLeases(ctx)
	if err != nil {
		return nil, err
	}
	named := map[string]bool{}
	for _, r := range rows {
		named[trim(r.Location)] = true
	}
	address := ""
	for _, s := range listed {
		if trim(s.Location) == trim(l.row.Location) {
			address = s.Source
		}
	}
	for _, s := range listed {
		if s.Account == l.row.Account && s.Source != "" && s.Source == address && !named[trim(s.Location)] {
			o.sessions = append(o.sessions, s)
		}
	}
	return o, nil
}

// take returns the location of an orphan that was opened when r was, and
// forgets it; "" if there is none.
func (o *orphans) take(r Row) string {
	for i, s := range o.sessions {
		at := s.Created.Add(-o.skew)
		if s.Created.IsZero() || at.Before(r.Created.Add(-clockMargin)) || at.After(r.Created.Add(loginGrace)) {
			continue
		}
		o.sessions = slices.Delete(o.sessions, i, i+1)
		return s.Location
	}
	return ""
}

func index(listed []auth.Listed) (byNonce map[string][]string, byLocation map[string]string) {
	byNonce, byLocation = map[string][]string{}, map[string]string{}
	for _, s := range listed {
		byLocation[trim(s.Location)] = s.Context
		if s.Context != "" {
			byNonce[s.Context] = append(byNonce[s.Context], s.Location)
		}
	}
	return byNonce, byLocation
}

// trim makes one of the two spellings of a URI: devices name the same session
// with a trailing slash in Location and without it in the collection.
func trim(location string) string { return strings.TrimSuffix(location, "/") }

// poolAt returns a pool that can log in where r was opened.
func (m *Manager) poolAt(r Row) *pool {
	for _, p := range m.allPools() {
		p.mu.Lock()
		reaches := p.t.reaches(r)
		p.mu.Unlock()
		if reaches {
			return p
		}
	}
	return nil
}

// lister returns a login to list with: the living lease, a login within the
// budget, else HTTP Basic with a proven password where that opens nothing,
// else one login above the budget. Leases whose token the device has refused are
// most likely gone and do not count for that one: only a listing can tell, so
// they must not stand in its way.
func (p *pool) lister(ctx context.Context, owed []Row) (*live, error) {
	l, err := p.live(ctx)
	if err == nil || !errors.Is(err, ErrBudget) {
		return l, err
	}
	if l := p.basicLister(ctx); l != nil {
		return l, nil
	}
	above := 1
	for _, r := range owed {
		if r.Reason == whyUnsure {
			above++
		}
	}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, err
	}
	o := p.startOpening(openOptions{above: above})
	p.mu.Unlock()
	<-o.done
	return o.l, o.err
}

func (p *pool) basicLister(ctx context.Context) *live {
	p.mu.Lock()
	t, off := p.t, p.noBasic
	p.mu.Unlock()
	if !t.BasicFree || off {
		return nil
	}
	cred, err := t.Credential(ctx)
	if err != nil || cred.Password.IsZero() { // a certificate is no password
		return nil
	}
	k := p.m.key(t, cred)
	if proven, err := p.m.store.Proven(ctx, k); err != nil || !proven {
		return nil
	}
	return &live{device: t.Device, key: k, login: auth.Login{
		Method: auth.MethodBasic, Account: cred.Account, Secret: cred.Password}}
}

// listRefused handles a 401 to a listing.
func (p *pool) listRefused(ctx context.Context, l *live) {
	if l.login.Method == auth.MethodBasic {
		p.mu.Lock()
		p.noBasic = true
		p.mu.Unlock()
		return
	}
	if err := p.judge(ctx, l); err != nil && !errors.Is(err, ErrAlive) {
		p.m.log.WarnContext(ctx, "sweep: the login cannot be probed", "target", p.t.Name, "err", err)
	}
}
