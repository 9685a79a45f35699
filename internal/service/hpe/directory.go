package hpe

import (
	"maps"
	"slices"
	"strings"

	rf "github.com/postern/postern/redfish"
)

const directoryType = "#HpeiLOResourceDirectory.v2_0_0.HpeiLOResourceDirectory"

// directory lists the resources by type: `select` of HPE's clients finds them
// here, and without it they read everything that is linked from anywhere.
func (s *Service) directory(c *call) (any, error) {
	instance := func(uri, typ, tag string, methods ...string) object {
		return object{"@odata.id": uri, "@odata.type": typ, "ETag": rf.ShownTag(c.r, tag), "HttpMethods": methods}
	}
	// The tags of what the Handler serves are not known here; nobody compares
	// them, and without one the clients fail (observed: ilorest 7.4).
	instances := []object{
		instance(sessionServiceURI+"/", sessionServiceType, tagOf(sessionServiceURI), "GET", "HEAD", "PATCH"),
		instance(sessionsURI+"/", sessionsType, tagOf(sessionsURI), "GET", "HEAD", "POST"),
	}
	for i := range s.routes {
		rt := &s.routes[i]
		if !rt.listed {
			continue
		}
		at := *c
		at.route, at.path, at.id = rt, "/"+strings.Join(rt.pattern, "/"), nil
		v, err := rt.get(&at)
		if err != nil {
			return nil, err
		}
		instances = append(instances, instance(at.uri(), rt.typ, tagOf(v), rt.methods()...))
	}
	return resource(directoryURI+"/", directoryType, "ResourceDirectory", "Resource Directory", object{
		"Description": "HPE Resource Directory", "Instances": instances, "Comment": "",
	}), nil
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
