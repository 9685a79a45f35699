package hpe

import (
	"slices"
	"strings"

	rf "github.com/postern/postern/redfish"
)

// registryNames are those of the registries that are served: the messages that
// answers here can carry, with words of our own.
var registryNames = []string{"Base", "iLO"}

// findRegistry returns the registry that is meant by Base, Base.json or Base.1.12.
func findRegistry(id string) (name string, ok bool) {
	id, _, _ = strings.Cut(id, ".")
	i := slices.IndexFunc(registryNames, func(n string) bool { return strings.EqualFold(n, id) })
	if i < 0 {
		return "", false
	}
	return registryNames[i], true
}

func (s *Service) registryList(*call) (any, error) {
	var uris []string
	for _, name := range registryNames {
		uris = append(uris, registriesURI+"/"+name+"/")
	}
	return list(registriesURI+"/", registryListType, "Registry File Collection", "Registry Repository", uris), nil
}

func (s *Service) registry(c *call) (any, error) {
	name, ok := findRegistry(c.id[0])
	if !ok {
		return nil, rf.NotFound(c.path)
	}
	return resource(registriesURI+"/"+name+"/", "#MessageRegistryFile.v1_0_4.MessageRegistryFile", name, name+" Message Registry File", object{
		"Description": "Registry Definition File for " + name, "Languages": []string{"en"},
		"Registry": rf.ProfileOf(c.r.Context()).RegistryVersion(name),
		"Location": []object{{"Language": "en", "Uri": registryStoreURI + "/" + name + ".json/"}},
	}), nil
}

// An entry is a message in a registry file.
type entry struct {
	Description  string
	Message      string
	NumberOfArgs int
	ParamTypes   []string
	Resolution   string
	Severity     string
}

// registryStore answers with a registry itself, which is no resource.
func (s *Service) registryStore(c *call) (any, error) {
	name, ok := findRegistry(c.id[0])
	if !ok {
		return nil, rf.NotFound(c.path)
	}
	messages := map[string]entry{}
	for key, m := range rf.RegistryMessages(name) {
		messages[key] = entry{
			Description: m.Message, Message: m.Message, NumberOfArgs: m.Args, ParamTypes: slices.Repeat([]string{"string"}, m.Args),
			Resolution: m.Resolution, Severity: m.Severity,
		}
	}
	version := rf.ProfileOf(c.r.Context()).RegistryVersion(name)
	return object{
		"@odata.type": "#MessageRegistry.v1_0_0.MessageRegistry", "Id": version, "Name": name + " Message Registry",
		"Description": "The messages of the registry " + name, "Language": "en", "OwningEntity": "Postern",
		"RegistryPrefix": name, "RegistryVersion": strings.TrimPrefix(version, name+".") + ".0", "Messages": messages,
	}, nil
}
