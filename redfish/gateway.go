package redfish

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// requestHeaders are what of a caller's request reaches the device. Not among
// them: credentials and cookies, X-HTTP-Method-Override and its like (the
// method that was judged is the one that counts), X-Requested-With (bmcweb
// answers it with cookies in place of a token), forwarding headers,
// Accept-Encoding (the gateway asks for identity).
var requestHeaders = []string{
	"Accept", "Accept-Language", "Content-Disposition", "Content-Encoding", "Content-Type",
	"If-Match", "If-Modified-Since", "If-None-Match", "If-Range", "If-Unmodified-Since",
	"Last-Event-ID", "OData-MaxVersion", "OData-Version", "Range",
}

// responseHeaders are what of a device's answer reaches the caller. Location
// and Link are rewritten. Not among them: tokens, cookies, WWW-Authenticate,
// Strict-Transport-Security, Connection, and Cache-Control (ours).
var responseHeaders = []string{
	"Accept-Ranges", "Allow", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Range",
	"Content-Type", "ETag", "Last-Modified", "Link", "Location", "OData-Version", "Retry-After",
}

// RequestHeaders lists what of a caller's headers may reach the device, in the
// letter case in which they are sent.
func RequestHeaders() []string { return slices.Clone(requestHeaders) }

// ResponseHeaders lists what of a device's headers may reach the caller, in the
// letter case of Redfish's documents.
func ResponseHeaders() []string { return slices.Clone(responseHeaders) }

// CopyRequestHeaders copies to dst what of a caller's headers src may reach
// the device.
func CopyRequestHeaders(dst, src http.Header) { copyHeaders(dst, src, requestHeaders) }

// CopyResponseHeaders copies to dst what of a device's headers src may reach
// the caller, in the letter case of Redfish's documents. Location and Link are
// copied as they are: see RewriteLocation and RewriteLink.
func CopyResponseHeaders(dst, src http.Header) { copyHeaders(dst, src, responseHeaders) }

func copyHeaders(dst, src http.Header, names []string) {
	for _, name := range names {
		if v := src.Values(name); len(v) > 0 {
			delHeader(dst, name)
			dst[name] = append([]string(nil), v...)
		}
	}
}

// RewriteLocation makes a device's Location one of ours: an absolute URL of
// the device (deviceURL, scheme and host) becomes frontBase plus its path and
// query, byte for byte; a relative reference stays. A URL of anybody else is
// an error: the caller must not be sent there.
func RewriteLocation(value, deviceURL, frontBase string) (string, error) {
	if !printable(value) {
		return "", fmt.Errorf("redfish: location with characters that a URL cannot hold")
	}
	scheme, authority, rest := splitURL(value)
	if authority == "" && scheme == "" {
		return value, nil
	}
	if !sameHost(scheme, authority, deviceURL) {
		return "", fmt.Errorf("redfish: location %q leads away from the device", value)
	}
	return strings.TrimSuffix(frontBase, "/") + rest, nil
}

// RewriteLink does the same for each target of a Link header. Targets at other
// hosts stay: they name published schemas.
func RewriteLink(value, deviceURL, frontBase string) string {
	var b strings.Builder
	for {
		open := strings.IndexByte(value, '<')
		if open < 0 {
			break
		}
		end := strings.IndexByte(value[open:], '>')
		if end < 0 {
			break
		}
		target := value[open+1 : open+end]
		if moved, err := RewriteLocation(target, deviceURL, frontBase); err == nil {
			target = moved
		}
		b.WriteString(value[:open+1] + target + ">")
		value = value[open+end+1:]
	}
	return b.String() + value
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

// AddSessions returns a device's service root with SessionService and
// Links.Sessions naming ours. Where they do so already (one trailing slash
// aside) root comes back as it is, and changed is false; otherwise only those
// members are added or replaced, and every other byte stays. An error says
// that root is not a JSON object that can be read in one way.
func AddSessions(root []byte) (out []byte, changed bool, err error) {
	o, err := decodeObject(root)
	if err != nil {
		return root, false, fmt.Errorf("redfish: service root: %w", err)
	}
	links, err := withMember(linksOf(o), "Sessions", sessionsURI)
	if err != nil {
		return root, false, fmt.Errorf("redfish: service root: Links: %w", err)
	}
	out = root
	if links != nil {
		out = set(out, o, "Links", links)
		if o, err = decodeObject(out); err != nil {
			return root, false, fmt.Errorf("redfish: service root: %w", err)
		}
	}
	if !names(o, "SessionService", sessionServiceURI) {
		out = set(out, o, "SessionService", encode(Ref{sessionServiceURI}))
	}
	return out, len(out) != len(root) || !bytes.Equal(out, root), nil
}

// linksOf returns the bytes of Links, or an empty object.
func linksOf(o object) []byte {
	if raw := o.get("Links"); raw != nil && raw[0] == '{' {
		return raw
	}
	return []byte("{}")
}

// withMember returns obj with a reference that names uri, or nil where it does
// so already.
func withMember(obj []byte, name, uri string) ([]byte, error) {
	o, err := decodeObject(obj)
	if err != nil || names(o, name, uri) {
		return nil, err
	}
	return set(obj, o, name, encode(Ref{uri})), nil
}

// names reports whether a member is a reference to uri.
func names(o object, member, uri string) bool {
	return strings.TrimSuffix(o.sub(member).text("@odata.id"), "/") == uri
}

// set replaces or appends one member of data, which o was read from.
func set(data []byte, o object, name string, value []byte) []byte {
	var out []byte
	for _, m := range o.members {
		if m.name == name {
			out = append(out, data[:m.start]...)
			out = append(out, value...)
			return append(out, data[m.end:]...)
		}
	}
	at, comma := o.end, ""
	if n := len(o.members); n > 0 {
		at, comma = o.members[n-1].end, ","
	}
	key, _ := json.Marshal(name) // a string always marshals
	out = append(out, data[:at]...)
	out = append(out, comma...)
	out = append(out, key...)
	out = append(out, ':')
	out = append(out, value...)
	return append(out, data[at:]...)
}
