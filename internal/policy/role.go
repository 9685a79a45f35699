package policy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern/postern/auth"
)

// A Role is a name for privileges that an administrator made up.
type Role struct {
	Name       auth.Role
	Privileges auth.Privileges
	Version    int64 // 1 at creation, raised by every change; 0: predefined
	Created    time.Time
	Updated    time.Time
}

// Predefined reports whether the role is built in and cannot be changed.
func (r Role) Predefined() bool { return predefined(r.Name) }

// What a RoleStore or Roles may refuse with.
var (
	// ErrRoleExists: the name is taken.
	ErrRoleExists = errors.New("role exists already")
	// ErrRoleNotFound: there is no such role.
	ErrRoleNotFound = errors.New("no such role")
	// ErrRoleConflict: somebody else changed the role in between; read it again.
	ErrRoleConflict = errors.New("role was changed by somebody else")
	// ErrRoleInUse: an account has it.
	ErrRoleInUse = errors.New("an account has the role")
	// ErrPredefinedRole: the role is built in.
	ErrPredefinedRole = errors.New("a predefined role cannot be changed")
	// ErrTooManyRoles: there are MaxRoles of them.
	ErrTooManyRoles = errors.New("there are as many roles as there may be")
	// ErrBadRole: the name or the privileges cannot be a role's.
	ErrBadRole = errors.New("bad role")
)

// A RoleStore keeps custom roles on stable storage: what it acknowledged survives
// a crash. It is safe for concurrent use.
type RoleStore interface {
	// Roles returns the custom roles in the order of their names.
	Roles(ctx context.Context) ([]Role, error)
	// CreateRole adds r with Version 1: ErrRoleExists, ErrTooManyRoles.
	CreateRole(ctx context.Context, r Role, at time.Time) (Role, error)
	// UpdateRole stores the privileges of r where its Version is 0 or the stored
	// one, and returns it with the next: ErrRoleNotFound, ErrRoleConflict.
	UpdateRole(ctx context.Context, r Role, at time.Time) (Role, error)
	// DeleteRole removes a role that no account has: ErrRoleNotFound, ErrRoleInUse.
	DeleteRole(ctx context.Context, name auth.Role, at time.Time) error
}

// The limits of custom roles.
const (
	MaxRoles    = 100 // more than anybody can tell apart
	maxRoleName = 64  // bytes, as of an account's name: it becomes part of URIs
)

// RolesConfig configures Roles.
type RolesConfig struct {
	Store RoleStore
	// Changed is told of every change, after it is in force and on stable storage.
	// It must not change roles itself. Nil where nobody keeps what depends on it.
	Changed func()
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Roles are the predefined and the custom roles. It is safe for concurrent use.
type Roles struct {
	cfg    RolesConfig
	mu     sync.Mutex // held while the store is changed, so that memory follows in the same order
	custom atomic.Pointer[map[auth.Role]Role]
}

// NewRoles returns Roles that know the predefined ones alone until Load.
func NewRoles(c RolesConfig) (*Roles, error) {
	if c.Store == nil {
		return nil, errors.New("policy: no store for the roles")
	}
	if c.Changed == nil {
		c.Changed = func() {}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	s := &Roles{cfg: c}
	s.custom.Store(&map[auth.Role]Role{})
	return s, nil
}

// Load makes memory what the store is: at start, and after somebody else changed it.
func (s *Roles) Load(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	list, err := s.cfg.Store.Roles(ctx)
	if err != nil {
		return fmt.Errorf("policy: load roles: %w", err)
	}
	next := make(map[auth.Role]Role, len(list))
	for _, r := range list {
		next[r.Name] = r
	}
	s.custom.Store(&next)
	return nil
}

// Privileges returns what a role gives now, and whether there is such a role. It
// does no I/O and does not allocate.
func (s *Roles) Privileges(name auth.Role) (auth.Privileges, bool) {
	if p, ok := auth.PredefinedPrivileges(name); ok {
		return p, true
	}
	r, ok := (*s.custom.Load())[name]
	return r.Privileges, ok
}

// RoleExists reports whether there is a role of that name.
func (s *Roles) RoleExists(name auth.Role) bool {
	_, ok := s.Privileges(name)
	return ok
}

// Role returns one role: ErrRoleNotFound.
func (s *Roles) Role(name auth.Role) (Role, error) {
	if p, ok := auth.PredefinedPrivileges(name); ok {
		return Role{Name: name, Privileges: p}, nil
	}
	if r, ok := (*s.custom.Load())[name]; ok {
		return r, nil
	}
	return Role{}, ErrRoleNotFound
}

// List returns the predefined roles, the mightiest first, and then the custom ones
// in the order of their names.
func (s *Roles) List() []Role {
	var out []Role
	for _, name := range predefinedRoles {
		p, _ := auth.PredefinedPrivileges(name)
		out = append(out, Role{Name: name, Privileges: p})
	}
	var own []Role
	for _, r := range *s.custom.Load() {
		own = append(own, r)
	}
	slices.SortFunc(own, func(a, b Role) int { return strings.Compare(string(a.Name), string(b.Name)) })
	return append(out, own...)
}

// Create adds a custom role: ErrBadRole, ErrRoleExists, ErrTooManyRoles.
func (s *Roles) Create(ctx context.Context, r Role) (Role, error) {
	if err := CheckRole(r); err != nil {
		return Role{}, fmt.Errorf("policy: add role: %w", err)
	}
	made, err := s.put(ctx, r, s.cfg.Store.CreateRole)
	if err != nil {
		return Role{}, fmt.Errorf("policy: add role %s: %w", r.Name, err)
	}
	return made, nil
}

// Update gives the role r.Name the privileges of r where its version is r.Version,
// or where that is 0, for all who have it, at once. Where nothing would differ
// nothing is done. ErrBadRole, ErrPredefinedRole, ErrRoleNotFound, ErrRoleConflict.
func (s *Roles) Update(ctx context.Context, r Role) (Role, error) {
	if r.Predefined() {
		return Role{}, fmt.Errorf("policy: change role %s: %w", r.Name, ErrPredefinedRole)
	}
	if err := checkPrivileges(r.Privileges); err != nil {
		return Role{}, fmt.Errorf("policy: change role %s: %w", r.Name, err)
	}
	if now, err := s.Role(r.Name); err == nil && now.Privileges == r.Privileges && (r.Version == 0 || r.Version == now.Version) {
		return now, nil
	}
	next, err := s.put(ctx, r, s.cfg.Store.UpdateRole)
	if err != nil {
		return Role{}, fmt.Errorf("policy: change role %s: %w", r.Name, err)
	}
	return next, nil
}

// put changes the store and then memory. The caller's cancel does not come between
// the two.
func (s *Roles) put(ctx context.Context, r Role, store func(context.Context, Role, time.Time) (Role, error)) (Role, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := store(context.WithoutCancel(ctx), r, s.cfg.Now())
	if err != nil {
		return Role{}, err
	}
	next := maps.Clone(*s.custom.Load())
	next[r.Name] = r
	s.custom.Store(&next)
	s.cfg.Changed()
	return r, nil
}

// Delete removes a custom role that no account has: ErrPredefinedRole,
// ErrRoleNotFound, ErrRoleInUse.
func (s *Roles) Delete(ctx context.Context, name auth.Role) error {
	if predefined(name) {
		return fmt.Errorf("policy: remove role %s: %w", name, ErrPredefinedRole)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.cfg.Store.DeleteRole(context.WithoutCancel(ctx), name, s.cfg.Now()); err != nil {
		return fmt.Errorf("policy: remove role %s: %w", name, err)
	}
	next := maps.Clone(*s.custom.Load())
	delete(next, name)
	s.custom.Store(&next)
	s.cfg.Changed()
	return nil
}

var predefinedRoles = []auth.Role{auth.Administrator, auth.Operator, auth.ReadOnly}

func predefined(name auth.Role) bool {
	_, ok := auth.PredefinedPrivileges(name)
	return ok
}

// CheckRole returns ErrBadRole unless r can be a custom role: a name of 1 to 64
// letters, digits and ". _ @ -", the first a letter, a digit or "_", which is no
// predefined one in any case, and known privileges with Login among them.
func CheckRole(r Role) error {
	if err := checkRoleName(string(r.Name)); err != nil {
		return err
	}
	return checkPrivileges(r.Privileges)
}

func checkRoleName(name string) error {
	if len(name) == 0 || len(name) > maxRoleName {
		return fmt.Errorf("%w: its name must have 1 to %d characters", ErrBadRole, maxRoleName)
	}
	for i := range len(name) {
		c := name[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_':
		case i > 0 && (c == '.' || c == '@' || c == '-'):
		default:
			return fmt.Errorf("%w: letters, digits and \"._@-\" are allowed in its name, the first a letter, a digit or \"_\"", ErrBadRole)
		}
	}
	for _, p := range predefinedRoles {
		if strings.EqualFold(name, string(p)) {
			return fmt.Errorf("%w: %s is a predefined role: %w", ErrBadRole, p, ErrRoleExists)
		}
	}
	return nil
}

func checkPrivileges(p auth.Privileges) error {
	if !auth.AllPrivileges.Has(p) {
		return fmt.Errorf("%w: there is no such privilege", ErrBadRole)
	}
	if !p.Has(auth.MayLogIn) {
		return fmt.Errorf("%w: without the privilege Login nobody could use it", ErrBadRole)
	}
	return nil
}
