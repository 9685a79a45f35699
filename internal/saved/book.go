package saved

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"
)

// A Book is the file, with the folder it lies in. It is safe for concurrent use
// by any number of processes.
type Book struct {
	dir string

	mu      sync.Mutex // guards what follows
	waiting []*edit    // for the next writing
	writing bool       // somebody writes, and then looks for who waits

	known sync.Mutex  // guards what follows
	last  content     // as it was read or written last; not to be changed
	file  *os.File    // where it is from, open so that no other file gets its inode
	info  fs.FileInfo // of file
}

// An edit is one change of the logins, for all that wait to be written together.
type edit struct {
	apply func(*content)
	done  chan struct{} // closed when err is set
	err   error
}

// Open returns the book in the folder, which is made where it is missing (mode
// 0700). A folder or file that others can read is refused.
func Open(dir string) (*Book, error) {
	if err := os.MkdirAll(filepath.Join(dir, lockDir), 0o700); err != nil {
		return nil, fmt.Errorf("saved logins: %w", err)
	}
	b := &Book{dir: dir}
	for _, path := range []string{dir, b.path()} {
		info, err := os.Stat(path)
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			return nil, fmt.Errorf("saved logins: %s is open to other users: chmod go= %s", path, path)
		}
	}
	return b, nil
}

const (
	fileName = "logins.json"
	fileLock = "logins.lock" // held while the file is read and written anew
	lockDir  = "logins.d"    // one lock for each key
)

func (b *Book) path() string { return filepath.Join(b.dir, fileName) }

// Logins returns the saved logins of a key, the endings too, the oldest first;
// those of every key for "". It waits for nobody.
func (b *Book) Logins(key string) ([]Login, error) {
	c, err := b.read()
	if err != nil {
		return nil, err
	}
	var out []Login
	for _, l := range c.logins {
		if key == "" || l.Key == key {
			out = append(out, l)
		}
	}
	return out, nil
}

// Attempts returns the attempts of a key, the oldest first; those of every key
// for "". It waits for nobody.
func (b *Book) Attempts(key string) ([]Attempt, error) {
	c, err := b.read()
	if err != nil {
		return nil, err
	}
	var out []Attempt
	for _, a := range c.attempts {
		if key == "" || a.Key == key {
			out = append(out, a)
		}
	}
	return out, nil
}

// read reads the file, which is always a whole one, unless it is the one that is
// known already: a fleet asks some thousand times.
func (b *Book) read() (content, error) {
	b.known.Lock()
	defer b.known.Unlock()
	info, err := os.Stat(b.path())
	if errors.Is(err, fs.ErrNotExist) {
		return content{}, nil
	}
	if err == nil && b.file != nil && unchanged(info, b.info) {
		return b.last, nil
	}
	f, err := os.Open(b.path())
	if err != nil {
		return content{}, fmt.Errorf("saved logins: %w", err)
	}
	info, err = f.Stat()
	var data []byte
	if err == nil {
		data, err = io.ReadAll(io.LimitReader(f, maxFile+1))
	}
	if err == nil && len(data) > maxFile {
		err = errors.New("the file is too large")
	}
	if err != nil {
		return content{}, errors.Join(fmt.Errorf("saved logins: %w", err), f.Close())
	}
	c, err := decode(data)
	if err != nil {
		return content{}, errors.Join(fmt.Errorf("saved logins: %s: %w", b.path(), err), f.Close())
	}
	b.remember(c, f, info)
	return c, nil
}

// unchanged reports whether a is the file that b was. It is never written in
// place by us; time and size tell when somebody else did.
func unchanged(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

// remember takes over f.
func (b *Book) remember(c content, f *os.File, info fs.FileInfo) {
	if b.file != nil {
		b.file.Close() // it was read or written to its end
	}
	b.last, b.file, b.info = c, f, info
}

// A Page is the part of the book that belongs to one key, held alone: no other
// process changes the logins of that key until Close. It is not safe for
// concurrent use.
type Page struct {
	book *Book
	key  string
	lock *os.File
}

// Open waits until nobody else holds the key's page, or ctx ends. The key names
// the device and the account there.
func (b *Book) Open(ctx context.Context, key string) (*Page, error) {
	sum := sha256.Sum256([]byte(key))
	f, err := lock(ctx, filepath.Join(b.dir, lockDir, hex.EncodeToString(sum[:16])))
	if err != nil {
		return nil, err
	}
	return &Page{b, key, f}, nil
}

// Logins returns the saved logins of the key, the endings too, the oldest first.
func (p *Page) Logins() ([]Login, error) { return p.book.Logins(p.key) }

// Attempts returns the attempts of the key, the oldest first. One without an end
// was cut off: whoever made it held the page, and does no more.
func (p *Page) Attempts() ([]Attempt, error) { return p.book.Attempts(p.key) }

// Save writes l down, in the place of the same session where that is there, and
// in that of the attempt that it came from. It is on stable storage when Save
// returns.
func (p *Page) Save(ctx context.Context, l Login) error {
	l.Key = p.key
	return p.book.change(ctx, func(c *content) {
		c.drop(p.key, l.Nonce)
		if i := slices.IndexFunc(c.logins, func(x Login) bool { return x.Key == p.key && same(x, l) }); i >= 0 {
			c.logins[i] = l
			return
		}
		c.logins = append(c.logins, l)
	})
}

// Forget takes the session out of the book.
func (p *Page) Forget(ctx context.Context, l Login) error {
	return p.book.change(ctx, func(c *content) {
		c.logins = slices.DeleteFunc(c.logins, func(x Login) bool { return x.Key == p.key && same(x, l) })
	})
}

// Note writes an attempt down, in the place of that with the same nonce where
// that is there. It is on stable storage when Note returns.
func (p *Page) Note(ctx context.Context, a Attempt) error {
	a.Key = p.key
	return p.book.change(ctx, func(c *content) {
		c.drop(p.key, a.Nonce)
		c.attempts = append(c.attempts, a)
	})
}

// Drop takes attempts out of the book.
func (p *Page) Drop(ctx context.Context, nonces ...string) error {
	if len(nonces) == 0 {
		return nil
	}
	return p.book.change(ctx, func(c *content) { c.drop(p.key, nonces...) })
}

// Close lets others open the page.
func (p *Page) Close() error { return p.lock.Close() }

// change replaces the file by what f makes of it. What several goroutines want
// to change at the same time is written at once: a fleet saves its logins in a
// few writings, not in one for each.
func (b *Book) change(ctx context.Context, f func(*content)) error {
	e := &edit{apply: f, done: make(chan struct{})}
	b.mu.Lock()
	b.waiting = append(b.waiting, e)
	lead := !b.writing
	b.writing = true
	b.mu.Unlock()
	if lead {
		b.write(context.WithoutCancel(ctx))
	}
	<-e.done
	return e.err
}

// write writes what waits until nothing does.
func (b *Book) write(ctx context.Context) {
	for {
		b.mu.Lock()
		edits := b.waiting
		b.waiting = nil
		b.writing = len(edits) > 0
		b.mu.Unlock()
		if len(edits) == 0 {
			return
		}
		err := b.apply(ctx, edits)
		for _, e := range edits {
			e.err = err
			close(e.done)
		}
	}
}

// apply makes the edits, in their order, under the lock that other processes
// respect too.
func (b *Book) apply(ctx context.Context, edits []*edit) error {
	l, err := lock(ctx, filepath.Join(b.dir, fileLock))
	if err != nil {
		return err
	}
	defer l.Close()
	all, err := b.read()
	if err != nil {
		return err
	}
	all = content{slices.Clone(all.logins), slices.Clone(all.attempts)}
	for _, e := range edits {
		e.apply(&all)
	}
	data, err := encode(all)
	if err == nil {
		err = b.replace(data, all)
	}
	if err != nil {
		return fmt.Errorf("saved logins: %w", err)
	}
	return nil
}

// replace puts data, which says c, in the place of the file as a whole, on stable
// storage.
func (b *Book) replace(data []byte, c content) error {
	tmp, err := os.CreateTemp(b.dir, "."+fileName+".*") // mode 0600
	if err != nil {
		return err
	}
	_, err = tmp.Write(data)
	if err == nil {
		err = tmp.Sync()
	}
	if err == nil {
		err = os.Rename(tmp.Name(), b.path())
	}
	if err != nil {
		return errors.Join(err, tmp.Close(), os.Remove(tmp.Name()))
	}
	info, err := tmp.Stat()
	if err != nil {
		return errors.Join(err, tmp.Close())
	}
	b.known.Lock()
	b.remember(c, tmp, info)
	b.known.Unlock()
	d, err := os.Open(b.dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) { // some file systems cannot
		return err
	}
	return nil
}

// lockPause is how long to wait between two looks at a lock that is taken.
const lockPause = 10 * time.Millisecond

// lock takes the lock file, which stays when it is given back: removing it would
// let two processes lock two different files of the same name.
func lock(ctx context.Context, path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("saved logins: %w", err)
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return f, nil
		case !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR):
			f.Close()
			return nil, fmt.Errorf("saved logins: lock: %w", err)
		}
		select {
		case <-time.After(lockPause):
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("saved logins: another command holds them: %w", ctx.Err())
		}
	}
}
