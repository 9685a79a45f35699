package audit

import (
	"errors"
	"os"
	"path/filepath"
)

// A disk makes and removes the files of one directory. It is an interface
// because a disk that fails is part of the outside, and tests need one.
type disk interface {
	// create makes a file that must not exist and syncs the directory.
	create(name string) (file, error)
	remove(name string) error
	// release gives back space that an earlier run has allocated behind the end of a file.
	release(name string) error
}

// A file is written at its end only.
type file interface {
	Write([]byte) (int, error)
	Sync() error
	Truncate(size int64) error
	Close() error
	// allocate reserves n bytes from offset on, behind the end of the file,
	// without changing its size. errors.ErrUnsupported: this system cannot.
	allocate(offset, n int64) error
}

type osDisk struct{ dir string }

type osFile struct{ *os.File }

func (d osDisk) create(name string) (file, error) {
	f, err := os.OpenFile(filepath.Join(d.dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	if err := d.sync(); err != nil {
		return nil, errors.Join(err, f.Close(), d.remove(name))
	}
	return osFile{f}, nil
}

func (d osDisk) remove(name string) error { return os.Remove(filepath.Join(d.dir, name)) }

func (d osDisk) release(name string) error {
	path := filepath.Join(d.dir, name)
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return os.Truncate(path, info.Size())
}

func (d osDisk) sync() error {
	f, err := os.Open(d.dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
