package config

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// rawFile and its parts are the file as written; durations and references are
// still text, so that check can name their place.
type rawFile struct {
	Targets   []rawTarget   `yaml:"targets"`
	Listeners []rawListener `yaml:"listeners"`
	Rules     []rawRule     `yaml:"rules"`
	Metrics   *rawMetrics   `yaml:"metrics"`
}

type rawTarget struct {
	Name             string `yaml:"name"`
	Family           string `yaml:"family"`
	Profile          string `yaml:"profile"`
	URL              string `yaml:"url"`
	CAFile           string `yaml:"ca_file"`
	Pin              string `yaml:"pin"`
	User             string `yaml:"user"`
	PasswordFile     string `yaml:"password_file"`
	PasswordEnv      string `yaml:"password_env"`
	PasswordCommand  string `yaml:"password_command"`
	CertFile         string `yaml:"cert_file"`
	KeyFile          string `yaml:"key_file"`
	Auth             string `yaml:"auth"`
	Budget           int    `yaml:"budget"`
	InFlight         int    `yaml:"in_flight"`
	Exclusive        bool   `yaml:"exclusive"`
	LockoutThreshold int    `yaml:"lockout_threshold"`
	LockoutWindow    string `yaml:"lockout_window"`
}

type rawListener struct {
	Family  string `yaml:"family"`
	Address string `yaml:"address"`
	Next    words  `yaml:"next"`
	Names   words  `yaml:"names"`

	ClientCertificates string `yaml:"client_certificates"`
	CertFile           string `yaml:"cert_file"`
	KeyFile            string `yaml:"key_file"`
}

type rawRule struct {
	Name       string `yaml:"name"`
	Effect     string `yaml:"effect"`
	Roles      words  `yaml:"roles"`
	Privileges words  `yaml:"privileges"`
	Targets    words  `yaml:"targets"`
	Methods    words  `yaml:"methods"`
	Paths      words  `yaml:"paths"`
	Members    words  `yaml:"members"`
}

type rawMetrics struct {
	Address string `yaml:"address"`
}

// words is one text or a list of texts.
type words []string

func (w *words) UnmarshalYAML(unmarshal func(any) error) error {
	var one string
	if unmarshal(&one) == nil {
		*w = words{one}
		return nil
	}
	var many []string
	err := unmarshal(&many)
	*w = many
	return err
}

// A document is a file that was read, and the way back from a value to its place.
type document struct {
	name string
	root ast.Node // nil: an empty file
	raw  rawFile
}

func parse(name string, data []byte, known []Known) (*File, *document, error) {
	doc := &document{name: name}
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, nil, doc.yamlError(err)
	}
	if err := doc.decode(file); err != nil {
		return nil, nil, err
	}
	f, err := doc.check(known)
	if err != nil {
		return nil, nil, err
	}
	return f, doc, nil
}

func (d *document) decode(file *ast.File) error {
	for _, part := range file.Docs {
		if part.Body == nil {
			continue
		}
		if d.root != nil {
			return d.errorAt(place(part.Body), "a second document in one file", "remove what follows the line ---")
		}
		d.root = part.Body
	}
	if d.root == nil {
		return nil
	}
	var err error
	if d.root, err = d.plain(d.root, ""); err != nil {
		return err
	}
	if err := yaml.NodeToValue(d.root, &d.raw, yaml.Strict()); err != nil {
		return d.yamlError(err)
	}
	return nil
}

// yamlError turns an error of the YAML package into one sentence with its place.
func (d *document) yamlError(err error) error {
	ye, ok := errors.AsType[yaml.Error](err)
	if !ok {
		return &Error{File: d.name, Msg: firstLine(err.Error())}
	}
	msg, hint := firstLine(ye.GetMessage()), ""
	switch e := ye.(type) {
	case *yaml.UnknownFieldError:
		msg = "unknown key"
		if e.Token != nil {
			msg = fmt.Sprintf("unknown key %q", e.Token.Value)
		}
		hint = "the keys are listed in docs/configuration.md"
		if e.Token != nil && strings.EqualFold(e.Token.Value, "password") {
			hint = "a secret never stands in the file: use password_file, password_env or password_command"
		}
	case *yaml.TypeError:
		msg = "want " + kindName(e.DstType)
	case *yaml.OverflowError:
		msg = "the number " + e.SrcNum + " is too large"
	case *yaml.UnexpectedNodeTypeError:
		msg = fmt.Sprintf("want %s, found %s", nodeName(e.Expected), nodeName(e.Actual))
	}
	return d.errorAt(ye.GetToken(), msg, hint)
}

func kindName(t reflect.Type) string {
	if t == nil {
		return "another type"
	}
	switch t.Kind() {
	case reflect.Int:
		return "a whole number"
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "text"
	case reflect.Slice:
		return "a list"
	case reflect.Struct, reflect.Map:
		return "keys and values"
	}
	return "another type"
}

func nodeName(t ast.NodeType) string {
	switch t {
	case ast.MappingType, ast.MappingValueType:
		return "keys and values"
	case ast.SequenceType:
		return "a list"
	case ast.NullType:
		return "nothing"
	}
	return "a single value"
}

// fail makes an Error that points at the value under path, or at the nearest
// thing above it that the file has. Path elements are keys and list indexes.
func (d *document) fail(msg, hint string, path ...any) error {
	var at *token.Token
	node := d.root
	if node != nil {
		at = place(node)
	}
	for _, step := range path {
		next := child(node, step)
		if next == nil {
			break
		}
		node, at = next, place(next)
	}
	return d.errorAt(at, msg, hint)
}

func (d *document) errorAt(t *token.Token, msg, hint string) error {
	e := &Error{File: d.name, Msg: msg, Hint: hint}
	if t != nil && t.Position != nil {
		e.Line, e.Column = t.Position.Line, t.Position.Column
	}
	return e
}

// child is the node under a key or an index of n, or nil.
func child(n ast.Node, step any) ast.Node {
	if a, ok := n.(*ast.AnchorNode); ok {
		n = a.Value
	}
	switch n := n.(type) {
	case *ast.SequenceNode:
		if i, ok := step.(int); ok && i < len(n.Values) {
			return n.Values[i]
		}
	case *ast.MappingNode:
		for _, v := range n.Values {
			if key := v.Key.GetToken(); key != nil && key.Value == step {
				return v.Value
			}
		}
	case *ast.MappingValueNode:
		if key := n.Key.GetToken(); key != nil && key.Value == step {
			return n.Value
		}
	}
	return nil
}

// place is the token that a person would point at for n.
func place(n ast.Node) *token.Token {
	if m, ok := n.(*ast.MappingNode); ok && len(m.Values) > 0 {
		return m.Values[0].Key.GetToken() // the mapping's own token is a colon or a brace
	}
	return n.GetToken()
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}
