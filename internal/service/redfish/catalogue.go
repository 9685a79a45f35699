package redfish

import (
	"slices"
	"strings"

	rf "github.com/postern/postern/redfish"
)

// Where the DMTF publishes what we name and do not serve.
const (
	publishedSchemas    = "http://redfish.dmtf.org/schemas/v1/"
	publishedRegistries = "https://redfish.dmtf.org/registries/"
)

// The registries of our messages and privileges.
const (
	baseRegistry      = "Base.1.22.1"
	privilegeRegistry = "Redfish_1.8.0_PrivilegeRegistry"
)

// A registryFile says where a registry is to be had (MessageRegistryFile.v1_1_5).
type registryFile struct {
	heading
	Registry  string     `json:"Registry"`
	Languages []string   `json:"Languages"`
	Location  []location `json:"Location"`
}

// A schemaFile says where a schema is to be had (JsonSchemaFile.v1_1_5).
type schemaFile struct {
	heading
	Schema    string     `json:"Schema"`
	Languages []string   `json:"Languages"`
	Location  []location `json:"Location"`
}

type location struct {
	Language       string
	PublicationURI string `json:"PublicationUri"`
}

func published(uri string) []location { return []location{{Language: "en", PublicationURI: uri}} }

// registryIDs maps the ids of the registry files to their names where they are
// published.
func (s *Service) registryIDs() map[string]string {
	ids := map[string]string{privilegeRegistry: privilegeRegistry}
	for _, name := range append([]string{baseRegistry}, s.cfg.Registries...) {
		ids[majorMinor(name)] = name
	}
	return ids
}

// majorMinor is what messages call a registry: Base.1.22 for Base.1.22.1.
func majorMinor(name string) string {
	parts := strings.SplitN(name, ".", 4)
	return strings.Join(parts[:min(3, len(parts))], ".")
}

func (s *Service) registries(c *call) error {
	var ids []string
	for id := range s.registryIDs() {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return c.show(newCollection(registriesURI, registryCollectionType, "Registries", ids))
}

func (s *Service) registry(c *call) error {
	id := c.id[0]
	name, ok := s.registryIDs()[id]
	if !ok {
		return rf.NotFound(c.path)
	}
	return c.show(registryFile{
		heading:  heading{ODataID: c.path, ODataType: registryFileType, ID: id, Name: id + " Registry"},
		Registry: id, Languages: []string{"en"}, Location: published(publishedRegistries + name + ".json"),
	})
}

func (s *Service) schemas(c *call) error {
	return c.show(newCollection(schemasURI, schemaFileCollectionType, "Schemas", s.namespaces()))
}

func (s *Service) schema(c *call) error {
	id := c.id[0]
	if !slices.Contains(s.namespaces(), id) {
		return rf.NotFound(c.path)
	}
	name, _, _ := strings.Cut(id, ".")
	return c.show(schemaFile{
		heading: heading{ODataID: c.path, ODataType: schemaFileType, ID: id, Name: name + " Schema"},
		Schema:  "#" + id + "." + name, Languages: []string{"en"}, Location: published(publishedSchemas + id + ".json"),
	})
}

func (s *Service) privilegeMap(c *call) error { return c.show(rf.PrivilegeMap(privilegeMapURI)) }
