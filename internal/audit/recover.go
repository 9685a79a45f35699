package audit

import (
	"errors"
	"fmt"
	"io"
)

// recovered is what a node's last epoch left behind.
type recovered struct {
	epoch   int64 // the highest there is, with or without a record; 0 = none
	last    segment
	head    Head // File is empty where there is no record at all
	open    map[opening]Record
	torn    int  // bytes of an unfinished last record
	damaged bool // a whole line behind the head does not verify
}

func (r recovered) detail() string {
	switch {
	case r.damaged:
		return "the log before is damaged behind the head"
	case r.torn > 0:
		return fmt.Sprintf("the log before ends in %d bytes of an unfinished record", r.torn)
	case r.head.File == "":
		return "no log before"
	}
	return ""
}

// recoverLast reads the last segment of node that has a record, and as many
// before it as are needed to know what is open: one, unless a crash hit the
// very group that began it.
func recoverLast(dir, node string, c *chain) (recovered, error) {
	segs, err := list(dir)
	if err != nil {
		return recovered{}, err
	}
	n := 0
	for _, s := range segs {
		if s.node == node {
			segs[n] = s
			n++
		}
	}
	segs = segs[:n]
	r := recovered{open: map[opening]Record{}}
	if n > 0 {
		r.epoch = segs[n-1].epoch
	}
	last, tail := n-1, scanned{}
	for ; last >= 0; last-- {
		clear(r.open)
		tail, err = scan(dir, segs[last], c, func(rec Record) { follow(r.open, rec) })
		if err != nil {
			return recovered{}, err
		}
		r.torn += tail.torn
		if tail.head.File != "" {
			break
		}
	}
	if last < 0 {
		return r, nil
	}
	r.last, r.head, r.damaged = segs[last], tail.head, tail.damaged
	if !tail.whole {
		r.open, err = openBefore(dir, segs[:last+1], c)
	}
	return r, err
}

// openBefore returns what is open at the end of segs, read from the last of them
// whose beginning is whole.
func openBefore(dir string, segs []segment, c *chain) (map[opening]Record, error) {
	first := len(segs) - 1
	for whole := false; !whole && first > 0; {
		first--
		s, err := scan(dir, segs[first], c, func(Record) {})
		if err != nil {
			return nil, err
		}
		whole = s.whole
	}
	open := map[opening]Record{}
	for _, s := range segs[first:] {
		if _, err := scan(dir, s, c, func(rec Record) { follow(open, rec) }); err != nil {
			return nil, err
		}
	}
	return open, nil
}

// scanned is what one segment holds.
type scanned struct {
	head    Head // the last good record; File is empty where there is none
	whole   bool // all that the first record carries is there
	torn    int
	damaged bool
}

// scan reads the good records of a segment, up to the first line that is not.
// If that is the very first, the segment was written under another key, or
// altered where it hurts most: an error.
func scan(dir string, seg segment, c *chain, visit func(Record)) (scanned, error) {
	lines, err := openLines(dir, seg)
	if err != nil {
		return scanned{}, err
	}
	defer lines.Close()
	s := scanned{}
	carries := 0
	for {
		line, err := lines.next()
		switch {
		case errors.Is(err, io.EOF):
			s.whole = s.head.File != "" && carries <= 0
			return s, nil
		case errors.Is(err, errTorn):
			s.torn = len(line)
			continue
		case err != nil && !errors.Is(err, errLong):
			return scanned{}, err
		}
		rec, mac, bad := check(c, s.head, seg, line, err)
		if bad != "" && s.head.File == "" {
			return scanned{}, fmt.Errorf("audit: the first record of %s does not verify: this key belongs to another log, or the file was altered; restore the key, or move %s elsewhere", seg, dir)
		}
		if bad != "" {
			s.damaged = true
			s.whole = carries <= 0
			return s, nil
		}
		if s.head.File == "" {
			carries = rec.Carries
		} else if rec.Carried {
			carries--
		}
		s.head = Head{File: seg.String(), Seq: rec.Seq, MAC: mac, End: lines.end}
		visit(rec)
	}
}

// check verifies one line that follows prev in the chain, and says why it is bad.
// A prev without a File stands for the first record of a segment that is taken
// as it says itself.
func check(c *chain, prev Head, seg segment, line []byte, lineErr error) (r Record, m MAC, bad string) {
	if lineErr != nil {
		return r, m, lineErr.Error()
	}
	m, raw, r, err := parseLine(line)
	if err != nil {
		return r, m, err.Error()
	}
	if prev.File == "" && r.Event == SegmentStart && r.Head != nil {
		prev.Seq, prev.MAC = r.Head.Seq, r.Head.MAC
	}
	switch {
	case c.next(prev.MAC, raw) != m && r.Seq != prev.Seq+1:
		return r, m, fmt.Sprintf("record %d stands where %d should: records were taken away, added or moved", r.Seq, prev.Seq+1)
	case c.next(prev.MAC, raw) != m:
		return r, m, "the mac does not fit: the record, or the one before it, was altered, or the key is another one"
	case r.Seq != prev.Seq+1:
		return r, m, fmt.Sprintf("record %d follows %d", r.Seq, prev.Seq)
	case r.Node != seg.node || r.Epoch != seg.epoch:
		return r, m, fmt.Sprintf("a record of node %s, epoch %d: the file was renamed", r.Node, r.Epoch)
	}
	return r, m, ""
}
