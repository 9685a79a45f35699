package audit

import (
	"errors"
	"io/fs"
	"strings"
	"sync"
	"syscall"
)

var errDisk = errors.New("input/output error")

// A faultyDisk is a real directory on a disk that fails on demand.
type faultyDisk struct {
	osDisk
	mu       sync.Mutex
	short    int // the next write takes so many bytes, then fails; -1: no fault
	sync     int // so many syncs to come fail
	create_  int // so many creations to come fail
	truncate bool
	remove_  bool
	capacity int64         // bytes that can be allocated in one file; 0: no bound
	lazy     bool          // syncs do nothing, to save time
	hang     chan struct{} // writes wait until it is closed
	written  []string      // the lines of each write that went through
}

func newFaultyDisk(dir string) *faultyDisk { return &faultyDisk{osDisk: osDisk{dir}, short: -1} }

// set changes the faults.
func (d *faultyDisk) set(f func(*faultyDisk)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f(d)
}

func (d *faultyDisk) groups() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.written
}

func take(n *int) bool {
	if *n == 0 {
		return false
	}
	*n--
	return true
}

func (d *faultyDisk) create(name string) (file, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if take(&d.create_) {
		return nil, errDisk
	}
	f, err := d.osDisk.create(name)
	if err != nil {
		return nil, err
	}
	return &faultyFile{file: f, d: d}, nil
}

func (d *faultyDisk) remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.remove_ {
		return fs.ErrPermission
	}
	return d.osDisk.remove(name)
}

type faultyFile struct {
	file
	d    *faultyDisk
	size int64
}

func (f *faultyFile) Write(b []byte) (int, error) {
	f.d.mu.Lock()
	if hang := f.d.hang; hang != nil {
		f.d.mu.Unlock()
		<-hang
		f.d.mu.Lock()
	}
	defer f.d.mu.Unlock()
	if n := f.d.short; n >= 0 {
		f.d.short = -1
		n, _ = f.file.Write(b[:min(n, len(b))])
		return n, errDisk
	}
	if f.d.capacity > 0 && f.size+int64(len(b)) > f.d.capacity {
		return 0, syscall.ENOSPC
	}
	f.size += int64(len(b))
	f.d.written = append(f.d.written, strings.TrimSuffix(string(b), "\n"))
	return f.file.Write(b)
}

func (f *faultyFile) Sync() error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if take(&f.d.sync) {
		return errDisk
	}
	if f.d.lazy {
		return nil
	}
	return f.file.Sync()
}

func (f *faultyFile) Truncate(n int64) error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.d.truncate {
		return errDisk
	}
	return f.file.Truncate(n)
}

func (f *faultyFile) allocate(offset, n int64) error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.d.capacity > 0 && offset+n > f.d.capacity {
		return syscall.ENOSPC
	}
	return f.file.allocate(offset, n)
}
