package redfish

import (
	"fmt"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxPath bounds a path in bytes. The longest in DMTF's mockups has 160.
const maxPath = 4096

const upperHex = "0123456789ABCDEF"

// Canonical returns the one spelling of a path that decisions are made on.
// rawPath is the path of the request line, before any decoding.
//
// Letter case is kept. Percent-encodings of characters that a path may hold as
// they are are decoded; what may not stand in a path is encoded, with capital
// digits. One trailing slash is dropped; only the service root has one,
// whether it was sent or not. A path that two readers may take for different
// things is refused with a Problem (status 400): dot segments and empty
// segments, encoded slashes, backslashes, percent signs, question marks and
// number signs, semicolons, control characters, broken encodings, text that is
// not UTF-8.
func Canonical(rawPath string) (string, error) {
	if len(rawPath) > maxPath {
		return "", errLongPath
	}
	if !strings.HasPrefix(rawPath, "/") {
		return "", Ambiguous("the path does not begin with a slash")
	}
	plain, err := decodePath(rawPath)
	if err != nil {
		return "", err
	}
	plain = strings.TrimSuffix(plain, "/")
	if plain == "" {
		return "/", nil
	}
	for seg := range strings.SplitSeq(plain[1:], "/") {
		switch seg {
		case "":
			return "", Ambiguous("the path holds an empty segment")
		case ".", "..":
			return "", Ambiguous("the path holds a dot segment")
		}
	}
	if plain+"/" == rootURI {
		return rootURI, nil
	}
	if plain = encodePath(plain); len(plain) > maxPath {
		return "", errLongPath
	}
	return plain, nil
}

var errLongPath = general(http.StatusRequestURITooLong, "The URI is too long.", nil)

// decodePath takes every percent-encoding away, or refuses.
func decodePath(raw string) (string, error) {
	var b strings.Builder
	b.Grow(len(raw))
	for i := 0; i < len(raw); i++ {
		c, encoded := raw[i], false
		if c == '%' {
			if i+2 >= len(raw) {
				return "", Ambiguous("the path holds a broken percent-encoding")
			}
			hi, ok1 := unhex(raw[i+1])
			lo, ok2 := unhex(raw[i+2])
			if !ok1 || !ok2 {
				return "", Ambiguous("the path holds a broken percent-encoding")
			}
			c, encoded = hi<<4|lo, true
			i += 2
		}
		switch {
		case c < 0x20 || c == 0x7F:
			return "", Ambiguous("the path holds a control character")
		case c == '\\' || c == ';' || c == '?' || c == '#',
			encoded && (c == '/' || c == '%'):
			return "", Ambiguous(fmt.Sprintf("the path holds %q where readers disagree about it", c))
		}
		b.WriteByte(c)
	}
	s := b.String()
	if !utf8.ValidString(s) {
		return "", Ambiguous("the path is not UTF-8")
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r > 0x7F && !unicode.IsPrint(r) }) {
		return "", Ambiguous("the path holds a character that cannot be seen")
	}
	return s, nil
}

// encodePath encodes what may not stand in a path.
func encodePath(plain string) string {
	n := 0
	for i := 0; i < len(plain); i++ {
		if !pathChar(plain[i]) {
			n++
		}
	}
	if n == 0 {
		return plain
	}
	b := make([]byte, 0, len(plain)+2*n)
	for i := 0; i < len(plain); i++ {
		if c := plain[i]; pathChar(c) {
			b = append(b, c)
		} else {
			b = append(b, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return string(b)
}

// pathChar reports whether c may stand in a path as it is (RFC 3986, 3.3).
func pathChar(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return strings.IndexByte("/-._~!$&'()*+,=:@", c) >= 0
}

// A place is what a canonical path means to us.
type place int

const (
	placeElsewhere      place = iota // not ours: whoever is behind decides
	placeOpen                        // readable without credentials
	placeSessionService              // the SessionService
	placeSessions                    // its collection
	placeMembers                     // the collection's Members: POST only
	placeSession                     // one session; the id is the last segment
	placeNothing                     // below the SessionService, but no resource
	placeMisspelt                    // ours in another letter case
)

// locate says what a canonical path means to us.
func locate(path string) place {
	switch path {
	case rootURI, versionsURI, odataURI, metadataURI, openAPIURI:
		return placeOpen
	case sessionServiceURI:
		return placeSessionService
	case sessionsURI:
		return placeSessions
	case membersURI:
		return placeMembers
	}
	if below(path, sessionsURI) {
		if strings.Contains(path[len(sessionsURI)+1:], "/") {
			return placeNothing
		}
		return placeSession
	}
	switch {
	case spelling(path) != "":
		return placeMisspelt
	case below(path, sessionServiceURI):
		return placeNothing
	}
	return placeElsewhere
}

// below reports whether path lies under dir.
func below(path, dir string) bool {
	return len(path) > len(dir) && path[len(dir)] == '/' && path[:len(dir)] == dir
}

// spelling returns the right spelling of a path that equals one of ours but
// for letter case, or "".
func spelling(path string) string {
	for _, own := range []string{
		rootURI, rootURI[:len(rootURI)-1], versionsURI, odataURI, metadataURI, openAPIURI,
		sessionServiceURI, sessionsURI, membersURI,
	} {
		if path != own && strings.EqualFold(path, own) {
			return own
		}
	}
	for _, dir := range []string{sessionsURI, sessionServiceURI} {
		if len(path) > len(dir) && path[len(dir)] == '/' && !below(path, dir) && strings.EqualFold(path[:len(dir)], dir) {
			return dir + path[len(dir):]
		}
	}
	return ""
}
