package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/saved"
)

// A Streamer is a Device whose notifications come as server-sent events.
type Streamer interface {
	// StreamPath returns where they are to be had.
	StreamPath(ctx context.Context, l auth.Login) (string, error)
}

// ErrNoStream: there is no listening to devices of the family.
var ErrNoStream = errors.New("the family has no event stream that can be followed")

// A Notification is one event of a device, or the news that some may be missing.
type Notification struct {
	ID   string
	Data []byte
	// Gap: the stream was lost and is there again. What the device did not keep
	// from in between is missing.
	Gap bool
	// Lost is since when, for a gap.
	Lost time.Time
}

// The pauses between two tries to get a lost stream back.
const (
	firstPause = time.Second
	lastPause  = 30 * time.Second
)

// Listen follows the notifications of t until ctx ends or tell returns an error,
// which it returns, or the device refuses password or certificate. A stream that is lost is opened again, from where it was
// where the device can do that, and the gap is told. after is the id of the last
// event that the caller has seen; "" = none. An error of the first try ends it.
func (c *Client) Listen(ctx context.Context, t Target, after string, tell func(Notification) error) error {
	pause, connected := firstPause, false
	var lost time.Time
	for {
		resp, err := c.stream(ctx, t, after)
		if err == nil {
			if connected {
				if err := tell(Notification{Gap: true, Lost: lost, ID: after}); err != nil {
					resp.Body.Close()
					return err
				}
			}
			connected, pause = true, firstPause
			events := newEventReader(resp.Body)
			events.id = after
			err = follow(events, tell)
			resp.Body.Close()
			after = events.id
			if told, ok := errors.AsType[*toldError](err); ok {
				return told.err
			}
			pause, lost = max(pause, events.retry), c.now()
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case !connected || t.final(err):
			return err
		}
		select {
		case <-time.After(min(pause, lastPause)):
		case <-ctx.Done():
			return nil
		}
		pause *= 2
	}
}

// final reports whether another try could only do harm.
func (t Target) final(err error) bool {
	if le, ok := errors.AsType[*auth.LoginError](err); ok && le.Outcome == auth.Refused {
		return true
	}
	if _, ok := errors.AsType[*RefusedError](err); ok {
		return true
	}
	return t.Untrusted != nil && t.Untrusted(err)
}

// A toldError is one of whoever is told of events.
type toldError struct{ err error }

func (e *toldError) Error() string { return e.err.Error() }

func follow(events *eventReader, tell func(Notification) error) error {
	for {
		data, err := events.next()
		if err != nil {
			return err
		}
		if err := tell(Notification{ID: events.id, Data: data}); err != nil {
			return &toldError{err}
		}
	}
}

// stream opens the event stream.
func (c *Client) stream(ctx context.Context, t Target, after string) (*http.Response, error) {
	s, ok := t.Device.(Streamer)
	if !ok {
		return nil, ErrNoStream
	}
	var path string
	err := c.with(ctx, t, func(l saved.Login) (err error) {
		path, err = s.StreamPath(ctx, l.Login)
		return err
	})
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, t.URL+path, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "text/event-stream")
	r.Header.Set("Cache-Control", "no-store")
	if after != "" {
		r.Header.Set("Last-Event-ID", after)
	}
	resp, err := c.Do(ctx, t, r)
	if err != nil {
		return nil, err
	}
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if resp.StatusCode != http.StatusOK || media != "text/event-stream" {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, maxDrained))
		resp.Body.Close()
		return nil, fmt.Errorf("the device gives no event stream: %s %s", resp.Status, t.Says(body))
	}
	return resp, nil
}
