package hpe

import (
	"encoding/json"
	"net/http"

	"github.com/postern/postern/auth"
	rf "github.com/postern/postern/redfish"
)

// maxBody bounds a request body in bytes: a chain of certificates fits several times.
const maxBody = 256 << 10

// An object is a JSON object. An iLO writes the members of its own in the order
// of their names, and so does encoding/json.
type object map[string]any

// passing is a value that changes by itself, and counts for nothing in the tag of
// its resource: a client that read the clock must be able to set the time zone.
type passing struct{ value any }

// MarshalJSON writes the value.
func (p passing) MarshalJSON() ([]byte, error) { return json.Marshal(p.value) }

// tagOf is the tag of a resource.
func tagOf(v any) string { return rf.ETag(rf.Encode(still(v))) }

// still is a resource without what passes.
func still(v any) any {
	switch v := v.(type) {
	case passing:
		return nil
	case object:
		out := make(object, len(v))
		for name, of := range v {
			out[name] = still(of)
		}
		return out
	}
	return v
}

// A call is one request for one of our resources.
type call struct {
	w     http.ResponseWriter
	r     *http.Request
	path  string // canonical, without a final slash
	id    []string
	route *route
	allow string
	by    auth.Principal
}

// uri is the resource's own, as it is written.
func (c *call) uri() string { return c.path + "/" }

// show answers GET and HEAD with a resource.
func (c *call) show(v any) error {
	rf.ServeResource(c.w, c.r, c.allow, rf.Encode(v), tagOf(v))
	return nil
}

// match holds If-Match against the resource as it is now. Without one every
// change is taken (observed: ilorest 3.6 and 7.4, rawpatch and iloaccounts).
func (c *call) match() error {
	if len(c.r.Header.Values("If-Match")) == 0 {
		return nil
	}
	v, err := c.route.get(c)
	if err != nil {
		return err
	}
	return rf.CheckMatch(c.r, tagOf(v))
}

// body reads the properties in the request.
func (c *call) body() (*rf.Body, error) { return rf.ReadObject(c.w, c.r, maxBody) }

// done answers a change with a message of success.
func (c *call) done(key string, args ...string) error { return c.say(http.StatusOK, key, args...) }

// created answers a POST that made something.
func (c *call) created(uri string) error {
	c.w.Header().Set("Location", uri)
	return c.say(http.StatusCreated, "Created")
}

// ref refers to a resource.
func ref(uri string) rf.Ref { return rf.Ref{ID: uri} }

// refs refers to several.
func refs(uris []string) []rf.Ref {
	list := make([]rf.Ref, 0, len(uris))
	for _, uri := range uris {
		list = append(list, ref(uri))
	}
	return list
}

// resource adds what every resource begins with.
func resource(uri, typ, id, name string, more object) object {
	more["@odata.context"] = contextOf(typ)
	more["@odata.id"], more["@odata.type"] = uri, typ
	if id != "" {
		more["Id"] = id
	}
	more["Name"] = name
	return more
}

// contextOf is the @odata.context of a type: "#HpeCertAuth.v1_1_0.HpeCertAuth" is
// described by /redfish/v1/$metadata#HpeCertAuth.HpeCertAuth.
func contextOf(typ string) string {
	ns, name := names(typ)
	return metadataURI + "#" + ns + "." + name
}

// oem is an object of HPE's in the Oem part of a resource.
func oem(typ string, more object) object {
	more["@odata.context"], more["@odata.type"] = contextOf(typ), typ
	return object{"Hpe": more}
}

// list is a collection.
func list(uri, typ, name, description string, uris []string) object {
	return resource(uri, typ, "", name, object{
		"Description": description, "Members": refs(uris), "Members@odata.count": len(uris),
	})
}
