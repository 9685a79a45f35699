package wiretest

import (
	"errors"
	"fmt"
	"sync"
)

// A Recorder stands between a client, which talks to Wire, and a server. It is
// safe for concurrent use; exchanges are written as they end.
type Recorder struct {
	server Wire

	mu        sync.Mutex // guards what follows
	masks     *masks
	exchanges []Exchange
	err       error
}

// NewRecorder returns a Recorder in front of server.
func NewRecorder(server Wire, drawn ...Drawn) *Recorder {
	return &Recorder{server: server, masks: newMasks(drawn)}
}

// Wire is what the client talks to. The server gets what the client sent, byte
// for byte, and the client what the server answered.
func (r *Recorder) Wire(by, request string) (string, error) {
	answer, err := r.server(by, request)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		err = errors.Join(r.masks.learn(request), r.masks.learn(answer))
	}
	if err != nil {
		r.err = errors.Join(r.err, err)
		return "", err
	}
	r.exchanges = append(r.exchanges, Exchange{by, r.masks.mask(request), r.masks.mask(answer)})
	return answer, nil
}

// Transcript returns what was said so far.
func (r *Recorder) Transcript() (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return "", r.err
	}
	return Format(r.exchanges)
}

// A Replayer plays the server of a transcript to a client, which talks to Wire.
// It is safe for concurrent use.
type Replayer struct {
	mu    sync.Mutex // guards what follows
	masks *masks
	left  []Exchange
	n     int
	err   error
}

// NewReplayer returns a Replayer. drawn is what the transcript was recorded with.
func NewReplayer(all []Exchange, drawn ...Drawn) *Replayer {
	return &Replayer{masks: newMasks(drawn), left: all}
}

// Wire is what the client talks to. A request other than the next of the
// transcript is an error, and so is every one from then on.
func (r *Replayer) Wire(by, request string) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = r.masks.learn(request)
	}
	got := r.masks.mask(request)
	switch {
	case r.err != nil:
	case len(r.left) == 0:
		r.err = fmt.Errorf("transcript: after its last exchange, %d, comes\n%s", r.n, got)
	case r.left[0].By != by:
		r.err = fmt.Errorf("transcript: request %d comes over connection %q, want %q", r.n+1, by, r.left[0].By)
	case r.left[0].Request != got:
		r.err = fmt.Errorf("transcript: request %d is\n%s\nwant\n%s", r.n+1, got, r.left[0].Request)
	}
	if r.err != nil {
		return "", r.err
	}
	answer := r.left[0].Answer
	r.left, r.n = r.left[1:], r.n+1
	if r.err = r.masks.learn(answer); r.err != nil {
		return "", r.err
	}
	return r.masks.reveal(answer), nil
}

// Done says what the client did other than the recorded one, or left out.
func (r *Replayer) Done() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil && len(r.left) > 0 {
		return fmt.Errorf("transcript: %d requests were sent, want %d", r.n, r.n+len(r.left))
	}
	return r.err
}

// Play plays the client of a transcript to a server, and says every answer that
// is not the recorded one.
func Play(server Wire, all []Exchange, drawn ...Drawn) error {
	m := newMasks(drawn)
	var errs []error
	for i, x := range all {
		if err := m.learn(x.Request); err != nil {
			return err
		}
		answer, err := server(x.By, m.reveal(x.Request))
		if err == nil {
			err = m.learn(answer)
		}
		if err != nil {
			return errors.Join(append(errs, fmt.Errorf("exchange %d: %w", i+1, err))...)
		}
		if got := m.mask(answer); got != x.Answer {
			errs = append(errs, fmt.Errorf("request %d\n%s\nis answered\n%s\nwant\n%s", i+1, x.Request, got, x.Answer))
		}
	}
	return errors.Join(errs...)
}
