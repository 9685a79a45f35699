package sim

import "strings"

// maxExpanded bounds an expanded resource in bytes.
const maxExpanded = 16 << 20

// appendExpanded appends the value at body[at] with the references in it, those
// below a member Links apart, replaced by what they refer to. Only collections
// that are defined so need it; what a client asks for with $expand is done in
// front of the tree (redfish.Query).
func (d *Device) appendExpanded(out, body []byte, at int) []byte {
	if c := body[at]; c != '{' && c != '[' || len(out) > maxExpanded {
		return append(out, body[at:skipValue(body, at)]...)
	}
	ps, closing := parts(body, at)
	next := at
	for _, p := range ps {
		out = append(out, body[next:p.start]...)
		next = p.end
		switch whole := d.resolve(body[p.start:p.end]); {
		case p.name == "Links":
			out = append(out, body[p.start:p.end]...)
		case whole != nil:
			out = append(out, whole...)
		default:
			out = d.appendExpanded(out, body, p.start)
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
