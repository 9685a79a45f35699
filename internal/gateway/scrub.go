package gateway

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"strings"

	"github.com/postern/postern/auth"
)

// Lengths of what is looked for. In a body a short secret would be
// found in innocent text; a header of the allow-list echoes one even more
// rarely, and factory passwords are words of paths ("admin", "root").
const (
	minBodySecret   = 12
	minHeaderSecret = 8
	maxSecret       = 8 << 10 // no token or password comes near; a buffer holds several
)

// scrubber takes the secrets of one login out of what a device sends: raw, and
// as Base64, URL, JSON and hex write them. Found text is overwritten with
// asterisks, so lengths stay. It is immutable.
//
// The search is that of Wu and Manber (1994) with blocks of three bytes: a table
// tells for each block how far the window may move, so that most bytes are
// never looked at.
type scrubber struct {
	login  auth.Login
	body   matcher
	header matcher
}

func newScrubber(l auth.Login) *scrubber {
	forms := secretForms(l)
	return &scrubber{login: l, body: newMatcher(forms, minBodySecret), header: newMatcher(forms, minHeaderSecret)}
}

// of tells whether s was made for l.
func (s *scrubber) of(l auth.Login) bool {
	return s != nil && s.login.Method == l.Method && s.login.Account == l.Account && s.login.Secret.Equal(l.Secret)
}

// scrubberFor returns the scrubber of l. The last one is kept.
func (g *Gateway) scrubberFor(l auth.Login) *scrubber {
	s := g.scrub.Load()
	if !s.of(l) {
		s = newScrubber(l)
		g.scrub.Store(s)
	}
	return s
}

// values scrubs header values; the input is left alone.
func (s *scrubber) values(v []string) []string {
	for i, text := range v {
		if at, _ := s.header.find([]byte(text)); at < 0 {
			continue
		}
		clean := append([]string(nil), v...)
		for j := i; j < len(clean); j++ {
			b := []byte(clean[j])
			s.header.scrub(b)
			clean[j] = string(b)
		}
		return clean
	}
	return v
}

// secretForms lists what the login's secret may look like in an answer.
func secretForms(l auth.Login) []string {
	secret := l.Secret.Reveal()
	if secret == "" {
		return nil
	}
	pair := base64.StdEncoding.EncodeToString([]byte(string(l.Account) + ":" + secret))
	forms := append(spellings(secret), strings.TrimRight(pair, "="))
	return append(forms, base64Cores(secret)...)
}

// spellings is a text raw, URL-, JSON- and hex-escaped.
func spellings(s string) []string {
	forms := []string{s, url.QueryEscape(s), url.PathEscape(s), jsonText(s, true), jsonText(s, false)}
	h := hex.EncodeToString([]byte(s))
	return append(forms, h, strings.ToUpper(h))
}

// jsonText is s inside the quotes of a JSON string, with or without the
// escapes that protect HTML.
func jsonText(s string, html bool) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(html)
	if e.Encode(s) != nil {
		return s
	}
	line := strings.TrimSuffix(b.String(), "\n")
	return line[1 : len(line)-1]
}

// base64Cores is the part of the Base64 of any text with s inside that does not
// depend on what stands around s: one for each of the three alignments, in
// both alphabets.
func base64Cores(s string) []string {
	var forms []string
	for shift := range 3 {
		padded := strings.Repeat("\x00", shift) + s
		whole := len(padded) / 3 * 3
		first := 0
		if shift > 0 {
			first = 4
		}
		core := base64.StdEncoding.EncodeToString([]byte(padded[:whole]))
		if len(core) <= first {
			continue
		}
		core = core[first:]
		forms = append(forms, core, strings.NewReplacer("+", "-", "/", "_").Replace(core))
	}
	return forms
}

// matcher finds any of several patterns.
type matcher struct {
	patterns []string
	shortest int
	longest  int
	shift    []uint8 // by hash of a block
}

const (
	shiftBits = 12 // 4 KiB: stays in the first-level cache
	block     = 3  // bytes
)

// blockHash is that of the block which ends before end.
func blockHash[T string | []byte](b T, end int) uint {
	return (uint(b[end-3])<<8 ^ uint(b[end-2])<<4 ^ uint(b[end-1])) & (1<<shiftBits - 1)
}

// newMatcher takes the forms of at least atLeast bytes.
func newMatcher(forms []string, atLeast int) matcher {
	var m matcher
	seen := map[string]bool{}
	for _, f := range forms {
		if len(f) < atLeast || len(f) > maxSecret || seen[f] {
			continue
		}
		seen[f] = true
		m.patterns = append(m.patterns, f)
		m.longest = max(m.longest, len(f))
		if m.shortest == 0 || len(f) < m.shortest {
			m.shortest = len(f)
		}
	}
	if len(m.patterns) > 0 {
		m.fillShifts()
	}
	return m
}

func (m *matcher) fillShifts() {
	furthest := min(m.shortest-block+1, 255)
	m.shift = make([]uint8, 1<<shiftBits)
	for i := range m.shift {
		m.shift[i] = uint8(furthest)
	}
	for _, p := range m.patterns {
		for end := block; end <= m.shortest; end++ {
			h := blockHash(p, end)
			m.shift[h] = min(m.shift[h], uint8(min(m.shortest-end, 255)))
		}
	}
}

// find returns where the first pattern stands in b and how long it is, or -1.
func (m *matcher) find(b []byte) (at, length int) {
	if len(m.patterns) == 0 {
		return -1, 0
	}
	for end := m.shortest; end <= len(b); {
		if skip := m.shift[blockHash(b, end)]; skip > 0 {
			end += int(skip)
			continue
		}
		start := end - m.shortest
		if n := m.at(b[start:]); n > 0 {
			return start, n
		}
		end++
	}
	return -1, 0
}

// at returns the length of the longest pattern that b begins with, or 0.
func (m *matcher) at(b []byte) int {
	n := 0
	for _, p := range m.patterns {
		if len(p) > n && len(p) <= len(b) && b[0] == p[0] && string(b[:len(p)]) == p {
			n = len(p)
		}
	}
	return n
}

// scrub overwrites every pattern in b.
func (m *matcher) scrub(b []byte) {
	for {
		at, n := m.find(b)
		if at < 0 {
			return
		}
		for i := at; i < at+n; i++ {
			b[i] = '*'
		}
		b = b[at+n:]
	}
}

// tail returns how many bytes at the end of b may be the start of a pattern
// that the next bytes complete.
func (m *matcher) tail(b []byte) int {
	for n := min(m.longest-1, len(b)); n > 0; n-- {
		end := b[len(b)-n:]
		for _, p := range m.patterns {
			if len(p) > n && p[0] == end[0] && p[:n] == string(end) {
				return n
			}
		}
	}
	return 0
}
