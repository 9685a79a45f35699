package redfish

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/postern/postern/auth"
)

// List returns every session that the device lists, with what each member
// tells. It is all or an error: whoever reads it concludes from what is not in
// it. auth.ErrNoSession: the device does not know l.
func (d *Device) List(ctx context.Context, l auth.Login) ([]auth.Listed, error) {
	root, err := d.discover(ctx)
	if err != nil {
		return nil, fmt.Errorf("redfish: list sessions: %w", err)
	}
	where := root.collections()
	if root.sessions == "" && l.Location != "" {
		where = []string{strings.TrimSuffix(strings.TrimRight(l.Location, "/"), "/"+lastSegment(l.Location))}
	}
	return d.list(ctx, l, where)
}

var errNoCollection = errors.New("redfish: list sessions: the collection is not there")

// list reads the first of the collections that is there.
func (d *Device) list(ctx context.Context, l auth.Login, collections []string) (out []auth.Listed, err error) {
	for _, c := range collections {
		if out, err = d.listAt(ctx, l, c); !errors.Is(err, errNoCollection) {
			break
		}
	}
	return out, err
}

func (d *Device) listAt(ctx context.Context, l auth.Login, collection string) ([]auth.Listed, error) {
	var out []auth.Listed
	page := collection
	for n := 0; page != ""; n++ {
		if n == maxPages {
			return nil, fmt.Errorf("redfish: list sessions: more than %d pages", maxPages)
		}
		o, found, err := d.read(ctx, l, page)
		if err != nil {
			return nil, err
		}
		if !found {
			return nil, errNoCollection
		}
		members, err := memberObjects(o)
		if err != nil {
			return nil, err
		}
		if len(out)+len(members) > maxSessions {
			return nil, fmt.Errorf("redfish: list sessions: more than %d", maxSessions)
		}
		for _, m := range members {
			s, found, err := d.member(ctx, l, m)
			if err != nil {
				return nil, err
			}
			if found {
				out = append(out, s)
			}
		}
		if page, err = nextPage(o); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// member reads one session of a listing. One that ended since is left out.
func (d *Device) member(ctx context.Context, l auth.Login, m object) (auth.Listed, bool, error) {
	path := resolve(m.text("@odata.id"))
	if path == "" {
		return auth.Listed{}, false, errors.New("redfish: list sessions: a member without @odata.id")
	}
	if m.text("UserName") == "" { // a reference, not an expanded resource
		o, found, err := d.read(ctx, l, path)
		if err != nil || !found {
			return auth.Listed{}, false, err
		}
		m = o
	}
	s := auth.Listed{
		Location: path, ID: m.text("Id"), Account: auth.AccountName(m.text("UserName")),
		Context: m.text("Context"), Source: m.text("ClientOriginIPAddress"),
	}
	if s.ID == "" {
		s.ID = lastSegment(path)
	}
	if t, err := time.Parse(time.RFC3339, m.text("CreatedTime")); err == nil {
		s.Created = t
	}
	if oem := hpeOem(m); s.Created.IsZero() { // an iLO has both in a place of its own
		s.Created = oem.time("LoginTime")
		if s.Source == "" {
			s.Source = oem.text("UserIP")
		}
	}
	return s, true, nil
}

// read gets one resource; found is false for 404 and 410.
func (d *Device) read(ctx context.Context, l auth.Login, path string) (o object, found bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	a, err := d.ask(ctx, d.shared, http.MethodGet, path, l, nil, maxListing)
	switch {
	case err != nil:
		return object{}, false, fmt.Errorf("redfish: list sessions: %w", clean(err, l))
	case a.status == http.StatusUnauthorized:
		return object{}, false, fmt.Errorf("redfish: list sessions: status %d: %w", a.status, auth.ErrNoSession)
	case a.status == http.StatusNotFound, a.status == http.StatusGone:
		return object{}, false, nil
	case a.status != http.StatusOK:
		return object{}, false, fmt.Errorf("redfish: list sessions: %w", unexpected(a, l))
	}
	if o, err = a.object(); err != nil {
		return object{}, false, fmt.Errorf("redfish: list sessions: %s: %w", path, err)
	}
	return o, true, nil
}

// memberObjects returns the Members of a collection.
func memberObjects(o object) ([]object, error) {
	raw := o.get("Members")
	if raw == nil {
		return nil, errors.New("redfish: list sessions: a collection without Members")
	}
	objs, err := objects(raw, maxSessions)
	if err != nil {
		return nil, fmt.Errorf("redfish: list sessions: Members: %w", err)
	}
	return objs, nil
}

func nextPage(o object) (string, error) {
	link := o.text("Members@odata.nextLink")
	if link == "" {
		return "", nil
	}
	page := resolve(link)
	if page == "" {
		return "", errors.New("redfish: list sessions: a next page that cannot be asked for")
	}
	return page, nil
}

// objects splits a JSON array of at most limit objects.
func objects(raw json.RawMessage, limit int) ([]object, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if tok, err := dec.Token(); err != nil || tok != json.Delim('[') {
		return nil, errors.New("not an array")
	}
	var out []object
	for dec.More() {
		var v json.RawMessage
		if err := dec.Decode(&v); err != nil {
			return nil, errSyntax
		}
		if v[0] != '{' {
			return nil, errNotObject
		}
		if len(out) == limit {
			return nil, fmt.Errorf("more than %d", limit)
		}
		o, err := topLevel(v)
		if err != nil {
			return nil, err
		}
		out = append(out, o)
	}
	return out, nil
}

// maxMessages is how many messages of an error are looked at.
const maxMessages = 32

// extendedInfo returns the messages of an error body. observed: RMC and others
// put them below error, some at the body's root.
func extendedInfo(o object) []object {
	raw := o.sub("error").get("@Message.ExtendedInfo")
	if raw == nil {
		raw = o.get("@Message.ExtendedInfo")
	}
	if raw == nil {
		return nil
	}
	if raw[0] == '{' { // observed: services with one message outside an array
		if one, err := topLevel(raw); err == nil {
			return []object{one}
		}
	}
	objs, err := objects(raw, maxMessages)
	if err != nil {
		return nil
	}
	return objs
}

// shorten makes one line of at most 200 bytes of what a device said.
func shorten(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > 200 {
		s = strings.ToValidUTF8(s[:200], "") + "…"
	}
	return s
}
