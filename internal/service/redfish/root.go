package redfish

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	rf "github.com/postern/postern/redfish"
)

// versions answers for /redfish: the validator compares the whole object.
func (s *Service) versions(c *call) error {
	rf.ServeResource(c.w, c.r, c.allow, rf.Encode(map[string]string{"v1": rootURI}), "")
	return nil
}

func (s *Service) root(c *call) error { return c.show(s.rootMembers()) }

// rootMembers is the service root: ours on top of what stands behind.
func (s *Service) rootMembers() map[string]any {
	root := map[string]any{"Id": "RootService", "Name": "Root Service", "RedfishVersion": redfishVersion, "Product": "Postern"}
	links := make(map[string]any)
	var behind map[string]json.RawMessage
	if raw := s.cfg.Root(); raw != nil && json.Unmarshal(raw, &behind) == nil {
		for name, v := range behind {
			root[name] = v
		}
		var theirs map[string]json.RawMessage
		if json.Unmarshal(behind["Links"], &theirs) == nil {
			for name, v := range theirs {
				links[name] = v
			}
		}
	}
	delete(root, "@odata.etag")
	links["Sessions"] = rf.Ref{ID: sessionsURI}
	maps.Copy(root, map[string]any{
		"@odata.id": rootURI, "@odata.type": serviceRootType, "Links": links,
		"ProtocolFeaturesSupported": rf.ProtocolFeatures(),
		"SessionService":            rf.Ref{ID: sessionServiceURI},
		"AccountService":            rf.Ref{ID: accountServiceURI},
		"CertificateService":        rf.Ref{ID: certificateServiceURI},
		"Registries":                rf.Ref{ID: registriesURI},
		"JsonSchemas":               rf.Ref{ID: schemasURI},
	})
	return root
}

// odata answers for the OData service document: the root and its children
// (DSP0266 1.20.0, 8.4.2).
func (s *Service) odata(c *call) error {
	children := make(map[string]string)
	for name, v := range s.rootMembers() {
		var ref rf.Ref
		if json.Unmarshal(rf.Encode(v), &ref) == nil && ref.ID != "" {
			children[name] = ref.ID
		}
	}
	children["Sessions"] = sessionsURI
	rf.ServeResource(c.w, c.r, c.allow, rf.ODataDocument(children), "")
	return nil
}

func (s *Service) metadata(c *call) error {
	var types []string
	for _, ns := range s.namespaces() {
		name, _, _ := strings.Cut(ns, ".")
		types = append(types, "#"+ns+"."+name)
	}
	return c.document("application/xml", rf.Metadata(types))
}

// namespaces of all types in use, sorted.
func (s *Service) namespaces() []string {
	all := slices.Sorted(slices.Values(append(slices.Clone(namespaces), s.cfg.Types()...)))
	return slices.Compact(all)
}

// openAPI describes our own resources, with the schemas that the DMTF publishes.
// What stands behind is found by walking the tree, as everywhere in Redfish.
func (s *Service) openAPI(c *call) error {
	var b strings.Builder
	b.WriteString("openapi: 3.0.1\ninfo:\n  title: Redfish service\n  version: " + redfishVersion + "\npaths:\n")
	for i := range s.routes {
		rt := &s.routes[i]
		if rt.get == nil && rt.post == nil {
			continue
		}
		path, params := rt.template()
		fmt.Fprintf(&b, "  %s:\n", strconv.Quote(path))
		if len(params) > 0 {
			b.WriteString("    parameters:\n")
		}
		for _, p := range params {
			fmt.Fprintf(&b, "    - {name: %s, in: path, required: true, schema: {type: string}}\n", p)
		}
		for _, m := range methods {
			if m != http.MethodHead && rt.method(m) != nil {
				fmt.Fprintf(&b, "    %s:\n      responses:\n        default:\n          description: A resource, nothing, or an error.\n", strings.ToLower(m))
			}
		}
	}
	return c.document("application/yaml", []byte(b.String()))
}

// template is the path of a route as OpenAPI writes it, with its parameters.
func (rt *route) template() (path string, params []string) {
	for i, p := range rt.pattern {
		if p == "{}" {
			p = rt.pattern[i-1] + "Id"
			params = append(params, p)
			p = "{" + p + "}"
		}
		path += "/" + p
	}
	if path+"/" == rootURI {
		path = rootURI
	}
	return path, params
}

// document answers with something that is no JSON.
func (c *call) document(media string, body []byte) error {
	h := c.w.Header()
	h.Set("Allow", c.allow)
	h["OData-Version"] = []string{"4.0"}
	h.Set("Content-Type", media)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if c.r.Method != http.MethodHead {
		c.w.Write(body) // an error here is the peer's going away
	}
	return nil
}
