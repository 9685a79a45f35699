package audit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/postern/postern/auth"
)

// Heads returns the last record of each node in dir, on stable storage: a
// checkpoint. It looks at the last segments alone; whether the log before them is
// as it was written Verify tells. A log that is being written may be read.
func Heads(dir string, key auth.Secret) ([]Head, error) {
	c, err := newChain(key)
	if err != nil {
		return nil, err
	}
	segs, err := list(dir)
	if err != nil {
		return nil, err
	}
	var out []Head
	for i := len(segs) - 1; i >= 0; i-- {
		s, err := scan(dir, segs[i], c, func(Record) {})
		if err != nil {
			return nil, err
		}
		if s.damaged {
			return nil, fmt.Errorf("audit: %s is damaged behind record %d: postern audit verify tells more", segs[i], s.head.Seq)
		}
		if s.head.File == "" {
			continue // nothing was acknowledged in it
		}
		// What was read may not have been synced yet by whoever wrote it, and a
		// checkpoint of a record that a power cut takes would be a false alarm.
		if err := syncSegment(dir, segs[i]); err != nil {
			return nil, err
		}
		out = append(out, s.head)
		for i > 0 && segs[i-1].node == segs[i].node {
			i--
		}
	}
	return out, nil
}

func syncSegment(dir string, s segment) error {
	f, err := os.Open(filepath.Join(dir, s.String()))
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return nil
}

// String is the head as a line of a checkpoint: file, record, offset and mac.
func (h Head) String() string { return fmt.Sprintf("%s %d %d %s", h.File, h.Seq, h.End, h.MAC) }

// MaxCheckpoint bounds what ParseCheckpoint takes, in bytes: thousands of heads.
const MaxCheckpoint = 1 << 20

// ErrCheckpoint is in every error of ParseCheckpoint.
var ErrCheckpoint = errors.New("no checkpoint of the audit log")

// ParseCheckpoint reads heads: lines as Head.String writes them, of which those
// that begin with # are passed over, or a JSON object with "heads".
func ParseCheckpoint(data []byte) ([]Head, error) {
	if len(data) > MaxCheckpoint {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrCheckpoint, MaxCheckpoint)
	}
	var heads []Head
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) {
		var doc struct {
			Heads []Head `json:"heads"`
		}
		if err := json.Unmarshal(data, &doc); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrCheckpoint, err)
		}
		heads = doc.Heads
	} else {
		lines := bufio.NewScanner(bytes.NewReader(data))
		lines.Buffer(nil, MaxCheckpoint+1)
		for n := 1; lines.Scan(); n++ {
			text := strings.TrimSpace(lines.Text())
			if text == "" || text[0] == '#' {
				continue
			}
			h, err := parseHead(text)
			if err != nil {
				return nil, fmt.Errorf("%w: line %d: %w", ErrCheckpoint, n, err)
			}
			heads = append(heads, h)
		}
		if err := lines.Err(); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrCheckpoint, err)
		}
	}
	for _, h := range heads {
		if _, ok := parseSegment(h.File); !ok || h.Seq < 1 || h.End < 1 {
			return nil, fmt.Errorf("%w: %q, record %d, is no head", ErrCheckpoint, h.File, h.Seq)
		}
	}
	if len(heads) == 0 {
		return nil, fmt.Errorf("%w: there is no head in it", ErrCheckpoint)
	}
	return heads, nil
}

func parseHead(line string) (Head, error) {
	f := strings.Fields(line)
	if len(f) != 4 {
		return Head{}, errors.New("want file, record, offset and mac")
	}
	h := Head{File: f[0]}
	var err error
	if h.Seq, err = strconv.ParseInt(f[1], 10, 64); err != nil {
		return Head{}, fmt.Errorf("%q is no number of a record", f[1])
	}
	if h.End, err = strconv.ParseInt(f[2], 10, 64); err != nil {
		return Head{}, fmt.Errorf("%q is no offset", f[2])
	}
	return h, h.MAC.UnmarshalText([]byte(f[3]))
}
