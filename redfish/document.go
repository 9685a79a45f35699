package redfish

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

const schemaSite = "http://redfish.dmtf.org/schemas/v1/"

// typePattern takes an @odata.type apart: "#Role.v1_3_3.Role", "#RoleCollection.RoleCollection".
var typePattern = regexp.MustCompile(`^#([A-Za-z][A-Za-z0-9]*)\.(?:(v[0-9]+_[0-9]+_[0-9]+)\.)?([A-Za-z][A-Za-z0-9]*)$`)

// Metadata returns the OData metadata document of a service whose resources
// have these types ("#Role.v1_3_3.Role"): it names the published schema of
// each, and holds the entity container in its first Schema, where the DMTF's
// protocol validator looks for it. What is no such type is left out; order and
// repetitions do not matter.
func Metadata(types []string) []byte {
	root := serviceRootType
	namespaces := map[string][]string{"RedfishExtensions": {"RedfishExtensions.v1_0_0"}}
	for _, t := range append(slices.Clone(types), sessionServiceType, sessionCollectionType, sessionType) {
		m := typePattern.FindStringSubmatch(t)
		if m == nil {
			continue
		}
		if m[1] == "ServiceRoot" && m[2] != "" {
			root = t
			continue
		}
		addNamespace(namespaces, m[1], m[2])
	}
	version := typePattern.FindStringSubmatch(root)[2]
	addNamespace(namespaces, "ServiceRoot", version)

	var b bytes.Buffer
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
		`<edmx:Edmx xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx" Version="4.0">` + "\n")
	for _, name := range sorted(namespaces) {
		fmt.Fprintf(&b, "  <edmx:Reference Uri=\"%s%s_v1.xml\">\n", schemaSite, name)
		if name == "RedfishExtensions" {
			fmt.Fprintf(&b, "    <edmx:Include Namespace=\"%s\" Alias=\"Redfish\"/>\n", namespaces[name][0])
		} else {
			fmt.Fprintf(&b, "    <edmx:Include Namespace=\"%s\"/>\n", name)
			slices.Sort(namespaces[name])
			for _, ns := range namespaces[name] {
				fmt.Fprintf(&b, "    <edmx:Include Namespace=\"%s\"/>\n", ns)
			}
		}
		b.WriteString("  </edmx:Reference>\n")
	}
	fmt.Fprintf(&b, "  <edmx:DataServices>\n"+
		"    <Schema xmlns=\"http://docs.oasis-open.org/odata/ns/edm\" Namespace=\"Service\">\n"+
		"      <EntityContainer Name=\"Service\" Extends=\"ServiceRoot.%s.ServiceContainer\"/>\n"+
		"    </Schema>\n  </edmx:DataServices>\n</edmx:Edmx>\n", version)
	return b.Bytes()
}

// addNamespace adds a version of a schema, once; "" is the schema itself.
func addNamespace(namespaces map[string][]string, name, version string) {
	list := namespaces[name]
	if ns := name + "." + version; version != "" && !slices.Contains(list, ns) {
		list = append(list, ns)
	}
	namespaces[name] = list
}

func sorted[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

type odataService struct {
	Name string `json:"name"`
	Kind string `json:"kind"`
	URL  string `json:"url"`
}

// ODataDocument returns the OData service document of a service whose root
// leads to these children: URIs by name (DSP0266 1.20.0, 8.4.2). The root, the
// session service and its sessions are added.
func ODataDocument(children map[string]string) []byte {
	doc := struct {
		Context string         `json:"@odata.context"`
		Value   []odataService `json:"value"`
	}{metadataURI, []odataService{{"Service", "Singleton", rootURI}}}
	all := map[string]string{"SessionService": sessionServiceURI, "Sessions": sessionsURI}
	for name, uri := range children {
		all[name] = strings.TrimSuffix(uri, "/")
	}
	for _, name := range sorted(all) {
		doc.Value = append(doc.Value, odataService{name, "Singleton", all[name]})
	}
	return encode(doc)
}
