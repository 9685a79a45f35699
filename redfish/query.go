package redfish

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const (
	maxQuery      = 4096 // bytes
	maxParameters = 64
)

// A parameter is one part of a query, decoded.
type parameter struct {
	name, value string
	assigned    bool // there was an equals sign
}

// parseQuery splits a raw query. What two readers may split differently is
// refused with a Problem: semicolons, broken or double encodings, control
// characters, blanks in names, more than maxParameters.
func parseQuery(raw string) ([]parameter, error) {
	if raw == "" {
		return nil, nil
	}
	if len(raw) > maxQuery {
		return nil, general(http.StatusRequestURITooLong, "The query is too long.", nil)
	}
	if strings.ContainsAny(raw, ";#") {
		return nil, Ambiguous("the query holds a semicolon or a number sign")
	}
	var out []parameter
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		if len(out) == maxParameters {
			return nil, general(http.StatusBadRequest, "The query has too many parameters.", nil)
		}
		name, value, assigned := strings.Cut(part, "=")
		n, err1 := url.QueryUnescape(name)
		v, err2 := url.QueryUnescape(value)
		switch {
		case err1 != nil || err2 != nil:
			return nil, Ambiguous("the query holds a broken percent-encoding")
		case strings.ContainsAny(n, "%&=?/ "), hasControl(n), hasControl(v):
			return nil, Ambiguous("the query holds a character where readers disagree about it")
		}
		out = append(out, parameter{n, v, assigned})
	}
	return out, nil
}

// ownQuery judges the query of a resource of ours, of which collections know
// `only`. Parameters that are not Redfish's are ignored (DSP0266 1.8.1, 7.3).
func ownQuery(r *http.Request, collection bool) (only bool, err error) {
	params, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		return false, err
	}
	if form := faceOf(r).profile.query(); form.lenient {
		for _, p := range form.sift(params) {
			only = only || p.name == "only" && collection && readMethod(r.Method)
		}
		return only, nil
	}
	for _, p := range params {
		redfish := strings.HasPrefix(p.name, "$") || p.name == "only" || p.name == "excerpt"
		switch {
		case !redfish:
		case !readMethod(r.Method):
			return false, &Problem{Status: http.StatusBadRequest, Key: keyQueryNotSupportedOnOperation}
		case p.name[0] == '$':
			return false, unsupportedParameter(p.name, "")
		case p.assigned:
			return false, &Problem{Status: http.StatusBadRequest, Key: keyQueryParameterValueError, Args: []string{p.name}}
		case p.name == "only" && !collection:
			return false, &Problem{Status: http.StatusBadRequest, Key: keyQueryNotSupportedOnResource}
		case p.name == "only":
			only = true
		}
	}
	return only, nil
}

func unsupportedParameter(name, text string) error {
	return &Problem{Status: http.StatusNotImplemented, Key: keyQueryParameterUnsupported, Args: []string{name}, Text: text}
}

// query returns how the profile takes query parameters.
func (p Profile) query() queryForm {
	if p.flavour == nil {
		return queryForm{}
	}
	return p.flavour.query
}

// sift returns the parameters that count for a service that passes over what it
// does not know, in the form that all take (redfish-hpe, 2.4): `only=` is `only`,
// and every $expand is one level of what is not below Links.
func (form queryForm) sift(params []parameter) []parameter {
	var out []parameter
	seen := map[string]bool{}
	for _, p := range params {
		switch p.name {
		case "only":
			p = parameter{name: "only"}
		case "$expand":
			p.value = "."
		case "$filter", "$select", "$top", "$skip":
		default:
			continue
		}
		if seen[p.name] || slices.Contains(form.ignored, p.name) {
			continue
		}
		seen[p.name] = true
		out = append(out, p)
	}
	if seen["only"] { // the one member as it is
		return []parameter{{name: "only"}}
	}
	return out
}
