package redfish

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/postern/postern/auth"
	rf "github.com/postern/postern/redfish"
)

// A Verifier checks the credentials of one attempt and makes no session. All
// methods may be called concurrently; errors are those of package auth.
type Verifier interface {
	Check(ctx context.Context, a auth.Attempt) (auth.Principal, error)
}

// Config is what New and NewOwnAccount need.
type Config struct {
	Desk     Desk   // required
	Listener string // whose rules, authorities and server certificate are shown

	// Manager is the URI of the manager whose NetworkProtocol shows the server
	// certificate, for instance "/redfish/v1/Managers/1". "" = none: the server
	// certificate is not shown and cannot be replaced.
	Manager string

	// Root returns the service root of what stands behind, a JSON object: its
	// members appear in ours, such as Systems or UUID. Where both have a member
	// ours wins; those of Links are added up. nil: there are none.
	Root func() []byte
	// Types returns the types of the resources behind, without the name at the
	// end: "Manager.v1_24_0", "ManagerCollection". nil: there are none.
	Types func() []string
	// Registries are the files of further message registries in use, by name and
	// whole version: "TaskEvent.1.0.3".
	Registries []string

	// Verify checks the password that goes with a ChangePassword action; nil:
	// there is no such action.
	Verify Verifier

	// Next gets what is not ours. nil: there is nothing else, 404.
	Next http.Handler

	Log *slog.Logger // nil: silence
}

func (c Config) withDefaults() Config {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Root == nil {
		c.Root = func() []byte { return nil }
	}
	if c.Types == nil {
		c.Types = func() []string { return nil }
	}
	if c.Next == nil {
		c.Next = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rf.WriteError(w, r, rf.NotFound(r.URL.EscapedPath()))
		})
	}
	return c
}

// A Service is an http.Handler for its resources, safe for concurrent use. It
// expects the auth.Principal of the caller in the context, the open documents
// apart, and that query parameters were dealt with.
type Service struct {
	cfg    Config
	routes []route
	alone  bool // there is nothing but the caller's own account
}

var _ http.Handler = (*Service)(nil)

// New returns a Service with all its resources. It fails without a Desk and for
// a Manager that is no URI of a manager.
func New(cfg Config) (*Service, error) {
	if cfg.Desk == nil {
		return nil, errors.New("redfish service: config without a desk")
	}
	if id, ok := strings.CutPrefix(cfg.Manager, managersURI+"/"); cfg.Manager != "" && (!ok || id == "" || strings.Contains(id, "/")) {
		return nil, errors.New("redfish service: the manager is no member of " + managersURI)
	}
	s := &Service{cfg: cfg.withDefaults()}
	s.routes = s.allRoutes()
	return s, nil
}

// NewOwnAccount returns a Service that has nothing but the account of whoever
// asks, who may read it and change its password there; all else goes to Next,
// the other accounts included. It fails without a Desk.
func NewOwnAccount(cfg Config) (*Service, error) {
	if cfg.Desk == nil {
		return nil, errors.New("redfish service: config without a desk")
	}
	s := &Service{cfg: cfg.withDefaults(), alone: true}
	s.routes = []route{{
		pattern: split(accountsURI + "/{}"), entity: "ManagerAccount", ownOnly: true,
		get: s.account, patch: s.patchAccount,
	}}
	return s, nil
}

// Owns reports whether a canonical path is for a Service made by New to answer.
func (s *Service) Owns(path string) bool {
	rt, _ := s.match(split(path))
	return rt != nil
}

// ServeHTTP answers for one resource. The checks come in the order of DSP0266:
// the resource (404), its methods (405), the privilege (403), then what the
// request says. Whether an account is there is told to those only who may read
// it.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, err := rf.Canonical(r.URL.EscapedPath())
	if err != nil {
		rf.WriteError(w, r, err)
		return
	}
	rt, at, id := s.find(r.Method, path)
	c := &call{w: w, r: r, path: at, id: id}
	c.by, _ = auth.PrincipalFrom(r.Context()) // nobody holds no privilege
	if rt == nil || rt.ownOnly && !c.own() {
		s.cfg.Next.ServeHTTP(w, r)
		return
	}
	if err := s.serve(c, rt); err != nil {
		if p := rf.AsProblem(err); p.Status == http.StatusInternalServerError {
			s.cfg.Log.LogAttrs(r.Context(), slog.LevelError, "redfish request failed", slog.Any("error", err))
		}
		rf.WriteError(w, r, err)
	}
}

func (s *Service) serve(c *call, rt *route) error {
	c.allow = rt.allow()
	if c.r.Method == http.MethodOptions {
		c.w.Header().Set("Allow", c.allow)
		return c.done()
	}
	do := rt.method(c.r.Method)
	if do == nil {
		return rf.NotAllowed(c.allow)
	}
	if !rt.open && !c.may(rt) {
		return auth.ErrForbidden
	}
	return do(c)
}
