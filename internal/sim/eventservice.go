package sim

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/redfish"
)

// Bounds of what a subscriber may send. A header may hold a token, which can
// be long; lists are read at every event.
const (
	maxEventBody   = 64 << 10
	maxTestEvent   = 8 << 10 // it stays, for streams that come back
	maxListed      = 32
	maxPushHeaders = 16
	maxHeaderValue = 4 << 10
)

// mayEvent is who may do what with subscriptions: whoever configures anything
// makes them, and changes his own (Redfish_1.8.0_PrivilegeRegistry,
// EventDestinationCollection and EventDestination).
func (d *Device) mayEvent(r *http.Request, path string) bool {
	p, ok := auth.PrincipalFrom(r.Context())
	switch {
	case !ok || !within(path, eventsPath):
		return false
	case p.Privileges.Has(auth.ConfigureManager):
		return true
	case path == subscriptionsPath || path == subscriptionsPath+"/Members":
		return p.Privileges.Has(auth.ConfigureComponents)
	}
	s := d.events.find(strings.TrimSuffix(path, resumeAction))
	return s != nil && s.owner == p.Account && p.Privileges.Has(auth.ConfigureSelf)
}

// eventEndpoint is what is at a path of the event service beside its resource,
// nil for nothing.
func (d *Device) eventEndpoint(path string) endpoint {
	switch path {
	case streamPath:
		return endpoint{http.MethodGet: d.stream}
	case subscriptionsPath:
		return endpoint{http.MethodGet: d.read, http.MethodHead: d.read, http.MethodPost: d.subscribe}
	case subscriptionsPath + "/Members": // DSP0266 1.20.0, 7.9
		return endpoint{http.MethodPost: d.subscribe}
	}
	if at, ok := strings.CutSuffix(path, resumeAction); ok {
		if s := d.events.find(at); s != nil && d.events.destinationOf(s) != nil {
			return endpoint{http.MethodPost: d.resume}
		}
		return nil
	}
	if d.events.find(path) == nil {
		return nil
	}
	return endpoint{
		http.MethodGet: d.read, http.MethodHead: d.read, http.MethodPatch: d.patchSubscription, http.MethodDelete: d.unsubscribe,
	}
}

// subscribe makes a destination that events are pushed to. Whether anybody
// listens there is not looked at.
func (d *Device) subscribe(w http.ResponseWriter, r *http.Request, _ string) error {
	if !d.events.settings().enabled {
		return eventsDisabled()
	}
	raw, err := readObject(w, r)
	if err != nil {
		return err
	}
	r.Body = io.NopCloser(bytes.NewReader(raw))
	b, err := redfish.ReadObject(w, r, maxEventBody)
	if err != nil {
		return err
	}
	s := &subscription{push: readDestination(b, raw)}
	s.push.near = isNear(r)
	s.filter = readFilter(b, raw)
	s.expand = truth(b.Bool("IncludeOriginOfCondition"))
	if c := readContext(b); c != nil {
		s.context = *c
	}
	b.OneOf("Protocol", "Redfish")
	b.OneOf("SubscriptionType", "RedfishEvent")
	b.OneOf("EventFormatType", "Event")
	b.Require("Destination", "Protocol")
	if err := b.Err(); err != nil {
		return err
	}
	if p, ok := auth.PrincipalFrom(r.Context()); ok {
		s.owner = p.Account
	}
	if err := d.events.add(s, s.body, nil); err != nil {
		return err
	}
	o := resourceOccurrence(eventResourceAdded, s.path, "EventDestination")
	o.notFor = s // its listener asked for more than an echo
	d.events.publish(o)
	return d.created(w, r, s.path)
}

func eventsDisabled() error {
	return &redfish.Problem{Status: http.StatusServiceUnavailable, Key: "ServiceDisabled", Args: []string{eventsPath}}
}

// created answers with a resource that has just been made.
func (d *Device) created(w http.ResponseWriter, r *http.Request, path string) error {
	f := d.store.get(path)
	if f == nil { // gone already
		return missing(path)
	}
	w.Header().Set("Location", path)
	redfish.WriteResource(w, r, http.StatusCreated, d.render(path, f), f.etag)
	return nil
}

func truth(b *bool) bool { return b != nil && *b }

func readDestination(b *redfish.Body, raw []byte) *destination {
	to := &destination{policy: terminateAfterRetries, verify: truth(b.Bool("VerifyCertificate"))}
	if uri := b.String("Destination"); uri != nil {
		switch {
		case len(*uri) > maxText:
			b.Fail("StringValueTooLong", "Destination", "Destination", strconv.Itoa(maxText))
		case parseDestination(*uri) == nil: // not shown: it may have a password in it
			b.Fail("PropertyValueError", "Destination", "Destination")
		}
		to.url = *uri
	}
	if p := readPolicy(b); p != nil {
		to.policy = *p
	}
	if b.Has("HttpHeaders") {
		var ok bool
		if to.headers, ok = readHeaders(lookup(raw, "HttpHeaders")); !ok { // the values stay untold
			b.Fail("PropertyValueError", "HttpHeaders", "HttpHeaders")
		}
	}
	return to
}

func readPolicy(b *redfish.Body) *string {
	return b.OneOf("DeliveryRetryPolicy", terminateAfterRetries, suspendRetries, retryForever, retryForeverWithBackoff)
}

func readContext(b *redfish.Body) *string {
	c := b.String("Context")
	if c != nil && len(*c) > maxText {
		b.Fail("StringValueTooLong", "Context", "Context", strconv.Itoa(maxText))
	}
	return c
}

func readFilter(b *redfish.Body, raw []byte) filter {
	f := filter{
		kinds: b.Strings("EventTypes", maxListed), registries: b.Strings("RegistryPrefixes", maxListed),
		types: b.Strings("ResourceTypes", maxListed), messages: b.Strings("MessageIds", maxListed),
		severities: b.Strings("Severities", maxListed), notRegistries: b.Strings("ExcludeRegistryPrefixes", maxListed),
		notMessages: b.Strings("ExcludeMessageIds", maxListed), subordinate: truth(b.Bool("SubordinateResources")),
	}
	for _, k := range f.kinds {
		if !slices.Contains(eventTypes, k) {
			b.Fail("PropertyValueNotInList", "EventTypes", shorten(k), "EventTypes")
		}
	}
	if b.Has("OriginResources") {
		var ok bool
		if f.origins, ok = readReferences(lookup(raw, "OriginResources")); !ok {
			b.Fail("PropertyValueError", "OriginResources", "OriginResources")
		}
	}
	return f
}

// eventTypes are all that there are (Event v1_13_0), used here or not.
var eventTypes = []string{
	eventStatusChange, eventResourceUpdated, eventResourceAdded, eventResourceRemoved, eventAlert, "MetricReport", eventOther,
}

// readReferences reads an array of references to resources.
func readReferences(v []byte) (uris []string, ok bool) {
	if !isArray(v) {
		return nil, false
	}
	for _, p := range partsOf(v) {
		uri := reference(v[p.start:p.end])
		if uri == "" || len(uris) == maxListed {
			return nil, false
		}
		uris = append(uris, uri)
	}
	return uris, true
}

// readHeaders reads HttpHeaders: an array of objects, each with headers by name
// (observed: redfish_utilities 3.5.2 sends one in each). Those that say how the
// message itself is framed and where it goes are not for a subscriber to set.
func readHeaders(v []byte) (list []pushHeader, ok bool) {
	var objects []map[string]string
	if json.Unmarshal(v, &objects) != nil {
		return nil, false
	}
	for _, o := range objects {
		for name, value := range o {
			if !headerName(name) || len(value) > maxHeaderValue || strings.ContainsAny(value, "\x00\r\n") || len(list) == maxPushHeaders {
				return nil, false
			}
			list = append(list, pushHeader{name, auth.NewSecret(value)})
		}
	}
	return list, true
}

func headerName(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case "", "Host", "Connection", "Content-Length", "Content-Type", "Transfer-Encoding", "Trailer", "Te", "Upgrade", "Expect":
		return false
	}
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c > '~' || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return len(name) <= maxText
}

// patchSubscription changes what may be changed of one: what it is told with
// its events, and what becomes of those that are not taken.
func (d *Device) patchSubscription(w http.ResponseWriter, r *http.Request, path string) error {
	f := d.store.get(path)
	if f == nil {
		return missing(path)
	}
	if err := redfish.CheckMatch(r, f.etag); err != nil {
		return err
	}
	raw, err := readObject(w, r)
	if err != nil {
		return err
	}
	p := patching{resource: f.body, writable: subscriptionWritable}
	p.object(raw, nil)
	switch {
	case len(p.problems) > 0:
		return join(p.problems)
	case !p.changed:
		return badRequest("NoOperation")
	}
	if f = d.events.change(path, f, p.resource); f == nil {
		return &redfish.Problem{Status: http.StatusPreconditionFailed, Key: "PreconditionFailed"}
	}
	redfish.WriteResource(w, r, http.StatusOK, d.render(path, f), f.etag)
	return nil
}

var subscriptionWritable = map[string]check{
	"Context": anyText,
	"DeliveryRetryPolicy": func(v []byte, _ []string) verdict {
		return listed(v, []string{terminateAfterRetries, suspendRetries, retryForever, retryForeverWithBackoff})
	},
	"VerifyCertificate": boolean,
}

// change replaces the resource of a subscription, unless somebody else did, or
// it went, and acts on what it says now.
func (e *events) change(path string, old *file, body []byte) *file {
	s := e.find(path)
	if s == nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.store.mu.Lock()
	defer e.store.mu.Unlock()
	if e.store.at(path) != old {
		return nil
	}
	s.context = text(body, "Context")
	if s.push != nil {
		to := *s.push
		to.policy, to.verify = text(body, "DeliveryRetryPolicy"), string(lookup(body, "VerifyCertificate")) == "true"
		s.push = &to
	}
	return e.store.set(path, body)
}

// unsubscribe ends a subscription; a stream is closed.
func (d *Device) unsubscribe(w http.ResponseWriter, r *http.Request, path string) error {
	s, f := d.events.find(path), d.store.get(path)
	if s == nil || f == nil {
		return missing(path)
	}
	if err := redfish.CheckMatch(r, f.etag); err != nil {
		return err
	}
	d.events.remove(s)
	return d.done(w)
}

// resume lets a subscription that was suspended have events again.
func (d *Device) resume(w http.ResponseWriter, r *http.Request, path string) error {
	b, err := redfish.ReadAction(w, r, maxEventBody, "EventDestination.ResumeSubscription")
	if err != nil {
		return err
	}
	b.Bool("DeliverBufferedEventDuration")
	if err := b.Err(); err != nil {
		return err
	}
	if s := d.events.find(strings.TrimSuffix(path, resumeAction)); s != nil {
		d.events.suspend(s, false)
	}
	return d.done(w)
}

// submitTestEvent sends an event that is what the caller says, or where he says
// nothing, the standard one.
func (d *Device) submitTestEvent(w http.ResponseWriter, r *http.Request, _ string) error {
	b, err := redfish.ReadAction(w, r, maxTestEvent, "EventService.SubmitTestEvent")
	if err != nil {
		return err
	}
	o := occurrence{kind: eventOther, messageID: resourceRegistry + "TestMessage", message: "Test message.", args: b.Strings("MessageArgs", maxListed)}
	for name, field := range map[string]*string{
		"EventId": &o.eventID, "EventTimestamp": &o.when, "Message": &o.message,
		"MessageId": &o.messageID, "OriginOfCondition": &o.origin,
	} {
		if v := b.String(name); v != nil {
			*field = *v
		}
	}
	if v := b.OneOf("EventType", eventTypes...); v != nil {
		o.kind = *v
	}
	o.group = b.Int("EventGroupId", 0, 1<<53)
	for _, name := range []string{"Severity", "MessageSeverity"} { // the later one is the newer
		if v := b.OneOf(name, "OK", "Warning", "Critical"); v != nil {
			o.severity = *v
		}
	}
	if err := b.Err(); err != nil {
		return err
	}
	d.events.publish(o)
	return d.done(w)
}

// serviceEndpoint is what is at a path of the services whose resources come
// and go, nil for nothing.
func (d *Device) serviceEndpoint(path string) endpoint {
	switch {
	case within(path, eventsPath):
		return d.eventEndpoint(path)
	case within(path, taskServicePath):
		return d.tasks.endpoint(path)
	case within(path, licenseServicePath):
		return d.licenses.endpoint(path)
	}
	return nil
}

// shown is the resource at path as it is now, nil for none.
func (d *Device) shown(path string) []byte {
	f := d.store.get(path)
	if f == nil || f.media != mediaJSON {
		return nil
	}
	return d.render(path, f)
}
