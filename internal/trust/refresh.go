package trust

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

// When a CRL is fetched again: after half of the time that it has left, within
// these bounds, so that a new revocation is known soon and there are several tries
// before the list ends. After a failure first after refreshMin, then doubling.
const (
	refreshMin = time.Minute
	refreshMax = 6 * time.Hour
	retryMax   = time.Hour
)

// Run refreshes the CRLs of CAs with a CRLURL until ctx ends, and returns nil then.
func (s *Service) Run(ctx context.Context) error {
	plan := map[string]*refresh{}
	for {
		wait := s.refreshDue(ctx, plan)
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-s.changed:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// A refresh is what Run knows of one CA's list.
type refresh struct {
	due   time.Time // zero = at once
	pause time.Duration
}

// refreshDue fetches what is due and returns how long nothing will be.
func (s *Service) refreshDue(ctx context.Context, plan map[string]*refresh) time.Duration {
	present := s.All()
	ids := make(map[string]bool, len(present))
	for _, ca := range present {
		if ca.CRLURL == "" || ctx.Err() != nil {
			continue
		}
		ids[ca.ID] = true
		r := plan[ca.ID]
		if r == nil {
			r = &refresh{due: firstRefresh(ca, s.c.Now())}
			plan[ca.ID] = r
		}
		if s.c.Now().Before(r.due) {
			continue
		}
		err := s.FetchCRL(ctx, ca.ID)
		if err != nil && ctx.Err() == nil {
			s.c.Log.LogAttrs(ctx, slog.LevelWarn, "certificate revocation list not refreshed",
				slog.String("ca", ca.ID), slog.String("url", ca.CRLURL), slog.Any("error", err))
		}
		ca, _ = s.CA(ca.ID) // with the list that was fetched
		r.next(ca, err, s.c.Now())
	}
	wait, now := refreshMax, s.c.Now()
	for id, r := range plan {
		if !ids[id] {
			delete(plan, id)
			continue
		}
		wait = min(wait, max(0, r.due.Sub(now)))
	}
	return wait
}

// firstRefresh: a list that was just fetched need not be fetched again; one that
// is older, or was read at start, is.
func firstRefresh(ca CA, now time.Time) time.Time {
	if ca.CRL != nil && now.Sub(ca.Created) < refreshMin {
		return now.Add(untilRefresh(ca, now))
	}
	return time.Time{}
}

func (r *refresh) next(ca CA, err error, now time.Time) {
	if err != nil {
		r.pause = min(max(2*r.pause, refreshMin), retryMax)
		r.due = now.Add(r.pause)
		return
	}
	r.pause, r.due = 0, now.Add(untilRefresh(ca, now))
}

func untilRefresh(ca CA, now time.Time) time.Duration {
	if ca.CRL == nil || ca.CRL.NextUpdate.IsZero() {
		return refreshMax
	}
	return min(max(ca.CRL.NextUpdate.Sub(now)/2, refreshMin), refreshMax)
}

// FetchCRL fetches the list of a CA with a CRLURL now: ErrNotFound, ErrFetch, and
// what SetCRL refuses with. The one there stays where that fails.
func (s *Service) FetchCRL(ctx context.Context, id string) error {
	a := s.set.Load().find(id)
	if a == nil || a.ca.CRLURL == "" {
		return fmt.Errorf("trust: fetch the list of the CA %.40s: %w", id, ErrNotFound)
	}
	l, der, err := s.fetchList(ctx, a)
	if err == nil {
		err = s.setList(ctx, id, l, der)
	}
	if err != nil {
		return fmt.Errorf("trust: fetch the list of the CA %.40s: %w", id, err)
	}
	return nil
}

func (s *Service) fetchList(ctx context.Context, a *authority) (*list, []byte, error) {
	if s.c.Fetch == nil {
		return nil, nil, ErrFetch
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	text, err := s.c.Fetch(ctx, "GET", a.ca.CRLURL, "", nil)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrFetch, err)
	}
	return s.readList(text, a)
}

func (s *Service) readList(text []byte, a *authority) (*list, []byte, error) {
	l, der, err := newList(text, a.ca.Certificate)
	if err == nil {
		err = l.checkNow(s.c.Now())
	}
	return l, der, err
}

// SetCRL gives a CA its list (PEM or DER), which must be signed by it, within its
// time and not older than the one there: ErrNotFound, ErrBadCRL, ErrOlderCRL,
// ErrPrivateKey.
func (s *Service) SetCRL(ctx context.Context, id string, text []byte) error {
	a, err := s.set.Load().find(id), ErrNotFound
	if a != nil {
		var l *list
		var der []byte
		if l, der, err = s.readList(text, a); err == nil {
			err = s.setList(ctx, id, l, der)
		}
	}
	if err != nil {
		return fmt.Errorf("trust: set the list of the CA %.40s: %w", id, err)
	}
	return nil
}

// RemoveCRL takes the list of a CA away, with which certificates of one without a
// CRLURL pass unlooked at: ErrNotFound.
func (s *Service) RemoveCRL(ctx context.Context, id string) error {
	if err := s.setList(ctx, id, nil, nil); err != nil {
		return fmt.Errorf("trust: remove the list of the CA %.40s: %w", id, err)
	}
	return nil
}

func (s *Service) setList(ctx context.Context, id string, l *list, der []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.set.Load().find(id)
	switch {
	case a == nil:
		return ErrNotFound
	case l != nil && a.list != nil && l.sum == a.list.sum:
		return nil // the same again
	case l != nil && a.list != nil && l.olderThan(a.list):
		return fmt.Errorf("%w: that is number %s of %s", ErrOlderCRL, a.list.info.Number, a.list.info.ThisUpdate.Format(time.RFC3339))
	}
	if err := s.c.Store.SetCRL(ctx, id, der, s.c.Now()); err != nil {
		return err
	}
	s.replace(s.set.Load().with(a.withList(l)))
	return nil
}
