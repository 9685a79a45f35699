package redfish

import (
	"encoding/json"
	"net/http"
	"strings"
)

// ServeResource answers GET and HEAD with a resource: body is its JSON, etag
// its strong tag or "", allow the methods of its URI ("GET, HEAD, PATCH"). It
// sets Allow, ETag, OData-Version, Cache-Control and a Link to the schema that
// body's @odata.type names, and answers 406 and 304 by itself.
func ServeResource(w http.ResponseWriter, r *http.Request, allow string, body []byte, etag string) {
	w.Header().Set("Allow", allow)
	if err := checkAccept(r, "application/json"); err != nil {
		WriteError(w, r, err)
		return
	}
	if m := strings.Join(r.Header.Values("If-None-Match"), ","); m != "" && etag != "" && etagListed(m, etag, false) {
		setHeader(w.Header(), "ETag", etag)
		commonHeaders(w.Header())
		w.WriteHeader(http.StatusNotModified)
		return
	}
	WriteResource(w, r, http.StatusOK, body, etag)
}

// WriteResource answers with a resource, as PATCH does with 200 and POST with
// 201; a Location is for the caller to set before. etag is the resource's
// strong tag, or "".
func WriteResource(w http.ResponseWriter, r *http.Request, status int, body []byte, etag string) {
	h := w.Header()
	if schema := schemaOf(body); schema != "" {
		describedBy(h, schema)
	}
	if etag != "" {
		setHeader(h, "ETag", etag)
	}
	writeBody(w, r, status, "application/json", body)
}

// WriteNoContent is the answer to a change that has nothing to show.
func WriteNoContent(w http.ResponseWriter) {
	commonHeaders(w.Header())
	w.WriteHeader(http.StatusNoContent)
}

// schemaOf returns the name of the schema file for the @odata.type of body, or "".
func schemaOf(body []byte) string {
	var v struct {
		Type string `json:"@odata.type"`
	}
	if json.Unmarshal(body, &v) != nil {
		return ""
	}
	return schemaName(v.Type)
}

// schemaName is the name of the schema file for "#Role.v1_3_3.Role": Role.v1_3_3.
func schemaName(odataType string) string {
	name, ok := strings.CutPrefix(odataType, "#")
	if !ok || !printable(name) || strings.ContainsAny(name, "/<>?#%\"") {
		return ""
	}
	i := strings.LastIndexByte(name, '.')
	if i < 1 {
		return ""
	}
	return name[:i]
}

// Encode returns the JSON of v, on one line and without HTML escapes. v must be
// of a type that always marshals.
func Encode(v any) []byte { return encode(v) }

// ETag returns the strong entity tag of a body: weak ones never match in If-Match.
func ETag(body []byte) string { return etag(body) }

// Tagged returns body, a JSON object, with its tag as @odata.etag in it, and
// the tag: the one that body has without that member.
func Tagged(body []byte) (tagged []byte, tag string) {
	tag = etag(body)
	if !isObject(body) {
		return body, tag
	}
	o, err := topLevel(body)
	if err != nil {
		return body, tag
	}
	return set(body, o, "@odata.etag", encode(tag)), tag
}

// CheckMatch holds If-Match against the tag of the resource that is to be
// changed: 412 where it was sent and does not name it.
func CheckMatch(r *http.Request, etag string) error {
	values := r.Header.Values("If-Match")
	if len(values) == 0 || etagListed(strings.Join(values, ","), etag, true) {
		return nil
	}
	return &Problem{Status: http.StatusPreconditionFailed, Key: keyPreconditionFailed}
}

// RequireMatch is CheckMatch for a resource that is changed with an If-Match
// alone: 428 without one.
func RequireMatch(r *http.Request, etag string) error {
	if len(r.Header.Values("If-Match")) == 0 {
		return &Problem{Status: http.StatusPreconditionRequired, Key: keyPreconditionRequired}
	}
	return CheckMatch(r, etag)
}
