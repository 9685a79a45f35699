package client

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
)

// maxEvent bounds one event of a stream, in bytes: a Redfish event has a few
// kilobytes, a metric report some hundreds.
const maxEvent = 4 << 20

// errEventTooLong ends a stream that sends an event without end.
var errEventTooLong = errors.New("an event of more than " + strconv.Itoa(maxEvent) + " bytes")

// A eventReader reads server-sent events (WHATWG HTML, 9.2.6).
type eventReader struct {
	r     *bufio.Reader
	id    string        // of the last event, which holds for those that follow
	retry time.Duration // what the server asked for; 0 = nothing
	size  int           // of the event that is being read
}

func newEventReader(r io.Reader) *eventReader { return &eventReader{r: bufio.NewReader(r)} }

// next returns the data of the next event. io.EOF ends the stream; an event that
// was not finished is none.
func (e *eventReader) next() (data []byte, err error) {
	e.size = 0
	any := false
	for {
		line, err := e.line()
		if err != nil {
			return nil, err
		}
		if len(line) == 0 {
			if any {
				return bytes.TrimSuffix(data, []byte("\n")), nil
			}
			e.size = 0
			continue
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "data":
			data, any = append(append(data, value...), '\n'), true
		case "id":
			if bytes.IndexByte(value, 0) < 0 {
				e.id = string(value)
			}
		case "retry":
			if n, err := strconv.ParseUint(string(value), 10, 32); err == nil {
				e.retry = time.Duration(n) * time.Millisecond
			}
		}
	}
}

// line returns the next line without its end, which is LF, CR or both.
func (e *eventReader) line() ([]byte, error) {
	var line []byte
	for {
		b, err := e.r.ReadByte()
		if err != nil {
			if errors.Is(err, io.EOF) {
				return nil, io.EOF
			}
			return nil, fmt.Errorf("read event stream: %w", err)
		}
		switch b {
		case '\n':
			return line, nil
		case '\r':
			if next, err := e.r.Peek(1); err == nil && next[0] == '\n' {
				e.r.Discard(1)
			}
			return line, nil
		}
		if e.size++; e.size > maxEvent {
			return nil, errEventTooLong
		}
		line = append(line, b)
	}
}
