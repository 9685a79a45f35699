package redfish

import (
	"crypto/sha256"
	"net/http"
	"strings"
)

// uri returns the URI of a resource of ours as the face writes it.
func (f face) uri(path string) string {
	slash := f.slash
	switch f.profile.Slash {
	case SlashAsWritten:
		return path
	case SlashAlways:
		slash = true
	case SlashNever:
		slash = false
	}
	if strings.ContainsAny(path, "?#") {
		return path
	}
	if path = strings.TrimRight(path, "/"); slash {
		path += "/"
	}
	return path
}

// absolute is the URI as a Location: absolute, from the Host that the client
// typed, because the curl recipe sorts the token before "https".
func (f face) absolute(r *http.Request, path string) string {
	uri := f.uri(path)
	if f.profile.RelativeLocation || r.Host == "" {
		return uri
	}
	return "https://" + r.Host + uri
}

// tag returns an entity tag of ours in the profile's form; "" stays.
func (f face) tag(own string) string {
	if f.profile.flavour == nil || own == "" {
		return own
	}
	sum := sha256.Sum256([]byte(own))
	return f.profile.flavour.tag(sum[:])
}

// dress gives a resource the profile's form: the tag in it, and how the URIs in
// it end. A body that is no JSON comes back as it is.
func (f face) dress(body []byte, tag string) ([]byte, string) {
	if f.profile.flavour == nil {
		return body, tag
	}
	if !isObject(body) {
		return body, f.tag(tag)
	}
	shown := f.tag(tag)
	if shown != "" {
		body = withTag(body, encode(shown))
	}
	if f.profile.Slash == SlashAsWritten {
		return body, shown
	}
	return f.appendLinks(make([]byte, 0, len(body)+len(body)/8), wholeValue(body)), shown
}

// withTag puts a tag into a resource, in the place of the one that is there or
// before its URI, where HPE's have it.
func withTag(body, tag []byte) []byte {
	const name = `"@odata.etag"`
	v := wholeValue(body)
	out := append(make([]byte, 0, len(body)+len(tag)+len(name)), '{')
	placed := lookUp(v, "@odata.etag") != nil
	for key, value := range membersOf(v) {
		switch {
		case string(key) == name:
			value = tag
		case string(key) == `"@odata.id"` && !placed:
			out, placed = appendMember(out, []byte(name), tag), true
		}
		out = appendMember(out, key, value)
	}
	if !placed {
		out = appendMember(out, []byte(name), tag)
	}
	return append(out, '}')
}

// appendLinks appends a value with the URIs of resources in it ending as the
// face wants.
func (f face) appendLinks(out, v []byte) []byte {
	switch v[0] {
	case '[':
		out = append(out, '[')
		n := 0
		for element := range elementsOf(v) {
			if n++; n > 1 {
				out = append(out, ',')
			}
			out = f.appendLinks(out, element)
		}
		return append(out, ']')
	case '{':
		out = append(out, '{')
		for name, value := range membersOf(v) {
			out = appendMember(out, name, nil)
			if value[0] == '"' && isLink(name) {
				out = f.appendLink(out, value)
			} else {
				out = f.appendLinks(out, value)
			}
		}
		return append(out, '}')
	}
	return append(out, v...)
}

// isLink reports whether a member of that name, quotes included, holds the URI
// of a resource or an action.
func isLink(name []byte) bool {
	switch string(name) {
	case `"@odata.id"`, `"target"`, `"Uri"`:
		return true
	}
	return false
}

func (f face) appendLink(out, value []byte) []byte {
	uri := unquote(value)
	if uri+"/" != rootURI && !strings.HasPrefix(uri, rootURI) {
		return append(out, value...)
	}
	return append(out, encode(f.uri(uri))...)
}

// describe names the schema of a resource.
func (f face) describe(h http.Header, schema string) {
	if f.profile.flavour == nil || f.profile.flavour.schemaLink == nil {
		describedBy(h, schema)
		return
	}
	h.Set("Link", f.profile.flavour.schemaLink(schema))
}

// place makes a Location that a handler behind has set one of the profile's.
func (f face) place(h http.Header, r *http.Request) {
	if at := h.Get("Location"); f.profile.flavour != nil && strings.HasPrefix(at, rootURI) {
		h.Set("Location", f.absolute(r, at))
	}
}

// contentType returns the media type of a body as the profile writes it.
func (f face) contentType(media string) string {
	if media == "application/json" && f.profile.flavour != nil && f.profile.flavour.contentType != "" {
		return f.profile.flavour.contentType
	}
	return media
}

// headers sets those that the profile has on every answer, in its letter case.
func (f face) headers(h http.Header) {
	if f.profile.flavour != nil {
		for _, line := range f.profile.flavour.headers {
			setHeader(h, line[0], line[1])
		}
	}
	if f.profile.OldHeaders {
		for _, line := range oldHeaders {
			setHeader(h, line[0], line[1])
		}
	}
}

// A loginWriter lets no header through but those that the device's answer to a
// login has, and those of HTTP.
type loginWriter struct {
	http.ResponseWriter
	keep []string
}

func (w loginWriter) WriteHeader(status int) {
	h := w.Header()
	for name := range h {
		if !w.keeps(name) {
			delete(h, name)
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w loginWriter) keeps(name string) bool {
	for _, k := range w.keep {
		if k == name {
			return true
		}
	}
	return false
}
