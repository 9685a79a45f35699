package lease_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/lease"
	"github.com/postern/postern/internal/store"
)

// A journal is the real store, with a boundary before and after each commit.
type journal struct {
	*store.Store
	r *run
}

var _ lease.Store = journal{}

var errDisk = errors.New("disk I/O error")

// commit is one step that is committed.
func (j journal) commit(op, detail string, do func() error) error {
	answer, n, ok := j.r.enter(op, detail)
	if !ok {
		return errDead
	}
	if answer == fails {
		j.r.leave(n, "not committed")
		return errDisk
	}
	err := do()
	if err == nil && j.r.fresh != "" && (op == "hold" || op == "settle") {
		j.r.w.known[j.r.fresh], j.r.fresh = true, ""
	}
	j.r.leave(n, errText(err))
	return err
}

func (j journal) OpenLeases(ctx context.Context) ([]lease.Row, error) {
	if j.r.dead.Load() {
		return nil, errDead
	}
	return j.Store.OpenLeases(ctx)
}

func (j journal) LeaseState(ctx context.Context, id string) (lease.State, error) {
	if j.r.dead.Load() {
		return "", errDead
	}
	return j.Store.LeaseState(ctx, id)
}

func (j journal) Facts(ctx context.Context, url string) (lease.Facts, error) {
	if j.r.dead.Load() {
		return lease.Facts{}, errDead
	}
	return j.Store.Facts(ctx, url)
}

func (j journal) Proven(ctx context.Context, k lease.Key) (bool, error) {
	if j.r.dead.Load() {
		return false, errDead
	}
	return j.Store.Proven(ctx, k)
}

func (j journal) IntendLease(ctx context.Context, r lease.Row, budget int, at time.Time) error {
	return j.commit("intend", "", func() error { return j.Store.IntendLease(ctx, r, budget, at) })
}

func (j journal) HoldLease(ctx context.Context, r lease.Row, at time.Time) error {
	return j.commit("hold", r.Location, func() error { return j.Store.HoldLease(ctx, r, at) })
}

func (j journal) MoveLease(ctx context.Context, id string, from []lease.State, to lease.State, reason string, at time.Time) error {
	return j.commit("move", fmt.Sprintf("%s: %s", to, reason), func() error {
		if to == lease.Owed && reason == "the device refused the token at the logout" {
			j.r.w.doubts++
		}
		return j.Store.MoveLease(ctx, id, from, to, reason, at)
	})
}

func (j journal) TouchLeases(ctx context.Context, used map[string]time.Time, at time.Time) error {
	return j.commit("keep", "", func() error { return j.Store.TouchLeases(ctx, used, at) })
}

func (j journal) SetFacts(ctx context.Context, url string, f lease.Facts, at time.Time) error {
	return j.commit("facts", "", func() error { return j.Store.SetFacts(ctx, url, f, at) })
}

func (j journal) ReserveLogin(ctx context.Context, id string, k lease.Key, window time.Duration, decide func(lease.History) error, at time.Time) error {
	return j.commit("reserve", "", func() error { return j.Store.ReserveLogin(ctx, id, k, window, decide, at) })
}

func (j journal) SettleLogin(ctx context.Context, id string, o auth.Outcome, counts bool, at time.Time) error {
	return j.commit("settle", o.String(), func() error {
		err := j.Store.SettleLogin(ctx, id, o, counts, at)
		if log := j.r.w.log; err == nil && len(log) > 0 && (o == auth.Accepted || o == auth.Refused || log[len(log)-1].nonce) {
			log[len(log)-1].hidden = false
		}
		return err
	})
}

func (j journal) RefuseProven(ctx context.Context, id string, k lease.Key, at time.Time) (proven bool, err error) {
	err = j.commit("unprove", "", func() error {
		proven, err = j.Store.RefuseProven(ctx, id, k, at)
		for i := range j.r.w.log {
			if j.r.w.log[i].traffic && err == nil {
				j.r.w.log[i].hidden = false
			}
		}
		return err
	})
	return proven, err
}
