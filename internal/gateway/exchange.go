package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/audit"
	"github.com/postern/postern/internal/lease"
	"github.com/postern/postern/internal/policy"
)

const (
	// deviceStall is how long a device may take for the next piece of a body,
	// or to take one: BMCs pause while they erase flash memory.
	deviceStall = 2 * time.Minute
	// maxDrain and drainWait bound what is read of an answer that nobody wants,
	// so that the connection can be used again.
	maxDrain  = 64 << 10
	drainWait = 2 * time.Second
	// sendAgain is what the caller of an upload waits after its login was renewed.
	sendAgain = time.Second
)

// An exchange is one call on its way to the device and back. The goroutine of
// the caller's request does everything, in the order in which the methods stand.
type exchange struct {
	g    *Gateway
	w    http.ResponseWriter
	r    *http.Request
	who  auth.Principal
	call Call
	path string // raw, as sent and recorded
	rule string // that allowed the call
	body payload

	use   *lease.Use
	alive bool               // the device refused a call although the login lives
	ref   string             // not empty once the call is on record
	sent  atomic.Bool        // some of an effect may have reached the device
	end   context.CancelFunc // of the sending of a stream

	status  int // of the answer, the device's or ours
	outcome string
	shown   bool // the answer's header is out
}

func (g *Gateway) serve(w http.ResponseWriter, r *http.Request) {
	x := &exchange{g: g, w: w, r: r}
	defer x.giveBack() // whatever happens
	err := x.carry()
	x.giveBack()
	if x.body.stream != nil {
		x.body.stream.stop()
	}
	if x.end != nil {
		x.end()
	}
	x.finish(err)
}

// carry does the whole call. After an error with shown unset the caller has
// seen nothing yet.
func (x *exchange) carry() error {
	if err := x.admit(); err != nil {
		return err
	}
	resp, err := x.send()
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return x.answer(resp)
}

// admit decides whether the call may go, and reads as much of its body as that
// and a possible repetition need.
func (x *exchange) admit() error {
	who, ok := auth.PrincipalFrom(x.r.Context())
	if !ok {
		return auth.ErrNoSession
	}
	x.who = who
	x.path, x.call = classify(x.g.target.Family, x.r)
	switch x.call.Kind {
	case Read, Effect, Open: // an open document may be asked for with credentials too
	case Denied:
		return x.denied(x.call.Err)
	case Ours:
		return &Error{Status: http.StatusNotFound, Message: "There is no such resource.", Err: x.call.Err}
	default:
		return x.ambiguous(x.call.Err)
	}
	if err := x.judge(); err != nil {
		return err
	}
	return x.takeBody()
}

// classify reads a request line. path is what of it is recorded.
func classify(f Family, r *http.Request) (path string, c Call) {
	raw, ok := rawPath(r)
	if path = raw; r.URL.RawQuery != "" || r.URL.ForceQuery {
		path += "?" + r.URL.RawQuery
	}
	if !ok {
		return path, Call{}
	}
	return path, f.Classify(r.Method, raw, r.URL.RawQuery)
}

func (x *exchange) ambiguous(err error) error {
	if err != nil {
		return err // the family knows better
	}
	return &Error{Status: http.StatusBadRequest,
		Message: "The request line can be read in two ways: send the path as the service writes it."}
}

func (x *exchange) denied(err error) error {
	x.outcome = outcomeDenied
	if err != nil {
		return err
	}
	return &Error{Status: http.StatusForbidden,
		Message: "The rules do not allow this call to account " + string(x.who.Account) + "."}
}

// judge asks the rules, and shows them the body where they need it.
func (x *exchange) judge() error {
	c := policy.Call{Principal: x.who, Target: x.g.target.Name, Method: x.r.Method, Path: x.call.Path, Reach: x.call.Reach}
	d := x.g.policy.Decide(c)
	if d.NeedsBody {
		held, names, err := x.judgedBody()
		if err != nil {
			return err
		}
		x.body = payload{held: held, done: true}
		c.Body = make(map[string]bool, len(names))
		for _, n := range names {
			c.Body[n] = true
		}
		d = x.g.policy.Decide(c)
	}
	if !d.Allow || d.NeedsBody {
		return x.denied(nil)
	}
	x.rule = d.Rule
	return nil
}

// takeBody holds a small body and makes a stream of any other.
func (x *exchange) takeBody() error {
	switch n := x.r.ContentLength; {
	case x.body.done, n == 0, x.r.Body == nil, bodyless(x.r.Method):
		return nil
	case n > 0 && n <= maxHeld:
		held, err := readHeld(x.w, x.r, maxHeld)
		x.body = payload{held: held, done: true}
		return err
	}
	x.body.stream = newStream(x.w, x.r)
	return nil
}

// bodyless are the methods whose body means nothing: it is ignored (DSP0266
// 1.20.0, 7.2; observed: gofish and the protocol validator send one).
func bodyless(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// send borrows a login, puts an effect on record, sends the call and judges
// the answer. It returns an answer that is the caller's business.
func (x *exchange) send() (*http.Response, error) {
	for renewed := false; ; renewed = true {
		if err := x.borrow(); err != nil {
			return nil, err
		}
		if err := x.begin(); err != nil {
			return nil, err
		}
		resp, err := x.roundTrip()
		if err != nil {
			return nil, x.lost(err)
		}
		if x.g.target.Family.Judge(resp.StatusCode, resp.Header) != auth.LoginUnauthorized {
			return resp, nil
		}
		drain(resp)
		if err := x.unauthorized(renewed); err != nil {
			return nil, err
		}
	}
}

// borrow takes a place in flight and a login, and makes sure of the login
// before a body that cannot be sent twice.
func (x *exchange) borrow() error {
	for {
		start := time.Now()
		use, err := x.g.leases.Acquire(x.r.Context(), x.g.target.Name)
		x.g.watch.Waited(x.g.target.Name, time.Since(start))
		if err != nil {
			return x.noLogin(err)
		}
		x.use = use
		if x.body.stream == nil {
			return nil
		}
		switch err := use.Probe(x.r.Context()); {
		case errors.Is(err, lease.ErrAlive):
			return nil
		case err != nil:
			return x.noLogin(err)
		}
	}
}

// begin puts an effect on record, once, before its first byte leaves.
func (x *exchange) begin() error {
	if x.call.Kind != Effect || x.ref != "" {
		return nil
	}
	x.ref = x.g.refs.next()
	rec := x.record(audit.CallBegin)
	rec.Detail = x.announcement()
	if err := x.g.audit.Append(x.r.Context(), rec); err != nil {
		// Should it come to be recorded after all, the log itself ends it.
		x.ref, x.outcome = "", outcomeNotDone
		return &Error{Status: http.StatusServiceUnavailable, RetryAfter: sendAgain, Err: err,
			Message: "The call could not be put on record, so it was not sent."}
	}
	return nil
}

// roundTrip sends the call once. The transport bounds the wait for an answer.
func (x *exchange) roundTrip() (*http.Response, error) {
	ctx := x.r.Context()
	switch {
	case x.body.stream != nil:
		ctx, x.end = context.WithCancel(ctx)
		x.body.stream.watch(x.end)
	case x.call.Kind == Effect:
		// What happens to it must be known, whether the caller stays or not.
		ctx = context.WithoutCancel(ctx)
	}
	if x.call.Kind == Effect {
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
			GotConn: func(httptrace.GotConnInfo) { x.sent.Store(true) },
		})
	}
	start := time.Now()
	resp, err := x.g.target.Transport.RoundTrip(x.outgoing(ctx))
	if err == nil {
		x.g.watch.Answered(x.g.target.Name, time.Since(start))
	}
	return resp, err
}

// outgoing makes the request that the device sees.
func (x *exchange) outgoing(ctx context.Context) *http.Request {
	u := *x.g.target.URL
	u.Path, u.RawPath = x.r.URL.Path, x.r.URL.RawPath
	u.RawQuery, u.ForceQuery = x.r.URL.RawQuery, x.r.URL.ForceQuery
	h := make(http.Header, usualHeaders)
	copyHeaders(h, x.r.Header, x.g.request)
	h["Accept-Encoding"] = identity
	if _, ok := h["User-Agent"]; !ok {
		h["User-Agent"] = nil // not the transport's own
	}
	req := (&http.Request{
		Method: x.r.Method, URL: &u, Host: u.Host, Header: h, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(ctx)
	x.body.attach(req)
	if req.Body == nil {
		delete(h, "Content-Type")
	}
	x.g.target.Family.Attach(req, x.use.Login())
	return req
}

// usualHeaders is how many headers a call has, in one group of a Go map.
const usualHeaders = 8

var identity = []string{"identity"}

// lost puts a call without an answer into words.
func (x *exchange) lost(err error) error {
	effect := x.call.Kind == Effect
	sent := x.sent.Load() || !effect && !isDial(err)
	switch {
	case effect && sent:
		x.outcome = outcomeUnknown
	case effect:
		x.outcome = outcomeNotDone
	}
	if s := x.body.stream; s != nil {
		if p := s.passed(); p.err != nil {
			return clientError(p.err)
		}
	}
	if x.r.Context().Err() != nil && !(effect && x.body.repeatable()) {
		return x.left(err)
	}
	return transportError(err, x.g.target.Name, effect, sent)
}

// left is a caller who did not wait.
func (x *exchange) left(err error) error {
	if x.outcome == "" {
		x.outcome = outcomeLeft
	}
	return &Error{Status: statusLeft, Message: "The caller did not wait for the answer.", Err: err}
}

// statusLeft is what the record shows for a caller who left; nobody reads the answer.
const statusLeft = 499

// unauthorized finds out what the device's 401 is about. nil = send it again.
func (x *exchange) unauthorized(renewed bool) error {
	if x.ref != "" {
		x.outcome = outcomeNotDone // that is what a 401 says
	}
	switch {
	case x.alive:
		return errNotAllowedThere
	case renewed:
		return &Error{Status: http.StatusBadGateway,
			Message: "The device refuses Postern's login, and did so again after a new one." +
				" Look at the account that Postern uses at the device."}
	}
	err := x.use.Unauthorized(x.r.Context())
	switch {
	case errors.Is(err, lease.ErrAlive) && !x.body.repeatable():
		return errNotAllowedThere
	case errors.Is(err, lease.ErrAlive):
		// Some devices refuse a living token now and then
		// (dsx-ai-factory/infra-controller PR 5349): once is no answer.
		x.alive = true
		x.use.Done()
	case err != nil:
		return x.noLogin(err)
	case !x.body.repeatable():
		return &Error{Status: http.StatusServiceUnavailable, RetryAfter: sendAgain,
			Message: "Postern's login at the device had ended and is renewed. The device did not carry the call out: send it again."}
	}
	x.outcome = ""
	return nil
}

var errNotAllowedThere = &Error{Status: http.StatusForbidden,
	Message: "The device refuses this call to the account that Postern uses there; the account's rights at the device decide."}

// giveBack ends the use of the lease.
func (x *exchange) giveBack() {
	if x.use != nil {
		x.use.Done()
	}
}

// drain makes the connection usable again after an answer that nobody wants.
func drain(resp *http.Response) {
	watch := time.AfterFunc(drainWait, func() { resp.Body.Close() })
	defer watch.Stop()
	_, _ = io.CopyN(io.Discard, resp.Body, maxDrain)
	resp.Body.Close()
}

// rawPath is the path of the request line, and whether what is sent to the
// device will be these bytes.
func rawPath(r *http.Request) (string, bool) {
	uri := r.RequestURI
	if !strings.HasPrefix(uri, "/") { // RFC 9112, 3.2.2: the absolute form
		_, after, _ := strings.Cut(uri, "://")
		i := strings.IndexByte(after, '/')
		if i < 0 {
			return uri, false
		}
		uri = after[i:]
	}
	path, query, _ := strings.Cut(uri, "?")
	same := path == r.URL.EscapedPath() && query == r.URL.RawQuery
	return path, same && !strings.ContainsFunc(query, notInQuery)
}

// notInQuery are characters that may not stand in a query (RFC 3986, 3.4), of
// those that programs disagree about.
func notInQuery(c rune) bool { return c <= ' ' || c >= 0x7f || c == '#' || c == '\\' }
