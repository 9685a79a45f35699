package lease

import (
	"errors"
	"testing"
	"time"
)

func TestAllow(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	tests := []struct {
		name    string
		limits  limits
		history History
		ok      bool
		until   time.Time
	}{
		{name: "first", ok: true},
		{name: "proven, whatever happened with other secrets", history: History{Proven: true, Counted: []time.Time{ago(1), ago(2)}}, ok: true},
		{name: "one at a time", history: History{Proven: true, Pending: 1}},
		{name: "refused once, in the window", history: History{Refused: 1, RefusedAt: ago(time.Minute)}, until: now.Add(29 * time.Minute)},
		{name: "refused once, a window ago", history: History{Refused: 1, RefusedAt: ago(31 * time.Minute)}, ok: true},
		{name: "refused twice is for ever", history: History{Refused: 2, RefusedAt: ago(48 * time.Hour)}},
		{name: "one lost answer", history: History{Unknown: 1, Counted: []time.Time{ago(time.Minute)}}, ok: true},
		{name: "two lost answers", history: History{Unknown: 2}},
		{name: "lost and refused", history: History{Unknown: 1, Refused: 1, RefusedAt: ago(time.Hour)}},
		{name: "corrected secret", history: History{Counted: []time.Time{ago(time.Minute)}}, ok: true},
		{name: "third secret in a window", history: History{Counted: []time.Time{ago(20 * time.Minute), ago(time.Minute)}}, until: now.Add(10 * time.Minute)},
		{name: "a device that locks after two", limits: limits{threshold: 2}, history: History{Counted: []time.Time{ago(time.Minute)}}, until: now.Add(29 * time.Minute)},
		{name: "a device that locks after one", limits: limits{threshold: 1}},
		{name: "a short window", limits: limits{window: time.Minute}, history: History{Refused: 1, RefusedAt: ago(2 * time.Minute)}, ok: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := tt.limits.allow("postern", tt.history, now)
			if (err == nil) != tt.ok {
				t.Fatalf("got %v, want ok = %v", err, tt.ok)
			}
			var b *Blocked
			if errors.As(err, &b) && !b.Until.Equal(tt.until) {
				t.Errorf("blocked until %v, want %v", b.Until, tt.until)
			}
		})
	}
}
