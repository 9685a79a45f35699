//lint:file-ignore SA1008 the letter case that goes out is what is looked at

package redfish_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/redfish"
)

// A grove is a tree of resources, some of which only an Administrator reads.
type grove struct {
	resources map[string]string
	asked     atomic.Int64
	queries   []string
}

func (g *grove) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.asked.Add(1)
	if r.URL.RawQuery != "" {
		g.queries = append(g.queries, r.URL.RawQuery)
	}
	if len(r.Header["X-Auth-Token"]) > 0 || r.Header.Get("Authorization") != "" {
		panic("credentials reach what is behind")
	}
	path := strings.TrimSuffix(r.URL.Path, "/")
	body, ok := g.resources[path]
	p, _ := auth.PrincipalFrom(r.Context())
	switch {
	case !ok:
		redfish.WriteError(w, r, redfish.NotFound(path))
	case strings.Contains(path, "Secret") && p.Role != auth.Administrator:
		redfish.WriteError(w, r, auth.ErrForbidden)
	case strings.HasPrefix(body, "<"):
		w.Header().Set("Content-Type", "application/xml")
		w.Write([]byte(body))
	default:
		redfish.ServeResource(w, r, "GET, HEAD, PATCH", []byte(body), redfish.ETag([]byte(body)))
	}
}

func ref(path string) string { return `{"@odata.id":"` + path + `"}` }

func newGrove() *grove {
	const (
		systems = "/redfish/v1/Systems"
		chassis = "/redfish/v1/Chassis"
	)
	return &grove{resources: map[string]string{
		"/redfish": `{"v1":"/redfish/v1/"}`,
		"/redfish/v1": `{"@odata.id":"/redfish/v1/","@odata.type":"#ServiceRoot.v1_20_0.ServiceRoot","Id":"RootService","Name":"Root",
			"Systems": ` + ref(systems) + `, "SessionService":` + ref("/redfish/v1/SessionService") + `,
			"Links":{"Sessions":` + ref("/redfish/v1/SessionService/Sessions") + `}}`,
		"/redfish/v1/$metadata": `<xml/>`,
		systems: `{"@odata.id":"` + systems + `","@odata.type":"#ComputerSystemCollection.ComputerSystemCollection","Name":"Systems",
			"Members":[` + ref(systems+"/a") + `, ` + ref(systems+"/b") + `,` + ref(systems+"/Secret") + ` , ` + ref(systems+"/gone") + `],"Members@odata.count":4}`,
		systems + "/a": `{"@odata.id":"` + systems + `/a","@odata.type":"#ComputerSystem.v1_20_0.ComputerSystem","@odata.etag":"\"1\"","Id":"a","Name":"A \"quoted\" one",
			"PowerState":"On","ProcessorSummary":{"Count":2,"Model":"x","Model@Redfish.AllowableValues":["x"]},"Booted":"2026-11-25T10:00:00Z","Tags":["red","blue"],"Asset":null,
			"Links":{"Chassis":[` + ref(chassis+"/1") + `],"Chassis@odata.count":1},"Log":` + ref(systems+"/a/Log") + `,
			"Sensor":` + ref(systems+"/a#/Sensors/0") + `,"Elsewhere":` + ref("https://x/y") + `}`,
		systems + "/b": `{"@odata.id":"` + systems + `/b","@odata.type":"#ComputerSystem.v1_20_0.ComputerSystem","Id":"b","Name":"B",
			"PowerState":"Off","ProcessorSummary":{"Count":10},"Booted":"2026-11-25T12:00:00+01:00","Tags":[]}`,
		systems + "/Secret": `{"@odata.id":"` + systems + `/Secret","@odata.type":"#ComputerSystem.v1_20_0.ComputerSystem","Id":"Secret","PowerState":"On"}`,
		systems + "/a/Log":  `{"@odata.id":"` + systems + `/a/Log","Id":"Log","Name":"Log","Up":` + ref(systems+"/a") + `}`,
		chassis:             `{"@odata.id":"` + chassis + `","@odata.type":"#ChassisCollection.ChassisCollection","Members":[` + ref(chassis+"/1") + `],"Members@odata.count":1}`,
		chassis + "/1":      `{"@odata.id":"` + chassis + `/1","@odata.type":"#Chassis.v1_25_0.Chassis","Id":"1","Name":"Box","Links":{"ComputerSystems":[` + ref(systems+"/a") + `]}}`,
	}}
}

// asks sends a GET with a query to a handler, as somebody.
func asks(h http.Handler, role auth.Role, method, path, query string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	r.URL.RawQuery = query
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Set(name, value)
	}
	if role != "" {
		r = r.WithContext(auth.WithPrincipal(r.Context(), auth.Principal{Account: "x", Role: role}))
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// compact writes JSON without white space.
func compact(t *testing.T, s string) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(s)); err != nil {
		t.Fatalf("%v: %s", err, s)
	}
	return b.String()
}

func TestFilter(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		filter string
		want   string // ids
	}{
		{"Id eq 'a'", "a"},
		{"not (Id eq 'a')", "b"},
		{"Id eq 'a' or Id eq 'b'", "a b"},
		{"Id ne 'a'", "b"},
		{"ProcessorSummary/Count gt 2", "b"},
		{"ProcessorSummary/Count ge 2 and PowerState eq 'On'", "a"},
		{"ProcessorSummary/Count lt 10.5", "a b"},
		{"ProcessorSummary/Count le 2e0", "a"},
		{"ProcessorSummary/Count eq '2'", ""},
		{"ProcessorSummary/Count ne '2'", "a b"},
		{"PowerState eq 'On' or PowerState eq 'Off' and Id eq 'zz'", "a"},
		{"(PowerState eq 'On' or PowerState eq 'Off') and not not (Id eq 'b')", "b"},
		{"Booted gt 2026-11-25T10:30:00Z", "b"},
		{"Booted lt '2026-11-25T10:30:00Z'", "a"},
		{"Name eq 'A \"quoted\" one'", "a"},
		{"Name eq 'it''s'", ""},
		{"Tags eq 'blue'", "a"},
		{"Tags ne 'blue'", "b"},
		{"Tags ne 'green'", "a b"},
		{"Asset eq null", "a b"},
		{"Nothing ne null", ""},
		{"Nothing gt 1", ""},
		{"PowerState gt 'Off'", "a"},
		{"@odata.etag ne null", "a"},
		{"Id/x eq 1", ""},
		{"true eq true", ""}, // a property of that name, which there is not
	} {
		w := asks(redfish.Query(newGrove()), auth.ReadOnly, "GET", "/redfish/v1/Systems", "$filter="+url.QueryEscape(tt.filter))
		var c redfish.SessionCollection
		if err := json.Unmarshal(w.Body.Bytes(), &c); err != nil || w.Code != 200 {
			t.Errorf("%s: %d %s", tt.filter, w.Code, w.Body)
			continue
		}
		got := []string{}
		for _, m := range c.Members {
			got = append(got, m.ID[strings.LastIndexByte(m.ID, '/')+1:])
		}
		if strings.Join(got, " ") != tt.want || c.Count != len(got) {
			t.Errorf("%s: %v count %d, want %s", tt.filter, got, c.Count, tt.want)
		}
	}
	for _, tt := range []struct {
		filter string
		want   int
	}{
		{"", 400}, {"Id", 400}, {"Id eq", 400}, {"Id eq a", 400}, {"Id eq 'a", 400}, {"Id eq 'a' or", 400}, {"(Id eq 'a'", 400},
		{"Id eq 'a')", 400}, {"'a' eq Id", 400}, {"Id eq 'a' 'b'", 400}, {"eq eq eq", 400}, {"not", 400}, {"()", 400}, {"Id = 'a'", 400},
		{"contains(Name,'x')", 501}, {"Id has 'x'", 501}, {"Count add 1 eq 2", 501}, {"Id eq 0x10", 400}, {"Id eq Inf", 400}, {"Id EQ 'a'", 501},
		{strings.Repeat("(", 100) + "Id eq 1" + strings.Repeat(")", 100), 400},
		{strings.Repeat("not ", 100) + "Id eq 1", 400},
		{strings.Repeat("Id eq 1 or ", 100) + "Id eq 1", 400},
	} {
		w := asks(redfish.Query(newGrove()), auth.ReadOnly, "GET", "/redfish/v1/Systems", "$filter="+url.QueryEscape(tt.filter))
		if w.Code != tt.want {
			t.Errorf("%.60s: %d %s, want %d", tt.filter, w.Code, w.Body, tt.want)
		}
	}
}

func TestQueryErrors(t *testing.T) {
	t.Parallel()
	const systems, one = "/redfish/v1/Systems", "/redfish/v1/Systems/a"
	for _, tt := range []struct {
		method, path, query string
		status              int
		key                 string
		args                []string
	}{
		{"GET", one, "foo", 200, "", nil},
		{"GET", one, "excerpt", 200, "", nil},
		{"GET", one, "$foo", 501, "QueryParameterUnsupported", []string{"$foo"}},
		{"GET", one, "$skiptoken=1", 501, "QueryParameterUnsupported", nil},
		{"GET", "/redfish/v1/Nothing", "$foo", 404, "ResourceMissingAtURI", nil},
		{"GET", "/redfish/v1/Systems/Secret", "$foo", 403, "InsufficientPrivilege", nil},
		{"GET", one, "only=foo", 400, "QueryParameterValueError", []string{"only"}},
		{"GET", systems, "only=", 400, "QueryParameterValueError", nil},
		{"GET", one, "excerpt=foo", 400, "QueryParameterValueError", []string{"excerpt"}},
		{"GET", one, "only", 400, "QueryNotSupportedOnResource", nil},
		{"GET", one, "$filter=Id eq 'a'", 400, "QueryNotSupportedOnResource", nil},
		{"GET", one, "$top=1", 400, "QueryNotSupportedOnResource", nil},
		{"GET", one, "$skip=0", 400, "QueryNotSupportedOnResource", nil},
		{"GET", "/redfish/v1/$metadata", "$select=Name", 400, "QueryNotSupportedOnResource", nil},
		{"GET", systems, "only&$select=Name", 400, "QueryCombinationInvalid", nil},
		{"GET", systems, "$expand=.&only", 400, "QueryCombinationInvalid", nil},
		{"GET", systems, "only&foo", 200, "", nil},
		{"GET", systems, "$top=0", 400, "QueryParameterOutOfRange", []string{"0", "$top", "1 to 2147483647"}},
		{"GET", systems, "$skip=-1", 400, "QueryParameterOutOfRange", nil},
		{"GET", systems, "$top=99999999999999999999", 400, "QueryParameterOutOfRange", nil},
		{"GET", systems, "$top=x", 400, "QueryParameterValueFormatError", []string{"x", "$top"}},
		{"GET", systems, "$top=", 400, "QueryParameterValueFormatError", nil},
		{"GET", systems, "$top=1.5", 400, "QueryParameterValueFormatError", nil},
		{"GET", systems, "$top=1&$top=2", 400, "GeneralError", nil},
		{"GET", systems, "$expand", 400, "QueryParameterValueFormatError", nil},
		{"GET", systems, "$expand=Members", 400, "QueryParameterValueFormatError", nil},
		{"GET", systems, "$expand=.($levels=0)", 400, "QueryParameterOutOfRange", nil},
		{"GET", systems, "$expand=.($levels=4)", 400, "QueryParameterOutOfRange", nil},
		{"GET", systems, "$expand=.($levels=99999999999999999999)", 400, "QueryParameterOutOfRange", nil},
		{"GET", one, "$select=", 400, "QueryParameterValueFormatError", nil},
		{"GET", one, "$select=Name,,Id", 400, "QueryParameterValueFormatError", nil},
		{"GET", one, "$select=Name/", 400, "QueryParameterValueFormatError", nil},
		{"GET", one, "$select=" + strings.Repeat("a,", 70) + "a", 400, "QueryParameterValueFormatError", nil},
		{"GET", one, "$select=%zz", 400, "GeneralError", nil},
		{"PATCH", one, "$select=Name", 400, "QueryNotSupportedOnOperation", nil},
		{"DELETE", one, "only", 400, "QueryNotSupportedOnOperation", nil},
		{"HEAD", one, "$foo", 501, "", nil},
	} {
		w := asks(redfish.Query(newGrove()), auth.ReadOnly, tt.method, tt.path, tt.query, "Accept: application/json, application/xml")
		if w.Code != tt.status {
			t.Errorf("%s %s?%s: %d %s, want %d", tt.method, tt.path, tt.query, w.Code, w.Body, tt.status)
			continue
		}
		if tt.key == "" {
			continue
		}
		m := errorBody(t, tt.query, w).Error.ExtendedInfo[0]
		if m.MessageID != "Base.1.22."+tt.key || tt.args != nil && !slices.Equal(m.MessageArgs, tt.args) {
			t.Errorf("%s?%s: %+v", tt.path, tt.query, m)
		}
	}
}

func TestSelect(t *testing.T) {
	t.Parallel()
	const head = `{"@odata.id":"/redfish/v1/Systems/a","@odata.type":"#ComputerSystem.v1_20_0.ComputerSystem","@odata.etag":"\"1\"",`
	for _, tt := range []struct{ query, want string }{
		{"Name", head + `"Name":"A \"quoted\" one"}`},
		{"PowerState, Id", head + `"Id":"a","PowerState":"On"}`},
		{"ProcessorSummary/Model", head + `"ProcessorSummary":{"Model":"x","Model@Redfish.AllowableValues":["x"]}}`},
		{"ProcessorSummary/Model,ProcessorSummary", head + `"ProcessorSummary":{"Count":2,"Model":"x","Model@Redfish.AllowableValues":["x"]}}`},
		{"ProcessorSummary,ProcessorSummary/Model", head + `"ProcessorSummary":{"Count":2,"Model":"x","Model@Redfish.AllowableValues":["x"]}}`},
		{"Links/Chassis", head + `"Links":{"Chassis":[{"@odata.id":"/redfish/v1/Chassis/1"}],"Chassis@odata.count":1}}`},
		{"Nothing,name", head[:len(head)-1] + `}`},
		{"Tags/x", head + `"Tags":["red","blue"]}`},
	} {
		w := asks(redfish.Query(newGrove()), auth.ReadOnly, "GET", "/redfish/v1/Systems/a", "$select="+url.QueryEscape(tt.query), "If-None-Match: *")
		if got := w.Body.String(); w.Code != 200 || compact(t, got) != tt.want {
			t.Errorf("%s: %d\n%s, want\n%s", tt.query, w.Code, got, tt.want)
		}
		if len(w.Header()["ETag"]) > 0 || !strings.Contains(w.Header().Get("Link"), "ComputerSystem.v1_20_0") || w.Header().Get("Allow") != "GET, HEAD, PATCH" {
			t.Errorf("%s: %v", tt.query, w.Header())
		}
	}
	w := asks(redfish.Query(newGrove()), auth.ReadOnly, "HEAD", "/redfish/v1/Systems/a", "$select=Name")
	if w.Code != 200 || w.Body.Len() != 0 || w.Header().Get("Content-Length") == "" {
		t.Errorf("HEAD: %d %q %v", w.Code, w.Body, w.Header())
	}
}

func TestExpand(t *testing.T) {
	t.Parallel()
	ids := func(body, path string) string { // which resources are there whole
		var found []string
		for id := range newGrove().resources {
			if strings.Contains(body, `"@odata.id":"`+id+`","`) && id != path {
				found = append(found, strings.TrimPrefix(id, "/redfish/v1/"))
			}
		}
		slices.Sort(found)
		return strings.Join(found, " ")
	}
	for _, tt := range []struct {
		role              auth.Role
		path, query, want string
	}{
		{auth.ReadOnly, "Systems", "$expand=.", "Systems/a Systems/b"},
		{auth.Administrator, "Systems", "$expand=.", "Systems/Secret Systems/a Systems/b"},
		{auth.ReadOnly, "Systems", "$expand=~", ""},
		{auth.ReadOnly, "Systems", "$expand=*", "Systems/a Systems/b"},
		{"", "Systems", "$expand=*", ""},
		{auth.ReadOnly, "Systems", "$expand=.($levels=2)", "Systems/a Systems/a/Log Systems/b"},
		{auth.ReadOnly, "Systems", "$expand=*($levels=2)", "Chassis/1 Systems/a Systems/a/Log Systems/b"},
		{auth.ReadOnly, "Systems/a", "$expand=.", "Systems/a/Log"},
		{auth.ReadOnly, "Systems/a", "$expand=~", "Chassis/1"},
		{auth.ReadOnly, "Chassis/1", "$expand=~($levels=2)", "Systems/a"},
		{auth.ReadOnly, "Systems", "$top=1&$expand=.", "Systems/a"},
		{auth.ReadOnly, "Systems", "$skip=1&$expand=.", "Systems/b"},
		{auth.ReadOnly, "Systems", "$skip=9&$expand=.", ""},
		{auth.ReadOnly, "Systems", "$filter=PowerState eq 'Off'&$expand=.", "Systems/b"},
		{auth.ReadOnly, "Systems", "$filter=Id ne null&$skip=1&$top=1&$expand=.", "Systems/b"},
		{auth.ReadOnly, "Systems", "$expand=.&$select=Members/Name", "Systems/a Systems/b"},
		{auth.ReadOnly, "Systems", "only", ""},
	} {
		path := "/redfish/v1/" + tt.path
		w := asks(redfish.Query(newGrove()), tt.role, "GET", path, tt.query)
		if w.Code != 200 {
			t.Errorf("%s?%s: %d %s", tt.path, tt.query, w.Code, w.Body)
			continue
		}
		if got := ids(compact(t, w.Body.String()), path); got != tt.want {
			t.Errorf("%s?%s: %q, want %q\n%s", tt.path, tt.query, got, tt.want, w.Body)
		}
	}
	// The one member itself; the count of a page is that of all.
	w := asks(redfish.Query(newGrove()), auth.ReadOnly, "GET", "/redfish/v1/Chassis", "only")
	if !strings.HasPrefix(w.Body.String(), `{"@odata.id":"/redfish/v1/Chassis/1"`) || !strings.Contains(w.Header().Get("Link"), "/Chassis.v1_25_0.json") {
		t.Errorf("only: %s %v", w.Body, w.Header())
	}
	w = asks(redfish.Query(newGrove()), auth.ReadOnly, "GET", "/redfish/v1/Systems", "$top=2")
	if !strings.Contains(w.Body.String(), `"Members@odata.count":4`) || strings.Count(w.Body.String(), "Systems/") != 2 {
		t.Errorf("$top: %s", w.Body)
	}
}

// A caller who may do nothing but change a password reads nothing in passing.
func TestExpandBeforePasswordChange(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("GET", "/redfish/v1/Systems?$expand=.", nil)
	r = r.WithContext(auth.WithPrincipal(r.Context(), auth.Principal{Account: "x", Role: auth.Administrator, MustChangePassword: true}))
	w := httptest.NewRecorder()
	redfish.Query(newGrove()).ServeHTTP(w, r)
	if w.Code != 200 || strings.Contains(w.Body.String(), "PowerState") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestExpandIsBounded(t *testing.T) {
	t.Parallel()
	const path = "/redfish/v1/Systems"
	big := &grove{resources: map[string]string{}}
	members := func(n int) string {
		var refs []string
		for i := range n {
			refs = append(refs, ref(fmt.Sprintf("%s/%d", path, i)))
		}
		return `{"@odata.id":"` + path + `","Members":[` + strings.Join(refs, ",") + `]}`
	}
	// Each member shows the whole collection again.
	big.resources[path] = members(2100)
	for i := range 2100 {
		big.resources[fmt.Sprintf("%s/%d", path, i)] = `{"Id":1,"Up":` + ref(path) + `}`
	}
	if w := asks(redfish.Query(big), auth.ReadOnly, "GET", path, "$expand=."); w.Code != 507 || big.asked.Load() > 2001 {
		t.Errorf("too many resources: %d after %d", w.Code, big.asked.Load())
	}
	big.resources[path] = members(1000)
	if w := asks(redfish.Query(big), auth.ReadOnly, "GET", path, "$expand=.($levels=3)"); w.Code != 507 {
		t.Errorf("too large: %d with %d bytes", w.Code, w.Body.Len())
	}
	big.resources[path] = members(10)
	for i := range 10 {
		big.resources[fmt.Sprintf("%s/%d", path, i)] = `{"Text":"` + strings.Repeat("x", 4<<20) + `"}`
	}
	for _, query := range []string{"$expand=.", "$filter=Id eq 'a'"} {
		if w := asks(redfish.Query(big), auth.ReadOnly, "GET", path, query); w.Code != 507 {
			t.Errorf("%s, too large: %d with %d bytes", query, w.Code, w.Body.Len())
		}
	}
	big.resources[path] = `{"Text":"` + strings.Repeat("x", 17<<20) + `"}`
	if w := asks(redfish.Query(big), auth.ReadOnly, "GET", path, "$select=Text"); w.Code != 507 {
		t.Errorf("one too large: %d", w.Code)
	}
}

// The count of a collection that shows itself in pages stays its own.
func TestCountOfAPage(t *testing.T) {
	t.Parallel()
	g := &grove{resources: map[string]string{"/redfish/v1/L": `{"Members":[{"Id":"1"},{"Id":"2"}],"Members@odata.count":9}`}}
	if w := asks(redfish.Query(g), auth.ReadOnly, "GET", "/redfish/v1/L", "$top=1"); w.Body.String() != `{"Members":[{"Id":"1"}],"Members@odata.count":9}` {
		t.Errorf("$top: %s", w.Body)
	}
	if w := asks(redfish.Query(g), auth.ReadOnly, "GET", "/redfish/v1/L", "$filter=Id+eq+'2'"); w.Body.String() != `{"Members":[{"Id":"2"}],"Members@odata.count":1}` {
		t.Errorf("$filter: %s", w.Body)
	}
}

// A stream of events has no end: it is not waited for.
func TestQueryOnAStream(t *testing.T) {
	t.Parallel()
	h := redfish.Query(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(200)
		<-r.Context().Done()
		if _, err := w.Write([]byte("data: x\n")); err == nil {
			t.Error("a write succeeds")
		}
	}))
	if w := asks(h, auth.ReadOnly, "GET", "/redfish/v1/EventService/SSE", "$filter=a eq 1"); w.Code != 400 {
		t.Errorf("%d", w.Code)
	}
}

// What is not JSON after all, and what is odd about it, does no harm.
func TestQueryOnOddAnswers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		body string
		want int
	}{
		{`{"a":`, 400}, {`[]`, 400}, {``, 400}, {`"x"`, 400}, {`{"Members":{}}`, 400}, {`{"Members":null}`, 400}, {`{"Members":[]}`, 200},
		{` { "Members" : [ 1 , "x" , null , [ ] , { } , {"@odata.id":1} , {"@odata.id":""} , {"@odata.id":"/redfish/v1//x"} ] , "\u0041" : "\"}" } `, 200},
	} {
		h := redfish.Query(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
			w.Write([]byte(tt.body))
		}))
		for _, query := range []string{"$top=9&$expand=*($levels=3)&$select=Members,A", "$filter=a ne 'x'", "only"} {
			w := asks(h, auth.ReadOnly, "GET", "/redfish/v1/X", query)
			if w.Code != tt.want || !json.Valid(w.Body.Bytes()) {
				t.Errorf("%s?%s: %d %s", tt.body, query, w.Code, w.Body)
			}
		}
	}
}

// Behind a Handler the session resources are evaluated and expanded as well,
// and the root shows more to those who say who they are.
func TestQueryBehindHandler(t *testing.T) {
	t.Parallel()
	g := newGrove()
	f := newFace(t, func(c *redfish.Config) { c.Next, c.Open = redfish.Query(g), redfish.Query(g) })
	token, path := f.login("reader")
	who := "X-Auth-Token: " + token
	for _, tt := range []struct {
		path    string
		headers []string
		status  int
		has     string
		hasNot  string
	}{
		{"/redfish/v1/?$expand=.", []string{who}, 200, `"SessionTimeout"`, `"SessionType"`},
		{"/redfish/v1/?$expand=~", []string{who}, 200, `#SessionCollection`, `"SessionTimeout"`},
		{"/redfish/v1/?$expand=*($levels=2)", []string{who}, 200, `"SessionType"`, `"Secret"`},
		{"/redfish/v1/?%24expand=.", []string{basic("reader", password)}, 200, `"Members@odata.count":4`, `"PowerState"`},
		{"/redfish/v1/?$expand=.", nil, 200, `"RootService"`, `"SessionTimeout"`},
		{"/redfish/v1/?$expand=.", []string{"X-Auth-Token: nope"}, 200, `"RootService"`, `"SessionTimeout"`},
		{"/redfish/v1/?$select=Name", nil, 200, `"Root"`, `"Systems"`},
		{"/redfish/v1/?foo", nil, 200, `"Root"`, "error"},
		{"/redfish/v1/?only", nil, 400, "QueryNotSupportedOnResource", ""},
		{"/redfish/v1/?$foo", nil, 501, "$foo", ""},
		{"/redfish/v1/SessionService?only", []string{who}, 400, "QueryNotSupportedOnResource", ""},
		{"/redfish/v1/SessionService?$expand=.($levels=2)", []string{who}, 200, `"SessionType"`, ""},
		{"/redfish/v1/SessionService/Sessions?only", []string{who}, 200, `"SessionType"`, ""},
		{"/redfish/v1/SessionService/Sessions?only=foo", []string{who}, 400, "only", ""},
		{"/redfish/v1/SessionService/Sessions?$filter=UserName+eq+'nobody'", []string{who}, 200, `"Members":[]`, ""},
		{"/redfish/v1/SessionService/Sessions?$expand=.", nil, 401, "NoValidSession", ""},
		{path + "?$select=UserName", []string{who}, 200, `"reader"`, "SessionType"},
		{"/redfish/v1/Systems?$expand=.", []string{who}, 200, `"PowerState"`, ""},
	} {
		w := f.ask("GET", tt.path, "", tt.headers...)
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.has) || tt.hasNot != "" && strings.Contains(w.Body.String(), tt.hasNot) {
			t.Errorf("%s %.20s: %d %s", tt.path, tt.headers, w.Code, w.Body)
		}
	}
	// A plain request of the root asks nobody.
	before := len(f.auth.asked())
	f.ask("GET", "/redfish/v1/", "", basic("reader", "wrong"))
	if len(f.auth.asked()) != before {
		t.Error("the authority was asked")
	}
	if w := f.ask("DELETE", path+"?$select=x", "", who); w.Code != 400 {
		t.Errorf("DELETE with a query: %d", w.Code)
	}
	r := httptest.NewRequest("GET", "/redfish/v1/?$expand=.", nil)
	r.TLS = nil
	if w := f.send(r, basic("reader", password)); w.Code != 200 || len(f.auth.asked()) != before {
		t.Errorf("over plain http: %d, asked %d times", w.Code, len(f.auth.asked())-before)
	}
}

func TestProtocolFeatures(t *testing.T) {
	t.Parallel()
	const want = `{"ExcerptQuery":false,"ExpandQuery":{"ExpandAll":true,"Levels":true,"Links":true,"NoLinks":true,"MaxLevels":3},` +
		`"FilterQuery":true,"FilterQueryComparisonOperations":true,"FilterQueryCompoundOperations":true,"OnlyMemberQuery":true,` +
		`"SelectQuery":true,"TopSkipQuery":true,"MultipleHTTPRequests":false}`
	if got, err := json.Marshal(redfish.ProtocolFeatures()); err != nil || string(got) != want {
		t.Errorf("%s %v", got, err)
	}
}
