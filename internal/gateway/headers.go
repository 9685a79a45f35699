package gateway

import (
	"net/http"
	"net/url"
	"strings"
)

// headerName is one header of an allow-list: the key net/http files it under,
// and the letter case in which it is sent.
type headerName struct {
	key  string
	wire string
}

func headerNames(list []string, never map[string]bool) []headerName {
	var names []headerName
	for _, n := range list {
		if key := http.CanonicalHeaderKey(n); !never[key] {
			names = append(names, headerName{key: key, wire: n})
		}
	}
	return names
}

// copyHeaders copies what the list names and nothing else.
func copyHeaders(to, from http.Header, list []headerName) {
	for _, n := range list {
		if v := from[n.key]; len(v) > 0 {
			to[n.wire] = v
		}
	}
}

// An origin is a scheme and an authority, in the form in which they are compared.
type origin struct{ scheme, host string }

// originOf drops the port that the scheme implies.
func originOf(scheme, host string) origin {
	o := origin{strings.ToLower(scheme), strings.ToLower(host)}
	switch o.scheme {
	case "https":
		o.host = strings.TrimSuffix(o.host, ":443")
	case "http":
		o.host = strings.TrimSuffix(o.host, ":80")
	}
	return o
}

// A reference is a URI reference of a device, cut where its path begins; its
// bytes are never re-encoded, since clients send them back as they are.
type reference struct {
	absolute bool   // names a host
	origin   origin // of an absolute one; the scheme of "//host/" is the device's
	rest     string // path, query and fragment
}

// parseReference cuts ref. ok is false for what no client could follow:
// control characters, backslashes (some clients read them as slashes), user
// names, other schemes.
func parseReference(ref string, device origin) (r reference, ok bool) {
	if strings.ContainsFunc(ref, func(c rune) bool { return c <= ' ' || c == 0x7f || c == '\\' }) {
		return reference{}, false
	}
	scheme, after, found := cutScheme(ref)
	switch {
	case found && strings.HasPrefix(after, "//"):
		after = after[2:]
	case found:
		return reference{}, false
	case strings.HasPrefix(ref, "//"):
		scheme, after = device.scheme, ref[2:]
	default:
		return reference{rest: ref}, true
	}
	host, rest := after, ""
	if i := strings.IndexAny(after, "/?#"); i >= 0 {
		host, rest = after[:i], after[i:]
	}
	if host == "" || strings.Contains(host, "@") {
		return reference{}, false
	}
	if rest == "" || rest[0] != '/' {
		rest = "/" + rest
	}
	return reference{absolute: true, origin: originOf(scheme, host), rest: rest}, true
}

// cutScheme finds "scheme:" at the start (RFC 3986, 3.1).
func cutScheme(ref string) (scheme, after string, found bool) {
	i := strings.IndexAny(ref, ":/?#")
	if i <= 0 || ref[i] != ':' {
		return "", ref, false
	}
	return strings.ToLower(ref[:i]), ref[i+1:], true
}

// base is what a caller typed to get here: scheme and host.
func base(r *http.Request) string {
	if r.TLS == nil {
		return "http://" + r.Host
	}
	return "https://" + r.Host
}

// location returns the Location to show for one of the device's. foreign tells
// that it names another origin than the device's own; ok is false where it
// cannot be read.
//
// The path of a foreign one is shown under our base all the same: devices
// behind address translation or with a wrong name of their own announce hosts
// that no client can reach (protocols: DMTF/python-redfish-library PR 93).
// Redirects to foreign hosts are refused by the caller of this function.
func location(value string, device origin, base string) (shown string, foreign, ok bool) {
	ref, ok := parseReference(value, device)
	if !ok || value == "" {
		return "", false, false
	}
	if !ref.absolute {
		return value, false, true
	}
	return base + ref.rest, ref.origin != device, true
}

// link rewrites the targets of a Link header (RFC 8288, 3) that name the
// device; everything else stays byte for byte. Text that is no Link header
// comes back unchanged.
func link(value string, device origin, base string) string {
	if !strings.Contains(value, "//") {
		return value
	}
	var b strings.Builder
	rest := value
	for {
		before, ref, after, found := cutTarget(rest)
		b.WriteString(before)
		if !found {
			return b.String()
		}
		if r, ok := parseReference(ref, device); ok && r.absolute && r.origin == device {
			ref = base + r.rest
		}
		b.WriteString("<" + ref + ">")
		rest = after
	}
}

// cutTarget finds the first <...> outside of quotes.
func cutTarget(s string) (before, ref, after string, found bool) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == '<' && !quoted:
			end := strings.IndexByte(s[i:], '>')
			if end < 0 {
				return s, "", "", false
			}
			return s[:i], s[i+1 : i+end], s[i+end+1:], true
		}
	}
	return s, "", "", false
}

// deviceOrigin is the origin of a target's URL.
func deviceOrigin(u *url.URL) origin { return originOf(u.Scheme, u.Host) }
