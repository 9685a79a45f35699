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
	serveBody(w, r, body, etag)
}

// serveBody is ServeResource where method and Accept are judged.
func serveBody(w http.ResponseWriter, r *http.Request, body []byte, etag string) {
	shown := faceOf(r).tag(etag)
	if m := strings.Join(r.Header.Values("If-None-Match"), ","); m != "" && etag != "" && etagListed(m, shown, false) {
		setHeader(w.Header(), "ETag", shown)
		commonHeaders(w.Header())
		w.WriteHeader(http.StatusNotModified)
		return
	}
	writeResource(w, r, http.StatusOK, body, etag)
}

// WriteResource answers with a resource, as PATCH does with 200 and POST with
// 201; a Location is for the caller to set before. etag is the resource's
// strong tag, or "".
//
// Behind a Handler with another profile than the generic one, tag, Location, Link
// and the URIs in the body get the profile's form, here and in ServeResource; and
// where the profile tells of changes in a message, that takes the place of body.
func WriteResource(w http.ResponseWriter, r *http.Request, status int, body []byte, etag string) {
	f := faceOf(r)
	h := w.Header()
	if status == http.StatusCreated {
		f.place(h, r)
	}
	if key := f.told(r, status); key != "" {
		WriteMessage(w, r, status, key)
		return
	}
	writeResource(w, r, status, body, etag)
}

// told returns the message that stands for a resource which was changed or made,
// "" where the resource is shown.
func (f face) told(r *http.Request, status int) string {
	if f.profile.flavour == nil || !f.profile.flavour.changes {
		return ""
	}
	switch {
	case r.Method == http.MethodPost && status == http.StatusCreated:
		return keyCreated
	case (r.Method == http.MethodPatch || r.Method == http.MethodPut) && status == http.StatusOK:
		if strings.HasPrefix(r.URL.Path, accountsURI+"/") {
			return keyAccountModified
		}
		return keySuccess
	}
	return ""
}

func writeResource(w http.ResponseWriter, r *http.Request, status int, body []byte, etag string) {
	f := faceOf(r)
	body, etag = f.dress(body, etag)
	h := w.Header()
	if schema := schemaOf(body); schema != "" {
		f.describe(h, schema)
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
	shown := faceOf(r).tag(etag)
	values := r.Header.Values("If-Match")
	if len(values) == 0 || etagListed(strings.Join(values, ","), shown, !strings.HasPrefix(shown, "W/")) {
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
