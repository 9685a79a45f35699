package redfish

import (
	"bytes"
	"cmp"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Bounds of a $filter: how deep its parentheses go, and how many comparisons
// it has. People and tools write a handful.
const (
	maxFilterDepth = 16
	maxComparisons = 64
)

// A filter is the expression of a $filter (DSP0266 1.20.0, 7.3.4): a
// comparison, or an operator over one or two others.
type filter struct {
	op          string // and, or, not; eq, ne, gt, ge, lt, le
	left, right *filter
	path        []string // of a comparison: the property
	want        literal
}

// A literal is what a property is compared with.
type literal struct {
	kind byte // 's'tring, 'n'umber, 'b'ool, '0' for null
	text string
	num  float64
}

var comparisons = map[string]bool{"eq": true, "ne": true, "gt": true, "ge": true, "lt": true, "le": true}

// filterTokens are parentheses, strings with doubled quotes, and words.
var filterTokens = regexp.MustCompile(`[()]|'(?:[^']|'')*'|[^\s()',]+|,`)

// filterPath is a property, or one in an object.
var filterPath = regexp.MustCompile(`^@?[A-Za-z][A-Za-z0-9_.@-]*(/@?[A-Za-z0-9_.@-]+)*$`)

// parseFilter reads a $filter. An error is a Problem: 501 for what OData has
// and this has not, 400 for what cannot be read.
func parseFilter(text string) (*filter, error) {
	p := &filterParser{text: text}
	p.tokens = filterTokens.FindAllString(text, -1)
	if strings.Join(strings.Fields(text), "") != strings.Join(strings.Fields(strings.Join(p.tokens, "")), "") {
		return nil, p.bad() // a quote without its other
	}
	f, err := p.or(0)
	if err == nil && len(p.tokens) > 0 {
		err = p.bad()
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

type filterParser struct {
	text        string
	tokens      []string
	comparisons int
}

func (p *filterParser) bad() error { return badValue("$filter", p.text) }

func (p *filterParser) peek() string {
	if len(p.tokens) == 0 {
		return ""
	}
	return p.tokens[0]
}

func (p *filterParser) next() string {
	t := p.peek()
	if t != "" {
		p.tokens = p.tokens[1:]
	}
	return t
}

func (p *filterParser) or(depth int) (*filter, error) {
	return p.chain("or", depth, p.and)
}

func (p *filterParser) and(depth int) (*filter, error) {
	return p.chain("and", depth, p.not)
}

// chain reads operands with one operator between them.
func (p *filterParser) chain(op string, depth int, operand func(int) (*filter, error)) (*filter, error) {
	f, err := operand(depth)
	for err == nil && p.peek() == op {
		p.next()
		var right *filter
		right, err = operand(depth)
		f = &filter{op: op, left: f, right: right}
	}
	return f, err
}

func (p *filterParser) not(depth int) (*filter, error) {
	if depth > maxFilterDepth {
		return nil, p.bad()
	}
	switch p.peek() {
	case "not":
		p.next()
		f, err := p.not(depth + 1)
		return &filter{op: "not", left: f}, err
	case "(":
		p.next()
		f, err := p.or(depth + 1)
		if err == nil && p.next() != ")" {
			err = p.bad()
		}
		return f, err
	}
	return p.comparison()
}

func (p *filterParser) comparison() (*filter, error) {
	path := p.next()
	if p.comparisons++; p.comparisons > maxComparisons || !filterPath.MatchString(path) {
		return nil, p.bad()
	}
	op := p.next()
	switch {
	case comparisons[op]:
	case op == "(" || wordLike(op): // a function, or another operator of OData
		return nil, unsupportedParameter("$filter", "Only and, or, not, eq, ne, gt, ge, lt, le and parentheses are known.")
	default:
		return nil, p.bad()
	}
	want, ok := parseLiteral(p.next())
	if !ok {
		return nil, p.bad()
	}
	return &filter{op: op, path: strings.Split(path, "/"), want: want}, nil
}

func wordLike(s string) bool {
	return s != "" && strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz") == ""
}

func parseLiteral(t string) (literal, bool) {
	switch {
	case t == "true", t == "false":
		return literal{kind: 'b', text: t}, true
	case t == "null":
		return literal{kind: '0'}, true
	case len(t) >= 2 && t[0] == '\'':
		return literal{kind: 's', text: strings.ReplaceAll(t[1:len(t)-1], "''", "'")}, true
	}
	if n, err := strconv.ParseFloat(t, 64); err == nil && strings.Trim(t, "0123456789.eE+-") == "" {
		return literal{kind: 'n', num: n}, true
	}
	if _, err := time.Parse(time.RFC3339, t); err == nil {
		return literal{kind: 's', text: t}, true
	}
	return literal{}, false
}

// match reports whether a resource fits.
func (f *filter) match(resource []byte) bool {
	switch f.op {
	case "and":
		return f.left.match(resource) && f.right.match(resource)
	case "or":
		return f.left.match(resource) || f.right.match(resource)
	case "not":
		return !f.left.match(resource)
	}
	v := resource
	for _, name := range f.path {
		if v = lookUp(v, name); v == nil {
			break
		}
	}
	return f.compare(v)
}

// compare holds one value against the literal. A property that is absent is
// null; of an array one element must fit, or with ne none be equal.
func (f *filter) compare(v []byte) bool {
	if v != nil && v[0] == '[' {
		one := *f
		if f.op == "ne" {
			one.op = "eq"
		}
		for e := range elementsOf(v) {
			if one.compare(e) {
				return f.op != "ne"
			}
		}
		return f.op == "ne"
	}
	order, comparable := f.want.order(v)
	switch f.op {
	case "eq":
		return comparable && order == 0
	case "ne":
		return !comparable || order != 0
	}
	if !comparable || f.want.kind == 'b' || f.want.kind == '0' {
		return false
	}
	switch f.op {
	case "gt":
		return order > 0
	case "ge":
		return order >= 0
	case "lt":
		return order < 0
	}
	return order <= 0
}

// order compares a value with the literal: below 0 where it is less. Values of
// another type cannot be compared. Times are compared as times.
func (l literal) order(v []byte) (order int, comparable bool) {
	switch {
	case v == nil || bytes.Equal(v, []byte("null")):
		return 0, l.kind == '0'
	case l.kind == 's' && v[0] == '"':
		s := unquote(v)
		a, err1 := time.Parse(time.RFC3339, s)
		b, err2 := time.Parse(time.RFC3339, l.text)
		if err1 == nil && err2 == nil {
			return a.Compare(b), true
		}
		return strings.Compare(s, l.text), true
	case l.kind == 'n' && (v[0] == '-' || '0' <= v[0] && v[0] <= '9'):
		n, err := strconv.ParseFloat(string(v), 64)
		return cmp.Compare(n, l.num), err == nil
	case l.kind == 'b' && (v[0] == 't' || v[0] == 'f'):
		return strings.Compare(string(v), l.text), true
	}
	return 0, false
}

// badValue is the 400 for a query parameter whose value cannot be read.
func badValue(name, value string) error {
	if len(value) > maxShown {
		value = "..."
	}
	return &Problem{Status: http.StatusBadRequest, Key: keyQueryParameterValueFormatError, Args: []string{value, name}}
}
