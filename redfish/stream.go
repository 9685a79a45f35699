package redfish

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/postern/postern/auth"
)

// ErrNoStream: the device offers no stream of server-sent events.
var ErrNoStream = errors.New("redfish: the device offers no event stream")

// StreamPath returns where the device's server-sent events are to be had
// (EventService.v1_1_0, ServerSentEventUri): ErrNoStream, auth.ErrNoSession.
func (d *Device) StreamPath(ctx context.Context, l auth.Login) (string, error) {
	root, err := d.discover(ctx)
	if err != nil {
		return "", fmt.Errorf("redfish: find event stream: %w", err)
	}
	if root.events == "" {
		return "", ErrNoStream
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	a, err := d.ask(ctx, d.shared, http.MethodGet, root.events, l, nil, maxListing)
	switch {
	case err != nil:
		return "", fmt.Errorf("redfish: find event stream: %w", clean(err, l))
	case a.status == http.StatusUnauthorized:
		return "", fmt.Errorf("redfish: find event stream: status %d: %w", a.status, auth.ErrNoSession)
	case a.status == http.StatusNotFound:
		return "", ErrNoStream
	case a.status != http.StatusOK:
		return "", fmt.Errorf("redfish: find event stream: %w", unexpected(a, l))
	}
	o, err := a.object()
	if err != nil {
		return "", fmt.Errorf("redfish: find event stream: %w", err)
	}
	path := resolve(o.text("ServerSentEventUri"))
	if path == "" {
		return "", ErrNoStream
	}
	return path, nil
}
