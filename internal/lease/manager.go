package lease

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/audit"
	"github.com/postern/postern/internal/seal"
)

const (
	// defaultBudget is what a device may hold of ours where neither the target
	// nor its profile says more: few devices give less than four sessions.
	defaultBudget = 2
	// defaultInFlight bounds the calls that one device answers at a time; BMCs
	// answer more than a handful slower, not in parallel.
	defaultInFlight = 8
	// defaultQueue is how long a caller waits for a place.
	defaultQueue = 30 * time.Second
	// usualIdle is how long a device that does not tell its idle timeout is
	// taken to keep a session that we want to use again.
	usualIdle = 30 * time.Minute
	// longestIdle is after how long a session is surely gone at such a device:
	// the largest SessionTimeout that Redfish allows (SessionService.v1_2_0).
	longestIdle = 24 * time.Hour
)

// A Device is what leases need of a family's client side. Its methods bring
// their own deadlines; Login and Logout are not cut by the cancel of ctx.
type Device interface {
	// Login opens a session, or proves a password that is sent with each call.
	// Its error is a *auth.LoginError.
	Login(ctx context.Context, c auth.Credential, o auth.LoginOptions) (auth.Login, error)
	// Touch uses the login once, harmlessly: nil if it lives,
	// auth.ErrNoSession if the device does not know it, else no answer counts.
	Touch(ctx context.Context, l auth.Login) error
	// Logout ends the session with its own token: nil if it is gone,
	// auth.ErrNoSession if the device refused the token, which proves little.
	Logout(ctx context.Context, l auth.Login) error
	// List returns the sessions that the device holds, of everybody.
	List(ctx context.Context, l auth.Login) ([]auth.Listed, error)
	// End ends another session with the rights of l.
	End(ctx context.Context, l auth.Login, location string) error
	// Idle returns the device's idle timeout, 0 if it does not tell.
	Idle(ctx context.Context, l auth.Login) (time.Duration, error)
}

// A Target is what leases need to know of a device. Comparing two tells
// whether leases of the one serve the other.
type Target struct {
	Name   string
	Family string
	URL    string
	CAPEM  string
	Pin    string
	// Domain is the lockout domain, where it is more than this device: a
	// directory. Empty: the device itself.
	Domain  string
	Account auth.AccountName
	// Credential reads the credential from its source, each time anew.
	Credential func(ctx context.Context) (auth.Credential, error)
	Device     Device
	Method     auth.Method
	Budget     int // logins that may be open at the device; 0 = defaultBudget
	InFlight   int // calls at a time; 0 = defaultInFlight
	// Exclusive: nobody else uses this account of the device, so the sweep may
	// end a session of it that fits a login whose answer was lost.
	Exclusive bool
	// BasicFree: HTTP Basic opens no session at this device.
	BasicFree        bool
	LockoutThreshold int           // wrong passwords that lock the account; 0 = unknown
	LockoutWindow    time.Duration // 0 = unknown
}

func (t Target) lockoutDomain() string {
	if t.Domain != "" {
		return t.Domain
	}
	return t.URL
}

func (t Target) budget() int {
	if t.Budget > 0 {
		return t.Budget
	}
	return defaultBudget
}

// serves reports whether a login recorded in r can be used for t.
func (t Target) serves(r Row) bool {
	return t.URL == r.URL && t.Pin == r.Pin && t.CAPEM == r.CAPEM && t.Account == r.Account
}

// reaches reports whether t is the device and account of r. Its certificate
// may be another one by now; who accepted that, accepted it for the device.
func (t Target) reaches(r Row) bool { return t.URL == r.URL && t.Account == r.Account }

// Config of New.
type Config struct {
	Store Store
	Audit *audit.Log
	Seal  *seal.Key
	// DeviceFor makes the client for a row whose target was changed or removed.
	DeviceFor func(Row) (Device, error)
	// QueueTimeout is how long a caller waits for a place; 0 = 30 s.
	QueueTimeout time.Duration
	Now          func() time.Time // nil = time.Now
	Log          *slog.Logger     // nil = silence
}

// A Manager owns every login at every device.
type Manager struct {
	store     Store
	audit     *audit.Log
	seal      *seal.Key
	deviceFor func(Row) (Device, error)
	queue     time.Duration
	now       func() time.Time
	log       *slog.Logger
	wake      chan struct{} // a lease became owed: sweep soon

	wg sync.WaitGroup // logins, logouts and probes under way

	mu    sync.Mutex // guards what follows
	pools map[string]*pool
	busy  map[string]bool // rows with a step under way in this process
	// What the store could not take: outcomes of attempts, and logins by their lease.
	unsettled map[string]verdict
	unkept    map[string]auth.Login
}

// New checks cfg. It starts nothing.
func New(cfg Config) (*Manager, error) {
	if cfg.Store == nil || cfg.Audit == nil || cfg.Seal == nil || cfg.DeviceFor == nil {
		return nil, errors.New("lease: store, audit, seal and device maker are needed")
	}
	m := &Manager{
		store: cfg.Store, audit: cfg.Audit, seal: cfg.Seal, deviceFor: cfg.DeviceFor,
		queue: cfg.QueueTimeout, now: cfg.Now, log: cfg.Log,
		wake: make(chan struct{}, 1), pools: map[string]*pool{}, busy: map[string]bool{},
		unsettled: map[string]verdict{}, unkept: map[string]auth.Login{},
	}
	if m.queue <= 0 {
		m.queue = defaultQueue
	}
	if m.now == nil {
		m.now = time.Now
	}
	if m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	return m, nil
}

// Load reads the rows that an earlier run left, before any caller is served.
// It calls no device: a held lease of a target that is still the same is
// adopted as it is, everything else becomes owed and is left to Run.
func (m *Manager) Load(ctx context.Context, targets []Target) error {
	for _, t := range targets {
		m.pools[t.Name] = newPool(m, t)
	}
	rows, err := m.store.OpenLeases(ctx)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if err := m.recover(ctx, r); err != nil {
			return err
		}
	}
	return m.closeUnsent(ctx)
}

func (m *Manager) recover(ctx context.Context, r Row) error {
	if r.TokenSealed != nil { // the device accepted the secret, whether or not that could still be settled
		m.settle(ctx, r.ID, verdictOf(nil))
	}
	switch r.State {
	case Held:
		if p := m.pools[r.Target]; p != nil && p.adopt(ctx, r) {
			m.audit.Note(record("lease.adopt", r))
			return nil
		}
		return m.store.MoveLease(ctx, r.ID, []State{Held}, Owed, whyChanged, m.now())
	case Intent:
		return m.store.MoveLease(ctx, r.ID, []State{Intent}, Owed, whyLoginCut, m.now())
	case Ending:
		return m.store.MoveLease(ctx, r.ID, []State{Ending}, Owed, whyLogoutCut, m.now())
	}
	return nil
}

// closeUnsent closes the audit's announced steps that were never committed.
func (m *Manager) closeUnsent(ctx context.Context) error {
	for _, rec := range m.audit.Pending() {
		if rec.Event != audit.LeaseLogin && rec.Event != audit.LeaseLogout {
			continue // a caller's session: the authority closes it
		}
		state, err := m.store.LeaseState(ctx, rec.Ref)
		if err != nil {
			return err
		}
		end := rec
		end.Event += ".end"
		end.Outcome = "not done"
		if state != "" {
			end.Outcome = "cut by a crash, now " + string(state)
		}
		if err := m.audit.Append(ctx, end); err != nil {
			return err
		}
	}
	return nil
}

// Set adds a target or changes it. A lease that does not serve the target any
// more is ended.
func (m *Manager) Set(t Target) {
	m.mu.Lock()
	p := m.pools[t.Name]
	if p == nil {
		m.pools[t.Name] = newPool(m, t)
	}
	m.mu.Unlock()
	if p != nil {
		p.change(t)
	}
}

// Remove forgets a target; its lease is ended.
func (m *Manager) Remove(name string) {
	m.mu.Lock()
	p := m.pools[name]
	delete(m.pools, name)
	m.mu.Unlock()
	if p != nil {
		p.close()
	}
}

// Acquire waits for a place in flight at the device and for a living login.
// The error is an *Unavailable, or that of ctx. Done must follow.
func (m *Manager) Acquire(ctx context.Context, target string) (*Use, error) {
	p := m.pool(target)
	if p == nil {
		return nil, &Unavailable{Reason: NoTarget, Err: errors.New("no such target")}
	}
	return p.acquire(ctx)
}

// Check tries the stored credential once, whatever the allowance says: a person
// spends the attempt. nil means that the device accepted it.
func (m *Manager) Check(ctx context.Context, target string) error {
	p := m.pool(target)
	if p == nil {
		return &Unavailable{Reason: NoTarget, Err: errors.New("no such target")}
	}
	return p.check(ctx)
}

func (m *Manager) pool(name string) *pool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pools[name]
}

func (m *Manager) allPools() []*pool {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]*pool, 0, len(m.pools))
	for _, p := range m.pools {
		all = append(all, p)
	}
	return all
}

// Shutdown ends every lease and waits for what is under way, until ctx ends.
// What is left then stays in the rows and is owed at the next start.
func (m *Manager) Shutdown(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		m.settleLate(context.WithoutCancel(ctx))
		var all sync.WaitGroup
		for _, p := range m.allPools() {
			all.Go(p.close)
		}
		all.Wait()
		m.wg.Wait()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Status of one target's leases.
type Status struct {
	Target   string `json:"target"`
	Held     bool   `json:"held"`
	Method   string `json:"method,omitempty"`
	Budget   int    `json:"budget"`
	Open     int    `json:"open"` // rows that count against the budget
	Owed     int    `json:"owed"` // of these, such as the device may still hold though we are done with them
	InFlight int    `json:"in_flight"`
	Waiting  int    `json:"waiting"`
	Logins   int    `json:"logins"` // accepted since the start
	Problem  string `json:"problem,omitempty"`
}

// Status returns the state of every target, in no order.
func (m *Manager) Status(ctx context.Context) ([]Status, error) {
	rows, err := m.store.OpenLeases(ctx)
	if err != nil {
		return nil, err
	}
	type counted struct{ open, owed int }
	counts := map[string]counted{}
	for _, r := range rows {
		c := counts[r.Target]
		c.open++
		if r.State == Owed {
			c.owed++
		}
		counts[r.Target] = c
	}
	var all []Status
	for _, p := range m.allPools() {
		s := p.status()
		s.Open, s.Owed = counts[s.Target].open, counts[s.Target].owed
		all = append(all, s)
	}
	return all, nil
}

// claim marks a row as being worked on in this process.
func (m *Manager) claim(id string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.busy[id] {
		return false
	}
	m.busy[id] = true
	return true
}

func (m *Manager) unclaim(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.busy, id)
}

func (m *Manager) wakeSweep() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}
