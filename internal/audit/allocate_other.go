//go:build !linux

package audit

import "errors"

func (osFile) allocate(_, _ int64) error { return errors.ErrUnsupported }
