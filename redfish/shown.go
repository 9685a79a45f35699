package redfish

import "net/http"

// ShownTag returns the tag of a resource as the answer to r would have it, for
// resources that list the tags of others.
func ShownTag(r *http.Request, tag string) string { return faceOf(r).tag(tag) }
