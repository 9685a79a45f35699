package wiretest

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// An Exchange is one request and its answer as they stand in a transcript: the
// lines of the head end in bare newlines, the body is as it was.
type Exchange struct {
	By      string // the connection it came over; "" = the usual one
	Request string
	Answer  string
}

const answerMarker = "-- answer --"

var requestMarker = regexp.MustCompile(`^-- request(?: ([a-z0-9][a-z0-9.-]{0,63}))? --$`)

// isMarker reports whether a line begins a part of a transcript.
func isMarker(line string) bool { return line == answerMarker || requestMarker.MatchString(line) }

// Parse reads a transcript: requests and answers in turn, each after a line that
// says so, as in a txtar archive. The newline before such a line, and the very
// last, belong to the file. What it reads, Format writes.
func Parse(file string) ([]Exchange, error) {
	file, whole := strings.CutSuffix(file, "\n")
	if !whole {
		return nil, errors.New("transcript: the last line has no end")
	}
	lines := strings.Split(file, "\n")
	var all []Exchange
	for len(lines) > 0 {
		m := requestMarker.FindStringSubmatch(lines[0])
		if m == nil {
			return nil, fmt.Errorf("transcript: no request begins after exchange %d", len(all))
		}
		x := Exchange{By: m[1]}
		var ok bool
		if x.Request, lines, ok = part(lines[1:]); !ok || len(lines) == 0 || lines[0] != answerMarker {
			return nil, fmt.Errorf("transcript: request %d is cut, or has no answer", len(all)+1)
		}
		if x.Answer, lines, ok = part(lines[1:]); !ok {
			return nil, fmt.Errorf("transcript: answer %d is cut", len(all)+1)
		}
		all = append(all, x)
	}
	return all, nil
}

// part returns the lines up to the next marker, and those from there on; ok is
// false where there is none.
func part(lines []string) (text string, rest []string, ok bool) {
	n := 0
	for n < len(lines) && !isMarker(lines[n]) {
		n++
	}
	return strings.Join(lines[:n], "\n"), lines[n:], n > 0
}

// Format writes a transcript. An error names an exchange that a transcript cannot
// hold, since a line of it reads like a marker.
func Format(all []Exchange) (string, error) {
	var b strings.Builder
	for i, x := range all {
		marker := "-- request " + x.By + " --"
		if x.By == "" {
			marker = "-- request --"
		}
		if !requestMarker.MatchString(marker) {
			return "", fmt.Errorf("transcript: %q is not the name of a connection", x.By)
		}
		for line := range strings.SplitSeq(x.Request+"\n"+x.Answer, "\n") {
			if isMarker(line) {
				return "", fmt.Errorf("transcript: exchange %d holds a line %q", i+1, line)
			}
		}
		b.WriteString(marker + "\n" + x.Request + "\n" + answerMarker + "\n" + x.Answer + "\n")
	}
	return b.String(), nil
}
