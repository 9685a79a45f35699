package sim

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/redfish"
)

// maxSubscriptions bounds who listens to one device at once, streams included.
const maxSubscriptions = 16

// The policies for a destination that takes nothing.
const (
	terminateAfterRetries   = "TerminateAfterRetries"
	suspendRetries          = "SuspendRetries"
	retryForever            = "RetryForever"
	retryForeverWithBackoff = "RetryForeverWithBackoff"
)

// A subscription is one listener: a stream that is open, or a destination that
// events are pushed to.
type subscription struct {
	id     string
	path   string
	owner  auth.AccountName
	filter filter
	expand bool // events carry the resource they are about

	done    <-chan struct{} // closed when the subscription ends
	end     func()          // ends it; may be called twice
	deliver func()          // pushes what is queued

	// Guarded by events.mu.
	push      *destination // never changed, only replaced; nil: a stream
	context   string
	queue     []*event
	wake      chan struct{} // a stream's: one place, filled when the queue is
	busy      bool          // a push delivery is under way
	suspended bool          // takes no events until it is resumed
}

// A filter says which events a subscription gets. An empty list leaves all through.
type filter struct {
	kinds, registries, types, messages, severities []string
	notRegistries, notMessages                     []string
	origins                                        []string
	subordinate                                    bool // what lies below the origins too
}

func (f *filter) takes(o *occurrence) bool {
	registry, key := messageParts(o.messageID)
	same := func(id string) bool {
		r, k := messageParts(id)
		return k == key && (r == "" || r == registry)
	}
	among := func(list []string, value string) bool { return len(list) == 0 || slices.Contains(list, value) }
	return among(f.kinds, o.kind) && among(f.registries, registry) && among(f.types, o.resource) &&
		among(f.severities, o.severity) && !slices.Contains(f.notRegistries, registry) &&
		(len(f.messages) == 0 || slices.ContainsFunc(f.messages, same)) && !slices.ContainsFunc(f.notMessages, same) &&
		f.from(o.origin)
}

// from reports whether an event's origin is one that is listened to.
func (f *filter) from(origin string) bool {
	return len(f.origins) == 0 || slices.ContainsFunc(f.origins, func(at string) bool {
		return at == origin || f.subordinate && within(origin, at)
	})
}

// messageParts splits "Registry.1.0.Key"; versions do not matter to a filter.
func messageParts(id string) (registry, key string) {
	first, last := strings.IndexByte(id, '.'), strings.LastIndexByte(id, '.')
	if first < 0 {
		return "", id
	}
	return id[:first], id[last+1:]
}

// add makes s one of the subscriptions, with body at its path, unless there
// are too many. missed are events for a stream that comes back.
func (e *events) add(s *subscription, body func() []byte, missed func(*event) bool) error {
	ctx, cancel := context.WithCancel(context.Background())
	s.done, s.end = ctx.Done(), cancel
	s.deliver = func() { e.deliver(ctx, s) }
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed || len(e.subscriptions) >= maxSubscriptions {
		cancel()
		return &redfish.Problem{Status: http.StatusServiceUnavailable, Key: "EventSubscriptionLimitExceeded"}
	}
	e.lastSub++
	s.id = strconv.Itoa(e.lastSub)
	s.path = subscriptionsPath + "/" + s.id
	e.subscriptions = append(e.subscriptions, s)
	e.store.mu.Lock()
	e.store.set(s.path, body())
	e.list()
	e.store.mu.Unlock()
	for _, ev := range e.ring {
		if missed != nil && missed(ev) && s.filter.takes(&ev.occurrence) {
			e.enqueue(s, ev)
		}
	}
	return nil
}

// list makes the collection show what there is; both locks are held.
func (e *events) list() {
	uris := make([]string, 0, len(e.subscriptions))
	for _, s := range e.subscriptions {
		uris = append(uris, s.path)
	}
	e.store.setMembers(subscriptionsPath, uris)
}

// remove ends a subscription and tells the others; one that is gone stays so.
func (e *events) remove(s *subscription) {
	e.mu.Lock()
	s.end()
	i := slices.Index(e.subscriptions, s)
	if i >= 0 {
		e.subscriptions = slices.Delete(e.subscriptions, i, i+1)
		e.store.mu.Lock()
		e.store.unset(s.path)
		e.list()
		e.store.mu.Unlock()
	}
	e.mu.Unlock()
	if i >= 0 {
		e.resourceEvent(eventResourceRemoved, s.path, "EventDestination")
	}
}

// find returns the subscription at path, nil for none.
func (e *events) find(path string) *subscription {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range e.subscriptions {
		if s.path == path {
			return s
		}
	}
	return nil
}

func (e *events) contextOf(s *subscription) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return s.context
}

// enqueue hands an event to a subscription; e.mu is held.
func (e *events) enqueue(s *subscription, ev *event) {
	if s.suspended {
		return
	}
	if len(s.queue) == maxQueue {
		s.queue = append(s.queue[:0:0], s.queue[1:]...)
	}
	s.queue = append(s.queue, ev)
	switch {
	case s.push == nil:
		select {
		case s.wake <- struct{}{}:
		default: // it is to wake already
		}
	case !s.busy:
		s.busy = true
		e.workers.Go(s.deliver)
	}
}

// next takes the oldest event from a subscription's queue, nil for none. A push
// delivery that gets none has ended.
func (e *events) next(s *subscription) *event {
	e.mu.Lock()
	defer e.mu.Unlock()
	select {
	case <-s.done:
		s.queue = nil
	default:
	}
	if len(s.queue) == 0 {
		s.busy = false
		return nil
	}
	ev := s.queue[0]
	if s.queue = s.queue[1:]; len(s.queue) == 0 {
		s.queue = nil
	}
	return ev
}

// destinationOf is where a subscription's events are pushed to now.
func (e *events) destinationOf(s *subscription) *destination {
	e.mu.Lock()
	defer e.mu.Unlock()
	return s.push
}

// suspend makes a subscription deaf, or lets it hear again.
func (e *events) suspend(s *subscription, deaf bool) {
	state := "Enabled"
	if deaf {
		state = "Disabled"
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	s.suspended = deaf
	if deaf {
		s.queue = nil
	}
	e.store.mu.Lock()
	defer e.store.mu.Unlock()
	if f := e.store.at(s.path); f != nil {
		e.store.set(s.path, putValue(f.body, state, "Status", "State"))
	}
}

// subscriptionBody is the resource of a subscription (EventDestination v1_16_0).
type subscriptionBody struct {
	ODataID     string         `json:"@odata.id"`
	ODataType   string         `json:"@odata.type"`
	ID          string         `json:"Id"`
	Name        string         `json:"Name"`
	Destination string         `json:"Destination"`
	Protocol    string         `json:"Protocol"`
	Type        string         `json:"SubscriptionType"`
	Context     string         `json:"Context"`
	Format      string         `json:"EventFormatType"`
	Policy      string         `json:"DeliveryRetryPolicy,omitempty"`
	Verify      *bool          `json:"VerifyCertificate,omitempty"`
	Kinds       []string       `json:"EventTypes,omitempty"`
	Registries  []string       `json:"RegistryPrefixes,omitempty"`
	NotRegs     []string       `json:"ExcludeRegistryPrefixes,omitempty"`
	Types       []string       `json:"ResourceTypes,omitempty"`
	Messages    []string       `json:"MessageIds,omitempty"`
	NotMessages []string       `json:"ExcludeMessageIds,omitempty"`
	Severities  []string       `json:"Severities,omitempty"`
	Origins     []redfish.Ref  `json:"OriginResources,omitempty"`
	Subordinate bool           `json:"SubordinateResources,omitempty"`
	Expand      bool           `json:"IncludeOriginOfCondition,omitempty"`
	Status      redfish.Status `json:"Status"`
	Actions     map[string]any `json:"Actions,omitempty"`
}

// body is the resource; events.mu is held.
func (s *subscription) body() []byte {
	b := subscriptionBody{
		ODataID: s.path, ODataType: "#EventDestination.v1_16_0.EventDestination", ID: s.id, Name: "Event Destination " + s.id,
		Protocol: "Redfish", Context: s.context, Format: "Event",
		Kinds: s.filter.kinds, Registries: s.filter.registries, NotRegs: s.filter.notRegistries, Types: s.filter.types,
		Messages: s.filter.messages, NotMessages: s.filter.notMessages, Severities: s.filter.severities,
		Subordinate: s.filter.subordinate, Expand: s.expand, Status: redfish.Status{State: "Enabled", Health: "OK"},
	}
	for _, uri := range s.filter.origins {
		b.Origins = append(b.Origins, redfish.Ref{ID: uri})
	}
	if p := s.push; p != nil {
		b.Destination, b.Type, b.Policy, b.Verify = p.url, "RedfishEvent", p.policy, &p.verify
		b.Actions = map[string]any{"#EventDestination.ResumeSubscription": map[string]string{"target": s.path + resumeAction}}
	}
	return mustJSON(b)
}

const resumeAction = "/Actions/EventDestination.ResumeSubscription"
