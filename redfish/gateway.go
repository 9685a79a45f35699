package redfish

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strconv"
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

// responseHeaders are what of a device's answer reaches the caller. The
// gateway rewrites Location and Link. Not among them: tokens, cookies, WWW-Authenticate,
// Strict-Transport-Security, Connection, and Cache-Control (ours).
var responseHeaders = []string{
	"Accept-Ranges", "Allow", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Range",
	"Content-Type", "ETag", "Last-Modified", "Link", "Location", "OData-Version", "Retry-After",
}

// RequestHeaders lists the headers of a caller that may reach the device, in
// the letter case of Redfish's documents.
func (p Profile) RequestHeaders() []string { return slices.Clone(requestHeaders) }

// ResponseHeaders lists the headers of a device that may reach the caller, in
// the letter case of Redfish's documents.
func (p Profile) ResponseHeaders() []string { return slices.Clone(responseHeaders) }

// ErrorBody returns the body to show for an error answer of a device whose own
// says nothing to a Redfish client (empty, HTML, plain text), and its media
// type. ok is false where the device's own will do: a JSON object.
// observed: bmcweb sends empty bodies with 401 and 403, iDRAC 8 HTML.
func (p Profile) ErrorBody(status int, contentType string, body []byte) (shown []byte, mediaType string, ok bool) {
	if status < 400 {
		return nil, "", false
	}
	mt, _, err := mime.ParseMediaType(contentType)
	if err == nil && (mt == "application/json" || strings.HasSuffix(mt, "+json")) && isObject(body) {
		return nil, "", false
	}
	text := "The device answered " + strconv.Itoa(status)
	if t := http.StatusText(status); t != "" {
		text += " " + t
	}
	problem := Problem{Status: status, Key: keyGeneralError, Text: text + " without saying more."}
	return encode(p.errorBody(&problem)), "application/json", true
}

// Document returns what is shown of a device's document at an open URI: the
// service root with our sessions in it, others as they are. ok is false where
// body is no such document.
func (p Profile) Document(path string, body []byte) (shown []byte, ok bool) {
	switch path {
	case rootURI:
		root, _, err := AddSessions(body)
		return root, err == nil
	case versionsURI, odataURI:
		_, err := decodeObject(body)
		return body, err == nil
	case metadataURI:
		return body, bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n\xEF\xBB\xBF"), []byte("<"))
	}
	return body, len(body) > 0
}

// ServeMinimal answers GET and HEAD of the open URIs with documents of our own.
func (Profile) ServeMinimal(w http.ResponseWriter, r *http.Request) { serveOpen(w, r) }

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
	if !names(o, "SessionService", sessionServiceURI) {
		out = set(out, o, "SessionService", encode(Ref{sessionServiceURI}))
	}
	if links != nil {
		if o, err = decodeObject(out); err != nil {
			return root, false, fmt.Errorf("redfish: service root: %w", err)
		}
		out = set(out, o, "Links", links)
	}
	// What was added may be there already in another letter case.
	if _, err := decodeObject(out); err != nil {
		return root, false, fmt.Errorf("redfish: service root: %w", err)
	}
	return out, !bytes.Equal(out, root), nil
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
