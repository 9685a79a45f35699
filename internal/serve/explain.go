package serve

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/admin"
	"github.com/postern/postern/internal/gateway"
	"github.com/postern/postern/internal/policy"
	"github.com/postern/postern/internal/target"
)

// Explain implements admin.Server.
func (s *server) Explain(_ context.Context, who auth.Principal, t target.Target, q admin.ExplainRequest, uri string) (admin.Explanation, error) {
	e, err := s.explain(s.policy.Policy(), who, t, q, uri)
	e.Live = true
	return e, err
}

// Explain implements admin.Server: by the store, and the rules that are given.
func (n noServer) Explain(_ context.Context, who auth.Principal, t target.Target, q admin.ExplainRequest, uri string) (admin.Explanation, error) {
	builtin, err := policy.New(nil)
	if err != nil {
		return admin.Explanation{}, err
	}
	e, err := n.explain(builtin, who, t, q, uri)
	if q.Rules == nil && (e.Kind == kindRead.name || e.Kind == kindEffect.name) {
		e.Notes = append(e.Notes, "no server runs, so only the built-in rules were asked; --config FILE adds those of a file")
	}
	return e, err
}

// explain asks the same code that carries calls.
func (c *core) explain(rules *policy.Policy, who auth.Principal, t target.Target, q admin.ExplainRequest, uri string) (admin.Explanation, error) {
	if q.Rules != nil {
		var err error
		if rules, err = policy.New(*q.Rules); err != nil {
			return admin.Explanation{}, &admin.Error{Code: admin.Invalid, Field: "rules", Message: err.Error()}
		}
	}
	_, dev, err := connect(t, nil, c.now, c.log)
	if err != nil {
		return admin.Explanation{}, err
	}
	ask := gateway.Question{Family: dev.gateway, Policy: rules, Target: t.Name, Who: who, Method: q.Method, URI: uri, Body: q.Body}
	v, err := gateway.Explain(ask)
	if err != nil {
		return admin.Explanation{}, &admin.Error{Code: admin.Invalid, Message: sentenceOf(err)}
	}
	e := admin.Explanation{Method: q.Method, Path: v.Path, Reach: v.Reach, Members: v.Members}
	if isOwnAccount(v.Path, who) {
		v.Kind = gateway.Ours
	}
	kind := explained[v.Kind]
	e.Kind = kind.name
	kind.fill(&e, v, dev.gateway)
	return e, nil
}

// A kind is how calls of one kind are explained.
type kind struct {
	name string
	fill func(e *admin.Explanation, v gateway.Verdict, f gateway.Family)
}

var (
	kindRead   = kind{"read", judged}
	kindEffect = kind{"effect", judged}
)

var explained = map[gateway.Kind]kind{
	gateway.Open: {"open", func(e *admin.Explanation, _ gateway.Verdict, _ gateway.Family) {
		e.Allowed, e.Summary = true, "allowed: everybody may see it, without credentials"
		e.Notes = append(e.Notes, "it is fetched without a login at the device, and kept for 10 seconds")
	}},
	gateway.Ours: {"ours", func(e *admin.Explanation, _ gateway.Verdict, _ gateway.Family) {
		e.Allowed, e.Summary = true, "Postern answers it itself: no rule is asked, and the device does not hear of it"
	}},
	gateway.Denied: {"denied", func(e *admin.Explanation, v gateway.Verdict, f gateway.Family) {
		e.Status = statusOf(f, v.Err, http.StatusForbidden)
		e.Summary = fmt.Sprintf("denied with %d, whatever the rules say: %s", e.Status, sentenceOf(v.Err))
	}},
	gateway.Refused: {"refused", func(e *admin.Explanation, v gateway.Verdict, f gateway.Family) {
		e.Status = statusOf(f, v.Err, http.StatusBadRequest)
		e.Summary = fmt.Sprintf("refused with %d, before any rule: %s", e.Status, sentenceOf(v.Err))
	}},
	gateway.Read:   kindRead,
	gateway.Effect: kindEffect,
}

// judged is what the rules say.
func judged(e *admin.Explanation, v gateway.Verdict, f gateway.Family) {
	if v.BodyErr != nil {
		e.Status = statusOf(f, v.BodyErr, http.StatusBadRequest)
		e.Summary = fmt.Sprintf("refused with %d: the rule %q must see the body: %s", e.Status, v.Reason.Rule, sentenceOf(v.BodyErr))
		return
	}
	r := v.Reason
	e.Allowed, e.NeedsBody = r.Allow, r.NeedsBody
	if r.Decided.Name != "" {
		e.Rule = &admin.ExplainedRule{Name: r.Decided.Name, Own: r.Own, Place: r.Place, Says: r.Decided.String()}
	}
	for _, n := range r.Near {
		e.Near = append(e.Near, admin.ExplainedRule{Name: n.Rule.Name, Own: n.Own, Says: n.Rule.String(), Miss: n.Miss})
	}
	switch {
	case r.NeedsBody:
		e.Summary = fmt.Sprintf("it depends on the body: the rule %q looks at its members", r.Rule)
		e.Notes = append(e.Notes, "give the body with -d")
	case r.Allow:
		e.Summary = fmt.Sprintf("allowed by the rule %q", r.Rule)
	case e.Rule == nil:
		e.Status, e.Summary = http.StatusForbidden, "denied: no rule allows this call"
	default:
		e.Status, e.Summary = http.StatusForbidden, fmt.Sprintf("denied by the rule %q", r.Rule)
	}
	if !r.Allow && !r.NeedsBody {
		return
	}
	e.Lease = &admin.ExplainedLease{}
	if v.Kind == gateway.Effect {
		e.Notes = append(e.Notes, "it is on record, on stable storage, before it is sent")
	}
	if v.Reach > 0 {
		e.Notes = append(e.Notes, fmt.Sprintf("the answer may show %d levels below the path, and all of that was judged", v.Reach))
	}
}

// sentenceOf is an error for a person, without the status that a family puts first.
func sentenceOf(err error) string {
	if err == nil {
		return "the request line can be read in two ways: send the path as the service writes it"
	}
	text := strings.TrimPrefix(err.Error(), "gateway: ")
	if status, rest, ok := strings.Cut(text, " "); ok && len(status) == 3 && strings.Trim(status, "0123456789") == "" {
		text = rest
	}
	return strings.TrimSuffix(text, ".")
}

// statusOf is the status that a family gives an error.
func statusOf(f gateway.Family, err error, usual int) int {
	if err == nil {
		return usual
	}
	w := &kept{header: http.Header{}}
	f.WriteError(w, &http.Request{Method: http.MethodGet, Header: http.Header{}}, err)
	return w.status
}
