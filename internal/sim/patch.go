package sim

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/postern/postern/redfish"
)

// maxBody bounds the body of a PATCH, of a creation and of an action.
const maxBody = 256 << 10

// readObject reads a request body that must be a JSON object. Without a body,
// actions get an empty object.
func readObject(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, err
	case err != nil:
		return nil, &redfish.Problem{Status: http.StatusBadRequest, Key: "GeneralError", Text: "The request body could not be read.", Err: err}
	}
	if len(body) == 0 && r.Method == http.MethodPost {
		return []byte("{}"), nil
	}
	mt, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if r.Header.Get("Content-Type") != "" && (err != nil || mt != mediaJSON) {
		return nil, &redfish.Problem{Status: http.StatusUnsupportedMediaType, Key: "HeaderInvalid", Args: []string{"Content-Type"}}
	}
	if _, err := redfish.BodyMembers(body); err != nil {
		return nil, err
	}
	return body, nil
}

// writable lists what a PATCH may change in the built-in tree, by the path of
// the property in its resource.
var writable = map[string]map[string]check{
	systemPath: {
		"AssetTag":                       anyText,
		"HostName":                       anyText,
		"LocationIndicatorActive":        boolean,
		"Boot/BootSourceOverrideTarget":  listed,
		"Boot/BootSourceOverrideEnabled": listed,
		"Boot/BootSourceOverrideMode":    listed,
	},
	chassisPath: {
		"AssetTag":                anyText,
		"LocationIndicatorActive": boolean,
	},
	networkPath: {
		"HostName":            anyText,
		"NTP/ProtocolEnabled": boolean,
		"NTP/NTPServers":      textList,
	},
	eventsPath: {
		"ServiceEnabled":               boolean,
		"DeliveryRetryAttempts":        upTo(maxRetries),
		"DeliveryRetryIntervalSeconds": upTo(int(maxPushWait / time.Second)),
	},
	managerNet: {
		"HostName":           anyText,
		"InterfaceEnabled":   boolean,
		"DHCPv4/DHCPEnabled": boolean,
	},
}

// patch answers a PATCH in the built-in tree: all of it is done, or nothing,
// with one message for each property that is not right. The whole resource is
// the answer.
func (d *Device) patch(w http.ResponseWriter, r *http.Request, path string) error {
	f, err := d.patched(w, r, path)
	if err != nil {
		return err
	}
	d.events.resourceEvent(eventResourceUpdated, path, "")
	redfish.WriteResource(w, r, http.StatusOK, d.render(path, f), f.etag)
	return nil
}

func (d *Device) patched(w http.ResponseWriter, r *http.Request, path string) (*file, error) {
	// A precondition that fails now wins over whatever the body says; whether
	// it still holds is decided once more with the store locked.
	if err := precondition(r, d.store.get(path)); err != nil {
		return nil, err
	}
	body, err := readObject(w, r)
	if err != nil {
		return nil, err
	}
	d.store.mu.Lock()
	defer d.store.mu.Unlock()
	f := d.store.at(path)
	if err := precondition(r, f); err != nil {
		return nil, err
	}
	p := patching{resource: f.body, writable: writable[path]}
	p.object(body, nil)
	switch {
	case len(p.problems) > 0:
		return nil, join(p.problems)
	case !p.changed:
		return nil, badRequest("NoOperation")
	}
	return d.store.set(path, p.resource), nil
}

// A patching is one PATCH on its way through a resource.
type patching struct {
	resource []byte // as it will be
	writable map[string]check
	problems []*redfish.Problem
	changed  bool
}

// object takes the members of body, which stands at dir of the resource.
// Annotations are passed over (DSP0266 1.20.0, 7.6).
func (p *patching) object(body []byte, dir []string) {
	ps, _ := parts(body, skipSpace(body, 0))
	for _, m := range ps {
		if !strings.Contains(m.name, "@") {
			p.member(append(dir[:len(dir):len(dir)], m.name), body[m.start:m.end])
		}
	}
}

func (p *patching) member(path []string, value []byte) {
	name := path[len(path)-1]
	old := lookup(p.resource, path...)
	check := p.writable[strings.Join(path, "/")]
	switch {
	case check != nil:
		if bad := propertyProblem(check(value, allowedAt(p.resource, path...)), name, value); bad != nil {
			p.fail(bad, path)
			return
		}
		if isArray(old) && isArray(value) {
			value = patchArray(old, value)
		}
		p.resource, p.changed = put(p.resource, value, path...), true
	case isObject(value) && isObject(old):
		p.object(value, path)
	case old != nil:
		p.fail(badRequest("PropertyNotWritable", name), path)
	default:
		p.fail(badRequest("PropertyUnknown", name), path)
	}
}

func (p *patching) fail(bad *redfish.Problem, path []string) {
	bad.Related = []string{"#/" + strings.Join(path, "/")}
	p.problems = append(p.problems, bad)
}

func isArray(v []byte) bool { return len(v) > 0 && v[0] == '[' }

// patchArray applies an array of a PATCH: null removes an element, an empty
// object leaves it, what is shorter cuts (DSP0266 1.20.0, 7.6.1).
func patchArray(old, change []byte) []byte {
	before, after := partsOf(old), partsOf(change)
	out := []byte("[")
	for i, p := range after {
		v := change[p.start:p.end]
		if isObject(v) {
			if i >= len(before) {
				continue
			}
			v = old[before[i].start:before[i].end]
		}
		if string(v) == "null" {
			continue
		}
		if len(out) > 1 {
			out = append(out, ", "...)
		}
		out = append(out, v...)
	}
	return append(out, ']')
}
