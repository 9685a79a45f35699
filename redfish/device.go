package redfish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/postern/postern/auth"
)

// How much of a device's answers is read.
const (
	maxRoot       = 1 << 20  // a service root; the largest in DMTF's mockups has 4 KiB
	maxListing    = 1 << 20  // a collection or one of its members
	maxErrorBody  = 64 << 10 // what a refusal may say
	maxSessions   = 256      // members of a listing; devices have tens
	maxPages      = 64       // pages of a listing
	maxRetryAfter = time.Hour
)

// How long one request may take. BMCs answer within a second, or, when they
// are busy, within a minute.
const (
	requestTimeout = 60 * time.Second
	loginTimeout   = 60 * time.Second
	rootTimeout    = 30 * time.Second
	searchTimeout  = 30 * time.Second // for a session whose location was not told
	logoutTimeout  = 15 * time.Second // observed: logouts that hang (bmclib)
)

const userAgent = "postern"

// DeviceConfig is what NewDevice needs.
type DeviceConfig struct {
	URL     string  // https://host or https://host:port; no path, user or query
	Profile Profile // the device's flavour; the zero one is found out
	// Found is told of the profile of a device that was configured without one,
	// each time that an answer shows it. It must not wait.
	Found func(Profile)

	// Base carries calls that may share connections; nil means
	// http.DefaultTransport. Where a certificate goes with each call, both it and
	// Fresh show it.
	Base http.RoundTripper
	// Fresh carries logins and logouts. It must open a connection for each
	// request and call the hooks of net/http/httptrace: an http.Transport with
	// DisableKeepAlives does. nil means a clone of http.DefaultTransport so set.
	Fresh http.RoundTripper

	Now func() time.Time // nil: time.Now
	Log *slog.Logger     // nil: silence
}

// A Device is the client side of one Redfish service. It keeps no login and no
// other state, and is safe for concurrent use.
//
// What it sends goes to the configured host and nowhere else, whatever an
// answer names, and no redirect is followed, but for the one that login
// describes.
type Device struct {
	base    string  // scheme and authority, without slash
	profile Profile // as configured
	tell    func(Profile)
	shared  http.RoundTripper
	fresh   http.RoundTripper
	now     func() time.Time
	log     *slog.Logger
}

// NewDevice returns a Device. It opens no connection.
func NewDevice(cfg DeviceConfig) (*Device, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("redfish: device URL: %w", err)
	}
	switch {
	case u.Scheme != "https" && u.Scheme != "http", u.Host == "":
		return nil, errors.New("redfish: device URL is not https://HOST[:PORT]")
	case u.User != nil, u.RawQuery != "", u.Fragment != "", u.Path != "" && u.Path != "/":
		return nil, errors.New("redfish: device URL has more than scheme, host and port")
	}
	d := &Device{
		base: u.Scheme + "://" + u.Host, profile: cfg.Profile, tell: cfg.Found,
		shared: cfg.Base, fresh: cfg.Fresh, now: cfg.Now, log: cfg.Log,
	}
	if d.shared == nil {
		d.shared = http.DefaultTransport
	}
	if d.fresh == nil {
		d.fresh = freshTransport()
	}
	if d.now == nil {
		d.now = time.Now
	}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	return d, nil
}

func freshTransport() http.RoundTripper {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DisableKeepAlives = true
	return t
}

// BasicLogin is the login that a credential gives by itself: HTTP Basic. It
// asks nobody.
func BasicLogin(c auth.Credential) auth.Login {
	return auth.Login{Method: auth.MethodBasic, Account: c.Account, Secret: c.Password}
}

// Attach puts a login into a request and takes every other credential out of
// it. It changes r.
func (d *Device) Attach(r *http.Request, l auth.Login) {
	if r.Header == nil {
		r.Header = http.Header{}
	}
	for k := range r.Header {
		switch http.CanonicalHeaderKey(k) {
		case "Authorization", "X-Auth-Token", "Cookie", "Proxy-Authorization":
			delete(r.Header, k)
		}
	}
	switch l.Method {
	case auth.MethodSession:
		r.Header.Set("X-Auth-Token", l.Secret.Reveal())
	case auth.MethodBasic:
		r.Header.Set("Authorization", basicHeader(l.Account, l.Secret))
	}
}

// Judge says what an answer says of the login it was asked with: 401 alone
// means that the device does not know it. 403 is about the resource.
func (d *Device) Judge(status int, _ http.Header) auth.Verdict {
	if status == http.StatusUnauthorized {
		return auth.LoginUnauthorized
	}
	return auth.LoginGood
}

// An answer is what a device said, read as far as it is looked at.
type answer struct {
	status int
	header http.Header
	body   []byte
	cut    error // the body could not be read to its end, or is too long
	// version is that of TLS, where it was looked at.
	version uint16
}

// object reads the body, which must be a JSON object.
func (a answer) object() (object, error) {
	if a.cut != nil {
		return object{}, fmt.Errorf("read answer: %w", a.cut)
	}
	return decodeObject(bytes.TrimPrefix(a.body, []byte("\xEF\xBB\xBF")))
}

// ask sends one request with a login (zero: none) and reads the answer. An
// error means that there was no answer; a body that cannot be read is not one:
// the status decides. observed: iDRAC 8 cuts the body of its 401s.
func (d *Device) ask(ctx context.Context, rt http.RoundTripper, method, path string, l auth.Login, body []byte, limit int64) (answer, error) {
	r, err := d.request(ctx, method, path, body)
	if err != nil {
		return answer{}, err
	}
	d.Attach(r, l)
	resp, err := rt.RoundTrip(r)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 400 {
		limit = min(limit, maxErrorBody)
	}
	a := answer{status: resp.StatusCode, header: resp.Header}
	a.body, a.cut = io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if int64(len(a.body)) > limit {
		a.body, a.cut = a.body[:limit], fmt.Errorf("longer than %d bytes", limit)
	}
	return a, nil
}

// request makes a request that names every header by itself. The path goes out
// byte for byte: some devices put brackets or percent-encodings into their ids.
func (d *Device) request(ctx context.Context, method, path string, body []byte) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, method, d.base+"/", nil)
	if err != nil {
		return nil, fmt.Errorf("redfish: make request: %w", err)
	}
	if err := setTarget(r.URL, path); err != nil {
		return nil, err
	}
	r.Header = http.Header{
		"Accept":          {"application/json"},
		"Accept-Encoding": {"identity"}, // no suffixed ETags, nothing to unpack
		"OData-Version":   {"4.0"},
		"User-Agent":      {userAgent},
	}
	if body != nil {
		// Without GetBody no transport can send it a second time.
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		r.ContentLength = int64(len(body)) // some devices refuse chunked bodies
		r.Header["Content-Type"] = []string{"application/json"}
	}
	return r, nil
}

// setTarget makes path, as a device spelled it, the target of u.
func setTarget(u *url.URL, path string) error {
	if !targetOK(path) {
		return errors.New("redfish: not a path that can be asked for")
	}
	raw, query, asked := strings.Cut(path, "?")
	plain, err := url.PathUnescape(raw)
	if err != nil {
		return fmt.Errorf("redfish: %w", err)
	}
	u.Path, u.RawPath, u.RawQuery, u.ForceQuery = plain, raw, query, asked
	if u.EscapedPath() != raw {
		u.Opaque = raw // written as it is; the host is taken from u.Host
	}
	return nil
}

// Touch asks for the login's own session, which also keeps it alive. nil: it
// lives. auth.ErrNoSession: the device does not know it. Any other error: not
// known. A login that goes with each call, and one without a location, asks for a protected
// resource instead, where only 401 means that the device does not know it.
func (d *Device) Touch(ctx context.Context, l auth.Login) error {
	path, own := l.Location, true
	if l.Method.PerCall() || path == "" {
		root, err := d.discover(ctx)
		if err != nil {
			return err
		}
		path, own = root.protected()[0], false
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	a, err := d.ask(ctx, d.shared, http.MethodGet, path, l, nil, maxErrorBody)
	switch {
	case err != nil:
		return fmt.Errorf("redfish: touch session: %w", clean(err, l))
	case a.status/100 == 2:
		return nil
	case a.status == http.StatusUnauthorized,
		own && (a.status == http.StatusNotFound || a.status == http.StatusGone):
		return fmt.Errorf("redfish: touch session: status %d: %w", a.status, auth.ErrNoSession)
	}
	return fmt.Errorf("redfish: touch session: %w", unexpected(a, l))
}

// Logout ends the login's own session with its own token. nil: it is ended or
// gone. auth.ErrNoSession: the device does not know the token, and said so twice,
// so the session is probably gone. Any other error: it may still live. The
// caller's cancel does not cut it. A login that goes with each call has nothing to end.
func (d *Device) Logout(ctx context.Context, l auth.Login) error {
	if l.Method.PerCall() {
		return nil
	}
	if l.Location == "" {
		return errors.New("redfish: end session: the device never told where it is")
	}
	err := d.end(ctx, l, l.Location)
	if err == nil || !errors.Is(err, auth.ErrNoSession) {
		return err
	}
	// observed: devices that say 401 of good sessions now and then (HPE, GB200:
	// infra-controller PR 5349). Who would believe it would leave the session.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), logoutTimeout)
	defer cancel()
	if d.Touch(ctx, l) != nil {
		return err
	}
	if again := d.end(ctx, l, l.Location); again == nil || !errors.Is(again, auth.ErrNoSession) {
		return again
	}
	return errors.New("redfish: end session: the device says that it does not know the session, and goes on taking it")
}

// End ends the session at location using l. Errors are those of Logout, where
// auth.ErrNoSession is about l.
func (d *Device) End(ctx context.Context, l auth.Login, location string) error {
	return d.end(ctx, l, location)
}

func (d *Device) end(ctx context.Context, l auth.Login, location string) error {
	if !sessionPath(location) {
		return errors.New("redfish: end session: the location is not that of a session")
	}
	a, err := d.delete(ctx, l, location)
	// observed: devices that announce a location with a slash and know it
	// without (python-redfish-library#57, #73).
	if trimmed := strings.TrimRight(location, "/"); err == nil && trimmed != location &&
		(a.status == http.StatusNotFound || a.status == http.StatusMethodNotAllowed) {
		a, err = d.delete(ctx, l, trimmed)
	}
	switch {
	case err != nil:
		return fmt.Errorf("redfish: end session: %w", clean(err, l))
	case a.status/100 == 2, a.status == http.StatusNotFound, a.status == http.StatusGone:
		return nil
	case a.status == http.StatusUnauthorized:
		return fmt.Errorf("redfish: end session: status %d: %w", a.status, auth.ErrNoSession)
	}
	return fmt.Errorf("redfish: end session: %w", unexpected(a, l))
}

func (d *Device) delete(ctx context.Context, l auth.Login, location string) (answer, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), logoutTimeout)
	defer cancel()
	return d.ask(ctx, d.fresh, http.MethodDelete, location, l, nil, maxErrorBody)
}

// Idle returns the idle timeout of the device's sessions; 0 means that the
// device does not tell. auth.ErrNoSession: the device does not know l.
func (d *Device) Idle(ctx context.Context, l auth.Login) (time.Duration, error) {
	path := sessionServiceURI
	if root, err := d.discover(ctx); err == nil && root.service != "" {
		path = root.service
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	a, err := d.ask(ctx, d.shared, http.MethodGet, path, l, nil, maxListing)
	switch {
	case err != nil:
		return 0, fmt.Errorf("redfish: read session service: %w", clean(err, l))
	case a.status == http.StatusUnauthorized:
		return 0, fmt.Errorf("redfish: read session service: status %d: %w", a.status, auth.ErrNoSession)
	case a.status != http.StatusOK:
		return 0, fmt.Errorf("redfish: read session service: %w", unexpected(a, l))
	}
	o, err := a.object()
	if err != nil {
		return 0, fmt.Errorf("redfish: read session service: %w", err)
	}
	return o.seconds("SessionTimeout"), nil
}

// unexpected describes an answer that is of no use, in the device's words
// unless they hold the secret that the device was asked with.
func unexpected(a answer, asked auth.Login) error {
	status := strings.TrimSpace(fmt.Sprintf("status %d %s", a.status, http.StatusText(a.status)))
	if said := a.said(); said != "" && !holds(said, asked) {
		return fmt.Errorf("%s: %s", status, said)
	}
	return errors.New(status)
}

// clean keeps an error whose text holds a secret, or more than a person would
// read, from being shown: net/http quotes what a device sent in the place of an
// answer.
func clean(err error, asked auth.Login) error {
	if text := err.Error(); len(text) > maxQuoted || holds(text, asked) {
		return errors.New("an answer that cannot be shown")
	}
	return err
}

// maxQuoted bounds the text of an error of net/http, in bytes.
const maxQuoted = 1000

// holds reports whether text holds the secret of a login, plain, as JSON
// writes it, or as HTTP Basic does.
func holds(text string, l auth.Login) bool {
	if l.Secret.IsZero() {
		return false
	}
	quoted := encode(l.Secret.Reveal())
	_, basic, _ := strings.Cut(basicHeader(l.Account, l.Secret), " ")
	return strings.Contains(text, l.Secret.Reveal()) || strings.Contains(text, basic) ||
		strings.Contains(text, string(quoted[1:len(quoted)-1]))
}
