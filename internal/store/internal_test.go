package store

import (
	"path/filepath"
	"testing"
	"time"
)

// TestWriterIsDurable: what a commit acknowledges must be on the disk, not on its
// way there.
func TestWriterIsDurable(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "db"), Options{Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for pragma, want := range map[string]string{"synchronous": "2", "journal_mode": "wal", "foreign_keys": "1"} {
		var got string
		if err := s.w.QueryRowContext(t.Context(), "pragma "+pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", pragma, got, err, want)
		}
	}
	if _, err := s.r.ExecContext(t.Context(), "delete from account"); err == nil {
		t.Error("a reader may write")
	}
}
