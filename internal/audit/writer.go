package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"time"
)

// Space on disk is taken chunkSize bytes at a time, so that reserveSize bytes are
// always left for what must be recorded on a full disk (mayUseReserve): a logout
// with its outcome takes about 1 KiB, so this is enough for a thousand.
const (
	chunkSize   = 1 << 20
	reserveSize = 1 << 20
)

// outcomeFailedWrite is the outcome of a segment.start whose predecessor was given
// up: what stands there behind the head does not count.
const outcomeFailedWrite = "after a failed write"

// errNoRoom: only the reserve is left. Nothing was written, the segment is whole.
var errNoRoom = errors.New("the disk is full")

// A writer puts records on stable storage, chained. It is used by one goroutine
// at a time.
type writer struct {
	disk  disk
	chain *chain
	log   *slog.Logger
	now   func() time.Time
	node  string
	epoch int64
	limit int64 // size at which a segment is followed by the next
	turn  int64 // the same, raised while the next cannot be made

	seg     segment // the current one, or the last that there was
	f       file    // nil: the next commit begins a segment
	fresh   bool    // the segment holds only what begins it
	noAlloc bool    // this system cannot allocate: no reserve
	room    int64   // offset up to which space is allocated
	spoiled string  // a file that could not be removed, and must be before the next
	head    Head    // the last record on stable storage
	open    map[opening]Record
	buf     []byte
}

// An opening is a begin that waits for its end.
type opening struct{ event, ref string }

// follow keeps open up to date with a record.
func follow(open map[opening]Record, r Record) {
	if r.Ref == "" {
		return
	}
	if _, ok := endOf[r.Event]; ok {
		open[opening{r.Event, r.Ref}] = r
	} else if begin, ok := beginOf[r.Event]; ok {
		delete(open, opening{begin, r.Ref})
	}
}

// byTime returns the records of open in the order in which they began.
func byTime(open map[opening]Record) []Record {
	list := make([]Record, 0, len(open))
	for _, r := range open {
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b Record) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Seq, b.Seq))
	})
	return list
}

// commit writes and syncs records: all of them are on stable storage, or an
// error is returned and none of them is in the chain. After a failed write the
// segment is given up at its last good record and the records are tried once
// more in a new one.
func (w *writer) commit(records []Record, reserve bool) error {
	if w.f != nil && !w.fresh && w.head.End >= w.turn {
		err := w.begin(Record{Event: SegmentStart}, records)
		if err == nil {
			return nil
		}
		w.turn = w.head.End + chunkSize // this one is still good
		w.warn("audit: the segment stays in use beyond its size", err)
	}
	if w.f == nil {
		return w.begin(Record{Event: SegmentStart, Outcome: outcomeFailedWrite}, records)
	}
	lines, head, err := w.encode(w.head, records)
	if err != nil {
		return err
	}
	if err := w.allocate(w.f, w.head.End+int64(len(lines))); err != nil && !reserve {
		return err
	}
	if err := write(w.f, lines); err != nil {
		w.giveUp(err)
		return w.begin(Record{Event: SegmentStart, Outcome: outcomeFailedWrite}, records)
	}
	w.advance(head, records)
	w.fresh = false
	return nil
}

// begin starts the next segment with its first record, the begins that are still
// open, and records, all in one write. If it fails everything is as before.
func (w *writer) begin(first Record, records []Record) error {
	if err := w.clean(); err != nil {
		return err
	}
	next := w.seg
	next.number++
	from := Head{File: next.String(), Seq: w.head.Seq, MAC: w.head.MAC}
	if first.Event == EpochStart {
		from = Head{File: next.String()}
	}
	if w.head.File != "" {
		first.Head = new(w.head)
	}
	first.Time = w.now().UTC()
	open := byTime(w.open)
	first.Carries = len(open)
	all := append([]Record{first}, open...)
	for i := range open {
		all[1+i].Carried = true
	}
	all = append(all, records...)
	lines, head, err := w.encode(from, all)
	if err != nil {
		return err
	}
	f, err := w.disk.create(next.String())
	if err != nil {
		return err
	}
	room := w.room
	w.room = 0
	if err = w.allocate(f, int64(len(lines))); err == nil {
		err = write(f, lines)
	}
	if err != nil {
		w.room, w.spoiled = room, next.String()
		return errors.Join(err, f.Close(), w.clean())
	}
	w.finish()
	w.seg, w.f, w.fresh, w.turn = next, f, len(records) == 0, w.limit
	w.advance(head, all)
	return nil
}

// encode gives the lines of records after from, and the head they lead to. It
// sets what the Log sets in them.
func (w *writer) encode(from Head, records []Record) ([]byte, Head, error) {
	b := w.buf[:0]
	head := from
	for i := range records {
		r := &records[i]
		head.Seq++
		r.Seq, r.Node, r.Epoch = head.Seq, w.node, w.epoch
		raw, err := encode(r)
		if err != nil {
			return nil, Head{}, err
		}
		head.MAC = w.chain.next(head.MAC, raw)
		b = appendLine(b, head.MAC, raw)
	}
	head.End = from.End + int64(len(b))
	if cap(b) <= 4*maxGroup {
		w.buf = b
	}
	return b, head, nil
}

func (w *writer) advance(head Head, records []Record) {
	w.head = head
	for _, r := range records {
		follow(w.open, r)
	}
}

// allocate makes sure that f can grow to size with the reserve still behind it.
func (w *writer) allocate(f file, size int64) error {
	for !w.noAlloc && w.room < size+reserveSize {
		err := f.allocate(w.room, chunkSize)
		switch {
		case errors.Is(err, errors.ErrUnsupported):
			w.noAlloc = true
		case err != nil:
			return fmt.Errorf("%w: %w", errNoRoom, err)
		}
		w.room += chunkSize
	}
	return nil
}

func write(f file, lines []byte) error {
	if _, err := f.Write(lines); err != nil {
		return err
	}
	return f.Sync()
}

// giveUp closes a segment in which a write failed, at its last good record. If
// that cannot be cut, the next segment tells where it is.
func (w *writer) giveUp(cause error) {
	w.warn("audit: a write failed, the segment is given up", cause)
	err := w.f.Truncate(w.head.End)
	if err = errors.Join(err, w.f.Sync(), w.f.Close()); err != nil {
		w.warn("audit: the failed write could not be undone", err)
	}
	w.f = nil
}

// clean removes a segment whose first write failed: no record in it counts.
func (w *writer) clean() error {
	if w.spoiled == "" {
		return nil
	}
	if err := w.disk.remove(w.spoiled); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	w.spoiled = ""
	return nil
}

// finish closes the current segment and gives back what was allocated behind it.
func (w *writer) finish() error {
	if w.f == nil {
		return nil
	}
	err := w.f.Truncate(w.head.End)
	err = errors.Join(err, w.f.Close())
	w.f = nil
	if err != nil {
		w.warn("audit: close segment", err)
	}
	return err
}

func (w *writer) warn(msg string, err error) {
	w.log.LogAttrs(context.Background(), slog.LevelError, msg,
		slog.String("file", w.seg.String()), slog.Any("err", err))
}
