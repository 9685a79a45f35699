package redfish

import (
	"mime"
	"net/http"
	"strings"
)

// setHeader sets a header in the letter case of Redfish's documents. Header.Set
// would send Etag, Odata-Version and Www-Authenticate, which is legal, but
// scripts match what the documents print.
func setHeader(h http.Header, name, value string) {
	delHeader(h, name)
	h[name] = []string{value}
}

func delHeader(h http.Header, name string) {
	h.Del(name)
	delete(h, name)
}

// commonHeaders are on every answer that this package writes.
func commonHeaders(h http.Header) {
	setHeader(h, "OData-Version", "4.0")
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-store")
	}
	h.Set("X-Content-Type-Options", "nosniff")
}

// describedBy names the published schema of a resource (DSP0266 1.8.1, 8.2).
func describedBy(h http.Header, schema string) {
	h.Set("Link", "<http://redfish.dmtf.org/schemas/v1/"+schema+".json>; rel=describedby")
}

// oDataVersionOK reports whether the request asks for the version we speak.
func oDataVersionOK(h http.Header) bool {
	for _, v := range h.Values("OData-Version") {
		if v != "4.0" {
			return false
		}
	}
	return true
}

// acceptable reports whether an Accept header lets us answer with one of the
// media types (DSP0266 1.8.1, 7.1). No header accepts everything; entries that
// cannot be read are passed over.
func acceptable(accept []string, types ...string) bool {
	list := strings.Join(accept, ",")
	if strings.TrimSpace(list) == "" {
		return true
	}
	for entry := range strings.SplitSeq(list, ",") {
		mt, params, err := mime.ParseMediaType(entry)
		if err != nil || strings.Trim(params["q"], "0.") == "" && params["q"] != "" {
			continue
		}
		if cs, ok := params["charset"]; ok && !strings.EqualFold(cs, "utf-8") {
			continue
		}
		for _, t := range types {
			major, _, _ := strings.Cut(t, "/")
			if mt == t || mt == "*/*" || mt == major+"/*" {
				return true
			}
		}
	}
	return false
}

// jsonContent reports whether a request's body claims to be JSON in UTF-8. No
// claim is as good: the body is then judged by itself.
func jsonContent(h http.Header) bool {
	if enc := h.Get("Content-Encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
		return false
	}
	values := h.Values("Content-Type")
	if len(values) == 0 || len(values) == 1 && values[0] == "" {
		return true
	}
	mt, params, err := mime.ParseMediaType(values[0])
	if err != nil || len(values) > 1 || mt != "application/json" {
		return false
	}
	cs, ok := params["charset"]
	return !ok || strings.EqualFold(cs, "utf-8")
}

// etagListed reports whether an If-Match or If-None-Match value names tag.
// strong refuses weak tags, as If-Match wants. What is not a list of quoted
// tags names nothing (RFC 9110, 8.8.3 and 13.1).
func etagListed(list, tag string, strong bool) bool {
	tag = strings.TrimPrefix(tag, "W/")
	if strings.TrimSpace(list) == "*" {
		return true
	}
	found := false
	for rest := strings.TrimSpace(list); rest != ""; {
		weak := strings.HasPrefix(rest, "W/")
		rest = strings.TrimPrefix(rest, "W/")
		if rest == "" || rest[0] != '"' {
			return false
		}
		end := strings.IndexByte(rest[1:], '"')
		if end < 0 {
			return false
		}
		if rest[:end+2] == tag && !(weak && strong) {
			found = true
		}
		rest = strings.TrimSpace(rest[end+2:])
		if rest == "" {
			break
		}
		if rest[0] != ',' {
			return false
		}
		rest = strings.TrimSpace(rest[1:])
	}
	return found
}
