package session

import (
	"crypto/sha256"
	"maps"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern/postern/auth"
)

// An entry is a living session in memory. All but the atomic fields is fixed.
type entry struct {
	id      string
	token   [sha256.Size]byte
	owner   *owner
	place   *place
	version int64 // the account's, when the session was made or loaded
	source  netip.Addr
	context string
	kind    auth.Kind
	role    auth.Role // at the login
	created int64     // nanoseconds since 1970, as is used

	used   atomic.Int64
	stored int64 // used, as the store has it; guarded by Table.flush

	end   sync.Mutex // held while somebody ends the session
	ended bool       // guarded by end
}

// An owner is an account with at least one session here.
type owner struct {
	id      string
	name    auth.AccountName
	state   atomic.Pointer[state]
	entries map[*entry]struct{} // guarded by index.mu
}

// A state is what an account is like since its version; it is fixed.
type state struct {
	role       auth.Role
	mustChange bool
	version    int64
}

// A place is a listener: one that has, or had, a session or rules of its own.
type place struct {
	name  string
	rules atomic.Pointer[ListenerRules]
	count int // sessions; guarded by index.mu
}

// over returns why e has ended at now, "" while it lives.
func (e *entry) over(now int64) string {
	r := e.place.rules.Load()
	switch {
	case r.Lifetime != 0 && now-e.created >= int64(r.Lifetime):
		return "lifetime over"
	case now-e.used.Load() >= int64(r.Idle):
		return "idle timeout"
	}
	return ""
}

func (e *entry) session() auth.Session {
	r, owner := e.place.rules.Load(), e.owner.state.Load()
	s := auth.Session{
		ID: e.id,
		Principal: auth.Principal{
			Account: e.owner.name, AccountID: e.owner.id, Role: owner.role, SessionID: e.id,
			MustChangePassword: owner.mustChange,
		},
		Listener: e.place.name,
		Source:   e.source,
		Context:  e.context,
		Kind:     e.kind, InitialRole: e.role,
		Created:  time.Unix(0, e.created).UTC(),
		LastUsed: time.Unix(0, e.used.Load()).UTC(),
		Idle:     r.Idle,
	}
	if r.Lifetime != 0 {
		s.Expires = s.Created.Add(r.Lifetime)
	}
	return s
}

// shardCount spreads the token checks over so many locks.
const shardCount = 64

type shard struct {
	mu      sync.RWMutex // guards entries
	entries map[[sha256.Size]byte]*entry
	_       [32]byte // keeps neighbours' locks off one cache line
}

// An index finds entries by token, by id and by account. Locks are taken in the
// order mu, shard.
type index struct {
	shards [shardCount]shard

	defaults func(listener string) ListenerRules // fixed

	mu     sync.Mutex // guards what follows
	ids    map[string]*entry
	owners map[string]*owner                 // by account id
	places atomic.Pointer[map[string]*place] // by name; mu is for its replacement alone, by a longer one
}

func (x *index) init(defaults func(string) ListenerRules) {
	x.defaults = defaults
	x.ids, x.owners = make(map[string]*entry), make(map[string]*owner)
	x.places.Store(&map[string]*place{})
	for i := range x.shards {
		x.shards[i].entries = make(map[[sha256.Size]byte]*entry)
	}
}

func (x *index) shard(token *[sha256.Size]byte) *shard { return &x.shards[token[0]%shardCount] }

// find is the token check. A known and an unknown token cost the same: one hash,
// made by the caller, and one look into a map.
func (x *index) find(token [sha256.Size]byte, listener string, now int64) (auth.Session, error) {
	sh := x.shard(&token)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	e := sh.entries[token]
	if e == nil || e.place.name != listener || e.over(now) != "" {
		return auth.Session{}, auth.ErrNoSession
	}
	e.used.Store(now)
	return e.session(), nil
}

func (x *index) insert(r Record) *entry {
	e := &entry{
		id: r.ID, token: r.Token, version: r.Version, source: r.Source, context: r.Context,
		kind: r.Kind, role: r.InitialRole,
		created: r.Created.UnixNano(), stored: r.LastUsed.UnixNano(),
	}
	e.used.Store(e.stored)
	x.mu.Lock()
	defer x.mu.Unlock()
	e.owner = x.ownerOf(r)
	e.owner.entries[e] = struct{}{}
	x.ids[e.id] = e
	e.place = x.placeOf(r.Listener)
	e.place.count++
	sh := x.shard(&e.token)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.entries[e.token] = e
	return e
}

// ownerOf returns the owner of r, in the newer state of the two. x.mu is held.
func (x *index) ownerOf(r Record) *owner {
	o := x.owners[r.AccountID]
	if o == nil {
		o = &owner{id: r.AccountID, name: r.Account, entries: make(map[*entry]struct{})}
		x.owners[o.id] = o
	}
	o.setState(state{role: r.Role, mustChange: r.MustChangePassword, version: r.Version})
	return o
}

// setState keeps the state of the highest version. index.mu is held.
func (o *owner) setState(s state) {
	if old := o.state.Load(); old == nil || s.version >= old.version {
		o.state.Store(&s)
	}
}

// placeOf returns the place of that name. x.mu is held.
func (x *index) placeOf(name string) *place {
	old := *x.places.Load()
	if p := old[name]; p != nil {
		return p
	}
	p := &place{name: name}
	r := x.defaults(name)
	p.rules.Store(&r)
	next := maps.Clone(old)
	next[name] = p
	x.places.Store(&next)
	return p
}

// rulesOf returns the rules in force at a listener.
func (x *index) rulesOf(listener string) ListenerRules {
	if p := (*x.places.Load())[listener]; p != nil {
		return *p.rules.Load()
	}
	return x.defaults(listener)
}

// setRules puts r in force, if it is newer than what is there.
func (x *index) setRules(r ListenerRules) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if p := x.placeOf(r.Listener); p.rules.Load().Version < r.Version {
		p.rules.Store(&r)
	}
}

// remove takes e out and reports whether it was in.
func (x *index) remove(e *entry) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.removeLocked(e)
}

func (x *index) removeLocked(e *entry) bool {
	if x.ids[e.id] != e {
		return false
	}
	sh := x.shard(&e.token)
	sh.mu.Lock()
	delete(sh.entries, e.token)
	sh.mu.Unlock()
	delete(x.ids, e.id)
	delete(e.owner.entries, e)
	if len(e.owner.entries) == 0 {
		delete(x.owners, e.owner.id)
	}
	e.place.count--
	return true
}

// drop takes out, where end says so, the sessions of an account that are older
// than the account's version, except keep, and gives the rest its new state.
func (x *index) drop(accountID string, now state, end bool, keep string) []*entry {
	x.mu.Lock()
	defer x.mu.Unlock()
	o := x.owners[accountID]
	if o == nil {
		return nil
	}
	o.setState(now)
	var out []*entry
	for e := range o.entries {
		if end && e.version < now.version && e.id != keep {
			out = append(out, e)
		}
	}
	for _, e := range out {
		x.removeLocked(e)
	}
	return out
}

// dropOver takes out what has ended at now, and says why each did.
func (x *index) dropOver(now int64) (out []*entry, why []string) {
	for i := range x.shards {
		for _, e := range x.shards[i].over(now) {
			reason := x.shards[i].delete(e, now)
			if reason != "" && x.remove(e) { // else it was used, or ended, meanwhile
				out, why = append(out, e), append(why, reason)
			}
		}
	}
	return out, why
}

// clockSlack is how far a use may lie behind now, in nanoseconds, because it was
// noted while a look through all entries went on.
const clockSlack = int64(time.Second)

// over looks through all entries for those that have ended at now. Token checks
// go on meanwhile.
func (sh *shard) over(now int64) (out []*entry) {
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	for _, e := range sh.entries {
		if e.used.Load()-now > clockSlack {
			e.used.Store(now) // the clock was set back; no session gains by that
		}
		if e.over(now) != "" {
			out = append(out, e)
		}
	}
	return out
}

// delete takes e out if it has ended at now, and says why. The verdict falls under
// the lock that find holds while it notes a use.
func (sh *shard) delete(e *entry, now int64) string {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	why := e.over(now)
	if why != "" && sh.entries[e.token] == e {
		delete(sh.entries, e.token)
	}
	return why
}

func (x *index) byID(id string) *entry {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.ids[id]
}

func (x *index) full(accountID, listener string, l Limits) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if o := x.owners[accountID]; o != nil && l.PerAccount > 0 && len(o.entries) >= l.PerAccount {
		return true
	}
	p := (*x.places.Load())[listener]
	return l.PerListener > 0 && p != nil && p.count >= l.PerListener
}

func (x *index) list(listener string, now int64) []auth.Session {
	x.mu.Lock()
	defer x.mu.Unlock()
	p := (*x.places.Load())[listener]
	if p == nil {
		return nil
	}
	out := make([]auth.Session, 0, p.count)
	for _, e := range x.ids {
		if e.place == p && e.over(now) == "" {
			out = append(out, e.session())
		}
	}
	return out
}
