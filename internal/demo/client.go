package demo

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/postern/postern/auth"
)

// maxBody bounds what a client reads of one answer, in bytes.
const maxBody = 1 << 20

// A door is where clients log in, and as whom.
type door struct {
	base  string // https://HOST:PORT
	roots *x509.CertPool
	user  auth.AccountName
}

// A client is one run of a script as they are met in the field: service root,
// login, two reads, logout, each call on a connection of its own.
type client struct {
	door     door
	password auth.Secret
	dies     bool // after its reads, without logging out
	patience patience
	http     *http.Client
	tally    *tally
}

func newClient(d door, password auth.Secret, dies bool, p patience, t *tally) *client {
	return &client{
		door: d, password: password, dies: dies, patience: p, tally: t,
		http: &http.Client{
			Transport: &http.Transport{
				DialContext:       new(net.Dialer).DialContext,
				TLSClientConfig:   &tls.Config{RootCAs: d.roots, MinVersion: tls.VersionTLS12},
				DisableKeepAlives: true,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// An end is how a client's run came out.
type end int

const (
	served   end = iota
	full         // the last thing it heard was that no session is free
	denied       // its password was refused
	timedOut     // its time was over in the middle of a call
	failed       // anything else
	ends         // how many there are
)

var (
	errFull   = errors.New("no free session")
	errDenied = errors.New("password refused")
)

// run is the life of a client; ctx ends it at the latest. It is served when it
// has read what it wanted, whatever becomes of its session.
func (c *client) run(ctx context.Context) end {
	links, err := c.root(ctx)
	if err != nil {
		return endOf(err)
	}
	s, err := c.login(ctx, links.sessions)
	if err != nil {
		return endOf(err)
	}
	c.tally.loggedIn()
	if err := c.reads(ctx, s, links.systems); err != nil {
		c.tally.leftBehind()
		return endOf(err)
	}
	if c.dies || c.logout(ctx, s) != nil {
		c.tally.leftBehind()
	} else {
		c.tally.loggedOut()
	}
	return served
}

func endOf(err error) end {
	timeout, isNet := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, errFull):
		return full
	case errors.Is(err, errDenied):
		return denied
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), isNet && timeout.Timeout():
		return timedOut
	}
	return failed
}

// Links of a service root that the client follows.
type links struct{ sessions, systems string }

type ref struct {
	ID string `json:"@odata.id"`
}

func (c *client) root(ctx context.Context) (links, error) {
	var root struct {
		Systems ref
		Links   struct{ Sessions ref }
	}
	if _, err := c.read(ctx, "/redfish/v1/", "", &root); err != nil {
		return links{}, err
	}
	return links{sessions: root.Links.Sessions.ID, systems: root.Systems.ID}, nil
}

// A session is what a login gave the client.
type session struct{ token, location string }

func (c *client) login(ctx context.Context, at string) (session, error) {
	body, err := json.Marshal(map[string]string{"UserName": string(c.door.user), "Password": c.password.Reveal()})
	if err != nil {
		return session{}, err
	}
	a, err := c.call(ctx, http.MethodPost, at, "", body)
	if err != nil {
		return session{}, err
	}
	switch a.status {
	case http.StatusCreated:
		return session{token: a.header.Get("X-Auth-Token"), location: a.header.Get("Location")}, nil
	case http.StatusUnauthorized, http.StatusForbidden:
		return session{}, errDenied
	}
	return session{}, a.unexpected("login")
}

// reads is what the client came for: the list of systems and the first of them.
func (c *client) reads(ctx context.Context, s session, at string) error {
	var list struct{ Members []ref }
	if _, err := c.read(ctx, at, s.token, &list); err != nil {
		return err
	}
	if len(list.Members) == 0 {
		return errors.New("no system is listed")
	}
	var system struct{ PowerState string }
	_, err := c.read(ctx, list.Members[0].ID, s.token, &system)
	if err == nil && system.PowerState == "" {
		err = errors.New("the system tells no power state")
	}
	return err
}

func (c *client) logout(ctx context.Context, s session) error {
	a, err := c.call(ctx, http.MethodDelete, s.location, s.token, nil)
	if err == nil && a.status/100 != 2 {
		err = a.unexpected("logout")
	}
	return err
}

func (c *client) read(ctx context.Context, at, token string, into any) (answer, error) {
	a, err := c.call(ctx, http.MethodGet, at, token, nil)
	if err == nil && a.status != http.StatusOK {
		err = a.unexpected("read")
	}
	if err == nil {
		err = json.Unmarshal(a.body, into)
	}
	return a, err
}

// An answer is read to its end.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) unexpected(what string) error { return fmt.Errorf("%s: status %d", what, a.status) }

// call sends one request, and again after a pause while the answer is that
// there is no place. The error is errFull when patience, or ctx, has ended.
func (c *client) call(ctx context.Context, method, at, token string, body []byte) (answer, error) {
	target, err := c.resolve(at)
	if err != nil {
		return answer{}, err
	}
	for try := 1; ; try++ {
		a, err := c.send(ctx, method, target, token, body)
		if err != nil || a.status != http.StatusServiceUnavailable && a.status != http.StatusTooManyRequests {
			return a, err
		}
		if try >= c.patience.tries {
			return a, errFull
		}
		select {
		case <-time.After(c.patience.pause):
		case <-ctx.Done():
			return a, errFull
		}
	}
}

// resolve keeps the client at its door, wherever a link points.
func (c *client) resolve(at string) (string, error) {
	base, err := url.Parse(c.door.base)
	if err != nil {
		return "", err
	}
	u, err := base.Parse(at)
	if err != nil || at == "" {
		return "", fmt.Errorf("link %q leads nowhere", at)
	}
	if !strings.EqualFold(u.Host, base.Host) || u.Scheme != base.Scheme {
		return "", fmt.Errorf("link %q leads elsewhere", at)
	}
	return u.String(), nil
}

func (c *client) send(ctx context.Context, method, target, token string, body []byte) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("X-Auth-Token", token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	return answer{resp.StatusCode, resp.Header, got}, err
}
