package sim

import (
	"strings"

	"github.com/postern/postern/redfish"
)

const (
	odataPath    = rootPath + "/odata"
	metadataPath = rootPath + "/$metadata"
)

// describe adds those documents that a mockup does not bring itself: the version
// object, the OData service document and the metadata (DSP0266 1.20.0, 8.4). In
// front of the living tree there is a service that makes its own.
func (t *Tree) describe() {
	var types []string
	for _, ns := range t.types() {
		name, _, _ := strings.Cut(ns, ".")
		types = append(types, "#"+ns+"."+name)
	}
	t.addMissing(metadataPath, mediaXML, redfish.Metadata(types))
	t.addMissing(versionsPath, mediaJSON, []byte(`{"v1": "/redfish/v1/"}`))
	t.addMissing(odataPath, mediaJSON, redfish.ODataDocument(children(t.files[rootPath].body)))
}

func (t *Tree) addMissing(path, media string, body []byte) {
	if t.files[path] == nil {
		t.files[path] = newFile(body, media)
	}
}

// livingTypes are of what the living tree makes or sends, besides what is in it.
var livingTypes = []string{
	"Event.v1_13_0", "EventDestination.v1_16_0", "License.v1_1_4", "LogEntry.v1_21_0", "Message.v1_1_1", "Task.v1_7_4",
}

// types returns the namespaces of the types in use.
func (t *Tree) types() []string {
	var types []string
	if t.living {
		types = append(types, livingTypes...)
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

// children returns the resources that a service root refers to, by name.
func children(root []byte) map[string]string {
	all := make(map[string]string)
	ps, _ := parts(root, skipSpace(root, 0))
	for _, p := range ps {
		if uri := reference(root[p.start:p.end]); uri != "" {
			all[p.name] = uri
		}
	}
	return all
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
