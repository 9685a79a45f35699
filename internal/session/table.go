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

// Audit is where sessions' beginnings and ends are recorded. Append returns when
// the record, and each one noted before, is on stable storage; Note only queues.
type Audit interface {
	Append(ctx context.Context, r audit.Record) error
	Note(r audit.Record)
}

// Config of a Table.
type Config struct {
	Store Store
	Audit Audit
	// Limits on the number of sessions. A zero field means DefaultPerAccount or
	// DefaultPerListener, a negative one no limit.
	Limits Limits
	// Idle ends a session that was unused for this long; zero means DefaultIdle.
	Idle time.Duration
	// Lifetime ends a session this long after its login, used or not; zero means never.
	Lifetime time.Duration
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
	Config
	index

	// admit is held for reading while a new session goes to the store and then into
	// the index, and for writing while an account's sessions are dropped. So no
	// session can slip into the index that its account's change has just ended.
	admit sync.RWMutex

	flush  sync.Mutex // guards doomed and the entries' stored times
	doomed []string   // ended in memory, their rows still to be deleted
}

// New returns an empty Table; see Load.
func New(c Config) (*Table, error) {
	if c.Store == nil || c.Audit == nil {
		return nil, errors.New("session: no store or no audit")
	}
	if c.Idle < 0 || c.Lifetime < 0 {
		return nil, errors.New("session: a timeout is negative")
	}
	return &Table{Config: c.withDefaults(), index: newIndex()}, nil
}

// Load fills the index from the store. What expired meanwhile is ended. Call it
// once, before the first use.
func (t *Table) Load(ctx context.Context) error {
	rows, err := t.Store.Sessions(ctx)
	if err != nil {
		return fmt.Errorf("session: load: %w", err)
	}
	now := t.Now()
	for _, r := range rows {
		if r.LastUsed.After(now) {
			r.LastUsed = now // the clock was set back; no session gains by that
		}
		t.insert(r)
	}
	t.reap(now)
	return t.deleteDoomed(ctx, now)
}

// A Start is a session to be made: somebody's attempt was accepted.
type Start struct {
	Principal auth.Principal // SessionID is ignored
	Version   int64          // of the account whose password was checked
	Token     auth.Secret
	ID        string // drawn where empty
	Listener  string
	Source    netip.Addr
	Context   string
}

// Room returns auth.ErrSessionLimit where Create would, as far as one can know
// before the transaction.
func (t *Table) Room(accountID, listener string) error {
	if !t.full(accountID, listener, t.Limits) {
		return nil
	}
	t.reap(t.Now())
	if !t.full(accountID, listener, t.Limits) {
		return nil
	}
	return auth.ErrSessionLimit
}

// Create makes a session. It is recorded, then committed, then returned; the
// caller's cancel cuts off none of these. Errors: auth.ErrSessionLimit, ErrStale
// (the account was changed meanwhile), ErrExists (of id or token),
// auth.ErrUnavailable (audit or store failed; nothing was made).
func (t *Table) Create(ctx context.Context, s Start) (auth.Session, error) {
	if err := ctx.Err(); err != nil {
		return auth.Session{}, err
	}
	r, err := t.record(s)
	if err != nil {
		return auth.Session{}, err
	}
	ctx = context.WithoutCancel(ctx)
	if err := t.Audit.Append(ctx, startRecord(ctx, r)); err != nil {
		return auth.Session{}, fmt.Errorf("session: %w: audit: %w", auth.ErrUnavailable, err)
	}
	e, err := t.commit(ctx, r)
	if err != nil {
		t.Audit.Note(notDone(ctx, r, err))
		return auth.Session{}, err
	}
	return e.session(), nil
}

func (t *Table) record(s Start) (Record, error) {
	token := s.Token.Reveal()
	if token == "" || len(token) > MaxToken || len(s.Context) > MaxContext {
		return Record{}, fmt.Errorf("session: token must have 1 to %d bytes, context at most %d", MaxToken, MaxContext)
	}
	now := t.Now()
	r := Record{
		ID: s.ID, Token: sha256.Sum256([]byte(token)), AccountID: s.Principal.AccountID, Listener: s.Listener,
		Source: s.Source, Context: s.Context, Created: now, LastUsed: now, Idle: t.Idle,
		Account: s.Principal.Account, Role: s.Principal.Role, Version: s.Version,
	}
	if r.ID == "" {
		r.ID = rand.Text()
	}
	if t.Lifetime > 0 {
		r.Expires = now.Add(t.Lifetime)
	}
	return r, nil
}

func (t *Table) commit(ctx context.Context, r Record) (*entry, error) {
	t.admit.RLock()
	defer t.admit.RUnlock()
	err := t.Store.CreateSession(ctx, r, t.Limits, r.Created)
	if errors.Is(err, auth.ErrSessionLimit) {
		// Rows of sessions that have expired hold places until they are deleted.
		if derr := t.sweep(ctx, r.Created); derr == nil {
			err = t.Store.CreateSession(ctx, r, t.Limits, r.Created)
		}
	}
	switch {
	case err == nil:
		return t.insert(r), nil
	case errors.Is(err, auth.ErrSessionLimit), errors.Is(err, ErrStale), errors.Is(err, ErrExists):
		return nil, err
	}
	t.doom(r.ID) // it may have been committed all the same
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
	return t.find(sha256.Sum256(buf[:copy(buf[:], token)]), listener, t.Now().UnixNano())
}

// Sessions returns the living sessions of a listener, the oldest first.
func (t *Table) Sessions(listener string) []auth.Session {
	all := t.list(listener, t.Now().UnixNano())
	slices.SortFunc(all, func(a, b auth.Session) int {
		if c := a.Created.Compare(b.Created); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return all
}

// Session returns one living session of a listener: auth.ErrNoSession.
func (t *Table) Session(listener, id string) (auth.Session, error) {
	e := t.byID(id)
	if e == nil || e.listener != listener || e.over(t.Now().UnixNano()) != "" {
		return auth.Session{}, auth.ErrNoSession
	}
	return e.session(), nil
}

// Get returns the living session with that id, whatever its listener: auth.ErrNoSession.
func (t *Table) Get(id string) (auth.Session, error) {
	e := t.byID(id)
	if e == nil || e.over(t.Now().UnixNano()) != "" {
		return auth.Session{}, auth.ErrNoSession
	}
	return e.session(), nil
}
