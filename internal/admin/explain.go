package admin

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/account"
	"github.com/postern/postern/internal/policy"
	"github.com/postern/postern/internal/target"
)

// An ExplainRequest is a call that nobody makes.
type ExplainRequest struct {
	Caller auth.AccountName `json:"caller"` // an account
	Method string           `json:"method"`
	// URL is that of the gateway, or of the device, or NAME/PATH with the name of
	// the target, as the caller would send it: path and query are judged as they stand.
	URL  string `json:"url"`
	Body []byte `json:"body,omitempty"` // Base64 on the wire; nil = not given
	// Rules take the place of the server's own ones; nil = those of the server.
	Rules *[]policy.Rule `json:"rules,omitempty"`
}

// An Explanation is what would become of a call, and why.
type Explanation struct {
	Allowed bool `json:"allowed"`
	// Status is the HTTP status that the caller would get from Postern; 0 where
	// the device answers, or where it depends on the resource.
	Status  int    `json:"status,omitempty"`
	Summary string `json:"summary"` // one sentence

	Caller     auth.AccountName `json:"caller"`
	Role       auth.Role        `json:"role"`
	Privileges auth.Privileges  `json:"privileges"`
	// Barriers keep the account from calling at all; Allowed does not look at them.
	Barriers []string `json:"barriers,omitempty"`

	Method string `json:"method"`
	Path   string `json:"path"` // canonical: what the rules see
	Kind   string `json:"kind"` // "open", "ours", "denied", "refused", "read" or "effect"
	Reach  int    `json:"reach,omitempty"`
	// NeedsBody: a rule depends on the members of the body, which was not given.
	NeedsBody bool            `json:"needs_body,omitempty"`
	Members   []string        `json:"members,omitempty"`
	Rule      *ExplainedRule  `json:"rule,omitempty"` // nil: no rule is asked, or none fits
	Near      []ExplainedRule `json:"near,omitempty"` // would allow it but for one thing

	Target string          `json:"target"`
	Device string          `json:"device"`
	Lease  *ExplainedLease `json:"lease,omitempty"` // nil: the call does not reach the device
	Notes  []string        `json:"notes,omitempty"`
	Live   bool            `json:"live"` // a running server was asked
}

// An ExplainedRule is one as it stands.
type ExplainedRule struct {
	Name  string `json:"name"`
	Own   bool   `json:"own"`             // of the configuration file; else built in
	Place int    `json:"place,omitempty"` // among these, from 1; each path of a rule counts
	Says  string `json:"says"`            // "allow Operator POST /a/* on bmc-*"
	Miss  string `json:"miss,omitempty"`  // of a near one: what does not fit
}

// An ExplainedLease is the login that would carry the call.
type ExplainedLease struct {
	Account auth.AccountName `json:"account"` // at the device
	Auth    auth.Method      `json:"auth"`
	Lease                    // zero while no server runs
}

// Explain implements API.
func (s *Service) Explain(ctx context.Context, q ExplainRequest) (Explanation, error) {
	a, err := s.accounts.Get(ctx, q.Caller)
	if err != nil {
		return Explanation{}, accountFault(err, q.Caller)
	}
	privileges, known := s.roles.Privileges(a.Role)
	who := auth.Principal{Account: a.Name, AccountID: a.ID, Role: a.Role, Privileges: privileges, MustChangePassword: a.MustChangePassword}
	t, uri, err := s.addressed(ctx, q.URL)
	if err != nil {
		return Explanation{}, err
	}
	e, err := s.server.Explain(ctx, who, t, q, uri)
	if err != nil {
		return Explanation{}, fault(err)
	}
	e.Caller, e.Role, e.Privileges = who.Account, who.Role, who.Privileges
	e.Target, e.Device, e.Barriers = t.Name, t.URL, s.barriers(a, known)
	if e.Lease != nil {
		leases, err := s.server.Leases(ctx)
		if err != nil {
			return Explanation{}, fault(err)
		}
		e.Lease.Account, e.Lease.Auth, e.Lease.Lease = t.Account, t.Method, leases[t.Name]
	}
	return e, nil
}

// barriers are why an account cannot call anything, or little.
func (s *Service) barriers(a account.Account, hasRole bool) (out []string) {
	if !a.Enabled {
		out = append(out, "the account is disabled")
	}
	if a.IsLocked(s.now()) {
		out = append(out, "the account is locked after wrong passwords; one that was good before passes")
	}
	if a.MustChangePassword {
		out = append(out, "the password must be changed first; until then everything else gets 403")
	}
	if !hasRole {
		out = append(out, "the role "+string(a.Role)+" is not there any more, so it has no privileges")
	}
	return out
}

// addressed finds the target of a URL, and what is asked for there.
func (s *Service) addressed(ctx context.Context, text string) (target.Target, string, error) {
	list, err := s.targets.List(ctx)
	if err != nil {
		return target.Target{}, "", fault(err)
	}
	scheme, rest, hasScheme := strings.Cut(text, "://")
	if !hasScheme {
		rest = text
	} else if !strings.EqualFold(scheme, "https") {
		return target.Target{}, "", fail(Invalid, "https://HOST:PORT/PATH, or NAME/PATH with the name of a target", "%q is not a URL of a target", text).about("url")
	}
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	host, uri := rest[:end], rest[end:]
	if !strings.HasPrefix(uri, "/") {
		uri = "/" + uri
	}
	i := slices.IndexFunc(list, func(t target.Target) bool {
		return !hasScheme && t.Name == host || hasScheme && sameHost(host, s.server.Gateway(t.Name))
	})
	if i < 0 && hasScheme {
		i = slices.IndexFunc(list, func(t target.Target) bool { return sameHost(host, t.URL) })
	}
	if i < 0 {
		return target.Target{}, "", fail(NotFound, "https://HOST:PORT/PATH as at the gateway or the device, or NAME/PATH; postern target list shows those there are", "no target %q", host)
	}
	return list[i], uri, nil
}

// sameHost reports whether host, with or without a port, is that of base.
func sameHost(host, base string) bool {
	a, errA := url.Parse("https://" + host)
	b, errB := url.Parse(base)
	port := func(u *url.URL) string {
		if u.Port() == "" {
			return "443"
		}
		return u.Port()
	}
	return errA == nil && errB == nil && b.Host != "" && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}
