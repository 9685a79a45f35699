package session

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
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
	now := t.Now()
	if e.ended || e.over(now.UnixNano()) != "" {
		return auth.ErrNoSession
	}
	ctx = context.WithoutCancel(ctx)
	r := endRecord(e, "logout")
	r.RequestID = auth.RequestID(ctx)
	if by.SessionID != id {
		r.Detail = fmt.Sprintf("ended by %s", by.Account)
	}
	if err := t.Audit.Append(ctx, r); err != nil {
		return fmt.Errorf("session: %w: audit: %w", auth.ErrUnavailable, err)
	}
	if err := t.Store.DeleteSessions(ctx, []string{id}, now); err != nil {
		r.Outcome, r.Detail = "not done", "store failed"
		t.Audit.Note(r)
		return fmt.Errorf("session: %w: end: %w", auth.ErrUnavailable, err)
	}
	e.ended = true
	t.remove(e)
	return nil
}

// Refresh tells the table that an account was changed or deleted, after that and
// the end of its sessions are on stable storage (account.Store). The sessions made
// before the change are dropped, except keep; the others go on with the new role.
func (t *Table) Refresh(a account.Account, keep string) {
	if !a.Enabled {
		keep = ""
	}
	t.admit.Lock()
	defer t.admit.Unlock()
	for _, e := range t.drop(a.ID, a.Version, a.Role, keep) {
		t.Audit.Note(endRecord(e, "account changed"))
	}
}

// reap ends in memory what has expired and leaves the rows to deleteDoomed.
func (t *Table) reap(now time.Time) {
	over, why := t.dropOver(now.UnixNano())
	if len(over) == 0 {
		return
	}
	t.flush.Lock()
	for _, e := range over {
		t.doomed = append(t.doomed, e.id)
	}
	t.flush.Unlock()
	for i, e := range over {
		t.Audit.Note(endRecord(e, why[i]))
	}
}

func (t *Table) doom(id string) {
	t.flush.Lock()
	defer t.flush.Unlock()
	t.doomed = append(t.doomed, id)
}

// chunk bounds the rows of one transaction, about 20 ms, so that a login never
// waits long for the one connection that writes.
const chunk = 500

func (t *Table) deleteDoomed(ctx context.Context, now time.Time) error {
	t.flush.Lock()
	defer t.flush.Unlock()
	for len(t.doomed) > 0 {
		n := min(len(t.doomed), chunk)
		if err := t.Store.DeleteSessions(ctx, t.doomed[:n], now); err != nil {
			return fmt.Errorf("session: delete expired: %w", err)
		}
		t.doomed = t.doomed[n:]
	}
	t.doomed = nil
	return nil
}

// sweep ends what has expired, in memory and in the store.
func (t *Table) sweep(ctx context.Context, now time.Time) error {
	t.reap(now)
	return t.deleteDoomed(ctx, now)
}

// Flush ends what has expired and brings the times of last use to the store.
func (t *Table) Flush(ctx context.Context) error {
	now := t.Now()
	if err := t.sweep(ctx, now); err != nil {
		return err
	}
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
		if err := t.Store.TouchSessions(ctx, touches[:n], now); err != nil {
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

// Run flushes every FlushInterval until ctx ends, and then once more.
func (t *Table) Run(ctx context.Context) error {
	tick := time.NewTicker(FlushInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := t.Flush(ctx); err != nil && ctx.Err() == nil {
				t.Log.LogAttrs(ctx, slog.LevelError, "session flush failed", slog.Any("error", err))
			}
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastFlush)
			defer cancel()
			return t.Flush(last)
		}
	}
}

func startRecord(ctx context.Context, r Record) audit.Record {
	return audit.Record{
		Event: "session.start", Ref: r.ID, Account: string(r.Account), Listener: r.Listener,
		Source: sourceText(r.Source), RequestID: auth.RequestID(ctx), Outcome: "ok",
	}
}

func notDone(ctx context.Context, r Record, err error) audit.Record {
	n := startRecord(ctx, r)
	n.Event, n.Outcome, n.Detail = "session.end", "not done", err.Error()
	return n
}

func endRecord(e *entry, why string) audit.Record {
	return audit.Record{
		Event: "session.end", Ref: e.id, Account: string(e.owner.name), Listener: e.listener,
		Source: sourceText(e.source), Outcome: why,
	}
}

func sourceText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
