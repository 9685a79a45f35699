package sim

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"

	"github.com/postern/postern/auth"
)

// Bounds of one delivery: a listener that does not take an event in this time
// is as good as one that is not there.
const (
	pushTimeout   = 10 * time.Second
	maxPushAnswer = 4 << 10     // read of an answer, so that its connection ends in order
	maxPushHeader = 16 << 10    // of its headers
	maxBackoff    = 1 << 5      // times the interval
	maxPushWait   = time.Hour   // between two attempts
	maxRetries    = 100         // DeliveryRetryAttempts
	minPushWait   = time.Second // the same, where there is no last one
)

// A destination is where events are pushed to.
type destination struct {
	url     string
	policy  string
	verify  bool // its certificate
	near    bool // addresses of this host alone are fine too
	headers []pushHeader
}

// A pushHeader is sent with each event. Its value is often a credential: it is
// never shown again.
type pushHeader struct {
	name  string
	value auth.Secret
}

// parseDestination reads where to push to, nil for what cannot be.
func parseDestination(text string) *url.URL {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil || u.Fragment != "" || u.Opaque != "" {
		return nil
	}
	return u
}

// client returns what pushes to d. It keeps no connections and follows nothing:
// an event goes where the subscriber said, or nowhere.
func (d *destination) client() *http.Client {
	return &http.Client{
		Timeout:       pushTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:            (&net.Dialer{Timeout: pushTimeout, Control: d.control}).DialContext,
			TLSClientConfig:        &tls.Config{InsecureSkipVerify: !d.verify},
			DisableKeepAlives:      true,
			MaxResponseHeaderBytes: maxPushHeader,
		},
	}
}

// control looks at an address before anything is sent to it. Who subscribes
// from elsewhere has no business with what listens on this host alone, or with
// the link-local services of where it runs.
func (d *destination) control(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	ip := at.Addr().Unmap()
	if !d.near && (ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsUnspecified() || ip.IsMulticast()) {
		return fmt.Errorf("%s is this host's alone", ip)
	}
	return nil
}

// isNear reports whether a request comes from this host.
func isNear(r *http.Request) bool {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && at.Addr().Unmap().IsLoopback()
}

// post sends one event. Every answer of the 200s means that it was taken.
func (d *destination) post(ctx context.Context, body []byte) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", mediaJSON)
	r.Header["OData-Version"] = []string{"4.0"}
	for _, h := range d.headers {
		r.Header.Add(h.name, h.value.Reveal())
	}
	resp, err := d.client().Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	io.CopyN(io.Discard, resp.Body, maxPushAnswer) // what it says does not matter
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}

// deliver pushes what is in a subscription's queue, one after the other, and
// returns when it is empty or the subscription has ended, as ctx does.
func (e *events) deliver(ctx context.Context, s *subscription) {
	for ev := e.next(s); ev != nil; ev = e.next(s) {
		if !e.attempts(ctx, s, e.payload(s, ev)) {
			e.giveUp(s)
		}
	}
}

// attempts pushes one event until it is taken; false when the subscription's
// policy says that it is enough, or the subscription has ended.
func (e *events) attempts(ctx context.Context, s *subscription, body []byte) bool {
	backoff := time.Duration(1)
	for n := 0; ; n++ {
		to := e.destinationOf(s)
		err := to.post(ctx, body)
		if err == nil {
			return true
		}
		set := e.settings()
		forever := to.policy == retryForever || to.policy == retryForeverWithBackoff
		if ctx.Err() != nil || n >= set.retries && !forever {
			e.log.LogAttrs(ctx, slog.LevelDebug, "event not delivered", slog.String("subscription", s.id), slog.Any("error", withoutURL(err)))
			return false
		}
		wait := min(set.interval*backoff, maxPushWait)
		if forever {
			wait = max(wait, minPushWait)
		}
		if to.policy == retryForeverWithBackoff {
			backoff = min(backoff*2, maxBackoff)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
		case <-timer.C:
		}
	}
}

// withoutURL takes the destination out of an error: its query may be a secret.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// giveUp does what the policy says of a destination that takes nothing.
func (e *events) giveUp(s *subscription) {
	if e.destinationOf(s).policy == suspendRetries {
		e.suspend(s, true)
		return
	}
	e.remove(s)
}
