package redfish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/postern/postern/auth"
)

// Login logs in once. The error is always an *auth.LoginError. The caller's
// cancel does not cut it: a login whose answer nobody waited for would be lost.
//
// MethodAuto uses Basic where the root names neither Links.Sessions nor
// SessionService, in which case no login is posted at all, and where the login
// POST got 404, 405 or 501; never after 401 or 403. A Basic login is proven by
// one GET of a resource that the root names.
//
// MethodCertificate, and MethodAuto with a certificate and no password, depends on
// the profile. An iLO is shown the certificate once, at the page that it has for
// that; DeviceConfig.Fresh must be an http.Transport. Other devices have no login
// for certificates: what DeviceConfig.Base shows in its handshakes is the
// credential of each call, and is proven as Basic is.
//
// A session's Location may be empty when the device told none and its sessions
// do not show which is ours.
func (d *Device) Login(ctx context.Context, c auth.Credential, o auth.LoginOptions) (auth.Login, error) {
	ctx = context.WithoutCancel(ctx)
	root, err := d.discover(ctx)
	if err != nil && o.Method == auth.MethodCertificate && refusedHandshake(err) {
		return auth.Login{}, noAnswer(true, err, auth.Login{})
	}
	if err != nil {
		return auth.Login{}, notSent(err)
	}
	method := o.Method
	if method == auth.MethodAuto || method == "" {
		method = auth.MethodSession
		switch {
		case !c.Certificate.IsZero() && c.Password.IsZero():
			method = auth.MethodCertificate
		case root.basicOnly():
			method = auth.MethodBasic
		}
	}
	if page := d.as(root).CertificatePage(); method == auth.MethodCertificate && page != "" {
		return d.loginCertificate(ctx, c, root, page)
	}
	switch method {
	case auth.MethodCertificate:
		return d.proveCertificate(ctx, c, root)
	case auth.MethodBasic:
		return d.loginBasic(ctx, c, root)
	}
	l, le := d.loginSession(ctx, c, o, root)
	if le == nil {
		return l, nil
	}
	if o.Method != auth.MethodSession && noSessions(le.Status) {
		return d.loginBasic(ctx, c, root)
	}
	return auth.Login{}, le
}

// noSessions reports whether a login POST found nobody to answer it.
func noSessions(status int) bool {
	return status == http.StatusNotFound || status == http.StatusMethodNotAllowed || status == http.StatusNotImplemented
}

// notSent is a login that was not worth sending.
func notSent(err error) *auth.LoginError {
	le := &auth.LoginError{Outcome: auth.NotJudged, Err: fmt.Errorf("redfish: %w", err)}
	var nr *notReadyError
	if errors.As(err, &nr) {
		le.Status, le.RetryAfter = nr.status, nr.retry
	}
	return le
}

// loginSession posts the login. Where the root names no collection the second
// of the default URIs is tried when the first is not there; that judged
// nothing.
func (d *Device) loginSession(ctx context.Context, c auth.Credential, o auth.LoginOptions, root rootView) (l auth.Login, le *auth.LoginError) {
	for _, collection := range root.collections() {
		l, le = d.post(ctx, c, o, root, collection)
		if le == nil || !noSessions(le.Status) {
			break
		}
	}
	return l, le
}

// post sends one login to one collection.
func (d *Device) post(ctx context.Context, c auth.Credential, o auth.LoginOptions, root rootView, collection string) (auth.Login, *auth.LoginError) {
	nonce := o.Nonce
	if o.NoNonce || !root.context {
		nonce = "" // strict services answer 400 to what they do not know
	}
	body := encode(loginBody{
		UserName: string(c.Account), Password: c.Password.Reveal(), Context: nonce, Token: c.Passcode.Reveal(),
	})
	a, sent, err := d.once(ctx, d.fresh, http.MethodPost, collection, auth.Login{}, body)
	if err == nil && a.status/100 == 3 && redirectPath(a.header, d.base) == collection+"/" {
		// The one redirect that is followed. observed: older Supermicro
		// (check_redfish PR 187). Nothing has been judged yet, so the second
		// POST belongs to the same attempt.
		a, _, err = d.once(ctx, d.fresh, http.MethodPost, collection+"/", auth.Login{}, body)
		sent = true // the first one was
	}
	if err != nil {
		return auth.Login{}, noAnswer(sent, err, BasicLogin(c))
	}
	if a.status/100 != 2 || len(a.header.Values("X-Auth-Token")) == 0 && a.isRefusal() {
		le := d.refusal(a, nonce, BasicLogin(c))
		if holds(le.Err.Error(), auth.Login{Secret: c.Passcode}) {
			le.Err = errors.New("redfish: log in: an answer that cannot be shown")
		}
		return auth.Login{}, le
	}
	root.sessions = collection
	return d.accepted(ctx, c, a, nonce, root)
}

// once sends one request that carries a credential, on a connection of its own
// where rt makes one, and tells whether any of it may have reached the device.
func (d *Device) once(ctx context.Context, rt http.RoundTripper, method, path string, l auth.Login, body []byte) (answer, bool, error) {
	var sent atomic.Bool
	ctx, cancel := context.WithTimeout(ctx, loginTimeout)
	defer cancel()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }})
	a, err := d.ask(ctx, rt, method, path, l, body, maxListing)
	return a, sent.Load() || err == nil, err
}

// noAnswer is a login that nothing came back for.
func noAnswer(sent bool, err error, asked auth.Login) *auth.LoginError {
	refused := refusedHandshake(err)
	err = clean(err, asked)
	if refused {
		return &auth.LoginError{Outcome: auth.Refused, Sent: true, Err: fmt.Errorf("redfish: log in: the device ended the handshake because of the client certificate: %w", err)}
	}
	if !sent {
		return &auth.LoginError{Outcome: auth.NotJudged, Err: fmt.Errorf("redfish: log in: %w", err)}
	}
	return &auth.LoginError{Outcome: auth.Unknown, Sent: true, Err: fmt.Errorf("redfish: log in: sent, and no answer came: %w", err)}
}

// refusal judges an answer that gave no login. Only 400, 401 and 403 say no to
// the secret; 404, 405, 415, 429 and 5xx say nothing of it; of all others
// nobody knows.
func (d *Device) refusal(a answer, nonce string, asked auth.Login) *auth.LoginError {
	le := &auth.LoginError{
		Sent: true, Status: a.status, RetryAfter: d.retryAfter(a.header),
		Err: fmt.Errorf("redfish: log in: %w", unexpected(a, asked)),
	}
	if a.status/100 == 3 {
		le.Err = fmt.Errorf("redfish: log in: the device redirects the login to %q, where no password is sent", shorten(a.header.Get("Location")))
	}
	switch {
	case a.status == http.StatusBadRequest, a.status == http.StatusUnauthorized, a.status == http.StatusForbidden:
		le.Outcome = auth.Refused
	case a.status == http.StatusNotFound, a.status == http.StatusMethodNotAllowed,
		a.status == http.StatusUnsupportedMediaType, a.status == http.StatusTooManyRequests, a.status/100 == 5:
		le.Outcome = auth.NotJudged
	default:
		le.Outcome = auth.Unknown
	}
	if a.status != http.StatusUnauthorized && a.full() {
		// Redfish says 503; that others carry the same message with 400 or 403
		// is inferred. It speaks of the table, not of the secret.
		le.Full, le.Outcome = true, auth.NotJudged
	}
	d.byMessage(a, le)
	le.NonceFault = nonce != "" && a.status == http.StatusBadRequest && a.blames("Context")
	return le
}

// messageKeys are what an answer's messages say, registries and versions aside.
func (a answer) messageKeys() map[string]bool {
	keys := make(map[string]bool)
	for _, id := range a.messageIDs() {
		keys[id[strings.LastIndexByte(id, '.')+1:]] = true
	}
	return keys
}

// isRefusal reports whether an answer says so in its messages. observed: iLO
// answers a login that wants a one-time code in ways that HPE's clients do not
// look at the status of.
func (a answer) isRefusal() bool {
	keys := a.messageKeys()
	return keys["UnauthorizedLoginAttempt"] || keys[keyOneTimePasscodeSent] || keys["TokenExpired"] ||
		keys["LoginAttemptDelayed"] || keys["LoginAttemptDelayedSeconds"]
}

// byMessage judges by what iLO says in its messages: the status may be 400 where
// Redfish has 401, and more.
func (d *Device) byMessage(a answer, le *auth.LoginError) {
	keys := a.messageKeys()
	switch {
	case keys["UnauthorizedLoginAttempt"]:
		le.Outcome = auth.Refused
	case keys[keyOneTimePasscodeSent]:
		le.Outcome, le.PasscodeSent = auth.NotJudged, true
	case keys["TokenExpired"]:
		le.Outcome, le.PasscodeExpired = auth.NotJudged, true
	case keys["LicenseKeyRequired"]:
		le.Outcome = auth.NotJudged
	case keys["LoginAttemptDelayed"], keys["LoginAttemptDelayedSeconds"]:
		le.Outcome = auth.NotJudged
		if le.RetryAfter == 0 {
			le.RetryAfter = a.delay()
		}
	}
}

// delay is how long a device makes the next login wait, that it told of in a
// message. usualDelay is what HPE's clients take where it does not say.
func (a answer) delay() time.Duration {
	const usualDelay = 5 * time.Second
	o, err := a.object()
	if err != nil {
		return usualDelay
	}
	for _, m := range extendedInfo(o) {
		var args []string
		if json.Unmarshal(m.get("MessageArgs"), &args) != nil || len(args) != 1 {
			continue
		}
		if n, err := strconv.Atoi(args[0]); err == nil && n > 0 {
			return min(time.Duration(min(n, int(maxRetryAfter/time.Second)))*time.Second, maxRetryAfter)
		}
	}
	return usualDelay
}

// accepted reads the answer that gave a login. Status and token decide; the
// body may be absent or broken.
func (d *Device) accepted(ctx context.Context, c auth.Credential, a answer, nonce string, root rootView) (auth.Login, *auth.LoginError) {
	tokens := a.header.Values("X-Auth-Token")
	if len(tokens) != 1 || !printable(tokens[0]) || tokens[0] == "" || len(tokens[0]) > maxDeviceToken {
		return auth.Login{}, &auth.LoginError{
			Outcome: auth.Unknown, Sent: true, Status: a.status,
			Err: fmt.Errorf("redfish: log in: status %d without one usable X-Auth-Token: the device may have made a session, and nobody can use it", a.status),
		}
	}
	o, err := a.object()
	if err != nil {
		o = object{}
	}
	l := auth.Login{
		Method: auth.MethodSession, Account: c.Account, Secret: auth.NewSecret(tokens[0]),
		ID: o.text("Id"), KeepsNonce: nonce != "" && o.text("Context") == nonce,
	}
	if t, err := http.ParseTime(a.header.Get("Date")); err == nil {
		l.DeviceDate = t
	}
	for _, told := range []string{a.header.Get("Location"), o.text("@odata.id")} {
		if path := resolve(told); l.Location == "" && sessionPath(path) {
			l.Location = path
		}
	}
	if isRMC(o) {
		d.found("rmc")
	}
	collection := root.collections()[0]
	if l.Location == "" && d.as(root).Generation > 0 {
		l.Location = d.findMine(ctx, l, collection)
	}
	if l.Location == "" && nonce != "" {
		l = d.findOwn(ctx, l, nonce, collection)
	}
	if l.ID == "" && l.Location != "" {
		l.ID = lastSegment(l.Location)
	}
	return l, nil
}

// maxDeviceToken bounds what is kept of a token.
const maxDeviceToken = 4096

// findMine asks an iLO which session is ours; "" where it does not say.
func (d *Device) findMine(ctx context.Context, l auth.Login, collection string) string {
	ctx, cancel := context.WithTimeout(ctx, searchTimeout)
	defer cancel()
	path, err := d.mySession(ctx, l, collection)
	if err != nil {
		d.log.WarnContext(ctx, "a device told no location for a session", "device", d.base, "error", err)
	}
	return path
}

// findOwn looks for the session that carries our nonce. observed: Dell ME5024
// tells no Location (python-redfish-library#172).
func (d *Device) findOwn(ctx context.Context, l auth.Login, nonce, collection string) auth.Login {
	ctx, cancel := context.WithTimeout(ctx, searchTimeout)
	defer cancel()
	listed, err := d.list(ctx, l, []string{collection})
	if err != nil {
		d.log.WarnContext(ctx, "a device told no location for a session", "device", d.base, "error", err)
		return l
	}
	for _, s := range listed {
		if s.Context == nonce {
			l.Location, l.ID, l.KeepsNonce = s.Location, s.ID, true
		}
	}
	return l
}

// loginBasic proves a credential with one GET.
func (d *Device) loginBasic(ctx context.Context, c auth.Credential, root rootView) (auth.Login, error) {
	if strings.Contains(string(c.Account), ":") || hasControl(string(c.Account)) || hasControl(c.Password.Reveal()) {
		return auth.Login{}, notSent(errors.New("an account or password that HTTP Basic cannot carry"))
	}
	return d.prove(ctx, d.fresh, BasicLogin(c), root)
}

// prove asks for a protected resource with a login that goes with each call.
// Where the resource is not there the next is asked: 404 came before or after the
// credential, and says nothing of it.
func (d *Device) prove(ctx context.Context, rt http.RoundTripper, l auth.Login, root rootView) (auth.Login, error) {
	var le *auth.LoginError
	for _, path := range root.protected() {
		a, sent, err := d.once(ctx, rt, http.MethodGet, path, l, nil)
		switch {
		case err != nil:
			return auth.Login{}, noAnswer(sent, err, l)
		case a.status/100 == 2:
			if t, err := http.ParseTime(a.header.Get("Date")); err == nil {
				l.DeviceDate = t
			}
			return l, nil
		}
		if le = d.refusal(a, "", l); !noSessions(a.status) {
			break
		}
	}
	return auth.Login{}, le
}

// full reports whether an answer says that the session table is full.
func (a answer) full() bool {
	for _, id := range a.messageIDs() {
		switch id[strings.LastIndexByte(id, '.')+1:] {
		case keySessionLimitExceeded, keyCreateLimitReached, "RAC0218": // observed: iDRAC (gofish#75)
			return true
		}
	}
	return false
}

// blames reports whether an answer names a property as the fault.
func (a answer) blames(property string) bool {
	o, err := a.object()
	if err != nil {
		return false
	}
	for _, m := range extendedInfo(o) {
		if strings.Contains(string(m.get("MessageArgs")), `"`+property+`"`) ||
			strings.Contains(string(m.get("RelatedProperties")), `/`+property+`"`) ||
			strings.Contains(m.text("Message"), property) ||
			strings.HasSuffix(m.text("MessageId"), "."+keyPropertyUnknown) {
			return true
		}
	}
	return strings.Contains(o.sub("error").text("message"), property)
}

// messageIDs returns the ids of an error answer, the code first. Registries
// and versions differ: match on the last segment.
func (a answer) messageIDs() []string {
	o, err := a.object()
	if err != nil {
		return nil
	}
	ids := []string{o.sub("error").text("code")}
	for _, m := range extendedInfo(o) {
		ids = append(ids, m.text("MessageId"), m.text("MessageID"))
	}
	return ids
}

// said returns what an error answer says to a person, in one short line.
func (a answer) said() string {
	o, err := a.object()
	if err != nil {
		return ""
	}
	text := ""
	for _, m := range extendedInfo(o) {
		if text = m.text("Message"); text == "" {
			text = explained(m)
		}
		if text != "" {
			break
		}
	}
	if text == "" {
		text = o.sub("error").text("message")
	}
	return shorten(text)
}

// explained is what a message that is but an id says, in words of ours where the
// id is known.
func explained(m object) string {
	id := m.text("MessageId")
	if id == "" {
		id = m.text("MessageID") // observed: iLO before 2.10
	}
	key := id[strings.LastIndexByte(id, '.')+1:]
	entry, known := findMessage(key)
	if !known {
		entry, known = findMessage(oemPrefix + key)
	}
	if !known {
		return id
	}
	var args []string
	if raw := m.get("MessageArgs"); raw != nil && json.Unmarshal(raw, &args) != nil {
		args = nil
	}
	return fill(entry.text, args) + " (" + id + ")"
}

// Said returns what the body of an error answer says to a person, in one short
// line; "" where it holds no Redfish error.
func Said(body []byte) string { return answer{body: body}.said() }
