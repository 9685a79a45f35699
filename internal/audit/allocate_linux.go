package audit

import (
	"errors"
	"fmt"
	"syscall"
)

// fallocKeepSize is FALLOC_FL_KEEP_SIZE of linux/falloc.h.
const fallocKeepSize = 1

func (f osFile) allocate(offset, n int64) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var errno error
	err = conn.Control(func(fd uintptr) {
		for {
			if errno = syscall.Fallocate(int(fd), fallocKeepSize, offset, n); errno != syscall.EINTR {
				return
			}
		}
	})
	if errors.Is(errno, errors.ErrUnsupported) {
		return errors.ErrUnsupported
	}
	if err = errors.Join(err, errno); err != nil {
		return fmt.Errorf("allocate %d bytes: %w", n, err)
	}
	return nil
}
