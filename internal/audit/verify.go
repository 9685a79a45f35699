package audit

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/postern/postern/auth"
)

// A Report is what Verify found.
type Report struct {
	Files   int // read, up to the first bad one
	Records int // good ones
	Epochs  int
	Crashes []Crash
	Heads   []Head     // the last good record of each node; keep it elsewhere as a checkpoint
	Bad     *BadRecord // the first that is not as it was written; nil: all is well
}

// A Crash is an unfinished record that a crash or a full disk left at the end of
// a segment. It was never acknowledged, so nothing was done because of it.
type Crash struct {
	File  string
	Line  int
	Bytes int64
	Why   string
}

// A BadRecord says where the log is not as it was written. Line 0 is the whole
// file; Seq is the record that should stand there, 0 where that is not known.
type BadRecord struct {
	File string
	Line int
	Seq  int64
	Why  string
}

func (b BadRecord) String() string {
	if b.Line == 0 {
		return fmt.Sprintf("%s: %s", b.File, b.Why)
	}
	return fmt.Sprintf("%s:%d: %s", b.File, b.Line, b.Why)
}

// Verify reads the whole log in dir and finds the first record that was altered,
// added, moved or taken away since it was written under key. What was cut off
// the very end it finds by checkpoints: heads from earlier reports. The error is
// for what could not be read at all. A log that is being written may be verified;
// the record that is on its way then looks like a crash.
func Verify(dir string, key auth.Secret, checkpoints ...Head) (Report, error) {
	c, err := newChain(key)
	if err != nil {
		return Report{}, err
	}
	segs, err := list(dir)
	if err != nil {
		return Report{}, err
	}
	v := verifier{dir: dir, chain: c, segs: segs, checkpoints: slices.Clone(checkpoints)}
	for i := range segs {
		if err := v.segment(i); err != nil {
			return Report{}, err
		}
		if v.report.Bad != nil {
			break
		}
	}
	v.leave()
	if v.report.Bad == nil && len(v.checkpoints) > 0 {
		c := v.checkpoints[0]
		v.report.Bad = &BadRecord{File: c.File, Seq: c.Seq, Why: fmt.Sprintf("record %d of the checkpoint is not there: the end was cut off", c.Seq)}
	}
	return v.report, nil
}

// A verifier walks through the segments of one directory.
type verifier struct {
	dir         string
	chain       *chain
	segs        []segment
	checkpoints []Head // those not met yet
	report      Report

	at    segment
	head  Head // of the node of at, so far
	lines int  // in head.File, so far
}

// segment verifies segment i, with the end that its successor gives it.
func (v *verifier) segment(i int) error {
	seg := v.segs[i]
	if seg.node != v.at.node {
		v.leave()
	}
	if seg.node != v.at.node || seg.epoch != v.at.epoch {
		v.report.Epochs++
	}
	v.at = seg
	v.report.Files++
	limit, err := v.limit(i)
	if err != nil {
		return err
	}
	lines, err := openLines(v.dir, seg)
	if err != nil {
		return err
	}
	defer lines.Close()
	prev := Head{} // the first record speaks for itself, then link holds it against what there is
	for v.report.Bad == nil {
		if limit >= 0 && lines.end >= limit {
			return v.rest(lines, seg)
		}
		line, err := lines.next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, errTorn):
			v.crash(seg, lines.line, int64(len(line)), "an unfinished record")
			return nil
		case err != nil && !errors.Is(err, errLong):
			return err
		}
		v.record(seg, lines, line, err, &prev)
	}
	return nil
}

// record verifies one line and moves prev on.
func (v *verifier) record(seg segment, lines *lineReader, line []byte, lineErr error, prev *Head) {
	r, m, why := check(v.chain, *prev, seg, line, lineErr)
	head := Head{File: seg.String(), Seq: r.Seq, MAC: m, End: lines.end}
	if why != "" {
		v.bad(head.File, lines.line, prev.Seq+1, why)
		return
	}
	if prev.File == "" && !v.link(seg, r) {
		return
	}
	for _, c := range v.checkpoints {
		if c.File == head.File && c.Seq == head.Seq && c != head {
			v.bad(head.File, lines.line, head.Seq, "this is not the record of the checkpoint")
			return
		}
	}
	v.checkpoints = slices.DeleteFunc(v.checkpoints, func(c Head) bool { return c == head })
	v.report.Records++
	v.head, v.lines, *prev = head, lines.line, head
}

// link holds the first record of a segment against the records before it.
func (v *verifier) link(seg segment, r Record) bool {
	file, have := seg.String(), v.head
	switch {
	case r.Event != EpochStart && r.Event != SegmentStart:
		v.bad(file, 1, r.Seq, "a segment cannot begin with this record")
	case r.Head == nil && have.File != "":
		v.bad(file, 1, r.Seq, fmt.Sprintf("begins as the first of all, but %s is there", have.File))
	case r.Head == nil || *r.Head == have:
		return true
	case r.Head.File != have.File && !v.exists(r.Head.File):
		v.bad(r.Head.File, 0, 0, fmt.Sprintf("is missing; %s continues from its record %d", file, r.Head.Seq))
	case r.Head.File != have.File || r.Head.Seq > have.Seq:
		v.cut(*r.Head, file)
	default:
		v.bad(have.File, v.lines, have.Seq, fmt.Sprintf("ends otherwise than %s says", file))
	}
	return false
}

// cut reports records taken from the end of a file that is there.
func (v *verifier) cut(named Head, by string) {
	line, last := 1, int64(0)
	if named.File == v.head.File {
		line, last = v.lines+1, v.head.Seq
	}
	v.bad(named.File, line, last+1, fmt.Sprintf("the end was cut off: %s continues from record %d", by, named.Seq))
}

func (v *verifier) exists(file string) bool {
	s, ok := parseSegment(file)
	return ok && slices.Contains(v.segs, s)
}

// limit returns where the records of segment i end after a write to it failed
// and could not be undone, as the first record of the next one tells; -1: at
// its end. That this is true is found out when the next segment is verified.
func (v *verifier) limit(i int) (int64, error) {
	if i+1 == len(v.segs) || v.segs[i+1].node != v.segs[i].node || v.segs[i+1].epoch != v.segs[i].epoch {
		return -1, nil
	}
	lines, err := openLines(v.dir, v.segs[i+1])
	if err != nil {
		return -1, err
	}
	defer lines.Close()
	line, err := lines.next()
	if err != nil {
		return -1, nil // that segment's own trouble
	}
	_, _, r, err := parseLine(line)
	if err != nil || r.Outcome != outcomeFailedWrite || r.Head == nil || r.Head.File != v.segs[i].String() {
		return -1, nil
	}
	return r.Head.End, nil
}

// rest reports what stands behind the limit of a segment.
func (v *verifier) rest(lines *lineReader, seg segment) error {
	info, err := lines.f.Stat()
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	if n := info.Size() - lines.end; n > 0 {
		v.crash(seg, lines.line+1, n, "left by a write that failed")
	}
	return nil
}

// leave ends the walk through one node.
func (v *verifier) leave() {
	if v.head.File != "" {
		v.report.Heads = append(v.report.Heads, v.head)
	}
	v.head, v.lines, v.at = Head{}, 0, segment{}
}

func (v *verifier) crash(seg segment, line int, bytes int64, why string) {
	v.report.Crashes = append(v.report.Crashes, Crash{File: seg.String(), Line: line, Bytes: bytes, Why: why})
}

func (v *verifier) bad(file string, line int, seq int64, why string) {
	v.report.Bad = &BadRecord{File: file, Line: line, Seq: seq, Why: why}
}
