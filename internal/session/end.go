package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/account"
	"github.com/postern/postern/internal/audit"
)

// End ends a session because by asked for it. It is recorded, then committed, then
// returned; the caller's cancel cuts off none of these. Errors: auth.ErrNoSession,
// auth.ErrUnavailable (audit or store failed; the session lives on, as far as
// anybody knows). Of several at the same time one succeeds.
func (t *Table) End(ctx context.Context, id string, by auth.Principal) error {
	e := t.byID(id)
	if e == nil {
		return auth.ErrNoSession
	}
	e.end.Lock()
	defer e.end.Unlock()
	now := t.cfg.Now()
	if e.ended || e.over(now.UnixNano()) != "" {
		return auth.ErrNoSession
	}
	ctx = context.WithoutCancel(ctx)
	r := endRecord(e, "logout")
	r.RequestID = auth.RequestID(ctx)
	if by.SessionID != id {
		r.Detail = "by " + string(by.Account)
	}
	if err := t.cfg.Audit.Append(ctx, r); err != nil {
		return fmt.Errorf("session: %w: audit: %w", auth.ErrUnavailable, err)
	}
	if err := t.cfg.Store.DeleteSessions(ctx, []string{id}, now); err != nil {
		r.Outcome, r.Detail = audit.OutcomeNotDone, "the store failed"
		t.later(ending{record: r})
		return fmt.Errorf("session: %w: end: %w", auth.ErrUnavailable, err)
	}
	e.ended = true
	t.remove(e)
	return nil
}

// Refresh tells the table that an account was changed or deleted, after that and
// the end of its sessions are on stable storage (account.Store). The sessions made
// before the change are dropped, except keep; the others go on in the new state.
// A change that ends no sessions (account.Account.SessionVersion) drops none.
func (t *Table) Refresh(a account.Account, keep string) {
	if !a.Enabled {
		keep = ""
	}
	now := state{role: a.Role, mustChange: a.MustChangePassword, version: a.Version}
	t.admit.Lock()
	gone := t.drop(a.ID, now, a.SessionVersion == a.Version, keep)
	t.admit.Unlock()
	for _, e := range gone {
		t.later(ending{record: endRecord(e, "account changed")})
	}
}

// reap ends in memory what has expired.
func (t *Table) reap(now time.Time) {
	over, why := t.dropOver(now.UnixNano())
	for i, e := range over {
		t.later(ending{id: e.id, record: endRecord(e, why[i])})
	}
}

// An ending is the rest of the work when a session is over in memory.
type ending struct {
	id     string       // of the row to be deleted; "" = none
	record audit.Record // to be appended before; no event = none
}

func (t *Table) later(e ending) {
	t.endMu.Lock()
	t.endings = append(t.endings, e)
	t.endMu.Unlock()
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// maxEndings bounds the endings that wait while store or audit fail: more than all
// sessions of a few listeners. Beyond it no session is made.
const maxEndings = 100_000

func (t *Table) behind() bool {
	t.endMu.Lock()
	defer t.endMu.Unlock()
	return len(t.endings) >= maxEndings
}

// chunk bounds the rows of one transaction, about 20 ms, so that a login never
// waits long for the one connection that writes.
const chunk = 500

// sweep ends what has expired, in memory, in the audit and in the store. When it
// returns nil no row is left of what was over before the call.
func (t *Table) sweep(ctx context.Context, now time.Time) error {
	t.reap(now)
	return t.drain(ctx, now)
}

// drain records and deletes what is over in memory.
func (t *Table) drain(ctx context.Context, now time.Time) error {
	t.settling.Lock()
	defer t.settling.Unlock()
	for {
		batch := t.takeEndings()
		if len(batch) == 0 {
			return nil
		}
		if err := t.settle(ctx, batch, now); err != nil {
			t.endMu.Lock()
			t.endings = append(batch, t.endings...)
			t.endMu.Unlock()
			return err
		}
	}
}

func (t *Table) takeEndings() []ending {
	t.endMu.Lock()
	defer t.endMu.Unlock()
	n := min(len(t.endings), chunk)
	batch := t.endings[:n:n]
	t.endings = t.endings[n:]
	return batch
}

// settle records endings, all at once so that they share a sync, and then deletes
// their rows. On an error it may be called again with the same batch.
func (t *Table) settle(ctx context.Context, batch []ending, now time.Time) error {
	var all sync.WaitGroup
	errs := make([]error, len(batch))
	var ids []string
	for i := range batch {
		e := &batch[i]
		if e.id != "" {
			ids = append(ids, e.id)
		}
		if e.record.Event != "" {
			all.Go(func() {
				if errs[i] = t.cfg.Audit.Append(ctx, e.record); errs[i] == nil {
					e.record = audit.Record{}
				}
			})
		}
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("session: record ends: %w", err)
	}
	if len(ids) == 0 {
		return nil
	}
	if err := t.cfg.Store.DeleteSessions(ctx, ids, now); err != nil {
		return fmt.Errorf("session: delete rows: %w", err)
	}
	return nil
}

// Flush brings the times of last use to the store and ends what has expired.
func (t *Table) Flush(ctx context.Context) error {
	return errors.Join(t.flushUses(ctx, t.cfg.Now()), t.sweep(ctx, t.cfg.Now()))
}

func (t *Table) flushUses(ctx context.Context, now time.Time) error {
	t.flush.Lock()
	defer t.flush.Unlock()
	for i := range t.shards {
		if err := t.flushShard(ctx, &t.shards[i], now); err != nil {
			return fmt.Errorf("session: store times of use: %w", err)
		}
	}
	return nil
}

func (t *Table) flushShard(ctx context.Context, sh *shard, now time.Time) error {
	var dirty []*entry
	var touches []Touch
	sh.mu.RLock()
	for _, e := range sh.entries {
		if used := e.used.Load(); used != e.stored {
			dirty = append(dirty, e)
			touches = append(touches, Touch{ID: e.id, Used: time.Unix(0, used)})
		}
	}
	sh.mu.RUnlock()
	for len(touches) > 0 {
		n := min(len(touches), chunk)
		if err := t.cfg.Store.TouchSessions(ctx, touches[:n], now); err != nil {
			return err
		}
		for i := range n {
			dirty[i].stored = touches[i].Used.UnixNano()
		}
		dirty, touches = dirty[n:], touches[n:]
	}
	return nil
}

// lastFlush bounds the flush at the end of Run.
const lastFlush = 5 * time.Second

// Run records and deletes what has ended as it ends, and flushes every
// FlushInterval until ctx ends, and then once more.
func (t *Table) Run(ctx context.Context) error {
	tick := time.NewTicker(FlushInterval)
	defer tick.Stop()
	for {
		var err error
		select {
		case <-t.wake:
			err = t.drain(ctx, t.cfg.Now())
		case <-tick.C:
			err = t.Flush(ctx)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastFlush)
			defer cancel()
			return t.Flush(last)
		}
		if err != nil && ctx.Err() == nil {
			t.cfg.Log.LogAttrs(ctx, slog.LevelError, "sessions cannot be flushed, trying again", slog.Any("error", err))
		}
	}
}

func startRecord(ctx context.Context, r Record) audit.Record {
	return audit.Record{
		Event: audit.SessionStart, Ref: r.ID, Caller: string(r.Account), Listener: r.Listener,
		Source: sourceText(r.Source), RequestID: auth.RequestID(ctx),
	}
}

func endRecord(e *entry, why string) audit.Record {
	return audit.Record{
		Event: audit.SessionEnd, Ref: e.id, Caller: string(e.owner.name), Listener: e.place.name,
		Source: sourceText(e.source), Outcome: why,
	}
}

func sourceText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
