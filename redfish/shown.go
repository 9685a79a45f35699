package redfish

import "net/http"

// ShownTag returns the tag of a resource as the answer to r would have it, for
// resources that list the tags of others.
func ShownTag(r *http.Request, tag string) string { return faceOf(r).tag(tag) }

// Path returns the canonical form of the path of a request line as the profile
// reads it, whatever spelling it takes. The error is that of Canonical.
func (p Profile) Path(raw string) (string, error) { return Canonical(p.respell(raw)) }

// Refuse answers a request with err in the profile's form, for what refuses in
// front of a Handler.
func (p Profile) Refuse(w http.ResponseWriter, r *http.Request, err error) {
	WriteError(w, p.readBy(r), err)
}
