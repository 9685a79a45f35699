package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"
)

// maxGroup bounds the writes that share a commit, and so the time that the first
// of them waits for the last: about 10 ms. More of them save nothing, the sync is a
// small part of the work by then.
const maxGroup = 128

var (
	errReadOnly = errors.New("store: opened for reading alone")
	errClosed   = errors.New("store: closed")
)

// A job is one write that waits for its turn.
type job struct {
	run      func(*sql.Tx) error
	err      error
	panicked any
	done     chan struct{} // closed when err and panicked are set
}

// An event is an outbox row to be.
type event struct {
	kind, key string
	at        int64
}

// A group commits writes, many in one transaction and with one sync, in the order
// in which they came. A goroutine does that while there are any.
type group struct {
	mu      sync.Mutex // guards what follows
	queue   []*job
	running chan struct{} // closed when the goroutine has ended; nil where there is none
	closed  bool
}

// write runs f in a transaction that is on stable storage when write returns nil.
// Where f returns an error, or the error is not nil for another reason, nothing of
// what f did is left. f shares its transaction with others, which see what it wrote
// and are seen by it in some order; it runs in another goroutine, at most once. When
// ctx ends before that, it never runs; after that, write still waits for the outcome.
func (s *Store) write(ctx context.Context, f func(*sql.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	j := &job{run: f, done: make(chan struct{})}
	if err := s.enqueue(j); err != nil {
		return err
	}
	select {
	case <-j.done:
	case <-ctx.Done():
		if s.group.drop(j) {
			return ctx.Err()
		}
		<-j.done
	}
	if j.panicked != nil {
		panic(j.panicked)
	}
	return j.err
}

func (s *Store) enqueue(j *job) error {
	if s.w == nil {
		return errReadOnly
	}
	g := &s.group
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return errClosed
	}
	g.queue = append(g.queue, j)
	if g.running == nil {
		g.running = make(chan struct{})
		go s.commitAll(g.running)
	}
	return nil
}

// drop takes j off the queue and reports whether it was still there.
func (g *group) drop(j *job) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, q := range g.queue {
		if q == j {
			g.queue = append(g.queue[:i], g.queue[i+1:]...)
			return true
		}
	}
	return false
}

// next takes the oldest job off the queue; nil where there is none.
func (g *group) next() *job {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.queue) == 0 {
		return nil
	}
	j := g.queue[0]
	g.queue[0] = nil
	g.queue = g.queue[1:]
	return j
}

// end reports whether there is nothing left to do; the goroutine ends then.
func (g *group) end() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.queue) > 0 {
		return false
	}
	g.queue = nil
	g.running = nil
	return true
}

// close lets nobody queue any more and waits for those who have.
func (g *group) close() {
	g.mu.Lock()
	g.closed = true
	running := g.running
	g.mu.Unlock()
	if running != nil {
		<-running
	}
}

func (s *Store) commitAll(ended chan struct{}) {
	defer close(ended)
	for {
		s.commitGroup()
		if s.group.end() {
			return
		}
	}
}

// commitGroup runs what is queued, and what is queued meanwhile, in one transaction.
func (s *Store) commitGroup() {
	tx, err := s.w.BeginTx(context.Background(), nil)
	if err != nil {
		s.giveUp(fmt.Errorf("store: begin: %w", err))
		return
	}
	var ran []*job
	for len(ran) < maxGroup && err == nil {
		j := s.group.next()
		if j == nil {
			break
		}
		ran = append(ran, j)
		err = s.runJob(tx, j, len(ran) == 1)
		if len(ran) == 1 && j.failed() {
			break // it had no savepoint: the transaction is spoilt for others
		}
	}
	switch {
	case err != nil || len(ran) == 0 || len(ran) == 1 && ran[0].failed():
		tx.Rollback() // whatever comes of it, nothing is committed
	default:
		if err = s.writeEvents(tx); err != nil {
			tx.Rollback()
		} else {
			err = tx.Commit()
		}
	}
	s.events = s.events[:0]
	for _, j := range ran {
		if err != nil {
			j.err = fmt.Errorf("store: commit: %w", err)
		}
		close(j.done)
	}
}

// giveUp fails all that wait: for each of them a try might take as long.
func (s *Store) giveUp(err error) {
	for j := s.group.next(); j != nil; j = s.group.next() {
		j.err = err
		close(j.done)
	}
}

func (j *job) failed() bool { return j.err != nil || j.panicked != nil }

// runJob runs j, the first of its transaction or behind others, whose work an
// error of j leaves as it is. An error of runJob says that it could not.
func (s *Store) runJob(tx *sql.Tx, j *job, first bool) error {
	if first {
		s.try(tx, j)
		return nil
	}
	if _, err := tx.ExecContext(context.Background(), "savepoint job"); err != nil {
		return err
	}
	events := len(s.events)
	s.try(tx, j)
	if j.failed() {
		s.events = s.events[:events]
		if _, err := tx.ExecContext(context.Background(), "rollback to job"); err != nil {
			return fmt.Errorf("%w, after: %w", err, j.err)
		}
	}
	_, err := tx.ExecContext(context.Background(), "release job")
	return err
}

// try keeps what f panics with for the goroutine that is to be blamed.
func (s *Store) try(tx *sql.Tx, j *job) {
	defer func() { j.panicked = recover() }()
	j.err = j.run(tx)
}

// emit leaves the outbox row of a change: it is written with the commit, so that
// the counter, which is the lock that keeps the numbers in commit order on every
// database, is taken once for all who share that.
func (s *Store) emit(_ context.Context, _ *sql.Tx, kind, key string, at time.Time) error {
	s.events = append(s.events, event{kind, key, nanos(at)})
	return nil
}

func (s *Store) writeEvents(tx *sql.Tx) error {
	if len(s.events) == 0 {
		return nil
	}
	ctx := context.Background()
	var last int64
	err := tx.QueryRowContext(ctx,
		`update counter set value = value + ? where name = 'outbox' returning value`, len(s.events)).Scan(&last)
	if err != nil {
		return err
	}
	for i, e := range s.events {
		_, err := tx.ExecContext(ctx, `insert into outbox (seq, kind, key, at, node, epoch) values (?, ?, ?, ?, ?, ?)`,
			last-int64(len(s.events)-1-i), e.kind, e.key, e.at, s.node, s.epoch)
		if err != nil {
			return err
		}
	}
	return nil
}
