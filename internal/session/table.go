package session

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/audit"
)

// What a zero Config stands for.
const (
	DefaultPerAccount  = 1_000
	DefaultPerListener = 20_000
	DefaultIdle        = 30 * time.Minute
)

// FlushInterval is how often the times of last use go to stable storage. It is
// the loss bound of a crash: a session may then end up to this long, and the time
// of one flush, before its idle timeout has passed, and never after.
const FlushInterval = 30 * time.Second

// Limits of what a login may bring along.
const (
	MaxToken   = 256  // bytes; the longest form of a family has 36
	MaxContext = 1024 // bytes of the client's own text, kept with each session
)

// Audit is where beginnings and ends of sessions are recorded. Append returns when
// the record is on stable storage.
type Audit interface {
	Append(ctx context.Context, r audit.Record) error
}

// Config of a Table.
type Config struct {
	Store Store
	Audit Audit
	// Limits on the number of sessions. A zero field means DefaultPerAccount or
	// DefaultPerListener, a negative one no limit.
	Limits Limits
	// Idle ends a session that was unused for this long, and Lifetime one this long
	// after its login, at listeners for which nobody has set rules. Zero means
	// DefaultIdle, and no end.
	Idle, Lifetime time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Log gets what nobody is there to be told; nil means silence.
	Log *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Limits.PerAccount == 0 {
		c.Limits.PerAccount = DefaultPerAccount
	}
	if c.Limits.PerListener == 0 {
		c.Limits.PerListener = DefaultPerListener
	}
	if c.Idle == 0 {
		c.Idle = DefaultIdle
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// A Table holds all sessions of this node. It is safe for concurrent use.
type Table struct {
	cfg Config
	index

	// admit is held for reading while a new session goes to the store and then into
	// the index, and for writing while an account's sessions are dropped. So no
	// session can slip into the index that its account's change has just ended.
	admit sync.RWMutex

	flush sync.Mutex    // one flush at a time; guards the entries' stored times
	wake  chan struct{} // tells Run of endings

	settling sync.Mutex // one takes from endings at a time
	endMu    sync.Mutex // guards endings
	endings  []ending   // over in memory, still to be recorded and deleted
}

// New returns an empty Table; see Load.
func New(c Config) (*Table, error) {
	if c.Store == nil || c.Audit == nil {
		return nil, errors.New("session: no store or no audit")
	}
	if c.Idle < 0 || c.Lifetime < 0 {
		return nil, errors.New("session: a timeout is negative")
	}
	t := &Table{cfg: c.withDefaults(), wake: make(chan struct{}, 1)}
	t.init(t.defaultRules)
	return t, nil
}

// defaultRules are the rules of a listener for which nobody has set any.
func (t *Table) defaultRules(listener string) ListenerRules {
	r := DefaultRules(listener)
	r.Idle, r.Lifetime = t.cfg.Idle, t.cfg.Lifetime
	return r
}

// Load reads the rules of the listeners and fills the index from the store. Call it once, before the first use. What has
// expired meanwhile is good for nothing, and is ended by the first Flush.
func (t *Table) Load(ctx context.Context) error {
	rules, err := t.cfg.Store.ListenerRules(ctx)
	if err != nil {
		return fmt.Errorf("session: load rules: %w", err)
	}
	for _, r := range rules {
		t.setRules(r)
	}
	rows, err := t.cfg.Store.Sessions(ctx)
	if err != nil {
		return fmt.Errorf("session: load: %w", err)
	}
	now := t.cfg.Now()
	for _, r := range rows {
		if r.LastUsed.After(now) {
			r.LastUsed = now // the clock was set back; no session gains by that
		}
		t.insert(r)
	}
	return nil
}

// Rules returns the rules of a listener that are in force. It does no I/O and does
// not allocate.
func (t *Table) Rules(listener string) ListenerRules { return t.rulesOf(listener) }

// SetRules stores r and puts it in force, for the living sessions of the listener
// too: ErrBadRules, ErrConflict, auth.ErrUnavailable. r.Version is the one that the
// rules were thought out for.
func (t *Table) SetRules(ctx context.Context, r ListenerRules) (ListenerRules, error) {
	if err := r.Check(); err != nil {
		return ListenerRules{}, err
	}
	now := t.cfg.Now()
	r, err := t.cfg.Store.SetListenerRules(context.WithoutCancel(ctx), r, now)
	if errors.Is(err, ErrConflict) {
		return ListenerRules{}, err
	}
	if err != nil {
		return ListenerRules{}, fmt.Errorf("session: %w: set rules: %w", auth.ErrUnavailable, err)
	}
	t.reap(now) // what is over by the old rules stays over
	t.setRules(r)
	return r, nil
}

// Known reports whether a session with that id is in the table, expired or not.
func (t *Table) Known(id string) bool { return t.byID(id) != nil }

// A Start is a session to be made: somebody's attempt was accepted.
type Start struct {
	Principal auth.Principal // SessionID is ignored
	Version   int64          // of the account whose password was checked
	Token     auth.Secret
	ID        string // drawn where empty
	Listener  string
	Source    netip.Addr
	Context   string
	Kind      auth.Kind
}

// Room returns auth.ErrSessionLimit where Create would, as far as one can know
// before the transaction.
func (t *Table) Room(accountID, listener string) error {
	if !t.full(accountID, listener, t.cfg.Limits) {
		return nil
	}
	t.reap(t.cfg.Now())
	if !t.full(accountID, listener, t.cfg.Limits) {
		return nil
	}
	return auth.ErrSessionLimit
}

// Create makes a session. Its start is recorded, then committed, then returned; the
// caller's cancel cuts off none of these. Whoever calls it records with the same id
// what came of the attempt. Errors: auth.ErrSessionLimit, ErrStale
// (the account was changed meanwhile), ErrExists (of id or token),
// auth.ErrUnavailable (audit or store failed; nothing was made).
func (t *Table) Create(ctx context.Context, s Start) (auth.Session, error) {
	if err := ctx.Err(); err != nil {
		return auth.Session{}, err
	}
	if t.behind() {
		return auth.Session{}, fmt.Errorf("session: %w: too many ended sessions could not be deleted", auth.ErrUnavailable)
	}
	r, err := t.record(s)
	if err != nil {
		return auth.Session{}, err
	}
	ctx = context.WithoutCancel(ctx)
	if err := t.cfg.Audit.Append(ctx, startRecord(ctx, r)); err != nil {
		return auth.Session{}, fmt.Errorf("session: %w: audit: %w", auth.ErrUnavailable, err)
	}
	e, err := t.commit(ctx, r)
	if err != nil {
		return auth.Session{}, err
	}
	return e.session(), nil
}

func (t *Table) record(s Start) (Record, error) {
	token := s.Token.Reveal()
	if token == "" || len(token) > MaxToken || len(s.Context) > MaxContext {
		return Record{}, fmt.Errorf("session: token must have 1 to %d bytes, context at most %d", MaxToken, MaxContext)
	}
	now := t.cfg.Now()
	r := Record{
		ID: s.ID, Token: sha256.Sum256([]byte(token)), AccountID: s.Principal.AccountID, Listener: s.Listener,
		Source: s.Source, Context: s.Context, Created: now, LastUsed: now,
		Kind: s.Kind, InitialRole: s.Principal.Role,
		Account: s.Principal.Account, Role: s.Principal.Role, MustChangePassword: s.Principal.MustChangePassword, Version: s.Version,
	}
	if r.ID == "" {
		r.ID = rand.Text()
	}
	return r, nil
}

func (t *Table) commit(ctx context.Context, r Record) (*entry, error) {
	t.admit.RLock()
	defer t.admit.RUnlock()
	err := t.cfg.Store.CreateSession(ctx, r, t.cfg.Limits, r.Created)
	if errors.Is(err, auth.ErrSessionLimit) {
		// Rows of sessions that have expired hold places until they are deleted.
		if serr := t.sweep(ctx, r.Created); serr == nil {
			err = t.cfg.Store.CreateSession(ctx, r, t.cfg.Limits, r.Created)
		}
	}
	switch {
	case err == nil:
		return t.insert(r), nil
	case errors.Is(err, auth.ErrSessionLimit), errors.Is(err, ErrStale), errors.Is(err, ErrExists):
		return nil, err
	}
	t.later(ending{id: r.ID}) // it may have been committed all the same
	return nil, fmt.Errorf("session: %w: create: %w", auth.ErrUnavailable, err)
}

// Lookup returns the session that token belongs to and notes its use:
// auth.ErrNoSession where there is none on this listener. It does no I/O and does
// not allocate. The principal's role is the one that the account has now.
func (t *Table) Lookup(listener, token string) (auth.Session, error) {
	if len(token) > MaxToken {
		return auth.Session{}, auth.ErrNoSession
	}
	var buf [MaxToken]byte // a conversion of a long string would allocate
	return t.find(sha256.Sum256(buf[:copy(buf[:], token)]), listener, t.cfg.Now().UnixNano())
}

// Sessions returns the living sessions of a listener, the oldest first.
func (t *Table) Sessions(listener string) []auth.Session {
	all := t.list(listener, t.cfg.Now().UnixNano())
	slices.SortFunc(all, func(a, b auth.Session) int {
		if c := a.Created.Compare(b.Created); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return all
}

// Counts returns how many sessions each listener has, those that have just come to
// their end included.
func (t *Table) Counts() map[string]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := map[string]int{}
	for name, p := range *t.places.Load() {
		out[name] = p.count
	}
	return out
}

// Session returns one living session of a listener: auth.ErrNoSession.
func (t *Table) Session(listener, id string) (auth.Session, error) {
	e := t.byID(id)
	if e == nil || e.place.name != listener || e.over(t.cfg.Now().UnixNano()) != "" {
		return auth.Session{}, auth.ErrNoSession
	}
	return e.session(), nil
}

// Get returns the living session with that id, whatever its listener: auth.ErrNoSession.
func (t *Table) Get(id string) (auth.Session, error) {
	e := t.byID(id)
	if e == nil || e.over(t.cfg.Now().UnixNano()) != "" {
		return auth.Session{}, auth.ErrNoSession
	}
	return e.session(), nil
}
