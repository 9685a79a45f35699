package authority

import (
	"net/netip"
	"time"
)

// The failure limit: after maxWrong different wrong passwords for one account from
// one source within failureWindow, further ones are refused without being hashed.
// A proven password passes all the same.
const (
	maxWrong      = 10
	failureWindow = time.Minute
)

// remembered bounds the wrong secrets and the failing sources kept in memory, about
// 20 MB in all. A new one costs an attacker one hash, 40 ms of a slot, so 40 slots
// working for nobody else fill it in no less than the minute that it must cover.
const remembered = 1 << 16

// failures counts the wrong passwords of one source for one account.
type failures struct {
	name    digest              // of the account
	times   [maxWrong]time.Time // the last ones, a ring
	next    int
	pending int // being hashed now; each may turn out wrong
}

// allow reports whether one more password may be hashed.
func (f *failures) allow(now time.Time) bool {
	n := f.pending
	for _, t := range f.times {
		if !t.IsZero() && now.Sub(t) < failureWindow {
			n++
		}
	}
	return n < maxWrong
}

func (f *failures) add(now time.Time) {
	f.times[f.next] = now
	f.next = (f.next + 1) % maxWrong
}

// sourceKey is what counts as one source: an IPv4 address, or an IPv6 /64, since
// that is what one host is given.
func sourceKey(a netip.Addr) string {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}

// A fifo is a map of bounded size; the entry that was added first makes room. One
// that was dropped and added again may have to go early. It is not safe for
// concurrent use.
type fifo[K comparable, V any] struct {
	size    int
	entries map[K]V
	order   []K // a ring once it has size keys
	oldest  int
}

func newFIFO[K comparable, V any](size int) *fifo[K, V] {
	return &fifo[K, V]{size: size, entries: make(map[K]V)}
}

func (f *fifo[K, V]) get(k K) (V, bool) {
	v, ok := f.entries[k]
	return v, ok
}

func (f *fifo[K, V]) add(k K, v V) {
	if _, ok := f.entries[k]; ok {
		f.entries[k] = v
		return
	}
	f.entries[k] = v
	if len(f.order) < f.size {
		f.order = append(f.order, k)
		return
	}
	delete(f.entries, f.order[f.oldest])
	f.order[f.oldest] = k
	f.oldest = (f.oldest + 1) % f.size
}

// drop removes what match says.
func (f *fifo[K, V]) drop(match func(V) bool) {
	for k, v := range f.entries {
		if match(v) {
			delete(f.entries, k)
		}
	}
}
