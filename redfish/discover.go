package redfish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/postern/postern/auth"
)

// A rootView is what a device's service root tells about logins.
type rootView struct {
	known    bool   // false: the root wants credentials or cannot be understood
	service  string // path of the SessionService; "" = not named
	sessions string // path of the session collection; "" = not named
	events   string // path of the EventService; "" = not named
	links    []string
	context  bool   // sessions keep a Context
	profile  string // that the root shows; "" = none of ours
	old      bool   // an iLO before Redfish
}

// notReadyError says that the root says so: no login is worth sending.
type notReadyError struct {
	status int
	retry  time.Duration
	err    error
}

func (e *notReadyError) Error() string { return fmt.Sprintf("service root: %v", e.err) }
func (e *notReadyError) Unwrap() error { return e.err }

// discover reads the service root, without credentials. A root that wants
// credentials (observed: iDRAC 7 and 8) or is not JSON that can be read in one
// way (observed: quotes inside @odata.etag, python-redfish-library#107) gives
// a view that knows nothing; the default URIs may still do.
func (d *Device) discover(ctx context.Context) (rootView, error) {
	ctx, cancel := context.WithTimeout(ctx, rootTimeout)
	defer cancel()
	a, err := d.ask(ctx, d.shared, http.MethodGet, rootURI, auth.Login{}, nil, maxRoot)
	if err == nil && a.status/100 == 3 && redirectPath(a.header, d.base)+"/" == rootURI {
		a, err = d.ask(ctx, d.shared, http.MethodGet, strings.TrimSuffix(rootURI, "/"), auth.Login{}, nil, maxRoot)
	}
	switch {
	case err != nil:
		return rootView{}, &notReadyError{err: err}
	case a.status == http.StatusUnauthorized, a.status == http.StatusForbidden:
		return rootView{}, nil
	case a.status != http.StatusOK:
		return rootView{}, &notReadyError{status: a.status, retry: d.retryAfter(a.header), err: unexpected(a, auth.Login{})}
	}
	o, err := a.object()
	if err != nil {
		d.log.WarnContext(ctx, "service root of a device cannot be read", "device", d.base, "error", err)
		return rootView{}, nil
	}
	v := viewRoot(o, d.profile)
	if v.old {
		return rootView{}, &notReadyError{err: errOldILO}
	}
	d.found(v.profile)
	return v, nil
}

// Look reads the service root, which tells DeviceConfig.Found what it shows. It
// sends no credentials.
func (d *Device) Look(ctx context.Context) error {
	if _, err := d.discover(ctx); err != nil {
		return fmt.Errorf("redfish: %w", err)
	}
	return nil
}

var errOldILO = errors.New("an iLO 4 or older speaks an interface from before Redfish, which is not supported")

// as returns the profile to speak to the device in: the configured one, or the
// one that its root shows.
func (d *Device) as(root rootView) Profile {
	if d.profile.Name != "" || root.profile == "" {
		return d.profile
	}
	p, err := FindProfile(root.profile)
	if err != nil {
		return d.profile
	}
	return p
}

// viewRoot reads a root that is a JSON object.
func viewRoot(o object, p Profile) rootView {
	v := rootView{
		known:    true,
		service:  resolve(o.sub("SessionService").text("@odata.id")),
		sessions: resolve(o.sub("Links").sub("Sessions").text("@odata.id")),
		events:   resolve(o.sub("EventService").text("@odata.id")),
		context:  p.KeepsContext || atLeast(o.text("RedfishVersion"), 1, 16),
	}
	v.profile = foundIn(o)
	v.old = isOldILO(o)
	for _, name := range []string{"Systems", "Chassis", "Managers"} {
		v.addLink(o.sub(name).text("@odata.id"))
	}
	for _, m := range o.members {
		v.addLink(o.sub(m.name).text("@odata.id"))
	}
	return v
}

// maxLinks is how many resources are tried for a check of a Basic login.
const maxLinks = 3

func (v *rootView) addLink(id string) {
	path := resolve(id)
	if path == "" || len(v.links) == maxLinks || strings.Contains(path, "?") || strings.TrimSuffix(path, "/") == strings.TrimSuffix(rootURI, "/") {
		return
	}
	for _, l := range v.links {
		if l == path {
			return
		}
	}
	v.links = append(v.links, path)
}

// protected returns the resources that a Basic login is checked on, at least
// one. A root that wants credentials is one itself.
func (v rootView) protected() []string {
	switch {
	case !v.known:
		return []string{rootURI}
	case len(v.links) == 0:
		return []string{rootURI + "Systems"}
	}
	return v.links
}

// collections returns where a login may be posted, in order.
func (v rootView) collections() []string {
	switch {
	case v.sessions != "":
		return []string{v.sessions}
	case v.service != "":
		return []string{strings.TrimSuffix(v.service, "/") + "/Sessions"}
	}
	return []string{sessionsURI, oldSessionsURI}
}

// basicOnly reports whether the root says that there are no sessions.
// observed: sushy-tools 2.2.0, which answers a login POST with 401 although
// the password is right.
func (v rootView) basicOnly() bool { return v.known && v.service == "" && v.sessions == "" }

// atLeast compares a version with major.minor. The root of a service shows
// which DSP0266 it follows; Session v1_5_0, which has Context, came with the
// bundle of the same year as DSP0266 1.16 (inferred).
func atLeast(version string, major, minor int) bool {
	parts := strings.Split(version, ".")
	if len(parts) < 2 {
		return false
	}
	a, err1 := strconv.Atoi(parts[0])
	b, err2 := strconv.Atoi(parts[1])
	return err1 == nil && err2 == nil && (a > major || a == major && b >= minor)
}

// seconds returns a member that is a number of seconds, within reason.
func (o object) seconds(name string) time.Duration {
	var n json.Number
	if raw := o.get(name); raw == nil || raw[0] == '"' || json.Unmarshal(raw, &n) != nil {
		return 0
	}
	f, err := n.Float64()
	const year = 365 * 24 * 3600
	if err != nil || f <= 0 || f > year {
		return 0
	}
	return time.Duration(f * float64(time.Second))
}

// retryAfter reads what a device asks for, in either form, within reason.
func (d *Device) retryAfter(h http.Header) time.Duration {
	v := h.Get("Retry-After")
	if n, err := strconv.ParseInt(v, 10, 64); err == nil {
		return min(max(time.Duration(n), 0), maxRetryAfter/time.Second) * time.Second
	}
	if t, err := http.ParseTime(v); err == nil {
		return min(max(t.Sub(d.now()), 0), maxRetryAfter)
	}
	return 0
}
