package sim

import (
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/redfish"
)

// serve answers for the tree: behind the logins, and for the open URIs. The
// checks come in the order that DSP0266 gives them: the resource (404), its
// methods (405), the privilege (403), then what the request itself says.
func (d *Device) serve(w http.ResponseWriter, r *http.Request) {
	path, err := redfish.Canonical(r.URL.EscapedPath())
	if err != nil {
		redfish.WriteError(w, r, err)
		return
	}
	path = strings.TrimSuffix(path, "/")
	e := d.endpoint(path)
	if e == nil {
		redfish.WriteError(w, r, missing(path))
		return
	}
	act, ok := e[r.Method]
	if !ok {
		redfish.WriteError(w, r, &redfish.Problem{Status: http.StatusMethodNotAllowed, Key: "OperationNotAllowed", Allow: e.allow()})
		return
	}
	if !d.mayCall(r, path) && !d.mayEvent(r, path) {
		redfish.WriteError(w, r, auth.ErrForbidden)
		return
	}
	w.Header().Set("Allow", d.advertised(e, r.Method))
	if err := act(w, r, path); err != nil {
		redfish.WriteError(w, r, err)
	}
}

// An endpoint is what may be done at one path, by method.
type endpoint map[string]func(w http.ResponseWriter, r *http.Request, path string) error

// methods in the order in which Allow lists them.
var methods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPatch, http.MethodDelete}

func (e endpoint) allow() string {
	var list []string
	for _, m := range methods {
		if e[m] != nil {
			list = append(list, m)
		}
	}
	return strings.Join(list, ", ")
}

// advertised is the Allow header of an answer that is no 405. Which methods a
// resource of a mockup should have is for its schema to say, which nobody here
// has read: it is taken to be read only, and takes writes all the same.
// (observed: the DMTF's service validator 3.1.8 fails 165 of rackmount1's
// resources for a DELETE, POST or PATCH in Allow.)
func (d *Device) advertised(e endpoint, method string) string {
	if !d.store.tree.living && (method == http.MethodGet || method == http.MethodHead) {
		return "GET, HEAD"
	}
	return e.allow()
}

// endpoint returns what is at path, nil for nothing.
func (d *Device) endpoint(path string) endpoint {
	if d.store.tree.living {
		d.tasks.settle()
		if e := livingEndpoints[path]; e != nil {
			return e(d)
		}
		if e := d.serviceEndpoint(path); e != nil {
			return e
		}
	} else if d.store.tree.targets[path] {
		return endpoint{http.MethodPost: d.mockAction}
	}
	f := d.store.get(path)
	if f == nil {
		return d.alias(path)
	}
	e := endpoint{http.MethodGet: d.read, http.MethodHead: d.read}
	switch {
	case f.media != mediaJSON || path == rootPath:
	case d.store.tree.living:
		if writable[path] != nil {
			e[http.MethodPatch] = d.patch
		}
	case f.has("Members"):
		e[http.MethodPost] = d.mockCreate
	default:
		e[http.MethodPatch] = d.mockPatch
		e[http.MethodDelete] = d.mockDelete
	}
	return e
}

// alias is what a collection's Members take besides the collection itself
// (DSP0266 1.20.0, 7.9).
func (d *Device) alias(path string) endpoint {
	at, ok := strings.CutSuffix(path, "/Members")
	if list := d.store.get(at); !ok || d.store.tree.living || list == nil || !list.has("Members") {
		return nil
	}
	return endpoint{http.MethodPost: func(w http.ResponseWriter, r *http.Request, _ string) error {
		return d.mockCreate(w, r, at)
	}}
}

// read answers GET and HEAD.
func (d *Device) read(w http.ResponseWriter, r *http.Request, path string) error {
	f := d.store.get(path)
	if f == nil { // deleted since
		return missing(path)
	}
	body := d.render(path, f)
	if f.media == mediaJSON {
		redfish.ServeResource(w, r, w.Header().Get("Allow"), body, f.etag)
		return nil
	}
	h := w.Header()
	h.Set("Content-Type", f.media)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	setHeader(w, "OData-Version", "4.0")
	if r.Method != http.MethodHead {
		w.Write(body) // an error here is the peer's going away
	}
	return nil
}

// render returns the body of a file as the device shows it now.
func (d *Device) render(path string, f *file) []byte {
	body := f.body
	if d.store.tree.living {
		if show := shows[path]; show != nil {
			body = show(d, body)
		}
		if path == entriesPath || path == systemEntriesPath { // an expanded collection (DSP0268, LogEntryCollection)
			body = d.appendExpanded(nil, body, 0)
		}
		if s, ok := sensorOf[path]; ok {
			body = putValue(body, d.reading(s.sensor), s.member...)
		}
		if writable[path] != nil {
			body = putValue(body, f.etag, "@odata.etag")
		}
	}
	return body
}

// done is the answer to a change that has nothing to show.
func (d *Device) done(w http.ResponseWriter) error {
	redfish.WriteNoContent(w)
	return nil
}

// setHeader keeps the letter case that http.Header.Set would change.
func setHeader(w http.ResponseWriter, name, value string) {
	h := w.Header()
	h.Del(name)
	h[name] = []string{value}
}

// accepts reports whether an Accept header, absent or not, takes the media type.
func accepts(r *http.Request, media string) bool {
	fields := r.Header.Values("Accept")
	if len(fields) == 0 {
		return true
	}
	for item := range strings.SplitSeq(strings.Join(fields, ","), ",") {
		mt, params, err := mime.ParseMediaType(item)
		if err != nil || params["q"] == "0" {
			continue
		}
		if mt == "*/*" || mt == "application/*" || mt == media {
			return true
		}
	}
	return false
}

// precondition checks If-Match against the file; the store is locked, so that
// nothing comes between the check and the write. A file that is gone has none.
func precondition(r *http.Request, f *file) error {
	if f == nil {
		return nil
	}
	return redfish.CheckMatch(r, f.etag)
}
