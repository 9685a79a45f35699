package storetest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/target"
)

// Targets is the part of the suite for target.Store. open returns a new, empty store.
func Targets(t *testing.T, open func(*testing.T) target.Store) {
	t.Run("comes back whole", func(t *testing.T) { targetWhole(t, open(t)) })
	t.Run("one name under a race", func(t *testing.T) { targetRace(t, open(t)) })
	t.Run("update and delete", func(t *testing.T) { targetChange(t, open(t)) })
	t.Run("what comes from the file", func(t *testing.T) { targetFile(t, open(t)) })
	t.Run("one name from both sides", func(t *testing.T) { targetBothSides(t, open(t)) })
}

func bmc(name, origin string) target.Target {
	t := target.Target{
		Name: name, Family: "redfish", Profile: "ilo", URL: "https://" + name, CAPEM: "ca", Pin: "pin", Account: "postern", Certificate: "chain",
		Method: auth.MethodAuto, Budget: 3, InFlight: 8, Exclusive: true, LockoutThreshold: 5,
		LockoutWindow: 10 * time.Minute, Address: "127.0.0.1:8443", Origin: origin,
	}
	if origin == target.OriginFile {
		t.Source = "file:/etc/postern/" + name + ".pw"
	} else {
		t.Sealed = []byte{1, 0, 2}
	}
	return t
}

func stored(t target.Target, created, updated time.Time) target.Target {
	t.Created, t.Updated = created, updated
	return t
}

func wantTargets(t *testing.T, s target.Store, want ...target.Target) {
	t.Helper()
	got, err := s.Targets(t.Context())
	must(t, err)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("targets are not as wanted (-want +got):\n%s", d)
	}
}

func targetWhole(t *testing.T, s target.Store) {
	ctx := t.Context()
	full, bare := bmc("b", target.OriginCommand), target.Target{Name: "a", Family: "redfish", URL: "https://a", Origin: target.OriginCommand}
	must(t, s.CreateTarget(ctx, full, noon))
	must(t, s.CreateTarget(ctx, bare, noon))
	wantErr(t, s.CreateTarget(ctx, bmc("a", target.OriginCommand), noon), target.ErrExists)
	wantTargets(t, s, stored(bare, noon, noon), stored(full, noon, noon))
	got, err := s.Target(ctx, "b")
	must(t, err)
	if d := cmp.Diff(stored(full, noon, noon), got); d != "" {
		t.Errorf("target is not as wanted (-want +got):\n%s", d)
	}
	_, err = s.Target(ctx, "c")
	wantErr(t, err, target.ErrNotFound)
}

func targetRace(t *testing.T, s target.Store) {
	won := race(t, 10, target.ErrExists, func(i int) error {
		x := bmc("a", target.OriginCommand)
		x.URL = fmt.Sprint("https://a", i)
		return s.CreateTarget(context.Background(), x, noon)
	})
	if won != 1 {
		t.Errorf("%d created one name, want 1", won)
	}
}

func targetChange(t *testing.T, s target.Store) {
	ctx := t.Context()
	later := noon.Add(time.Hour)
	must(t, s.CreateTarget(ctx, bmc("a", target.OriginCommand), noon))
	other := target.Target{Name: "a", Family: "hmc", URL: "https://other", Account: "x", Source: "env:X",
		Method: auth.MethodBasic, Budget: 1, Origin: target.OriginCommand}
	must(t, s.UpdateTarget(ctx, other, later))
	wantTargets(t, s, stored(other, noon, later))
	wantErr(t, s.UpdateTarget(ctx, bmc("b", target.OriginCommand), later), target.ErrNotFound)
	must(t, s.DeleteTarget(ctx, "a", later))
	wantErr(t, s.DeleteTarget(ctx, "a", later), target.ErrNotFound)
	wantTargets(t, s)
	must(t, s.CreateTarget(ctx, bmc("a", target.OriginCommand), later))
}

func replace(t *testing.T, s target.Store, at time.Time, want target.Changes, list ...target.Target) {
	t.Helper()
	got, err := s.ReplaceFileTargets(t.Context(), list, at)
	must(t, err)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("changes are not as wanted (-want +got):\n%s", d)
	}
}

func targetFile(t *testing.T, s target.Store) {
	ctx := t.Context()
	later := noon.Add(time.Hour)
	command := bmc("c", target.OriginCommand)
	a, b, d := bmc("a", target.OriginFile), bmc("b", target.OriginFile), bmc("d", target.OriginFile)
	must(t, s.CreateTarget(ctx, command, noon))
	replace(t, s, noon, target.Changes{Added: []string{"a", "b"}}, b, a)
	replace(t, s, later, target.Changes{}, a, b) // nothing is touched
	wantTargets(t, s, stored(a, noon, noon), stored(b, noon, noon), stored(command, noon, noon))
	wantErr(t, s.UpdateTarget(ctx, bmc("a", target.OriginCommand), later), target.ErrFromFile)
	wantErr(t, s.DeleteTarget(ctx, "a", later), target.ErrFromFile)

	b.Source = "env:B"
	replace(t, s, later, target.Changes{Added: []string{"d"}, Changed: []string{"b"}, Removed: []string{"a"}}, d, b)
	wantTargets(t, s, stored(b, noon, later), stored(command, noon, noon), stored(d, later, later))
	replace(t, s, later, target.Changes{Removed: []string{"b", "d"}})
	wantTargets(t, s, stored(command, noon, noon))
}

func targetBothSides(t *testing.T, s target.Store) {
	command := bmc("b", target.OriginCommand)
	must(t, s.CreateTarget(t.Context(), command, noon))
	_, err := s.ReplaceFileTargets(t.Context(), []target.Target{bmc("a", target.OriginFile), bmc("b", target.OriginFile)}, noon)
	wantErr(t, err, target.ErrExists)
	if !strings.Contains(err.Error(), `"b"`) {
		t.Errorf("the error does not name the target: %v", err)
	}
	wantTargets(t, s, stored(command, noon, noon)) // all or nothing

	a := bmc("a", target.OriginFile)
	replace(t, s, noon, target.Changes{Added: []string{"a"}}, a)
	wantErr(t, s.CreateTarget(t.Context(), bmc("a", target.OriginCommand), noon), target.ErrExists)
}
