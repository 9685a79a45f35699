package sim

import (
	"encoding/json"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/postern/postern/redfish"
)

const (
	eventsPath        = rootPath + "/EventService"
	subscriptionsPath = eventsPath + "/Subscriptions"
	streamPath        = eventsPath + "/SSE"
)

// Bounds of what a device keeps for its listeners: it is small, and some of
// them are slow or gone.
const (
	maxRing  = 100 // past events, for streams that come back
	maxQueue = 100 // events that one listener has not taken yet; the oldest makes room
)

// The prefixes of the messages in events (DSP8011, and our own for the log).
const (
	resourceRegistry = "ResourceEvent.1.3."
	taskRegistry     = "TaskEvent.1.0."
)

// The types of events in use (Event v1_13_0, EventType).
const (
	eventAlert           = "Alert"
	eventStatusChange    = "StatusChange"
	eventResourceAdded   = "ResourceAdded"
	eventResourceRemoved = "ResourceRemoved"
	eventResourceUpdated = "ResourceUpdated"
	eventOther           = "Other"
)

// An occurrence is something that listeners may want to know of. The zero
// values of id, when and severity are filled in as it is published.
type occurrence struct {
	kind      string // EventType
	messageID string
	message   string
	args      []string
	severity  string // "": OK
	origin    string // URI of the resource in question, "" for none
	resource  string // its type ("ComputerSystem"), where it is no longer or not in the tree
	entry     string // URI of the log entry that tells the same, "" for none
	group     *int64 // EventGroupId
	eventID   string // EventId, "": the event's own number
	when      string // "": now
	notFor    *subscription
}

// An event is an occurrence with its number. It is never changed.
type event struct {
	id int
	occurrence
}

// events is a device's event service: who listens, and what they may have
// missed. Locks are taken in this order: mu, then the store's. Safe for
// concurrent use.
type events struct {
	store  *store
	clock  func() time.Time         // the device's
	render func(path string) []byte // a resource as it is shown now, nil for none
	log    *slog.Logger

	mu            sync.Mutex // guards all below, and what is in a subscription
	ring          []*event   // the latest, oldest first
	lastEvent     int        // numbers and ids are never used again
	lastSub       int
	subscriptions []*subscription // by age
	closed        bool
	workers       sync.WaitGroup // deliveries under way
}

// publish tells an occurrence to all whom it concerns. It waits for nobody.
func (e *events) publish(o occurrence) {
	settings := e.settings()
	if !settings.enabled {
		return
	}
	if o.severity == "" {
		o.severity = "OK"
	}
	if o.when == "" {
		o.when = e.clock().UTC().Format(time.RFC3339)
	}
	if o.resource == "" && o.origin != "" {
		o.resource = e.typeAt(o.origin)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return
	}
	e.lastEvent++
	ev := &event{id: e.lastEvent, occurrence: o}
	if len(e.ring) == maxRing {
		e.ring = append(e.ring[:0:0], e.ring[1:]...)
	}
	e.ring = append(e.ring, ev)
	for _, s := range e.subscriptions {
		if s != o.notFor && s.filter.takes(&o) {
			e.enqueue(s, ev)
		}
	}
}

// typeAt returns the type of the resource at uri, without its version.
func (e *events) typeAt(uri string) string {
	f := e.store.get(strings.TrimSuffix(uri, "/"))
	if f == nil || f.media != mediaJSON {
		return ""
	}
	name, _, _ := strings.Cut(typeOf(f.body), ".")
	return name
}

// eventSettings is what the EventService resource says of deliveries.
type eventSettings struct {
	enabled  bool
	retries  int // after a delivery that failed
	interval time.Duration
}

func (e *events) settings() eventSettings {
	var v struct {
		ServiceEnabled               bool
		DeliveryRetryAttempts        int
		DeliveryRetryIntervalSeconds int
	}
	if f := e.store.get(eventsPath); f == nil || json.Unmarshal(f.body, &v) != nil {
		return eventSettings{}
	}
	return eventSettings{v.ServiceEnabled, v.DeliveryRetryAttempts, time.Duration(v.DeliveryRetryIntervalSeconds) * time.Second}
}

// resourceEvent tells that a resource came, changed or went. The type is that
// of a resource that is not in the tree.
func (e *events) resourceEvent(kind, uri, resource string) {
	e.publish(resourceOccurrence(kind, uri, resource))
}

func resourceOccurrence(kind, uri, resource string) occurrence {
	o := occurrence{kind: kind, origin: uri, resource: resource}
	switch kind {
	case eventResourceAdded:
		o.messageID, o.message = resourceRegistry+"ResourceCreated", "The resource was created successfully."
	case eventResourceRemoved:
		o.messageID, o.message = resourceRegistry+"ResourceRemoved", "The resource was removed successfully."
	default:
		o.messageID, o.message = resourceRegistry+"ResourceChanged", "One or more resource properties have changed."
	}
	return o
}

// The wire form of events: Event v1_13_0, one record each. EventType and
// Severity are deprecated, and what older listeners read.
type (
	eventBody struct {
		ODataType string        `json:"@odata.type"`
		ID        string        `json:"Id"`
		Name      string        `json:"Name"`
		Context   string        `json:"Context,omitempty"`
		Count     int           `json:"Events@odata.count"`
		Events    []eventRecord `json:"Events"`
	}
	eventRecord struct {
		EventType         string          `json:"EventType"`
		EventID           string          `json:"EventId"`
		EventGroupID      *int64          `json:"EventGroupId,omitempty"`
		EventTimestamp    string          `json:"EventTimestamp"`
		MemberID          string          `json:"MemberId"`
		Severity          string          `json:"Severity"`
		MessageSeverity   string          `json:"MessageSeverity"`
		Message           string          `json:"Message"`
		MessageID         string          `json:"MessageId"`
		MessageArgs       []string        `json:"MessageArgs,omitempty"`
		OriginOfCondition json.RawMessage `json:"OriginOfCondition,omitempty"`
		LogEntry          *redfish.Ref    `json:"LogEntry,omitempty"`
	}
)

// payload is an event as a subscription gets it, JSON on one line.
func (e *events) payload(s *subscription, ev *event) []byte {
	id := strconv.Itoa(ev.id)
	rec := eventRecord{
		EventType: ev.kind, EventID: ev.eventID, EventGroupID: ev.group, EventTimestamp: ev.when, MemberID: "0",
		Severity: ev.severity, MessageSeverity: ev.severity,
		Message: ev.message, MessageID: ev.messageID, MessageArgs: ev.args,
	}
	if rec.EventID == "" {
		rec.EventID = id
	}
	if ev.origin != "" {
		rec.OriginOfCondition = mustJSON(redfish.Ref{ID: ev.origin})
		if whole := e.expanded(s, ev.origin); whole != nil {
			rec.OriginOfCondition = whole
		}
	}
	if ev.entry != "" {
		rec.LogEntry = &redfish.Ref{ID: ev.entry}
	}
	return mustJSON(eventBody{
		ODataType: "#Event.v1_13_0.Event", ID: id, Name: "Event", Context: e.contextOf(s),
		Count: 1, Events: []eventRecord{rec},
	})
}

// expanded is the resource that an event is about, for those who asked for it.
func (e *events) expanded(s *subscription, origin string) []byte {
	if !s.expand {
		return nil
	}
	return e.render(strings.TrimSuffix(origin, "/"))
}

// close ends every stream and delivery and waits for the deliveries; nobody
// is told anything any more.
func (e *events) close() {
	e.mu.Lock()
	e.closed = true
	for _, s := range e.subscriptions {
		s.end()
	}
	e.mu.Unlock()
	e.workers.Wait()
}
