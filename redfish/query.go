package redfish

import (
	"net/http"
	"net/url"
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
