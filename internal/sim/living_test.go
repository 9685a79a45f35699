package sim

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern/postern/auth"
)

// crawl reads everything that can be reached from the root, and calls f with it.
func crawl(r *rig, f func(path string, p reply)) {
	r.t.Helper()
	todo, seen := []string{rootPath}, map[string]bool{rootPath: true}
	for len(todo) > 0 {
		path := todo[0]
		todo = todo[1:]
		p := r.want(200, "GET", path, "")
		f(path, p)
		var v any
		if err := json.Unmarshal(p.body, &v); err != nil {
			r.t.Fatalf("%s: %v", path, err)
		}
		for _, uri := range links(v) {
			if at := strings.TrimSuffix(uri, "/"); !seen[at] {
				seen[at] = true
				todo = append(todo, at)
			}
		}
	}
}

func links(v any) (uris []string) {
	switch v := v.(type) {
	case map[string]any:
		for k, m := range v {
			if s, ok := m.(string); ok && (k == "@odata.id" || k == "DataSourceUri") {
				uris = append(uris, s)
			}
			uris = append(uris, links(m)...)
		}
	case []any:
		for _, m := range v {
			uris = append(uris, links(m)...)
		}
	}
	return uris
}

// Every resource of the built-in tree is reachable, and in the form that the
// validators ask for.
func TestTreeForm(t *testing.T) {
	t.Parallel()
	r := start(t, Config{})
	seen := make(map[string]bool)
	crawl(r, func(path string, p reply) {
		seen[path] = true
		if id := strings.Trim(p.member("@odata.id"), `"`); strings.TrimSuffix(id, "/") != path || path != rootPath && id != path {
			t.Errorf("%s: @odata.id is %s", path, id)
		}
		if id := strings.Trim(p.member("Id"), `"`); id != "" && id != path[strings.LastIndexByte(path, '/')+1:] && path != rootPath {
			t.Errorf("%s: Id is %s", path, id)
		}
		if !strings.HasPrefix(p.member("@odata.type"), `"#`) || p.member("Name") == "" {
			t.Errorf("%s: @odata.type %s, Name %s", path, p.member("@odata.type"), p.member("Name"))
		}
		typ := strings.TrimPrefix(strings.Trim(p.member("@odata.type"), `"`), "#")
		if link := p.header.Get("Link"); link != "<http://redfish.dmtf.org/schemas/v1/"+typ[:strings.LastIndexByte(typ, '.')]+".json>; rel=describedby" {
			t.Errorf("%s: Link %s for %s", path, link, typ)
		}
		for _, name := range []string{"Allow", "ETag", "Cache-Control"} {
			if p.header.Get(name) == "" {
				t.Errorf("%s: no %s", path, name)
			}
		}
		if p.header.Get("OData-Version") != "4.0" || p.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %v", path, p.header)
		}
		allow := p.header.Get("Allow")
		if body := string(p.body); strings.Contains(allow, "PATCH") != (writable[path] != nil) {
			t.Errorf("%s: Allow %s: %s", path, allow, body)
		}
		actionsOf(r, path, p)
		head := r.want(200, "HEAD", path, "")
		if len(head.body) != 0 || head.header.Get("Content-Type") != "application/json" {
			t.Errorf("HEAD %s: %d bytes, %v", path, len(head.body), head.header)
		}
	})
	for path, f := range r.store.tree.files {
		if f.media == mediaJSON && path != versionsPath && path != odataPath && !seen[path] {
			t.Errorf("%s: nothing leads there", path)
		}
	}
	for path := range writable {
		if !seen[path] {
			t.Errorf("%s is writable and not there", path)
		}
	}
}

// actionsOf checks that what a resource offers is where it says.
func actionsOf(r *rig, path string, p reply) {
	r.t.Helper()
	var v struct {
		Actions map[string]struct {
			Target string `json:"target"`
		}
	}
	json.Unmarshal(p.body, &v)
	for name, a := range v.Actions {
		if want := path + "/Actions/" + strings.TrimPrefix(name, "#"); a.Target != want {
			r.t.Errorf("%s: target %s, want %s", path, a.Target, want)
		}
		got := r.want(405, "GET", a.Target, "")
		if got.header.Get("Allow") != "POST" {
			r.t.Errorf("%s: Allow %s", a.Target, got.header.Get("Allow"))
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	r := start(t, Config{})
	reset := systemPath + "/Actions/ComputerSystem.Reset"
	for _, tt := range []struct {
		method, path, body string
		status             int
		messages           string
		opts               []option
	}{
		{"GET", "/redfish/v1/Nowhere", "", 404, "ResourceMissingAtURI", nil},
		{"POST", "/redfish/v1/", "{}", 405, "OperationNotAllowed", nil},
		{"PATCH", "/redfish/v1/", "{}", 405, "OperationNotAllowed", nil},
		{"DELETE", systemPath, "", 405, "OperationNotAllowed", nil},
		{"FAKE", systemPath, "", 405, "OperationNotAllowed", nil},
		{"POST", accountsPath, "{}", 405, "OperationNotAllowed", nil},
		{"PATCH", accountsPath + "/1", "{}", 405, "OperationNotAllowed", nil},
		{"GET", systemPath, "", 406, "HeaderInvalid", []option{header("Accept", "text/html")}},
		{"GET", systemPath, "", 412, "HeaderInvalid", []option{header("OData-Version", "4.1")}},
		{"GET", systemPath + "?$select=Name", "", 501, "QueryParameterUnsupported", nil},
		{"GET", systemPath + "?only", "", 400, "QueryNotSupportedOnResource", nil},
		{"GET", rootPath + "/Systems?only=x", "", 400, "QueryParameterValueError", nil},
		{"GET", rootPath + "/Systems?$expand=x", "", 400, "QueryParameterValueError", nil},
		{"GET", rootPath + "/Systems?$expand=.($levels=2)", "", 400, "QueryParameterValueError", nil},
		{"GET", rootPath + "/Systems?%zz", "", 400, "GeneralError", nil},

		{"PATCH", systemPath, "", 400, "MalformedJSON", nil},
		{"PATCH", systemPath, "{", 400, "MalformedJSON", nil},
		{"PATCH", systemPath, "[]", 400, "UnrecognizedRequestBody", nil},
		{"PATCH", systemPath, `{"AssetTag":"a","AssetTag":"b"}`, 400, "PropertyDuplicate", nil},
		{"PATCH", systemPath, "{}", 415, "HeaderInvalid", []option{header("Content-Type", "text/plain")}},
		{"PATCH", systemPath, `{"AssetTag":"` + strings.Repeat("x", maxBody) + `"}`, 413, "PayloadTooLarge", nil},
		{"PATCH", systemPath, "{}", 400, "NoOperation", nil},
		{"PATCH", systemPath, `{"@odata.id":"/redfish/v1/Systems/1/"}`, 400, "NoOperation", nil},
		{"PATCH", systemPath, `{"BogusProp":1}`, 400, "PropertyUnknown", nil},
		{"PATCH", systemPath, `{"assettag":"x"}`, 400, "PropertyUnknown", nil},
		{"PATCH", systemPath, `{"SerialNumber":"x"}`, 400, "PropertyNotWritable", nil},
		{"PATCH", systemPath, `{"Boot":"x"}`, 400, "PropertyNotWritable", nil},
		{"PATCH", systemPath, `{"AssetTag":1}`, 400, "PropertyValueTypeError", nil},
		{"PATCH", systemPath, `{"AssetTag":null}`, 400, "PropertyValueTypeError", nil},
		{"PATCH", systemPath, `{"AssetTag":"` + strings.Repeat("x", maxText) + `"}`, 400, "PropertyValueError", nil},
		{"PATCH", systemPath, `{"LocationIndicatorActive":"x"}`, 400, "PropertyValueTypeError", nil},
		{"PATCH", systemPath, `{"Boot":{"BootSourceOverrideTarget":"Floppy"}}`, 400, "PropertyValueNotInList", nil},
		{"PATCH", systemPath, `{"Boot":{"Nothing":"x"},"AssetTag":1,"IndicatorLED":"Red"}`, 400, "PropertyUnknown PropertyValueTypeError PropertyValueNotInList", nil},
		{"PATCH", systemPath, `{"BogusProp":1}`, 412, "PreconditionFailed", []option{header("If-Match", `"other"`)}},
		{"PATCH", networkPath, `{"NTP":{"NTPServers":"x"}}`, 400, "PropertyValueTypeError", nil},
		{"PATCH", networkPath, `{"NTP":{"NTPServers":[1]}}`, 400, "PropertyValueTypeError", nil},
		{"PATCH", networkPath, `{"NTP":{"NTPServers":["1","2","3","4","5","6","7","8","9"]}}`, 400, "PropertyValueError", nil},

		{"POST", reset, "{}", 400, "ActionParameterMissing", nil},
		{"POST", reset, "", 400, "ActionParameterMissing", nil},
		{"POST", reset, `{"ResetType":"Explode"}`, 400, "ActionParameterValueNotInList", nil},
		{"POST", reset, `{"ResetType":1}`, 400, "ActionParameterValueTypeError", nil},
		{"POST", reset, `{"ResetType":"On","Force":true}`, 400, "ActionParameterUnknown", nil},
		{"POST", reset, `"On"`, 400, "UnrecognizedRequestBody", nil},
		{"POST", systemPath + "/Actions/ComputerSystem.Explode", "{}", 404, "ResourceMissingAtURI", nil},
		{"POST", mediaPath + "/Cd/Actions/VirtualMedia.InsertMedia", `{"Image":"x","TransferMethod":"Carry"}`, 400, "ActionParameterValueNotInList", nil},
	} {
		p := r.do(tt.method, tt.path, tt.body, append([]option{basic}, tt.opts...)...)
		if p.status != tt.status || p.messages() != tt.messages {
			t.Errorf("%s %s %.60s: %d %s, want %d %s", tt.method, tt.path, tt.body, p.status, p.messages(), tt.status, tt.messages)
		}
		if p.status == 405 && p.header.Get("Allow") == "" {
			t.Errorf("%s %s: 405 without Allow", tt.method, tt.path)
		}
	}
	p := r.want(400, "POST", mediaPath+"/Cd/Actions/VirtualMedia.InsertMedia", `{"Image":"x","Password":12345}`)
	if strings.Contains(string(p.body), "12345") {
		t.Errorf("the error shows a password: %s", p.body)
	}
	if p = r.want(200, "GET", systemPath, ""); p.member("AssetTag") != `""` {
		t.Errorf("a refused PATCH left %s", p.member("AssetTag"))
	}
}

func TestPatch(t *testing.T) {
	t.Parallel()
	r := start(t, Config{})
	before := r.want(200, "GET", systemPath, "")
	p := r.want(200, "PATCH", systemPath, `{"AssetTag":"rack 7","Boot":{"BootSourceOverrideTarget":"Pxe","BootSourceOverrideEnabled":"Once"},"@odata.type":"x"}`,
		header("If-Match", before.header.Get("ETag")))
	after := r.want(200, "GET", systemPath, "")
	if string(p.body) != string(after.body) || p.header.Get("ETag") != after.header.Get("ETag") {
		t.Errorf("PATCH answers %s, then %s", p.body, after.body)
	}
	if before.header.Get("ETag") == after.header.Get("ETag") {
		t.Error("the ETag is the old one")
	}
	if after.member("AssetTag") != `"rack 7"` || after.member("Boot", "BootSourceOverrideTarget") != `"Pxe"` || after.member("@odata.type") != before.member("@odata.type") {
		t.Errorf("%s", after.body)
	}
	r.want(412, "PATCH", systemPath, `{"AssetTag":"x"}`, header("If-Match", before.header.Get("ETag")))
	for _, tag := range []string{"W/" + after.header.Get("ETag"), strings.Trim(after.header.Get("ETag"), `"`), after.header.Get("ETag") + "foobar"} {
		r.want(412, "PATCH", systemPath, `{"AssetTag":"x"}`, header("If-Match", tag))
	}
	r.want(200, "PATCH", systemPath, `{"AssetTag":"y"}`, header("If-Match", "*"))
	again := r.want(200, "GET", systemPath, "")
	r.want(200, "PATCH", systemPath, `{"AssetTag":"z"}`, header("If-Match", `"a", `+again.header.Get("ETag")))
	r.want(304, "GET", systemPath, "", header("If-None-Match", r.want(200, "GET", systemPath, "").header.Get("ETag")))
}

// Of many writers with one tag exactly one wins.
func TestPatchRace(t *testing.T) {
	t.Parallel()
	r := start(t, Config{})
	tag := r.want(200, "GET", systemPath, "").header.Get("ETag")
	var wg sync.WaitGroup
	results := make([]int, 16)
	for i := range results {
		wg.Go(func() {
			p, err := r.try("PATCH", systemPath, fmt.Sprintf(`{"AssetTag":"writer %d"}`, i), basic, header("If-Match", tag))
			if err != nil {
				t.Error(err)
			}
			results[i] = p.status
		})
	}
	wg.Wait()
	winner := slices.Index(results, 200)
	slices.Sort(results)
	if winner < 0 || results[0] != 200 || results[1] != 412 {
		t.Fatalf("%v", results)
	}
	if got := r.want(200, "GET", systemPath, "").member("AssetTag"); got != fmt.Sprintf(`"writer %d"`, winner) {
		t.Errorf("winner %d, stored %s", winner, got)
	}
}

func TestPatchArray(t *testing.T) {
	t.Parallel()
	r := start(t, Config{})
	servers := func(change string) string {
		t.Helper()
		p := r.want(200, "PATCH", networkPath, `{"NTP":{"NTPServers":`+change+`}}`)
		var v []string
		json.Unmarshal([]byte(p.member("NTP", "NTPServers")), &v)
		return strings.Join(v, " ")
	}
	for _, tt := range []struct{ change, want string }{
		{`["a","b"]`, "a b"}, {`[{},"c"]`, "a c"}, {`[null,"d"]`, "d"}, {`["a","b","c"]`, "a b c"},
		{`["x"]`, "x"}, {`[{},{},"y"]`, "x y"}, {`[]`, ""}, {`[null]`, ""},
	} {
		if got := servers(tt.change); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.change, got, tt.want)
		}
	}
	if p := r.want(200, "PATCH", networkPath, `{"HostName":"other"}`); p.member("HostName") != `"other"` || p.member("FQDN") != `"other"` {
		t.Errorf("%s", p.body)
	}
}

func TestReset(t *testing.T) {
	t.Parallel()
	c := newClock()
	r := start(t, Config{Now: c.now})
	reset := func(how string) reply {
		t.Helper()
		r.want(204, "POST", systemPath+"/Actions/ComputerSystem.Reset", `{"ResetType":"`+how+`"}`)
		return r.want(200, "GET", systemPath, "")
	}
	for _, tt := range []struct{ how, want string }{
		{"GracefulShutdown", "Off"}, {"ForceOff", "Off"}, {"On", "On"}, {"ForceRestart", "On"}, {"PushPowerButton", "Off"}, {"Nmi", "Off"},
		{"PushPowerButton", "On"}, {"ForceOff", "Off"}, {"ForceOn", "On"}, {"GracefulRestart", "On"}, {"PowerCycle", "On"}, {"Nmi", "On"},
	} {
		if got := reset(tt.how).member("PowerState"); got != `"`+tt.want+`"` {
			t.Errorf("%s: %s, want %s", tt.how, got, tt.want)
		}
		if got := r.want(200, "GET", chassisPath, "").member("PowerState"); got != `"`+tt.want+`"` {
			t.Errorf("%s: the chassis is %s", tt.how, got)
		}
	}
	target := func(p reply) string {
		return p.member("Boot", "BootSourceOverrideEnabled") + p.member("Boot", "BootSourceOverrideTarget")
	}
	r.want(200, "PATCH", systemPath, `{"Boot":{"BootSourceOverrideEnabled":"Once","BootSourceOverrideTarget":"Pxe"}}`)
	if got := target(reset("ForceOff")); got != `"Once""Pxe"` {
		t.Errorf("switched off: %s", got)
	}
	if got := target(reset("On")); got != `"Disabled""None"` {
		t.Errorf("after the boot: %s", got)
	}
	r.want(200, "PATCH", systemPath, `{"Boot":{"BootSourceOverrideEnabled":"Continuous","BootSourceOverrideTarget":"Hdd"}}`)
	c.advance(time.Hour)
	p := reset("ForceRestart")
	if got := target(p); got != `"Continuous""Hdd"` {
		t.Errorf("continuous: %s", got)
	}
	if p.member("LastResetTime") != `"2026-11-25T13:00:00Z"` {
		t.Errorf("LastResetTime %s", p.member("LastResetTime"))
	}
}

func TestManagerReset(t *testing.T) {
	t.Parallel()
	r := start(t, Config{})
	tok, _ := r.login()
	if p := r.do("POST", managerPath+"/Actions/Manager.Reset", "", token(tok)); p.status != 204 {
		t.Fatalf("%d %s", p.status, p.body)
	}
	if p := r.do("GET", managerPath, "", token(tok)); p.status != 401 {
		t.Errorf("the session outlived the reset: %d", p.status)
	}
}

func TestLog(t *testing.T) {
	t.Parallel()
	r := start(t, Config{})
	count := func() string { t.Helper(); return r.want(200, "GET", entriesPath, "").member("Members@odata.count") }
	if got := count(); got != "3" {
		t.Errorf("at first: %s", got)
	}
	for range 105 {
		r.want(204, "POST", systemPath+"/Actions/ComputerSystem.Reset", `{"ResetType":"ForceRestart"}`)
	}
	p := r.want(200, "GET", entriesPath, "")
	if p.member("Members@odata.count") != "100" || p.member("Members", "0", "Id") != `"9"` || p.member("Members", "99", "Id") != `"108"` {
		t.Errorf("%s entries, from %s to %s", p.member("Members@odata.count"), p.member("Members", "0", "Id"), p.member("Members", "99", "Id"))
	}
	r.want(404, "GET", entriesPath+"/8", "")
	if p := r.want(200, "GET", entriesPath+"/108", ""); !strings.Contains(p.member("Message"), "ForceRestart") {
		t.Errorf("%s", p.body)
	}
	r.want(204, "POST", logPath+"/Actions/LogService.ClearLog", "")
	if got := count(); got != "0" {
		t.Errorf("cleared: %s", got)
	}
	r.want(204, "POST", systemPath+"/Actions/ComputerSystem.Reset", `{"ResetType":"On"}`)
	r.want(200, "GET", entriesPath+"/109", "") // ids are never used again
	if n := len(r.store.changed); n > 3+100 {
		t.Errorf("%d changed resources are kept", n)
	}
}

func TestVirtualMedia(t *testing.T) {
	t.Parallel()
	r := start(t, Config{})
	cd := mediaPath + "/Cd"
	r.want(204, "POST", cd+"/Actions/VirtualMedia.InsertMedia", `{"Image":"https://images.example/os.iso","UserName":"u","Password":"image-Pass.1"}`)
	p := r.want(200, "GET", cd, "")
	if p.member("Image") != `"https://images.example/os.iso"` || p.member("ImageName") != `"os.iso"` || p.member("Inserted") != "true" || p.member("ConnectedVia") != `"URI"` || p.member("WriteProtected") != "true" {
		t.Errorf("inserted: %s", p.body)
	}
	if strings.Contains(string(p.body), "image-Pass.1") {
		t.Error("the password of the image is shown")
	}
	if p = r.want(200, "GET", mediaPath+"/Usb", ""); p.member("Inserted") != "false" {
		t.Errorf("the other slot: %s", p.body)
	}
	r.want(204, "POST", cd+"/Actions/VirtualMedia.EjectMedia", "")
	if p = r.want(200, "GET", cd, ""); p.member("Image") != "null" || p.member("Inserted") != "false" {
		t.Errorf("ejected: %s", p.body)
	}
}

func TestSimpleUpdate(t *testing.T) {
	t.Parallel()
	r := start(t, Config{})
	r.want(204, "POST", updatePath+"/Actions/UpdateService.SimpleUpdate", `{"ImageURI":"https://images.example/bmc.bin","TransferProtocol":"HTTPS","Targets":["/redfish/v1/UpdateService/FirmwareInventory/BMC"]}`)
	if p := r.want(200, "GET", entriesPath+"/4", ""); !strings.Contains(p.member("Message"), "bmc.bin") {
		t.Errorf("%s", p.body)
	}
}

// A gate hands out the rest of an upload when the test has looked.
type gate struct {
	parts []string
	open  chan struct{}
	read  int
}

func (g *gate) Read(b []byte) (int, error) {
	if g.read == len(g.parts) {
		return 0, io.EOF
	}
	if g.read > 0 {
		<-g.open
	}
	g.read++
	return copy(b, g.parts[g.read-1]), nil
}

func TestUpload(t *testing.T) {
	t.Parallel()
	r := start(t, Config{})
	g := &gate{parts: []string{strings.Repeat("a", 1000), strings.Repeat("b", 500)}, open: make(chan struct{})}
	req, err := http.NewRequest("POST", r.url+uploadPath, g)
	if err != nil {
		t.Fatal(err)
	}
	basic(req)
	done := make(chan int)
	go func() {
		resp, err := r.client.Do(req)
		if err != nil {
			t.Error(err)
			done <- 0
			return
		}
		resp.Body.Close()
		done <- resp.StatusCode
	}()
	for r.Stats().Upload.Bytes < 1000 { // it arrives while the rest is not sent
		select {
		case status := <-done:
			t.Fatalf("answered %d before the end", status)
		default:
			runtime.Gosched()
		}
	}
	if u := r.Stats().Upload; u.Count != 1 || u.FirstByte.IsZero() || !u.LastByte.IsZero() || u.SHA256 != "" {
		t.Errorf("on its way: %+v", u)
	}
	if got := r.events(); got != "" {
		t.Errorf("journal before the end: %s", got)
	}
	close(g.open)
	if status := <-done; status != 204 {
		t.Errorf("status %d", status)
	}
	sum := sha256.Sum256([]byte(g.parts[0] + g.parts[1]))
	want := hex.EncodeToString(sum[:])
	if u := r.Stats().Upload; u.Bytes != 1500 || u.LastByte.IsZero() || u.SHA256 != want {
		t.Errorf("at the end: %+v", u)
	}
	if p := r.want(200, "GET", entriesPath+"/4", ""); !strings.Contains(p.member("Message"), "1500 bytes") || !strings.Contains(p.member("Message"), want) {
		t.Errorf("%s", p.body)
	}
}

func TestSensors(t *testing.T) {
	t.Parallel()
	c := newClock()
	r := start(t, Config{Now: c.now})
	read := func() (cpu, total string, etag string) {
		t.Helper()
		p := r.want(200, "GET", sensorsPath+"/CPU1Temp", "")
		return p.member("Reading"), r.want(200, "GET", chassisPath+"/EnvironmentMetrics", "").member("PowerWatts", "Reading"), p.header.Get("ETag")
	}
	cpu1, total1, tag1 := read()
	again, _, _ := read()
	c.advance(time.Minute)
	cpu2, total2, tag2 := read()
	if cpu1 != again || cpu1 == cpu2 || total1 == total2 || tag1 != tag2 {
		t.Errorf("CPU %s, %s, %s; power %s, %s; tags %s, %s", cpu1, again, cpu2, total1, total2, tag1, tag2)
	}
	r.want(204, "POST", systemPath+"/Actions/ComputerSystem.Reset", `{"ResetType":"ForceOff"}`)
	if cpu, _, _ := read(); cpu != "26" {
		t.Errorf("switched off: %s", cpu)
	}
	if p := r.want(200, "GET", chassisPath+"/ThermalSubsystem/Fans/1", ""); p.member("SpeedPercent", "Reading") != "0" {
		t.Errorf("fan: %s", p.body)
	}
	p := r.want(200, "GET", chassisPath+"/ThermalSubsystem/ThermalMetrics", "")
	if p.member("TemperatureReadingsCelsius", "2", "Reading") != "26" || p.member("TemperatureSummaryCelsius", "Intake", "Reading") != "21" {
		t.Errorf("metrics: %s", p.body)
	}
	for name, w := range waves {
		if lowest := w.base - w.swing; lowest <= w.idle {
			t.Errorf("%s: %v when on may be less than %v when off", name, lowest, w.idle)
		}
	}
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	a, b, again := start(t, Config{Name: "ilo-1"}), start(t, Config{Name: "ilo-2"}), start(t, Config{Name: "ilo-1"})
	of := func(r *rig) string {
		t.Helper()
		return r.do("GET", rootPath, "").member("UUID") + r.want(200, "GET", systemPath, "").member("SerialNumber") +
			r.want(200, "GET", managerPath+"/EthernetInterfaces/1", "").member("MACAddress")
	}
	if of(a) == of(b) || of(a) != of(again) {
		t.Errorf("%s, %s, %s", of(a), of(b), of(again))
	}
	if p := a.want(200, "GET", networkPath, ""); p.member("HostName") != `"ilo-1"` {
		t.Errorf("%s", p.body)
	}
	if p := a.want(200, "GET", managerPath, ""); p.member("ServiceEntryPointUUID") != a.do("GET", rootPath, "").member("UUID") {
		t.Errorf("%s", p.body)
	}
}

func TestQuery(t *testing.T) {
	t.Parallel()
	r := start(t, Config{})
	if p := r.want(200, "GET", rootPath+"/Systems?only", ""); p.member("@odata.id") != `"/redfish/v1/Systems/1"` || p.header.Get("ETag") != "" {
		t.Errorf("only: %s", p.body)
	}
	if p := r.want(200, "GET", sensorsPath+"?only&foo=bar", ""); p.member("Members@odata.count") != "9" {
		t.Errorf("only with nine: %s", p.body)
	}
	for _, q := range []string{"?$expand=.", "?$expand=*", "?%24expand=.(%24levels=1)"} {
		if p := r.want(200, "GET", sensorsPath+q, ""); p.member("Members", "0", "ReadingUnits") != `"Cel"` || p.member("Members", "8", "Reading") == "0" {
			t.Errorf("%s: %s", q, p.body)
		}
	}
	p := r.want(200, "GET", systemPath+"?$expand=~", "")
	if p.member("Links", "Chassis", "0", "ChassisType") != `"RackMount"` || p.member("EthernetInterfaces", "Name") != "" {
		t.Errorf("links: %s", p.body)
	}
	p = r.want(200, "GET", systemPath+"?$expand=.", "")
	if p.member("Links", "Chassis", "0", "ChassisType") != "" || p.member("EthernetInterfaces", "Name") == "" {
		t.Errorf("no links: %s", p.body)
	}
}

// A thousand devices in one process stay small: what they serve is shared.
func TestDevicesAreLight(t *testing.T) {
	t.Parallel()
	cfg := Config{User: testUser, Password: auth.NewSecret(testPassword)}
	a, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	b, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if a.store.tree != b.store.tree {
		t.Error("the tree is not shared")
	}
	size := 0
	for _, f := range a.store.changed {
		size += len(f.body)
	}
	if len(a.store.changed) > 2 || size > 2000 {
		t.Errorf("a new device has %d resources of its own, %d bytes", len(a.store.changed), size)
	}
}

func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	cfg := Config{User: testUser, Password: auth.NewSecret(testPassword)}
	for b.Loop() {
		if _, err := New(cfg); err != nil {
			b.Fatal(err)
		}
	}
}
