package authority

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"hash"
	"net/netip"
	"sync"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/account"
)

// wrongFor is how long a wrong secret is remembered and refused without hashing.
const wrongFor = time.Minute

// digest is a keyed hash of what somebody claims; the key lives as long as the process.
type digest [sha256.Size]byte

// A verdict is what came of one check of a password or certificate.
type verdict struct {
	account    account.Account  // where err is nil
	privileges auth.Privileges  // of its role now, where err is nil
	name       auth.AccountName // whom a certificate names, as far as it is known
	cached     bool             // nothing new was found out, nor has to be recorded
	reason     string           // for the operator only
	err        error
}

func (v verdict) principal() auth.Principal {
	return auth.Principal{
		Account: v.account.Name, AccountID: v.account.ID, Role: v.account.Role,
		Privileges: v.privileges, MustChangePassword: v.account.MustChangePassword,
	}
}

// A proof says that a password, known by its digest, is the account's.
type proof struct {
	account account.Account
	secret  digest
}

// A flight is one hash, for all who ask the same question at the same time.
type flight struct {
	name     auth.AccountName
	password auth.Secret
	secret   digest
	era      uint64        // checker.era when it began
	waiters  int           // guarded by checker.mu
	started  bool          // it has a slot; guarded by checker.mu
	orphaned chan struct{} // closed when the last waiter has gone before that
	done     chan struct{} // closed when v is set
	v        verdict
}

// A checker answers whether a password is the account's. Its order of steps is
// the same for names that exist and names that do not, and so is its work: first
// memory alone, then one read and one hash in a slot.
type checker struct {
	accounts account.Store
	hashes   func(hash string, password auth.Secret) bool // account.Verify
	now      func() time.Time
	keyed    sync.Pool // of HMACs with one key, which nothing else has
	slots    chan struct{}
	most     int             // flights at a time: in a slot or waiting for one
	stop     context.Context // ends at close
	cancel   context.CancelFunc
	running  sync.WaitGroup

	mu      sync.Mutex // guards what follows
	era     uint64     // raised when an account changes: what was read before counts no more
	proofs  map[auth.AccountName]proof
	wrong   *fifo[digest, wrongSecret]
	failed  *fifo[digest, *failures]
	flights map[digest]*flight
	active  int // flights that have not landed
}

// A wrongSecret was judged once. It is refused unjudged until until, and counted
// towards a lockout once, whenever it comes again.
type wrongSecret struct {
	name    digest
	until   time.Time
	counted time.Time
}

func newChecker(c Config) *checker {
	k := &checker{
		accounts: c.Accounts, hashes: account.Verify, now: c.Now, slots: make(chan struct{}, c.HashSlots), most: c.HashSlots + c.Queue,
		proofs: make(map[auth.AccountName]proof), flights: make(map[digest]*flight),
		wrong: newFIFO[digest, wrongSecret](remembered), failed: newFIFO[digest, *failures](remembered),
	}
	key := make([]byte, sha256.Size)
	rand.Read(key) // never fails
	k.keyed.New = func() any { return &keyed{Hash: hmac.New(sha256.New, key)} }
	k.stop, k.cancel = context.WithCancel(context.Background())
	return k
}

func (k *checker) close() {
	k.mu.Lock()
	k.cancel() // under mu: begin starts no flight after it
	k.mu.Unlock()
	k.running.Wait()
}

// A keyed hash and the text for it, to be used again.
type keyed struct {
	hash.Hash
	text []byte
}

// sum is the keyed hash of the parts, each with its length before it.
func (k *checker) sum(parts ...string) (d digest) {
	h := k.keyed.Get().(*keyed)
	defer k.keyed.Put(h)
	b := h.text[:0]
	for _, p := range parts {
		b = binary.BigEndian.AppendUint64(b, uint64(len(p)))
		b = append(b, p...)
	}
	h.Reset()
	h.Write(b)
	h.Sum(d[:0])
	clear(b) // there is a secret in it
	if len(b) <= maxText {
		h.text = b
	}
	return d
}

// maxText bounds what is kept for the next one: any password that may be right fits.
const maxText = account.MaxPassword + 2*account.MaxName

func (k *checker) verify(ctx context.Context, name auth.AccountName, source netip.Addr, password auth.Secret) verdict {
	if err := ctx.Err(); err != nil {
		return verdict{err: err, reason: "caller gone"}
	}
	secret := k.sum("secret", string(name), password.Reveal())
	if v, ok := k.proven(name, secret); ok {
		return v
	}
	nameSum := k.sum("name", string(name))
	tally := k.sum("source", string(name), sourceKey(source))

	k.mu.Lock()
	f, v := k.begin(name, password, secret, nameSum, tally)
	k.mu.Unlock()
	if f == nil {
		return v
	}
	select {
	case <-f.done:
		return f.v
	case <-ctx.Done():
		k.leave(f)
		return verdict{err: ctx.Err(), reason: "caller gone"}
	}
}

// proven answers for a password that was good before.
func (k *checker) proven(name auth.AccountName, secret digest) (verdict, bool) {
	k.mu.Lock()
	p, have := k.proofs[name]
	k.mu.Unlock()
	same := subtle.ConstantTimeCompare(p.secret[:], secret[:]) == 1
	return verdict{account: p.account, cached: true}, have && same
}

// begin answers from memory, or returns the flight to wait for. k.mu is held.
func (k *checker) begin(name auth.AccountName, password auth.Secret, secret, nameSum, tally digest) (*flight, verdict) {
	now := k.now()
	if w, ok := k.wrong.get(secret); ok && now.Before(w.until) {
		return nil, verdict{err: auth.ErrBadCredentials, reason: "the same wrong password again"}
	}
	if f := k.flights[secret]; f != nil && f.era == k.era {
		f.waiters++
		return f, verdict{}
	}
	if k.stop.Err() != nil {
		return nil, verdict{err: auth.ErrUnavailable, reason: "shutting down"}
	}
	fs, ok := k.failed.get(tally)
	if !ok {
		fs = &failures{name: nameSum}
	}
	if !fs.allow(now) {
		return nil, verdict{err: auth.ErrBadCredentials, reason: "too many wrong passwords from this source"}
	}
	if k.active >= k.most {
		return nil, verdict{err: auth.ErrBusy, reason: "too many checks are waiting"}
	}
	if !ok {
		k.failed.add(tally, fs)
	}
	fs.pending++
	f := &flight{
		name: name, password: password, secret: secret, era: k.era, waiters: 1,
		orphaned: make(chan struct{}), done: make(chan struct{}),
	}
	k.flights[secret] = f
	k.active++
	k.running.Go(func() { k.fly(f, fs, nameSum) })
	return f, verdict{}
}

// leave takes one waiter off; a flight that nobody waits for leaves the queue.
func (k *checker) leave(f *flight) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if f.waiters--; f.waiters == 0 && !f.started {
		k.unlist(f)
		close(f.orphaned)
	}
}

// unlist lets nobody join f any more. k.mu is held.
func (k *checker) unlist(f *flight) {
	if k.flights[f.secret] == f {
		delete(k.flights, f.secret)
	}
}

func (k *checker) fly(f *flight, fs *failures, nameSum digest) {
	v, judged := k.inSlot(f)
	k.mu.Lock()
	defer k.mu.Unlock()
	defer close(f.done)
	f.v = v.verdict
	k.unlist(f)
	k.active--
	fs.pending--
	if !judged {
		return
	}
	now := k.now()
	if v.err != nil {
		fs.add(now)
	}
	if f.era != k.era {
		return // the account may have changed since it was read
	}
	if v.err == nil {
		k.proofs[f.name] = proof{account: v.account, secret: f.secret}
		return
	}
	v.wrong.name = nameSum
	k.wrong.add(f.secret, v.wrong)
}

// inSlot waits for a slot and judges in it. It reports whether it judged at all.
func (k *checker) inSlot(f *flight) (judged, bool) {
	givenUp := judged{verdict: verdict{err: auth.ErrUnavailable, reason: "given up"}}
	select {
	case k.slots <- struct{}{}:
		defer func() { <-k.slots }()
	case <-f.orphaned:
		return givenUp, false
	case <-k.stop.Done():
		return givenUp, false
	}
	k.mu.Lock()
	f.started = f.waiters > 0
	k.mu.Unlock()
	if !f.started {
		return givenUp, false
	}
	v, err := k.judge(f)
	if err != nil {
		err = fmt.Errorf("authority: %w: check a password: %w", auth.ErrUnavailable, err)
		return judged{verdict: verdict{err: err, reason: "store failed"}}, false
	}
	return v, true
}

// forget drops what is known of the passwords of an account: proof, wrong secrets,
// failures. Checks that run now are answered but not remembered, and nobody joins them.
func (k *checker) forget(name auth.AccountName) {
	nameSum := k.sum("name", string(name))
	k.mu.Lock()
	defer k.mu.Unlock()
	k.era++
	delete(k.proofs, name)
	k.wrong.drop(func(w wrongSecret) bool { return w.name == nameSum })
	k.failed.drop(func(f *failures) bool { return f.name == nameSum })
}
