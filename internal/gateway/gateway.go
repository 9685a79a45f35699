package gateway

import (
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/postern/postern/internal/audit"
	"github.com/postern/postern/internal/lease"
	"github.com/postern/postern/internal/policy"
)

// A Target is the device that a Gateway stands before.
type Target struct {
	Name   string
	URL    *url.URL // scheme and host; the path is the caller's
	Family Family
	// Transport carries the calls; it must verify the device's certificate,
	// follow no proxy of the environment and bound the answer's header (size
	// and time to wait).
	Transport http.RoundTripper
}

// A Policy decides who may do what: a *policy.Policy, or one that is exchanged
// while calls go on.
type Policy interface {
	Decide(c policy.Call) policy.Decision
}

// Config of a Gateway.
type Config struct {
	Target   Target
	Listener string // named in the audit
	Leases   *lease.Manager
	Policy   Policy
	Audit    *audit.Log
	Observe  Observer         // nil = nobody
	Now      func() time.Time // for the age of open documents; nil = time.Now
	Log      *slog.Logger     // nil = silence
}

// A Gateway carries calls to one device. It is safe for concurrent use and
// starts no goroutines.
type Gateway struct {
	target   Target
	device   origin
	listener string
	request  []headerName
	response []headerName

	leases *lease.Manager
	policy Policy
	audit  *audit.Log
	watch  Observer
	now    func() time.Time
	log    *slog.Logger

	refs  refs
	scrub atomic.Pointer[scrubber] // of the login used last
	open  openDocs
}

// neverShown are headers of a device that belong to one connection, carry its
// cookies and demands, or are the gateway's own business, listed or not.
var neverShown = map[string]bool{
	"Connection": true, "Keep-Alive": true, "Proxy-Authenticate": true, "Proxy-Connection": true, "Te": true,
	"Trailer": true, "Transfer-Encoding": true, "Upgrade": true, "Content-Length": true, "Content-Encoding": true,
	"Set-Cookie": true, "Www-Authenticate": true, "Strict-Transport-Security": true, "Location": true, "Link": true,
}

// neverSent are headers of a caller that no device gets to see, listed or not.
var neverSent = map[string]bool{
	"Connection": true, "Keep-Alive": true, "Proxy-Authorization": true, "Proxy-Connection": true, "Te": true,
	"Trailer": true, "Transfer-Encoding": true, "Upgrade": true, "Content-Length": true, "Accept-Encoding": true,
	"Host": true, "Expect": true, "Cookie": true, "Authorization": true, "Forwarded": true,
	"X-Forwarded-For": true, "X-Forwarded-Host": true, "X-Forwarded-Proto": true,
	// net/http sends a request with one of these again when a connection dies.
	"Idempotency-Key": true, "X-Idempotency-Key": true,
}

// New checks cfg.
func New(cfg Config) (*Gateway, error) {
	t := cfg.Target
	switch {
	case t.URL == nil || t.URL.Scheme == "" || t.URL.Host == "":
		return nil, errors.New("gateway: the target has no URL")
	case t.Family == nil || t.Transport == nil:
		return nil, errors.New("gateway: the target has no family or no transport")
	case cfg.Leases == nil || cfg.Policy == nil || cfg.Audit == nil:
		return nil, errors.New("gateway: leases, policy and audit are needed")
	}
	g := &Gateway{
		target: t, device: deviceOrigin(t.URL), listener: cfg.Listener,
		request: headerNames(t.Family.RequestHeaders(), neverSent), response: headerNames(t.Family.ResponseHeaders(), neverShown),
		leases: cfg.Leases, policy: cfg.Policy, audit: cfg.Audit, watch: cfg.Observe, now: cfg.Now, log: cfg.Log,
		refs: refs{prefix: rand.Text() + "."},
	}
	if g.watch == nil {
		g.watch = nobody{}
	}
	if g.now == nil {
		g.now = time.Now
	}
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	return g, nil
}

// Handler carries the calls of a caller that the family's Handler has let in:
// the request's context holds the Principal (auth.WithPrincipal). A request
// without one is refused. A device's answer that breaks off makes it panic with
// http.ErrAbortHandler, so that the caller's connection breaks as well.
func (g *Gateway) Handler() http.Handler { return http.HandlerFunc(g.serve) }

// Open serves the open documents to everybody. It never causes a login.
func (g *Gateway) Open() http.Handler { return http.HandlerFunc(g.serveOpen) }

// refs makes ids that are never used twice, over restarts too.
type refs struct {
	prefix string
	last   atomic.Int64
}

func (r *refs) next() string { return r.prefix + strconv.FormatInt(r.last.Add(1), 36) }
