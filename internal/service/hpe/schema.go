package hpe

import (
	"encoding/json"
	"slices"
	"strings"

	rf "github.com/postern/postern/redfish"
)

// names splits a type: "#HpeCertAuth.v1_1_0.HpeCertAuth" is HpeCertAuth of the
// namespace HpeCertAuth.
func names(typ string) (namespace, name string) {
	typ = strings.TrimPrefix(typ, "#")
	namespace, _, _ = strings.Cut(typ, ".")
	return namespace, typ[strings.LastIndexByte(typ, '.')+1:]
}

// types are the types of our resources, each once, in the order of the names.
func (s *Service) types() []string {
	var all []string
	for i := range s.routes {
		if t := s.routes[i].typ; t != "" {
			all = append(all, t)
		}
	}
	all = append(all, s.cfg.Types...)
	slices.Sort(all)
	return slices.Compact(all)
}

// findType returns the type whose namespace is meant: clients ask for
// HpeCertAuth as well as for HpeCertAuth.json.
func (s *Service) findType(id string) (string, bool) {
	id, _, _ = strings.Cut(strings.TrimSuffix(id, ".json"), ".")
	for _, t := range s.types() {
		if ns, _ := names(t); strings.EqualFold(ns, id) {
			return t, true
		}
	}
	return "", false
}

func (s *Service) schemaList(*call) (any, error) {
	var uris []string
	for _, t := range s.types() {
		ns, _ := names(t)
		uris = append(uris, schemasURI+"/"+ns+"/")
	}
	return list(schemasURI+"/", schemaListType, "JSON Schema File Collection", "Schema Repository",
		slices.Compact(uris)), nil
}

func (s *Service) schema(c *call) (any, error) {
	t, ok := s.findType(c.id[0])
	if !ok {
		return nil, rf.NotFound(c.path)
	}
	ns, _ := names(t)
	return resource(schemasURI+"/"+ns+"/", "#JsonSchemaFile.v1_0_4.JsonSchemaFile", ns, ns, object{
		"Description": ns + " Schema File Location", "Languages": []string{"en"}, "Schema": t,
		"Location": []object{{"Language": "en", "Uri": schemaStoreURI + "/" + ns + ".json/"}},
	}), nil
}

// schemaStore answers with a schema itself. It has no @odata.type, or clients
// take it for a resource; what it says of a property is its type and whether it
// can be written (observed: ilorest 3.6 and 7.4, set).
func (s *Service) schemaStore(c *call) (any, error) {
	t, ok := s.findType(c.id[0])
	if !ok {
		return nil, rf.NotFound(c.path)
	}
	properties := object{}
	for name, of := range s.sample(c, t) {
		if !strings.Contains(name, "@") {
			properties[name] = describe(of, writable[t], name)
		}
	}
	ns, _ := names(t)
	return object{
		"$schema": "http://json-schema.org/draft-04/schema#", "title": t, "type": "object",
		"description": "What a resource of the type " + ns + " of this device holds.",
		"properties":  properties, "additionalProperties": false,
	}, nil
}

// sample is a resource of a type as it is now, in the words of encoding/json;
// nil where there is none to be had without knowing its name.
func (s *Service) sample(c *call, typ string) map[string]any {
	for i := range s.routes {
		rt := &s.routes[i]
		if rt.typ != typ || rt.get == nil || slices.Contains(rt.pattern, "{}") {
			continue
		}
		at := *c
		at.route, at.path, at.id = rt, "/"+strings.Join(rt.pattern, "/"), nil
		v, err := rt.get(&at)
		if err != nil {
			continue
		}
		var o map[string]any
		if json.Unmarshal(rf.Encode(v), &o) == nil {
			return o
		}
	}
	return nil
}

// writable says what a PATCH may change in the types of ours that take one, by
// the path of the property.
var writable = map[string][]string{
	certAuthType:        {"CertificateLoginEnabled", "StrictCACModeEnabled", "LDAPCertificateNameMapping", "OCSPUri"},
	dateTimeType:        {"StaticNTPServers", "TimeZone", "TimeZone/Index", "TimeZone/Name", "PropagateTimeToHost"},
	securityType:        {"LoginSecurityBanner", "LoginSecurityBanner/IsEnabled", "LoginSecurityBanner/SecurityMessage"},
	networkProtocolType: {"HostName", "Oem/Hpe/SMTPForTFAEnabled", "Oem/Hpe/AlertMailSenderDomain", "Oem/Hpe/AlertMailSMTPServer", "Oem/Hpe/AlertMailSMTPPort"},
	accountServiceType: {"MinPasswordLength", "LDAP", "Oem/Hpe/DirectorySettings/LdapAuthenticationMode", "Oem/Hpe/MinPasswordLength", "Oem/Hpe/EnforcePasswordComplexity",
		"Oem/Hpe/AuthFailureDelayTimeSeconds", "Oem/Hpe/AuthFailuresBeforeDelay", "Oem/Hpe/AuthFailureLoggingThreshold", "Oem/Hpe/TwoFactorAuth"},
	managerType: {"Oem/Hpe/IdleConnectionTimeoutMinutes"},
}

// describe is the schema of a value like the one at a path.
func describe(v any, free []string, path string) object {
	o := object{"readonly": !slices.ContainsFunc(free, func(f string) bool { return f == path || strings.HasPrefix(f, path+"/") })}
	switch v := v.(type) {
	case bool:
		o["type"] = "boolean"
	case float64:
		o["type"] = "integer"
	case string:
		o["type"] = "string"
	case nil:
		o["type"] = []string{"string", "null"}
	case []any:
		o["type"] = "array"
		items := object{"type": "string"}
		if len(v) > 0 {
			items = describe(v[0], free, path)
			delete(items, "readonly")
		}
		o["items"] = items
	case map[string]any:
		properties := object{}
		for name, of := range v {
			if !strings.Contains(name, "@") {
				properties[name] = describe(of, free, path+"/"+name)
			}
		}
		o["type"], o["properties"] = "object", properties
	}
	return o
}
