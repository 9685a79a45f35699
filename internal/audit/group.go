package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/postern/postern/auth"
)

// run is the goroutine of the Log: it alone uses the writer.
func (l *Log) run() {
	defer close(l.done)
	var kept []*entry // notes that could not be written yet
	timer := time.NewTimer(flushEvery)
	timer.Stop()
	defer timer.Stop()
	armed := false
	for {
		select {
		case <-l.noted:
			if !armed {
				timer.Reset(flushEvery)
				armed = true
			}
			continue
		case <-l.urgent:
		case <-timer.C:
		case <-l.closing:
			l.err = l.end(kept)
			return
		}
		timer.Stop()
		kept = l.flush(append(kept, l.take()...))
		if armed = len(kept) > 0; armed {
			timer.Reset(flushEvery)
		}
	}
}

// end writes what is left, with a second try for what the first one kept.
func (l *Log) end(kept []*entry) error {
	kept = l.flush(l.flush(append(kept, l.take()...)))
	var err error
	if len(kept) > 0 {
		l.lost(len(kept))
		err = fmt.Errorf("audit: %d records could not be written", len(kept))
	}
	if closing := l.w.finish(); closing != nil {
		err = errors.Join(err, fmt.Errorf("audit: %w", closing))
	}
	return err
}

func (l *Log) take() []*entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	q := l.queue
	l.queue = nil
	return q
}

// flush writes entries in groups of bounded size, answers whoever waits, and
// returns what is to be tried again.
func (l *Log) flush(entries []*entry) (kept []*entry) {
	for len(entries) > 0 {
		var group []*entry
		group, entries = split(entries)
		err := l.commit(group, false)
		if !errors.Is(err, errNoRoom) {
			kept = append(kept, l.answer(group, err)...)
			continue
		}
		must, may := byNeed(group)
		kept = append(kept, l.answer(may, err)...)
		kept = append(kept, l.answer(must, l.commit(must, true))...)
	}
	return kept
}

// split takes the next group off entries. Records whose waiter has left are dropped.
func split(entries []*entry) (group, rest []*entry) {
	size := 0
	for i, e := range entries {
		if size >= maxGroup {
			return group, entries[i:]
		}
		if e.result != nil && !e.state.CompareAndSwap(queued, taken) {
			continue
		}
		r := &e.record
		size += 512 + len(r.Path) + len(r.Detail) + len(r.Ref) // about
		group = append(group, e)
	}
	return group, nil
}

func byNeed(group []*entry) (must, may []*entry) {
	for _, e := range group {
		if mayUseReserve[e.record.Event] {
			must = append(must, e)
		} else {
			may = append(may, e)
		}
	}
	return must, may
}

// commit writes a group, and logs when writing begins to fail and when it works again.
func (l *Log) commit(group []*entry, reserve bool) error {
	if len(group) == 0 {
		return nil
	}
	records := make([]Record, len(group))
	for i, e := range group {
		records[i] = e.record
	}
	err := l.w.commit(records, reserve)
	if failed := err != nil; failed != l.failing {
		l.failing = failed
		if failed {
			l.w.warn("audit: records cannot be written", err)
		} else {
			l.log.LogAttrs(context.Background(), slog.LevelInfo, "audit: records are written again")
		}
	}
	return err
}

// answer tells the waiters of a group what became of it, and returns the notes
// that must be tried again.
func (l *Log) answer(group []*entry, err error) (kept []*entry) {
	var told error
	if err != nil {
		told = fmt.Errorf("audit: %w: %w", auth.ErrUnavailable, err)
	}
	for _, e := range group {
		switch {
		case e.result != nil && e.state.CompareAndSwap(taken, answered):
			e.result <- told
		case e.result != nil:
			if end := endOf[e.record.Event]; err == nil && end != "" && e.record.Ref != "" {
				kept = append(kept, &entry{record: ending(e.record, OutcomeNotDone, "whoever asked went away", l.now())})
			}
		case err != nil:
			kept = append(kept, e)
		case e.slot:
			<-l.notes
		}
	}
	return kept
}
