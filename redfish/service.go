package redfish

import (
	"net/http"
	"strings"
	"time"
)

// The bounds of both session timeouts, in seconds (SessionService.v1_2_0).
const (
	minTimeout = 30
	maxTimeout = 86400
)

// defaultLifetime is what AbsoluteSessionTimeoutEnabled switches on where no
// time comes with it.
const defaultLifetime = maxTimeout * time.Second

// maxServiceBody bounds the body of a PATCH of the SessionService.
const maxServiceBody = 16 << 10

// serviceResource is the wire form of the rules for sessions. Times outside of
// what a client could have set are shown as the nearest that it could.
func serviceResource(rules Rules) SessionService {
	s := SessionService{
		ODataID: sessionServiceURI, ODataType: sessionServiceType, ID: "SessionService", Name: "Session Service",
		ServiceEnabled: !rules.SessionsDisabled, SessionTimeout: timeout(rules.SessionIdle),
		AbsoluteSessionTimeoutEnabled: rules.SessionLifetime > 0,
		Sessions:                      Ref{sessionsURI}, Status: Status{State: "Enabled", Health: "OK"},
	}
	if rules.SessionLifetime > 0 {
		s.AbsoluteSessionTimeout = timeout(rules.SessionLifetime)
	}
	if rules.SessionsDisabled {
		s.Status.State = "Disabled"
	}
	return s
}

func timeout(d time.Duration) int64 {
	return min(max(int64(d/time.Second), minTimeout), maxTimeout)
}

// changeService answers a PATCH of the SessionService.
func (h *Handler) changeService(w http.ResponseWriter, r *http.Request) error {
	now := h.rules()
	if err := CheckMatch(r, etag(encode(serviceResource(now)))); err != nil {
		return err
	}
	b, err := ReadObject(w, r, maxServiceBody)
	if err != nil {
		return err
	}
	c := readSessionChange(b, now)
	if err := b.Err(); err != nil {
		return err
	}
	if m := strings.TrimSpace(strings.Join(r.Header.Values("If-Match"), ",")); m != "" && m != "*" {
		c.Version = now.Version
	}
	if err := h.cfg.SetSessions(r.Context(), c); err != nil {
		return err
	}
	body := encode(serviceResource(h.rules()))
	WriteResource(w, r, http.StatusOK, body, etag(body))
	return nil
}

// readSessionChange reads what a PATCH of the SessionService wants. The
// absolute timeout has no value of its own while it is not enabled: there it
// can be set only together with being enabled.
func readSessionChange(b *Body, now Rules) SessionChange {
	b.ReadOnly("Id", "Name", "Description", "Sessions", "Status")
	c := SessionChange{Enabled: b.Bool("ServiceEnabled")}
	if n := b.Int("SessionTimeout", minTimeout, maxTimeout); n != nil {
		c.Idle = inSeconds(*n)
	}
	lifetime := b.Int("AbsoluteSessionTimeout", minTimeout, maxTimeout)
	enabled := b.Bool("AbsoluteSessionTimeoutEnabled")
	on := now.SessionLifetime > 0
	if enabled != nil {
		on = *enabled
	}
	switch {
	case lifetime != nil && !on:
		b.Fail(keyPropertyValueConflict, "AbsoluteSessionTimeout", "AbsoluteSessionTimeout", "AbsoluteSessionTimeoutEnabled")
	case lifetime != nil:
		c.Lifetime = inSeconds(*lifetime)
	case on && now.SessionLifetime <= 0:
		d := defaultLifetime
		c.Lifetime = &d
	case !on && now.SessionLifetime > 0:
		c.Lifetime = new(time.Duration)
	}
	return c
}

func inSeconds(n int64) *time.Duration {
	d := time.Duration(n) * time.Second
	return &d
}
