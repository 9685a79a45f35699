package audit

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern/postern/auth"
)

func TestFailedWrites(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		fault    func(*faultyDisk)
		answered []bool // of three appends; before the third the disk works again
		crashes  int
	}{
		{"a short write", func(d *faultyDisk) { d.short = 20 }, []bool{true, true, true}, 0},
		{"a failed sync", func(d *faultyDisk) { d.sync = 1 }, []bool{true, true, true}, 0},
		{"a short write that cannot be undone", func(d *faultyDisk) { d.short, d.truncate = 20, true }, []bool{true, true, true}, 1},
		{"a whole record that was not synced and cannot be undone", func(d *faultyDisk) { d.sync, d.truncate = 1, true }, []bool{true, true, true}, 1},
		{"no new segment either", func(d *faultyDisk) { d.short, d.create_ = 5, 1 }, []bool{false, true, true}, 0},
		{"no new segment for long", func(d *faultyDisk) { d.short, d.create_ = 5, 9 }, []bool{false, false, true}, 0},
		{"the new segment fails", func(d *faultyDisk) { d.sync = 3 }, []bool{false, true, true}, 0},
		{"the new segment fails and cannot be removed", func(d *faultyDisk) { d.sync, d.remove_ = 3, true }, []bool{false, false, true}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := newFaultyDisk(t.TempDir())
			l := mustOpen(t, config(d.dir, 1), d)
			mustAppend(t, l, Record{Event: LeaseLogin, Ref: "before"})
			d.set(c.fault)
			want := []string{"lease.login before"}
			for i, ok := range c.answered {
				if i == 2 {
					d.set(func(d *faultyDisk) { d.short, d.sync, d.create_, d.remove_, d.truncate = -1, 0, 0, false, false })
				}
				err := l.Append(t.Context(), Record{Event: CallBegin, Ref: fmt.Sprint(i)})
				if (err == nil) != ok {
					t.Errorf("append %d: got %v, want success %v", i, err, ok)
				}
				if err != nil && !errors.Is(err, auth.ErrUnavailable) {
					t.Errorf("append %d: %v is not auth.ErrUnavailable", i, err)
				}
				if err == nil {
					want = append(want, fmt.Sprint("call.begin ", i))
				}
			}
			mustClose(t, l)
			if r := mustVerify(t, d.dir); len(r.Crashes) != c.crashes {
				t.Errorf("crashes: got %+v, want %d", r.Crashes, c.crashes)
			}
			if c.crashes == 0 {
				equal(t, "records", told(t, d.dir, Filter{}), want)
			}
			l = mustOpen(t, config(d.dir, 2), nil)
			if p := l.Pending(); len(p) != 1 || p[0].Ref != "before" {
				t.Errorf("pending: %+v", p)
			}
			mustVerify(t, d.dir)
		})
	}
}

func TestNotesOutliveAFailedWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		d := newFaultyDisk(dir)
		l := mustOpen(t, config(dir, 1), d)
		d.set(func(d *faultyDisk) { d.short, d.create_ = 3, 2 })
		l.Note(Record{Event: Call, Ref: "1"})
		time.Sleep(5 * flushEvery)
		synctest.Wait()
		equal(t, "records", told(t, dir, Filter{}), []string{"call 1"})
		if len(l.notes) != 0 {
			t.Errorf("%d notes hold a place", len(l.notes))
		}
		d.set(func(d *faultyDisk) { d.short, d.create_ = 3, 1<<30 })
		l.Note(Record{Event: Call, Ref: "2"})
		if err := l.Close(); err == nil || !strings.Contains(err.Error(), "1 records could not be written") {
			t.Errorf("Close with a broken disk: got %v", err)
		}
	})
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	d := newFaultyDisk(t.TempDir())
	d.capacity, d.lazy = chunkSize+reserveSize, true
	l := mustOpen(t, config(d.dir, 1), d)
	long := strings.Repeat("x", maxDetail)
	n := 0
	var err error
	for ; err == nil; n++ {
		err = l.Append(t.Context(), Record{Event: CallBegin, Ref: fmt.Sprint(n), Detail: long})
	}
	if !errors.Is(err, syscall.ENOSPC) || !errors.Is(err, auth.ErrUnavailable) {
		t.Fatalf("got %v, want ENOSPC", err)
	}
	if min := chunkSize / (maxDetail + 512); n < min {
		t.Errorf("full after %d records, want at least %d", n, min)
	}
	for range reserveSize / 2 / maxDetail {
		mustAppend(t, l, Record{Event: LeaseLogout, Ref: "l", Detail: long}, Record{Event: LeaseLogoutEnd, Ref: "l"})
	}
	l.Note(Record{Event: CallEnd, Ref: "0"})
	if err := l.Append(t.Context(), Record{Event: Attempt, Detail: long}); err == nil {
		t.Error("an ordinary record used the reserve")
	}
	mustAppend(t, l, Record{Event: SessionEnd, Ref: "s"})
	d.set(func(d *faultyDisk) { d.capacity = 0 })
	mustAppend(t, l, Record{Event: CallBegin, Ref: "room again"})
	mustClose(t, l)
	equal(t, "files", files(t, d.dir), []string{"local-000001-0001.jsonl"})
	equal(t, "end", told(t, d.dir, Filter{Last: 5}), []string{"lease.logout l", "lease.logout.end l", "call.end 0", "session.end s", "call.begin room again"})
	mustVerify(t, d.dir)
}

func TestFullDiskWhenASegmentIsFull(t *testing.T) {
	t.Parallel()
	d := newFaultyDisk(t.TempDir())
	cfg := config(d.dir, 1)
	cfg.SegmentBytes = 1000
	l := mustOpen(t, cfg, d)
	d.set(func(d *faultyDisk) { d.create_ = 1 << 30 })
	for range 20 { // the segment goes on beyond its size
		mustAppend(t, l, Record{Event: Attempt, Detail: "no room for another file"})
	}
	mustClose(t, l)
	if n := len(files(t, d.dir)); n != 1 {
		t.Errorf("%d files, want 1", n)
	}
	mustVerify(t, d.dir)
}
