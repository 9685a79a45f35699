package audit

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"

	"github.com/postern/postern/auth"
)

// KeySize is the length of the key in bytes.
const KeySize = 32

// maxLine bounds a line on reading. The longest that is written is six bytes for
// each byte of text (JSON escapes): 10 fields of maxText, a path and a detail.
const maxLine = 96 << 10

// The frame of a line around mac and record.
const (
	frameStart  = `{"mac":"`
	frameMiddle = `","record":`
	frameEnd    = "}"
)

// A chain computes macs. It is not safe for concurrent use.
type chain struct{ h hash.Hash }

func newChain(key auth.Secret) (*chain, error) {
	if n := len(key.Reveal()); n != KeySize {
		return nil, fmt.Errorf("audit: the key must have %d bytes, it has %d", KeySize, n)
	}
	return &chain{h: hmac.New(sha256.New, []byte(key.Reveal()))}, nil
}

// next returns the mac of raw after prev.
func (c *chain) next(prev MAC, raw []byte) (m MAC) {
	c.h.Reset()
	c.h.Write(prev[:])
	c.h.Write(raw)
	c.h.Sum(m[:0])
	return m
}

// appendLine appends one whole line.
func appendLine(b []byte, m MAC, raw []byte) []byte {
	b = append(b, frameStart...)
	b = hex.AppendEncode(b, m[:])
	b = append(b, frameMiddle...)
	b = append(b, raw...)
	return append(b, frameEnd+"\n"...)
}

var errLine = errors.New("not a line of an audit log")

// parseLine takes a line without its newline apart. The frame must stand exactly
// as appendLine writes it, since the mac covers the record alone; raw is a part of line.
func parseLine(line []byte) (m MAC, raw []byte, r Record, err error) {
	rest, ok := bytes.CutPrefix(line, []byte(frameStart))
	if !ok || len(rest) < 2*len(m) {
		return m, nil, r, errLine
	}
	if err := m.UnmarshalText(rest[:2*len(m)]); err != nil {
		return m, nil, r, errLine
	}
	rest, ok = bytes.CutPrefix(rest[2*len(m):], []byte(frameMiddle))
	if !ok {
		return m, nil, r, errLine
	}
	raw, ok = bytes.CutSuffix(rest, []byte(frameEnd))
	if !ok || len(raw) == 0 || raw[0] != '{' {
		return m, nil, r, errLine
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return m, nil, r, fmt.Errorf("%w: %v", errLine, err)
	}
	return m, raw, r, nil
}
