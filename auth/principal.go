package auth

import "context"

// An AccountName is the name of a person or program known to Postern, or the
// name of an account at a device. Names are compared exactly.
type AccountName string

// A Role says what a principal may do; the policy gives it a meaning.
type Role string

// The built-in roles.
const (
	Administrator Role = "Administrator"
	Operator      Role = "Operator"
	ReadOnly      Role = "ReadOnly"
)

// A Principal is somebody whose attempt was accepted.
type Principal struct {
	Account   AccountName
	AccountID string // stable, never reused
	Role      Role
	SessionID string // empty where the request carried its own credentials

	// Privileges are those of the role at the time of the request.
	Privileges Privileges
	// MustChangePassword says that the account may do nothing but that.
	MustChangePassword bool
}

type principalKey struct{}
type requestIDKey struct{}

// WithPrincipal returns a context that carries p.
func WithPrincipal(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// PrincipalFrom returns the principal of a request, and whether there is one.
func PrincipalFrom(ctx context.Context) (Principal, bool) {
	p, ok := ctx.Value(principalKey{}).(Principal)
	return p, ok
}

// WithRequestID returns a context that carries the id which the log, the audit
// and the peer all see.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

// RequestID returns the id of the request, or "".
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}
