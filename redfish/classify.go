package redfish

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// A Kind says whose business a call is.
type Kind int

// The kinds of call.
const (
	KindRefused Kind = iota // not to be answered at all; Call.Err says why
	KindOpen                // an open URI, without credentials
	KindOurs                // SessionService and below: answered here, never sent to a device
	KindDenied              // the device's own accounts and certificates; Call.Err says why
	KindRead                // changes nothing
	KindEffect              // everything else: recorded before it is sent
)

// A Call is what a gateway decides on.
type Call struct {
	Kind Kind
	Path string // canonical
	// Reach is how many levels below Path the answer may show: 0 the resource
	// alone, more with $expand, only and $filter. A rule that allows Path must
	// allow what lies so far below, too.
	Reach int
	Err   error // KindRefused, KindDenied
}

// maxLevels is the deepest $expand that is passed on. Redfish trees are not
// deeper below a collection; a device pays for each level.
const maxLevels = 6

// denied are the resources by which a device's own accounts and certificates
// are administered, as segments below /redfish/v1 in lower case; * is any one
// segment. Devices that ignore letter case are why case is ignored here. What
// lies below is denied too.
//
// observed: iDRAC 7 and 8 keep accounts, roles and sessions below the Manager
// and the sessions at /redfish/v1/Sessions.
var denied = [][]string{
	{"accountservice"},
	{"certificateservice"},
	{"managers", "*", "remoteaccountservice"},
	{"managers", "*", "accountservice"},
	{"managers", "*", "accounts"},
	{"managers", "*", "sessionservice"},
	{"managers", "*", "sessions"},
	{"sessions"},
}

// denied returns what is denied of the profile's devices.
func (p Profile) denied() [][]string {
	if p.flavour == nil || p.flavour.denied == nil {
		return denied
	}
	return slices.Concat(denied, p.flavour.denied)
}

const (
	deniedText  = "The device's own accounts, sessions and certificates are administered at the device."
	outsideText = "The gateway shows what lies below /redfish/v1/ and nothing else of the device."
)

// Classify says what kind of call a request to a device is, from method, path
// and query as they stand in the request line. It is pure.
//
// Nothing outside /redfish/v1 is passed on: vendors have older interfaces
// beside Redfish (iLO /rest/v1, iDRAC /sysmgmt) that reach the same accounts.
func (p Profile) Classify(method, rawPath, rawQuery string) Call {
	path, err := Canonical(p.respell(rawPath))
	if err != nil {
		return Call{Kind: KindRefused, Err: err}
	}
	c := Call{Path: path}
	params, err := parseQuery(rawQuery)
	if err != nil {
		return c.refused(err)
	}
	if p.flavour != nil && path == p.flavour.certificatePage {
		c.Kind = KindOurs // a GET there makes a session
		return c
	}
	switch locate(path) {
	case placeOpen:
		if !readMethod(method) {
			return c.refused(notAllowed("GET, HEAD"))
		}
		c.Kind = KindOpen
	case placeSessionService, placeSessions, placeMembers, placeSession, placeNothing:
		c.Kind = KindOurs
		return c
	case placeMisspelt:
		return c.refused(missing(path, "The URI is spelled "+spelling(path)+"."))
	default:
		if c.Kind, err = p.elsewhere(method, path); err != nil {
			c.Err = err
			return c
		}
	}
	if c.Reach, err = p.judgeQuery(c.Kind, path, params); err != nil {
		return c.refused(err)
	}
	return c
}

func (c Call) refused(err error) Call {
	c.Kind, c.Err = KindRefused, err
	return c
}

// elsewhere is the kind of a call that is neither open nor ours.
func (p Profile) elsewhere(method, path string) (Kind, error) {
	segs, ok := segments(path)
	if !ok {
		return KindRefused, missing(path, outsideText)
	}
	for _, pattern := range p.denied() {
		if len(segs) >= len(pattern) && matches(pattern, segs) {
			return KindDenied, Forbidden(deniedText, nil)
		}
	}
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return KindRead, nil
	case http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
		return KindEffect, nil
	}
	// TRACE would show the device's token to the caller; the others have no
	// meaning in Redfish.
	return KindRefused, general(http.StatusNotImplemented, "The method is not one of Redfish.", nil)
}

// segments returns the segments below /redfish/v1 in lower case, or false for
// a path that is not there.
func segments(path string) ([]string, bool) {
	rest, ok := strings.CutPrefix(path, rootURI)
	if !ok {
		return nil, false
	}
	if rest == "" {
		return nil, true
	}
	return strings.Split(strings.ToLower(rest), "/"), true
}

// matches compares as many segments as both have.
func matches(pattern, segs []string) bool {
	for i := range min(len(pattern), len(segs)) {
		if pattern[i] != "*" && pattern[i] != segs[i] {
			return false
		}
	}
	return true
}

// The query parameters of Redfish that are passed on. The next-link of a
// paged collection carries $skip or OData's $skiptoken.
var passedOn = []string{"$expand", "$select", "$filter", "$top", "$skip", "$skiptoken"}

// judgeQuery decides whether a query may be sent to the device, and how far
// below the path its answer may show something.
//
// Names are compared without letter case, and with or without the dollar sign:
// OData 4.01 services take them all.
func (p Profile) judgeQuery(kind Kind, path string, params []parameter) (reach int, err error) {
	lenient := p.query().lenient
	seen := map[string]bool{}
	for _, q := range params {
		name := strings.ToLower(q.name)
		if slices.Contains(passedOn, "$"+name) {
			name = "$" + name
		}
		dollar := strings.HasPrefix(name, "$")
		if !dollar && name != "only" && name != "excerpt" {
			continue // the vendor's own
		}
		switch {
		case lenient && kind == KindOpen:
			continue
		case lenient && name == "only":
			reach = max(reach, 1) // with a value or without, and passed over where it does not fit
			continue
		case kind == KindEffect:
			return 0, &Problem{Status: http.StatusBadRequest, Key: keyQueryNotSupportedOnOperation}
		case dollar && (kind == KindOpen || !slices.Contains(passedOn, name)):
			// The open URIs are shown from memory, as they are.
			return 0, unsupportedParameter(q.name, "")
		case seen[name]:
			return 0, Ambiguous("the query holds " + name + " twice")
		case !dollar && q.assigned:
			return 0, &Problem{Status: http.StatusBadRequest, Key: keyQueryParameterValueError, Args: []string{q.name}}
		case kind == KindOpen && name == "only":
			return 0, &Problem{Status: http.StatusBadRequest, Key: keyQueryNotSupportedOnResource}
		}
		seen[name] = true
		switch name {
		case "only", "$filter": // the answer tells of the members
			reach = max(reach, 1)
		case "$expand":
			value := q.value
			if lenient && value == "*" {
				value = "." // iLO follows no Links
			}
			levels, err := p.expandLevels(path, value)
			if err != nil {
				return 0, err
			}
			reach = max(reach, levels)
		}
	}
	return reach, nil
}

// expandLevels judges $expand. Only `.` is passed on, which expands what is
// subordinate: `*` and `~` also follow Links, which may lead anywhere, to what
// is denied as well. From below the service root the denied resources can be
// reached by so many levels as their paths are longer (inferred: a link that is
// not under Links leads to a child).
func (p Profile) expandLevels(path, value string) (int, error) {
	levels := 1
	if value != "." {
		n, ok := strings.CutPrefix(value, ".($levels=")
		n, ok2 := strings.CutSuffix(n, ")")
		v, err := strconv.Atoi(n)
		if !ok || !ok2 || err != nil || n != strconv.Itoa(v) || v < 1 || v > maxLevels {
			return 0, unsupportedParameter("$expand",
				"Only `.` and `.($levels=n)` with n up to "+strconv.Itoa(maxLevels)+" are passed on to the device.")
		}
		levels = v
	}
	segs, _ := segments(path)
	for _, pattern := range p.denied() {
		if matches(pattern, segs) && len(pattern)-len(segs) <= levels {
			return 0, unsupportedParameter("$expand", "From here it would show "+deniedThing(pattern)+", which is denied.")
		}
	}
	return levels, nil
}

func deniedThing(pattern []string) string { return "/redfish/v1/" + strings.Join(pattern, "/") }
