package gateway

import (
	"bufio"
	"fmt"
	"net/http"
	"strings"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/policy"
)

// A Question is a call that nobody makes.
type Question struct {
	Family Family
	Policy *policy.Policy
	Target string
	Who    auth.Principal
	Method string
	URI    string // path and query as a client sends them
	Body   []byte // nil = not given
}

// A Verdict is what would become of the call.
type Verdict struct {
	Call  // of the family
	Allow bool
	// Reason is that of the rules, where they are asked: Kind is Read, Effect or Open.
	Reason policy.Explanation
	// Members are what the rules saw of the body; nil where they did not ask.
	Members []string
	// BodyErr is why the body would be refused before the rules see it.
	BodyErr error
}

// Explain decides a call as Handler does, by the same steps, and sends nothing.
// The error says that no server would take the request line.
func Explain(q Question) (Verdict, error) {
	if strings.ContainsAny(q.Method+q.URI, " \r\n\t") || !strings.HasPrefix(q.URI, "/") {
		return Verdict{}, fmt.Errorf("%s %q is no request line", q.Method, q.URI)
	}
	line := q.Method + " " + q.URI + " HTTP/1.1\r\nHost: postern\r\n\r\n"
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(line)))
	if err != nil {
		return Verdict{}, fmt.Errorf("%s %q is no request line: %w", q.Method, q.URI, err)
	}
	var v Verdict
	_, v.Call = classify(q.Family, r)
	if v.Kind != Read && v.Kind != Effect && v.Kind != Open {
		return v, nil
	}
	c := policy.Call{Principal: q.Who, Target: q.Target, Method: q.Method, Path: v.Path, Reach: v.Reach}
	v.Reason = q.Policy.Explain(c)
	if v.Reason.NeedsBody && q.Body != nil {
		if len(q.Body) > maxJudged {
			v.BodyErr = errTooLarge
			return v, nil
		}
		if v.Members, v.BodyErr = q.Family.BodyMembers(q.Body); v.BodyErr != nil {
			return v, nil
		}
		c.Body = make(map[string]bool, len(v.Members))
		for _, name := range v.Members {
			c.Body[name] = true
		}
		v.Reason = q.Policy.Explain(c)
	}
	v.Allow = v.Reason.Allow
	return v, nil
}
