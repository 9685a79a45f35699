package sim

import (
	"container/list"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/account"
	"github.com/postern/postern/internal/admin"
	"github.com/postern/postern/internal/service/hpe"
	"github.com/postern/postern/internal/trust"
)

// A session takes a slot until it is ended or expires.
type session struct {
	auth.Session
	owner *known
	token [sha256.Size]byte
	inUse *list.Element // in authority.byUse
	inAge *list.Element // in authority.byAge
}

// An authority decides who may log in to one device: redfish.Authority, with
// everything in memory. Safe for concurrent use.
type authority struct {
	slots   int // negative: no limit
	faults  *faults
	journal *journal
	now     func() time.Time // the device's clock
	host    string           // the device's name, for the names in certificates
	trust   *trust.Service
	log     *slog.Logger
	sleep   func(time.Duration)
	// changed is told of resources that came, changed or went, by the type of the
	// event. It is called with mu held: it must not wait, and not call the authority.
	changed func(event, uri, resource string)

	mu       sync.Mutex // guards all below
	accounts []*known
	lastID   int                      // of an account
	roles    map[auth.Role]admin.Role // that are not predefined
	logins   account.Rules
	rules    admin.ListenerRules
	byToken  map[[sha256.Size]byte]*session
	byID     map[string]*session
	byUse    *list.List // least recently used first: the first to expire
	byAge    *list.List // oldest first
	strays   int        // calls with a living token, for the fault stray-401
	ilo      ilo        // of an iLO alone
}

func newAuthority(cfg Config, f *faults, j *journal) (*authority, error) {
	a := &authority{
		slots: cfg.Slots, faults: f, journal: j, now: cfg.clock, host: cfg.Name, log: cfg.Log, sleep: time.Sleep,
		changed: func(string, string, string) {},
		roles:   make(map[auth.Role]admin.Role), logins: account.DefaultRules(),
		rules: admin.ListenerRules{
			Listener: Listener, SessionIdle: cfg.Idle, Basic: admin.BasicEnabled, Mapping: admin.MapCommonName, Version: 1,
		},
		byToken: make(map[[sha256.Size]byte]*session), byID: make(map[string]*session),
		byUse: list.New(), byAge: list.New(),
	}
	a.logins.Threshold, a.logins.Duration, a.logins.ResetAfter = cfg.Lockout, cfg.LockoutFor, 0
	if cfg.isILO() {
		a.ilo = newILO(cfg, f, a.now())
	}
	for _, n := range cfg.accounts() {
		a.add(n, false)
	}
	if cfg.isILO() { // the one that comes with the device
		a.accounts[0].ten = new(hpe.Privileges(hpe.AllPrivileges))
	}
	return a, a.trustIn(cfg)
}

// Login makes a session. auth.ErrBadCredentials; auth.ErrSessionLimit where all
// slots are taken, which only somebody with the right password learns.
func (a *authority) Login(ctx context.Context, try auth.Attempt) (auth.Session, error) {
	s, err := a.login(ctx, try)
	a.linger(try, err)
	return s, err
}

// linger has the answer to a wrong password wait, where the device does so.
// Nobody else waits with it.
func (a *authority) linger(try auth.Attempt, err error) {
	if err != nil && !errors.Is(err, auth.ErrBadCredentials) {
		return
	}
	a.mu.Lock()
	wait := a.delay(try, err == nil)
	a.mu.Unlock()
	a.sleep(wait)
}

func (a *authority) login(ctx context.Context, try auth.Attempt) (auth.Session, error) {
	n := noteFrom(ctx)
	n.user = string(try.Account)
	var holder *known
	if try.Kind == auth.Certificate {
		var err error
		if holder, err = a.certificateLogin(ctx, try); err != nil {
			return auth.Session{}, fmt.Errorf("sim: %w: %w", auth.ErrBadCredentials, err)
		}
		n.user = string(holder.Name)
	} else if a.strange(try) {
		var err error
		if holder, err = a.directoryLogin(ctx, try); err != nil {
			return auth.Session{}, fmt.Errorf("sim: %w", err)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.expire()
	if a.rules.SessionsDisabled {
		return auth.Session{}, auth.ErrServiceDisabled
	}
	k, err := holder, error(nil)
	if try.Kind == auth.Certificate {
		if !slices.Contains(a.accounts, k) { // removed in between
			return auth.Session{}, auth.ErrBadCredentials
		}
	} else if k == nil {
		k, err = a.check(try)
	}
	if err != nil {
		return auth.Session{}, err
	}
	if a.faults.evicts && a.slots > 0 && len(a.byID) >= a.slots {
		a.lose(a.byAge.Front().Value.(*session))
	}
	if a.slots >= 0 && len(a.byID) >= a.slots {
		n.full = true
		return auth.Session{}, auth.ErrSessionLimit
	}
	s := a.open(k, try)
	n.event, n.session = eventLogin, s.ID
	return a.show(s), nil
}

// open enters a new session; a.mu is held.
func (a *authority) open(k *known, try auth.Attempt) *session {
	now := a.now()
	s := &session{
		Session: auth.Session{
			ID: a.newID(k, try), Listener: try.Listener, Source: try.Source, Context: try.Context,
			Kind: try.Kind, InitialRole: k.Role, Directory: k.outside, Created: now, LastUsed: now,
		},
		owner: k,
		token: sha256.Sum256([]byte(try.Token.Reveal())),
	}
	a.byToken[s.token], a.byID[s.ID] = s, s
	s.inUse, s.inAge = a.byUse.PushBack(s), a.byAge.PushBack(s)
	return s
}

// show returns a session as it is now: what its account may do and how long it
// lives can change; a.mu is held.
func (a *authority) show(s *session) auth.Session {
	out := s.Session
	out.Principal = a.principal(s.owner, s.ID)
	out.Idle = a.rules.SessionIdle
	if a.rules.SessionLifetime > 0 {
		out.Expires = s.Created.Add(a.rules.SessionLifetime)
	}
	return out
}

func (a *authority) principal(k *known, session string) auth.Principal {
	privileges := a.privilegesOf(k.Role)
	if k.ten != nil {
		privileges = k.ten.Standard()
	}
	return auth.Principal{
		Account: k.Name, AccountID: k.id, Role: k.Role, SessionID: session,
		Privileges: privileges, MustChangePassword: k.MustChangePassword,
	}
}

// newID returns the id that the attempt asks for, or another one where that is
// taken; a.mu is held.
func (a *authority) newID(k *known, try auth.Attempt) string {
	wanted := try.SessionID
	if try.NewSessionID != nil {
		wanted = try.NewSessionID(k.Name)
	}
	if a.faults.idReuse {
		for n := 1; ; n++ {
			if id := strconv.Itoa(n); a.byID[id] == nil {
				return id
			}
		}
	}
	for wanted == "" || a.byID[wanted] != nil {
		var b [6]byte
		rand.Read(b[:])
		wanted = hex.EncodeToString(b[:])
	}
	return wanted
}

// Check judges an HTTP Basic call, or a client certificate. It opens no session
// and takes no slot.
func (a *authority) Check(ctx context.Context, try auth.Attempt) (auth.Principal, error) {
	if try.Kind == auth.Certificate {
		return a.byCertificate(ctx, try)
	}
	p, err := a.basic(ctx, try)
	a.linger(try, err)
	return p, err
}

func (a *authority) basic(ctx context.Context, try auth.Attempt) (auth.Principal, error) {
	noteFrom(ctx).user = string(try.Account)
	var k *known
	if a.strange(try) {
		var err error
		if k, err = a.directoryCall(ctx, try); err != nil {
			return auth.Principal{}, fmt.Errorf("sim: %w", err)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if k == nil {
		var err error
		if k, err = a.check(try); err != nil {
			return auth.Principal{}, err
		}
	}
	return a.principal(k, ""), nil
}

// check compares the password and keeps the lockout; a.mu is held, so that no
// number of parallel tries gets past it. A locked account refuses the right
// password too, and looks like a wrong one.
func (a *authority) check(try auth.Attempt) (*known, error) {
	k := a.find(try.Account)
	if k == nil || k.disabled {
		return nil, auth.ErrBadCredentials
	}
	a.unlock(k)
	if k.locked {
		return nil, auth.ErrBadCredentials
	}
	if k.Password.Equal(try.Password) {
		k.failed = 0
		return k, nil
	}
	a.fail(k)
	return nil, auth.ErrBadCredentials
}

// fail counts a wrong password; a.mu is held.
func (a *authority) fail(k *known) {
	now := a.now()
	if reset := a.logins.ResetAfter; reset > 0 && now.Sub(k.failedAt) >= reset {
		k.failed = 0
	}
	k.failed++
	k.failedAt = now
	if a.logins.Threshold > 0 && k.failed >= a.logins.Threshold {
		k.locked = true
		if a.logins.Duration > 0 {
			k.until = now.Add(a.logins.Duration)
		}
	}
}

// unlock ends a lock whose time has passed; a.mu is held.
func (a *authority) unlock(k *known) {
	if k.locked && !k.until.IsZero() && !a.now().Before(k.until) {
		k.locked, k.failed, k.until = false, 0, time.Time{}
	}
}

// Lookup returns the session of a token and renews it.
func (a *authority) Lookup(_, token string) (auth.Session, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.expire()
	s := a.byToken[sha256.Sum256([]byte(token))]
	if s == nil {
		return auth.Session{}, auth.ErrNoSession
	}
	if a.faults.stray > 0 {
		if a.strays++; a.strays%a.faults.stray == 0 {
			return auth.Session{}, auth.ErrNoSession
		}
	}
	s.LastUsed = a.now()
	a.byUse.MoveToBack(s.inUse)
	return a.show(s), nil
}

// owner returns whose session a token is, without renewing it; "" for none.
func (a *authority) owner(token string) (user, id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.expire()
	if s := a.byToken[sha256.Sum256([]byte(token))]; s != nil {
		return string(s.owner.Name), s.ID
	}
	return "", ""
}

// Sessions returns the living sessions, oldest first.
func (a *authority) Sessions(string) []auth.Session {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.expire()
	all := make([]auth.Session, 0, len(a.byID))
	for e := a.byAge.Front(); e != nil; e = e.Next() {
		all = append(all, a.show(e.Value.(*session)))
	}
	return all
}

// Session returns one living session, or auth.ErrNoSession.
func (a *authority) Session(_, id string) (auth.Session, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.expire()
	if s := a.byID[id]; s != nil {
		return a.show(s), nil
	}
	return auth.Session{}, auth.ErrNoSession
}

// Logout ends a session: the caller's own, or anybody's with ConfigureManager.
func (a *authority) Logout(ctx context.Context, by auth.Principal, id string) error {
	n := noteFrom(ctx)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.expire()
	s := a.byID[id]
	switch {
	case s == nil:
		return auth.ErrNoSession
	case !by.Privileges.Has(auth.ConfigureManager) && (by.Account != s.owner.Name || by.AccountID != s.owner.id):
		return auth.ErrForbidden
	case a.faults.logoutRefused != 0:
		n.logoutRefused = true
		return auth.ErrUnavailable
	}
	a.remove(s)
	n.event, n.session, n.user = eventLogout, id, string(s.owner.Name)
	return nil
}

// expire ends what has gone unused for too long, and journals it; a.mu is held.
// Every use of the table comes through here first, so an expired session is
// never seen, and its slot is free.
func (a *authority) expire() {
	a.restart()
	now := a.now()
	a.expireList(a.byUse, func(s *session) bool { return now.Sub(s.LastUsed) >= a.rules.SessionIdle })
	limit := a.rules.SessionLifetime
	if early := a.faults.earlyExpiry; early > 0 && (limit == 0 || early < limit) {
		limit = early
	}
	if limit > 0 {
		a.expireList(a.byAge, func(s *session) bool { return now.Sub(s.Created) >= limit })
	}
}

func (a *authority) expireList(l *list.List, over func(*session) bool) {
	for e := l.Front(); e != nil && over(e.Value.(*session)); e = l.Front() {
		a.lose(e.Value.(*session))
	}
}

// lose ends a session that nobody logged out of.
func (a *authority) lose(s *session) {
	a.remove(s)
	a.journal.write(line{Event: eventExpired, User: string(s.owner.Name), Session: s.ID})
}

func (a *authority) remove(s *session) {
	delete(a.byToken, s.token)
	delete(a.byID, s.ID)
	a.byUse.Remove(s.inUse)
	a.byAge.Remove(s.inAge)
}

// drop ends every session, as a reset of the device does.
func (a *authority) drop() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.expireList(a.byAge, func(*session) bool { return true })
}

// state returns the number of living sessions, and whether an account is locked.
func (a *authority) state() (sessions int, locked bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.expire()
	for _, k := range a.accounts {
		a.unlock(k)
		locked = locked || k.locked
	}
	return len(a.byID), locked
}
