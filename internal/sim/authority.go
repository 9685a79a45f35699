package sim

import (
	"container/list"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/postern/postern/auth"
)

// An Account is somebody whom a device knows.
type Account struct {
	Name     auth.AccountName
	Password auth.Secret
	Role     auth.Role
}

// An account is an Account with what the device remembers of its logins.
type account struct {
	Account
	id     string
	failed int       // wrong passwords in a row
	locked bool      // by the lockout
	until  time.Time // when the lock ends; zero: it does not
}

// A session takes a slot until it is ended or expires.
type session struct {
	auth.Session
	token [sha256.Size]byte
	inUse *list.Element // in authority.byUse
	inAge *list.Element // in authority.byAge
}

// An authority decides who may log in to one device: redfish.Authority, with
// everything in memory. Safe for concurrent use.
type authority struct {
	slots      int // negative: no limit
	idle       time.Duration
	lockout    int // 0: never
	lockoutFor time.Duration
	faults     *faults
	journal    *journal
	now        func() time.Time // the device's clock

	mu       sync.Mutex // guards all below
	accounts []*account
	byToken  map[[sha256.Size]byte]*session
	byID     map[string]*session
	byUse    *list.List // least recently used first: the first to expire
	byAge    *list.List // oldest first
	strays   int        // calls with a living token, for the fault stray-401
}

func newAuthority(cfg Config, f *faults, j *journal) *authority {
	a := &authority{
		slots: cfg.Slots, idle: cfg.Idle, lockout: cfg.Lockout, lockoutFor: cfg.LockoutFor,
		faults: f, journal: j, now: cfg.clock,
		byToken: make(map[[sha256.Size]byte]*session), byID: make(map[string]*session),
		byUse: list.New(), byAge: list.New(),
	}
	for i, acc := range cfg.accounts() {
		a.accounts = append(a.accounts, &account{Account: acc, id: strconv.Itoa(i + 1)})
	}
	return a
}

// Login makes a session. auth.ErrBadCredentials; auth.ErrSessionLimit where all
// slots are taken, which only somebody with the right password learns.
func (a *authority) Login(ctx context.Context, try auth.Attempt) (auth.Session, error) {
	n := noteFrom(ctx)
	n.user = string(try.Account)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.expire()
	acc, err := a.check(try)
	if err != nil {
		return auth.Session{}, err
	}
	if a.slots >= 0 && len(a.byID) >= a.slots {
		n.full = true
		return auth.Session{}, auth.ErrSessionLimit
	}
	s := a.open(acc, try)
	n.event, n.session = eventLogin, s.ID
	return s.Session, nil
}

// open enters a new session; a.mu is held.
func (a *authority) open(acc *account, try auth.Attempt) *session {
	now := a.now()
	id := a.newID(try.SessionID)
	s := &session{
		Session: auth.Session{
			ID:        id,
			Principal: acc.principal(id),
			Listener:  try.Listener, Source: try.Source, Context: try.Context,
			Created: now, LastUsed: now, Idle: a.idle,
		},
		token: sha256.Sum256([]byte(try.Token.Reveal())),
	}
	a.byToken[s.token], a.byID[id] = s, s
	s.inUse, s.inAge = a.byUse.PushBack(s), a.byAge.PushBack(s)
	return s
}

func (a *authority) newID(wanted string) string {
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

// Check judges an HTTP Basic call. It opens no session and takes no slot.
func (a *authority) Check(ctx context.Context, try auth.Attempt) (auth.Principal, error) {
	noteFrom(ctx).user = string(try.Account)
	a.mu.Lock()
	defer a.mu.Unlock()
	acc, err := a.check(try)
	if err != nil {
		return auth.Principal{}, err
	}
	return acc.principal(""), nil
}

func (a *account) principal(session string) auth.Principal {
	privileges, _ := auth.PredefinedPrivileges(a.Role)
	return auth.Principal{Account: a.Name, AccountID: a.id, Role: a.Role, Privileges: privileges, SessionID: session}
}

// check compares the password and keeps the lockout; a.mu is held, so that no
// number of parallel tries gets past it. A locked account refuses the right
// password too, and looks like a wrong one.
func (a *authority) check(try auth.Attempt) (*account, error) {
	i := slices.IndexFunc(a.accounts, func(acc *account) bool { return acc.Name == try.Account })
	if i < 0 {
		return nil, auth.ErrBadCredentials
	}
	acc := a.accounts[i]
	a.unlock(acc)
	if acc.locked {
		return nil, auth.ErrBadCredentials
	}
	if acc.Password.Equal(try.Password) {
		acc.failed = 0
		return acc, nil
	}
	acc.failed++
	if a.lockout > 0 && acc.failed >= a.lockout {
		acc.locked = true
		if a.lockoutFor > 0 {
			acc.until = a.now().Add(a.lockoutFor)
		}
	}
	return nil, auth.ErrBadCredentials
}

// unlock ends a lock whose time has passed; a.mu is held.
func (a *authority) unlock(acc *account) {
	if acc.locked && !acc.until.IsZero() && !a.now().Before(acc.until) {
		acc.locked, acc.failed, acc.until = false, 0, time.Time{}
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
	return s.Session, nil
}

// owner returns whose session a token is, without renewing it; "" for none.
func (a *authority) owner(token string) (user, id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.expire()
	if s := a.byToken[sha256.Sum256([]byte(token))]; s != nil {
		return string(s.Principal.Account), s.ID
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
		all = append(all, e.Value.(*session).Session)
	}
	return all
}

// Session returns one living session, or auth.ErrNoSession.
func (a *authority) Session(_, id string) (auth.Session, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.expire()
	if s := a.byID[id]; s != nil {
		return s.Session, nil
	}
	return auth.Session{}, auth.ErrNoSession
}

// Logout ends a session: the caller's own, or anybody's for an Administrator.
func (a *authority) Logout(ctx context.Context, by auth.Principal, id string) error {
	n := noteFrom(ctx)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.expire()
	s := a.byID[id]
	switch {
	case s == nil:
		return auth.ErrNoSession
	case by.Role != auth.Administrator && by.Account != s.Principal.Account:
		return auth.ErrForbidden
	case a.faults.logoutRefused != 0:
		n.logoutRefused = true
		return auth.ErrUnavailable
	}
	a.remove(s)
	n.event, n.session, n.user = eventLogout, id, string(s.Principal.Account)
	return nil
}

// expire ends what has gone unused for too long, and journals it; a.mu is held.
// Every use of the table comes through here first, so an expired session is
// never seen, and its slot is free.
func (a *authority) expire() {
	now := a.now()
	a.expireList(a.byUse, func(s *session) bool { return now.Sub(s.LastUsed) >= a.idle })
	if limit := a.faults.earlyExpiry; limit > 0 {
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
	a.journal.write(line{Event: eventExpired, User: string(s.Principal.Account), Session: s.ID})
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
	for _, acc := range a.accounts {
		a.unlock(acc)
		locked = locked || acc.locked
	}
	return len(a.byID), locked
}

// locked reports whether the account with that id is locked.
func (a *authority) locked(id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, acc := range a.accounts {
		if acc.id == id {
			a.unlock(acc)
			return acc.locked
		}
	}
	return false
}
