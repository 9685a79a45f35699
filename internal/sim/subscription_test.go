package sim

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/postern/postern/auth"
)

// deafTo is a destination that nobody listens at: the discard port of this host.
const deafTo = `"Destination":"https://127.0.0.1:9/x","Protocol":"Redfish"`

func TestSubscribe(t *testing.T) {
	t.Parallel()
	r := start(t, Config{})
	t.Cleanup(r.Close)
	for _, tt := range []struct {
		name, body string
		status     int
		messages   string
	}{
		{"push", `{` + deafTo + `,"Context":"c"}`, 201, ""},
		{"plain http", `{"Destination":"http://127.0.0.1:9","Protocol":"Redfish"}`, 201, ""},
		{"everything", `{` + deafTo + `,"EventFormatType":"Event","EventTypes":["Alert"],"RegistryPrefixes":["Base"],"ResourceTypes":["Task"],
			"MessageIds":["X.1.0.Y"],"OriginResources":[{"@odata.id":"/redfish/v1/Systems/1"}],"SubordinateResources":true,"IncludeOriginOfCondition":true,
			"HttpHeaders":[{"Authorization":"Basic abc"},{"X-A":"1","X-B":"2"}],"DeliveryRetryPolicy":"RetryForever","VerifyCertificate":true,
			"SubscriptionType":"RedfishEvent","Severities":["OK"],"ExcludeMessageIds":["Z"],"ExcludeRegistryPrefixes":["Q"]}`, 201, ""},
		{"nothing", `{}`, 400, "PropertyMissing PropertyMissing"},
		{"no destination", `{"Protocol":"Redfish"}`, 400, "PropertyMissing"},
		// observed: Redfish-Protocol-Validator 1.3.2
		{"protocol", `{"Context":"RPV","Protocol":"FTP","Destination":"https://192.168.1.50/Destination1"}`, 400, "PropertyValueNotInList"},
		{"scheme", `{"Destination":"ftp://x/y","Protocol":"Redfish"}`, 400, "PropertyValueError"},
		{"no host", `{"Destination":"https:///y","Protocol":"Redfish"}`, 400, "PropertyValueError"},
		{"password in it", `{"Destination":"https://u:secret@x/y","Protocol":"Redfish"}`, 400, "PropertyValueError"},
		{"stream by POST", `{` + deafTo + `,"SubscriptionType":"SSE"}`, 400, "PropertyValueNotInList"},
		{"format", `{` + deafTo + `,"EventFormatType":"MetricReport"}`, 400, "PropertyValueNotInList"},
		{"kind of event", `{` + deafTo + `,"EventTypes":["Party"]}`, 400, "PropertyValueNotInList"},
		{"header that frames", `{` + deafTo + `,"HttpHeaders":[{"Content-Length":"1"}]}`, 400, "PropertyValueError"},
		{"header with a line", `{` + deafTo + `,"HttpHeaders":[{"X":"a\r\nb: c"}]}`, 400, "PropertyValueError"},
		{"headers of a wrong type", `{` + deafTo + `,"HttpHeaders":{"X":"secret"}}`, 400, "PropertyValueError"},
		{"origin", `{` + deafTo + `,"OriginResources":["/redfish/v1"]}`, 400, "PropertyValueError"},
		{"unknown", `{` + deafTo + `,"Nothing":1}`, 400, "PropertyUnknown"},
		{"types", `{"Destination":1,"Protocol":"Redfish","Context":null}`, 400, "PropertyValueTypeError PropertyValueTypeError"},
	} {
		p := r.want(tt.status, "POST", subscriptionsPath, tt.body)
		if got := p.messages(); got != tt.messages {
			t.Errorf("%s: messages %q, want %q", tt.name, got, tt.messages)
		}
		if s := string(p.body); strings.Contains(s, "secret") || strings.Contains(s, "Basic abc") {
			t.Errorf("%s: shows a secret: %s", tt.name, s)
		}
		if at := p.header.Get("Location"); (at == "") == (tt.status == 201) {
			t.Errorf("%s: Location %q", tt.name, at)
		}
	}
	if p := r.want(200, "GET", subscriptionsPath, ""); p.member("Members@odata.count") != "3" {
		t.Errorf("subscriptions: %s", p.body)
	}
	p := r.want(200, "GET", subscriptionsPath+"/3", "")
	for name, want := range map[string]string{"SubscriptionType": `"RedfishEvent"`, "DeliveryRetryPolicy": `"RetryForever"`, "VerifyCertificate": "true"} {
		if got := p.member(name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}

func TestSubscriptionLimit(t *testing.T) {
	t.Parallel()
	r := start(t, Config{})
	t.Cleanup(r.Close)
	for range maxSubscriptions {
		r.want(201, "POST", subscriptionsPath+"/Members", `{`+deafTo+`,"MessageIds":["Nothing"]}`)
	}
	if p := r.want(503, "POST", subscriptionsPath, `{`+deafTo+`}`); p.messages() != "EventSubscriptionLimitExceeded" {
		t.Errorf("one too many: %s", p.body)
	}
	r.want(503, "GET", streamPath, "", header("Accept", mediaStream))
	r.want(204, "DELETE", subscriptionsPath+"/1", "")
	r.want(404, "DELETE", subscriptionsPath+"/1", "")
	p := r.want(201, "POST", subscriptionsPath, `{`+deafTo+`}`)
	if got, want := p.header.Get("Location"), subscriptionsPath+"/"+strconv.Itoa(maxSubscriptions+1); got != want {
		t.Errorf("made %s, want %s: ids never come back", got, want)
	}
	r.want(200, "PATCH", eventsPath, `{"ServiceEnabled":false}`)
	if p := r.want(503, "POST", subscriptionsPath, `{`+deafTo+`}`); p.messages() != "ServiceDisabled" {
		t.Errorf("disabled: %s", p.body)
	}
}

func TestPatchSubscription(t *testing.T) {
	t.Parallel()
	r := start(t, Config{})
	t.Cleanup(r.Close)
	at := r.want(201, "POST", subscriptionsPath, `{`+deafTo+`,"MessageIds":["Nothing"]}`).header.Get("Location")
	p := r.want(200, "PATCH", at, `{"Context":"new","DeliveryRetryPolicy":"SuspendRetries"}`)
	if p.member("Context") != `"new"` || p.member("DeliveryRetryPolicy") != `"SuspendRetries"` {
		t.Errorf("changed: %s", p.body)
	}
	r.want(412, "PATCH", at, `{"Context":"x"}`, header("If-Match", `"other"`))
	r.want(200, "PATCH", at, `{"Context":"x"}`, header("If-Match", p.header.Get("ETag")))
	for body, want := range map[string]string{
		`{"Destination":"https://x/"}`:      "PropertyNotWritable",
		`{"DeliveryRetryPolicy":"Explode"}`: "PropertyValueNotInList",
		`{"VerifyCertificate":"yes"}`:       "PropertyValueTypeError",
		`{}`:                                "NoOperation",
	} {
		if got := r.want(400, "PATCH", at, body).messages(); got != want {
			t.Errorf("PATCH %s: %s, want %s", body, got, want)
		}
	}
}

func TestWhoMaySubscribe(t *testing.T) {
	t.Parallel()
	r := start(t, Config{Accounts: []Account{
		{Name: "op", Password: auth.NewSecret("op-Password1"), Role: auth.Operator},
		{Name: "ro", Password: auth.NewSecret("ro-Password1"), Role: auth.ReadOnly},
	}})
	t.Cleanup(r.Close)
	op, ro := basicAs("op", "op-Password1"), basicAs("ro", "ro-Password1")
	body := `{` + deafTo + `,"MessageIds":["Nothing"]}`
	foreign := r.want(201, "POST", subscriptionsPath, body).header.Get("Location")
	own := r.want(201, "POST", subscriptionsPath, body, op).header.Get("Location")
	for _, tt := range []struct {
		name, method, path string
		who                option
		want               int
	}{
		{"reader subscribes", "POST", subscriptionsPath, ro, 403},
		{"reader reads", "GET", own, ro, 200},
		{"reader ends", "DELETE", own, ro, 403},
		{"operator ends another's", "DELETE", foreign, op, 403},
		{"operator tests", "POST", eventsPath + "/Actions/EventService.SubmitTestEvent", op, 403},
		{"operator resumes his own", "POST", own + resumeAction, op, 204},
		{"operator ends his own", "DELETE", own, op, 204},
		{"administrator ends the other", "DELETE", foreign, basic, 204},
	} {
		if p := r.do(tt.method, tt.path, map[string]string{subscriptionsPath: body}[tt.path], tt.who); p.status != tt.want {
			t.Errorf("%s: status %d, want %d: %s", tt.name, p.status, tt.want, p.body)
		}
	}
}

// A listener is somebody that events are pushed to.
type listener struct {
	*httptest.Server
	got chan *http.Request // with the body read
	raw chan []byte
}

func listen(t *testing.T, answer http.HandlerFunc) *listener {
	t.Helper()
	l := &listener{got: make(chan *http.Request, 100), raw: make(chan []byte, 100)}
	l.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		answer(w, r)
		l.raw <- body
		l.got <- r
	}))
	t.Cleanup(l.Close)
	return l
}

// event is what a listener got next.
func (l *listener) event(t *testing.T) (*http.Request, eventBody) {
	t.Helper()
	select {
	case r := <-l.got:
		var e eventBody
		if err := json.Unmarshal(<-l.raw, &e); err != nil {
			t.Fatal(err)
		}
		return r, e
	case <-t.Context().Done():
		t.Fatal("no event")
	}
	panic("not reached")
}

func (r *rig) testEvent(body string) {
	r.t.Helper()
	r.want(204, "POST", eventsPath+"/Actions/EventService.SubmitTestEvent", body)
}

func TestPush(t *testing.T) {
	t.Parallel()
	r := start(t, Config{})
	t.Cleanup(r.Close)
	l := listen(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) })
	r.want(201, "POST", subscriptionsPath, `{"Destination":"`+l.URL+`/hook?a=b","Protocol":"Redfish","Context":"mine","IncludeOriginOfCondition":true,"HttpHeaders":[{"Authorization":"Basic abc"}]}`)
	r.testEvent(`{"MessageId":"My.1.0.Event","Message":"hello","MessageArgs":["a"],"Severity":"Warning","EventId":"77","EventGroupId":5,"OriginOfCondition":"` + systemPath + `"}`)
	req, e := l.event(t)
	if req.Method != "POST" || req.URL.String() != "/hook?a=b" || req.Header.Get("Authorization") != "Basic abc" || req.Header.Get("Content-Type") != mediaJSON {
		t.Errorf("request: %s %s %v", req.Method, req.URL, req.Header)
	}
	if len(e.Events) != 1 || e.Context != "mine" || e.Count != 1 || e.ODataType != "#Event.v1_13_0.Event" {
		t.Fatalf("event %+v", e)
	}
	rec := e.Events[0]
	if rec.MessageID != "My.1.0.Event" || rec.Message != "hello" || rec.MessageSeverity != "Warning" || rec.EventID != "77" || *rec.EventGroupID != 5 {
		t.Errorf("record %s %s %s", rec.MessageID, rec.Message, rec.EventID)
	}
	if string(lookup(rec.OriginOfCondition, "PowerState")) != `"On"` {
		t.Errorf("the origin is not expanded: %s", rec.OriginOfCondition)
	}
	// What happens is told in the order in which it did.
	r.want(204, "POST", systemPath+"/Actions/ComputerSystem.Reset", `{"ResetType":"ForceOff"}`)
	r.want(200, "PATCH", systemPath, `{"AssetTag":"x"}`)
	if _, e = l.event(t); e.Events[0].MessageID != logRegistry+"SystemReset" || e.Events[0].LogEntry == nil {
		t.Errorf("reset: %s", e.Events[0].MessageID)
	}
	for _, how := range []string{"reset", "PATCH"} {
		if _, e = l.event(t); e.Events[0].MessageID != resourceRegistry+"ResourceChanged" {
			t.Errorf("changed by %s: %s", how, e.Events[0].MessageID)
		}
	}
}

func TestPushFollowsNothing(t *testing.T) {
	t.Parallel()
	r := start(t, Config{})
	t.Cleanup(r.Close)
	other := listen(t, func(http.ResponseWriter, *http.Request) {})
	l := listen(t, func(w http.ResponseWriter, q *http.Request) {
		http.Redirect(w, q, other.URL, http.StatusTemporaryRedirect)
	})
	r.want(200, "PATCH", eventsPath, `{"DeliveryRetryAttempts":0,"DeliveryRetryIntervalSeconds":0}`)
	r.want(201, "POST", subscriptionsPath, `{"Destination":"`+l.URL+`","Protocol":"Redfish"}`)
	r.testEvent(`{}`)
	l.event(t)
	r.Device.events.workers.Wait()
	if len(other.got) > 0 {
		t.Error("a redirect was followed")
	}
}

func TestPushStaysAway(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		address string
		near    bool
		want    bool
	}{
		{"127.0.0.1:80", true, true},
		{"127.0.0.1:80", false, false},
		{"[::1]:80", false, false},
		{"[::ffff:127.0.0.1]:80", false, false},
		{"169.254.169.254:80", false, false},
		{"[fe80::1%eth0]:80", false, false},
		{"0.0.0.0:80", false, false},
		{"192.0.2.1:443", false, true},
		{"10.0.0.1:443", false, true},
		{"garbage", true, false},
	} {
		d := destination{near: tt.near}
		if err := d.control("tcp", tt.address, nil); (err == nil) != tt.want {
			t.Errorf("%s, near %v: %v", tt.address, tt.near, err)
		}
	}
	for peer, want := range map[string]bool{"127.0.0.1:5": true, "[::1]:5": true, "192.0.2.1:5": false, "@": false} {
		if got := isNear(&http.Request{RemoteAddr: peer}); got != want {
			t.Errorf("a request from %s is near: %v", peer, got)
		}
	}
}

func TestPushRetries(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		policy string
		left   string // of the subscription: its state, "" for gone
	}{
		{"TerminateAfterRetries", ""},
		{"SuspendRetries", `"Disabled"`},
	} {
		t.Run(tt.policy, func(t *testing.T) {
			t.Parallel()
			r := start(t, Config{})
			t.Cleanup(r.Close)
			watch := listen(t, func(http.ResponseWriter, *http.Request) {})
			l := listen(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
			r.want(200, "PATCH", eventsPath, `{"DeliveryRetryAttempts":2,"DeliveryRetryIntervalSeconds":0}`)
			at := r.want(201, "POST", subscriptionsPath, `{"Destination":"`+l.URL+`","Protocol":"Redfish","MessageIds":["TestMessage"],"DeliveryRetryPolicy":"`+tt.policy+`"}`).header.Get("Location")
			r.want(201, "POST", subscriptionsPath, `{"Destination":"`+watch.URL+`","Protocol":"Redfish","MessageIds":["ResourceEvent.1.0.ResourceRemoved"]}`)
			r.testEvent(`{}`)
			for range 3 {
				l.event(t)
			}
			if tt.left == "" {
				if _, e := watch.event(t); string(e.Events[0].OriginOfCondition) != `{"@odata.id":"`+at+`"}` {
					t.Errorf("told: %+v", e)
				}
				r.want(404, "GET", at, "")
			}
			r.Device.events.workers.Wait()
			if n := len(l.got); n > 0 {
				t.Errorf("%d attempts too many", n)
			}
			if tt.left == "" {
				return
			}
			if p := r.want(200, "GET", at, ""); p.member("Status", "State") != tt.left {
				t.Errorf("left: %s", p.body)
			}
			r.want(204, "POST", at+resumeAction, `{}`)
			if p := r.want(200, "GET", at, ""); p.member("Status", "State") != `"Enabled"` {
				t.Errorf("resumed: %s", p.body)
			}
		})
	}
}

func TestFilter(t *testing.T) {
	t.Parallel()
	o := occurrence{kind: eventAlert, messageID: "PosternSim.1.0.SystemReset", severity: "OK", origin: systemPath + "/Bios", resource: "ComputerSystem"}
	for name, tt := range map[string]struct {
		f    filter
		want bool
	}{
		"none":               {filter{}, true},
		"kind":               {filter{kinds: []string{eventAlert}}, true},
		"other kind":         {filter{kinds: []string{eventOther}}, false},
		"registry":           {filter{registries: []string{"PosternSim"}}, true},
		"other registry":     {filter{registries: []string{"Base"}}, false},
		"not this registry":  {filter{notRegistries: []string{"PosternSim"}}, false},
		"message":            {filter{messages: []string{"PosternSim.2.7.SystemReset"}}, true},
		"message, key alone": {filter{messages: []string{"SystemReset"}}, true},
		"other message":      {filter{messages: []string{"Other.1.0.SystemReset"}}, false},
		"not this message":   {filter{notMessages: []string{"PosternSim.1.0.SystemReset"}}, false},
		"type":               {filter{types: []string{"ComputerSystem"}}, true},
		"other type":         {filter{types: []string{"Chassis"}}, false},
		"severity":           {filter{severities: []string{"Critical"}}, false},
		"origin":             {filter{origins: []string{systemPath + "/Bios"}}, true},
		"above the origin":   {filter{origins: []string{systemPath}}, false},
		"subordinate":        {filter{origins: []string{systemPath}, subordinate: true}, true},
	} {
		if got := tt.f.takes(&o); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

// A full queue loses its oldest event, and a ring too.
func TestQueueIsBounded(t *testing.T) {
	t.Parallel()
	m, err := NewMachine(MachineConfig{})
	if err != nil {
		t.Fatal(err)
	}
	e := m.device.events
	s := &subscription{wake: make(chan struct{}, 1)}
	if err := e.add(s, s.body, nil); err != nil {
		t.Fatal(err)
	}
	for range maxQueue + 5 {
		e.publish(occurrence{kind: eventOther, messageID: "x"})
	}
	if len(s.queue) != maxQueue || s.queue[0].id != 6 || len(e.ring) != maxRing {
		t.Errorf("queue of %d from %d, ring of %d", len(s.queue), s.queue[0].id, len(e.ring))
	}
	m.Close()
	e.publish(occurrence{kind: eventOther})
	if err := e.add(&subscription{}, s.body, nil); err == nil {
		t.Error("a closed device takes a listener")
	}
}

func FuzzSubscribe(f *testing.F) {
	f.Add(`{` + deafTo + `,"HttpHeaders":[{"A":"b"}],"OriginResources":[{"@odata.id":"/x"}]}`)
	f.Add(`{"Destination":"http://[::1]:80","Protocol":"Redfish","EventTypes":[null]}`)
	f.Add(`{"HttpHeaders":[{}],"OriginResources":[{}]}`)
	f.Fuzz(func(t *testing.T, body string) {
		m, err := NewMachine(MachineConfig{})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		w := ask(m, auth.AllPrivileges, "POST", subscriptionsPath, body)
		if w.Code == 201 && !json.Valid(m.device.store.get(w.Header().Get("Location")).body) {
			t.Errorf("%q became %s", body, w.Body)
		}
	})
}
