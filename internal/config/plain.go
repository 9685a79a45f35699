package config

import "github.com/goccy/go-yaml/ast"

// notText are the keys whose values are numbers or switches; every other value
// of the file is text, and means what is written there.
var notText = map[string]bool{
	"budget": true, "in_flight": true, "lockout_threshold": true, // whole numbers
	"exclusive": true,
}

// plain returns n as the decoder is to see it. A text that looks like a number
// stays as it is written: the decoder would make 7 of the account 007. A number
// is a whole one: the decoder would make 3 of 3.5. Tags are refused: no key
// needs one, and the decoder panics on some (observed: goccy/go-yaml 1.19.2,
// "targets: !!binary abc").
func (d *document) plain(n ast.Node, key string) (_ ast.Node, err error) {
	switch n := n.(type) {
	case *ast.TagNode:
		return nil, d.errorAt(n.GetToken(), "tags are not understood", "leave it out; a text may be put in quotes")
	case *ast.AnchorNode:
		n.Value, err = d.plain(n.Value, key)
	case *ast.MappingNode:
		for _, v := range n.Values {
			if _, err := d.plain(v, ""); err != nil {
				return nil, err
			}
		}
	case *ast.MappingValueNode:
		name := ""
		if t := n.Key.GetToken(); t != nil {
			name = t.Value
		}
		n.Value, err = d.plain(n.Value, name)
	case *ast.SequenceNode:
		for i := range n.Values {
			if n.Values[i], err = d.plain(n.Values[i], key); err != nil {
				return nil, err
			}
		}
	case *ast.FloatNode, *ast.InfinityNode, *ast.NanNode, *ast.StringNode:
		if notText[key] && key != "exclusive" {
			return nil, d.errorAt(n.GetToken(), "want a whole number", "")
		}
		return text(n, key), nil
	case *ast.IntegerNode, *ast.BoolNode:
		return text(n, key), nil
	}
	return n, err
}

// text is the scalar n as it is written, where key wants text.
func text(n ast.Node, key string) ast.Node {
	if notText[key] || n.GetToken() == nil {
		return n
	}
	return ast.String(n.GetToken())
}
