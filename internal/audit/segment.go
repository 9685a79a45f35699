package audit

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A segment names one file of the log.
type segment struct {
	node   string
	epoch  int64
	number int
}

func (s segment) String() string {
	return fmt.Sprintf("%s-%06d-%04d.jsonl", s.node, s.epoch, s.number)
}

var validNode = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// parseSegment is the inverse of String; any other name is no segment.
func parseSegment(name string) (segment, bool) {
	rest, ok := strings.CutSuffix(name, ".jsonl")
	if !ok {
		return segment{}, false
	}
	parts := strings.Split(rest, "-")
	if len(parts) < 3 {
		return segment{}, false
	}
	n := len(parts)
	epoch, err1 := strconv.ParseInt(parts[n-2], 10, 64)
	number, err2 := strconv.Atoi(parts[n-1])
	s := segment{node: strings.Join(parts[:n-2], "-"), epoch: epoch, number: number}
	if err1 != nil || err2 != nil || epoch < 1 || number < 1 || !validNode.MatchString(s.node) || s.String() != name {
		return segment{}, false
	}
	return s, true
}

// list returns the segments in dir by node, epoch and number. Other files are
// no part of the log.
func list(dir string) ([]segment, error) {
	names, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	var segs []segment
	for _, n := range names {
		if s, ok := parseSegment(n.Name()); ok {
			segs = append(segs, s)
		}
	}
	slices.SortFunc(segs, func(a, b segment) int {
		return cmp.Or(cmp.Compare(a.node, b.node), cmp.Compare(a.epoch, b.epoch), cmp.Compare(a.number, b.number))
	})
	return segs, nil
}

// A lineReader gives the lines of one segment in bounded memory.
type lineReader struct {
	f    *os.File
	b    *bufio.Reader
	line int   // number of the last line given, from 1
	end  int64 // offset behind it
}

var (
	errTorn = errors.New("unfinished line")
	errLong = fmt.Errorf("line longer than %d bytes", maxLine)
)

func openLines(dir string, s segment) (*lineReader, error) {
	f, err := os.Open(filepath.Join(dir, s.String()))
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	return &lineReader{f: f, b: bufio.NewReaderSize(f, maxLine+1)}, nil
}

func (r *lineReader) Close() error { return r.f.Close() }

// next returns the next line without its newline; it is valid until the next
// call. io.EOF: there is none. errTorn: only a part of one is left, which is
// returned. errLong: it is too long; the next call gives the line after it.
func (r *lineReader) next() ([]byte, error) {
	b, err := r.b.ReadSlice('\n')
	r.line++
	r.end += int64(len(b))
	switch {
	case err == nil:
		return b[:len(b)-1], nil
	case errors.Is(err, io.EOF) && len(b) == 0:
		r.line--
		return nil, io.EOF
	case errors.Is(err, io.EOF):
		return b, errTorn
	case !errors.Is(err, bufio.ErrBufferFull):
		return nil, fmt.Errorf("audit: %w", err)
	}
	for errors.Is(err, bufio.ErrBufferFull) {
		b, err = r.b.ReadSlice('\n')
		r.end += int64(len(b))
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("audit: %w", err)
	}
	return nil, errLong
}
