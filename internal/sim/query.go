package sim

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/postern/postern/redfish"
)

// maxExpanded bounds an expanded answer in bytes.
const maxExpanded = 16 << 20

var expandValue = regexp.MustCompile(`^([*.~])(?:\(\$levels=([0-9]+)\))?$`)

// query applies the query parameters of a GET: `only`, and `$expand` by one
// level (DSP0266 1.20.0, 7.3). Other parameters with a $ are refused with 501,
// those without are ignored.
func (d *Device) query(r *http.Request, body []byte) ([]byte, error) {
	if r.URL.RawQuery == "" {
		return body, nil
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, &redfish.Problem{Status: http.StatusBadRequest, Key: "GeneralError", Text: "The query cannot be read.", Err: err}
	}
	for name := range q {
		if strings.HasPrefix(name, "$") && name != "$expand" {
			return nil, &redfish.Problem{Status: http.StatusNotImplemented, Key: "QueryParameterUnsupported", Args: []string{name}}
		}
	}
	if q.Has("only") {
		if body, err = d.only(q.Get("only"), body); err != nil {
			return nil, err
		}
	}
	if q.Has("$expand") {
		return d.expand(q.Get("$expand"), body)
	}
	return body, nil
}

// only returns the one member of a collection that has one, else the collection.
func (d *Device) only(value string, body []byte) ([]byte, error) {
	members := lookup(body, "Members")
	switch {
	case value != "":
		return nil, &redfish.Problem{Status: http.StatusBadRequest, Key: "QueryParameterValueError", Args: []string{"only"}}
	case members == nil || members[0] != '[':
		return nil, &redfish.Problem{Status: http.StatusBadRequest, Key: "QueryNotSupportedOnResource"}
	}
	if ps, _ := parts(members, 0); len(ps) == 1 {
		if one := d.resolve(members[ps[0].start:ps[0].end]); one != nil {
			return one, nil
		}
	}
	return body, nil
}

// expand replaces the references of a resource by what they refer to: those
// outside of Links with `.`, those inside with `~`, all with `*`.
func (d *Device) expand(value string, body []byte) ([]byte, error) {
	m := expandValue.FindStringSubmatch(value)
	if m == nil || (m[2] != "" && m[2] != "1") {
		return nil, &redfish.Problem{Status: http.StatusBadRequest, Key: "QueryParameterValueError", Args: []string{"$expand"}}
	}
	out := d.appendExpanded(nil, body, skipSpace(body, 0), m[1], false)
	if len(out) > maxExpanded {
		return nil, &redfish.Problem{Status: http.StatusInsufficientStorage, Key: "GeneralError", Text: "The expanded answer is too large."}
	}
	return out, nil
}

// appendExpanded appends the value at body[at] with its references replaced;
// inLinks says whether it lies below a member Links.
func (d *Device) appendExpanded(out, body []byte, at int, which string, inLinks bool) []byte {
	if c := body[at]; c != '{' && c != '[' || len(out) > maxExpanded {
		return append(out, body[at:skipValue(body, at)]...)
	}
	ps, closing := parts(body, at)
	next := at
	for _, p := range ps {
		out = append(out, body[next:p.start]...)
		next = p.end
		inLinks := inLinks || p.name == "Links"
		var whole []byte
		if which == "*" || (which == "~") == inLinks {
			whole = d.resolve(body[p.start:p.end])
		}
		if whole != nil {
			out = append(out, whole...)
		} else {
			out = d.appendExpanded(out, body, p.start, which, inLinks)
		}
	}
	return append(out, body[next:closing+1]...)
}

// resolve returns the resource that v is a reference to, nil if it is none or
// leads nowhere.
func (d *Device) resolve(v []byte) []byte {
	uri := reference(v)
	if uri == "" {
		return nil
	}
	path := strings.TrimSuffix(uri, "/")
	f := d.store.get(path)
	if f == nil || f.media != mediaJSON {
		return nil
	}
	whole := d.render(path, f)
	return whole[skipSpace(whole, 0):]
}
