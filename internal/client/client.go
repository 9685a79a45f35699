package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/saved"
)

// A Device is the client side of a family, as far as the commands need it.
type Device interface {
	// Login logs in once. Its error is a *auth.LoginError.
	Login(ctx context.Context, c auth.Credential, o auth.LoginOptions) (auth.Login, error)
	// Attach puts a login into a request, and takes every other out of it.
	Attach(r *http.Request, l auth.Login)
	// Judge says what an answer says of the login.
	Judge(status int, h http.Header) auth.Verdict
	// Touch: nil = the login lives, auth.ErrNoSession = the device does not know it.
	Touch(ctx context.Context, l auth.Login) error
	// Logout: nil or auth.ErrNoSession = the session is gone.
	Logout(ctx context.Context, l auth.Login) error
	// List returns every session that the device lists.
	List(ctx context.Context, l auth.Login) ([]auth.Listed, error)
	// End ends another session with the rights of l.
	End(ctx context.Context, l auth.Login, location string) error
	// Idle returns how long a session may go unused; 0 = the device does not tell.
	Idle(ctx context.Context, l auth.Login) (time.Duration, error)
}

// A Target is a device and an account there.
type Target struct {
	Name    string // as the user called it
	URL     string
	Family  string
	Account auth.AccountName
	Method  auth.Method
	// Credential is asked for when a login is needed, and not before.
	Credential func(context.Context) (auth.Credential, error)
	Device     Device
	// Transport carries the calls. It verifies the device's certificate.
	Transport http.RoundTripper
	// Untrusted reports whether an error means that the device did not show the
	// certificate that it is known by; nil: never.
	Untrusted func(error) bool
	// Says returns what the body of an error answer says to a person; "" = nothing.
	Says func(body []byte) string
}

// key is what the saved logins of t are found by.
func (t Target) key() string { return t.Family + " " + t.URL + " " + string(t.Account) }

// A Client uses and keeps logins. It is safe for concurrent use, by many
// processes too: they share the book.
type Client struct {
	book *saved.Book
	now  func() time.Time
}

// New returns a Client; now nil means time.Now.
func New(book *saved.Book, now func() time.Time) *Client {
	if now == nil {
		now = time.Now
	}
	return &Client{book, now}
}

// Login returns the saved login of t, or makes and saves one. Of any number of
// processes that ask at the same time one logs in; the others wait for it, and
// where it fails they fail as it did.
func (c *Client) Login(ctx context.Context, t Target) (l saved.Login, fresh bool, err error) {
	all, err := c.book.Logins(t.key())
	if err != nil {
		return saved.Login{}, false, err
	}
	if l, ok := t.usable(all); ok {
		l, err = c.withSecret(ctx, t, l)
		return l, false, err
	}
	return c.login(ctx, t, func(saved.Login) bool { return true })
}

// login returns a saved login that is good enough, or makes one.
func (c *Client) login(ctx context.Context, t Target, good func(saved.Login) bool) (saved.Login, bool, error) {
	asked := c.now()
	p, err := c.book.Open(ctx, t.key())
	if err != nil {
		return saved.Login{}, false, err
	}
	defer p.Close()
	all, err := p.Logins()
	if err != nil {
		return saved.Login{}, false, err
	}
	if l, ok := t.usable(all); ok {
		if good(l) {
			l, err = c.withSecret(ctx, t, l)
			return l, false, err
		}
		// The device does not know it, or says so: it is told to end it all the
		// same, since some say that of living ones now and then.
		if err := c.end(ctx, t, p, l); err != nil {
			return saved.Login{}, false, err
		}
	}
	// What an earlier command could not end takes a session that the new login
	// may need.
	for _, l := range all {
		if !l.Ending.IsZero() {
			if err := c.end(ctx, t, p, l); err != nil && !isOwed(err) {
				return saved.Login{}, false, err
			}
		}
	}
	l, err := c.make(ctx, t, p, asked)
	return l, err == nil, err
}

// usable returns the newest login that is not ending, and made in the way that t
// wants.
func (t Target) usable(all []saved.Login) (saved.Login, bool) {
	for _, l := range slices.Backward(all) {
		if l.Ending.IsZero() && t.takes(l.Method) {
			return l, true
		}
	}
	return saved.Login{}, false
}

// takes reports whether a login is made in the way that t wants. A certificate
// gives a session at some devices; at others it is of use only where it is at hand.
func (t Target) takes(m auth.Method) bool {
	switch t.Method {
	case "", auth.MethodAuto:
		return m != auth.MethodCertificate
	case auth.MethodCertificate:
		return m != auth.MethodBasic
	}
	return m == t.Method
}

// withSecret adds the password, which is not saved, to a login by HTTP Basic.
func (c *Client) withSecret(ctx context.Context, t Target, l saved.Login) (saved.Login, error) {
	if l.Method != auth.MethodBasic {
		return l, nil
	}
	attempts, err := c.book.Attempts(t.key())
	if err != nil {
		return saved.Login{}, err
	}
	cred, err := t.Credential(ctx)
	if err != nil {
		return saved.Login{}, err
	}
	l.Secret = cred.Password
	return l, refusedBefore(attempts, cred)
}

// Do sends a request with the login of t. Where the device no longer knows it, a
// new one is made, once, and the request repeated if its body can be read again.
// A GET is repeated where the login lives, too: some devices say 401 of good ones
// now and then. The answer is the device's.
func (c *Client) Do(ctx context.Context, t Target, r *http.Request) (*http.Response, error) {
	l, fresh, err := c.Login(ctx, t)
	if err != nil {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, err
	}
	resp, err := send(t, r, r.Body, l)
	if err != nil || fresh || t.Device.Judge(resp.StatusCode, resp.Header) != auth.LoginUnauthorized {
		return resp, err
	}
	next, renewed, err := c.renew(ctx, t, l)
	if err != nil {
		resp.Body.Close()
		return nil, err
	}
	if !renewed && (r.Method != http.MethodGet && r.Method != http.MethodHead || l.Method != auth.MethodSession) {
		return resp, nil
	}
	body, again := repeat(r)
	if !again {
		return resp, nil
	}
	io.Copy(io.Discard, io.LimitReader(resp.Body, maxDrained))
	resp.Body.Close()
	return send(t, r, body, next)
}

// maxDrained bounds what is read of an answer that is thrown away.
const maxDrained = 64 << 10

// renew returns another login than l where the device does not know l.
func (c *Client) renew(ctx context.Context, t Target, l saved.Login) (saved.Login, bool, error) {
	if err := t.Device.Touch(ctx, l.Login); !errors.Is(err, auth.ErrNoSession) {
		return l, false, nil // it lives, or nobody knows
	}
	if l.Method == auth.MethodBasic {
		return l, false, c.refuse(ctx, t, l) // a second try would be one more refusal
	}
	next, _, err := c.login(ctx, t, func(now saved.Login) bool { return !now.Secret.Equal(l.Secret) })
	return next, err == nil, err
}

func send(t Target, r *http.Request, body io.ReadCloser, l saved.Login) (*http.Response, error) {
	out := r.Clone(r.Context())
	out.Body = body
	t.Device.Attach(out, l.Login)
	return t.Transport.RoundTrip(out)
}

// repeat returns the body for a second sending.
func repeat(r *http.Request) (io.ReadCloser, bool) {
	if r.Body == nil || r.Body == http.NoBody {
		return r.Body, true
	}
	if r.GetBody == nil {
		return nil, false
	}
	body, err := r.GetBody()
	return body, err == nil
}

// An Owed error is a logout that did not succeed: the session is remembered, and
// the next login or logout tries again.
type Owed struct {
	Location string // "" = not known
	Err      error
}

func (e *Owed) Error() string {
	if e.Location == "" {
		return fmt.Sprintf("the device may still hold a session: %v", e.Err)
	}
	return fmt.Sprintf("the device may still hold session %q: %v", e.Location, e.Err)
}

func (e *Owed) Unwrap() error { return e.Err }

func isOwed(err error) bool {
	_, ok := errors.AsType[*Owed](err)
	return ok
}

// Live is Login, and asks the device whether a saved login still lives.
func (c *Client) Live(ctx context.Context, t Target) (saved.Login, error) {
	l, fresh, err := c.Login(ctx, t)
	if err != nil || fresh {
		return l, err
	}
	l, _, err = c.renew(ctx, t, l)
	return l, err
}

// Headers returns the headers that carry a login, for another program.
func (c *Client) Headers(t Target, l saved.Login) map[string]string {
	r := &http.Request{Header: http.Header{}}
	t.Device.Attach(r, l.Login)
	out := map[string]string{}
	for name, values := range r.Header {
		out[name] = values[0]
	}
	return out
}
