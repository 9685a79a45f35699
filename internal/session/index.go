package session

import (
	"crypto/sha256"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern/postern/auth"
)

// An entry is a living session in memory. All but the atomic fields is fixed.
type entry struct {
	id       string
	token    [sha256.Size]byte
	owner    *owner
	version  int64 // the account's, when the session was made or loaded
	listener string
	source   netip.Addr
	context  string
	created  int64 // this and the others: nanoseconds since 1970
	idle     int64
	expires  int64 // 0 = no absolute end

	used   atomic.Int64
	stored int64 // used, as the store has it; guarded by Table.flush

	end   sync.Mutex // held while somebody ends the session
	ended bool       // guarded by end
}

// An owner is an account with at least one session here.
type owner struct {
	id      string
	name    auth.AccountName
	role    atomic.Pointer[auth.Role]
	version int64               // that role belongs to; guarded by index.mu
	entries map[*entry]struct{} // guarded by index.mu
}

// over returns why e has ended at now, "" while it lives.
func (e *entry) over(now int64) string {
	switch {
	case e.expires != 0 && now >= e.expires:
		return "lifetime over"
	case now-e.used.Load() >= e.idle:
		return "idle timeout"
	}
	return ""
}

func (e *entry) session() auth.Session {
	s := auth.Session{
		ID: e.id,
		Principal: auth.Principal{
			Account: e.owner.name, AccountID: e.owner.id, Role: *e.owner.role.Load(), SessionID: e.id,
		},
		Listener: e.listener,
		Source:   e.source,
		Context:  e.context,
		Created:  time.Unix(0, e.created).UTC(),
		LastUsed: time.Unix(0, e.used.Load()).UTC(),
		Idle:     time.Duration(e.idle),
	}
	if e.expires != 0 {
		s.Expires = time.Unix(0, e.expires).UTC()
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

	mu        sync.Mutex // guards what follows
	ids       map[string]*entry
	owners    map[string]*owner // by account id
	listeners map[string]int    // how many sessions
}

func (x *index) init() {
	x.ids, x.owners, x.listeners = make(map[string]*entry), make(map[string]*owner), make(map[string]int)
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
	if e == nil || e.listener != listener || e.over(now) != "" {
		return auth.Session{}, auth.ErrNoSession
	}
	e.used.Store(now)
	return e.session(), nil
}

func (x *index) insert(r Record) *entry {
	e := &entry{
		id: r.ID, token: r.Token, version: r.Version, listener: r.Listener, source: r.Source, context: r.Context,
		created: r.Created.UnixNano(), idle: int64(r.Idle), stored: r.LastUsed.UnixNano(),
	}
	e.used.Store(e.stored)
	if !r.Expires.IsZero() {
		e.expires = r.Expires.UnixNano()
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	e.owner = x.ownerOf(r)
	e.owner.entries[e] = struct{}{}
	x.ids[e.id] = e
	x.listeners[e.listener]++
	sh := x.shard(&e.token)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.entries[e.token] = e
	return e
}

// ownerOf returns the owner of r, with the newer role of the two. x.mu is held.
func (x *index) ownerOf(r Record) *owner {
	o := x.owners[r.AccountID]
	if o == nil {
		o = &owner{id: r.AccountID, name: r.Account, entries: make(map[*entry]struct{})}
		x.owners[o.id] = o
	}
	o.setRole(r.Role, r.Version)
	return o
}

// setRole keeps the role of the highest version. index.mu is held.
func (o *owner) setRole(role auth.Role, version int64) {
	if version >= o.version {
		o.version = version
		o.role.Store(&role)
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
	if x.listeners[e.listener]--; x.listeners[e.listener] == 0 {
		delete(x.listeners, e.listener)
	}
	return true
}

// drop takes out, where end says so, the sessions of an account that are older
// than version, except keep, and gives the rest its role.
func (x *index) drop(accountID string, version int64, role auth.Role, end bool, keep string) []*entry {
	x.mu.Lock()
	defer x.mu.Unlock()
	o := x.owners[accountID]
	if o == nil {
		return nil
	}
	o.setRole(role, version)
	var out []*entry
	for e := range o.entries {
		if end && e.version < version && e.id != keep {
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
	return l.PerListener > 0 && x.listeners[listener] >= l.PerListener
}

func (x *index) list(listener string, now int64) []auth.Session {
	x.mu.Lock()
	defer x.mu.Unlock()
	out := make([]auth.Session, 0, x.listeners[listener])
	for _, e := range x.ids {
		if e.listener == listener && e.over(now) == "" {
			out = append(out, e.session())
		}
	}
	return out
}
