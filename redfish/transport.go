package redfish

import (
	"context"
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
)

// TransportConfig is what NewTransport needs.
type TransportConfig struct {
	// Device says where the device is and how it is reached.
	Device DeviceConfig

	// Credential is asked before each login, so that a changed password is
	// taken up. It may be nil where Login is given: then there is no second login.
	Credential func(context.Context) (auth.Credential, error)
	// Method is how to log in; "" means auth.MethodAuto.
	Method auth.Method
	// Context is left with the session at devices that keep such a text.
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
// 401 to a login that lives among them.
type Transport struct {
	cfg    TransportConfig
	device *Device

	logins sync.WaitGroup // those under way

	mu      sync.Mutex // guards what follows
	closed  bool
	login   auth.Login
	serial  int     // of the login; 0: there is none
	given   bool    // the login is TransportConfig.Login
	flight  *flight // the login under way
	refused auth.Secret
	unknown int  // logins in a row that got no answer
	proven  bool // the device took a login
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
	if cfg.Credential == nil && !have {
		return nil, errors.New("redfish: transport without a credential and without a login")
	}
	t := &Transport{cfg: cfg, device: d}
	if have {
		t.login, t.serial, t.given = cfg.Login, 1, true
	}
	return t, nil
}

// RoundTrip implements http.RoundTripper. Credentials in r are left out for the
// login's. Errors: those of the device's transport, ErrClosed, ErrOtherHost,
// ErrPasswordRefused, and *auth.LoginError where no login could be had.
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
	next, alive := t.renew(r.Context(), login, serial)
	if alive || next.Method == "" {
		return resp, nil
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
// about one resource alone.
func (t *Transport) fly(ctx context.Context, f *flight, dead int) {
	defer close(f.done)
	t.mu.Lock()
	old, serial := t.login, t.serial
	t.mu.Unlock()
	if serial != 0 {
		if err := t.device.Touch(ctx, old); !errors.Is(err, auth.ErrNoSession) {
			t.land(f, old, serial, err)
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
	if l.Method == auth.MethodBasic {
		t.refused, t.proven = l.Secret, false
	}
	given := t.given && !t.cfg.EndLogin
	t.mu.Unlock()
	if !given && l.Location != "" {
		t.device.Logout(ctx, l) // its answer changes nothing
	}
}

// maxUnknown is how often an unproven password is sent without an answer.
const maxUnknown = 2

// attempt logs in once, but not with a password that was refused.
func (t *Transport) attempt(ctx context.Context) (auth.Login, error) {
	if t.cfg.Credential == nil {
		return auth.Login{}, fmt.Errorf("redfish: the login that was given has ended: %w", auth.ErrNoSession)
	}
	c, err := t.cfg.Credential(ctx)
	if err != nil {
		return auth.Login{}, fmt.Errorf("redfish: credential: %w", err)
	}
	t.mu.Lock()
	blocked := !t.refused.IsZero() && t.refused.Equal(c.Password)
	t.mu.Unlock()
	if blocked {
		return auth.Login{}, ErrPasswordRefused
	}
	l, err := t.device.Login(ctx, c, auth.LoginOptions{Method: t.cfg.Method, Nonce: t.cfg.Context})
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		t.refused, t.unknown, t.proven = auth.Secret{}, 0, true
		return l, nil
	}
	if le, ok := errors.AsType[*auth.LoginError](err); ok {
		if le.Outcome == auth.Unknown {
			t.unknown++
		}
		if le.Outcome == auth.Refused || t.unknown >= maxUnknown && !t.proven {
			t.refused, t.proven = c.Password, false
		}
	}
	return auth.Login{}, err
}

// renew finds out about a login that a call got a 401 with. alive: it lives, or
// nobody knows; else next is the login in its place, zero where there is none.
func (t *Transport) renew(ctx context.Context, l auth.Login, serial int) (next auth.Login, alive bool) {
	next, now, err := t.hold(ctx, serial)
	if err != nil {
		return auth.Login{}, false
	}
	return next, now == serial
}

// Close ends the login at the device, unless it was given, and refuses requests
// from then on. It waits for a login under way, and takes at most as long as a
// login and a logout. An error says that a session may be left at the device. A
// second Close does nothing.
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
	l, have, given := t.login, t.serial != 0, t.given
	t.mu.Unlock()
	if !have || given && !t.cfg.EndLogin {
		return nil
	}
	err := t.device.Logout(context.Background(), l)
	if errors.Is(err, auth.ErrNoSession) {
		return nil // gone already
	}
	return err
}
