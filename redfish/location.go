package redfish

import (
	"net/http"
	"net/url"
	"strings"
)

// maxLocation bounds what is kept of a device's Location.
const maxLocation = 2048

// resolve makes a path of what a device named in a Location header or in
// @odata.id, without changing a byte of it (DMTF/python-redfish-library PR 93:
// ids with encoded brackets). Scheme and host are dropped: devices behind NAT,
// or with wrong names, announce others, and the token goes to the configured
// one only. A rootless one lies below /redfish/v1/, or below / when it begins
// with redfish/. "" means that there is no path in it.
func resolve(value string) string {
	value, _, _ = strings.Cut(value, "#")
	_, authority, rest := splitURL(value)
	switch {
	case authority != "":
		value = rest
	case value == "" || value[0] == '/':
	case strings.HasPrefix(value, "redfish/"):
		value = "/" + value
	default:
		value = rootURI + value
	}
	if !targetOK(value) {
		return ""
	}
	return value
}

// targetOK reports whether path, perhaps with a query, can be asked for as it
// is: rooted, visible ASCII, no dot or empty segments that somebody on the way
// may change.
func targetOK(path string) bool {
	if path == "" || path[0] != '/' || len(path) > maxLocation || !printable(path) || strings.ContainsAny(path, `\#`) {
		return false
	}
	raw, _, _ := strings.Cut(path, "?")
	if _, err := url.PathUnescape(raw); err != nil {
		return false
	}
	segs := strings.Split(raw[1:], "/")
	for i, s := range segs {
		if s == "." || s == ".." || s == "" && i < len(segs)-1 {
			return false
		}
	}
	return true
}

// sessionPath reports whether path can be that of a session: something below
// something that is named after sessions. It will be asked to be deleted, and
// a device that names its system or its collection there must not lose it.
func sessionPath(path string) bool {
	if !targetOK(path) || strings.Contains(path, "?") {
		return false
	}
	segs := strings.Split(strings.ToLower(strings.Trim(path, "/")), "/")
	last := len(segs) - 1
	for _, s := range segs[:last] {
		if strings.Contains(s, "session") && segs[last] != "sessions" && segs[last] != "members" {
			return true
		}
	}
	return false
}

// lastSegment is the id that a session's path ends in.
func lastSegment(path string) string {
	path = strings.TrimRight(path, "/")
	return path[strings.LastIndexByte(path, '/')+1:]
}

// redirectPath returns the path that a redirect leads to on the same host, as
// it was spelled, or "".
func redirectPath(h http.Header, base string) string {
	scheme, authority, rest := splitURL(h.Get("Location"))
	if authority == "" || sameHost(scheme, authority, base) {
		return rest
	}
	return ""
}

// splitURL takes a URL apart without changing a byte of what is behind the
// authority. Both are empty for a relative reference.
func splitURL(s string) (scheme, authority, rest string) {
	if strings.HasPrefix(s, "//") {
		s = s[2:]
	} else {
		var ok bool
		if scheme, s, ok = strings.Cut(s, "://"); !ok || strings.ContainsAny(scheme, "/?#") {
			return "", "", scheme
		}
	}
	if i := strings.IndexAny(s, "/?#"); i >= 0 {
		authority, rest = s[:i], s[i:]
	} else {
		authority = s
	}
	if authority == "" {
		authority = "\x00" // nobody's
	}
	return scheme, authority, rest
}

// sameHost compares with the default ports filled in. A user name is nobody's.
func sameHost(scheme, authority, base string) bool {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" {
		return false
	}
	if scheme == "" {
		scheme = u.Scheme
	}
	return strings.EqualFold(scheme, u.Scheme) && withPort(scheme, authority) == withPort(u.Scheme, u.Host)
}

func withPort(scheme, host string) string {
	host = strings.ToLower(host)
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		return host
	}
	if strings.EqualFold(scheme, "http") {
		return host + ":80"
	}
	return host + ":443"
}

// printable reports whether s is visible ASCII throughout.
func printable(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] >= 0x7F {
			return false
		}
	}
	return true
}
