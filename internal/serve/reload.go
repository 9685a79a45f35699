package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/postern/postern/internal/admin"
	"github.com/postern/postern/internal/audit"
	"github.com/postern/postern/internal/config"
	"github.com/postern/postern/internal/policy"
	"github.com/postern/postern/internal/target"
)

// readAgain has the server be what its configuration says now. Where something is
// wrong with that, everything stays as it is.
func (s *server) readAgain(ctx context.Context) {
	next, err := s.cfg.Read()
	if err == nil {
		err = s.reload(ctx, next)
	}
	if err != nil {
		s.log.Error("the configuration is not taken up, everything stays as it is", slog.Any("error", err))
	}
}

// A reading is a configuration that was read again, with what it takes to have it.
type reading struct {
	next         Config
	policy       *policy.Policy
	certificates map[string]*tls.Certificate // by listener
	places       map[string]place            // by target
	faces        map[string]*face            // of targets that are new
}

// reload takes next up, all of it or nothing.
func (s *server) reload(ctx context.Context, next Config) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return errors.New("the server is stopping")
	}
	if err := s.waitForLeaving(ctx, next.Targets); err != nil {
		return err
	}
	r := &reading{next: next, certificates: map[string]*tls.Certificate{}, faces: map[string]*face{}}
	changes, err := s.accept(ctx, r)
	if err != nil {
		for _, f := range r.faces {
			f.abandon()
		}
		return err
	}
	s.adopt(ctx, r, changes)
	s.log.Info("the configuration was read again", slog.Int("rules", len(next.Rules)), slog.Int("added", len(changes.Added)),
		slog.Int("changed", len(changes.Changed)), slog.Int("removed", len(changes.Removed)))
	return nil
}

// waitForLeaving waits until nothing is left of former targets whose names come
// back. mu is held before and after.
func (s *server) waitForLeaving(ctx context.Context, targets []target.Target) error {
	for _, t := range targets {
		for s.leaving[t.Name] != nil {
			left := s.leaving[t.Name]
			s.mu.Unlock()
			select {
			case <-left:
			case <-ctx.Done():
			}
			s.mu.Lock()
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
	return nil
}

// accept finds out whether all of a configuration can be had, puts that on record
// and commits its targets. After an error nothing of it holds.
func (s *server) accept(ctx context.Context, r *reading) (target.Changes, error) {
	var none target.Changes
	var err error
	if r.policy, err = policy.New(r.next.Rules); err != nil {
		return none, err
	}
	if err := s.sameListeners(r.next); err != nil {
		return none, err
	}
	all, err := s.targetsWith(ctx, r.next.Targets)
	if err != nil {
		return none, err
	}
	if r.places, err = places(all, r.next.Listeners); err != nil {
		return none, err
	}
	for _, t := range all {
		if err := s.fits(t, r.places[t.Name], r); err != nil {
			return none, err
		}
	}
	if l, ok := treeOf(r.next.Listeners); ok && l.CertFile != "" {
		if r.certificates[admin.TreeListener], err = s.certificateOf(admin.TreeListener, l); err != nil {
			return none, err
		}
	}
	rec := audit.Record{Event: "admin.reload", Caller: "file:config", Detail: fmt.Sprintf("%d targets, %d rules", len(r.next.Targets), len(r.next.Rules))}
	if err := s.audit.Append(ctx, rec); err != nil {
		return none, fmt.Errorf("the change cannot be recorded: %w", err)
	}
	changes, err := s.targets.Reconcile(ctx, r.next.Targets)
	if err != nil {
		rec.Outcome, rec.Detail = audit.OutcomeNotDone, err.Error()
		s.audit.Note(rec)
	}
	return changes, err
}

// targetsWith are the targets that there will be: those of the file, and those that
// commands made.
func (s *server) targetsWith(ctx context.Context, file []target.Target) ([]target.Target, error) {
	stored, err := s.targets.List(ctx)
	if err != nil {
		return nil, err
	}
	all := slices.Clone(file)
	for _, t := range stored {
		if t.Origin != target.OriginFile {
			all = append(all, t)
		}
	}
	return all, nil
}

// sameListeners refuses what takes a new start: a listener cannot move while
// callers use it.
func (s *server) sameListeners(next Config) error {
	before, had := treeOf(s.cfg.Listeners)
	after, has := treeOf(next.Listeners)
	if had != has || had && (before.Host != after.Host || before.Port != after.Port) {
		return errors.New("the listener of the tree changes: that takes a new start")
	}
	if s.cfg.Metrics != next.Metrics {
		return errors.New("the address of the metrics changes: that takes a new start")
	}
	return nil
}

func treeOf(list []config.Listener) (config.Listener, bool) {
	i := slices.IndexFunc(list, func(l config.Listener) bool { return l.Tree })
	if i < 0 {
		return config.Listener{}, false
	}
	return list[i], true
}

// fits finds out whether a target can be served as it is to be, and binds the
// listener of one that is new.
func (s *server) fits(t target.Target, at place, r *reading) error {
	if _, err := s.wire(t); err != nil {
		return fmt.Errorf("target %s: %w", t.Name, err)
	}
	l, listener := listenerOf(t, r.next.Listeners), admin.TargetListener(t.Name)
	if l.CertFile != "" {
		var err error
		if r.certificates[listener], err = s.certificateOf(listener, l); err != nil {
			return err
		}
	}
	if s.faces[t.Name] == nil {
		f, err := s.bind(t.Name, at)
		if err == nil {
			r.faces[t.Name] = f
		}
		return err
	}
	before, err := placeOf(t, s.cfg.Listeners)
	if err == nil && before != at {
		err = fmt.Errorf("the address of target %s changes: that takes a new start", t.Name)
	}
	return err
}

// adopt makes an accepted configuration the one that is served. What fails here
// is logged: there is no way back.
func (s *server) adopt(ctx context.Context, r *reading, changes target.Changes) {
	ctx = context.WithoutCancel(ctx)
	trouble := func(what string, err error) {
		if err != nil {
			s.log.Error("part of the configuration does not hold", slog.String("part", what), slog.Any("error", err))
		}
	}
	s.policy.Set(r.policy)
	trouble("certificates", s.certificates.refix(r.certificates))
	s.cfg.Targets, s.cfg.Listeners, s.cfg.Rules = r.next.Targets, r.next.Listeners, r.next.Rules
	for _, name := range changes.Removed {
		trouble("target "+name, s.leave(name))
	}
	targets, err := s.targets.List(ctx)
	trouble("targets", err)
	for _, t := range targets {
		trouble("listener of "+t.Name, s.settle(ctx, admin.TargetListener(t.Name), listenerOf(t, s.cfg.Listeners)))
		if f := r.faces[t.Name]; f != nil {
			trouble("target "+t.Name, s.begin(t, f))
		} else if slices.Contains(changes.Changed, t.Name) {
			trouble("target "+t.Name, s.exchange(t))
		}
	}
	names := certificateNames(s.cfg.Listeners, r.places)
	if l, ok := treeOf(s.cfg.Listeners); ok {
		trouble("listener of the tree", s.settle(ctx, admin.TreeListener, l))
		names = append(names, hostNames(l.Host)...)
	}
	s.id.SetNames(names)
	s.warnOfRules(targets, s.cfg.Rules)
	if s.cfg.ReadyFile != "" {
		trouble("ready file", s.readiness(targets).write(s.cfg.ReadyFile))
	}
}

// begin serves a target at a listener that is bound already. mu is held.
func (s *server) begin(t target.Target, f *face) error {
	w, err := s.wire(t)
	if err != nil {
		f.abandon()
		return err
	}
	f.set(w.handler)
	s.faces[t.Name], s.transports[t.Name] = f, w.transport
	s.leases.Set(w.lease)
	f.start(s.fail)
	return nil
}

// exchange gives the face of a target another one behind it. mu is held.
func (s *server) exchange(t target.Target) error {
	w, err := s.wire(t)
	if err != nil {
		return err
	}
	s.faces[t.Name].set(w.handler)
	s.leases.Set(w.lease)
	s.transports[t.Name].CloseIdleConnections()
	s.transports[t.Name] = w.transport
	return nil
}
