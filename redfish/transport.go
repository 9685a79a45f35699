package redfish

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/postern/postern/auth"
)

// What a Transport refuses by itself.
var (
	// ErrClosed: the Transport was closed.
	ErrClosed = errors.New("redfish: transport is closed")
	// ErrOtherHost: the request is for another scheme, host or port than the
	// device's. Credentials go nowhere else; a redirect that leads away ends here.
	ErrOtherHost = errors.New("redfish: not the device that this transport logs in to")
	// ErrPasswordRefused: the device refused this password before. It is not
	// sent again until Credential gives another one.
	ErrPasswordRefused = errors.New("redfish: the device refused this password, which is not sent again")
	// ErrCertificateRefused: the device refused this client certificate before. It
	// is not shown again until Credential gives another one.
	ErrCertificateRefused = errors.New("redfish: the device refused this client certificate, which is not tried again")
	// ErrUnanswered: no login with this password got an answer that says whether
	// it is right, and it counts as refused: it is not sent again until Credential
	// gives another one.
	ErrUnanswered = errors.New("redfish: the device answered no login with this password, which is not sent again")
)

// TransportConfig is what NewTransport needs.
type TransportConfig struct {
	// Device says where the device is and how it is reached.
	Device DeviceConfig

	// Credential is asked before each login, so that a changed password is
	// taken up. It may be nil where Login is given: then there is no second login;
	// and with auth.MethodCertificate, where Device.Base shows the certificate.
	Credential func(context.Context) (auth.Credential, error)
	// Method is how to log in; "" means auth.MethodAuto.
	Method auth.Method
	// Context is left with the session at devices that keep such a text. "" means
	// one that is drawn: by that the Transport finds its own sessions where an
	// answer was lost or tells no Location.
	Context string

	// Login is one that exists already, made elsewhere or in an earlier run. It
	// is used first, and belongs to whoever made it: Close does not end it.
	Login auth.Login
	// EndLogin makes Close end Login too.
	EndLogin bool
}

// A Transport is an http.RoundTripper that is logged in to one device. All
// requests share one login. It is made by the first request, and made again,
// once, when the device no longer knows it; a request that was refused for that
// reason is repeated where its body can be read a second time. Close it: until
// then a session is taken at the device.
//
// It is safe for concurrent use. Responses are returned as they are, a device's
// 401 to a login that lives among them; but a GET is sent a second time first,
// since some devices say that of good logins now and then.
type Transport struct {
	cfg    TransportConfig
	device *Device

	nonce  string         // left with the sessions, but for noNonce
	logins sync.WaitGroup // those under way

	mu      sync.Mutex // guards what follows
	closed  bool
	login   auth.Login
	serial  int          // of the login; 0: there is none
	given   bool         // the login is TransportConfig.Login
	flight  *flight      // the login under way
	refused auth.Secret  // the password, or what names the certificate
	why     error        // that it is not sent again
	shown   auth.Secret  // what names the certificate of the login; zero: none
	unknown int          // logins in a row that got no answer
	proven  bool         // the device took a login
	noNonce bool         // the device stumbled over the nonce
	lost    int          // logins that may have made a session that nobody was told of
	owed    []auth.Login // dropped, and the device did not end them
}

var _ http.RoundTripper = (*Transport)(nil)

// A flight is one login, or one look whether a login lives, for all who wait.
type flight struct {
	done   chan struct{}
	login  auth.Login
	serial int
	err    error
}

// NewTransport returns a Transport. It opens no connection.
func NewTransport(cfg TransportConfig) (*Transport, error) {
	d, err := NewDevice(cfg.Device)
	if err != nil {
		return nil, err
	}
	have := cfg.Login.Method != ""
	if cfg.Credential == nil && !have && cfg.Method != auth.MethodCertificate {
		return nil, errors.New("redfish: transport without a credential and without a login")
	}
	t := &Transport{cfg: cfg, device: d, nonce: cfg.Context}
	if t.nonce == "" {
		t.nonce = "postern:" + rand.Text()
	}
	if have {
		t.login, t.serial, t.given = cfg.Login, 1, true
	}
	return t, nil
}

// RoundTrip implements http.RoundTripper. Credentials in r are left out for the
// login's. Errors: those of the device's transport, ErrClosed, ErrOtherHost,
// ErrPasswordRefused, ErrCertificateRefused, ErrUnanswered, and *auth.LoginError where no login could be had.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme+"://"+r.URL.Host != t.device.base {
		return nil, fail(r, ErrOtherHost)
	}
	login, serial, err := t.hold(r.Context(), 0)
	if err != nil {
		return nil, fail(r, err)
	}
	resp, err := t.send(r, r.Body, login)
	if err != nil || t.device.Judge(resp.StatusCode, resp.Header) != auth.LoginUnauthorized {
		return resp, err
	}
	next, now, err := t.hold(r.Context(), serial)
	if err != nil && t.cfg.Credential != nil {
		resp.Body.Close()
		return nil, err
	}
	if err != nil { // there is no way to another: the answer says so
		return resp, nil
	}
	if now == serial && (r.Method != http.MethodGet && r.Method != http.MethodHead || login.Method != auth.MethodSession) {
		return resp, nil // the login lives, or nobody knows
	}
	body, ok := again(r)
	if !ok {
		return resp, nil
	}
	io.Copy(io.Discard, io.LimitReader(resp.Body, maxErrorBody))
	resp.Body.Close()
	return t.send(r, body, next)
}

// fail closes the request's body, which a RoundTripper must, and returns err.
func fail(r *http.Request, err error) error {
	if r.Body != nil {
		r.Body.Close()
	}
	return err
}

// again returns the body for a second sending.
func again(r *http.Request) (io.ReadCloser, bool) {
	switch {
	case r.Body == nil || r.Body == http.NoBody:
		return r.Body, true
	case r.GetBody == nil:
		return nil, false
	}
	body, err := r.GetBody()
	return body, err == nil
}

func (t *Transport) send(r *http.Request, body io.ReadCloser, l auth.Login) (*http.Response, error) {
	out := r.Clone(r.Context())
	out.Body = body
	t.device.Attach(out, l)
	for name, value := range map[string]string{"Accept": "application/json", "Accept-Encoding": "identity", "OData-Version": "4.0"} {
		if len(out.Header.Values(name)) == 0 {
			out.Header[name] = []string{value}
		}
	}
	return t.device.shared.RoundTrip(out)
}

// Hold logs in where that is not done yet, and returns the login, for a program
// that keeps it for later. The caller's cancel ends the waiting, not the login.
func (t *Transport) Hold(ctx context.Context) (auth.Login, error) {
	l, _, err := t.hold(ctx, 0)
	return l, err
}

// hold returns a login with a serial other than dead, making one if need be.
func (t *Transport) hold(ctx context.Context, dead int) (auth.Login, int, error) {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return auth.Login{}, 0, ErrClosed
	}
	if t.serial != 0 && t.serial != dead {
		defer t.mu.Unlock()
		return t.login, t.serial, nil
	}
	f := t.flight
	if f == nil {
		f = &flight{done: make(chan struct{})}
		t.flight = f
		t.logins.Go(func() { t.fly(context.WithoutCancel(ctx), f, dead) })
	}
	t.mu.Unlock()
	select {
	case <-f.done:
		return f.login, f.serial, f.err
	case <-ctx.Done():
		return auth.Login{}, 0, ctx.Err()
	}
}

// fly makes the login that everybody waits for. Where there is one already, with
// the serial dead, the device is asked first whether it lives: a 401 may be
// about one resource alone. What nobody knows of goes on being used.
func (t *Transport) fly(ctx context.Context, f *flight, dead int) {
	defer close(f.done)
	t.mu.Lock()
	old, serial := t.login, t.serial
	t.mu.Unlock()
	if serial != 0 {
		if err := t.device.Touch(ctx, old); !errors.Is(err, auth.ErrNoSession) {
			t.land(f, old, serial, nil)
			return
		}
		t.drop(ctx, old)
	}
	login, err := t.attempt(ctx)
	if err != nil {
		t.land(f, auth.Login{}, 0, err)
		return
	}
	t.land(f, login, max(serial, dead)+1, nil)
}

// land ends a flight; a login with a new serial becomes the login of all.
func (t *Transport) land(f *flight, l auth.Login, serial int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f.login, f.serial, f.err = l, serial, err
	if err == nil && serial != t.serial {
		t.login, t.serial, t.given = l, serial, false
	}
	t.flight = nil
}

// drop forgets a login that the device does not know. Some devices say so of a
// living one now and then: it is ended as far as that goes.
func (t *Transport) drop(ctx context.Context, l auth.Login) {
	t.mu.Lock()
	t.login, t.serial = auth.Login{}, 0
	switch l.Method {
	case auth.MethodBasic:
		t.refused, t.why, t.proven = l.Secret, ErrPasswordRefused, false
	case auth.MethodCertificate:
		t.refused, t.why, t.proven = t.shown, ErrCertificateRefused, false
	}
	given := t.given && !t.cfg.EndLogin
	t.mu.Unlock()
	if given || l.Location == "" {
		return
	}
	if err := t.device.End(ctx, l, l.Location); gone(err) != nil {
		t.mu.Lock()
		t.owed = append(t.owed[max(0, len(t.owed)-maxOwed+1):], l)
		t.mu.Unlock()
	}
}

// maxOwed is how many sessions that could not be ended are remembered: more than
// devices have.
const maxOwed = 64

// maxUnknown is how often an unproven password is sent without an answer.
const maxUnknown = 2

// attempt logs in once, but not with a password that was refused.
func (t *Transport) attempt(ctx context.Context) (auth.Login, error) {
	c, err := t.credential(ctx)
	if err != nil {
		return auth.Login{}, err
	}
	secret, refusal := sent(c, t.cfg.Method)
	t.mu.Lock()
	blocked, why := !t.refused.IsZero() && t.refused.Equal(secret), t.why
	o := auth.LoginOptions{Method: t.cfg.Method, Nonce: t.nonce, NoNonce: t.noNonce}
	t.mu.Unlock()
	if blocked {
		return auth.Login{}, why
	}
	l, err := t.device.Login(ctx, c, o)
	if le, ok := errors.AsType[*auth.LoginError](err); ok && le.NonceFault {
		o.NoNonce = true
		l, err = t.device.Login(ctx, c, o)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.noNonce = o.NoNonce
	if err == nil {
		t.refused, t.unknown, t.proven, t.shown = auth.Secret{}, 0, true, secret
		return l, nil
	}
	if le, ok := errors.AsType[*auth.LoginError](err); ok {
		t.failed(le, secret, refusal)
	}
	return auth.Login{}, err
}

func (t *Transport) credential(ctx context.Context) (auth.Credential, error) {
	if t.cfg.Credential == nil && t.cfg.Method == auth.MethodCertificate {
		return auth.Credential{}, nil // the connections have it
	}
	if t.cfg.Credential == nil {
		return auth.Credential{}, fmt.Errorf("redfish: the login that was given has ended: %w", auth.ErrNoSession)
	}
	c, err := t.cfg.Credential(ctx)
	if err != nil {
		return c, fmt.Errorf("redfish: credential: %w", err)
	}
	return c, nil
}

// sent names what a login proves itself with, and the error once that was refused:
// the password, or the certificate, which is zero where the connections alone have it.
func sent(c auth.Credential, m auth.Method) (auth.Secret, error) {
	if m != auth.MethodCertificate && !c.Password.IsZero() {
		return c.Password, ErrPasswordRefused
	}
	cert := c.Certificate.Reveal()
	if cert == nil || len(cert.Certificate) == 0 {
		return auth.Secret{}, ErrCertificateRefused
	}
	sum := sha256.Sum256(cert.Certificate[0])
	return auth.NewSecret(string(sum[:])), ErrCertificateRefused
}

// failed draws the conclusions of a login that failed with a secret; t.mu is held.
func (t *Transport) failed(le *auth.LoginError, secret auth.Secret, refusal error) {
	if le.Outcome == auth.Unknown {
		t.unknown++
		if le.Status == 0 || le.Status/100 == 2 {
			t.lost++
		}
	}
	switch {
	case le.Outcome == auth.Refused:
		t.refused, t.why, t.proven = secret, refusal, false
	case t.unknown >= maxUnknown && !t.proven:
		t.refused, t.why = secret, fmt.Errorf("%w: %w", ErrUnanswered, le.Err)
	}
}

// Close ends the login at the device, unless it was given, and what was left of
// others, and refuses requests from then on. It waits for a login under way, and
// takes at most as long as a login, a search and a few logouts. An error says that
// a session may be left at the device. A second Close does nothing.
func (t *Transport) Close() error {
	t.mu.Lock()
	was := t.closed
	t.closed = true
	t.mu.Unlock()
	t.logins.Wait()
	if was {
		return nil
	}
	t.mu.Lock()
	l, have := t.login, t.serial != 0
	given := t.given && !t.cfg.EndLogin
	t.mu.Unlock()
	ctx := context.Background()
	errs := []error{t.endOwed(ctx), t.endLost(ctx, l, have)}
	if have && !given {
		errs = append(errs, gone(t.device.Logout(ctx, l)))
	}
	return errors.Join(errs...)
}

// gone makes nothing of the error of a logout where the session is gone already.
func gone(err error) error {
	if errors.Is(err, auth.ErrNoSession) {
		return nil
	}
	return err
}

// endOwed tries once more to end what was dropped, each with its own token.
func (t *Transport) endOwed(ctx context.Context) (err error) {
	for _, l := range t.owed {
		if err = gone(t.device.Logout(ctx, l)); err != nil {
			break // one is as good as all, and may have taken its time
		}
	}
	return err
}

// endLost ends the sessions of logins whose answer was lost. They are known by
// the text that was drawn for this Transport.
func (t *Transport) endLost(ctx context.Context, l auth.Login, have bool) error {
	if t.lost == 0 {
		return nil
	}
	left := errors.New("redfish: a login got no answer that could be used, and its session may be left at the device")
	if !have || t.cfg.Context != "" {
		return left
	}
	ctx, cancel := context.WithTimeout(ctx, searchTimeout)
	defer cancel()
	listed, err := t.device.List(ctx, l)
	if err != nil {
		return errors.Join(left, err)
	}
	ended, shown := 0, false
	for _, s := range listed {
		switch {
		case s.Context != t.nonce:
		case s.Location == l.Location:
			shown = true
		default:
			if err := t.device.End(ctx, l, s.Location); err != nil {
				return errors.Join(left, err)
			}
			ended++
		}
	}
	if shown || ended >= t.lost {
		return nil // the device shows the text, and would show the others
	}
	return left
}
