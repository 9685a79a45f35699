package sim

import "context"

// A note is what the parts of a device learn about one request on its way in,
// for the journal and the faults on its way out. It belongs to the request's
// goroutine.
type note struct {
	event         string // of the journal, where the authority knows it
	user          string
	session       string
	full          bool // refused because no slot is free
	logoutRefused bool // by the fault

	gone <-chan struct{} // closed when the client hangs up; nil: nobody knows
}

type noteKey struct{}

func withNote(ctx context.Context, n *note) context.Context {
	return context.WithValue(ctx, noteKey{}, n)
}

// noteFrom never returns nil, so that the authority also works without a request.
func noteFrom(ctx context.Context) *note {
	if n, ok := ctx.Value(noteKey{}).(*note); ok {
		return n
	}
	return new(note)
}
