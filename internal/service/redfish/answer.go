package redfish

import (
	"net/http"

	"github.com/postern/postern/auth"
	rf "github.com/postern/postern/redfish"
)

// maxBody bounds a request body in bytes: a chain of certificates with its key
// fits several times.
const maxBody = 256 << 10

// A call is one request for one of our resources.
type call struct {
	w     http.ResponseWriter
	r     *http.Request
	path  string   // canonical
	id    []string // the segments that name the resource among its kind
	allow string
	by    auth.Principal
}

// own reports whether the account in the path is that of whoever asks.
func (c *call) own() bool {
	return len(c.id) > 0 && c.id[0] == string(c.by.Account)
}

// name is the account in the path.
func (c *call) name() auth.AccountName { return auth.AccountName(c.id[0]) }

// show answers GET and HEAD with a resource.
func (c *call) show(v any) error {
	body, tag := rf.Tagged(rf.Encode(v))
	rf.ServeResource(c.w, c.r, c.allow, body, tag)
	return nil
}

// changed answers a PATCH with the resource as it is now.
func (c *call) changed(v any) error {
	body, tag := rf.Tagged(rf.Encode(v))
	c.w.Header().Set("Allow", c.allow)
	rf.WriteResource(c.w, c.r, http.StatusOK, body, tag)
	return nil
}

// created answers a POST with the new resource.
func (c *call) created(uri string, v any) error {
	c.w.Header().Set("Location", uri)
	body, tag := rf.Tagged(rf.Encode(v))
	rf.WriteResource(c.w, c.r, http.StatusCreated, body, tag)
	return nil
}

func (c *call) done() error {
	rf.WriteNoContent(c.w)
	return nil
}

// match holds If-Match against the resource as it is. exact reports whether the
// request named one version, so that a change must be refused where there is
// another one by the time it is made.
func (c *call) match(v any) (exact bool, err error) {
	_, tag := rf.Tagged(rf.Encode(v))
	if err := rf.CheckMatch(c.r, tag); err != nil {
		return false, err
	}
	m := c.r.Header.Get("If-Match")
	return m != "" && m != "*", nil
}

// body reads the properties in the request.
func (c *call) body() (*rf.Body, error) { return rf.ReadObject(c.w, c.r, maxBody) }
