package sim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

const (
	odataPath    = rootPath + "/odata"
	metadataPath = rootPath + "/$metadata"
	schemaBase   = "http://redfish.dmtf.org/schemas/v1/" // where the DMTF publishes the schemas
)

// describe adds those documents that a tree does not bring itself: the version
// object, the OData service document and the metadata (DSP0266 1.20.0, 8.4).
func (t *Tree) describe() {
	t.addMissing(metadataPath, mediaXML, metadata(t.types()))
	t.addMissing(versionsPath, mediaJSON, []byte(`{"v1": "/redfish/v1/"}`))
	t.addMissing(odataPath, mediaJSON, serviceDocument(t.files[rootPath].body))
}

func (t *Tree) addMissing(path, media string, body []byte) {
	if t.files[path] == nil {
		t.files[path] = newFile(body, media)
	}
}

// types returns the namespaces of the types in use.
func (t *Tree) types() []string {
	types := []string{ // of the resources that the session service serves
		"SessionService.v1_2_0", "SessionCollection", "Session.v1_8_0", "Message.v1_1_1",
	}
	if t.living { // what comes and goes
		types = append(types, "EventDestination.v1_16_0", "Event.v1_13_0", "Task.v1_7_4")
	}
	for _, f := range t.files {
		if f.media != mediaJSON {
			continue
		}
		if typ := typeOf(f.body); typ != "" {
			types = append(types, typ)
		}
	}
	return types
}

// typeOf returns the namespace in a resource's @odata.type:
// "Session.v1_8_0" of "#Session.v1_8_0.Session".
func typeOf(body []byte) string {
	v := lookup(body, "@odata.type")
	if len(v) < 3 || v[0] != '"' {
		return ""
	}
	name := strings.TrimPrefix(unquote(v), "#")
	if i := strings.LastIndexByte(name, '.'); i > 0 {
		return name[:i]
	}
	return ""
}

// describedBy is the Link header of a resource, "" where its type is not told.
func describedBy(body []byte) string {
	if typ := typeOf(body); typ != "" {
		return "<" + schemaBase + typ + ".json>; rel=describedby"
	}
	return ""
}

func serviceDocument(root []byte) []byte {
	type singleton struct {
		Name string `json:"name"`
		Kind string `json:"kind"`
		URL  string `json:"url"`
	}
	doc := struct {
		Context string      `json:"@odata.context"`
		Value   []singleton `json:"value"`
	}{metadataPath, []singleton{{"Service", "Singleton", rootPath + "/"}}}
	ps, _ := parts(root, skipSpace(root, 0))
	for _, p := range ps {
		if uri := reference(root[p.start:p.end]); uri != "" {
			doc.Value = append(doc.Value, singleton{p.name, "Singleton", uri})
		}
	}
	doc.Value = append(doc.Value, singleton{"Sessions", "Singleton", sessionsPath})
	b, err := json.Marshal(doc)
	if err != nil {
		return []byte("{}")
	}
	return b
}

// reference returns the URI of an object that is nothing but a reference.
func reference(v []byte) string {
	if !isObject(v) {
		return ""
	}
	ps, _ := parts(v, 0)
	if len(ps) != 1 || ps[0].name != "@odata.id" || v[ps[0].start] != '"' {
		return ""
	}
	return unquote(v[ps[0].start:ps[0].end])
}

func metadata(types []string) []byte {
	slices.Sort(types)
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>
<edmx:Edmx xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx" Version="4.0">
  <edmx:Reference Uri="http://redfish.dmtf.org/schemas/v1/RedfishExtensions_v1.xml">
    <edmx:Include Namespace="RedfishExtensions.v1_0_0" Alias="Redfish"/>
  </edmx:Reference>
`)
	for _, typ := range slices.Compact(types) {
		name, _, versioned := strings.Cut(typ, ".")
		fmt.Fprintf(&b, "  <edmx:Reference Uri=\"http://redfish.dmtf.org/schemas/v1/%s_v1.xml\">\n    <edmx:Include Namespace=\"%s\"/>\n", name, name)
		if versioned {
			fmt.Fprintf(&b, "    <edmx:Include Namespace=\"%s\"/>\n", typ)
		}
		b.WriteString("  </edmx:Reference>\n")
	}
	b.WriteString(`  <edmx:DataServices>
    <Schema xmlns="http://docs.oasis-open.org/odata/ns/edm" Namespace="Service">
      <EntityContainer Name="Service" Extends="ServiceRoot.v1_20_0.ServiceContainer"/>
    </Schema>
  </edmx:DataServices>
</edmx:Edmx>
`)
	return []byte(b.String())
}
