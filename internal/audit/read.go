package audit

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"
)

// A Filter says which records Read gives. The zero Filter is all of them, except
// the carried ones, which repeat others.
type Filter struct {
	Target string
	Caller string
	Event  string    // a prefix: "lease" gives lease.login and lease.logout
	Since  time.Time // not before
	Until  time.Time // before; zero = no such bound
	Last   int       // only the last so many; 0 = all
}

func (f Filter) match(r *Record) bool {
	return !r.Carried &&
		(f.Target == "" || r.Target == f.Target) &&
		(f.Caller == "" || r.Caller == f.Caller) &&
		strings.HasPrefix(r.Event, f.Event) &&
		!r.Time.Before(f.Since) &&
		(f.Until.IsZero() || r.Time.Before(f.Until))
}

// Read gives the records in dir that f asks for, in the order of their writing
// (node by node), without verifying them. It holds one record at a time, or
// f.Last of them. A line that is no record is given as an error with its place,
// and the reading goes on; an unfinished last line is passed over, since it is
// what a log that is being written looks like.
func Read(dir string, f Filter) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		segs, err := list(dir)
		if err != nil {
			yield(Record{}, err)
			return
		}
		if f.Last > 0 {
			last(dir, segs, f, yield)
			return
		}
		for _, s := range segs {
			if !readSegment(dir, s, f, yield) {
				return
			}
		}
	}
}

type found struct {
	record Record
	err    error
}

// last reads the newest segment first, and no more of them than it needs.
func last(dir string, segs []segment, f Filter, yield func(Record, error) bool) {
	var parts [][]found // newest first
	need := f.Last
	for i := len(segs) - 1; i >= 0 && need > 0; i-- {
		var tail []found // at most twice what is needed
		readSegment(dir, segs[i], f, func(r Record, err error) bool {
			if len(tail) == 2*need {
				tail = append(tail[:0], tail[need:]...)
			}
			tail = append(tail, found{r, err})
			return true
		})
		tail = tail[max(0, len(tail)-need):]
		parts = append(parts, tail)
		need -= len(tail)
	}
	for i := len(parts) - 1; i >= 0; i-- {
		for _, x := range parts[i] {
			if !yield(x.record, x.err) {
				return
			}
		}
	}
}

// readSegment reports whether the reading should go on.
func readSegment(dir string, s segment, f Filter, yield func(Record, error) bool) bool {
	lines, err := openLines(dir, s)
	if err != nil {
		return yield(Record{}, err)
	}
	defer lines.Close()
	for {
		line, err := lines.next()
		var r Record
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, errTorn):
			return true
		case err != nil && !errors.Is(err, errLong):
			return yield(Record{}, err)
		case err == nil:
			_, _, r, err = parseLine(line)
		}
		if err != nil {
			err = fmt.Errorf("audit: %s:%d: %w", s, lines.line, err)
		}
		if (err != nil || f.match(&r)) && !yield(r, err) {
			return false
		}
	}
}
