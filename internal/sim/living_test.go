package sim

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/redfish"
)

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

// A lateBody says when its first byte is asked for, and then makes one wait.
type lateBody struct {
	io.Reader
	asked, release chan struct{}
	once           sync.Once
}

func (b *lateBody) Read(p []byte) (int, error) {
	b.once.Do(func() {
		b.asked <- struct{}{}
		<-b.release
	})
	return b.Reader.Read(p)
}

// Of many writers with one tag exactly one wins, although all of them had the
// right tag when they came in.
func TestPatchRace(t *testing.T) {
	t.Parallel()
	r := start(t, Config{})
	tag := r.want(200, "GET", systemPath, "").header.Get("ETag")
	asked, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	results := make([]error, 8)
	for i := range results {
		wg.Go(func() {
			body := &lateBody{Reader: strings.NewReader(fmt.Sprintf(`{"AssetTag":"writer %d"}`, i)), asked: asked, release: release}
			req := httptest.NewRequest("PATCH", systemPath, body)
			req.Header.Set("If-Match", tag)
			_, results[i] = r.patched(httptest.NewRecorder(), req, systemPath)
		})
	}
	for range results {
		<-asked
	}
	close(release)
	wg.Wait()
	var winners []int
	for i, err := range results {
		if err == nil {
			winners = append(winners, i)
		} else if p := redfish.AsProblem(err); p.Status != 412 {
			t.Errorf("writer %d: %v", i, err)
		}
	}
	if len(winners) != 1 {
		t.Fatalf("winners: %v", winners)
	}
	if got := r.want(200, "GET", systemPath, "").member("AssetTag"); got != fmt.Sprintf(`"writer %d"`, winners[0]) {
		t.Errorf("winner %d, stored %s", winners[0], got)
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
	if p := r.want(200, "GET", systemEntriesPath+"/105", ""); !strings.Contains(p.member("Message"), "The system was reset") {
		t.Errorf("the system's own log: %s", p.body)
	}
	r.want(204, "POST", systemLogPath+"/Actions/LogService.ClearLog", "")
	if p := r.want(200, "GET", systemEntriesPath, ""); p.member("Members@odata.count") != "0" {
		t.Errorf("the system's own log, cleared: %s", p.body)
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
	r.want(202, "POST", updatePath+"/Actions/UpdateService.SimpleUpdate", `{"ImageURI":"https://images.example/bmc.bin","TransferProtocol":"HTTPS","Targets":["/redfish/v1/UpdateService/FirmwareInventory/BMC"]}`)
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

// FuzzPatch: whatever a PATCH holds, the resource stays JSON, and itself.
func FuzzPatch(f *testing.F) {
	d, err := New(Config{User: testUser, Password: auth.NewSecret(testPassword)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(`{"HostName":"x","NTP":{"NTPServers":[null,{},"y"],"ProtocolEnabled":true}}`))
	f.Add([]byte(`{"NTP":[],"HTTPS":{"Port":1},"":{"":0},"@odata.id":1}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if _, err := redfish.BodyMembers(body); err != nil {
			return
		}
		p := patching{resource: d.store.get(networkPath).body, writable: writable[networkPath]}
		p.object(body, nil)
		if !json.Valid(p.resource) {
			t.Fatalf("%s makes %s", body, p.resource)
		}
		if got := string(lookup(p.resource, "@odata.id")); got != `"`+networkPath+`"` {
			t.Fatalf("%s makes @odata.id %s", body, got)
		}
		if !p.changed && len(p.problems) == 0 && string(p.resource) != string(d.store.get(networkPath).body) {
			t.Fatalf("%s changes something", body)
		}
	})
}
