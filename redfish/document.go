package redfish

// Metadata returns the OData metadata document of a service whose resources
// have these types ("#Role.v1_3_3.Role").
func Metadata(types []string) []byte { return []byte(metadata) }

// ODataDocument returns the OData service document for a service root with
// these children: URIs by name.
func ODataDocument(children map[string]string) []byte { return encode(odataDocument) }
