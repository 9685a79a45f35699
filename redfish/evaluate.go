package redfish

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"strconv"

	"github.com/postern/postern/auth"
)

// Bounds of one evaluated answer: its size in bytes, and how many resources
// are asked for it. A whole simulated device has a few hundred resources.
const (
	maxAnswer      = 16 << 20
	maxSubrequests = 2000
)

// Query returns a handler that evaluates Redfish's query parameters on GET and
// HEAD (DSP0266 1.20.0, 7.3). next is asked without them, for the resource and
// with GET for what it refers to, each time with the principal of the request:
// what the caller may not read stays a reference. Without a principal in the
// context, and for one that must change its password, nothing else is asked at
// all. A parameter that is not Redfish's does not matter; next gets the query
// where there are no others.
//
// A Handler whose Config.Next and Config.Open are such handlers has its own
// resources evaluated and referred to as well.
func Query(next http.Handler) http.Handler { return &querying{next: next} }

type querying struct{ next http.Handler }

// ProtocolFeatures is the ProtocolFeaturesSupported of a service root behind
// Query, in the profile.
func (p Profile) ProtocolFeatures() any {
	if form := p.query(); form.lenient {
		return form.features
	}
	return ProtocolFeatures()
}

// ProtocolFeatures is that of the generic profile.
func ProtocolFeatures() any {
	return protocolFeatures{
		ExpandQuery:     expandFeatures{ExpandAll: true, Levels: true, Links: true, NoLinks: true, MaxLevels: maxExpand},
		FilterQuery:     true,
		OnlyMemberQuery: true, SelectQuery: true, TopSkipQuery: true,
		FilterQueryComparisonOperations: true, FilterQueryCompoundOperations: true,
	}
}

// protocolFeatures is ServiceRoot.v1_20_0, ProtocolFeaturesSupported.
type protocolFeatures struct {
	ExcerptQuery                    bool
	ExpandQuery                     expandFeatures
	FilterQuery                     bool
	FilterQueryComparisonOperations bool
	FilterQueryCompoundOperations   bool
	OnlyMemberQuery                 bool
	SelectQuery                     bool
	TopSkipQuery                    bool
	MultipleHTTPRequests            bool
}

type expandFeatures struct {
	ExpandAll, Levels, Links, NoLinks bool
	MaxLevels                         int
}

func (q *querying) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.RawQuery == "" {
		q.next.ServeHTTP(w, r)
		return
	}
	params, err := parseQuery(r.URL.RawQuery)
	form := faceOf(r).profile.query()
	if form.lenient {
		params = form.sift(params)
	}
	switch {
	case err != nil:
		WriteError(w, r, err)
	case !asksRedfish(params):
		q.next.ServeHTTP(w, r)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		if form.lenient {
			q.next.ServeHTTP(w, r)
			return
		}
		WriteError(w, r, &Problem{Status: http.StatusBadRequest, Key: keyQueryNotSupportedOnOperation})
	default:
		q.evaluate(w, r, params)
	}
}

// evaluate answers a GET with parameters of Redfish's. What is wrong with the
// request apart from them is told first.
func (q *querying) evaluate(w http.ResponseWriter, r *http.Request, params []parameter) {
	first := q.ask(r, r.URL.Path, r.URL.RawPath, maps.Clone(w.Header()))
	if first.status != http.StatusOK {
		first.relay(w, r)
		return
	}
	body := wholeValue(first.body.Bytes())
	opts, err := readOptions(params)
	switch {
	case err != nil:
	case first.over && first.isJSON():
		err = errTooLarge
	case !first.isJSON() || !json.Valid(body) || body[0] != '{':
		err = &Problem{Status: http.StatusBadRequest, Key: keyQueryNotSupportedOnResource}
	default:
		e := &evaluation{q: q, r: r, follow: mayFollow(r.Context()), known: map[string][]byte{}, lenient: faceOf(r).profile.query().lenient}
		body, err = e.run(opts, body)
	}
	if err != nil {
		WriteError(w, r, err)
		return
	}
	replaceHeader(w.Header(), first.header)
	delHeader(w.Header(), "ETag") // it is the whole resource's
	WriteResource(w, r, http.StatusOK, body, "")
}

// mayFollow reports whether references may be asked for: a caller who is not
// known, or may do nothing but change a password, reads nothing in passing.
func mayFollow(ctx context.Context) bool {
	p, ok := auth.PrincipalFrom(ctx)
	return ok && !p.MustChangePassword
}

var errTooLarge = &Problem{Status: http.StatusInsufficientStorage, Key: keyInsufficientStorage, Text: "The answer to this query is too large."}

// An evaluation is one answer in the making.
type evaluation struct {
	q      *querying
	r      *http.Request
	follow bool
	// lenient: what does not fit the resource is passed over, and what is expanded
	// loses its tag (redfish-hpe, 2.2 and 2.4).
	lenient bool
	known   map[string][]byte // what was asked for, nil for what was refused
	asked   int
	bytes   int
	err     error
}

// run applies the parameters in the order of DSP0266 1.20.0, 7.3.1.
func (e *evaluation) run(o queryOptions, body []byte) ([]byte, error) {
	if members := lookUp(body, "Members"); o.collection() && (members == nil || members[0] != '[') {
		if !e.lenient {
			return nil, &Problem{Status: http.StatusBadRequest, Key: keyQueryNotSupportedOnResource}
		}
		o.only, o.filter, o.skip, o.top = false, nil, 0, 0
	}
	if o.only {
		body = e.onlyMember(body)
	}
	if o.filter != nil || o.skip > 0 || o.top > 0 {
		body = e.pick(o, body)
	}
	if o.expand != 0 && e.err == nil {
		body = e.appendExpanded(nil, body, o.expand, o.levels, false)
	}
	if e.err == nil && len(body) > maxAnswer {
		e.err = errTooLarge
	}
	if e.err != nil {
		return nil, e.err
	}
	if o.selected != nil {
		body = appendSelected(nil, body, o.selected)
	}
	return body, nil
}

// onlyMember returns the member of a collection that has one, else the collection.
func (e *evaluation) onlyMember(body []byte) []byte {
	var last []byte
	n := 0
	for m := range elementsOf(lookUp(body, "Members")) {
		last, n = m, n+1
	}
	if n != 1 {
		return body
	}
	if member := e.resolve(last); member != nil {
		return member
	}
	return body
}

// pick returns a collection with the members that are asked for. The count is
// of those that fit, on whatever page.
func (e *evaluation) pick(o queryOptions, body []byte) []byte {
	members := []byte{'['}
	fitting := 0
	for m := range elementsOf(lookUp(body, "Members")) {
		if o.filter != nil {
			whole := e.resolve(m)
			if e.err != nil {
				return nil
			}
			if whole == nil || !o.filter.match(whole) {
				continue
			}
		}
		fitting++
		if fitting <= o.skip || o.top > 0 && fitting > o.skip+o.top {
			continue
		}
		if len(members) > 1 {
			members = append(members, ',')
		}
		members = append(members, m...)
	}
	members = append(members, ']')

	out := []byte{'{'}
	for name, value := range membersOf(body) {
		switch unquote(name) {
		case "Members":
			value = members
		case "Members@odata.count":
			if o.filter != nil {
				value = strconv.AppendInt(nil, int64(fitting), 10)
			}
		}
		out = appendMember(out, name, value)
	}
	return append(out, '}')
}

func appendMember(out, name, value []byte) []byte {
	if len(out) > 0 && out[len(out)-1] != '{' {
		out = append(out, ',')
	}
	out = append(out, name...)
	out = append(out, ':')
	return append(out, value...)
}

// resolve returns the resource that a member is or refers to, nil where it
// cannot be had.
func (e *evaluation) resolve(v []byte) []byte {
	if v[0] != '{' {
		return nil
	}
	uri := referenceTo(v)
	if uri == "" {
		return v
	}
	return e.get(uri)
}

// get returns the resource at a URI, nil where the caller does not get it.
func (e *evaluation) get(uri string) []byte {
	if body, ok := e.known[uri]; ok || !e.follow || e.err != nil {
		return body
	}
	path, err := Canonical(uri)
	if err != nil {
		return nil
	}
	if e.asked++; e.asked > maxSubrequests || e.r.Context().Err() != nil {
		e.err = errTooLarge
		return nil
	}
	plain, err := url.PathUnescape(path)
	if err != nil {
		return nil
	}
	a := e.q.ask(e.r, plain, path, http.Header{})
	body := wholeValue(a.body.Bytes())
	if a.status != http.StatusOK || a.over || !a.isJSON() || !json.Valid(body) || body[0] != '{' {
		body = nil
	}
	if e.bytes += len(body); e.bytes > maxAnswer {
		e.err = errTooLarge
	}
	e.known[uri] = body
	return body
}

// appendExpanded appends a value with the references in it replaced by what
// they refer to, so many levels deep: with '.' those outside of Links, with
// '~' those inside, with '*' all.
func (e *evaluation) appendExpanded(out, v []byte, which byte, levels int, inLinks bool) []byte {
	if len(out) > maxAnswer {
		e.err = errTooLarge
	}
	if e.err != nil {
		return out
	}
	switch {
	case v[0] == '[':
		out = append(out, '[')
		n := 0
		for element := range elementsOf(v) {
			if n++; n > 1 {
				out = append(out, ',')
			}
			out = e.appendExpanded(out, element, which, levels, inLinks)
		}
		return append(out, ']')
	case v[0] != '{' || levels == 0:
		return append(out, v...)
	}
	if uri := referenceTo(v); uri != "" {
		if which != '*' && (which == '~') != inLinks {
			return append(out, v...)
		}
		if whole := e.get(uri); whole != nil {
			return e.appendResource(out, whole, which, levels-1)
		}
		return append(out, v...)
	}
	return e.appendMembers(out, v, which, levels, inLinks)
}

func (e *evaluation) appendResource(out, v []byte, which byte, levels int) []byte {
	if levels == 0 && !e.lenient {
		return append(out, v...)
	}
	if levels == 0 {
		out = append(out, '{')
		for name, value := range membersOf(v) {
			if string(name) != `"@odata.etag"` {
				out = appendMember(out, name, value)
			}
		}
		return append(out, '}')
	}
	return e.appendMembers(out, v, which, levels, false)
}

func (e *evaluation) appendMembers(out, v []byte, which byte, levels int, inLinks bool) []byte {
	out = append(out, '{')
	for name, value := range membersOf(v) {
		out = appendMember(out, name, nil)
		out = e.appendExpanded(out, value, which, levels, inLinks || string(name) == `"Links"`)
	}
	return append(out, '}')
}

// ask makes one request of next: a GET without a query and without the
// caller's conditions.
func (q *querying) ask(r *http.Request, path, rawPath string, header http.Header) *captured {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	sub := r.WithContext(ctx)
	sub.Method = http.MethodGet
	sub.URL = &url.URL{Path: path, RawPath: rawPath}
	sub.RequestURI = sub.URL.RequestURI()
	sub.Header = r.Header.Clone()
	for _, name := range []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range", "Range"} {
		sub.Header.Del(name)
	}
	sub.Body, sub.ContentLength, sub.TransferEncoding = http.NoBody, 0, nil
	c := &captured{header: header, cancel: cancel}
	q.next.ServeHTTP(c, sub)
	c.WriteHeader(http.StatusOK) // where nothing was written
	return c
}

// captured is a ResponseWriter that keeps an answer. It ends what it cannot
// use: a stream of events has no end of its own.
type captured struct {
	header http.Header
	status int
	body   bytes.Buffer
	over   bool // more than maxAnswer, or of no use
	cancel context.CancelFunc
}

var errCaptured = errors.New("redfish: the answer is not of use")

func (c *captured) Header() http.Header { return c.header }

func (c *captured) WriteHeader(status int) {
	if c.status != 0 || status < 200 {
		return
	}
	c.status = status
	if status == http.StatusOK && !c.isJSON() {
		c.cancel()
	}
}

func (c *captured) Write(p []byte) (int, error) {
	c.WriteHeader(http.StatusOK)
	if c.body.Len()+len(p) > maxAnswer || c.status == http.StatusOK && !c.isJSON() {
		c.over = true
		c.cancel()
		return 0, errCaptured
	}
	return c.body.Write(p)
}

func (c *captured) isJSON() bool {
	mt, _, err := mime.ParseMediaType(c.header.Get("Content-Type"))
	return err == nil && mt == "application/json"
}

// relay shows the answer as it is.
func (c *captured) relay(w http.ResponseWriter, r *http.Request) {
	replaceHeader(w.Header(), c.header)
	w.WriteHeader(c.status)
	if r.Method != http.MethodHead {
		w.Write(c.body.Bytes()) // an error here is the peer's going away
	}
}

func replaceHeader(h, by http.Header) {
	clear(h)
	maps.Copy(h, by)
}
