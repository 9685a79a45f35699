package hpe

import (
	"net/http"
	"slices"
	"strings"

	"github.com/postern/postern/auth"
	rf "github.com/postern/postern/redfish"
)

// A route is one resource, or all resources of one kind.
type route struct {
	pattern []string // the segments of the path; "{}" stands for any one
	typ     string   // "#HpeCertAuth.v1_1_0.HpeCertAuth"; "" = of no type
	open    bool     // for everybody
	listed  bool     // in the resource directory
	needs   Privileges
	// self: without the privilege, what belongs to one's own account may be changed.
	self bool

	get                 func(*call) (any, error)
	post, patch, remove func(*call) error
}

// privilege is what a method takes: reading takes a login.
func (rt *route) privilege(method string) Privileges {
	if rt.open {
		return 0
	}
	if method == http.MethodGet || method == http.MethodHead {
		return LoginPriv
	}
	return rt.needs
}

func split(path string) []string { return strings.Split(strings.Trim(path, "/"), "/") }

// match returns the route of a path without a final slash, nil for none, and the
// segments that stand for "{}". Case does not count in the fixed segments.
func (s *Service) match(path string) (*route, []string) {
	segments := split(path)
	for i := range s.routes {
		if ids, ok := fits(s.routes[i].pattern, segments); ok {
			return &s.routes[i], ids
		}
	}
	return nil, nil
}

func fits(pattern, segments []string) (ids []string, ok bool) {
	if len(pattern) != len(segments) {
		return nil, false
	}
	for i, p := range pattern {
		switch {
		case p == "{}":
			ids = append(ids, segments[i])
		case !strings.EqualFold(p, segments[i]):
			return nil, false
		}
	}
	return ids, true
}

// allow lists the methods of a route in the order in which an iLO does.
func (rt *route) allow() string { return strings.Join(rt.methods(), ", ") }

func (rt *route) methods() []string {
	var list []string
	for _, m := range []struct {
		name  string
		there bool
	}{
		{http.MethodGet, rt.get != nil}, {http.MethodHead, rt.get != nil}, {http.MethodPost, rt.post != nil},
		{http.MethodPatch, rt.patch != nil}, {http.MethodDelete, rt.remove != nil},
	} {
		if m.there {
			list = append(list, m.name)
		}
	}
	return list
}

// method returns what is done for a method, nil for what is not allowed.
func (rt *route) method(name string) func(*call) error {
	switch name {
	case http.MethodGet, http.MethodHead:
		if rt.get == nil {
			return nil
		}
		return rt.read
	case http.MethodPost:
		return rt.post
	case http.MethodPatch:
		return rt.patch
	case http.MethodDelete:
		return rt.remove
	}
	return nil
}

func (rt *route) read(c *call) error {
	v, err := rt.get(c)
	if err != nil || v == nil { // what is no JSON was answered there
		return err
	}
	return c.show(v)
}

// ServeHTTP answers for one resource: whether it is there, its methods, the
// privilege, then what the request says.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, err := rf.Canonical(r.URL.EscapedPath())
	if err != nil {
		rf.WriteError(w, r, err)
		return
	}
	rt, ids := s.match(path)
	if rt == nil {
		s.cfg.Next.ServeHTTP(w, r)
		return
	}
	c := &call{w: w, r: r, path: strings.TrimSuffix(path, "/"), id: ids, route: rt, allow: rt.allow()}
	c.by, _ = auth.PrincipalFrom(r.Context())
	if err := s.serve(c, rt); err != nil {
		s.log(c, err)
		rf.WriteError(w, r, err)
	}
}

func (s *Service) serve(c *call, rt *route) error {
	do := rt.method(c.r.Method)
	if do == nil {
		return rf.NotAllowed(c.allow)
	}
	if need := rt.privilege(c.r.Method); need != 0 && !rt.self {
		if err := s.may(c, need); err != nil {
			return err
		}
	}
	return do(c)
}

// may refuses whoever does not hold all of a set of privileges.
func (s *Service) may(c *call, need Privileges) error {
	held, err := s.privileges(c)
	if err != nil {
		return err
	}
	if !held.Has(need) {
		return auth.ErrForbidden
	}
	return nil
}

// privileges are those of whoever asks, as they are now.
func (s *Service) privileges(c *call) (Privileges, error) {
	people, err := s.cfg.Office.People(c.r.Context())
	if err != nil {
		return 0, fault(err, c.path)
	}
	i := slices.IndexFunc(people, func(p Person) bool { return p.Name == c.by.Account })
	if i < 0 || c.by.Account == "" { // the caller is no account here, or nobody
		return Of(c.by.Privileges), nil
	}
	return people[i].Privileges, nil
}
