package sim

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/postern/postern/redfish"
)

// A verdict is what a check makes of a value that a client sent.
type verdict int

const (
	valueGood verdict = iota
	valueType         // not a type that can be taken
	valueList         // not one of the allowed values
	valueBad          // else not acceptable
)

// A check judges a value. The allowed values are those that the resource
// itself lists beside the property or parameter, nil where it lists none.
type check func(value []byte, allowed []string) verdict

// maxText bounds a text that a client leaves in a resource, in bytes.
const maxText = 1024

func anyText(value []byte, _ []string) verdict {
	switch {
	case value[0] != '"':
		return valueType
	case len(value) > maxText:
		return valueBad
	}
	return valueGood
}

// listed takes the texts that the resource lists as allowed.
func listed(value []byte, allowed []string) verdict {
	switch {
	case value[0] != '"':
		return valueType
	case !slices.Contains(allowed, unquote(value)):
		return valueList
	}
	return valueGood
}

func boolean(value []byte, _ []string) verdict {
	if value[0] != 't' && value[0] != 'f' {
		return valueType
	}
	return valueGood
}

// upTo takes whole numbers from 0 to most.
func upTo(most int) check {
	return func(value []byte, _ []string) verdict {
		n, err := strconv.Atoi(string(value))
		switch {
		case err != nil:
			return valueType
		case n < 0 || n > most:
			return valueBad
		}
		return valueGood
	}
}

// maxServers bounds a list of servers.
const maxServers = 8

// textList takes an array of texts. An element may also be null or an empty
// object, which a PATCH of an array gives a meaning (see patchArray).
func textList(value []byte, _ []string) verdict {
	if value[0] != '[' {
		return valueType
	}
	ps, _ := parts(value, 0)
	for _, p := range ps {
		v := value[p.start:p.end]
		switch {
		case isObject(v) && len(partsOf(v)) == 0, string(v) == "null":
		case v[0] != '"':
			return valueType
		case len(v) > maxText:
			return valueBad
		}
	}
	if len(ps) > maxServers {
		return valueBad
	}
	return valueGood
}

// allowedAt returns the values that a resource lists for one of its members.
func allowedAt(resource []byte, path ...string) []string {
	at := slices.Clone(path)
	at[len(at)-1] += "@Redfish.AllowableValues"
	var allowed []string
	if json.Unmarshal(lookup(resource, at...), &allowed) != nil {
		return nil
	}
	return allowed
}

// shown is a client's value as an error may show it: not if it may be a
// password, and not at any length.
func shown(name string, value []byte) string {
	const maxShown = 100
	switch {
	case strings.Contains(name, "Password"):
		return "***"
	case len(value) > maxShown:
		return "..."
	case value[0] == '"':
		return unquote(value)
	}
	return string(value)
}

// propertyProblem is what a PATCH is answered for a value; nil for a good one.
func propertyProblem(v verdict, name string, value []byte) *redfish.Problem {
	switch v {
	case valueType:
		return badRequest("PropertyValueTypeError", shown(name, value), name)
	case valueList:
		return badRequest("PropertyValueNotInList", shown(name, value), name)
	case valueBad:
		return badRequest("PropertyValueError", name)
	}
	return nil
}

// parameterProblem is the same for a parameter of an action.
func parameterProblem(v verdict, name, action string, value []byte) *redfish.Problem {
	switch v {
	case valueType:
		return badRequest("ActionParameterValueTypeError", shown(name, value), name, action)
	case valueList:
		return badRequest("ActionParameterValueNotInList", shown(name, value), name, action)
	case valueBad:
		return badRequest("ActionParameterValueError", name, action)
	}
	return nil
}

func badRequest(key string, args ...string) *redfish.Problem {
	return &redfish.Problem{Status: 400, Key: key, Args: args}
}

// join makes one answer of several problems, nil of none.
func join(problems []*redfish.Problem) error {
	if len(problems) == 0 {
		return nil
	}
	first := *problems[0]
	for _, p := range problems[1:] {
		first.More = append(first.More, *p)
	}
	return &first
}
