package sim

import (
	"sync"

	"github.com/postern/postern/redfish"
)

// Bounds of what may differ from the tree on one device: what clients write
// takes memory, and a device is small.
const (
	maxChanged      = 2000     // resources
	maxChangedBytes = 64 << 20 // together
)

// A store is one device's view of its tree: the shared files, and those that
// were changed on this device. Safe for concurrent use.
type store struct {
	tree *Tree

	mu      sync.RWMutex     // guards the two
	changed map[string]*file // by path; nil: deleted
	size    int              // bytes of the changed ones
}

func newStore(t *Tree) *store {
	return &store{tree: t, changed: make(map[string]*file)}
}

// get returns the file at path, or nil.
func (s *store) get(path string) *file {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.at(path)
}

// at is get for who holds s.mu.
func (s *store) at(path string) *file {
	if f, ok := s.changed[path]; ok {
		return f
	}
	return s.tree.files[path]
}

// set puts body at path and returns the new file; s.mu is held for writing.
func (s *store) set(path string, body []byte) *file {
	f := newFile(body, mediaJSON)
	s.size += len(body) - sizeOf(s.changed[path])
	s.changed[path] = f
	return f
}

func sizeOf(f *file) int {
	if f == nil {
		return 0
	}
	return len(f.body)
}

// room reports whether path may be changed to a body of that size, as far as
// clients are concerned; s.mu is held.
func (s *store) room(path string, size int) bool {
	old := s.changed[path]
	return (old != nil || len(s.changed) < maxChanged) && s.size-sizeOf(old)+size <= maxChangedBytes
}

// unset deletes path and what lies below it; s.mu is held for writing. What
// was created on this device leaves no trace.
func (s *store) unset(path string) {
	for at, f := range s.changed {
		if at == path || within(at, path) {
			s.size -= sizeOf(f)
			delete(s.changed, at)
		}
	}
	for at := range s.tree.files {
		if at == path || within(at, path) {
			s.changed[at] = nil
		}
	}
}

// within reports whether path lies below dir.
func within(path, dir string) bool {
	return len(path) > len(dir) && path[:len(dir)] == dir && path[len(dir)] == '/'
}

// members returns the URIs that a collection lists; s.mu is held.
func (s *store) members(at string) []string {
	members := lookup(s.at(at).body, "Members")
	if !isArray(members) {
		return nil
	}
	var uris []string
	for _, p := range partsOf(members) {
		uris = append(uris, reference(members[p.start:p.end]))
	}
	return uris
}

// setMembers lists uris in a collection; s.mu is held.
func (s *store) setMembers(at string, uris []string) {
	refs := make([]redfish.Ref, 0, len(uris))
	for _, uri := range uris {
		refs = append(refs, redfish.Ref{ID: uri})
	}
	body := putValue(s.at(at).body, refs, "Members")
	s.set(at, putValue(body, len(refs), "Members@odata.count"))
}
