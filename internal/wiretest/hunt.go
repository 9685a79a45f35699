package wiretest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// A Hunter searches output for secrets that a test planted.
type Hunter struct{ needles map[string]string } // text → what it is

// minPlanted is the least length of a secret, in bytes: what is left of a shorter
// one in Base64 would be found everywhere.
const minPlanted = 8

// Plant has the Hunter look for a secret; what is its name in finds. A secret of
// less than 8 bytes is an error.
func (h *Hunter) Plant(what, secret string) error {
	if len(secret) < minPlanted {
		return fmt.Errorf("hunt: %s is too short to be told from other text", what)
	}
	if h.needles == nil {
		h.needles = map[string]string{}
	}
	for form, text := range forms(secret) {
		if _, there := h.needles[text]; !there {
			h.needles[text] = what + " (" + form + ")"
		}
	}
	return nil
}

// Search returns what of the secrets is in data, and in which form, sorted.
func (h *Hunter) Search(data []byte) []string {
	found := map[string]bool{}
	for text, what := range h.needles {
		if bytes.Contains(data, []byte(text)) {
			found[what] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// forms are what careless lines make of a secret.
func forms(s string) map[string]string {
	all := map[string]string{
		"plain": s, "Go": inside(strconv.Quote(s)), "Go, ASCII": inside(strconv.QuoteToASCII(s)),
		"JSON": quoted(s), "JSON as by others": quotedPlain(s), "JSON, every character": eachUnit(s),
		"URL query": url.QueryEscape(s), "URL path": url.PathEscape(s),
		"URL query, small letters": smallEscapes(url.QueryEscape(s)), "URL path, small letters": smallEscapes(url.PathEscape(s)),
	}
	for name, format := range map[string]string{
		"hex": "%02x", "hex, capitals": "%02X", "hex, colons": "%02x:", "hex, colons and capitals": "%02X:", "hex, blanks": "%02x ",
		`\x`: `\x%02x`, `\x, capitals`: `\x%02X`, "URL, every byte": "%%%02X", "URL, every byte, small letters": "%%%02x",
	} {
		all[name] = strings.TrimRight(eachByte(s, format), ": ")
	}
	for shift := range 3 {
		for name, coding := range map[string]*base64.Encoding{"Base64": base64.StdEncoding, "Base64 for URLs": base64.URLEncoding} {
			all[name+" at "+strconv.Itoa(shift)] = middle(coding, s, shift)
		}
	}
	return all
}

func inside(quoted string) string { return quoted[1 : len(quoted)-1] }

// quotedPlain is s inside a string of JSON as most write it, who leave <, > and &
// alone.
func quotedPlain(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(s) != nil {
		return s
	}
	return inside(strings.TrimSuffix(b.String(), "\n"))
}

func eachUnit(s string) string {
	var b strings.Builder
	for _, u := range utf16.Encode([]rune(s)) {
		fmt.Fprintf(&b, `\u%04x`, u)
	}
	return b.String()
}

func eachByte(s, format string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, format, s[i])
	}
	return b.String()
}

var escape = regexp.MustCompile(`%[0-9A-F]{2}`)

func smallEscapes(s string) string { return escape.ReplaceAllStringFunc(s, strings.ToLower) }

// middle is what Base64 of every text that holds s, shift bytes from where a group
// of three begins, has in common.
func middle(coding *base64.Encoding, s string, shift int) string {
	coded := coding.EncodeToString([]byte(strings.Repeat("x", shift) + s + "xx"))
	return coded[[]int{0, 2, 3}[shift] : len(coded)-6]
}
