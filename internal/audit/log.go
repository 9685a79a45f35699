package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern/postern/auth"
)

// Config of a Log.
type Config struct {
	Dir   string      // made with mode 0700 where there is none
	Key   auth.Secret // KeySize bytes
	Node  string      // letters, digits, '.', '_', '-'; "" is "local"
	Epoch int64       // of this start; raised where the directory has the same or a later one
	Now   func() time.Time
	Log   *slog.Logger

	// Observe is told what is recorded; nil = nobody.
	Observe Observer

	// SegmentBytes is the size at which a file is followed by the next; 0 is 64 MiB.
	SegmentBytes int64
}

const (
	defaultSegmentBytes = 64 << 20
	// flushEvery bounds how long a noted record waits: what a crash may take.
	flushEvery = time.Second
	// maxNotes bounds the noted records in memory; half as many start a flush.
	maxNotes = 4096
	// maxGroup is the size in bytes beyond which a group of records is written,
	// and the rest goes into the next one.
	maxGroup = 1 << 20
)

// An Observer is told of records, by the goroutine that hands them in. Its methods
// return at once and are safe for concurrent use.
type Observer interface {
	// Recorded is told of each record that is on stable storage, or that Note took.
	Recorded(r Record)
	// Appended is told how long an Append took, and what it returned.
	Appended(took time.Duration, err error)
}

type nobody struct{}

func (nobody) Recorded(Record)               {}
func (nobody) Appended(time.Duration, error) {}

// ErrClosed is returned by Append after Close.
var ErrClosed = errors.New("audit: the log is closed")

// A Log appends records. It is safe for concurrent use.
type Log struct {
	now     func() time.Time
	log     *slog.Logger
	observe Observer
	w       *writer // of the goroutine that Open starts
	failing bool    // of the same: the last group could not be written
	epoch   int64
	pending []Record

	notes   chan struct{} // one element for each noted record that is not on disk
	urgent  chan struct{} // somebody waits
	noted   chan struct{} // something is to be flushed within flushEvery
	closing chan struct{}
	done    chan struct{} // the goroutine has ended; err is set
	err     error

	mu     sync.Mutex // guards what follows
	queue  []*entry
	closed bool
}

// An entry is a record on its way.
type entry struct {
	record Record
	result chan error // nil: a note
	slot   bool       // a note that takes one of maxNotes
	state  atomic.Int32
}

// The states of an entry that somebody waits for.
const (
	queued   int32 = iota
	taken          // is being written
	answered       // the result is there
	left           // whoever waited went away
)

// Open begins the epoch: it finds the head that the node's last epoch left,
// closes what that one left open, and returns when this is on stable storage.
// The returned Log owns one goroutine, which Close ends. A directory whose last
// segment does not begin with a record under this key is refused.
func Open(cfg Config) (*Log, error) {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	return open(cfg, osDisk{cfg.Dir})
}

func open(cfg Config, d disk) (*Log, error) {
	cfg.Node = cmp.Or(cfg.Node, "local")
	cfg.SegmentBytes = cmp.Or(cfg.SegmentBytes, defaultSegmentBytes)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Observe == nil {
		cfg.Observe = nobody{}
	}
	if !validNode.MatchString(cfg.Node) || cfg.Epoch < 1 {
		return nil, fmt.Errorf("audit: node %q and epoch %d cannot name a file", cfg.Node, cfg.Epoch)
	}
	chain, err := newChain(cfg.Key)
	if err != nil {
		return nil, err
	}
	old, err := recoverLast(cfg.Dir, cfg.Node, chain)
	if err != nil {
		return nil, err
	}
	l := &Log{
		now: cfg.Now, log: cfg.Log, observe: cfg.Observe, epoch: max(cfg.Epoch, old.epoch+1),
		notes: make(chan struct{}, maxNotes), urgent: make(chan struct{}, 1), noted: make(chan struct{}, 1),
		closing: make(chan struct{}), done: make(chan struct{}),
	}
	l.w = &writer{
		disk: d, chain: chain, log: cfg.Log, now: cfg.Now, node: cfg.Node, epoch: l.epoch, limit: cfg.SegmentBytes,
		seg: segment{node: cfg.Node, epoch: l.epoch}, head: old.head, open: old.open,
	}
	if err := l.begin(cfg, old); err != nil {
		return nil, fmt.Errorf("audit: begin epoch %d: %w", l.epoch, err)
	}
	go l.run()
	return l, nil
}

// begin writes the first records of the epoch.
func (l *Log) begin(cfg Config, old recovered) error {
	if old.head.File != "" {
		if err := l.w.disk.release(old.last.String()); err != nil {
			l.w.warn("audit: give back space behind the last segment", err)
		}
	}
	first := Record{Event: EpochStart, Detail: old.detail()}
	if l.epoch != cfg.Epoch {
		first.Detail = fmt.Sprintf("asked for epoch %d, but the log has a later one; %s", cfg.Epoch, first.Detail)
	}
	var ends []Record
	for _, r := range byTime(old.open) {
		if r.Event == CallBegin {
			ends = append(ends, ending(r, OutcomeUnknown, "Postern ended before the outcome was recorded", l.now()))
		} else {
			l.pending = append(l.pending, r)
		}
	}
	if old.damaged {
		l.log.LogAttrs(context.Background(), slog.LevelError, "audit: the last segment is damaged, run: postern audit verify",
			slog.String("file", old.last.String()), slog.Int64("offset", old.head.End))
	}
	return l.w.begin(first, ends)
}

// ending returns the record that ends what r began.
func ending(r Record, outcome, detail string, now time.Time) Record {
	r.Event, r.Outcome, r.Detail, r.Time = endOf[r.Event], outcome, detail, now.UTC()
	r.Head, r.Carries, r.Carried = nil, 0, false
	return r
}

// Epoch is the epoch that the records of this Log carry.
func (l *Log) Epoch() int64 { return l.epoch }

// Pending returns the logins and logouts at devices (LeaseLogin, LeaseLogout) and
// the sessions of callers (SessionStart) that were begun before this epoch and have no end. They stay open, over any
// number of starts, until a record with the same Ref ends them.
func (l *Log) Pending() []Record { return append([]Record(nil), l.pending...) }

// Append records r and returns when it is on stable storage. One sync serves all
// who wait. On an error the caller must not do what r announces; the next Append
// tries again, in a new file where that is needed. Errors other than the
// context's and ErrClosed match auth.ErrUnavailable. When ctx ends first, r may
// still come to be recorded; if it begins something, the Log then ends it with
// OutcomeNotDone.
func (l *Log) Append(ctx context.Context, r Record) error {
	start := time.Now() // a duration, not a date: no business of the injected clock
	err := l.append(ctx, r)
	l.observe.Appended(time.Since(start), err)
	if err == nil {
		l.observe.Recorded(r)
	}
	return err
}

func (l *Log) append(ctx context.Context, r Record) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	e := &entry{record: l.accept(r), result: make(chan error, 1)}
	if !l.push(e) {
		return ErrClosed
	}
	poke(l.urgent)
	select {
	case err := <-e.result:
		return err
	case <-ctx.Done():
		if e.state.CompareAndSwap(queued, left) || e.state.CompareAndSwap(taken, left) {
			return fmt.Errorf("audit: %w", ctx.Err())
		}
		return <-e.result
	}
}

// Note records r with the next group, at the latest after one second: so much a
// crash may take. Records that cannot be written are kept and tried again; while
// too many wait, Note blocks until there is room or the Log is closed.
func (l *Log) Note(r Record) {
	l.observe.Recorded(r)
	e := &entry{record: l.accept(r), slot: true}
	select {
	case l.notes <- struct{}{}:
	case <-l.closing:
		l.lost(1)
		return
	}
	if !l.push(e) {
		l.lost(1)
		return
	}
	if len(l.notes) >= maxNotes/2 {
		poke(l.urgent)
	} else {
		poke(l.noted)
	}
}

// Close writes what is queued and ends the Log. It is safe to call more than once.
func (l *Log) Close() error {
	l.mu.Lock()
	first := !l.closed
	l.closed = true
	l.mu.Unlock()
	if first {
		close(l.closing)
	}
	<-l.done
	return l.err
}

func (l *Log) accept(r Record) Record {
	r = bounded(r)
	r.Head, r.Carries, r.Carried, r.Time = nil, 0, false, l.now().UTC()
	return r
}

func (l *Log) push(e *entry) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.queue = append(l.queue, e)
	return true
}

// poke wakes the receiver of c, which looks after everything there is to do.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (l *Log) lost(n int) {
	l.log.LogAttrs(context.Background(), slog.LevelError, "audit: records are lost", slog.Int("records", n))
}
