package redfish

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/postern/postern/auth"
)

// maxHeaderBytes bounds all header lines of a request together, as bmcweb
// does. The server in front has a limit of its own; this one is exact.
const maxHeaderBytes = 8192

// defaultIdle is shown as SessionTimeout where nobody said otherwise.
const defaultIdle = 30 * time.Minute

// An Authority is what the server side needs to know who somebody is. All
// methods may be called concurrently. Errors are those of package auth,
// wrapped or not; any other becomes a bare internal error.
type Authority interface {
	// Login turns an attempt into a session that lives until it is ended or
	// expires: auth.ErrBadCredentials, ErrSessionLimit, ErrBusy, ErrUnavailable.
	Login(ctx context.Context, a auth.Attempt) (auth.Session, error)
	// Check judges the credentials of one request and makes no session.
	Check(ctx context.Context, a auth.Attempt) (auth.Principal, error)
	// Lookup returns the session of a token and counts as its use:
	// auth.ErrNoSession for unknown, ended and expired ones, and for those of
	// another listener.
	Lookup(listener, token string) (auth.Session, error)
	// Sessions returns the living sessions of a listener.
	Sessions(listener string) []auth.Session
	// Session returns one of them: auth.ErrNoSession.
	Session(listener, id string) (auth.Session, error)
	// Logout ends a session, one's own or with the right to: auth.ErrNoSession,
	// ErrForbidden.
	Logout(ctx context.Context, by auth.Principal, id string) error
}

// Config is what New needs.
type Config struct {
	Authority Authority // required
	Listener  string    // a session is valid only where it was made
	Profile   Profile   // the face that callers see

	// Next gets every authenticated request for what is not ours, without its
	// credentials, with the auth.Principal and a request id in its context.
	// nil: there is nothing else, 404. Query(handler) has the query parameters
	// evaluated on our own resources, too.
	Next http.Handler

	// Open serves GET and HEAD of the URIs that need no credentials: /redfish,
	// /redfish/v1, /redfish/v1/odata, /redfish/v1/$metadata and
	// /redfish/v1/openapi.yaml. nil: a minimal root and documents of our own.
	// With Query(handler) the query is its business; all other handlers see none
	// that is Redfish's.
	Open http.Handler

	// Rules returns the rules that hold now; it is asked at every request and
	// must not wait. nil: those of the zero Rules.
	Rules func() Rules

	// SetSessions changes the rules for sessions, durably, and fails with
	// ErrChanged where SessionChange.Version is not that of the rules any more.
	// nil: nobody can change them here.
	SetSessions func(context.Context, SessionChange) error

	// ProfileNow, where it is not nil, is asked for the profile at each request,
	// in the place of Profile: one that is found out from a device.
	ProfileNow func() Profile

	// HPEPrivileges returns what the profiles of iLO show as an account's
	// privileges. nil: those of HPEPrivilegesOf.
	HPEPrivileges func(auth.Principal) HPEPrivileges

	// AccountURI returns where the account of a principal is, which may be all that
	// it can reach while it must change its password. nil: that of AccountURI.
	AccountURI func(auth.Principal) string

	// Now is the clock, for the ids of sessions; nil means time.Now.
	Now func() time.Time

	Realm string       // of HTTP Basic; "" means "Postern"
	Log   *slog.Logger // nil: silence

	// BehindTLS says that TLS ends before this handler, in a proxy that
	// nobody can get around. Without it a request that did not come over TLS
	// gets nothing but the open URIs.
	BehindTLS bool
}

func (c Config) withDefaults() Config {
	if c.Realm == "" {
		c.Realm = "Postern"
	}
	if c.AccountURI == nil {
		c.AccountURI = func(p auth.Principal) string { return AccountURI(p.Account) }
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.ProfileNow == nil {
		profile := c.Profile
		c.ProfileNow = func() Profile { return profile }
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Next == nil {
		c.Next = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			WriteError(w, r, missing(r.URL.EscapedPath(), ""))
		})
	}
	if c.Open == nil {
		c.Open = http.HandlerFunc(serveOpen)
	}
	return c
}

// A Handler is the server side of Redfish's authentication: it owns the
// SessionService and what is below, the open URIs, and the 401s, and guards
// Config.Next. It is safe for concurrent use.
type Handler struct {
	cfg       Config
	challenge string
	cross     *http.CrossOriginProtection
	ours      http.Handler // the SessionService and what is below, behind Query where Next is
	queries   bool         // Open is behind Query
}

// New returns a Handler. It fails without an Authority, and for a Realm that
// does not fit into a quoted header value.
func New(cfg Config) (*Handler, error) {
	if cfg.Authority == nil {
		return nil, errors.New("redfish: config without an authority")
	}
	cfg = cfg.withDefaults()
	for _, c := range []byte(cfg.Realm) {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			return nil, errors.New("redfish: realm with a character that cannot be quoted")
		}
	}
	h := &Handler{
		cfg:       cfg,
		challenge: `Basic realm="` + cfg.Realm + `"`,
		cross:     http.NewCrossOriginProtection(),
	}
	h.ours = http.HandlerFunc(h.serveOwn)
	if q, ok := cfg.Next.(*querying); ok {
		h.cfg.Next = Query(h.withOwn(q.next))
		h.ours = h.cfg.Next
	}
	if q, ok := cfg.Open.(*querying); ok {
		h.cfg.Open, h.queries = Query(h.withOwn(q.next)), true
	}
	return h, nil
}

// withOwn adds our own resources to what next has, for those that refer to them.
func (h *Handler) withOwn(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, err := Canonical(r.URL.EscapedPath())
		if err == nil {
			if allow, _ := h.allow(locate(path)); allow != "" {
				h.serveOwn(w, r)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// ServeHTTP answers one request. The order of the checks is that of DSP0266:
// sizes, authentication, OData-Version, resource, method, Accept, query,
// preconditions, content type, JSON, properties.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r = h.cfg.ProfileNow().readBy(r)
	r = h.identify(w, r)
	if headerBytes(r.Header) > maxHeaderBytes {
		h.fail(w, r, general(http.StatusRequestHeaderFieldsTooLarge, "The request's headers are too large.", nil))
		return
	}
	if h.special(w, r) {
		return
	}
	d := decide(r.Method, r.URL.EscapedPath(), r.Header.Values, h.connection(r))
	switch d.act {
	case actRefuse:
		h.fail(w, r, d.err)
	case actOpen:
		h.open(w, r, d)
	case actLogin:
		h.login(w, r)
	default:
		p, err := h.authenticate(r, d)
		if err != nil {
			h.fail(w, r, err)
			return
		}
		h.guarded(w, r.WithContext(auth.WithPrincipal(r.Context(), p)), d, p)
	}
}

// identify gives the request an id where nothing in front did, shows it to the
// peer, and sets the headers of every answer, whoever writes it.
func (h *Handler) identify(w http.ResponseWriter, r *http.Request) *http.Request {
	id := auth.RequestID(r.Context())
	if id == "" {
		id = rand.Text()
		r = r.WithContext(auth.WithRequestID(r.Context(), id))
	}
	head := w.Header()
	head.Set("X-Request-Id", id)
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Cache-Control", "no-store")
	if r.TLS != nil {
		head.Set("Strict-Transport-Security", "max-age=31536000")
	}
	faceOf(r).headers(head)
	return r
}

// connection says what a request came over.
func (h *Handler) connection(r *http.Request) connection {
	f := faceOf(r).profile.flavour
	return connection{
		tls:         r.TLS != nil || h.cfg.BehindTLS,
		certificate: len(chain(r)) > 0 && h.rules().Certificates && (f == nil || f.certificatePage == ""),
	}
}

// guarded routes a request whose caller is known.
func (h *Handler) guarded(w http.ResponseWriter, r *http.Request, d decision, p auth.Principal) {
	if d.pathErr != nil {
		h.fail(w, r, d.pathErr)
		return
	}
	if err := checkODataVersion(r); err != nil {
		h.fail(w, r, err)
		return
	}
	r, err := h.gate(w, r, d, p)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	switch d.place {
	case placeElsewhere:
		h.cfg.Next.ServeHTTP(w, withoutCredentials(r))
	case placeOpen:
		h.fail(w, r, notAllowed("GET, HEAD"))
	case placeMisspelt:
		right := spelling(d.path)
		h.fail(w, r, missing(d.path, "The URI is spelled "+right+"."))
	default:
		if r.URL.RawQuery != "" { // Query may ask what is behind
			r = withoutCredentials(r)
		}
		h.ours.ServeHTTP(w, r)
	}
}

// fail answers with err, logs what nobody but us can explain, and asks for
// credentials where that may help.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := faceOf(r).profile.translate(AsProblem(err))
	switch p.Status {
	case http.StatusUnauthorized:
		if h.rules().Basic == BasicEnabled {
			setHeader(w.Header(), "WWW-Authenticate", h.challenge)
		}
	case http.StatusInternalServerError:
		h.cfg.Log.LogAttrs(r.Context(), slog.LevelError, "redfish request failed", slog.Any("error", err))
	case http.StatusRequestEntityTooLarge:
		w.Header().Set("Connection", "close") // what was not read is not waited for
	}
	WriteError(w, r, p)
}

// withoutCredentials returns the request as the handlers behind may see it.
func withoutCredentials(r *http.Request) *http.Request {
	out := new(http.Request)
	*out = *r
	out.Header = make(http.Header, len(r.Header))
	for k, v := range r.Header {
		switch k {
		case "X-Auth-Token", "Authorization", "Cookie", "Proxy-Authorization":
		default:
			out.Header[k] = v
		}
	}
	return out
}

func checkODataVersion(r *http.Request) error {
	if oDataVersionOK(r.Header) {
		return nil
	}
	return &Problem{Status: http.StatusPreconditionFailed, Key: keyHeaderInvalid, Args: []string{"OData-Version"}}
}

func missing(path, text string) error {
	return &Problem{Status: http.StatusNotFound, Key: keyResourceMissingAtURI, Args: []string{path}, Text: text}
}

func notAllowed(allow string) error {
	return &Problem{Status: http.StatusMethodNotAllowed, Key: keyOperationNotAllowed, Allow: allow}
}

// headerBytes is what the header lines take on the wire.
func headerBytes(h http.Header) int {
	n := 0
	for k, vs := range h {
		for _, v := range vs {
			n += len(k) + len(v) + len(": \r\n")
		}
	}
	return n
}

// source is the peer's address, without zone; the zero Addr where the server
// does not tell one.
func source(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}
