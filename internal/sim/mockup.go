package sim

import (
	"net/http"
	"path"
	"strconv"
	"strings"

	"github.com/postern/postern/redfish"
)

// What a mockup does with changes: all of them are taken, in memory, and
// nothing is known of what its resources mean, but for one thing: a reset
// changes the PowerState where there is one.

// mockPatch merges the body into the resource.
func (d *Device) mockPatch(w http.ResponseWriter, r *http.Request, at string) error {
	if err := precondition(r, d.store.get(at)); err != nil {
		return err
	}
	change, err := readObject(w, r)
	if err != nil {
		return err
	}
	f, err := d.mockMerge(r, at, change)
	if err != nil {
		return err
	}
	redfish.WriteResource(w, r, http.StatusOK, d.render(at, f), f.etag)
	return nil
}

func (d *Device) mockMerge(r *http.Request, at string, change []byte) (*file, error) {
	d.store.mu.Lock()
	defer d.store.mu.Unlock()
	f := d.store.at(at)
	switch {
	case f == nil:
		return nil, missing(at)
	case !isObject(f.body[skipSpace(f.body, 0):]):
		return nil, &redfish.Problem{Status: http.StatusBadRequest, Key: "UnrecognizedRequestBody"}
	}
	if err := precondition(r, f); err != nil {
		return nil, err
	}
	body := merge(f.body, withoutIdentity(change))
	if len(body) > maxTreeFile || !d.store.room(at, len(body)) {
		return nil, errTooMany
	}
	return d.store.set(at, body), nil
}

var errTooMany = &redfish.Problem{Status: http.StatusInsufficientStorage, Key: "CreateLimitReachedForResource"}

func missing(at string) error {
	return &redfish.Problem{Status: http.StatusNotFound, Key: "ResourceMissingAtURI", Args: []string{at}}
}

// withoutIdentity takes away what says which resource this is.
func withoutIdentity(object []byte) []byte {
	for _, name := range []string{"@odata.id", "@odata.type", "@odata.context", "@odata.etag", "Id"} {
		if lookup(object, name) != nil {
			object = cutTop(object, name)
		}
	}
	return object
}

// mockCreate adds a member to a collection.
func (d *Device) mockCreate(w http.ResponseWriter, r *http.Request, at string) error {
	body, err := readObject(w, r)
	if err != nil {
		return err
	}
	uri, f, err := d.mockAdd(at, body)
	if err != nil {
		return err
	}
	w.Header().Set("Location", "https://"+r.Host+uri)
	redfish.WriteResource(w, r, http.StatusCreated, f.body, f.etag)
	return nil
}

func (d *Device) mockAdd(at string, body []byte) (uri string, f *file, err error) {
	d.store.mu.Lock()
	defer d.store.mu.Unlock()
	list := d.store.at(at)
	if list == nil {
		return "", nil, missing(at)
	}
	id := ""
	for n := 1; ; n++ {
		id = strconv.Itoa(n)
		if uri = at + "/" + id; d.store.at(uri) == nil {
			break
		}
	}
	resource := putValue([]byte("{}"), uri, "@odata.id")
	if typ := d.memberType(list.body); typ != nil {
		resource = put(resource, typ, "@odata.type")
	}
	resource = putValue(resource, id, "Id")
	resource = putValue(resource, id, "Name")
	resource = merge(resource, withoutIdentity(body))
	if !d.store.room(uri, len(resource)) {
		return "", nil, errTooMany
	}
	f = d.store.set(uri, resource)
	d.relist(at, func(members []string) []string { return append(members, uri) })
	return uri, f, nil
}

// memberType returns the @odata.type of the first member of a collection.
func (d *Device) memberType(list []byte) []byte {
	first := lookup(list, "Members", "0", "@odata.id")
	if first == nil || first[0] != '"' {
		return nil
	}
	if f := d.store.at(unquote(first)); f != nil && f.media == mediaJSON {
		return lookup(f.body, "@odata.type")
	}
	return nil
}

// mockDelete removes a resource, what is below it, and its place in the
// collection above.
func (d *Device) mockDelete(w http.ResponseWriter, r *http.Request, at string) error {
	d.store.mu.Lock()
	defer d.store.mu.Unlock()
	f := d.store.at(at)
	if f == nil {
		return missing(at)
	}
	if err := precondition(r, f); err != nil {
		return err
	}
	d.store.unset(at)
	d.relist(path.Dir(at), func(members []string) []string {
		kept := members[:0]
		for _, m := range members {
			if strings.TrimSuffix(m, "/") != at {
				kept = append(kept, m)
			}
		}
		return kept
	})
	w.Header().Del("Allow")
	return d.done(w)
}

// relist changes the members of a collection; where there is none, nothing.
func (d *Device) relist(at string, change func([]string) []string) {
	list := d.store.at(at)
	if list == nil || !list.has("Members") {
		return
	}
	d.store.setMembers(at, change(d.store.members(at)))
}

// mockAction takes every action that a resource offers, and does nothing but
// to change the PowerState at a reset.
func (d *Device) mockAction(w http.ResponseWriter, r *http.Request, at string) error {
	params, err := readObject(w, r)
	if err != nil {
		return err
	}
	if how := text(params, "ResetType"); how != "" && strings.HasSuffix(at, ".Reset") {
		owner, _, found := strings.Cut(at, "/Actions/")
		if !found {
			owner = path.Dir(at) // observed: DMTF's rackmount1 has targets without Actions
		}
		d.mockReset(owner, how)
	}
	return d.done(w)
}

func (d *Device) mockReset(at, how string) {
	d.store.mu.Lock()
	defer d.store.mu.Unlock()
	f := d.store.at(at)
	if f == nil || !f.has("PowerState") {
		return
	}
	if body, _ := power(f.body, how); d.store.room(at, len(body)) {
		d.store.set(at, body)
	}
}
