package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/policy"
	"github.com/postern/postern/internal/target"
)

// maxAnswer bounds what is read from the socket, in bytes: thousands of targets.
const maxAnswer = 64 << 20

// A Client administers a running server. It is safe for concurrent use.
type Client struct{ http *http.Client }

var _ API = (*Client)(nil)

// NewClient returns a Client that reaches the server with dial.
func NewClient(dial func(context.Context) (net.Conn, error)) *Client {
	return &Client{&http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
	}}}
}

// Close gives up idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// get is call for an answer of type T.
func get[T any](ctx context.Context, c *Client, method, path string, in any) (T, error) {
	var out T
	err := c.call(ctx, method, path, in, &out)
	return out, err
}

// call sends in and reads the answer into out; nil = nothing.
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	var body bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&body).Encode(in); err != nil {
			return err
		}
	}
	// The host is not looked at: dial goes to the socket whatever it is.
	r, err := http.NewRequestWithContext(ctx, method, "http://postern"+path, &body)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return fail(Unavailable, "", "the server does not answer: %v", err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fail(Unavailable, "", "the server's answer broke off: %v", err)
	}
	if resp.StatusCode != http.StatusOK {
		e := &Error{}
		if err := json.Unmarshal(data, e); err != nil || e.Message == "" {
			return fail(Internal, "is the server of the same version?", "the server answered %s", resp.Status)
		}
		return e
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("the server's answer: %w", err)
	}
	return nil
}

// onTarget calls the server about one target; what comes behind its name.
func (c *Client) onTarget(ctx context.Context, method, name, what string, in, out any) error {
	if !pathWord(name) {
		return targetFault(target.ErrNotFound, name)
	}
	return c.call(ctx, method, "/targets/"+url.PathEscape(name)+what, in, out)
}

// pathWord reports whether name can stand in a path. What cannot is no name of
// an account or a target, and would lead to another path.
func pathWord(name string) bool { return name != "" && name != "." && name != ".." }

// Targets implements API.
func (c *Client) Targets(ctx context.Context) ([]Target, error) {
	return get[[]Target](ctx, c, "GET", "/targets", nil)
}

// Target implements API.
func (c *Client) Target(ctx context.Context, name string) (Target, error) {
	var t Target
	err := c.onTarget(ctx, "GET", name, "", nil, &t)
	return t, err
}

// AddTarget implements API.
func (c *Client) AddTarget(ctx context.Context, t NewTarget) (Target, error) {
	return get[Target](ctx, c, "POST", "/targets", fromTarget(t))
}

// SetPin implements API.
func (c *Client) SetPin(ctx context.Context, name, pin string) error {
	return c.onTarget(ctx, "PATCH", name, "", targetPatch{Pin: &pin}, nil)
}

// SetTargetPassword implements API.
func (c *Client) SetTargetPassword(ctx context.Context, name string, password auth.Secret) error {
	return c.onTarget(ctx, "PATCH", name, "", targetPatch{Password: new(password.Reveal())}, nil)
}

// RemoveTarget implements API.
func (c *Client) RemoveTarget(ctx context.Context, name string) error {
	return c.onTarget(ctx, "DELETE", name, "", nil, nil)
}

// CheckTarget implements API.
func (c *Client) CheckTarget(ctx context.Context, name string) error {
	return c.onTarget(ctx, "POST", name, "/check", nil, nil)
}

// Explain implements API.
func (c *Client) Explain(ctx context.Context, q ExplainRequest) (Explanation, error) {
	if q.Rules != nil && *q.Rules == nil {
		q.Rules = &[]policy.Rule{} // none at all, and not those of the server
	}
	return get[Explanation](ctx, c, "POST", "/explain", q)
}

// Snapshot implements API.
func (c *Client) Snapshot(ctx context.Context) (Snapshot, error) {
	return get[Snapshot](ctx, c, "POST", "/snapshot", nil)
}
